#ifndef SERF_LAMPORT_CLOCK_H_
#define SERF_LAMPORT_CLOCK_H_

// LamportClock: logical time that moves forward when used or when a later time is seen
// (Lamport, "Time, Clocks, and the Ordering of Events in a Distributed System", 1978;
// spec/serf.md 2). A Serf node has three: of intents, of user events, of queries.
//
//   if (!clock.Plausible(message.time)) return;  // before anything else is done with it
//   clock.Witness(message.time);

#include <cstdint>
#include <limits>

#include "serf/wire/ids.h"

namespace serf {

class LamportClock {
 public:
  // A time further ahead of the clock than this is a fault or an attack: at a million messages
  // each second a cluster needs twelve days to get there, and whoever joins late starts at 1.
  static constexpr std::uint64_t kJumpMax = std::uint64_t{1} << 40;

  // A fresh clock stands at 1; one with a past, after the last time that is known of it.
  explicit constexpr LamportClock(wire::LamportTime recovered = {}) : time_(1) {
    Witness(recovered);
  }

  constexpr wire::LamportTime time() const { return wire::LamportTime(time_); }

  // The time for a message, which no later message gets.
  constexpr wire::LamportTime Take() {
    const wire::LamportTime taken = time();
    if (time_ != kLast) ++time_;
    return taken;
  }

  // Moves past `seen`. Stops at the end of the numbers instead of wrapping to zero.
  constexpr void Witness(wire::LamportTime seen) {
    if (seen.value() < time_) return;
    time_ = seen.value() == kLast ? kLast : seen.value() + 1;
  }

  // Moves past `seen` if it is plausible; false if not.
  constexpr bool TryWitness(wire::LamportTime seen) {
    if (!Plausible(seen)) return false;
    Witness(seen);
    return true;
  }

  // Whether to believe `seen` at all (spec/serf.md 15.2, clock poisoning).
  constexpr bool Plausible(wire::LamportTime seen) const {
    return seen.value() <= time_ || seen.value() - time_ <= kJumpMax;
  }

 private:
  static constexpr std::uint64_t kLast = std::numeric_limits<std::uint64_t>::max();

  std::uint64_t time_;
};

}  // namespace serf

#endif  // SERF_LAMPORT_CLOCK_H_
