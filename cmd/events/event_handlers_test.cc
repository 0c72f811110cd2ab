// Tests of event handlers with real shells.

#include "serf/cmd/events/event_handlers.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "boost/asio/io_context.hpp"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "serf/base/endpoint.h"
#include "serf/cmd/events/event_spec.h"
#include "serf/cmd/events/output_tail.h"
#include "serf/cmd/events/script_event.h"
#include "serf/cmd/events/script_runner.h"
#include "serf/cmd/glog_logger.h"
#include "serf/event.h"
#include "serf/member.h"

namespace serf::cmd {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::IsSupersetOf;

Member TestMember(std::string name, Tags tags = {}) {
  Member member;
  member.name = std::move(name);
  member.endpoint = Endpoint{IpAddress::V4(10, 0, 0, 1), 7946};
  member.tags = std::move(tags);
  return member;
}

ScriptEvent User(std::string name, std::string payload = "") {
  return MakeScriptEvent(UserEvent{wire::LamportTime(7), std::move(name), std::move(payload)},
                         TestMember("self"));
}

// --- what a script is told ---

TEST(ScriptEventTest, MembersAreLinesOfFields) {
  MemberEvent event{MemberEventKind::kFailed,
                    {TestMember("a"), TestMember("b\tc", {{"role", "w\nb"}, {"x", "1,2=3\\"}})}};
  EXPECT_EQ(ScriptInput(MakeScriptEvent(event, {})),
            "a\t10.0.0.1\t\t\nb\\tc\t10.0.0.1\tw\\nb\trole=w\\nb,x=1,2=3\\\n");
}

TEST(ScriptEventTest, PayloadsEndWithOneLineFeed) {
  EXPECT_EQ(ScriptInput(User("x")), "");
  EXPECT_EQ(ScriptInput(User("x", "p")), "p\n");
  EXPECT_EQ(ScriptInput(User("x", "p\n")), "p\n");
}

TEST(ScriptEventTest, TagVariables) {
  EXPECT_EQ(TagVariable("Mixed Case-1_x"), "MIXED_CASE_1_X");
  EXPECT_EQ(TagVariable("\u00e9\xff="), "___");  // one for each character or stray byte
}

TEST(ScriptEventTest, Environment) {
  ::setenv("SERF_EVENT", "mine", 1);
  ::setenv("SERF_TEST_OTHER", "kept", 1);
  ScriptEvent event = User("deploy");
  event.self = TestMember("n", {{"role", "web"}, {"dc", "us east"}});
  EXPECT_THAT(ScriptEnvironment(event),
              IsSupersetOf({"SERF_EVENT=user", "SERF_SELF_NAME=n", "SERF_SELF_ROLE=web",
                            "SERF_TAG_DC=us east", "SERF_TAG_ROLE=web", "SERF_USER_EVENT=deploy",
                            "SERF_USER_LTIME=7", "SERF_TEST_OTHER=kept"}));
  event.type = rpc::EventType::kQuery;
  EXPECT_THAT(ScriptEnvironment(event),
              IsSupersetOf({"SERF_EVENT=query", "SERF_QUERY_NAME=deploy", "SERF_QUERY_LTIME=7"}));
  ::unsetenv("SERF_EVENT");
}

TEST(OutputTailTest, KeepsTheEnd) {
  OutputTail tail;
  tail.Append("a");
  EXPECT_EQ(tail.text(), "a");
  for (int i = 0; i < 5; ++i) tail.Append(std::string(OutputTail::kMax - 1, 'x'));
  tail.Append("end");
  EXPECT_EQ(tail.text().size(), OutputTail::kMax);
  EXPECT_TRUE(absl::EndsWith(tail.text(), "xend"));
  EXPECT_EQ(tail.total(), 1 + 5 * (OutputTail::kMax - 1) + 3);
}

// --- scripts that run ---

class EventHandlersTest : public ::testing::Test {
 protected:
  EventHandlersTest() {
    std::string pattern = std::filesystem::path(::testing::TempDir()) / "handlersXXXXXX";
    folder_ = ::mkdtemp(pattern.data());
    logger_.set_level(LogLevel::kDebug);
    logger_.OpenGate();
  }
  ~EventHandlersTest() override { std::filesystem::remove_all(folder_); }

  void Handle(const std::vector<std::string>& specs) { handlers_.Set(*ParseEventScripts(specs)); }

  std::string Path(const std::string& name) const { return absl::StrCat(folder_, "/", name); }
  std::string Read(const std::string& name) const {
    std::ifstream file(Path(name));
    return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  }

  // A pipe with a name: `read x <NAME` waits in a script for a line.
  std::string MakeGate(const std::string& name) const {
    EXPECT_EQ(::mkfifo(Path(name).c_str(), 0600), 0);
    return Path(name);
  }

  // Runs the loop until the condition holds; fails at the deadline.
  void RunUntil(const std::function<bool()>& condition) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    while (!condition() && std::chrono::steady_clock::now() < end) {
      io_.run_one_for(std::chrono::milliseconds(100));
    }
    EXPECT_TRUE(condition()) << ::testing::PrintToString(log_);
  }
  std::size_t Count(absl::string_view text) const {
    std::size_t count = 0;
    for (const std::string& line : log_) count += absl::StrContains(line, text);
    return count;
  }
  void RunUntilOutputs(std::size_t count) {
    RunUntil([this, count] { return Count("script output: ") == count; });
  }

  std::string folder_;
  boost::asio::io_context io_;
  std::vector<std::string> log_;  // without time stamps
  GlogLogger logger_{[this](absl::string_view line) { log_.emplace_back(line.substr(20)); }};
  EventHandlers handlers_{io_, logger_};
};

TEST_F(EventHandlersTest, ScriptsSeeTheEvent) {
  Handle({"user=echo $SERF_EVENT $SERF_USER_EVENT $SERF_USER_LTIME $SERF_SELF_NAME; cat"});
  handlers_.OnEvent(User("deploy", "payload"));
  RunUntilOutputs(1);
  EXPECT_THAT(log_, ElementsAre("[DEBUG] agent: Event 'user' script output: user deploy 7 self\n"
                                "payload"));
}

TEST_F(EventHandlersTest, OnlyWhatMatches) {
  Handle({"member-join,user:deploy=echo one", "user:other,user=echo two", "echo all"});
  handlers_.OnEvent(User("deploy"));
  RunUntilOutputs(3);
  EXPECT_THAT(log_, ElementsAre(EndsWith("one"), EndsWith("two"), EndsWith("all")));
  handlers_.OnEvent(User("other"));  // two elements match it
  RunUntilOutputs(6);
  handlers_.OnEvent(MakeScriptEvent(MemberEvent{MemberEventKind::kLeave, {}}, {}));
  RunUntilOutputs(7);
  Handle({});
  EXPECT_TRUE(handlers_.empty());
}

TEST_F(EventHandlersTest, FailuresAreTold) {
  Handle({"exit 3", "kill -9 $$", folder_ + "/nosuch.sh", "kill -PIPE $$"});
  handlers_.OnEvent(User("x"));
  RunUntilOutputs(4);
  EXPECT_THAT(log_, Contains("[ERR] agent: Error invoking script 'exit 3': exit status 3"));
  EXPECT_THAT(log_, Contains("[ERR] agent: Error invoking script 'kill -9 $$': signal: killed"));
  EXPECT_THAT(log_, Contains(HasSubstr("/nosuch.sh: not found")));
  EXPECT_THAT(log_, Contains(HasSubstr("/nosuch.sh': exit status 127")));
  // What the agent ignores, scripts do not.
  EXPECT_THAT(log_,
              Contains("[ERR] agent: Error invoking script 'kill -PIPE $$': signal: broken pipe"));
}

TEST_F(EventHandlersTest, NulIsNotCutOff) {
  Handle({"echo no"});
  handlers_.OnEvent(User(std::string("a\0b", 3)));
  RunUntilOutputs(1);
  EXPECT_THAT(log_, Contains("[ERR] agent: Error invoking script 'echo no': exec: environment "
                             "variable contains NUL"));
}

TEST_F(EventHandlersTest, LongOutputIsTruncated) {
  Handle({"head -c 100000 /dev/zero | tr '\\0' x; printf END"});
  handlers_.OnEvent(User("x"));
  RunUntil([this] { return Count("truncated") == 1; });
  EXPECT_EQ(log_[0].size(),
            std::string("[DEBUG] agent: Event 'user' script output: ").size() + OutputTail::kMax);
  EXPECT_THAT(log_[0], EndsWith("xxEND"));
  EXPECT_THAT(log_[1], EndsWith("generated 100003 bytes of output, truncated to 8192"));
}

TEST_F(EventHandlersTest, UnreadPayloadIsTold) {
  Handle({"true"});
  handlers_.OnEvent(User("x", std::string(1 << 20, 'x')));  // more than a pipe holds
  RunUntilOutputs(1);
  EXPECT_EQ(log_[0], "[ERR] Error writing payload: write |1: broken pipe");
}

TEST_F(EventHandlersTest, OrderOfEventsThenOfTheConfiguration) {
  const std::string file = Path("order");
  Handle({"user=cat >>" + file, "user=echo second >>" + file});
  for (const char* payload : {"1", "2", "3"}) handlers_.OnEvent(User("x", payload));
  RunUntilOutputs(6);
  EXPECT_EQ(Read("order"), "1\nsecond\n2\nsecond\n3\nsecond\n");
}

TEST_F(EventHandlersTest, SlowScriptHoldsUpOnlyItself) {
  const std::string gate = MakeGate("gate");
  const std::string file = Path("slow");
  const std::string slow = absl::StrCat("read x <", gate, "; cat >>", file);
  Handle({"user:slow=" + slow, "user=echo fast"});
  for (const char* payload : {"1", "2", "3"}) handlers_.OnEvent(User("slow", payload));
  RunUntil([this] { return Count("script output: fast") == 3; });
  EXPECT_THAT(log_, Contains(absl::StrCat("[WARN] agent: Script '", slow,
                                          "' slow, execution exceeding 1s")));
  EXPECT_EQ(Read("slow"), "");
  const int fd = ::open(gate.c_str(), O_RDWR);
  for (int i = 1; i <= 3; ++i) {
    ASSERT_EQ(::write(fd, "\n", 1), 1);
    RunUntilOutputs(3 + static_cast<std::size_t>(i));
  }
  ::close(fd);
  EXPECT_EQ(Read("slow"), "1\n2\n3\n");
}

TEST_F(EventHandlersTest, WaitingEventsAreBounded) {
  // Ends with the test, which removes the folder.
  Handle({absl::StrCat("user=while [ -e ", folder_, " ]; do sleep 0.01; done")});
  for (std::size_t i = 0; i < EventHandlers::kWaitingMax + 10; ++i) handlers_.OnEvent(User("x"));
  EXPECT_EQ(Count("is behind by 1024 events, dropping more"), 1u);
}

TEST_F(EventHandlersTest, OpenOutputIsNotWaitedFor) {
  const std::string gate = MakeGate("gate");
  const std::string file = Path("background");
  Handle({absl::StrCat("(read x <", gate, "; echo late; echo survived >", file, ") & echo done")});
  handlers_.OnEvent(User("x"));
  RunUntilOutputs(1);
  EXPECT_THAT(log_, Contains(EndsWith("script output: done")));
  // The background child lives on, also when it writes.
  const int fd = ::open(gate.c_str(), O_RDWR);
  ASSERT_EQ(::write(fd, "\n", 1), 1);
  RunUntil([this] { return Read("background") == "survived\n"; });
  ::close(fd);
}

TEST_F(EventHandlersTest, NoDescriptorOfTheAgentIsInherited) {
  // Without O_CLOEXEC, and with a number that no shell uses by itself.
  const int leak = ::fcntl(STDIN_FILENO, F_DUPFD, 200);
  ASSERT_GE(leak, 200);
  const std::string test = absl::StrCat("[ -h /proc/$PPID/fd/", leak, " ] && echo has it; ",
                                        "[ -h /proc/$$/fd/", leak, " ] || echo has it not");
  Handle({test});
  handlers_.OnEvent(User("x"));
  RunUntilOutputs(1);
  ::close(leak);
  EXPECT_THAT(log_[0], EndsWith("script output: has it\nhas it not"));
}

TEST_F(EventHandlersTest, QueriesAreAnsweredWithTheOutput) {
  std::vector<std::string> answers;
  ScriptEvent query = User("load");
  query.type = rpc::EventType::kQuery;
  query.respond = [&](std::string output) { answers.push_back(std::move(output)); };
  Handle({"echo out; echo err >&2", "echo failed; exit 1", "true"});
  handlers_.OnEvent(std::move(query));
  RunUntilOutputs(3);
  EXPECT_THAT(answers, ElementsAre("out\nerr\n"));
}

TEST_F(EventHandlersTest, ReloadTakesEffectFromTheNextEvent) {
  const std::string gate = MakeGate("gate");
  const std::string keeps = absl::StrCat("user:a=read x <", gate, "; echo kept");
  Handle({keeps, "user=echo old"});
  handlers_.OnEvent(User("a"));
  Handle({keeps, "user=echo new"});
  handlers_.OnEvent(User("a"));
  const int fd = ::open(gate.c_str(), O_RDWR);
  ASSERT_EQ(::write(fd, "\n\n", 2), 2);
  RunUntilOutputs(4);
  ::close(fd);
  EXPECT_EQ(Count("output: kept"), 2u);
  EXPECT_EQ(Count("output: old"), 1u);
  EXPECT_EQ(Count("output: new"), 1u);
}

// Neither waits for the scripts nor is called by them.
TEST_F(EventHandlersTest, EndsWhileScriptsRun) {
  const std::string gate = MakeGate("gate");
  {
    EventHandlers handlers(io_, logger_);
    handlers.Set(*ParseEventScripts({"user=read x <" + gate}));
    handlers.OnEvent(User("x"));
    io_.poll();
  }
  const int fd = ::open(gate.c_str(), O_RDWR);
  ASSERT_EQ(::write(fd, "\n", 1), 1);
  Handle({"echo next"});
  handlers_.OnEvent(User("x"));
  RunUntilOutputs(1);
  ::close(fd);
}

}  // namespace
}  // namespace serf::cmd

int main(int argc, char** argv) {
  ::signal(SIGPIPE, SIG_IGN);  // as in every command
  ::testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
