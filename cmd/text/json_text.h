#ifndef SERF_CMD_TEXT_JSON_TEXT_H_
#define SERF_CMD_TEXT_JSON_TEXT_H_

// ToJsonText(): a JSON value in the form that scripts know from Serf: indented by two blanks, with
// < > & U+2028 U+2029 escaped and \ufffd for each byte that is not UTF-8. nlohmann's own dump()
// does none of these. Source: docs/protocol/agent.md B.3.
//
//   nlohmann::ordered_json out;
//   out["Acks"] = nullptr;
//   std::fputs(ToJsonText(out).c_str(), stdout);

#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "nlohmann/json.hpp"
#include "serf/cmd/text/utf8.h"

namespace serf::cmd {

// Objects keep their order in `value`. The text ends with one LF. Only for values of this program's
// own making: the nesting must not depend on input.
std::string ToJsonText(const nlohmann::ordered_json& value);

// `text` between quotes, escaped.
std::string JsonQuote(absl::string_view text);

// Pairs of texts as an object on one line: {"role": "web", "zone": "b"}. No two keys may be equal.
template <typename Pairs>
std::string JsonObject(const Pairs& pairs) {
  std::string out = "{";
  const char* separator = "";
  for (const auto& [key, value] : pairs) {
    absl::StrAppend(&out, separator, JsonQuote(key), ": ", JsonQuote(value));
    separator = ", ";
  }
  out += '}';
  return out;
}

namespace json_text_internal {

inline void AppendValue(const nlohmann::ordered_json& value, std::size_t indent, std::string* out) {
  if (value.is_string()) {
    const auto& text = value.get_ref<const std::string&>();
    *out += JsonQuote(text);
    return;
  }
  if (!value.is_structured() || value.empty()) {
    *out += value.dump();
    return;
  }
  const std::string inner = absl::StrCat("\n", std::string(indent + 2, ' '));
  *out += value.is_object() ? '{' : '[';
  const char* separator = "";
  for (const auto& item : value.items()) {
    absl::StrAppend(out, separator, inner);
    separator = ",";
    if (value.is_object()) absl::StrAppend(out, JsonQuote(item.key()), ": ");
    AppendValue(item.value(), indent + 2, out);
  }
  absl::StrAppend(out, "\n", std::string(indent, ' '));
  *out += value.is_object() ? '}' : ']';
}

}  // namespace json_text_internal

inline std::string JsonQuote(absl::string_view text) {
  const auto escape = [](char32_t c) {
    return absl::StrCat("\\u", absl::Hex(static_cast<std::uint32_t>(c), absl::kZeroPad4));
  };
  std::string out = "\"";
  while (!text.empty()) {
    const Utf8Char c = TakeUtf8(text);
    if (!c.valid) {
      out += "\\ufffd";
    } else if (c.code == '"' || c.code == '\\') {
      out += '\\';
      absl::StrAppend(&out, c.bytes);
    } else if (c.code == '\n') {
      out += "\\n";
    } else if (c.code == '\r') {
      out += "\\r";
    } else if (c.code == '\t') {
      out += "\\t";
    } else if (c.code < 0x20 || c.code == '<' || c.code == '>' || c.code == '&' ||
               c.code == 0x2028 || c.code == 0x2029) {
      out += escape(c.code);
    } else {
      absl::StrAppend(&out, c.bytes);
    }
  }
  out += '"';
  return out;
}

inline std::string ToJsonText(const nlohmann::ordered_json& value) {
  std::string out;
  json_text_internal::AppendValue(value, 0, &out);
  out += '\n';
  return out;
}

}  // namespace serf::cmd

#endif  // SERF_CMD_TEXT_JSON_TEXT_H_
