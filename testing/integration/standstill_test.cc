// The readers of an agent's output block. The agent answers pings meanwhile, and ends when asked
// to.

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "gtest/gtest.h"
#include "serf/rpc/client.h"
#include "serf/testing/agents/agent_process.h"
#include "serf/testing/agents/process.h"
#include "serf/testing/agents/programs.h"
#include "serf/testing/integration/ping_watch.h"
#include "serf/testing/integration/workshop.h"

namespace serf::testkit {
namespace {

using Clock = std::chrono::steady_clock;

// A second for the last output, and some time for a busy machine.
constexpr std::chrono::seconds kEndMax{5};

// The two ends of a standard output; a child inherits the second one.
class Output {
 public:
  enum class Kind { kPipe, kSockets, kTerminal };

  explicit Output(Kind kind) {
    switch (kind) {
      case Kind::kPipe:
        EXPECT_EQ(::pipe(ends_.data()), 0);
        break;
      case Kind::kSockets:
        EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM, 0, ends_.data()), 0);
        break;
      case Kind::kTerminal: {
        ends_[0] = ::posix_openpt(O_RDWR | O_NOCTTY);
        EXPECT_EQ(::grantpt(ends_[0]), 0);
        EXPECT_EQ(::unlockpt(ends_[0]), 0);
        std::array<char, 64> name;
        EXPECT_EQ(::ptsname_r(ends_[0], name.data(), name.size()), 0);
        ends_[1] = ::open(name.data(), O_RDWR | O_NOCTTY);
      }
    }
    ::fcntl(ends_[0], F_SETFD, FD_CLOEXEC);
  }
  ~Output() {
    for (const int end : ends_) ::close(end);
  }
  Output(const Output&) = delete;
  Output& operator=(const Output&) = delete;

  // The words that run `argv` with this output as one of its descriptors.
  std::vector<std::string> Run(std::vector<std::string> argv, int as = STDOUT_FILENO) const {
    const int end = ends_[1];
    std::vector<std::string> words = {
        "/bin/sh", "-c", absl::StrCat("exec \"$@\" ", as, ">&", end, " ", end, ">&-"), "sh"};
    words.insert(words.end(), argv.begin(), argv.end());
    return words;
  }

 private:
  std::array<int, 2> ends_ = {-1, -1};
};

// A TCP server that accepts no connection, or reads no byte from one. A client that connects to a
// `full` server waits for the answer to its SYN.
class StandingServer {
 public:
  StandingServer(const std::string& address, bool full) {
    sockaddr_in at = {};
    at.sin_family = AF_INET;
    EXPECT_EQ(::inet_pton(AF_INET, address.c_str(), &at.sin_addr), 1);
    socklen_t size = sizeof(at);
    EXPECT_EQ(::bind(listener_, reinterpret_cast<const sockaddr*>(&at), size), 0);
    EXPECT_EQ(::listen(listener_, /*backlog=*/0), 0);
    EXPECT_EQ(::getsockname(listener_, reinterpret_cast<sockaddr*>(&at), &size), 0);
    address_ = absl::StrCat(address, ":", ntohs(at.sin_port));
    while (full && !std::exchange(is_full_, !Connects(at))) continue;
  }
  ~StandingServer() {
    for (const int client : clients_) ::close(client);
    ::close(listener_);
  }
  StandingServer(const StandingServer&) = delete;
  StandingServer& operator=(const StandingServer&) = delete;

  const std::string& address() const { return address_; }

 private:
  // Connects one more client. False: half a second was not enough.
  bool Connects(const sockaddr_in& to) {
    const int client = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    clients_.push_back(client);
    ::connect(client, reinterpret_cast<const sockaddr*>(&to), sizeof(to));
    pollfd ready{client, POLLOUT, 0};
    return ::poll(&ready, 1, /*timeout=*/500) == 1;
  }

  const int listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  std::vector<int> clients_;
  bool is_full_ = false;
  std::string address_;
};

class StandstillTest : public ::testing::Test {
 protected:
  std::vector<std::string> Agent(std::vector<std::string> flags) const {
    std::vector<std::string> argv = {OurSerf(), "agent", "-node=n",
                                     absl::StrCat("-bind=", address_, ":7946"),
                                     absl::StrCat("-rpc-addr=", address_, ":7373")};
    argv.insert(argv.end(), flags.begin(), flags.end());
    return argv;
  }

  void Connect(const Process& agent) {
    ASSERT_TRUE(agent.WaitUntil([this] {
      client_.emplace();  // each client connects once
      return client_->Connect(absl::StrCat(address_, ":7373")).ok();
    }));
    watch_.emplace(address_, "n");
  }

  void ExpectSoonEnd(Process& agent) const {
    const Clock::time_point start = Clock::now();
    agent.Signal(SIGTERM);
    EXPECT_EQ(agent.Wait(), 1);
    EXPECT_LT(Clock::now() - start, kEndMax);
  }

  Workshop workshop_;
  const std::string address_ = NextLoopbackAddress();
  std::optional<rpc::Client> client_;
  std::optional<PingWatch> watch_;
};

// Events make the agent log more than any reader's buffer holds. Reloads prove that signals still
// arrive.
TEST_F(StandstillTest, StandardOutput) {
  for (const auto kind : {Output::Kind::kPipe, Output::Kind::kSockets, Output::Kind::kTerminal}) {
    const Output output(kind);
    Process agent(output.Run(Agent({"-log-level=trace"})));
    Connect(agent);
    const std::string payload(400, 'x');
    EXPECT_LT(watch_->LongestWait([&] {
      agent.Signal(SIGHUP);
      EXPECT_TRUE(client_->SendUserEvent("noise", payload, {}).ok());
    }),
              PingWatch::kMuteMax);
    ExpectSoonEnd(agent);
  }
}

// SIGUSR1 writes to standard error.
TEST_F(StandstillTest, StandardError) {
  const Output output(Output::Kind::kPipe);
  Process agent(output.Run(Agent({}), STDERR_FILENO));
  Connect(agent);
  EXPECT_LT(watch_->LongestWait([&] { agent.Signal(SIGUSR1); }), PingWatch::kMuteMax);
  ExpectSoonEnd(agent);
}

// A statsite that does not answer, and one that does not read. Events make metrics.
TEST_F(StandstillTest, Statsite) {
  for (const bool full : {true, false}) {
    const StandingServer statsite(address_, full);
    workshop_.Write("s.json", absl::StrCat(R"({"statsite_addr": ")", statsite.address(), R"("})"));
    Process agent(Agent({"-config-file=s.json"}));
    Connect(agent);
    EXPECT_LT(watch_->LongestWait([&] {
      for (int i = 0; i < 100; ++i) EXPECT_TRUE(client_->SendUserEvent("noise", "", {}).ok());
    }),
              PingWatch::kMuteMax);
    ExpectSoonEnd(agent);
  }
}

// A FIFO without a writer replaces a file that a reload reads.
TEST_F(StandstillTest, ConfigurationFiles) {
  workshop_.Write("r.json", R"({"tags": {"a": "1"}})");
  Process agent(Agent({"-config-file=r.json"}));
  Connect(agent);
  std::filesystem::remove("r.json");
  ASSERT_EQ(::mkfifo("r.json", 0600), 0);
  EXPECT_LT(watch_->LongestWait([&] { agent.Signal(SIGHUP); }), PingWatch::kMuteMax);
  EXPECT_TRUE(agent.WaitForOutput("==> The files of the reload before are still being read\n"));
  ExpectSoonEnd(agent);
}

// What became an ordinary file again is read: the reload that waits for the FIFO gives up.
TEST_F(StandstillTest, AReloadGivesUpAFifo) {
  workshop_.Write("r.json", R"({"tags": {"a": "1"}})");
  Process agent(Agent({"-config-file=r.json"}));
  Connect(agent);
  std::filesystem::remove("r.json");
  ASSERT_EQ(::mkfifo("r.json", 0600), 0);
  agent.Signal(SIGHUP);
  EXPECT_TRUE(
      agent.WaitForOutput("==> Error decoding 'r.json': read r.json: it has no end after "
                          "10s\n==> Failed to reload configs\n"))
      << agent.out();
  const auto reloads = [&] {
    const std::vector<std::string> parts = absl::StrSplit(agent.out(), "==> Reloading");
    return parts.size() - 1;
  };
  agent.Signal(SIGHUP);
  EXPECT_TRUE(agent.WaitUntil([&] { return reloads() == 2; }));
  // While the second one waits, the file is there.
  std::filesystem::remove("r.json");
  workshop_.Write("r.json", R"({"tags": {"a": "2"}})");
  agent.Signal(SIGHUP);
  EXPECT_TRUE(agent.WaitUntil([&] {
    const auto members = client_->Members();
    return members.ok() && members->at(0).tags == Tags{{"a", "2"}};
  })) << agent.out();
  ExpectSoonEnd(agent);
}

}  // namespace
}  // namespace serf::testkit
