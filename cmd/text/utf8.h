#ifndef SERF_CMD_TEXT_UTF8_H_
#define SERF_CMD_TEXT_UTF8_H_

// Reads UTF-8 code point by code point. A byte that belongs to no code point counts alone.
//
//   while (!text.empty()) { const Utf8Char c = TakeUtf8(text); ... }

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "absl/strings/string_view.h"

namespace serf::cmd {

struct Utf8Char {
  char32_t code = 0;  // for an invalid byte: the byte itself
  bool valid = false;
  absl::string_view bytes;  // 1 to 4 bytes; for an invalid byte: that byte
};

// Takes the first character off `text`, which must not be empty. Overlong forms, surrogates and
// values above U+10FFFF are invalid (RFC 3629).
inline Utf8Char TakeUtf8(absl::string_view& text) {
  const auto at = [&](std::size_t i) { return static_cast<std::uint8_t>(text[i]); };
  const std::uint8_t lead = at(0);
  std::size_t length = 1;
  char32_t code = lead;
  bool valid = lead < 0x80;
  if (lead >= 0xc2 && lead <= 0xf4) {
    length = lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
    code = lead & (0xff >> (length + 1));
    valid = text.size() >= length;
    for (std::size_t i = 1; valid && i < length; ++i) {
      valid = (at(i) & 0xc0) == 0x80;
      code = code << 6 | (at(i) & 0x3f);
    }
    if (length == 3) valid = valid && code >= 0x800 && (code < 0xd800 || code > 0xdfff);
    if (length == 4) valid = valid && code >= 0x10000 && code <= 0x10ffff;
  }
  if (!valid) {
    length = 1;
    code = lead;
  }
  const Utf8Char result{code, valid, text.substr(0, length)};
  text.remove_prefix(length);
  return result;
}

// Whether the text has only blanks and what ASCII prints, as nearly all names do. Then each byte is
// a character, and none needs an escape.
inline bool IsPlainAscii(absl::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c >= 0x20 && c < 0x7f; });
}

// The number of code points; an invalid byte counts as one.
inline std::size_t Utf8Length(absl::string_view text) {
  if (IsPlainAscii(text)) return text.size();
  std::size_t length = 0;
  for (; !text.empty(); ++length) TakeUtf8(text);
  return length;
}

}  // namespace serf::cmd

#endif  // SERF_CMD_TEXT_UTF8_H_
