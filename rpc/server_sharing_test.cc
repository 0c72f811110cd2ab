// Tests what the connections of a server have in common.

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/address_v4.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <cstddef>
#include <functional>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "serf/member.h"
#include "serf/rpc/client_io.h"
#include "serf/rpc/server_io.h"
#include "serf/testing/rpc/fake_service.h"
#include "serf/testing/run_until.h"

namespace serf::rpc {
namespace {

class ServerSharingTest : public ::testing::Test {
 protected:
  ServerSharingTest() { EXPECT_TRUE(server_.Listen("127.0.0.1:0").ok()); }

  bool RunUntil(const std::function<bool()>& condition) {
    return testkit::RunUntil(io_, condition);
  }

  boost::asio::io_context io_;
  FakeService service_;
  Server server_{io_, service_, {}};
};

// A small reply leaves at once, and the kernel notices a client whose host has gone.
TEST_F(ServerSharingTest, ConnectionsInheritTheOptionsOfTheListener) {
  // The process opens no other descriptor between the two.
  boost::asio::io_context other;
  boost::asio::ip::tcp::socket client(other);
  client.connect({boost::asio::ip::address_v4::loopback(), server_.local_endpoint()->port});
  ASSERT_TRUE(RunUntil([&] { return server_.connection_count() == 1; }));
  int found = 0;
  for (int fd = 3; fd < 1024; ++fd) {
    sockaddr_in peer = {};
    socklen_t size = sizeof(peer);
    if (::getpeername(fd, reinterpret_cast<sockaddr*>(&peer), &size) != 0) continue;
    if (ntohs(peer.sin_port) != client.local_endpoint().port()) continue;
    ++found;
    const auto option = [fd](int level, int name) {
      int value = -1;
      socklen_t length = sizeof(value);
      ::getsockopt(fd, level, name, &value, &length);
      return value;
    };
    EXPECT_EQ(option(IPPROTO_TCP, TCP_NODELAY), 1);
    EXPECT_EQ(option(SOL_SOCKET, SO_KEEPALIVE), 1);
    EXPECT_EQ(option(IPPROTO_TCP, TCP_KEEPIDLE), 15);
    EXPECT_EQ(option(IPPROTO_TCP, TCP_KEEPINTVL), 15);
  }
  EXPECT_EQ(found, 1);
}

TEST_F(ServerSharingTest, MemoryOfALargeReplyIsGivenUp) {
  for (int i = 0; i < 500; ++i) service_.members.push_back(TestMember(absl::StrCat("node", i)));
  service_.members_version = 1;
  AsyncClient client(io_, {});
  bool connected = false;
  client.AsyncConnect(server_.local_endpoint()->ToString(),
                      [&connected](absl::Status status) { connected = status.ok(); });
  ASSERT_TRUE(RunUntil([&] { return connected; }));
  for (const int listings : {1, 2}) {
    std::size_t listed = 0;
    client.AsyncMembers(
        [&listed](absl::StatusOr<std::vector<Member>> members) { listed = members->size(); });
    ASSERT_TRUE(RunUntil([&] { return listed == 500; }));
    EXPECT_EQ(service_.listings, listings);
    EXPECT_GT(server_.shared_bytes(), 50'000u);
    ASSERT_TRUE(RunUntil([&] { return server_.shared_bytes() == 0; }));
  }
}

}  // namespace
}  // namespace serf::rpc
