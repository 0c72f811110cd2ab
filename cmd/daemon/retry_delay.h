#ifndef SERF_CMD_DAEMON_RETRY_DELAY_H_
#define SERF_CMD_DAEMON_RETRY_DELAY_H_

// RetryDelay: how long -retry-join waits after a failed attempt.
//
//   timer.expires_after(RetryDelay(config.retry_interval, config.retry_interval_max, failed, rng));

#include <algorithm>
#include <chrono>
#include <cstdint>

#include "serf/base/rng.h"
#include "serf/base/time.h"

namespace serf::cmd {

// `failed` counts the failed attempts, from one. If `max` is at most `interval`, as by default, the
// delay is always `interval`, as in Go Serf. Otherwise the delay doubles with each attempt up to
// `max`, and a random part of up to one half is subtracted. Agents that were started at the same
// moment then do not retry at the same moment again and again. Whole milliseconds.
inline Duration RetryDelay(Duration interval, Duration max, std::int64_t failed, Rng& rng) {
  if (max <= interval) return interval;
  Duration delay = interval;
  for (std::int64_t i = 1; i < failed && delay < max; ++i) {
    delay = delay > max / 2 ? max : delay * 2;
  }
  delay -= rng.Below(delay / 2);
  return std::chrono::duration_cast<std::chrono::milliseconds>(delay);
}

}  // namespace serf::cmd

#endif  // SERF_CMD_DAEMON_RETRY_DELAY_H_
