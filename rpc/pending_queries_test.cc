#include "serf/rpc/pending_queries.h"

#include <chrono>
#include <cstdint>
#include <optional>

#include "gtest/gtest.h"
#include "serf/base/time.h"
#include "serf/query.h"
#include "serf/rpc/protocol.h"
#include "serf/wire/ids.h"

namespace serf::rpc {
namespace {

constexpr Instant kNow = Instant(std::chrono::seconds(10));
constexpr Duration kTimeout = std::chrono::seconds(1);

QueryId Query(std::uint32_t number) { return {wire::LamportTime(7), number}; }

TEST(PendingQueriesTest, NumbersCountDeliveries) {
  PendingQueries pending;
  EXPECT_EQ(pending.Find(kNow, 0), std::nullopt);
  EXPECT_EQ(pending.Find(kNow, 1), std::nullopt);
  EXPECT_EQ(pending.Add(kNow, Query(5), kNow + kTimeout), 1u);
  EXPECT_EQ(pending.Add(kNow, Query(5), kNow + kTimeout), 2u);  // another stream
  EXPECT_EQ(pending.Find(kNow, 1), Query(5));
  // PendingQueries does not know whether it was answered.
  EXPECT_EQ(pending.Find(kNow, 1), Query(5));
  EXPECT_EQ(pending.Find(kNow, 2), Query(5));
  EXPECT_EQ(pending.Find(kNow, 3), std::nullopt);
}

TEST(PendingQueriesTest, HoldUntilTheDeadline) {
  PendingQueries pending;
  pending.Add(kNow, Query(5), kNow + kTimeout);
  EXPECT_EQ(pending.Find(kNow + kTimeout - Duration(1), 1), Query(5));
  EXPECT_EQ(pending.Find(kNow + kTimeout, 1), std::nullopt);
  EXPECT_EQ(pending.size(), 0u);
  EXPECT_EQ(pending.Add(kNow + kTimeout, Query(6), kNow + 2 * kTimeout), 2u);
}

TEST(PendingQueriesTest, ExpiredGiveWayBeforeOld) {
  PendingQueries pending;
  pending.Add(kNow, Query(1), kNow + 9 * kTimeout);
  for (std::size_t i = 1; i < kPendingQueriesMax; ++i) pending.Add(kNow, Query(2), kNow + kTimeout);
  EXPECT_EQ(pending.size(), kPendingQueriesMax);
  pending.Add(kNow + 2 * kTimeout, Query(3), kNow + 9 * kTimeout);
  EXPECT_EQ(pending.size(), 2u);
  EXPECT_EQ(pending.Find(kNow + 2 * kTimeout, 1), Query(1));
}

TEST(PendingQueriesTest, OldestGiveWay) {
  PendingQueries pending;
  for (std::size_t i = 0; i < kPendingQueriesMax; ++i) pending.Add(kNow, Query(1), kNever);
  EXPECT_EQ(pending.Find(kNow, 1), Query(1));
  const std::uint64_t last = pending.Add(kNow, Query(2), kNever);
  EXPECT_EQ(pending.size(), kPendingQueriesMax);
  EXPECT_EQ(pending.Find(kNow, 1), std::nullopt);
  EXPECT_EQ(pending.Find(kNow, 2), Query(1));
  EXPECT_EQ(pending.Find(kNow, last), Query(2));
}

}  // namespace
}  // namespace serf::rpc
