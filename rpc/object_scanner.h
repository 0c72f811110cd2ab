// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_RPC_OBJECT_SCANNER_H_
#define SERF_RPC_OBJECT_SCANNER_H_

// ObjectScanner: finds the end of a MessagePack object in bytes that arrive in pieces.
//
//   switch (scanner.Scan(buffered)) {          // `buffered` begins with the object
//     case kNeedMore: ...                      // call again when there are more bytes
//     case kComplete: Decode(buffered.first(scanner.size())); scanner.Reset(); ...
//     case kInvalid: close the connection
//   }
//
// The stream has no length prefixes (docs/protocol/agent.md 1.1), and msgpack-c's parser reports a
// length only when all bytes are there: a peer could announce 4 GiB and make it wait. The scanner
// looks at each head once, however small the pieces are. It allocates nothing, and refuses as soon
// as an announced size cannot fit the limit. One thread.

#include <array>
#include <cstddef>
#include <cstdint>

#include "absl/strings/string_view.h"
#include "serf/base/bytes.h"
#include "serf/rpc/protocol.h"

namespace serf::rpc {

class ObjectScanner {
 public:
  enum class Result : std::uint8_t { kNeedMore, kComplete, kInvalid };

  // Continues the scan. `buffered` begins where the object does, and extends the bytes of the last
  // call. `size_max` limits the object. After kComplete or kInvalid call Reset().
  Result Scan(ByteView buffered, std::size_t size_max);

  // After kComplete: the size of the object in bytes.
  std::size_t size() const { return position_; }

  // After kInvalid: why, for a log line.
  absl::string_view error() const { return error_; }

  void Reset() {
    position_ = 0;
    depth_ = 0;
    pending_ = 1;
  }

 private:
  // The meaning of a value's first byte: how many bytes of length follow it, and what follows
  // those.
  struct Shape {
    enum class Kind : std::uint8_t { kBody, kList, kMap, kReserved };
    Kind kind = Kind::kBody;
    std::uint8_t length_size = 0;  // bytes of a big-endian length
    std::uint8_t fixed = 0;        // without one: the length itself; with one: added to it
  };

  static constexpr Shape ShapeOf(std::uint8_t first);
  static constexpr std::array<Shape, 256> MakeShapes();

  Result Fail(absl::string_view why) {
    error_ = why;
    return Result::kInvalid;
  }

  // Enters a value of `length` bytes or elements.
  bool Enter(Shape::Kind kind, std::uint64_t length, std::size_t size_max);

  // The position of the next head; within a body beyond the bytes at hand.
  std::size_t position_ = 0;
  std::size_t depth_ = 0;
  // The values that are still to come in all open containers. Each takes at least a byte.
  std::uint64_t pending_ = 1;
  std::array<std::uint64_t, kNestingMax> rest_ = {};  // the same, for each open container
  absl::string_view error_;
};

constexpr ObjectScanner::Shape ObjectScanner::ShapeOf(std::uint8_t first) {
  using Kind = Shape::Kind;
  const auto low4 = static_cast<std::uint8_t>(first & 0x0f);
  if (first <= 0x7f || first >= 0xe0) return {Kind::kBody, 0, 0};
  if (first <= 0x8f) return {Kind::kMap, 0, low4};
  if (first <= 0x9f) return {Kind::kList, 0, low4};
  if (first <= 0xbf) return {Kind::kBody, 0, static_cast<std::uint8_t>(first & 0x1f)};
  switch (first) {
    case 0xc1:
      return {Kind::kReserved, 0, 0};
    case 0xc4:  // bin
    case 0xc5:
    case 0xc6:
      return {Kind::kBody, static_cast<std::uint8_t>(1 << (first - 0xc4)), 0};
    case 0xc7:  // ext: a type byte after the length
    case 0xc8:
    case 0xc9:
      return {Kind::kBody, static_cast<std::uint8_t>(1 << (first - 0xc7)), 1};
    case 0xca:  // floats
    case 0xcb:
      return {Kind::kBody, 0, static_cast<std::uint8_t>(4 << (first - 0xca))};
    case 0xcc:  // unsigned
    case 0xcd:
    case 0xce:
    case 0xcf:
      return {Kind::kBody, 0, static_cast<std::uint8_t>(1 << (first - 0xcc))};
    case 0xd0:  // signed
    case 0xd1:
    case 0xd2:
    case 0xd3:
      return {Kind::kBody, 0, static_cast<std::uint8_t>(1 << (first - 0xd0))};
    case 0xd4:  // fixext: a type byte and 1 to 16 bytes
    case 0xd5:
    case 0xd6:
    case 0xd7:
    case 0xd8:
      return {Kind::kBody, 0, static_cast<std::uint8_t>((1 << (first - 0xd4)) + 1)};
    case 0xd9:  // str
    case 0xda:
    case 0xdb:
      return {Kind::kBody, static_cast<std::uint8_t>(1 << (first - 0xd9)), 0};
    case 0xdc:
    case 0xdd:
      return {Kind::kList, static_cast<std::uint8_t>(2 << (first - 0xdc)), 0};
    case 0xde:
    case 0xdf:
      return {Kind::kMap, static_cast<std::uint8_t>(2 << (first - 0xde)), 0};
    default:  // nil, false, true
      return {Kind::kBody, 0, 0};
  }
}

constexpr std::array<ObjectScanner::Shape, 256> ObjectScanner::MakeShapes() {
  std::array<Shape, 256> shapes = {};
  for (std::size_t i = 0; i < shapes.size(); ++i) shapes[i] = ShapeOf(static_cast<std::uint8_t>(i));
  return shapes;
}

inline bool ObjectScanner::Enter(Shape::Kind kind, std::uint64_t length, std::size_t size_max) {
  // The value that begins here has come.
  --pending_;
  if (depth_ > 0) --rest_[depth_ - 1];
  if (kind == Shape::Kind::kBody) {
    if (length > size_max) return false;
    position_ += static_cast<std::size_t>(length);
  } else if (length > 0) {
    const std::uint64_t values = kind == Shape::Kind::kMap ? length * 2 : length;
    if (values > size_max) return false;
    rest_[depth_++] = values;
    pending_ += values;
  }
  while (depth_ > 0 && rest_[depth_ - 1] == 0) --depth_;
  return position_ + pending_ <= size_max;
}

inline ObjectScanner::Result ObjectScanner::Scan(ByteView buffered, std::size_t size_max) {
  static constexpr std::array<Shape, 256> kShapes = MakeShapes();
  while (pending_ > 0) {
    if (position_ >= buffered.size()) return Result::kNeedMore;
    const Shape& shape = kShapes[buffered[position_]];
    if (shape.kind == Shape::Kind::kReserved) return Fail("reserved byte");
    const std::size_t head = 1u + shape.length_size;
    if (buffered.size() - position_ < head) return Result::kNeedMore;
    std::uint64_t length = 0;
    for (std::size_t i = 1; i < head; ++i) length = length << 8 | buffered[position_ + i];
    length += shape.fixed;
    const bool container = shape.kind != Shape::Kind::kBody && length > 0;
    if (container && depth_ == kNestingMax) return Fail("nested too deeply");
    position_ += head;
    if (!Enter(shape.kind, length, size_max)) return Fail("object too large");
  }
  return position_ <= buffered.size() ? Result::kComplete : Result::kNeedMore;
}

}  // namespace serf::rpc

#endif  // SERF_RPC_OBJECT_SCANNER_H_
