// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_WIRE_MSGPACK_H_
#define SERF_WIRE_MSGPACK_H_

// MessagePack as the protocol speaks it: MsgpackWriter emits the old dialect, MsgpackReader accepts
// what Go Serf's decoders accept. The only header under serf/ that includes msgpack-c.
//
//   MsgpackWriter writer(out);
//   writer.Map(1);
//   writer.Pair("SeqNo", ping.seq_no);
//
//   DecodeScratch scratch;
//   Ping ping;
//   if (Decode(body, ping, scratch) != DecodeResult::kOk) { ...count it, drop it... }
//
// For the messages of the protocol, Encode() and Decode() of swim_messages.h and serf_messages.h
// are enough. One thread per scratch and writer.
//
// Writing is msgpack-c's packer: pack_v4raw is the old dialect's one form for text and bytes.
// Reading is not msgpack-c's. Its parser keeps its stack in a std::vector (one allocation per
// message), has no limit on nesting, and cannot report how many bytes a truncated value lacks,
// which the stream reader needs. The reader's test checks it against msgpack::parse.

#include <array>
#include <bit>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <tuple>
#include <type_traits>

#include "absl/strings/string_view.h"
#include "msgpack/pack.hpp"
#include "serf/base/bytes.h"
#include "serf/base/newtype.h"
#include "serf/wire/record.h"

namespace serf::wire {

// How a decoding ended. Anything but kOk leaves the output unspecified.
enum class DecodeResult : std::uint8_t {
  kOk,
  kTruncated,   // the input ends within the value
  kBadType,     // a value that the field cannot take, or no map, list or nil at the top
  kOutOfRange,  // an integer that the field cannot hold
  kReserved,    // the byte c1, which no value begins with
  kTooDeep,     // a skipped value nests deeper than kSkipNestingMax
  kTooLong,     // a byte field given as a list of integers overflows the DecodeScratch
};

// The name of a result, for log lines: "ok", "truncated", ... It lives as long as the program.
inline constexpr absl::string_view DecodeResultName(DecodeResult result) {
  switch (result) {
    case DecodeResult::kOk:
      return "ok";
    case DecodeResult::kTruncated:
      return "truncated";
    case DecodeResult::kBadType:
      return "unexpected type";
    case DecodeResult::kOutOfRange:
      return "integer out of range";
    case DecodeResult::kReserved:
      return "reserved byte";
    case DecodeResult::kTooDeep:
      return "nested too deeply";
    case DecodeResult::kTooLong:
      return "byte list too long";
  }
  return "unknown";
}

// The most containers within a skipped value. No known message nests deeper than 4. Go Serf's limit
// is 1024, or none.
inline constexpr std::size_t kSkipNestingMax = 32;

// Where a decoding leaves what is neither in the input nor in the output. Views in a decoded
// message point into the input or into the scratch, so both must outlive them. The next decoding
// with the same scratch ends the views into it.
class DecodeScratch {
 public:
  // Deliberately without initialisation of the bytes.
  DecodeScratch() {}  // NOLINT(modernize-use-equals-default)
  DecodeScratch(const DecodeScratch&) = delete;
  DecodeScratch& operator=(const DecodeScratch&) = delete;

  // After kOk: the bytes that the value took; the rest of the input is not part of it.
  std::size_t consumed() const { return consumed_; }

  // After kTruncated: a lower bound of the input's size with which it may succeed.
  std::size_t needed() const { return needed_; }

  // How many values were looked at: what the decoding costs besides its bytes.
  std::size_t values() const { return values_; }

 private:
  friend class MsgpackReader;

  // Holds the byte fields of one message if they come as lists of integers, which no known peer
  // sends: 512 bytes of metadata, an address and a version vector.
  static constexpr std::size_t kBytesMax = 640;

  std::size_t consumed_ = 0;
  std::size_t needed_ = 0;
  std::size_t values_ = 0;
  std::size_t used_ = 0;
  std::array<std::uint8_t, kBytesMax> bytes_;
};

// value  = nil | bool | int | float | raw | bin | ext | list | map
// record = nil                         every field zero
//        | map:  (key value)*          any order; unknown keys skipped; the last of equals wins
//        | list: value*                declaration order; surplus skipped, missing zero
// key    = raw | bin
// text   = raw | bin | nil
// bytes  = raw | bin | nil | list of integers 0..255
// uint   = any integer form with a value in range | nil
// bool   = c2 | c3 | integer 0 or 1 | nil
// float  = ca | cb | integer | nil
//
// Methods return false on failure; then result() tells why, and the reader stays failed.
class MsgpackReader {
 public:
  enum class Kind : std::uint8_t {
    kNil,
    kBool,
    kUint,
    kNegative,
    kFloat,
    kText,
    kBytes,
    kExt,
    kList,
    kMap
  };

  // The first bytes of a value.
  struct Head {
    Kind kind = Kind::kNil;
    // The boolean or integer (negative ones as two's complement), the bits of the double, the
    // bytes that follow (kText, kBytes, kExt), the elements (kList) or the pairs (kMap).
    std::uint64_t value = 0;
  };

  // Begins a new use of `scratch`.
  MsgpackReader(ByteView input, DecodeScratch& scratch) : input_(input), scratch_(scratch) {
    scratch_.used_ = 0;
  }

  DecodeResult result() const { return result_; }
  std::size_t position() const { return position_; }
  ByteView input() const { return input_; }

  // Ends the decoding: stores consumed() or needed(), and values() in the scratch.
  DecodeResult Finish() {
    scratch_.consumed_ = position_;
    scratch_.values_ = values_;
    return result_;
  }

  bool Fail(DecodeResult why) {
    result_ = why;
    return false;
  }

  // Byte fields read after a mark lose their bytes when it is released.
  std::size_t ScratchMark() const { return scratch_.used_; }
  void ReleaseScratch(std::size_t mark) { scratch_.used_ = mark; }

  bool NextIsNil() const { return position_ < input_.size() && input_[position_] == 0xc0; }
  bool ReadHead(Head& head);
  // Skips one value of any type.
  bool Skip();
  bool SkipBody(const Head& head);

  bool Read(bool& out);
  bool Read(double& out);
  bool Read(absl::string_view& out);
  // A zero-length value and nil give the same: no bytes at no address.
  bool Read(ByteView& out);
  bool Read(std::int64_t& out);
  template <typename T>
  requires std::is_unsigned_v<T>
  bool Read(T& out) {
    std::uint64_t wide = 0;
    if (!ReadUint(std::numeric_limits<T>::max(), wide)) return false;
    out = static_cast<T>(wide);
    return true;
  }
  template <typename Tag, typename T>
  bool Read(Newtype<Tag, T>& out) {
    T value = 0;
    if (!Read(value)) return false;
    out = Newtype<Tag, T>(value);
    return true;
  }
  // A nested record, or any type with a ReadFrom(MsgpackReader&).
  template <typename T>
  requires std::is_class_v<T>
  bool Read(T& out) {
    if constexpr (requires { out.ReadFrom(*this); }) {
      return out.ReadFrom(*this);
    } else {
      return ReadRecord(out);
    }
  }

  bool ReadKey(absl::string_view& key);
  // Passes these bytes if they come next, and else nothing.
  bool SkipExact(absl::string_view bytes) {
    if (input_.size() - position_ < bytes.size()) return false;
    if (std::memcmp(input_.data() + position_, bytes.data(), bytes.size()) != 0) return false;
    position_ += bytes.size();
    return true;
  }

  // Reads a record by its table. All fields of `out` are reset first.
  template <HasFields Record>
  bool ReadRecord(Record& out);

 private:
  bool Need(std::uint64_t size) {
    if (size <= input_.size() - position_) return true;
    scratch_.needed_ = size > std::numeric_limits<std::size_t>::max() - position_
                           ? std::numeric_limits<std::size_t>::max()
                           : position_ + static_cast<std::size_t>(size);
    return Fail(DecodeResult::kTruncated);
  }
  bool ReadBigEndian(std::size_t size, std::uint64_t& out) {
    if (!Need(size)) return false;
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < size; ++i) value = value << 8 | input_[position_ + i];
    position_ += size;
    out = value;
    return true;
  }
  // Reads `width` bytes of a length, then checks that so many bytes can follow.
  bool ReadLength(Kind kind, std::size_t width, Head& head) {
    head.kind = kind;
    return ReadBigEndian(width, head.value) && CheckLength(head);
  }
  bool CheckLength(Head& head) {
    // Each element takes a byte at least, so no loop runs longer than the input is.
    const std::uint64_t least = head.kind == Kind::kMap ? head.value * 2 : head.value;
    return Need(least);
  }
  bool ReadSigned(std::size_t width, Head& head) {
    if (!ReadBigEndian(width, head.value)) return false;
    const unsigned shift = static_cast<unsigned>(64 - 8 * width);
    const auto value = static_cast<std::int64_t>(head.value << shift) >> shift;
    head.kind = value < 0 ? Kind::kNegative : Kind::kUint;
    head.value = static_cast<std::uint64_t>(value);
    return true;
  }
  bool ReadWideHead(std::uint8_t first, Head& head);
  bool ReadUint(std::uint64_t max, std::uint64_t& out);
  bool ReadByteList(std::uint64_t size, ByteView& out);
  ByteView Take(std::uint64_t size) {
    const ByteView bytes = input_.subspan(position_, static_cast<std::size_t>(size));
    position_ += bytes.size();
    return bytes;
  }

  ByteView input_;
  DecodeScratch& scratch_;
  std::size_t position_ = 0;
  std::size_t values_ = 0;
  DecodeResult result_ = DecodeResult::kOk;
};

// Decodes one message at the beginning of `body` (after the type byte, if it has one). Ignores what
// follows it; scratch.consumed() is where that begins. The views in `out` point into `body` and
// `scratch`.
template <typename Message>
DecodeResult Decode(ByteView body, Message& out, DecodeScratch& scratch) {
  MsgpackReader reader(body, scratch);
  reader.Read(out);
  return reader.Finish();
}

// Appends MessagePack values to a ByteVector in the old dialect: no str8, no bin, integers in
// their shortest unsigned form. WriteRecord() of record.h writes a record with it.
class MsgpackWriter {
 public:
  // What was written is in `out` once the writer is destroyed. Until then no other code may touch
  // `out`.
  explicit MsgpackWriter(ByteVector& out) : sink_(out), packer_(sink_) {}
  ~MsgpackWriter() { sink_.Finish(); }
  MsgpackWriter(const MsgpackWriter&) = delete;
  MsgpackWriter& operator=(const MsgpackWriter&) = delete;

  // The head of a map or list: so many pairs, or elements, must follow.
  void Map(std::size_t pairs) { packer_.pack_map(Size32(pairs)); }
  void List(std::size_t elements) { packer_.pack_array(Size32(elements)); }
  void Nil() { packer_.pack_nil(); }

  void Write(bool value) { value ? packer_.pack_true() : packer_.pack_false(); }
  // Always eight bytes: the packer's own pack_double makes an integer of a whole number.
  void Write(double value) {
    const auto bits = std::bit_cast<std::uint64_t>(value);
    std::array<std::uint8_t, 9> bytes = {0xcb};
    for (unsigned i = 0; i < 8; ++i) bytes[1 + i] = static_cast<std::uint8_t>(bits >> (56 - 8 * i));
    sink_.write(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  }
  void Write(std::int64_t value) { packer_.pack_int64(value); }
  template <typename T>
  requires std::is_unsigned_v<T>
  void Write(T value) { packer_.pack_uint64(value); }
  template <typename Tag, typename T>
  void Write(Newtype<Tag, T> value) {
    Write(value.value());
  }
  void Write(absl::string_view text) {
    packer_.pack_v4raw(Size32(text.size()));
    packer_.pack_v4raw_body(text.data(), Size32(text.size()));
  }
  // Nil for a default ByteView: absent differs from empty here, though receivers treat both alike.
  void Write(ByteView bytes) {
    if (bytes.data() == nullptr) return Nil();
    Write(AsText(bytes));
  }
  // A literal is a key or text; without this it would be a bool.
  void Write(const char* text) { Write(absl::string_view(text)); }

  // Any of the above, a type with a WriteTo(MsgpackWriter&), or a record.
  template <typename T>
  void Value(const T& value) {
    if constexpr (requires { value.WriteTo(*this); }) {
      value.WriteTo(*this);
    } else if constexpr (HasFields<T>) {
      WriteRecord(*this, value);
    } else {
      Write(value);
    }
  }
  // A key and its value.
  template <typename T>
  void Pair(absl::string_view key, const T& value) {
    Write(key);
    Value(value);
  }
  // A value that is encoded already.
  void Encoded(absl::string_view bytes) { sink_.write(bytes.data(), bytes.size()); }

 private:
  // Writes into room made ahead: most pieces have a few bytes, for which a vector's own insert
  // takes longer than the rest of the encoding.
  class Sink {
   public:
    explicit Sink(ByteVector& out) : out_(out), end_(out.size()) {}
    void write(const char* bytes, std::size_t size) {
      if (size > out_.size() - end_) out_.resize(end_ + size + kRoom);
      if (size > 0) std::memcpy(out_.data() + end_, bytes, size);
      end_ += size;
    }
    void Finish() { out_.resize(end_); }

   private:
    static constexpr std::size_t kRoom = 128;

    ByteVector& out_;
    std::size_t end_;
  };

  // Messages are bounded by the packet and stream limits, far below 4 GiB.
  static std::uint32_t Size32(std::size_t size) {
    assert(size <= std::numeric_limits<std::uint32_t>::max());
    return static_cast<std::uint32_t>(size);
  }

  Sink sink_;
  msgpack::packer<Sink> packer_;
};

// Appends a message: the byte Message::kType, which opens it, and its record.
template <HasFields Message>
requires requires { Message::kType; }
void Encode(const Message& message, ByteVector& out) {
  out.push_back(static_cast<std::uint8_t>(Message::kType));
  MsgpackWriter(out).Value(message);
}

inline bool MsgpackReader::ReadHead(Head& head) {
  if (!Need(1)) return false;
  ++values_;
  const std::uint8_t first = input_[position_++];
  if (first <= 0x7f) {
    head = {Kind::kUint, first};
    return true;
  }
  if (first >= 0xe0) {
    head = {Kind::kNegative, static_cast<std::uint64_t>(static_cast<std::int8_t>(first))};
    return true;
  }
  if (first >= 0xc0) return ReadWideHead(first, head);
  if (first >= 0xa0) {
    head = {Kind::kText, first & 0x1fu};
  } else {
    head = {first >= 0x90 ? Kind::kList : Kind::kMap, first & 0x0fu};
  }
  return CheckLength(head);
}

inline bool MsgpackReader::ReadWideHead(std::uint8_t first, Head& head) {
  switch (first) {
    case 0xc0:
      head = {Kind::kNil, 0};
      return true;
    case 0xc1:
      return Fail(DecodeResult::kReserved);
    case 0xc2:
    case 0xc3:
      head = {Kind::kBool, first & 1u};
      return true;
    case 0xc4:
    case 0xc5:
    case 0xc6:
      return ReadLength(Kind::kBytes, std::size_t{1} << (first - 0xc4), head);
    case 0xc7:
    case 0xc8:
    case 0xc9:
      // The type byte of an extension counts as part of it.
      head.kind = Kind::kExt;
      if (!ReadBigEndian(std::size_t{1} << (first - 0xc7), head.value)) return false;
      ++head.value;
      return CheckLength(head);
    case 0xca: {
      head.kind = Kind::kFloat;
      if (!ReadBigEndian(4, head.value)) return false;
      const auto narrow = std::bit_cast<float>(static_cast<std::uint32_t>(head.value));
      head.value = std::bit_cast<std::uint64_t>(static_cast<double>(narrow));
      return true;
    }
    case 0xcb:
      head.kind = Kind::kFloat;
      return ReadBigEndian(8, head.value);
    case 0xcc:
    case 0xcd:
    case 0xce:
    case 0xcf:
      head.kind = Kind::kUint;
      return ReadBigEndian(std::size_t{1} << (first - 0xcc), head.value);
    case 0xd0:
    case 0xd1:
    case 0xd2:
    case 0xd3:
      return ReadSigned(std::size_t{1} << (first - 0xd0), head);
    case 0xd4:
    case 0xd5:
    case 0xd6:
    case 0xd7:
    case 0xd8:
      head = {Kind::kExt, (std::uint64_t{1} << (first - 0xd4)) + 1};
      return CheckLength(head);
    case 0xd9:
    case 0xda:
    case 0xdb:
      return ReadLength(Kind::kText, std::size_t{1} << (first - 0xd9), head);
    case 0xdc:
    case 0xdd:
      return ReadLength(Kind::kList, std::size_t{2} << (first - 0xdc), head);
    default:
      assert(first == 0xde || first == 0xdf);
      return ReadLength(Kind::kMap, std::size_t{2} << (first - 0xde), head);
  }
}

inline bool MsgpackReader::Skip() {
  Head head;
  return ReadHead(head) && SkipBody(head);
}

inline bool MsgpackReader::SkipBody(const Head& first) {
  // rest[i]: values still to come in the open container number i.
  std::array<std::uint64_t, kSkipNestingMax> rest;
  std::size_t depth = 0;
  Head head = first;
  for (;;) {
    if (head.kind == Kind::kText || head.kind == Kind::kBytes || head.kind == Kind::kExt) {
      Take(head.value);
    } else if ((head.kind == Kind::kList || head.kind == Kind::kMap) && head.value > 0) {
      if (depth == kSkipNestingMax) return Fail(DecodeResult::kTooDeep);
      rest[depth++] = head.kind == Kind::kMap ? head.value * 2 : head.value;
    }
    while (depth > 0 && rest[depth - 1] == 0) --depth;
    if (depth == 0) return true;
    --rest[depth - 1];
    if (!ReadHead(head)) return false;
  }
}

inline bool MsgpackReader::ReadUint(std::uint64_t max, std::uint64_t& out) {
  Head head;
  if (!ReadHead(head)) return false;
  if (head.kind == Kind::kUint) {
    if (head.value > max) return Fail(DecodeResult::kOutOfRange);
    out = head.value;
    return true;
  }
  out = 0;
  if (head.kind == Kind::kNil) return true;
  return Fail(head.kind == Kind::kNegative ? DecodeResult::kOutOfRange : DecodeResult::kBadType);
}

inline bool MsgpackReader::Read(std::int64_t& out) {
  Head head;
  if (!ReadHead(head)) return false;
  if (head.kind != Kind::kUint && head.kind != Kind::kNegative && head.kind != Kind::kNil) {
    return Fail(DecodeResult::kBadType);
  }
  constexpr auto kMax = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
  if (head.kind == Kind::kUint && head.value > kMax) return Fail(DecodeResult::kOutOfRange);
  out = static_cast<std::int64_t>(head.value);
  return true;
}

inline bool MsgpackReader::Read(bool& out) {
  Head head;
  if (!ReadHead(head)) return false;
  const bool numeric = head.kind == Kind::kUint && head.value <= 1;
  if (head.kind != Kind::kBool && head.kind != Kind::kNil && !numeric) {
    return Fail(DecodeResult::kBadType);
  }
  out = head.value != 0;
  return true;
}

inline bool MsgpackReader::Read(double& out) {
  Head head;
  if (!ReadHead(head)) return false;
  switch (head.kind) {
    case Kind::kNil:
      out = 0;
      return true;
    case Kind::kFloat:
      out = std::bit_cast<double>(head.value);
      return true;
    case Kind::kUint:
      out = static_cast<double>(head.value);
      return true;
    case Kind::kNegative:
      out = static_cast<double>(static_cast<std::int64_t>(head.value));
      return true;
    default:
      return Fail(DecodeResult::kBadType);
  }
}

inline bool MsgpackReader::Read(absl::string_view& out) {
  Head head;
  if (!ReadHead(head)) return false;
  if (head.kind == Kind::kText || head.kind == Kind::kBytes) {
    out = AsText(Take(head.value));
    return true;
  }
  out = absl::string_view();
  return head.kind == Kind::kNil || Fail(DecodeResult::kBadType);
}

inline bool MsgpackReader::ReadKey(absl::string_view& key) {
  Head head;
  if (!ReadHead(head)) return false;
  if (head.kind != Kind::kText && head.kind != Kind::kBytes) return Fail(DecodeResult::kBadType);
  key = AsText(Take(head.value));
  return true;
}

inline bool MsgpackReader::Read(ByteView& out) {
  Head head;
  if (!ReadHead(head)) return false;
  out = ByteView();
  if (head.kind == Kind::kText || head.kind == Kind::kBytes) {
    const ByteView bytes = Take(head.value);
    if (!bytes.empty()) out = bytes;
    return true;
  }
  if (head.kind == Kind::kList) return ReadByteList(head.value, out);
  return head.kind == Kind::kNil || Fail(DecodeResult::kBadType);
}

inline bool MsgpackReader::ReadByteList(std::uint64_t size, ByteView& out) {
  if (size == 0) return true;
  if (size > DecodeScratch::kBytesMax - scratch_.used_) return Fail(DecodeResult::kTooLong);
  std::uint8_t* const first = scratch_.bytes_.data() + scratch_.used_;
  for (std::uint64_t i = 0; i < size; ++i) {
    if (!Read(first[i])) return false;
  }
  scratch_.used_ += static_cast<std::size_t>(size);
  out = ByteView(first, static_cast<std::size_t>(size));
  return true;
}

template <HasFields Record>
bool MsgpackReader::ReadRecord(Record& out) {
  out = Record{};
  Head head;
  if (!ReadHead(head)) return false;
  if (head.kind == Kind::kList) return ReadElements(*this, head.value, out);
  if (head.kind == Kind::kMap) return ReadPairs(*this, head.value, out);
  return head.kind == Kind::kNil || Fail(DecodeResult::kBadType);
}

}  // namespace serf::wire

#endif  // SERF_WIRE_MSGPACK_H_
