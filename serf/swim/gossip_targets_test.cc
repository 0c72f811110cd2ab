#include "serf/swim/gossip_targets.h"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "serf/base/portion.h"
#include "serf/swim/scaling.h"

namespace serf::swim {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// What one node of a cluster sees: all nodes are alive.
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
  auto Eligible() const {
    return [this](MemberIndex m) { return m != self && table.state(m) == NodeState::kAlive; };
  }
  bool Update(Portion& portion, GossipTargets& of) {
    return of.Update(limit > 0 ? limit : RetransmitLimit(4, table.known()), portion, Eligible());
  }
  std::vector<MemberIndex> Next(std::size_t count) { return Next(count, targets); }
  std::vector<MemberIndex> Next(std::size_t count, GossipTargets& of) {
    Portion portion = Portion::Unlimited();
    EXPECT_TRUE(Update(portion, of));
    std::vector<GossipTargets::Target> list;
    of.Next(now, count, rng, list, Eligible());
    std::vector<MemberIndex> members;
    for (const GossipTargets::Target& target : list) {
      EXPECT_LT(target.place, of.places());
      members.push_back(target.member);
    }
    return members;
  }

  // The places of a wave to `count` living members; those of `silent` do not count.
  std::vector<int> Wave(std::size_t count, const std::set<int>& silent = {}) {
    Portion portion = Portion::Unlimited();
    EXPECT_TRUE(Update(portion, targets));
    const std::map<int, MemberIndex> in_turn = InTurn(targets);
    std::vector<GossipTargets::Target> list;
    targets.Wave(now, count, list, Eligible(), [&](MemberIndex m) {
      for (const int place : silent) {
        if (in_turn.contains(place) && in_turn.at(place) == m) return false;
      }
      return true;
    });
    std::vector<int> places;
    for (const GossipTargets::Target& target : list) places.push_back(target.place);
    return places;
  }

  // The targets in turn: the successors, without the random ones.
  std::map<int, MemberIndex> InTurn(GossipTargets& of) {
    Portion portion = Portion::Unlimited();
    EXPECT_TRUE(Update(portion, of));
    std::map<int, MemberIndex> members;
    std::vector<GossipTargets::Target> list;
    of.Next(now, 1, rng, list, Eligible());
    for (int i = 0; i < of.places(); ++i) {
      of.Next(now, 1, rng, list, Eligible());
      for (const auto& target : list) members[target.place] = target.member;
    }
    // The random target has the last place, if there is a further member.
    if (table.live() > of.places()) members.erase(of.places() - 1);
    return members;
  }
  std::map<int, MemberIndex> InTurnAnew() {
    GossipTargets fresh(table, ring);
    fresh.Start(self, rng);
    return InTurn(fresh);
  }
  void Depart(MemberIndex member) { table.SetState(member, NodeState::kLeft, now); }
  void Return(MemberIndex member) {
    table.SetState(member, NodeState::kAlive, now);
    targets.OnJoin(member);
  }
  void Forget(MemberIndex member) {
    table.Purge(member);
    ring.Shuffle(rng);
  }

  Rng rng;
  MemberTable table;
  ProbeRing ring{table};
  GossipTargets targets;
  MemberIndex self;
  Instant now{};
  int limit = 0;  // of transmissions, if not by the number of members
};

TEST(GossipTargets, AloneThereIsNobody) {
  NodeInfoPool pool;
  View view(pool, 1, 0, 1);
  EXPECT_TRUE(view.Next(3).empty());
}

// The first places, and further ones for those that may be dead.
TEST(GossipTargets, AWaveGoesToTheFirstPlaces) {
  using ::testing::ElementsAre;
  NodeInfoPool pool;
  View lan(pool, 20, 1, 1);  // eight transmissions: seven rings and a random target
  EXPECT_THAT(lan.Wave(3), ElementsAre(0, 1, 2));
  EXPECT_THAT(lan.Wave(3), ElementsAre(0, 1, 2)) << "each time";
  EXPECT_THAT(lan.Wave(3, {1}), ElementsAre(0, 1, 2, 3));
  EXPECT_THAT(lan.Wave(3, {0, 1, 2}), ElementsAre(0, 1, 2, 3, 4, 5));
  EXPECT_THAT(lan.Wave(30), ElementsAre(0, 1, 2, 3, 4, 5, 6)) << "no random target";
  EXPECT_THAT(lan.Wave(3, {0, 1, 2, 3, 4, 5, 6}), ElementsAre(0, 1, 2)) << "nobody lives";
  View three(pool, 3, 1, 1);
  EXPECT_THAT(three.Wave(3), ElementsAre(0, 1));
  View alone(pool, 1, 0, 1);
  EXPECT_THAT(alone.Wave(3), ElementsAre());
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

// As many transmissions as the protocol allows go to as many nodes. If all nodes do so, each node
// is the target of as many others.
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
  view.table.Purge(gone);
  view.ring.Shuffle(view.rng);
  EXPECT_EQ(view.Next(3).size(), 2u);
}

// Another node gets the row before the next round.
TEST(GossipTargets, ATargetThatWasReplacedIsNoticed) {
  NodeInfoPool pool;
  View view(pool, 40, 0, 1);
  for (std::uint32_t i = 0; i < 10; ++i) {
    const MemberIndex gone = view.InTurn(view.targets).begin()->second;
    view.Forget(gone);
    const MemberIndex next = view.Add(pool, 1000 + i);
    EXPECT_EQ(next, gone);
    view.targets.OnJoin(next);
    EXPECT_EQ(view.InTurn(view.targets), view.InTurnAnew());
  }
}

// Targets that are kept up to date equal those that a look at all members finds.
TEST(GossipTargets, AfterAnyHistoryTheyAreThoseOfANewOne) {
  for (const std::uint32_t nodes : {3u, 12u, 60u, 400u}) {
    NodeInfoPool pool;
    View view(pool, nodes, 0, nodes);
    std::uint32_t names = nodes;
    int departed = 0;
    for (int step = 0; step < 2000; ++step) {
      // Half of the changes concern targets, where they matter.
      const auto in_turn = view.InTurn(view.targets);
      MemberIndex member(static_cast<std::uint32_t>(view.rng.Below(view.table.index_limit())));
      if (!in_turn.empty() && view.rng.Below(2) == 0) {
        member =
            std::next(in_turn.begin(), static_cast<std::ptrdiff_t>(view.rng.Below(in_turn.size())))
                ->second;
      }
      const bool is_other = view.table.Contains(member) && member != view.self;
      switch (view.rng.Below(5)) {
        case 0:
          view.targets.OnJoin(view.Add(pool, names++));
          break;
        case 1:
          if (is_other) view.Forget(member);
          break;
        case 2:
          if (view.rng.Below(20) == 0) view.limit = 1 + static_cast<int>(view.rng.Below(40));
          break;
        default:
          if (is_other && view.table.state(member) == NodeState::kAlive) {
            view.Depart(member);
            ++departed;
          } else if (is_other) {
            view.Return(member);
          }
      }
      ASSERT_EQ(view.InTurn(view.targets), view.InTurnAnew()) << nodes << ", step " << step;
    }
    EXPECT_GT(departed, 100);
  }
}

TEST(GossipTargets, AllMembersAreLookedAtInPortionsAndSeldom) {
  NodeInfoPool pool;
  View view(pool, 30'000, 0, 1);
  int portions = 0;
  for (bool done = false; !done; ++portions) {
    Portion portion;
    done = view.Update(portion, view.targets);
    // Members that come and go meanwhile count, in front of the look and behind it.
    for (const std::uint32_t row : {100u, 29'000u}) {
      view.Depart(MemberIndex(row + static_cast<std::uint32_t>(portions)));
    }
    view.targets.OnJoin(view.Add(pool, 40'000 + static_cast<std::uint32_t>(portions)));
  }
  EXPECT_GE(portions, 4);
  EXPECT_EQ(view.InTurn(view.targets), view.InTurnAnew());

  // A target that goes is replaced without another look.
  for (int i = 0; i < 20; ++i) {
    const auto in_turn = view.InTurn(view.targets);
    view.Depart(std::next(in_turn.begin(), i % 10)->second);
    Portion portion;
    EXPECT_TRUE(view.Update(portion, view.targets));
    EXPECT_EQ(portion.left(), Portion::kWhole);
    EXPECT_EQ(view.InTurn(view.targets), view.InTurnAnew());
  }
}

TEST(GossipTargets, WhereNobodyIsLeftNobodyIsLookedFor) {
  NodeInfoPool pool;
  View view(pool, 1000, 0, 1);
  view.Next(3);
  view.table.ForEach([&](MemberIndex m) {
    if (m != view.self) view.Depart(m);
  });
  EXPECT_TRUE(view.Next(3).empty());
  Portion portion;
  EXPECT_TRUE(view.Update(portion, view.targets));
  EXPECT_EQ(portion.left(), Portion::kWhole);
  view.Return(MemberIndex(7));
  EXPECT_THAT(view.Next(3), ::testing::ElementsAre(MemberIndex(7)));
  EXPECT_EQ(view.InTurn(view.targets), view.InTurnAnew());
}

// News that was on its way during a join must reach the newcomer, too.
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
