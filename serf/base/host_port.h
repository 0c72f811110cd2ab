#ifndef SERF_BASE_HOST_PORT_H_
#define SERF_BASE_HOST_PORT_H_

// "HOST:PORT" texts, as users write addresses. Errors are those of the original, "address X:
// missing port in address". Source: spec/agent.md 2.6.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace serf {

struct HostPort {
  std::string host;  // without brackets; may be empty
  std::string port;  // not yet checked; may be empty
};

// host    = name / IPv4 / "[" IPv6 "]"
// address = host ":" port
//
// kNotFound: there is no port. kInvalidArgument: anything else.
absl::StatusOr<HostPort> SplitHostPort(absl::string_view text);

// "[HOST]:PORT" if the host has a colon, else "HOST:PORT".
std::string JoinHostPort(absl::string_view host, absl::string_view port);

// Digits with an optional sign. Empty counts as zero, other texts give none, numbers outside 0 to
// 65535 give -1.
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
    // Stays where it is once it is out of range, however many digits follow.
    if (number <= 65535) number = number * 10 + (c - '0');
  }
  if (number > 65535 || (negative && number != 0)) return -1;
  return number;
}

}  // namespace serf

#endif  // SERF_BASE_HOST_PORT_H_
