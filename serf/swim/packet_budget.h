// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_SWIM_PACKET_BUDGET_H_
#define SERF_SWIM_PACKET_BUDGET_H_

// What a packet has room for, by a node's configuration: its size, its label, its keys. The sender
// fills packets by it, and the Serf layer refuses what would never fit. Source:
// docs/protocol/membership.md 1.7.

#include <cstddef>

#include "serf/swim/config.h"
#include "serf/wire/aead.h"
#include "serf/wire/compound.h"
#include "serf/wire/packet.h"

namespace serf::swim {

// What encryption adds to a packet; 0 without keys.
inline std::size_t EncryptionOverhead(const Config& config) {
  if (config.keyring == nullptr || config.keyring->empty()) return 0;
  return wire::EncryptionOverhead(wire::EncryptionVersionFor(config.protocol_version));
}

// The bytes that a packet of gossip may fill with broadcasts. With keys there is room for
// encryption, even if the node sends in clear.
inline std::size_t GossipBudget(const Config& config) {
  return wire::GossipBudget(config.packet_size, config.label, EncryptionOverhead(config));
}

// The bytes of broadcasts that may ride on a message of `message` bytes.
inline std::size_t PiggybackBudget(const Config& config, std::size_t message) {
  return wire::PiggybackBudget(config.packet_size, message, config.label,
                               config.verify_outgoing ? EncryptionOverhead(config) : 0);
}

// What a message of the Serf layer takes of a budget beside its size: its part of the compound, and
// the engine's type byte.
inline constexpr std::size_t kUserPartOverhead = wire::kCompoundPartOverhead + 1;

// The largest message of the Serf layer that a packet of gossip carries. A larger one would wait in
// its queue for ever (docs/protocol/serf.md 5.1).
inline std::size_t MaxGossipMessage(const Config& config) {
  const std::size_t budget = GossipBudget(config);
  return budget > kUserPartOverhead ? budget - kUserPartOverhead : 0;
}

}  // namespace serf::swim

#endif  // SERF_SWIM_PACKET_BUDGET_H_
