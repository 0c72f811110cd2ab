#include "serf/base/time.h"

#include <chrono>
#include <cstdint>

#include "gtest/gtest.h"

namespace serf {
namespace {

static_assert(sizeof(Instant) == sizeof(std::int64_t));

template <typename Clock>
constexpr bool kHasNow = requires {
  Clock::now();
};
static_assert(!kHasNow<MonotonicClock>, "the core must not read time");

TEST(TimeTest, InstantsAndDurationsAdd) {
  const Instant start{};
  const Instant later = start + std::chrono::milliseconds(5);
  EXPECT_EQ(later - start, Duration(5'000'000));
  EXPECT_LT(later, kNever);
}

TEST(TimeTest, ConvertsToSeconds) {
  EXPECT_DOUBLE_EQ(ToSeconds(std::chrono::milliseconds(1500)), 1.5);
  EXPECT_DOUBLE_EQ(ToSeconds(-std::chrono::seconds(2)), -2.0);
}

}  // namespace
}  // namespace serf
