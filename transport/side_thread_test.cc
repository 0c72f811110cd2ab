#include "serf/transport/side_thread.h"

#include <sys/resource.h>
#include <unistd.h>

#include <chrono>
#include <functional>
#include <future>
#include <memory>
#include <system_error>
#include <thread>
#include <utility>

#include "gtest/gtest.h"
#include "serf/base/time.h"

namespace serf::transport {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr seconds kLimit(60);

bool Submit(SideThread& side, SideThread::Work work) {
  return side.Submit(std::move(work)) == SideThread::Taken::kYes;
}

// Uses the processor for `time`.
void Burn(Duration time) {
  const Duration end = ThreadCpuTime() + time;
  while (ThreadCpuTime() < end) {
  }
}

TEST(SideThreadTest, WorksInOrderOnAnotherThread) {
  std::promise<std::thread::id> first;
  std::promise<std::thread::id> second;
  int done = 0;
  SideThread side({});
  ASSERT_TRUE(Submit(side, [&] {
    done = 1;
    first.set_value(std::this_thread::get_id());
  }));
  ASSERT_TRUE(Submit(side, [&] {
    EXPECT_EQ(done, 1);
    second.set_value(std::this_thread::get_id());
  }));
  std::future<std::thread::id> id = first.get_future();
  ASSERT_EQ(id.wait_for(kLimit), std::future_status::ready);
  EXPECT_NE(id.get(), std::this_thread::get_id());
  ASSERT_EQ(second.get_future().wait_for(kLimit), std::future_status::ready);
}

TEST(SideThreadTest, TakesNoMoreThanFits) {
  std::promise<void> started;
  std::promise<void> go_on;
  SideThread side({.queue_max = 2});
  ASSERT_TRUE(Submit(side, [&] {
    started.set_value();
    go_on.get_future().wait();
  }));
  ASSERT_EQ(started.get_future().wait_for(kLimit), std::future_status::ready);
  EXPECT_TRUE(Submit(side, [] {}));
  EXPECT_TRUE(Submit(side, [] {}));
  EXPECT_FALSE(Submit(side, [] {}));
  go_on.set_value();
}

// A limit of processes (ulimit -u) that is reached: the next piece may find a thread.
TEST(SideThreadTest, SaysIfThereIsNoThread) {
  bool none = true;
  SideThread side({.start = [&none](std::function<void()> run) {
    if (none)
      throw std::system_error(std::make_error_code(std::errc::resource_unavailable_try_again));
    return std::thread(std::move(run));
  }});
  EXPECT_EQ(side.Submit([] { FAIL(); }), SideThread::Taken::kNoThread);
  none = false;
  std::promise<void> done;
  EXPECT_EQ(side.Submit([&done] { done.set_value(); }), SideThread::Taken::kYes);
  EXPECT_EQ(done.get_future().wait_for(kLimit), std::future_status::ready);
}

TEST(SideThreadTest, WhatWaitsAtTheEndIsDropped) {
  std::promise<void> started;
  auto held = std::make_shared<int>();
  const std::weak_ptr<int> weak = held;
  bool ran = false;
  {
    SideThread side({});
    ASSERT_TRUE(Submit(side, [&started, &side] {
      started.set_value();
      while (!side.ending()) std::this_thread::yield();
    }));
    ASSERT_TRUE(Submit(side, [&ran, held = std::move(held)] { ran = true; }));
    ASSERT_EQ(started.get_future().wait_for(kLimit), std::future_status::ready);
  }
  EXPECT_FALSE(ran);
  EXPECT_TRUE(weak.expired());
}

TEST(SideThreadTest, StartsAnewAfterAnIdleTime) {
  SideThread side({.idle_max = milliseconds(1)});
  for (int i = 0; i < 20; ++i) {
    auto done = std::make_shared<std::promise<void>>();
    std::future<void> ended = done->get_future();
    ASSERT_TRUE(Submit(side, [done] { done->set_value_at_thread_exit(); }));
    // The thread has ended, or is about to.
    ASSERT_EQ(ended.wait_for(kLimit), std::future_status::ready);
  }
}

TEST(SideThreadTest, KeepsToItsShare) {
  std::promise<void> done;
  SideThread side({.share_percent = 20});
  const auto begin = std::chrono::steady_clock::now();
  static constexpr Duration kPiece = milliseconds(100);
  static constexpr int kPieces = 6;
  for (int i = 0; i < kPieces; ++i) {
    ASSERT_TRUE(Submit(side, [&done, i] {
      Burn(kPiece);
      if (i == kPieces - 1) done.set_value();
    }));
  }
  ASSERT_EQ(done.get_future().wait_for(kLimit), std::future_status::ready);
  // The last piece begins when the time used before it is within the burst and the share.
  const Duration used = kPiece * (kPieces - 1) - SideThread::kBurst;
  EXPECT_GE(std::chrono::steady_clock::now() - begin, used * 5 * 9 / 10);
}

// A caller that waits for a result should not wait for the rest of a busy host.
TEST(SideThreadTest, OnlyAShareHasALowPriority) {
  const auto nice_of = [](int share_percent) {
    std::promise<int> nice;
    SideThread side({.share_percent = share_percent});
    EXPECT_TRUE(Submit(side, [&nice] {
      nice.set_value(::getpriority(PRIO_PROCESS, static_cast<id_t>(::gettid())));
    }));
    return nice.get_future().get();
  };
  const int own = ::getpriority(PRIO_PROCESS, 0);
  EXPECT_EQ(nice_of(100), own);
  EXPECT_GE(nice_of(5), own);
  EXPECT_GE(nice_of(5), 5);
}

}  // namespace
}  // namespace serf::transport
