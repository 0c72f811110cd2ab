#include "serf/base/portion.h"

#include <cstddef>

#include "gtest/gtest.h"

namespace serf {
namespace {

TEST(Portion, IsSpentAndNeverOverdrawn) {
  Portion portion;
  EXPECT_EQ(portion.left(), Portion::kWhole);
  portion.Spend(Portion::kWhole - 1);
  EXPECT_FALSE(portion.empty());
  portion.Spend(100);
  EXPECT_TRUE(portion.empty());
  EXPECT_EQ(portion.left(), 0u);
}

TEST(Portion, APartIsNoLargerThanTheWhole) {
  Portion portion;
  EXPECT_EQ(portion.Part(100).left(), 100u);
  portion.Spend(Portion::kWhole - 10);
  EXPECT_EQ(portion.Part(100).left(), 10u);
  EXPECT_EQ(Portion::Unlimited().Part(100).left(), 100u);
}

TEST(Portion, TheUnlimitedOneLasts) {
  Portion all = Portion::Unlimited();
  for (int i = 0; i < 1000; ++i) all.Spend(std::size_t{1} << 40);
  EXPECT_FALSE(all.empty());
}

}  // namespace
}  // namespace serf
