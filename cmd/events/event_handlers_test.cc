// Tests of event handlers with real shells.

#include "serf/cmd/events/event_handlers.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <iterator>
#include <memory>
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
#include "serf/cmd/telemetry/glog_logger.h"
#include "serf/event.h"
#include "serf/member.h"
#include "serf/query.h"
#include "serf/testing/run_until.h"
#include "serf/testing/temporary_folder.h"

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

// --- what a script receives ---

TEST(ScriptEventTest, MembersAreLinesOfFields) {
  MemberEvent event{MemberEventKind::kFailed,
                    {TestMember("a"), TestMember("b\tc", {{"role", "w\nb"}, {"x", "1,2=3\\"}})}};
  EXPECT_EQ(MakeScriptEvent(event, {}).input,
            "a\t10.0.0.1\t\t\nb\\tc\t10.0.0.1\tw\\nb\trole=w\\nb,x=1,2=3\\\n");
}

TEST(ScriptEventTest, PayloadsEndWithOneLineFeed) {
  EXPECT_EQ(User("x").input, "");
  EXPECT_EQ(User("x", "p").input, "p\n");
  EXPECT_EQ(User("x", "p\n").input, "p\n");
  EXPECT_EQ(User("x", "p\n\n").input, "p\n\n");
}

TEST(ScriptEventTest, TagVariables) {
  EXPECT_EQ(TagVariable("Mixed Case-1_x"), "MIXED_CASE_1_X");
  EXPECT_EQ(TagVariable("\u00e9\xff="), "___");  // one for each character or stray byte
}

TEST(ScriptEventTest, Environment) {
  ::setenv("SERF_EVENT", "mine", 1);
  ::setenv("SERF_TEST_OTHER", "kept", 1);
  ScriptEvent event = User("deploy");
  event.self =
      std::make_shared<const Member>(TestMember("n", {{"role", "web"}, {"dc", "us east"}}));
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
    logger_.set_level(LogLevel::kDebug);
    logger_.OpenGate();
  }

  void Handle(const std::vector<std::string>& specs) { handlers_.Set(*ParseEventScripts(specs)); }

  std::string Path(const std::string& name) const { return absl::StrCat(folder_, "/", name); }
  std::string Read(const std::string& name) const {
    std::ifstream file(Path(name));
    return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  }

  // Makes a named pipe: `read x <NAME` waits in a script for a line.
  std::string MakeGate(const std::string& name) const {
    EXPECT_EQ(::mkfifo(Path(name).c_str(), 0600), 0);
    return Path(name);
  }

  // Runs the loop until the condition holds; fails at the deadline.
  void RunUntil(const std::function<bool()>& condition) {
    EXPECT_TRUE(testkit::RunUntil(io_, condition, std::chrono::seconds(60)))
        << ::testing::PrintToString(log_);
  }
  std::size_t Count(absl::string_view text) const {
    std::size_t count = 0;
    for (const std::string& line : log_) count += absl::StrContains(line, text);
    return count;
  }
  void RunUntilOutputs(std::size_t count) {
    RunUntil([this, count] { return Count("script output: ") == count; });
  }

  const testkit::TemporaryFolder temporary_;
  const std::string& folder_ = temporary_.path();
  boost::asio::io_context io_;
  std::vector<std::string> log_;  // without time stamps
  GlogLogger logger_{[this](absl::string_view line) { log_.emplace_back(line.substr(20)); }};
  EventHandlers handlers_{io_, logger_, EventHandlers::Order::kOneLine};
};

ScriptEvent Query(std::string name, std::vector<std::string>* answers) {
  ScriptEvent query =
      MakeScriptEvent(QueryEvent{.id = {}, .name = std::move(name), .payload = ""}, {});
  query.respond = [answers](std::string output) { answers->push_back(std::move(output)); };
  return query;
}

// Writes a line for each `read` of a gate.
class GateKeeper {
 public:
  explicit GateKeeper(const std::string& path) : fd_(::open(path.c_str(), O_RDWR)) {}
  ~GateKeeper() { ::close(fd_); }
  void Open() const { ASSERT_EQ(::write(fd_, "\n", 1), 1); }

 private:
  const int fd_;
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
  const UserEvent event{wire::LamportTime(7), "deploy", ""};
  EXPECT_TRUE(handlers_.Want(event));
  Handle({"user:other=echo other"});
  EXPECT_FALSE(handlers_.Want(event));
}

TEST_F(EventHandlersTest, FailuresAreTold) {
  Handle({"exit 3", "kill -9 $$", folder_ + "/nosuch.sh", "kill -PIPE $$"});
  handlers_.OnEvent(User("x"));
  RunUntilOutputs(4);
  EXPECT_THAT(log_, Contains("[ERR] agent: Error invoking script 'exit 3': exit status 3"));
  EXPECT_THAT(log_, Contains("[ERR] agent: Error invoking script 'kill -9 $$': signal: killed"));
  EXPECT_THAT(log_, Contains(HasSubstr("/nosuch.sh: not found")));
  EXPECT_THAT(log_, Contains(HasSubstr("/nosuch.sh': exit status 127")));
  // Scripts do not ignore the signals that the agent ignores.
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

// Scripts see a server that joined and left in that order, however long a script takes. A later
// event waits behind the slow script, whichever handler it is for.
TEST_F(EventHandlersTest, ASlowScriptHoldsUpTheLine) {
  const GateKeeper gate(MakeGate("gate"));
  const std::string slow = absl::StrCat("read x <", Path("gate"), "; cat >>", Path("order"));
  Handle({"user:join,user:leave=" + slow, "user=echo other >>" + Path("order")});
  handlers_.OnEvent(User("join", "joined"));
  handlers_.OnEvent(User("leave", "left"));
  handlers_.OnEvent(User("deploy"));
  RunUntil([this] { return Count("slow, execution exceeding 1s") == 1; });
  EXPECT_EQ(Read("order"), "");
  gate.Open();
  RunUntil([this] { return Count("slow, execution exceeding 1s") == 2; });
  EXPECT_EQ(Read("order"), "joined\nother\n");
  gate.Open();
  RunUntilOutputs(5);
  EXPECT_EQ(Read("order"), "joined\nother\nleft\nother\nother\n");
}

class ParallelHandlersTest : public EventHandlersTest {
 protected:
  void Handle(const std::vector<std::string>& specs) { parallel_.Set(*ParseEventScripts(specs)); }

  EventHandlers parallel_{io_, logger_, EventHandlers::Order::kByHandler};
};

// The scripts of one specification are one handler, whose events stay in order.
TEST_F(ParallelHandlersTest, ASlowHandlerHoldsUpOnlyItself) {
  const GateKeeper gate(MakeGate("gate"));
  const std::string slow = absl::StrCat("read x <", Path("gate"), "; cat >>", Path("slow"));
  Handle({"user:join,user:leave=" + slow, "user=echo fast"});
  for (const char* name : {"join", "leave", "join"}) parallel_.OnEvent(User(name, name));
  RunUntil([this] { return Count("script output: fast") == 3; });
  EXPECT_EQ(Read("slow"), "");
  for (std::size_t i = 1; i <= 3; ++i) {
    gate.Open();
    RunUntilOutputs(3 + i);
  }
  EXPECT_EQ(Read("slow"), "join\nleave\njoin\n");
}

TEST_F(ParallelHandlersTest, AReloadKeepsTheLineOfAHandlerThatStays) {
  const GateKeeper gate(MakeGate("gate"));
  const std::string wait = absl::StrCat("read x <", Path("gate"), "; ");
  Handle({"user=" + wait + "echo gone", "user=" + wait + "echo kept"});
  for (int i = 0; i < 2; ++i) parallel_.OnEvent(User("x"));
  Handle({"user=echo new", "user=" + wait + "echo kept"});
  parallel_.OnEvent(User("x"));
  for (int i = 0; i < 4; ++i) gate.Open();
  RunUntilOutputs(5);
  EXPECT_EQ(Count("output: gone"), 1u);
  EXPECT_EQ(Count("output: kept"), 3u);
  EXPECT_EQ(Count("output: new"), 1u);
}

TEST_F(EventHandlersTest, WaitingEventsAreBounded) {
  const GateKeeper gate(MakeGate("gate"));
  Handle({absl::StrCat("user:first=read x <", Path("gate")), "user:next=echo next"});
  handlers_.OnEvent(User("first"));
  for (std::size_t i = 0; i < EventHandlers::kWaitingMax; ++i) {
    handlers_.OnEvent(User(i == 0 ? "next" : "first"));
  }
  EXPECT_EQ(Count("dropping"), 0u);
  for (int i = 0; i < 10; ++i) handlers_.OnEvent(User("next"));
  EXPECT_EQ(Count("is behind by 4096 events, dropping more"), 1u);
  Handle({"user:next=echo next"});  // the other handlers receive nothing any more
  gate.Open();
  RunUntil([this] { return Count("was not told of 10 events") == 1; });
  EXPECT_EQ(Count("output: next"), 1u);
}

// A list of all members of a large cluster may be much larger than an ordinary event.
TEST_F(EventHandlersTest, WaitingBytesAreBounded) {
  const GateKeeper gate(MakeGate("gate"));
  Handle({absl::StrCat("user=read x <", Path("gate"))});
  const auto large = [] { return User("x", std::string(EventHandlers::kWaitingBytesMax, 'x')); };
  handlers_.OnEvent(User("x"));
  handlers_.OnEvent(large());  // the first one is accepted
  EXPECT_EQ(Count("dropping"), 0u);
  handlers_.OnEvent(User("x"));
  EXPECT_EQ(Count("is behind by 1 events, dropping more"), 1u);
}

TEST_F(EventHandlersTest, OpenOutputIsNotWaitedFor) {
  const std::string gate = MakeGate("gate");
  const std::string file = Path("background");
  Handle({absl::StrCat("(read x <", gate, "; echo late; echo survived >", file, ") & echo done")});
  handlers_.OnEvent(User("x"));
  RunUntilOutputs(1);
  EXPECT_THAT(log_, Contains(EndsWith("script output: done")));
  // The background child stays alive, also when it writes.
  const int fd = ::open(gate.c_str(), O_RDWR);
  ASSERT_EQ(::write(fd, "\n", 1), 1);
  RunUntil([this] { return Read("background") == "survived\n"; });
  ::close(fd);
}

TEST_F(EventHandlersTest, NoDescriptorOfTheAgentIsInherited) {
  // A descriptor without O_CLOEXEC, whose number no shell uses by itself.
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
  Handle({"echo out; echo err >&2", "echo failed; exit 1", "true"});
  handlers_.OnEvent(Query("load", &answers));
  RunUntilOutputs(3);
  EXPECT_THAT(answers, ElementsAre("out\nerr\n"));
}

// In Go Serf the script waits without end. Here it does not even wait for the end of another
// script.
TEST_F(EventHandlersTest, AQueryThatAScriptAsksDoesNotWaitForIt) {
  std::vector<std::string> answers;
  const GateKeeper gate(MakeGate("gate"));
  Handle({absl::StrCat("query:outer=read x <", Path("gate"), "; echo outer"),
          "query:inner=echo inner"});
  handlers_.OnEvent(Query("outer", &answers));
  ScriptEvent inner = Query("inner", &answers);
  inner.from_script = true;
  handlers_.OnEvent(inner);
  RunUntilOutputs(1);
  EXPECT_THAT(answers, ElementsAre("inner\n"));
  inner.from_script = false;
  handlers_.OnEvent(inner);
  gate.Open();
  RunUntilOutputs(3);
  EXPECT_THAT(answers, ElementsAre("inner\n", "outer\n", "inner\n"));
}

// A script that asks a query which it answers itself.
TEST_F(EventHandlersTest, QueriesOfScriptsNestToALimit) {
  std::vector<std::string> answers;
  const GateKeeper gate(MakeGate("gate"));
  Handle({absl::StrCat("query=echo >>", Path("started"), "; read x <", Path("gate"))});
  ScriptEvent query = Query("x", &answers);
  query.from_script = true;
  constexpr std::size_t kBeyond = 5;
  for (std::size_t i = 0; i < 1 + EventHandlers::kNestedMax + kBeyond; ++i) {
    handlers_.OnEvent(query);
  }
  RunUntil([this] { return Read("started").size() >= 1 + EventHandlers::kNestedMax; });
  EXPECT_EQ(Read("started").size(), 1 + EventHandlers::kNestedMax);
  for (std::size_t i = 0; i < 1 + EventHandlers::kNestedMax + kBeyond; ++i) gate.Open();
  RunUntilOutputs(1 + EventHandlers::kNestedMax + kBeyond);
}

// As in Go Serf, the new handlers get the events that wait. A reload repairs a handler that hangs.
TEST_F(EventHandlersTest, AReloadCountsForWhatWaits) {
  const GateKeeper gate(MakeGate("gate"));
  Handle({absl::StrCat("user:a=read x <", Path("gate"), "; echo first"), "user=echo old"});
  handlers_.OnEvent(User("a"));
  handlers_.OnEvent(User("b"));
  Handle({"user=echo new"});
  handlers_.OnEvent(User("c"));
  gate.Open();
  RunUntilOutputs(4);
  EXPECT_THAT(log_,
              ElementsAre(EndsWith("first"), EndsWith("old"), EndsWith("new"), EndsWith("new")));
}

// A script may lack its pipes or its process.
TEST_F(EventHandlersTest, AtTheLimitOfDescriptorsAScriptIsAnErrorLine) {
  const int next = ::dup(STDERR_FILENO);
  ::close(next);
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  Handle({"echo ran"});
  constexpr std::size_t kTries = 6;  // a script takes three pipes
  for (std::size_t room = 0; room < kTries; ++room) {
    rlimit limit = before;
    limit.rlim_cur = static_cast<rlim_t>(next) + room;
    ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &limit), 0);
    handlers_.OnEvent(User("x"));
    ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
    RunUntilOutputs(room + 1);
  }
  EXPECT_EQ(Count("[ERR] agent: Error invoking script 'echo ran': fork/exec /bin/sh: too many open "
                  "files"),
            kTries);
  handlers_.OnEvent(User("x"));
  RunUntilOutputs(kTries + 1);
  EXPECT_THAT(log_.back(), EndsWith("script output: ran"));
}

// The agent as the first process of a container.
TEST_F(EventHandlersTest, OrphansAreReaped) {
  ASSERT_EQ(::prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
  const std::string orphan = "(sh -c 'exec sleep 0.2' >/dev/null 2>&1 &); ";
  Handle({orphan + "(true >/dev/null 2>&1 &); exit 3", orphan + "kill -9 $$", "echo fine"});
  for (int i = 0; i < 3; ++i) handlers_.OnEvent(User("x"));
  RunUntilOutputs(9);
  // No exit status is lost.
  EXPECT_EQ(Count("': exit status 3"), 3u);
  EXPECT_EQ(Count("': signal: killed"), 3u);
  EXPECT_EQ(Count("output: fine"), 3u);
  EXPECT_EQ(Count("waitid"), 0u);
  RunUntil([] {
    siginfo_t child{};
    return ::waitid(P_ALL, 0, &child, WEXITED | WNOHANG | WNOWAIT) != 0 && errno == ECHILD;
  });
  ASSERT_EQ(::prctl(PR_SET_CHILD_SUBREAPER, 0), 0);
}

// Other parts of the process take the exit status of their own children.
TEST_F(EventHandlersTest, ChildrenOfOthersAreNotReaped) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(7);
  siginfo_t ended{};
  ASSERT_EQ(::waitid(P_PID, static_cast<id_t>(child), &ended, WEXITED | WNOWAIT), 0);
  Handle({"echo fine"});
  handlers_.OnEvent(User("x"));
  RunUntilOutputs(1);
  int status = 0;
  EXPECT_EQ(::waitpid(child, &status, WNOHANG), child);
  EXPECT_EQ(WEXITSTATUS(status), 7);
}

// The runner reads the output with pauses, but reads all of it.
TEST_F(EventHandlersTest, AFloodOfOutputIsReadToItsEnd) {
  const std::uint64_t size = 2 * ScriptRunner::kFastOutputMax;
  Handle({absl::StrCat("head -c ", size, " /dev/zero | tr '\\0' x; printf END")});
  handlers_.OnEvent(User("x"));
  RunUntil([this] { return Count("truncated") == 1; });
  EXPECT_THAT(log_[0], EndsWith("xxEND"));
  EXPECT_THAT(log_[1], HasSubstr(absl::StrCat("generated ", size + 3, " bytes")));
}

// The end neither waits for the scripts nor gets calls from them.
TEST_F(EventHandlersTest, EndsWhileScriptsRun) {
  const std::string gate = MakeGate("gate");
  {
    EventHandlers handlers(io_, logger_, EventHandlers::Order::kOneLine);
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
