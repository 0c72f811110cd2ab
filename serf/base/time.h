#ifndef SERF_BASE_TIME_H_
#define SERF_BASE_TIME_H_

// Instants and durations of the core. The core is told the time: its clock type has no now().
//
//   void Probe::OnTimer(Instant now, Outbox& out);

#include <chrono>
#include <cstdint>
#include <limits>

namespace serf {

// Nanosecond resolution, as the protocol's own durations (spec/memberlist.md 0).
using Duration = std::chrono::nanoseconds;

// A monotonic clock without now(): only drivers (transport::Host, testing::World) read time.
struct MonotonicClock {
  using duration = Duration;
  using rep = duration::rep;
  using period = duration::period;
  using time_point = std::chrono::time_point<MonotonicClock, duration>;
  static constexpr bool is_steady = true;
};

// A point in monotonic time. The epoch is the driver's own and has no meaning.
using Instant = MonotonicClock::time_point;

// Later than every instant that occurs: "no deadline".
inline constexpr Instant kNever = Instant::max();

// Fractional milliseconds and seconds, for logs and the protocol's formulas.
inline constexpr double ToSeconds(Duration d) { return std::chrono::duration<double>(d).count(); }

}  // namespace serf

#endif  // SERF_BASE_TIME_H_
