// Partitions that last for hours heal by themselves, within a push/pull interval of their end: by
// failed members, by the files of nodes that were restarted meanwhile, and, if members were
// forgotten meanwhile, by the seeds. Many seeds, with dead members, restarts and lossy links.

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "serf/base/rng.h"
#include "serf/base/time.h"
#include "serf/config.h"
#include "serf/snapshot_state.h"
#include "serf/testing/checkers/checkers.h"
#include "serf/testing/sim/link_model.h"
#include "serf/testing/sim/world.h"

namespace serf::testkit {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

#ifndef SERF_PARTITION_SEEDS
#define SERF_PARTITION_SEEDS 48
#endif
constexpr std::uint64_t kSeeds = SERF_PARTITION_SEEDS;
constexpr std::uint64_t kGroups = 8;

// A cluster in two or three parts; a part may be a single node.
class Story {
 public:
  explicit Story(std::uint64_t seed) : rng_(seed), world_(rng_.Next()) {}

  // Builds the cluster. False if it is not whole at the start.
  bool Build(Config config) {
    const std::size_t nodes = 2 + rng_.Below(15);
    for (std::size_t i = 0; i < nodes; ++i) {
      config.swim.name = absl::StrCat("n", i);
      config.snapshot.reset();
      if (Chance(50)) config.snapshot.emplace();
      const NodeId node = world_.Add(config);
      if (i > 0) world_.Join(node, {NodeId(static_cast<std::uint32_t>(rng_.Below(i)))});
      world_.RunFor(milliseconds(100));
    }
    return world_.RunUntil([this] { return Agrees(world_); }, minutes(2), milliseconds(500));
  }

  void Cut() {
    groups_.resize(std::min<std::size_t>(2 + rng_.Below(2), world_.size()));
    std::vector<NodeId> nodes;
    for (std::uint32_t i = 0; i < world_.size(); ++i) nodes.push_back(NodeId(i));
    rng_.Shuffle(nodes);
    // Each part gets one node, and the others go to any part.
    for (std::size_t i = 0; i < nodes.size(); ++i) {
      groups_[i < groups_.size() ? i : rng_.Below(groups_.size())].push_back(nodes[i]);
    }
    world_.links().Partition(groups_);
  }

  // Crashes some nodes for good, and restarts some of those with a file. In each part some nodes
  // stay.
  void CrashSome() {
    const bool crash = Chance(50);
    for (const std::vector<NodeId>& group : groups_) {
      for (std::size_t i = 0; i < group.size(); ++i) {
        if (i > 0 && crash && Chance(30)) {
          world_.Crash(group[i]);
        } else if (world_.has_disk(group[i]) && Chance(30)) {
          world_.Crash(group[i]);
          world_.RunFor(rng_.Below(minutes(2)));
          world_.Restart(group[i]);
          ++restarts_;
        }
      }
    }
  }

  // The time until all agree again; `limit` if it is longer.
  Duration Heal(Duration limit) {
    world_.links().Calm();
    const Instant healed = world_.now();
    world_.RunUntil([this] { return Agrees(world_); }, limit, milliseconds(100));
    return world_.now() - healed;
  }

  bool Chance(int percent) { return rng_.Below(100) < static_cast<std::uint64_t>(percent); }
  Rng& rng() { return rng_; }
  World& world() { return world_; }
  int restarts() const { return restarts_; }

 private:
  Rng rng_;
  World world_;
  std::vector<std::vector<NodeId>> groups_;
  int restarts_ = 0;
};

class PartitionTest : public ::testing::TestWithParam<std::uint64_t> {
 protected:
  template <typename Run>
  void RunSeeds(std::uint64_t seeds, Run&& run) {
    std::vector<Duration> times;
    for (std::uint64_t i = 0; i < seeds; ++i) times.push_back(run(GetParam() * seeds + i + 1));
    std::sort(times.begin(), times.end());
    std::printf("%zu partitions; until all agree: median %.1f s, longest %.1f s\n", times.size(),
                ToSeconds(times[times.size() / 2]), ToSeconds(times.back()));
  }
};

TEST_P(PartitionTest, HealsWithinAPushPullInterval) {
  int restarts = 0;
  RunSeeds(kSeeds / kGroups, [&](std::uint64_t seed) {
    Story story(seed);
    const Config config = Config::Lan();
    EXPECT_TRUE(story.Build(config)) << "seed " << seed;
    story.Cut();
    if (story.Chance(30)) story.world().links().settings().loss = 0.2;
    story.world().RunFor(minutes(5));
    story.CrashSome();
    story.world().RunFor(minutes(30) + story.rng().Below(hours(3)));
    const Duration time = story.Heal(minutes(10));
    EXPECT_LE(time, config.swim.push_pull_interval)
        << "seed " << seed << ": " << Disagreement(story.world());
    restarts += story.restarts();
    return time;
  });
  EXPECT_GT(restarts, 0);
}

// Each side has reaped the members on the other side, as after days.
TEST_P(PartitionTest, HealsBySeedsWhenMembersAreForgotten) {
  RunSeeds(std::max<std::uint64_t>(kSeeds / kGroups / 4, 1), [&](std::uint64_t seed) {
    Story story(seed);
    Config config = Config::Lan();
    config.reconnect_timeout = minutes(2);
    EXPECT_TRUE(story.Build(config)) << "seed " << seed;
    story.Cut();
    story.world().RunFor(hours(1));
    for (std::uint32_t i = 0; i < story.world().size(); ++i) {
      EXPECT_LT(story.world().serf(NodeId(i)).member_count(), story.world().size());
    }
    // The longest pause of the seeds, and one more for a third part.
    const Duration limit = 2 * 16 * config.reconnect_interval * 9 / 8;
    const Duration time = story.Heal(limit);
    EXPECT_LT(time, limit) << "seed " << seed << ": " << Disagreement(story.world());
    return time;
  });
}

INSTANTIATE_TEST_SUITE_P(Seeds, PartitionTest, ::testing::Range<std::uint64_t>(0, kGroups));

// The dead do not answer. The cost for the network stays small, and is the same however many they
// are.
TEST(Reconnects, AreNoStormAgainstManyDead) {
  struct Case {
    std::size_t nodes;
    std::size_t dead;
    double dials_max;  // per living node and minute, besides push/pulls
  };
  // At most four turns of up to four dials in each half minute, and, among the living nodes, the
  // dead members' share.
  for (const Case& c : {Case{40, 2, 1.}, Case{40, 20, 10.}, Case{40, 38, 33.}}) {
    World world(3);
    for (std::size_t i = 0; i < c.nodes; ++i) {
      const NodeId node = world.Add(absl::StrCat("n", i));
      if (i > 0) world.Join(node, {NodeId(0)});
      world.RunFor(milliseconds(50));
    }
    ASSERT_TRUE(world.RunUntil([&] { return Agrees(world); }, minutes(2), seconds(1)));
    for (std::size_t i = 0; i < c.dead; ++i) {
      world.Crash(NodeId(static_cast<std::uint32_t>(c.nodes - 1 - i)));
    }
    world.RunFor(minutes(10));
    const std::uint64_t before = world.links().counters().dials_refused;
    world.RunFor(minutes(10));
    const double dials = static_cast<double>(world.links().counters().dials_refused - before) / 10 /
                         static_cast<double>(c.nodes - c.dead);
    std::printf("%zu nodes, %zu dead: %.2f dials per living node and minute\n", c.nodes, c.dead,
                dials);
    EXPECT_GT(dials, 0);
    EXPECT_LE(dials, c.dials_max);
  }
}

}  // namespace
}  // namespace serf::testkit
