#ifndef SERF_TESTING_INTEGRATION_PING_WATCH_H_
#define SERF_TESTING_INTEGRATION_PING_WATCH_H_

// PingWatch: measures how long an agent leaves pings unanswered while the reader of its output
// blocks.
//
//   PingWatch watch(agent.options().address, agent.options().name);
//   EXPECT_LT(watch.LongestWait([&] { make_it_write(); }), PingWatch::kMuteMax);

#include <algorithm>
#include <chrono>
#include <string>

#include "gtest/gtest.h"
#include "serf/base/bytes.h"
#include "serf/testing/integration/attacker.h"

namespace serf::testkit {

class PingWatch {
 public:
  using Clock = std::chrono::steady_clock;

  static constexpr std::chrono::seconds kStill{10};
  // Longer than a busy machine needs to run an agent at all, and far shorter than a probe's
  // timeouts together.
  static constexpr std::chrono::seconds kMuteMax{1};

  PingWatch(const std::string& address, const std::string& name)
      : attacker_(address, name, ByteView()) {}

  // Sends pings for ten seconds, and calls `disturb` between them.
  template <typename Disturb>
  Clock::duration LongestWait(Disturb disturb) {
    Clock::duration longest = Clock::duration::zero();
    for (const Clock::time_point end = Clock::now() + kStill; Clock::now() < end;) {
      disturb();
      const Clock::time_point start = Clock::now();
      EXPECT_TRUE(attacker_.Ping());
      longest = std::max(longest, Clock::now() - start);
    }
    return longest;
  }

 private:
  Attacker attacker_;
};

}  // namespace serf::testkit

#endif  // SERF_TESTING_INTEGRATION_PING_WATCH_H_
