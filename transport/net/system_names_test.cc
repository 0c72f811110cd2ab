#include "serf/transport/net/system_names.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "gtest/gtest.h"

namespace serf::names {
namespace {

// A book that knows "db" in both families, all names with an underscore, and one service.
Book Table() {
  const auto addresses = [](const std::string& host) -> Addresses {
    if (host == "db" || host.find('_') != std::string::npos) {
      return std::vector<IpAddress>{*IpAddress::Parse("fd00::7"), IpAddress::V4(10, 0, 0, 7),
                                    IpAddress::V4(10, 0, 0, 8)};
    }
    return absl::NotFoundError(absl::StrCat("lookup ", host, ": asked"));
  };
  const auto service_port = [](const std::string& service,
                               const char* protocol) -> std::optional<std::uint16_t> {
    if (service == "serf" && std::string(protocol) == "udp") return 7946;
    return std::nullopt;
  };
  return {addresses, service_port};
}

std::string Text(const std::vector<IpAddress>& addresses) {
  return absl::StrJoin(addresses, " ", [](std::string* out, const IpAddress& address) {
    absl::StrAppend(out, address.ToString());
  });
}

TEST(SystemNamesTest, AsksForNamesOnly) {
  const struct {
    const char* host;
    const char* want;  // addresses, or the error
  } kTable[] = {
      {"db", "fd00::7 10.0.0.7 10.0.0.8"},
      {"serf_seed", "fd00::7 10.0.0.7 10.0.0.8"},
      {"10.0.0.1", "10.0.0.1"},
      {"fd00::1", "fd00::1"},
      {"::ffff:10.0.0.1", "10.0.0.1"},
      {"web", "lookup web: asked"},
      {"web.1", "lookup web.1: asked"},
      // The system's resolver takes these for addresses.
      {"010.000.000.012", "lookup 010.000.000.012: no such host"},
      {"10.0.0.1/24", "lookup 10.0.0.1/24: no such host"},
      {"1.2.3", "lookup 1.2.3: no such host"},
      {"300.0.0.1", "lookup 300.0.0.1: no such host"},
      {"0", "lookup 0: no such host"},
      {"0x7f.1", "lookup 0x7f.1: no such host"},
      {"", "lookup : no such host"},
  };
  for (const auto& row : kTable) {
    const Addresses got = LookUp(row.host, Table());
    EXPECT_EQ(got.ok() ? Text(*got) : std::string(got.status().message()), row.want) << row.host;
  }
}

TEST(SystemNamesTest, PrefersTheFirstIpv4Address) {
  const std::vector<IpAddress> both = *LookUp("db", Table());
  EXPECT_EQ(Text(Ipv4First(both)), "10.0.0.7 10.0.0.8 fd00::7");
  EXPECT_EQ(Preferred(both).ToString(), "10.0.0.7");
  EXPECT_EQ(Preferred({*IpAddress::Parse("fd00::8"), *IpAddress::Parse("fd00::7")}).ToString(),
            "fd00::8");
}

TEST(SystemNamesTest, ReadsPorts) {
  const struct {
    const char* port;
    const char* protocol;
    const char* want;
  } kTable[] = {
      {"", "tcp", "0"},
      {"0", "tcp", "0"},
      {"65535", "tcp", "65535"},
      {"+7", "udp", "7"},
      {"65536", "tcp", "address 65536: invalid port"},
      {"-1", "tcp", "address -1: invalid port"},
      {"serf", "udp", "7946"},
      {"serf", "tcp", "address tcp/serf: unknown port"},
  };
  for (const auto& row : kTable) {
    const absl::StatusOr<std::uint16_t> got = LookUpPort(row.port, row.protocol, Table());
    EXPECT_EQ(got.ok() ? absl::StrCat(*got) : std::string(got.status().message()), row.want)
        << row.port;
  }
}

TEST(SystemNamesTest, AsksTheSystem) {
  const Addresses localhost = LookUp("localhost");
  ASSERT_TRUE(localhost.ok()) << localhost.status();
  for (const IpAddress& address : *localhost) EXPECT_TRUE(address.is_loopback());
  EXPECT_EQ(Preferred(*localhost).ToString(), "127.0.0.1");
  EXPECT_EQ(SystemServicePort("no-such-service", "tcp"), std::nullopt);
}

}  // namespace
}  // namespace serf::names
