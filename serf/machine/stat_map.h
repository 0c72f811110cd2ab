// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_MACHINE_STAT_MAP_H_
#define SERF_MACHINE_STAT_MAP_H_

// StatMap: the statistics that `serf info` shows, by name (docs/protocol/serf.md 13.2). It is slow:
// for people and tests.

#include <map>
#include <string>

#include "absl/strings/str_cat.h"
#include "serf/config.h"
#include "serf/coordinates/coordinate_tracker.h"
#include "serf/counters.h"
#include "serf/events/user_events.h"
#include "serf/gossip/broadcasts.h"
#include "serf/lamport/lamport_clock.h"
#include "serf/members/member_status_table.h"
#include "serf/members/member_tracker.h"
#include "serf/queries/queries.h"
#include "serf/stats.h"
#include "serf/swim/node.h"

namespace serf {

// The parts that have the values.
struct StatSources {
  const Config& config;
  const swim::Node& node;
  const MemberTracker& members;
  const UserEvents& user_events;
  const Queries& queries;
  const Broadcasts& broadcasts;
  const Counters& counters;
  const CoordinateTracker* coordinates;  // null if they are disabled
};

inline StatValues ReadStats(const StatSources& from) {
  const MemberStatusTable& table = from.members.table();
  const bool encrypted = from.config.swim.keyring != nullptr && !from.config.swim.keyring->empty();
  StatValues values = {
      .members = table.size(),
      .failed = table.failed(),
      .left = table.left(),
      .health_score = from.node.health_score(),
      .member_time = from.members.clock().time().value(),
      .event_time = from.user_events.clock().time().value(),
      .query_time = from.queries.clock().time().value(),
      .intent_queue = from.broadcasts.intents(),
      .event_queue = from.broadcasts.events(),
      .query_queue = from.broadcasts.queries(),
      .encrypted = encrypted,
      .queries_unjudged = from.counters.queries_unjudged,
  };
  if (from.coordinates != nullptr) values.coordinate_resets = from.coordinates->resets();
  return values;
}

inline std::map<std::string, std::string> StatMap(const StatValues& values) {
  std::map<std::string, std::string> stats = {
      {"members", absl::StrCat(values.members)},
      {"failed", absl::StrCat(values.failed)},
      {"left", absl::StrCat(values.left)},
      {"health_score", absl::StrCat(values.health_score)},
      {"member_time", absl::StrCat(values.member_time)},
      {"event_time", absl::StrCat(values.event_time)},
      {"query_time", absl::StrCat(values.query_time)},
      {"intent_queue", absl::StrCat(values.intent_queue)},
      {"event_queue", absl::StrCat(values.event_queue)},
      {"query_queue", absl::StrCat(values.query_queue)},
      {"encrypted", values.encrypted ? "true" : "false"},
  };
  if (values.coordinate_resets) {
    stats["coordinate_resets"] = absl::StrCat(*values.coordinate_resets);
  }
  // Go Serf does not have this entry, so readers may not expect it: show it only if it matters.
  if (values.queries_unjudged > 0) {
    stats["queries_unjudged"] = absl::StrCat(values.queries_unjudged);
  }
  return stats;
}

}  // namespace serf

#endif  // SERF_MACHINE_STAT_MAP_H_
