#include "serf/transport/background.h"

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <chrono>
#include <csignal>
#include <future>
#include <memory>
#include <optional>
#include <thread>

#include "gtest/gtest.h"

namespace serf::transport {
namespace {

constexpr std::chrono::seconds kDeadline{30};

TEST(BackgroundTest, TellsTheResultOnTheContextsThread) {
  asio::io_context io;
  const auto guard = asio::make_work_guard(io);
  Background background(io);
  std::thread::id worker;
  std::optional<int> result;
  ASSERT_TRUE(background.Run(
      [&worker] {
        worker = std::this_thread::get_id();
        return 7;
      },
      [&result](int got) { result = got; }));
  while (!result && io.run_one_for(kDeadline) > 0) continue;
  EXPECT_EQ(result, 7);
  EXPECT_NE(worker, std::this_thread::get_id());
}

// The end neither waits for a call that blocks nor hears of it again.
TEST(BackgroundTest, ItsEndWaitsForNothing) {
  std::promise<void> release;
  std::promise<void> ended;
  bool told = false;
  asio::io_context io;
  {
    Background background(io);
    ASSERT_TRUE(background.Run(
        [stopped = release.get_future().share(),
         at_end = std::shared_ptr<void>(nullptr, [&ended](void*) { ended.set_value(); })] {
          stopped.wait();
          return 0;
        },
        [&told](int) { told = true; }));
  }
  release.set_value();
  ASSERT_EQ(ended.get_future().wait_for(kDeadline), std::future_status::ready);
  io.poll();
  EXPECT_FALSE(told);
}

// Signals go to the threads that wait for them.
TEST(BackgroundTest, ItsThreadsTakeNoSignals) {
  std::promise<bool> blocked;
  ASSERT_TRUE(StartDetached([&blocked] {
    sigset_t mask;
    ::pthread_sigmask(SIG_SETMASK, nullptr, &mask);
    blocked.set_value(::sigismember(&mask, SIGTERM) == 1);
  }));
  EXPECT_TRUE(blocked.get_future().get());
  sigset_t mask;
  ::pthread_sigmask(SIG_SETMASK, nullptr, &mask);
  EXPECT_EQ(::sigismember(&mask, SIGTERM), 0);
}

}  // namespace
}  // namespace serf::transport
