// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_SWIM_PACKET_BUDGET_H_
#define SERF_SWIM_PACKET_BUDGET_H_

// The largest message of the Serf layer that a packet of gossip carries. A larger one would wait in
// its queue for ever (docs/protocol/serf.md 5.1).

#include <cstddef>

#include "serf/swim/config.h"
#include "serf/wire/aead.h"
#include "serf/wire/compound.h"
#include "serf/wire/packet.h"

namespace serf::swim {

inline std::size_t MaxGossipMessage(const Config& config) {
  const bool keyed = config.keyring != nullptr && !config.keyring->empty();
  const std::size_t budget = wire::GossipBudget(
      config.packet_size, config.label,
      keyed ? wire::EncryptionOverhead(wire::EncryptionVersionFor(config.protocol_version)) : 0);
  // Its part of the compound, and the engine's type byte.
  const std::size_t overhead = wire::kCompoundPartOverhead + 1;
  return budget > overhead ? budget - overhead : 0;
}

}  // namespace serf::swim

#endif  // SERF_SWIM_PACKET_BUDGET_H_
