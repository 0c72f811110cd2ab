#include "serf/transport/tcp_stream.h"

#include <sys/socket.h>

#include <array>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "serf/base/bytes.h"
#include "serf/base/endpoint.h"
#include "serf/swim/outbox.h"
#include "serf/testing/run_until.h"
#include "serf/transport/net/tcp_listener.h"

namespace serf::transport {
namespace {

using asio::ip::tcp;
using swim::StreamId;

constexpr Duration kFlushMax = std::chrono::seconds(5);

Endpoint At(absl::string_view address, std::uint16_t port = 0) {
  return {*IpAddress::Parse(address), port};
}

// Remembers the calls of the streams.
struct Recorder final : StreamSink {
  void OnStreamConnected(StreamId) override { connected = true; }
  void OnStreamBytes(StreamId, ByteView bytes) override {
    Append(received, bytes);
    if (on_bytes) on_bytes();
  }
  void OnStreamClosed(StreamId, const absl::Status& status) override { reason = status; }
  void OnStreamGone(StreamId) override { gone = true; }
  MutableByteView ReadBuffer() override { return buffer; }

  std::array<std::uint8_t, 4096> buffer;
  bool connected = false;
  ByteVector received;
  std::optional<absl::Status> reason;
  bool gone = false;
  std::function<void()> on_bytes;
};

class TcpStreamOn : public ::testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    const absl::Status status = listener_.Open(At(GetParam()));
    ASSERT_TRUE(status.ok()) << status;
    listener_.Start([this](tcp::socket socket, const Endpoint& from) {
      server_ = std::make_shared<TcpStream>(std::move(socket), StreamId(2), from, kFlushMax,
                                            server_sink_);
      server_->Start();
    });
  }

  std::shared_ptr<TcpStream> Dial() {
    auto stream = std::make_shared<TcpStream>(tcp::socket(io_), StreamId(1), listener_.local(),
                                              kFlushMax, client_sink_);
    stream->Dial();
    return stream;
  }

  template <typename Condition>
  bool RunUntil(Condition condition) {
    return testkit::RunUntil(io_, std::move(condition));
  }

  asio::io_context io_;
  TcpListener listener_{io_, nullptr};
  Recorder client_sink_;
  Recorder server_sink_;
  std::shared_ptr<TcpStream> server_;
};

INSTANTIATE_TEST_SUITE_P(Loopback, TcpStreamOn, ::testing::Values("127.0.0.1", "::1"));

ByteVector Pattern(std::size_t size) {
  ByteVector bytes(size);
  for (std::size_t i = 0; i < size; ++i) bytes[i] = static_cast<std::uint8_t>(i * 7 + i / 251);
  return bytes;
}

TEST_P(TcpStreamOn, CarriesBytesBothWays) {
  const auto client = Dial();
  ASSERT_TRUE(RunUntil([&] { return client_sink_.connected && server_ != nullptr; }));
  EXPECT_EQ(server_->peer().address, *IpAddress::Parse(GetParam()));
  client->Write(AsBytes("ping"));
  ASSERT_TRUE(RunUntil([&] { return server_sink_.received.size() == 4; }));
  server_->Write(AsBytes("po"));
  server_->Write(AsBytes("ng"));
  server_->Close();
  ASSERT_TRUE(RunUntil([&] { return client_sink_.gone && server_sink_.gone; }));
  EXPECT_EQ(AsText(client_sink_.received), "pong");
  ASSERT_TRUE(client_sink_.reason.has_value());
  EXPECT_TRUE(client_sink_.reason->ok());
  EXPECT_FALSE(server_sink_.reason.has_value());  // the stream closed by itself
}

TEST_P(TcpStreamOn, CarriesMoreThanTheKernelBuffers) {
  const ByteVector large = Pattern(20 << 20);
  const auto client = Dial();
  client->Write(large);  // before the connection exists
  client->Close();       // gives up, because nothing is connected
  ASSERT_TRUE(RunUntil([&] { return client_sink_.gone; }));
  EXPECT_TRUE(server_sink_.received.empty());

  client_sink_.gone = false;
  const auto second = Dial();
  second->Write(ByteView(large).first(1000));
  ASSERT_TRUE(RunUntil([&] { return client_sink_.connected; }));
  second->Write(ByteView(large).subspan(1000));
  second->Close();  // while nearly everything still waits to be sent
  ASSERT_TRUE(RunUntil([&] { return client_sink_.gone && server_sink_.gone; }));
  EXPECT_TRUE(server_sink_.received == large);
  EXPECT_TRUE(server_sink_.reason->ok());
  EXPECT_FALSE(client_sink_.reason.has_value());
}

// An answer must arrive even if the rest of the request was not read.
TEST_P(TcpStreamOn, ClosesWithoutResetWhileBytesStillCome) {
  const auto client = Dial();
  ASSERT_TRUE(RunUntil([&] { return client_sink_.connected; }));
  server_sink_.on_bytes = [this] {
    server_sink_.on_bytes = nullptr;
    server_->Write(AsBytes("too large"));
    server_->Close();
  };
  client->Write(Pattern(8 << 20));
  ASSERT_TRUE(RunUntil([&] { return client_sink_.gone && server_sink_.gone; }));
  EXPECT_EQ(AsText(client_sink_.received), "too large");
  EXPECT_TRUE(client_sink_.reason->ok()) << *client_sink_.reason;
}

TEST_P(TcpStreamOn, TellsARefusedConnection) {
  const Endpoint nobody = listener_.local();
  listener_.Close();
  const auto client =
      std::make_shared<TcpStream>(tcp::socket(io_), StreamId(1), nobody, kFlushMax, client_sink_);
  client->Dial();
  EXPECT_FALSE(client_sink_.reason.has_value());  // never from within the call
  ASSERT_TRUE(RunUntil([&] { return client_sink_.gone; }));
  EXPECT_EQ(client_sink_.reason->message(),
            absl::StrCat("dial tcp ", nobody.ToString(), ": connect: connection refused"));
  EXPECT_FALSE(client_sink_.connected);
}

TEST_P(TcpStreamOn, TellsAReset) {
  tcp::socket raw(io_);
  raw.connect(ToAsio(listener_.local()));
  ASSERT_TRUE(RunUntil([&] { return server_ != nullptr; }));
  raw.set_option(asio::socket_base::linger(true, 0));
  const Endpoint from = FromAsio(raw.local_endpoint());
  raw.close();
  ASSERT_TRUE(RunUntil([&] { return server_sink_.gone; }));
  EXPECT_EQ(server_sink_.reason->message(),
            absl::StrCat("read tcp ", listener_.local().ToString(), "->", from.ToString(),
                         ": read: connection reset by peer"));
}

TEST_P(TcpStreamOn, GivesUpAPeerThatDoesNotClose) {
  tcp::socket raw(io_);
  raw.connect(ToAsio(listener_.local()));
  ASSERT_TRUE(RunUntil([&] { return server_ != nullptr; }));
  const auto begin = std::chrono::steady_clock::now();
  server_->Close();
  ASSERT_TRUE(RunUntil([&] { return server_sink_.gone; }));
  EXPECT_GE(std::chrono::steady_clock::now() - begin, TcpStream::kPeerCloseMax);
}

TEST_P(TcpStreamOn, BoundsWhatWaitsForASlowPeer) {
  tcp::socket raw(io_);
  raw.connect(ToAsio(listener_.local()));
  ASSERT_TRUE(RunUntil([&] { return server_ != nullptr; }));
  const ByteVector chunk(4 << 20);
  for (int i = 0; i < 12; ++i) server_->Write(chunk);
  ASSERT_TRUE(RunUntil([&] { return server_sink_.gone; }));
  EXPECT_EQ(server_sink_.reason->code(), absl::StatusCode::kResourceExhausted);
}

TEST_P(TcpStreamOn, AbortsInEveryStateWithoutAnotherCall) {
  const auto dialing = Dial();
  dialing->Abort();
  const auto open = Dial();
  ASSERT_TRUE(RunUntil([&] { return client_sink_.connected && server_ != nullptr; }));
  open->Write(Pattern(8 << 20));
  open->Abort();
  open->Write(AsBytes("ignored"));
  open->Close();
  ASSERT_TRUE(RunUntil([&] { return server_sink_.gone; }));
  EXPECT_FALSE(client_sink_.reason.has_value());
  EXPECT_FALSE(client_sink_.gone);
}

TEST_P(TcpStreamOn, OperationsOutstandingEndWithTheContext) {
  auto client = Dial();
  client->Write(Pattern(1 << 20));
  client->Close();
  client.reset();
  // Nothing runs. The destructors of the fixture must not touch what is gone.
}

struct Lines final : Logger {
  bool Enabled(LogLevel) const override { return true; }
  void Write(LogLevel level, absl::string_view text) override {
    lines.push_back(absl::StrCat(LogLevelName(level), " ", text));
  }
  std::vector<std::string> lines;
};

TEST(AcceptorTest, PausesDoubleUpToATenthOfASecond) {
  Duration pause = Duration::zero();
  std::vector<std::int64_t> ms;
  for (int i = 0; i < 7; ++i) {
    pause = NextAcceptPause(pause);
    ms.push_back(std::chrono::duration_cast<std::chrono::milliseconds>(pause).count());
  }
  EXPECT_EQ(ms, (std::vector<std::int64_t>{5, 10, 20, 40, 80, 100, 100}));
}

TEST(TcpListenerTest, PausesWhileAcceptingFailsThenGoesOn) {
  asio::io_context io;
  Lines lines;
  TcpListener listener(io, &lines);
  ASSERT_TRUE(listener.Open(At("127.0.0.1")).ok());
  int accepted = 0;
  listener.Start([&](tcp::socket, const Endpoint&) { ++accepted; });
  // The listener no longer listens, so accept() fails as without descriptors.
  ASSERT_EQ(::shutdown(listener.NativeHandleForTest(), SHUT_RD), 0);
  const auto begin = std::chrono::steady_clock::now();
  ASSERT_TRUE(testkit::RunUntil(io, [&] { return lines.lines.size() >= 2; }));
  EXPECT_GE(std::chrono::steady_clock::now() - begin, kAcceptErrorInterval);
  ASSERT_EQ(lines.lines.size(), 2u);
  EXPECT_EQ(lines.lines[0],
            absl::StrCat("ERR memberlist: Error accepting TCP connection: accept tcp ",
                         listener.local().ToString(), ": accept: invalid argument"));
  EXPECT_EQ(accepted, 0);

  ASSERT_EQ(::listen(listener.NativeHandleForTest(), 1), 0);
  SocketAddress local = {};  // the system may have given it another port
  socklen_t size = sizeof(local);
  ASSERT_EQ(::getsockname(listener.NativeHandleForTest(), &local.any, &size), 0);
  tcp::socket client(io);
  client.connect(ToAsio(*FromSocketAddress(local)));
  EXPECT_TRUE(testkit::RunUntil(io, [&] { return accepted == 1; }));
}

TEST(TcpListenerTest, NamesTheSystemCallThatFailed) {
  asio::io_context io;
  TcpListener first(io, nullptr);
  ASSERT_TRUE(first.Open(At("127.0.0.1")).ok());
  TcpListener second(io, nullptr);
  EXPECT_EQ(
      second.Open(first.local()).message(),
      absl::StrCat("listen tcp ", first.local().ToString(), ": bind: address already in use"));
}

TEST(TcpListenerTest, WildcardTakesBothFamilies) {
  for (const char* wildcard : {"0.0.0.0", "::"}) {
    asio::io_context io;
    TcpListener listener(io, nullptr);
    ASSERT_TRUE(listener.Open(At(wildcard)).ok());
    std::vector<IpAddress> from;
    listener.Start([&](tcp::socket, const Endpoint& peer) { from.push_back(peer.address); });
    for (const char* address : {"127.0.0.1", "::1"}) {
      tcp::socket client(io);
      client.connect(ToAsio(At(address, listener.local().port)));
      io.run_one_for(std::chrono::seconds(10));
    }
    EXPECT_EQ(from,
              (std::vector<IpAddress>{*IpAddress::Parse("127.0.0.1"), *IpAddress::Parse("::1")}));
  }
}

}  // namespace
}  // namespace serf::transport
