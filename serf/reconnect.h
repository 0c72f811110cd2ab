#ifndef SERF_RECONNECT_H_
#define SERF_RECONNECT_H_

// How failed members are tried again: from time to time one of them, more often the larger their
// share of the cluster is. Source: spec/serf.md 3.6.

#include <cstddef>

#include "serf/base/rng.h"
#include "serf/base/time.h"

namespace serf {

// When to try next. Jittered by an eighth, unlike the original: nodes that start together would
// try together.
inline Instant NextReconnect(Instant now, Duration interval, Rng& rng) {
  return now + interval - interval / 8 + rng.Below(interval / 4);
}

// Whether to try now: with a probability of failed / alive, so that all nodes together try each
// failed member about once per interval. `members`: all, in every state.
inline bool ShouldReconnect(std::size_t members, std::size_t failed, std::size_t left, Rng& rng) {
  const std::size_t gone = failed + left;
  const std::size_t alive = members > gone ? members - gone : 1;
  return rng.NextDouble() * static_cast<double>(alive) <= static_cast<double>(failed);
}

}  // namespace serf

#endif  // SERF_RECONNECT_H_
