#ifndef SERF_TESTING_CHECKERS_QUERY_CHECKER_H_
#define SERF_TESTING_CHECKERS_QUERY_CHECKER_H_

// QueryChecker: the rules for queries in a World.
//
// * Each life of a node delivers a query once, and none that is past by the node's file.
// * An asker receives at most one acknowledgement and one answer from each node, only those that it
//   asked for, and none after the end.
// * The end comes at the deadline, or before it if all nodes have answered that should.
// * If a test says that no fault is active, all answers come.
//
// Answers must be AnswerText(), as QueryApplication gives them. Source: docs/protocol/serf.md 6.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "serf/base/regex.h"
#include "serf/base/time.h"
#include "serf/event.h"
#include "serf/query.h"
#include "serf/serf.h"
#include "serf/snapshot_state.h"
#include "serf/swim/node.h"
#include "serf/swim/node_info.h"
#include "serf/tags.h"
#include "serf/testing/checkers/checkers.h"
#include "serf/testing/sim/link_model.h"
#include "serf/testing/sim/world.h"
#include "serf/testing/sim/world_observer.h"
#include "serf/wire/ids.h"

namespace serf::testkit {

// The answer of `node` to a query.
inline std::string AnswerText(absl::string_view node, QueryId query) {
  return absl::StrCat(node, " answers ", query.time.value(), ":", query.number);
}

class QueryChecker : public WorldObserver {
 public:
  struct Counters {
    std::uint64_t sent = 0;
    std::uint64_t told = 0;
    std::uint64_t acks = 0;
    std::uint64_t responses = 0;
    std::uint64_t ended = 0;
    std::uint64_t ended_early = 0;
    std::uint64_t incomplete = 0;  // ended without something that was due
  };

  QueryChecker(World& world, Violations& violations) : world_(world), violations_(violations) {
    world.AddObserver(this);
  }

  // No fault is active: the query must not end before all nodes that take part and pass the filters
  // have answered and, if asked to, acknowledged.
  void MustBeComplete(NodeId node, QueryId query);
  // True when the query has ended.
  bool HasEnded(NodeId node, QueryId query) const {
    const auto found = lives_[node.value()].asked.find(query);
    return found == lives_[node.value()].asked.end() || found->second.done;
  }

  const Counters& counters() const { return counters_; }

  // --- WorldObserver ---
  void OnRecovered(NodeId node, const SnapshotState& state) override {
    LifeOf(node).recovered = state.query_clock;
  }
  void OnStart(NodeId node) override {
    Life& life = LifeOf(node);
    life.asked.clear();
    life.told.clear();
  }
  inline void OnQuerySent(NodeId node, QueryId query, const QueryParams& params) override;
  inline void OnEvent(NodeId node, const Event& event) override;
  inline void OnQueryUpdate(NodeId node, const QueryUpdate& update) override;

 private:
  struct Asked {
    QueryParams params;
    Instant deadline;
    std::set<std::string> due;        // nodes that should answer, as far as the asker knows
    std::set<std::string> certainly;  // nodes that must answer
    std::set<std::string> acks;
    std::set<std::string> responses;
    bool done = false;
  };
  struct Life {
    wire::LamportTime recovered;
    std::map<QueryId, Asked> asked;
    std::set<QueryId> told;
  };

  Life& LifeOf(NodeId node) {
    if (node.value() >= lives_.size()) lives_.resize(node.value() + 1);
    return lives_[node.value()];
  }
  static bool Passes(const QueryParams& params, const std::string& name, const Tags& tags);
  void OnDone(NodeId node, Asked& asked, const std::string& what);
  // Those of `nodes` that did not do everything they were asked for.
  static std::string Lacking(const Asked& asked, const std::set<std::string>& nodes);

  World& world_;
  Violations& violations_;
  std::vector<Life> lives_;
  Counters counters_;
};

// Does not use the machine's own filters, which are under test.
inline bool QueryChecker::Passes(const QueryParams& params, const std::string& name,
                                 const Tags& tags) {
  const std::vector<std::string>& names = params.filter_nodes;
  if (!names.empty() && std::find(names.begin(), names.end(), name) == names.end()) return false;
  for (const auto& [tag, expression] : params.filter_tags) {
    const auto found = tags.find(tag);
    const std::string value = found == tags.end() ? "" : found->second;
    const absl::StatusOr<Regex> regex = Regex::Compile(expression);
    if (!regex.ok() || !regex->Matches(value)) return false;
  }
  return true;
}

inline void QueryChecker::OnQuerySent(NodeId node, QueryId query, const QueryParams& params) {
  ++counters_.sent;
  const Serf& serf = world_.serf(node);
  Asked asked;
  asked.params = params;
  const Duration timeout =
      params.timeout > Duration::zero()
          ? params.timeout
          : DefaultQueryTimeout(serf.config().swim.gossip_interval,
                                serf.config().query_timeout_mult, serf.node().live_nodes());
  asked.deadline = world_.now() + timeout;
  serf.node().ForEachMember([&](swim::MemberIndex member) {
    const swim::NodeState state = serf.node().state(member);
    if (state != swim::NodeState::kAlive && state != swim::NodeState::kSuspect) return;
    const swim::NodeInfo& info = serf.node().info(member);
    Tags tags;
    DecodeTags(info.meta(), tags);
    const std::string name(info.name());
    if (Passes(params, name, tags)) asked.due.insert(name);
  });
  if (!LifeOf(node).asked.emplace(query, std::move(asked)).second) {
    violations_.Add(world_.name(node), " asked twice at the time ", query.time.value());
  }
}

inline void QueryChecker::MustBeComplete(NodeId node, QueryId query) {
  Asked& asked = LifeOf(node).asked.at(query);
  for (std::uint32_t i = 0; i < world_.size(); ++i) {
    if (!world_.is_up(NodeId(i)) || world_.serf(NodeId(i)).state() != Serf::State::kAlive) continue;
    const std::string& name = world_.name(NodeId(i));
    if (Passes(asked.params, name, world_.serf(NodeId(i)).config().tags)) {
      asked.certainly.insert(name);
    }
  }
}

inline void QueryChecker::OnEvent(NodeId node, const Event& event) {
  const auto* query = std::get_if<QueryEvent>(&event);
  if (query == nullptr) return;
  ++counters_.told;
  Life& life = LifeOf(node);
  const std::string what =
      absl::StrCat(world_.name(node), " was told the query of time ", query->id.time.value());
  if (!life.told.insert(query->id).second) violations_.Add(what, " twice");
  if (query->id.time <= life.recovered && life.recovered.value() > 0) {
    violations_.Add(what, ", but its file ends at ", life.recovered.value());
  }
}

inline void QueryChecker::OnQueryUpdate(NodeId node, const QueryUpdate& update) {
  Life& life = LifeOf(node);
  const auto found = life.asked.find(update.query);
  const std::string what =
      absl::StrCat(world_.name(node), "'s query of time ", update.query.time.value());
  if (found == life.asked.end()) return violations_.Add(what, " was never asked");
  Asked& asked = found->second;
  if (asked.done) return violations_.Add(what, " went on after its end");
  if (update.kind == QueryUpdate::Kind::kDone) return OnDone(node, asked, what);
  const std::vector<std::string>& names = asked.params.filter_nodes;
  if (!names.empty() && std::find(names.begin(), names.end(), update.from) == names.end()) {
    violations_.Add(what, " was answered by ", update.from, ", whom it was not for");
  }
  if (update.kind == QueryUpdate::Kind::kAck) {
    ++counters_.acks;
    if (!asked.params.request_ack) violations_.Add(what, " got an acknowledgement unasked");
    if (!asked.acks.insert(update.from).second) {
      violations_.Add(what, " was acknowledged twice by ", update.from);
    }
    return;
  }
  ++counters_.responses;
  if (!asked.responses.insert(update.from).second) {
    violations_.Add(what, " was answered twice by ", update.from);
  }
  if (update.payload != AnswerText(update.from, update.query)) {
    violations_.Add(what, " got the answer \"", update.payload, "\" of ", update.from);
  }
}

inline std::string QueryChecker::Lacking(const Asked& asked, const std::set<std::string>& nodes) {
  for (const std::string& name : nodes) {
    if (asked.params.request_ack && !asked.acks.contains(name)) {
      return absl::StrCat("the acknowledgement of ", name);
    }
    if (!asked.responses.contains(name)) return absl::StrCat("the answer of ", name);
  }
  return "";
}

inline void QueryChecker::OnDone(NodeId node, Asked& asked, const std::string& what) {
  asked.done = true;
  ++counters_.ended;
  // A process that ends cuts its queries short.
  if (world_.serf(node).state() == Serf::State::kShutdown) return;
  const std::string lacking = Lacking(asked, asked.due);
  if (!lacking.empty()) ++counters_.incomplete;
  if (world_.now() < asked.deadline) {
    ++counters_.ended_early;
    if (!asked.params.finish_early) violations_.Add(what, " ended early unasked");
    if (!lacking.empty()) violations_.Add(what, " ended early without ", lacking);
  }
  // A node that was paused can be late.
  if (world_.now() > asked.deadline && world_.running_since(node) < asked.deadline) {
    violations_.Add(what, " ended ", ToSeconds(world_.now() - asked.deadline), " s late");
  }
  if (const std::string missing = Lacking(asked, asked.certainly); !missing.empty()) {
    violations_.Add(what, " ended in calm without ", missing);
  }
}

}  // namespace serf::testkit

#endif  // SERF_TESTING_CHECKERS_QUERY_CHECKER_H_
