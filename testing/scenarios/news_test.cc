// News at a steady rate: what is sent reaches everybody, whether the cluster is calm or busy, some
// packets are lost, or members are dead and nobody has noticed.

#include "serf/testing/scenarios/news.h"

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <string>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "serf/base/time.h"
#include "serf/config.h"
#include "serf/swim/config.h"

namespace serf::testkit {
namespace {

using swim::GossipPacing;

struct Case {
  std::uint32_t nodes;
  double dead;
  double per_second;
  double loss;
};

std::string Tell(const Case& c, GossipPacing pacing, const NewsFigures& f) {
  return absl::StrCat(c.nodes, " nodes, ", c.dead * 100, " % dead, ", c.per_second, " news/s, ",
                      c.loss * 100, " % loss, ",
                      pacing == GossipPacing::kPrompt ? "prompt" : "ticked", ": ",
                      ToSeconds(f.median) * 1000, " ms in the median, ", ToSeconds(f.p99) * 1000,
                      " ms at p99, ", f.missed, " of ", f.pairs, " pairs missed, ", f.packets_sent,
                      " packets and ", f.bytes_sent, " bytes sent per node and second");
}

NewsFigures Measure(const Case& c, GossipPacing pacing) {
  Config config = Config::Lan();
  config.swim.gossip_pacing = pacing;
  NewsCluster cluster(config, c.nodes, /*seed=*/11);
  EXPECT_TRUE(cluster.Start());
  cluster.Kill(c.dead);
  const NewsFigures figures = cluster.Measure({.per_second = c.per_second, .loss = c.loss});
  std::printf("%s\n", Tell(c, pacing, figures).c_str());
  EXPECT_GE(figures.events, 20u);
  return figures;
}

TEST(News, WithoutLossGossipMissesNobody) {
  for (const Case& c :
       {Case{20, 0, 1, 0}, Case{20, 0, 10, 0}, Case{20, 0, 100, 0}, Case{20, 0, 1000, 0},
        Case{100, 0, 10, 0}, Case{100, 0, 100, 0}, Case{100, 0.3, 10, 0}}) {
    const NewsFigures prompt = Measure(c, GossipPacing::kPrompt);
    EXPECT_EQ(prompt.missed, 0u) << Tell(c, GossipPacing::kPrompt, prompt);
    EXPECT_EQ(prompt.complete, prompt.events);
  }
}

TEST(News, TickedGossipSendsThreePacketsPerInterval) {
  for (const Case& c : {Case{20, 0, 10, 0}, Case{100, 0, 100, 0}}) {
    const NewsFigures ticked = Measure(c, GossipPacing::kTicked);
    EXPECT_LT(ticked.packets_sent, 15.2);
    EXPECT_EQ(ticked.missed, 0u);
  }
}

// A lone event does not wait for a tick.
TEST(News, LoneEventReachesAllWithinTensOfMilliseconds) {
  for (const Case& c : {Case{20, 0, 0.4, 0}, Case{100, 0, 0.4, 0}, Case{20, 0, 0.4, 0.05}}) {
    const NewsFigures prompt = Measure(c, GossipPacing::kPrompt);
    EXPECT_LT(prompt.median, std::chrono::milliseconds(40));
    EXPECT_LT(prompt.p99, std::chrono::milliseconds(80));
  }
}

// The measurement notices what does not arrive.
TEST(News, LossIsSeen) {
  const NewsFigures lossy = Measure({20, 0, 10, 0.9}, GossipPacing::kPrompt);
  EXPECT_GT(lossy.missed, 0u);
  EXPECT_EQ(lossy.p99, NewsFigures::kNever);
  EXPECT_LT(lossy.packets_received, lossy.packets_sent / 5);
}

}  // namespace
}  // namespace serf::testkit
