#include "serf/reconnect.h"

#include <algorithm>
#include <chrono>

#include "gtest/gtest.h"

namespace serf {
namespace {

int CountTries(std::size_t members, std::size_t failed, std::size_t left) {
  Rng rng(7);
  int tries = 0;
  for (int i = 0; i < 10000; ++i) tries += ShouldReconnect(members, failed, left, rng);
  return tries;
}

TEST(ReconnectTest, TriesInProportionToTheFailed) {
  EXPECT_NEAR(CountTries(110, 10, 0), 1000, 100);
  EXPECT_NEAR(CountTries(110, 10, 60), 2500, 150);
  EXPECT_EQ(CountTries(12, 6, 0), 10000);
}

TEST(ReconnectTest, ANodeAloneAlwaysTries) {
  EXPECT_EQ(CountTries(2, 1, 0), 10000);
  EXPECT_EQ(CountTries(2, 1, 1), 10000);
}

TEST(ReconnectTest, TheIntervalIsJitteredByAnEighth) {
  Rng rng(1);
  const Duration interval = std::chrono::seconds(30);
  const Instant now = Instant{} + std::chrono::hours(1);
  Instant least = kNever;
  Instant most = now;
  for (int i = 0; i < 1000; ++i) {
    const Instant next = NextReconnect(now, interval, rng);
    least = std::min(least, next);
    most = std::max(most, next);
  }
  EXPECT_GE(least, now + interval * 7 / 8);
  EXPECT_LT(least, now + interval * 8 / 9);
  EXPECT_LT(most, now + interval * 9 / 8);
  EXPECT_GT(most, now + interval * 10 / 9);
}

}  // namespace
}  // namespace serf
