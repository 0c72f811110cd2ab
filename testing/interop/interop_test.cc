// Tests our agents and commands together with Go Serf's (Debian's package `serf`).

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "gtest/gtest.h"
#include "serf/testing/agents/agent_process.h"
#include "serf/testing/agents/process.h"
#include "serf/testing/agents/programs.h"

namespace serf::testkit {
namespace {

// --- commands of one program with agents of the other ---

class CommandInteropTest : public ::testing::TestWithParam<bool> {
 protected:
  CommandInteropTest()
      : agent_program_(GetParam() ? OurSerf() : DebianSerf()),
        command_program_(GetParam() ? DebianSerf() : OurSerf()),
        a_({.program = agent_program_, .name = "a", .flags = {"-tag=role=web"}}),
        b_({.program = agent_program_, .name = "b", .flags = {"-tag=role=db"}}) {
    EXPECT_TRUE(a_.WaitUntilRunning()) << a_.log();
    EXPECT_TRUE(b_.WaitUntilRunning()) << b_.log();
  }

  std::vector<std::string> CommandLine(const AgentProcess& agent,
                                       const std::vector<std::string>& words) const {
    std::vector<std::string> argv = {command_program_, words[0],
                                     absl::StrCat("-rpc-addr=", agent.rpc())};
    argv.insert(argv.end(), words.begin() + 1, words.end());
    return argv;
  }

  // The standard output. Go Serf's order of lines is random.
  std::string Run(const AgentProcess& agent, const std::vector<std::string>& words,
                  int exit_code = 0) {
    Process process(CommandLine(agent, words));
    EXPECT_EQ(process.Wait(), exit_code) << process.out() << process.err();
    return process.out();
  }

  const std::string agent_program_;
  const std::string command_program_;
  AgentProcess a_;
  AgentProcess b_;
};

// The lines, sorted, with single blanks between words.
std::string SortedLines(const std::string& text) {
  std::vector<std::string> lines;
  for (absl::string_view line : absl::StrSplit(text, '\n', absl::SkipEmpty())) {
    lines.push_back(absl::StrJoin(absl::StrSplit(line, ' ', absl::SkipEmpty()), " "));
  }
  std::sort(lines.begin(), lines.end());
  return absl::StrJoin(lines, "\n");
}

TEST_P(CommandInteropTest, JoinMembersLeave) {
  EXPECT_EQ(Run(a_, {"join", b_.gossip()}), "Successfully joined cluster by contacting 1 nodes.\n");
  ASSERT_TRUE(a_.WaitForMembers({{"a", "alive"}, {"b", "alive"}})) << a_.log();
  EXPECT_EQ(SortedLines(Run(a_, {"members"})),
            absl::StrCat("a ", a_.gossip(), " alive role=web\nb ", b_.gossip(), " alive role=db"));
  EXPECT_EQ(Run(a_, {"members", "-tag", "role=d.", "-name=b", "-status=alive"}),
            absl::StrCat("b  ", b_.gossip(), "  alive  role=db\n"));
  EXPECT_EQ(Run(a_, {"members", "-name=nosuch"}), "\n");
  EXPECT_TRUE(absl::StrContains(Run(a_, {"members", "-format=json"}), "\"status\": \"alive\""));
  EXPECT_TRUE(absl::StrContains(Run(a_, {"members", "-detailed"}),
                                "Protocol Version: 5  Available Protocol Range: [2, 5]"));
  const std::string refused = Run(a_, {"join", absl::StrCat(b_.options().address, ":1")}, 1);
  EXPECT_TRUE(absl::StartsWith(refused, "Error joining the cluster: 1 error occurred:\n\t* Failed"))
      << refused;

  Run(a_, {"force-leave", "nosuch"});
  // Go Serf's `leave` may print `client closed` although the leave succeeded
  // (docs/protocol/agent.md 1.11).
  Process leave(CommandLine(b_, {"leave"}));
  leave.Wait();
  EXPECT_TRUE(leave.out() == "Graceful leave complete\n" ||
              (GetParam() && leave.out() == "Error leaving: client closed\n"))
      << leave.out();
  EXPECT_EQ(b_.process().Wait(), 0) << b_.log();
  EXPECT_TRUE(a_.WaitForMembers({{"a", "alive"}, {"b", "left"}})) << a_.log();
}

TEST_P(CommandInteropTest, Info) {
  const std::string text = Run(a_, {"info"});
  EXPECT_TRUE(absl::StartsWith(text, "agent:\n\tname = a\nevent_handlers:\nruntime:\n\tarch = "))
      << text;
  for (const char* part : {"\n\tos = linux\n", "\nserf:\n", "\n\tencrypted = false\n",
                           "\n\tfailed = 0\n", "\n\tmembers = 1\n", "\ntags:\n\trole = web\n"}) {
    EXPECT_TRUE(absl::StrContains(text, part)) << part << text;
  }
  EXPECT_TRUE(absl::StrContains(Run(a_, {"info", "-format=json"}), "\"role\": \"web\""));
}

TEST_P(CommandInteropTest, Monitor) {
  Process monitor(CommandLine(a_, {"monitor", "-log-level=debug"}));
  ASSERT_TRUE(monitor.WaitForOutput("[INFO] agent: Serf agent starting\n")) << monitor.out();
  Run(a_, {"join", b_.gossip()});
  EXPECT_TRUE(monitor.WaitForOutput("[INFO] serf: EventMemberJoin: b ")) << monitor.out();
  EXPECT_TRUE(monitor.WaitForOutput("Event Info:\n")) << monitor.out();
  EXPECT_TRUE(monitor.WaitForOutput("\tEvent: \"member-join\"\n")) << monitor.out();
  EXPECT_TRUE(monitor.WaitForOutput(
      "\tMembers: []interface {}{map[interface {}]interface {}{\"Addr\":[]uint8{0x7f, "))
      << monitor.out();
  monitor.Signal(SIGINT);
  EXPECT_EQ(monitor.Wait(), 0);
}

INSTANTIATE_TEST_SUITE_P(Interop, CommandInteropTest, ::testing::Bool(), [](const auto& instance) {
  return std::string(instance.param ? "TheirCommandsOurAgent" : "OurCommandsTheirAgent");
});

// --- authentication: only Go Serf takes a key, from a file ---

TEST(AuthInteropTest, OurCommandsAuthenticate) {
  const std::string path = absl::StrCat(::testing::TempDir(), "/auth.json");
  std::ofstream(path) << R"({"rpc_auth": "my-secret-auth-token"})";
  AgentProcess agent(
      {.program = DebianSerf(), .name = "alpha", .flags = {absl::StrCat("-config-file=", path)}});
  ASSERT_TRUE(agent.WaitUntilRunning()) << agent.log();
  const std::string address = absl::StrCat("-rpc-addr=", agent.rpc());
  const std::string listing = absl::StrCat("alpha  ", agent.gossip(), "  alive\n");
  const struct {
    std::vector<std::string> words;
    Process::Environment environment;
    int exit_code;
    std::string out;
  } kCases[] = {
      {{"members", "-rpc-auth=my-secret-auth-token"}, {}, 0, listing},
      {{"members"}, {{"SERF_RPC_AUTH", "my-secret-auth-token"}}, 0, listing},
      {{"members", "-rpc-auth=nope"},
       {},
       1,
       "Error connecting to Serf agent: Invalid authentication token\n"},
      {{"members"}, {}, 1, "Error retrieving members: Authentication required\n"},
      {{"info"}, {}, 1, "Error querying agent: Authentication required\n"},
      {{"leave"}, {}, 1, "Error leaving: Authentication required\n"},
      {{"monitor"}, {}, 1, "Error starting stream: Authentication required\n"},
  };
  for (const auto& c : kCases) {
    std::vector<std::string> argv = {OurSerf(), c.words[0], address};
    argv.insert(argv.end(), c.words.begin() + 1, c.words.end());
    Process process(argv, c.environment);
    EXPECT_EQ(process.Wait(), c.exit_code) << absl::StrJoin(c.words, " ");
    EXPECT_EQ(process.out(), c.out) << absl::StrJoin(c.words, " ");
  }
}

}  // namespace
}  // namespace serf::testkit
