#ifndef SERF_RPC_SERVICE_H_
#define SERF_RPC_SERVICE_H_

// Service: what an agent offers to RPC sessions. One thread: sessions call it, and it calls the
// completions back, on the thread of the server.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "serf/coordinate.h"
#include "serf/keys.h"
#include "serf/member.h"
#include "serf/query.h"
#include "serf/rpc/log_history.h"
#include "serf/tags.h"

namespace serf::rpc {

// How a join ended: the status is an error only if no address answered.
struct JoinResult {
  absl::Status status;
  std::int32_t joined = 0;                 // addresses that answered
  std::vector<std::string> failures = {};  // one text for each name or address that did not
};

// Names a join; zero names none.
using JoinId = std::uint64_t;

// How a key operation ended: the outcome counts also if the status is an error.
struct KeysResult {
  absl::Status status;
  KeyOutcome outcome;
};

// "serf" -> "members" -> "3"; the sections of spec/agent.md 1.7.
using StatsSections = std::map<std::string, std::map<std::string, std::string>>;

class Service {
 public:
  // Called exactly once, at once or later, also when the session that asked is gone. The message
  // of an error goes to the client as it is (spec/agent.md 1.5).
  using Done = std::function<void(const absl::Status&)>;
  using JoinDone = std::function<void(const JoinResult&)>;
  using KeysDone = std::function<void(const KeysResult&)>;
  using QueryDone = std::function<void(const absl::StatusOr<QueryId>&)>;
  using OnAnswer = std::function<void(const QueryUpdate&)>;
  // Work on all members, sorted by name. It had better end when may_go_on() is false: it took too
  // much of the processor, or nobody will have the result.
  using MayGoOn = std::function<bool()>;
  using MembersWork = std::function<void(std::span<const Member>, const MayGoOn& may_go_on)>;
  // Whether the work was done.
  using WorkDone = std::function<void(const bool&)>;

  virtual ~Service() = default;

  // All members in every state, sorted by name. Valid until the next input of the agent: a session
  // encodes them at once.
  virtual std::span<const Member> Members() = 0;
  // How many those are.
  virtual std::size_t MemberCount() = 0;

  // For work that would hold up this thread: calls work(members, may_go_on) on another one, with
  // all members of this moment, then done(true) on this one. Or done(false), if there is too much
  // such work; or for ever not, when the agent ends.
  virtual void WithMembers(MembersWork work, WorkDone done) = 0;

  // The sections of `stats`: agent, runtime, serf, tags, event_handlers.
  virtual StatsSections Stats() = 0;

  // What a node last told of its network coordinate; none if it is not known.
  virtual std::optional<Coordinate> FindCoordinate(const std::string& node) = 0;

  // The last lines of the log, oldest first: what a new monitor begins with.
  virtual std::vector<LogLinePtr> LogHistory() = 0;

  // Contacts every address. `replay` false: user events older than the join are ignored.
  virtual JoinId Join(std::vector<std::string> addresses, bool replay, JoinDone done) = 0;

  // Nobody waits for a join any more: what of it has not begun is left out. Nothing if it has
  // ended.
  virtual void CancelJoin(JoinId join) = 0;

  // Tells all nodes. The payload is bytes.
  virtual void SendUserEvent(std::string name, std::string payload, bool coalesce, Done done) = 0;

  // Asks the cluster. `done` tells whether the query is under way; if so `on_answer` is called with
  // every answer, and last with kDone, or for ever not again when the agent ends.
  virtual void Query(std::string name, std::string payload, QueryParams params, OnAnswer on_answer,
                     QueryDone done) = 0;

  // Nobody hears the answers of a query any more: ends it. Nothing if it has ended.
  virtual void CancelQuery(QueryId query) = 0;

  // Answers a query that an event told of; once.
  virtual void Respond(QueryId query, std::string payload, Done done) = 0;

  // An operation on the keyrings of all nodes; `key` is base64, none for kList.
  virtual void ManageKeys(KeyOperation operation, std::string key, KeysDone done) = 0;

  // Leaves the cluster; after a success the agent shuts down, by itself. Callers that come while
  // a leave is under way share its result.
  virtual void Leave(Done done) = 0;

  // Marks a failed member as left; `prune` also forgets it. Unknown names succeed.
  virtual void ForceLeave(std::string node, bool prune, Done done) = 0;

  // New tags of the agent: the current ones without `remove`, then `set` over them.
  virtual void UpdateTags(Tags set, std::vector<std::string> remove, Done done) = 0;
};

}  // namespace serf::rpc

#endif  // SERF_RPC_SERVICE_H_
