// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_TRANSPORT_NET_CLOCK_H_
#define SERF_TRANSPORT_NET_CLOCK_H_

// The clock that a Host gives its machine: std::chrono::steady_clock, with its epoch. A deadline
// that comes from the machine, such as QueryEvent::deadline, compares with Now().
//
//   const Duration left = query.deadline - transport::Now();

#include <chrono>

#include "serf/base/time.h"

namespace serf::transport {

// The time now. Any thread. It never goes back, and has nothing to do with the time of day.
inline Instant Now() {
  return Instant(
      std::chrono::duration_cast<Duration>(std::chrono::steady_clock::now().time_since_epoch()));
}

// The same point in time, rounded up to the clock's resolution, for timers.
inline std::chrono::steady_clock::time_point ToSteadyTime(Instant instant) {
  return std::chrono::steady_clock::time_point(
      std::chrono::ceil<std::chrono::steady_clock::duration>(instant.time_since_epoch()));
}

}  // namespace serf::transport

#endif  // SERF_TRANSPORT_NET_CLOCK_H_
