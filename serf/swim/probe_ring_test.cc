#include "serf/swim/probe_ring.h"

#include <algorithm>
#include <map>
#include <set>
#include <vector>

#include "gtest/gtest.h"

namespace serf::swim {
namespace {

bool All(MemberIndex) { return true; }
bool None(MemberIndex) { return false; }

std::vector<MemberIndex> Sorted(std::vector<MemberIndex> list) {
  std::sort(list.begin(), list.end());
  return list;
}

class ProbeRingTest : public testing::Test {
 protected:
  void Fill(std::uint32_t n) {
    for (std::uint32_t i = 0; i < n; ++i) ring_.Insert(MemberIndex(i), rng_);
  }
  void Wrap() {
    ++wraps_;
    ring_.PurgeAndShuffle(None, rng_);
  }
  template <typename Eligible>
  std::optional<MemberIndex> Next(Eligible&& eligible) {
    return ring_.Next(eligible, [this] { Wrap(); });
  }

  Rng rng_{1};
  ProbeRing ring_;
  int wraps_ = 0;
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

TEST_F(ProbeRingTest, InsertionPlacesAreRandom) {
  // A newcomer is never last (unless it is the only one), else anywhere.
  std::map<std::size_t, int> places;
  for (std::uint64_t seed = 0; seed < 1000; ++seed) {
    Rng rng(seed);
    ProbeRing ring;
    for (std::uint32_t i = 0; i < 5; ++i) ring.Insert(MemberIndex(i), rng);
    const auto& m = ring.members();
    ++places[std::find(m.begin(), m.end(), MemberIndex(4)) - m.begin()];
  }
  EXPECT_EQ(places.size(), 4u);
  EXPECT_EQ(places.count(4), 0u);
  for (const auto& [place, times] : places) EXPECT_GT(times, 180) << place;
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

TEST_F(ProbeRingTest, PurgeTakesOutAndKeepsTheRest) {
  Fill(6);
  ring_.PurgeAndShuffle([](MemberIndex m) { return m.value() % 2 == 0; }, rng_);
  EXPECT_EQ(Sorted(ring_.members()),
            (std::vector<MemberIndex>{MemberIndex(1), MemberIndex(3), MemberIndex(5)}));
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
