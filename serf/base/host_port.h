// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_BASE_HOST_PORT_H_
#define SERF_BASE_HOST_PORT_H_

// Texts "HOST:PORT", as users write addresses. The functions split and join texts only: they
// neither look up names nor check that a port exists. For an IP address with a number,
// Endpoint::Parse() is enough.
//
//   absl::StatusOr<HostPort> parts = SplitHostPort("[fe80::1]:7946");   // "fe80::1", "7946"
//
// Errors have the texts of Go Serf: "address X: missing port in address". Every function is pure;
// any thread may call it. Source: docs/protocol/agent.md 2.6.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace serf {

// The two parts of an address.
struct HostPort {
  // Without brackets; may be empty.
  std::string host;
  // Not checked: a number, the name of a service, or anything else; may be empty.
  std::string port;
};

// Splits an address of this form:
//
//   host    = name / IPv4 / "[" IPv6 "]"
//   address = host ":" port
//
// Errors: NotFound, if the port is missing, so that a caller can add one. InvalidArgument for
// anything else, such as an IPv6 address without brackets.
absl::StatusOr<HostPort> SplitHostPort(absl::string_view text);

// "[HOST]:PORT" if the host has a colon, else "HOST:PORT". SplitHostPort() reverses it.
std::string JoinHostPort(absl::string_view host, absl::string_view port);

// The number of a port: digits with an optional sign. An empty text gives 0. A number outside 0 to
// 65535 gives -1. Any other text gives nothing: it may be the name of a service.
std::optional<int> ParsePortNumber(absl::string_view text);

// --- bodies ---

inline absl::StatusOr<HostPort> SplitHostPort(absl::string_view text) {
  const auto error = [text](absl::string_view why) {
    return absl::InvalidArgumentError(absl::StrCat("address ", text, ": ", why));
  };
  const auto no_port = [text] {
    return absl::NotFoundError(absl::StrCat("address ", text, ": missing port in address"));
  };
  const std::size_t colon = text.rfind(':');
  if (colon == absl::string_view::npos) return no_port();
  absl::string_view host = text.substr(0, colon);
  std::size_t after_open = 0;   // where another '[' would be wrong
  std::size_t after_close = 0;  // where another ']' would be wrong
  if (text.front() == '[') {
    const std::size_t end = text.find(']');
    if (end == absl::string_view::npos) return error("missing ']' in address");
    if (end + 1 == text.size()) return no_port();
    if (end + 1 != colon) {
      if (text[end + 1] == ':') return error("too many colons in address");
      return no_port();
    }
    host = text.substr(1, end - 1);
    after_open = 1;
    after_close = end + 1;
  } else if (host.find(':') != absl::string_view::npos) {
    return error("too many colons in address");
  }
  if (text.find('[', after_open) != absl::string_view::npos) {
    return error("unexpected '[' in address");
  }
  if (text.find(']', after_close) != absl::string_view::npos) {
    return error("unexpected ']' in address");
  }
  return HostPort{std::string(host), std::string(text.substr(colon + 1))};
}

inline std::string JoinHostPort(absl::string_view host, absl::string_view port) {
  if (host.find(':') != absl::string_view::npos) return absl::StrCat("[", host, "]:", port);
  return absl::StrCat(host, ":", port);
}

inline std::optional<int> ParsePortNumber(absl::string_view text) {
  if (text.empty()) return 0;
  bool negative = false;
  if (text.front() == '+' || text.front() == '-') {
    negative = text.front() == '-';
    text.remove_prefix(1);
  }
  int number = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') return std::nullopt;
    // Stops to grow once it is out of range, however many digits follow.
    if (number <= 65535) number = number * 10 + (c - '0');
  }
  if (number > 65535 || (negative && number != 0)) return -1;
  return number;
}

}  // namespace serf

#endif  // SERF_BASE_HOST_PORT_H_
