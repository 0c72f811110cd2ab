#include "serf/base/fair_shares.h"

#include <cstdint>
#include <optional>

#include "gtest/gtest.h"
#include "serf/base/endpoint.h"

namespace serf {
namespace {

IpAddress Host(std::uint8_t n) { return IpAddress::V4(10, 0, 0, n); }
IpAddress V6(const char* text) { return *IpAddress::Parse(text); }

TEST(FairShares, NobodyGoesWhereNobodyIs) {
  FairShares<int> shares;
  EXPECT_EQ(shares.Victim(), std::nullopt);
  shares.Add(1, Host(1));
  shares.Remove(1);
  shares.Remove(1);
  EXPECT_EQ(shares.size(), 0u);
  EXPECT_EQ(shares.Victim(), std::nullopt);
}

TEST(FairShares, AFloodFromOneAddressPaysForItself) {
  FairShares<int> shares;
  shares.Add(1, Host(1));  // the oldest of all
  for (int i = 100; i < 200; ++i) shares.Add(i, Host(2));
  shares.Add(2, Host(3));
  // Each victim is the oldest one of the flood, until the flood has no more than the others.
  for (int i = 100; i < 199; ++i) {
    ASSERT_EQ(shares.Victim(), i);
    shares.Remove(i);
  }
  EXPECT_EQ(shares.Victim(), 1);
  EXPECT_TRUE(shares.Contains(2));
  EXPECT_TRUE(shares.Contains(199));
}

TEST(FairShares, OfAFloodFromEverywhereTheOldestGoes) {
  FairShares<int> shares;
  for (int i = 0; i < 50; ++i) shares.Add(i, Host(static_cast<std::uint8_t>(i)));
  for (int i = 0; i < 50; ++i) {
    ASSERT_EQ(shares.Victim(), i);
    shares.Remove(i);
  }
}

TEST(FairShares, WhoProvedItselfIsNoStranger) {
  FairShares<int> shares;
  for (int i = 0; i < 4; ++i) shares.Add(i, Host(1));
  shares.Remove(0);
  EXPECT_FALSE(shares.Contains(0));
  EXPECT_EQ(shares.Victim(), 1);
  EXPECT_EQ(shares.size(), 3u);
}

// A host can use as many addresses of its /64 as it likes.
TEST(FairShares, ANetworkOfIpv6IsOneAddress) {
  FairShares<int> shares;
  shares.Add(1, V6("2001:db8:0:1::1"));
  shares.Add(2, V6("2001:db8:0:2::1"));
  shares.Add(3, V6("2001:db8:0:2::2"));
  EXPECT_EQ(shares.Victim(), 2);
  // One host in both forms of IPv4.
  FairShares<int> mapped;
  mapped.Add(1, Host(1));
  mapped.Add(2, Host(2).Mapped());
  mapped.Add(3, Host(2));
  EXPECT_EQ(mapped.Victim(), 2);
}

}  // namespace
}  // namespace serf
