#include "serf/swim/scaling.h"

#include <chrono>
#include <cstdint>
#include <limits>

#include "gtest/gtest.h"

namespace serf::swim {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// The table of docs/protocol/membership.md 5.5, all columns.
struct Row {
  std::size_t n;
  int lan_ms, wan_ms, local_ms;  // the shortest suspicion
  int retransmit4, retransmit2;
  int push_pull;  // multiples of the interval
};

constexpr Row kTable[] = {
    {1, 4000, 30000, 3000, 4, 2, 1},      {2, 4000, 30000, 3000, 4, 2, 1},
    {3, 4000, 30000, 3000, 4, 2, 1},      {5, 4000, 30000, 3000, 4, 2, 1},
    {9, 4000, 30000, 3000, 4, 2, 1},      {10, 4000, 30000, 3000, 8, 4, 1},
    {32, 6020, 45150, 4515, 8, 4, 1},     {33, 6072, 45540, 4554, 8, 4, 2},
    {64, 7224, 54180, 5418, 8, 4, 2},     {65, 7248, 54360, 5436, 8, 4, 3},
    {99, 7980, 59850, 5985, 8, 4, 3},     {100, 8000, 60000, 6000, 12, 6, 3},
    {1000, 12000, 90000, 9000, 16, 8, 6}, {10000, 16000, 120000, 12000, 20, 10, 10},
};

TEST(Scaling, SuspicionTimeoutFollowsTheTable) {
  for (const Row& row : kTable) {
    EXPECT_EQ(SuspicionTimeout(4, row.n, seconds(1)), milliseconds(row.lan_ms)) << row.n;
    EXPECT_EQ(SuspicionTimeout(6, row.n, seconds(5)), milliseconds(row.wan_ms)) << row.n;
    EXPECT_EQ(SuspicionTimeout(3, row.n, seconds(1)), milliseconds(row.local_ms)) << row.n;
  }
}

TEST(Scaling, SuspicionTimeoutOfNoNodesIsThatOfOne) {
  EXPECT_EQ(SuspicionTimeout(4, 0, seconds(1)), seconds(4));
}

TEST(Scaling, RetransmitLimitFollowsTheTable) {
  for (const Row& row : kTable) {
    EXPECT_EQ(RetransmitLimit(4, row.n), row.retransmit4) << row.n;
    EXPECT_EQ(RetransmitLimit(2, row.n), row.retransmit2) << row.n;
  }
}

TEST(Scaling, RetransmitLimitStepsAtPowersOfTen) {
  EXPECT_EQ(RetransmitLimit(1, 0), 0);
  EXPECT_EQ(RetransmitLimit(1, 998), 3);
  EXPECT_EQ(RetransmitLimit(1, 999), 3);
  EXPECT_EQ(RetransmitLimit(1, 1000), 4);
  EXPECT_EQ(RetransmitLimit(1, 99'999), 5);
  EXPECT_EQ(RetransmitLimit(1, 100'000), 6);
  EXPECT_EQ(RetransmitLimit(1, std::numeric_limits<std::uint32_t>::max()), 10);
}

TEST(Scaling, PushPullScaleFollowsTheTable) {
  for (const Row& row : kTable) {
    EXPECT_EQ(PushPullScale(seconds(30), row.n), seconds(30) * row.push_pull) << row.n;
    EXPECT_EQ(PushPullScale(seconds(60), row.n), seconds(60) * row.push_pull) << row.n;
    EXPECT_EQ(PushPullScale(seconds(15), row.n), seconds(15) * row.push_pull) << row.n;
  }
}

}  // namespace
}  // namespace serf::swim
