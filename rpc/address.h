#ifndef SERF_RPC_ADDRESS_H_
#define SERF_RPC_ADDRESS_H_

// An RPC address, as users write it: "127.0.0.1:7373" (spec/agent.md 1.1, 4.2), or, which the
// original does not know, "unix:/run/serf.sock" (8.2).

#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "serf/base/host_port.h"

namespace serf::rpc {

// The path of a Unix domain socket's address; none if it is another address. There is a slash in
// the path, and in no port: a host may be called unix.
inline std::optional<absl::string_view> UnixPathOf(absl::string_view text) {
  if (!absl::ConsumePrefix(&text, "unix:") || !absl::StrContains(text, '/')) return std::nullopt;
  return text;
}

// Of all other addresses. An empty host is this machine. The port is a number from 0 to 65535, the
// name of a service, or empty, which counts as 0. Errors read as the original's: "address X:
// missing port in address".
inline absl::StatusOr<HostPort> ParseAddress(absl::string_view text) {
  if (text.empty()) return absl::InvalidArgumentError("missing address");
  absl::StatusOr<HostPort> parsed = SplitHostPort(text);
  if (!parsed.ok()) return absl::InvalidArgumentError(parsed.status().message());
  if (parsed->port.empty()) return parsed;
  if (const std::optional<int> number = ParsePortNumber(parsed->port)) {
    if (*number < 0) {
      return absl::InvalidArgumentError(absl::StrCat("address ", parsed->port, ": invalid port"));
    }
    parsed->port = absl::StrCat(*number);
  }
  return parsed;
}

}  // namespace serf::rpc

#endif  // SERF_RPC_ADDRESS_H_
