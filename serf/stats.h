// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_STATS_H_
#define SERF_STATS_H_

// StatValues: what Serf::Stats() shows, as numbers. To compare them costs nothing, so a caller can
// keep the texts while they are equal. Source: docs/protocol/serf.md 13.2.
//
//   if (const StatValues now = serf.stat_values(); now != shown) Show(serf.Stats()), shown = now;

#include <cstddef>
#include <cstdint>
#include <optional>

namespace serf {

struct StatValues {
  std::size_t members = 0;
  std::size_t failed = 0;
  std::size_t left = 0;
  int health_score = 0;
  std::uint64_t member_time = 0;
  std::uint64_t event_time = 0;
  std::uint64_t query_time = 0;
  std::size_t intent_queue = 0;
  std::size_t event_queue = 0;
  std::size_t query_queue = 0;
  bool encrypted = false;
  std::optional<std::uint64_t> coordinate_resets;  // none: coordinates are disabled
  std::uint64_t queries_unjudged = 0;

  friend bool operator==(const StatValues&, const StatValues&) = default;
};

}  // namespace serf

#endif  // SERF_STATS_H_
