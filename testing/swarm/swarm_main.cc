// Runs seeds of the swarm by hand: swarm FIRST [LAST]. For a single seed it prints every step.

#include <cstdint>
#include <cstdio>
#include <string>

#include "absl/strings/numbers.h"
#include "absl/strings/string_view.h"
#include "serf/base/logger.h"
#include "serf/base/time.h"
#include "serf/testing/swarm/swarm.h"

namespace {

class PrintLogger : public serf::Logger {
 public:
  bool Enabled(serf::LogLevel) const override { return true; }
  void Write(serf::LogLevel level, absl::string_view text) override {
    const std::string name(serf::LogLevelName(level));
    std::printf("[%s] %s\n", name.c_str(), std::string(text).c_str());
  }
};

}  // namespace

int main(int argc, char** argv) {
  std::uint64_t first = 0;
  std::uint64_t last = 0;
  if (argc < 2 || argc > 3 || !absl::SimpleAtoi(argv[1], &first) ||
      !absl::SimpleAtoi(argv[argc - 1], &last)) {
    std::fprintf(stderr, "usage: swarm FIRST [LAST]\n");
    return 2;
  }
  PrintLogger logger;
  int failed = 0;
  serf::testkit::SwarmFaults faults;
  double slowest = 0;
  std::uint64_t slowest_seed = first;
  for (std::uint64_t seed = first; seed <= last; ++seed) {
    const serf::testkit::SwarmResult result =
        serf::testkit::RunSwarm(seed, first == last ? &logger : nullptr);
    faults.Add(result.faults);
    if (const double time = serf::ToSeconds(result.agreed_after); time >= slowest) {
      slowest = time;
      slowest_seed = seed;
    }
    if (result.violations.empty()) continue;
    ++failed;
    std::printf("seed %llu, %zu nodes:\n", static_cast<unsigned long long>(seed), result.nodes);
    for (const std::string& text : result.violations) std::printf("  %s\n", text.c_str());
  }
  std::printf("%d of %llu seeds failed; slowest agreement %.1f s after calm (seed %llu)\n%s\n",
              failed, static_cast<unsigned long long>(last - first + 1), slowest,
              static_cast<unsigned long long>(slowest_seed), faults.ToString().c_str());
  return failed == 0 ? 0 : 1;
}
