#include "serf/transport/bind_address.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

namespace serf::transport {
namespace {

// A book of four names and one service.
names::Book Book() {
  const auto addresses = [](const std::string& host) -> names::Addresses {
    const IpAddress v4 = IpAddress::V4(10, 0, 0, 7);
    const IpAddress v6 = *IpAddress::Parse("fd00::7");
    if (host == "db") return std::vector<IpAddress>{v4};
    if (host == "db6") return std::vector<IpAddress>{v6, *IpAddress::Parse("fd00::8")};
    if (host == "both") return std::vector<IpAddress>{v6, v4, IpAddress::V4(10, 0, 0, 8)};
    return absl::NotFoundError(absl::StrCat("lookup ", host, ": no such host"));
  };
  const auto service_port = [](const std::string& service,
                               const char* protocol) -> std::optional<std::uint16_t> {
    EXPECT_STREQ(protocol, "tcp");
    if (service == "serf") return 7946;
    return std::nullopt;
  };
  return {addresses, service_port};
}

TEST(BindAddressTest, ReadsWhatUsersWrite) {
  const struct {
    const char* text;
    const char* want;  // ENDPOINT, with "(host)" and "(port)" if given; or the error
  } kTable[] = {
      {"0.0.0.0", "0.0.0.0:7946 (host)"},
      {"127.0.0.1:0", "127.0.0.1:0 (host)(port)"},
      {"127.0.0.1:7000", "127.0.0.1:7000 (host)(port)"},
      {"127.0.0.1:", "127.0.0.1:0 (host)(port)"},
      {"127.0.0.1:serf", "127.0.0.1:7946 (host)(port)"},
      {":7000", "0.0.0.0:7000 (port)"},
      {"", "0.0.0.0:7946 "},
      {"[::1]", "[::1]:7946 (host)"},
      {"[::1]:7000", "[::1]:7000 (host)(port)"},
      {"[::ffff:10.0.0.1]", "10.0.0.1:7946 (host)"},
      {"db", "10.0.0.7:7946 (host)"},
      {"db6:1", "[fd00::7]:1 (host)(port)"},
      {"both", "10.0.0.7:7946 (host)"},
      {"::1", "address ::1: too many colons in address"},
      {"[::1", "address [::1: missing ']' in address"},
      {"127.0.0.1:70000", "address 70000: invalid port"},
      {"127.0.0.1:-1", "address -1: invalid port"},
      {"127.0.0.1:x", "address tcp/x: unknown port"},
      {"nosuch", "lookup nosuch: no such host"},
      {"nosuch:70000", "address 70000: invalid port"},
      {"256.0.0.1", "lookup 256.0.0.1: no such host"},
      {"300.0.0.1", "lookup 300.0.0.1: no such host"},
      {"010.000.000.012", "lookup 010.000.000.012: no such host"},
      {"10.0.0.1/24", "lookup 10.0.0.1/24: no such host"},
      {"1.2.3:5", "lookup 1.2.3: no such host"},
      {"[::1]x", "address [::1]x:7946: missing port in address"},
  };
  for (const auto& row : kTable) {
    const absl::StatusOr<BindAddress> got = ParseBindAddress(row.text, 7946, Book());
    EXPECT_EQ(got.ok() ? absl::StrCat(got->endpoint.ToString(), " ", got->has_host ? "(host)" : "",
                                      got->has_port ? "(port)" : "")
                       : std::string(got.status().message()),
              row.want)
        << row.text;
  }
}

TEST(BindAddressTest, PrefersIpv4OfTheSystemsAddresses) {
  const absl::StatusOr<BindAddress> got = ParseBindAddress("localhost:0", 7946);
  ASSERT_TRUE(got.ok()) << got.status();
  EXPECT_EQ(got->endpoint.ToString(), "127.0.0.1:0");
}

}  // namespace
}  // namespace serf::transport
