#include "serf/transport/net/lookup.h"

#include <boost/asio/io_context.hpp>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "serf/base/endpoint.h"

namespace serf::names {
namespace {

constexpr std::chrono::seconds kDeadline{50};

// A resolver that does not answer names that begin with "slow", until the test lets it.
class Resolver {
 public:
  Addresses LookUp(const std::string& host) {
    std::unique_lock<std::mutex> lock(mutex_);
    asked_.push_back(host);
    changed_.notify_all();
    changed_.wait(lock, [&] { return released_ || !absl::StartsWith(host, "slow"); });
    return std::vector<IpAddress>{IpAddress::V4(10, 0, 0, 1)};
  }
  void Release() {
    const std::lock_guard<std::mutex> lock(mutex_);
    released_ = true;
    changed_.notify_all();
  }
  // Waits until `count` names were asked for, and returns true.
  bool WaitUntilAsked(std::size_t count) {
    std::unique_lock<std::mutex> lock(mutex_);
    return changed_.wait_for(lock, kDeadline, [&] { return asked_.size() >= count; });
  }
  std::size_t asked() const {
    const std::lock_guard<std::mutex> lock(mutex_);
    return asked_.size();
  }

 private:
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::string> asked_;
  bool released_ = false;
};

class LookupTest : public ::testing::Test {
 protected:
  LookupTest() {
    boost::asio::use_service<LookupService>(*io_).SetLookUpForTest(
        [resolver = resolver_](const std::string& host) { return resolver->LookUp(host); });
  }
  ~LookupTest() override { resolver_->Release(); }

  bool RunUntil(const std::function<bool()>& condition) {
    io_->restart();
    const auto deadline = std::chrono::steady_clock::now() + kDeadline;
    while (!condition() && io_->run_one_until(deadline) > 0) continue;
    return condition();
  }

  // The threads may outlive the test.
  const std::shared_ptr<Resolver> resolver_ = std::make_shared<Resolver>();
  std::unique_ptr<boost::asio::io_context> io_ = std::make_unique<boost::asio::io_context>(1);
};

TEST_F(LookupTest, TellsTheAddressesLater) {
  Lookup lookup(*io_);
  std::optional<Addresses> got;
  lookup.Start("db", [&got](const Addresses& addresses) { got = addresses; });
  EXPECT_FALSE(got.has_value());
  ASSERT_TRUE(RunUntil([&got] { return got.has_value(); }));
  EXPECT_EQ(**got, std::vector<IpAddress>{IpAddress::V4(10, 0, 0, 1)});
  io_->run();  // no work is left
}

TEST_F(LookupTest, ASlowNameHoldsUpNoOther) {
  Lookup lookup(*io_);
  bool slow = false;
  lookup.Start("slow", [&slow](const Addresses&) { slow = true; });
  ASSERT_TRUE(resolver_->WaitUntilAsked(1));
  bool fast = false;
  lookup.Start("localhost", [&fast](const Addresses&) { fast = true; });
  ASSERT_TRUE(RunUntil([&fast] { return fast; }));
  EXPECT_FALSE(slow);
  resolver_->Release();
  EXPECT_TRUE(RunUntil([&slow] { return slow; }));
}

// An agent ends while no name server answers.
TEST_F(LookupTest, TheEndWaitsForNoResolver) {
  bool told = false;
  {
    Lookup lookup(*io_);
    lookup.Start("slow", [&told](const Addresses&) { told = true; });
    ASSERT_TRUE(resolver_->WaitUntilAsked(1));
  }
  io_->run();  // a lookup that nobody waits for does not count as work
  Lookup another(*io_);
  auto lookup = std::make_unique<Lookup>(*io_);
  another.Start("slow-too", [&told](const Addresses&) { told = true; });
  ASSERT_TRUE(resolver_->WaitUntilAsked(2));
  another.Cancel();
  lookup->Start("slow-three", [&told](const Addresses&) { told = true; });
  ASSERT_TRUE(resolver_->WaitUntilAsked(3));
  lookup = nullptr;
  EXPECT_FALSE(told);
}

// The io_context ends first, with a handler in it that owns the lookup.
TEST_F(LookupTest, TheIoContextMayEndFirst) {
  const auto lookup = std::make_shared<Lookup>(*io_);
  lookup->Start("slow", [lookup](const Addresses&) { FAIL(); });
  ASSERT_TRUE(resolver_->WaitUntilAsked(1));
  std::weak_ptr<Lookup> weak = lookup;
  const_cast<std::shared_ptr<Lookup>&>(lookup) = nullptr;
  EXPECT_FALSE(weak.expired());
  io_ = nullptr;
  EXPECT_TRUE(weak.expired());
}

TEST_F(LookupTest, ThreadsAreBoundedAndCancelledNamesAreNotAskedFor) {
  Lookup lookup(*io_);
  std::size_t told = 0;
  for (std::size_t i = 0; i < kLookupThreadsMax; ++i) {
    lookup.Start(absl::StrCat("slow", i), [&told](const Addresses&) { ++told; });
  }
  ASSERT_TRUE(resolver_->WaitUntilAsked(kLookupThreadsMax));
  bool dropped = false;
  {
    Lookup gone(*io_);
    gone.Start("dropped", [&dropped](const Addresses&) { dropped = true; });
  }
  bool last = false;
  lookup.Start("last", [&last](const Addresses&) { last = true; });
  EXPECT_EQ(resolver_->asked(), kLookupThreadsMax);
  resolver_->Release();
  EXPECT_TRUE(RunUntil([&] { return last && told == kLookupThreadsMax; }));
  EXPECT_EQ(resolver_->asked(), kLookupThreadsMax + 1);
  EXPECT_FALSE(dropped);
}

// A callback may start and cancel lookups, its own too.
TEST_F(LookupTest, MayBeUsedWhileItTells) {
  auto lookup = std::make_unique<Lookup>(*io_);
  bool second = false;
  lookup->Start("first", [&](const Addresses&) {
    lookup->Start("slow", [](const Addresses&) { FAIL(); });
    lookup = std::make_unique<Lookup>(*io_);
    lookup->Start("second", [&second](const Addresses&) { second = true; });
  });
  EXPECT_TRUE(RunUntil([&second] { return second; }));
}

}  // namespace
}  // namespace serf::names
