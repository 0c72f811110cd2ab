// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_WIRE_LZW_H_
#define SERF_WIRE_LZW_H_

// LZW as the protocol has it: least significant bit first, 8-bit literals, codes of 9 to 12 bits,
// GIF's variant without its blocks. The encoder's output equals that of Go Serf byte for byte.
//
//   LzwEncoder encoder;
//   if (encoder.Encode(message, message.size(), out)) ...    // shorter than the message
//
// Encoder and decoder keep fixed tables in the object: make one and use it again. Output goes to
// the caller's vector and is bounded. One thread per object.
//
//   stream  = [clear] code* end padding
//   code    = literal 0..255 | entry 258..4095 | clear 256
//   end     = 257
//   padding = zero bits up to a whole byte
//
// `hi` counts the codes since the stream's start or a clear, from 257 on. A code has 9 bits until
// hi reaches 512, then 10, and so on up to 12. Entry number hi is the expansion of the code before
// last with the first byte of the last one. Source: docs/protocol/membership.md 1.6.

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>

#include "serf/base/bytes.h"
#include "serf/base/portion.h"

namespace serf::wire {

inline constexpr unsigned kLzwWidthMin = 9;
inline constexpr unsigned kLzwWidthMax = 12;
inline constexpr std::uint32_t kLzwCodes = 1u << kLzwWidthMax;
inline constexpr std::uint32_t kLzwClear = 256;
inline constexpr std::uint32_t kLzwEnd = 257;

// Compresses. About 64 kB; an object serves any number of inputs, one after the other.
class LzwEncoder {
 public:
  LzwEncoder() { slots_.fill(0); }

  // Appends the compressed form of `input` to `out`. Gives up and returns false as soon as it
  // would take more than `max` bytes; `out` is then as before.
  bool Encode(ByteView input, std::size_t max, ByteVector& out);

  // The same in pieces of any size, without a limit: Start(), Add() each, Finish().
  void Start(ByteVector& out);
  void Add(ByteView piece, ByteVector& out) {
    AddUpTo(piece, std::numeric_limits<std::size_t>::max(), out);
  }
  void Finish(ByteVector& out);

 private:
  // Stops when `out` is longer than `max`.
  void AddUpTo(ByteView piece, std::size_t max, ByteVector& out);

  // Twice the entries, so that probes are short.
  static constexpr std::size_t kSlots = 2 * kLzwCodes;

  void Emit(std::uint32_t code, ByteVector& out) {
    bits_ |= static_cast<std::uint64_t>(code) << bit_count_;
    bit_count_ += width_;
    while (bit_count_ >= 8) {
      out.push_back(static_cast<std::uint8_t>(bits_));
      bits_ >>= 8;
      bit_count_ -= 8;
    }
  }

  // Counts a literal or entry just written; clears the table when it is full. False if it did, so
  // that a new entry gets no number.
  bool Advance(ByteVector& out) {
    ++hi_;
    if (hi_ == 1u << width_) ++width_;
    if (hi_ < kLzwCodes - 1) return true;
    Emit(kLzwClear, out);
    Reset();
    return false;
  }

  void Reset() {
    width_ = kLzwWidthMin;
    hi_ = kLzwEnd;
    // The generation outdates every slot. It has 32 bits; once it wraps, old slots must be cleared.
    if (++generation_ == 0) {
      slots_.fill(0);
      generation_ = 1;
    }
  }

  // The slot of (prefix, byte), or the free one where it belongs.
  std::uint64_t& Slot(std::uint32_t pair) {
    std::size_t at = pair * 0x9e3779b1u >> 19 & (kSlots - 1);
    for (;; at = (at + 1) & (kSlots - 1)) {
      const std::uint64_t slot = slots_[at];
      if (slot >> 32 != generation_ || static_cast<std::uint32_t>(slot) >> 12 == pair) {
        return slots_[at];
      }
    }
  }

  std::uint64_t bits_ = 0;
  unsigned bit_count_ = 0;
  unsigned width_ = kLzwWidthMin;
  std::uint32_t hi_ = kLzwEnd;
  std::uint32_t generation_ = 0;
  std::uint32_t prefix_ = kLzwEnd;  // what was added and not written yet; kLzwEnd: nothing
  // generation << 32 | prefix << 20 | byte << 12 | code. A slot of another generation is free.
  std::array<std::uint64_t, kSlots> slots_;
};

// How a decompression ended.
enum class LzwResult : std::uint8_t {
  kOk,
  kUnfinished,  // the portion is spent: call again with another one
  kTruncated,   // no end code
  kBadCode,     // a code that has no entry yet
  kTooLarge,    // more output than allowed
};

// Decompresses. About 96 kB; an object serves any number of inputs, one after the other. It does
// not need what it has written: the caller may take the output away piece by piece.
class LzwDecoder {
 public:
  LzwDecoder() {}  // NOLINT(modernize-use-equals-default)

  // Continue() writes less than so many bytes beyond its portion: one expansion, and a block that
  // it takes back.
  static constexpr std::size_t kBeyondMax = kLzwCodes + 16;

  // Appends the expansion of `input` to `out`, at most `max` bytes. Bytes after the end code are
  // ignored. On failure `out` holds what was expanded so far. The vector at most doubles ahead of
  // the output.
  LzwResult Decode(ByteView input, std::size_t max, ByteVector& out);

  // The same in portions: once Start(), then Continue() with equal `input` and `max` until it does
  // not return kUnfinished. A byte read or written costs one.
  void Start() { state_ = State(); }
  LzwResult Continue(ByteView input, std::size_t max, Portion& portion, ByteVector& out);
  // As Continue(), but writes nothing. The two may take turns.
  LzwResult Measure(ByteView input, std::size_t max, Portion& portion);
  // How many bytes were expanded since Start().
  std::size_t size() const { return state_.size; }

 private:
  // An expansion: the one of `prefix`, whose size is a multiple of a block's, and then a part of a
  // block. So whole blocks are copied, and none of the output is needed.
  struct Entry {
    std::uint64_t low;  // the block: the first byte is the lowest
    std::uint64_t high;
    std::uint16_t prefix;
    std::uint16_t size;
    std::uint8_t first;
  };
  static constexpr std::uint16_t kBlock = sizeof(Entry::low) + sizeof(Entry::high);

  struct State {
    std::uint64_t bits = 0;
    unsigned bit_count = 0;
    unsigned width = kLzwWidthMin;
    std::uint32_t hi = kLzwEnd;
    std::uint32_t last_code = kLzwEnd;
    Entry last{};          // of the previous code, if the next one makes an entry; else of size 0
    std::size_t at = 0;    // bytes of the input that were read
    std::size_t size = 0;  // bytes of the output
  };

  // Bytes made ahead of the output, at least.
  static constexpr std::size_t kRoom = 1024;

  // Writes behind the first `end` bytes of `out`, which may be longer, and moves `end`.
  template <bool kWrite>
  LzwResult Expand(ByteView input, std::size_t max, Portion& portion, ByteVector& out,
                   std::size_t& end);

  // The expansion of `entry` and one more byte.
  static Entry Longer(const Entry& entry, std::uint32_t code, std::uint8_t byte) {
    const unsigned filled = entry.size % kBlock;
    const std::uint64_t shifted = static_cast<std::uint64_t>(byte) << (8 * (filled % 8));
    return {.low = (filled > 0 ? entry.low : 0) | (filled < 8 ? shifted : 0),
            .high = (filled > 0 ? entry.high : 0) | (filled < 8 ? 0 : shifted),
            .prefix = filled > 0 ? entry.prefix : static_cast<std::uint16_t>(code),
            .size = static_cast<std::uint16_t>(entry.size + 1),
            .first = entry.first};
  }
  // Writes an expansion and up to kBlock - 1 bytes behind it.
  void Write(const Entry& entry, std::uint8_t* to) const {
    std::size_t at = (entry.size - 1u) / kBlock * kBlock;
    WriteBlock(entry, to + at);
    for (std::uint16_t code = entry.prefix; at > 0; code = entries_[code].prefix) {
      at -= kBlock;
      WriteBlock(entries_[code], to + at);
    }
  }
  static void WriteBlock(const Entry& entry, std::uint8_t* to) {
    if constexpr (std::endian::native == std::endian::little) {
      std::memcpy(to, &entry.low, sizeof(entry.low));
      std::memcpy(to + sizeof(entry.low), &entry.high, sizeof(entry.high));
    } else {
      for (unsigned i = 0; i < kBlock; ++i) {
        to[i] = static_cast<std::uint8_t>((i < 8 ? entry.low : entry.high) >> (8 * (i % 8)));
      }
    }
  }

  State state_;
  // Deliberately without initialisation: an input reads only what it has written.
  std::array<Entry, kLzwCodes> entries_;
};

inline bool LzwEncoder::Encode(ByteView input, std::size_t max, ByteVector& out) {
  const std::size_t begin = out.size();
  const std::size_t most =
      max > std::numeric_limits<std::size_t>::max() - begin ? max : begin + max;
  Start(out);
  AddUpTo(input, most, out);
  Finish(out);
  if (out.size() <= most) return true;
  out.resize(begin);
  return false;
}

inline void LzwEncoder::Start(ByteVector& out) {
  bits_ = 0;
  bit_count_ = 0;
  prefix_ = kLzwEnd;
  Reset();
  Emit(kLzwClear, out);
}

inline void LzwEncoder::AddUpTo(ByteView piece, std::size_t max, ByteVector& out) {
  std::size_t at = 0;
  std::uint32_t prefix = prefix_;
  if (prefix == kLzwEnd && !piece.empty()) prefix = piece[at++];
  for (; at < piece.size(); ++at) {
    const std::uint32_t byte = piece[at];
    const std::uint32_t pair = prefix << 8 | byte;
    std::uint64_t& slot = Slot(pair);
    if (slot >> 32 == generation_) {
      prefix = static_cast<std::uint32_t>(slot) & (kLzwCodes - 1);
      continue;
    }
    Emit(prefix, out);
    if (Advance(out)) {
      slot = static_cast<std::uint64_t>(generation_) << 32 | pair << 12 | hi_;
    }
    prefix = byte;
    if (out.size() > max) break;
  }
  prefix_ = prefix;
}

inline void LzwEncoder::Finish(ByteVector& out) {
  if (prefix_ != kLzwEnd) {
    Emit(prefix_, out);
    Advance(out);
  }
  Emit(kLzwEnd, out);
  if (bit_count_ > 0) out.push_back(static_cast<std::uint8_t>(bits_));
}

inline LzwResult LzwDecoder::Decode(ByteView input, std::size_t max, ByteVector& out) {
  Portion all = Portion::Unlimited();
  Start();
  return Continue(input, max, all, out);
}

inline LzwResult LzwDecoder::Continue(ByteView input, std::size_t max, Portion& portion,
                                      ByteVector& out) {
  std::size_t end = out.size();
  const LzwResult result = Expand<true>(input, max, portion, out, end);
  out.resize(end);
  return result;
}

inline LzwResult LzwDecoder::Measure(ByteView input, std::size_t max, Portion& portion) {
  ByteVector none;
  std::size_t end = 0;
  return Expand<false>(input, max, portion, none, end);
}

template <bool kWrite>
LzwResult LzwDecoder::Expand(ByteView input, std::size_t max, Portion& portion, ByteVector& out,
                             std::size_t& end) {
  State s = state_;
  const State begin = s;
  // Beyond these the portion is spent.
  const std::size_t left = portion.left();
  const std::size_t read_max = left < input.size() - s.at ? s.at + left : input.size();
  const std::size_t size_max = left < max - s.size ? s.size + left : max;
  const auto stop = [&](LzwResult result) {
    state_ = s;
    portion.Spend(s.at - begin.at + (kWrite ? s.size - begin.size : 0));
    return result;
  };
  for (;;) {
    while (s.bit_count < s.width) {
      if (s.at == read_max) {
        return stop(s.at == input.size() ? LzwResult::kTruncated : LzwResult::kUnfinished);
      }
      s.bits |= static_cast<std::uint64_t>(input[s.at++]) << s.bit_count;
      s.bit_count += 8;
    }
    if (kWrite && s.size >= size_max && size_max < max) return stop(LzwResult::kUnfinished);
    const auto code = static_cast<std::uint32_t>(s.bits & ((1u << s.width) - 1));
    s.bits >>= s.width;
    s.bit_count -= s.width;

    if (code == kLzwClear) {
      s.width = kLzwWidthMin;
      s.hi = kLzwEnd;
      s.last.size = 0;
      continue;
    }
    if (code == kLzwEnd) return stop(LzwResult::kOk);
    if (code > s.hi) return stop(LzwResult::kBadCode);
    const auto literal = static_cast<std::uint8_t>(code);
    if (s.last.size > 0) {
      // Entry hi itself may be meant: it begins as the previous expansion does.
      const std::uint8_t next = code < kLzwClear ? literal
                                : code == s.hi   ? s.last.first
                                                 : entries_[code].first;
      entries_[s.hi] = Longer(s.last, s.last_code, next);
    }
    s.last = code < kLzwClear
                 ? Entry{.low = literal, .high = 0, .prefix = 0, .size = 1, .first = literal}
                 : entries_[code];
    s.last_code = code;
    const std::size_t size = s.last.size;
    if (size > max - s.size) return stop(LzwResult::kTooLarge);
    s.size += size;
    if constexpr (kWrite) {
      if (out.size() - end < size + kBlock) {
        // As much ahead as was written, but no more than the portion allows.
        const std::size_t allowed = size_max > s.size ? size_max - s.size : 0;
        out.resize(end + size + kBlock + std::min(std::max(s.size, kRoom), allowed));
      }
      Write(s.last, out.data() + end);
      end += size;
    }
    if (++s.hi < 1u << s.width) continue;
    if (s.width < kLzwWidthMax) {
      ++s.width;
    } else {
      // The table stays full until a clear.
      --s.hi;
      s.last.size = 0;
    }
  }
}

}  // namespace serf::wire

#endif  // SERF_WIRE_LZW_H_
