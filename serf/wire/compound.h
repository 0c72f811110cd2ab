// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_WIRE_COMPOUND_H_
#define SERF_WIRE_COMPOUND_H_

// Compound messages: several messages in one packet.
//
//   compound = 07 count length{count} part{count}
//   count    = byte
//   length   = uint16, big-endian
//   part     = a message with its own type byte
//
// Source: docs/protocol/membership.md 1.5.

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <span>

#include "serf/base/bytes.h"
#include "serf/wire/message_type.h"

namespace serf::wire {

// The most parts, since the count is one byte.
inline constexpr std::size_t kCompoundPartsMax = 255;
// The most parts that may ride on a message: together they must fit one compound.
inline constexpr std::size_t kPiggybackPartsMax = kCompoundPartsMax - 1;
// The bytes of the header, and those that each part costs besides its own.
inline constexpr std::size_t kCompoundHeaderOverhead = 2;
inline constexpr std::size_t kCompoundPartOverhead = 2;
inline constexpr std::size_t kCompoundPartSizeMax = 0xffff;

// The bytes of a compound of these parts.
inline std::size_t CompoundSize(std::span<const ByteView> parts) {
  std::size_t size = kCompoundHeaderOverhead + kCompoundPartOverhead * parts.size();
  for (const ByteView part : parts) size += part.size();
  return size;
}

// Appends a compound of 1 to kCompoundPartsMax parts, each at most kCompoundPartSizeMax bytes. The
// parts must not point into `out`.
inline void AppendCompound(std::span<const ByteView> parts, ByteVector& out) {
  assert(!parts.empty() && parts.size() <= kCompoundPartsMax);
  out.push_back(static_cast<std::uint8_t>(MessageType::kCompound));
  out.push_back(static_cast<std::uint8_t>(parts.size()));
  for (const ByteView part : parts) {
    assert(part.size() <= kCompoundPartSizeMax);
    out.push_back(static_cast<std::uint8_t>(part.size() >> 8));
    out.push_back(static_cast<std::uint8_t>(part.size() & 0xff));
  }
  for (const ByteView part : parts) Append(out, part);
}

// Appends one message bare, and several as a compound, as gossip does. Takes the first
// kCompoundPartsMax messages, and returns how many it took: call it again with the rest for a
// further packet.
inline std::size_t AppendMessages(std::span<const ByteView> messages, ByteVector& out) {
  if (messages.empty()) return 0;
  if (messages.size() == 1) {
    Append(out, messages.front());
    return 1;
  }
  const std::size_t count =
      messages.size() < kCompoundPartsMax ? messages.size() : kCompoundPartsMax;
  AppendCompound(messages.first(count), out);
  return count;
}

// The parts of a received compound, in order. They are views of `body`.
//
//   CompoundReader reader(body);
//   for (ByteView part; reader.Next(part);) ...
class CompoundReader {
 public:
  // `body` begins after the type byte.
  explicit CompoundReader(ByteView body) {
    if (body.empty()) return;
    count_ = body[0];
    const std::size_t table = 1 + kCompoundPartOverhead * count_;
    if (body.size() < table) return;
    lengths_ = body.subspan(1, table - 1);
    rest_ = body.subspan(table);
    valid_ = true;
  }

  // False if the count or the table of lengths is cut short. Next() then finds nothing.
  bool valid() const { return valid_; }

  // The next part, which may be empty. False at the end, and at the first part that is cut short.
  bool Next(ByteView& part) {
    if (!valid_ || next_ == count_) return false;
    const std::size_t size =
        static_cast<std::size_t>(lengths_[2 * next_] << 8 | lengths_[2 * next_ + 1]);
    if (size > rest_.size()) return false;
    part = rest_.first(size);
    rest_ = rest_.subspan(size);
    ++next_;
    return true;
  }

  // After Next() has returned false: how many parts were cut short.
  std::size_t truncated() const { return count_ - next_; }

 private:
  std::size_t count_ = 0;
  std::size_t next_ = 0;
  ByteView lengths_;
  ByteView rest_;
  bool valid_ = false;
};

}  // namespace serf::wire

#endif  // SERF_WIRE_COMPOUND_H_
