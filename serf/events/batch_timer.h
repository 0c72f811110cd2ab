// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_EVENTS_BATCH_TIMER_H_
#define SERF_EVENTS_BATCH_TIMER_H_

// BatchTimer: when a batch of held-back events is due: a period after its first event, or a quiet
// period after its last one, whichever comes first. Source: docs/protocol/serf.md 11.2.

#include <algorithm>

#include "serf/base/time.h"

namespace serf {

class BatchTimer {
 public:
  // Both must be positive.
  BatchTimer(Duration period, Duration quiescent) : period_(period), quiescent_(quiescent) {}

  // An event came.
  void OnEvent(Instant now) {
    if (batch_end_ == kNever) batch_end_ = now + period_;
    quiet_end_ = now + quiescent_;
  }

  // The batch was delivered.
  void Stop() { batch_end_ = quiet_end_ = kNever; }

  // kNever if nothing is held back.
  Instant deadline() const { return std::min(batch_end_, quiet_end_); }

 private:
  Duration period_;
  Duration quiescent_;
  Instant batch_end_ = kNever;
  Instant quiet_end_ = kNever;
};

}  // namespace serf

#endif  // SERF_EVENTS_BATCH_TIMER_H_
