#include "serf/swim/joins.h"

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace serf::swim {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

JoinTarget Target(std::uint8_t i) { return {"x", {IpAddress::V4(10, 0, 0, i), 7946}}; }

TEST(JoinsTest, TargetsOfARequestComeOneAfterTheOther) {
  Joins joins;
  EXPECT_FALSE(joins.active());
  joins.Start(RequestId(7), {Target(1), Target(2)});
  EXPECT_TRUE(joins.active());
  std::optional<Joins::Attempt> attempt = joins.NextAttempt();
  ASSERT_TRUE(attempt.has_value());
  EXPECT_EQ(attempt->id, RequestId(7));
  EXPECT_EQ(attempt->to, Target(1).endpoint);
  EXPECT_FALSE(joins.NextAttempt().has_value());
  EXPECT_EQ(joins.OnAttemptEnded(RequestId(7), absl::UnavailableError("no route")),
            "Failed to join 10.0.0.1:7946: no route");
  attempt = joins.NextAttempt();
  ASSERT_TRUE(attempt.has_value());
  EXPECT_EQ(attempt->to, Target(2).endpoint);
  EXPECT_THAT(joins.TakeDone(), IsEmpty());
  EXPECT_EQ(joins.OnAttemptEnded(RequestId(7), absl::OkStatus()), "");
  EXPECT_FALSE(joins.NextAttempt().has_value());
  EXPECT_FALSE(joins.active());
  const std::vector<Joins::Done> done = joins.TakeDone();
  ASSERT_EQ(done.size(), 1u);
  EXPECT_EQ(done[0].id, RequestId(7));
  EXPECT_EQ(done[0].result.contacted, 1);
  EXPECT_THAT(done[0].result.errors, ElementsAre("Failed to join 10.0.0.1:7946: no route"));
  EXPECT_THAT(joins.TakeDone(), IsEmpty());
}

TEST(JoinsTest, RequestsRunSideBySide) {
  Joins joins;
  joins.Start(RequestId(1), {Target(1)});
  joins.Start(RequestId(2), {});
  joins.Start(RequestId(3), {Target(3)});
  EXPECT_EQ(joins.NextAttempt()->id, RequestId(1));
  EXPECT_EQ(joins.NextAttempt()->id, RequestId(3));
  EXPECT_FALSE(joins.NextAttempt().has_value());
  joins.OnAttemptEnded(RequestId(9), absl::OkStatus());  // nobody's
  joins.OnAttemptEnded(RequestId(3), absl::OkStatus());
  EXPECT_FALSE(joins.NextAttempt().has_value());
  const std::vector<Joins::Done> done = joins.TakeDone();
  ASSERT_EQ(done.size(), 2u);
  EXPECT_EQ(done[0].id, RequestId(2));
  EXPECT_EQ(done[1].id, RequestId(3));
  EXPECT_TRUE(joins.active());
}

}  // namespace
}  // namespace serf::swim
