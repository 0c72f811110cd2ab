#ifndef SERF_WIRE_IDS_H_
#define SERF_WIRE_IDS_H_

// Numbers that travel in messages and must not mix.

#include <cstdint>

#include "serf/base/newtype.h"

namespace serf::wire {

// Orders what is said about one node; only the node itself raises it (spec/memberlist.md 4).
using Incarnation = Newtype<struct IncarnationTag, std::uint32_t>;

// Correlates a ping with its acknowledgement.
using SequenceNumber = Newtype<struct SequenceNumberTag, std::uint32_t>;

// Logical time of intents, events and queries (spec/serf.md 2).
using LamportTime = Newtype<struct LamportTimeTag, std::uint64_t>;

// Version of the engine's or of the application's protocol.
using ProtocolVersion = Newtype<struct ProtocolVersionTag, std::uint8_t>;

}  // namespace serf::wire

#endif  // SERF_WIRE_IDS_H_
