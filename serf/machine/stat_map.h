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

inline std::map<std::string, std::string> StatMap(const StatSources& from) {
  const MemberStatusTable& table = from.members.table();
  const bool encrypted = from.config.swim.keyring != nullptr && !from.config.swim.keyring->empty();
  std::map<std::string, std::string> stats = {
      {"members", absl::StrCat(table.size())},
      {"failed", absl::StrCat(table.failed())},
      {"left", absl::StrCat(table.left())},
      {"health_score", absl::StrCat(from.node.health_score())},
      {"member_time", absl::StrCat(from.members.clock().time().value())},
      {"event_time", absl::StrCat(from.user_events.clock().time().value())},
      {"query_time", absl::StrCat(from.queries.clock().time().value())},
      {"intent_queue", absl::StrCat(from.broadcasts.intents())},
      {"event_queue", absl::StrCat(from.broadcasts.events())},
      {"query_queue", absl::StrCat(from.broadcasts.queries())},
      {"encrypted", encrypted ? "true" : "false"},
  };
  if (from.coordinates != nullptr) {
    stats["coordinate_resets"] = absl::StrCat(from.coordinates->resets());
  }
  // Go Serf does not have this entry, so readers may not expect it: show it only if it matters.
  if (from.counters.queries_unjudged > 0) {
    stats["queries_unjudged"] = absl::StrCat(from.counters.queries_unjudged);
  }
  return stats;
}

}  // namespace serf

#endif  // SERF_MACHINE_STAT_MAP_H_
