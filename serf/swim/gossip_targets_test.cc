#include "serf/swim/gossip_targets.h"

#include <chrono>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "serf/swim/scaling.h"

namespace serf::swim {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// What one node of a cluster sees: everybody alive.
struct View {
  View(NodeInfoPool& pool, std::uint32_t nodes, std::uint32_t self_number, std::uint64_t seed)
      : rng(seed), targets(table, ring) {
    for (std::uint32_t i = 0; i < nodes; ++i) {
      Add(pool, i);
    }
    self = *table.Find(absl::StrCat("node-", self_number));
    targets.Start(self, rng);
  }
  MemberIndex Add(NodeInfoPool& pool, std::uint32_t i) {
    const std::string name = absl::StrCat("node-", i);
    const MemberIndex m = table.Add(
        pool.Intern({name, {IpAddress::V4(10, 0, 0, 1), 7946}, {}, {1, 5, 2, 2, 5, 5}}), Instant{});
    table.SetState(m, NodeState::kAlive, Instant{});
    ring.Insert(m, rng);
    return m;
  }
  std::vector<MemberIndex> Next(std::size_t count) { return Next(count, targets); }
  std::vector<MemberIndex> Next(std::size_t count, GossipTargets& of) {
    std::vector<GossipTargets::Target> list;
    of.Next(now, count, RetransmitLimit(4, table.known()), rng, list,
            [this](MemberIndex m) { return m != self && table.state(m) == NodeState::kAlive; });
    std::vector<MemberIndex> members;
    for (const GossipTargets::Target& target : list) {
      EXPECT_LT(target.place, of.places());
      members.push_back(target.member);
    }
    return members;
  }

  Rng rng;
  MemberTable table;
  ProbeRing ring;
  GossipTargets targets;
  MemberIndex self;
  Instant now{};
};

TEST(GossipTargets, AloneThereIsNobody) {
  NodeInfoPool pool;
  View view(pool, 1, 0, 1);
  EXPECT_TRUE(view.Next(3).empty());
}

TEST(GossipTargets, DistinctAndNeverItself) {
  for (const std::uint32_t nodes : {2u, 3u, 4u, 5u, 9u, 10u, 50u, 200u}) {
    NodeInfoPool pool;
    View view(pool, nodes, 1, 7);
    for (int round = 0; round < 30; ++round) {
      const auto targets = view.Next(3);
      EXPECT_EQ(targets.size(), std::min<std::size_t>(3, nodes - 1)) << nodes;
      std::set<MemberIndex> distinct(targets.begin(), targets.end());
      EXPECT_EQ(distinct.size(), targets.size()) << nodes;
      EXPECT_EQ(distinct.count(view.self), 0u) << nodes;
    }
  }
}

// The point of it: as many transmissions as the protocol allows go to as many nodes, and with
// everybody doing so each node is the target of as many others.
TEST(GossipTargets, EverybodyIsReachedFromManySides) {
  for (const std::uint32_t nodes : {5u, 9u, 10u, 30u, 99u, 300u}) {
    NodeInfoPool pool;
    const int limit = RetransmitLimit(4, nodes);
    std::vector<int> in_degree(nodes);
    for (std::uint32_t i = 0; i < nodes; ++i) {
      View view(pool, nodes, i, i);
      std::set<MemberIndex> hit;
      for (int sent = 0; sent < limit; ++sent) {
        for (const MemberIndex m : view.Next(1)) hit.insert(m);
      }
      EXPECT_EQ(hit.size(), std::min<std::size_t>(nodes - 1, limit)) << nodes << " from " << i;
      for (const MemberIndex m : hit) ++in_degree[m.value()];
    }
    // Random targets would leave e^-T of the nodes with none.
    for (std::uint32_t i = 0; i < nodes; ++i) {
      EXPECT_GE(in_degree[i], std::min<int>(nodes - 1, limit) / 2) << nodes << " to " << i;
    }
  }
}

TEST(GossipTargets, NewcomersAndDeparturesAreNoticed) {
  NodeInfoPool pool;
  View view(pool, 3, 0, 1);
  view.Next(3);
  const MemberIndex late = view.Add(pool, 100);
  view.targets.OnJoin(late);
  std::set<MemberIndex> seen;
  for (const MemberIndex m : view.Next(3)) seen.insert(m);
  EXPECT_EQ(seen.count(late), 1u);

  view.table.SetState(late, NodeState::kLeft, Instant{});
  for (int i = 0; i < 5; ++i) {
    for (const MemberIndex m : view.Next(3)) EXPECT_NE(m, late);
  }
}

TEST(GossipTargets, PurgedMembersAreNoticed) {
  NodeInfoPool pool;
  View view(pool, 4, 0, 1);
  view.Next(3);
  const MemberIndex gone = *view.table.Find("node-2");
  view.ring.PurgeAndShuffle([gone](MemberIndex m) { return m == gone; }, view.rng);
  view.table.Purge(gone);
  EXPECT_EQ(view.Next(3).size(), 2u);
}

// Whose row another node got before the next round.
TEST(GossipTargets, ATargetThatWasReplacedIsNoticed) {
  NodeInfoPool pool;
  View view(pool, 40, 0, 1);
  // Those that come in turn: the successors, without the random ones.
  const auto in_turn = [&view](GossipTargets& targets) {
    std::map<MemberIndex, int> hits;
    constexpr int kCycles = 30;
    for (int i = 0; i < kCycles * RetransmitLimit(4, view.table.known()); ++i) {
      for (const MemberIndex m : view.Next(1, targets)) ++hits[m];
    }
    std::set<MemberIndex> members;
    for (const auto& [member, count] : hits) {
      if (count > kCycles * 2 / 3) members.insert(member);
    }
    return members;
  };
  for (std::uint32_t i = 0; i < 10; ++i) {
    const MemberIndex gone = *in_turn(view.targets).begin();
    view.ring.PurgeAndShuffle([gone](MemberIndex m) { return m == gone; }, view.rng);
    view.table.Purge(gone);
    const MemberIndex next = view.Add(pool, 1000 + i);
    EXPECT_EQ(next, gone);
    view.targets.OnJoin(next);
    GossipTargets fresh(view.table, view.ring);
    fresh.Start(view.self, view.rng);
    EXPECT_EQ(in_turn(view.targets), in_turn(fresh));
  }
}

// News that was on its way when it joined must reach a newcomer, too.
TEST(GossipTargets, NewcomersAreAmongTheTargetsForAWhile) {
  NodeInfoPool pool;
  View view(pool, 300, 0, 1);
  const MemberIndex late = view.Add(pool, 1000);
  view.targets.OnJoin(late);
  view.targets.OnPulled(view.now, late);
  const auto hits = [&] {
    int count = 0;
    for (int sent = 0; sent < RetransmitLimit(4, 301); ++sent) {
      for (const MemberIndex m : view.Next(1)) count += m == late ? 1 : 0;
    }
    return count;
  };
  for (int message = 0; message < 10; ++message) EXPECT_GE(hits(), 1);
  view.now += seconds(3);
  int later = 0;
  for (int message = 0; message < 10; ++message) later += hits();
  EXPECT_LE(later, 5);
}

TEST(GossipTargets, TheRandomOneReachesEverybodyInTheEnd) {
  NodeInfoPool pool;
  View view(pool, 60, 0, 3);
  std::set<MemberIndex> seen;
  for (int i = 0; i < 3000; ++i) {
    for (const MemberIndex m : view.Next(1)) seen.insert(m);
  }
  EXPECT_EQ(seen.size(), 59u);
}

}  // namespace
}  // namespace serf::swim
