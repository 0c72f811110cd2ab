#include "serf/transport/entropy.h"

#include <array>
#include <cstdint>
#include <set>

#include "gtest/gtest.h"
#include "serf/transport/net/clock.h"

namespace serf::transport {
namespace {

TEST(EntropyTest, NoncesDiffer) {
  RandomNonces source;
  std::set<wire::Nonce> seen;
  constexpr std::size_t kCount = 1000;
  for (std::size_t i = 0; i < kCount; ++i) {
    wire::Nonce nonce = {};
    source.Fill(nonce);
    seen.insert(nonce);
  }
  EXPECT_EQ(seen.size(), kCount);
}

TEST(EntropyTest, SeedsDiffer) {
  std::set<std::uint64_t> seen;
  for (int i = 0; i < 100; ++i) seen.insert(RandomSeed());
  EXPECT_EQ(seen.size(), 100u);
}

TEST(EntropyTest, FillsLongBuffers) {
  std::array<std::uint8_t, 4096> bytes = {};
  FillRandom(bytes);
  std::array<int, 256> counts = {};
  for (const std::uint8_t byte : bytes) ++counts[byte];
  for (const int count : counts) EXPECT_LT(count, 64);  // 16 on average
}

TEST(ClockTest, NeverGoesBackAndAgreesWithTimers) {
  Instant last = Now();
  for (int i = 0; i < 1000; ++i) {
    const Instant now = Now();
    EXPECT_GE(now, last);
    last = now;
  }
  // A timer for an instant may not fire before it.
  EXPECT_GE(ToSteadyTime(last).time_since_epoch(), last.time_since_epoch());
}

}  // namespace
}  // namespace serf::transport
