// Tests agents that join by name. A name server of the test's own knows the names, or not.

#include <csignal>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "serf/member.h"
#include "serf/testing/agents/agent_process.h"
#include "serf/testing/agents/own_files_main.h"
#include "serf/testing/agents/process.h"
#include "serf/testing/agents/programs.h"
#include "serf/testing/integration/name_server.h"
#include "serf/testing/integration/own_names.h"
#include "serf/testing/integration/workshop.h"

namespace serf::testkit {
namespace {

// The end of the banner.
constexpr char kRunning[] = "==> Log data will now stream in as it occurs:\n";
constexpr char kSeed[] = "seed.serf.test";

// The log entry if nobody listens at `address`.
std::string Refused(const std::string& address) {
  return absl::StrCat("dial tcp ", address, ":7946: connect: connection refused\n");
}

class NamesTest : public ::testing::Test {
 protected:
  NamesTest() { EXPECT_TRUE(server_.running()); }

  NameServer server_;
};

// Each attempt looks the name up again: first it does not exist, then it has the address of an
// agent that has gone, then that of a living agent.
TEST_F(NamesTest, RetryJoinLooksUpTheNameEachTime) {
  AgentProcess agent({.program = OurSerf(),
                      .name = "agent",
                      .flags = {absl::StrCat("-retry-join=", kSeed), "-retry-interval=1s"}});
  EXPECT_TRUE(agent.WaitForLog(
      absl::StrCat("Failed to resolve ", kSeed, ": lookup ", kSeed, ": no such host\n")))
      << agent.log();
  const std::string gone = NextLoopbackAddress();
  server_.Set(kSeed, {gone});
  EXPECT_TRUE(agent.WaitForLog(Refused(gone))) << agent.log();
  AgentProcess seed({.program = OurSerf(), .name = "seed"});
  ASSERT_TRUE(seed.WaitUntilRunning()) << seed.log();
  server_.Set(kSeed, {seed.options().address});
  EXPECT_TRUE(agent.WaitForLog("agent: Join completed. Synced with 1 initial agents\n"))
      << agent.log();
  for (const AgentProcess* either : {&agent, &seed}) {
    EXPECT_TRUE(either->WaitForMembers({{"agent", "alive"}, {"seed", "alive"}})) << either->log();
  }
}

// The agent tries each address of the name.
TEST_F(NamesTest, JoinTriesAllAddressesOfAName) {
  AgentProcess seed({.program = OurSerf(), .name = "seed"});
  ASSERT_TRUE(seed.WaitUntilRunning()) << seed.log();
  const std::string gone = NextLoopbackAddress();
  server_.Set(kSeed, {gone, seed.options().address});
  AgentProcess agent({.program = OurSerf(),
                      .name = "agent",
                      .flags = {absl::StrCat("-join=", kSeed), "-log-level=debug"}});
  EXPECT_TRUE(agent.WaitForLog("Join completed. Synced with 1 initial agents\n")) << agent.log();
  EXPECT_TRUE(agent.WaitForLog(Refused(gone))) << agent.log();
  EXPECT_TRUE(seed.WaitForMembers({{"agent", "alive"}, {"seed", "alive"}})) << seed.log();
}

// Without the entries nobody learns that one seed of several has gone.
TEST_F(NamesTest, FailuresAreNamedBesideSuccesses) {
  constexpr char kGone[] = "gone.serf.test";
  AgentProcess seed({.program = OurSerf(), .name = "seed"});
  ASSERT_TRUE(seed.WaitUntilRunning()) << seed.log();
  AgentProcess agent(
      {.program = OurSerf(),
       .name = "agent",
       .flags = {absl::StrCat("-join=", seed.gossip()), absl::StrCat("-join=", kGone)}});
  EXPECT_TRUE(agent.WaitForLog("Join completed. Synced with 1 initial agents\n")) << agent.log();
  const std::string failure =
      absl::StrCat("Failed to resolve ", kGone, ": lookup ", kGone, ": no such host\n");
  EXPECT_TRUE(agent.WaitForLog(absl::StrCat("[WARN] memberlist: ", failure))) << agent.log();
  EXPECT_TRUE(agent.WaitForLog(absl::StrCat("1 error occurred:\n\t* ", failure))) << agent.log();
  const std::string silent = NextLoopbackAddress();
  Process join({OurSerf(), "join", absl::StrCat("-rpc-addr=", agent.rpc()), kGone, seed.gossip(),
                absl::StrCat(silent, ":7946")});
  EXPECT_EQ(join.Wait(), 0);
  EXPECT_EQ(join.out(), "Successfully joined cluster by contacting 1 nodes.\n");
  EXPECT_EQ(join.err(),
            absl::StrCat(failure, "Failed to join ", silent, ":7946: ", Refused(silent)));
}

// The resolver waits for minutes here; Go Serf does not use it.
TEST_F(NamesTest, ANameWithoutAnswerHoldsUpNothing) {
  constexpr char kDead[] = "dead.serf.test";
  server_.Silence(kDead);
  Workshop workshop;
  workshop.Write("statsd.json", R"({"statsd_addr": "dead.serf.test:8125"})");
  AgentProcess seed({.program = OurSerf(), .name = "seed"});
  ASSERT_TRUE(seed.WaitUntilRunning()) << seed.log();
  server_.Set(kSeed, {seed.options().address});
  AgentProcess agent(
      {.program = OurSerf(),
       .name = "agent",
       .flags = {absl::StrCat("-retry-join=", kDead), absl::StrCat("-retry-join=", seed.gossip()),
                 "-config-file=statsd.json"}});
  ASSERT_TRUE(agent.process().WaitUntil([&] { return server_.asked(kDead) >= 4; })) << agent.log();
  // The other address of the same join is not delayed either.
  EXPECT_TRUE(seed.WaitForMembers({{"agent", "alive"}, {"seed", "alive"}})) << agent.log();
  Process join({OurSerf(), "join", absl::StrCat("-rpc-addr=", agent.rpc()), kSeed});
  EXPECT_EQ(join.Wait(), 0) << join.out();
  Process waits({OurSerf(), "members", absl::StrCat("-rpc-addr=", kDead, ":7373")});
  ASSERT_TRUE(waits.WaitUntil([&] { return server_.asked(kDead) >= 6; }));
  waits.Signal(SIGINT);
  EXPECT_TRUE(waits.Wait().has_value());
  agent.Interrupt();
  EXPECT_EQ(agent.process().Wait(), 0) << agent.log();
}

// If a name has addresses of both families, the agent listens on the IPv4 one, like Go Serf.
// Otherwise commands, which connect to 127.0.0.1, would find nobody.
TEST_F(NamesTest, TheFirstIpv4AddressOfANameIsTaken) {
  for (const std::string& program : {OurSerf(), DebianSerf()}) {
    Process agent(
        {program, "agent", "-node=a", "-bind=localhost:7946", "-rpc-addr=localhost:7373"});
    ASSERT_TRUE(agent.WaitForOutput(kRunning)) << agent.out();
    EXPECT_TRUE(absl::StrContains(agent.out(), "Bind addr: '127.0.0.1:7946'")) << agent.out();
    for (const char* const address : {"127.0.0.1:7373", "localhost:7373"}) {
      Process members({OurSerf(), "members", absl::StrCat("-rpc-addr=", address)});
      EXPECT_EQ(members.Wait(), 0) << program << " " << address << " " << members.out();
    }
    agent.Signal(SIGINT);
    EXPECT_EQ(agent.Wait(), 0);
    Process six({program, "agent", "-node=a", "-bind=six:7946", "-rpc-addr=six:7373"});
    ASSERT_TRUE(six.WaitForOutput(kRunning)) << six.out();
    EXPECT_TRUE(absl::StrContains(six.out(), "Bind addr: '[::1]:7946'")) << six.out();
    Process members({OurSerf(), "members", "-rpc-addr=[::1]:7373"});
    EXPECT_EQ(members.Wait(), 0) << members.out();
    six.Signal(SIGINT);
    EXPECT_EQ(six.Wait(), 0);
  }
}

TEST_F(NamesTest, NumbersAreNoAddresses) {
  const struct {
    std::vector<std::string> flags;
    const char* want;
  } kTable[] = {
      {{"-bind=300.0.0.1"}, "==> Invalid bind address: lookup 300.0.0.1: no such host\n"},
      {{"-bind=127.1"}, "==> Invalid bind address: lookup 127.1: no such host\n"},
      {{"-bind=127.0.0.1", "-advertise=010.1.2.3:5"},
       "==> Invalid advertise address: lookup 010.1.2.3: no such host\n"},
      {{"-bind=127.0.0.1", "-rpc-addr=0:7373"},
       "==> Error starting RPC listener: listen tcp: lookup 0: no such host\n"},
      {{"-bind=127.0.0.1", "-join=10.0.0.1/24", "-join=1.2.3"},
       "==> 2 errors occurred:\n\t* Failed to resolve 10.0.0.1/24: lookup 24: no such host\n\t* "
       "Failed to resolve 1.2.3: lookup 1.2.3: no such host\n"},
  };
  for (const std::string& program : {OurSerf(), DebianSerf()}) {
    for (const auto& row : kTable) {
      std::vector<std::string> words = {program, "agent", "-node=a"};
      words.insert(words.end(), row.flags.begin(), row.flags.end());
      Process agent(words);
      EXPECT_EQ(agent.Wait(), 1) << agent.out();
      EXPECT_TRUE(absl::StrContains(agent.out(), row.want)) << program << "\n" << agent.out();
    }
  }
}

// The README's first command, on a host without a network.
TEST_F(NamesTest, AnAgentAloneBindsToLoopback) {
  for (const char* const bind : {"-bind=0.0.0.0", "-bind=:7946", "-bind=[::]:7946"}) {
    Process agent({OurSerf(), "agent", "-node=a", bind});
    ASSERT_TRUE(agent.WaitForOutput("Serf agent started")) << bind << "\n" << agent.out();
    EXPECT_TRUE(absl::StrContains(agent.out(),
                                  "==> Warning: no address of this host can be told to others"))
        << agent.out();
    EXPECT_TRUE(absl::StrContains(agent.out(), "Bind addr: '127.0.0.1:7946'")) << agent.out();
    agent.Signal(SIGINT);
    EXPECT_EQ(agent.Wait(), 0);
  }
  // The network may only be late; a supervisor starts the agent again.
  Process joins({OurSerf(), "agent", "-node=a", "-retry-join=10.0.0.1"});
  EXPECT_EQ(joins.Wait(), 1) << joins.out();
  EXPECT_TRUE(absl::StrContains(joins.out(),
                                "No private IP address found, and explicit IP not provided; choose "
                                "one with -advertise or -bind\n"))
      << joins.out();
}

// For "ip addr add ... label lo:vip" the label is not an interface, and the address belongs to lo.
TEST_F(NamesTest, LabelledAddressesBelongToTheInterface) {
  const LabelledAddress address("lo:vip", "10.9.0.2");
  ASSERT_TRUE(address.ok());
  for (const std::string& program : {OurSerf(), DebianSerf()}) {
    AgentProcess bound(
        {.program = program, .name = "a", .flags = {"-iface=lo"}, .address = "10.9.0.2"});
    EXPECT_TRUE(bound.WaitUntilRunning()) << bound.log();
    bound.Kill();
    AgentProcess any({.program = program, .name = "a", .address = "0.0.0.0"});
    EXPECT_TRUE(any.WaitUntilRunning()) << any.log();
    EXPECT_TRUE(any.WaitUntil([](const std::vector<Member>& members) {
      return members.size() == 1 && members[0].endpoint.address.ToString() == "10.9.0.2";
    })) << any.log();
    any.Kill();
    AgentProcess label({.program = program, .name = "a", .flags = {"-iface=lo:vip"}});
    EXPECT_EQ(label.process().Wait(), 1);
    EXPECT_EQ(label.log(),
              "==> Invalid network interface: route ip+net: no such network interface\n");
  }
}

// Go Serf drops the interface, and does not start. Snapshots and members have no interface either.
TEST(LinkLocalTest, MembersOfOneLink) {
  ASSERT_TRUE(has_own_network);
  ASSERT_TRUE(AddLoopbackAddress("fe80::1"));
  ASSERT_TRUE(AddLoopbackAddress("fe80::2"));
  Workshop workshop;
  AgentProcess one({.program = OurSerf(), .name = "one", .address = "[fe80::1%lo]"});
  ASSERT_TRUE(one.WaitUntilRunning()) << one.log();
  EXPECT_TRUE(absl::StrContains(one.log(), "Bind addr: '[fe80::1%lo]:7946'")) << one.log();
  EXPECT_TRUE(absl::StrContains(one.log(), "RPC is open to other hosts at [fe80::1]:7373"));
  AgentProcess two({.program = OurSerf(),
                    .name = "two",
                    .flags = {"-join=" + one.gossip(), "-snapshot=two.snap"},
                    .address = "[fe80::2%lo]"});
  EXPECT_TRUE(one.WaitForMembers({{"one", "alive"}, {"two", "alive"}})) << two.log();
  two.Kill();
  EXPECT_TRUE(one.WaitForMembers({{"one", "alive"}, {"two", "failed"}})) << one.log();
  two.Restart({"-snapshot=two.snap"});
  EXPECT_TRUE(one.WaitForMembers({{"one", "alive"}, {"two", "alive"}})) << two.log();
  EXPECT_TRUE(two.WaitForMembers({{"one", "alive"}, {"two", "alive"}})) << two.log();
}

TEST(LinkLocalTest, ErrorsNameTheInterface) {
  const struct {
    std::vector<std::string> words;
    const char* error;
  } kTable[] = {
      {{"members", "-rpc-addr=[fe80::1%nosuch0]:7373"},
       "dial tcp: lookup fe80::1%nosuch0: no such network interface"},
      {{"agent", "-bind=127.0.0.1", "-rpc-addr=[fe80::1%nosuch0]:7373"},
       "listen tcp: lookup fe80::1%nosuch0: no such network interface"},
      {{"agent", "-bind=[fe80::1%nosuch0]"},
       "Invalid bind address: lookup fe80::1%nosuch0: no such network interface"},
      {{"agent", "-bind=[fe80::9]"}, "fe80::9 is link-local: name its interface, as in"},
  };
  for (const auto& row : kTable) {
    std::vector<std::string> words = {OurSerf()};
    words.insert(words.end(), row.words.begin(), row.words.end());
    Process process(words);
    EXPECT_EQ(process.Wait(), 1);
    EXPECT_TRUE(absl::StrContains(process.out() + process.err(), row.error))
        << process.out() << process.err();
  }
}

}  // namespace
}  // namespace serf::testkit

int main(int argc, char** argv) {
  return serf::testkit::RunTestsWithOwnFiles(argc, argv, serf::testkit::CoverNames);
}
