// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_RECONNECT_RECONNECT_PACE_H_
#define SERF_RECONNECT_RECONNECT_PACE_H_

// How nodes that are gone are tried again: soon at first, then less and less often, but so often
// for good that a partition ends within a push/pull interval of its end; and by all nodes together,
// so that each failed member is tried about as often however large the cluster is.
// Source: docs/protocol/serf.md 3.6, and docs/decisions/0005-partitions-heal.md where it differs.

#include <algorithm>
#include <cstddef>

#include "serf/base/rng.h"
#include "serf/base/time.h"

namespace serf {

// ReconnectPace: the pauses between attempts. Each is twice as long as the one before, up to a
// quarter of the interval, and jittered by an eighth: nodes that lose each other at the same time
// would try at the same time.
class ReconnectPace {
 public:
  // Parts of the interval.
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

// Whom a node tries in one turn, at most, however many failed.
inline constexpr std::size_t kReconnectsPerTurn = 4;

// How many of the failed members a node tries in a turn: on average so many that all nodes together
// try each once. `members`: all, in every state.
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
