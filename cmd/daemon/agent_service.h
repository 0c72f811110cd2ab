#ifndef SERF_CMD_DAEMON_AGENT_SERVICE_H_
#define SERF_CMD_DAEMON_AGENT_SERVICE_H_

// AgentService: carries out the requests of an agent's clients on its Host, with the agent's log
// entries. Threads: all calls on the io_context's thread. Source: docs/protocol/agent.md 1.7 and
// 2.12.

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/utsname.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "serf/base/base64.h"
#include "serf/base/bytes.h"
#include "serf/base/logger.h"
#include "serf/cmd/events/event_spec.h"
#include "serf/cmd/telemetry/glog_logger.h"
#include "serf/cmd/text/quote.h"
#include "serf/cmd/version.h"
#include "serf/coordinate.h"
#include "serf/coordinates/coordinate_tracker.h"
#include "serf/join.h"
#include "serf/keys.h"
#include "serf/member.h"
#include "serf/member_listing.h"
#include "serf/query.h"
#include "serf/rpc/log_history.h"
#include "serf/rpc/node_snapshot.h"
#include "serf/rpc/service.h"
#include "serf/serf.h"
#include "serf/stats.h"
#include "serf/tags.h"
#include "serf/transport/host.h"

namespace serf::cmd {

// Tags to remove, then tags to set.
struct TagChange {
  Tags set;
  std::vector<std::string> remove;

  void Apply(Tags& tags) const {
    for (const std::string& key : remove) tags.erase(key);
    for (const auto& [key, value] : set) tags[key] = value;
  }
};

class AgentService final : public rpc::Service {
 public:
  // Calls `on_left` when a leave for a client has ended, with or without success; the agent shuts
  // down then. The Host and the logger must outlive the service.
  AgentService(transport::Host& host, GlogLogger& logger, std::function<void()> on_left)
      : host_(host), logger_(logger), on_left_(std::move(on_left)) {}

  MemberListing ListMembers() override { return host_.serf().ListMembers(); }
  std::optional<std::uint64_t> MembersVersion() override { return host_.serf().members_version(); }
  inline void RunAside(Work work, WorkDone done) override;
  inline rpc::StatsSections Stats() override;
  inline rpc::NodeSnapshot Snapshot() override;
  inline std::optional<std::uint64_t> StatsVersion() override;
  inline std::optional<Coordinate> FindCoordinate(const std::string& node) override;
  std::vector<rpc::LogLinePtr> LogHistory() override { return logger_.History(); }
  inline JoinId Join(std::vector<std::string> addresses, JoinOptions options,
                     JoinDone done) override;
  void CancelJoin(JoinId join) override {
    if (join != JoinId()) host_.CancelJoin(join);
  }
  inline void SendUserEvent(std::string name, std::string payload, UserEventOptions options,
                            Done done) override;
  inline void SendQuery(std::string name, std::string payload, QueryParams params,
                        OnAnswer on_answer, QueryDone done) override;
  void CancelQuery(QueryId query) override {
    from_handlers_.erase(query);
    host_.CancelQuery(query);
  }
  inline void Respond(QueryId query, std::string payload, Done done) override;
  inline void ManageKeys(KeyOperation operation, std::string key, KeysDone done) override;
  inline void Leave(Done done) override;
  inline void ForceLeave(std::string node, ForceLeaveOptions options, Done done) override;
  inline void UpdateTags(Tags set, std::vector<std::string> remove, Done done) override;

  // Changes tags for clients and reloads. Calls `done` when the announcement is out, or with the
  // reason why nothing has changed.
  inline void UpdateTags(TagChange change, Done done);
  // The error with which this change of tags would be refused for its size now.
  absl::Status CheckTags(const TagChange& change) const {
    Tags tags = host_.serf().config().tags;
    change.Apply(tags);
    return EncodeTags(tags, host_.serf().config().protocol_version).status();
  }

  // For Stats().
  void set_event_scripts(const std::vector<EventScript>& scripts);

  // True if a script of an event handler asks this query.
  bool IsFromHandler(QueryId query) const { return from_handlers_.contains(query); }

  // Leave() without on_left: for a leave that the agent itself wants.
  void LeaveCluster(Done done);

 private:
  // What Stats() depends on, but for the event handlers.
  struct StatsSource {
    StatValues serf;
    std::uint64_t members = 0;  // one of them has the tags that Stats() shows
    std::size_t threads = 0;

    friend bool operator==(const StatsSource&, const StatsSource&) = default;
  };

  static std::map<std::string, std::string> RuntimeStats();
  // How many threads the process has.
  static std::size_t ThreadCount();
  // Shortens a client's payload. No valid one is longer, and quoting a megabyte would take long.
  static std::string LogText(absl::string_view payload) {
    constexpr std::size_t kMax = 16 << 10;
    return Quote(payload.substr(0, kMax));
  }

  transport::Host& host_;
  GlogLogger& logger_;
  const std::function<void()> on_left_;
  std::map<std::string, std::string> event_scripts_;  // "user:deploy" -> command
  StatsSource stats_source_;                          // at the last StatsVersion()
  std::uint64_t stats_version_ = 0;
  std::set<QueryId> from_handlers_;  // queries of this agent's scripts that run
};

inline void AgentService::RunAside(Work work, WorkDone done) {
  host_.AsyncAside(std::move(work), [done = std::move(done)](bool ran) { done(ran); });
}

inline rpc::StatsSections AgentService::Stats() {
  const Member local = host_.serf().LocalMember();
  rpc::StatsSections sections;
  sections["agent"] = {{"name", local.name}};
  sections["event_handlers"] = event_scripts_;
  sections["runtime"] = RuntimeStats();
  sections["serf"] = host_.serf().Stats();
  // Scripts expect this figure. Go Serf has it also without coordinates.
  sections["serf"].try_emplace("coordinate_resets", "0");
  sections["tags"].insert(local.tags.begin(), local.tags.end());
  return sections;
}

inline rpc::NodeSnapshot AgentService::Snapshot() {
  const Serf& serf = host_.serf();
  const swim::Node& node = serf.node();
  rpc::NodeSnapshot now = {
      .stats = serf.stat_values(), .serf = serf.counters(), .swim = node.counters()};
  for (std::size_t i = 0; i < node.index_limit(); ++i) {
    const auto member = swim::MemberIndex(static_cast<std::uint32_t>(i));
    if (!node.IsKnown(member)) continue;
    const swim::NodeState state = node.state(member);
    ++(state == swim::NodeState::kAlive     ? now.alive
       : state == swim::NodeState::kSuspect ? now.suspect
       : state == swim::NodeState::kDead    ? now.dead
                                            : now.left);
  }
  now.membership_queue = node.queue().size();
  if (const CoordinateTracker* const tracker = serf.coordinates()) {
    const CoordinateTracker::Counters& counters = tracker->counters();
    now.coordinates = rpc::NodeSnapshot::Coordinates{
        .updates = counters.updates,
        .rejected = counters.rejected,
        .zero_round_trips = counters.zero_round_trips,
        .unreadable = counters.unreadable,
        .resets = tracker->resets(),
        .error = tracker->own().error,
        .height = tracker->own().height,
        .adjustment = tracker->own().adjustment,
    };
  }
  return now;
}

inline std::optional<std::uint64_t> AgentService::StatsVersion() {
  StatsSource source{host_.serf().stat_values(), host_.serf().members_version(), ThreadCount()};
  if (source != stats_source_) {
    stats_source_ = std::move(source);
    ++stats_version_;
  }
  return stats_version_;
}

inline void AgentService::set_event_scripts(const std::vector<EventScript>& scripts) {
  ++stats_version_;
  event_scripts_.clear();
  for (const EventScript& script : scripts) {
    // TYPE:NAME; the name may be empty.
    const char* const colon = absl::StrContains(script.event, ':') ? "" : ":";
    event_scripts_[absl::StrCat(script.event, colon)] = script.command;
  }
}

inline std::map<std::string, std::string> AgentService::RuntimeStats() {
  static const auto& constant = *new std::map<std::string, std::string>([] {
    utsname system{};
    ::uname(&system);
    const absl::string_view machine = system.machine;
    return std::map<std::string, std::string>{
        {"os", absl::AsciiStrToLower(system.sysname)},
        {"arch", std::string(machine == "x86_64"    ? "amd64"
                             : machine == "aarch64" ? "arm64"
                                                    : machine)},
        {"version", absl::StrCat("serf-", kVersion)},
        {"max_procs", "1"},  // one thread does all work
        {"cpu_count", absl::StrCat(std::thread::hardware_concurrency())}};
  }());
  std::map<std::string, std::string> stats = constant;
  stats["goroutines"] = absl::StrCat(ThreadCount());  // Go Serf counts its goroutines
  return stats;
}

// The kernel gives the number as the link count of a folder. To read the folder, or only to look it
// up by its path, would take longer than the rest of a request.
inline std::size_t AgentService::ThreadCount() {
  static const int folder = ::open("/proc/self/task", O_PATH | O_DIRECTORY | O_CLOEXEC);
  struct stat tasks {};
  const bool found = folder >= 0 && ::fstat(folder, &tasks) == 0 && tasks.st_nlink > 2;
  return found ? tasks.st_nlink - 2 : 1;
}

inline JoinId AgentService::Join(std::vector<std::string> addresses, JoinOptions options,
                                 JoinDone done) {
  const JoinId join = host_.NewJoin();
  Log(&logger_, LogLevel::kInfo, "agent: joining: [", absl::StrJoin(addresses, " "),
      "] replay: ", options.replay ? "true" : "false");
  host_.AsyncJoin(
      join, std::move(addresses), options,
      [this, done = std::move(done)](const JoinResult& result) {
        if (result.contacted > 0) {
          Log(&logger_, LogLevel::kInfo, "agent: joined: ", result.contacted, " nodes");
        }
        // The error goes to the log even if other addresses answered, so that an operator notices a
        // seed that is gone.
        const absl::Status error =
            result.status.ok() && !result.errors.empty() ? JoinError(result.errors) : result.status;
        if (!error.ok()) {
          logger_.WriteLines(LogLevel::kWarn, absl::StrCat("agent: error joining: ",
                                                           absl::string_view(error.message())));
        }
        done(result);
      });
  return join;
}

inline void AgentService::SendUserEvent(std::string name, std::string payload,
                                        UserEventOptions options, Done done) {
  Log(&logger_, LogLevel::kDebug, "agent: Requesting user event send: ", name,
      ". Coalesced: ", options.coalesce ? "true" : "false", ". Payload: ", LogText(payload));
  host_.AsyncSendUserEvent(std::move(name), std::move(payload), options,
                           [this, done = std::move(done)](const absl::Status& status) {
                             if (!status.ok()) {
                               Log(&logger_, LogLevel::kWarn, "agent: failed to send user event: ",
                                   absl::string_view(status.message()));
                             }
                             done(status);
                           });
}

inline std::optional<Coordinate> AgentService::FindCoordinate(const std::string& node) {
  const CoordinateTracker* const tracker = host_.serf().coordinates();
  const Coordinate* const found = tracker != nullptr ? tracker->Find(node) : nullptr;
  return found != nullptr ? std::optional<Coordinate>(*found) : std::nullopt;
}

inline void AgentService::SendQuery(std::string name, std::string payload, QueryParams params,
                                    OnAnswer on_answer, QueryDone done) {
  Log(&logger_, LogLevel::kDebug, "agent: Requesting query send: ", name,
      ". Payload: ", LogText(payload));
  const bool from_handler = params.from_handler;
  auto on_update = [this, on_answer = std::move(on_answer)](const QueryUpdate& update) {
    if (update.kind == QueryUpdate::Kind::kDone) from_handlers_.erase(update.query);
    // A node that ends by itself ends its queries: for the client they are cut off, not done.
    const bool cut_off =
        update.kind == QueryUpdate::Kind::kDone && host_.serf().state() == Serf::State::kShutdown;
    if (!cut_off) on_answer(update);
  };
  host_.AsyncSendQuery(
      std::move(name), std::move(payload), std::move(params), std::move(on_update),
      [this, from_handler, done = std::move(done)](const absl::StatusOr<QueryId>& query) {
        // Recorded before the node itself receives the query.
        if (query.ok() && from_handler) from_handlers_.insert(*query);
        if (!query.ok()) {
          Log(&logger_, LogLevel::kWarn,
              "agent: failed to start user query: ", absl::string_view(query.status().message()));
        }
        done(query);
      });
}

inline void AgentService::Respond(QueryId query, std::string payload, Done done) {
  host_.AsyncRespond(query, std::move(payload), std::move(done));
}

inline void AgentService::ManageKeys(KeyOperation operation, std::string key, KeysDone done) {
  const char* const what = operation == KeyOperation::kInstall  ? "key installation"
                           : operation == KeyOperation::kUse    ? "primary key change"
                           : operation == KeyOperation::kRemove ? "key removal"
                                                                : "key listing";
  Log(&logger_, LogLevel::kInfo, "agent: Initiating ", what);
  absl::StatusOr<ByteVector> bytes = DecodeBase64(key);
  if (!bytes.ok()) return done({.status = bytes.status()});
  host_.AsyncManageKeys(operation, *std::move(bytes), /*relay_factor=*/0, std::move(done));
}

inline void AgentService::Leave(Done done) {
  LeaveCluster([this, done = std::move(done)](const absl::Status& status) {
    done(status);
    on_left_();
  });
}

inline void AgentService::LeaveCluster(Done done) {
  Log(&logger_, LogLevel::kInfo, "agent: requesting graceful leave from Serf");
  host_.AsyncLeave(std::move(done));
}

inline void AgentService::ForceLeave(std::string node, ForceLeaveOptions options, Done done) {
  const absl::string_view how = options.prune ? " (prune)" : "";
  Log(&logger_, LogLevel::kInfo, "agent: Force leaving node", how, ": ", node);
  host_.AsyncForceLeave(std::move(node), options,
                        [this, how, done = std::move(done)](const absl::Status& status) {
                          if (!status.ok()) {
                            Log(&logger_, LogLevel::kWarn, "agent: failed to remove node", how,
                                ": ", absl::string_view(status.message()));
                          }
                          done(status);
                        });
}

inline void AgentService::UpdateTags(Tags set, std::vector<std::string> remove, Done done) {
  UpdateTags({std::move(set), std::move(remove)},
             [this, done = std::move(done)](const absl::Status& status) {
               if (!status.ok()) {
                 Log(&logger_, LogLevel::kError, "agent: ", absl::string_view(status.message()));
               }
               done(status);
             });
}

inline void AgentService::UpdateTags(TagChange change, Done done) {
  host_.AsyncUpdateTags([change = std::move(change)](Tags& tags) { change.Apply(tags); },
                        std::move(done));
}

}  // namespace serf::cmd

#endif  // SERF_CMD_DAEMON_AGENT_SERVICE_H_
