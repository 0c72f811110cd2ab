#include "serf/swim/gossip_pacer.h"

#include <chrono>
#include <cstdint>

#include "gtest/gtest.h"
#include "serf/base/rng.h"
#include "serf/base/time.h"
#include "serf/swim/config.h"

namespace serf::swim {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

GossipPacer::Options Prompt() {
  return {GossipPacing::kPrompt, milliseconds(200), milliseconds(15), 2'000'000};
}
constexpr Instant kStart{seconds(1000)};

TEST(GossipPacer, TickedFollowsTheOriginal) {
  Rng rng(1);
  GossipPacer pacer({GossipPacing::kTicked, milliseconds(200), milliseconds(15), 0});
  pacer.Start(kStart);
  EXPECT_EQ(pacer.deadline(), kNever);
  pacer.Wake(kStart + milliseconds(30), rng);
  EXPECT_EQ(pacer.deadline(), kStart + milliseconds(200));
  pacer.Wake(kStart + milliseconds(70), rng);
  EXPECT_EQ(pacer.deadline(), kStart + milliseconds(200));
  pacer.OnRound(kStart + milliseconds(201), {.bytes = 100, .backlog = true}, rng);
  EXPECT_EQ(pacer.deadline(), kStart + milliseconds(400));
  pacer.OnRound(kStart + milliseconds(400), {.bytes = 100}, rng);
  EXPECT_EQ(pacer.deadline(), kNever);
  pacer.Wake(kStart + milliseconds(1000), rng);
  EXPECT_EQ(pacer.deadline(), kStart + milliseconds(1200)) << "a tick that is now is over";
}

TEST(GossipPacer, ZeroIntervalNeverGossips) {
  Rng rng(1);
  GossipPacer pacer({GossipPacing::kPrompt, Duration::zero(), milliseconds(15), 0});
  pacer.Start(kStart);
  pacer.Wake(kStart, rng);
  EXPECT_EQ(pacer.deadline(), kNever);
}

TEST(GossipPacer, PromptIsAtOnceThenPaced) {
  Rng rng(1);
  GossipPacer pacer(Prompt());
  pacer.Start(kStart);
  pacer.Wake(kStart, rng);
  EXPECT_LT(pacer.deadline(), kStart + milliseconds(2));
  Instant now = pacer.deadline();
  for (int i = 0; i < 6; ++i) {
    pacer.OnRound(now, {.bytes = 300, .backlog = true}, rng);
    EXPECT_GE(pacer.deadline(), now + milliseconds(10));
    EXPECT_LE(pacer.deadline(), now + milliseconds(20));
    now = pacer.deadline();
  }
  pacer.OnRound(now, {.bytes = 300}, rng);
  EXPECT_EQ(pacer.deadline(), kNever);
}

// However long the churn lasts, there are no more rounds of half-filled packets than in Go Serf.
TEST(GossipPacer, ChurnIsNoStorm) {
  Rng rng(1);
  GossipPacer pacer(Prompt());
  pacer.Start(kStart);
  pacer.Wake(kStart, rng);
  int rounds = 0;
  Instant now = kStart;
  while (pacer.deadline() < kStart + seconds(60)) {
    now = pacer.deadline();
    pacer.OnRound(now, {.bytes = 900, .backlog = true}, rng);
    ++rounds;
  }
  EXPECT_LE(rounds, 60 * 5 + 12);
  EXPECT_GE(rounds, 60 * 5);
  // Gossip is prompt again after a calm.
  pacer.OnRound(now, {.bytes = 900}, rng);
  now += seconds(10);
  pacer.Wake(now, rng);
  EXPECT_LT(pacer.deadline(), now + milliseconds(2));
}

TEST(GossipPacer, FullPacketsGoAsFastAsTheRateAllows) {
  Rng rng(1);
  GossipPacer pacer(Prompt());
  pacer.Start(kStart);
  pacer.Wake(kStart, rng);
  std::uint64_t bytes = 0;
  while (pacer.deadline() < kStart + seconds(10)) {
    bytes += 60'000;
    pacer.OnRound(pacer.deadline(), {.bytes = 60'000, .full = true, .backlog = true}, rng);
  }
  EXPECT_LE(bytes, 20'400'000u);
  EXPECT_GE(bytes, 19'000'000u);
}

}  // namespace
}  // namespace serf::swim
