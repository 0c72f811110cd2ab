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

// Decompresses. About 32 kB; an object serves any number of inputs, one after the other.
class LzwDecoder {
 public:
  // Appends the expansion of `input` to `out`, at most `max` bytes. Bytes after the end code are
  // ignored. On failure `out` holds what was expanded so far. The vector at most doubles ahead of
  // the output.
  LzwResult Decode(ByteView input, std::size_t max, ByteVector& out);

  // The same in portions: once Start(), then Continue() with equal arguments until it does not
  // return kUnfinished. A byte read or written costs one.
  void Start() { state_ = State(); }
  LzwResult Continue(ByteView input, std::size_t max, Portion& portion, ByteVector& out);
  // As Continue(), but writes nothing: size() is what would be written.
  LzwResult Measure(ByteView input, std::size_t max, Portion& portion);
  std::size_t size() const { return state_.size; }

 private:
  // An expansion is a range of the output: entry number hi is the previous code's expansion and
  // the byte after it, which stand side by side there.
  struct Entry {
    std::uint32_t begin = 0;
    std::uint32_t size = 0;
  };
  static constexpr Entry kNone{std::numeric_limits<std::uint32_t>::max(), 0};

  struct State {
    std::uint64_t bits = 0;
    unsigned bit_count = 0;
    unsigned width = kLzwWidthMin;
    std::uint32_t hi = kLzwEnd;
    Entry last = kNone;    // the expansion of the previous code, if the next one makes an entry
    std::size_t at = 0;    // bytes of the input that were read
    std::size_t size = 0;  // bytes of the output
  };

  // Bytes made ahead of the output, at least.
  static constexpr std::size_t kRoom = 1024;
  // From so many bytes on a call of memcpy() is cheaper than a loop.
  static constexpr std::uint32_t kLongCopy = 16;

  // Writes behind `base`; `out` may be longer, by as much again as was written.
  template <bool kWrite>
  LzwResult Expand(ByteView input, std::size_t max, std::size_t base, Portion& portion,
                   ByteVector& out);

  State state_;
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
  const std::size_t base = out.size() - state_.size;
  const LzwResult result = Expand<true>(input, max, base, portion, out);
  out.resize(base + state_.size);
  return result;
}

inline LzwResult LzwDecoder::Measure(ByteView input, std::size_t max, Portion& portion) {
  ByteVector none;
  return Expand<false>(input, max, 0, portion, none);
}

template <bool kWrite>
LzwResult LzwDecoder::Expand(ByteView input, std::size_t max, std::size_t base, Portion& portion,
                             ByteVector& out) {
  State s = state_;
  const State begin = s;
  // Beyond these the portion is spent. No expansion is longer than the table.
  const std::size_t left = portion.left();
  const std::size_t read_max = left < input.size() - s.at ? s.at + left : input.size();
  const std::size_t size_max = left < max - s.size ? s.size + left : max;
  const auto end = [&](LzwResult result) {
    state_ = s;
    portion.Spend(s.at - begin.at + (kWrite ? s.size - begin.size : 0));
    return result;
  };
  for (;;) {
    while (s.bit_count < s.width) {
      if (s.at == read_max) {
        return end(s.at == input.size() ? LzwResult::kTruncated : LzwResult::kUnfinished);
      }
      s.bits |= static_cast<std::uint64_t>(input[s.at++]) << s.bit_count;
      s.bit_count += 8;
    }
    if (kWrite && s.size >= size_max && size_max < max) return end(LzwResult::kUnfinished);
    const auto code = static_cast<std::uint32_t>(s.bits & ((1u << s.width) - 1));
    s.bits >>= s.width;
    s.bit_count -= s.width;

    if (code == kLzwClear) {
      s.width = kLzwWidthMin;
      s.hi = kLzwEnd;
      s.last = kNone;
      continue;
    }
    if (code == kLzwEnd) return end(LzwResult::kOk);
    if (code > s.hi) return end(LzwResult::kBadCode);
    if (s.last.size > 0) entries_[s.hi] = {s.last.begin, s.last.size + 1};

    s.last = {static_cast<std::uint32_t>(s.size), code < kLzwClear ? 1 : entries_[code].size};
    if (s.last.size > max - s.size) return end(LzwResult::kTooLarge);
    if constexpr (kWrite) {
      const std::size_t at = base + s.size;
      if (s.last.size > out.size() - at) {
        // As much ahead as was written, but no more than the portion allows.
        const std::size_t ahead = std::min(std::max(s.size, kRoom), left);
        out.resize(at + s.last.size + std::min(ahead, max - s.size - s.last.size));
      }
      std::uint8_t* const to = out.data() + at;
      if (code < kLzwClear) {
        *to = static_cast<std::uint8_t>(code);
      } else {
        const std::uint8_t* const from = out.data() + base + entries_[code].begin;
        if (s.last.size >= kLongCopy && from + s.last.size <= to) {
          std::memcpy(to, from, s.last.size);
        } else {
          // Entry hi itself may be meant: its last byte is the first one that this very copy
          // writes, hence byte by byte and forwards.
          for (std::uint32_t i = 0; i < s.last.size; ++i) to[i] = from[i];
        }
      }
    }
    s.size += s.last.size;
    if (++s.hi < 1u << s.width) continue;
    if (s.width < kLzwWidthMax) {
      ++s.width;
    } else {
      // The table stays full until a clear.
      --s.hi;
      s.last = kNone;
    }
  }
}

}  // namespace serf::wire

#endif  // SERF_WIRE_LZW_H_
