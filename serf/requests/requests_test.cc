#include "serf/requests/requests.h"

#include <chrono>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "serf/base/time.h"
#include "serf/outbox.h"

namespace serf {
namespace {

using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr Instant kStart = Instant{} + std::chrono::hours(1);

class RequestsTest : public ::testing::Test {
 protected:
  // The requests that ended since the last call, as "7 ok".
  std::vector<std::string> Ended() {
    std::vector<std::string> ended;
    for (const Completion& done : out_.completions()) {
      const bool ok = done.status.ok();
      ended.push_back(absl::StrCat(done.request.value(), " ", ok ? "ok" : done.status.message()));
    }
    out_.Clear();
    return ended;
  }

  Requests requests_{seconds(5)};
  Outbox out_;
};

TEST_F(RequestsTest, LeavesEndTogetherAndOnce) {
  requests_.AddLeave(RequestId(1));
  requests_.AddLeave(RequestId(2));
  EXPECT_EQ(requests_.NextDeadline(), kNever) << "a leave has deadlines of its own";
  requests_.OnLeft(absl::OkStatus(), out_);
  EXPECT_THAT(Ended(), ElementsAre("1 ok", "2 ok"));
  requests_.OnLeft(absl::OkStatus(), out_);
  EXPECT_THAT(Ended(), IsEmpty());
}

TEST_F(RequestsTest, ARemovalEndsWithItsOwnIntent) {
  const Broadcasts::Token first = requests_.removal_token();
  requests_.AddRemoval(kStart, RequestId(1));
  const Broadcasts::Token second = requests_.removal_token();
  requests_.AddRemoval(kStart, RequestId(2));
  EXPECT_NE(first, Requests::kLeaveToken);
  EXPECT_NE(first, second);
  requests_.OnIntentSent(Requests::kLeaveToken, out_);
  EXPECT_THAT(Ended(), IsEmpty());
  requests_.OnIntentSent(second, out_);
  EXPECT_THAT(Ended(), ElementsAre("2 ok"));
  requests_.OnIntentSent(first, out_);
  EXPECT_THAT(Ended(), ElementsAre("1 ok"));
}

TEST_F(RequestsTest, WhatIsNotSentInTimeFails) {
  requests_.AddRemoval(kStart, RequestId(1));
  requests_.AddTagUpdate(kStart + seconds(1), RequestId(2));
  EXPECT_EQ(requests_.NextDeadline(), kStart + seconds(5));
  requests_.OnTimer(kStart + seconds(5) - Duration(1), out_);
  EXPECT_THAT(Ended(), IsEmpty());
  requests_.OnTimer(kStart + seconds(5), out_);
  EXPECT_THAT(Ended(), ElementsAre("1 timed out broadcasting node removal"));
  EXPECT_EQ(requests_.NextDeadline(), kStart + seconds(6));
  requests_.OnTimer(kStart + seconds(6), out_);
  EXPECT_THAT(Ended(), ElementsAre("2 timeout waiting for update broadcast"));
  EXPECT_EQ(requests_.NextDeadline(), kNever);
}

TEST_F(RequestsTest, AllChangesOfTagsEndWithTheLatest) {
  requests_.AddTagUpdate(kStart, RequestId(1));
  requests_.AddTagUpdate(kStart, RequestId(2));
  requests_.OnTagsSent(out_);
  EXPECT_THAT(Ended(), ElementsAre("1 ok", "2 ok"));
}

TEST_F(RequestsTest, AllAreCancelled) {
  requests_.joins().Push(RequestId(1), {}, {});
  ASSERT_NE(requests_.joins().StartNext(), nullptr);
  requests_.joins().Push(RequestId(2), {}, {});
  requests_.AddLeave(RequestId(3));
  requests_.AddRemoval(kStart, RequestId(4));
  requests_.AddTagUpdate(kStart, RequestId(5));
  requests_.Cancel(absl::CancelledError("over"), out_);
  EXPECT_THAT(Ended(), ElementsAre("1 over", "2 over", "3 over", "4 over", "5 over"));
  EXPECT_EQ(requests_.NextDeadline(), kNever);
  requests_.Cancel(absl::CancelledError("over"), out_);
  EXPECT_THAT(Ended(), IsEmpty());
}

}  // namespace
}  // namespace serf
