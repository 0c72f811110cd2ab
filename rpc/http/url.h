// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_RPC_HTTP_URL_H_
#define SERF_RPC_HTTP_URL_H_

// The target of a request, decoded once: "/readyz/joined?verbose" is a path and parameters. Pure
// functions.
//
//   std::optional<Target> target = ParseTarget(request.target);
//   if (!target) ...                                  // 400
//   if (target->path == "/readyz" && target->Has("verbose")) ...
//
// Source: RFC 3986 2.1, 3.3, 3.4; RFC 9112 3.2.

#include <algorithm>
#include <cstddef>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"

namespace serf::http {

struct Parameter {
  std::string name;
  std::string value;  // empty also for "?verbose"
};

struct Target {
  std::string authority;  // of "http://HOST:PORT/path", which outweighs the Host field; or empty
  std::string path;       // as it stands, not decoded: routes are compared with it
  std::vector<std::string> segments;  // decoded: of "/a/b%2Fc" they are "a" and "b/c"
  std::vector<Parameter> parameters;  // decoded, in the order of the target

  bool Has(absl::string_view name) const {
    return std::any_of(parameters.begin(), parameters.end(),
                       [name](const Parameter& parameter) { return parameter.name == name; });
  }
};

// A list of addresses or names may have many values; nobody needs a longer list.
inline constexpr std::size_t kParametersMax = 256;

// Decodes "%41". With `plus` a plus sign is a blank, as in forms. Nothing: a percent sign without
// two digits.
inline std::optional<std::string> DecodePercent(absl::string_view text, bool plus = false) {
  std::string decoded;
  decoded.reserve(text.size());
  const auto digit = [](char c) {
    if (absl::ascii_isdigit(c)) return c - '0';
    return absl::ascii_isxdigit(c) ? absl::ascii_tolower(c) - 'a' + 10 : -1;
  };
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '+' && plus) {
      decoded += ' ';
    } else if (text[i] != '%') {
      decoded += text[i];
    } else {
      if (text.size() - i < 3) return std::nullopt;
      const int high = digit(text[i + 1]);
      const int low = digit(text[i + 2]);
      if (high < 0 || low < 0) return std::nullopt;
      decoded += static_cast<char>(high * 16 + low);
      i += 2;
    }
  }
  return decoded;
}

// Splits a target of the forms "/path?query" and "http://host/path?query", and "*". Nothing for
// another one, a bad percent sign, or too many parameters.
inline std::optional<Target> ParseTarget(absl::string_view text) {
  Target target;
  if (absl::StartsWithIgnoreCase(text, "http://")) {
    text.remove_prefix(7);
    const std::size_t end = std::min(text.find_first_of("/?"), text.size());
    target.authority = std::string(text.substr(0, end));
    text.remove_prefix(end);
    if (target.authority.empty()) return std::nullopt;
    if (text.empty()) text = "/";
  }
  const std::size_t query_at = std::min(text.find('?'), text.size());
  absl::string_view path = text.substr(0, query_at);
  absl::string_view query = text.substr(std::min(query_at + 1, text.size()));
  target.path = std::string(path);
  if (path != "*") {
    if (!absl::ConsumePrefix(&path, "/")) return std::nullopt;
    for (bool more = true; more;) {
      const std::size_t slash = path.find('/');
      more = slash != absl::string_view::npos;
      std::optional<std::string> segment = DecodePercent(path.substr(0, slash));
      if (!segment) return std::nullopt;
      target.segments.push_back(*std::move(segment));
      if (more) path.remove_prefix(slash + 1);
    }
  }
  while (!query.empty()) {
    const std::size_t end = std::min(query.find('&'), query.size());
    const absl::string_view pair = query.substr(0, end);
    query.remove_prefix(std::min(end + 1, query.size()));
    if (pair.empty()) continue;
    if (target.parameters.size() == kParametersMax) return std::nullopt;
    const std::size_t equals = std::min(pair.find('='), pair.size());
    std::optional<std::string> name = DecodePercent(pair.substr(0, equals), true);
    std::optional<std::string> value =
        DecodePercent(pair.substr(std::min(equals + 1, pair.size())), true);
    if (!name || !value) return std::nullopt;
    target.parameters.push_back({*std::move(name), *std::move(value)});
  }
  return target;
}

}  // namespace serf::http

#endif  // SERF_RPC_HTTP_URL_H_
