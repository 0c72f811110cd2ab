// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_RPC_HTTP_FRAMING_H_
#define SERF_RPC_HTTP_FRAMING_H_

// Where a request ends. Two programs that read the same bytes and disagree about it let a client
// hide one request in another, so this server takes one form only, and refuses what a lenient
// program might read differently. Pure functions.
//
//   if (auto problem = CheckHead(bytes_up_to_the_empty_line)) Refuse(*problem);
//   if (auto problem = CheckFraming(request)) Refuse(*problem);
//
// Source: RFC 9112 2.2, 5.2, 6.1, 6.3, 11.2.

#include <algorithm>
#include <cstddef>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "serf/rpc/http/message.h"

namespace serf::http {

inline Problem Malformed(std::string message) {
  return {.status = 400, .code = "malformed_request", .message = std::move(message)};
}

// The bytes of a head, or of its beginning, from `from` on: lines end with CR LF, and none
// continues the one before. The last byte may be a CR whose LF is still on its way.
inline std::optional<Problem> CheckHead(absl::string_view head, std::size_t from = 0) {
  for (std::size_t i = from; i < head.size(); ++i) {
    const char c = head[i];
    const bool after_cr = i > 0 && head[i - 1] == '\r';
    if (c == '\n' && !after_cr) return Malformed("a line ends with LF, must end with CR LF");
    if (c != '\n' && after_cr) return Malformed("a CR without LF");
    if (c == '\0') return Malformed("a zero byte in the head");
    const bool line_start = i > 0 && head[i - 1] == '\n';
    if (line_start && (c == ' ' || c == '\t')) {
      return Malformed("a line begins with a blank: header fields have one line each");
    }
  }
  return std::nullopt;
}

// The fields that say where the body ends, and those that must be there once.
inline std::optional<Problem> CheckFraming(const Request& request) {
  const std::size_t lengths = request.Count("content-length");
  const std::size_t codings = request.Count("transfer-encoding");
  if (lengths > 1) return Malformed(absl::StrCat(lengths, " Content-Length fields"));
  if (codings > 1) return Malformed(absl::StrCat(codings, " Transfer-Encoding fields"));
  if (lengths > 0 && codings > 0) {
    return Malformed("both Content-Length and Transfer-Encoding");
  }
  if (lengths > 0) {
    const absl::string_view length = *request.Find("content-length");
    // Long enough for every size that a computer can hold.
    constexpr std::size_t kDigitsMax = 18;
    if (length.empty() || length.size() > kDigitsMax ||
        !std::all_of(length.begin(), length.end(), absl::ascii_isdigit)) {
      return Malformed(absl::StrCat("Content-Length is '", length.substr(0, 2 * kDigitsMax),
                                    "', must be a decimal number"));
    }
  }
  if (codings > 0) {
    const absl::string_view coding = *request.Find("transfer-encoding");
    if (!absl::EqualsIgnoreCase(coding, "chunked")) {
      return Malformed(absl::StrCat("Transfer-Encoding is '", coding.substr(0, 64),
                                    "', this server knows 'chunked' only"));
    }
    if (request.minor == 0) return Malformed("Transfer-Encoding in HTTP/1.0");
  }
  const std::size_t hosts = request.Count("host");
  if (hosts > 1) return Malformed(absl::StrCat(hosts, " Host fields"));
  if (hosts == 0 && request.minor > 0) return Malformed("no Host field");
  return std::nullopt;
}

}  // namespace serf::http

#endif  // SERF_RPC_HTTP_FRAMING_H_
