#include "serf/reconnect/reconnect_pace.h"

#include <algorithm>
#include <chrono>

#include "gtest/gtest.h"

namespace serf {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

int CountTries(std::size_t members, std::size_t failed, std::size_t left) {
  Rng rng(7);
  int tries = 0;
  for (int i = 0; i < 10000; ++i) {
    tries += static_cast<int>(ReconnectsInTurn(members, failed, left, rng));
  }
  return tries;
}

TEST(ReconnectTest, TriesInProportionToTheFailed) {
  EXPECT_NEAR(CountTries(110, 10, 0), 1000, 100);
  EXPECT_NEAR(CountTries(110, 10, 60), 2500, 150);
  EXPECT_EQ(CountTries(12, 6, 0), 10000);
  EXPECT_NEAR(CountTries(15, 9, 0), 15000, 150);
}

TEST(ReconnectTest, ANodeAloneAlwaysTries) {
  EXPECT_EQ(CountTries(2, 1, 0), 10000);
  EXPECT_EQ(CountTries(2, 1, 1), 10000);
  EXPECT_EQ(CountTries(3, 2, 0), 20000);
}

TEST(ReconnectTest, ATurnIsBounded) {
  EXPECT_EQ(CountTries(1001, 1000, 0), 10000 * static_cast<int>(kReconnectsPerTurn));
  EXPECT_EQ(CountTries(1001, 0, 1000), 0);
}

TEST(ReconnectTest, PausesDoubleUpToAQuarterOfTheIntervalAndBeginAnew) {
  Rng rng(1);
  ReconnectPace pace(seconds(32));
  const auto expect_near = [](Duration pause, Duration wanted) {
    EXPECT_GE(pause, wanted - wanted / 8);
    EXPECT_LT(pause, wanted + wanted / 8);
  };
  for (const int wanted : {1, 2, 4, 8, 8, 8}) expect_near(pace.Next(rng), seconds(wanted));
  pace.Reset();
  for (const int wanted : {1, 2}) expect_near(pace.Next(rng), seconds(wanted));
}

TEST(ReconnectTest, PausesAreJitteredByAnEighth) {
  Rng rng(1);
  ReconnectPace pace(seconds(32));
  Duration least = seconds(32);
  Duration most{};
  for (int i = 0; i < 1000; ++i) {
    pace.Reset();
    const Duration pause = pace.Next(rng);
    least = std::min(least, pause);
    most = std::max(most, pause);
  }
  EXPECT_LT(least, milliseconds(890));
  EXPECT_GT(most, milliseconds(1110));
}

// A pause of zero would be a busy loop.
TEST(ReconnectTest, APauseIsNeverZero) {
  Rng rng(1);
  ReconnectPace pace(Duration(1));
  for (int i = 0; i < 5; ++i) EXPECT_GT(pace.Next(rng), Duration::zero());
}

}  // namespace
}  // namespace serf
