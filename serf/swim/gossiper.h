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
                .bytes_per_second = context.config.gossip_bytes_per_second}) {}

  void Start(Instant now) { pacer_.Start(now); }

  // A message may have been queued.
  void Wake(Instant now);

  Instant NextDeadline() const { return std::min(pacer_.deadline(), retry_at_); }
  void OnTimer(Instant now, Outbox& out);

 private:
  std::size_t Waiting() const {
    return membership_.queue().size() + context_.delegate.QueuedBroadcasts();
  }

  void SendRound(Instant now, Outbox& out);

  NodeContext& context_;
  Membership& membership_;
  PacketSender& sender_;
  GossipPacer pacer_;
  std::vector<GossipTargets::Target> targets_;
  // How many messages waited when a round could send none, because they fit no packet: until
  // `retry_at_` only further messages are worth a round.
  std::size_t stuck_ = 0;
  Instant retry_at_ = kNever;
};

inline void Gossiper::Wake(Instant now) {
  if (pacer_.deadline() != kNever) return;
  const std::size_t waiting = Waiting();
  if (waiting == 0 || (retry_at_ != kNever && waiting == stuck_)) return;
  if (membership_.has_gossip_targets(now)) pacer_.Wake(now, context_.rng);
}

inline void Gossiper::OnTimer(Instant now, Outbox& out) {
  if (now >= retry_at_) retry_at_ = kNever;
  if (now < pacer_.deadline()) return;
  Portion portion;
  const auto eligible = [&](MemberIndex m) { return membership_.is_gossip_target(now, m); };
  // Until the targets are known the round stays due.
  if (!membership_.targets().Update(membership_.transmit_limit(), portion, eligible)) return;
  SendRound(now, out);
}

inline void Gossiper::SendRound(Instant now, Outbox& out) {
  const Config& config = context_.config;
  ++context_.counters.gossip_rounds;
  const int packets_max =
      config.gossip_pacing == GossipPacing::kTicked ? 1 : config.prompt_packets_per_target;
  GossipPacer::Round round;
  GossipTargets& targets = membership_.targets();
  // The targets in turn may have had all waiting messages: then take the targets after them.
  std::size_t tried = 0;
  do {
    targets.Next(now, static_cast<std::size_t>(config.gossip_nodes), context_.rng, targets_,
                 [&](MemberIndex m) { return membership_.is_gossip_target(now, m); });
    for (const GossipTargets::Target& target : targets_) {
      const NodeInfo& info = membership_.table().info(target.member);
      const PacketSender::Gossip sent =
          sender_.SendGossip(info.endpoint(), info.versions().protocol_max >= 5,
                             {.place = target.place, .places = targets.places()}, packets_max, out);
      round.bytes += sent.bytes;
      round.full = round.full || sent.full;
    }
    tried += targets_.size();
  } while (round.bytes == 0 && !targets_.empty() && tried < targets.places());
  if (targets_.empty()) membership_.OnNoGossipTargets();
  const std::size_t waiting = Waiting();
  round.backlog = waiting > 0 && round.bytes > 0;
  if (waiting > 0 && round.bytes == 0) {
    stuck_ = waiting;
    retry_at_ = now + config.gossip_interval;
  }
  pacer_.OnRound(now, round, context_.rng);
}

}  // namespace serf::swim

#endif  // SERF_SWIM_GOSSIPER_H_
