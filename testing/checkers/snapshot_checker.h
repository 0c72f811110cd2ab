#ifndef SERF_TESTING_CHECKERS_SNAPSHOT_CHECKER_H_
#define SERF_TESTING_CHECKERS_SNAPSHOT_CHECKER_H_

// SnapshotChecker: the rules for snapshot files in a World. A restarted node recovers exactly the
// confirmed writes, and of the writes under way, and of those that a full disk did not take, some
// whole lines from the start. It recovers
// everything that it received longer than kDelayMax before its end. Its clocks continue after those
// of the file. Source: docs/protocol/serf.md 9.

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "serf/base/time.h"
#include "serf/event.h"
#include "serf/member.h"
#include "serf/serf.h"
#include "serf/snapshot/snapshot_reader.h"
#include "serf/snapshot_op.h"
#include "serf/snapshot_state.h"
#include "serf/testing/checkers/checkers.h"
#include "serf/testing/sim/link_model.h"
#include "serf/testing/sim/world.h"
#include "serf/testing/sim/world_observer.h"
#include "serf/wire/ids.h"

namespace serf::testkit {

class SnapshotChecker : public WorldObserver {
 public:
  // The longest time from an event to its line on the disk: the flush interval, and a slow disk.
  static constexpr Duration kDelayMax = std::chrono::milliseconds(600);

  SnapshotChecker(World& world, Violations& violations) : world_(world), violations_(violations) {
    world.AddObserver(this);
  }

  // Lives that began with a file that named other nodes.
  std::uint64_t recoveries() const { return recoveries_; }
  // The state that the file held at the beginning of the current life.
  const SnapshotState& recovered(NodeId node) { return NodeOf(node).recovered; }

  // --- WorldObserver ---
  inline void OnRecovered(NodeId node, const SnapshotState& state) override;
  inline void OnStart(NodeId node) override;
  inline void OnStop(NodeId node) override;
  inline void OnEvent(NodeId node, const Event& event) override;
  void OnSnapshotOp(NodeId node, const SnapshotOp& op) override { NodeOf(node).ops.push_back(op); }
  inline void OnSnapshotDone(NodeId node, const absl::Status& status) override;

 private:
  // The last news about a subject, and its time.
  template <typename T>
  struct News {
    T value{};
    Instant at{};
  };
  // The text of the file, and the lines that a full disk did not take and that its writer keeps.
  struct Held {
    std::string text = {};
    std::string waiting = {};

    friend auto operator<=>(const Held&, const Held&) = default;
  };
  struct Node {
    // What the file and its writer may hold: one entry, or several after an error or a stop.
    std::set<Held> held = {Held()};
    std::deque<SnapshotOp> ops;  // not confirmed yet
    SnapshotState recovered;
    // For the current life.
    std::map<std::string, News<MemberEvent>> members;
    std::vector<News<wire::LamportTime>> events;
    std::vector<News<wire::LamportTime>> queries;
    // The file must hold the news up to this time, if the end of the life allows such a statement.
    std::optional<Instant> complete_until;
    std::uint64_t disk_failures = 0;
  };

  Node& NodeOf(NodeId node) {
    if (node.value() >= nodes_.size()) nodes_.resize(node.value() + 1);
    return nodes_[node.value()];
  }
  SnapshotState Read(NodeId node, const std::string& text) const {
    SnapshotReader reader(world_.rejoins_after_leave(node), nullptr);
    reader.Read(text);
    return std::move(reader).Finish();
  }
  static bool Same(const SnapshotState& a, const SnapshotState& b) {
    return a.alive == b.alive && a.failed == b.failed && a.clock == b.clock &&
           a.event_clock == b.event_clock && a.query_clock == b.query_clock;
  }
  // All that an appended text may leave behind, if not all of its lines need be in the file.
  static std::set<Held> AfterPart(const std::set<Held>& held, const std::string& lines);
  void CheckComplete(NodeId node, const SnapshotState& state);
  void CheckMember(NodeId node, const std::string& name, const MemberEvent& last,
                   const SnapshotState& state);

  World& world_;
  Violations& violations_;
  std::vector<Node> nodes_;
  std::uint64_t recoveries_ = 0;
};

inline void SnapshotChecker::OnSnapshotDone(NodeId node, const absl::Status& status) {
  Node& n = NodeOf(node);
  const SnapshotOp op = std::move(n.ops.front());
  n.ops.pop_front();
  if (op.kind == SnapshotOp::Kind::kAppend && absl::IsResourceExhausted(status)) {
    n.held = AfterPart(n.held, op.text);
    return;
  }
  std::set<Held> after;
  if (op.kind == SnapshotOp::Kind::kReplace) {
    after.insert({.text = op.text});
    if (status.ok()) return n.held.swap(after);
  }
  for (const Held& held : n.held) {
    const bool appended = op.kind == SnapshotOp::Kind::kAppend && status.ok();
    // After another error than that of a full disk the file has none of the lines. After an error
    // of the last step of a replacement it has either text.
    after.insert({.text = appended ? held.text + held.waiting + op.text : held.text});
  }
  n.held = std::move(after);
}

inline std::set<SnapshotChecker::Held> SnapshotChecker::AfterPart(const std::set<Held>& held,
                                                                  const std::string& lines) {
  std::set<Held> after;
  for (const Held& before : held) {
    const std::string all = before.waiting + lines;
    after.insert({before.text, all});
    for (std::size_t end = all.find('\n'); end != std::string::npos;
         end = all.find('\n', end + 1)) {
      after.insert({before.text + all.substr(0, end + 1), all.substr(end + 1)});
    }
  }
  return after;
}

inline void SnapshotChecker::OnStop(NodeId node) {
  if (!world_.has_disk(node)) return;
  Node& n = NodeOf(node);
  const bool failed = world_.disk(node).failures() != n.disk_failures;
  const Instant until = world_.now() - kDelayMax;
  // A node that leaves forgets the others on purpose.
  const bool stays = world_.serf(node).state() == Serf::State::kAlive;
  n.complete_until.reset();
  if (!failed && stays && !world_.is_paused(node) && world_.running_since(node) < until) {
    n.complete_until = until;
  }
}

inline void SnapshotChecker::OnRecovered(NodeId node, const SnapshotState& state) {
  Node& n = NodeOf(node);
  for (const SnapshotOp& op : std::exchange(n.ops, {})) {
    if (op.kind == SnapshotOp::Kind::kAppend) {
      n.held = AfterPart(n.held, op.text);
    } else {
      n.held.insert({.text = op.text});
    }
  }
  std::set<Held> read;
  for (const Held& held : n.held) {
    if (Same(Read(node, held.text), state)) read.insert({.text = held.text});
  }
  n.held = std::move(read);
  if (n.held.empty()) {
    violations_.Add(world_.name(node),
                    " recovered what was never in its file: ", state.alive.size(), " alive, ",
                    state.failed.size(), " failed, clocks ", state.clock.value(), ", ",
                    state.event_clock.value(), ", ", state.query_clock.value());
    n.held.insert(Held());
  }
  if (n.complete_until) CheckComplete(node, state);
  if (state.alive.size() + state.failed.size() > 1) ++recoveries_;
  n.recovered = state;
}

inline void SnapshotChecker::CheckComplete(NodeId node, const SnapshotState& state) {
  const Node& n = nodes_[node.value()];
  for (const auto& [name, last] : n.members) {
    if (last.at <= *n.complete_until) CheckMember(node, name, last.value, state);
  }
  const auto check = [&](const auto& list, wire::LamportTime clock, const char* what) {
    for (const News<wire::LamportTime>& news : list) {
      if (news.at > *n.complete_until || news.value <= clock) continue;
      violations_.Add(world_.name(node), " was told a ", what, " of time ", news.value.value(),
                      " long before its end, and recovered ", clock.value());
    }
  };
  check(n.events, state.event_clock, "user event");
  check(n.queries, state.query_clock, "query");
}

inline void SnapshotChecker::CheckMember(NodeId node, const std::string& name,
                                         const MemberEvent& last, const SnapshotState& state) {
  const auto alive = state.alive.find(name);
  const bool is_failed = state.failed.contains(name);
  bool right = false;
  switch (last.kind) {
    case MemberEventKind::kJoin:
    case MemberEventKind::kUpdate:
      right = alive != state.alive.end() && !is_failed &&
              alive->second == last.members.front().endpoint.ToString();
      break;
    case MemberEventKind::kFailed:
      right = alive == state.alive.end() && is_failed;
      break;
    case MemberEventKind::kLeave:
    case MemberEventKind::kReap:
      right = alive == state.alive.end() && !is_failed;
      break;
  }
  if (!right) {
    violations_.Add(world_.name(node), " was told ", std::string(MemberEventName(last.kind)),
                    " of ", name, " long before its end, and recovered it as ",
                    alive != state.alive.end() ? "alive"
                    : is_failed                ? "failed"
                                               : "unknown");
  }
}

inline void SnapshotChecker::OnStart(NodeId node) {
  if (!world_.has_disk(node)) return;
  Node& n = NodeOf(node);
  n.members.clear();
  n.events.clear();
  n.queries.clear();
  n.disk_failures = world_.disk(node).failures();
  const auto stats = world_.serf(node).Stats();
  const auto check = [&](const char* key, wire::LamportTime recovered) {
    std::uint64_t time = 0;
    static_cast<void>(absl::SimpleAtoi(stats.at(key), &time));
    if (time <= recovered.value()) {
      violations_.Add(world_.name(node), " starts with the ", key, " ", time,
                      ", and its file says ", recovered.value());
    }
  };
  check("member_time", n.recovered.clock);
  check("event_time", n.recovered.event_clock);
  check("query_time", n.recovered.query_clock);
}

inline void SnapshotChecker::OnEvent(NodeId node, const Event& event) {
  if (!world_.has_disk(node)) return;
  Node& n = NodeOf(node);
  if (const auto* members = std::get_if<MemberEvent>(&event)) {
    for (const Member& member : members->members) {
      n.members[member.name] = {{members->kind, {member}}, world_.now()};
    }
  } else if (const auto* user = std::get_if<UserEvent>(&event)) {
    n.events.push_back({user->time, world_.now()});
  } else if (const auto* query = std::get_if<QueryEvent>(&event)) {
    n.queries.push_back({query->id.time, world_.now()});
  }
}

}  // namespace serf::testkit

#endif  // SERF_TESTING_CHECKERS_SNAPSHOT_CHECKER_H_
