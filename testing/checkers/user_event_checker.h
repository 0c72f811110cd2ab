#ifndef SERF_TESTING_CHECKERS_USER_EVENT_CHECKER_H_
#define SERF_TESTING_CHECKERS_USER_EVENT_CHECKER_H_

// UserEventChecker: the rules for user events in a World.
//
// * Nodes deliver only events that were sent, each once per life, with the same Lamport time on all
//   nodes, and those of one input in order.
// * An event that a node sends is later than all events that the node delivered before.
// * A restarted node does not deliver an event that is past by its file.
//
// All events of the World must have different payloads. Source: docs/protocol/serf.md 2.3, 4.4 and
// 5.
//
//   UserEventChecker events(world, violations);
//   ... run, and in calm:
//   world.RunUntil([&] { return events.Missing().empty(); }, minutes(5), seconds(1));

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "serf/event.h"
#include "serf/lamport/event_buffer.h"
#include "serf/outbox.h"
#include "serf/serf.h"
#include "serf/snapshot_state.h"
#include "serf/testing/checkers/checkers.h"
#include "serf/testing/sim/link_model.h"
#include "serf/testing/sim/world.h"
#include "serf/testing/sim/world_observer.h"
#include "serf/wire/ids.h"

namespace serf::testkit {

class UserEventChecker : public WorldObserver {
 public:
  UserEventChecker(World& world, Violations& violations) : world_(world), violations_(violations) {
    world.AddObserver(this);
  }

  // The test reports each World::Join without a replay: older events are not for this node.
  void OnJoinIgnoringOld(NodeId node, RequestId request) {
    if (world_.completion(request) != nullptr) return RaiseFloor(node);
    ignoring_.emplace(request, node);
  }

  // An event that some active node delivered and another one did not, though it is neither too old
  // nor unwelcome there; or an empty text.
  std::string Missing() const;

  std::uint64_t sent() const { return sent_.size(); }
  std::uint64_t told() const { return told_; }
  // Events that a later life of a node delivered again, because its file did not know of them yet.
  std::uint64_t told_again() const { return told_again_; }

  // --- WorldObserver ---
  void OnRecovered(NodeId node, const SnapshotState& state) override {
    LifeOf(node).recovered = state.event_clock;
  }
  inline void OnStart(NodeId node) override;
  inline void OnUserEventSent(NodeId node, absl::string_view name,
                              absl::string_view payload) override;
  inline void OnEvent(NodeId node, const Event& event) override;
  inline void OnCompletion(NodeId node, const Completion& completion) override;
  void OnTransition(NodeId node) override { LifeOf(node).last_of_input = wire::LamportTime(0); }

 private:
  struct Sent {
    std::string name;
    NodeId sender;
    // None until a node delivers it; the sender does so first.
    std::optional<wire::LamportTime> time;
  };
  struct Life {
    std::optional<wire::LamportTime> recovered;  // for a node with a snapshot
    wire::LamportTime floor;                     // earlier events are not for this node
    wire::LamportTime newest;
    wire::LamportTime last_of_input;
    std::set<std::string> told;         // payloads
    std::set<std::string> told_before;  // by former lives
  };

  Life& LifeOf(NodeId node) {
    if (node.value() >= lives_.size()) lives_.resize(node.value() + 1);
    return lives_[node.value()];
  }
  void OnUserEvent(NodeId node, const UserEvent& event);
  void RaiseFloor(NodeId node) {
    Life& life = LifeOf(node);
    life.floor = std::max(life.floor, Clock(node));
  }
  wire::LamportTime Clock(NodeId node) const {
    std::uint64_t time = 0;
    static_cast<void>(absl::SimpleAtoi(world_.serf(node).Stats().at("event_time"), &time));
    return wire::LamportTime(time);
  }

  World& world_;
  Violations& violations_;
  std::map<std::string, Sent> sent_;  // by payload
  std::vector<Life> lives_;
  std::map<RequestId, NodeId> ignoring_;
  std::uint64_t told_ = 0;
  std::uint64_t told_again_ = 0;
};

inline void UserEventChecker::OnStart(NodeId node) {
  Life& life = LifeOf(node);
  Life next;
  next.recovered = life.recovered;
  if (life.recovered) next.floor = wire::LamportTime(life.recovered->value() + 1);
  next.told_before = std::move(life.told_before);
  next.told_before.merge(life.told);
  life = std::move(next);
  std::erase_if(ignoring_, [&](const auto& entry) { return entry.second == node; });
}

inline void UserEventChecker::OnUserEventSent(NodeId node, absl::string_view name,
                                              absl::string_view payload) {
  if (!sent_.emplace(std::string(payload), Sent{std::string(name), node, {}}).second) {
    violations_.Add("the payload ", payload, " was sent twice: a mistake of the test");
  }
}

inline void UserEventChecker::OnEvent(NodeId node, const Event& event) {
  if (const auto* user = std::get_if<UserEvent>(&event)) OnUserEvent(node, *user);
}

inline void UserEventChecker::OnUserEvent(NodeId node, const UserEvent& event) {
  ++told_;
  const std::string what = absl::StrCat(world_.name(node), " was told the event ", event.payload,
                                        " of time ", event.time.value());
  Life& life = LifeOf(node);
  const auto sent = sent_.find(event.payload);
  if (sent == sent_.end() || sent->second.name != event.name) {
    violations_.Add(what, ", which nobody sent");
    return;
  }
  if (!sent->second.time) {
    sent->second.time = event.time;
    if (sent->second.sender != node) violations_.Add(what, " before its sender");
    if (event.time <= life.newest && life.newest.value() > 0) {
      violations_.Add(what, ", which it sent after one of time ", life.newest.value());
    }
  }
  if (event.time != *sent->second.time) {
    violations_.Add(what, ", which has the time ", sent->second.time->value());
  }
  if (!life.told.insert(event.payload).second) violations_.Add(what, " twice");
  if (life.recovered && event.time <= *life.recovered) {
    violations_.Add(what, ", but its file ends at ", life.recovered->value());
  }
  if (event.time < life.last_of_input) {
    violations_.Add(what, " after one of the same input of time ", life.last_of_input.value());
  }
  if (life.told_before.contains(event.payload)) ++told_again_;
  life.last_of_input = event.time;
  life.newest = std::max(life.newest, event.time);
}

inline void UserEventChecker::OnCompletion(NodeId node, const Completion& completion) {
  if (ignoring_.erase(completion.request) > 0) RaiseFloor(node);
}

inline std::string UserEventChecker::Missing() const {
  std::vector<NodeId> nodes;
  std::set<std::string> all;
  for (std::uint32_t i = 0; i < world_.size(); ++i) {
    if (!world_.is_up(NodeId(i)) || world_.serf(NodeId(i)).state() != Serf::State::kAlive) continue;
    nodes.push_back(NodeId(i));
    all.insert(lives_[i].told.begin(), lives_[i].told.end());
  }
  for (const NodeId node : nodes) {
    const Life& life = lives_[node.value()];
    if (std::any_of(ignoring_.begin(), ignoring_.end(),
                    [node](const auto& entry) { return entry.second == node; })) {
      continue;
    }
    const std::uint64_t clock = Clock(node).value();
    const std::uint64_t window = clock > EventBuffer::kSlots ? clock - EventBuffer::kSlots : 0;
    for (const std::string& payload : all) {
      const wire::LamportTime time = *sent_.at(payload).time;
      if (time < life.floor || time.value() < window || life.told.contains(payload)) continue;
      return absl::StrCat(world_.name(node), " was never told the event ", payload, " of time ",
                          time.value());
    }
  }
  return "";
}

}  // namespace serf::testkit

#endif  // SERF_TESTING_CHECKERS_USER_EVENT_CHECKER_H_
