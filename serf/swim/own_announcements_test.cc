#include "serf/swim/own_announcements.h"

#include "gtest/gtest.h"

namespace serf::swim {
namespace {

TEST(OwnAnnouncementsTest, WithoutCompanyEverythingIsOutAtOnce) {
  OwnAnnouncements own;
  EXPECT_EQ(own.BeginUpdate(/*has_company=*/false), 0u);
  EXPECT_TRUE(own.TakeUpdate());
  EXPECT_FALSE(own.TakeUpdate());
  EXPECT_EQ(own.BeginLeave(/*has_company=*/false), 0u);
  EXPECT_TRUE(own.TakeLeave());
  EXPECT_FALSE(own.TakeLeave());
}

TEST(OwnAnnouncementsTest, ADepartureIsOutWhenItsMessageIsFinished) {
  OwnAnnouncements own;
  const auto leave = own.BeginLeave(/*has_company=*/true);
  EXPECT_EQ(own.leave(), leave);
  own.OnFinished(leave + 1);
  EXPECT_FALSE(own.TakeLeave());
  own.OnFinished(leave);
  EXPECT_TRUE(own.TakeLeave());
  EXPECT_EQ(own.leave(), 0u);
  own.OnFinished(0);  // a message that nobody waits for
  EXPECT_FALSE(own.TakeLeave());
}

TEST(OwnAnnouncementsTest, EachUpdateIsReportedOnce) {
  OwnAnnouncements own;
  const auto first = own.BeginUpdate(/*has_company=*/true);
  const auto second = own.BeginUpdate(/*has_company=*/true);  // replaces the first
  EXPECT_NE(first, second);
  EXPECT_TRUE(own.TakeUpdate());
  own.OnFinished(first);
  EXPECT_FALSE(own.TakeUpdate());
  own.OnFinished(second);
  EXPECT_TRUE(own.TakeUpdate());
}

TEST(OwnAnnouncementsTest, ARefutationTakesOverTheWait) {
  OwnAnnouncements own;
  EXPECT_EQ(own.BeginRefutation(), 0u);
  const auto update = own.BeginUpdate(/*has_company=*/true);
  const auto refutation = own.BeginRefutation();
  EXPECT_NE(refutation, update);
  own.OnFinished(update);
  EXPECT_FALSE(own.TakeUpdate());
  own.OnFinished(refutation);
  EXPECT_TRUE(own.TakeUpdate());
}

}  // namespace
}  // namespace serf::swim
