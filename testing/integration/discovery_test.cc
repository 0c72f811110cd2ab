// Tests agents of this project and of Go Serf that find each other by multicast DNS, on a network
// of the test's own.

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/string_view.h"
#include "gtest/gtest.h"
#include "serf/testing/agents/agent_process.h"
#include "serf/testing/agents/own_network.h"
#include "serf/testing/agents/process.h"
#include "serf/testing/agents/programs.h"
#include "serf/testing/integration/transcript.h"
#include "serf/testing/integration/workshop.h"

namespace serf::testkit {
namespace {

bool own_network = false;

AgentProcess::Options Ours(const std::string& name, const std::string& cluster) {
  return {.program = OurSerf(),
          .name = name,
          .flags = {absl::StrCat("-discover=", cluster), "-mdns-iface=lo", "-log-level=debug"}};
}

// Go Serf uses -iface for multicast DNS too, and binds only to that interface's address.
AgentProcess::Options Original(const std::string& name) {
  return {.program = DebianSerf(),
          .name = name,
          .flags = {"-discover=clus", "-iface=lo"},
          .address = "127.0.0.1"};
}

TEST(DiscoveryTest, OursFindEachOther) {
  AgentProcess stranger(Ours("stranger", "other"));
  ASSERT_TRUE(stranger.WaitUntilRunning()) << stranger.log();
  AgentProcess first(Ours("first", "clus"));
  ASSERT_TRUE(first.WaitUntilRunning()) << first.log();
  EXPECT_TRUE(absl::StrContains(first.log(), "\n                   mDNS cluster: clus\n"));
  AgentProcess::Options options = Ours("second", "clus");
  options.flags.push_back("-replay");
  AgentProcess second(options);
  for (AgentProcess* agent : {&first, &second}) {
    EXPECT_TRUE(agent->WaitForMembers({{"first", "alive"}, {"second", "alive"}})) << agent->log();
  }
  EXPECT_TRUE(second.WaitForLog("[INFO] agent.mdns: Joined 1 hosts\n")) << second.log();
  for (const std::string& entry :
       {std::string("[INFO] agent: Starting mDNS listener on interface lo\n"),
        absl::StrCat("[INFO] agent: joining: [", first.gossip(), "] replay: true\n")}) {
    EXPECT_TRUE(absl::StrContains(second.log(), entry)) << second.log();
  }
  // The first agent polled before the second one ran.
  EXPECT_FALSE(absl::StrContains(first.log(), "agent: joining: ")) << first.log();
  EXPECT_EQ(stranger.States(), (MemberStates{{"stranger", "alive"}}));
}

// No agent has -iface, and the multicast route is that of the loopback interface. The agents find
// the links one by one.
TEST(DiscoveryTest, OnEachOfSeveralLinks) {
  ASSERT_TRUE(own_network);
  ASSERT_TRUE(AddLink("d0", {"10.9.0.1"}));
  ASSERT_TRUE(AddLink("d1", {"10.9.1.1", "10.9.1.2"}));
  AgentProcess::Options options = {.program = OurSerf(),
                                   .name = "first",
                                   .flags = {"-discover=links", "-mdns-disable-ipv6"},
                                   .address = "10.9.1.1"};
  AgentProcess first(options);
  ASSERT_TRUE(first.WaitUntilRunning()) << first.log();
  options.name = "second";
  options.address = "10.9.1.2";
  AgentProcess second(options);
  EXPECT_TRUE(first.WaitForMembers({{"first", "alive"}, {"second", "alive"}})) << second.log();
  EXPECT_TRUE(second.WaitForLog("[INFO] agent.mdns: Joined 1 hosts\n")) << second.log();
  // The third agent asks on the other link, where both others answer.
  options.name = "third";
  options.address = "10.9.0.1";
  options.flags.push_back("-mdns-iface=d0");
  AgentProcess third(options);
  EXPECT_TRUE(third.WaitForMembers({{"first", "alive"}, {"second", "alive"}, {"third", "alive"}}))
      << third.log();
}

// A container's name has 64 digits, which no DNS label can hold.
TEST(DiscoveryTest, ANodeWhoseNameIsNoneForDnsFindsAndIsFound) {
  const std::string digits(64, 'f');
  AgentProcess first(Ours("first", "clus"));
  ASSERT_TRUE(first.WaitUntilRunning()) << first.log();
  AgentProcess second(Ours(digits, "clus"));
  EXPECT_TRUE(first.WaitForMembers({{"first", "alive"}, {digits, "alive"}})) << second.log();
  first.Kill();
  AgentProcess third(Ours("third", "clus"));
  EXPECT_TRUE(third.WaitUntil([&digits](const std::vector<Member>& members) {
    return std::any_of(members.begin(), members.end(),
                       [&digits](const Member& member) { return member.name == digits; });
  })) << third.log();
}

TEST(DiscoveryTest, KeysOfFiles) {
  Workshop workshop;
  workshop.Write("m.json",
                 R"({"discover": "clus", "mdns": {"interface": "lo", "disable_ipv6": true}})");
  AgentProcess first({.program = OurSerf(), .name = "first", .flags = {"-config-file=m.json"}});
  ASSERT_TRUE(first.WaitUntilRunning()) << first.log();
  AgentProcess second({.program = OurSerf(), .name = "second", .flags = {"-config-file=m.json"}});
  EXPECT_TRUE(first.WaitForMembers({{"first", "alive"}, {"second", "alive"}})) << second.log();
}

TEST(DiscoveryTest, FindsTheOriginal) {
  AgentProcess original(Original("original"));
  ASSERT_TRUE(original.WaitUntilRunning()) << original.log();
  AgentProcess ours(Ours("ours", "clus"));
  EXPECT_TRUE(ours.WaitForMembers({{"original", "alive"}, {"ours", "alive"}})) << ours.log();
  EXPECT_TRUE(ours.WaitForLog("[INFO] agent.mdns: Joined 1 hosts\n")) << ours.log();
}

TEST(DiscoveryTest, IsFoundByTheOriginal) {
  AgentProcess ours(Ours("ours", "clus"));
  ASSERT_TRUE(ours.WaitUntilRunning()) << ours.log();
  // Our agent polls again only after a minute, so the other agent asks now.
  AgentProcess original(Original("original"));
  ASSERT_TRUE(original.WaitForLog("agent.mdns: ")) << original.log();
  // Without a multicast route Go Serf does not poll. Our agent then finds it as above.
  const bool polled = original.WaitForLog("[INFO] agent.mdns: Joined ");
  EXPECT_TRUE(polled || !own_network) << original.log();
  EXPECT_TRUE(ours.WaitForMembers({{"original", "alive"}, {"ours", "alive"}})) << ours.log();
  EXPECT_TRUE(!polled || absl::StrContains(original.log(), ours.gossip())) << original.log();
}

// --- recorded runs that need the address of the interface ---

// The recording with its own address.
std::string Recorded(absl::string_view text) {
  return absl::StrReplaceAll(text, {{TranscriptAddress(), "127.0.0.1"}});
}

void ExpectAsRecorded(const char* name, absl::string_view left_out = "(nothing)") {
  const Transcript transcript(name);
  std::vector<std::string> words = transcript.argv();
  for (std::string& word : words) word = Recorded(word);
  Process agent(words);
  ASSERT_TRUE(agent.WaitForOutput("Serf agent started")) << name << "\n" << agent.out();
  agent.Signal(SIGINT);
  EXPECT_EQ(agent.Wait(), 0) << name;
  std::string expected;
  for (absl::string_view line : absl::StrSplit(Recorded(transcript.expected().out), '\n')) {
    if (!absl::StrContains(line, left_out)) absl::StrAppend(&expected, line, "\n");
  }
  expected.pop_back();
  EXPECT_EQ(NormalizeAgentOutput(agent.out()), NormalizeAgentOutput(expected)) << name;
}

TEST(DiscoveryTest, InterfaceAndNameAsRecorded) {
  ExpectAsRecorded("agent-iface");
  ExpectAsRecorded("agent-bind-default-port-text");
}

// In our agent, a failure of IPv6 does not stop IPv4.
TEST(DiscoveryTest, WholeBannerAsRecorded) {
  Workshop workshop;
  ExpectAsRecorded("agent-banner-all", "agent.mdns: Failed to poll for new hosts");
}

}  // namespace
}  // namespace serf::testkit

int main(int argc, char** argv) {
  serf::testkit::own_network = serf::testkit::MoveToOwnNetwork();
  ::testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
