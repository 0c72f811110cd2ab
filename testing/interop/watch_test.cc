// Tests the commands that Go Serf does not have with agents of both kinds: they need nothing of an
// agent that Go Serf's does not offer.

#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "gtest/gtest.h"
#include "serf/testing/agents/agent_process.h"
#include "serf/testing/agents/process.h"
#include "serf/testing/agents/programs.h"
#include "serf/testing/agents/terminal.h"
#include "serf/testing/temporary_folder.h"

namespace serf::testkit {
namespace {

// True: with agents of Go Serf.
class WatchTest : public ::testing::TestWithParam<bool> {
 protected:
  WatchTest() {
    EXPECT_TRUE(b_.WaitUntilRunning()) << b_.log();
    EXPECT_TRUE(a_.WaitForMembers({{"a", "alive"}, {"b", "alive"}})) << a_.log();
  }

  static std::string Agent() { return GetParam() ? DebianSerf() : OurSerf(); }

  // A command with the agent a.
  std::vector<std::string> Command(std::vector<std::string> words) const {
    words.insert(words.begin(), OurSerf());
    words.insert(words.begin() + 2, absl::StrCat("-rpc-addr=", a_.rpc()));
    return words;
  }
  std::string Output(std::vector<std::string> words, int exit_code = 0) const {
    Process process(Command(std::move(words)));
    EXPECT_EQ(process.Wait(), exit_code);
    EXPECT_EQ(process.err(), "");
    return process.out();
  }
  std::string Host(const AgentProcess& agent) const { return agent.options().address; }

  // The address of a, once one can join it.
  std::string Joinable() {
    EXPECT_TRUE(a_.WaitUntilRunning()) << a_.log();
    return a_.gossip();
  }

  const testkit::TemporaryFolder temporary_;
  const std::string& folder_ = temporary_.path();
  AgentProcess a_{{.program = Agent(), .name = "a"}};
  AgentProcess b_{{.program = Agent(),
                   .name = "b",
                   .flags = {"-join=" + Joinable(), "-tag=role=db", "-tag=port=5432"}}};
};

std::string TextOf(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

TEST_P(WatchTest, SdOnce) {
  EXPECT_EQ(Output({"sd", "-service=db"}),
            absl::StrCat("[\n  {\"targets\": [\"", Host(b_),
                         ":5432\"], \"labels\": {\"__meta_serf_node\": \"b\", "
                         "\"__meta_serf_ip\": \"",
                         Host(b_),
                         "\", \"__meta_serf_status\": \"alive\", \"__meta_serf_agent\": \"a\", "
                         "\"__meta_serf_tag_port\": \"5432\", \"__meta_serf_tagpresent_port\": "
                         "\"true\", \"__meta_serf_tag_role\": \"db\", "
                         "\"__meta_serf_tagpresent_role\": \"true\"}}\n]\n"));
  EXPECT_EQ(Output({"sd", "-format=hosts"}), absl::StrCat(Host(a_), " a\n", Host(b_), " b\n"));
  EXPECT_EQ(Output({"sd", "-format=json", "-port=9100", "-tag", "role=d."}),
            absl::StrCat("[\n  {\"node\": \"b\", \"ip\": \"", Host(b_),
                         "\", \"port\": 9100, \"status\": \"alive\", \"healthy\": true, \"tags\": "
                         "{\"port\": \"5432\", \"role\": \"db\"}}\n]\n"));
  EXPECT_EQ(Output({"sd", "-status=failed"}), "[]\n");
  EXPECT_EQ(Output({"sd", "-service=nosuch"}), "[]\n");
  for (const char* word : {"-port=65536", "-port=0", "-status=dead", "-format=xml", "-service=a.b",
                           "-watch", "-tag=x", "word"}) {
    Process process(Command({"sd", word}));
    EXPECT_EQ(process.Wait(), 1) << word;
    EXPECT_TRUE(absl::StrContains(process.out(), "Usage: serf sd")) << process.out();
  }
}

TEST_P(WatchTest, SdKeepsAFileUpToDate) {
  const std::string path = absl::StrCat(folder_, "/targets.json");
  Process watch(Command({"sd", "-watch", absl::StrCat("-out=", path), "-port-tag=port"}));
  const auto shows = [&](absl::string_view status) {
    return watch.WaitUntil([&] {
      return absl::StrContains(TextOf(path),
                               absl::StrCat("\"__meta_serf_status\": \"", status, "\""));
    });
  };
  ASSERT_TRUE(shows("alive")) << watch.err();
  ASSERT_EQ(::chmod(path.c_str(), 0604), 0);
  b_.Kill();
  ASSERT_TRUE(shows("failed")) << watch.err();
  struct stat info {};
  ASSERT_EQ(::stat(path.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0604U);

  // Nobody to ask: the file stays. Then another agent under the same address is asked.
  const std::string before = TextOf(path);
  a_.Kill();
  ASSERT_TRUE(watch.WaitUntil([&] { return absl::StrContains(watch.err(), " stays as it is "); }))
      << watch.err();
  EXPECT_EQ(TextOf(path), before);
  a_.Restart({"-tag=port=7"});
  ASSERT_TRUE(watch.WaitUntil([&] { return absl::StrContains(TextOf(path), ":7\"]"); }))
      << watch.err();
  EXPECT_TRUE(absl::StrContains(watch.err(), "The agent is back\n")) << watch.err();
  EXPECT_FALSE(absl::StrContains(TextOf(path), "5432"));
  EXPECT_FALSE(watch.ended());
  watch.Signal(SIGTERM);
  EXPECT_EQ(watch.Wait(), 128 + SIGTERM);
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder_), {}), 1);
}

TEST_P(WatchTest, MembersWatchPrintsALineForEachChange) {
  Process text(Command({"members", "-watch"}));
  Process json(Command({"members", "-watch", "-format=json"}));
  Process db(Command({"members", "-watch", "-tag", "role=db", "-status=alive", "-interval=1s"}));
  // They say nothing of the members that are there at first: a changes its tags until all tell.
  int count = 0;
  ASSERT_TRUE(a_.process().WaitUntil([&] {
    Output({"tags", "-set", absl::StrCat("role=db", ++count % 2 == 0 ? "" : "x")});
    return !text.out().empty() && !json.out().empty() && !db.out().empty();
  })) << text.out();
  AgentProcess c({.program = Agent(), .name = "c", .flags = {"-join=" + a_.gossip()}});
  ASSERT_TRUE(c.WaitUntilRunning()) << c.log();
  const std::string c_line = absl::StrCat(" alive c ", c.gossip(), "\n");
  ASSERT_TRUE(text.WaitForOutput(c_line)) << text.out() << text.err();
  ASSERT_TRUE(json.WaitForOutput("\"change\": \"alive\", \"name\": \"c\"")) << json.out();
  b_.Kill();
  ASSERT_TRUE(text.WaitForOutput(absl::StrCat(" failed b ", b_.gossip(), " port=5432,role=db\n")))
      << text.out();
  ASSERT_TRUE(json.WaitForOutput(absl::StrCat(
      "\"change\": \"failed\", \"name\": \"b\", \"addr\": \"", b_.gossip(),
      "\", \"port\": 7946, \"tags\": {\"port\": \"5432\", \"role\": \"db\"}, \"status\": "
      "\"failed\"}\n")))
      << json.out();
  ASSERT_TRUE(db.WaitForOutput(" gone b ")) << db.out();
  EXPECT_FALSE(absl::StrContains(db.out(), " c ")) << db.out();
  text.Signal(SIGINT);
  EXPECT_EQ(text.Wait(), 0);
  EXPECT_EQ(text.err(), "");
  a_.Kill();
  EXPECT_EQ(json.Wait(), 1);
  EXPECT_TRUE(absl::StartsWith(json.err(), "The agent ended the connection: ")) << json.err();
  EXPECT_EQ(db.Wait(), 1);
  for (const char* word : {"-interval=-1s", "-interval=5", "-color=blue"}) {
    Process wrong(Command({"members", "-watch", word}));
    EXPECT_EQ(wrong.Wait(), 1) << word;
  }
}

TEST_P(WatchTest, MembersWatchDrawsATable) {
  TerminalProcess watch(Command({"members", "-watch"}));
  const auto shows = [&watch](absl::string_view text) {
    return watch.WaitUntil([&] { return watch.page().Contains(text); });
  };
  const std::string a_line = absl::StrCat("a  ", a_.gossip(), "  alive");
  ASSERT_TRUE(shows(absl::StrCat("members 2: 2 alive  0 leaving  0 failed  0 left\n\n", a_line)))
      << watch.page().Text();
  EXPECT_TRUE(watch.page().alternate());
  EXPECT_FALSE(absl::StrContains(watch.page().colors(), "[31]"));
  b_.Kill();
  ASSERT_TRUE(shows("1 failed")) << watch.page().Text();
  EXPECT_TRUE(absl::StrContains(watch.page().colors(), "[31]"));  // red
  // Two lines of the head and one for the rest leave room for one member.
  watch.Resize({.rows = 4, .columns = 40});
  ASSERT_TRUE(shows("\n... and 1 more\n")) << watch.page().Text();
  EXPECT_EQ(watch.page().Lines().size(), 4U);
  watch.Type("\x03");  // Ctrl-C
  EXPECT_EQ(watch.Wait(), 0);
  EXPECT_TRUE(watch.restored());
}

// However the command ends, the terminal is as it was.
TEST_P(WatchTest, EveryEndRestoresTheTerminal) {
  for (const int signal : {SIGTERM, SIGHUP, SIGQUIT, SIGSEGV}) {
    TerminalProcess watch(Command({"members", "-watch", "-color=never"}), {{"NO_COLOR", "1"}});
    ASSERT_TRUE(watch.WaitUntil([&] { return watch.page().Contains("2 alive"); }));
    EXPECT_FALSE(watch.restored());
    EXPECT_FALSE(absl::StrContains(watch.page().colors(), "[3"));
    // Ctrl-Z gives the terminal back and takes it again, at once where no shell stops the process.
    watch.Type("\x1a");
    ASSERT_TRUE(watch.WaitUntil([&] {
      return absl::StrContains(watch.out(), "\x1b[?1049l\x1b[?1049h") &&
             watch.page().Contains("2 alive");
    })) << watch.page().Text();
    watch.Signal(signal);
    EXPECT_EQ(watch.Wait(), 128 + signal);
    EXPECT_TRUE(watch.restored()) << signal;
  }
  TerminalProcess watch(Command({"members", "-watch"}));
  ASSERT_TRUE(watch.WaitUntil([&] { return watch.page().Contains("2 alive"); }));
  a_.Kill();
  EXPECT_EQ(watch.Wait(), 1);
  EXPECT_TRUE(watch.restored());
  EXPECT_TRUE(absl::StrContains(watch.out(), "The agent ended the connection: ")) << watch.out();
}

INSTANTIATE_TEST_SUITE_P(Interop, WatchTest, ::testing::Bool(), [](const auto& instance) {
  return std::string(instance.param ? "TheirAgents" : "OurAgents");
});

}  // namespace
}  // namespace serf::testkit
