#include "serf/swim/suspicion.h"

#include <chrono>
#include <string>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "serf/base/timer_heap.h"

namespace serf::swim {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr Instant kStart{seconds(100)};

// docs/protocol/membership.md 5.4, Examples.
TEST(Suspicion, DurationsOfTheSpecification) {
  const SuspicionTimes lan{seconds(4), seconds(24), 2};
  EXPECT_EQ(SuspicionDuration(lan, 0), seconds(24));
  EXPECT_EQ(SuspicionDuration(lan, 1), milliseconds(11381));
  EXPECT_EQ(SuspicionDuration(lan, 2), seconds(4));

  const SuspicionTimes wan{seconds(30), seconds(180), 4};
  EXPECT_EQ(SuspicionDuration(wan, 0), seconds(180));
  EXPECT_EQ(SuspicionDuration(wan, 1), milliseconds(115398));
  EXPECT_EQ(SuspicionDuration(wan, 2), milliseconds(77609));
  EXPECT_EQ(SuspicionDuration(wan, 3), milliseconds(50797));
  EXPECT_EQ(SuspicionDuration(wan, 4), seconds(30));
}

TEST(Suspicion, WithoutConfirmationsAwaitedItLastsTheShortest) {
  EXPECT_EQ(SuspicionDuration({seconds(4), seconds(24), 0}, 0), seconds(4));
}

TEST(Suspicion, NeverShorterThanTheMinimum) {
  // Truncation to milliseconds would give 4000 ms here.
  const Duration min = milliseconds(4000) + std::chrono::microseconds(900);
  EXPECT_EQ(SuspicionDuration({min, min * 6, 2}, 2), min);
}

TEST(Suspicion, WhoHeardNobodyWaitsLonger) {
  // 2 s of the shortest 4 s are over, and then the node stands still.
  constexpr struct {
    const char* what;
    Duration deaf;
    Duration rest;  // of the suspicion, when the node runs again
  } kRows[] = {
      {"the rest is as before", seconds(3), seconds(2)},
      {"as long as two suspicions", seconds(8), seconds(2)},
      {"no longer than the longest suspicion", seconds(24), seconds(2)},
      {"beyond it the suspicion is over", seconds(30), seconds(-4)},
  };
  for (const auto& row : kRows) {
    SuspicionTable table;
    Suspicion& s = table[table.Start(kStart, MemberIndex(1), "a", {seconds(4), seconds(24), 2})];
    s.Confirm("b");
    s.Confirm("c");
    const Instant now = kStart + seconds(2) + row.deaf;
    s.Postpone(now, row.deaf);
    EXPECT_EQ(s.deadline() - now, row.rest) << row.what;
  }
  // What has come meanwhile is read before a suspicion ends.
  SuspicionTable table;
  Suspicion& s = table[table.Start(kStart, MemberIndex(1), "a", {seconds(4), seconds(24), 0})];
  const Instant now = kStart + seconds(4) + seconds(2);
  s.Postpone(now, seconds(2) + milliseconds(1));
  EXPECT_EQ(s.deadline() - now, Suspicion::kHearing);
}

TEST(SuspicionTimes, ConfirmationsAwaited) {
  struct Row {
    int mult;
    std::size_t known;
    int k;
  };
  constexpr Row kRows[] = {
      {4, 1, 0}, {4, 2, 0}, {4, 3, 0}, {4, 4, 2},  {4, 100, 2}, {6, 5, 0},
      {6, 6, 4}, {3, 2, 0}, {3, 3, 1}, {2, 10, 0}, {1, 10, 0},
  };
  for (const Row& row : kRows) {
    const SuspicionTimes times = SuspicionTimes::For(row.mult, 6, seconds(4), row.known);
    EXPECT_EQ(times.k, row.k) << "mult " << row.mult << ", known " << row.known;
    EXPECT_EQ(times.min, seconds(4));
    EXPECT_EQ(times.max, seconds(24));
  }
}

// Only the least time is shortened, and only where other members confirm.
TEST(SuspicionTimes, ShorterForPromptMembers) {
  struct Row {
    int mult;
    std::size_t known;
    Duration min;
  };
  constexpr Row kRows[] = {{4, 3, seconds(4)},
                           {4, 4, milliseconds(1600)},
                           {3, 3, milliseconds(1600)},
                           {2, 9, seconds(4)}};
  for (const Row& row : kRows) {
    const SuspicionTimes times = SuspicionTimes::For(row.mult, 6, seconds(4), row.known, 40);
    EXPECT_EQ(times.min, row.min) << "mult " << row.mult << ", known " << row.known;
    EXPECT_EQ(times.max, seconds(24));
  }
  const SuspicionTimes times = SuspicionTimes::For(4, 6, seconds(4), 9, 40);
  EXPECT_EQ(SuspicionDuration(times, 0), seconds(24));
  EXPECT_EQ(SuspicionDuration(times, 1), milliseconds(9867));
  EXPECT_EQ(SuspicionDuration(times, 2), milliseconds(1600));
}

TEST(SuspicionTable, EachAccuserCountsOnceAndTheOriginatorNever) {
  SuspicionTable table;
  const SuspicionSlot slot = table.Start(kStart, MemberIndex(7), "a", {seconds(4), seconds(24), 2});
  EXPECT_EQ(table[slot].member(), MemberIndex(7));
  EXPECT_EQ(table[slot].started(), kStart);
  EXPECT_EQ(table[slot].deadline(), kStart + seconds(24));
  EXPECT_FALSE(table[slot].Confirm("a"));
  EXPECT_EQ(table[slot].confirmations(), 0);
  EXPECT_TRUE(table[slot].Confirm("b"));
  EXPECT_FALSE(table[slot].Confirm("b"));
  EXPECT_EQ(table[slot].deadline(), kStart + milliseconds(11381));
  EXPECT_TRUE(table[slot].Confirm("c"));
  EXPECT_EQ(table[slot].deadline(), kStart + seconds(4));
  EXPECT_FALSE(table[slot].Confirm("d")) << "k confirmations are enough";
  EXPECT_EQ(table[slot].confirmations(), 2);
  EXPECT_EQ(table[slot].k(), 2);
}

TEST(SuspicionTable, ReusedSlotStartsAfresh) {
  SuspicionTable table;
  const SuspicionSlot first =
      table.Start(kStart, MemberIndex(1), "a", {seconds(4), seconds(24), 2});
  table[first].Confirm("b");
  TimerHeap<SuspicionSlot> timers;
  table[first].timer = timers.Push(kStart, first);
  EXPECT_EQ(table.size(), 1u);
  table.Drop(first);
  EXPECT_EQ(table.size(), 0u);
  const SuspicionSlot second =
      table.Start(kStart + seconds(1), MemberIndex(2), "b", {seconds(4), seconds(24), 2});
  EXPECT_EQ(second, first);
  EXPECT_EQ(table[second].confirmations(), 0);
  EXPECT_EQ(table[second].timer, TimerHandle());
  EXPECT_FALSE(table[second].Confirm("b"));
  EXPECT_TRUE(table[second].Confirm("a"));
}

TEST(SuspicionTable, UnusualMultipliersAwaitMoreThanFitsInline) {
  SuspicionTable table;
  const SuspicionSlot slot =
      table.Start(kStart, MemberIndex(1), "origin", {seconds(1), seconds(6), 30});
  for (int i = 0; i < 30; ++i) EXPECT_TRUE(table[slot].Confirm(absl::StrCat("n", i)));
  EXPECT_FALSE(table[slot].Confirm("n30"));
  EXPECT_EQ(table[slot].deadline(), kStart + seconds(1));
}

}  // namespace
}  // namespace serf::swim
