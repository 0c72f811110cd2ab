// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_SWIM_PACKET_BUDGET_H_
#define SERF_SWIM_PACKET_BUDGET_H_

// How much room a packet has, by a node's configuration: packet size, label, keys. The sender fills
// packets accordingly, and the Serf layer refuses messages that would never fit. Source:
// docs/protocol/membership.md 1.7.

#include <cstddef>

#include "serf/swim/config.h"
#include "serf/wire/aead.h"
#include "serf/wire/compound.h"
#include "serf/wire/packet.h"

namespace serf::swim {

// The bytes that encryption adds to a packet; 0 without keys.
inline std::size_t EncryptionOverhead(const Config& config) {
  if (config.keyring == nullptr || config.keyring->empty()) return 0;
  return wire::EncryptionOverhead(wire::EncryptionVersionFor(config.protocol_version));
}

// The bytes that a packet of gossip may fill with broadcasts. With keys there is room for
// encryption, even if the node sends in the clear.
inline std::size_t GossipBudget(const Config& config) {
  return wire::GossipBudget(config.packet_size, config.label, EncryptionOverhead(config));
}

// The bytes of broadcasts that may ride on a message of `message` bytes.
inline std::size_t PiggybackBudget(const Config& config, std::size_t message) {
  return wire::PiggybackBudget(config.packet_size, message, config.label,
                               config.verify_outgoing ? EncryptionOverhead(config) : 0);
}

// The bytes of a budget that a message of the Serf layer takes besides its size: its part of the
// compound, and the type byte of the SWIM layer.
inline constexpr std::size_t kUserPartOverhead = wire::kCompoundPartOverhead + 1;

// The largest message of the Serf layer that a gossip packet carries. A larger one would wait in
// its queue forever (docs/protocol/serf.md 5.1).
inline std::size_t MaxGossipMessage(const Config& config) {
  const std::size_t budget = GossipBudget(config);
  return budget > kUserPartOverhead ? budget - kUserPartOverhead : 0;
}

}  // namespace serf::swim

#endif  // SERF_SWIM_PACKET_BUDGET_H_
