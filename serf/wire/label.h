// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_WIRE_LABEL_H_
#define SERF_WIRE_LABEL_H_

// The label header, which separates clusters on one network. It stands only at the very beginning
// of a packet, or of what the initiator of a stream sends. SealPacket() and StreamUnitWriter write
// it, OpenPacket() and StreamReader check it; other code has no need to.
//
//   labelled = f4 length label rest
//   length   = byte, 1..255
//   label    = length bytes
//
// Pure functions; any thread may call them. Source: docs/protocol/membership.md 1.2.

#include <cassert>
#include <cstddef>
#include <cstdint>

#include "absl/strings/string_view.h"
#include "serf/base/bytes.h"
#include "serf/wire/message_type.h"

namespace serf::wire {

// The most bytes of a label.
inline constexpr std::size_t kLabelMax = 255;

// The bytes of the header; zero without a label.
inline constexpr std::size_t LabelOverhead(absl::string_view label) {
  return label.empty() ? 0 : 2 + label.size();
}

// Appends the header, or nothing for an empty label. `label` has at most kLabelMax bytes.
inline void AppendLabelHeader(absl::string_view label, ByteVector& out) {
  assert(label.size() <= kLabelMax);
  if (label.empty()) return;
  out.push_back(static_cast<std::uint8_t>(MessageType::kHasLabel));
  out.push_back(static_cast<std::uint8_t>(label.size()));
  Append(out, AsBytes(label));
}

// What is wrong with a header.
enum class LabelError : std::uint8_t {
  kOk,
  kTruncated,
  kZeroLength,
};

// Splits off at most one header. Without a header, and after an error, `label` is empty and `rest`
// is the input. Both are views of the input.
inline LabelError SplitLabel(ByteView input, absl::string_view& label, ByteView& rest) {
  label = absl::string_view();
  rest = input;
  if (input.empty() || input[0] != static_cast<std::uint8_t>(MessageType::kHasLabel)) {
    return LabelError::kOk;
  }
  if (input.size() < 2) return LabelError::kTruncated;
  const std::size_t size = input[1];
  if (size == 0) return LabelError::kZeroLength;
  if (input.size() < 2 + size) return LabelError::kTruncated;
  label = AsText(input.subspan(2, size));
  rest = input.subspan(2 + size);
  return LabelError::kOk;
}

}  // namespace serf::wire

#endif  // SERF_WIRE_LABEL_H_
