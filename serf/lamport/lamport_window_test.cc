#include "serf/lamport/lamport_window.h"

#include <cstdint>
#include <string>

#include "gtest/gtest.h"
#include "serf/lamport/event_buffer.h"
#include "serf/lamport/query_buffer.h"

namespace serf {
namespace {

using wire::LamportTime;

TEST(LamportWindowTest, AcceptsTheWholeWindowAndNothingBefore) {
  LamportWindow<int> window(512, 1000);
  EXPECT_FALSE(window.TooOld(LamportTime(0), LamportTime(1)));
  EXPECT_FALSE(window.TooOld(LamportTime(0), LamportTime(512)));
  EXPECT_FALSE(window.TooOld(LamportTime(1), LamportTime(513)));
  EXPECT_TRUE(window.TooOld(LamportTime(0), LamportTime(513)));
  EXPECT_FALSE(window.TooOld(LamportTime(488), LamportTime(1000)));
  EXPECT_TRUE(window.TooOld(LamportTime(487), LamportTime(1000)));
  EXPECT_FALSE(window.Add(LamportTime(487), LamportTime(1000), 1, 1));
  EXPECT_TRUE(window.Add(LamportTime(488), LamportTime(1000), 1, 1));
}

TEST(LamportWindowTest, RefusesDuplicatesOfTheSameTimeOnly) {
  LamportWindow<int> window(512, 1000);
  EXPECT_TRUE(window.Add(LamportTime(5), LamportTime(6), 1, 1));
  EXPECT_FALSE(window.Add(LamportTime(5), LamportTime(6), 1, 1));
  EXPECT_TRUE(window.Add(LamportTime(5), LamportTime(6), 2, 1));
  EXPECT_TRUE(window.Add(LamportTime(4), LamportTime(6), 1, 1));
  EXPECT_EQ(window.weight(), 3u);
}

TEST(LamportWindowTest, DropsWhatTheClockHasPassed) {
  LamportWindow<int> window(4, 1000);
  for (std::uint64_t t = 0; t < 100; ++t) {
    ASSERT_TRUE(window.Add(LamportTime(t), LamportTime(t + 1), 1, 1));
    ASSERT_LE(window.slots().size(), 4u);
  }
  EXPECT_EQ(window.slots().begin()->first, LamportTime(96));
}

TEST(LamportWindowTest, DropsTheOldestTimesOverTheWeightAndRefusesThemAfterwards) {
  LamportWindow<int> window(512, 10);
  for (std::uint64_t t = 1; t <= 3; ++t) {
    ASSERT_TRUE(window.Add(LamportTime(t), LamportTime(4), 1, 4));
  }
  EXPECT_EQ(window.weight(), 8u);
  EXPECT_TRUE(window.TooOld(LamportTime(1), LamportTime(4)));
  EXPECT_FALSE(window.Add(LamportTime(1), LamportTime(4), 1, 4));
  EXPECT_FALSE(window.Add(LamportTime(2), LamportTime(4), 1, 4));
}

TEST(LamportWindowTest, BoundsTheEntriesOfOneTime) {
  LamportWindow<std::size_t> window(512, 1'000'000);
  for (std::size_t i = 0; i < LamportWindow<std::size_t>::kSlotEntriesMax; ++i) {
    ASSERT_TRUE(window.Add(LamportTime(1), LamportTime(2), i, 1));
  }
  EXPECT_FALSE(window.Add(LamportTime(1), LamportTime(2), 1u << 20, 1));
}

TEST(EventBufferTest, NameAndPayloadAreTheIdentity) {
  EventBuffer events;
  EXPECT_TRUE(events.Add(LamportTime(1), LamportTime(2), "deploy", "1"));
  EXPECT_FALSE(events.Add(LamportTime(1), LamportTime(2), "deploy", "1"));
  EXPECT_TRUE(events.Add(LamportTime(1), LamportTime(2), "deploy", "2"));
  EXPECT_TRUE(events.Add(LamportTime(1), LamportTime(2), "deploy1", ""));
  EXPECT_FALSE(events.Add(LamportTime(1), LamportTime(2), "big", std::string(kUserEventMax, 'x')));
  EXPECT_EQ(events.slots().begin()->second.entries.size(), 3u);
}

TEST(QueryBufferTest, TimeAndNumberAreTheIdentity) {
  QueryBuffer queries;
  EXPECT_TRUE(queries.Add(LamportTime(1), LamportTime(2), 7));
  EXPECT_FALSE(queries.Add(LamportTime(1), LamportTime(2), 7));
  EXPECT_TRUE(queries.Add(LamportTime(1), LamportTime(2), 8));
  EXPECT_TRUE(queries.Add(LamportTime(2), LamportTime(3), 7));
  EXPECT_EQ(queries.size(), 3u);
}

}  // namespace
}  // namespace serf
