// Two nodes have the same name. Whatever the network does, they never both give way, and if there
// are voters, one of them does. Many seeds (docs/protocol/serf.md 8).

#include <chrono>
#include <cstdint>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "serf/base/rng.h"
#include "serf/config.h"
#include "serf/testing/checkers/checkers.h"
#include "serf/testing/sim/link_model.h"
#include "serf/testing/sim/world.h"

namespace serf::testkit {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr std::uint64_t kSeeds = 100;

struct Outcome {
  bool first_stays = false;
  bool second_stays = false;
  std::size_t voters = 0;
};

// With `apart`, the first node loses its name while it is cut off.
Outcome Contest(std::uint64_t seed, bool apart) {
  Rng rng(seed);
  World world(rng.Next());
  const std::size_t nodes = 1 + rng.Below(8);
  for (std::size_t i = 0; i < nodes; ++i) {
    const NodeId node = world.Add(absl::StrCat("n", i));
    if (i > 0) world.Join(node, {NodeId(0)});
  }
  EXPECT_TRUE(world.RunUntil([&] { return Agrees(world); }, minutes(1), milliseconds(100)));
  const NodeId first(static_cast<std::uint32_t>(nodes - 1));
  const NodeId friend_of_both(0);
  if (apart) {
    world.links().Partition({{first}});
    world.RunFor(minutes(2));
  } else {
    world.links().settings().loss = static_cast<double>(rng.Below(4)) / 10;
  }
  Config config = Config::Lan();
  config.swim.name = world.name(first);
  const NodeId second = world.Add(config);
  world.Join(second, {friend_of_both});
  world.RunFor(minutes(1));
  world.links().Calm();
  world.RunUntil([&] { return !world.is_up(first) || !world.is_up(second); }, minutes(10),
                 seconds(1));
  // The other node must not give way, too.
  world.RunFor(minutes(3));
  return {world.is_up(first), world.is_up(second), nodes - 1};
}

TEST(NameConflict, TheNewcomerGivesWay) {
  int alone = 0;
  for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
    const Outcome outcome = Contest(seed, /*apart=*/false);
    EXPECT_TRUE(outcome.first_stays) << "seed " << seed;
    // Without a voter neither gives way.
    EXPECT_EQ(outcome.second_stays, outcome.voters == 0) << "seed " << seed;
    alone += outcome.voters == 0 ? 1 : 0;
  }
  EXPECT_GT(alone, 0);
}

TEST(NameConflict, OneStaysOfTwoThatMeetAgain) {
  int second = 0;
  for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
    const Outcome outcome = Contest(seed, /*apart=*/true);
    EXPECT_TRUE(outcome.first_stays || outcome.second_stays) << "seed " << seed;
    if (outcome.voters > 0) {
      EXPECT_FALSE(outcome.first_stays && outcome.second_stays) << "seed " << seed;
    }
    second += outcome.second_stays && !outcome.first_stays ? 1 : 0;
  }
  EXPECT_GT(second, 0) << "who has the name in the eyes of the others keeps it";
}

}  // namespace
}  // namespace serf::testkit
