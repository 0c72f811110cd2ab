#ifndef SERF_CMD_DAEMON_AGENT_ADDRESSES_H_
#define SERF_CMD_DAEMON_AGENT_ADDRESSES_H_

// The addresses where an agent listens and the one that it announces: -bind, -iface and -advertise
// after the look-up. Source: docs/protocol/agent.md 2.6.

#include <net/if.h>

#include <algorithm>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "serf/base/bytes.h"
#include "serf/base/endpoint.h"
#include "serf/cmd/daemon/agent_config.h"
#include "serf/transport/bind_address.h"
#include "serf/transport/interfaces.h"
#include "serf/transport/net/zone.h"
#include "serf/transport/resolver.h"

namespace serf::cmd {

struct AgentAddresses {
  Endpoint bind;
  names::Zone zone = 0;   // the zone of a link-local IPv6 address that is bound
  std::string bind_text;  // for the banner, where an empty host stays empty
  std::optional<Endpoint> advertise;
  std::string notice;  // for the operator, if -bind did not choose the address; else empty
};

// Lists the addresses of this host's interfaces.
using InterfaceLister = std::function<std::vector<transport::InterfaceAddress>()>;

// Looks the addresses up; blocks on name look-ups. An error's message is the text to print before
// the agent gives up. Calls `list` only where the configuration leaves something to look for: the
// kernel writes 1.5 KiB for each interface, which is a tenth of a start.
//
// If no other host can reach this one, and the configuration names no other hosts, all addresses
// become the loopback one. Otherwise the agent would have no address to announce and could not
// start; Go Serf's cannot.
absl::StatusOr<AgentAddresses> LookUpAddresses(
    const AgentConfig& config, const InterfaceLister& list = transport::ListInterfaceAddresses);

// Adds the flags that help if the node found no address to announce. `status` is transport::Host's.
absl::Status WithAddressFlags(const absl::Status& status);

namespace agent_addresses_internal {

// Binds to an address of the interface, or checks that the configured address is one of its
// addresses.
inline absl::Status UseInterface(const std::string& name, const InterfaceLister& list,
                                 AgentAddresses& addresses) {
  std::vector<IpAddress> owned;
  for (const transport::InterfaceAddress& entry : list()) {
    if (entry.interface == name) owned.push_back(entry.address);
  }
  if (owned.empty()) {
    return absl::NotFoundError(absl::StrCat("Interface '", name, "' has no addresses"));
  }
  IpAddress& bound = addresses.bind.address;
  if (!bound.is_v4() || !bound.is_unspecified()) {
    for (const IpAddress& address : owned) {
      if (SameHost(address, bound)) return absl::OkStatus();
    }
    return absl::NotFoundError(
        absl::StrCat("Interface '", name, "' has no '", bound.ToString(), "' address"));
  }
  for (const IpAddress& address : owned) {
    if (transport::IsLinkLocal(address)) continue;
    bound = address;
    addresses.bind_text = addresses.bind.ToString();
    addresses.notice =
        absl::StrCat("Using interface '", name, "' address '", bound.ToString(), "'");
    return absl::OkStatus();
  }
  return absl::NotFoundError(
      absl::StrCat("Failed to find usable address for interface '", name, "'"));
}

// Finds the zone of a link-local IPv6 address without one: the configured interface, or the only
// interface that has the address.
inline absl::Status FindZone(const std::string& interface, const InterfaceLister& list,
                             AgentAddresses& addresses) {
  const IpAddress& bound = addresses.bind.address;
  if (bound.is_v4() || !transport::IsLinkLocal(bound)) {
    addresses.zone = 0;
    return absl::OkStatus();
  }
  std::set<std::string> owners;
  for (const transport::InterfaceAddress& entry : list()) {
    if (SameHost(entry.address, bound)) owners.insert(entry.interface);
  }
  const std::string& owner = interface.empty() && owners.size() == 1 ? *owners.begin() : interface;
  const names::Zone wanted = owner.empty() ? 0 : ::if_nametoindex(owner.c_str());
  if (addresses.zone == 0) addresses.zone = wanted;
  if (addresses.zone == 0) {
    return absl::InvalidArgumentError(absl::StrCat(bound.ToString(),
                                                   " is link-local: name its interface, as in [",
                                                   bound.ToString(), "%eth0]"));
  }
  if (!interface.empty() && addresses.zone != wanted) {
    return absl::InvalidArgumentError(
        absl::StrCat(names::WithZone(bound.ToString(), addresses.zone), " is not on interface '",
                     interface, "'"));
  }
  addresses.bind_text = absl::StrCat("[", names::WithZone(bound.ToString(), addresses.zone),
                                     "]:", addresses.bind.port);
  return absl::OkStatus();
}

// True if the configuration names members on other hosts. An agent that starts before the network
// must then fail, so that a supervisor starts it again; it must not announce its loopback address.
inline bool WantsOtherHosts(const AgentConfig& config) {
  const auto is_other = [](const std::string& entry) {
    const auto parsed = transport::ParseJoinEntry(entry, kDefaultBindPort);
    if (!parsed.ok() || parsed->host == "localhost") return false;
    const std::optional<IpAddress> address = IpAddress::Parse(parsed->host);
    return !address || !address->is_loopback();
  };
  return !config.discover.empty() ||
         std::any_of(config.start_join.begin(), config.start_join.end(), is_other) ||
         std::any_of(config.retry_join.begin(), config.retry_join.end(), is_other);
}

inline void UseLoopback(AgentAddresses& addresses) {
  addresses.bind.address = IpAddress::V4(127, 0, 0, 1);
  addresses.bind_text = addresses.bind.ToString();
  addresses.notice =
      absl::StrCat("Warning: no address of this host can be told to others. Binding to ",
                   addresses.bind.address.ToString(), ", where no other host can reach this agent");
}

}  // namespace agent_addresses_internal

inline absl::StatusOr<AgentAddresses> LookUpAddresses(const AgentConfig& config,
                                                      const InterfaceLister& list) {
  namespace internal = agent_addresses_internal;
  const auto wrap = [](absl::string_view what, const absl::Status& status) {
    return absl::Status(status.code(),
                        absl::StrCat(what, ": ", absl::string_view(status.message())));
  };
  const absl::StatusOr<transport::BindAddress> bind =
      transport::ParseBindAddress(config.bind, kDefaultBindPort);
  if (!bind.ok()) return wrap("Invalid bind address", bind.status());
  AgentAddresses addresses;
  addresses.bind = bind->endpoint;
  addresses.bind_text =
      bind->has_host ? bind->endpoint.ToString() : absl::StrCat(":", bind->endpoint.port);
  const absl::StatusOr<names::Zone> zone = names::ZoneOf(bind->host);
  if (!zone.ok()) return wrap("Invalid bind address", zone.status());
  addresses.zone = *zone;
  if (!config.interface.empty()) {
    const absl::Status used = internal::UseInterface(config.interface, list, addresses);
    if (!used.ok()) return used;
  }
  if (const absl::Status found = internal::FindZone(config.interface, list, addresses);
      !found.ok()) {
    return wrap("Invalid bind address", found);
  }
  if (config.advertise.empty()) {
    if (addresses.bind.address.is_unspecified() && !internal::WantsOtherHosts(config) &&
        transport::IsAlone(list())) {
      internal::UseLoopback(addresses);
    }
    return addresses;
  }
  // Without a port it takes the bound one. Go Serf takes 7946 (docs/protocol/agent.md 2.6).
  const absl::StatusOr<transport::BindAddress> advertise =
      transport::ParseBindAddress(config.advertise, addresses.bind.port);
  if (!advertise.ok()) return wrap("Invalid advertise address", advertise.status());
  addresses.advertise = advertise->endpoint;
  return addresses;
}

inline absl::Status WithAddressFlags(const absl::Status& status) {
  if (!absl::EndsWith(status.message(), "explicit IP not provided")) return status;
  return absl::Status(status.code(), absl::StrCat(absl::string_view(status.message()),
                                                  "; choose one with -advertise or -bind"));
}

}  // namespace serf::cmd

#endif  // SERF_CMD_DAEMON_AGENT_ADDRESSES_H_
