#include "serf/base/rng.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <numeric>
#include <set>
#include <vector>

#include "gtest/gtest.h"

namespace serf {
namespace {

// From the reference implementations of SplitMix64 and xoshiro256++: replay by seed depends on
// these numbers, so they must never change.
TEST(RngTest, GivesItsFixedSequence) {
  Rng rng(0);
  EXPECT_EQ(rng.Next(), 0x53175d61490b23dfu);
  EXPECT_EQ(rng.Next(), 0x61da6f3dc380d507u);
  EXPECT_EQ(rng.Next(), 0x5c0fdf91ec9a7bfcu);
}

TEST(RngTest, EqualSeedsGiveEqualSequences) {
  Rng a(42);
  Rng b(42);
  Rng c(43);
  bool differs = false;
  for (int i = 0; i < 100; ++i) {
    const std::uint64_t value = a.Next();
    EXPECT_EQ(value, b.Next());
    differs |= value != c.Next();
  }
  EXPECT_TRUE(differs);
}

TEST(RngTest, BelowIsUniform) {
  Rng rng(1);
  constexpr std::uint64_t kBound = 7;
  std::array<int, kBound> counts{};
  for (int i = 0; i < 70000; ++i) ++counts[rng.Below(kBound)];
  for (const int count : counts) EXPECT_NEAR(count, 10000, 500);
}

TEST(RngTest, BelowStaysBelow) {
  Rng rng(2);
  EXPECT_EQ(rng.Below(std::uint64_t{1}), 0u);
  constexpr std::uint64_t kHuge = (std::uint64_t{1} << 63) + 1;
  for (int i = 0; i < 1000; ++i) EXPECT_LT(rng.Below(kHuge), kHuge);
}

TEST(RngTest, DurationBelow) {
  Rng rng(3);
  EXPECT_EQ(rng.Below(Duration::zero()), Duration::zero());
  EXPECT_EQ(rng.Below(Duration(-5)), Duration::zero());
  for (int i = 0; i < 1000; ++i) {
    const Duration d = rng.Below(Duration(10));
    EXPECT_GE(d, Duration::zero());
    EXPECT_LT(d, Duration(10));
  }
}

TEST(RngTest, DoublesAreInTheUnitInterval) {
  Rng rng(4);
  double sum = 0;
  for (int i = 0; i < 10000; ++i) {
    const double d = rng.NextDouble();
    ASSERT_GE(d, 0.0);
    ASSERT_LT(d, 1.0);
    sum += d;
  }
  EXPECT_NEAR(sum / 10000, 0.5, 0.02);
}

TEST(RngTest, ShufflesAllPermutations) {
  Rng rng(5);
  std::set<std::vector<int>> seen;
  for (int i = 0; i < 2000; ++i) {
    std::vector<int> items(4);
    std::iota(items.begin(), items.end(), 0);
    rng.Shuffle(items);
    seen.insert(items);
  }
  EXPECT_EQ(seen.size(), 24u);
  std::vector<int> none;
  rng.Shuffle(none);
}

}  // namespace
}  // namespace serf
