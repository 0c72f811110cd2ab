// Tests of the statsd and statsite sinks over loopback.

#include "serf/cmd/telemetry/stats_sink.h"

#include <array>
#include <chrono>
#include <functional>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "boost/asio/buffer.hpp"
#include "boost/asio/io_context.hpp"
#include "boost/asio/ip/tcp.hpp"
#include "boost/asio/ip/udp.hpp"
#include "gtest/gtest.h"
#include "serf/testing/run_until.h"

namespace serf::cmd {
namespace {

using boost::asio::ip::tcp;
using boost::asio::ip::udp;

class StatsSinkTest : public ::testing::Test {
 protected:
  void RunUntil(const std::function<bool()>& condition) {
    EXPECT_TRUE(testkit::RunUntil(io_, condition));
  }

  boost::asio::io_context io_;
};

TEST_F(StatsSinkTest, Lines) {
  EXPECT_EQ(StatsSink<udp>::Line("serf-agent.agent.invoke.echo a b:c", 's', 1.653688),
            "serf-agent.agent.invoke.echo_a_b_c:1.653688|ms\n");
  // A command of several lines becomes one metric.
  EXPECT_EQ(StatsSink<udp>::Line("agent.invoke.cd /srv\ngit pull | cat", 's', 1),
            "agent.invoke.cd_/srv_git_pull_|_cat:1.000000|ms\n");
  EXPECT_EQ(StatsSink<udp>::Line("x", 'c', 1), "x:1.000000|c\n");
  EXPECT_EQ(StatsSink<udp>::Line("x", 'g', 4029), "x:4029.000000|g\n");
}

TEST_F(StatsSinkTest, Statsd) {
  udp::socket server(io_, udp::endpoint(boost::asio::ip::address_v4::loopback(), 0));
  StatsSink<udp> sink(io_, absl::StrCat("127.0.0.1:", server.local_endpoint().port()));
  std::string expected;
  for (int i = 0; i < 200; ++i) {
    const std::string name = absl::StrCat("metric", i);
    sink.Add(name, 'c', i);
    expected += StatsSink<udp>::Line(name, 'c', i);
  }
  std::string received;
  server.non_blocking(true);
  RunUntil([&] {
    std::array<char, 65536> buffer;
    boost::system::error_code error;
    const std::size_t size = server.receive(boost::asio::buffer(buffer), 0, error);
    if (error) return false;
    EXPECT_LE(size, StatsSink<udp>::kDatagramMax);
    EXPECT_EQ(buffer[size - 1], '\n');
    received.append(buffer.data(), size);
    return received.size() == expected.size();
  });
  EXPECT_EQ(received, expected);
}

TEST_F(StatsSinkTest, StatsiteComesBack) {
  tcp::acceptor acceptor(io_, tcp::endpoint(boost::asio::ip::address_v4::loopback(), 0));
  StatsSink<tcp> sink(io_, absl::StrCat("127.0.0.1:", acceptor.local_endpoint().port()));
  for (int life = 0; life < 2; ++life) {
    tcp::socket connection(io_);
    bool accepted = false;
    acceptor.async_accept(connection, [&](const auto& error) { accepted = !error; });
    // Metrics that are added while the server is away are lost.
    RunUntil([&] {
      sink.Add("x", 'g', 1);
      return accepted;
    });
    connection.non_blocking(true);
    std::string received;
    RunUntil([&] {
      std::array<char, 4096> buffer;
      boost::system::error_code error;
      received.append(buffer.data(), connection.read_some(boost::asio::buffer(buffer), error));
      sink.Add("x", 'g', 1);
      return received.size() > 100;
    });
    EXPECT_TRUE(absl::StartsWith(received, "x:1.000000|g\nx:1.000000|g\n"));
  }
}

TEST_F(StatsSinkTest, BadAddressesCostNothing) {
  for (const char* address : {"", ":", "[::1", "127.0.0.1:x"}) {
    StatsSink<udp> sink(io_, address);
    for (int i = 0; i < 10'000; ++i) sink.Add("x", 'c', 1);
    io_.run_for(std::chrono::milliseconds(10));
  }
}

}  // namespace
}  // namespace serf::cmd
