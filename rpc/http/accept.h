// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_RPC_HTTP_ACCEPT_H_
#define SERF_RPC_HTTP_ACCEPT_H_

// Content negotiation: which of the types that the server has the client prefers. Pure functions.
//
//   const std::vector<MediaRange> ranges = ParseAccept(*request.Find("accept"));
//   if (QualityOf(ranges, "application", "json") > QualityOf(ranges, "text", "plain")) ...
//
// Source: RFC 9110 12.4.2, 12.5.1.

#include <algorithm>
#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/string_view.h"

namespace serf::http {

// "text/*;q=0.5": a type that the client takes.
struct MediaRange {
  std::string type;     // "text", or "*"
  std::string subtype;  // "plain", or "*"
  std::string version;  // the parameter of that name; empty: none. Others do not matter here.
  double quality = 1;   // from 0, which refuses the type, to 1
};

// More than any client sends. The rest is not read.
inline constexpr std::size_t kMediaRangesMax = 32;

namespace accept_internal {

// Cuts the text up to `separator` off, without the blanks around it.
inline absl::string_view Cut(absl::string_view& text, char separator) {
  const std::size_t at = std::min(text.find(separator), text.size());
  const absl::string_view part = absl::StripAsciiWhitespace(text.substr(0, at));
  text.remove_prefix(std::min(at + 1, text.size()));
  return part;
}

inline double ParseQuality(absl::string_view text) {
  double quality = 0;
  // Any other text refuses the range: the client prefers something else.
  if (text.size() > 5 || !absl::SimpleAtod(text, &quality)) return 0;
  return quality >= 0 && quality <= 1 ? quality : 0;
}

}  // namespace accept_internal

// The ranges of an Accept field. Skips any other text.
inline std::vector<MediaRange> ParseAccept(absl::string_view field) {
  std::vector<MediaRange> ranges;
  while (!field.empty() && ranges.size() < kMediaRangesMax) {
    absl::string_view element = accept_internal::Cut(field, ',');
    absl::string_view name = accept_internal::Cut(element, ';');
    const std::size_t slash = name.find('/');
    if (slash == absl::string_view::npos) continue;
    MediaRange range;
    range.type = absl::AsciiStrToLower(name.substr(0, slash));
    range.subtype = absl::AsciiStrToLower(name.substr(slash + 1));
    while (!element.empty()) {
      absl::string_view value = accept_internal::Cut(element, ';');
      const absl::string_view key = accept_internal::Cut(value, '=');
      if (absl::EqualsIgnoreCase(key, "q")) range.quality = accept_internal::ParseQuality(value);
      if (absl::EqualsIgnoreCase(key, "version")) range.version = std::string(value);
    }
    ranges.push_back(std::move(range));
  }
  return ranges;
}

// How much the client wants a type: the quality of the most specific range that has it. 0: not at
// all. `versions`: a range with another version is about another type.
inline double QualityOf(const std::vector<MediaRange>& ranges, absl::string_view type,
                        absl::string_view subtype,
                        const std::vector<absl::string_view>& versions = {}) {
  double best = 0;
  int specific = -1;
  for (const MediaRange& range : ranges) {
    const bool fits = (range.type == "*" && range.subtype == "*") ||
                      (range.type == type && (range.subtype == "*" || range.subtype == subtype));
    const bool other_version =
        !range.version.empty() && !versions.empty() &&
        std::find(versions.begin(), versions.end(), range.version) == versions.end();
    if (!fits || other_version) continue;
    const int level = (range.type != "*" ? 1 : 0) + (range.subtype != "*" ? 1 : 0);
    if (level < specific) continue;
    best = level > specific ? range.quality : std::max(best, range.quality);
    specific = level;
  }
  return best;
}

}  // namespace serf::http

#endif  // SERF_RPC_HTTP_ACCEPT_H_
