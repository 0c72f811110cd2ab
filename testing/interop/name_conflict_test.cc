// Tests one of our agents and a Go Serf agent with the same name. Where two Go Serf agents would
// both end, our agent stays (docs/protocol/serf.md 8.3).

#include <string>

#include "absl/strings/match.h"
#include "gtest/gtest.h"
#include "serf/testing/agents/agent_process.h"
#include "serf/testing/agents/name_contest.h"
#include "serf/testing/agents/process.h"
#include "serf/testing/agents/programs.h"

namespace serf::testkit {
namespace {

// The parameter: whether our agent has the lower address.
class NameConflictInteropTest : public ::testing::TestWithParam<bool> {
 protected:
  explicit NameConflictInteropTest(bool voters)
      : contest_({.lower = GetParam() ? OurSerf() : DebianSerf(),
                  .higher = GetParam() ? DebianSerf() : OurSerf(),
                  .voters = voters}) {
    contest_.Meet();
  }

  AgentProcess& ours() { return GetParam() ? contest_.lower() : contest_.higher(); }
  AgentProcess& original() { return GetParam() ? contest_.higher() : contest_.lower(); }

  // `votes`: "[1 / 2]".
  void ExpectOriginalGoes(const std::string& votes) {
    EXPECT_EQ(original().process().Wait(), 0) << original().log();
    EXPECT_TRUE(absl::StrContains(original().log(),
                                  "[WARN] serf: minority in name conflict resolution, qui"))
        << original().log();
    EXPECT_TRUE(absl::StrContains(original().log(), votes)) << original().log();
  }

  NameContest contest_;
};

class TieInteropTest : public NameConflictInteropTest {
 protected:
  TieInteropTest() : NameConflictInteropTest(/*voters=*/true) {}
};

class NoVoteInteropTest : public NameConflictInteropTest {
 protected:
  NoVoteInteropTest() : NameConflictInteropTest(/*voters=*/false) {}
};

TEST_P(TieInteropTest, OursStays) {
  ExpectOriginalGoes("[1 / 2]\n");
  EXPECT_TRUE(ours().WaitForLog(
      GetParam() ? "[INFO] serf: majority in name conflict resolution [1 / 2]\n"
                 : "[WARN] serf: tie in name conflict resolution, staying until the next [1 / 2]"))
      << ours().log();
  EXPECT_TRUE(contest_.WaitUntilAllKnow(GetParam() ? 0 : 1)) << ours().log();
  EXPECT_FALSE(ours().process().ended()) << ours().log();
}

TEST_P(NoVoteInteropTest, OursStays) {
  ExpectOriginalGoes("[0 / 0]\n");
  EXPECT_TRUE(ours().WaitForLog(
      "[WARN] serf: nobody answered in name conflict resolution, staying [0 / 0]\n"))
      << ours().log();
  EXPECT_EQ(ours().States(), (MemberStates{{"x", "alive"}})) << ours().log();
}

std::string WhoIsLower(const ::testing::TestParamInfo<bool>& info) {
  return info.param ? "OursIsLower" : "OursIsHigher";
}

INSTANTIATE_TEST_SUITE_P(Interop, TieInteropTest, ::testing::Bool(), WhoIsLower);
INSTANTIATE_TEST_SUITE_P(Interop, NoVoteInteropTest, ::testing::Bool(), WhoIsLower);

}  // namespace
}  // namespace serf::testkit
