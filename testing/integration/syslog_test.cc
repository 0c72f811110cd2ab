// Tests agents that log to the system's log daemon, which here is the test.

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "gtest/gtest.h"
#include "serf/rpc/client.h"
#include "serf/testing/agents/agent_process.h"
#include "serf/testing/agents/own_files.h"
#include "serf/testing/agents/own_files_main.h"
#include "serf/testing/agents/process.h"
#include "serf/testing/agents/programs.h"
#include "serf/testing/integration/ping_watch.h"
#include "serf/testing/integration/transcript.h"
#include "serf/testing/integration/workshop.h"

namespace serf::testkit {
namespace {

// One of the sockets that agents try. Nobody listens at the others: see main().
constexpr char kSocket[] = "/var/run/syslog";

class Daemon {
 public:
  // With SOCK_STREAM, clients connect after Listen().
  explicit Daemon(int type = SOCK_DGRAM) : fd_(::socket(AF_UNIX, type | SOCK_CLOEXEC, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, kSocket, sizeof(kSocket));
    EXPECT_EQ(::bind(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
  }
  ~Daemon() {
    ::close(fd_);
    std::filesystem::remove(kSocket);
  }

  // Receives until a datagram contains `text`.
  bool WaitFor(absl::string_view text) {
    const auto has = [text](const std::string& line) { return absl::StrContains(line, text); };
    if (std::any_of(datagrams_.begin(), datagrams_.end(), has)) return true;
    while (Receive(kDeadline)) {
      if (has(datagrams_.back())) return true;
    }
    return false;
  }
  // Takes all datagrams: a socket holds a dozen, and the agent does not wait for room.
  void TakeAll() {
    while (Receive(std::chrono::seconds(0))) {
    }
  }
  void Listen(int backlog) { ASSERT_EQ(::listen(fd_, backlog), 0); }
  // The bytes that the first client has written, until it closes.
  std::size_t BytesOfAClient() {
    const int client = ::accept(fd_, nullptr, nullptr);
    std::size_t bytes = 0;
    std::string buffer(65536, '\0');
    ssize_t size = 0;
    while ((size = ::recv(client, buffer.data(), buffer.size(), 0)) > 0) {
      bytes += static_cast<std::size_t>(size);
    }
    ::close(client);
    return bytes;
  }
  const std::vector<std::string>& datagrams() const { return datagrams_; }
  std::string all() const { return absl::StrJoin(datagrams_, ""); }

 private:
  bool Receive(std::chrono::seconds patience) {
    pollfd ready{fd_, POLLIN, 0};
    const auto milliseconds = static_cast<int>(1000 * patience.count());
    if (::poll(&ready, 1, milliseconds) != 1) return false;
    std::string datagram(4096, '\0');
    const ssize_t size = ::recv(fd_, datagram.data(), datagram.size(), 0);
    if (size < 0) return false;
    datagram.resize(static_cast<std::size_t>(size));
    datagrams_.push_back(std::move(datagram));
    return true;
  }

  const int fd_;
  std::vector<std::string> datagrams_;
};

class SyslogTest : public ::testing::Test {
 protected:
  static void Run(const std::string& command, const std::string& word) {
    Process process({OurSerf(), command, Localize("-rpc-addr=127.0.0.1:23231"), Localize(word)});
    EXPECT_TRUE(process.Wait().has_value()) << process.out();
  }

  // Repeats what the recorded agents did: an event, and a join and a key list that fail.
  static void ExpectAsRecorded(const char* name) {
    const Transcript transcript(name);
    Daemon daemon;
    Process agent(transcript.argv());
    ASSERT_TRUE(agent.WaitForOutput("==> Log data will now stream in")) << agent.out();
    Run("event", "x");
    daemon.TakeAll();
    Run("join", "127.0.0.1:23999");
    daemon.TakeAll();
    Run("keys", "-list");
    // The last datagram of the recording.
    const std::vector<std::string> recorded = transcript.facts("syslog_datagrams");
    EXPECT_TRUE(daemon.WaitFor(recorded.back().substr(recorded.back().find("]: "))))
        << daemon.all();
    EXPECT_EQ(NormalizeSyslog(daemon.datagrams()), NormalizeSyslog(recorded));
    agent.Signal(SIGINT);
    EXPECT_EQ(agent.Wait(), 0);
    const Outcome expected = transcript.expected();
    EXPECT_EQ(NormalizeAgentOutput(agent.out()), NormalizeAgentOutput(expected.out));
  }

  Workshop workshop_;
};

TEST_F(SyslogTest, EntriesAsRecorded) {
  workshop_.Write("sl.json", R"({"enable_syslog": true, "syslog_facility": "daemon"})");
  ExpectAsRecorded("agent-syslog");
}

TEST_F(SyslogTest, EntriesOfALevelAsRecorded) { ExpectAsRecorded("agent-syslog-warn"); }

TEST_F(SyslogTest, NoDaemonAsRecorded) {
  const Transcript transcript("agent-err-syslog");
  EXPECT_EQ(transcript.Run(), transcript.expected());
}

// The agent survives the daemon's end, and finds the next daemon.
TEST_F(SyslogTest, OutlivesTheDaemon) {
  std::vector<std::string> words = Transcript("agent-err-syslog").argv();
  words.push_back("-log-level=warn");
  std::unique_ptr<Process> agent;
  {
    Daemon daemon;
    agent = std::make_unique<Process>(words);
    ASSERT_TRUE(agent->WaitForOutput("==> Log data will now stream in")) << agent->out();
    Run("join", "127.0.0.1:23999");
    EXPECT_TRUE(daemon.WaitFor("]: agent: error joining: ")) << daemon.all();
  }
  Run("join", "127.0.0.1:23998");
  EXPECT_TRUE(agent->WaitForOutput(":23998: connect: connection refused")) << agent->out();
  Daemon daemon;
  Run("keys", "-list");
  EXPECT_TRUE(daemon.WaitFor("]: serf: Keyring is empty (encryption not enabled)\n"));
  // Entries from the time without a daemon are lost.
  EXPECT_EQ(daemon.datagrams().size(), 1u) << daemon.all();
}

// The socket of a daemon that blocks is full after a dozen lines.
TEST_F(SyslogTest, ADaemonThatStandsStillHoldsNothingUp) {
  const Daemon daemon;
  AgentProcess agent({.program = OurSerf(), .name = "n", .flags = {"-syslog", "-log-level=trace"}});
  ASSERT_TRUE(agent.WaitUntilRunning()) << agent.log();
  rpc::Client client;
  ASSERT_TRUE(client.Connect(agent.rpc()).ok());
  PingWatch watch(agent.options().address, "n");
  EXPECT_LT(watch.LongestWait([&] {
    for (int i = 0; i < 10; ++i) EXPECT_TRUE(client.SendUserEvent("noise", "", {}).ok());
  }),
            PingWatch::kMuteMax);
  agent.Interrupt();
  EXPECT_EQ(agent.process().Wait(), 0);
}

// The same for a daemon that takes streams and accepts no client.
TEST_F(SyslogTest, AStreamThatStandsStillHoldsNothingUp) {
  for (const int backlog : {0, 100}) {
    Daemon daemon(SOCK_STREAM);
    daemon.Listen(backlog);
    AgentProcess agent(
        {.program = OurSerf(), .name = "n", .flags = {"-syslog", "-log-level=trace"}});
    ASSERT_TRUE(agent.WaitUntilRunning()) << agent.log();
    rpc::Client client;
    ASSERT_TRUE(client.Connect(agent.rpc()).ok());
    PingWatch watch(agent.options().address, "n");
    const std::string payload(400, 'x');
    EXPECT_LT(watch.LongestWait([&] {
      for (int i = 0; i < 10; ++i) EXPECT_TRUE(client.SendUserEvent("noise", payload, {}).ok());
    }),
              PingWatch::kMuteMax);
    agent.Interrupt();
    EXPECT_EQ(agent.process().Wait(), 0);
    // Most of the log did not fit.
    EXPECT_LT(daemon.BytesOfAClient(), agent.log().size() / 2) << "it never stood still";
  }
}

// A new log level applies to syslog, too.
TEST_F(SyslogTest, LevelIsReloaded) {
  workshop_.Write("sl.json", R"({"enable_syslog": true, "log_level": "warn"})");
  std::vector<std::string> words = Transcript("agent-syslog").argv();
  words.pop_back();  // drops the recorded -log-level
  Daemon daemon;
  Process agent(words);
  ASSERT_TRUE(agent.WaitForOutput("==> Log data will now stream in")) << agent.out();
  workshop_.Write("sl.json", R"({"enable_syslog": true, "log_level": "info"})");
  agent.Signal(SIGHUP);
  EXPECT_TRUE(agent.WaitForOutput("==> Reloading configuration...\n")) << agent.out();
  Run("join", "127.0.0.1:23999");
  EXPECT_TRUE(daemon.WaitFor("]: agent: joining: ")) << daemon.all();
  EXPECT_FALSE(absl::StrContains(daemon.all(), "Serf agent starting")) << daemon.all();
}

bool CoverSyslog() {
  const char* const log = "/dev/log";
  return CoverFolder("/var/run") && (!std::filesystem::exists(log) || CoverFile(log, "/dev/null"));
}

}  // namespace
}  // namespace serf::testkit

int main(int argc, char** argv) {
  return serf::testkit::RunTestsWithOwnFiles(argc, argv, serf::testkit::CoverSyslog);
}
