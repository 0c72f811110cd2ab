// News at a steady rate: what is sent reaches everybody, whether the cluster is calm or busy, some
// packets are lost, or members are dead and nobody has noticed.

#include "serf/testing/scenarios/news.h"

#include <algorithm>
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

using std::chrono::milliseconds;
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

// A wave goes to three members, a round at a tick to three; packets beyond are full.
double PacketsMax(const Case& c, const NewsFigures& f) {
  const swim::Config swim = swim::Config::Lan();
  const double waves =
      std::min({c.per_second, 1 / ToSeconds(swim.prompt_interval),
                static_cast<double>(swim.gossip_packets_per_second) / swim.gossip_nodes});
  const double ticks = 1 / ToSeconds(swim.gossip_interval);
  return 1.02 * swim.gossip_nodes * (waves + ticks) +
         f.bytes_sent / (0.75 * static_cast<double>(swim.packet_size));
}

// News at any rate are with all as soon as a lone message, or as soon as with ticks where most
// members that should pass them on are dead.
TEST(News, PromptGossipMissesNobodyWaitsForNobodyAndKeepsItsBudget) {
  for (const Case& c : {Case{20, 0, 10, 0}, Case{20, 0, 100, 0}, Case{20, 0, 1000, 0},
                        Case{100, 0, 10, 0}, Case{100, 0, 100, 0}, Case{100, 0.3, 10, 0}}) {
    const NewsFigures prompt = Measure(c, GossipPacing::kPrompt);
    const std::string text = Tell(c, GossipPacing::kPrompt, prompt);
    EXPECT_EQ(prompt.missed, 0u) << text;
    EXPECT_EQ(prompt.complete, prompt.events) << text;
    EXPECT_LT(prompt.packets_sent, PacketsMax(c, prompt)) << text;
    if (c.dead > 0) continue;
    const NewsFigures lone = Measure({c.nodes, 0, 0.4, 0}, GossipPacing::kPrompt);
    EXPECT_LT(lone.median, milliseconds(20));
    EXPECT_LT(lone.p99, milliseconds(25));
    // At a thousand a second the budget of packets gathers six news into a wave, at each of up to
    // four hops.
    const Duration gather = c.per_second > 500 ? 4 * milliseconds(6) : milliseconds(3);
    EXPECT_LT(prompt.median, lone.median * 5 / 4 + gather) << text;
    EXPECT_LT(prompt.p99, lone.p99 * 3 / 2 + gather) << text;
  }
}

TEST(News, PromptGossipIsNeverSlowerThanTicks) {
  for (const Case& c : {Case{20, 0, 1, 0.05}, Case{20, 0.1, 10, 0.05}, Case{20, 0.3, 10, 0},
                        Case{20, 0.6, 10, 0}, Case{100, 0.3, 10, 0}, Case{100, 0.6, 10, 0}}) {
    const NewsFigures prompt = Measure(c, GossipPacing::kPrompt);
    const NewsFigures ticked = Measure(c, GossipPacing::kTicked);
    EXPECT_LT(prompt.median, ticked.median) << Tell(c, GossipPacing::kPrompt, prompt);
    EXPECT_LE(prompt.p99, ticked.p99) << Tell(c, GossipPacing::kPrompt, prompt);
    // Each node sends each message as often with both.
    EXPECT_LT(prompt.bytes_sent, ticked.bytes_sent * 1.1 + 20 * c.per_second);
  }
}

TEST(News, TickedGossipSendsThreePacketsPerInterval) {
  for (const Case& c : {Case{20, 0, 10, 0}, Case{100, 0, 100, 0}}) {
    const NewsFigures ticked = Measure(c, GossipPacing::kTicked);
    EXPECT_LT(ticked.packets_sent, 15.2);
    EXPECT_EQ(ticked.missed, 0u);
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
