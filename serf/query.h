#ifndef SERF_QUERY_H_
#define SERF_QUERY_H_

// Queries: a question that is gossiped to the cluster and answered directly. What an application
// asks with (QueryParams), what the others are told (QueryEvent), and what comes back
// (QueryUpdate). Source: spec/serf.md 6.

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

// A query in the whole cluster: its Lamport time, and a random number, since two nodes may ask at
// the same time.
struct QueryId {
  wire::LamportTime time;
  std::uint32_t number = 0;

  friend constexpr auto operator<=>(const QueryId&, const QueryId&) = default;
};

// Queries with such names are Serf's own: the application is not told of them.
inline constexpr absl::string_view kInternalQueryPrefix = "_serf_";
// Asks for nothing but the acknowledgement.
inline constexpr absl::string_view kPingQuery = "_serf_ping";
// Asks whom a node knows by the name that is the payload.
inline constexpr absl::string_view kConflictQuery = "_serf_conflict";

// Longest timeout, of own queries and of others'; longer ones are cut to it. A query has state on
// every node that long.
inline constexpr Duration kQueryTimeoutMax = std::chrono::hours(1);

struct QueryParams {
  std::vector<std::string> filter_nodes;  // only these answer; empty: all
  // Only nodes answer whose tags match all these RE2 expressions, anywhere in the value; a tag that
  // is missing counts as empty. An expression that does not compile matches nowhere.
  Tags filter_tags;
  bool request_ack = false;
  std::uint8_t relay_factor = 0;        // members through which each answer goes once more
  Duration timeout = Duration::zero();  // zero: DefaultQueryTimeout
  // Ends as soon as every node has answered from which an answer is due: each that lives and passes
  // the filters. The original always waits for the whole timeout.
  bool finish_early = false;
  // An event handler asks. Changes nothing here: it is for the application, which tells its
  // handlers of events one after the other, and must not let this query wait for the handler that
  // asks it.
  bool from_handler = false;
};

// Somebody asks. The application may answer once, until the deadline: Serf::Respond.
struct QueryEvent {
  QueryId id;
  std::string name;
  std::string payload;      // bytes
  std::string source_node;  // who asks; empty from releases before 0.9.0
  Instant deadline;
};

// What came of an own query. The last is kDone; nothing follows.
struct QueryUpdate {
  enum class Kind : std::uint8_t { kAck, kResponse, kDone };

  QueryId query;
  Kind kind = Kind::kDone;
  std::string from;     // the node that answers; not of kDone
  std::string payload;  // of kResponse: bytes
};

// How long a query runs by default: as many gossip intervals as it takes to reach everybody, times
// `mult`. `nodes`: that live, this one included. 3.2 s for up to 9 nodes of the LAN profile.
inline constexpr Duration DefaultQueryTimeout(Duration gossip_interval, int mult,
                                              std::size_t nodes) {
  // ceil(log10(nodes + 1)), at least 1.
  int scale = 1;
  for (std::size_t reach = 10; reach < nodes + 1; reach *= 10) ++scale;
  return gossip_interval * mult * scale;
}

}  // namespace serf

#endif  // SERF_QUERY_H_
