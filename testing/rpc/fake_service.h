#ifndef SERF_TESTING_RPC_FAKE_SERVICE_H_
#define SERF_TESTING_RPC_FAKE_SERVICE_H_

// FakeService: a Service for tests. It answers from its public fields: at once, or in Release() if
// `hold` is set. It records the requests.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <iterator>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "serf/base/bytes.h"
#include "serf/base/endpoint.h"
#include "serf/base/logger.h"
#include "serf/config.h"
#include "serf/coordinate.h"
#include "serf/keys.h"
#include "serf/member.h"
#include "serf/member_listing.h"
#include "serf/query.h"
#include "serf/rpc/log_history.h"
#include "serf/rpc/service.h"
#include "serf/tags.h"
#include "serf/wire/ids.h"

namespace serf::rpc {

// A live member, as Go Serf's single-node agent shows it.
inline Member TestMember(std::string name, std::uint16_t port = 7946) {
  Member member;
  member.name = std::move(name);
  member.endpoint = Endpoint{IpAddress::V4(127, 0, 0, 1), port};
  member.status = MemberStatus::kAlive;
  member.versions = {1, 5, 2, 2, 5, 5};
  return member;
}

inline MemberListing ListingOf(const std::vector<Member>& members) {
  MemberListing listing;
  for (const Member& member : members) {
    const ByteVector meta = EncodeTags(member.tags, kSerfProtocolMax).value();
    listing.Add({member.name, member.endpoint, meta, member.versions}, member.status);
  }
  return listing;
}

class FakeService : public Service {
 public:
  MemberListing ListMembers() override {
    ++listings;
    return ListingOf(members);
  }
  std::optional<std::uint64_t> MembersVersion() override { return members_version; }
  void RunAside(Work work, WorkDone done) override {
    ++works;
    Answer([this, work, done] {
      if (!takes_work) return done(false);
      work([this] { return may_go_on; });
      done(true);
    });
  }
  StatsSections Stats() override { return stats; }
  std::optional<std::uint64_t> StatsVersion() override { return stats_version; }
  std::vector<LogLinePtr> LogHistory() override { return history.Lines(); }
  std::optional<Coordinate> FindCoordinate(const std::string& node) override {
    const auto it = coordinates.find(node);
    return it == coordinates.end() ? std::nullopt : std::optional<Coordinate>(it->second);
  }

  JoinId Join(std::vector<std::string> addresses, JoinOptions options, JoinDone done) override {
    joined = std::move(addresses);
    replayed = options.replay;
    Answer([this, done] { done(join_result); });
    last_join = JoinId(last_join.value() + 1);
    return last_join;
  }
  void CancelJoin(JoinId join) override {
    if (join != JoinId()) cancelled_joins.push_back(join);
  }
  void SendUserEvent(std::string name, std::string payload, UserEventOptions options,
                     Done done) override {
    user_event = absl::StrCat(name, " ", payload, options.coalesce ? " coalesce" : "");
    Answer([this, done] { done(status); });
  }
  void SendQuery(std::string name, std::string payload, QueryParams params, OnAnswer on_answer,
                 QueryDone done) override {
    query = absl::StrCat(name, " ", payload);
    query_params = std::move(params);
    Answer([this, done, on_answer] {
      if (!status.ok()) return done(status);
      if (running.size() >= queries_max) {
        return done(absl::ResourceExhaustedError("too many queries are running"));
      }
      const QueryId id{wire::LamportTime(++last_query), 1};
      running.emplace(id, on_answer);
      done(id);
    });
  }
  void CancelQuery(QueryId id) override {
    cancelled.push_back(id);
    if (auto node = running.extract(id)) node.mapped()({id, QueryUpdate::Kind::kDone, "", ""});
  }
  void Respond(QueryId id, std::string payload, Done done) override {
    responded = id;
    response = std::move(payload);
    Answer([this, done] { done(status); });
  }
  void ManageKeys(KeyOperation operation, std::string key, KeysDone done) override {
    key_operation = operation;
    managed_key = std::move(key);
    Answer([this, done] {
      KeyOutcome outcome = key_outcome;
      outcome.status = status;
      done(outcome);
    });
  }
  void Leave(Done done) override {
    ++leaves;
    Answer([this, done] { done(status); });
  }
  void ForceLeave(std::string node, ForceLeaveOptions options, Done done) override {
    removed = std::move(node);
    pruned = options.prune;
    Answer([this, done] { done(status); });
  }
  void UpdateTags(Tags set, std::vector<std::string> remove, Done done) override {
    set_tags = std::move(set);
    removed_tags = std::move(remove);
    Answer([this, done] { done(status); });
  }

  // Delivers an answer to the last query under way.
  void TellAnswer(QueryUpdate::Kind kind, std::string from = "", std::string payload = "") {
    if (running.empty()) return;
    const auto last = std::prev(running.end());
    const QueryUpdate update{last->first, kind, std::move(from), std::move(payload)};
    const OnAnswer on_answer = last->second;
    if (kind == QueryUpdate::Kind::kDone) running.erase(last);
    on_answer(update);
  }

  // Completes the requests that `hold` has held back.
  void Release() {
    for (const auto& answer : std::exchange(held, {})) answer();
  }

  std::vector<Member> members;
  std::optional<std::uint64_t> members_version;
  int listings = 0;  // calls of ListMembers
  StatsSections stats;
  std::optional<std::uint64_t> stats_version;
  rpc::LogHistory history;
  JoinResult join_result;
  JoinId last_join;
  std::vector<JoinId> cancelled_joins;
  absl::Status status;

  int works = 0;  // calls of RunAside
  bool takes_work = true;
  bool may_go_on = true;
  bool hold = false;
  std::vector<std::function<void()>> held;

  std::map<std::string, Coordinate> coordinates;
  std::string query;  // "load 15m"
  QueryParams query_params;
  std::map<QueryId, OnAnswer> running;  // for the queries under way
  std::uint64_t last_query = 0;
  std::size_t queries_max = std::numeric_limits<std::size_t>::max();
  std::vector<QueryId> cancelled;
  QueryId responded;
  std::string response;
  KeyOutcome key_outcome;
  KeyOperation key_operation = KeyOperation::kList;
  std::string managed_key;
  std::string user_event;  // "deploy v1 coalesce"
  std::vector<std::string> joined;
  bool replayed = false;
  std::string removed;
  bool pruned = false;
  Tags set_tags;
  std::vector<std::string> removed_tags;
  int leaves = 0;

 private:
  void Answer(std::function<void()> answer) {
    if (hold) {
      held.push_back(std::move(answer));
    } else {
      answer();
    }
  }
};

// A logger that keeps all lines, as "[WARN] agent.ipc: ...".
class FakeLogger : public Logger {
 public:
  bool Enabled(LogLevel) const override { return true; }
  void Write(LogLevel level, absl::string_view text) override {
    lines.push_back(absl::StrCat("[", LogLevelName(level), "] ", text));
    if (on_line) on_line(level, lines.back());
  }

  std::vector<std::string> lines;
  std::function<void(LogLevel, const std::string&)> on_line;
};

}  // namespace serf::rpc

#endif  // SERF_TESTING_RPC_FAKE_SERVICE_H_
