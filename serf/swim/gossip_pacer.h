// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_SWIM_GOSSIP_PACER_H_
#define SERF_SWIM_GOSSIP_PACER_H_

// GossipPacer: when the next round of gossip is due, as a pure machine.
//
// kTicked is what Go Serf does: a round at each multiple of the gossip interval while messages
// wait. kPrompt sends the first round at once when the queue turns non-empty, and the next ones
// about `prompt_interval` apart, so that a message spreads in tens of milliseconds. A round of
// packets that are not full costs a credit; credits come back at Go Serf's rate, one per gossip
// interval. So a quiet cluster is prompt, and a busy one sends no more packets than Go Serf and
// fills them as well. Rounds of full packets cost no credits, since waiting would not fill them
// more; bytes_per_second limits them.

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>

#include "serf/base/rng.h"
#include "serf/base/time.h"
#include "serf/swim/config.h"

namespace serf::swim {

class GossipPacer {
 public:
  struct Options {
    GossipPacing pacing = GossipPacing::kPrompt;
    Duration gossip_interval{};  // zero: never
    Duration prompt_interval{};
    std::uint64_t bytes_per_second = 0;  // zero: no limit
  };

  // What a round has sent.
  struct Round {
    std::size_t bytes = 0;
    bool full = false;     // its packets could not hold all waiting messages
    bool backlog = false;  // messages still wait, and there is a node to send them to
  };

  explicit GossipPacer(const Options& options) : options_(options) {}

  // Ticks count from here.
  void Start(Instant now) { start_ = credits_back_ = bytes_back_ = now; }

  // A message waits in a queue. Cheap; call it after each input that may have queued one.
  void Wake(Instant now, Rng& rng);

  // When the next round is due; kNever while nothing waits.
  Instant deadline() const { return deadline_; }

  // The round that was due is done.
  void OnRound(Instant now, const Round& round, Rng& rng);

 private:
  // The most prompt rounds in a row: a message takes 7 in a cluster of 10,000 (20 transmissions, 3
  // a round), and half as many again for messages that arrive meanwhile.
  static constexpr int kPromptRounds = 11;
  // How much may be sent at once beyond the rate.
  static constexpr Duration kByteBurst = std::chrono::milliseconds(100);

  // Uniform within a third of `prompt_interval` around it.
  Duration Jittered(Rng& rng) const {
    const Duration third = options_.prompt_interval / 3;
    return options_.prompt_interval - third + rng.Below(2 * third);
  }
  Instant NextTick(Instant now) const {
    return start_ + ((now - start_) / options_.gossip_interval + 1) * options_.gossip_interval;
  }
  // The wanted instant, or later if credits and bytes do not allow it yet.
  Instant Allowed(Instant wanted) const {
    const Instant credits = credits_back_ - (kPromptRounds - 1) * options_.gossip_interval;
    return std::max({wanted, credits, bytes_back_ - kByteBurst});
  }

  Options options_;
  Instant start_{};
  Instant deadline_ = kNever;
  Instant credits_back_{};  // when all credits will be back
  Instant bytes_back_{};    // when all bytes sent are within the rate
};

inline void GossipPacer::Wake(Instant now, Rng& rng) {
  if (deadline_ != kNever || options_.gossip_interval <= Duration::zero()) return;
  if (options_.pacing == GossipPacing::kTicked) {
    deadline_ = NextTick(now);
    return;
  }
  // A few milliseconds at most, so that messages which arrive together leave together.
  deadline_ = Allowed(now + rng.Below(options_.prompt_interval / 8));
}

inline void GossipPacer::OnRound(Instant now, const Round& round, Rng& rng) {
  deadline_ = kNever;
  if (options_.pacing == GossipPacing::kTicked) {
    if (round.backlog) deadline_ = NextTick(now);
    return;
  }
  if (round.bytes > 0 && !round.full) {
    credits_back_ = std::max(credits_back_, now) + options_.gossip_interval;
  }
  if (options_.bytes_per_second > 0) {
    const auto cost =
        static_cast<double>(round.bytes) * 1e9 / static_cast<double>(options_.bytes_per_second);
    bytes_back_ = std::max(bytes_back_, now) + Duration(static_cast<Duration::rep>(cost));
  }
  if (round.backlog) deadline_ = Allowed(now + Jittered(rng));
}

}  // namespace serf::swim

#endif  // SERF_SWIM_GOSSIP_PACER_H_
