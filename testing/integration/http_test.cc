// Tests the HTTP port of real agents: what it shows, who may see it, what a reload changes.

#include <sys/stat.h>
#include <sys/wait.h>

#include <csignal>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "gtest/gtest.h"
#include "serf/testing/agents/agent_process.h"
#include "serf/testing/agents/http_get.h"
#include "serf/testing/agents/process.h"
#include "serf/testing/agents/programs.h"
#include "serf/testing/integration/workshop.h"

namespace serf::testkit {
namespace {

constexpr absl::string_view kSecret = "0123456789abcdef-secret";

class HttpTest : public ::testing::Test {
 protected:
  static std::string Bearer(absl::string_view secret) {
    return absl::StrCat("Authorization: Bearer ", secret, "\r\n");
  }
  // The value of a sample, or -1.
  static double Sample(const std::string& text, absl::string_view name) {
    const std::size_t at = text.find(absl::StrCat("\n", name, " "));
    if (at == std::string::npos) return -1;
    const std::size_t from = at + name.size() + 2;
    double value = -1;
    static_cast<void>(absl::SimpleAtod(text.substr(from, text.find('\n', from) - from), &value));
    return value;
  }
  // What an agent that does not start says.
  std::string Refusal(const std::string& config) {
    workshop_.Write("bad.json", config);
    Process agent(
        {OurSerf(), "agent", "-node=n", "-bind=" + NextLoopbackAddress(), "-config-file=bad.json"});
    EXPECT_EQ(agent.Wait(), 1);
    return agent.out();
  }

  Workshop workshop_;
};

TEST_F(HttpTest, OffByDefault) {
  AgentProcess agent({.program = OurSerf(), .name = "a"});
  ASSERT_TRUE(agent.WaitUntilRunning()) << agent.log();
  EXPECT_FALSE(absl::StrContains(agent.log(), "HTTP"));
  agent.Interrupt();
  EXPECT_EQ(agent.process().Wait(), 0);
}

TEST_F(HttpTest, MetricsAndProbesOfACluster) {
  AgentProcess::Options options{.program = OurSerf(), .name = "a \"quoted\"\\name"};
  const std::string http = options.address + ":7380";
  options.flags = {"-http-addr=" + http};
  AgentProcess agent(std::move(options));
  ASSERT_TRUE(agent.WaitUntilRunning()) << agent.log();
  EXPECT_TRUE(absl::StrContains(agent.log(), absl::StrCat(" HTTP addr: '", http, "'\n")))
      << agent.log();
  EXPECT_EQ(HttpGet(http, "/livez").body, "ok\n");
  // It was given nothing to join.
  EXPECT_EQ(HttpGet(http, "/readyz").body, "ok\n");

  AgentProcess::Options more{.program = OurSerf(), .name = "b"};
  const std::string more_http = more.address + ":7380";
  more.flags = {"-http-addr=" + more_http, "-retry-join=" + agent.gossip()};
  AgentProcess other(std::move(more));
  ASSERT_TRUE(other.WaitUntilRunning()) << other.log();
  EXPECT_TRUE(
      agent.process().WaitUntil([&] { return HttpGet(more_http, "/readyz").status == 200; }));
  EXPECT_TRUE(agent.process().WaitUntil([&] {
    return Sample(HttpGet(http, "/metrics").body, "serf_members{status=\"alive\"}") == 2;
  }));
  const HttpAnswer metrics = HttpGet(http, "/metrics");
  EXPECT_EQ(metrics.status, 200);
  EXPECT_TRUE(absl::StrContains(metrics.body, "node=\"a \\\"quoted\\\"\\\\name\"")) << metrics.body;
  EXPECT_EQ(Sample(metrics.body, "serf_swim_members{state=\"alive\"}"), 2);
  EXPECT_EQ(Sample(metrics.body, "serf_ready"), 1);
  EXPECT_EQ(Sample(metrics.body, "serf_http_connections"), 1);
  EXPECT_EQ(Sample(metrics.body, "serf_health_score"), 0);
  EXPECT_EQ(Sample(metrics.body, "serf_rpc_connections_accepted_total"), 0);
  EXPECT_GT(Sample(metrics.body, "serf_swim_datagrams_total{direction=\"received\"}"), 0);
  EXPECT_GT(Sample(metrics.body, "process_resident_memory_bytes"), 1 << 20);
  EXPECT_GT(Sample(metrics.body, "process_start_time_seconds"), 1.7e9);
  EXPECT_GT(Sample(metrics.body, "process_open_fds"), 5);

  // A member that fails is not the fault of this agent.
  other.Kill();
  EXPECT_TRUE(agent.process().WaitUntil([&] {
    return Sample(HttpGet(http, "/metrics").body, "serf_members{status=\"failed\"}") == 1;
  }));
  EXPECT_EQ(HttpGet(http, "/readyz").status, 200);
  agent.Interrupt();
  EXPECT_EQ(agent.process().Wait(), 0);
}

TEST_F(HttpTest, NotReadyUntilItHasJoined) {
  AgentProcess::Options options{.program = OurSerf(), .name = "a"};
  const std::string http = options.address + ":7380";
  const std::string nobody = NextLoopbackAddress() + ":7946";
  options.flags = {"-http-addr=" + http, "-retry-join=" + nobody};
  AgentProcess agent(std::move(options));
  ASSERT_TRUE(agent.WaitUntilRunning()) << agent.log();
  const HttpAnswer answer = HttpGet(http, "/readyz");
  EXPECT_EQ(answer.status, 503);
  EXPECT_EQ(answer.body, "[-]joined failed: no other member has answered yet\n");
  EXPECT_EQ(HttpGet(http, "/livez").status, 200);
  agent.Interrupt();
  agent.process().Wait();
}

TEST_F(HttpTest, PortZeroIsTold) {
  AgentProcess agent({.program = OurSerf(), .name = "a", .flags = {"-http-addr=127.0.0.1:0"}});
  ASSERT_TRUE(agent.WaitUntilRunning()) << agent.log();
  const std::string log = agent.log();
  constexpr absl::string_view kTitle = "HTTP addr: '";
  const std::size_t from = log.find(std::string(kTitle)) + kTitle.size();
  const std::string address = log.substr(from, log.find('\'', from) - from);
  EXPECT_FALSE(absl::EndsWith(address, ":0")) << log;
  EXPECT_EQ(HttpGet(address, "/livez").status, 200);
}

TEST_F(HttpTest, UnixSocket) {
  const std::string path = workshop_.folder() / "http.sock";
  AgentProcess agent({.program = OurSerf(), .name = "a", .flags = {"-http-addr=unix:" + path}});
  ASSERT_TRUE(agent.WaitUntilRunning()) << agent.log();
  struct stat status = {};
  ASSERT_EQ(::stat(path.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600U);
  EXPECT_EQ(HttpGet("unix:" + path, "/metrics").status, 200);
  agent.Interrupt();
  EXPECT_EQ(agent.process().Wait(), 0);
  EXPECT_NE(::stat(path.c_str(), &status), 0);
}

TEST_F(HttpTest, TokensAndReload) {
  workshop_.Write("token", absl::StrCat(kSecret, "\n"));
  ASSERT_EQ(::chmod("token", 0600), 0);
  const auto configure = [&](const std::string& rest) {
    workshop_.Write("http.json", absl::StrCat("{\"http_anonymous\": [\"probe\"]", rest, "}"));
  };
  configure(R"(, "http_tokens": [{"name": "prom", "token_file": "token", "scopes": ["metrics"]}])");
  AgentProcess::Options options{.program = OurSerf(), .name = "a"};
  const std::string http = options.address + ":7380";
  options.flags = {"-http-addr=" + http, "-config-file=http.json"};
  AgentProcess agent(std::move(options));
  ASSERT_TRUE(agent.WaitUntilRunning()) << agent.log();
  EXPECT_EQ(HttpGet(http, "/livez").status, 200);
  EXPECT_EQ(HttpGet(http, "/metrics").status, 401);
  EXPECT_EQ(HttpGet(http, "/metrics", Bearer(kSecret)).status, 200);
  EXPECT_EQ(HttpGet(http, "/metrics", Bearer("0123456789abcdef-mistyped")).status, 401);

  // A mistake changes nothing, and is named.
  configure(R"(, "http_tokens": [{"name": "prom", "token": "short", "scopes": ["metrics"]}])");
  agent.process().Signal(SIGHUP);
  EXPECT_TRUE(agent.WaitForLog("Invalid http_tokens 'prom': the token has 5 bytes"));
  EXPECT_EQ(HttpGet(http, "/metrics", Bearer(kSecret)).status, 200);
  // The new address holds at the next start only, and so do the rights of a listener there.
  configure(R"(, "http_addr": "unix:/x", "http_anonymous": ["control"])");
  agent.process().Signal(SIGHUP);
  EXPECT_TRUE(agent.WaitForLog("'control' is never for callers without a token over TCP"));
  // The token is revoked.
  configure("");
  agent.process().Signal(SIGHUP);
  EXPECT_TRUE(agent.process().WaitUntil(
      [&] { return HttpGet(http, "/metrics", Bearer(kSecret)).status == 401; }));
  EXPECT_EQ(HttpGet(http, "/livez").status, 200);
  EXPECT_FALSE(absl::StrContains(agent.log(), kSecret));
  agent.Interrupt();
  EXPECT_EQ(agent.process().Wait(), 0);
}

TEST_F(HttpTest, MistakesInTheConfiguration) {
  const std::string free_rpc =
      absl::StrCat(R"("rpc_addr": "unix:)", (workshop_.folder() / "rpc").string(), "\", ");
  const auto says = [&](const std::string& config, absl::string_view text) {
    const std::string said = Refusal(absl::StrCat("{", free_rpc, config, "}"));
    EXPECT_TRUE(absl::StrContains(said, text)) << said;
  };
  says(R"("http_addr": "127.0.0.1")", "Invalid http_addr: address 127.0.0.1: missing port");
  says(R"("http_addr": "203.0.113.1:7380")",
       "Error starting HTTP listener: listen tcp 203.0.113.1:7380: bind: ");
  says(R"("http_addr": "127.0.0.1:0", "http_anonymous": ["control"])",
       "Invalid http_anonymous: 'control' is never");
  says(R"("http_tokens": [{"name": "x", "token_file": "none", "scopes": ["read"]}])",
       "Invalid http_tokens 'x': open none: no such file or directory");
  says(R"("http_tokens": [{"name": 3}])", "'http_tokens[0].name' expected type 'string'");
  says(R"("http_tokens": [{"name": "x", "secret": "y"}])",
       "'http_tokens[0]' has invalid keys: secret");
  says(R"("http_tokens": ["x"])", "'http_tokens[0]' expected a map, got 'string'");
  says(R"("http_socket_mode": "0777")", "Invalid http_socket_mode: '0777'");
  says(R"("http_anonymous": "read")", "'http_anonymous': source data must be an array or slice");
}

}  // namespace
}  // namespace serf::testkit
