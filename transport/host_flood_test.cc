// A Host to which somebody opens more connections than it holds, and says nothing: its own joins
// and those of others go on.

#include <sys/resource.h>

#include <boost/asio/buffer.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "serf/config.h"
#include "serf/member.h"
#include "serf/transport/host.h"
#include "serf/transport/socket_address.h"

namespace serf::transport {
namespace {

using std::chrono::seconds;
using Tcp = asio::ip::tcp;

constexpr auto kPatience = seconds(30);

class HostFloodTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    // Both ends of all connections are in this process.
    rlimit limit = {};
    ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = limit.rlim_max;
    ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &limit), 0);
    ASSERT_GE(limit.rlim_cur, 2048u);
  }

  std::unique_ptr<Host> Start(const std::string& name, std::size_t connections_max) {
    HostOptions options;
    options.config = Config::Local();
    options.config.swim.name = name;
    options.bind = {IpAddress::V4(127, 0, 0, 1), 0};
    options.connections_max = connections_max;
    std::unique_ptr<Host> host = *Host::Create(io_, std::move(options));
    host->Start();
    return host;
  }
  template <typename Condition>
  bool RunUntil(Condition condition) {
    const auto deadline = std::chrono::steady_clock::now() + kPatience;
    while (!condition()) {
      if (std::chrono::steady_clock::now() > deadline) return false;
      if (io_.stopped()) io_.restart();
      io_.run_one_until(deadline);
    }
    return true;
  }
  absl::Status Join(Host& host, const Host& to) {
    std::optional<absl::Status> result;
    host.AsyncJoin({to.local().ToString()}, false,
                   [&](const absl::Status& status, const JoinOutcome&) { result = status; });
    if (!RunUntil([&] { return result.has_value(); })) return absl::UnknownError("no answer");
    return *result;
  }

  // Opens so many connections from one address, and leaves them alone.
  void Flood(const Host& host, std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) {
      Tcp::socket& socket = flood_.emplace_back(io_, Tcp::v4());
      socket.bind({ToAsio(IpAddress::V4(127, 0, 0, 9)), 0});
      socket.connect(ToAsio(host.local()));
      io_.poll();
    }
  }
  // Those of the flood that the host still holds.
  std::size_t Held() {
    std::size_t held = 0;
    for (Tcp::socket& socket : flood_) {
      socket.non_blocking(true);
      char byte;
      ErrorCode error;
      socket.read_some(asio::buffer(&byte, 1), error);
      held += error == asio::error::would_block;
    }
    return held;
  }

  asio::io_context io_;
  std::vector<Tcp::socket> flood_;
};

TEST_F(HostFloodTest, SilentConnectionsStopNobodysJoin) {
  const auto victim = Start("victim", kConnectionsMax);
  const auto peer = Start("peer", kConnectionsMax);
  const auto third = Start("third", kConnectionsMax);
  const std::size_t held_max = AcceptedMax(kConnectionsMax);
  Flood(*victim, 600);
  ASSERT_TRUE(RunUntil([&] { return Held() <= held_max; }));
  EXPECT_EQ(Held(), held_max) << "they may stay while nobody else wants their place";
  EXPECT_TRUE(Join(*victim, *peer).ok()) << "its own join";
  EXPECT_TRUE(Join(*third, *victim).ok()) << "that of another";
  // Renewed, they still pay themselves.
  for (int round = 0; round < 3; ++round) {
    Flood(*victim, 200);
    EXPECT_TRUE(Join(*victim, *peer).ok());
    EXPECT_TRUE(Join(*third, *victim).ok());
  }
  EXPECT_TRUE(RunUntil([&] { return victim->serf().Members().size() == 3; }));
  EXPECT_LE(Held(), held_max);
}

// A process with few descriptors.
TEST_F(HostFloodTest, TheLeastThatAHostCanHave) {
  const auto victim = Start("victim", 0);
  const auto peer = Start("peer", 1);
  Flood(*victim, 20);
  ASSERT_TRUE(RunUntil([&] { return Held() <= AcceptedMax(kConnectionsMin); }));
  EXPECT_TRUE(Join(*victim, *peer).ok());
  EXPECT_TRUE(Join(*peer, *victim).ok());
}

}  // namespace
}  // namespace serf::transport
