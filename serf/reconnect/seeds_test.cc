#include "serf/reconnect/seeds.h"

#include <cstddef>
#include <cstdint>
#include <set>
#include <vector>

#include "gtest/gtest.h"

namespace serf {
namespace {

Endpoint At(std::uint16_t port) { return {IpAddress::V4(10, 0, 0, 1), port}; }
constexpr auto kAny = [](const std::vector<Endpoint>& all) { return all; };
// All seeds but one.
auto Not(std::uint16_t port) {
  return [port](std::vector<Endpoint> all) {
    std::erase(all, At(port));
    return all;
  };
}

TEST(SeedsTest, ThereAreNone) {
  Seeds seeds;
  EXPECT_TRUE(seeds.empty());
  EXPECT_FALSE(seeds.Next(kAny));
}

TEST(SeedsTest, EachInTurnThatIsWanted) {
  Seeds seeds;
  for (std::uint16_t port = 1; port <= 4; ++port) seeds.Add(At(port));
  seeds.Add(At(2));
  EXPECT_EQ(seeds.size(), 4u);
  std::set<std::uint16_t> ports;
  for (int i = 0; i < 3; ++i) {
    ports.insert(seeds.Next(Not(3))->port);
  }
  EXPECT_EQ(ports, (std::set<std::uint16_t>{1, 2, 4}));
  EXPECT_FALSE(seeds.Next([](const auto&) { return std::vector<Endpoint>(); }));
}

TEST(SeedsTest, ForgottenOnesAreNoMore) {
  Seeds seeds;
  seeds.Add(At(1));
  seeds.Add(At(2));
  EXPECT_TRUE(seeds.Next(kAny));
  seeds.Forget(At(2));
  EXPECT_EQ(seeds.Next(kAny), At(1));
  seeds.Forget(At(1));
  EXPECT_FALSE(seeds.Next(kAny));
}

TEST(SeedsTest, TheOldestGo) {
  Seeds seeds;
  for (std::size_t i = 0; i <= Seeds::kMax; ++i) seeds.Add(At(static_cast<std::uint16_t>(i)));
  EXPECT_EQ(seeds.size(), Seeds::kMax);
  EXPECT_FALSE(seeds.Next([](const auto&) { return std::vector{At(0)}; }));
}

// In a large cluster it is expensive to find out which addresses are members.
TEST(SeedsTest, IsAskedOnceForAllOfThem) {
  Seeds seeds;
  for (std::size_t i = 0; i < Seeds::kMax; ++i) seeds.Add(At(static_cast<std::uint16_t>(i)));
  std::size_t calls = 0;
  const auto none = [&](const std::vector<Endpoint>& all) {
    ++calls;
    EXPECT_EQ(all.size(), Seeds::kMax);
    return std::vector<Endpoint>();
  };
  EXPECT_FALSE(seeds.Next(none));
  EXPECT_EQ(calls, 1u);
}

}  // namespace
}  // namespace serf
