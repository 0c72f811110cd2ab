// Tests what an agent pushes to metrics servers, and its treatment of servers that block.

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "gtest/gtest.h"
#include "serf/rpc/client.h"
#include "serf/testing/agents/agent_process.h"
#include "serf/testing/agents/process.h"
#include "serf/testing/agents/programs.h"
#include "serf/testing/integration/ping_watch.h"
#include "serf/testing/integration/workshop.h"

namespace serf::testkit {
namespace {

// A server on loopback that does nothing by itself.
class MetricsServer {
 public:
  explicit MetricsServer(int type) : fd_(::socket(AF_INET, type | SOCK_CLOEXEC, 0)) {
    const int small = 4096;  // bytes that it accepts without reading
    ::setsockopt(fd_, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(at);
    EXPECT_EQ(::bind(fd_, reinterpret_cast<const sockaddr*>(&at), size), 0);
    EXPECT_EQ(::getsockname(fd_, reinterpret_cast<sockaddr*>(&at), &size), 0);
    port_ = ntohs(at.sin_port);
    if (type == SOCK_STREAM) {
      EXPECT_EQ(::listen(fd_, 1), 0);
    } else {
      const timeval patience{.tv_sec = 0, .tv_usec = 100'000};
      ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    }
  }
  ~MetricsServer() { ::close(fd_); }
  MetricsServer(const MetricsServer&) = delete;
  MetricsServer& operator=(const MetricsServer&) = delete;

  std::string address() const { return absl::StrCat("127.0.0.1:", port_); }

  // All datagrams so far, and those of the next tenth of a second.
  const std::string& Receive() {
    std::array<char, 65536> buffer;
    ssize_t size = 0;
    while ((size = ::recv(fd_, buffer.data(), buffer.size(), 0)) > 0) {
      received_.append(buffer.data(), static_cast<std::size_t>(size));
    }
    return received_;
  }

 private:
  const int fd_;
  int port_ = 0;
  std::string received_;
};

class MetricsTest : public ::testing::Test {
 protected:
  AgentProcess::Options Options(const std::string& key, const std::string& address,
                                std::vector<std::string> flags = {}) {
    workshop_.Write("metrics.json", absl::StrCat("{\"", key, "\": \"", address, "\"}"));
    flags.push_back("-config-file=metrics.json");
    return {.program = OurSerf(), .name = "n", .flags = std::move(flags)};
  }

  // Makes an agent write more metrics than any buffer holds, and sends pings meanwhile.
  void ExpectPingsMeanwhile(const std::string& key, const std::string& address) {
    AgentProcess agent(Options(key, address));
    ASSERT_TRUE(agent.WaitUntilRunning()) << agent.log();
    rpc::Client client;
    ASSERT_TRUE(client.Connect(agent.rpc()).ok());
    PingWatch watch(agent.options().address, "n");
    const std::string name(200, 'x');
    EXPECT_LT(watch.LongestWait([&] {
      for (int i = 0; i < 10; ++i) EXPECT_TRUE(client.SendUserEvent(name, "", {}).ok());
    }),
              PingWatch::kMuteMax);
    agent.Interrupt();
    EXPECT_EQ(agent.process().Wait(), 0);
  }

  Workshop workshop_;
};

// The names in Go Serf, which its users' metrics servers know.
TEST_F(MetricsTest, NamesOfTheOriginal) {
  MetricsServer server(SOCK_DGRAM);
  AgentProcess agent(Options("statsd_addr", server.address()));
  ASSERT_TRUE(agent.WaitUntilRunning()) << agent.log();
  AgentProcess other({.program = OurSerf(), .name = "o", .flags = {"-join=" + agent.gossip()}});
  ASSERT_TRUE(other.WaitUntilRunning()) << other.log();
  rpc::Client client;
  ASSERT_TRUE(client.Connect(agent.rpc()).ok());
  ASSERT_TRUE(client.SendUserEvent("de ploy:1|c\nx", "", {}).ok());
  Process keys({OurSerf(), "keys", "-rpc-addr=" + agent.rpc(), "-list"});
  keys.Wait();
  const auto has = [&](absl::string_view line) {
    return absl::StrContains(server.Receive(), absl::StrCat("serf-agent.", line));
  };
  // An internal query.
  EXPECT_TRUE(agent.process().WaitUntil([&] { return has("serf.queries:1.0"); }));
  Process query({OurSerf(), "query", "-rpc-addr=" + agent.rpc(), "load"});
  query.Wait();
  other.Interrupt();
  EXPECT_EQ(other.process().Wait(), 0);
  for (const char* line :
       {"serf.member.join:", "serf.member.left:", "serf.events:", "serf.events.de_ploy_1_c_x:1.0",
        "serf.queries.load:1.0",
        "serf.query_acks:", "serf.query_responses:", "memberlist.udp.sent:",
        "memberlist.udp.received:", "memberlist.tcp.sent:", "memberlist.tcp.accept:",
        "memberlist.msg.alive:", "agent.ipc.accept:", "agent.ipc.command:"}) {
    EXPECT_TRUE(agent.process().WaitUntil([&] { return has(line); })) << line << server.Receive();
  }
}

TEST_F(MetricsTest, AStatsdThatReadsNothing) {
  const MetricsServer server(SOCK_DGRAM);
  ExpectPingsMeanwhile("statsd_addr", server.address());
}

// Each datagram brings an error back.
TEST_F(MetricsTest, AStatsdThatIsNotThere) {
  const std::string address = MetricsServer(SOCK_DGRAM).address();
  ExpectPingsMeanwhile("statsd_addr", address);
}

// The system accepts the connection, but nobody reads from it.
TEST_F(MetricsTest, AStatsiteThatReadsNothing) {
  const MetricsServer server(SOCK_STREAM);
  ExpectPingsMeanwhile("statsite_addr", server.address());
}

}  // namespace
}  // namespace serf::testkit
