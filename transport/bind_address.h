#ifndef SERF_TRANSPORT_BIND_ADDRESS_H_
#define SERF_TRANSPORT_BIND_ADDRESS_H_

// The addresses that users give to listen on and to be told to others. Source: spec/agent.md 2.6.

#include <cstdint>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "serf/base/endpoint.h"
#include "serf/base/host_port.h"
#include "serf/transport/names/system_names.h"

namespace serf::transport {

struct BindAddress {
  Endpoint endpoint;      // port 0: any free one
  bool has_host = false;  // false: ":7946" was given, and the address is 0.0.0.0
  bool has_port = false;  // false: the default port was added
};

// address = [ host ] [ ":" port ]
// host    = name / IPv4 / "[" IPv6 "]"
// port    = number / service
//
// Without port, `default_port`. Of a name the address is names::Preferred(). Blocks while names are
// looked up: for use at start-up. Errors: "address ::1: too many colons in address", "address X:
// missing ']' in address", "address 70000: invalid port", "address tcp/x: unknown port", "lookup
// NAME: no such host".
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
  result.has_host = !parts->host.empty();
  if (!result.has_host) return result;
  const names::Addresses found = names::LookUp(parts->host, book);
  if (!found.ok()) return found.status();
  result.endpoint.address = names::Preferred(*found);
  return result;
}

}  // namespace serf::transport

#endif  // SERF_TRANSPORT_BIND_ADDRESS_H_
