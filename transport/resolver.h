// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_TRANSPORT_RESOLVER_H_
#define SERF_TRANSPORT_RESOLVER_H_

// Turns what a user gives to `join` into targets for the machine. Source:
// docs/protocol/membership.md 7.5.
//
// The system resolves the names, so the order of nsswitch.conf applies: /etc/hosts usually comes
// first. Go Serf asks DNS, over TCP, before /etc/hosts if a name contains a dot.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "serf/base/endpoint.h"
#include "serf/base/host_port.h"
#include "serf/swim/joins.h"
#include "serf/transport/net/lookup.h"
#include "serf/transport/net/zone.h"

namespace serf::transport {

// entry   = [ node-name "/" ] address
// address = host [ ":" port ]
struct JoinEntry {
  std::string node_name;  // may be empty; nothing here uses it
  std::string host;
  std::uint16_t port = 0;
};

// Parses an entry. A bare IPv6 address has no port: only a single colon, or a colon after "]",
// begins a port.
absl::StatusOr<JoinEntry> ParseJoinEntry(absl::string_view entry, std::uint16_t default_port);

// Finds the addresses of a name as names::Lookup::Start() does.
using LookupFunction = std::function<void(const std::string& host, names::Lookup::Done done)>;

// All addresses of the entry, at least one; or "Failed to resolve ENTRY: lookup X: no such host". A
// zone in the entry must be the node's zone.
using JoinTargets = absl::StatusOr<std::vector<swim::JoinTarget>>;

// Calls `done` once: within the call if no name must be looked up, else when `lookup` answers.
// `zone` is the zone of the node's link-local IPv6 address, zero if the node is bound to none.
void ResolveJoinEntry(const std::string& entry, std::uint16_t default_port, names::Zone zone,
                      const LookupFunction& lookup, std::function<void(JoinTargets)> done);

// --- bodies ---

inline absl::StatusOr<JoinEntry> ParseJoinEntry(absl::string_view entry,
                                                std::uint16_t default_port) {
  JoinEntry result;
  absl::string_view address = entry;
  if (const std::size_t slash = entry.find('/'); slash != absl::string_view::npos) {
    result.node_name = std::string(entry.substr(0, slash));
    if (result.node_name.empty()) return absl::InvalidArgumentError("empty node name provided");
    address = entry.substr(slash + 1);
  }
  const std::size_t first = address.find(':');
  const std::size_t last = address.rfind(':');
  const std::size_t bracket = address.rfind(']');
  const bool bracketed = !address.empty() && address.front() == '[';
  const bool has_port =
      last != absl::string_view::npos &&
      (bracketed ? bracket != absl::string_view::npos && last > bracket : first == last);
  std::string with_port(address);
  if (!has_port) {
    absl::string_view host = address;
    while (!host.empty() && (host.front() == '[' || host.front() == ']')) host.remove_prefix(1);
    while (!host.empty() && (host.back() == '[' || host.back() == ']')) host.remove_suffix(1);
    with_port = JoinHostPort(host, absl::StrCat(default_port));
  }
  absl::StatusOr<HostPort> parts = SplitHostPort(with_port);
  if (!parts.ok()) return parts.status();
  const auto port_error = [&parts](absl::string_view why) {
    return absl::InvalidArgumentError(
        absl::StrCat("strconv.ParseUint: parsing \"", parts->port, "\": ", why));
  };
  const std::optional<int> port = ParsePortNumber(parts->port);
  const bool plain = !parts->port.empty() && parts->port[0] != '+' && parts->port[0] != '-';
  if (!port || !plain) return port_error("invalid syntax");
  if (*port < 0) return port_error("value out of range");
  result.host = std::move(parts->host);
  result.port = static_cast<std::uint16_t>(*port);
  return result;
}

inline void ResolveJoinEntry(const std::string& entry, std::uint16_t default_port, names::Zone zone,
                             const LookupFunction& lookup, std::function<void(JoinTargets)> done) {
  const auto failed = [](absl::string_view which, const absl::Status& status) {
    return absl::Status(status.code(), absl::StrCat("Failed to resolve ", which, ": ",
                                                    absl::string_view(status.message())));
  };
  const absl::StatusOr<JoinEntry> parsed = ParseJoinEntry(entry, default_port);
  if (!parsed.ok()) return done(failed(entry, parsed.status()));
  const auto target = [port = parsed->port](const IpAddress& address) {
    const Endpoint endpoint{address, port};
    return swim::JoinTarget{endpoint.ToString(), endpoint};
  };
  if (const std::optional<IpAddress> literal = names::ParseWithZone(parsed->host)) {
    const absl::StatusOr<names::Zone> link = names::ZoneOf(parsed->host);
    if (!link.ok()) return done(failed(entry, link.status()));
    if (*link != 0 && *link != zone) {
      return done(failed(entry, absl::InvalidArgumentError(
                                    zone == 0 ? "this node is bound to no link-local address"
                                              : "this node is bound to another link")));
    }
    return done(std::vector<swim::JoinTarget>{target(*literal)});
  }
  lookup(parsed->host,
         [entry, failed, target, done = std::move(done)](const names::Addresses& addresses) {
           if (!addresses.ok()) return done(failed(entry, addresses.status()));
           std::vector<swim::JoinTarget> targets;
           for (const IpAddress& address : *addresses) targets.push_back(target(address));
           done(std::move(targets));
         });
}

}  // namespace serf::transport

#endif  // SERF_TRANSPORT_RESOLVER_H_
