// Tests clusters of real //cmd:serf processes on loopback, by an operator's commands.

#include "serf/testing/agents/cluster.h"

#include <fcntl.h>
#include <unistd.h>

#include <csignal>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "serf/member.h"
#include "serf/testing/agents/agent_process.h"
#include "serf/testing/agents/process.h"
#include "serf/testing/agents/programs.h"

namespace serf::testkit {
namespace {

constexpr char kKey[] = "-encrypt=AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
constexpr char kOtherKey[] = "-encrypt=enp6enp6enp6enp6enp6enp6enp6enp6enp6enp6eno=";

// Runs `serf` against an agent and returns its standard output.
std::string Serf(const AgentProcess& agent, std::string command,
                 const std::vector<std::string>& words = {}) {
  std::vector<std::string> argv = {OurSerf(), std::move(command),
                                   absl::StrCat("-rpc-addr=", agent.rpc())};
  argv.insert(argv.end(), words.begin(), words.end());
  Process process(argv);
  EXPECT_EQ(process.Wait(), 0) << process.out() << process.err();
  return process.out();
}

// Adds agents that join the first one, and waits until they agree.
void Fill(Cluster& cluster, int size) {
  MemberStates all;
  for (int i = 0; i < size; ++i) {
    const std::string name(1, static_cast<char>('a' + i));
    cluster.Add(OurSerf(), name);
    all[name] = "alive";
  }
  ASSERT_TRUE(cluster.WaitForMembers(all)) << cluster.problem();
}

TEST(ClusterTest, TenAgentsFindEachOther) {
  Cluster cluster;
  Fill(cluster, 10);
}

// Follows the guide of docs/protocol/agent.md 2.17 step by step.
TEST(ClusterTest, TheGuide) {
  AgentProcess agent({.program = OurSerf(), .name = "foobar", .profile = "lan"});
  ASSERT_TRUE(agent.WaitForLog("agent: Received event: member-join\n"));
  const std::string out = agent.log();
  std::size_t at = 0;
  for (const std::string& line :
       {std::string("==> Starting Serf agent...\n"), std::string("==> Serf agent running!\n"),
        std::string("Node name: 'foobar'\n"), absl::StrCat("Bind addr: '", agent.gossip(), "'\n"),
        absl::StrCat("RPC addr: '", agent.rpc(), "'\n"),
        std::string("==> Log data will now stream in as it occurs:\n"),
        std::string("[INFO] agent: Serf agent starting\n"),
        absl::StrCat("[INFO] serf: EventMemberJoin: foobar ", agent.options().address, "\n"),
        std::string("[INFO] agent: Serf agent started\n"),
        std::string("[INFO] agent: Received event: member-join\n")}) {
    const std::size_t found = out.find(line, at);
    ASSERT_NE(found, std::string::npos) << "no " << line << "in\n" << out;
    at = found + line.size();
  }
  EXPECT_EQ(Serf(agent, "members"), absl::StrCat("foobar  ", agent.gossip(), "  alive\n"));
  agent.Interrupt();
  EXPECT_EQ(agent.process().Wait(), 0);
}

TEST(ClusterTest, InterruptLeaves) {
  Cluster cluster;
  Fill(cluster, 3);
  cluster[1].Interrupt();
  EXPECT_EQ(cluster[1].process().Wait(), 0);
  EXPECT_TRUE(cluster.WaitForMembers({{"a", "alive"}, {"b", "left"}, {"c", "alive"}}))
      << cluster.problem();
}

TEST(ClusterTest, RpcLeaves) {
  Cluster cluster;
  Fill(cluster, 3);
  EXPECT_EQ(Serf(cluster[2], "leave"), "Graceful leave complete\n");
  EXPECT_EQ(cluster[2].process().Wait(), 0);
  EXPECT_TRUE(cluster.WaitForMembers({{"a", "alive"}, {"b", "alive"}, {"c", "left"}}))
      << cluster.problem();
}

// Two leaves at once share the result. In Go Serf the second one cuts the first short.
TEST(ClusterTest, TwoRpcLeavesShareTheResult) {
  AgentProcess agent({.program = OurSerf(), .name = "a"});
  ASSERT_TRUE(agent.WaitUntilRunning());
  const std::vector<std::string> argv = {OurSerf(), "leave",
                                         absl::StrCat("-rpc-addr=", agent.rpc())};
  Process first(argv);
  Process second(argv);
  EXPECT_EQ(first.Wait(), 0) << first.out();
  // The second answer may also come when the agent has ended.
  EXPECT_TRUE(second.Wait() == 0 || absl::StrContains(second.out(), "refused")) << second.out();
  EXPECT_EQ(agent.process().Wait(), 0);
}

TEST(ClusterTest, HangupChangesNothing) {
  AgentProcess agent({.program = OurSerf(), .name = "a"});
  ASSERT_TRUE(agent.WaitUntilRunning());
  agent.process().Signal(SIGHUP);
  EXPECT_TRUE(agent.WaitForLog("==> Caught signal: hangup\n==> Reloading configuration...\n"));
  EXPECT_EQ(agent.States(), (MemberStates{{"a", "alive"}}));
}

// Runs each command that has a program of its own.
TEST(ClusterTest, SmallPrograms) {
  const std::string address = NextLoopbackAddress();
  const std::string rpc = absl::StrCat("-rpc-addr=", address, ":7373");
  AgentProcess other({.program = OurSerf(), .name = "other"});
  ASSERT_TRUE(other.WaitUntilRunning());
  Process agent({ProgramFromEnvironment("AGENT_PROGRAM"), "-node=n1",
                 absl::StrCat("-bind=", address), rpc, "-profile=local"});
  ASSERT_TRUE(agent.WaitForOutput("==> Log data will now stream")) << agent.out();
  Process join({ProgramFromEnvironment("JOIN_PROGRAM"), rpc, other.gossip()});
  EXPECT_EQ(join.Wait(), 0) << join.out();
  EXPECT_EQ(join.out(), "Successfully joined cluster by contacting 1 nodes.\n");
  Process members({ProgramFromEnvironment("MEMBERS_PROGRAM"), rpc, "-name=n1"});
  EXPECT_EQ(members.Wait(), 0);
  EXPECT_EQ(members.out(), absl::StrCat("n1  ", address, ":7946  alive\n"));
  Process help({ProgramFromEnvironment("MEMBERS_PROGRAM"), "--help"});
  EXPECT_EQ(help.Wait(), 0);
  EXPECT_TRUE(absl::StartsWith(help.err(), "Usage: serf members [options]\n"));
  Process leave({ProgramFromEnvironment("LEAVE_PROGRAM"), rpc});
  EXPECT_EQ(leave.Wait(), 0) << leave.out();
  EXPECT_EQ(agent.Wait(), 0);
}

TEST(ClusterTest, TerminateIsAFailure) {
  Cluster cluster;
  Fill(cluster, 3);
  cluster[1].process().Signal(SIGTERM);
  EXPECT_EQ(cluster[1].process().Wait(), 1);
  EXPECT_TRUE(cluster.WaitForMembers({{"a", "alive"}, {"b", "failed"}, {"c", "alive"}}))
      << cluster.problem();
}

TEST(ClusterTest, KilledFailsAndComesBack) {
  Cluster cluster;
  Fill(cluster, 3);
  cluster[2].Kill();
  ASSERT_TRUE(cluster.WaitForMembers({{"a", "alive"}, {"b", "alive"}, {"c", "failed"}}))
      << cluster.problem();
  EXPECT_TRUE(cluster[0].WaitForLog("serf: EventMemberFailed: c "));
  cluster[2].Restart({absl::StrCat("-join=", cluster[0].gossip())});
  EXPECT_TRUE(cluster.WaitForMembers({{"a", "alive"}, {"b", "alive"}, {"c", "alive"}}))
      << cluster.problem();
}

// Without a join: the others keep trying to reach the failed member.
TEST(ClusterTest, OthersReconnectToAFailedMember) {
  Cluster cluster;
  Fill(cluster, 2);
  cluster[1].Kill();
  ASSERT_TRUE(cluster[0].WaitForMembers({{"a", "alive"}, {"b", "failed"}})) << cluster[0].log();
  cluster[1].Restart({});
  // The agent tries every 30 s.
  EXPECT_TRUE(cluster[0].WaitForMembers({{"a", "alive"}, {"b", "alive"}})) << cluster[0].log();
  EXPECT_TRUE(cluster[0].WaitForLog("serf: attempting reconnect to b "));
}

TEST(ClusterTest, ForceLeaveOfAFailedMember) {
  Cluster cluster;
  Fill(cluster, 3);
  cluster[2].Kill();
  ASSERT_TRUE(cluster.WaitForMembers({{"a", "alive"}, {"b", "alive"}, {"c", "failed"}}))
      << cluster.problem();
  EXPECT_EQ(Serf(cluster[0], "force-leave", {"c"}), "");
  ASSERT_TRUE(cluster.WaitForMembers({{"a", "alive"}, {"b", "alive"}, {"c", "left"}}))
      << cluster.problem();
  EXPECT_EQ(Serf(cluster[0], "force-leave", {"-prune", "c"}), "");
  EXPECT_TRUE(cluster.WaitForMembers({{"a", "alive"}, {"b", "alive"}})) << cluster.problem();
}

TEST(ClusterTest, LiveMemberRefutesForceLeave) {
  Cluster cluster;
  Fill(cluster, 3);
  EXPECT_EQ(Serf(cluster[0], "force-leave", {"c"}), "");
  EXPECT_TRUE(cluster.WaitForMembers({{"a", "alive"}, {"b", "alive"}, {"c", "alive"}}))
      << cluster.problem();
}

TEST(ClusterTest, TagsReachTheOthers) {
  Cluster cluster;
  cluster.Add(OurSerf(), "a");
  cluster.Add(OurSerf(), "b", {"-tag=role=db", "-tag", "v=2"});
  EXPECT_TRUE(cluster[0].WaitUntil([](const std::vector<Member>& members) {
    return members.size() == 2 && members[1].tags == Tags{{"role", "db"}, {"v", "2"}};
  })) << cluster[0].log();
  EXPECT_EQ(Serf(cluster[0], "members", {"-tag", "role=d.", "-status=alive"}),
            absl::StrCat("b  ", cluster[1].gossip(), "  alive  role=db,v=2\n"));
}

TEST(ClusterTest, EncryptedClusterKeepsStrangersOut) {
  Cluster cluster({kKey});
  Fill(cluster, 3);
  for (const std::vector<std::string>& flags :
       std::vector<std::vector<std::string>>{{}, {kOtherKey}}) {
    AgentProcess stranger({.program = OurSerf(), .name = "x", .flags = flags});
    ASSERT_TRUE(stranger.WaitUntilRunning());
    Process join(
        {OurSerf(), "join", absl::StrCat("-rpc-addr=", stranger.rpc()), cluster[0].gossip()});
    EXPECT_EQ(join.Wait(), 1) << join.out();
    EXPECT_TRUE(absl::StartsWith(join.out(), "Error joining the cluster: 1 error occurred:\n"))
        << join.out();
    EXPECT_EQ(stranger.States(), (MemberStates{{"x", "alive"}}));
  }
  EXPECT_TRUE(cluster.WaitForMembers({{"a", "alive"}, {"b", "alive"}, {"c", "alive"}}))
      << cluster.problem();
}

TEST(ClusterTest, RetryJoinWaitsForThePeer) {
  // The test knows the peer's address before the peer runs.
  const std::string address = NextLoopbackAddress();
  AgentProcess early({.program = OurSerf(),
                      .name = "early",
                      .flags = {absl::StrCat("-retry-join=", address), "-retry-interval=1s"}});
  ASSERT_TRUE(early.WaitForLog("agent: Join failed: 1 error occurred:\n"));
  AgentProcess late({.program = OurSerf(), .name = "late", .address = address});
  EXPECT_TRUE(early.WaitForLog("agent: Join completed. Synced with 1 initial agents\n"))
      << early.log();
  EXPECT_TRUE(late.WaitForMembers({{"early", "alive"}, {"late", "alive"}}));
}

TEST(ClusterTest, AdvertiseAndPortZero) {
  // The agent binds to a port that the system chooses, and announces that port.
  const std::string address = NextLoopbackAddress();
  Process agent({OurSerf(), "agent", "-node=n1", absl::StrCat("-bind=", address, ":0"),
                 absl::StrCat("-rpc-addr=", address, ":7373"), "-advertise=127.0.0.77"});
  ASSERT_TRUE(agent.WaitForOutput("==> Log data"));
  EXPECT_TRUE(absl::StrContains(agent.out(), absl::StrCat("Bind addr: '", address, ":0'\n")));
  EXPECT_TRUE(absl::StrContains(agent.out(), "\n    Advertise addr: '127.0.0.77:0'\n"));
  Process members({OurSerf(), "members", absl::StrCat("-rpc-addr=", address, ":7373")});
  EXPECT_EQ(members.Wait(), 0);
  EXPECT_TRUE(absl::StartsWith(members.out(), "n1  127.0.0.77:")) << members.out();
  EXPECT_FALSE(absl::StartsWith(members.out(), "n1  127.0.0.77:0 ")) << members.out();
}

TEST(ClusterTest, OpenRpcIsWarnedOf) {
  const std::string address = NextLoopbackAddress();
  Process agent(
      {OurSerf(), "agent", "-node=n1", absl::StrCat("-bind=", address), "-rpc-addr=0.0.0.0:0"});
  EXPECT_TRUE(agent.WaitForOutput("[WARN] agent.ipc: RPC is open to other hosts at 0.0.0.0:"))
      << agent.out();
}

// An agent survives a pipe whose reader has gone.
TEST(ClusterTest, SurvivesTheEndOfItsOutput) {
  const std::string address = NextLoopbackAddress();
  Process shell({"/bin/sh", "-c",
                 absl::StrCat("exec ", OurSerf(), " agent -node=n1 -bind=", address,
                              " -rpc-addr=", address, ":7373 | { read line; echo $line; }")});
  ASSERT_TRUE(shell.WaitForOutput("==> Starting Serf agent..."));
  std::string members;
  EXPECT_TRUE(shell.WaitUntil([&] {
    Process process({OurSerf(), "members", absl::StrCat("-rpc-addr=", address, ":7373")});
    process.Wait();
    members = process.out();
    return absl::StartsWith(members, "n1  ");
  })) << members;
  Process leave({OurSerf(), "leave", absl::StrCat("-rpc-addr=", address, ":7373")});
  EXPECT_EQ(leave.Wait(), 0) << leave.out();
}

// The reader of the pipe blocks for a while (Ctrl-S). The node continues, and no output is lost.
TEST(ClusterTest, SurvivesAReaderThatStandsStill) {
  const std::string address = NextLoopbackAddress();
  int fds[2];
  ASSERT_EQ(::pipe(fds), 0);
  ASSERT_GE(::fcntl(fds[1], F_SETPIPE_SZ, 4096), 4096);
  Process shell({"/bin/sh", "-c",
                 absl::StrCat("exec ", OurSerf(), " agent -node=n1 -bind=", address,
                              " -rpc-addr=", address, ":7373 -log-level=debug >&", fds[1])});
  for (const int fd : fds) ::fcntl(fd, F_SETFD, FD_CLOEXEC);  // only the agent may have it
  AgentProcess other({.program = OurSerf(), .name = "n2"});
  ASSERT_TRUE(other.WaitUntilRunning());
  ASSERT_TRUE(other.WaitUntil([&](const std::vector<Member>&) {
    Process join({OurSerf(), "join", absl::StrCat("-rpc-addr=", other.rpc()), address});
    return join.Wait() == 0;
  }));
  // Each call makes an entry in the log, which soon is longer than the pipe.
  for (int i = 0; i < 100; ++i) {
    Process members({OurSerf(), "members", absl::StrCat("-rpc-addr=", address, ":7373")});
    ASSERT_EQ(members.Wait(), 0) << members.out();
  }
  EXPECT_EQ(other.States(), (MemberStates{{"n1", "alive"}, {"n2", "alive"}}));
  ::close(fds[1]);
  std::string log;
  char buffer[4096];
  Process leave({OurSerf(), "leave", absl::StrCat("-rpc-addr=", address, ":7373")});
  for (ssize_t size; (size = ::read(fds[0], buffer, sizeof(buffer))) > 0;) {
    log.append(buffer, static_cast<std::size_t>(size));
  }
  ::close(fds[0]);
  EXPECT_EQ(shell.Wait(), 0);
  EXPECT_TRUE(absl::EndsWith(log, "[INFO] agent: shutdown complete\n")) << log;
  std::size_t accepted = 0;
  for (std::size_t at = 0; (at = log.find("Accepted client", at)) != std::string::npos; ++at) {
    ++accepted;
  }
  EXPECT_EQ(accepted, 101u);
}

}  // namespace
}  // namespace serf::testkit
