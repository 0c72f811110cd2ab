// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_REQUESTS_LEAVE_SEQUENCE_H_
#define SERF_REQUESTS_LEAVE_SEQUENCE_H_

// LeaveSequence: the steps of a graceful leave, and how long each may take. It knows neither
// members nor messages: the caller reports what happened, and gets the next step. Source:
// docs/protocol/serf.md 3.5.3.
//
//   idle -> the intent is gossiped -> it gets a head start -> the SWIM layer leaves -> the news
//   spreads -> left

#include <cstdint>

#include "serf/base/time.h"

namespace serf {

class LeaveSequence {
 public:
  enum class Step : std::uint8_t {
    kNone,
    kLeaveSwim,  // let the SWIM layer leave, then call OnSwimLeft when its news is out
    kLeft,       // done
  };
  struct Next {
    Step step = Step::kNone;
    // The step before did not finish in time. The leave continues all the same: an unconfirmed
    // leave is better than none.
    bool timed_out = false;
  };

  // `broadcast_timeout`: for the intent, and again for the message of the SWIM layer.
  // `propagate_delay`: how long to keep answering after that. `head_start`: how long the intent
  // travels alone after its last transmission. Prompt gossip sends it within milliseconds, and a
  // member that hears of the SWIM layer's departure first doubts it, or believes in a failure
  // (docs/protocol/serf.md 3.3.2).
  LeaveSequence(Duration broadcast_timeout, Duration propagate_delay,
                Duration head_start = Duration::zero())
      : broadcast_timeout_(broadcast_timeout),
        propagate_delay_(propagate_delay),
        head_start_(head_start) {}

  // Call it once. `await_intent`: an intent was queued, and OnIntentSent() will report its end.
  Next Begin(Instant now, bool await_intent) {
    if (!await_intent) return EnterEngine(now, false);
    phase_ = Phase::kIntent;
    deadline_ = now + broadcast_timeout_;
    return {};
  }

  Next OnIntentSent(Instant now) {
    if (phase_ != Phase::kIntent) return {};
    if (head_start_ <= Duration::zero()) return EnterEngine(now, false);
    phase_ = Phase::kHeadStart;
    deadline_ = now + head_start_;
    return {};
  }

  Next OnSwimLeft(Instant now) {
    if (phase_ == Phase::kEngine) EnterPropagate(now);
    return {};
  }

  Next OnTimer(Instant now) {
    if (now < deadline_) return {};
    switch (phase_) {
      case Phase::kIntent:
        return EnterEngine(now, true);
      case Phase::kHeadStart:
        return EnterEngine(now, false);
      case Phase::kEngine:
        EnterPropagate(now);
        return {Step::kNone, true};
      case Phase::kPropagate:
        phase_ = Phase::kLeft;
        deadline_ = kNever;
        return {Step::kLeft, false};
      case Phase::kIdle:
      case Phase::kLeft:
        return {};
    }
    return {};
  }

  Instant NextDeadline() const { return deadline_; }

 private:
  enum class Phase : std::uint8_t { kIdle, kIntent, kHeadStart, kEngine, kPropagate, kLeft };

  Next EnterEngine(Instant now, bool timed_out) {
    phase_ = Phase::kEngine;
    deadline_ = now + broadcast_timeout_;
    return {Step::kLeaveSwim, timed_out};
  }
  void EnterPropagate(Instant now) {
    phase_ = Phase::kPropagate;
    deadline_ = now + propagate_delay_;
  }

  Duration broadcast_timeout_;
  Duration propagate_delay_;
  Duration head_start_;
  Phase phase_ = Phase::kIdle;
  Instant deadline_ = kNever;
};

}  // namespace serf

#endif  // SERF_REQUESTS_LEAVE_SEQUENCE_H_
