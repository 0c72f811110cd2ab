// Tests two of our agents with one name: they never both give it up.

#include "absl/strings/match.h"
#include "gtest/gtest.h"
#include "serf/testing/agents/agent_process.h"
#include "serf/testing/agents/name_contest.h"
#include "serf/testing/agents/process.h"
#include "serf/testing/agents/programs.h"

namespace serf::testkit {
namespace {

// Half of the voters know each agent, so the agent with the lower address wins. The other one first
// gives Go Serf time to give way, which does so at once, and waits until the next vote, 30 s later.
TEST(NameConflictTest, OneOfTwoStaysInATie) {
  NameContest contest({.lower = OurSerf(), .higher = OurSerf(), .voters = true});
  contest.Meet();
  EXPECT_TRUE(
      contest.lower().WaitForLog("[INFO] serf: majority in name conflict resolution [1 / 2]\n"))
      << contest.lower().log();
  EXPECT_TRUE(contest.higher().WaitForLog(
      "[WARN] serf: tie in name conflict resolution, staying until the next [1 / 2]\n"))
      << contest.higher().log();
  EXPECT_FALSE(contest.higher().process().ended());
  // The exit code is a failure, so that a supervisor starts the agent again. Go Serf ends with
  // success.
  EXPECT_EQ(contest.higher().process().Wait(), 1) << contest.higher().log();
  EXPECT_TRUE(
      absl::StrContains(contest.higher().log(),
                        "[WARN] serf: minority in name conflict resolution, quitting [1 / 2]\n"))
      << contest.higher().log();
  EXPECT_TRUE(absl::StrContains(contest.higher().log(),
                                "[WARN] agent: Serf shutdown detected, quitting\n"));
  EXPECT_TRUE(absl::StrContains(contest.higher().log(),
                                "==> The name 'x' is that of another node, by a vote of the "
                                "members\n"));
  EXPECT_TRUE(contest.WaitUntilAllKnow(0));
  EXPECT_FALSE(contest.lower().process().ended()) << contest.lower().log();
}

// Without a voter neither loses. The operator reads of the conflict in both logs.
TEST(NameConflictTest, BothStayWithoutVoters) {
  NameContest contest({.lower = OurSerf(), .higher = OurSerf()});
  contest.Meet();
  for (AgentProcess* agent : {&contest.lower(), &contest.higher()}) {
    EXPECT_TRUE(agent->WaitForLog("[ERR] serf: Node name conflicts with another node at "));
    EXPECT_TRUE(agent->WaitForLog(
        "[WARN] serf: nobody answered in name conflict resolution, staying [0 / 0]\n"))
        << agent->log();
  }
  for (AgentProcess* agent : {&contest.lower(), &contest.higher()}) {
    EXPECT_EQ(agent->States(), (MemberStates{{"x", "alive"}})) << agent->log();
  }
}

}  // namespace
}  // namespace serf::testkit
