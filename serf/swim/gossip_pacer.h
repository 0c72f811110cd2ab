// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_SWIM_GOSSIP_PACER_H_
#define SERF_SWIM_GOSSIP_PACER_H_

// GossipPacer: when gossip leaves, as a pure machine.
//
// kTicked is what Go Serf does: a round at each multiple of the gossip interval while messages
// wait. kPrompt has two kinds of transmissions (docs/decisions/0003-prompt-gossip.md). Fresh
// messages leave in a wave at once, or `prompt_interval` after the wave before, and within a budget
// of bytes and packets. Repeats leave in rounds at Go Serf's
// ticks, whatever the budget says; a round whose packets were full is followed by another one
// before the next tick, as far as waves leave bytes for it.

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "serf/base/rng.h"
#include "serf/base/time.h"
#include "serf/swim/broadcast_queue.h"
#include "serf/swim/config.h"

namespace serf::swim {

class GossipPacer {
 public:
  struct Options {
    GossipPacing pacing = GossipPacing::kPrompt;
    Duration gossip_interval{};  // zero: never
    Duration prompt_interval{};
    std::uint64_t bytes_per_second = 0;    // zero: no limit
    std::uint64_t packets_per_second = 0;  // zero: no limit
  };

  // After a wave that its receivers pass on, the next one waits for this part of `prompt_interval`
  // only, since each of its hops waits. So do rounds between two ticks.
  static constexpr int kRelayedPart = 4;

  // What a wave or a round has sent.
  struct Sent {
    std::size_t bytes = 0;
    std::size_t packets = 0;
    bool full = false;  // its packets could not hold all waiting messages
  };

  explicit GossipPacer(const Options& options) : options_(options) {}

  // Ticks count from here.
  void Start(Instant now) { start_ = bytes_back_ = packets_back_ = now; }

  // Messages wait in a queue. `packets`: to how many members the next wave goes. Cheap; call it
  // after each input that may have queued one.
  void Wake(Instant now, const BroadcastsWaiting& waiting, std::size_t packets = 1);

  // Whether the budget allows so many bytes within kHeldBackMax.
  bool Affords(std::size_t bytes) const {
    return options_.bytes_per_second == 0 ||
           CostOf(bytes, options_.bytes_per_second) <= kHeldBackMax;
  }

  // Whether the burst holds a wave of so many packets. Beyond it, each wave would make the next one
  // wait for longer than news take from hop to hop.
  bool BurstHolds(std::size_t packets) const {
    return options_.packets_per_second == 0 ||
           CostOf(packets, options_.packets_per_second) <= kBurst;
  }

  // When the next wave and the next round of repeats are due; kNever while nothing waits.
  Instant wave_at() const { return wave_at_; }
  Instant round_at() const { return round_at_; }
  Instant deadline() const { return std::min(wave_at_, round_at_); }

  // The wave that was due is done. `relayed`: its receivers pass it on. Wake() says whether another
  // one follows.
  void OnWave(Instant now, const Sent& sent, bool relayed);
  // The round that was due is done. `repeats`: messages still wait for another one.
  void OnRound(Instant now, const Sent& sent, bool repeats, Rng& rng);

  // Waves that had to wait for the budget.
  std::uint64_t held_back() const { return held_back_; }

 private:
  // How much may be sent at once beyond the budget: with the default of 1,000 packets a second, a
  // wave to kTellAllMax members.
  static constexpr Duration kBurst = std::chrono::milliseconds(128);
  // How long a wave to all members may take: longer, and other members pass it on sooner.
  static constexpr Duration kHeldBackMax = std::chrono::milliseconds(500);
  // Waiting fills no full packet more. Yet after a wave of full packets the next one waits for this
  // part of `prompt_interval`, so that receivers can keep up.
  static constexpr int kFullWavePart = 16;

  Instant NextTick(Instant now) const {
    return start_ + ((now - start_) / options_.gossip_interval + 1) * options_.gossip_interval;
  }
  static Duration CostOf(std::size_t amount, std::uint64_t per_second) {
    const auto cost = static_cast<double>(amount) * 1e9 / static_cast<double>(per_second);
    return Duration(static_cast<Duration::rep>(cost));
  }
  static void Spend(Instant now, std::size_t amount, std::uint64_t per_second, Instant& back) {
    if (per_second > 0) back = std::max(back, now) + CostOf(amount, per_second);
  }

  Options options_;
  Instant start_{};
  Instant wave_at_ = kNever;
  Instant round_at_ = kNever;
  Instant next_wave_{};     // not before, because of the last wave
  Instant bytes_back_{};    // when all bytes sent are within the budget
  Instant packets_back_{};  // the same of packets that were not full
  std::uint64_t held_back_ = 0;
};

inline void GossipPacer::Wake(Instant now, const BroadcastsWaiting& waiting, std::size_t packets) {
  if (options_.gossip_interval <= Duration::zero() || waiting.messages == 0) return;
  if (options_.pacing == GossipPacing::kTicked) {
    if (round_at_ == kNever) round_at_ = NextTick(now);
    return;
  }
  if (waiting.fresh > 0 && wave_at_ == kNever) {
    Instant packets_paid = packets_back_;
    if (options_.packets_per_second > 0) {
      packets_paid += std::min(kBurst, CostOf(packets, options_.packets_per_second));
    }
    const Instant budget = std::max(bytes_back_, packets_paid) - kBurst;
    wave_at_ = std::max({now, next_wave_, budget});
    if (budget == wave_at_) ++held_back_;
  }
  if (waiting.messages > waiting.fresh && round_at_ == kNever) round_at_ = NextTick(now);
}

inline void GossipPacer::OnWave(Instant now, const Sent& sent, bool relayed) {
  wave_at_ = kNever;
  next_wave_ = now + options_.prompt_interval / (sent.full ? kFullWavePart
                                                 : relayed ? kRelayedPart
                                                           : 1);
  Spend(now, sent.bytes, options_.bytes_per_second, bytes_back_);
  // Waiting would not fill full packets more, so only the bytes of those count.
  if (!sent.full) Spend(now, sent.packets, options_.packets_per_second, packets_back_);
  // A round between two ticks waits on; one that is due does not.
  if (round_at_ > now && round_at_ != kNever) {
    round_at_ = std::min(NextTick(now), std::max(round_at_, bytes_back_));
  }
}

inline void GossipPacer::OnRound(Instant now, const Sent& sent, bool repeats, Rng& rng) {
  round_at_ = repeats ? NextTick(now) : kNever;
  if (options_.pacing == GossipPacing::kTicked) return;
  const Instant news_wait_until = std::max(bytes_back_, now + kBurst);
  Spend(now, sent.bytes, options_.bytes_per_second, bytes_back_);
  // Repeats never delay news, also if the ticks alone use up more than the budget.
  const Instant paid = std::exchange(bytes_back_, std::min(bytes_back_, news_wait_until));
  if (!repeats || !sent.full) return;
  // Repeats have no part in the burst: waves go first.
  const Duration pause = options_.prompt_interval / kRelayedPart;
  const Instant next = now + pause - pause / 3 + rng.Below(2 * pause / 3);
  round_at_ = std::min(round_at_, std::max(next, paid));
}

}  // namespace serf::swim

#endif  // SERF_SWIM_GOSSIP_PACER_H_
