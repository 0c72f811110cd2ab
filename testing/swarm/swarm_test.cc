// Chaos, then calm, for 400 seeds. To study a seed that fails, run
//   bazel run //testing/swarm:swarm_main -- SEED

#include "serf/testing/swarm/swarm.h"

#include <cstdint>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace serf::testkit {
namespace {

// So many that each kind of fault happens several times.
constexpr std::uint64_t kSeedsPerGroup = 100;

class SwarmTest : public ::testing::TestWithParam<std::uint64_t> {};

TEST_P(SwarmTest, AllCheckersHold) {
  SwarmFaults faults;
  for (std::uint64_t i = 0; i < kSeedsPerGroup; ++i) {
    const std::uint64_t seed = GetParam() * kSeedsPerGroup + i + 1;
    const SwarmResult result = RunSwarm(seed);
    EXPECT_THAT(result.violations, ::testing::IsEmpty()) << "seed " << seed;
    faults.Add(result.faults);
  }
  EXPECT_EQ(faults.Missing(), "") << "a run without faults proves nothing";
}

INSTANTIATE_TEST_SUITE_P(Seeds, SwarmTest, ::testing::Range<std::uint64_t>(0, 4));

TEST(SwarmFaults, NamesWhatIsMissing) {
  SwarmFaults faults;
  EXPECT_NE(faults.Missing(), "");
  faults.lost = 1;
  EXPECT_EQ(faults.Missing().find("loss"), std::string::npos);
  EXPECT_NE(faults.Missing().find("partitions"), std::string::npos);
}

}  // namespace
}  // namespace serf::testkit
