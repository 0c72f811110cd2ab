// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_LAMPORT_CHECKED_CLOCK_H_
#define SERF_LAMPORT_CHECKED_CLOCK_H_

// CheckedClock: a LamportClock that counts the times it refuses, and logs them once a second at
// most.
//
//   CheckedClock clock("user events", config.swim.logger, counters);
//   if (!clock.Witness(now, event.ltime)) return false;

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "serf/base/logger.h"
#include "serf/base/time.h"
#include "serf/counters.h"
#include "serf/lamport/lamport_clock.h"
#include "serf/swim/log_limiter.h"
#include "serf/wire/ids.h"

namespace serf {

class CheckedClock {
 public:
  // `what` names in the plural what the clock counts. All three must outlive it; the logger may be
  // null.
  CheckedClock(absl::string_view what, Logger* logger, Counters& counters)
      : what_(what), counters_(counters), log_(logger) {}
  CheckedClock(const CheckedClock&) = delete;
  CheckedClock& operator=(const CheckedClock&) = delete;

  const LamportClock& clock() const { return clock_; }
  wire::LamportTime time() const { return clock_.time(); }
  wire::LamportTime Take() { return clock_.Take(); }

  // The time of a message. False: drop the message.
  bool Witness(Instant now, wire::LamportTime seen) {
    return clock_.Witness(now, seen) || Refuse(now, seen);
  }
  // The time of an entry in a peer's state. The peer's clock, in the same state, must be past it,
  // so that a state moves a clock only once. False: drop the entry.
  bool IsPast(Instant now, wire::LamportTime seen) {
    return clock_.IsPast(seen) || Refuse(now, seen);
  }
  // A peer's clock, which stands at the next time that the peer would use; zero says nothing.
  // `adopt`: this node joins by the peer.
  void OnPeerClock(Instant now, wire::LamportTime clock, bool adopt) {
    if (clock.value() == 0) return;
    const wire::LamportTime last(clock.value() - 1);
    const bool done = adopt ? clock_.Adopt(last) : clock_.Follow(now, last);
    if (!done) Refuse(now, last);
  }
  // The last time in the snapshot.
  void Restore(wire::LamportTime last) {
    if (!clock_.Adopt(last)) Refuse(Instant::min(), last);
  }

 private:
  bool Refuse(Instant now, wire::LamportTime seen) {
    ++counters_.dropped_time;
    log_.Log(now, swim::LogReason::kLamportTime, LogLevel::kWarn, [&] {
      return absl::StrCat("serf: Ignoring a Lamport time of ", what_,
                          " that is too far ahead: ", seen.value(), " (current: ", time().value(),
                          ")");
    });
    return false;
  }

  absl::string_view what_;
  Counters& counters_;
  swim::LogLimiter log_;
  LamportClock clock_;
};

}  // namespace serf

#endif  // SERF_LAMPORT_CHECKED_CLOCK_H_
