#ifndef SERF_WIRE_LABEL_H_
#define SERF_WIRE_LABEL_H_

// The label header that separates clusters on one network (spec/memberlist.md 1.2). Only at the
// very beginning of a packet or of a stream's request.
//
// labelled = f4 length label rest
// length   = byte, 1..255
// label    = length bytes

#include <cassert>
#include <cstddef>
#include <cstdint>

#include "absl/strings/string_view.h"
#include "serf/base/bytes.h"
#include "serf/wire/message_type.h"

namespace serf::wire {

inline constexpr std::size_t kLabelMax = 255;

// Bytes that the header takes; none without a label.
inline constexpr std::size_t LabelOverhead(absl::string_view label) {
  return label.empty() ? 0 : 2 + label.size();
}

// Appends the header; nothing for an empty label. At most kLabelMax bytes.
inline void AppendLabelHeader(absl::string_view label, ByteVector& out) {
  assert(label.size() <= kLabelMax);
  if (label.empty()) return;
  out.push_back(static_cast<std::uint8_t>(MessageType::kHasLabel));
  out.push_back(static_cast<std::uint8_t>(label.size()));
  Append(out, AsBytes(label));
}

enum class LabelError : std::uint8_t {
  kOk,
  kTruncated,
  kZeroLength,
};

// Splits off at most one header. Without one `label` is empty and `rest` the input.
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
