// Tests event handlers of a real agent. Recorded runs of Go Serf define what a script must receive.
// User events come from a Go Serf agent, which is a member beside our agent.

#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "serf/rpc/client.h"
#include "serf/testing/agents/agent_process.h"
#include "serf/testing/agents/process.h"
#include "serf/testing/agents/programs.h"
#include "serf/testing/integration/transcript.h"
#include "serf/testing/integration/workshop.h"
#include "serf/testing/vectors/vectors.h"

namespace serf::testkit {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// Writes its input to a file for each invocation: sorted variables, "--", standard input.
constexpr char kHandler[] = R"(#!/bin/sh
n=$(ls | grep -c ^invocation)
{ env | grep ^SERF_ | LC_ALL=C sort; echo --; cat; } >tmp
mv tmp invocation$n
echo "handled $SERF_EVENT"
)";

class EventHandlerTest : public ::testing::Test {
 protected:
  EventHandlerTest() { workshop_.Write("handler.sh", kHandler, /*executable=*/true); }

  // Starts the recorded agent, and returns once it has reported its own join.
  void Start(const char* name) {
    const Transcript transcript(name);
    agent_ = std::make_unique<Process>(transcript.argv(),
                                       Process::Environment{{"PATH", "/usr/bin:/bin"}});
    ASSERT_TRUE(agent_->WaitForOutput("agent: Received event: member-join\n")) << agent_->out();
  }

  // Joins the Go Serf agent that sends user events.
  void AddSender() {
    sender_ = std::make_unique<AgentProcess>(
        AgentProcess::Options{.program = DebianSerf(),
                              .name = "sender",
                              .flags = {"-join=" + Localize("127.0.0.1:23121")}});
    ASSERT_TRUE(sender_->WaitUntilRunning()) << sender_->log();
  }
  // Starts a recorded agent and the sender, and forgets what the script received about the two.
  void StartWithSender() {
    Start("handler-all");
    Told(1);
    std::filesystem::remove("invocation0");
    AddSender();
    Told(1);
    std::filesystem::remove("invocation0");
  }
  void Send(const std::string& name, const std::string& payload) {
    Process event(
        {DebianSerf(), "event", "-rpc-addr=" + sender_->rpc(), "-coalesce=false", name, payload});
    ASSERT_EQ(event.Wait(), 0) << event.out();
    ASSERT_TRUE(agent_->WaitForOutput("Received event: user-event: " + name)) << agent_->out();
  }

  // Sends a query and returns the answers.
  std::string Query(const std::string& name, const std::string& payload) {
    Process query({DebianSerf(), "query", "-rpc-addr=" + sender_->rpc(), "-timeout=2s",
                   "-node=alpha", name, payload});
    EXPECT_EQ(query.Wait(), 0) << query.out();
    return query.out();
  }

  // The handler's input, by invocation.
  std::vector<std::string> Told(std::size_t count) {
    const auto file = [](std::size_t n) { return absl::StrCat("invocation", n); };
    EXPECT_TRUE(agent_->WaitUntil([&] {
      return std::filesystem::exists(workshop_.folder() / file(count - 1));
    })) << agent_->out();
    std::vector<std::string> told;
    for (std::size_t n = 0; n < count; ++n) told.push_back(workshop_.Read(file(n)));
    EXPECT_FALSE(std::filesystem::exists(workshop_.folder() / file(count)));
    return told;
  }

  // The recorded input of the invocations for this event.
  static std::vector<std::string> Recorded(const char* name, const char* event) {
    std::vector<std::string> told;
    const nlohmann::json vector = LoadVectors(absl::StrCat("cli/", name, ".json"));
    for (const auto& invocation : vector["invocations"]) {
      if (invocation["env"]["SERF_EVENT"].get<std::string>() != event) continue;
      std::string text;
      for (const auto& [key, value] : invocation["env"].items()) {
        absl::StrAppend(&text, key, "=", value.get<std::string>(), "\n");
      }
      absl::StrAppend(&text, "--\n", invocation["stdin_text"].get<std::string>());
      told.push_back(Localize(text));
    }
    return told;
  }

  // Expects a log entry that Go Serf wrote as well.
  void ExpectEntry(const char* name, const std::string& entry) {
    EXPECT_THAT(Transcript(name).expected().out, HasSubstr(entry));
    EXPECT_TRUE(agent_->WaitForOutput(entry)) << agent_->out();
  }

  // The lines of standard input of all invocations, with sorted tags.
  static std::set<std::string> MemberLines(const std::vector<std::string>& told) {
    std::set<std::string> lines;
    for (const std::string& text : told) {
      for (const absl::string_view line :
           absl::StrSplit(text.substr(text.find("--\n") + 3), '\n', absl::SkipEmpty())) {
        const std::size_t tags_at = line.rfind('\t') + 1;
        std::vector<std::string> tags = absl::StrSplit(line.substr(tags_at), ',');
        std::sort(tags.begin(), tags.end());
        lines.insert(absl::StrCat(line.substr(0, tags_at), absl::StrJoin(tags, ",")));
      }
    }
    return lines;
  }

  Workshop workshop_;
  std::unique_ptr<Process> agent_;
  std::unique_ptr<AgentProcess> sender_;
};

TEST_F(EventHandlerTest, FiltersAndUserEvents) {
  Start("handler-filters");
  EXPECT_EQ(Told(1), Recorded("handler-filters", "member-join"));
  std::filesystem::remove("invocation0");
  AddSender();
  // The handler also receives the sender's join.
  EXPECT_THAT(Told(1), ElementsAre(HasSubstr("SERF_EVENT=member-join\n")));
  std::filesystem::remove("invocation0");
  Send("other", "b");
  Send("deploy", "a");
  const std::vector<std::string> told = Told(1);
  ASSERT_EQ(told.size(), 1u);
  // The recording's first event is the second one here.
  std::string expected = Recorded("handler-filters", "user").at(0);
  expected.replace(expected.find("LTIME=1"), 7, "LTIME=2");
  EXPECT_EQ(told[0], expected);
}

TEST_F(EventHandlerTest, CommandMayHoldAnEqualsSign) {
  Start("handler-equals-in-command");
  AddSender();
  Send("deploy", "a");
  EXPECT_EQ(Told(1), Recorded("handler-equals-in-command", "user"));
}

TEST_F(EventHandlerTest, PayloadsAsRecorded) {
  StartWithSender();
  Send("deploy", "9c45b87");
  Told(1);
  Send("nopayload", "");
  Told(2);
  Send("newline", "line1\nline2\n");
  EXPECT_EQ(Told(3), Recorded("handler-all", "user"));
}

// The answer to a query is the output of the first script that succeeds. The agent logs an answer
// that is too long.
TEST_F(EventHandlerTest, QueriesAreAnswered) {
  Start("handler-two-responses");
  AddSender();
  const std::string first = Query("x", "");
  EXPECT_THAT(first, HasSubstr("Response from 'alpha': one\n"));
  EXPECT_THAT(first, ::testing::Not(HasSubstr("two")));
  EXPECT_TRUE(agent_->WaitForOutput(
      "[WARN] agent: Failed to respond to query 'query: x': failed to respond to key query: "
      "response already sent\n"))
      << agent_->out();
}

TEST_F(EventHandlerTest, QueriesAreToldAsRecorded) {
  StartWithSender();
  EXPECT_THAT(Query("load", "q-payload"), HasSubstr("Response from 'alpha': handled query\n"));
  EXPECT_THAT(Query("empty", ""), HasSubstr("Response from 'alpha': handled query\n"));
  EXPECT_EQ(Told(2), Recorded("handler-all", "query"));
}

TEST_F(EventHandlerTest, LongAnswersAreRefused) {
  Start("handler-query-response-limit");
  AddSender();
  Query("load", "");
  EXPECT_TRUE(agent_->WaitForOutput(
      "[WARN] agent: Failed to respond to query 'query: load': failed to respond to key query: "
      "response exceeds limit of 1024 bytes\n"))
      << agent_->out();
}

// Go Serf orders tags randomly; our agent sorts them by name.
TEST_F(EventHandlerTest, FieldsAreEscaped) {
  Start("handler-member-tags-escaping");
  EXPECT_THAT(
      Told(1),
      ElementsAre(HasSubstr(Localize("--\nalpha\t127.0.0.1\tw\\tb\tnote=a\\nb,role=w\\tb\n"))));
}

TEST_F(EventHandlerTest, StarMatchesAll) {
  Start("handler-star");
  EXPECT_EQ(Told(1), Recorded("handler-star", "member-join"));
  std::filesystem::remove("invocation0");
  AddSender();
  Told(1);
  std::filesystem::remove("invocation0");
  Send("deploy", "a");
  EXPECT_EQ(Told(1), Recorded("handler-star", "user"));
}

TEST_F(EventHandlerTest, FailuresAsRecorded) {
  Start("handler-exit-nonzero");
  AddSender();
  Send("deploy", "a");
  EXPECT_THAT(Query("load", ""), ::testing::Not(HasSubstr("Response from")));
  for (const char* entry : {"[DEBUG] agent: Event 'user' script output: \n",
                            "[ERR] agent: Error invoking script 'exit 3': exit status 3\n",
                            "[DEBUG] agent: Event 'query' script output: out\n",
                            "[ERR] agent: Error invoking script 'echo out; exit 3': exit status "
                            "3\n"}) {
    ExpectEntry("handler-exit-nonzero", entry);
  }
}

TEST_F(EventHandlerTest, MissingScriptAsRecorded) {
  Start("handler-not-found");
  AddSender();
  Send("deploy", "a");
  ExpectEntry("handler-not-found",
              "[DEBUG] agent: Event 'user' script output: /bin/sh: 1: ./nosuch.sh: not found\n");
  ExpectEntry("handler-not-found",
              "[ERR] agent: Error invoking script './nosuch.sh': exit status 127\n");
}

TEST_F(EventHandlerTest, SlowScriptAsRecorded) {
  Start("handler-slow");
  AddSender();
  Send("deploy", "a");
  Send("deploy", "b");
  const std::string recorded = Transcript("handler-slow").expected().out;
  // The two entries alternate, twice.
  const char* const kEntries[] = {
      "[WARN] agent: Script 'sleep 1.5; echo done' slow, execution exceeding 1s\n",
      "[DEBUG] agent: Event 'user' script output: done\n"};
  const auto all = [&](const std::string& text) {
    std::size_t at = 0;
    for (int i = 0; i < 4 && at != std::string::npos; ++i) at = text.find(kEntries[i % 2], at);
    return at != std::string::npos && at > text.find(kEntries[1]);
  };
  EXPECT_TRUE(all(recorded));
  EXPECT_TRUE(agent_->WaitUntil([&] { return all(agent_->out()); })) << agent_->out();
}

// Only our agent warns: Go Serf checks the length before the script has run.
TEST_F(EventHandlerTest, LongOutputAsRecorded) {
  Start("handler-large-output");
  AddSender();
  Send("x", "");
  const std::string recorded = Transcript("handler-large-output").expected().out;
  const std::size_t at = recorded.find("[DEBUG] agent: Event 'user' script output: ");
  ASSERT_NE(at, std::string::npos);
  ExpectEntry("handler-large-output", recorded.substr(at, recorded.find('\n', at) + 1 - at));
  EXPECT_TRUE(agent_->WaitForOutput("generated 10003 bytes of output, truncated to 8192\n"))
      << agent_->out();
}

TEST_F(EventHandlerTest, StandardErrorIsPartOfTheAnswer) {
  Start("handler-stderr-in-response");
  AddSender();
  EXPECT_THAT(Query("load", ""), HasSubstr("Response from 'alpha': err\nout\n"));
}

// All member events, also those that a client and the failure detector cause. Timing decides how
// the events of several members are grouped, and Go Serf orders tags randomly, so the test compares
// lines.
TEST_F(EventHandlerTest, MemberEventsAsRecorded) {
  const std::string recording = "handler-member-events";
  Start(recording.c_str());
  const auto peer = [](const std::string& name, int n, std::vector<std::string> flags) {
    flags.insert(
        flags.begin(),
        {OurSerf(), "agent", "-node=" + name, Localize(absl::StrCat("-bind=127.0.0.1:2312", n)),
         Localize(absl::StrCat("-rpc-addr=127.0.0.1:2322", n)), Localize("-join=127.0.0.1:23121")});
    return std::make_unique<Process>(flags);
  };
  const auto beta = peer("beta", 2, {"-tag=role=db", "-tag=dc=east"});
  const auto gamma = peer("gamma", 3, {"-tag=role=web"});
  const auto recorded = [&](const std::string& event) {
    return MemberLines(Recorded(recording.c_str(), event.c_str()));
  };
  const auto told = [&](const std::string& event) {
    std::vector<std::string> all;
    for (const auto& file : std::filesystem::directory_iterator(workshop_.folder())) {
      std::string text = workshop_.Read(file.path().filename());
      if (absl::StrContains(text, absl::StrCat("SERF_EVENT=", event, "\n"))) all.push_back(text);
    }
    return MemberLines(all);
  };
  const auto expect = [&](const std::string& event) {
    EXPECT_TRUE(agent_->WaitUntil([&] { return told(event) == recorded(event); }))
        << event << ::testing::PrintToString(told(event)) << agent_->out();
    EXPECT_FALSE(recorded(event).empty());
  };
  expect("member-join");
  rpc::Client client;
  ASSERT_TRUE(client.Connect(Localize("127.0.0.1:23222")).ok());
  ASSERT_TRUE(client.UpdateTags({{"v", "1"}}, {}).ok());
  expect("member-update");
  gamma->Signal(SIGINT);
  EXPECT_EQ(gamma->Wait(), 0);
  expect("member-leave");
  beta->Kill();
  expect("member-failed");
  Process prune(
      {OurSerf(), "force-leave", Localize("-rpc-addr=127.0.0.1:23221"), "-prune", "beta"});
  EXPECT_EQ(prune.Wait(), 0) << prune.out();
  expect("member-reap");
}

TEST_F(EventHandlerTest, InfoListsThem) {
  AgentProcess agent({.program = OurSerf(),
                      .name = "n",
                      .flags = {"-event-handler=query:load=./h.sh", "-event-handler=a"}});
  ASSERT_TRUE(agent.WaitUntilRunning());
  Process info({OurSerf(), "info", "-rpc-addr=" + agent.rpc()});
  EXPECT_EQ(info.Wait(), 0);
  EXPECT_THAT(info.out(), HasSubstr("event_handlers:\n\t*: = a\n\tquery:load = ./h.sh\n"));
}

TEST_F(EventHandlerTest, ReloadReplacesThem) {
  const Transcript transcript("agent-hup");
  workshop_.Write("r.json", transcript.fact("config_before"));
  Process agent(transcript.argv());
  ASSERT_TRUE(agent.WaitForOutput("agent: Received event: member-join\n"));
  workshop_.Write("r.json", transcript.fact("config_after"));
  agent.Signal(SIGHUP);
  EXPECT_TRUE(agent.WaitForOutput("[DEBUG] agent: Event 'member-update' script output: hi\n"))
      << agent.out();
  agent.Signal(SIGINT);
  EXPECT_EQ(agent.Wait(), 0);
}

// A script receives the join and the leave of a server in that order, even if both come while it
// runs: elements of the list are separate events.
TEST_F(EventHandlerTest, SlowScriptsKeepTheOrderOfEvents) {
  AgentProcess agent({.program = OurSerf(),
                      .name = "n",
                      .flags = {"-event-handler=user:a,user:b=[ $SERF_USER_EVENT = a ] && "
                                "/bin/sleep 1.1; echo $SERF_USER_EVENT >>order"}});
  ASSERT_TRUE(agent.WaitUntilRunning()) << agent.log();
  rpc::Client client;
  ASSERT_TRUE(client.Connect(agent.rpc()).ok());
  ASSERT_TRUE(client.SendUserEvent("a", "", {}).ok());
  ASSERT_TRUE(client.SendUserEvent("b", "", {}).ok());
  EXPECT_TRUE(agent.process().WaitUntil([&] { return workshop_.Read("order").size() == 4; }))
      << agent.log();
  EXPECT_EQ(workshop_.Read("order"), "a\nb\n");
}

// A script that runs until the test ends and removes the file.
std::string HangingScript(const Workshop& workshop) {
  workshop.Write("hang", "");
  return absl::StrCat("while [ -e ", (workshop.folder() / "hang").string(),
                      " ]; do /bin/sleep 0.1; done");
}

// Neither the agent's clients nor their streams nor its cluster notice the script.
TEST_F(EventHandlerTest, HangingScriptDoesNotStopTheAgent) {
  const std::string hang = HangingScript(workshop_);
  AgentProcess agent({.program = OurSerf(), .name = "n", .flags = {"-event-handler=" + hang}});
  ASSERT_TRUE(agent.WaitForLog(absl::StrCat("agent: Script '", hang, "' slow")));
  AgentProcess other({.program = OurSerf(), .name = "o", .flags = {"-join=" + agent.gossip()}});
  ASSERT_TRUE(other.WaitUntilRunning()) << other.log();
  rpc::Client client;
  ASSERT_TRUE(client.Connect(agent.rpc()).ok());
  ASSERT_TRUE(client.Stream("member-update").ok());
  ASSERT_TRUE(client.UpdateTags({{"a", "1"}}, {}).ok());
  const absl::StatusOr<rpc::Client::Record> heard = client.Next();
  EXPECT_TRUE(heard.ok()) << heard.status();
  agent.Interrupt();
  EXPECT_EQ(agent.process().Wait(), 0);
  // The script still runs, and holds none of the agent's sockets.
  agent.Restart({});
  EXPECT_TRUE(agent.WaitUntilRunning()) << agent.log();
}

TEST_F(EventHandlerTest, HandlersRunSideBySideOnRequest) {
  const std::string hang = HangingScript(workshop_);
  workshop_.Write("parallel.json", R"({"event_handlers_parallel": true})");
  AgentProcess agent({.program = OurSerf(),
                      .name = "n",
                      .flags = {"-event-handler=" + hang, "-event-handler=member-update=echo other",
                                "-log-level=debug", "-config-file=parallel.json"}});
  ASSERT_TRUE(agent.WaitForLog(absl::StrCat("agent: Script '", hang, "' slow")));
  rpc::Client client;
  ASSERT_TRUE(client.Connect(agent.rpc()).ok());
  ASSERT_TRUE(client.UpdateTags({{"a", "1"}}, {}).ok());
  EXPECT_TRUE(agent.WaitForLog("Event 'member-update' script output: other\n")) << agent.log();
}

// In Go Serf the inner query gets no answer, because the agent waits for the script that asks it.
TEST_F(EventHandlerTest, AHandlerMayAskItsOwnNode) {
  AgentProcess agent({.program = OurSerf(), .name = "n"});
  ASSERT_TRUE(agent.WaitUntilRunning());
  const std::string ask =
      absl::StrCat(OurSerf(), " query -rpc-addr=", agent.rpc(), " -timeout=30s -format=json ");
  workshop_.Write("ask.json", absl::StrCat(R"({"event_handlers": ["query:outer=)", ask,
                                           R"( inner", "query:inner=echo fine"]})"));
  agent.Restart({"-config-file=ask.json"});
  ASSERT_TRUE(agent.WaitUntilRunning()) << agent.log();
  Process outer({OurSerf(), "query", "-rpc-addr=" + agent.rpc(), "-timeout=60s", "outer"});
  EXPECT_EQ(outer.Wait(), 0) << outer.out();
  EXPECT_THAT(outer.out(), HasSubstr("fine"));
}

// A member changes its tags right after its join. The script receives both events.
TEST_F(EventHandlerTest, AnUpdateRightAfterAJoinIsToldAfterIt) {
  AgentProcess agent({.program = OurSerf(),
                      .name = "n",
                      .flags = {"-event-handler=member-join,member-update=sed "
                                "\"s/^/$SERF_EVENT /\" >>told"}});
  ASSERT_TRUE(agent.WaitUntilRunning()) << agent.log();
  AgentProcess other({.program = OurSerf(), .name = "o", .flags = {"-join=" + agent.gossip()}});
  ASSERT_TRUE(other.WaitUntilRunning()) << other.log();
  rpc::Client client;
  ASSERT_TRUE(client.Connect(other.rpc()).ok());
  ASSERT_TRUE(client.UpdateTags({{"a", "1"}}, {}).ok());
  EXPECT_TRUE(agent.process().WaitUntil([&] {
    return absl::StrContains(workshop_.Read("told"), "member-update o\t");
  })) << workshop_.Read("told");
  EXPECT_LT(workshop_.Read("told").find("member-join o\t"),
            workshop_.Read("told").find("member-update o\t"));
}

TEST_F(EventHandlerTest, OwnLeaveIsToldToTheEnd) {
  AgentProcess agent({.program = OurSerf(),
                      .name = "n",
                      .flags = {"-event-handler=member-leave=cat >left; echo end >>left"}});
  ASSERT_TRUE(agent.WaitForLog("agent: Received event: member-join\n"));
  agent.Interrupt();
  EXPECT_EQ(agent.process().Wait(), 0);
  Process wait({"/bin/sh", "-c", "until grep -q end left; do /bin/sleep 0.05; done"});
  EXPECT_EQ(wait.Wait(), 0);
  EXPECT_EQ(workshop_.Read("left"), absl::StrCat("n\t", agent.options().address, "\t\t\nend\n"));
}

}  // namespace
}  // namespace serf::testkit
