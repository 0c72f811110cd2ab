// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_RPC_ADDRESS_H_
#define SERF_RPC_ADDRESS_H_

// Addresses of RPC listeners, as users write them: "127.0.0.1:7373", or "unix:/run/serf.sock",
// which Go Serf does not know. Pure functions that split texts; Client and Server look names up and
// connect.
//
//   if (const auto path = UnixPathOf(text)) return ConnectUnix(*path);
//   absl::StatusOr<HostPort> target = ParseAddress(text);
//
// Source: docs/protocol/agent.md 1.1, 4.2, 8.2.

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

// The path of a Unix domain socket's address; nothing for another address. The path must have a
// slash, which no port has: a host may be called "unix". Valid as long as `text`.
inline std::optional<absl::string_view> UnixPathOf(absl::string_view text) {
  if (!absl::ConsumePrefix(&text, "unix:") || !absl::StrContains(text, '/')) return std::nullopt;
  return text;
}

// Splits any other address. An empty host means this machine. The port is a number from 0 to 65535,
// the name of a service, or empty, which means 0; numbers come back without sign and leading zeros.
// InvalidArgument for other texts, with those of Go Serf: "address X: missing port in address".
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
