// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_SWIM_STANDSTILL_H_
#define SERF_SWIM_STANDSTILL_H_

// Standstill: notices that this node stood still. Its process was stopped, its machine was paused,
// or it got no processor: then its timers ran late, and it heard nobody meanwhile. What others
// failed to tell it in that time says nothing about them.
//
//   const Duration deaf = standstill.OnTurn(now, earliest deadline);
//   if (deaf > Duration::zero()) postpone what waits for others by `deaf`;
//
// It follows Lifeguard (Dadgar, Phillips, Currey, 2018): a node suspects itself first.

#include <algorithm>
#include <chrono>
#include <utility>

#include "serf/base/time.h"

namespace serf::swim {

class Standstill {
 public:
  // A timer that is later than this was not late by chance. A busy machine delays a thread by tens
  // of milliseconds, and the shortest wait that matters, for the answer to a ping, is as long.
  static constexpr Duration kLatenessMin = std::chrono::milliseconds(200);

  // Begins a turn of the machine, before it does anything. `due` is the earliest deadline since the
  // turn before; one in the past is due at once. How long the node has heard nobody: zero if its
  // timers are in time.
  Duration OnTurn(Instant now, Instant due) {
    const Instant last = std::exchange(last_turn_, now);
    const bool late = now - kLatenessMin > std::max(due, last);
    return late ? now - last : Duration::zero();
  }

 private:
  Instant last_turn_{};
};

}  // namespace serf::swim

#endif  // SERF_SWIM_STANDSTILL_H_
