// Tests multicast DNS on the loopback interface, which no datagram leaves.

#include "serf/cmd/discovery/mdns.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/string_view.h"
#include "boost/asio/io_context.hpp"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "serf/base/bytes.h"
#include "serf/base/endpoint.h"
#include "serf/cmd/discovery/dns_message.h"
#include "serf/cmd/discovery/service.h"
#include "serf/cmd/telemetry/glog_logger.h"
#include "serf/testing/run_until.h"
#include "serf/transport/interfaces.h"

namespace serf::cmd {
namespace {

using ::testing::ElementsAre;

TEST(IsOnLinkTest, ByThePrefixesOfTheInterfaces) {
  const std::vector<transport::InterfaceAddress> interfaces = {
      {"eth0", *IpAddress::Parse("192.0.2.17"), 24, /*up=*/true},
      {"eth0", *IpAddress::Parse("2001:db8::1"), 64, /*up=*/true},
      {"eth1", *IpAddress::Parse("10.0.0.1"), 8, /*up=*/false},
  };
  const struct {
    const char* address;
    bool want;
  } kCases[] = {
      {"192.0.2.1", true},     {"192.0.3.1", false},       {"10.0.0.2", false},
      {"127.9.9.9", true},     {"2001:db8::abcd", true},   {"2001:db8:0:1::1", false},
      {"fe80::1", true},       {"::ffff:192.0.2.1", true}, {"::1", true},
      {"198.51.100.1", false}, {"0.0.0.0", true},
  };
  for (const auto& c : kCases) {
    EXPECT_EQ(IsOnLink(*IpAddress::Parse(c.address), interfaces), c.want) << c.address;
  }
}

TEST(MulticastInterfacesTest, AllThatAreUpTheDefaultOneFirst) {
  const IpAddress v4 = IpAddress::V4(10, 0, 0, 1);
  const IpAddress v6 = *IpAddress::Parse("fe80::1");
  const std::vector<transport::InterfaceAddress> interfaces = {
      {"lo", IpAddress::V4(127, 0, 0, 1), 8, true},
      {"eth0", v4, 24, true},
      {"eth0", IpAddress::V4(10, 0, 0, 2), 24, true},
      {"eth1", v4, 24, true},
      {"down0", v4, 24, false},
      {"lo", *IpAddress::Parse("::1"), 128, true},
      {"eth0", v6, 64, true},
  };
  EXPECT_THAT(MulticastInterfaces(interfaces, "", true), ElementsAre("eth0", "eth1"));
  EXPECT_THAT(MulticastInterfaces(interfaces, "eth1", true), ElementsAre("eth1", "eth0"));
  EXPECT_THAT(MulticastInterfaces(interfaces, "eth1", false), ElementsAre("eth0"));
  EXPECT_THAT(MulticastInterfaces(std::span(interfaces).first(1), "", true), ElementsAre("lo"));
  EXPECT_THAT(MulticastInterfaces({}, "eth0", true), ElementsAre());
  std::vector<transport::InterfaceAddress> many;
  for (std::size_t i = 0; i < 100; ++i) many.push_back({"v" + std::to_string(i), v4, 24, true});
  EXPECT_EQ(MulticastInterfaces(many, "v99", true).size(), kMulticastInterfacesMax);
  EXPECT_EQ(MulticastInterfaces(many, "v99", true).front(), "v99");
}

class MdnsTest : public ::testing::Test {
 protected:
  using Joins = std::vector<std::string>;

  MdnsTest() { logger_.OpenGate(); }

  static Mdns::Options Options(const std::string& node, std::uint16_t port) {
    return {.service = {.cluster = "clus",
                        .node = node,
                        .host = "vm",
                        .endpoint = {IpAddress::V4(127, 0, 0, 1), port}},
            .interface = "lo",
            .ipv4 = true,
            .ipv6 = true};
  }
  // Puts every address that was found into `joins`, and reports it as joined.
  std::unique_ptr<Mdns> Start(const Mdns::Options& options, Joins& joins) {
    auto mdns = Mdns::Start(io_, options, logger_,
                            [&joins](std::vector<std::string> addresses, Mdns::JoinDone done) {
                              joins.insert(joins.end(), addresses.begin(), addresses.end());
                              done(absl::OkStatus(), static_cast<int>(addresses.size()), {});
                            });
    EXPECT_TRUE(mdns.ok()) << mdns.status();
    return mdns.ok() ? *std::move(mdns) : nullptr;
  }
  void RunUntil(const std::function<bool()>& condition) {
    EXPECT_TRUE(testkit::RunUntil(io_, condition)) << ::testing::PrintToString(log_);
  }

  boost::asio::io_context io_;
  std::vector<std::string> log_;
  GlogLogger logger_{[this](absl::string_view line) { log_.emplace_back(line); }};
};

TEST_F(MdnsTest, TheLaterOneFindsTheEarlierOne) {
  Joins first_joins;
  Joins second_joins;
  const auto first = Start(Options("a", 1001), first_joins);
  const auto second = Start(Options("b", 1002), second_joins);
  ASSERT_TRUE(first && second);
  RunUntil([&] { return !second_joins.empty(); });
  EXPECT_THAT(second_joins, ElementsAre("127.0.0.1:1001"));
  const auto logged = [this](absl::string_view text) {
    return std::any_of(log_.begin(), log_.end(),
                       [text](const std::string& line) { return absl::EndsWith(line, text); });
  };
  RunUntil([&] { return logged("[INFO] agent.mdns: Joined 1 hosts"); });
}

TEST_F(MdnsTest, Ipv4Alone) {
  Joins first_joins;
  Joins second_joins;
  Mdns::Options options = Options("a", 1001);
  options.ipv6 = false;
  const auto first = Start(options, first_joins);
  options = Options("b", 1002);
  options.ipv6 = false;
  const auto second = Start(options, second_joins);
  ASSERT_TRUE(first && second);
  RunUntil([&] { return !second_joins.empty(); });
}

TEST_F(MdnsTest, QuestionsFromElsewhere) {
  Joins joins;
  const auto mdns = Start(Options("a", 1001), joins);
  ASSERT_TRUE(mdns);
  const int fd = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  ip_mreqn interface = {};
  interface.imr_ifindex = static_cast<int>(::if_nametoindex("lo"));
  ASSERT_EQ(::setsockopt(fd, IPPROTO_IP, IP_MULTICAST_IF, &interface, sizeof(interface)), 0);
  sockaddr_in group = {};
  group.sin_family = AF_INET;
  group.sin_port = htons(kMdnsPort);
  ::inet_pton(AF_INET, "224.0.0.251", &group.sin_addr);
  DnsWriter question(7, /*flags=*/0);
  question.AddQuestion({*DnsName("_serf_clus._tcp.local."), DnsType::kPtr, true});
  const auto send = [&](ByteView bytes) {
    EXPECT_EQ(::sendto(fd, bytes.data(), bytes.size(), 0, reinterpret_cast<const sockaddr*>(&group),
                       sizeof(group)),
              static_cast<ssize_t>(bytes.size()));
  };
  // A datagram that is not a question does no harm.
  send(AsBytes("garbage"));
  send(ByteVector(kDnsDatagramMax + 100));
  send(question.bytes());
  pollfd entry = {fd, POLLIN, 0};
  RunUntil([&] { return ::poll(&entry, 1, 0) == 1; });
  std::array<std::uint8_t, kDnsDatagramMax> buffer;
  const ssize_t size = ::recv(fd, buffer.data(), buffer.size(), 0);
  ::close(fd);
  ASSERT_GT(size, 0);
  const std::optional<DnsMessage> answer =
      ParseDnsMessage(ByteView(buffer).first(static_cast<std::size_t>(size)));
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->id, 7);
  EXPECT_EQ(answer->records.size(), 4u);
}

TEST_F(MdnsTest, WithoutAFamilyThereIsNoStart) {
  Mdns::Options options = Options("a", 1001);
  options.ipv4 = options.ipv6 = false;
  const auto mdns = Mdns::Start(io_, options, logger_, nullptr);
  EXPECT_EQ(mdns.status().message(), "No multicast listeners could be started");
  options.service.cluster = std::string(64, 'x');
  EXPECT_TRUE(absl::IsInvalidArgument(Mdns::Start(io_, options, logger_, nullptr).status()));
}

// No handler runs after the end.
TEST_F(MdnsTest, EndsWhilePolling) {
  Joins joins;
  Start(Options("a", 1001), joins);
  io_.run();
  EXPECT_TRUE(joins.empty());
}

}  // namespace
}  // namespace serf::cmd
