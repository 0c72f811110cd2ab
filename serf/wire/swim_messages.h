// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_WIRE_SWIM_MESSAGES_H_
#define SERF_WIRE_SWIM_MESSAGES_H_

// The messages of the membership layer: plain structs, Encode and Decode.
//
//   Encode(Ping{.seq_no = SequenceNumber(7), .node = "b"}, out);  // type byte and body
//
//   DecodeScratch scratch;
//   Ping ping;
//   if (Decode(body, ping, scratch) != DecodeResult::kOk) return;  // body: after the type byte
//
// Text and bytes are views: of the input and the scratch after decoding, of the caller's memory
// before encoding. Absent bytes are a default ByteView and travel as nil; on receipt nil and empty
// are the same. Decoding checks only the width of integers. The layer above judges everything else;
// Check() names the format's own rules. One thread per scratch; no other state.
//
//   message = type-byte body
//   body    = record with the keys of RecordFields, in ascending order on the wire
//
// Source: docs/protocol/membership.md 2.3.

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <tuple>
#include <utility>

#include "absl/strings/string_view.h"
#include "serf/base/bytes.h"
#include "serf/base/endpoint.h"
#include "serf/wire/ids.h"
#include "serf/wire/message_type.h"
#include "serf/wire/msgpack.h"
#include "serf/wire/record.h"

namespace serf::wire {

// The most metadata of a node, in bytes. Senders must obey it: a gossip packet could not carry
// more.
inline constexpr std::size_t kMetaMax = 512;

// The protocol versions that a node understands and speaks: of the membership protocol (min, max,
// current) and of the layer above (the same three).
struct VersionVector {
  // Bytes on the wire.
  static constexpr std::size_t kSize = 6;

  std::uint8_t protocol_min = 0;
  std::uint8_t protocol_max = 0;
  std::uint8_t protocol_cur = 0;
  std::uint8_t delegate_min = 0;
  std::uint8_t delegate_max = 0;
  std::uint8_t delegate_cur = 0;

  // The first six bytes of `vsn`; nothing if there are fewer.
  static constexpr std::optional<VersionVector> FromBytes(ByteView vsn) {
    if (vsn.size() < kSize) return std::nullopt;
    return VersionVector{vsn[0], vsn[1], vsn[2], vsn[3], vsn[4], vsn[5]};
  }

  // The six bytes, for the fields `vsn` below.
  constexpr std::array<std::uint8_t, kSize> ToBytes() const {
    return {protocol_min, protocol_max, protocol_cur, delegate_min, delegate_max, delegate_cur};
  }

  friend constexpr auto operator<=>(const VersionVector&, const VersionVector&) = default;

  template <typename H>
  friend H AbslHashValue(H state, const VersionVector& v) {
    return H::combine(std::move(state), v.protocol_min, v.protocol_max, v.protocol_cur,
                      v.delegate_min, v.delegate_max, v.delegate_cur);
  }
};

// Asks a node to answer with an Ack of the same number. A node with another name ignores it.
struct Ping {
  static constexpr auto kType = MessageType::kPing;
  SequenceNumber seq_no = {};
  absl::string_view node = {};         // the intended recipient; empty: any
  ByteView source_addr = {};           // where to send the ack; left out if empty
  std::uint16_t source_port = 0;       // left out if 0
  absl::string_view source_node = {};  // left out if empty
};

// Asks a helper to ping a third node, and to pass the Ack on.
struct IndirectPing {
  static constexpr auto kType = MessageType::kIndirectPing;
  SequenceNumber seq_no = {};
  // The address to ping.
  ByteView target = {};
  std::uint16_t port = 0;  // 0: the receiver's own
  absl::string_view node = {};
  bool nack = false;                   // a nack is wanted
  ByteView source_addr = {};           // the requester; left out if empty
  std::uint16_t source_port = 0;       // left out if 0
  absl::string_view source_node = {};  // left out if empty
};

// Answers a Ping. The payload may hold a network coordinate.
struct Ack {
  static constexpr auto kType = MessageType::kAck;
  SequenceNumber seq_no = {};
  ByteView payload = {};
  // The sender gossips promptly, and so refutes promptly. Go Serf neither sends nor reads it
  // (docs/decisions/0013-shorter-suspicions.md).
  bool prompt = false;  // left out if false
};

// A helper has had no answer in time. It proves that the helper is alive.
struct Nack {
  static constexpr auto kType = MessageType::kNack;
  SequenceNumber seq_no = {};
};

// `from` suspects that `node` has failed.
struct Suspect {
  static constexpr auto kType = MessageType::kSuspect;
  Incarnation incarnation = {};
  absl::string_view node = {};  // the accused
  absl::string_view from = {};  // the accuser
};

// `node` has failed, or has left: then `from` equals `node`.
struct Dead {
  static constexpr auto kType = MessageType::kDead;
  Incarnation incarnation = {};
  absl::string_view node = {};
  absl::string_view from = {};  // the same as `node` if it left
};

// `node` is alive at this address, with this metadata.
struct Alive {
  static constexpr auto kType = MessageType::kAlive;
  Incarnation incarnation = {};
  absl::string_view node = {};
  ByteView addr = {};
  std::uint16_t port = 0;  // 0: the receiver's own
  ByteView meta = {};
  ByteView vsn = {};  // a VersionVector
};

// Opens a push/pull. `nodes` records follow, then `user_state_len` bytes of the layer above.
struct PushPullHeader {
  static constexpr auto kType = MessageType::kPushPull;
  std::int64_t nodes = 0;           // records that follow
  std::int64_t user_state_len = 0;  // bytes that follow them
  bool join = false;
};

// A record of a push/pull body. It has no type byte.
struct PushPullNode {
  absl::string_view name = {};
  ByteView addr = {};
  std::uint16_t port = 0;
  ByteView meta = {};
  Incarnation incarnation = {};
  std::int64_t state = 0;  // 0 alive, 1 suspect, 2 dead, 3 left
  ByteView vsn = {};
};

// Precedes a user message on a stream. In a packet the payload follows the type byte at once.
struct UserHeader {
  static constexpr auto kType = MessageType::kUser;
  std::int64_t user_msg_len = 0;
};

// The reason why a peer refused a stream, as text for the log.
struct ErrorMessage {
  static constexpr auto kType = MessageType::kError;
  absl::string_view error = {};
};

// A message in compressed form.
struct CompressMessage {
  static constexpr auto kType = MessageType::kCompress;
  std::uint8_t algo = 0;  // kCompressLzw
  ByteView buf = {};
};

// The only value of CompressMessage::algo.
inline constexpr std::uint8_t kCompressLzw = 0;

// --- the tables, which Encode and Decode of msgpack.h use ---

constexpr auto RecordFields(const Ping*) {
  return std::tuple{Field{"SeqNo", &Ping::seq_no}, Field{"Node", &Ping::node},
                    Field{"SourceAddr", &Ping::source_addr, IfEmpty::kLeaveOut},
                    Field{"SourcePort", &Ping::source_port, IfEmpty::kLeaveOut},
                    Field{"SourceNode", &Ping::source_node, IfEmpty::kLeaveOut}};
}

constexpr auto RecordFields(const IndirectPing*) {
  return std::tuple{Field{"SeqNo", &IndirectPing::seq_no},
                    Field{"Target", &IndirectPing::target},
                    Field{"Port", &IndirectPing::port},
                    Field{"Node", &IndirectPing::node},
                    Field{"Nack", &IndirectPing::nack},
                    Field{"SourceAddr", &IndirectPing::source_addr, IfEmpty::kLeaveOut},
                    Field{"SourcePort", &IndirectPing::source_port, IfEmpty::kLeaveOut},
                    Field{"SourceNode", &IndirectPing::source_node, IfEmpty::kLeaveOut}};
}

constexpr auto RecordFields(const Ack*) {
  return std::tuple{Field{"SeqNo", &Ack::seq_no}, Field{"Payload", &Ack::payload},
                    Field{"Prompt", &Ack::prompt, IfEmpty::kLeaveOut}};
}

constexpr auto RecordFields(const Nack*) { return std::tuple{Field{"SeqNo", &Nack::seq_no}}; }

constexpr auto RecordFields(const Suspect*) {
  return std::tuple{Field{"Incarnation", &Suspect::incarnation}, Field{"Node", &Suspect::node},
                    Field{"From", &Suspect::from}};
}

constexpr auto RecordFields(const Dead*) {
  return std::tuple{Field{"Incarnation", &Dead::incarnation}, Field{"Node", &Dead::node},
                    Field{"From", &Dead::from}};
}

constexpr auto RecordFields(const Alive*) {
  return std::tuple{Field{"Incarnation", &Alive::incarnation},
                    Field{"Node", &Alive::node},
                    Field{"Addr", &Alive::addr},
                    Field{"Port", &Alive::port},
                    Field{"Meta", &Alive::meta},
                    Field{"Vsn", &Alive::vsn}};
}

constexpr auto RecordFields(const PushPullHeader*) {
  return std::tuple{Field{"Nodes", &PushPullHeader::nodes},
                    Field{"UserStateLen", &PushPullHeader::user_state_len},
                    Field{"Join", &PushPullHeader::join}};
}

constexpr auto RecordFields(const PushPullNode*) {
  return std::tuple{Field{"Name", &PushPullNode::name},
                    Field{"Addr", &PushPullNode::addr},
                    Field{"Port", &PushPullNode::port},
                    Field{"Meta", &PushPullNode::meta},
                    Field{"Incarnation", &PushPullNode::incarnation},
                    Field{"State", &PushPullNode::state},
                    Field{"Vsn", &PushPullNode::vsn}};
}

constexpr auto RecordFields(const UserHeader*) {
  return std::tuple{Field{"UserMsgLen", &UserHeader::user_msg_len}};
}

constexpr auto RecordFields(const ErrorMessage*) {
  return std::tuple{Field{"Error", &ErrorMessage::error}};
}

constexpr auto RecordFields(const CompressMessage*) {
  return std::tuple{Field{"Algo", &CompressMessage::algo}, Field{"Buf", &CompressMessage::buf}};
}

// --- encoding that differs from Encode of msgpack.h ---

inline void AppendType(MessageType type, ByteVector& out) {
  out.push_back(static_cast<std::uint8_t>(type));
}

// No type byte: records follow the header back to back.
// A PushPullNode has no type byte: records follow the header back to back.
inline void Encode(const PushPullNode& m, ByteVector& out) { MsgpackWriter(out).Value(m); }

// --- rules of the format that decoding does not enforce (docs/protocol/membership.md 10) ---

// Why a well-formed message must still be dropped.
enum class FormatFault : std::uint8_t {
  kNone,
  kEmptyName,
  kAddressLength,  // neither 4 nor 16 bytes
  kVersionVector,  // fewer than six bytes
  kMetaLength,     // above kMetaMax: could not be passed on
};

// The name of a fault, for log lines: "empty node name", ... It lives as long as the program.
inline constexpr absl::string_view FormatFaultName(FormatFault fault) {
  switch (fault) {
    case FormatFault::kNone:
      return "none";
    case FormatFault::kEmptyName:
      return "empty node name";
    case FormatFault::kAddressLength:
      return "address is not 4 or 16 bytes long";
    case FormatFault::kVersionVector:
      return "incomplete version vector";
    case FormatFault::kMetaLength:
      return "metadata too long";
  }
  return "unknown";
}

inline constexpr bool IsAddress(ByteView bytes) {
  return bytes.size() == IpAddress::kV4Size || bytes.size() == IpAddress::kV6Size;
}

inline FormatFault Check(const Ping& m) {
  const bool sourced = !m.source_addr.empty();
  return sourced && !IsAddress(m.source_addr) ? FormatFault::kAddressLength : FormatFault::kNone;
}

inline FormatFault Check(const IndirectPing& m) {
  if (!IsAddress(m.target)) return FormatFault::kAddressLength;
  const bool sourced = !m.source_addr.empty();
  return sourced && !IsAddress(m.source_addr) ? FormatFault::kAddressLength : FormatFault::kNone;
}

inline FormatFault Check(const Suspect& m) {
  return m.node.empty() ? FormatFault::kEmptyName : FormatFault::kNone;
}

inline FormatFault Check(const Dead& m) {
  return m.node.empty() ? FormatFault::kEmptyName : FormatFault::kNone;
}

inline FormatFault Check(const Alive& m) {
  if (m.node.empty()) return FormatFault::kEmptyName;
  if (!IsAddress(m.addr)) return FormatFault::kAddressLength;
  if (m.vsn.size() < VersionVector::kSize) return FormatFault::kVersionVector;
  return m.meta.size() > kMetaMax ? FormatFault::kMetaLength : FormatFault::kNone;
}

inline FormatFault Check(const PushPullNode& m) {
  if (m.name.empty()) return FormatFault::kEmptyName;
  if (!IsAddress(m.addr)) return FormatFault::kAddressLength;
  if (m.vsn.size() < VersionVector::kSize) return FormatFault::kVersionVector;
  return m.meta.size() > kMetaMax ? FormatFault::kMetaLength : FormatFault::kNone;
}

}  // namespace serf::wire

#endif  // SERF_WIRE_SWIM_MESSAGES_H_
