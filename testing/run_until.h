#ifndef SERF_TESTING_RUN_UNTIL_H_
#define SERF_TESTING_RUN_UNTIL_H_

// RunUntil: a test whose code runs on an io_context waits by it until something holds.
//
//   ASSERT_TRUE(RunUntil(io, [&] { return host.serf().Members().size() == 2; }));

#include <boost/asio/io_context.hpp>
#include <chrono>

#include "serf/base/time.h"

namespace serf::testing {

// Nothing takes that long on a busy machine, so only what never comes reaches it.
inline constexpr std::chrono::seconds kPatience{30};

// Runs `io` until the condition holds, which other threads and processes may bring about, too.
// False if it does not within `patience`.
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

}  // namespace serf::testing

#endif  // SERF_TESTING_RUN_UNTIL_H_
