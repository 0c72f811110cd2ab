// Tests every command that talks to an agent, in both directions: our commands with Go Serf's
// agents, and Go Serf's commands with our agents. The cluster is encrypted and has two members,
// which both answer the query "load".

#include <algorithm>
#include <csignal>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "gtest/gtest.h"
#include "serf/testing/agents/agent_process.h"
#include "serf/testing/agents/process.h"
#include "serf/testing/agents/programs.h"

namespace serf::testkit {
namespace {

constexpr char kKey[] = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
constexpr char kNewKey[] = "enp6enp6enp6enp6enp6enp6enp6enp6enp6enp6eno=";

// The lines, sorted, with single blanks: Go Serf's order of members, keys and answers is random.
std::vector<std::string> SortedLines(absl::string_view text) {
  std::vector<std::string> lines;
  for (absl::string_view line : absl::StrSplit(text, '\n', absl::SkipEmpty())) {
    lines.push_back(absl::StrJoin(absl::StrSplit(line, ' ', absl::SkipEmpty()), " "));
  }
  std::sort(lines.begin(), lines.end());
  return lines;
}

// A call and its whole output, except for the order of lines.
struct Call {
  std::vector<std::string> words;
  std::string out;
  int exit_code = 0;
};

// True: Go Serf's commands with our agents.
class CommandsTest : public ::testing::TestWithParam<bool> {
 protected:
  static std::vector<std::string> Flags(const char* role, const char* answer) {
    return {absl::StrCat("-encrypt=", kKey), absl::StrCat("-tag=role=", role),
            absl::StrCat("-event-handler=query:load=echo ", answer)};
  }

  CommandsTest()
      : a_({.program = Agent(), .name = "a", .flags = Flags("web", "one")}),
        b_({.program = Agent(), .name = "b", .flags = Flags("db", "two")}) {
    EXPECT_TRUE(a_.WaitUntilRunning()) << a_.log();
    EXPECT_TRUE(b_.WaitUntilRunning()) << b_.log();
  }

  static std::string Agent() { return GetParam() ? OurSerf() : DebianSerf(); }
  static std::string Command() { return GetParam() ? DebianSerf() : OurSerf(); }

  static std::vector<std::string> CommandLine(const AgentProcess& agent,
                                              const std::vector<std::string>& words) {
    std::vector<std::string> argv = {Command(), words[0], absl::StrCat("-rpc-addr=", agent.rpc())};
    argv.insert(argv.end(), words.begin() + 1, words.end());
    return argv;
  }

  static void Expect(const AgentProcess& agent, const std::vector<Call>& calls) {
    for (const Call& call : calls) {
      Process process(CommandLine(agent, call.words));
      EXPECT_EQ(process.Wait(), call.exit_code) << absl::StrJoin(call.words, " ");
      EXPECT_EQ(SortedLines(process.out()), SortedLines(call.out))
          << absl::StrJoin(call.words, " ") << "\n"
          << agent.log();
    }
  }

  void Join() {
    Expect(a_, {{{"join", b_.gossip()}, "Successfully joined cluster by contacting 1 nodes.\n"}});
    const MemberStates both = {{"a", "alive"}, {"b", "alive"}};
    ASSERT_TRUE(a_.WaitForMembers(both)) << a_.log();
    ASSERT_TRUE(b_.WaitForMembers(both)) << b_.log();
  }

  AgentProcess a_;
  AgentProcess b_;
};

TEST_P(CommandsTest, JoinMembersTagsForceLeaveLeave) {
  Join();
  const std::string a = absl::StrCat("a  ", a_.gossip(), "  alive  ");
  const std::string b = absl::StrCat("b  ", b_.gossip(), "  alive  role=db\n");
  const std::string done = "Successfully updated agent tags\n";
  Expect(a_,
         {{{"members"}, absl::StrCat(a, "role=web\n", b)},
          {{"members", "-tag", "role=d.", "-name=b", "-status=alive"}, b},
          {{"members", "-name=nosuch"}, "\n"},
          {{"members", "-name=nosuch", "-format=json"}, "{\n  \"members\": null\n}\n"},
          {{"members", "-name=a", "-detailed"},
           absl::StrCat(a, "role=web  Protocol Version: 5  Available Protocol Range: [2, 5]\n")},
          {{"tags", "-set", "role=x", "-delete", "nosuch"}, done},
          {{"members", "-name=a"}, absl::StrCat(a, "role=x\n")},
          {{"tags", "-delete", "role"}, done},
          {{"members", "-name=a", "-format=json"},
           absl::StrCat("{\n\"members\": [\n{\n\"name\": \"a\",\n\"addr\": \"", a_.gossip(),
                        "\",\n\"port\": 7946,\n\"tags\": {},\n\"status\": \"alive\",\n"
                        "\"protocol\": {\n\"max\": 5,\n\"min\": 2,\n\"version\": 5\n}\n}\n]\n}"
                        "\n")},
          {{"force-leave", "nosuch"}, ""}});
  b_.Kill();
  ASSERT_TRUE(a_.WaitForMembers({{"a", "alive"}, {"b", "failed"}})) << a_.log();
  Expect(a_, {{{"force-leave", "b"}, ""}});
  ASSERT_TRUE(a_.WaitForMembers({{"a", "alive"}, {"b", "left"}})) << a_.log();
  Expect(a_, {{{"force-leave", "-prune", "b"}, ""}});
  ASSERT_TRUE(a_.WaitForMembers({{"a", "alive"}})) << a_.log();

  Process leave(CommandLine(a_, {"leave"}));
  leave.Wait();
  // Go Serf's command may print `client closed` although the leave succeeded
  // (docs/protocol/agent.md 1.11).
  EXPECT_TRUE(leave.out() == "Graceful leave complete\n" ||
              (GetParam() && leave.out() == "Error leaving: client closed\n"))
      << leave.out();
  EXPECT_EQ(a_.process().Wait(), 0) << a_.log();
}

TEST_P(CommandsTest, Keys) {
  Join();
  const std::string asking = "==> Asking all members for installed keys...\n";
  const std::string gathered = "==> Keys gathered, listing cluster keys...\n\n";
  const std::string installing = "==> Installing key on all members...\n";
  const std::string removing = "==> Removing key on all members...\n";
  Expect(
      a_,
      {{{"keys", "-list"}, absl::StrCat(asking, gathered, kKey, "  [2/2]\n")},
       {{"keys", absl::StrCat("-install=", kNewKey)},
        absl::StrCat(installing, "==> Successfully installed key!\n")},
       {{"keys", "-list"}, absl::StrCat(asking, gathered, kKey, "  [2/2]\n", kNewKey, "  [2/2]\n")},
       {{"keys", absl::StrCat("-use=", kNewKey)},
        "==> Changing primary key on all members...\n==> Successfully changed primary key!\n"},
       {{"keys", absl::StrCat("-remove=", kKey)},
        absl::StrCat(removing, "==> Successfully removed key!\n")},
       {{"keys", "-list"}, absl::StrCat(asking, gathered, kNewKey, "  [2/2]\n")},
       {{"keys", absl::StrCat("-remove=", kNewKey)},
        absl::StrCat(removing, "failed:  a  Removing the primary key is not allowed\n",
                     "failed:  b  Removing the primary key is not allowed\n",
                     "\nError removing key: 2/2 nodes reported failure\n"),
        1}});
}

TEST_P(CommandsTest, EventQueryReachability) {
  Join();
  Expect(a_, {{{"event", "-coalesce=false", "deploy", "x"},
               "Event 'deploy' dispatched! Coalescing enabled: false\n"}});
  EXPECT_TRUE(b_.WaitForLog("agent: Received event: user-event: deploy\n")) << b_.log();
  const std::string dispatched = "Query 'load' dispatched\n";
  const std::string acks = "Ack from 'a'\nAck from 'b'\n";
  const std::string responses = "Response from 'a': one\nResponse from 'b': two\n";
  const std::string b_only =
      "Ack from 'b'\nResponse from 'b': two\nTotal Acks: 1\nTotal Responses: 1\n";
  const std::string timeout = "-timeout=4s";  // Go Serf waits for all of it
  Expect(a_, {{{"query", timeout, "load"},
               absl::StrCat(dispatched, acks, responses, "Total Acks: 2\nTotal Responses: 2\n")},
              {{"query", timeout, "-no-ack", "-relay-factor=1", "load", "payload"},
               absl::StrCat(dispatched, responses, "Total Responses: 2\n")},
              {{"query", timeout, "-node=b", "load"}, absl::StrCat(dispatched, b_only)},
              {{"query", timeout, "-tag", "role=d", "load"}, absl::StrCat(dispatched, b_only)},
              {{"query", timeout, "-format=json", "-node=b", "load"},
               "{\n\"Acks\": [\n\"b\"\n],\n\"Responses\": {\n\"b\": \"two\\n\"\n}\n}\n"},
              {{"query", "_serf_x"},
               "Error sending query: Queries cannot contain the '_serf_' prefix\n",
               1},
              {{"reachability"},
               "Total members: 2, live members: 2\nStarting reachability test...\n"
               "Successfully contacted all live nodes\n"}});
  Process verbose(CommandLine(b_, {"reachability", "-verbose"}));
  EXPECT_EQ(verbose.Wait(), 0) << verbose.out();
  for (const char* part : {"\n\tAck from 'a'\n", "\n\tAck from 'b'\n", "\nQuery time: "}) {
    EXPECT_TRUE(absl::StrContains(verbose.out(), part)) << part << verbose.out();
  }
}

TEST_P(CommandsTest, InfoRtt) {
  Join();
  Process info(CommandLine(a_, {"info"}));
  EXPECT_EQ(info.Wait(), 0);
  EXPECT_TRUE(absl::StartsWith(info.out(),
                               "agent:\n\tname = a\nevent_handlers:\n\tquery:load = echo one\n"))
      << info.out();
  for (const char* part : {"\n\tencrypted = true\n", "\n\tmembers = 2\n", "\n\trole = web\n"}) {
    EXPECT_TRUE(absl::StrContains(info.out(), part)) << part << info.out();
  }
  // a learns b's coordinate when it probes b.
  std::string out;
  ASSERT_TRUE(a_.process().WaitUntil([&] {
    Process rtt(CommandLine(a_, {"rtt", "b"}));
    const bool done = rtt.Wait() == 0;
    out = rtt.out();
    return done;
  })) << out;
  EXPECT_TRUE(absl::StartsWith(out, "Estimated b <-> a rtt: ")) << out;
  EXPECT_TRUE(absl::EndsWith(out, " ms\n")) << out;
  Expect(a_, {{{"rtt", "a", "nosuch"}, "Could not find a coordinate for node \"nosuch\"\n", 1}});
}

TEST_P(CommandsTest, MonitorShowsAllEvents) {
  Process monitor(CommandLine(a_, {"monitor", "-log-level=debug"}));
  ASSERT_TRUE(monitor.WaitForOutput("[INFO] agent: Serf agent starting\n")) << monitor.out();
  Join();
  // Joins that were not delivered yet would be merged with the change of the tags.
  ASSERT_TRUE(monitor.WaitForOutput("\"Name\":\"b\"")) << monitor.out();
  Expect(a_, {{{"event", "-coalesce=false", "deploy", "x"},
               "Event 'deploy' dispatched! Coalescing enabled: false\n"},
              {{"tags", "-set", "v=2"}, "Successfully updated agent tags\n"}});
  Process query(CommandLine(a_, {"query", "-timeout=1s", "hello"}));
  EXPECT_EQ(query.Wait(), 0);
  for (const char* part :
       {"\tEvent: \"member-join\"\n", "\tEvent: \"user\"\n", "\tName: \"deploy\"\n",
        "\tPayload: []byte{0x78}\n", "\tEvent: \"query\"\n", "\tName: \"hello\"\n",
        "\tEvent: \"member-update\"\n", "\"v\":\"2\""}) {
    EXPECT_TRUE(monitor.WaitForOutput(part)) << part << monitor.out();
  }
  monitor.Signal(SIGINT);
  EXPECT_EQ(monitor.Wait(), 0);
}

INSTANTIATE_TEST_SUITE_P(Interop, CommandsTest, ::testing::Bool(), [](const auto& instance) {
  return std::string(instance.param ? "TheirCommandsOurAgents" : "OurCommandsTheirAgents");
});

// Go Serf's list has a random order; ours is by name, whichever command prints it.
TEST(CommandsOrderTest, OurMembersAreSorted) {
  AgentProcess first({.program = DebianSerf(), .name = "n0"});
  ASSERT_TRUE(first.WaitUntilRunning()) << first.log();
  std::vector<std::unique_ptr<AgentProcess>> others;
  MemberStates all = {{"n0", "alive"}};
  for (const char* name : {"n1", "n2", "n3", "n4"}) {
    others.push_back(std::make_unique<AgentProcess>(AgentProcess::Options{
        .program = DebianSerf(), .name = name, .flags = {absl::StrCat("-join=", first.gossip())}}));
    all[name] = "alive";
  }
  ASSERT_TRUE(first.WaitForMembers(all)) << first.log();
  Process members({OurSerf(), "members", absl::StrCat("-rpc-addr=", first.rpc())});
  EXPECT_EQ(members.Wait(), 0);
  std::vector<std::string> names;
  for (absl::string_view line : absl::StrSplit(members.out(), '\n', absl::SkipEmpty())) {
    names.emplace_back(line.substr(0, 2));
  }
  EXPECT_EQ(names, (std::vector<std::string>{"n0", "n1", "n2", "n3", "n4"}));
}

}  // namespace
}  // namespace serf::testkit
