// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_RECONNECT_RECONNECT_PACE_H_
#define SERF_RECONNECT_RECONNECT_PACE_H_

// Back-off for dialling failed members. It starts short and doubles, but its ceiling is low enough
// that a healed partition merges within one push/pull interval. All nodes share the load, so that
// each failed member is dialled about equally often in a cluster of any size. Source:
// docs/protocol/serf.md 3.6, and docs/decisions/0005-partitions-heal.md where it differs.

#include <algorithm>
#include <cstddef>

#include "serf/base/rng.h"
#include "serf/base/time.h"

namespace serf {

// ReconnectPace: the pauses between attempts. Each pause is twice as long as the one before, up to
// a quarter of the interval, with a jitter of an eighth: nodes that lose each other at the same
// moment would otherwise dial at the same moment.
class ReconnectPace {
 public:
  // Fractions of the interval.
  static constexpr int kFirst = 32;
  static constexpr int kLast = 4;

  ReconnectPace() = default;
  explicit ReconnectPace(Duration interval) : interval_(interval) { Reset(); }

  // The next pause is a short one again.
  void Reset() { pause_ = std::max(interval_ / kFirst, Duration(1)); }
  Duration Next(Rng& rng) {
    const Duration pause = pause_;
    pause_ = std::min(2 * pause_, std::max(interval_ / kLast, Duration(1)));
    return pause - pause / 8 + rng.Below(pause / 4);
  }

 private:
  Duration interval_{};
  Duration pause_{1};
};

// The most failed members that a node dials in one turn, however many failed.
inline constexpr std::size_t kReconnectsPerTurn = 4;

// How many failed members this node dials in a turn. On average all nodes together dial each failed
// member once. `members` counts all members, in every state.
inline std::size_t ReconnectsInTurn(std::size_t members, std::size_t failed, std::size_t left,
                                    Rng& rng) {
  const std::size_t gone = failed + left;
  const std::size_t alive = members > gone ? members - gone : 1;
  const std::size_t rest = failed % alive;
  const bool one_more = rng.NextDouble() * static_cast<double>(alive) < static_cast<double>(rest);
  return std::min(failed / alive + (one_more ? 1 : 0), kReconnectsPerTurn);
}

}  // namespace serf

#endif  // SERF_RECONNECT_RECONNECT_PACE_H_
