// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_GOSSIP_PUSH_PULL_STATE_H_
#define SERF_GOSSIP_PUSH_PULL_STATE_H_

// How a node builds the Serf layer's part of a push/pull. push_pull_visit.h reads those of others.
// Source: docs/protocol/serf.md 4.2.

#include <cstddef>
#include <span>
#include <vector>

#include "absl/strings/string_view.h"
#include "serf/base/bytes.h"
#include "serf/lamport/event_buffer.h"
#include "serf/wire/ids.h"
#include "serf/wire/list_view.h"
#include "serf/wire/serf_messages.h"

namespace serf {

// What a node says of itself and its members in a push/pull.
struct LocalState {
  wire::LamportTime member_time;
  wire::LamportTime event_time;
  wire::LamportTime query_time;
  std::vector<wire::StatusLTime> status_times;  // of all members, by name
  std::vector<absl::string_view> left;          // the members that left
};

// Appends the message. `events` goes into it whole.
inline void AppendPushPullState(const LocalState& state, const EventBuffer& events,
                                ByteVector& out) {
  std::size_t count = 0;
  for (const auto& [time, slot] : events.slots()) count += slot.entries.size();
  std::vector<wire::RecentEvent> recent;
  recent.reserve(count);
  std::vector<wire::EventSlot> slots;
  slots.reserve(events.slots().size());
  for (const auto& [time, slot] : events.slots()) {
    const std::size_t first = recent.size();
    for (const BufferedEvent& event : slot.entries) {
      const ByteView payload = AsBytes(event.payload);
      recent.push_back({event.name, payload.empty() ? ByteView() : payload});
    }
    const std::span<const wire::RecentEvent> of_slot(recent.data() + first, recent.size() - first);
    wire::EventSlot& sent = slots.emplace_back();
    sent.used = true;
    sent.ltime = time;
    sent.events = wire::ListView<wire::RecentEvent>(of_slot);
  }
  wire::PushPullState message;
  message.ltime = state.member_time;
  message.status_ltimes = wire::ListView<wire::StatusLTime>(state.status_times);
  message.left_members = wire::ListView<absl::string_view>(state.left);
  message.event_ltime = state.event_time;
  message.events = wire::ListView<wire::EventSlot>(slots);
  message.query_ltime = state.query_time;
  Encode(message, out);
}

}  // namespace serf

#endif  // SERF_GOSSIP_PUSH_PULL_STATE_H_
