// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_SWIM_SCALING_H_
#define SERF_SWIM_SCALING_H_

// How times and limits grow with the cluster (docs/protocol/membership.md 5.5). `n` counts every
// known node. Pure functions.

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>

#include "serf/base/time.h"

namespace serf::swim {

// The shortest time of a suspicion: mult * max(1, log10 n) probe intervals, the logarithm truncated
// to thousandths.
inline Duration SuspicionTimeout(int mult, std::size_t n, Duration probe_interval) {
  const double scale = std::max(1.0, std::log10(static_cast<double>(std::max<std::size_t>(n, 1))));
  return mult * static_cast<std::int64_t>(scale * 1000.0) * probe_interval / 1000;
}

// How often each node sends a broadcast: mult * ceil(log10(n + 1)). In integers, since the
// logarithm of a power of ten is not exact everywhere.
inline constexpr int RetransmitLimit(int mult, std::size_t n) {
  int digits = 0;
  for (std::uint64_t power = 1; power < n + 1 && digits < 19; power *= 10) ++digits;
  return mult * digits;
}

// The push/pull interval: one more interval for each doubling beyond 32 nodes.
inline constexpr Duration PushPullScale(Duration interval, std::size_t n) {
  constexpr std::size_t kScaleFrom = 32;
  if (n <= kScaleFrom) return interval;
  int multiplier = 1;
  for (std::size_t reach = kScaleFrom; reach < n; reach *= 2) ++multiplier;
  return interval * multiplier;
}

// How many members a wave of gossip goes to (docs/decisions/0003-prompt-gossip.md): as many as a
// round of Go Serf, but at least two, since on one ring alone it would take as many hops as there
// are nodes; and two more for each of the last members that did not answer a probe, so that a wave
// misses few living members while others are dead or packets get lost.
inline constexpr int WaveTargets(int gossip_nodes, int missed_answers) {
  return std::max(gossip_nodes, 2) + 2 * missed_answers;
}

}  // namespace serf::swim

#endif  // SERF_SWIM_SCALING_H_
