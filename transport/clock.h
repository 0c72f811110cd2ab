#ifndef SERF_TRANSPORT_CLOCK_H_
#define SERF_TRANSPORT_CLOCK_H_

// The clock that a Host gives its machine: std::chrono::steady_clock, with its epoch.

#include <chrono>

#include "serf/base/time.h"

namespace serf::transport {

// Any thread.
inline Instant Now() {
  return Instant(
      std::chrono::duration_cast<Duration>(std::chrono::steady_clock::now().time_since_epoch()));
}

// The same point in time, for timers.
inline std::chrono::steady_clock::time_point ToSteadyTime(Instant instant) {
  return std::chrono::steady_clock::time_point(
      std::chrono::ceil<std::chrono::steady_clock::duration>(instant.time_since_epoch()));
}

}  // namespace serf::transport

#endif  // SERF_TRANSPORT_CLOCK_H_
