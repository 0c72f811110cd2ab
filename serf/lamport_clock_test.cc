#include "serf/lamport_clock.h"

#include <cstdint>
#include <limits>

#include "gtest/gtest.h"

namespace serf {
namespace {

using wire::LamportTime;

TEST(LamportClockTest, StartsAtOneOrAfterWhatIsRecovered) {
  EXPECT_EQ(LamportClock().time(), LamportTime(1));
  EXPECT_EQ(LamportClock(LamportTime(0)).time(), LamportTime(1));
  EXPECT_EQ(LamportClock(LamportTime(1)).time(), LamportTime(2));
  EXPECT_EQ(LamportClock(LamportTime(41)).time(), LamportTime(42));
}

TEST(LamportClockTest, TakeNeverGivesATimeTwice) {
  LamportClock clock;
  EXPECT_EQ(clock.Take(), LamportTime(1));
  EXPECT_EQ(clock.Take(), LamportTime(2));
  EXPECT_EQ(clock.time(), LamportTime(3));
}

TEST(LamportClockTest, WitnessMovesPastWhatIsSeen) {
  LamportClock clock;
  clock.Witness(LamportTime(0));
  EXPECT_EQ(clock.time(), LamportTime(1));
  clock.Witness(LamportTime(1));
  EXPECT_EQ(clock.time(), LamportTime(2));
  clock.Witness(LamportTime(10));
  EXPECT_EQ(clock.time(), LamportTime(11));
  clock.Witness(LamportTime(9));
  EXPECT_EQ(clock.time(), LamportTime(11));
}

TEST(LamportClockTest, SaturatesInsteadOfWrapping) {
  constexpr std::uint64_t kLast = std::numeric_limits<std::uint64_t>::max();
  LamportClock clock;
  clock.Witness(LamportTime(kLast));
  EXPECT_EQ(clock.time(), LamportTime(kLast));
  EXPECT_EQ(clock.Take(), LamportTime(kLast));
  EXPECT_EQ(clock.time(), LamportTime(kLast));
  clock.Witness(LamportTime(kLast - 1));
  EXPECT_EQ(clock.time(), LamportTime(kLast));
}

TEST(LamportClockTest, OnlyAbsurdJumpsAreImplausible) {
  const LamportClock fresh;
  EXPECT_TRUE(fresh.Plausible(LamportTime(0)));
  EXPECT_TRUE(fresh.Plausible(LamportTime(1'000'000'000)));
  EXPECT_TRUE(fresh.Plausible(LamportTime(1 + LamportClock::kJumpMax)));
  EXPECT_FALSE(fresh.Plausible(LamportTime(2 + LamportClock::kJumpMax)));
  EXPECT_FALSE(fresh.Plausible(LamportTime(std::numeric_limits<std::uint64_t>::max())));
  EXPECT_FALSE(fresh.Plausible(LamportTime(std::numeric_limits<std::uint64_t>::max() - 1)));
}

}  // namespace
}  // namespace serf
