#include "serf/seeds.h"

#include <set>
#include <string>

#include "gtest/gtest.h"

namespace serf {
namespace {

Endpoint At(std::uint16_t port) { return {IpAddress::V4(10, 0, 0, 1), port}; }
constexpr auto kAny = [](const Endpoint&) { return true; };

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
    ports.insert(seeds.Next([](const Endpoint& e) { return e.port != 3; })->port);
  }
  EXPECT_EQ(ports, (std::set<std::uint16_t>{1, 2, 4}));
  EXPECT_FALSE(seeds.Next([](const Endpoint&) { return false; }));
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
  EXPECT_FALSE(seeds.Next([](const Endpoint& e) { return e == At(0); }));
}

}  // namespace
}  // namespace serf
