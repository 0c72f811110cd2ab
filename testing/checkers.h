#ifndef SERF_TESTING_CHECKERS_H_
#define SERF_TESTING_CHECKERS_H_

// Checkers: what must hold in every World after every transition. Each is an Observer that writes
// what it finds to a Violations list; a test expects the list to be empty.
//
//   Violations violations;
//   IncarnationChecker incarnations(world, violations);
//   EventChecker events(world, violations);
//   ... run ...
//   EXPECT_EQ(Disagreement(world), "");
//   EXPECT_THAT(violations.list(), IsEmpty());

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "serf/base/time.h"
#include "serf/event.h"
#include "serf/member.h"
#include "serf/serf.h"
#include "serf/swim/node_info.h"
#include "serf/swim/scaling.h"
#include "serf/testing/link_model.h"
#include "serf/testing/world.h"
#include "serf/wire/ids.h"

namespace serf::testing {

// The first violations of a run, each a sentence.
class Violations {
 public:
  explicit Violations(const World& world) : world_(world) {}

  template <typename... Args>
  void Add(const Args&... args) {
    ++count_;
    if (list_.size() >= kListMax) return;
    list_.push_back(
        absl::StrCat("at ", ToSeconds(world_.now().time_since_epoch()), " s: ", args...));
  }
  const std::vector<std::string>& list() const { return list_; }
  std::size_t count() const { return count_; }

 private:
  // What follows the first few is noise.
  static constexpr std::size_t kListMax = 10;

  const World& world_;
  std::vector<std::string> list_;
  std::size_t count_ = 0;
};

// The times after which the failure detector must have come to its end, from the configuration of
// a node of the World.
struct DetectorBounds {
  // A suspicion that began under a fault has ended this long after the fault: the longest probe
  // interval, the longest suspicion, and gossip.
  Duration aftermath{};
  // A crash is known to all: two rounds of the ring, a suspicion, and gossip.
  Duration detection{};

  static DetectorBounds Of(const World& world);
};

// Incarnations only grow; a dead, left or suspect node becomes alive by a higher one only.
class IncarnationChecker : public World::Observer {
 public:
  IncarnationChecker(World& world, Violations& violations)
      : world_(world), violations_(violations) {
    world.AddObserver(this);
  }
  void OnStart(NodeId node) override {
    if (node.value() >= seen_.size()) seen_.resize(node.value() + 1);
    seen_[node.value()].clear();
  }
  inline void OnTransition(NodeId node) override;

 private:
  struct Seen {
    std::string name;
    Endpoint endpoint;
    wire::Incarnation incarnation;
    swim::NodeState state = swim::NodeState::kDead;
    Instant changed_at{};
    std::uint64_t transition = 0;
  };

  World& world_;
  Violations& violations_;
  std::vector<std::vector<Seen>> seen_;  // by node, by member index
  std::uint64_t transition_ = 0;
};

// Events pair: a member joins, then leaves or fails, then joins. A live, reachable node is not
// reported as failed, nor as one that left, and one that leaves never as failed, while no fault is
// active or recent. A crashed node is reported by all within the bound.
class EventChecker : public World::Observer {
 public:
  EventChecker(World& world, Violations& violations) : world_(world), violations_(violations) {
    world.AddObserver(this);
  }
  inline void OnStart(NodeId node) override;
  inline void OnStop(NodeId node) override;
  inline void OnEvent(NodeId node, const Event& event) override;
  void OnTransition(NodeId node) override {
    Instant& since = lives_[node.value()].leaving_since;
    if (since == kNever && world_.serf(node).state() != Serf::State::kAlive) since = world_.now();
  }

  // To be called from time to time: whether crashes are known by now.
  void CheckCrashes();

  // Failures reported, of crashed and of living nodes, and departures of nodes that stayed: proof
  // that a run was not idle.
  std::uint64_t failures() const { return failures_; }
  std::uint64_t false_failures() const { return false_failures_; }
  std::uint64_t false_leaves() const { return false_leaves_; }

 private:
  enum class Presence : std::uint8_t { kAbsent, kPresent, kFailed, kLeft };
  struct Life {
    bool up = false;
    Instant since{};  // the start or the crash
    Instant leaving_since = kNever;
  };

  void OnMember(NodeId observer, MemberEventKind kind, const std::string& name);
  void OnFailure(NodeId observer, const std::string& name);
  void OnLeave(NodeId observer, const std::string& name);
  // For how long `observer`, which has not left, should have judged `subject` rightly; zero if a
  // fault or a new life of one of them may explain that it does not.
  Duration CalmFor(NodeId observer, NodeId subject) const;
  Presence PresenceOf(NodeId observer, const std::string& name) const {
    const auto& list = presence_[observer.value()];
    const auto it = list.find(name);
    return it == list.end() ? Presence::kAbsent : it->second;
  }

  World& world_;
  Violations& violations_;
  std::vector<Life> lives_;
  std::vector<std::map<std::string, Presence>> presence_;  // by observer
  std::uint64_t failures_ = 0;
  std::uint64_t false_failures_ = 0;
  std::uint64_t false_leaves_ = 0;
};

// Lamport times never fall; queues and tables stay within their bounds. Looks at every 32nd
// transition of a node: reading the statistics is slow.
class BoundsChecker : public World::Observer {
 public:
  BoundsChecker(World& world, Violations& violations) : world_(world), violations_(violations) {
    world.AddObserver(this);
  }
  void OnStart(NodeId node) override {
    if (node.value() >= times_.size()) times_.resize(node.value() + 1);
    times_[node.value()] = {};
  }
  inline void OnTransition(NodeId node) override;

 private:
  static constexpr std::uint64_t kPeriod = 32;

  World& world_;
  Violations& violations_;
  std::vector<std::map<std::string, std::uint64_t>> times_;  // by node
  std::uint64_t transition_ = 0;
};

// What keeps the World from agreement, or nothing: each living node that has not left must know
// all such nodes as alive with their tags, and none of the others as alive.
std::string Disagreement(const World& world);
inline bool Agrees(const World& world) { return Disagreement(world).empty(); }

// --- bodies ---

inline DetectorBounds DetectorBounds::Of(const World& world) {
  DetectorBounds bounds;
  for (std::uint32_t i = 0; i < world.size(); ++i) {
    if (!world.is_up(NodeId(i))) continue;
    const swim::Config& c = world.serf(NodeId(i)).config().swim;
    const std::size_t n = world.size();
    const Duration suspicion = swim::SuspicionTimeout(c.suspicion_mult, n, c.probe_interval) *
                               c.suspicion_max_timeout_mult;
    const Duration gossip = std::chrono::seconds(10);
    bounds.aftermath = std::max(bounds.aftermath,
                                c.probe_interval * c.awareness_max_multiplier + suspicion + gossip);
    bounds.detection =
        std::max(bounds.detection, 2 * static_cast<int>(n) * c.probe_interval + suspicion + gossip);
  }
  return bounds;
}

inline void IncarnationChecker::OnTransition(NodeId node) {
  ++transition_;
  const swim::Node& machine = world_.serf(node).node();
  std::vector<Seen>& seen = seen_[node.value()];
  machine.ForEachMember([&](swim::MemberIndex m) {
    const swim::NodeInfo& info = machine.info(m);
    if (m.value() >= seen.size()) seen.resize(m.value() + 1);
    Seen& s = seen[m.value()];
    const wire::Incarnation incarnation = machine.incarnation(m);
    const swim::NodeState state = machine.state(m);
    const bool same_row = s.transition != 0 && s.name == info.name();
    // One that is gone for long comes back as if it were unknown.
    const bool gone = s.state == swim::NodeState::kDead || s.state == swim::NodeState::kLeft;
    const bool forgotten =
        gone && world_.now() - s.changed_at > machine.config().gossip_to_the_dead_time;
    if (same_row && !forgotten && s.endpoint == info.endpoint()) {
      if (incarnation < s.incarnation) {
        violations_.Add(world_.name(node), " lowered the incarnation of ", s.name, " from ",
                        s.incarnation.value(), " to ", incarnation.value());
      }
      if (state == swim::NodeState::kAlive && s.state != swim::NodeState::kAlive &&
          incarnation <= s.incarnation && s.incarnation != wire::Incarnation(0)) {
        violations_.Add(world_.name(node), " resurrected ", s.name, " at incarnation ",
                        incarnation.value());
      }
    }
    s.transition = transition_;
    if (s.name != info.name()) s.name = std::string(info.name());
    s.endpoint = info.endpoint();
    s.incarnation = incarnation;
    s.state = state;
    s.changed_at = machine.changed_at(m);
  });
  // A row that is gone was purged; its next tenant starts afresh.
  for (Seen& s : seen) {
    if (s.transition != 0 && s.transition != transition_) s = Seen();
  }
}

inline void EventChecker::OnStart(NodeId node) {
  if (node.value() >= lives_.size()) {
    lives_.resize(node.value() + 1);
    presence_.resize(node.value() + 1);
  }
  lives_[node.value()] = {true, world_.now(), kNever};
  presence_[node.value()].clear();
}

inline void EventChecker::OnStop(NodeId node) {
  lives_[node.value()] = {false, world_.now(), kNever};
}

inline void EventChecker::OnEvent(NodeId node, const Event& event) {
  if (const auto* members = std::get_if<MemberEvent>(&event)) {
    for (const Member& m : members->members) OnMember(node, members->kind, m.name);
  }
}

inline void EventChecker::OnMember(NodeId observer, MemberEventKind kind, const std::string& name) {
  Presence& presence = presence_[observer.value()][name];
  const Presence before = presence;
  bool valid = false;
  switch (kind) {
    case MemberEventKind::kJoin:
      valid = before != Presence::kPresent;
      presence = Presence::kPresent;
      break;
    case MemberEventKind::kLeave:
      // A failed member leaves when a late intent, or an operator, says that it did.
      valid = before == Presence::kPresent || before == Presence::kFailed;
      presence = Presence::kLeft;
      if (before == Presence::kPresent) OnLeave(observer, name);
      break;
    case MemberEventKind::kFailed:
      valid = before == Presence::kPresent;
      presence = Presence::kFailed;
      OnFailure(observer, name);
      break;
    case MemberEventKind::kUpdate:
      valid = before == Presence::kPresent;
      break;
    case MemberEventKind::kReap:
      valid = before == Presence::kFailed || before == Presence::kLeft;
      presence = Presence::kAbsent;
      break;
  }
  if (!valid) {
    violations_.Add(world_.name(observer), " was told ", std::string(MemberEventName(kind)), " of ",
                    name, " in presence ", static_cast<int>(before));
  }
}

inline void EventChecker::OnFailure(NodeId observer, const std::string& name) {
  ++failures_;
  const auto subject = world_.FindNode(name);
  if (!subject || !world_.is_up(*subject)) return;
  ++false_failures_;
  const Duration calm = CalmFor(observer, *subject);
  if (calm == Duration::zero()) return;
  const bool leaves = world_.serf(*subject).state() != Serf::State::kAlive;
  violations_.Add(world_.name(observer), " was told that ", name, " failed, which ",
                  leaves ? "left" : "lives", ", ", ToSeconds(calm), " s after the last fault");
}

inline void EventChecker::OnLeave(NodeId observer, const std::string& name) {
  const auto subject = world_.FindNode(name);
  if (!subject || !world_.is_up(*subject)) return;
  if (world_.serf(*subject).state() != Serf::State::kAlive) return;
  ++false_leaves_;
  const Duration calm = CalmFor(observer, *subject);
  if (calm == Duration::zero()) return;
  violations_.Add(world_.name(observer), " was told that ", name, " left, which lives, ",
                  ToSeconds(calm), " s after the last fault");
}

inline Duration EventChecker::CalmFor(NodeId observer, NodeId subject) const {
  // Nobody gossips to one that left.
  if (world_.serf(observer).state() != Serf::State::kAlive) return Duration::zero();
  const Duration calm = world_.now() - std::max({world_.last_fault(), lives_[subject.value()].since,
                                                 lives_[observer.value()].since});
  return calm > DetectorBounds::Of(world_).aftermath ? calm : Duration::zero();
}

inline void EventChecker::CheckCrashes() {
  const Duration bound = DetectorBounds::Of(world_).detection;
  for (std::uint32_t s = 0; s < lives_.size(); ++s) {
    if (lives_[s].up || world_.now() - std::max(lives_[s].since, world_.last_fault()) <= bound) {
      continue;
    }
    for (std::uint32_t o = 0; o < lives_.size(); ++o) {
      if (!lives_[o].up || world_.now() - lives_[o].since <= bound ||
          world_.serf(NodeId(o)).state() != Serf::State::kAlive) {
        continue;
      }
      if (PresenceOf(NodeId(o), world_.name(NodeId(s))) == Presence::kPresent) {
        violations_.Add(world_.name(NodeId(o)), " still believes in ", world_.name(NodeId(s)),
                        ", which crashed ", ToSeconds(world_.now() - lives_[s].since), " s ago");
      }
    }
  }
}

inline void BoundsChecker::OnTransition(NodeId node) {
  if (++transition_ % kPeriod != 0) return;
  const Serf& serf = world_.serf(node);
  const std::map<std::string, std::string> stats = serf.Stats();
  const auto number = [&stats](const std::string& key) {
    std::uint64_t value = 0;
    const auto it = stats.find(key);
    if (it != stats.end()) (void)absl::SimpleAtoi(it->second, &value);
    return value;
  };
  for (const char* key : {"member_time", "event_time", "query_time"}) {
    const std::uint64_t time = number(key);
    std::uint64_t& before = times_[node.value()][key];
    if (time < before) {
      violations_.Add(world_.name(node), " lowered its ", key, " from ", before, " to ", time);
    }
    before = time;
  }
  for (const char* key : {"intent_queue", "event_queue", "query_queue"}) {
    if (number(key) > serf.config().max_queue_depth) {
      violations_.Add(world_.name(node), " holds ", number(key), " messages in its ", key);
    }
  }
  if (serf.node().known_nodes() > world_.size() || serf.member_count() > world_.size()) {
    violations_.Add(world_.name(node),
                    " knows more nodes than there are: ", serf.node().known_nodes(), ", ",
                    serf.member_count());
  }
}

inline std::string Disagreement(const World& world) {
  const auto takes_part = [&world](NodeId node) {
    return world.is_up(node) && world.serf(node).state() == Serf::State::kAlive;
  };
  for (std::uint32_t o = 0; o < world.size(); ++o) {
    const NodeId observer(o);
    if (!takes_part(observer)) continue;
    const Serf& serf = world.serf(observer);
    for (std::uint32_t s = 0; s < world.size(); ++s) {
      const NodeId subject(s);
      const std::optional<Member> member = serf.FindMember(world.name(subject));
      const MemberStatus status = member ? member->status : MemberStatus::kNone;
      if (takes_part(subject)) {
        if (status != MemberStatus::kAlive) {
          return absl::StrCat(world.name(observer), " has ", world.name(subject), " as ",
                              MemberStatusName(status), ", not alive");
        }
        if (member->tags != world.serf(subject).LocalMember().tags) {
          return absl::StrCat(world.name(observer), " has old tags of ", world.name(subject));
        }
      } else if (status == MemberStatus::kAlive || status == MemberStatus::kLeaving) {
        return absl::StrCat(world.name(observer), " has ", world.name(subject), " as ",
                            MemberStatusName(status), ", but it is gone");
      }
    }
  }
  return "";
}

}  // namespace serf::testing

#endif  // SERF_TESTING_CHECKERS_H_
