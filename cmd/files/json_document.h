#ifndef SERF_CMD_FILES_JSON_DOCUMENT_H_
#define SERF_CMD_FILES_JSON_DOCUMENT_H_

// JSON that operators write: configuration, tags, keyring. nlohmann/json reads it after a check
// whose errors have Go Serf's texts, which scripts and operators know: "invalid character '}'
// looking for beginning of object key string". Source: docs/protocol/agent.md 2.4.

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "nlohmann/json.hpp"
#include "serf/cmd/text/quote.h"
#include "serf/cmd/text/utf8.h"

namespace serf::cmd {

// Deeper than any file of an agent. Go Serf has the same limit.
inline constexpr std::size_t kJsonDepthMax = 10000;

// What may follow the first value.
enum class JsonRest : std::uint8_t {
  kAnything,  // as in configuration files, which ignore it
  kBlanks,
};

// Parses `text`. Bytes that are not UTF-8, and halves of surrogate pairs, become U+FFFD.
absl::StatusOr<nlohmann::json> ParseJson(absl::string_view text, JsonRest rest);

// Go Serf's word for the value in errors about tags and keyring files: "array", "object", "number",
// "bool", "string" or "null".
absl::string_view JsonKind(const nlohmann::json& value);

// Go Serf's error about a value that does not have the Go type `wanted`, such as "[]string".
inline absl::Status WrongJsonKind(const nlohmann::json& value, absl::string_view wanted) {
  return absl::InvalidArgumentError(
      absl::StrCat("json: cannot unmarshal ", JsonKind(value), " into Go value of type ", wanted));
}

// Finds the end of the first value of `text`. It keeps its own stack, so depth costs no call
// frames.
class JsonScanner {
 public:
  explicit JsonScanner(absl::string_view text) : text_(text) {}

  // OutOfRangeError, if the text ends within the value, or has none.
  absl::StatusOr<std::size_t> Scan();

  std::size_t at() const { return at_; }
  // Skips blanks. False at the end of the text.
  bool SkipBlanks();
  absl::Status Unexpected(absl::string_view context) const;

 private:
  enum class Want : std::uint8_t { kValue, kValueOrEnd, kKey, kKeyOrEnd, kColon, kNext, kNothing };

  absl::Status Step();
  absl::Status Value();
  absl::Status Next();
  absl::Status String();
  absl::Status Number();
  absl::Status Digits(absl::string_view context);
  absl::Status Literal(absl::string_view word);
  absl::Status Open(char bracket);
  void Close();
  void EndValue() { want_ = open_.empty() ? Want::kNothing : Want::kNext; }
  bool AtDigit() const {
    return at_ < text_.size() && absl::ascii_isdigit(static_cast<unsigned char>(text_[at_]));
  }
  static absl::Status Truncated() { return absl::OutOfRangeError("unexpected EOF"); }

  const absl::string_view text_;
  std::size_t at_ = 0;
  Want want_ = Want::kValue;
  std::vector<char> open_;  // the brackets that are open
};

inline bool JsonScanner::SkipBlanks() {
  while (at_ < text_.size() && absl::StrContains(" \t\r\n", text_.substr(at_, 1))) ++at_;
  return at_ < text_.size();
}

inline absl::Status JsonScanner::Unexpected(absl::string_view context) const {
  const char c = text_[at_];
  std::string shown = "'\\''";
  if (c == '"') {
    shown = "'\"'";
  } else if (c != '\'') {
    // Go Serf reads the byte as a code point of Latin-1.
    const auto byte = static_cast<unsigned char>(c);
    std::string text(1, c);
    if (byte >= 0x80) {
      text = {static_cast<char>(0xc0 | byte >> 6), static_cast<char>(0x80 | (byte & 0x3f))};
    }
    shown = Quote(text);
    shown.front() = shown.back() = '\'';
  }
  return absl::InvalidArgumentError(absl::StrCat("invalid character ", shown, " ", context));
}

inline absl::StatusOr<std::size_t> JsonScanner::Scan() {
  if (!SkipBlanks()) return absl::OutOfRangeError("EOF");
  while (want_ != Want::kNothing) {
    if (!SkipBlanks()) return Truncated();
    if (absl::Status status = Step(); !status.ok()) return status;
  }
  return at_;
}

inline absl::Status JsonScanner::Step() {
  const char c = text_[at_];
  if ((want_ == Want::kValueOrEnd && c == ']') || (want_ == Want::kKeyOrEnd && c == '}')) {
    Close();
    return absl::OkStatus();
  }
  switch (want_) {
    case Want::kKey:
    case Want::kKeyOrEnd:
      if (c != '"') return Unexpected("looking for beginning of object key string");
      want_ = Want::kColon;
      return String();
    case Want::kColon:
      if (c != ':') return Unexpected("after object key");
      ++at_;
      want_ = Want::kValue;
      return absl::OkStatus();
    case Want::kNext:
      return Next();
    default:
      return Value();
  }
}

inline absl::Status JsonScanner::Value() {
  const char c = text_[at_];
  if (c == '{' || c == '[') return Open(c);
  EndValue();
  if (c == '"') return String();
  if (c == '-' || AtDigit()) return Number();
  for (const absl::string_view word : {"true", "false", "null"}) {
    if (c == word[0]) return Literal(word);
  }
  return Unexpected("looking for beginning of value");
}

inline absl::Status JsonScanner::Open(char bracket) {
  if (open_.size() == kJsonDepthMax) return absl::InvalidArgumentError("exceeded max depth");
  open_.push_back(bracket);
  ++at_;
  want_ = bracket == '{' ? Want::kKeyOrEnd : Want::kValueOrEnd;
  return absl::OkStatus();
}

inline void JsonScanner::Close() {
  open_.pop_back();
  ++at_;
  EndValue();
}

inline absl::Status JsonScanner::Next() {
  const char c = text_[at_];
  const bool object = open_.back() == '{';
  if (c == ',') {
    ++at_;
    want_ = object ? Want::kKey : Want::kValue;
    return absl::OkStatus();
  }
  if (c != (object ? '}' : ']')) {
    return Unexpected(object ? "after object key:value pair" : "after array element");
  }
  Close();
  return absl::OkStatus();
}

inline absl::Status JsonScanner::String() {
  for (++at_; at_ < text_.size(); ++at_) {
    const char c = text_[at_];
    if (c == '"') {
      ++at_;
      return absl::OkStatus();
    }
    if (static_cast<unsigned char>(c) < 0x20) return Unexpected("in string literal");
    if (c != '\\') continue;
    if (++at_ == text_.size()) break;
    if (text_[at_] != 'u') {
      if (!absl::StrContains("bfnrt\\/\"", text_.substr(at_, 1))) {
        return Unexpected("in string escape code");
      }
      continue;
    }
    for (int i = 0; i < 4; ++i) {
      if (++at_ == text_.size()) return Truncated();
      if (!absl::ascii_isxdigit(static_cast<unsigned char>(text_[at_]))) {
        return Unexpected("in \\u hexadecimal character escape");
      }
    }
  }
  return Truncated();
}

inline absl::Status JsonScanner::Digits(absl::string_view context) {
  if (at_ == text_.size()) return Truncated();
  if (!AtDigit()) return Unexpected(context);
  while (AtDigit()) ++at_;
  return absl::OkStatus();
}

inline absl::Status JsonScanner::Number() {
  if (text_[at_] == '-') ++at_;
  if (at_ < text_.size() && text_[at_] == '0') {
    ++at_;
  } else if (absl::Status status = Digits("in numeric literal"); !status.ok()) {
    return status;
  }
  if (at_ < text_.size() && text_[at_] == '.') {
    ++at_;
    absl::Status status = Digits("after decimal point in numeric literal");
    if (!status.ok()) return status;
  }
  if (at_ < text_.size() && (text_[at_] | 0x20) == 'e') {
    ++at_;
    if (at_ < text_.size() && (text_[at_] == '+' || text_[at_] == '-')) ++at_;
    return Digits("in exponent of numeric literal");
  }
  return absl::OkStatus();
}

inline absl::Status JsonScanner::Literal(absl::string_view word) {
  for (const char expected : word) {
    if (at_ == text_.size()) return Truncated();
    if (text_[at_] != expected) {
      return Unexpected(absl::StrCat("in literal ", word, " (expecting '",
                                     absl::string_view(&expected, 1), "')"));
    }
    ++at_;
  }
  return absl::OkStatus();
}

namespace json_document_internal {

// Replaces what Go Serf replaces in strings, and nlohmann refuses. `text` must be well-formed JSON.
inline std::string ReplaceBadCharacters(absl::string_view text) {
  constexpr absl::string_view kReplacement = "\xef\xbf\xbd";
  const auto escape = [](absl::string_view at) {
    // The code unit of an escape \uXXXX, or -1.
    if (at.size() < 6 || at[0] != '\\' || at[1] != 'u') return -1;
    return static_cast<int>(std::stoul(std::string(at.substr(2, 4)), nullptr, 16));
  };
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    if (text[0] == '\\') {
      const int unit = escape(text);
      const int low = unit >= 0xd800 && unit < 0xdc00 ? escape(text.substr(6)) : -1;
      const bool pair = low >= 0xdc00 && low < 0xe000;
      const bool half = unit >= 0xd800 && unit < 0xe000 && !pair;
      const std::size_t size = pair ? 12 : unit >= 0 ? 6 : 2;
      absl::StrAppend(&out, half ? kReplacement : text.substr(0, size));
      text.remove_prefix(size);
      continue;
    }
    const Utf8Char c = TakeUtf8(text);
    absl::StrAppend(&out, c.valid ? c.bytes : kReplacement);
  }
  return out;
}

}  // namespace json_document_internal

inline absl::StatusOr<nlohmann::json> ParseJson(absl::string_view text, JsonRest rest) {
  JsonScanner scanner(text);
  const absl::StatusOr<std::size_t> end = scanner.Scan();
  if (!end.ok()) {
    const bool truncated = absl::IsOutOfRange(end.status());
    if (truncated && rest == JsonRest::kBlanks) {
      return absl::InvalidArgumentError("unexpected end of JSON input");
    }
    return end.status();
  }
  if (rest == JsonRest::kBlanks && scanner.SkipBlanks()) {
    return scanner.Unexpected("after top-level value");
  }
  nlohmann::json value = nlohmann::json::parse(
      json_document_internal::ReplaceBadCharacters(text.substr(0, *end)), nullptr,
      /*allow_exceptions=*/false);
  if (value.is_discarded()) {
    return absl::InvalidArgumentError("a number is beyond the range of float64");
  }
  return value;
}

inline absl::string_view JsonKind(const nlohmann::json& value) {
  return value.is_boolean() ? "bool" : absl::string_view(value.type_name());
}

}  // namespace serf::cmd

#endif  // SERF_CMD_FILES_JSON_DOCUMENT_H_
