// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_SWIM_PACKET_SENDER_H_
#define SERF_SWIM_PACKET_SENDER_H_

// PacketSender: turns messages into datagrams: which broadcasts ride on them, how full they get,
// and the layers around them. Source: docs/protocol/membership.md 1.1, 1.4, 1.7, 6.4.
//
//   sender.Send(wire::Ack{...}, to, PacketSender::Riders::kBroadcasts, out);
//   sender.SendGossip(to, /*crc=*/true, place, /*packets_max=*/1, out);

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "serf/base/bytes.h"
#include "serf/base/endpoint.h"
#include "serf/swim/broadcast_queue.h"
#include "serf/swim/delegate.h"
#include "serf/swim/membership.h"
#include "serf/swim/node_context.h"
#include "serf/swim/outbox.h"
#include "serf/swim/packet_budget.h"
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

  // What a round of gossip sent to one target.
  struct Gossip {
    std::size_t bytes = 0;
    std::size_t packets = 0;
    bool full = false;  // waiting would not have filled the packets better
  };

  // Sends up to `packets_max` packets of broadcasts; none if nothing waits. `packet` has the
  // target's place.
  Gossip SendGossip(const Endpoint& to, bool crc, BroadcastQueue::Packet packet, int packets_max,
                    Outbox& out);

 private:
  // Prompt gossip leaves within milliseconds. A broadcast on another packet would use up one of the
  // few transmissions that together reach every member (GossipTargets).
  bool GossipsPromptly() const {
    return context_.config.gossip_pacing == GossipPacing::kPrompt &&
           context_.config.gossip_interval > Duration::zero() && context_.config.gossip_nodes > 0;
  }

  // Appends broadcasts to workspace.parts: membership messages first, then user messages. Returns
  // how many bytes of `budget` they take.
  std::size_t DrawBroadcasts(std::size_t budget, BroadcastQueue::Packet packet,
                             PacketWorkspace& workspace);

  // Sends workspace.parts: one bare, several as compounds. Returns the bytes of the datagrams.
  std::size_t SendParts(const Endpoint& to, bool crc, Outbox& out);
  std::size_t Seal(ByteView message, const Endpoint& to, bool crc, Outbox& out);

  NodeContext& context_;
  Membership& membership_;
};

template <typename Message>
void PacketSender::Send(const Message& message, const Endpoint& to, Riders riders, Outbox& out) {
  PacketWorkspace& workspace = out.workspace();
  workspace.message.clear();
  wire::Encode(message, workspace.message);
  workspace.parts.assign(1, workspace.message);
  if (riders == Riders::kBroadcasts && !GossipsPromptly()) {
    DrawBroadcasts(PiggybackBudget(context_.config, workspace.message.size()), {}, workspace);
  }
  SendParts(to, /*crc=*/false, out);
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
  SendParts(to, crc, out);
}

inline void PacketSender::SendUser(ByteView message, const Endpoint& to, bool crc, Outbox& out) {
  PacketWorkspace& workspace = out.workspace();
  workspace.message.clear();
  wire::AppendType(wire::MessageType::kUser, workspace.message);
  Append(workspace.message, message);
  Seal(workspace.message, to, crc, out);
}

inline PacketSender::Gossip PacketSender::SendGossip(const Endpoint& to, bool crc,
                                                     BroadcastQueue::Packet packet, int packets_max,
                                                     Outbox& out) {
  PacketWorkspace& workspace = out.workspace();
  const std::size_t budget = GossipBudget(context_.config);
  Gossip sent;
  for (int i = 0; i < packets_max; ++i) {
    workspace.parts.clear();
    packet.further = i > 0;
    const std::size_t used = DrawBroadcasts(budget, packet, workspace);
    if (workspace.parts.empty()) break;
    // Seven eighths: the last message seldom fits exactly.
    sent.full = i > 0 || used >= budget - budget / 8;
    sent.bytes += SendParts(to, crc, out);
    ++sent.packets;
  }
  context_.counters.gossip_datagrams += sent.packets;
  return sent;
}

inline std::size_t PacketSender::DrawBroadcasts(std::size_t budget, BroadcastQueue::Packet packet,
                                                PacketWorkspace& workspace) {
  const std::size_t before = workspace.parts.size();
  std::size_t used = membership_.queue().Draw(
      membership_.transmit_limit(), wire::kCompoundPartOverhead, budget, workspace.parts, packet);
  if (budget > used + kUserPartOverhead) {
    workspace.user_parts.clear();
    used += context_.delegate.DrawBroadcasts(kUserPartOverhead, budget - used, workspace.user_parts,
                                             packet);
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
  }
  context_.counters.broadcasts_sent += workspace.parts.size() - before;
  return used;
}

inline std::size_t PacketSender::SendParts(const Endpoint& to, bool crc, Outbox& out) {
  PacketWorkspace& workspace = out.workspace();
  std::size_t bytes = 0;
  // Parts beyond the limit of a compound go into further packets, because they count as sent.
  for (std::span<const ByteView> parts = workspace.parts; !parts.empty();) {
    if (parts.size() == 1) {
      bytes += Seal(parts.front(), to, crc, out);
      break;
    }
    workspace.compound.clear();
    const std::size_t taken = wire::AppendMessages(parts, workspace.compound);
    bytes += Seal(workspace.compound, to, crc, out);
    parts = parts.subspan(taken);
  }
  return bytes;
}

inline std::size_t PacketSender::Seal(ByteView message, const Endpoint& to, bool crc, Outbox& out) {
  const Config& config = context_.config;
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
  out.SendDatagram(to, begin);
  const std::size_t size = out.arena().size() - begin;
  ++context_.counters.datagrams_sent;
  context_.counters.datagram_bytes_sent += size;
  return size;
}

}  // namespace serf::swim

#endif  // SERF_SWIM_PACKET_SENDER_H_
