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

NewsFigures Measure(const Case& c, GossipPacing pacing, NewsProbes probes = NewsProbes::kNone) {
  Config config = Config::Lan();
  config.swim.gossip_pacing = pacing;
  NewsCluster cluster(config, c.nodes, /*seed=*/11, probes);
  EXPECT_TRUE(cluster.Start());
  cluster.Kill(c.dead);
  const NewsFigures figures = cluster.Measure({.per_second = c.per_second, .loss = c.loss});
  std::printf("%s\n", Tell(c, pacing, figures).c_str());
  EXPECT_GE(figures.events, 20u);
  return figures;
}

// A node sends its own news to all others, and repeats to one at a tick; packets beyond are full.
double PacketsMax(const Case& c, const NewsFigures& f) {
  const swim::Config swim = swim::Config::Lan();
  const double own = std::min(c.per_second / c.nodes, 1 / ToSeconds(swim.prompt_interval));
  const double ticks = 1 / ToSeconds(swim.gossip_interval);
  return 1.05 * (own * (c.nodes - 1) + ticks) +
         f.bytes_sent / (0.7 * static_cast<double>(swim.packet_size));
}

// News at any rate are with all as soon as a lone message, but for the pause between two waves of a
// node.
TEST(News, PromptGossipMissesNobodyWaitsForNobodyAndKeepsItsBudget) {
  const swim::Config lan = swim::Config::Lan();
  const double pause = ToSeconds(lan.prompt_interval);
  for (const Case& c :
       {Case{20, 0, 10, 0}, Case{20, 0, 100, 0}, Case{20, 0, 1000, 0}, Case{100, 0, 10, 0},
        Case{100, 0, 100, 0}, Case{20, 0.3, 100, 0}, Case{100, 0.6, 10, 0}}) {
    const NewsFigures prompt = Measure(c, GossipPacing::kPrompt);
    const std::string text = Tell(c, GossipPacing::kPrompt, prompt);
    EXPECT_EQ(prompt.missed, 0u) << text;
    EXPECT_EQ(prompt.complete, prompt.events) << text;
    if (c.dead == 0) EXPECT_LT(prompt.packets_sent, PacketsMax(c, prompt)) << text;
    EXPECT_LT(ToSeconds(prompt.median), 0.002 + pause / 2) << text;
    // Two waves in a row may be more than the burst of packets.
    const double budget = (c.nodes - 1) / static_cast<double>(lan.gossip_packets_per_second);
    EXPECT_LT(ToSeconds(prompt.p99), 0.003 + std::max(pause, budget)) << text;
  }
}

// Beyond kTellAllMax members, each passes the news on to three.
TEST(News, InALargeClusterNewsGoFromHopToHop) {
  const Case c{200, 0, 50, 0};
  const NewsFigures prompt = Measure(c, GossipPacing::kPrompt);
  const std::string text = Tell(c, GossipPacing::kPrompt, prompt);
  EXPECT_EQ(prompt.missed, 0u) << text;
  EXPECT_LT(prompt.median, milliseconds(20)) << text;
  EXPECT_LT(prompt.p99, milliseconds(30)) << text;
  EXPECT_LT(prompt.packets_sent, 3 * 50 + 15 + prompt.bytes_sent / 1000) << text;
}

// Nodes notice that packets get lost, and then who hears of news passes them on, too.
TEST(News, WherePacketsGetLostAllPassNewsOn) {
  for (const Case& c : {Case{20, 0, 10, 0.05}, Case{20, 0, 100, 0.05}, Case{100, 0, 10, 0.05}}) {
    const NewsFigures prompt = Measure(c, GossipPacing::kPrompt, NewsProbes::kSteady);
    const std::string text = Tell(c, GossipPacing::kPrompt, prompt);
    EXPECT_EQ(prompt.missed, 0u) << text;
    EXPECT_LT(prompt.median, milliseconds(25)) << text;
    EXPECT_LT(prompt.p99, milliseconds(300)) << text;
  }
}

TEST(News, PromptGossipIsNeverSlowerThanTicks) {
  for (const Case& c :
       {Case{20, 0, 1, 0.05}, Case{20, 0.1, 10, 0}, Case{20, 0.3, 10, 0}, Case{20, 0.6, 10, 0},
        Case{100, 0.3, 10, 0}, Case{100, 0.6, 10, 0}, Case{200, 0.3, 10, 0}}) {
    const NewsFigures prompt =
        Measure(c, GossipPacing::kPrompt, c.loss > 0 ? NewsProbes::kSteady : NewsProbes::kNone);
    const NewsFigures ticked = Measure(c, GossipPacing::kTicked);
    EXPECT_LT(prompt.median, ticked.median) << Tell(c, GossipPacing::kPrompt, prompt);
    EXPECT_LE(prompt.p99, ticked.p99) << Tell(c, GossipPacing::kPrompt, prompt);
    // Each node sends each message as often with both. Besides there are the waves to all, of 75
    // bytes, and pings.
    const double waves = c.per_second * 75 / (1 - c.dead);
    EXPECT_LT(prompt.bytes_sent, ticked.bytes_sent * 1.1 + 20 * c.per_second + waves + 300);
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
