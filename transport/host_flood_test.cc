// Tests of a Host to which a client opens more connections than it holds, and sends nothing. The
// joins of the Host and those of other nodes continue.

#include <sys/resource.h>

#include <boost/asio/buffer.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <cstddef>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "serf/member.h"
#include "serf/testing/host_fixture.h"
#include "serf/transport/host.h"
#include "serf/transport/net/socket_address.h"

namespace serf::transport {
namespace {

using Tcp = asio::ip::tcp;

class HostFloodTest : public testkit::HostFixture {
 protected:
  static void SetUpTestSuite() {
    // Both ends of all connections are in this process.
    rlimit limit = {};
    ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = limit.rlim_max;
    ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &limit), 0);
    ASSERT_GE(limit.rlim_cur, 2048u);
  }

  std::unique_ptr<Host> StartWith(const std::string& name, std::size_t connections_max) {
    HostOptions options = testkit::LocalOptions(name);
    options.connections_max = connections_max;
    return Start(std::move(options));
  }

  // Opens `count` connections from one address, and leaves them silent.
  void Flood(const Host& host, std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) {
      Tcp::socket& socket = flood_.emplace_back(io_, Tcp::v4());
      socket.bind({ToAsio(IpAddress::V4(127, 0, 0, 9)), 0});
      socket.connect(ToAsio(host.local()));
      io_.poll();
    }
  }
  // The connections of the flood that the Host still holds.
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

  std::vector<Tcp::socket> flood_;
};

TEST_F(HostFloodTest, SilentConnectionsStopNobodysJoin) {
  const auto victim = StartWith("victim", kConnectionsMax);
  const auto peer = StartWith("peer", kConnectionsMax);
  const auto third = StartWith("third", kConnectionsMax);
  const std::size_t held_max = AcceptedMax(kConnectionsMax);
  Flood(*victim, 600);
  ASSERT_TRUE(RunUntil([&] { return Held() <= held_max; }));
  EXPECT_EQ(Held(), held_max) << "they may stay while nobody else wants their place";
  EXPECT_TRUE(Join(*victim, *peer).status.ok()) << "its own join";
  EXPECT_TRUE(Join(*third, *victim).status.ok()) << "that of another";
  // New connections of the flood replace only connections of the flood.
  for (int round = 0; round < 3; ++round) {
    Flood(*victim, 200);
    EXPECT_TRUE(Join(*victim, *peer).status.ok());
    EXPECT_TRUE(Join(*third, *victim).status.ok());
  }
  EXPECT_TRUE(RunUntil([&] { return victim->serf().Members().size() == 3; }));
  EXPECT_LE(Held(), held_max);
}

// A process that has few descriptors.
TEST_F(HostFloodTest, TheLeastThatAHostCanHave) {
  const auto victim = StartWith("victim", 0);
  const auto peer = StartWith("peer", 1);
  Flood(*victim, 20);
  ASSERT_TRUE(RunUntil([&] { return Held() <= AcceptedMax(kConnectionsMin); }));
  EXPECT_TRUE(Join(*victim, *peer).status.ok());
  EXPECT_TRUE(Join(*peer, *victim).status.ok());
}

}  // namespace
}  // namespace serf::transport
