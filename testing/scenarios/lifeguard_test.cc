// A part of the Lifeguard experiments: agents that stand still are detected, sooner with the
// shorter suspicions of prompt members than with Go Serf's rules, and for no more false failures.

#include "serf/testing/scenarios/lifeguard.h"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <optional>
#include <vector>

#include "gtest/gtest.h"
#include "serf/base/time.h"
#include "serf/config.h"
#include "serf/swim/config.h"

namespace serf::testkit {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using swim::GossipPacing;

Config With(GossipPacing pacing) {
  Config config = Config::Lan();
  config.swim.gossip_pacing = pacing;
  config.swim.enable_compression = false;
  return config;
}

Duration Median(std::vector<Duration> times) {
  std::sort(times.begin(), times.end());
  return times.empty() ? Duration::max() : times[times.size() / 2];
}

// A kill among 20 agents, for which standing still for long will do.
LifeguardFigures Kills(const Config& config) {
  LifeguardFigures all;
  for (std::uint64_t seed = 1; seed <= 25; ++seed) {
    LifeguardRun run(
        config, {.agents = 20, .anomalous = 1, .acquaintance = seconds(20), .stand = seconds(60)},
        seed);
    const std::optional<LifeguardFigures> figures = run.Threshold();
    EXPECT_TRUE(figures.has_value());
    if (figures) all.Add(*figures);
  }
  return all;
}

TEST(Lifeguard, AKillAmongTwentyIsKnownSoonerThanToGoSerf) {
  const LifeguardFigures prompt = Kills(With(GossipPacing::kPrompt));
  const LifeguardFigures ticked = Kills(With(GossipPacing::kTicked));
  std::printf("known to all: prompt %.2f s, ticked %.2f s\n", ToSeconds(Median(prompt.full)),
              ToSeconds(Median(ticked.full)));
  EXPECT_EQ(prompt.full.size(), 25u);
  EXPECT_EQ(ticked.full.size(), 25u);
  EXPECT_LE(ToSeconds(Median(prompt.full)), 0.62 * ToSeconds(Median(ticked.full)));
  EXPECT_EQ(prompt.false_failures, 0u);
  EXPECT_EQ(ticked.false_failures, 0u);
}

LifeguardFigures InTurn(const Config& config) {
  LifeguardFigures all;
  for (const Duration run_time : {milliseconds(1), milliseconds(256)}) {
    LifeguardRun run(config,
                     {.agents = 64,
                      .anomalous = 8,
                      .acquaintance = seconds(64),
                      .stand = seconds(2),
                      .run = run_time},
                     /*seed=*/1);
    const std::optional<LifeguardFigures> figures = run.Interval();
    EXPECT_TRUE(figures.has_value());
    if (figures) all.Add(*figures);
  }
  return all;
}

TEST(Lifeguard, AgentsThatStandStillInTurnReportNobodyAtHealthyAgents) {
  EXPECT_EQ(InTurn(With(GossipPacing::kPrompt)).false_failures_at_healthy, 0u);
}

// An agent that stood still hears what others have to say before it reports anybody.
TEST(Lifeguard, AgentsThatStandStillReportNobodyThemselves) {
  Config config = With(GossipPacing::kPrompt);
  EXPECT_EQ(InTurn(config).false_failures, 0u);
  config.swim.postpone_after_standstill = false;
  EXPECT_GT(InTurn(config).false_failures, 0u);
}

// The experiment is not idle: the rules of SWIM alone, with a short suspicion, report failures.
TEST(Lifeguard, WithoutLifeguardThereAreFalseFailures) {
  Config swim = With(GossipPacing::kTicked);
  swim.swim.suspicion_mult = 2;
  swim.swim.suspicion_max_timeout_mult = 1;
  swim.swim.awareness_max_multiplier = 1;
  EXPECT_GT(InTurn(swim).false_failures, 0u);
}

}  // namespace
}  // namespace serf::testkit
