// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_SWIM_PACKET_LEAD_H_
#define SERF_SWIM_PACKET_LEAD_H_

// PacketLead: which kind of message fills a packet of gossip first, so that no kind starves the
// others. Go Serf always begins with membership messages, then intents, queries and events: while
// there are more of one kind than packets hold, the kinds after it wait.
//
//   const PacketLead lead = LeadOf(packets_so_far);

#include <cstdint>

namespace serf::swim {

// The queues of the Serf layer, in Go Serf's order.
enum class UserKind : std::uint8_t { kIntents, kQueries, kEvents };
inline constexpr int kUserKinds = 3;

struct PacketLead {
  // Membership messages go first, or else those of the Serf layer.
  bool membership = true;
  // Among those of the Serf layer this kind goes first; the others keep their order.
  UserKind user = UserKind::kIntents;
};

// The lead of the packet with this number. Half of the packets begin with membership messages, and
// a sixth with each kind of the Serf layer. The lead matters only in packets that are full.
inline constexpr PacketLead LeadOf(std::uint64_t packet) {
  return {packet % 2 == 0, static_cast<UserKind>(packet / 2 % kUserKinds)};
}

}  // namespace serf::swim

#endif  // SERF_SWIM_PACKET_LEAD_H_
