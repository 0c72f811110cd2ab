// A replay by seed is exact, even in another process, where addresses and the order of absl's hash
// tables differ (docs/architecture.md, Determinism). This program runs itself twice.

#include <unistd.h>

#include <array>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "serf/testing/swarm/swarm.h"

namespace serf::testkit {
namespace {

constexpr std::uint64_t kSeeds[] = {11, 12, 13, 14, 15, 16, 17, 18};

// One line for each seed: hash and steps of the whole run.
std::string Trace() {
  std::string text;
  for (const std::uint64_t seed : kSeeds) {
    const SwarmResult result = RunSwarm(seed);
    absl::StrAppend(&text, seed, " ", absl::Hex(result.trace_hash), " ", result.steps, "\n");
  }
  return text;
}

// The output of this program in a process of its own.
std::string TraceOfAnotherProcess() {
  std::array<char, 4096> path{};
  if (readlink("/proc/self/exe", path.data(), path.size() - 1) <= 0) return "no path";
  std::FILE* pipe = popen(absl::StrCat("'", path.data(), "' --trace").c_str(), "r");
  if (pipe == nullptr) return "no process";
  std::string text;
  std::array<char, 256> line{};
  while (std::fgets(line.data(), static_cast<int>(line.size()), pipe) != nullptr) {
    text += line.data();
  }
  EXPECT_EQ(pclose(pipe), 0);
  return text;
}

TEST(Replay, TwoProcessesGiveTheSameTrace) {
  const std::string here = Trace();
  EXPECT_EQ(TraceOfAnotherProcess(), here);
  EXPECT_EQ(TraceOfAnotherProcess(), here);
}

TEST(Replay, SeedsDiffer) { EXPECT_NE(RunSwarm(11).trace_hash, RunSwarm(12).trace_hash); }

}  // namespace
}  // namespace serf::testkit

int main(int argc, char** argv) {
  if (argc == 2 && std::string(argv[1]) == "--trace") {
    std::fputs(serf::testkit::Trace().c_str(), stdout);
    return 0;
  }
  ::testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
