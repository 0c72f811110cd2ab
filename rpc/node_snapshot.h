// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_RPC_NODE_SNAPSHOT_H_
#define SERF_RPC_NODE_SNAPSHOT_H_

// NodeSnapshot: all counters, gauges, clocks and queue lengths of a node at one time, as plain
// numbers.
//
//   const NodeSnapshot now = service.Snapshot();

#include <cstddef>
#include <cstdint>
#include <optional>

#include "serf/counters.h"
#include "serf/stats.h"
#include "serf/swim/counters.h"

namespace serf::rpc {

struct NodeSnapshot {
  struct Coordinates {
    std::uint64_t updates = 0;
    std::uint64_t rejected = 0;
    std::uint64_t zero_round_trips = 0;
    std::uint64_t unreadable = 0;
    std::uint64_t resets = 0;
    double error = 0;  // of this node's coordinate; height and adjustment are in seconds
    double height = 0;
    double adjustment = 0;
  };

  StatValues stats;
  Counters serf;
  swim::Counters swim;
  std::optional<Coordinates> coordinates;  // none: they are disabled
  // Nodes of the membership layer.
  std::size_t alive = 0;
  std::size_t suspect = 0;
  std::size_t dead = 0;
  std::size_t left = 0;
  std::size_t membership_queue = 0;
};

}  // namespace serf::rpc

#endif  // SERF_RPC_NODE_SNAPSHOT_H_
