// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_LAMPORT_CHECKED_CLOCK_H_
#define SERF_LAMPORT_CHECKED_CLOCK_H_

// CheckedClock: a LamportClock of a node that says what it refuses: such times are counted and,
// once a second at most, logged.
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
  // `what` it is the clock of, in the plural, outlives it, as do the others; the logger may be
  // null.
  CheckedClock(absl::string_view what, Logger* logger, Counters& counters)
      : what_(what), counters_(counters), log_(logger) {}
  CheckedClock(const CheckedClock&) = delete;
  CheckedClock& operator=(const CheckedClock&) = delete;

  const LamportClock& clock() const { return clock_; }
  wire::LamportTime time() const { return clock_.time(); }
  wire::LamportTime Take() { return clock_.Take(); }

  // The time of a message. False: it is to be dropped.
  bool Witness(Instant now, wire::LamportTime seen) {
    return clock_.Witness(now, seen) || Refuse(now, seen);
  }
  // The time of an entry in a peer's state, which its clock, in the same state, is past: so a state
  // moves a clock but once. False: the entry is to be dropped.
  bool IsPast(Instant now, wire::LamportTime seen) {
    return clock_.IsPast(seen) || Refuse(now, seen);
  }
  // A peer's clock, which stands at a time that it has not used yet; zero says nothing. `adopt`:
  // the peer is the one by which this node joins.
  void OnPeerClock(Instant now, wire::LamportTime clock, bool adopt) {
    if (clock.value() == 0) return;
    const wire::LamportTime last(clock.value() - 1);
    const bool done = adopt ? clock_.Adopt(last) : clock_.Follow(now, last);
    if (!done) Refuse(now, last);
  }
  // The last time that is known of the life before.
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
