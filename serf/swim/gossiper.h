// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_SWIM_GOSSIPER_H_
#define SERF_SWIM_GOSSIPER_H_

// Gossiper: sends waiting messages to some members when its pacer says so. Source:
// docs/protocol/membership.md 6.2.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "serf/base/portion.h"
#include "serf/base/time.h"
#include "serf/swim/broadcast_queue.h"
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
  // A wave has reached everybody after so many pauses between waves: in a cluster of 1,000 it takes
  // nine hops.
  static constexpr int kWavePauses = 10;
  // How long news that are more than the budget for all are passed on.
  static constexpr Duration kFlood = std::chrono::seconds(1);

  BroadcastsWaiting Waiting() const {
    return membership_.queue().waiting() + context_.delegate.QueuedBroadcasts();
  }

  // Whether a node of so large a cluster tells all others itself.
  bool IsSmall() const {
    const std::size_t known = membership_.known();
    return known <= kTellAllMax && pacer_.BurstHolds(known);
  }
  // Whether the messages for all members go to all. More than the budget allows in time go to some,
  // who pass them on, and then the next ones, too, so that they do not overtake.
  bool TellsAll(Instant now, const BroadcastsWaiting& waiting);
  // Sends fresh messages: those of this node to all, or all of them to the members at the first
  // places.
  void SendWaves(Instant now, Outbox& out);
  GossipPacer::Sent SendToAll(Instant now, BroadcastQueue::Packet packet, Outbox& out);
  GossipPacer::Sent SendToSome(Instant now, BroadcastQueue::Packet packet, Outbox& out);
  // Sends messages to the next targets of the walk.
  void SendRound(Instant now, Outbox& out);

  NodeContext& context_;
  Membership& membership_;
  PacketSender& sender_;
  GossipPacer pacer_;
  std::vector<GossipTargets::Target> targets_;
  Instant flood_until_{};
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
  if (!membership_.has_gossip_targets(now)) return;
  const bool to_all = waiting.to_all > 0 && IsSmall() && now >= flood_until_;
  pacer_.Wake(now, waiting, to_all ? membership_.table().live() : std::size_t{1});
}

inline void Gossiper::OnTimer(Instant now, Outbox& out) {
  if (now >= retry_at_) retry_at_ = kNever;
  if (now < pacer_.deadline()) return;
  Portion portion;
  const auto eligible = [&](MemberIndex m) { return membership_.is_gossip_target(now, m); };
  // Until the targets are known the wave or round stays due.
  if (!membership_.targets().Update(membership_.transmit_limit(), portion, eligible)) return;
  if (now >= pacer_.wave_at()) SendWaves(now, out);
  if (now >= pacer_.round_at()) SendRound(now, out);
}

inline bool Gossiper::TellsAll(Instant now, const BroadcastsWaiting& waiting) {
  if (waiting.to_all == 0 || !IsSmall()) return false;
  if (!pacer_.Affords(waiting.to_all_bytes * membership_.table().live())) {
    flood_until_ = now + kFlood;
  }
  return now >= flood_until_;
}

inline void Gossiper::SendWaves(Instant now, Outbox& out) {
  ++context_.counters.gossip_waves;
  const BroadcastsWaiting waiting = Waiting();
  const bool to_all = TellsAll(now, waiting);
  GossipPacer::Sent sent;
  if (to_all) sent = SendToAll(now, {.most = Spread::kAll, .least = Spread::kAll}, out);
  const bool relayed = !to_all || waiting.fresh > waiting.to_all;
  if (relayed) {
    // What is for all, but did not fit, must not be overtaken by what comes after it.
    const Spread most = to_all ? Spread::kRing : Spread::kAll;
    const GossipPacer::Sent some = SendToSome(now, {.most = most, .least = Spread::kRing}, out);
    sent = {sent.bytes + some.bytes, sent.packets + some.packets, sent.full || some.full};
  }
  if (targets_.empty()) membership_.OnNoGossipTargets();
  const std::size_t fresh = Waiting().fresh;
  if (fresh > 0 && sent.bytes == 0) {
    stuck_ = fresh;
    retry_at_ = now + context_.config.gossip_interval;
  }
  pacer_.OnWave(now, sent, relayed);
}

inline GossipPacer::Sent Gossiper::SendToAll(Instant now, BroadcastQueue::Packet packet,
                                             Outbox& out) {
  targets_.clear();
  membership_.table().ForEach([&](MemberIndex m) {
    if (membership_.is_gossip_target(now, m)) targets_.push_back({m, 0});
  });
  packet.wave_at = now;
  packet.to_all = targets_.size();
  packet.everybody = true;
  return sender_.SendWave(targets_, packet, out);
}

inline GossipPacer::Sent Gossiper::SendToSome(Instant now, BroadcastQueue::Packet packet,
                                              Outbox& out) {
  GossipTargets& targets = membership_.targets();
  const int count =
      std::min(WaveTargets(context_.config.gossip_nodes, context_.probe_history.missed()),
               std::max(membership_.transmit_limit(), 1));
  const auto lives = [&](MemberIndex m) {
    return membership_.table().state(m) == NodeState::kAlive;
  };
  targets.Wave(
      now, static_cast<std::size_t>(count), targets_,
      [&](MemberIndex m) { return membership_.is_gossip_target(now, m); }, lives);
  packet.places = targets.places();
  packet.wave_at = now;
  std::size_t living = 0;
  for (const GossipTargets::Target& target : targets_) {
    packet.wave |= std::uint32_t{1} << target.place;
    living += lives(target.member) ? 1 : 0;
  }
  // A node that leaves is not among the living.
  const std::size_t self = lives(membership_.self()) ? 1 : 0;
  packet.everybody = living + self >= membership_.table().live();
  return sender_.SendWave(targets_, packet, out);
}

inline void Gossiper::SendRound(Instant now, Outbox& out) {
  const Config& config = context_.config;
  ++context_.counters.gossip_rounds;
  const bool ticked = config.gossip_pacing == GossipPacing::kTicked;
  const std::size_t packets_max =
      ticked ? 1 : static_cast<std::size_t>(std::max(config.prompt_packets_per_target / 4, 1));
  const Duration pause = config.prompt_interval / GossipPacer::kRelayedPart;
  BroadcastQueue::Packet packet{.wave_at = now - kWavePauses * pause};
  // Members send their own news to all, and few packets get lost.
  const bool calm = !ticked && IsSmall() && context_.probe_history.flows() &&
                    context_.probe_history.missed() == 0;
  const int wanted = calm ? 1 : config.gossip_nodes;
  GossipPacer::Sent round;
  GossipTargets& targets = membership_.targets();
  // A target in turn may have had all waiting messages: then the target after it takes its turn.
  int served = 0;
  for (std::size_t tried = 0; served < wanted && tried < BroadcastQueue::kPlacesMax; ++tried) {
    targets.Next(now, 1, context_.rng, targets_,
                 [&](MemberIndex m) { return membership_.is_gossip_target(now, m); });
    if (targets_.empty() || (tried > 0 && tried >= targets.places())) break;
    packet.place = targets_.front().place;
    packet.places = targets.places();
    const GossipPacer::Sent sent =
        sender_.SendGossip(targets_.front().member, packet, packets_max, out);
    round.bytes += sent.bytes;
    round.packets += sent.packets;
    // What its sender sends to all can wait for the next tick.
    round.full = round.full || (calm ? sent.packets >= packets_max : sent.full);
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
