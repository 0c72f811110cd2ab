// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_WIRE_STREAM_UNIT_H_
#define SERF_WIRE_STREAM_UNIT_H_

// StreamUnit: what a stream brought, the limits on it, and what may be wrong with it. StreamReader
// of stream_frame.h makes it; PushPullReader reads that of a push/pull.

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/strings/str_cat.h"
#include "serf/base/bytes.h"
#include "serf/wire/message_type.h"
#include "serf/wire/swim_messages.h"

namespace serf::wire {

// Go Serf's limits on receipt.
inline constexpr std::uint64_t kStreamFrameMax = 20 << 20;
inline constexpr std::int64_t kUserStateMax = 20 << 20;
inline constexpr std::int64_t kUserMessageMax = 20 << 20;
inline constexpr std::int64_t kPushPullNodesMax = 1 << 20;
inline constexpr std::size_t kStreamInflatedMax = 40 << 20;
// The compressed bytes of a plaintext stream, and the whole body of one that is not compressed: as
// much as decompression may yield, so that each way of sending carries the same.
inline constexpr std::size_t kStreamBodyMax = kStreamInflatedMax;
// Ping, ack and error on a stream: a name and an error text of any sane length. Also a record of a
// push/pull, and what surrounds the bytes of a compress message.
inline constexpr std::size_t kStreamMessageMax = 64 << 10;
// What a compressed message may inflate to besides kInflationMax times its bytes.
inline constexpr std::size_t kInflationFree = 1 << 20;
// The most memory that a stream takes besides the bytes that came. Of a user message, which its
// receiver gets as a whole, also the text beyond those bytes.
inline constexpr std::size_t kInflatedHeldMax = 1 << 20;

// The most records of a compressed push/pull: so many, and one for each kRecordDeflatedMin of its
// bytes. Members differ in name and address, so a record takes six bytes at least.
inline constexpr std::size_t kInflatedRecordsFree = 16 << 10;
inline constexpr std::size_t kRecordDeflatedMin = 4;
// The most values in those records: so many for each, and so many more. A record of Go Serf has 17,
// keys included. Others could make a long text of values that are no longer than a byte.
inline constexpr std::size_t kRecordValuesMax = 24;
inline constexpr std::size_t kRecordValuesFree = 64 << 10;

inline constexpr std::size_t kFrameHeaderSize = 5;

// What was received: complete, its limits checked.
struct StreamUnit {
  MessageType type = MessageType::kPing;
  // After the type byte: the record of a ping, ack or error; the payload alone of a user message;
  // header, records and user state of a push/pull, for PushPullReader.
  ByteView body = {};
  // Of a push/pull that is too long to be kept, the message compressed, and its size with the type
  // byte. The body is empty then. Only PushPullReader should care.
  ByteView deflated = {};
  std::size_t inflated_size = 0;
};

enum class StreamError : std::uint8_t {
  kNone,
  kClosed,  // the peer closed where the next byte was due
  kLabelTruncated,
  kLabelZeroLength,
  kDoubleLabel,  // a label although a proxy removes labels
  kLabelMismatch,
  kNotConfigured,  // encrypted, and we have no keys
  kNotEncrypted,   // plaintext, and we have keys
  kFrameTooLarge,
  kNotAuthentic,  // cannot be decrypted, for whatever reason
  kEmpty,         // nothing left after decryption or decompression
  kBadCompress,   // no valid compress record, or no known algorithm
  kBadLzw,
  kTooLarge,        // one of the limits above
  kUnexpectedType,  // no message for this side of a stream
  kBadBody,         // the message does not decode, or ends early
  kBadCount,        // a negative or huge count or length
};

// How to end a stream that failed.
enum class StreamEnd : std::uint8_t {
  kSilent,  // close, without a log line
  kClose,   // log, close
  kAnswer,  // log, answer with an ErrorMessage of the text (acceptors only), close
};

struct StreamFailure {
  StreamError error = StreamError::kNone;
  StreamEnd end = StreamEnd::kClose;
  // Go Serf's wording.
  std::string text;
};

// What is wrong with the counts of a push/pull header, in Go Serf's words; empty if nothing.
inline std::string PushPullHeaderFault(const PushPullHeader& header) {
  if (header.nodes < 0 || header.nodes > kPushPullNodesMax) {
    return absl::StrCat("number of nodes in header (", header.nodes, ") exceeds limit");
  }
  if (header.user_state_len < 0 || header.user_state_len > kUserStateMax) {
    return absl::StrCat("user state length (", header.user_state_len, ") exceeds limit");
  }
  return std::string();
}

}  // namespace serf::wire

#endif  // SERF_WIRE_STREAM_UNIT_H_
