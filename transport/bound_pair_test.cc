#include "serf/transport/bound_pair.h"

#include <boost/asio/io_context.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "serf/base/endpoint.h"
#include "serf/base/logger.h"

namespace serf::transport {
namespace {

Endpoint At(absl::string_view address, std::uint16_t port = 0) {
  return {*IpAddress::Parse(address), port};
}

struct Lines final : Logger {
  bool Enabled(LogLevel) const override { return true; }
  void Write(LogLevel level, absl::string_view text) override {
    lines.push_back(absl::StrCat(LogLevelName(level), " ", text));
  }
  std::vector<std::string> lines;
};

TEST(BoundPairTest, GivesBothSocketsTheSamePort) {
  asio::io_context io;
  Lines lines;
  const absl::StatusOr<BoundPair> pair = OpenBoundPair(io, At("127.0.0.1"), &lines);
  ASSERT_TRUE(pair.ok()) << pair.status();
  EXPECT_NE(pair->local().port, 0);
  EXPECT_EQ(pair->local(), pair->listener->local());
  EXPECT_EQ(lines.lines, std::vector<std::string>{absl::StrCat(
                             "DEBUG memberlist: Using dynamic bind port ", pair->local().port)});
}

TEST(BoundPairTest, SaysWhichListenerFailedAndWhy) {
  for (const char* host : {"127.0.0.1", "::1"}) {
    asio::io_context io;
    TcpListener tcp(io, nullptr);
    UdpSocket udp(io);
    ASSERT_TRUE(tcp.Open(At(host)).ok());
    ASSERT_TRUE(udp.Open(At(host)).ok());
    const auto text = [&](const char* kind, const char* network, const Endpoint& at) {
      return absl::StrCat(
          "Could not set up network transport: failed to obtain an address: Failed to start ", kind,
          " listener on \"", host, "\" port ", at.port, ": listen ", network, " ", at.ToString(),
          ": bind: address already in use");
    };
    EXPECT_EQ(OpenBoundPair(io, tcp.local(), nullptr).status().message(),
              text("TCP", "tcp", tcp.local()));
    EXPECT_EQ(OpenBoundPair(io, udp.local(), nullptr).status().message(),
              text("UDP", "udp", udp.local()));
  }
}

TEST(BoundPairTest, ChoosesWhatOthersAreTold) {
  const Endpoint private_v4 = {IpAddress::V4(10, 0, 0, 5).Mapped(), 0};
  const struct {
    const char* what;
    Endpoint bound;
    std::optional<Endpoint> wanted;
    std::optional<IpAddress> private_address;
    std::optional<Endpoint> want;
  } kTable[] = {
      {"what is bound", At("10.0.0.1", 7), {}, {}, At("10.0.0.1", 7)},
      {"four bytes of a mapped one", At("::ffff:10.0.0.1", 7), {}, {}, At("10.0.0.1", 7)},
      {"IPv6", At("fd00::1", 7), {}, {}, At("fd00::1", 7)},
      {"a private one in 16 bytes",
       At("0.0.0.0", 7),
       {},
       private_v4.address,
       Endpoint{private_v4.address, 7}},
      {"the same for IPv6", At("::", 7), {}, private_v4.address, Endpoint{private_v4.address, 7}},
      {"no private one", At("0.0.0.0", 7), {}, {}, {}},
      {"what the user wants", At("10.0.0.1", 7), At("8.8.8.8", 9), {}, At("8.8.8.8", 9)},
      {"in four bytes", At("0.0.0.0", 7), At("::ffff:8.8.8.8", 9), {}, At("8.8.8.8", 9)},
      {"with the bound port", At("0.0.0.0", 7), At("fd00::9"), {}, At("fd00::9", 7)},
  };
  for (const auto& row : kTable) {
    const std::optional<Endpoint> got = ChooseAdvertise(row.bound, row.wanted, row.private_address);
    EXPECT_EQ(got, row.want) << row.what;
  }
}

}  // namespace
}  // namespace serf::transport
