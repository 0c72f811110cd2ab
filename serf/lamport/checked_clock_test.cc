#include "serf/lamport/checked_clock.h"

#include <chrono>
#include <cstdint>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "serf/counters.h"
#include "serf/testing/node/line_logger.h"

namespace serf {
namespace {

using std::chrono::milliseconds;
using ::testing::ElementsAre;
using ::testing::SizeIs;
using wire::LamportTime;

constexpr std::uint64_t kFar = LamportClock::kCeiling + (std::uint64_t{1} << 40);

class CheckedClockTest : public ::testing::Test {
 protected:
  testkit::LineLogger log_;
  Counters counters_;
  CheckedClock clock_{"queries", &log_, counters_};
  Instant now_ = Instant() + std::chrono::hours(1);
};

TEST_F(CheckedClockTest, RefusalsAreCountedAndLoggedOnceASecond) {
  for (int i = 0; i < 100; ++i) {
    EXPECT_FALSE(clock_.Witness(now_ + milliseconds(10 * i), LamportTime(kFar)));
  }
  EXPECT_EQ(counters_.dropped_time, 100u);
  EXPECT_THAT(log_.lines(),
              ElementsAre(absl::StrCat("[WARN] serf: Ignoring a Lamport time of queries that is "
                                       "too far ahead: ",
                                       kFar, " (current: 1)")));
  EXPECT_FALSE(clock_.Witness(now_ + milliseconds(1000), LamportTime(kFar)));
  EXPECT_THAT(log_.lines(), SizeIs(2));
}

TEST_F(CheckedClockTest, APeersClockIsOneAheadOfWhatItHasGiven) {
  clock_.OnPeerClock(now_, LamportTime(0), false);
  clock_.OnPeerClock(now_, LamportTime(1), false);
  EXPECT_EQ(clock_.time(), LamportTime(1));
  clock_.OnPeerClock(now_, LamportTime(8), false);
  EXPECT_EQ(clock_.time(), LamportTime(8));
  EXPECT_EQ(counters_.dropped_time, 0u);
}

TEST_F(CheckedClockTest, OnlyAnAdoptedClockMayBeBeyondTheCeilingAtOnce) {
  clock_.OnPeerClock(now_, LamportTime(kFar + 1), false);
  EXPECT_GT(clock_.time().value(), LamportClock::kCeiling) << "as near as it may";
  EXPECT_LT(clock_.time().value(), kFar);
  EXPECT_EQ(counters_.dropped_time, 1u);
  clock_.OnPeerClock(now_, LamportTime(kFar + 1), true);
  EXPECT_EQ(clock_.time(), LamportTime(kFar + 1));
}

TEST_F(CheckedClockTest, AnEntryMovesNothing) {
  clock_.OnPeerClock(now_, LamportTime(8), false);
  EXPECT_TRUE(clock_.IsPast(now_, LamportTime(7)));
  EXPECT_FALSE(clock_.IsPast(now_, LamportTime(8)));
  EXPECT_EQ(clock_.time(), LamportTime(8));
  EXPECT_EQ(counters_.dropped_time, 1u);
}

// A file that an older release, or Go Serf, wrote at the end of the numbers.
TEST_F(CheckedClockTest, AFileThatEndsTheNumbersIsNotBelieved) {
  clock_.Restore(LamportTime(~std::uint64_t{0}));
  EXPECT_EQ(clock_.time(), LamportTime(1));
  EXPECT_EQ(counters_.dropped_time, 1u);
  clock_.Restore(LamportTime(kFar));
  EXPECT_EQ(clock_.time(), LamportTime(kFar + 1));
}

}  // namespace
}  // namespace serf
