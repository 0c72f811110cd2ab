#include "serf/base/endpoint.h"

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/hash/hash.h"
#include "gtest/gtest.h"

namespace serf {
namespace {

std::string Normal(absl::string_view text) {
  const std::optional<IpAddress> ip = IpAddress::Parse(text);
  return ip ? ip->ToString() : "none";
}

TEST(IpAddressTest, ParsesAndPrints) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"0.0.0.0", "0.0.0.0"},
      {"10.0.0.1", "10.0.0.1"},
      {"255.255.255.255", "255.255.255.255"},
      {"::", "::"},
      {"::1", "::1"},
      {"1::", "1::"},
      {"fe80::1", "fe80::1"},
      {"FE80::A", "fe80::a"},
      {"2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"},
      {"2001:0db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"},
      {"0:0:0:0:0:0:0:1", "::1"},
      {"1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"},
      {"::2:3:4:5:6:7:8", "0:2:3:4:5:6:7:8"},
      {"::ffff:10.0.0.1", "10.0.0.1"},
      {"64:ff9b::192.0.2.33", "64:ff9b::c000:221"},
      {"1:2:3:4:5:6:1.2.3.4", "1:2:3:4:5:6:102:304"},
      {"1:0:0:2:0:0:0:3", "1:0:0:2::3"},
  };
  for (const auto& [text, normal] : cases) EXPECT_EQ(Normal(text), normal) << text;
}

TEST(IpAddressTest, RefusesWhatIsNoAddress) {
  for (const char* text : {"",
                           ".",
                           "1",
                           "1.2.3",
                           "1.2.3.",
                           "1.2.3.4.",
                           "1.2.3.4.5",
                           "256.1.1.1",
                           "1.2.3.1000",
                           "01.2.3.4",
                           "1.2.3.4 ",
                           " 1.2.3.4",
                           "-1.2.3.4",
                           "a.b.c.d",
                           ":",
                           ":::",
                           "1:",
                           ":1",
                           "::1:",
                           "1::2::3",
                           "1:2:3:4:5:6:7",
                           "1:2:3:4:5:6:7:8:9",
                           "1:2:3:4::5:6:7:8",
                           "12345::",
                           "g::",
                           "::1.2.3",
                           "::1.2.3.4:5",
                           "1:2:3:4:5:6:7:1.2.3.4",
                           "fe80::1%eth0",
                           "[::1]"}) {
    EXPECT_EQ(Normal(text), "none") << text;
  }
}

TEST(IpAddressTest, TakesFourOrSixteenBytes) {
  const ByteVector bytes(17, 9);
  for (std::size_t size = 0; size <= bytes.size(); ++size) {
    const std::optional<IpAddress> ip = IpAddress::FromBytes(ByteView(bytes).first(size));
    EXPECT_EQ(ip.has_value(), size == 4 || size == 16) << size;
    if (!ip) continue;
    EXPECT_EQ(ByteVector(ip->bytes().begin(), ip->bytes().end()), ByteVector(size, 9));
  }
}

TEST(IpAddressTest, TheFormIsPartOfTheValue) {
  const IpAddress v4 = IpAddress::V4(10, 0, 0, 1);
  const IpAddress mapped = v4.Mapped();
  EXPECT_NE(v4, mapped);
  EXPECT_TRUE(SameHost(v4, mapped));
  EXPECT_EQ(mapped.Unmapped(), v4);
  EXPECT_EQ(mapped.Mapped(), mapped);
  EXPECT_TRUE(mapped.is_v4_mapped());
  EXPECT_FALSE(v4.is_v4_mapped());
  EXPECT_EQ(mapped.bytes().size(), 16u);
  EXPECT_FALSE(SameHost(v4, IpAddress::V4(10, 0, 0, 2)));
  const IpAddress v6 = *IpAddress::Parse("fe80::1");
  EXPECT_EQ(v6.Unmapped(), v6);
  EXPECT_EQ(v6.Mapped(), v6);
}

TEST(IpAddressTest, KnowsSpecialAddresses) {
  EXPECT_TRUE(IpAddress().is_unspecified());
  EXPECT_TRUE(IpAddress::Parse("::")->is_unspecified());
  EXPECT_TRUE(IpAddress().Mapped().is_unspecified());
  EXPECT_FALSE(IpAddress::Parse("::1")->is_unspecified());
  EXPECT_TRUE(IpAddress::Parse("::1")->is_loopback());
  EXPECT_TRUE(IpAddress::V4(127, 9, 9, 9).is_loopback());
  EXPECT_TRUE(IpAddress::V4(127, 0, 0, 1).Mapped().is_loopback());
  EXPECT_FALSE(IpAddress::Parse("::2")->is_loopback());
  EXPECT_FALSE(IpAddress::Parse("1::1")->is_loopback());
  EXPECT_FALSE(IpAddress().is_loopback());
}

TEST(IpAddressTest, Hashes) {
  EXPECT_EQ(absl::HashOf(IpAddress::V4(1, 2, 3, 4)), absl::HashOf(IpAddress::V4(1, 2, 3, 4)));
  EXPECT_NE(absl::HashOf(IpAddress()), absl::HashOf(IpAddress().Mapped()));
  EXPECT_NE(absl::HashOf(IpAddress()), absl::HashOf(IpAddress::V4(1, 2, 3, 4)));
}

TEST(EndpointTest, ParsesWhatItPrints) {
  for (const char* text : {"10.0.0.1:7946", "[fe80::1]:7946", "[::]:0", "1.2.3.4:65535"}) {
    const std::optional<Endpoint> endpoint = Endpoint::Parse(text);
    ASSERT_TRUE(endpoint.has_value()) << text;
    EXPECT_EQ(endpoint->ToString(), text);
  }
}

TEST(EndpointTest, RefusesWhatIsNoEndpoint) {
  for (const char* text : {"", ":", "10.0.0.1", "10.0.0.1:", ":7946", "10.0.0.1:65536",
                           "10.0.0.1:-1", "::1:7946", "[::1]", "[::1:7946", "::1]:7946", "[]:1",
                           "[:1", "host:7946", "10.0.0.1:+1", "10.0.0.1: 1", "10.0.0.1:1 "}) {
    EXPECT_FALSE(Endpoint::Parse(text).has_value()) << text;
  }
}

TEST(EndpointTest, ComparesWithAndWithoutTheForm) {
  const Endpoint a{IpAddress::V4(10, 0, 0, 1), 1};
  const Endpoint b{IpAddress::V4(10, 0, 0, 1).Mapped(), 1};
  const Endpoint c{IpAddress::V4(10, 0, 0, 1), 2};
  EXPECT_NE(a, b);
  EXPECT_TRUE(SameHostAndPort(a, b));
  EXPECT_FALSE(SameHostAndPort(a, c));
  EXPECT_EQ(absl::HashOf(a), absl::HashOf(Endpoint(a)));
  EXPECT_NE(absl::HashOf(a), absl::HashOf(c));
}

}  // namespace
}  // namespace serf
