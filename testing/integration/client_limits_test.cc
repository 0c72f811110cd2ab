// Tests situations of a user of the commands: an agent that does not answer, an interrupt, a
// terminal that obeys escape sequences, a full disk.

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdio>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "gtest/gtest.h"
#include "serf/testing/agents/agent_process.h"
#include "serf/testing/agents/process.h"
#include "serf/testing/agents/programs.h"

namespace serf::testkit {
namespace {

// A file descriptor of the test.
class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&&) = delete;

  int get() const { return fd_; }

  // Reads until `text` has come. False at the end or the deadline.
  bool ReadUntil(absl::string_view text) {
    while (!absl::StrContains(received_, text)) {
      pollfd entry = {fd_, POLLIN, 0};
      char buffer[4096];
      if (::poll(&entry, 1, static_cast<int>(std::chrono::milliseconds(kDeadline).count())) <= 0) {
        return false;
      }
      const ssize_t size = ::read(fd_, buffer, sizeof(buffer));
      if (size <= 0) return false;
      received_.append(buffer, static_cast<std::size_t>(size));
    }
    return true;
  }
  const std::string& received() const { return received_; }

 private:
  int fd_;
  std::string received_;
};

// A listener in place of an agent. It sends what the test wants.
class MuteAgent {
 public:
  MuteAgent() : listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    ::inet_pton(AF_INET, "127.0.0.1", &address.sin_addr);
    socklen_t size = sizeof(address);
    EXPECT_EQ(::bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(::listen(listener_.get(), SOMAXCONN), 0);
    EXPECT_EQ(::getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&address), &size), 0);
    flag_ = absl::StrCat("-rpc-addr=127.0.0.1:", ntohs(address.sin_port));
  }

  // Starts a command with these words.
  std::unique_ptr<Process> Start(const std::vector<std::string>& words) const {
    std::vector<std::string> argv = {OurSerf(), words[0], flag_};
    argv.insert(argv.end(), words.begin() + 1, words.end());
    return std::make_unique<Process>(argv);
  }

  Descriptor Accept() const {
    return Descriptor(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
  }

 private:
  Descriptor listener_;
  std::string flag_;
};

// {"Error": "", "Seq": seq}
void SendSuccess(const Descriptor& connection, char seq) {
  constexpr absl::string_view kHead =
      "\x82\xa5"
      "Error\xa0\xa3"
      "Seq";
  const std::string reply = absl::StrCat(kHead, std::string(1, seq));
  EXPECT_EQ(::send(connection.get(), reply.data(), reply.size(), MSG_NOSIGNAL),
            static_cast<ssize_t>(reply.size()));
}

struct Call {
  std::vector<std::string> words;
  const char* what_failed;  // the error of the first request after the handshake
};

const std::vector<Call>& AllCalls() {
  static const auto& calls = *new std::vector<Call>{
      {{"event", "x"}, "Error sending event: "},
      {{"force-leave", "x"}, "Error force leaving: "},
      {{"info"}, "Error querying agent: "},
      {{"join", "127.0.0.1:1"}, "Error joining the cluster: "},
      {{"keys", "-list"}, "Failed to gather member keys: "},
      {{"leave"}, "Error leaving: "},
      {{"members"}, "Error retrieving members: "},
      {{"monitor"}, "Error starting stream: "},
      {{"query", "x"}, "Error sending query: "},
      {{"reachability"}, "Error getting members: "},
      {{"rtt", "x"}, "Error querying agent: "},
      {{"tags", "-set", "a=b"}, "Error setting tags: "},
  };
  return calls;
}

// The limits of these calls are those of the agent's own broadcasts and joins: minutes.
bool MayTakeLong(const Call& call) {
  for (const absl::string_view slow : {"force-leave", "join", "keys", "leave", "tags"}) {
    if (call.words[0] == slow) return true;
  }
  return false;
}

// Such an agent blocks every command of Go Serf without end (docs/protocol/agent.md 8.2).
TEST(ClientLimitsTest, AnAgentThatNeverAnswersIsGivenUp) {
  const MuteAgent agent;
  std::vector<std::unique_ptr<Process>> commands;
  for (const Call& call : AllCalls()) commands.push_back(agent.Start(call.words));
  for (std::size_t i = 0; i < commands.size(); ++i) {
    EXPECT_EQ(commands[i]->Wait(), 1) << AllCalls()[i].words[0];
    EXPECT_EQ(commands[i]->out(), "Error connecting to Serf agent: i/o timeout\n")
        << AllCalls()[i].words[0];
  }
}

TEST(ClientLimitsTest, AnAgentThatFallsSilentIsGivenUp) {
  const MuteAgent agent;
  std::vector<std::pair<const Call*, std::unique_ptr<Process>>> commands;
  std::vector<Descriptor> connections;
  for (const Call& call : AllCalls()) {
    if (MayTakeLong(call)) continue;
    commands.emplace_back(&call, agent.Start(call.words));
    connections.push_back(agent.Accept());
    ASSERT_TRUE(connections.back().ReadUntil("handshake"));
    SendSuccess(connections.back(), 1);
  }
  for (const auto& [call, command] : commands) {
    EXPECT_EQ(command->Wait(), 1) << call->words[0];
    EXPECT_EQ(command->out(), absl::StrCat(call->what_failed, "i/o timeout\n"));
  }
}

// Go Serf's `leave` makes the agent leave, whatever the name is.
TEST(ClientLimitsTest, LeaveTakesNoName) {
  AgentProcess agent({.program = OurSerf(), .name = "a"});
  ASSERT_TRUE(agent.WaitUntilRunning());
  Process leave({OurSerf(), "leave", absl::StrCat("-rpc-addr=", agent.rpc()), "b"});
  EXPECT_EQ(leave.Wait(), 1);
  EXPECT_TRUE(absl::StartsWith(leave.out(), "\"b\" is not needed: ")) << leave.out();
  EXPECT_EQ(agent.States(), (MemberStates{{"a", "alive"}}));
}

// A page of help follows the error message, so the message comes again after it.
TEST(ClientLimitsTest, WhatIsWrongIsToldLast) {
  const struct {
    std::vector<std::string> words;
    absl::string_view what;
  } kCases[] = {
      {{"query", "-timeout=250", "x"}, "invalid value \"250\" for flag -timeout: parse error\n"},
      {{"members", "-colour"}, "flag provided but not defined: -colour\n"},
      {{"agent", "-colour"}, "==> flag provided but not defined: -colour\n"},
      {{"force-leave"}, "A node name must be specified to force leave.\n"},
  };
  for (const auto& c : kCases) {
    std::vector<std::string> argv = {OurSerf()};
    argv.insert(argv.end(), c.words.begin(), c.words.end());
    Process process(argv);
    EXPECT_EQ(process.Wait(), 1);
    EXPECT_TRUE(absl::EndsWith(process.out(), c.what)) << process.out();
    EXPECT_TRUE(absl::StrContains(process.out(), "Usage: serf ")) << process.out();
  }
}

// All members have answered after some milliseconds; the timeout of such a query is 3.2 s.
TEST(ClientLimitsTest, ReachabilityEndsWhenAllHaveAnswered) {
  AgentProcess agent({.program = OurSerf(), .name = "a", .profile = "lan"});
  ASSERT_TRUE(agent.WaitUntilRunning());
  const auto start = std::chrono::steady_clock::now();
  Process test({OurSerf(), "reachability", absl::StrCat("-rpc-addr=", agent.rpc())});
  EXPECT_EQ(test.Wait(), 0) << test.out();
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::milliseconds(2500));
}

// Go Serf's monitor, query and reachability ignore the interrupt (docs/protocol/agent.md 4.2).
TEST(ClientLimitsTest, AnInterruptEndsACommandThatConnects) {
  for (const Call& call : AllCalls()) {
    const MuteAgent agent;
    const auto command = agent.Start(call.words);
    Descriptor connection = agent.Accept();
    ASSERT_TRUE(connection.ReadUntil("handshake")) << call.words[0];
    command->Signal(SIGINT);
    EXPECT_EQ(command->Wait(), 128 + SIGINT) << call.words[0];
    EXPECT_EQ(command->out(), "") << call.words[0];
  }
}

TEST(ClientLimitsTest, AnInterruptEndsACommandThatWaitsForItsReply) {
  for (const Call& call : AllCalls()) {
    const MuteAgent agent;
    const auto command = agent.Start(call.words);
    Descriptor connection = agent.Accept();
    ASSERT_TRUE(connection.ReadUntil("handshake")) << call.words[0];
    SendSuccess(connection, 1);
    ASSERT_TRUE(
        connection.ReadUntil("\xa3"
                             "Seq\x02"))
        << call.words[0];  // the error of the second request
    command->Signal(SIGINT);
    EXPECT_EQ(command->Wait(), 128 + SIGINT) << call.words[0];
  }
}

TEST(ClientLimitsTest, ASecondInterruptEndsTheFarewell) {
  const MuteAgent agent;
  const auto monitor = agent.Start({"monitor"});
  Descriptor connection = agent.Accept();
  ASSERT_TRUE(connection.ReadUntil("handshake"));
  SendSuccess(connection, 1);
  ASSERT_TRUE(connection.ReadUntil("stream"));
  SendSuccess(connection, 2);
  ASSERT_TRUE(connection.ReadUntil("monitor"));
  SendSuccess(connection, 3);
  // A record in the output proves that the monitor runs.
  SendSuccess(connection, 3);
  constexpr absl::string_view kRecord =
      "\x81\xa3"
      "Log\xa5"
      "hello";
  ASSERT_EQ(::send(connection.get(), kRecord.data(), kRecord.size(), MSG_NOSIGNAL),
            static_cast<ssize_t>(kRecord.size()));
  ASSERT_TRUE(monitor->WaitForOutput("hello\n"));
  const auto begin = std::chrono::steady_clock::now();
  monitor->Signal(SIGINT);
  ASSERT_TRUE(
      connection.ReadUntil("\xa4"
                           "stop"));
  monitor->Signal(SIGINT);
  // The second of the two streams that it stops.
  ASSERT_TRUE(
      connection.ReadUntil("\xa3"
                           "Seq\x05"));
  monitor->Signal(SIGINT);
  EXPECT_EQ(monitor->Wait(), 0);
  // The time is less than the ten seconds that it would wait for each.
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(20));
}

TEST(ClientLimitsTest, AResultThatCannotBeWrittenIsAFailure) {
  AgentProcess agent({.program = OurSerf(), .name = "a"});
  ASSERT_TRUE(agent.WaitUntilRunning()) << agent.log();
  for (const char* command : {"members", "info", "version"}) {
    const std::string address =
        command == absl::string_view("version") ? "" : absl::StrCat("-rpc-addr=", agent.rpc());
    Process process({"/bin/sh", "-c", "exec \"$@\" >/dev/full", "sh", OurSerf(), command, address});
    EXPECT_EQ(process.Wait(), 1) << command;
    EXPECT_EQ(process.err(), "Error writing to standard output\n") << command;
  }
}

// A terminal of the test. The test reads on its other side what a user sees.
class PseudoTerminal {
 public:
  PseudoTerminal() : master_(::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC)) {
    EXPECT_EQ(::grantpt(master_.get()), 0);
    EXPECT_EQ(::unlockpt(master_.get()), 0);
    char name[64] = {};
    EXPECT_EQ(::ptsname_r(master_.get(), name, sizeof(name)), 0);
    name_ = name;
  }
  const std::string& name() const { return name_; }
  Descriptor& screen() { return master_; }

 private:
  Descriptor master_;
  std::string name_;
};

TEST(ClientLimitsTest, ATerminalIsNotSteeredByAnswers) {
  AgentProcess agent({.program = OurSerf(),
                      .name = "a",
                      .flags = {"-event-handler=query=printf 'one\\n\\033[31mtwo\\007\\377\\n'"}});
  ASSERT_TRUE(agent.WaitUntilRunning()) << agent.log();
  const std::vector<std::string> argv = {
      OurSerf(), "query", absl::StrCat("-rpc-addr=", agent.rpc()), "-timeout=60s", "x"};
  // A program that reads a pipe gets all bytes.
  Process piped(argv);
  EXPECT_EQ(piped.Wait(), 0);
  EXPECT_TRUE(absl::StrContains(piped.out(), "Response from 'a': one\n\x1b[31mtwo\a\xff\n"))
      << piped.out();
  PseudoTerminal terminal;
  std::vector<std::string> shell = {"/bin/sh", "-c", absl::StrCat("exec \"$@\" >", terminal.name()),
                                    "sh"};
  shell.insert(shell.end(), argv.begin(), argv.end());
  Process shown(shell);
  EXPECT_TRUE(terminal.screen().ReadUntil("Total Responses: 1"));
  EXPECT_EQ(shown.Wait(), 0);
  EXPECT_TRUE(absl::StrContains(terminal.screen().received(),
                                "Response from 'a': one\r\n\\x1b[31mtwo\\a\\xff\r\n"))
      << terminal.screen().received();
}

}  // namespace
}  // namespace serf::testkit
