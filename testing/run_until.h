#ifndef SERF_TESTING_RUN_UNTIL_H_
#define SERF_TESTING_RUN_UNTIL_H_

// RunUntil: runs an io_context in a test until a condition holds.
//
//   ASSERT_TRUE(RunUntil(io, [&] { return host.serf().Members().size() == 2; }));

#include <boost/asio/io_context.hpp>
#include <chrono>

#include "serf/base/time.h"

namespace serf::testkit {

// Nothing takes so long, even on a busy machine, so only a condition that never holds reaches it.
inline constexpr std::chrono::seconds kPatience{30};

// Runs `io` until the condition holds; other threads and processes may make it true, too. False if
// it does not hold within `patience`.
template <typename Condition>
[[nodiscard]] bool RunUntil(boost::asio::io_context& io, Condition condition,
                            Duration patience = kPatience) {
  constexpr std::chrono::milliseconds kGlance{5};
  const auto deadline = std::chrono::steady_clock::now() + patience;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    if (io.stopped()) io.restart();
    io.run_one_for(kGlance);
  }
  return true;
}

}  // namespace serf::testkit

#endif  // SERF_TESTING_RUN_UNTIL_H_
