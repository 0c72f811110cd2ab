#include "serf/transport/disk_queue.h"

#include <boost/asio/io_context.hpp>
#include <chrono>
#include <functional>
#include <future>
#include <thread>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace serf::transport {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr Duration kPatience = seconds(30);

class DiskQueueTest : public ::testing::Test {
 protected:
  // A call that blocks until the gate opens.
  auto Gated(int number) {
    return [gate = gate_, number] {
      gate.wait();
      return number;
    };
  }
  auto Note() {
    return [this](int number) { done_.push_back(number); };
  }
  void Poll() {
    io_.restart();
    io_.poll();
  }

  asio::io_context io_;
  std::promise<void> open_;
  const std::shared_future<void> gate_ = open_.get_future().share();
  std::vector<int> done_;
};

TEST_F(DiskQueueTest, InOrderAndAnsweredOnTheLoopsThread) {
  DiskQueue disk(io_);
  std::thread::id worker;
  for (int i = 0; i < 100; ++i) {
    disk.Run([&worker, i] { return worker = std::this_thread::get_id(), i; }, Note());
  }
  ASSERT_TRUE(disk.Drain(kPatience));
  EXPECT_THAT(done_, IsEmpty());
  Poll();
  ASSERT_EQ(done_.size(), 100u);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(done_[static_cast<std::size_t>(i)], i);
  EXPECT_NE(worker, std::this_thread::get_id());
}

TEST_F(DiskQueueTest, ADiskThatStandsStillHoldsNobodyUp) {
  DiskQueue disk(io_);
  const auto begin = std::chrono::steady_clock::now();
  for (int i = 0; i < 3; ++i) disk.Run(Gated(i), Note());
  EXPECT_FALSE(disk.Drain(milliseconds(20)));
  Poll();
  EXPECT_THAT(done_, IsEmpty());
  EXPECT_LT(std::chrono::steady_clock::now() - begin, seconds(10));
  open_.set_value();
  EXPECT_TRUE(disk.Drain(kPatience));
  Poll();
  EXPECT_THAT(done_, ElementsAre(0, 1, 2));
}

// Drain() waits no longer than its limit, and a call that blocked finds the queue gone.
TEST_F(DiskQueueTest, OutlivedByACallThatStandsStill) {
  std::promise<void> called;
  {
    DiskQueue disk(io_);
    disk.Run(Gated(1), Note());
    disk.Run(
        [&called] {
          called.set_value();
          return 2;
        },
        Note());
  }
  open_.set_value();
  // All calls run nevertheless.
  ASSERT_EQ(called.get_future().wait_for(seconds(30)), std::future_status::ready);
  Poll();
  EXPECT_THAT(done_, IsEmpty());
}

// pthread_create returns EAGAIN, as in a container that allows few processes.
TEST_F(DiskQueueTest, WithoutAThreadItIsDoneAtOnce) {
  bool any_left = false;
  DiskQueue disk(
      io_, [&](std::function<void()> work) { return any_left && StartDetached(std::move(work)); });
  std::thread::id worker;
  const auto note_thread = [&worker] { return worker = std::this_thread::get_id(), 7; };
  disk.Run(note_thread, Note());
  EXPECT_EQ(worker, std::this_thread::get_id());
  Poll();
  EXPECT_THAT(done_, ElementsAre(7));
  any_left = true;
  disk.Run(note_thread, Note());
  ASSERT_TRUE(disk.Drain(kPatience));
  EXPECT_NE(worker, std::this_thread::get_id());
}

}  // namespace
}  // namespace serf::transport
