// Tests our agents beside Go Serf agents whose Lamport clocks are far ahead, because Go Serf
// follows any jump; here the snapshot of an earlier life moves them. All agents take part
// afterwards (docs/decisions/0008-clocks-follow.md).

#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <fstream>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "serf/lamport/lamport_clock.h"
#include "serf/testing/agents/agent_process.h"
#include "serf/testing/agents/process.h"
#include "serf/testing/agents/programs.h"

namespace serf::testkit {
namespace {

constexpr char kKey[] = "AAECAwQFBgcICQoLDA0ODw==";
constexpr char kOtherKey[] = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYX";
// In a small cluster Go Serf's push/pull, every 15 s, delivers what its gossip missed.
constexpr std::chrono::seconds kPatience{60};

class ClocksInteropTest : public ::testing::TestWithParam<std::uint64_t> {
 protected:
  ClocksInteropTest() : folder_(absl::StrCat(::testing::TempDir(), "/clocks-", ::getpid())) {}

  std::string PathOf(const std::string& name) const { return absl::StrCat(folder_, "-", name); }
  std::string Heard(const std::string& name) const {
    std::ifstream in(PathOf(absl::StrCat(name, ".events")));
    return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  }
  std::vector<std::string> Flags(const std::string& name, const std::string& join) const {
    std::vector<std::string> flags = {
        absl::StrCat("-encrypt=", kKey),
        absl::StrCat("-event-handler=user=cat >> ", PathOf(absl::StrCat(name, ".events"))),
        "-event-handler=query:who=echo $SERF_SELF_NAME"};
    if (!join.empty()) flags.push_back(absl::StrCat("-join=", join));
    return flags;
  }
  static std::string Run(const AgentProcess& agent, const std::vector<std::string>& words) {
    std::vector<std::string> argv = {OurSerf(), words[0], absl::StrCat("-rpc-addr=", agent.rpc())};
    argv.insert(argv.end(), words.begin() + 1, words.end());
    Process process(argv);
    EXPECT_EQ(process.Wait(), 0) << process.out() << process.err() << agent.log();
    return process.out();
  }
  static bool IsSet(const AgentProcess& agent, const std::string& statistic) {
    return absl::StrContains(Run(agent, {"info"}), statistic);
  }

  const std::string folder_;
};

TEST_P(ClocksInteropTest, WhoComesLaterHearsAndIsHeard) {
  const std::string snapshot = PathOf("theirs-1.snap");
  std::ofstream(snapshot) << "clock: " << GetParam() << "\nevent-clock: " << GetParam()
                          << "\nquery-clock: " << GetParam() << "\n";
  // One of our agents starts before the Go Serf agent that is far ahead, and one after it.
  AgentProcess early({.program = OurSerf(), .name = "early", .flags = Flags("early", "")});
  ASSERT_TRUE(early.WaitUntilRunning()) << early.log();
  std::vector<std::string> flags = Flags("theirs-1", early.gossip());
  flags.push_back(absl::StrCat("-snapshot=", snapshot));
  AgentProcess theirs({.program = DebianSerf(), .name = "theirs-1", .flags = flags});
  ASSERT_TRUE(theirs.WaitUntilRunning()) << theirs.log();
  AgentProcess late(
      {.program = OurSerf(), .name = "late", .flags = Flags("late", theirs.gossip())});
  ASSERT_TRUE(late.WaitUntilRunning()) << late.log();
  AgentProcess victim(
      {.program = DebianSerf(), .name = "victim", .flags = Flags("victim", early.gossip())});
  ASSERT_TRUE(victim.WaitUntilRunning()) << victim.log();
  const std::vector<AgentProcess*> agents = {&early, &theirs, &late};
  MemberStates all = {
      {"early", "alive"}, {"theirs-1", "alive"}, {"late", "alive"}, {"victim", "alive"}};
  for (AgentProcess* agent : agents) ASSERT_TRUE(agent->WaitForMembers(all)) << agent->log();

  // Each agent sends an event to all.
  for (AgentProcess* speaker : agents) {
    const std::string text = absl::StrCat("from ", speaker->name(), ";");
    Run(*speaker, {"event", "-coalesce=false", "news", text});
    for (AgentProcess* hearer : agents) {
      EXPECT_TRUE(hearer->process().WaitUntil(
          [&] { return absl::StrContains(Heard(hearer->name()), text); }, kPatience))
          << hearer->name() << " was not told " << text << "\n"
          << hearer->log();
    }
  }
  // Queries, and those about keys.
  for (AgentProcess* asker : {&early, &late}) {
    std::string answers;
    EXPECT_TRUE(asker->process().WaitUntil(
        [&] {
          answers = Run(*asker, {"query", "-timeout=3s", "who"});
          for (AgentProcess* agent : agents) {
            if (!absl::StrContains(answers, absl::StrCat("Response from '", agent->name(), "'"))) {
              return false;
            }
          }
          return true;
        },
        kPatience))
        << answers;
    EXPECT_TRUE(asker->process().WaitUntil(
        [&] {
          Process keys({OurSerf(), "keys", absl::StrCat("-rpc-addr=", asker->rpc()),
                        absl::StrCat("-install=", kOtherKey)});
          return keys.Wait() == 0;
        },
        kPatience));
  }
  // Intents.
  victim.Kill();
  all["victim"] = "failed";
  for (AgentProcess* agent : agents) {
    EXPECT_TRUE(agent->process().WaitUntil([&] { return agent->States() == all; }, kPatience))
        << agent->log();
  }
  Run(late, {"force-leave", "victim"});
  all["victim"] = "left";
  for (AgentProcess* agent : agents) {
    EXPECT_TRUE(agent->process().WaitUntil([&] { return agent->States() == all; }, kPatience))
        << agent->log();
  }
  EXPECT_TRUE(IsSet(late, absl::StrCat("event_time = ", GetParam() / 1'000'000)))
      << "the clock of the original was followed\n"
      << Run(late, {"info"});
}

INSTANTIATE_TEST_SUITE_P(Jumps, ClocksInteropTest,
                         ::testing::Values((std::uint64_t{1} << 40) + 1'000'000,
                                           std::uint64_t{1} << 62, std::uint64_t{1} << 63,
                                           LamportClock::kCeiling - 1000));

}  // namespace
}  // namespace serf::testkit
