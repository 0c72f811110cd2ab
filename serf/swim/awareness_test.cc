#include "serf/swim/awareness.h"

#include <chrono>

#include "gtest/gtest.h"

namespace serf::swim {
namespace {

using std::chrono::seconds;

TEST(Awareness, ClampsAndReportsChange) {
  Awareness health(8);
  EXPECT_EQ(health.score(), 0);
  EXPECT_FALSE(health.Apply(-1)) << "zero is the floor";
  EXPECT_FALSE(health.Apply(0));
  EXPECT_TRUE(health.Apply(3));
  EXPECT_EQ(health.score(), 3);
  EXPECT_TRUE(health.Apply(100));
  EXPECT_EQ(health.score(), 7) << "one below the multiplier is the ceiling";
  EXPECT_FALSE(health.Apply(1));
  EXPECT_TRUE(health.Apply(-1));
  EXPECT_EQ(health.score(), 6);
}

TEST(Awareness, ScalesByScorePlusOne) {
  Awareness health(8);
  EXPECT_EQ(health.Scale(seconds(1)), seconds(1));
  health.Apply(7);
  EXPECT_EQ(health.Scale(seconds(1)), seconds(8));
}

TEST(Awareness, MultiplierOneNeverDegrades) {
  Awareness health(1);
  EXPECT_FALSE(health.Apply(5));
  EXPECT_EQ(health.Scale(seconds(1)), seconds(1));
}

}  // namespace
}  // namespace serf::swim
