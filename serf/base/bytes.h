// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_BASE_BYTES_H_
#define SERF_BASE_BYTES_H_

// Types for bytes, and conversions between bytes and text. Text on the wire is bytes too: no layer
// checks that a name or a payload is valid UTF-8.
//
//   Append(message, AsBytes("web-1"));
//
// A view does not own its bytes: they must stay where they are while it is used. A view of a
// temporary string is gone at the end of the statement.

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace serf {

using ByteView = std::span<const std::uint8_t>;
using MutableByteView = std::span<std::uint8_t>;
using ByteVector = std::vector<std::uint8_t>;

// The bytes of a text. Valid as long as the text.
inline ByteView AsBytes(absl::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

// The text with these bytes. Valid as long as the bytes.
inline absl::string_view AsText(ByteView bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// Appends a copy of `bytes`, which must not lie in `to`.
inline void Append(ByteVector& to, ByteView bytes) {
  to.insert(to.end(), bytes.begin(), bytes.end());
}

}  // namespace serf

#endif  // SERF_BASE_BYTES_H_
