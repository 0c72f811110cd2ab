#ifndef SERF_TESTING_HOST_FIXTURE_H_
#define SERF_TESTING_HOST_FIXTURE_H_

// HostFixture: the base class for tests of transport::Host on loopback. All hosts share one
// io_context, which the test runs.
//
//   class HostTest : public HostFixture {};
//   TEST_F(HostTest, TwoJoin) {
//     const auto a = Start(LocalOptions("a")), b = Start(LocalOptions("b"));
//     EXPECT_TRUE(Join(*b, *a).status.ok());
//     ASSERT_TRUE(RunUntil([&] { return a->serf().Members().size() == 2; }));
//   }

#include <boost/asio/io_context.hpp>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "gtest/gtest.h"
#include "serf/base/endpoint.h"
#include "serf/config.h"
#include "serf/join.h"
#include "serf/testing/run_until.h"
#include "serf/transport/host.h"

namespace serf::testkit {

// Returns options of a node that binds to a free port of 127.0.0.1, unless the test names another
// endpoint.
inline transport::HostOptions LocalOptions(const std::string& name,
                                           const Endpoint& bind = {IpAddress::V4(127, 0, 0, 1),
                                                                   0}) {
  transport::HostOptions options;
  options.config = Config::Local();
  options.config.swim.name = name;
  options.bind = bind;
  return options;
}

// Returns the same options for a node that finds failures, and finishes its leave, within a second.
inline transport::HostOptions QuickOptions(const std::string& name,
                                           const Endpoint& bind = {IpAddress::V4(127, 0, 0, 1),
                                                                   0}) {
  transport::HostOptions options = LocalOptions(name, bind);
  options.config.swim.probe_interval = std::chrono::milliseconds(100);
  options.config.swim.probe_timeout = std::chrono::milliseconds(50);
  options.config.leave_propagate_delay = std::chrono::milliseconds(100);
  return options;
}

class HostFixture : public ::testing::Test {
 protected:
  std::unique_ptr<transport::Host> Start(transport::HostOptions options) {
    absl::StatusOr<std::unique_ptr<transport::Host>> host =
        transport::Host::Create(io_, std::move(options));
    EXPECT_TRUE(host.ok()) << host.status();
    (*host)->Start();
    return *std::move(host);
  }

  template <typename Condition>
  [[nodiscard]] bool RunUntil(Condition condition) {
    return testkit::RunUntil(io_, std::move(condition));
  }
  // Calls start(handler) and waits for the status that the handler gets.
  template <typename Function>
  absl::Status Await(Function start) {
    std::optional<absl::Status> result;
    start([&result](absl::Status status) { result = std::move(status); });
    EXPECT_TRUE(RunUntil([&result] { return result.has_value(); }));
    return result.value_or(absl::UnknownError("no answer"));
  }
  JoinResult Join(transport::Host& host, std::vector<std::string> addresses) {
    std::optional<JoinResult> result;
    host.AsyncJoin(std::move(addresses), {.replay = true},
                   [&result](JoinResult joined) { result = std::move(joined); });
    EXPECT_TRUE(RunUntil([&result] { return result.has_value(); }));
    return result.value_or(JoinResult{.status = absl::UnknownError("no answer")});
  }
  JoinResult Join(transport::Host& host, const transport::Host& to) {
    return Join(host, {to.local().ToString()});
  }

  boost::asio::io_context io_;
};

}  // namespace serf::testkit

#endif  // SERF_TESTING_HOST_FIXTURE_H_
