#include "serf/swim/gossip_pacer.h"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <tuple>

#include "gtest/gtest.h"
#include "serf/base/rng.h"
#include "serf/base/time.h"
#include "serf/swim/broadcast_queue.h"
#include "serf/swim/config.h"

namespace serf::swim {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr BroadcastsWaiting kFresh{.messages = 1, .fresh = 1};
constexpr BroadcastsWaiting kRepeats{.messages = 1, .fresh = 0};
constexpr BroadcastsWaiting kBoth{.messages = 2, .fresh = 1};

GossipPacer::Options Prompt() {
  return {.pacing = GossipPacing::kPrompt,
          .gossip_interval = milliseconds(200),
          .prompt_interval = milliseconds(10),
          .bytes_per_second = 2'000'000,
          .packets_per_second = 500};
}
constexpr Instant kStart{seconds(1000)};

TEST(GossipPacer, TickedFollowsTheOriginal) {
  Rng rng(1);
  GossipPacer pacer({GossipPacing::kTicked, milliseconds(200), milliseconds(10), 0, 0});
  pacer.Start(kStart);
  EXPECT_EQ(pacer.deadline(), kNever);
  pacer.Wake(kStart + milliseconds(30), kFresh);
  EXPECT_EQ(pacer.round_at(), kStart + milliseconds(200));
  EXPECT_EQ(pacer.wave_at(), kNever);
  pacer.Wake(kStart + milliseconds(70), kFresh);
  EXPECT_EQ(pacer.deadline(), kStart + milliseconds(200));
  pacer.OnRound(kStart + milliseconds(201), {.bytes = 1400, .packets = 1, .full = true}, true, rng);
  EXPECT_EQ(pacer.deadline(), kStart + milliseconds(400));
  pacer.OnRound(kStart + milliseconds(400), {.bytes = 100, .packets = 1}, false, rng);
  EXPECT_EQ(pacer.deadline(), kNever);
  pacer.Wake(kStart + milliseconds(1000), kFresh);
  EXPECT_EQ(pacer.deadline(), kStart + milliseconds(1200)) << "a tick that is now is over";
}

TEST(GossipPacer, ZeroIntervalNeverGossips) {
  GossipPacer pacer({GossipPacing::kPrompt, Duration::zero(), milliseconds(10), 0, 0});
  pacer.Start(kStart);
  pacer.Wake(kStart, kBoth);
  EXPECT_EQ(pacer.deadline(), kNever);
}

TEST(GossipPacer, FreshMessagesLeaveAtOnceAndRepeatsAtTheTick) {
  Rng rng(1);
  GossipPacer pacer(Prompt());
  pacer.Start(kStart);
  const Instant now = kStart + milliseconds(30);
  pacer.Wake(now, {});
  EXPECT_EQ(pacer.deadline(), kNever);
  pacer.Wake(now, kFresh);
  EXPECT_EQ(pacer.wave_at(), now);
  EXPECT_EQ(pacer.round_at(), kNever);
  pacer.OnWave(now + milliseconds(1), {.bytes = 300, .packets = 3}, false);
  EXPECT_EQ(pacer.wave_at(), kNever);
  pacer.Wake(now + milliseconds(1), kRepeats);
  EXPECT_EQ(pacer.wave_at(), kNever);
  EXPECT_EQ(pacer.round_at(), kStart + milliseconds(200));
  pacer.OnRound(kStart + milliseconds(200), {.bytes = 300, .packets = 3}, true, rng);
  EXPECT_EQ(pacer.round_at(), kStart + milliseconds(400));
  pacer.OnRound(kStart + milliseconds(400), {.bytes = 300, .packets = 3}, false, rng);
  EXPECT_EQ(pacer.deadline(), kNever);
}

TEST(GossipPacer, WavesAreAPauseApart) {
  GossipPacer pacer(Prompt());
  pacer.Start(kStart);
  Instant now = kStart;
  for (int i = 0; i < 100; ++i) {
    pacer.Wake(now, kFresh);
    if (i > 0) {
      EXPECT_EQ(pacer.wave_at(), now + milliseconds(10));
    }
    now = pacer.wave_at();
    pacer.OnWave(now, {.bytes = 300, .packets = 1}, false);
  }
  EXPECT_EQ(pacer.held_back(), 0u);
}

// A wave that its receivers pass on is followed sooner.
TEST(GossipPacer, ThePauseIsAQuarterAfterAWaveToSomeAndASixteenthAfterFullPackets) {
  for (const auto& [relayed, full, part] :
       {std::tuple{false, false, 1}, std::tuple{true, false, 4}, std::tuple{true, true, 16},
        std::tuple{false, true, 16}}) {
    GossipPacer pacer(Prompt());
    pacer.Start(kStart);
    pacer.OnWave(kStart, {.bytes = 300, .packets = 3, .full = full}, relayed);
    pacer.Wake(kStart, kFresh);
    EXPECT_EQ(pacer.wave_at(), kStart + Duration(milliseconds(10)) / part);
  }
}

// With 500 packets a second and a burst of 64, a node of a cluster of twenty tells all 26 times a
// second.
TEST(GossipPacer, AWaveToAllWaitsUntilItsPacketsAreThere) {
  GossipPacer pacer(Prompt());
  pacer.Start(kStart);
  constexpr BroadcastsWaiting kOwn{.messages = 1, .fresh = 1, .to_all = 1, .to_all_bytes = 40};
  int waves = 0;
  for (Instant now = kStart; now < kStart + seconds(10); ++waves) {
    pacer.OnWave(now, {.bytes = 19 * 60, .packets = 19}, false);
    pacer.Wake(now, kOwn, 19);
    now = pacer.wave_at();
  }
  EXPECT_GE(waves, 260);
  EXPECT_LE(waves, 270);
  // One that costs more than the burst waits for the burst.
  GossipPacer wide(Prompt());
  wide.Start(kStart);
  wide.OnWave(kStart, {.bytes = 9000, .packets = 100}, false);
  wide.Wake(kStart, kOwn, 100);
  EXPECT_EQ(wide.wave_at(), kStart + milliseconds(200));
}

TEST(GossipPacer, AWaveToAllIsWithinTheBurst) {
  const GossipPacer pacer(Prompt());
  EXPECT_TRUE(pacer.BurstHolds(64));
  EXPECT_FALSE(pacer.BurstHolds(65));
  GossipPacer::Options options = Prompt();
  options.packets_per_second = swim::Config::Lan().gossip_packets_per_second;
  EXPECT_TRUE(GossipPacer(options).BurstHolds(kTellAllMax));
  options.packets_per_second = 0;
  EXPECT_TRUE(GossipPacer(options).BurstHolds(1'000'000));
}

TEST(GossipPacer, WhatTakesLongerThanHalfASecondIsPassedOn) {
  GossipPacer pacer(Prompt());
  EXPECT_TRUE(pacer.Affords(1'000'000));
  EXPECT_FALSE(pacer.Affords(1'000'001));
  GossipPacer::Options options = Prompt();
  options.bytes_per_second = 0;
  EXPECT_TRUE(GossipPacer(options).Affords(1'000'000'000));
}

struct Load {
  const char* name;
  Duration every;     // news arrive
  std::size_t bytes;  // that a wave sends
  std::size_t packets;
  bool full;
  std::uint64_t waves_min, waves_max;  // in ten seconds
};

// How often news leave, by their rate and size. Ticks continue whatever happens.
TEST(GossipPacer, TheBudgetHoldsAtEveryRate) {
  constexpr Load kLoads[] = {
      {"10/s: each by itself", milliseconds(100), 300, 3, false, 99, 100},
      {"100/s: so, too", milliseconds(10), 300, 3, false, 980, 1000},
      {"1,000/s: together", milliseconds(1), 1000, 3, false, 980, 1000},
      {"many members: as many packets as the budget allows", milliseconds(1), 1000, 9, false, 555,
       570},
      {"full packets: the bytes decide", milliseconds(1), 16'800, 12, true, 1180, 1210},
  };
  for (const Load& load : kLoads) {
    Rng rng(1);
    GossipPacer pacer(Prompt());
    pacer.Start(kStart);
    std::uint64_t waves = 0;
    std::uint64_t ticks = 0;
    Duration longest{};
    Instant last_tick = kStart;
    Instant news = kStart;
    const Instant end = kStart + seconds(10);
    bool fresh = false;
    for (Instant now = kStart; now < end; now = std::min(news, pacer.deadline())) {
      if (now >= news) {
        fresh = true;
        news += load.every;
      }
      if (now >= pacer.wave_at()) {
        pacer.OnWave(now, {.bytes = load.bytes, .packets = load.packets, .full = load.full}, false);
        fresh = false;
        ++waves;
      }
      if (now >= pacer.round_at()) {
        pacer.OnRound(now, {.bytes = 4200, .packets = 3}, true, rng);
        longest = std::max(longest, Duration(now - last_tick));
        last_tick = now;
        ++ticks;
      }
      pacer.Wake(now, fresh ? kBoth : kRepeats);
    }
    EXPECT_GE(waves, load.waves_min) << load.name;
    EXPECT_LE(waves, load.waves_max) << load.name;
    EXPECT_GE(ticks, 49u) << load.name;
    EXPECT_LE(longest, milliseconds(200)) << load.name;
  }
}

// Gossip is prompt again after a flood.
TEST(GossipPacer, AFloodIsForgottenWithinTheBurst) {
  GossipPacer pacer(Prompt());
  pacer.Start(kStart);
  Instant now = kStart;
  for (int i = 0; i < 1000; ++i) {
    pacer.Wake(now, kFresh);
    now = pacer.wave_at();
    pacer.OnWave(now, {.bytes = 16'800, .packets = 12, .full = true}, false);
  }
  EXPECT_GT(pacer.held_back(), 900u);
  now += milliseconds(10);
  pacer.Wake(now, kFresh);
  EXPECT_EQ(pacer.wave_at(), now);
}

TEST(GossipPacer, FullRoundsFollowEachOtherWhileBytesAreLeft) {
  Rng rng(1);
  GossipPacer pacer(Prompt());
  pacer.Start(kStart);
  pacer.Wake(kStart, kRepeats);
  std::uint64_t bytes = 0;
  int rounds = 0;
  while (pacer.deadline() < kStart + seconds(10)) {
    const Instant now = pacer.deadline();
    pacer.OnRound(now, {.bytes = 60'000, .packets = 45, .full = true}, true, rng);
    EXPECT_LE(pacer.deadline(), now + milliseconds(200));
    bytes += 60'000;
    ++rounds;
  }
  EXPECT_LE(bytes, 20'800'000u) << "the budget, and ticks that do not ask";
  EXPECT_GE(bytes, 19'000'000u);
  EXPECT_GE(rounds, 300);
}

// Rounds at the ticks may need more than the budget, but news owe at most a burst for it.
TEST(GossipPacer, RoundsAboveASmallBudgetDelayNoNews) {
  Rng rng(1);
  GossipPacer::Options options = Prompt();
  options.bytes_per_second = 10'000;
  GossipPacer pacer(options);
  pacer.Start(kStart);
  pacer.Wake(kStart, kRepeats);
  Instant now = kStart;
  while (now < kStart + seconds(60)) {
    now = pacer.round_at();
    pacer.OnRound(now, {.bytes = 16'800, .packets = 12, .full = true}, true, rng);
  }
  pacer.Wake(now, kBoth);
  EXPECT_EQ(pacer.wave_at(), now);
}

// Waves leave nothing for repeats but the ticks.
TEST(GossipPacer, NewsGoBeforeRepeats) {
  Rng rng(1);
  GossipPacer pacer(Prompt());
  pacer.Start(kStart);
  pacer.Wake(kStart, kBoth);
  std::uint64_t wave_bytes = 0;
  int rounds = 0;
  while (pacer.deadline() < kStart + seconds(10)) {
    const Instant now = pacer.deadline();
    if (now >= pacer.wave_at()) {
      pacer.OnWave(now, {.bytes = 16'800, .packets = 12, .full = true}, false);
      wave_bytes += 16'800;
    } else {
      pacer.OnRound(now, {.bytes = 4200, .packets = 3, .full = true}, true, rng);
      ++rounds;
    }
    pacer.Wake(now, kBoth);
  }
  EXPECT_GE(wave_bytes, 19'500'000u);
  EXPECT_LE(rounds, 55);
  EXPECT_GE(rounds, 48);
}

}  // namespace
}  // namespace serf::swim
