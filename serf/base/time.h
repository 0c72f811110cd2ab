// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_BASE_TIME_H_
#define SERF_BASE_TIME_H_

// Instants and durations of the core. Callers pass the time to the core: its clock type has no
// now().
//
//   void Probe::OnTimer(Instant now, Outbox& out);
//
// An Instant comes from the driver. Compare it with instants of the same driver only: it is neither
// the time of day nor comparable between processes.

#include <chrono>
#include <cstdint>
#include <limits>

namespace serf {

// Nanoseconds, as in the protocol's own durations (docs/protocol/membership.md 0).
using Duration = std::chrono::nanoseconds;

// A monotonic clock without now(). Only drivers (transport::Host, testkit::World) read a clock.
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

// A duration in seconds, with its fraction, for log lines and the protocol's formulas.
inline constexpr double ToSeconds(Duration d) { return std::chrono::duration<double>(d).count(); }

}  // namespace serf

#endif  // SERF_BASE_TIME_H_
