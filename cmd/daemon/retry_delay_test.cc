#include "serf/cmd/daemon/retry_delay.h"

#include <chrono>
#include <cstdint>
#include <limits>
#include <set>

#include "gtest/gtest.h"
#include "serf/base/rng.h"
#include "serf/base/time.h"

namespace serf::cmd {
namespace {

using std::chrono::seconds;

TEST(RetryDelayTest, ConstantByDefault) {
  Rng rng(1);
  for (const std::int64_t failed : {1, 2, 1000}) {
    EXPECT_EQ(RetryDelay(seconds(30), Duration::zero(), failed, rng), seconds(30));
    EXPECT_EQ(RetryDelay(seconds(30), seconds(30), failed, rng), seconds(30));
  }
}

TEST(RetryDelayTest, DoublesUpToTheMaximumAndVaries) {
  const struct {
    std::int64_t failed;
    seconds top;
  } kCases[] = {{1, seconds(10)}, {2, seconds(20)},
                {3, seconds(40)}, {4, seconds(60)},
                {5, seconds(60)}, {std::numeric_limits<std::int64_t>::max(), seconds(60)}};
  Rng rng(1);
  for (const auto& c : kCases) {
    std::set<Duration> delays;
    for (int i = 0; i < 100; ++i) {
      const Duration delay = RetryDelay(seconds(10), seconds(60), c.failed, rng);
      EXPECT_GE(delay, c.top / 2) << c.failed;
      EXPECT_LE(delay, c.top) << c.failed;
      EXPECT_EQ(delay % std::chrono::milliseconds(1), Duration::zero());
      delays.insert(delay);
    }
    EXPECT_GT(delays.size(), 50u) << c.failed;
  }
}

TEST(RetryDelayTest, LongestDurations) {
  Rng rng(1);
  EXPECT_GE(RetryDelay(seconds(1), Duration::max(), 1000, rng), Duration::max() / 2 - seconds(1));
}

}  // namespace
}  // namespace serf::cmd
