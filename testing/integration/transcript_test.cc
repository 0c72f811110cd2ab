// Repeats the recorded runs of Go Serf's commands with //cmd:serf. Each intended difference has a
// test of its own, with the reason.

#include "serf/testing/integration/transcript.h"

#include <csignal>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "serf/testing/agents/process.h"
#include "serf/testing/agents/programs.h"
#include "serf/testing/integration/recorded_agents.h"
#include "serf/testing/integration/workshop.h"

namespace serf::testkit {
namespace {

// Starts beta alone; the test joins it.
std::unique_ptr<Process> StartLoneBeta() {
  return StartAgent({"-node=beta", "-bind=127.0.0.1:23122", "-rpc-addr=127.0.0.1:23222",
                     "-tag=role=db", "-profile=local"});
}

TEST(TranscriptTest, WithoutAgent) {
  ExpectAsRecorded({
      "badflag-agent",
      "badflag-bool-value",
      "badflag-members",
      "badflag-missing-value",
      "badflag-triple-dash",
      "help-after-args",
      "help-agent",
      "help-force-leave",
      "help-info",
      "help-join",
      "help-keygen",
      "help-leave",
      "help-members",
      "help-monitor",
      "help-version",
      "new-help-agent",
      "new-top-help",
      "new-version",
      "top-h",
      "top-help-single-dash",
      "top-help",
      "top-no-args",
      "top-unknown-command-help",
      "top-unknown-command",
      "top-unknown-flag",
      "top-v",
      "top-version-anywhere",
      "top-version-command",
      "top-version-single-dash",
      "top-version",
      "refused-bad-address",
      "refused-bad-port",
      "refused-env",
      "refused-flag-over-env",
      "refused-force-leave",
      "refused-info",
      "refused-join",
      "refused-leave",
      "refused-members",
      "refused-monitor",
      "refused-no-port",
      "usage-force-leave-none",
      "usage-force-leave-two",
      "usage-join-none",
      "usage-members-bad-tag",
      "usage-members-empty-tag",
  });
}

TEST(TranscriptTest, Keygen) {
  std::set<std::string> keys;
  for (const Transcript& transcript :
       {Transcript("keygen"), Transcript("keygen"), Transcript("keygen-ignores-args")}) {
    const Outcome got = transcript.Run();
    EXPECT_EQ(got.exit_code, 0);
    EXPECT_EQ(got.out.size(), transcript.expected().out.size());
    EXPECT_TRUE(keys.insert(got.out).second) << got.out;
  }
}

TEST(TranscriptTest, OneAgent) {
  const auto alpha = StartAlpha({"-tag=role=web"});
  ExpectAsRecorded(
      {"members-one", "info-bad-format", "auth-not-needed", "cross-old-cli-new-agent"});
}

// `info` without the values that depend on the machine.
nlohmann::json ComparableInfo(const std::string& text) {
  nlohmann::json info = nlohmann::json::parse(text);
  for (auto& [key, value] : info["runtime"].items()) value = "";
  return info;
}

// The lines of `info`, without the values that depend on the machine or the moment.
std::string ComparableInfoText(const std::string& text) {
  std::string result;
  absl::string_view section;
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    if (!absl::StartsWith(line, "\t")) section = line;
    const bool varies = section == "runtime:" || section == "serf:";
    absl::StrAppend(&result, varies ? line.substr(0, line.find(" = ")) : line, "\n");
  }
  return result;
}

TEST(TranscriptTest, InfoAsText) {
  const Workshop workshop;
  workshop.Write("h.sh", "#!/bin/sh\necho load is 1.02\n", /*executable=*/true);
  for (const char* name : {"info-one", "cross-new-cli-new-agent-info", "info-handlers"}) {
    std::vector<std::string> flags = {"-tag=role=web"};
    if (!absl::StartsWith(name, "cross-")) flags.push_back("-event-handler=query:load=./h.sh");
    const auto alpha = StartAlpha(flags);
    const Transcript transcript(name);
    const Outcome got = transcript.Run();
    EXPECT_EQ(got.exit_code, 0) << name;
    EXPECT_EQ(ComparableInfoText(got.out), ComparableInfoText(transcript.expected().out)) << name;
    alpha->Kill();
  }
}

TEST(TranscriptTest, InfoAsJson) {
  const auto alpha = StartAlpha({"-tag=role=web", "-event-handler=query:load=./h.sh"});
  const Transcript json("info-json");
  const Outcome got = json.Run();
  EXPECT_EQ(got.exit_code, 0);
  EXPECT_EQ(ComparableInfo(got.out), ComparableInfo(json.expected().out));
}

TEST(TranscriptTest, EncryptedAgentLeaves) {
  const auto alpha = StartAlpha({"-encrypt=AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="});
  const Outcome info = Transcript("info-encrypted").Run();
  EXPECT_TRUE(absl::StrContains(info.out, "\tencrypted = true\n")) << info.out;
  EXPECT_TRUE(absl::EndsWith(info.out, "\ntags:\n")) << info.out;
  ExpectAsRecorded({"leave"});
  EXPECT_EQ(alpha->Wait(), 0);
}

TEST(TranscriptTest, TwoAgents) {
  const auto alpha = StartAlpha({"-tag=role=web"});
  const auto beta = StartLoneBeta();
  ExpectAsRecorded({"join"});
  ASSERT_TRUE(beta->WaitForOutput("serf: EventMemberJoin: alpha "));
  ExpectAsRecorded({
      "join-again",
      "join-fail",
      "join-fail-two",
      "members",
      "members-bad-format",
      "members-detailed",
      "members-double-dash-flag",
      "members-env",
      "members-extra-args",
      "members-json",
      "members-json-detailed",
      "members-name",
      "members-name-alternation",
      "members-name-partial",
      "members-none-json",
      "members-role",
      "members-status",
      "members-status-none",
      "members-tag",
      "members-tag-missing",
      "members-tag-two",
      "force-leave-alive",
      "monitor-bad-level",
  });
  // Go Serf prints nothing (serf#500).
  const Transcript unknown("force-leave-unknown");
  Outcome expected = unknown.expected();
  expected.err = "Warning: no member is called \"nosuch\"\n";
  EXPECT_EQ(unknown.Run(), expected);
  ExpectAsRecorded({"leave-peer"});
  EXPECT_EQ(beta->Wait(), 0);
  EXPECT_FALSE(absl::StrContains(beta->out(), "Caught signal"));
  EXPECT_TRUE(absl::EndsWith(NormalizeAgentOutput(beta->out()),
                             "    [INFO] agent.ipc: Graceful leave triggered\n"
                             "    [INFO] agent: requesting graceful leave from Serf\n"
                             "    [INFO] serf: EventMemberLeave: beta " +
                                 TranscriptAddress() +
                                 "\n    [INFO] agent: requesting serf shutdown\n"
                                 "    [INFO] agent: shutdown complete\n"))
      << beta->out();
  ASSERT_TRUE(alpha->WaitForOutput("serf: EventMemberLeave: beta "));
  ExpectAsRecorded({"members-left"});
}

// On a bad expression Go Serf closes the connection, and prints only `client closed`. Our agent
// answers with the reason (docs/protocol/agent.md 1.7).
TEST(TranscriptTest, BadExpressionIsNamed) {
  const auto alpha = StartAlpha();
  const Outcome got = Transcript("members-bad-regex").Run();
  EXPECT_EQ(got.exit_code, 1);
  EXPECT_EQ(got.out,
            "Error retrieving members: Failed to compile regex: error parsing regexp: missing "
            "closing ]: `[$`\n");
  const Outcome tag = Transcript("members-bad-tag-regex").Run();
  EXPECT_EQ(tag.exit_code, 1);
  EXPECT_EQ(tag.out,
            "Error retrieving members: Failed to compile regex: error parsing regexp: missing "
            "closing ): `^($`\n");
}

TEST(TranscriptTest, FailedMember) {
  // The recorded tags of alpha are those after a change.
  const auto alpha = StartAlpha({"-tag=role=web", "-tag=v=2"});
  const auto beta = StartLoneBeta();
  ExpectAsRecorded({"join"});
  ASSERT_TRUE(beta->WaitForOutput("serf: EventMemberJoin: alpha "));
  beta->Kill();
  ASSERT_TRUE(alpha->WaitForOutput("serf: EventMemberFailed: beta ")) << alpha->out();
  ExpectAsRecorded({"members-failed", "force-leave"});
  ASSERT_TRUE(alpha->WaitForOutput("serf: EventMemberLeave (forced): beta ")) << alpha->out();
  // Go Serf's order is random; ours is by name.
  const Transcript left("members-after-force-leave");
  std::vector<std::string> lines = absl::StrSplit(left.expected().out, '\n');
  ASSERT_EQ(lines.size(), 3u);
  std::swap(lines[0], lines[1]);
  EXPECT_EQ(left.Run().out, absl::StrJoin(lines, "\n"));
  ExpectAsRecorded({"force-leave-prune", "members-after-prune"});
}

TEST(TranscriptTest, Ipv6) {
  const auto six = StartAgent({"-node=six", "-bind=[::1]:23121", "-rpc-addr=127.0.0.1:23221"});
  ExpectAsRecorded({"members-ipv6"});
}

TEST(TranscriptTest, OddCharacters) {
  const auto odd = StartAgent({"-node= al|pha ", "-bind=127.0.0.1:23121",
                               "-rpc-addr=127.0.0.1:23221", "-tag=a= x|y ", "-tag=b=<&>"});
  ExpectAsRecorded({"members-odd-characters-json"});
  // In Go Serf a "|" makes a column; in our output it has no meaning (docs/protocol/agent.md 4.10).
  EXPECT_EQ(Transcript("members-odd-characters").Run().out,
            Localize("al|pha  127.0.0.1:23121  alive  a= x|y ,b=<&>\n"));
}

TEST(TranscriptTest, MonitorOfAnAgentThatDies) {
  const auto alpha = StartAlpha();
  const Transcript transcript("monitor-agent-dies");
  std::vector<std::string> argv = transcript.argv();
  argv.push_back("-log-level=debug");  // the debug level shows that the agent runs
  Process monitor(argv);
  ASSERT_TRUE(monitor.WaitForOutput("agent: Serf agent starting"));
  alpha->Kill();
  EXPECT_EQ(monitor.Wait(), transcript.expected().exit_code);
  EXPECT_TRUE(absl::EndsWith(monitor.out(),
                             "\nRemote side ended the monitor! This usually means that the\n"
                             "remote side has exited or crashed.\n"))
      << monitor.out();
}

// The user learns which addresses did not answer; Go Serf reports only how many answered.
TEST(TranscriptTest, JoinNamesWhatDidNotAnswer) {
  const auto alpha = StartAlpha();
  const auto beta = StartLoneBeta();
  const Transcript transcript("join-partial");
  Outcome expected = transcript.expected();
  const std::string gone = absl::StrCat(TranscriptAddress(), ":23999");
  expected.err =
      absl::StrCat("Failed to join ", gone, ": dial tcp ", gone, ": connect: connection refused\n");
  EXPECT_EQ(transcript.Run(), expected);
}

// --- agents ---

// Runs an agent until `ready` appears, sends the signals, and compares its whole output, except for
// intended additions.
void ExpectAgentAsRecorded(const char* name, const char* ready, const std::vector<int>& signals,
                           const std::string& beside = "") {
  const Transcript transcript(name);
  Process agent(transcript.argv(), transcript.environment());
  ASSERT_TRUE(agent.WaitForOutput(ready)) << name << "\n" << agent.out();
  for (std::size_t i = 0; i < signals.size(); ++i) {
    if (i > 0) {
      ASSERT_TRUE(agent.WaitForOutput("serf: EventMemberLeave")) << name;
    }
    agent.Signal(signals[i]);
  }
  const Outcome expected = transcript.expected();
  EXPECT_EQ(agent.Wait(), expected.exit_code) << name;
  std::string out = NormalizeAgentOutput(agent.out());
  if (!beside.empty()) {
    EXPECT_TRUE(absl::StrContains(out, beside)) << out;
    out = absl::StrReplaceAll(out, {{beside, ""}});
  }
  EXPECT_EQ(out, NormalizeAgentOutput(expected.out)) << name;
  EXPECT_EQ(agent.err(), expected.err) << name;
}

constexpr char kHeading[] = "==> Log data will now stream in as it occurs:\n\n";

TEST(TranscriptTest, AgentErrors) {
  ExpectAsRecorded({
      "agent-err-advertise",
      "agent-err-bind",
      "agent-err-bind-ip",
      "agent-err-broadcast-timeout",
      "agent-err-encrypt",
      "agent-err-encrypt-short",
      "agent-err-iface",
      "agent-err-log-level",
      "agent-err-profile",
      "agent-err-protocol-high",
      "agent-err-protocol-low",
      "agent-err-retry-interval",
      "agent-err-rpc-addr",
      "agent-err-tag",
      "agent-err-tag-empty",
      "agent-err-tags-large",
      "agent-err-iface-mismatch",
      "agent-join-fail",
  });
}

TEST(TranscriptTest, AgentBusyPorts) {
  const auto other = StartAgent(
      {"-node=other", "-bind=127.0.0.1:23133", "-rpc-addr=127.0.0.1:23233", "-profile=local"});
  ExpectAsRecorded({"agent-err-port-busy", "agent-err-rpc-busy"});
}

TEST(TranscriptTest, AgentLives) {
  for (const char* name : {"agent-banner", "agent-banner-ipv6", "agent-role", "agent-trace",
                           "agent-warn-broadcast-timeout", "agent-warn-retry-interval",
                           "agent-positional-args-ignored"}) {
    ExpectAgentAsRecorded(name, "Serf agent started", {SIGINT});
  }
  ExpectAgentAsRecorded("agent-log-level-mixed-case", kHeading, {SIGINT});
}

TEST(TranscriptTest, AgentSignals) {
  ExpectAgentAsRecorded("agent-term", "Serf agent started", {SIGTERM});
  ExpectAgentAsRecorded("agent-int-twice", "Serf agent started", {SIGINT, SIGINT});
  ExpectAgentAsRecorded("agent-int-then-hup", "Serf agent started", {SIGINT, SIGHUP});
}

TEST(TranscriptTest, AgentJoins) {
  // One of the addresses does not answer, which Go Serf does not report.
  const std::string beside = absl::StrCat(
      "    [WARN] agent: error joining: 1 error occurred:\n\t* Failed to join (address): dial tcp ",
      TranscriptAddress(), ":23999: connect: connection refused\n\n");
  const struct {
    const char* name;
    std::string beside;
  } kCases[] = {{"agent-join", ""}, {"agent-join-replay", beside}, {"agent-retry-join", ""}};
  for (const auto& c : kCases) {
    const auto peer =
        StartAgent({"-node=peer", "-bind=127.0.0.1:23132", "-rpc-addr=127.0.0.1:23232"});
    ExpectAgentAsRecorded(c.name, "agent: joined: 1 nodes", {SIGINT}, c.beside);
    peer->Kill();
  }
}

TEST(TranscriptTest, AgentRetriesJoin) {
  ExpectAgentAsRecorded("agent-retry-join-fail", kHeading, {});
}

TEST(TranscriptTest, AgentDefaultsToTheHostName) {
  const Transcript transcript("agent-banner-default-name");
  Process agent(transcript.argv());
  ASSERT_TRUE(agent.WaitForOutput("Serf agent started"));
  char host[256] = {};
  ASSERT_EQ(::gethostname(host, sizeof(host) - 1), 0);
  EXPECT_TRUE(absl::StrContains(agent.out(), absl::StrCat("Node name: '", host, "'\n")));
  agent.Signal(SIGTERM);
  EXPECT_EQ(agent.Wait(), 1);
}

// The address is not replaced, because it belongs to the interface and to the name.
TEST(TranscriptTest, AgentFindsItsAddress) {
  for (const std::vector<std::string>& flags : std::vector<std::vector<std::string>>{
           {"-iface=lo", "-bind=0.0.0.0:0"}, {"-bind=localhost:0"}}) {
    std::vector<std::string> words = {OurSerf(), "agent", "-node=n1",
                                      absl::StrCat("-rpc-addr=", Localize("127.0.0.1:0"))};
    words.insert(words.end(), flags.begin(), flags.end());
    Process agent(words);
    EXPECT_TRUE(agent.WaitForOutput("serf: EventMemberJoin: n1 127.0.0.1\n")) << agent.out();
    EXPECT_TRUE(absl::StrContains(agent.out(), "Bind addr: '127.0.0.1:0'\n")) << agent.out();
    EXPECT_EQ(absl::StartsWith(agent.out(), "==> Using interface 'lo' address '127.0.0.1'\n"),
              flags.size() == 2);
  }
}

}  // namespace
}  // namespace serf::testkit
