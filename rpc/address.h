#ifndef SERF_RPC_ADDRESS_H_
#define SERF_RPC_ADDRESS_H_

// HostPort: the two halves of an RPC address, "127.0.0.1:7373" (spec/agent.md 1.1, 4.2).

#include <algorithm>
#include <cstddef>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace serf::rpc {

struct HostPort {
  std::string host;  // a name or an address without brackets; empty: this machine
  std::string port;  // a number up to 65535 or the name of a service; empty: 0

  // Errors read as the original's: "address X: missing port in address".
  static absl::StatusOr<HostPort> Parse(absl::string_view text);
};

inline absl::StatusOr<HostPort> HostPort::Parse(absl::string_view text) {
  const auto fail = [text](absl::string_view why) {
    return absl::InvalidArgumentError(absl::StrCat("address ", text, ": ", why));
  };
  if (text.empty()) return absl::InvalidArgumentError("missing address");
  constexpr absl::string_view kMissingPort = "missing port in address";
  const std::size_t colon = text.rfind(':');
  if (colon == absl::string_view::npos) return fail(kMissingPort);
  HostPort parsed;
  if (text.front() == '[') {
    const std::size_t end = text.find(']');
    if (end == absl::string_view::npos) return fail("missing ']' in address");
    if (end + 1 != colon) {
      return fail(end + 1 < text.size() && text[end + 1] == ':' ? "too many colons in address"
                                                                : kMissingPort);
    }
    parsed.host = std::string(text.substr(1, end - 1));
    if (parsed.host.find('[') != std::string::npos) return fail("unexpected '[' in address");
  } else {
    parsed.host = std::string(text.substr(0, colon));
    if (parsed.host.find(':') != std::string::npos) return fail("too many colons in address");
    if (text.find('[') != absl::string_view::npos) return fail("unexpected '[' in address");
    if (text.find(']') != absl::string_view::npos) return fail("unexpected ']' in address");
  }
  parsed.port = std::string(text.substr(colon + 1));

  absl::string_view digits = parsed.port;
  const bool negative = !digits.empty() && digits.front() == '-';
  if (negative) digits.remove_prefix(1);
  const bool numeric = !digits.empty() && std::all_of(digits.begin(), digits.end(),
                                                      [](char c) { return c >= '0' && c <= '9'; });
  if (!numeric) return parsed;
  digits.remove_prefix(std::min(digits.find_first_not_of('0'), digits.size()));
  constexpr absl::string_view kPortMax = "65535";
  if ((negative && !digits.empty()) || digits.size() > kPortMax.size() ||
      (digits.size() == kPortMax.size() && digits > kPortMax)) {
    return absl::InvalidArgumentError(absl::StrCat("address ", parsed.port, ": invalid port"));
  }
  parsed.port = digits.empty() ? "0" : std::string(digits);
  return parsed;
}

}  // namespace serf::rpc

#endif  // SERF_RPC_ADDRESS_H_
