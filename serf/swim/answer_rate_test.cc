#include "serf/swim/answer_rate.h"

#include <chrono>
#include <cstddef>
#include <cstdint>

#include "gtest/gtest.h"
#include "serf/base/endpoint.h"
#include "serf/base/time.h"

namespace serf::swim {
namespace {

using std::chrono::seconds;

constexpr Instant kStart{std::chrono::hours(1)};
constexpr std::size_t kSecondOfBytes = AnswerRate::kBytesPerSecond;

TEST(AnswerRate, WhoAsksNowAndThenNeverWaits) {
  AnswerRate rate;
  for (int i = 0; i < 100; ++i) {
    const Instant now = kStart + i * seconds(1);
    EXPECT_EQ(rate.Take(now, IpAddress::V4(10, 0, 0, 1), kSecondOfBytes), now);
  }
}

TEST(AnswerRate, WhoAsksInALoopWaitsAndNobodyElse) {
  AnswerRate rate;
  const IpAddress greedy = IpAddress::V4(10, 0, 0, 1);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(rate.Take(kStart, greedy, kSecondOfBytes), kStart);
  EXPECT_EQ(rate.Take(kStart, greedy, kSecondOfBytes), kStart + seconds(1));
  EXPECT_EQ(rate.Take(kStart, greedy, kSecondOfBytes), kStart + seconds(2));
  EXPECT_EQ(rate.Take(kStart, IpAddress::V4(10, 0, 0, 2), kSecondOfBytes), kStart);
  // The address has nothing more to wait for.
  EXPECT_EQ(rate.Take(kStart + seconds(9), greedy, 1), kStart + seconds(9));
}

TEST(AnswerRate, AddressesAreForgotten) {
  AnswerRate rate;
  for (std::uint32_t i = 0; i < 100000; ++i) {
    const auto byte = [i](int shift) { return static_cast<std::uint8_t>(i >> shift); };
    rate.Take(kStart + i * std::chrono::milliseconds(1),
              IpAddress::V4(10, byte(16), byte(8), byte(0)), 1000);
  }
  EXPECT_LE(rate.size(), 1024u);
}

}  // namespace
}  // namespace serf::swim
