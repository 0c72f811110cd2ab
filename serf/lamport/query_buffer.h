// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_LAMPORT_QUERY_BUFFER_H_
#define SERF_LAMPORT_QUERY_BUFFER_H_

// QueryBuffer: the queries of the last Lamport times, so that a node takes and gossips each only
// once. Source: docs/protocol/serf.md 6.4.

#include <cstddef>
#include <cstdint>

#include "serf/lamport/lamport_window.h"
#include "serf/wire/ids.h"

namespace serf {

class QueryBuffer {
 public:
  // How many Lamport times are remembered.
  static constexpr std::size_t kSlots = 512;
  // Sixteen queries for each of these times.
  static constexpr std::size_t kQueriesMax = 8192;

  bool TooOld(wire::LamportTime time, wire::LamportTime current) const {
    return window_.TooOld(time, current);
  }

  // True if the query is new: its time and number identify it. `current` is the query clock's time.
  bool Add(wire::LamportTime time, wire::LamportTime current, std::uint32_t id) {
    return window_.Add(time, current, id, 1);
  }

  std::size_t size() const { return window_.weight(); }

 private:
  LamportWindow<std::uint32_t> window_{kSlots, kQueriesMax};
};

}  // namespace serf

#endif  // SERF_LAMPORT_QUERY_BUFFER_H_
