#ifndef SERF_BASE_BYTES_H_
#define SERF_BASE_BYTES_H_

// Views of bytes. Text on the wire is bytes too: names are never checked for UTF-8.

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace serf {

using ByteView = std::span<const std::uint8_t>;
using MutableByteView = std::span<std::uint8_t>;
using ByteVector = std::vector<std::uint8_t>;

inline ByteView AsBytes(absl::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

inline absl::string_view AsText(ByteView bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

inline void Append(ByteVector& to, ByteView bytes) {
  to.insert(to.end(), bytes.begin(), bytes.end());
}

}  // namespace serf

#endif  // SERF_BASE_BYTES_H_
