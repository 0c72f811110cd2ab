#include "serf/transport/interfaces.h"

#include <algorithm>
#include <cstdio>
#include <optional>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "serf/testing/agents/own_network.h"

namespace serf::transport {
namespace {

InterfaceAddress On(const char* interface, const char* address, int bits, bool up = true) {
  return {interface, *IpAddress::Parse(address), bits, up};
}

TEST(InterfacesTest, PicksTheFirstPrivateAddress) {
  const struct {
    const char* what;
    std::vector<InterfaceAddress> addresses;
    const char* default_interface;
    const char* want;  // "" for none
  } kTable[] = {
      {"nothing", {}, "", ""},
      {"loopback only", {On("lo", "127.0.0.1", 8), On("lo", "::1", 128)}, "lo", ""},
      {"one private", {On("lo", "127.0.0.1", 8), On("eth0", "10.0.0.5", 24)}, "", "10.0.0.5"},
      {"public ones do not count", {On("eth0", "8.8.8.8", 24)}, "eth0", ""},
      {"link-local ones neither",
       {On("eth0", "169.254.1.1", 16), On("eth0", "fe80::1", 64)},
       "",
       ""},
      {"nor those that are down", {On("eth0", "10.0.0.5", 24, false)}, "eth0", ""},
      {"default route first",
       {On("eth0", "10.0.0.5", 8), On("eth1", "192.168.1.5", 24)},
       "eth1",
       "192.168.1.5"},
      {"default route before the family",
       {On("eth0", "10.0.0.5", 8), On("eth1", "fd00::5", 64)},
       "eth1",
       "fd00::5"},
      {"IPv4 before IPv6", {On("eth0", "fd00::5", 8), On("eth0", "10.0.0.5", 24)}, "", "10.0.0.5"},
      {"the larger network first",
       {On("eth0", "172.16.0.5", 24), On("eth1", "10.0.0.5", 8), On("eth2", "192.168.0.5", 16)},
       "",
       "10.0.0.5"},
      {"the first of equals",
       {On("eth0", "192.168.1.5", 24), On("eth1", "10.0.0.5", 24)},
       "",
       "192.168.1.5"},
      {"a public address on the default route",
       {On("eth0", "8.8.8.8", 24), On("eth1", "10.0.0.5", 24)},
       "eth0",
       "10.0.0.5"},
      {"shared and benchmarking blocks",
       {On("eth0", "198.18.0.5", 15), On("eth1", "100.64.0.5", 10)},
       "",
       "100.64.0.5"},
  };
  for (const auto& row : kTable) {
    const std::optional<IpAddress> got = PickPrivateAddress(row.addresses, row.default_interface);
    EXPECT_EQ(got ? got->ToString() : "", row.want) << row.what;
    if (got) {
      EXPECT_FALSE(got->is_v4()) << "IPv4 is told in 16 bytes";
    }
  }
}

TEST(InterfacesTest, KnowsSpecialPurposeBlocks) {
  const struct {
    const char* address;
    bool forwardable;
    bool special;
  } kTable[] = {
      {"8.8.8.8", true, false},
      {"10.255.255.255", true, true},
      {"11.0.0.0", true, false},
      {"0.1.2.3", false, true},
      {"127.1.2.3", false, true},
      {"100.127.255.255", true, true},
      {"100.128.0.0", true, false},
      {"169.254.1.1", false, true},
      {"172.15.255.255", true, false},
      {"172.16.0.0", true, true},
      {"172.31.255.255", true, true},
      {"172.32.0.0", true, false},
      {"192.0.0.1", false, true},
      {"192.0.2.1", false, true},
      {"192.88.99.1", true, true},
      {"192.168.0.1", true, true},
      {"192.169.0.1", true, false},
      {"198.17.255.255", true, false},
      {"198.19.255.255", true, true},
      {"198.51.100.1", false, true},
      {"203.0.113.1", false, true},
      {"224.0.0.1", true, false},
      {"240.0.0.1", false, true},
      {"255.255.255.255", false, true},
      {"::ffff:10.0.0.1", true, true},
      {"::ffff:8.8.8.8", true, false},
      {"::", false, true},
      {"::1", false, true},
      {"64:ff9b::1", true, true},
      {"100::1", true, true},
      {"2001::1", false, true},
      {"2001:1ff::1", false, true},
      {"2001:db8::1", false, true},
      {"2001:4860::1", true, true},
      {"2002::1", true, true},
      {"fc00::1", true, true},
      {"fdff::1", true, true},
      {"fe00::1", true, false},
      {"fe80::1", false, true},
      {"febf::1", false, true},
      {"2600::1", true, false},
  };
  for (const auto& row : kTable) {
    const IpAddress address = *IpAddress::Parse(row.address);
    EXPECT_EQ(IsForwardable(address), row.forwardable) << row.address;
    EXPECT_EQ(IsSpecialPurpose(address), row.special) << row.address;
  }
}

TEST(InterfacesTest, FindsTheDefaultRoute) {
  constexpr char kHead[] =
      "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\n";
  EXPECT_EQ(FindDefaultInterface(""), "");
  EXPECT_EQ(FindDefaultInterface(kHead), "");
  EXPECT_EQ(FindDefaultInterface(std::string(kHead) +
                                 "eth1\t0000A8C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\n"
                                 "eth0\t00000000\t0100000A\t0003\t0\t0\t100\t00000000\t0\n"
                                 "eth2\t00000000\t0200000A\t0003\t0\t0\t200\t00000000\t0"),
            "eth0");
  // Routes that lead nowhere.
  EXPECT_EQ(FindDefaultInterface(std::string(kHead) +
                                 "*\t00000000\t00000000\t0001\t0\t0\t5\t00000000\t0\n"
                                 "*\t00000000\t00000000\t0201\t0\t0\t6\t00000000\t0\n"
                                 "eth0\t00000000\t0100000A\t0003\t0\t0\t10\t00000000\t0\n"),
            "eth0");
  // A route without a gateway, as tunnels have it.
  EXPECT_EQ(FindDefaultInterface("wg0\t00000000\t00000000\t0001\t0\t0\t0\t00000000\t0\n"), "wg0");
  // Half of the address space, as some tunnels route it, is not the default route.
  EXPECT_EQ(FindDefaultInterface("tun0\t00000000\t0100000A\t0003\t0\t0\t0\t00000080\t0\n"), "");
  EXPECT_EQ(FindDefaultInterface("nonsense\nmore of it\n"), "");
}

TEST(InterfacesTest, KnowsWhenNobodyElseIsReached) {
  EXPECT_TRUE(IsAlone({}));
  EXPECT_TRUE(IsAlone(std::vector{On("lo", "127.0.0.1", 8), On("lo", "::1", 128)}));
  EXPECT_TRUE(IsAlone(std::vector{On("eth0", "fe80::1", 64), On("eth1", "10.0.0.5", 24, false)}));
  EXPECT_FALSE(IsAlone(std::vector{On("lo", "127.0.0.1", 8), On("eth0", "10.0.0.5", 24)}));
  EXPECT_FALSE(IsAlone(std::vector{On("eth0", "8.8.8.8", 24)}));
  // As Go Serf, which then asks for an address: a laboratory's network is a network.
  for (const char* const address : {"240.1.2.3", "192.0.0.9", "192.0.2.7", "2001:db8::5"}) {
    EXPECT_FALSE(IsAlone(std::vector{On("lo", "127.0.0.1", 8), On("eth0", address, 24)}))
        << address;
  }
}

std::optional<InterfaceAddress> Listed(const char* address) {
  for (const InterfaceAddress& entry : ListInterfaceAddresses()) {
    if (entry.address == *IpAddress::Parse(address)) return entry;
  }
  return std::nullopt;
}

TEST(InterfacesTest, ListsTheSystemsAddresses) {
  const std::optional<InterfaceAddress> loopback = Listed("127.0.0.1");
  ASSERT_TRUE(loopback.has_value());
  EXPECT_EQ(loopback->interface, "lo");
  EXPECT_EQ(loopback->prefix_bits, 8);
  EXPECT_TRUE(loopback->up);
  const std::vector<InterfaceAddress> all = ListInterfaceAddresses();
  EXPECT_TRUE(std::is_partitioned(all.begin(), all.end(),
                                  [](const InterfaceAddress& a) { return a.address.is_v4(); }));
}

// The label of "ip addr add ... label lo:vip".
TEST(InterfacesTest, ALabelIsNotTheInterface) {
  const testkit::LabelledAddress address("lo:vip", "10.9.0.2");
  ASSERT_TRUE(address.ok());
  const std::optional<InterfaceAddress> labelled = Listed("10.9.0.2");
  ASSERT_TRUE(labelled.has_value());
  EXPECT_EQ(labelled->interface, "lo");
  EXPECT_TRUE(labelled->up);
  EXPECT_TRUE(IsInterface("lo"));
  EXPECT_FALSE(IsInterface("lo:vip"));
  EXPECT_FALSE(IsInterface("nosuch0"));
}

}  // namespace
}  // namespace serf::transport

int main(int argc, char** argv) {
  if (!serf::testkit::MoveToOwnNetwork()) {
    std::perror("this test needs a network of its own");
    return 1;
  }
  ::testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
