// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_QUERY_H_
#define SERF_QUERY_H_

// Queries: a node asks a question by gossip, and the other members answer it directly. QueryParams
// is what the asking application chooses, QueryEvent what the answering application receives, and
// QueryUpdate what comes back.
//
//   QueryParams params;
//   params.filter_tags = {{"role", "^web"}};
//   host->AsyncSendQuery("uptime", "", params,
//                    [](const QueryUpdate& update) {
//                      if (update.kind == QueryUpdate::Kind::kResponse) Print(update.payload);
//                    },
//                    asio::detached);
//
// A query is best effort: a member that does not answer may be slow, or may not have heard the
// question. Do not use queries for large data: question and answer have 1024 bytes each by default.
//
// Source: docs/protocol/serf.md 6.

#include <chrono>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "serf/base/time.h"
#include "serf/tags.h"
#include "serf/wire/ids.h"

namespace serf {

// Names a query in the whole cluster: its Lamport time and a random number, because two nodes may
// ask at the same time.
struct QueryId {
  wire::LamportTime time;
  std::uint32_t number = 0;

  friend constexpr auto operator<=>(const QueryId&, const QueryId&) = default;
};

// The prefix of Serf's own queries. The node answers them itself; the application gets no event. An
// application must not use such names.
inline constexpr absl::string_view kInternalQueryPrefix = "_serf_";
// The name of a query that asks for nothing but acknowledgements; `serf reachability` sends it.
inline constexpr absl::string_view kPingQuery = "_serf_ping";
// The name of a query that asks which node the answering member knows by the name in the payload.
inline constexpr absl::string_view kConflictQuery = "_serf_conflict";

// The longest timeout of a query. A node cuts longer timeouts to it, its own and those of other
// nodes, because every node keeps state for a query until it ends.
inline constexpr Duration kQueryTimeoutMax = std::chrono::hours(1);

// How to ask. The defaults suit most queries.
struct QueryParams {
  // The names of the members that answer; empty: all. They take room in the query.
  std::vector<std::string> filter_nodes;
  // Only members answer whose tags match all of these RE2 expressions, by tag name. An expression
  // may match anywhere in the value: use "^web$" for the whole value. A missing tag counts as
  // empty. An expression that does not compile matches no member.
  Tags filter_tags;
  // Whether each member that passes the filters also confirms the receipt, apart from its answer.
  bool request_ack = false;
  // The number of other members through which each answer is sent once more, against packet loss.
  // The asking node drops duplicates.
  std::uint8_t relay_factor = 0;
  // How long to wait for answers. Zero: DefaultQueryTimeout(). At most kQueryTimeoutMax; negative
  // is an error.
  Duration timeout = Duration::zero();
  // Ends the query as soon as all members have answered that are alive and pass the filters.
  // Otherwise the query lasts for the whole timeout, as it always does in Go Serf.
  bool finish_early = false;
  // An event handler of the agent asks. The machine ignores it. The agent runs its handlers one
  // after the other, and must not make this query wait for the very handler that asks it.
  bool from_handler = false;
};

// Another node, or this one, asks. The application may answer once, before `deadline`:
// Host::AsyncRespond() or Serf::Respond(). It need not answer.
struct QueryEvent {
  QueryId id;
  std::string name;
  // Any bytes, not only text.
  std::string payload;
  // The name of the asking node; empty from releases before 0.9.0.
  std::string source_node;
  // By the clock of the driver; see serf/base/time.h.
  Instant deadline;
};

// What came of a query of this node. Each member gives at most one kAck and one kResponse, in any
// order. The last update is kDone; nothing follows it.
struct QueryUpdate {
  enum class Kind : std::uint8_t { kAck, kResponse, kDone };

  QueryId query;
  Kind kind = Kind::kDone;
  // The name of the member that answers; empty for kDone.
  std::string from;
  // The answer, for kResponse: any bytes.
  std::string payload;
};

// The default timeout of a query: the gossip intervals that a message needs to reach every member,
// times `mult` (Config::query_timeout_mult). `nodes` counts the members that are alive, this one
// included. The LAN profile gives 3.2 s for up to 9 nodes, and 6.4 s for up to 99.
inline constexpr Duration DefaultQueryTimeout(Duration gossip_interval, int mult,
                                              std::size_t nodes) {
  // ceil(log10(nodes + 1)), at least 1.
  int scale = 1;
  for (std::size_t reach = 10; reach < nodes + 1; reach *= 10) ++scale;
  return gossip_interval * mult * scale;
}

}  // namespace serf

#endif  // SERF_QUERY_H_
