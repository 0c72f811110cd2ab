#ifndef SERF_TESTING_CHECKERS_CHECKERS_H_
#define SERF_TESTING_CHECKERS_CHECKERS_H_

// Checkers: the rules that hold in every World after every transition. Each checker is an Observer
// that writes violations to a list; a test expects the list to be empty.
//
//   Violations violations;
//   IncarnationChecker incarnations(world, violations);
//   EventChecker events(world, violations);
//   ... run ...
//   EXPECT_EQ(Disagreement(world), "");
//   EXPECT_THAT(violations.list(), IsEmpty());

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "serf/base/time.h"
#include "serf/event.h"
#include "serf/serf.h"
#include "serf/swim/node_info.h"
#include "serf/testing/sim/link_model.h"
#include "serf/testing/sim/world.h"
#include "serf/wire/ids.h"

namespace serf::testkit {

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
  // Violations after the first few add nothing.
  static constexpr std::size_t kListMax = 10;

  const World& world_;
  std::vector<std::string> list_;
  std::size_t count_ = 0;
};

// The times by which the failure detector must have finished, from the configuration of a node of
// the World.
struct DetectorBounds {
  // A suspicion that began under a fault has ended so long after the fault: the longest probe
  // interval, the longest suspicion, and gossip.
  Duration aftermath{};
  // All nodes know of a crash after so long: two rounds of the ring, a suspicion, and gossip.
  Duration detection{};

  static DetectorBounds Of(const World& world);
};

// Incarnations never fall. A dead, left or suspect node becomes alive only by a higher one.
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
  void OnTransition(NodeId node) override;

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

// Events pair: a member joins, then leaves or fails, then joins. While no fault is active or
// recent, no node reports a live, reachable node as failed or left, or a leaving node as failed.
// All nodes report a crashed node within the bound.
class EventChecker : public World::Observer {
 public:
  EventChecker(World& world, Violations& violations) : world_(world), violations_(violations) {
    world.AddObserver(this);
  }
  void OnStart(NodeId node) override;
  void OnStop(NodeId node) override;
  void OnEvent(NodeId node, const Event& event) override;
  void OnTransition(NodeId node) override {
    Instant& since = lives_[node.value()].leaving_since;
    if (since == kNever && world_.serf(node).state() != Serf::State::kAlive) since = world_.now();
  }

  // Checks whether all nodes know of the crashes by now. The test calls it from time to time.
  void CheckCrashes();

  // Reported failures, of crashed and of living nodes, and reported departures of nodes that
  // stayed. They prove that a run was not idle.
  std::uint64_t failures() const { return failures_; }
  std::uint64_t false_failures() const { return false_failures_; }
  std::uint64_t false_leaves() const { return false_leaves_; }

 private:
  enum class Presence : std::uint8_t { kAbsent, kPresent, kFailed, kLeft };
  struct Life {
    bool up = false;
    Instant since{};  // the time of the start or the crash
    Instant leaving_since = kNever;
  };

  void OnMember(NodeId observer, MemberEventKind kind, const std::string& name);
  void OnFailure(NodeId observer, const std::string& name);
  void OnLeave(NodeId observer, const std::string& name);
  // For how long `observer`, which has not left, should have judged `subject` correctly. Zero if a
  // fault, or a new life of one of them, may explain a wrong judgement.
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

// Lamport times never fall, and queues and tables stay within their bounds. Checks every 32nd
// transition of a node, because reading the statistics is slow.
class BoundsChecker : public World::Observer {
 public:
  BoundsChecker(World& world, Violations& violations) : world_(world), violations_(violations) {
    world.AddObserver(this);
  }
  void OnStart(NodeId node) override {
    if (node.value() >= times_.size()) times_.resize(node.value() + 1);
    times_[node.value()] = {};
  }
  void OnTransition(NodeId node) override;

 private:
  static constexpr std::uint64_t kPeriod = 32;

  World& world_;
  Violations& violations_;
  std::vector<std::map<std::string, std::uint64_t>> times_;  // by node
  std::uint64_t transition_ = 0;
};

// The reason why the World does not agree, or an empty text. Each living node that has not left
// must know all such nodes as alive with their tags, and none of the others as alive.
std::string Disagreement(const World& world);
inline bool Agrees(const World& world) { return Disagreement(world).empty(); }

}  // namespace serf::testkit

#endif  // SERF_TESTING_CHECKERS_CHECKERS_H_
