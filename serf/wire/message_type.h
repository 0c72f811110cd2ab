// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_WIRE_MESSAGE_TYPE_H_
#define SERF_WIRE_MESSAGE_TYPE_H_

// The numbers that open a message. They are the protocol: a later version appends, and never
// renumbers or reuses. A byte from the network may hold any value, so a switch over one needs a
// default.

#include <cstdint>

namespace serf::wire {

// Messages of the membership layer (docs/protocol/membership.md 0.1).
enum class MessageType : std::uint8_t {
  kPing = 0,
  kIndirectPing = 1,
  kAck = 2,
  kSuspect = 3,
  kAlive = 4,
  kDead = 5,
  kPushPull = 6,  // streams only
  kCompound = 7,  // packets only
  kUser = 8,
  kCompress = 9,
  kEncrypt = 10,  // streams only
  kNack = 11,
  kHasCrc = 12,     // outermost plaintext layer of a packet only
  kError = 13,      // streams only
  kHasLabel = 244,  // prefix of a packet or stream
};

// Messages of the Serf layer (docs/protocol/serf.md 1.1): the first byte of the user messages that
// the membership layer carries.
enum class SerfMessageType : std::uint8_t {
  kLeave = 0,
  kJoin = 1,
  kPushPull = 2,
  kUserEvent = 3,
  kQuery = 4,
  kQueryResponse = 5,
  kConflictResponse = 6,
  kKeyRequest = 7,
  kKeyResponse = 8,
  kRelay = 9,
};

// The first byte of each element of a query's filters (docs/protocol/serf.md 1.4.11).
enum class FilterType : std::uint8_t {
  kNode = 0,
  kTag = 1,
};

}  // namespace serf::wire

#endif  // SERF_WIRE_MESSAGE_TYPE_H_
