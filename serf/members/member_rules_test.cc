#include "serf/members/member_rules.h"

#include <chrono>
#include <optional>
#include <string>

#include "gtest/gtest.h"

namespace serf {
namespace {

using wire::LamportTime;
using enum MemberStatus;

// docs/protocol/serf.md appendix A: one input applied to a member whose status time is 10.
constexpr LamportTime kTime(10);

MemberRecord At(MemberStatus status, std::uint64_t time = 10) {
  return {status, LamportTime(time)};
}

struct IntentCase {
  std::string name;
  MemberStatus before;
  bool leave;
  bool prune;
  std::uint64_t time;
  bool rebroadcast;
  MemberStatus after;
  std::uint64_t time_after;
  bool forced_leave = false;
  bool prune_after = false;
};

class IntentTableTest : public testing::TestWithParam<IntentCase> {};

TEST_P(IntentTableTest, AppendixA) {
  const IntentCase& c = GetParam();
  const IntentEffect effect =
      c.leave ? OnLeaveIntent(At(c.before), LamportTime(c.time), c.prune, /*living_self=*/false)
              : OnJoinIntent(At(c.before), LamportTime(c.time));
  EXPECT_EQ(effect.rebroadcast, c.rebroadcast);
  EXPECT_EQ(effect.after, At(c.after, c.time_after));
  EXPECT_EQ(effect.forced_leave, c.forced_leave);
  EXPECT_EQ(effect.prune, c.prune_after);
  EXPECT_FALSE(effect.refute);
}

INSTANTIATE_TEST_SUITE_P(
    AppendixA, IntentTableTest,
    testing::Values(
        IntentCase{"NoneNewJoin", kNone, false, false, 11, true, kNone, 11},
        IntentCase{"NoneNewLeave", kNone, true, false, 11, false, kNone, 11},
        IntentCase{"NoneNewPrune", kNone, true, true, 11, false, kNone, 11},
        IntentCase{"AliveNewJoin", kAlive, false, false, 11, true, kAlive, 11},
        IntentCase{"AliveNewLeave", kAlive, true, false, 11, true, kLeaving, 11},
        IntentCase{"AliveNewPrune", kAlive, true, true, 11, true, kLeaving, 11, false, true},
        IntentCase{"LeavingNewJoin", kLeaving, false, false, 11, true, kAlive, 11},
        IntentCase{"LeavingNewLeave", kLeaving, true, false, 11, true, kLeaving, 11},
        IntentCase{"LeavingNewPrune", kLeaving, true, true, 11, true, kLeaving, 11, false, true},
        IntentCase{"LeftNewJoin", kLeft, false, false, 11, true, kLeft, 11},
        IntentCase{"LeftNewLeave", kLeft, true, false, 11, true, kLeft, 11},
        IntentCase{"LeftNewPrune", kLeft, true, true, 11, true, kLeft, 11, false, true},
        IntentCase{"FailedNewJoin", kFailed, false, false, 11, true, kFailed, 11},
        IntentCase{"FailedNewLeave", kFailed, true, false, 11, true, kLeft, 11, true, false},
        IntentCase{"FailedNewPrune", kFailed, true, true, 11, true, kLeft, 11, true, true}),
    [](const auto& test) { return test.param.name; });

TEST(MemberRulesTest, OldIntentsChangeNothingInAnyState) {
  for (const MemberStatus status : {kNone, kAlive, kLeaving, kLeft, kFailed}) {
    for (const std::uint64_t old : {9u, 10u}) {
      for (const bool prune : {false, true}) {
        const IntentEffect leave = OnLeaveIntent(At(status), LamportTime(old), prune, false);
        EXPECT_EQ(leave.after, At(status));
        EXPECT_FALSE(leave.rebroadcast || leave.prune || leave.forced_leave || leave.refute);
        const IntentEffect self = OnLeaveIntent(At(status), LamportTime(old), prune, true);
        EXPECT_EQ(self.after, At(status));
        EXPECT_FALSE(self.rebroadcast || self.prune || self.forced_leave);
        EXPECT_EQ(self.refute, old == 10);  // a tie
      }
      const IntentEffect join = OnJoinIntent(At(status), LamportTime(old));
      EXPECT_EQ(join.after, At(status));
      EXPECT_FALSE(join.rebroadcast);
    }
  }
}

TEST(MemberRulesTest, TheLivingSelfRefutesAndKeepsItsTime) {
  for (const bool prune : {false, true}) {
    const IntentEffect effect = OnLeaveIntent(At(kAlive), LamportTime(11), prune, true);
    EXPECT_TRUE(effect.refute);
    EXPECT_FALSE(effect.rebroadcast || effect.prune || effect.forced_leave);
    EXPECT_EQ(effect.after, At(kAlive));
  }
}

TEST(MemberRulesTest, AnUnknownNodeBecomesWhatItsIntentSays) {
  EXPECT_EQ(OnNodeAlive(std::nullopt, nullptr), At(kAlive, 0));
  Intent intent{IntentKind::kJoin, LamportTime(5), {}};
  EXPECT_EQ(OnNodeAlive(std::nullopt, &intent), At(kAlive, 5));
  intent = {IntentKind::kLeave, LamportTime(6), {}};
  EXPECT_EQ(OnNodeAlive(std::nullopt, &intent), At(kLeaving, 6));
  intent = {IntentKind::kPruned, LamportTime(7), {}};
  EXPECT_EQ(OnNodeAlive(std::nullopt, &intent), At(kAlive, 7));
}

TEST(MemberRulesTest, AKnownNodeThatIsAliveIsAlive) {
  for (const MemberStatus status : {kNone, kAlive, kLeaving, kLeft, kFailed}) {
    EXPECT_EQ(OnNodeAlive(At(status), nullptr), At(kAlive, kTime.value()));
  }
}

struct GoneCase {
  std::string name;
  MemberStatus before;
  bool announced;
  MemberStatus after;
  std::optional<MemberEventKind> event;
};

class GoneTableTest : public testing::TestWithParam<GoneCase> {};

TEST_P(GoneTableTest, AppendixAButForDeparturesByThemselves) {
  const GoneCase& c = GetParam();
  MemberRecord member = At(c.before);
  EXPECT_EQ(OnNodeGone(member, c.announced), c.event);
  // The time is that of an intent, and there was none.
  EXPECT_EQ(member, At(c.after));
}

INSTANTIATE_TEST_SUITE_P(
    AppendixA, GoneTableTest,
    testing::Values(GoneCase{"NoneDies", kNone, false, kNone, {}},
                    GoneCase{"NoneDeparts", kNone, true, kNone, {}},
                    GoneCase{"AliveDies", kAlive, false, kFailed, MemberEventKind::kFailed},
                    GoneCase{"AliveDeparts", kAlive, true, kLeft, MemberEventKind::kLeave},
                    GoneCase{"LeavingDies", kLeaving, false, kLeft, MemberEventKind::kLeave},
                    GoneCase{"LeavingDeparts", kLeaving, true, kLeft, MemberEventKind::kLeave},
                    GoneCase{"LeftDies", kLeft, false, kLeft, {}},
                    GoneCase{"LeftDeparts", kLeft, true, kLeft, {}},
                    GoneCase{"FailedDies", kFailed, false, kFailed, {}},
                    GoneCase{"FailedDeparts", kFailed, true, kFailed, {}}),
    [](const auto& test) { return test.param.name; });

TEST(MemberRulesTest, LeavingForLongIsStuck) {
  using std::chrono::seconds;
  constexpr seconds kLeast(60);
  EXPECT_FALSE(IsStuckLeaving(seconds(11), kLeast, seconds(1)));
  EXPECT_FALSE(IsStuckLeaving(seconds(60), kLeast, seconds(1)));
  EXPECT_TRUE(IsStuckLeaving(seconds(61), kLeast, seconds(1)));
  EXPECT_TRUE(IsStuckLeaving(seconds(11), seconds(10), seconds(1)));
  EXPECT_FALSE(IsStuckLeaving(seconds(90), kLeast, seconds(30)));
  EXPECT_TRUE(IsStuckLeaving(seconds(91), kLeast, seconds(30)));
}

TEST(MemberRulesTest, ReapingIsStrictlyAfterTheTimeout) {
  const Instant gone = Instant{} + std::chrono::hours(1);
  const Duration timeout = std::chrono::hours(24);
  EXPECT_FALSE(IsReapable(gone + timeout, gone, timeout));
  EXPECT_TRUE(IsReapable(gone + timeout + Duration(1), gone, timeout));
}

}  // namespace
}  // namespace serf
