#ifndef SERF_CMD_AGENT_ADDRESSES_H_
#define SERF_CMD_AGENT_ADDRESSES_H_

// Where an agent listens and what it tells others: the addresses of -bind, -iface and -advertise,
// looked up. Source: spec/agent.md 2.6.

#include <ifaddrs.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <vector>

#include "absl/algorithm/container.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "serf/base/bytes.h"
#include "serf/base/endpoint.h"
#include "serf/cmd/agent_config.h"
#include "serf/cmd/host_port.h"

namespace serf::cmd {

struct AgentAddresses {
  Endpoint bind;
  std::string bind_text;  // for the banner: an empty host stays empty there
  std::optional<Endpoint> advertise;
  std::string notice;  // for the operator, if -iface chose the address; else empty
};

// Blocks on name look-ups. An error's message is what to print before giving up.
absl::StatusOr<AgentAddresses> LookUpAddresses(const AgentConfig& config);

namespace agent_addresses_internal {

// "host", "host:port": the port stands in if there is none.
inline absl::StatusOr<Endpoint> LookUp(absl::string_view text, std::uint16_t default_port,
                                       std::string* shown) {
  absl::StatusOr<HostPort> parts = SplitHostPort(text);
  if (absl::IsNotFound(parts.status())) {
    parts = SplitHostPort(absl::StrCat(text, ":", default_port));
  }
  if (!parts.ok()) return parts.status();
  const absl::StatusOr<std::uint16_t> port = LookUpPort(parts->port);
  if (!port.ok()) return port.status();
  const absl::StatusOr<IpAddress> address = LookUpHost(parts->host);
  if (!address.ok()) return address.status();
  const Endpoint endpoint{*address, *port};
  *shown = parts->host.empty() ? absl::StrCat(":", *port) : endpoint.ToString();
  return endpoint;
}

// In the system's order; an interface that is down has its addresses too.
inline absl::StatusOr<std::vector<IpAddress>> AddressesOf(const std::string& interface) {
  ifaddrs* list = nullptr;
  if (::getifaddrs(&list) != 0) {
    return absl::InternalError(
        absl::StrCat("Failed to get interface addresses: ", std::strerror(errno)));
  }
  std::vector<IpAddress> addresses;
  for (const ifaddrs* entry = list; entry != nullptr; entry = entry->ifa_next) {
    if (entry->ifa_addr == nullptr || interface != entry->ifa_name) continue;
    std::optional<IpAddress> address;
    if (entry->ifa_addr->sa_family == AF_INET) {
      const auto* v4 = reinterpret_cast<const sockaddr_in*>(entry->ifa_addr);
      address = IpAddress::FromBytes(
          {reinterpret_cast<const std::uint8_t*>(&v4->sin_addr), IpAddress::kV4Size});
    } else if (entry->ifa_addr->sa_family == AF_INET6) {
      const auto* v6 = reinterpret_cast<const sockaddr_in6*>(entry->ifa_addr);
      address = IpAddress::FromBytes(
          {reinterpret_cast<const std::uint8_t*>(&v6->sin6_addr), IpAddress::kV6Size});
    }
    if (address) addresses.push_back(*address);
  }
  ::freeifaddrs(list);
  return addresses;
}

inline bool IsLinkLocal(const IpAddress& address) {
  const ByteView bytes = address.bytes();
  if (address.is_v4()) return bytes[0] == 169 && bytes[1] == 254;
  return bytes[0] == 0xfe && (bytes[1] & 0xc0) == 0x80;
}

// Binds to an address of the interface, or checks that the one asked for is one.
inline absl::Status UseInterface(const std::string& interface, AgentAddresses& addresses) {
  const absl::StatusOr<std::vector<IpAddress>> owned = AddressesOf(interface);
  if (!owned.ok()) return owned.status();
  const absl::string_view name = interface;
  if (owned->empty()) {
    return absl::NotFoundError(absl::StrCat("Interface '", name, "' has no addresses"));
  }
  IpAddress& bound = addresses.bind.address;
  if (!bound.is_unspecified() || !bound.is_v4()) {
    const bool has = absl::c_any_of(*owned, [&](const IpAddress& a) { return SameHost(a, bound); });
    if (has) return absl::OkStatus();
    return absl::NotFoundError(
        absl::StrCat("Interface '", name, "' has no '", bound.ToString(), "' address"));
  }
  const auto usable = absl::c_find_if(*owned, [](const IpAddress& a) { return !IsLinkLocal(a); });
  if (usable == owned->end()) {
    return absl::NotFoundError(
        absl::StrCat("Failed to find usable address for interface '", name, "'"));
  }
  bound = *usable;
  addresses.bind_text = addresses.bind.ToString();
  addresses.notice = absl::StrCat("Using interface '", name, "' address '", bound.ToString(), "'");
  return absl::OkStatus();
}

}  // namespace agent_addresses_internal

inline absl::StatusOr<AgentAddresses> LookUpAddresses(const AgentConfig& config) {
  namespace internal = agent_addresses_internal;
  const auto wrap = [](absl::string_view what, const absl::Status& status) {
    return absl::Status(status.code(),
                        absl::StrCat(what, ": ", absl::string_view(status.message())));
  };
  AgentAddresses addresses;
  const absl::StatusOr<Endpoint> bind =
      internal::LookUp(config.bind, kDefaultBindPort, &addresses.bind_text);
  if (!bind.ok()) return wrap("Invalid bind address", bind.status());
  addresses.bind = *bind;
  if (!config.interface.empty()) {
    const absl::Status used = internal::UseInterface(config.interface, addresses);
    if (!used.ok()) return used;
  }
  if (config.advertise.empty()) return addresses;
  // Without a port: the one that is bound (the original takes 7946, spec/agent.md 2.6).
  std::string shown;
  const absl::StatusOr<Endpoint> advertise =
      internal::LookUp(config.advertise, addresses.bind.port, &shown);
  if (!advertise.ok()) return wrap("Invalid advertise address", advertise.status());
  addresses.advertise = *advertise;
  return addresses;
}

}  // namespace serf::cmd

#endif  // SERF_CMD_AGENT_ADDRESSES_H_
