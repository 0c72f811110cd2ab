#ifndef SERF_WIRE_LZW_H_
#define SERF_WIRE_LZW_H_

// LZW as the protocol has it: least significant bit first, 8-bit literals, codes of 9 to 12 bits,
// GIF's variant without its blocks (spec/memberlist.md 1.6). Both directions keep fixed tables in
// the object, which is made once and used again; output goes to the caller's vector and is bounded.
// The encoder's output is byte for byte that of the original.
//
// stream  = [clear] code* end padding
// code    = literal 0..255 | entry 258..4095 | clear 256
// end     = 257
// padding = zero bits up to a whole byte
//
// `hi` counts the codes since the stream's start or a clear, from 257 on. A code has 9 bits until
// hi reaches 512, then 10, and so on up to 12. Entry number hi is the expansion of the code before
// last with the first byte of the last one.

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>

#include "serf/base/bytes.h"

namespace serf::wire {

inline constexpr unsigned kLzwWidthMin = 9;
inline constexpr unsigned kLzwWidthMax = 12;
inline constexpr std::uint32_t kLzwCodes = 1u << kLzwWidthMax;
inline constexpr std::uint32_t kLzwClear = 256;
inline constexpr std::uint32_t kLzwEnd = 257;

class LzwEncoder {
 public:
  LzwEncoder() { slots_.fill(0); }

  // Appends the compressed form of `input` to `out`. Gives up and returns false as soon as it
  // would take more than `max` bytes; `out` is then as before.
  bool Encode(ByteView input, std::size_t max, ByteVector& out);

 private:
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

  // Counts a literal or entry just written; clears the table when it is full.
  // False if it did, so that there is no number for a new entry.
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
    // The generation outdates every slot. It has 32 bits; once it wraps, slots of old must go.
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
  // generation << 32 | prefix << 20 | byte << 12 | code. A slot of another generation is free.
  std::array<std::uint64_t, kSlots> slots_;
};

enum class LzwResult : std::uint8_t {
  kOk,
  kTruncated,  // no end code
  kBadCode,    // a code that has no entry yet
  kTooLarge,   // more output than allowed
};

class LzwDecoder {
 public:
  // Appends the expansion of `input` to `out`, at most `max` bytes. Bytes after the end code are
  // ignored. On failure `out` holds what was expanded so far. The vector at most doubles ahead of
  // the output.
  LzwResult Decode(ByteView input, std::size_t max, ByteVector& out);

 private:
  // An expansion is a range of the output: entry number hi is the previous code's expansion and
  // the byte after it, which stand side by side there.
  struct Entry {
    std::uint32_t begin = 0;
    std::uint32_t size = 0;
  };

  // Bytes made ahead of the output, at least.
  static constexpr std::size_t kRoom = 1024;

  // Writes up to end_; `out` may be longer, by as much again as was written.
  LzwResult Expand(ByteView input, std::size_t max, ByteVector& out);

  std::size_t end_ = 0;
  std::array<Entry, kLzwCodes> entries_;
};

inline bool LzwEncoder::Encode(ByteView input, std::size_t max, ByteVector& out) {
  const std::size_t begin = out.size();
  bits_ = 0;
  bit_count_ = 0;
  Reset();
  Emit(kLzwClear, out);
  std::size_t at = 0;
  std::uint32_t prefix = input.empty() ? kLzwEnd : input[at++];
  for (; at < input.size(); ++at) {
    const std::uint32_t byte = input[at];
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
    if (out.size() - begin > max) break;
    prefix = byte;
  }
  if (!input.empty()) {
    Emit(prefix, out);
    Advance(out);
  }
  Emit(kLzwEnd, out);
  if (bit_count_ > 0) out.push_back(static_cast<std::uint8_t>(bits_));
  if (out.size() - begin <= max) return true;
  out.resize(begin);
  return false;
}

inline LzwResult LzwDecoder::Decode(ByteView input, std::size_t max, ByteVector& out) {
  end_ = out.size();
  const LzwResult result = Expand(input, max, out);
  out.resize(end_);
  return result;
}

inline LzwResult LzwDecoder::Expand(ByteView input, std::size_t max, ByteVector& out) {
  constexpr Entry kNone{std::numeric_limits<std::uint32_t>::max(), 0};
  const std::size_t base = end_;
  std::uint64_t bits = 0;
  unsigned bit_count = 0;
  unsigned width = kLzwWidthMin;
  std::uint32_t hi = kLzwEnd;
  Entry last = kNone;  // the expansion of the previous code, if the next one makes an entry
  std::size_t at = 0;
  for (;;) {
    while (bit_count < width) {
      if (at == input.size()) return LzwResult::kTruncated;
      bits |= static_cast<std::uint64_t>(input[at++]) << bit_count;
      bit_count += 8;
    }
    const auto code = static_cast<std::uint32_t>(bits & ((1u << width) - 1));
    bits >>= width;
    bit_count -= width;

    if (code == kLzwClear) {
      width = kLzwWidthMin;
      hi = kLzwEnd;
      last = kNone;
      continue;
    }
    if (code == kLzwEnd) return LzwResult::kOk;
    if (code > hi) return LzwResult::kBadCode;
    if (last.size > 0) entries_[hi] = {last.begin, last.size + 1};

    last = {static_cast<std::uint32_t>(end_ - base), code < kLzwClear ? 1 : entries_[code].size};
    if (last.size > max - last.begin) return LzwResult::kTooLarge;
    if (last.size > out.size() - end_) {
      const std::size_t ahead = std::max(end_ - base, kRoom);
      out.resize(end_ + last.size + std::min(ahead, max - last.begin - last.size));
    }
    std::uint8_t* const to = out.data() + end_;
    end_ += last.size;
    if (code < kLzwClear) {
      *to = static_cast<std::uint8_t>(code);
    } else {
      // Entry hi itself may be meant: its last byte is the first one that this very copy writes,
      // hence byte by byte and forwards.
      const std::uint8_t* const from = out.data() + base + entries_[code].begin;
      for (std::uint32_t i = 0; i < last.size; ++i) to[i] = from[i];
    }
    if (++hi < 1u << width) continue;
    if (width < kLzwWidthMax) {
      ++width;
    } else {
      // The table is full until a clear.
      --hi;
      last = kNone;
    }
  }
}

}  // namespace serf::wire

#endif  // SERF_WIRE_LZW_H_
