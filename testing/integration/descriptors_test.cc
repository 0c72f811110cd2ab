// Tests agents that have few descriptors, or lack the standard ones.

#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "serf/rpc/client.h"
#include "serf/testing/agents/agent_process.h"
#include "serf/testing/agents/programs.h"
#include "serf/testing/integration/attacker.h"
#include "serf/testing/integration/workshop.h"

namespace serf::testkit {
namespace {

using ::testing::IsEmpty;
using ::testing::Not;

class DescriptorsTest : public ::testing::Test {
 protected:
  // Starts an agent by a shell after `preparation`, with `streams` redirected.
  AgentProcess Start(const std::string& preparation, const std::string& streams = "",
                     std::vector<std::string> flags = {}) {
    workshop_.Write(
        "start",
        absl::StrCat("#!/bin/sh\n", preparation, "\nexec ", OurSerf(), " \"$@\" ", streams, "\n"),
        /*executable=*/true);
    return AgentProcess(
        {.program = workshop_.folder() / "start", .name = "a", .flags = std::move(flags)});
  }

  Workshop workshop_;
};

// Go Serf also runs with 24 descriptors, but clients wait there while idle strangers hold
// connections.
TEST_F(DescriptorsTest, ClientsAreAnsweredWhileStrangersHoldConnections) {
  AgentProcess agent = Start("ulimit -n 24");
  ASSERT_TRUE(agent.WaitUntilRunning()) << agent.log();
  std::vector<TcpConnection> idle;
  for (int round = 0; round < 3; ++round) {
    for (int i = 0; i < 40; ++i) idle.emplace_back(agent.options().address, kGossipPort);
    const auto begin = std::chrono::steady_clock::now();
    EXPECT_THAT(agent.Members(), Not(IsEmpty())) << agent.log();
    EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(2));
  }
  // A node that joins gets an answer, too.
  AgentProcess other({.program = OurSerf(), .name = "b", .flags = {"-join=" + agent.gossip()}});
  EXPECT_TRUE(other.WaitForMembers({{"a", "alive"}, {"b", "alive"}})) << other.log();
}

TEST_F(DescriptorsTest, WithoutStandardStreams) {
  AgentProcess agent = Start("", "<&- >&- 2>&-");
  // The agent's output has ended for the test, so the test polls until the deadline itself.
  const auto deadline = std::chrono::steady_clock::now() + kDeadline;
  while (agent.Members().empty() && std::chrono::steady_clock::now() < deadline) continue;
  ASSERT_THAT(agent.Members(), Not(IsEmpty()));
  for (int fd = 0; fd < 3; ++fd) {
    EXPECT_EQ(
        std::filesystem::read_symlink(absl::StrCat("/proc/", agent.process().pid(), "/fd/", fd)),
        "/dev/null");
  }
}

// The Go runtime does the same. Scripts get the agent's original limit: some close each number up
// to it, and select() accepts no descriptor above 1023.
TEST_F(DescriptorsTest, TheSoftLimitIsRaisedToTheHardOneButForChildren) {
  const std::string told = workshop_.folder() / "told";
  AgentProcess agent = Start(
      "ulimit -n 500; ulimit -S -n 100", "",
      {absl::StrCat("-event-handler=user:ask=ulimit -S -n > ", told, "; echo done >> ", told)});
  ASSERT_TRUE(agent.WaitUntilRunning()) << agent.log();
  std::ifstream limits(absl::StrCat("/proc/", agent.process().pid(), "/limits"));
  bool found = false;
  for (std::string line; std::getline(limits, line);) {
    if (!absl::StartsWith(line, "Max open files")) continue;
    found = true;
    const std::vector<std::string> words = absl::StrSplit(line, ' ', absl::SkipEmpty());
    ASSERT_GE(words.size(), 5u);
    EXPECT_EQ(words[3], "500");
    EXPECT_EQ(words[4], "500");
  }
  EXPECT_TRUE(found);
  rpc::Client client;
  ASSERT_TRUE(client.Connect(agent.rpc()).ok());
  ASSERT_TRUE(client.SendUserEvent("ask", "", {}).ok());
  EXPECT_TRUE(
      agent.process().WaitUntil([&] { return absl::EndsWith(workshop_.Read("told"), "done\n"); }));
  EXPECT_EQ(workshop_.Read("told"), "100\ndone\n");
}

}  // namespace
}  // namespace serf::testkit
