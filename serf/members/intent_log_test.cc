#include "serf/members/intent_log.h"

#include <chrono>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

namespace serf {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using wire::LamportTime;

constexpr Instant kStart{};

TEST(IntentLogTest, KeepsTheNewestWhateverItsKind) {
  IntentLog log;
  EXPECT_EQ(log.Find("x"), nullptr);
  EXPECT_TRUE(log.Upsert(kStart, "x", IntentKind::kJoin, LamportTime(5)));
  EXPECT_FALSE(log.Upsert(kStart, "x", IntentKind::kLeave, LamportTime(5)));
  EXPECT_FALSE(log.Upsert(kStart, "x", IntentKind::kLeave, LamportTime(4)));
  EXPECT_EQ(log.Find("x")->kind, IntentKind::kJoin);
  EXPECT_TRUE(log.Upsert(kStart + minutes(1), "x", IntentKind::kLeave, LamportTime(6)));
  EXPECT_EQ(log.Find("x")->kind, IntentKind::kLeave);
  EXPECT_EQ(log.Find("x")->time, LamportTime(6));
  EXPECT_EQ(log.Find("x")->arrived, kStart + minutes(1));
  EXPECT_EQ(log.size(), 1u);
}

TEST(IntentLogTest, AnIntentAtTimeZeroIsNew) {
  IntentLog log;
  EXPECT_TRUE(log.Upsert(kStart, "x", IntentKind::kJoin, LamportTime(0)));
  EXPECT_FALSE(log.Upsert(kStart, "x", IntentKind::kJoin, LamportTime(0)));
}

TEST(IntentLogTest, ForgetsByAgeOnlyAndPrunedNamesLater) {
  IntentLog log;
  log.Upsert(kStart, "old", IntentKind::kJoin, LamportTime(1));
  log.Upsert(kStart + minutes(1), "young", IntentKind::kLeave, LamportTime(1));
  log.Upsert(kStart, "pruned", IntentKind::kPruned, LamportTime(1));
  log.Expire(kStart + minutes(5), minutes(5), hours(24));
  EXPECT_EQ(log.size(), 3u);
  log.Expire(kStart + minutes(5) + Duration(1), minutes(5), hours(24));
  EXPECT_EQ(log.Find("old"), nullptr);
  EXPECT_NE(log.Find("young"), nullptr);
  log.Expire(kStart + hours(24), minutes(5), hours(24));
  EXPECT_NE(log.Find("pruned"), nullptr);
  log.Expire(kStart + hours(24) + Duration(1), minutes(5), hours(24));
  EXPECT_EQ(log.size(), 0u);
}

TEST(IntentLogTest, IsBounded) {
  IntentLog log;
  for (std::size_t i = 0; i < IntentLog::kIntentsMax; ++i) {
    ASSERT_TRUE(log.Upsert(kStart, absl::StrCat("n", i), IntentKind::kLeave, LamportTime(1)));
  }
  EXPECT_FALSE(log.Upsert(kStart, "one more", IntentKind::kLeave, LamportTime(1)));
  EXPECT_EQ(log.overflows(), 1u);
  EXPECT_TRUE(log.Upsert(kStart, "n0", IntentKind::kLeave, LamportTime(2)));
  EXPECT_EQ(log.size(), IntentLog::kIntentsMax);
}

}  // namespace
}  // namespace serf
