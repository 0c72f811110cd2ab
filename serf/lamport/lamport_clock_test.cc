#include "serf/lamport/lamport_clock.h"

#include <chrono>
#include <cstdint>
#include <limits>

#include "gtest/gtest.h"

namespace serf {
namespace {

using std::chrono::seconds;
using wire::LamportTime;

constexpr std::uint64_t kLast = std::numeric_limits<std::uint64_t>::max();
constexpr std::uint64_t kCeiling = LamportClock::kCeiling;
constexpr std::uint64_t kSaved = LamportClock::kStepsPerSecond * 60;

constexpr Instant At(std::int64_t second) { return Instant() + seconds(1000 + second); }

LamportClock ClockAt(std::uint64_t time) {
  LamportClock clock;
  EXPECT_TRUE(clock.Adopt(LamportTime(time - 1)));
  return clock;
}

TEST(LamportClockTest, TakeNeverGivesATimeTwice) {
  LamportClock clock;
  EXPECT_EQ(clock.Take(), LamportTime(1));
  EXPECT_EQ(clock.Take(), LamportTime(2));
  EXPECT_EQ(clock.time(), LamportTime(3));
}

TEST(LamportClockTest, MovesPastWhatIsSeen) {
  LamportClock clock;
  const struct {
    std::uint64_t seen;
    std::uint64_t after;
  } kCases[] = {{0, 1}, {1, 2}, {10, 11}, {9, 11}, {11, 12}};
  for (const auto& c : kCases) {
    EXPECT_TRUE(clock.Witness(At(0), LamportTime(c.seen)));
    EXPECT_EQ(clock.time(), LamportTime(c.after)) << c.seen;
  }
  EXPECT_TRUE(clock.IsPast(LamportTime(11)));
  EXPECT_FALSE(clock.IsPast(LamportTime(12)));
}

// All others are far ahead of a node that starts late.
TEST(LamportClockTest, FollowsAnyJumpUpToTheCeiling) {
  for (const std::uint64_t seen : {std::uint64_t{1} << 40, (std::uint64_t{1} << 40) + 2,
                                   std::uint64_t{1} << 62, std::uint64_t{1} << 63, kCeiling - 1}) {
    LamportClock clock;
    EXPECT_TRUE(clock.Witness(At(0), LamportTime(seen)));
    EXPECT_EQ(clock.time(), LamportTime(seen + 1));
    EXPECT_TRUE(clock.Witness(At(0), LamportTime(5))) << "an old time is none to refuse";
  }
}

TEST(LamportClockTest, BeyondTheCeilingItMovesAtARateAndSavesUp) {
  LamportClock clock;
  EXPECT_FALSE(clock.Witness(At(0), LamportTime(kCeiling + 2 * kSaved)));
  EXPECT_EQ(clock.time(), LamportTime(1)) << "what is refused does nothing";
  EXPECT_TRUE(clock.Witness(At(0), LamportTime(kCeiling + kSaved - 1)));
  EXPECT_FALSE(clock.Witness(At(0), LamportTime(kCeiling + kSaved)));
  EXPECT_FALSE(clock.Witness(At(1), LamportTime(kCeiling + kSaved + 4100)));
  EXPECT_TRUE(clock.Witness(At(1), LamportTime(kCeiling + kSaved + 4000)));
  // A clock saves up no more than the steps of a minute.
  EXPECT_FALSE(clock.Witness(At(100'000), LamportTime(kCeiling + kSaved + 4100 + 2 * kSaved)));
  EXPECT_TRUE(clock.Witness(At(100'000), LamportTime(kCeiling + 2 * kSaved)));
}

// In ordinary operation times come one by one.
TEST(LamportClockTest, OrdinaryLifeGoesOnBeyondTheCeiling) {
  LamportClock clock = ClockAt(kCeiling + 7);
  for (std::uint64_t i = 0; i < 100'000; ++i) {
    ASSERT_TRUE(clock.Witness(At(0), LamportTime(kCeiling + 7 + i)));
  }
  EXPECT_EQ(clock.Take(), LamportTime(kCeiling + 100'007));
}

TEST(LamportClockTest, WhoWasLeftBehindCatchesUpByFollowing) {
  LamportClock behind;
  const LamportTime cluster(kCeiling + 10 * kSaved);
  int turns = 0;
  for (; !behind.Follow(At(60 * turns), cluster); ++turns) {
    ASSERT_LT(turns, 100);
    EXPECT_LE(behind.time().value(), cluster.value());
  }
  EXPECT_EQ(turns, 10) << "a push/pull each minute";
  EXPECT_EQ(behind.time(), LamportTime(cluster.value() + 1));
}

TEST(LamportClockTest, WhatIsTrustedIsAdopted) {
  LamportClock clock;
  EXPECT_TRUE(clock.Adopt(LamportTime(0)));
  EXPECT_EQ(clock.time(), LamportTime(1));
  EXPECT_TRUE(clock.Adopt(LamportTime(kCeiling + (std::uint64_t{1} << 43))));
  EXPECT_EQ(clock.time(), LamportTime(kCeiling + (std::uint64_t{1} << 43) + 1));
}

// At the last time no message is newer than another, so a clock never moves there.
TEST(LamportClockTest, NobodyIsBroughtToTheEndOfTheNumbers) {
  for (std::uint64_t back = 0; back < std::uint64_t{1} << 32; back = 2 * back + 1) {
    LamportClock clock;
    const LamportTime seen(kLast - back);
    EXPECT_FALSE(clock.Adopt(seen));
    EXPECT_FALSE(clock.Witness(At(0), seen));
    EXPECT_FALSE(clock.Follow(At(0), seen));
    EXPECT_EQ(clock.time(), LamportTime(1)) << back;
  }
}

// A flood at the highest rate, for a year.
TEST(LamportClockTest, AFloodDoesNotReachTheEnd) {
  LamportClock clock = ClockAt(kCeiling);
  constexpr std::int64_t kMinutes = 365 * 24 * 60;
  for (std::int64_t minute = 0; minute < kMinutes; ++minute) {
    clock.Follow(At(60 * minute), LamportTime(kCeiling + (std::uint64_t{1} << 43)));
  }
  EXPECT_LT(clock.time().value() - kCeiling, (kLast - kCeiling) / 100);
}

TEST(LamportClockTest, TakeSaturatesInsteadOfWrapping) {
  LamportClock clock = ClockAt(LamportClock::kAdoptMax);
  // The last steps, one by one.
  LamportClock last = clock;
  std::uint64_t left = kLast - clock.time().value();
  EXPECT_EQ(left, (std::uint64_t{1} << 32) - 1);
  for (int i = 0; i < 1000; ++i) last.Take();
  EXPECT_EQ(last.time(), LamportTime(clock.time().value() + 1000));
}

}  // namespace
}  // namespace serf
