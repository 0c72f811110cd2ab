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
  const JoinId id = joins.Start({Target(1), Target(2)});
  EXPECT_TRUE(joins.active());
  std::optional<Joins::Attempt> attempt = joins.NextAttempt();
  ASSERT_TRUE(attempt.has_value());
  EXPECT_EQ(attempt->id, id);
  EXPECT_EQ(attempt->to, Target(1).endpoint);
  EXPECT_FALSE(joins.NextAttempt().has_value());
  EXPECT_EQ(joins.OnAttemptEnded(id, absl::UnavailableError("no route")),
            "Failed to join 10.0.0.1:7946: no route");
  attempt = joins.NextAttempt();
  ASSERT_TRUE(attempt.has_value());
  EXPECT_EQ(attempt->to, Target(2).endpoint);
  EXPECT_THAT(joins.TakeDone(), IsEmpty());
  EXPECT_EQ(joins.OnAttemptEnded(id, absl::OkStatus()), "");
  EXPECT_FALSE(joins.NextAttempt().has_value());
  EXPECT_FALSE(joins.active());
  const std::vector<Joins::Done> done = joins.TakeDone();
  ASSERT_EQ(done.size(), 1u);
  EXPECT_EQ(done[0].id, id);
  EXPECT_EQ(done[0].contacted, 1);
  EXPECT_THAT(done[0].errors, ElementsAre("Failed to join 10.0.0.1:7946: no route"));
  EXPECT_THAT(joins.TakeDone(), IsEmpty());
}

TEST(JoinsTest, RequestsRunSideBySide) {
  Joins joins;
  const JoinId first = joins.Start({Target(1)});
  const JoinId empty = joins.Start({});
  const JoinId third = joins.Start({Target(3)});
  EXPECT_EQ(joins.NextAttempt()->id, first);
  EXPECT_EQ(joins.NextAttempt()->id, third);
  EXPECT_FALSE(joins.NextAttempt().has_value());
  joins.OnAttemptEnded(JoinId(9), absl::OkStatus());  // nobody's
  joins.OnAttemptEnded(third, absl::OkStatus());
  EXPECT_FALSE(joins.NextAttempt().has_value());
  const std::vector<Joins::Done> done = joins.TakeDone();
  ASSERT_EQ(done.size(), 2u);
  EXPECT_EQ(done[0].id, empty);
  EXPECT_EQ(done[1].id, third);
  EXPECT_TRUE(joins.active());
}

}  // namespace
}  // namespace serf::swim
