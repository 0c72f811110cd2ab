// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_WIRE_IDS_H_
#define SERF_WIRE_IDS_H_

// Numbers that travel in messages and must not mix. Newtype describes how they behave.
//
//   LamportTime time(7);
//   std::uint64_t raw = time.value();

#include <cstdint>

#include "serf/base/newtype.h"

namespace serf::wire {

// Orders the statements about one node. Only the node itself raises it (docs/protocol/membership.md
// 4).
using Incarnation = Newtype<struct IncarnationTag, std::uint32_t>;

// Matches an acknowledgement with its ping. It wraps around.
using SequenceNumber = Newtype<struct SequenceNumberTag, std::uint32_t>;

// The logical time of intents, events and queries (docs/protocol/serf.md 2). It is a counter, and
// not the time of day.
using LamportTime = Newtype<struct LamportTimeTag, std::uint64_t>;

// A version of the membership protocol or of the Serf protocol.
using ProtocolVersion = Newtype<struct ProtocolVersionTag, std::uint8_t>;

}  // namespace serf::wire

#endif  // SERF_WIRE_IDS_H_
