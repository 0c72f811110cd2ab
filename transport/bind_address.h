// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_TRANSPORT_BIND_ADDRESS_H_
#define SERF_TRANSPORT_BIND_ADDRESS_H_

// ParseBindAddress: the addresses that users give, to listen on and to announce. For a text that is
// always an IP address and a port, Endpoint::Parse() is enough.
//
//   absl::StatusOr<BindAddress> bind = ParseBindAddress("web-1.example:7946", 7946);
//   if (bind.ok()) options.bind = bind->endpoint;
//
// Source: docs/protocol/agent.md 2.6.

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "serf/base/endpoint.h"
#include "serf/base/host_port.h"
#include "serf/transport/net/system_names.h"
#include "serf/transport/net/zone.h"

namespace serf::transport {

// An address that was parsed, and which parts of it the user gave.
struct BindAddress {
  // Port 0 stands for any free port.
  Endpoint endpoint;
  // False for ":7946": the address is then 0.0.0.0.
  bool has_host = false;
  // False if the default port was added.
  bool has_port = false;
  // The host as given, with the zone of an IPv6 address.
  std::string host;
};

// Parses an address of this form:
//
//   address = [ host ] [ ":" port ]
//   host    = name / IPv4 / "[" IPv6 [ "%" zone ] "]"
//   port    = number / service
//
// Without a port it takes `default_port`. If a name has several addresses, it takes
// names::Preferred(). It blocks while the system looks a name up, up to tens of seconds: call it at
// start-up only. `book` replaces the system's names in tests. Any thread.
//
// Errors: InvalidArgument, "address ::1: too many colons in address", "address X: missing ']' in
// address", "address 70000: invalid port", "address tcp/x: unknown port". NotFound, "lookup NAME:
// no such host".
absl::StatusOr<BindAddress> ParseBindAddress(absl::string_view text, std::uint16_t default_port,
                                             const names::Book& book = names::Book());

// --- bodies ---

inline absl::StatusOr<BindAddress> ParseBindAddress(absl::string_view text,
                                                    std::uint16_t default_port,
                                                    const names::Book& book) {
  BindAddress result;
  absl::StatusOr<HostPort> parts = SplitHostPort(text);
  result.has_port = !absl::IsNotFound(parts.status());
  if (!result.has_port) parts = SplitHostPort(absl::StrCat(text, ":", default_port));
  if (!parts.ok()) return absl::InvalidArgumentError(parts.status().message());

  const absl::StatusOr<std::uint16_t> port = names::LookUpPort(parts->port, "tcp", book);
  if (!port.ok()) return port.status();
  result.endpoint.port = *port;
  result.host = parts->host;
  result.has_host = !parts->host.empty();
  if (!result.has_host) return result;
  const names::Addresses found = names::LookUp(parts->host, book);
  if (!found.ok()) return found.status();
  result.endpoint.address = names::Preferred(*found);
  return result;
}

}  // namespace serf::transport

#endif  // SERF_TRANSPORT_BIND_ADDRESS_H_
