// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_SWIM_PACKET_SENDER_H_
#define SERF_SWIM_PACKET_SENDER_H_

// PacketSender: turns messages into datagrams: which broadcasts ride on them, how full they get,
// and the layers around them. Source: docs/protocol/membership.md 1.1, 1.4, 1.7, 6.4.
//
//   sender.Send(wire::Ack{...}, to, PacketSender::Riders::kBroadcasts, out);
//   sender.SendWave(targets, packet, out);                      // fresh messages, to all of them
//   sender.SendGossip(member, packet, /*packets_max=*/1, out);  // repeats, to one

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "serf/base/bytes.h"
#include "serf/base/endpoint.h"
#include "serf/swim/broadcast_queue.h"
#include "serf/swim/delegate.h"
#include "serf/swim/gossip_pacer.h"
#include "serf/swim/gossip_targets.h"
#include "serf/swim/member_table.h"
#include "serf/swim/membership.h"
#include "serf/swim/node_context.h"
#include "serf/swim/node_info.h"
#include "serf/swim/outbox.h"
#include "serf/swim/packet_budget.h"
#include "serf/swim/packet_lead.h"
#include "serf/swim/told_mark.h"
#include "serf/wire/aead.h"
#include "serf/wire/compound.h"
#include "serf/wire/message_type.h"
#include "serf/wire/packet.h"
#include "serf/wire/swim_messages.h"

namespace serf::swim {

class PacketSender {
 public:
  // Shorter messages are not compressed: with nine bits for a literal and 18 bytes around them they
  // seldom shrink, and most packets are pings and acks.
  static constexpr std::size_t kCompressMin = 128;

  // Whether broadcasts fill up the packet. Only towards members: otherwise an attacker that forges
  // a source address could make this node send much more than it received
  // (docs/protocol/membership.md 10).
  enum class Riders : std::uint8_t { kNone, kBroadcasts };

  PacketSender(NodeContext& context, Membership& membership)
      : context_(context), membership_(membership) {}

  // A ping, indirect ping, ack or nack. They carry no checksum (docs/protocol/membership.md 1.4).
  template <typename Message>
  void Send(const Message& message, const Endpoint& to, Riders riders, Outbox& out);

  // Sends a ping to a suspect together with the suspicion, so that it can refute at once
  // (docs/protocol/membership.md 5.2).
  void SendPingWithSuspicion(const wire::Ping& ping, const wire::Suspect& suspect,
                             const Endpoint& to, bool crc, Outbox& out);

  // Sends a user message as it is, whatever its size.
  void SendUser(ByteView message, const Endpoint& to, bool crc, Outbox& out);

  // Sends up to `packets_max` packets of broadcasts to one target, whose place `packet` has; none
  // if nothing waits. Full: waiting would not have filled the packets better.
  GossipPacer::Sent SendGossip(MemberIndex target, BroadcastQueue::Packet packet,
                               std::size_t packets_max, Outbox& out);
  // Sends fresh broadcasts to all targets; `packet` has their places. If these are everybody, the
  // packets say so (told_mark.h), except one whose message leaves no room for that. As long as
  // packets are full there are further ones, up to Config::prompt_packets_per_target for each
  // target.
  GossipPacer::Sent SendWave(std::span<const GossipTargets::Target> targets,
                             BroadcastQueue::Packet packet, Outbox& out);

 private:
  struct Receiver {
    Endpoint to;
    bool crc = false;
  };
  Receiver ReceiverOf(MemberIndex member) const {
    const NodeInfo& info = membership_.table().info(member);
    return {info.endpoint(), info.versions().protocol_max >= 5};
  }

  // Appends broadcasts to workspace.parts: membership messages and user messages, in the order of
  // `packet.lead`. Returns how many bytes of `budget` they take.
  std::size_t DrawBroadcasts(std::size_t budget, const BroadcastQueue::Packet& packet,
                             PacketWorkspace& workspace);
  std::size_t DrawMembership(std::size_t budget, const BroadcastQueue::Packet& packet,
                             PacketWorkspace& workspace);
  std::size_t DrawUser(std::size_t budget, const BroadcastQueue::Packet& packet,
                       PacketWorkspace& workspace);
  // Whether waiting would not have filled a packet better. Seven eighths: the last message seldom
  // fits exactly.
  static bool IsFull(std::size_t used, std::size_t budget) { return used >= budget - budget / 8; }
  // Go Serf's order, or with prompt gossip a turn for each kind of message.
  PacketLead NextLead() {
    return context_.config.gossips_promptly() ? LeadOf(gossip_packets_++) : PacketLead();
  }

  // Sends workspace.parts to each receiver: one bare, several as compounds. Returns the bytes of
  // the datagrams.
  std::size_t SendParts(std::span<const Receiver> receivers, Outbox& out);
  std::size_t Send(ByteView message, std::span<const Receiver> receivers, Outbox& out);
  // Makes a datagram of `message` and sends it to those receivers that want a checksum, or to
  // those that want none. They get the same bytes, also of the encryption.
  std::size_t Seal(ByteView message, std::span<const Receiver> receivers, bool crc, Outbox& out);

  NodeContext& context_;
  Membership& membership_;
  std::uint64_t gossip_packets_ = 0;
  std::vector<Receiver> receivers_;  // of a wave
};

template <typename Message>
void PacketSender::Send(const Message& message, const Endpoint& to, Riders riders, Outbox& out) {
  PacketWorkspace& workspace = out.workspace();
  workspace.message.clear();
  wire::Encode(message, workspace.message);
  workspace.parts.assign(1, workspace.message);
  // Prompt gossip leaves within milliseconds. A broadcast on another packet would use up one of the
  // few transmissions that together reach every member (GossipTargets).
  if (riders == Riders::kBroadcasts && !context_.config.gossips_promptly()) {
    DrawBroadcasts(PiggybackBudget(context_.config, workspace.message.size()), {}, workspace);
  }
  const Receiver receiver{to};
  SendParts({&receiver, 1}, out);
}

inline void PacketSender::SendPingWithSuspicion(const wire::Ping& ping,
                                                const wire::Suspect& suspect, const Endpoint& to,
                                                bool crc, Outbox& out) {
  PacketWorkspace& workspace = out.workspace();
  workspace.message.clear();
  wire::Encode(ping, workspace.message);
  const std::size_t ping_size = workspace.message.size();
  wire::Encode(suspect, workspace.message);
  const ByteView both = workspace.message;
  workspace.parts.assign({both.first(ping_size), both.subspan(ping_size)});
  const Receiver receiver{to, crc};
  SendParts({&receiver, 1}, out);
}

inline void PacketSender::SendUser(ByteView message, const Endpoint& to, bool crc, Outbox& out) {
  PacketWorkspace& workspace = out.workspace();
  workspace.message.clear();
  wire::AppendType(wire::MessageType::kUser, workspace.message);
  Append(workspace.message, message);
  const Receiver receiver{to, crc};
  Send(workspace.message, {&receiver, 1}, out);
}

inline GossipPacer::Sent PacketSender::SendGossip(MemberIndex target, BroadcastQueue::Packet packet,
                                                  std::size_t packets_max, Outbox& out) {
  const Receiver receiver = ReceiverOf(target);
  PacketWorkspace& workspace = out.workspace();
  const std::size_t budget = GossipBudget(context_.config);
  GossipPacer::Sent sent;
  for (std::size_t i = 0; i < packets_max; ++i) {
    workspace.parts.clear();
    packet.further = i > 0;
    packet.lead = NextLead();
    const std::size_t used = DrawBroadcasts(budget, packet, workspace);
    if (workspace.parts.empty()) break;
    sent.full = i > 0 || IsFull(used, budget);
    sent.bytes += SendParts({&receiver, 1}, out);
    ++sent.packets;
  }
  context_.counters.gossip_datagrams += sent.packets;
  return sent;
}

inline GossipPacer::Sent PacketSender::SendWave(std::span<const GossipTargets::Target> targets,
                                                BroadcastQueue::Packet packet, Outbox& out) {
  PacketWorkspace& workspace = out.workspace();
  const std::size_t budget = GossipBudget(context_.config);
  receivers_.clear();
  for (const GossipTargets::Target& target : targets) {
    receivers_.push_back(ReceiverOf(target.member));
  }
  packet.capacity = budget;
  GossipPacer::Sent sent;
  if (receivers_.empty()) return sent;
  for (int i = 0; i < context_.config.prompt_packets_per_target; ++i) {
    packet.lead = NextLead();
    std::size_t used = 0;
    workspace.parts.clear();
    if (packet.everybody) {
      workspace.parts.push_back(kToldMark);
      used = kToldMarkCost + DrawBroadcasts(budget - kToldMarkCost, packet, workspace);
    }
    if (workspace.parts.size() <= 1) {
      // Without the mark there may be room for a message that fills a packet.
      workspace.parts.clear();
      used = DrawBroadcasts(budget, packet, workspace);
      if (workspace.parts.empty()) break;
    }
    sent.full = i > 0 || IsFull(used, budget);
    sent.bytes += SendParts(receivers_, out);
    sent.packets += receivers_.size();
  }
  context_.counters.gossip_datagrams += sent.packets;
  return sent;
}

inline std::size_t PacketSender::DrawBroadcasts(std::size_t budget,
                                                const BroadcastQueue::Packet& packet,
                                                PacketWorkspace& workspace) {
  const std::size_t before = workspace.parts.size();
  std::size_t used = 0;
  if (packet.lead.membership) used += DrawMembership(budget, packet, workspace);
  used += DrawUser(budget - used, packet, workspace);
  if (!packet.lead.membership) used += DrawMembership(budget - used, packet, workspace);
  context_.counters.broadcasts_sent +=
      (workspace.parts.size() - before) * static_cast<std::size_t>(packet.copies());
  return used;
}

inline std::size_t PacketSender::DrawMembership(std::size_t budget,
                                                const BroadcastQueue::Packet& packet,
                                                PacketWorkspace& workspace) {
  return membership_.queue().Draw(membership_.transmit_limit(), wire::kCompoundPartOverhead, budget,
                                  workspace.parts, packet);
}

inline std::size_t PacketSender::DrawUser(std::size_t budget, const BroadcastQueue::Packet& packet,
                                          PacketWorkspace& workspace) {
  if (budget <= kUserPartOverhead) return 0;
  workspace.user_parts.clear();
  const std::size_t used =
      context_.delegate.DrawBroadcasts(kUserPartOverhead, budget, workspace.user_parts, packet);
  std::size_t size = workspace.user_parts.size();
  for (const ByteView part : workspace.user_parts) size += part.size();
  workspace.user_messages.clear();
  workspace.user_messages.reserve(size);  // views into it must stay valid
  for (const ByteView part : workspace.user_parts) {
    const std::size_t begin = workspace.user_messages.size();
    wire::AppendType(wire::MessageType::kUser, workspace.user_messages);
    Append(workspace.user_messages, part);
    workspace.parts.push_back(ByteView(workspace.user_messages).subspan(begin));
  }
  return used;
}

inline std::size_t PacketSender::SendParts(std::span<const Receiver> receivers, Outbox& out) {
  PacketWorkspace& workspace = out.workspace();
  std::size_t bytes = 0;
  // Parts beyond the limit of a compound go into further packets, because they count as sent.
  for (std::span<const ByteView> parts = workspace.parts; !parts.empty();) {
    if (parts.size() == 1) {
      bytes += Send(parts.front(), receivers, out);
      break;
    }
    workspace.compound.clear();
    const std::size_t taken = wire::AppendMessages(parts, workspace.compound);
    bytes += Send(workspace.compound, receivers, out);
    parts = parts.subspan(taken);
  }
  return bytes;
}

inline std::size_t PacketSender::Send(ByteView message, std::span<const Receiver> receivers,
                                      Outbox& out) {
  return Seal(message, receivers, /*crc=*/false, out) + Seal(message, receivers, /*crc=*/true, out);
}

inline std::size_t PacketSender::Seal(ByteView message, std::span<const Receiver> receivers,
                                      bool crc, Outbox& out) {
  const Config& config = context_.config;
  std::optional<Outbox::Slice> datagram;
  std::size_t bytes = 0;
  for (const Receiver& receiver : receivers) {
    if (receiver.crc != crc) continue;
    if (!datagram) {
      const wire::SealOptions options{
          .label = config.label,
          .keyring = config.verify_outgoing ? config.keyring.get() : nullptr,
          .aead = config.aead.get(),
          .nonces = config.nonces.get(),
          .encryption_version = wire::EncryptionVersionFor(config.protocol_version),
          .compress = config.enable_compression && message.size() >= kCompressMin,
          .crc = crc,
      };
      const std::size_t begin = out.BeginSlice();
      if (!wire::SealPacket(message, options, out.workspace().packet, out.arena())) {
        ++context_.counters.dropped_sends;
        return 0;
      }
      datagram = out.EndSlice(begin);
    }
    out.SendDatagram(receiver.to, *datagram);
    ++context_.counters.datagrams_sent;
    context_.counters.datagram_bytes_sent += datagram->size;
    bytes += datagram->size;
  }
  return bytes;
}

}  // namespace serf::swim

#endif  // SERF_SWIM_PACKET_SENDER_H_
