// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_SWIM_GOSSIPER_H_
#define SERF_SWIM_GOSSIPER_H_

// Gossiper: sends waiting messages to some members when its pacer says so. Source:
// docs/protocol/membership.md 6.2.

#include <algorithm>
#include <cstddef>
#include <vector>

#include "serf/base/portion.h"
#include "serf/base/time.h"
#include "serf/swim/config.h"
#include "serf/swim/gossip_pacer.h"
#include "serf/swim/gossip_targets.h"
#include "serf/swim/member_table.h"
#include "serf/swim/membership.h"
#include "serf/swim/node_context.h"
#include "serf/swim/node_info.h"
#include "serf/swim/outbox.h"
#include "serf/swim/packet_sender.h"

namespace serf::swim {

class Gossiper {
 public:
  Gossiper(NodeContext& context, Membership& membership, PacketSender& sender)
      : context_(context),
        membership_(membership),
        sender_(sender),
        pacer_({.pacing = context.config.gossip_pacing,
                .gossip_interval = context.config.gossip_nodes > 0 ? context.config.gossip_interval
                                                                   : Duration::zero(),
                .prompt_interval = context.config.prompt_interval,
                .bytes_per_second = context.config.gossip_bytes_per_second,
                .packets_per_second = context.config.gossip_packets_per_second}) {}

  void Start(Instant now) { pacer_.Start(now); }

  // A message may have been queued.
  void Wake(Instant now);

  Instant NextDeadline() const { return std::min(pacer_.deadline(), retry_at_); }
  void OnTimer(Instant now, Outbox& out);

  // Waves that were later than wanted, because the budget was used up.
  std::uint64_t held_back() const { return pacer_.held_back(); }

 private:
  // A wave has reached everybody after so many prompt intervals: in a cluster of 1,000 it takes
  // nine hops.
  static constexpr int kWaveIntervals = 10;

  BroadcastsWaiting Waiting() const {
    return membership_.queue().waiting() + context_.delegate.QueuedBroadcasts();
  }

  // Sends fresh messages to the members at the first places.
  void SendWave(Instant now, Outbox& out);
  // Sends messages to the next targets of the walk.
  void SendRound(Instant now, Outbox& out);

  NodeContext& context_;
  Membership& membership_;
  PacketSender& sender_;
  GossipPacer pacer_;
  std::vector<GossipTargets::Target> targets_;
  // How many fresh messages waited when a wave could send none, because they fit no packet: until
  // `retry_at_` only further messages are worth a wave.
  std::size_t stuck_ = 0;
  Instant retry_at_ = kNever;
};

inline void Gossiper::Wake(Instant now) {
  BroadcastsWaiting waiting = Waiting();
  if (waiting.messages == 0) return;
  if (retry_at_ != kNever && waiting.fresh == stuck_) {
    waiting = {.messages = waiting.messages - waiting.fresh};
  }
  if (membership_.has_gossip_targets(now)) pacer_.Wake(now, waiting);
}

inline void Gossiper::OnTimer(Instant now, Outbox& out) {
  if (now >= retry_at_) retry_at_ = kNever;
  if (now < pacer_.deadline()) return;
  Portion portion;
  const auto eligible = [&](MemberIndex m) { return membership_.is_gossip_target(now, m); };
  // Until the targets are known the wave or round stays due.
  if (!membership_.targets().Update(membership_.transmit_limit(), portion, eligible)) return;
  if (now >= pacer_.wave_at()) SendWave(now, out);
  if (now >= pacer_.round_at()) SendRound(now, out);
}

inline void Gossiper::SendWave(Instant now, Outbox& out) {
  const Config& config = context_.config;
  ++context_.counters.gossip_waves;
  GossipTargets& targets = membership_.targets();
  const int count = std::min(WaveTargets(config.gossip_nodes, context_.probe_history.missed()),
                             std::max(membership_.transmit_limit(), 1));
  const auto lives = [&](MemberIndex m) {
    return membership_.table().state(m) == NodeState::kAlive;
  };
  targets.Wave(
      now, static_cast<std::size_t>(count), targets_,
      [&](MemberIndex m) { return membership_.is_gossip_target(now, m); }, lives);
  if (targets_.empty()) membership_.OnNoGossipTargets();
  BroadcastQueue::Packet packet{.places = targets.places(), .wave_at = now};
  std::size_t living = 0;
  for (const GossipTargets::Target& target : targets_) {
    packet.wave |= std::uint32_t{1} << target.place;
    living += lives(target.member) ? 1 : 0;
  }
  // A node that leaves is not among the living.
  const std::size_t self = lives(membership_.self()) ? 1 : 0;
  packet.everybody =
      living + self >= membership_.table().live() && context_.probe_history.missed() == 0;
  const GossipPacer::Sent sent = sender_.SendWave(targets_, packet, out);
  const std::size_t fresh = Waiting().fresh;
  if (fresh > 0 && sent.bytes == 0) {
    stuck_ = fresh;
    retry_at_ = now + config.gossip_interval;
  }
  pacer_.OnWave(now, sent);
}

inline void Gossiper::SendRound(Instant now, Outbox& out) {
  const Config& config = context_.config;
  ++context_.counters.gossip_rounds;
  const bool ticked = config.gossip_pacing == GossipPacing::kTicked;
  const int packets_max = ticked ? 1 : std::max(config.prompt_packets_per_target / 4, 1);
  BroadcastQueue::Packet packet{.wave_at = now - kWaveIntervals * config.prompt_interval};
  GossipPacer::Sent round;
  GossipTargets& targets = membership_.targets();
  // A target in turn may have had all waiting messages: then the target after it takes its turn.
  int served = 0;
  for (std::size_t tried = 0; served < config.gossip_nodes && tried < BroadcastQueue::kPlacesMax;
       ++tried) {
    targets.Next(now, 1, context_.rng, targets_,
                 [&](MemberIndex m) { return membership_.is_gossip_target(now, m); });
    if (targets_.empty() || (tried > 0 && tried >= targets.places())) break;
    packet.place = targets_.front().place;
    packet.places = targets.places();
    const GossipPacer::Sent sent =
        sender_.SendGossip(targets_.front().member, packet, packets_max, out);
    round.bytes += sent.bytes;
    round.packets += sent.packets;
    round.full = round.full || sent.full;
    served += sent.bytes > 0 ? 1 : 0;
  }
  if (targets_.empty()) membership_.OnNoGossipTargets();
  const BroadcastsWaiting waiting = Waiting();
  // Without targets Wake() waits for some.
  const bool more =
      !targets_.empty() && (ticked ? waiting.messages > 0 : waiting.messages > waiting.fresh);
  pacer_.OnRound(now, round, more, context_.rng);
}

}  // namespace serf::swim

#endif  // SERF_SWIM_GOSSIPER_H_
