#include "serf/transport/side_work.h"

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <functional>
#include <system_error>
#include <thread>

#include "gtest/gtest.h"
#include "serf/judgement.h"

namespace serf::transport {
namespace {

std::thread NoThread(std::function<void()>) {
  throw std::system_error(std::make_error_code(std::errc::resource_unavailable_try_again));
}

TEST(SideWorkTest, RunsElsewhereAndTellsHere) {
  asio::io_context io(1);
  SideWork side(io, [](const Judgement&) {});
  std::thread::id ran_on;
  std::thread::id told_on;
  side.Run([&](const SideWork::MayGoOn&) { ran_on = std::this_thread::get_id(); },
           [&](bool ran) {
             EXPECT_TRUE(ran);
             told_on = std::this_thread::get_id();
             io.stop();
           });
  auto keep = asio::make_work_guard(io);
  io.run();
  EXPECT_EQ(told_on, std::this_thread::get_id());
  EXPECT_NE(ran_on, told_on);
}

// At the limit of processes (ulimit -u, pids.max) there is no other thread, and waiting for one is
// in vain: what needs no more than a turn is done nevertheless.
TEST(SideWorkTest, WithoutAThreadATurnIsAllThereIs) {
  asio::io_context io(1);
  SideWork side(
      io, [](const Judgement&) {}, NoThread);
  bool went_on = false;
  bool cut_off = false;
  bool told = false;
  side.Run(
      [&](const SideWork::MayGoOn& may_go_on) {
        went_on = may_go_on();
        while (may_go_on()) continue;
        cut_off = true;
      },
      [&](bool ran) { told = ran; });
  EXPECT_TRUE(went_on);
  EXPECT_TRUE(cut_off);
  EXPECT_TRUE(told);
}

}  // namespace
}  // namespace serf::transport
