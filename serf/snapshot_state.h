// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_SNAPSHOT_STATE_H_
#define SERF_SNAPSHOT_STATE_H_

// SnapshotState: what a snapshot file says of the life before a restart. A SnapshotReader makes it
// from the file, Config hands it to the new node, and that node's Snapshot continues from it.

#include <cstdint>
#include <functional>
#include <map>
#include <string>

#include "serf/wire/ids.h"

namespace serf {

// The state of a node before its restart. A default one is that of a new node.
struct SnapshotState {
  // Name to address ("10.0.0.1:7946") as in the file, sorted by name.
  using Nodes = std::map<std::string, std::string, std::less<>>;

  // Members that were alive.
  Nodes alive;
  // Members that had failed, and had neither returned, nor left, nor been reaped.
  Nodes failed;
  // The last Lamport times that the node has seen; zero: none.
  wire::LamportTime clock;
  wire::LamportTime event_clock;
  wire::LamportTime query_clock;
  // The bytes of the file's whole lines.
  std::uint64_t size = 0;
};

}  // namespace serf

#endif  // SERF_SNAPSHOT_STATE_H_
