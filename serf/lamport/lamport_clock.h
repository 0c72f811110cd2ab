// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_LAMPORT_LAMPORT_CLOCK_H_
#define SERF_LAMPORT_LAMPORT_CLOCK_H_

// LamportClock: logical time that moves forward when it is used or when a later time is seen
// (Lamport, "Time, Clocks, and the Ordering of Events in a Distributed System", 1978;
// docs/protocol/serf.md 2). A Serf node has three: for intents, user events and queries.
// checked_clock.h counts and logs what a clock refuses.
//
//   if (!clock.Witness(now, message.time)) return;  // before anything else is done with it
//
// A clock follows whatever time it sees, however far, as in Go Serf, because nodes whose clocks
// differ by more than a window do not hear each other (docs/decisions/0008-clocks-follow.md). Only
// the end of the numbers is guarded, since no later time exists there: a clock follows everything
// up to kCeiling, and beyond that it moves no faster than kStepsPerSecond.

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <limits>

#include "serf/base/time.h"
#include "serf/wire/ids.h"

namespace serf {

class LamportClock {
 public:
  // A clock moves beyond this in small steps only. At kStepsPerSecond a flood needs 136 years to
  // reach the end.
  static constexpr std::uint64_t kCeiling = 0 - (std::uint64_t{1} << 44);
  // How fast other nodes can move a clock beyond kCeiling: more messages than a cluster gossips.
  static constexpr std::uint64_t kStepsPerSecond = 4096;
  // Unused steps of this long are saved up, for a node that was cut off meanwhile.
  static constexpr Duration kSavingsMax = std::chrono::minutes(1);
  // The latest time that a clock adopts. The times beyond take twelve days at kStepsPerSecond.
  static constexpr std::uint64_t kAdoptMax = 0 - (std::uint64_t{1} << 32);

  // A fresh clock is at 1.
  constexpr LamportClock() = default;

  constexpr wire::LamportTime time() const { return wire::LamportTime(time_); }
  // Whether the clock is past `seen`, so that witnessing it changes nothing.
  constexpr bool IsPast(wire::LamportTime seen) const { return seen.value() < time_; }

  // The time for a message; no later message gets the same.
  constexpr wire::LamportTime Take() {
    const wire::LamportTime taken = time();
    if (time_ != kLast) ++time_;
    return taken;
  }

  // Moves past the time of a message. False, and nothing was done, if the time is not believable.
  constexpr bool Witness(Instant now, wire::LamportTime seen);
  // Moves past the last time of a peer's clock. If that is too far, moves as near to it as is
  // allowed now and returns false, so that a clock which was left behind catches up.
  constexpr bool Follow(Instant now, wire::LamportTime seen);
  // Moves past a trusted time: of the snapshot, or of the node by which this one joins. False, and
  // nothing was done, beyond kAdoptMax.
  constexpr bool Adopt(wire::LamportTime seen);

 private:
  static constexpr std::uint64_t kLast = std::numeric_limits<std::uint64_t>::max();
  static constexpr Duration kStepPrice =
      Duration(std::chrono::seconds(1)) / static_cast<std::int64_t>(kStepsPerSecond);

  // The steps beyond the ceiling that are allowed at this moment.
  constexpr std::uint64_t StepsAllowed(Instant now) const {
    const Instant from = std::max(paid_until_, now - kSavingsMax);
    return from >= now ? 0 : static_cast<std::uint64_t>((now - from) / kStepPrice);
  }
  constexpr void Step(Instant now, std::uint64_t steps) {
    time_ = std::max(time_, kCeiling) + steps;
    paid_until_ =
        std::max(paid_until_, now - kSavingsMax) + kStepPrice * static_cast<std::int64_t>(steps);
  }

  std::uint64_t time_ = 1;
  Instant paid_until_ = Instant::min();  // the time that the steps so far have used up
};

constexpr bool LamportClock::Witness(Instant now, wire::LamportTime seen) {
  if (IsPast(seen)) return true;
  if (seen.value() < kCeiling) {
    time_ = seen.value() + 1;
    return true;
  }
  if (seen.value() == kLast) return false;
  const std::uint64_t steps = seen.value() + 1 - std::max(time_, kCeiling);
  if (steps > StepsAllowed(now)) return false;
  Step(now, steps);
  return true;
}

constexpr bool LamportClock::Follow(Instant now, wire::LamportTime seen) {
  if (Witness(now, seen)) return true;
  // Never move to the very end; a Go Serf clock there wraps around by itself.
  if (seen.value() < kAdoptMax) Step(now, StepsAllowed(now));
  return false;
}

constexpr bool LamportClock::Adopt(wire::LamportTime seen) {
  if (IsPast(seen)) return true;
  if (seen.value() >= kAdoptMax) return false;
  time_ = seen.value() + 1;
  return true;
}

}  // namespace serf

#endif  // SERF_LAMPORT_LAMPORT_CLOCK_H_
