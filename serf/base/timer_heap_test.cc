#include "serf/base/timer_heap.h"

#include <map>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "serf/base/rng.h"

namespace serf {
namespace {

Instant At(std::int64_t ns) { return Instant(Duration(ns)); }

TEST(TimerHeapTest, IsEmptyAtFirst) {
  TimerHeap<int> timers;
  EXPECT_TRUE(timers.empty());
  EXPECT_EQ(timers.next(), kNever);
  EXPECT_FALSE(timers.Remove(TimerHandle()));
  EXPECT_FALSE(timers.Reschedule(TimerHandle(), At(1)));
}

TEST(TimerHeapTest, PopsByDeadline) {
  TimerHeap<int> timers;
  timers.Push(At(30), 3);
  timers.Push(At(10), 1);
  timers.Push(At(20), 2);
  EXPECT_EQ(timers.next(), At(10));
  EXPECT_EQ(timers.Top(), 1);
  EXPECT_EQ(timers.Pop(), 1);
  EXPECT_EQ(timers.Pop(), 2);
  EXPECT_EQ(timers.Pop(), 3);
  EXPECT_TRUE(timers.empty());
}

TEST(TimerHeapTest, EqualDeadlinesPopInOrderOfSetting) {
  TimerHeap<int> timers;
  for (int i = 0; i < 100; ++i) timers.Push(At(5), i);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(timers.Pop(), i);
}

TEST(TimerHeapTest, RescheduleCountsAsSettingAnew) {
  TimerHeap<int> timers;
  const TimerHandle first = timers.Push(At(5), 1);
  timers.Push(At(5), 2);
  EXPECT_TRUE(timers.Reschedule(first, At(5)));
  EXPECT_EQ(timers.deadline(first), At(5));
  EXPECT_EQ(timers.Pop(), 2);
  EXPECT_EQ(timers.Pop(), 1);
}

TEST(TimerHeapTest, HandlesGoStale) {
  TimerHeap<int> timers;
  const TimerHandle a = timers.Push(At(5), 1);
  ASSERT_NE(timers.Find(a), nullptr);
  EXPECT_EQ(*timers.Find(a), 1);
  EXPECT_TRUE(timers.Remove(a));
  EXPECT_FALSE(timers.Remove(a));
  const TimerHandle b = timers.Push(At(5), 2);  // takes the slot again
  EXPECT_FALSE(timers.IsLive(a));
  EXPECT_FALSE(timers.Remove(a));
  EXPECT_EQ(timers.deadline(a), kNever);
  EXPECT_EQ(timers.Find(a), nullptr);
  EXPECT_TRUE(timers.IsLive(b));
  timers.Clear();
  EXPECT_FALSE(timers.IsLive(b));
  EXPECT_TRUE(timers.empty());
}

// Against a sorted map, with all operations at random.
TEST(TimerHeapTest, AgreesWithAModel) {
  Rng rng(7);
  TimerHeap<int> timers;
  std::map<std::pair<Instant, std::uint64_t>, std::pair<int, TimerHandle>> model;
  std::uint64_t sequence = 0;
  for (int step = 0; step < 50000; ++step) {
    const Instant deadline = At(static_cast<std::int64_t>(rng.Below(std::uint64_t{100})));
    const std::uint64_t what = rng.Below(std::uint64_t{4});
    if (what <= 1 && model.size() < 300) {
      model[{deadline, sequence++}] = {step, timers.Push(deadline, step)};
    } else if (!model.empty() && what == 2) {
      EXPECT_EQ(timers.next(), model.begin()->first.first);
      EXPECT_EQ(timers.Pop(), model.begin()->second.first);
      model.erase(model.begin());
    } else if (!model.empty()) {
      auto picked = model.begin();
      std::advance(picked, static_cast<std::ptrdiff_t>(rng.Below(std::uint64_t{model.size()})));
      const auto [value, handle] = picked->second;
      model.erase(picked);
      if (rng.Below(std::uint64_t{2}) == 0) {
        ASSERT_TRUE(timers.Remove(handle));
      } else {
        ASSERT_TRUE(timers.Reschedule(handle, deadline));
        model[{deadline, sequence++}] = {value, handle};
      }
    }
    ASSERT_EQ(timers.size(), model.size());
  }
}

}  // namespace
}  // namespace serf
