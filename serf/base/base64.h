// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_BASE_BASE64_H_
#define SERF_BASE_BASE64_H_

// DecodeBase64: keys as text, in standard base64 with padding (RFC 4648, section 4). It is stricter
// than absl::Base64Unescape, and has Go Serf's error texts (docs/protocol/agent.md 2.5).
//
//   absl::StatusOr<ByteVector> key = DecodeBase64("cg8StVXbQJ0gPvMd9o7yrg==");
//
// To encode, absl::Base64Escape is enough.

#include <cstddef>
#include <cstdint>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "serf/base/bytes.h"

namespace serf {

// Skips line ends. Error: InvalidArgument for any other wrong byte, "illegal base64 data at input
// byte N". Pure; any thread may call it.
inline absl::StatusOr<ByteVector> DecodeBase64(absl::string_view text) {
  const auto illegal = [](std::size_t at) {
    return absl::InvalidArgumentError(absl::StrCat("illegal base64 data at input byte ", at));
  };
  constexpr absl::string_view kAlphabet =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  ByteVector bytes;
  std::uint32_t group = 0;
  std::size_t digits = 0;   // digits of the current group of four
  std::size_t padding = 0;  // seen so far
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '\r' || c == '\n') continue;
    if (c == '=') {
      if (digits < 2 || digits + padding == 4) return illegal(i);
      ++padding;
      continue;
    }
    const std::size_t digit = kAlphabet.find(c);
    if (digit == absl::string_view::npos || padding > 0) return illegal(i);
    group = group << 6 | static_cast<std::uint32_t>(digit);
    if (++digits < 4) continue;
    for (const int shift : {16, 8, 0}) bytes.push_back(static_cast<std::uint8_t>(group >> shift));
    group = 0;
    digits = 0;
  }
  if (digits == 0) return bytes;
  // The error names the first byte of an incomplete group, or the end if a second "=" is missing.
  if (digits + padding < 4) return illegal(text.size() - (padding > 0 ? 0 : digits));
  group <<= 6 * padding;
  for (std::size_t i = 0; i + 1 < digits; ++i) {
    bytes.push_back(static_cast<std::uint8_t>(group >> (16 - 8 * i)));
  }
  return bytes;
}

}  // namespace serf

#endif  // SERF_BASE_BASE64_H_
