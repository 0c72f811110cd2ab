#include "serf/swim/probe_ring.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "serf/base/endpoint.h"
#include "serf/base/rng.h"
#include "serf/base/time.h"
#include "serf/swim/member_table.h"
#include "serf/swim/node_info.h"

namespace serf::swim {
namespace {

bool All(MemberIndex) { return true; }
bool None(MemberIndex) { return false; }

std::vector<MemberIndex> Sorted(std::vector<MemberIndex> list) {
  std::sort(list.begin(), list.end());
  return list;
}

// A table, and the order of its members.
struct Members {
  explicit Members(std::uint64_t seed = 1) : rng(seed) {}

  MemberIndex Add() {
    const std::string name = absl::StrCat("node-", added++);
    const MemberIndex member =
        table.Add(pool.Intern({name, {IpAddress::V4(10, 0, 0, 1), 7946}, {}, {}}), Instant{});
    ring.Insert(member, rng);
    return member;
  }
  void Add(std::uint32_t n) {
    for (std::uint32_t i = 0; i < n; ++i) Add();
  }
  template <typename Eligible>
  std::optional<MemberIndex> Next(Eligible&& eligible) {
    return ring.Next(eligible, [this] {
      ++wraps;
      ring.Shuffle(rng);
    });
  }
  // The order of the present round, from its beginning or a wrap on.
  std::vector<MemberIndex> Round() {
    std::vector<MemberIndex> round;
    while (round.size() < table.known()) round.push_back(*Next(All));
    return round;
  }

  Rng rng;
  NodeInfoPool pool;
  MemberTable table;
  ProbeRing ring{table};
  std::uint32_t added = 0;
  int wraps = 0;
};

class ProbeRingTest : public testing::Test {
 protected:
  void Fill(std::uint32_t n) { members_.Add(n); }
  template <typename Eligible>
  std::optional<MemberIndex> Next(Eligible&& eligible) {
    return members_.Next(eligible);
  }

  Members members_;
  Rng& rng_ = members_.rng;
  ProbeRing& ring_ = members_.ring;
  int& wraps_ = members_.wraps;
};

TEST_F(ProbeRingTest, EmptyRingHasNothing) { EXPECT_FALSE(Next(All)); }

TEST_F(ProbeRingTest, EachRoundVisitsEveryMemberOnce) {
  Fill(10);
  for (int round = 0; round < 5; ++round) {
    std::set<MemberIndex> seen;
    for (int i = 0; i < 10; ++i) seen.insert(*Next(All));
    EXPECT_EQ(seen.size(), 10u);
  }
  EXPECT_EQ(wraps_, 4);
}

TEST_F(ProbeRingTest, LargeRoundsVisitEveryMemberOnce) {
  Fill(3000);
  for (int round = 0; round < 3; ++round) {
    const std::vector<MemberIndex> seen = members_.Round();
    EXPECT_EQ(std::set<MemberIndex>(seen.begin(), seen.end()).size(), 3000u);
  }
}

// All orders of four members, in the first round and in later ones.
TEST_F(ProbeRingTest, EveryOrderIsEquallyLikely) {
  std::map<std::vector<MemberIndex>, int> first;
  std::map<std::vector<MemberIndex>, int> later;
  constexpr int kTimes = 24 * 400;
  for (int seed = 0; seed < kTimes; ++seed) {
    Members four(static_cast<std::uint64_t>(seed));
    four.Add(4);
    ++first[four.Round()];
    ++later[four.Round()];
  }
  EXPECT_EQ(first.size(), 24u);
  EXPECT_EQ(later.size(), 24u);
  for (const auto* orders : {&first, &later}) {
    for (const auto& [order, times] : *orders) EXPECT_NEAR(times, 400, 100);
  }
}

TEST_F(ProbeRingTest, PlacesInLargeRoundsAreRandom) {
  // Where a member comes in a round, and how far behind another one, in tenths of the round.
  constexpr std::size_t kMembers = 500;
  Fill(kMembers);
  std::map<std::size_t, int> places;
  std::map<std::size_t, int> gaps;
  for (int round = 0; round < 2000; ++round) {
    const std::vector<MemberIndex> order = members_.Round();
    const auto place = [&order](std::uint32_t m) {
      return static_cast<std::size_t>(std::find(order.begin(), order.end(), MemberIndex(m)) -
                                      order.begin());
    };
    ++places[place(17) * 10 / kMembers];
    ++gaps[(place(18) + kMembers - place(17)) % kMembers * 10 / kMembers];
  }
  for (const auto* tenths : {&places, &gaps}) {
    EXPECT_EQ(tenths->size(), 10u);
    for (const auto& [tenth, times] : *tenths) EXPECT_NEAR(times, 200, 75) << tenth;
  }
}

// A member that joins in the middle of a round has its turn at any place of the rest, or after it
// in the next round; nobody else loses a turn.
TEST_F(ProbeRingTest, InsertionPlacesAreRandom) {
  std::map<std::size_t, int> places;
  for (std::uint64_t seed = 0; seed < 1000; ++seed) {
    Members members(seed);
    members.Add(8);
    members.Round();
    std::vector<MemberIndex> seen;
    for (int i = 0; i < 4; ++i) seen.push_back(*members.Next(All));
    const int wraps = members.wraps;
    const MemberIndex late = members.Add();
    while (members.wraps == wraps) seen.push_back(*members.Next(All));
    const MemberIndex next = seen.back();  // the first of the next round
    seen.pop_back();
    const auto found = std::find(seen.begin(), seen.end(), late);
    EXPECT_EQ(seen.size(), found == seen.end() ? 8u : 9u);
    EXPECT_EQ(std::set<MemberIndex>(seen.begin(), seen.end()).size(), seen.size());
    ++places[static_cast<std::size_t>(found - seen.begin())];
    std::set<MemberIndex> round{next};
    while (round.size() < 9) ASSERT_TRUE(round.insert(*members.Next(All)).second);
  }
  // Place 8: not in this round, half of which was over.
  EXPECT_EQ(places.size(), 5u);
  for (std::size_t place = 4; place < 8; ++place) EXPECT_NEAR(places[place], 125, 50) << place;
  EXPECT_NEAR(places[8], 500, 75);
}

// In a storm of joins rounds begin anew, each of half as many members more, so that the ring keeps
// no long list.
TEST_F(ProbeRingTest, GrowthTakesLittleMemoryAndStarvesNobody) {
  constexpr std::uint32_t kMembers = 10'000;
  std::map<MemberIndex, int> turns;
  std::size_t bytes = 0;
  for (std::uint32_t i = 0; i < kMembers; ++i) {
    Fill(1);
    bytes = std::max(bytes, ring_.memory_bytes());
    ++turns[*Next(All)];
  }
  EXPECT_LE(bytes, 5 * kMembers);
  for (std::uint32_t i = 0; i < 2 * kMembers; ++i) ++turns[*Next(All)];
  EXPECT_EQ(turns.size(), kMembers);
  EXPECT_EQ(ring_.memory_bytes(), 0u);
}

TEST_F(ProbeRingTest, WrapCountsAsACheck) {
  // Two nodes, one of them this one: the gap between probes is one or two ticks.
  Fill(2);
  const auto other = [](MemberIndex m) { return m == MemberIndex(1); };
  int probes = 0;
  int gap = 0;
  for (int tick = 0; tick < 300; ++tick) {
    if (Next(other)) {
      ++probes;
      gap = 0;
    } else {
      EXPECT_LE(++gap, 1);
    }
  }
  EXPECT_GT(probes, 150);
  EXPECT_LT(probes, 300);
}

TEST_F(ProbeRingTest, NoneEligibleEnds) {
  Fill(4);
  for (int i = 0; i < 10; ++i) EXPECT_FALSE(Next(None));
}

TEST_F(ProbeRingTest, PurgedMembersHaveNoTurnAndTheirRowsAreFree) {
  Fill(6);
  for (const std::uint32_t gone : {0u, 2u, 4u}) members_.table.Purge(MemberIndex(gone));
  ring_.Shuffle(rng_);
  EXPECT_EQ(Sorted(members_.Round()),
            (std::vector<MemberIndex>{MemberIndex(1), MemberIndex(3), MemberIndex(5)}));
  const MemberIndex back = members_.Add();
  EXPECT_LT(back.value(), 5u);
  ring_.Shuffle(rng_);
  const std::vector<MemberIndex> round = members_.Round();
  EXPECT_EQ(std::set<MemberIndex>(round.begin(), round.end()).size(), 4u);
}

TEST_F(ProbeRingTest, PickIsDistinctEligibleAndExhaustive) {
  Fill(50);
  std::vector<MemberIndex> picked;
  const auto few = [](MemberIndex m) { return m.value() >= 47; };
  for (int i = 0; i < 100; ++i) {
    ring_.Pick(3, rng_, picked, few);
    EXPECT_EQ(Sorted(picked),
              (std::vector<MemberIndex>{MemberIndex(47), MemberIndex(48), MemberIndex(49)}));
    ring_.Pick(5, rng_, picked, few);
    EXPECT_EQ(picked.size(), 3u) << "fewer if there are fewer";
    ring_.Pick(4, rng_, picked, All);
    EXPECT_EQ(std::set<MemberIndex>(picked.begin(), picked.end()).size(), 4u);
  }
  ring_.Pick(3, rng_, picked, None);
  EXPECT_TRUE(picked.empty());
  ring_.Pick(0, rng_, picked, All);
  EXPECT_TRUE(picked.empty());
}

TEST_F(ProbeRingTest, PickIsUniform) {
  Fill(40);
  // Twelve of forty eligible: both the draws and the pass over the ring take part.
  const auto some = [](MemberIndex m) { return m.value() < 12; };
  std::map<MemberIndex, int> times;
  std::vector<MemberIndex> picked;
  constexpr int kRounds = 12'000;
  for (int i = 0; i < kRounds; ++i) {
    ring_.Pick(3, rng_, picked, some);
    ASSERT_EQ(picked.size(), 3u);
    for (const MemberIndex m : picked) ++times[m];
  }
  for (const auto& [member, n] : times) EXPECT_NEAR(n, kRounds * 3 / 12, 250) << member.value();
}

}  // namespace
}  // namespace serf::swim
