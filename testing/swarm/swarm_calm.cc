// The calm after the swarm's chaos: what must heal by itself, and what must work then.

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "serf/base/bytes.h"
#include "serf/base/time.h"
#include "serf/keys.h"
#include "serf/member.h"
#include "serf/outbox.h"
#include "serf/query.h"
#include "serf/snapshot_state.h"
#include "serf/testing/checkers/checkers.h"
#include "serf/testing/sim/link_model.h"
#include "serf/testing/swarm/swarm_world.h"

namespace serf::testkit {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

class Calm {
 public:
  explicit Calm(SwarmWorld& swarm) : swarm_(swarm), world_(swarm.world) {}

  Duration Run() {
    EndFaults();
    const Duration agreed_after = Agree();
    if (swarm_.violations.count() > 0) return agreed_after;
    swarm_.application.set_calm();
    Stay();
    const std::vector<std::function<void()>> steps = {
        [this] { HearEvents(); },  [this] { MeetClocks(); }, [this] { HearEachOther(); },
        [this] { TellInOrder(); }, [this] { Ask(); },        [this] { RotateKeys(); },
        [this] { Leave(); }};
    for (const auto& step : steps) {
      if (swarm_.violations.count() > 0) break;
      step();
    }
    return agreed_after;
  }

 private:
  template <typename... Args>
  void Fail(const Args&... args) {
    swarm_.violations.Add(args...);
  }
  bool Agrees() const { return testkit::Agrees(world_); }
  // With ticked gossip the targets are drawn at random, so that it sometimes misses a node.
  bool IsTicked() const {
    return world_.serf(*swarm_.PickActive()).config().swim.gossip_pacing ==
           swim::GossipPacing::kTicked;
  }
  // The time for news that gossip brings; a push/pull brings what gossip missed.
  Duration Patience() const { return IsTicked() ? Duration(minutes(5)) : Duration(seconds(3)); }

  void EndFaults();
  void JoinIslands();
  Duration Agree();
  void Stay();
  void HearEvents();
  void MeetClocks();
  void HearEachOther();
  void TellInOrder();
  void Ask();
  void RotateKeys();
  void ManageKeys(KeyOperation operation, absl::string_view key);
  void Leave();

  SwarmWorld& swarm_;
  World& world_;
};

void Calm::EndFaults() {
  world_.links().Calm();
  swarm_.ForEachNode([this](NodeId node) {
    world_.Resume(node);
    if (world_.has_disk(node)) world_.disk(node).set_failure(0);
  });
  // A node that left stays away or comes back as a new process, and so does a node that crashed.
  swarm_.ForEachNode([this](NodeId node) {
    if (world_.is_up(node) && world_.serf(node).state() != Serf::State::kAlive &&
        swarm_.Chance(70)) {
      world_.Crash(node);
    }
    if (!world_.is_up(node) && swarm_.Chance(50)) world_.Restart(node);
  });
  if (!swarm_.PickActive()) {
    world_.Crash(NodeId(0));
    world_.Restart(NodeId(0));
  }
  JoinIslands();
}

// Nodes that know each other, even indirectly, must reconnect by themselves. The operator joins
// only groups that know nothing of each other. A node knows its members, and those in its file. (It
// soon forgets those that left: if they are back, they must join.)
void Calm::JoinIslands() {
  const std::vector<NodeId> active = swarm_.AllActive();
  std::vector<std::size_t> island(world_.size());
  for (std::size_t i = 0; i < island.size(); ++i) island[i] = i;
  const auto merge = [&](NodeId a, const std::string& name) {
    const auto b = world_.FindNode(name);
    if (!b || !swarm_.IsActive(*b)) return;
    const std::size_t from = island[b->value()];
    const std::size_t to = island[a.value()];
    std::replace(island.begin(), island.end(), from, to);
  };
  const auto know = [&](NodeId a, const std::string& name) {
    if (const auto b = world_.FindNode(name); b && !swarm_.departed[b->value()]) merge(a, name);
  };
  for (const NodeId node : active) {
    for (const Member& member : world_.serf(node).Members()) {
      if (member.status != MemberStatus::kLeft) know(node, member.name);
    }
    if (!world_.has_disk(node)) continue;
    const SnapshotState& file = swarm_.snapshots.recovered(node);
    for (const SnapshotState::Nodes* nodes : {&file.alive, &file.failed}) {
      for (const auto& [name, address] : *nodes) {
        if (!world_.serf(node).FindMember(name)) know(node, name);
      }
    }
  }
  const std::size_t first = island[active.front().value()];
  for (const NodeId node : active) {
    if (island[node.value()] == first) continue;
    swarm_.Say("operator joins ", world_.name(node));
    swarm_.Join(node, active.front());
    merge(active.front(), world_.name(node));
  }
}

Duration Calm::Agree() {
  const Instant calm = world_.now();
  swarm_.Say("calm");
  world_.RunUntil([this] { return Agrees(); }, minutes(5), milliseconds(500));
  const Duration after = world_.now() - calm;
  swarm_.Say("agreed after ", ToSeconds(after));
  if (const std::string text = Disagreement(world_); !text.empty()) {
    Fail("no agreement after calm: ", text);
  }
  return after;
}

// The agreement must last, and all nodes must know of the crashes.
void Calm::Stay() {
  world_.RunFor(DetectorBounds::Of(world_).detection);
  swarm_.members.CheckCrashes();
  // A push/pull with a node that missed the last news may show a member as leaving for a while, by
  // an intent from before its return, until the intent is found to be out of date
  // (docs/protocol/serf.md 15.3, hashicorp/serf#662).
  if (!world_.RunUntil([this] { return Agrees(); }, minutes(2), milliseconds(500))) {
    Fail("agreement was lost: ", Disagreement(world_));
  }
}

// In the end push/pulls deliver to all nodes every event that any node delivered in its life.
void Calm::HearEvents() {
  const auto all_told = [this] { return swarm_.user_events.Missing().empty(); };
  if (!world_.RunUntil(all_told, minutes(10), seconds(1))) Fail(swarm_.user_events.Missing());
}

// If a clock lags, other nodes treat its node's messages as old. Push/pulls level the clocks.
void Calm::MeetClocks() {
  const auto level = [this] {
    const std::vector<NodeId> active = swarm_.AllActive();
    const auto first = world_.serf(active.front()).Stats();
    return std::all_of(active.begin(), active.end(), [&](NodeId node) {
      const auto stats = world_.serf(node).Stats();
      return stats.at("member_time") == first.at("member_time") &&
             stats.at("event_time") == first.at("event_time") &&
             stats.at("query_time") == first.at("query_time");
    });
  };
  if (!world_.RunUntil(level, minutes(10), seconds(1))) Fail("the Lamport clocks never met");
}

// Every living node hears the others and is heard, whatever happened to the clocks. Ticked gossip
// may miss a node, and no push/pull carries queries.
void Calm::HearEachOther() {
  swarm_.hearing.Speak(/*ask=*/!IsTicked(), Patience());
  const auto all_heard = [this] { return swarm_.hearing.Missing().empty(); };
  if (!world_.RunUntil(all_heard, Patience(), milliseconds(100))) {
    Fail("in calm: ", swarm_.hearing.Missing());
  }
}

// A node sends events, each after the others have received the one before. All nodes deliver them
// in that order, and soon.
void Calm::TellInOrder() {
  const NodeId sender = *swarm_.PickActive();
  for (int i = 0; i < 3; ++i) {
    swarm_.SendEvent(sender);
    const auto all_told = [this] { return swarm_.user_events.Missing().empty(); };
    if (!world_.RunUntil(all_told, Patience(), milliseconds(100))) {
      return Fail("in calm: ", swarm_.user_events.Missing());
    }
  }
}

void Calm::Ask() {
  for (int i = 0; i < 4; ++i) {
    const NodeId asker = *swarm_.PickActive();
    QueryParams params = swarm_.SomeParams();
    if (params.timeout > Duration::zero()) params.timeout += seconds(3);
    const auto query = world_.SendQuery(asker, "question", "?", params);
    if (!query.ok()) return Fail(world_.name(asker), " could not ask: ", query.status().ToString());
    if (!IsTicked()) swarm_.queries.MustBeComplete(asker, *query);
    if (!world_.RunUntil([&] { return swarm_.queries.HasEnded(asker, *query); }, seconds(20))) {
      return Fail(world_.name(asker), "'s query never ended");
    }
  }
}

void Calm::ManageKeys(KeyOperation operation, absl::string_view key) {
  // Ticked gossip may miss a node, so an operator tries again.
  const int attempts = IsTicked() ? 10 : 1;
  std::string trouble;
  for (int i = 0; i < attempts; ++i) {
    const NodeId node = *swarm_.PickActive();
    const RequestId request = world_.ManageKeys(node, operation, AsBytes(key), 0);
    ++swarm_.faults.key_operations;
    if (!world_.RunUntil([&] { return world_.completion(request) != nullptr; }, seconds(20))) {
      return Fail("an operation on keys never ended");
    }
    const Completion& done = *world_.completion(request);
    const KeyOutcome& outcome = *done.keys;
    if (done.status.ok() && outcome.errors == 0 && outcome.responses == outcome.nodes) return;
    trouble = absl::StrCat(done.status.ToString(), ", ", outcome.errors, " errors, ",
                           outcome.responses, " of ", outcome.nodes, " answers");
  }
  Fail("an operation on keys did not reach all: ", trouble);
}

void Calm::RotateKeys() {
  if (world_.serf(*swarm_.PickActive()).config().swim.keyring == nullptr) return;
  ManageKeys(KeyOperation::kInstall, kSwarmNextKey);
  ManageKeys(KeyOperation::kUse, kSwarmNextKey);
  ManageKeys(KeyOperation::kRemove, kSwarmKey);
  if (swarm_.violations.count() > 0) return;
  for (const NodeId node : swarm_.AllActive()) {
    const auto keys = world_.serf(node).config().swim.keyring->keys();
    if (keys.size() != 1 || AsText(keys.front()) != kSwarmNextKey) {
      Fail(world_.name(node), " has other keys than it was told");
    }
  }
  world_.RunFor(seconds(10));
  if (!Agrees()) Fail("agreement was lost with the old key: ", Disagreement(world_));
}

void Calm::Leave() {
  const auto leaver = swarm_.PickActive();
  if (swarm_.AllActive().size() < 2) return;
  swarm_.Say("last leave: ", world_.name(*leaver));
  // An intent counts only if it is newer than the last news of the leaving node. The clocks have
  // met, and must still be level.
  MeetClocks();
  const RequestId request = world_.Leave(*leaver);
  if (!world_.RunUntil([&] { return world_.completion(request) != nullptr; }, seconds(15)) ||
      !world_.completion(request)->status.ok()) {
    Fail("the leave of ", world_.name(*leaver), " did not end well");
  }
  const auto straggler = [&] {
    return swarm_.Pick([&](NodeId n) {
      if (!swarm_.IsActive(n)) return false;
      const auto member = world_.serf(n).FindMember(world_.name(*leaver));
      return !member || member->status != MemberStatus::kLeft;
    });
  };
  if (!world_.RunUntil([&] { return !straggler(); }, Patience(), milliseconds(100))) {
    Fail(world_.name(*straggler()), " does not have ", world_.name(*leaver), " as left");
  }
}

}  // namespace

Duration RunSwarmCalm(SwarmWorld& swarm) { return Calm(swarm).Run(); }

}  // namespace serf::testkit
