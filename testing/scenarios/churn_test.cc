// Churn: nodes come and go every second for minutes. Queues stay small, a node's own leave stays
// fast, no node is reported as failed, and in the end no node is missing. Pruning many members at
// once causes no storm either (docs/protocol/serf.md 15.3).

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "serf/base/time.h"
#include "serf/config.h"
#include "serf/event.h"
#include "serf/outbox.h"
#include "serf/serf.h"
#include "serf/swim/config.h"
#include "serf/swim/scaling.h"
#include "serf/testing/checkers/checkers.h"
#include "serf/testing/sim/link_model.h"
#include "serf/testing/sim/scale_cluster.h"
#include "serf/testing/sim/world_observer.h"

namespace serf::testkit {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

// How long leaves take.
class LeaveTimes : public WorldObserver {
 public:
  explicit LeaveTimes(World& world) : world_(world) { world.AddObserver(this); }

  void Leave(NodeId node) { begun_[world_.Leave(node)] = {node, world_.now()}; }
  void OnCompletion(NodeId, const Completion& completion) override {
    const auto found = begun_.find(completion.request);
    if (found == begun_.end()) return;
    EXPECT_TRUE(completion.status.ok()) << completion.status;
    longest_ = std::max(longest_, world_.now() - found->second.second);
    ++count_;
    // The agent ends when its leave has completed.
    world_.After(milliseconds(1), [this, node = found->second.first] { world_.Shutdown(node); });
    begun_.erase(found);
  }
  Duration longest() const { return longest_; }
  std::size_t count() const { return count_; }
  std::size_t under_way() const { return begun_.size(); }

 private:
  World& world_;
  std::map<RequestId, std::pair<NodeId, Instant>> begun_;
  Duration longest_{};
  std::size_t count_ = 0;
};

std::uint64_t Stat(const Serf& serf, const char* key) {
  std::uint64_t value = 0;
  static_cast<void>(absl::SimpleAtoi(serf.Stats().at(key), &value));
  return value;
}

// Counts the events about departing members: leaves, which the agents announced, and failures.
class GoneCounter : public WorldObserver {
 public:
  explicit GoneCounter(World& world) { world.AddObserver(this); }
  void OnEvent(NodeId, const Event& event) override {
    const auto* members = std::get_if<MemberEvent>(&event);
    if (members == nullptr) return;
    leaves_ += members->kind == MemberEventKind::kLeave;
    failures_ += members->kind == MemberEventKind::kFailed;
  }
  std::uint64_t leaves() const { return leaves_; }
  std::uint64_t failures() const { return failures_; }

 private:
  std::uint64_t leaves_ = 0;
  std::uint64_t failures_ = 0;
};

struct ChurnFigures {
  std::size_t engine_queue = 0;  // the longest of any node at any second
  std::size_t intent_queue = 0;
  Duration leave{};   // the longest
  Duration agreed{};  // after the last join or leave
};

// Runs `per_second` leaves and joins each second.
ChurnFigures Churn(std::uint32_t nodes, int per_second, Duration duration) {
  ScaleCluster cluster(5, Config::Lan());
  World& world = cluster.world();
  Violations violations(world);
  EventChecker events(world, violations);
  LeaveTimes leaves(world);
  GoneCounter gone(world);
  EXPECT_TRUE(cluster.StartJoined(nodes)) << cluster.Disagreeing() << " disagree";
  world.RunFor(seconds(5));
  ChurnFigures figures;
  // Picks a node that has run for so long.
  const auto pick = [&](Duration age) {
    for (;;) {
      const NodeId node(static_cast<std::uint32_t>(cluster.rng().Below(world.size())));
      if (world.is_up(node) && world.serf(node).state() == Serf::State::kAlive &&
          world.now() - world.running_since(node) >= age) {
        return node;
      }
    }
  };
  const Instant end = world.now() + duration;
  while (world.now() < end) {
    for (int i = 0; i < per_second; ++i) {
      leaves.Leave(pick(seconds(5)));
      world.RunFor(milliseconds(1000) / (2 * per_second));
      const NodeId target = pick(seconds(1));
      world.Join(world.Add(absl::StrCat("late-", world.size())), {target});
      world.RunFor(milliseconds(1000) / (2 * per_second));
    }
    cluster.ForEachUp([&](NodeId n) {
      figures.engine_queue = std::max(figures.engine_queue, world.serf(n).node().queue().size());
      figures.intent_queue =
          std::max<std::size_t>(figures.intent_queue, Stat(world.serf(n), "intent_queue"));
    });
  }
  const Instant last = world.now();
  EXPECT_TRUE(world.RunUntil([&] { return leaves.under_way() == 0 && Agrees(world); }, minutes(4),
                             seconds(1)))
      << Disagreement(world);
  figures.agreed = world.now() - last;
  figures.leave = leaves.longest();
  EXPECT_GE(leaves.count(), static_cast<std::size_t>(ToSeconds(duration)) * per_second * 9 / 10);
  world.RunFor(minutes(5));
  // A newcomer may miss the intent of a node that leaves at that moment, but it sees the announced
  // departure.
  EXPECT_EQ(gone.failures(), 0u);
  EXPECT_GE(gone.leaves(), leaves.count() * nodes * 9 / 10);
  std::printf(
      "%u nodes, %d leaves and joins a second: SWIM layer's queue up to %zu, intents up to %zu, "
      "leaves up to %.2f s, agreed %.1f s after the last; %zu leaves, told %llu times as such, "
      "%llu times as a failure\n",
      nodes, per_second, figures.engine_queue, figures.intent_queue, ToSeconds(figures.leave),
      ToSeconds(figures.agreed), leaves.count(), static_cast<unsigned long long>(gone.leaves()),
      static_cast<unsigned long long>(gone.failures()));
  return figures;
}

TEST(Churn, QueuesStaySmallLeavesFastAndNobodyIsMissed) {
  for (const auto& [nodes, per_second] : {std::pair{100u, 1}, std::pair{200u, 3}}) {
    const ChurnFigures figures = Churn(nodes, per_second, minutes(2));
    // One message for each member, which a newcomer passes on, and those on their way.
    EXPECT_LE(figures.engine_queue, nodes * 5 / 4);
    EXPECT_LE(figures.intent_queue, 20u);
    EXPECT_LE(figures.leave, seconds(4));
  }
}

std::uint64_t IntentsSent(ScaleCluster& cluster) {
  std::uint64_t sent = 0;
  cluster.ForEachUp([&](NodeId n) { sent += cluster.world().serf(n).counters().messages_sent; });
  return sent;
}

TEST(Prune, OfManyIsNoStormNorAreLateCopies) {
  constexpr std::uint32_t kNodes = 120;
  constexpr std::uint32_t kDead = 40;
  constexpr std::uint32_t kAlive = kNodes - kDead;
  ScaleCluster cluster(6, Config::Lan());
  World& world = cluster.world();
  ASSERT_TRUE(cluster.StartJoined(kNodes));
  world.RunFor(seconds(30));
  const auto name = [](std::uint32_t i) { return absl::StrCat("node-", i); };
  for (std::uint32_t i = kAlive; i < kNodes; ++i) world.Crash(NodeId(i));
  ASSERT_TRUE(world.RunUntil([&] { return Agrees(world); }, minutes(5), seconds(1)));
  world.RunFor(minutes(1));

  const std::uint64_t before = IntentsSent(cluster);
  // The node stops with the news in its queue. It will gossip the news when no other node remembers
  // it.
  const NodeId late(1);
  for (std::uint32_t i = kAlive; i < kNodes; ++i) {
    world.ForceLeave(NodeId(0), name(i), {.prune = true});
    if (i == kAlive + kDead / 2) world.RunFor(milliseconds(20));
  }
  const auto knows_only_the_living = [&](NodeId n) {
    return world.serf(n).member_count() == kAlive;
  };
  world.RunFor(milliseconds(40));
  world.Pause(late);
  ASSERT_TRUE(world.RunUntil(
      [&] {
        bool all = true;
        cluster.ForEachUp([&](NodeId n) { all = all && (n == late || knows_only_the_living(n)); });
        return all;
      },
      seconds(30), milliseconds(100)));
  world.RunFor(seconds(30));
  const auto limit =
      static_cast<std::uint64_t>(swim::RetransmitLimit(4, kNodes)) * (kAlive + 1) * kDead;
  const std::uint64_t sent = IntentsSent(cluster) - before;
  std::printf("%u pruned: %llu messages, %llu if each node sends each as often as it may\n", kDead,
              static_cast<unsigned long long>(sent), static_cast<unsigned long long>(limit));
  EXPECT_LE(sent, limit);

  // Longer than the nodes remember intents.
  world.RunFor(minutes(6));
  const std::uint64_t calm = IntentsSent(cluster);
  world.Resume(late);
  world.RunFor(minutes(2));
  const std::uint64_t late_copies = IntentsSent(cluster) - calm;
  std::printf("late copies: %llu messages\n", static_cast<unsigned long long>(late_copies));
  // The messages that the late node still has to send, and the return of that node itself.
  EXPECT_LE(late_copies,
            static_cast<std::uint64_t>(swim::RetransmitLimit(4, kNodes)) * (kDead + 2 * kAlive));
  world.RunFor(minutes(5));
  cluster.ForEachUp(
      [&](NodeId n) { EXPECT_EQ(world.serf(n).member_count(), kAlive) << world.name(n); });
}

}  // namespace
}  // namespace serf::testkit
