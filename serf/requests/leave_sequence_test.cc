#include "serf/requests/leave_sequence.h"

#include <chrono>

#include "gtest/gtest.h"

namespace serf {
namespace {

using std::chrono::seconds;
using Step = LeaveSequence::Step;

constexpr Instant kStart = Instant{} + seconds(10);

TEST(LeaveSequenceTest, EachStepFollowsTheNewsOfTheOneBefore) {
  LeaveSequence leave(seconds(5), seconds(1));
  EXPECT_EQ(leave.NextDeadline(), kNever);
  EXPECT_EQ(leave.Begin(kStart, true).step, Step::kNone);
  EXPECT_EQ(leave.NextDeadline(), kStart + seconds(5));
  EXPECT_EQ(leave.OnTimer(kStart + seconds(1)).step, Step::kNone);
  const LeaveSequence::Next next = leave.OnIntentSent(kStart + seconds(1));
  EXPECT_EQ(next.step, Step::kLeaveSwim);
  EXPECT_FALSE(next.timed_out);
  EXPECT_EQ(leave.NextDeadline(), kStart + seconds(6));
  EXPECT_EQ(leave.OnSwimLeft(kStart + seconds(2)).step, Step::kNone);
  EXPECT_EQ(leave.NextDeadline(), kStart + seconds(3));
  EXPECT_EQ(leave.OnTimer(kStart + seconds(3)).step, Step::kLeft);
  EXPECT_EQ(leave.NextDeadline(), kNever);
}

TEST(LeaveSequenceTest, TheIntentTravelsAloneForAWhile) {
  LeaveSequence leave(seconds(5), seconds(1), seconds(2));
  leave.Begin(kStart, true);
  EXPECT_EQ(leave.OnIntentSent(kStart + seconds(1)).step, Step::kNone);
  EXPECT_EQ(leave.NextDeadline(), kStart + seconds(3));
  EXPECT_EQ(leave.OnTimer(kStart + seconds(2)).step, Step::kNone);
  const LeaveSequence::Next next = leave.OnTimer(kStart + seconds(3));
  EXPECT_EQ(next.step, Step::kLeaveSwim);
  EXPECT_FALSE(next.timed_out);
}

TEST(LeaveSequenceTest, NobodyToTell) {
  LeaveSequence leave(seconds(5), seconds(1));
  EXPECT_EQ(leave.Begin(kStart, false).step, Step::kLeaveSwim);
  leave.OnSwimLeft(kStart);
  EXPECT_EQ(leave.NextDeadline(), kStart + seconds(1));
}

TEST(LeaveSequenceTest, GoesOnWhenNothingCanBeSentAndEndsAfterElevenSeconds) {
  LeaveSequence leave(seconds(5), seconds(1));
  leave.Begin(kStart, true);
  LeaveSequence::Next next = leave.OnTimer(kStart + seconds(5));
  EXPECT_EQ(next.step, Step::kLeaveSwim);
  EXPECT_TRUE(next.timed_out);
  next = leave.OnTimer(kStart + seconds(10));
  EXPECT_EQ(next.step, Step::kNone);
  EXPECT_TRUE(next.timed_out);
  EXPECT_EQ(leave.OnTimer(kStart + seconds(11) - Duration(1)).step, Step::kNone);
  EXPECT_EQ(leave.OnTimer(kStart + seconds(11)).step, Step::kLeft);
}

TEST(LeaveSequenceTest, LateNewsChangesNothing) {
  LeaveSequence leave(seconds(5), seconds(1));
  leave.Begin(kStart, true);
  leave.OnTimer(kStart + seconds(5));
  EXPECT_EQ(leave.OnIntentSent(kStart + seconds(6)).step, Step::kNone);
  leave.OnTimer(kStart + seconds(10));
  EXPECT_EQ(leave.OnSwimLeft(kStart + seconds(10)).step, Step::kNone);
  EXPECT_EQ(leave.NextDeadline(), kStart + seconds(11));
}

}  // namespace
}  // namespace serf
