#ifndef SERF_CMD_TEXT_QUOTE_H_
#define SERF_CMD_TEXT_QUOTE_H_

// Makes text safe to read. Quote() is for the places where Serf prints quoted text,
// EscapeControls() for names and texts from the network in log lines and tables,
// EscapeForTerminal() for output that people read. Source: docs/protocol/agent.md 8.1 and B.4.

#include <cstdint>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "serf/cmd/text/utf8.h"

namespace serf::cmd {

// `"a\n\x00\u00a0"`: double quotes, with escapes for characters that do not print. Other Unicode
// stays.
std::string Quote(absl::string_view text);

// Serf's form for durations in errors: bytes below the blank and above 0x7f are escaped one by one.
std::string QuoteBytes(absl::string_view text);

// Escapes control characters (C0, DEL, C1), which could forge lines or steer a terminal, as Quote()
// does. Everything else stays, even quotes and backslashes.
std::string EscapeControls(absl::string_view text);

// Escapes what must not reach a terminal: the same as EscapeControls(), and bytes that are not
// UTF-8, which some terminals obey too. Tabs and line feeds stay.
std::string EscapeForTerminal(absl::string_view text);

namespace quote_internal {

inline bool IsControl(char32_t c) { return c < 0x20 || (c >= 0x7f && c <= 0x9f); }

// False for the Unicode classes control, format, separator (except the blank), surrogate and
// private use. Code points that are not assigned count as printable.
inline bool IsPrintable(char32_t c) {
  if (c < 0x7f) return c >= 0x20;
  if (c <= 0xa0 || c == 0xad) return false;
  if (c == 0x1680 || c == 0x180e || c == 0x3000 || c == 0xfeff) return false;
  if (c >= 0x2000 && c <= 0x200f) return false;
  if ((c >= 0x2028 && c <= 0x202f) || (c >= 0x205f && c <= 0x206f)) return false;
  if ((c >= 0xe000 && c <= 0xf8ff) || (c >= 0xfff9 && c <= 0xfffb)) return false;
  if (c >= 0xfdd0 && c <= 0xfdef) return false;
  return c < 0xe0000 && (c & 0xfffe) != 0xfffe;
}

inline void AppendHex(char32_t value, int digits, std::string* out) {
  for (int shift = 4 * (digits - 1); shift >= 0; shift -= 4) {
    *out += "0123456789abcdef"[value >> shift & 0xf];
  }
}

inline void AppendEscape(const Utf8Char& c, std::string* out) {
  constexpr absl::string_view kNames = "abtnvfr";  // from 0x07 to 0x0d
  if (c.valid && c.code >= 0x07 && c.code <= 0x0d) {
    *out += '\\';
    *out += kNames[c.code - 0x07];
  } else if (!c.valid || c.code < 0x80) {
    *out += "\\x";
    AppendHex(c.code, 2, out);
  } else if (c.code < 0x10000) {
    *out += "\\u";
    AppendHex(c.code, 4, out);
  } else {
    *out += "\\U";
    AppendHex(c.code, 8, out);
  }
}

}  // namespace quote_internal

inline std::string Quote(absl::string_view text) {
  std::string out = "\"";
  while (!text.empty()) {
    const Utf8Char c = TakeUtf8(text);
    if (c.valid && (c.code == '"' || c.code == '\\')) {
      out += '\\';
      absl::StrAppend(&out, c.bytes);
    } else if (c.valid && quote_internal::IsPrintable(c.code)) {
      absl::StrAppend(&out, c.bytes);
    } else {
      quote_internal::AppendEscape(c, &out);
    }
  }
  out += '"';
  return out;
}

inline std::string QuoteBytes(absl::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte >= 0x80) {
      out += "\\x";
      quote_internal::AppendHex(byte, 2, &out);
      continue;
    }
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  out += '"';
  return out;
}

inline std::string EscapeControls(absl::string_view text) {
  if (IsPlainAscii(text)) return std::string(text);
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const Utf8Char c = TakeUtf8(text);
    if (c.valid && quote_internal::IsControl(c.code)) {
      quote_internal::AppendEscape(c, &out);
    } else {
      absl::StrAppend(&out, c.bytes);
    }
  }
  return out;
}

inline std::string EscapeForTerminal(absl::string_view text) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const Utf8Char c = TakeUtf8(text);
    const bool layout = c.valid && (c.code == '\n' || c.code == '\t');
    if (!layout && (!c.valid || quote_internal::IsControl(c.code))) {
      quote_internal::AppendEscape(c, &out);
    } else {
      absl::StrAppend(&out, c.bytes);
    }
  }
  return out;
}

}  // namespace serf::cmd

#endif  // SERF_CMD_TEXT_QUOTE_H_
