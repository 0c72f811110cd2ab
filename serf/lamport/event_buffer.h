// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_LAMPORT_EVENT_BUFFER_H_
#define SERF_LAMPORT_EVENT_BUFFER_H_

// EventBuffer: the user events of the last Lamport times. It recognises duplicates, and a push/pull
// sends it to nodes that missed events. Source: docs/protocol/serf.md 5.2 to 5.4.

#include <cstddef>
#include <string>
#include <utility>

#include "absl/strings/string_view.h"
#include "serf/event.h"
#include "serf/lamport/lamport_window.h"
#include "serf/wire/ids.h"

namespace serf {

// An event as the buffer keeps it. Events are equal if time, name and payload are.
struct BufferedEvent {
  std::string name;
  std::string payload;

  friend bool operator==(const BufferedEvent&, const BufferedEvent&) = default;
  template <typename H>
  friend H AbslHashValue(H h, const BufferedEvent& event) {
    return H::combine(std::move(h), event.name, event.payload);
  }
};

class EventBuffer {
 public:
  // How many Lamport times are remembered.
  static constexpr std::size_t kSlots = 512;
  // Twice what so many events of the greatest size take. Each push/pull carries all of it.
  static constexpr std::size_t kBytesMax = 8 << 20;

  bool TooOld(wire::LamportTime time, wire::LamportTime current) const {
    return window_.TooOld(time, current);
  }

  // True if the event is new. `current` is the event clock's time.
  bool Add(wire::LamportTime time, wire::LamportTime current, absl::string_view name,
           absl::string_view payload) {
    if (name.size() + payload.size() > kUserEventMax) return false;
    return window_.Add(time, current, {std::string(name), std::string(payload)},
                       sizeof(BufferedEvent) + name.size() + payload.size());
  }

  // By ascending time.
  const LamportWindow<BufferedEvent>::Slots& slots() const { return window_.slots(); }
  std::size_t bytes() const { return window_.weight(); }

 private:
  LamportWindow<BufferedEvent> window_{kSlots, kBytesMax};
};

}  // namespace serf

#endif  // SERF_LAMPORT_EVENT_BUFFER_H_
