#include "serf/transport/udp_socket.h"

#include <boost/asio/io_context.hpp>
#include <chrono>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "serf/base/bytes.h"
#include "serf/base/endpoint.h"
#include "serf/swim/outbox.h"
#include "serf/testing/run_until.h"

namespace serf::transport {
namespace {

using Bytes = ByteVector;

Endpoint At(absl::string_view address, std::uint16_t port = 0) {
  return {*IpAddress::Parse(address), port};
}

void Put(swim::Outbox& out, const Endpoint& to, const Bytes& bytes) {
  const std::size_t begin = out.BeginSlice();
  Append(out.arena(), bytes);
  out.SendDatagram(to, out.EndSlice(begin));
}

struct Datagram {
  Endpoint from;
  Bytes bytes;
};

// A socket that collects the datagrams it receives.
struct Peer {
  explicit Peer(asio::io_context& io_context) : io(io_context), socket(io_context) {}

  void Listen(const Endpoint& at) {
    const absl::Status status = socket.Open(at);
    ASSERT_TRUE(status.ok()) << status;
    Wait();
  }

  void Wait() {
    socket.AsyncWaitReadable([this](ErrorCode error) {
      if (error) return;
      ++turns;
      for (const UdpSocket::Received& r : socket.Receive(refused)) {
        got.push_back({r.from, Bytes(r.bytes.begin(), r.bytes.end())});
      }
      Wait();
    });
  }

  template <typename Condition>
  bool RunUntil(Condition condition) {
    return testkit::RunUntil(io, std::move(condition));
  }

  asio::io_context& io;
  UdpSocket socket;
  std::vector<Datagram> got;
  std::vector<Endpoint> refused;
  int turns = 0;
};

class UdpSocketOn : public ::testing::TestWithParam<const char*> {};

INSTANTIATE_TEST_SUITE_P(Loopback, UdpSocketOn, ::testing::Values("127.0.0.1", "::1"));

TEST_P(UdpSocketOn, SendsAndReceivesInBatches) {
  asio::io_context io;
  Peer a(io);
  Peer b(io);
  a.Listen(At(GetParam()));
  b.Listen(At(GetParam()));
  ASSERT_NE(a.socket.local().port, 0);
  ASSERT_NE(a.socket.local(), b.socket.local());

  constexpr std::size_t kCount = 100;
  swim::Outbox out;
  for (std::size_t i = 0; i < kCount; ++i) {
    Put(out, b.socket.local(), Bytes(i + 1, static_cast<std::uint8_t>(i)));
  }
  a.socket.Send(out, a.refused);
  ASSERT_TRUE(b.RunUntil([&] { return b.got.size() == kCount; }));
  for (std::size_t i = 0; i < kCount; ++i) {
    EXPECT_EQ(b.got[i].bytes, Bytes(i + 1, static_cast<std::uint8_t>(i)));
    EXPECT_EQ(b.got[i].from, a.socket.local());
  }
  EXPECT_EQ(a.socket.counters().sent, kCount);
  EXPECT_EQ(a.socket.counters().send_calls, 4u);  // 32 + 32 + 32 + 4
  EXPECT_EQ(b.socket.counters().received, kCount);
  EXPECT_LE(b.socket.counters().receive_calls, 5u);
  EXPECT_TRUE(a.refused.empty());
}

TEST_P(UdpSocketOn, CarriesTheLargestAndTheEmptyDatagram) {
  asio::io_context io;
  Peer a(io);
  a.Listen(At(GetParam()));
  const Bytes largest(65507, 0x5a);
  swim::Outbox out;
  Put(out, a.socket.local(), largest);
  a.socket.Send(out, a.refused);
  ASSERT_TRUE(a.RunUntil([&] { return a.got.size() == 1; }));
  EXPECT_EQ(a.got[0].bytes, largest);

  boost::asio::ip::udp::socket raw(io);
  const auto to = ToAsio(a.socket.local());
  raw.open(to.address().is_v4() ? asio::ip::udp::v4() : asio::ip::udp::v6());
  raw.send_to(asio::buffer("", 0), {to.address(), to.port()});
  ASSERT_TRUE(a.RunUntil([&] { return a.got.size() == 2; }));
  EXPECT_TRUE(a.got[1].bytes.empty());
}

TEST_P(UdpSocketOn, TellsWhomTheNetworkRefused) {
  asio::io_context io;
  Peer a(io);
  Peer b(io);
  Peer closed(io);
  a.Listen(At(GetParam()));
  b.Listen(At(GetParam()));
  closed.Listen(At(GetParam()));
  const Endpoint nobody = closed.socket.local();
  closed.socket.Close();

  // The errors of the first datagrams hit neither the datagrams to b nor the reading.
  swim::Outbox out;
  Put(out, nobody, {1});
  Put(out, b.socket.local(), {2});
  Put(out, nobody, {3});
  Put(out, b.socket.local(), {4});
  a.socket.Send(out, a.refused);
  ASSERT_TRUE(b.RunUntil([&] { return b.got.size() == 2; }));
  ASSERT_TRUE(a.RunUntil([&] { return a.refused.size() == 2; }));
  EXPECT_EQ(a.refused, (std::vector<Endpoint>{nobody, nobody}));
  EXPECT_EQ(b.got[0].bytes, Bytes{2});
  EXPECT_EQ(b.got[1].bytes, Bytes{4});

  swim::Outbox reply;
  Put(reply, a.socket.local(), {5});
  b.socket.Send(reply, b.refused);
  ASSERT_TRUE(a.RunUntil([&] { return a.got.size() == 1; }));
  EXPECT_LT(a.turns, 20);  // a pending error must not keep the socket ready
}

TEST(UdpSocketTest, RefusesWhatItsFamilyCannotReachAndSendsTheRest) {
  asio::io_context io;
  Peer a(io);
  a.Listen(At("127.0.0.1"));
  swim::Outbox out;
  Put(out, At("::1", 9), {1});
  Put(out, a.socket.local(), {2});
  Put(out, a.socket.local(), Bytes(65520, 3));  // longer than IPv4 allows
  Put(out, a.socket.local(), {4});
  a.socket.Send(out, a.refused);
  ASSERT_TRUE(a.RunUntil([&] { return a.got.size() == 2; }));
  EXPECT_EQ(a.got[0].bytes, Bytes{2});
  EXPECT_EQ(a.got[1].bytes, Bytes{4});
  EXPECT_EQ(a.refused, (std::vector<Endpoint>{At("::1", 9), a.socket.local()}));
  EXPECT_EQ(a.socket.counters().refused, 2u);
}

TEST(UdpSocketTest, WildcardTakesBothFamiliesAndGivesIpv4InFourBytes) {
  for (const char* wildcard : {"0.0.0.0", "::"}) {
    asio::io_context io;
    Peer any(io);
    Peer v4(io);
    Peer v6(io);
    any.Listen(At(wildcard));
    v4.Listen(At("127.0.0.1"));
    v6.Listen(At("::1"));
    EXPECT_EQ(any.socket.local().address, *IpAddress::Parse(wildcard));

    swim::Outbox out;
    Put(out, At("127.0.0.1", any.socket.local().port), {4});
    v4.socket.Send(out, v4.refused);
    out.Clear();
    Put(out, At("::1", any.socket.local().port), {6});
    v6.socket.Send(out, v6.refused);
    ASSERT_TRUE(any.RunUntil([&] { return any.got.size() == 2; }));
    EXPECT_EQ(any.got[0].from, v4.socket.local());
    EXPECT_EQ(any.got[1].from, v6.socket.local());

    // An IPv4 address may come in either form.
    out.Clear();
    Put(out, v4.socket.local(), {1});
    Put(out, {v4.socket.local().address.Mapped(), v4.socket.local().port}, {2});
    Put(out, v6.socket.local(), {3});
    any.socket.Send(out, any.refused);
    ASSERT_TRUE(any.RunUntil([&] { return v4.got.size() == 2 && v6.got.size() == 1; }));
    EXPECT_TRUE(any.refused.empty());

    // Refusals are reported for both families.
    const Endpoint gone4 = v4.socket.local();
    const Endpoint gone6 = v6.socket.local();
    v4.socket.Close();
    v6.socket.Close();
    out.Clear();
    Put(out, gone4, {1});
    Put(out, gone6, {1});
    any.socket.Send(out, any.refused);
    ASSERT_TRUE(any.RunUntil([&] { return any.refused.size() == 2; }));
    EXPECT_EQ(any.refused, (std::vector<Endpoint>{gone4, gone6}));
  }
}

TEST(UdpSocketTest, NamesTheSystemCallThatFailed) {
  asio::io_context io;
  Peer a(io);
  a.Listen(At("127.0.0.1"));
  UdpSocket b(io);
  EXPECT_EQ(
      b.Open(a.socket.local()).message(),
      absl::StrCat("listen udp ", a.socket.local().ToString(), ": bind: address already in use"));
  EXPECT_FALSE(b.is_open());
  EXPECT_EQ(b.Open(At("192.0.2.1", 7946)).message(),
            "listen udp 192.0.2.1:7946: bind: cannot assign requested address");
  EXPECT_TRUE(b.Open(At("127.0.0.1")).ok());  // as good as new
}

}  // namespace
}  // namespace serf::transport
