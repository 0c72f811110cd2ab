// A thousand nodes join, converge, lose ten and agree. News spreads several times faster than with
// Go Serf's timing, for no more bytes, and churn causes no storm.

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "serf/base/time.h"
#include "serf/config.h"
#include "serf/swim/config.h"
#include "serf/testing/checkers/checkers.h"
#include "serf/testing/sim/link_model.h"
#include "serf/testing/sim/scale_cluster.h"

namespace serf::testkit {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr std::size_t kNodes = 1000;

Config Paced(swim::GossipPacing pacing) {
  Config config = Config::Lan();
  config.swim.gossip_pacing = pacing;
  // The test measures gossip only.
  config.swim.enable_compression = false;
  return config;
}

TEST(Scale, AThousandNodesJoinConvergeLoseTenAndAgree) {
  ScaleCluster cluster(1, Paced(swim::GossipPacing::kPrompt));
  World& world = cluster.world();
  Violations violations(world);
  EventChecker events(world, violations);
  cluster.Grow(kNodes, milliseconds(5));
  ASSERT_TRUE(cluster.WaitForAgreement(minutes(1))) << cluster.Disagreeing() << " disagree";

  for (int i = 0; i < 10; ++i) {
    world.Crash(NodeId(static_cast<std::uint32_t>(cluster.rng().Below(kNodes))));
  }
  const Instant crash = world.now();
  ASSERT_TRUE(cluster.WaitForAgreement(minutes(3))) << cluster.Disagreeing() << " disagree";
  RecordProperty("seconds_to_agree", absl::StrCat(ToSeconds(world.now() - crash)));
  world.RunFor(seconds(5));
  events.CheckCrashes();
  EXPECT_TRUE(violations.list().empty()) << violations.list().front();
  EXPECT_EQ(cluster.Disagreeing(), 0u);
  EXPECT_EQ(events.false_failures(), 0u);
  EXPECT_GE(events.failures(), 990u * 9);
}

// The cost and the time of spreading news.
struct Figures {
  Duration one{};             // until all nodes know one change
  double bytes_per_change{};  // for a lone change, minus the traffic of an idle cluster
  double churn_bytes{};       // per change, at ten changes a second
  double churn_datagrams{};   // per node and second meanwhile, minus that of an idle cluster
};

Figures Measure(swim::GossipPacing pacing) {
  Config config = Paced(pacing);
  // Enough for the measurement. With more, the announcements at the start would take the ticked
  // cluster a minute longer.
  config.swim.broadcast_queue_max = 256;
  ScaleCluster cluster(2, std::move(config));
  World& world = cluster.world();
  EXPECT_TRUE(cluster.StartJoined(kNodes)) << cluster.Disagreeing() << " disagree";
  world.RunFor(seconds(10));
  EXPECT_TRUE(cluster.WaitForQuiet(minutes(1)));

  const auto bytes = [&world] { return static_cast<double>(world.links().counters().bytes); };
  constexpr Duration kWindow = seconds(5);
  const auto datagrams = [&world] {
    return static_cast<double>(world.links().counters().datagrams);
  };
  double start = bytes();
  double datagrams_start = datagrams();
  world.RunFor(kWindow);
  const double idle = bytes() - start;
  const double idle_datagrams = (datagrams() - datagrams_start) / ToSeconds(kWindow);

  Figures figures;
  constexpr int kChanges = 5;
  for (int i = 0; i < kChanges; ++i) {
    start = bytes();
    const Instant begin = world.now();
    const auto time =
        cluster.Disseminate(NodeId(static_cast<std::uint32_t>(100 * i)), absl::StrCat(i), kWindow);
    EXPECT_TRUE(time.has_value());
    figures.one = std::max(figures.one, time.value_or(kWindow));
    world.RunFor(kWindow - (world.now() - begin));
    figures.bytes_per_change += (bytes() - start - idle) / kChanges;
  }

  constexpr int kChurn = 100;
  start = bytes();
  datagrams_start = datagrams();
  for (int i = 0; i < kChurn; ++i) {
    world.SetTags(NodeId(static_cast<std::uint32_t>(cluster.rng().Below(kNodes))),
                  {{"churn", absl::StrCat(i)}});
    world.RunFor(milliseconds(100));
  }
  figures.churn_datagrams = ((datagrams() - datagrams_start) / 10 - idle_datagrams) / kNodes;
  world.RunFor(kWindow);
  figures.churn_bytes = (bytes() - start - 3 * idle) / kChurn;
  EXPECT_TRUE(cluster.WaitForAgreement(seconds(10)));
  return figures;
}

TEST(Scale, PromptGossipIsFasterForNoMoreBytesAndChurnIsNoStorm) {
  const Figures prompt = Measure(swim::GossipPacing::kPrompt);
  const Figures ticked = Measure(swim::GossipPacing::kTicked);
  const auto tell = [](const char* name, const Figures& f) {
    const std::string text =
        absl::StrCat(ToSeconds(f.one) * 1000, " ms until all know; ", f.bytes_per_change / 1e6,
                     " MB per lone change, ", f.churn_bytes / 1e6, " MB under churn; ",
                     f.churn_datagrams, " datagrams per node and second under churn");
    RecordProperty(name, text);
    std::printf("%s: %s\n", name, text.c_str());
  };
  tell("prompt", prompt);
  tell("ticked", ticked);
  EXPECT_LT(prompt.one * 4, ticked.one);
  EXPECT_LT(prompt.bytes_per_change, ticked.bytes_per_change * 1.02);
  EXPECT_LT(prompt.churn_bytes, ticked.churn_bytes * 1.02);
  EXPECT_LT(prompt.churn_bytes, prompt.bytes_per_change * 1.05);
  // Go Serf's timing allows three packets every 200 ms. Each change costs three more.
  EXPECT_LT(prompt.churn_datagrams, 3 * 5 + 3 * 10 * 1.02);
}

}  // namespace
}  // namespace serf::testkit
