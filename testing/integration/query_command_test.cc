// Tests the commands query, reachability, rtt and tags against recordings of Go Serf. Each intended
// difference has a test of its own, with the reason.

#include <algorithm>
#include <chrono>
#include <csignal>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "serf/testing/agents/process.h"
#include "serf/testing/agents/programs.h"
#include "serf/testing/integration/recorded_agents.h"
#include "serf/testing/integration/transcript.h"
#include "serf/testing/integration/workshop.h"

namespace serf::testkit {
namespace {

// Longer than any answer takes, and shorter than the deadline of Process::Wait.
constexpr char kLongTimeout[] = "-timeout=60s";

// The recorded call with another timeout, because the recorded ones are too short for a busy
// machine.
std::vector<std::string> WithTimeout(const Transcript& transcript, absl::string_view timeout) {
  std::vector<std::string> argv = transcript.argv();
  for (std::string& word : argv) {
    if (absl::StartsWith(word, "-timeout=")) word = std::string(timeout);
  }
  return argv;
}

Outcome RunCommand(const std::vector<std::string>& argv) {
  Process process(argv);
  const int exit_code = process.Wait().value_or(-1);
  return {Normalize(process.out()), Normalize(process.err()), exit_code};
}

// Acks and responses come in any order, so these lines are sorted among themselves.
Outcome InAnyOrder(Outcome outcome) {
  std::vector<std::string> lines = absl::StrSplit(outcome.out, '\n');
  const auto is_answer = [](const std::string& line) {
    return absl::StrContains(line, "Ack from '") || absl::StartsWith(line, "Response from '");
  };
  // The lines follow each other.
  const auto begin = std::find_if(lines.begin(), lines.end(), is_answer);
  std::sort(begin, std::find_if_not(begin, lines.end(), is_answer));
  outcome.out = absl::StrJoin(lines, "\n");
  return outcome;
}

// The same for JSON.
nlohmann::json AcksInOrder(const std::string& text) {
  nlohmann::json json = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (json.is_object() && json["Acks"].is_array()) {
    std::sort(json["Acks"].begin(), json["Acks"].end());
  }
  return json;
}

// Starts both agents with the recorded handlers for the query "load".
struct LoadCluster {
  Workshop workshop;
  std::unique_ptr<Process> alpha =
      StartAlpha({"-tag=role=web", HandlerOf("a.sh", "load is 1.02\\n")});
  std::unique_ptr<Process> beta = StartBeta(*alpha, {HandlerOf("b.sh", "0.50")});

 private:
  std::string HandlerOf(const std::string& file, absl::string_view answer) const {
    workshop.Write(file, absl::StrCat("#!/bin/sh\nprintf '", answer, "'\n"), /*executable=*/true);
    return absl::StrCat("-event-handler=query:load=./", file);
  }
};

TEST(QueryCommandTest, WithoutAgent) {
  ExpectAsRecorded({"badflag-duration", "badflag-int", "help-query", "help-reachability",
                    "help-rtt", "help-tags", "refused-query", "refused-reachability", "refused-rtt",
                    "refused-tags", "usage-query-bad-tag", "usage-query-none",
                    "usage-query-relay-256", "usage-query-relay-negative", "usage-query-too-many",
                    "usage-tags-none"});
}

TEST(QueryCommandTest, Authentication) {
  const Workshop workshop;
  workshop.Write("auth.json", R"({"rpc_auth": "my-secret-auth-token"})");
  const auto alpha = StartAlpha({"-config-file=auth.json"});
  ExpectAsRecorded({"auth-env", "auth-flag", "auth-missing", "auth-missing-info",
                    "auth-missing-leave", "auth-missing-monitor", "auth-missing-query",
                    "auth-wrong"});
}

// The calls have far longer timeouts than recorded, and end when all members have answered.
TEST(QueryCommandTest, EndsWhenAllHaveAnswered) {
  const LoadCluster cluster;
  for (const char* name : {"query", "query-no-ack", "query-node", "query-tag", "query-relay"}) {
    const Transcript transcript(name);
    EXPECT_EQ(InAnyOrder(RunCommand(WithTimeout(transcript, kLongTimeout))),
              InAnyOrder(transcript.expected()))
        << name;
  }
  const Transcript json("query-json");
  const Outcome got = RunCommand(WithTimeout(json, kLongTimeout));
  EXPECT_EQ(got.exit_code, 0);
  EXPECT_EQ(AcksInOrder(got.out), AcksInOrder(json.expected().out)) << got.out;
  const Transcript ping("query-ping");
  EXPECT_EQ(InAnyOrder(RunCommand(WithTimeout(ping, kLongTimeout))), InAnyOrder(ping.expected()));
}

TEST(QueryCommandTest, WaitsForTheWholeTimeoutIfTold) {
  const LoadCluster cluster;
  const Transcript transcript("query");
  std::vector<std::string> argv = WithTimeout(transcript, "-timeout=3s");
  argv.insert(argv.end() - 1, "-wait");
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_EQ(InAnyOrder(RunCommand(argv)), InAnyOrder(transcript.expected()));
  EXPECT_GE(std::chrono::steady_clock::now() - begin, std::chrono::seconds(3));
}

TEST(QueryCommandTest, EndsAtTheTimeoutIfSomebodyIsSilent) {
  const LoadCluster cluster;
  ExpectAsRecorded({"query-nothing", "query-json-nothing", "query-tag-bad-regex"});
}

TEST(QueryCommandTest, Refused) {
  const LoadCluster cluster;
  ExpectAsRecorded({"query-bad-format", "query-internal", "query-too-large"});
}

TEST(QueryCommandTest, Interrupted) {
  const LoadCluster cluster;
  const Transcript transcript("query-interrupted");
  Process query(WithTimeout(transcript, kLongTimeout));
  ASSERT_TRUE(query.WaitForOutput("Ack from 'alpha'")) << query.out();
  ASSERT_TRUE(query.WaitForOutput("Ack from 'beta'")) << query.out();
  query.Signal(SIGINT);
  const int exit_code = query.Wait().value_or(-1);
  EXPECT_EQ(InAnyOrder({query.out(), query.err(), exit_code}), InAnyOrder(transcript.expected()));
}

// In Go Serf a query that is cut off looks like a complete one (docs/protocol/agent.md 8.2).
TEST(QueryCommandTest, AgentDies) {
  for (const char* format : {"text", "json"}) {
    const auto alpha = StartAlpha();
    std::vector<std::string> argv = WithTimeout(Transcript("query-agent-dies"), kLongTimeout);
    argv.insert(argv.end() - 1, absl::StrCat("-format=", format));
    Process query(argv);
    ASSERT_TRUE(alpha->WaitForOutput("agent: Received event: query: x")) << alpha->out();
    const bool text = absl::string_view(format) == "text";
    if (text) {
      ASSERT_TRUE(query.WaitForOutput("Ack from 'alpha'\n")) << query.out();
    }
    alpha->Kill();
    EXPECT_EQ(query.Wait(), 1);
    const std::string out = query.out();
    if (text) {
      EXPECT_EQ(
          out,
          "Query 'x' dispatched\nAck from 'alpha'\nError receiving responses: client closed\n");
    } else {
      // The test cannot know whether the reply has come: the sending may have failed.
      EXPECT_TRUE(absl::StartsWith(out, "Error ") && absl::EndsWith(out, ": client closed\n"))
          << out;
    }
  }
}

TEST(QueryCommandTest, AnswersOfHandlers) {
  const struct {
    const char* name;
    std::vector<std::string> handlers;
    const char* timeout;  // null: the recorded one
  } kCases[] = {
      {"query-response-with-stderr", {"query=echo err >&2; echo out"}, kLongTimeout},
      {"query-two-handlers", {"query=echo one", "query=echo two"}, kLongTimeout},
      {"query-silent-handler", {"query=true"}, nullptr},
  };
  for (const auto& c : kCases) {
    std::vector<std::string> flags;
    for (const std::string& handler : c.handlers) {
      flags.push_back(absl::StrCat("-event-handler=", handler));
    }
    const auto alpha = StartAlpha(flags);
    const Transcript transcript(c.name);
    const Outcome got =
        c.timeout == nullptr ? transcript.Run() : RunCommand(WithTimeout(transcript, c.timeout));
    EXPECT_EQ(got, transcript.expected()) << c.name;
    alpha->Kill();
  }
}

// The output of a handler that is `env`, line by line.
std::vector<std::string> Variables(const std::string& json, const std::string& workdir) {
  const nlohmann::json parsed = nlohmann::json::parse(json, nullptr, /*allow_exceptions=*/false);
  if (!parsed.is_object() || !parsed["Responses"]["alpha"].is_string()) return {json};
  std::vector<std::string> lines =
      absl::StrSplit(parsed["Responses"]["alpha"].get<std::string>(), '\n', absl::SkipEmpty());
  for (std::string& line : lines) {
    if (line == absl::StrCat("PWD=", workdir)) line = "PWD=<workdir>";
  }
  std::sort(lines.begin(), lines.end());
  return lines;
}

TEST(QueryCommandTest, EnvironmentOfHandlers) {
  const Workshop workshop;
  const auto alpha =
      StartAgent({"-node=alpha", "-bind=127.0.0.1:23121", "-rpc-addr=127.0.0.1:23221",
                  "-profile=local", "-event-handler=query=env"},
                 {{"PATH", "/usr/bin:/bin"}, {"HOME", "/nonexistent"}, {"LANG", "C"}});
  const Transcript transcript("query-env");
  const Outcome got = RunCommand(WithTimeout(transcript, kLongTimeout));
  EXPECT_EQ(got.exit_code, 0);
  EXPECT_EQ(Variables(got.out, workshop.folder()), Variables(transcript.expected().out, ""));
}

// "Query time: 3.20 sec, time to last response: 0.07 sec" with N in place of the numbers.
Outcome WithoutTimes(Outcome outcome) {
  std::vector<std::string> lines = absl::StrSplit(outcome.out, '\n');
  for (std::string& line : lines) {
    if (!absl::StartsWith(line, "Query time: ")) continue;
    std::vector<std::string> words = absl::StrSplit(line, ' ');
    for (std::string& word : words) {
      if (word.find_first_not_of("0123456789.") == std::string::npos) word = "N";
    }
    line = absl::StrJoin(words, " ");
  }
  outcome.out = absl::StrJoin(lines, "\n");
  return outcome;
}

TEST(QueryCommandTest, Reachability) {
  const LoadCluster cluster;
  const Transcript verbose("reachability-verbose");
  EXPECT_EQ(InAnyOrder(WithoutTimes(verbose.Run())), InAnyOrder(WithoutTimes(verbose.expected())));
  const Transcript interrupted("reachability-interrupted");
  Process test(interrupted.argv());
  ASSERT_TRUE(test.WaitForOutput("Starting reachability test...\n"));
  test.Signal(SIGINT);
  const int exit_code = test.Wait().value_or(-1);
  EXPECT_EQ((Outcome{test.out(), test.err(), exit_code}), interrupted.expected());

  ExpectAsRecorded({"reachability"});
  cluster.beta->Kill();
  ASSERT_TRUE(cluster.alpha->WaitForOutput("serf: EventMemberFailed: beta "))
      << cluster.alpha->out();
  ExpectAsRecorded({"reachability-failed-member"});
}

// A stopped member, with a timing that takes long to detect it.
TEST(QueryCommandTest, ReachabilityOfAStoppedMember) {
  const auto alpha = StartAlpha({"-profile=wan"});
  const auto beta = StartBeta(*alpha, {"-profile=wan"});
  beta->Signal(SIGSTOP);
  const Transcript silent("reachability-missing-ack");
  const Transcript verbose("reachability-missing-ack-verbose");
  Process beside(silent.argv());
  EXPECT_EQ(WithoutTimes(verbose.Run()), WithoutTimes(verbose.expected()));
  const int exit_code = beside.Wait().value_or(-1);
  EXPECT_EQ((Outcome{Normalize(beside.out()), beside.err(), exit_code}), silent.expected());
}

// Go Serf reads the end of the agent as the end of the test, and the silence as losses.
TEST(QueryCommandTest, AgentDiesDuringReachability) {
  const auto alpha = StartAlpha({"-profile=wan"});
  Process test(Transcript("reachability").argv());
  ASSERT_TRUE(test.WaitForOutput("Starting reachability test...\n"));
  alpha->Kill();
  EXPECT_EQ(test.Wait(), 1);
  EXPECT_EQ(test.out(),
            "Total members: 1, live members: 1\nStarting reachability test...\n"
            "Error receiving acks: client closed\n");
}

TEST(QueryCommandTest, RttOfOneAgent) {
  const auto alpha = StartAlpha({"-tag=role=web"});
  ExpectAsRecorded({"rtt-self", "rtt-none", "rtt-three", "rtt-unknown", "rtt-unknown-second"});
}

// "Estimated a <-> b rtt: 0.698 ms" without the number, which must be there.
Outcome WithoutRtt(Outcome outcome) {
  const std::size_t at = outcome.out.find(" rtt: ");
  if (at == std::string::npos) return outcome;
  const std::size_t number = at + 6;
  const std::size_t end = outcome.out.find_first_not_of("0123456789", number);
  // The number has three decimals.
  if (end > number && outcome.out.substr(end, 1) == "." &&
      outcome.out.find_first_not_of("0123456789", end + 1) == end + 4) {
    outcome.out.replace(number, end + 4 - number, "N");
  }
  return outcome;
}

TEST(QueryCommandTest, RttOfTwo) {
  const auto alpha = StartAlpha({"-tag=role=web"});
  const auto beta = StartBeta(*alpha);
  const Transcript both("rtt");
  // alpha learns beta's coordinate when it probes beta.
  ASSERT_TRUE(alpha->WaitUntil([&] { return both.Run().exit_code == 0; })) << both.Run();
  EXPECT_EQ(WithoutRtt(both.Run()), WithoutRtt(both.expected()));
  const Transcript one("rtt-default-second");
  EXPECT_EQ(WithoutRtt(one.Run()), WithoutRtt(one.expected()));
}

TEST(QueryCommandTest, Tags) {
  const auto alpha = StartAlpha({"-tag=role=web"});
  const auto beta = StartBeta(*alpha);
  ExpectAsRecorded({"tags-set"});
  const std::vector<std::string> list = {
      OurSerf(), "members", Localize("-rpc-addr=127.0.0.1:23222"), "-tag", "dc=east",
      "-tag",    "v=1"};
  EXPECT_TRUE(beta->WaitUntil([&] {
    return absl::StrContains(RunCommand(list).out, "  dc=east,role=web,v=1\n");
  })) << RunCommand(list);
  ExpectAsRecorded({"tags-delete", "tags-bad", "tags-too-large"});
  EXPECT_TRUE(beta->WaitUntil([&] { return RunCommand(list).out == "\n"; })) << RunCommand(list);
}

// The blocks of events in the output of `monitor`, without the parts that differ from run to run.
std::vector<std::string> EventBlocks(absl::string_view out) {
  std::vector<std::string> blocks;
  bool inside = false;
  for (absl::string_view line : absl::StrSplit(out, '\n')) {
    if (line == "Event Info:") {
      inside = true;
      blocks.emplace_back();
    } else if (!absl::StartsWith(line, "\t")) {
      inside = false;
    } else if (inside && absl::StartsWith(line, "\tLTime: ")) {
      absl::StrAppend(&blocks.back(), "\tLTime: N\n");
    } else if (inside) {
      absl::StrAppend(&blocks.back(), line, "\n");
    }
  }
  return blocks;
}

TEST(QueryCommandTest, MonitorShowsEventsOfAllKinds) {
  const auto alpha = StartAlpha({"-tag=role=web"});
  // The joins are old news by now.
  ASSERT_TRUE(alpha->WaitForOutput("agent: Received event: member-join"));
  const Transcript transcript("monitor");
  Process monitor(transcript.argv());
  ASSERT_TRUE(monitor.WaitForOutput("[INFO] agent: Serf agent starting")) << monitor.out();
  const std::string address = Localize("-rpc-addr=127.0.0.1:23221");
  for (const std::vector<std::string>& words : std::vector<std::vector<std::string>>{
           {"event", address, "-coalesce=false", "deploy", "9c45b87"},
           {"query", address, "-timeout=1ms", "hello"},
           {"tags", address, "-set", "v=2"}}) {
    std::vector<std::string> argv = words;
    argv.insert(argv.begin(), OurSerf());
    EXPECT_EQ(RunCommand(argv).exit_code, 0) << words[0];
  }
  ASSERT_TRUE(monitor.WaitForOutput("\tEvent: \"member-update\"\n\tMembers: ")) << monitor.out();
  ASSERT_TRUE(monitor.WaitForOutput("[INFO] agent: Received event: member-update\n"));
  monitor.Signal(SIGINT);
  EXPECT_EQ(monitor.Wait(), transcript.expected().exit_code);
  std::vector<std::string> expected = EventBlocks(transcript.expected().out);
  ASSERT_EQ(expected.size(), 3u);
  // The address as bytes.
  const auto bytes = [](absl::string_view text) {
    std::vector<std::string> parts;
    for (absl::string_view part : absl::StrSplit(text, '.')) {
      int number = 0;
      EXPECT_TRUE(absl::SimpleAtoi(part, &number));
      parts.push_back(absl::StrCat("0x", absl::Hex(number)));
    }
    return absl::StrJoin(parts, ", ");
  };
  expected[2] =
      absl::StrReplaceAll(expected[2], {{bytes("127.0.0.1"), bytes(TranscriptAddress())}});
  EXPECT_EQ(EventBlocks(monitor.out()), expected) << monitor.out();
}

}  // namespace
}  // namespace serf::testkit
