// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_RPC_SERVICE_H_
#define SERF_RPC_SERVICE_H_

// Service: what an agent offers to the clients of its RPC server. An application implements it, to
// serve the protocol of `serf agent` from its own process; cmd/daemon/agent_service.h is one over a
// Host.
//
//   class MyService : public rpc::Service {
//     void ForceLeave(std::string node, ForceLeaveOptions options, Done done) override {
//       host_.AsyncForceLeave(std::move(node), options, done);
//     }
//     ...
//   };
//   rpc::Server server(io, service, {.auth_key = key});
//
// Threads: the server calls all methods on its io_context's thread, and a service calls every
// completion there. A service must outlive its server. No method may block or throw: the server
// answers no other client meanwhile.
//
// The server has already checked that the client may ask, and that the request is well formed. The
// service judges its content: names, sizes, tags, keys.

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "serf/coordinate.h"
#include "serf/event.h"
#include "serf/join.h"
#include "serf/keys.h"
#include "serf/member_listing.h"
#include "serf/query.h"
#include "serf/rpc/log_history.h"
#include "serf/rpc/node_snapshot.h"
#include "serf/tags.h"

namespace serf::rpc {

// Figures by section and name: "serf" -> "members" -> "3" (docs/protocol/agent.md 1.7).
using StatsSections = std::map<std::string, std::map<std::string, std::string>>;

class Service {
 public:
  // A completion. The service calls it exactly once, from within the method or later, even if the
  // client has gone, and also if the agent shuts down, then with an error. The client receives the
  // message of an error unchanged (docs/protocol/agent.md 1.5). The server keeps what a completion
  // needs, so a late call is safe as long as the server exists.
  using Done = std::function<void(const absl::Status&)>;
  using JoinDone = std::function<void(const JoinResult&)>;
  using KeysDone = std::function<void(const KeyOutcome&)>;
  using QueryDone = std::function<void(const absl::StatusOr<QueryId>&)>;
  using OnAnswer = std::function<void(const QueryUpdate&)>;
  // Work for another thread. It should return when may_go_on() is false: it has used too much of
  // the processor, or its result is not wanted any more.
  using MayGoOn = std::function<bool()>;
  using Work = std::function<void(const MayGoOn& may_go_on)>;
  // Receives whether the work was done.
  using WorkDone = std::function<void(const bool&)>;

  virtual ~Service() = default;

  // All members in every state, as Serf::ListMembers() takes them.
  virtual MemberListing ListMembers() = 0;

  // Another number whenever ListMembers() would return something else, so that the server encodes a
  // listing once for all clients that ask for it. Nothing: the service can't tell, and the server
  // encodes each reply anew.
  virtual std::optional<std::uint64_t> MembersVersion() { return std::nullopt; }

  // For work that would block this thread. Calls work(may_go_on) on another thread, then done(true)
  // on this one. Calls done(false) instead if too much such work waits, or if the agent shuts down.
  virtual void RunAside(Work work, WorkDone done) = 0;

  // The sections of the command `stats`: agent, runtime, serf, tags, event_handlers.
  virtual StatsSections Stats() = 0;

  // All counters, gauges, clocks and queue lengths, for metrics.
  virtual NodeSnapshot Snapshot() { return {}; }

  // The same for Stats() as MembersVersion() for ListMembers().
  virtual std::optional<std::uint64_t> StatsVersion() { return std::nullopt; }

  // The network coordinate that a member announced last; none if it is not known.
  virtual std::optional<Coordinate> FindCoordinate(const std::string& node) = 0;

  // The last lines of the log, oldest first; a new monitor begins with them. The class LogHistory
  // collects them.
  virtual std::vector<LogLinePtr> LogHistory() = 0;

  // Contacts every address. JoinResult::errors goes to clients of this project only. Returns the
  // name of the join. `done` may be called before the method returns.
  virtual JoinId Join(std::vector<std::string> addresses, JoinOptions options, JoinDone done) = 0;

  // The client that asked for a join has gone: contact no further address. `done` is still called.
  // Does nothing if the join has ended.
  virtual void CancelJoin(JoinId join) = 0;

  // Sends a user event to all members. The payload may hold any bytes.
  virtual void SendUserEvent(std::string name, std::string payload, UserEventOptions options,
                             Done done) = 0;

  // Sends a query. `done` reports whether the query is under way. If so, `on_answer` receives each
  // acknowledgement and answer, and at last kDone. If the agent shuts down first, `on_answer` is
  // not called again, not even with kDone: the client sees that the answers are cut off.
  virtual void SendQuery(std::string name, std::string payload, QueryParams params,
                         OnAnswer on_answer, QueryDone done) = 0;

  // The client that asked a query has gone: end it. Does nothing if the query has ended.
  virtual void CancelQuery(QueryId query) = 0;

  // Answers the query of a QueryEvent, once. Errors are those of Serf::Respond().
  virtual void Respond(QueryId query, std::string payload, Done done) = 0;

  // Installs, uses, removes or lists keys on all members. `key` is base64 from the client, not yet
  // checked; empty for kList.
  virtual void ManageKeys(KeyOperation operation, std::string key, KeysDone done) = 0;

  // Leaves the cluster. After a success the agent shuts down by itself. Calls while a leave is
  // under way share its result.
  virtual void Leave(Done done) = 0;

  // Turns a failed member into one that left. An unknown name succeeds.
  virtual void ForceLeave(std::string node, ForceLeaveOptions options, Done done) = 0;

  // Changes the agent's tags: the current ones without those named by `remove`, then `set` over
  // them.
  virtual void UpdateTags(Tags set, std::vector<std::string> remove, Done done) = 0;
};

}  // namespace serf::rpc

#endif  // SERF_RPC_SERVICE_H_
