// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_TRANSPORT_NET_SYSTEM_NAMES_H_
#define SERF_TRANSPORT_NET_SYSTEM_NAMES_H_

// What the system knows by name: the addresses of hosts (files, DNS, and whatever else
// nsswitch.conf names) and the ports of services.
//
//   names::Addresses addresses = names::LookUp("db.example.com");
//   if (addresses.ok()) Dial(names::Preferred(*addresses));
//
// The functions block for as long as the system's own timeouts, which may be tens of seconds: call
// them before a program serves anybody. Elsewhere use lookup.h. Any thread.

#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "serf/base/endpoint.h"
#include "serf/base/host_name.h"
#include "serf/base/host_port.h"
#include "serf/transport/net/zone.h"

namespace serf::names {

// The most addresses of one name: more than a round-robin record of a large cluster has.
inline constexpr std::size_t kAddressesPerNameMax = 256;

// At least one address, each once, in the system's order; or an error.
using Addresses = absl::StatusOr<std::vector<IpAddress>>;

// The name of this host. Error: "Error determining hostname: ...", the text of Go Serf's agent.
absl::StatusOr<std::string> HostName();

// Ask the system's resolver and its tables. The host must be a name and not an IP address.
Addresses SystemAddresses(const std::string& host);
std::optional<std::uint16_t> SystemServicePort(const std::string& service, const char* protocol);

// Where names come from. A test passes functions that read tables.
struct Book {
  Addresses (*addresses)(const std::string& host) = SystemAddresses;
  std::optional<std::uint16_t> (*service_port)(const std::string& service,
                                               const char* protocol) = SystemServicePort;
};

// The addresses of a name. For an IP address the result is that address without its zone; the
// function then asks nobody. NotFound: "lookup HOST: no such host", also for numbers that are not
// an address; "lookup HOST: temporary failure in name resolution".
Addresses LookUp(const std::string& host, const Book& book = Book());

// The addresses in the order in which to try them: IPv4 before IPv6, because a machine may know an
// IPv6 address of a name without having an IPv6 route.
std::vector<IpAddress> Ipv4First(std::vector<IpAddress> addresses);

// The first address in that order, for callers that want one. `addresses` must not be empty.
IpAddress Preferred(const std::vector<IpAddress>& addresses);

// The number of a port:
//
//   port = [ sign ] digits / service / nothing, which means 0
//
// `protocol` is "tcp" or "udp". InvalidArgument: "address 70000: invalid port", "address tcp/x:
// unknown port".
absl::StatusOr<std::uint16_t> LookUpPort(const std::string& port, const char* protocol,
                                         const Book& book = Book());

// --- bodies ---

namespace system_names_internal {

inline absl::Status LookUpError(const std::string& host, int failure) {
  std::string why;
  switch (failure) {
    case EAI_AGAIN:  // no server answered
      why = "temporary failure in name resolution";
      break;
    case EAI_SYSTEM:
      why = std::strerror(errno);
      break;
    case EAI_FAIL:
    case EAI_MEMORY:
      why = ::gai_strerror(failure);
      break;
    default:  // there is none, or none of a family that IP has
      why = "no such host";
  }
  why[0] = absl::ascii_tolower(static_cast<unsigned char>(why[0]));
  return absl::NotFoundError(absl::StrCat("lookup ", host, ": ", why));
}

inline std::optional<IpAddress> AddressOf(const addrinfo& entry) {
  const std::uint8_t* bytes = nullptr;
  std::size_t size = 0;
  if (entry.ai_family == AF_INET) {
    bytes = reinterpret_cast<const std::uint8_t*>(
        &reinterpret_cast<const sockaddr_in*>(entry.ai_addr)->sin_addr);
    size = IpAddress::kV4Size;
  } else if (entry.ai_family == AF_INET6) {
    bytes = reinterpret_cast<const std::uint8_t*>(
        &reinterpret_cast<const sockaddr_in6*>(entry.ai_addr)->sin6_addr);
    size = IpAddress::kV6Size;
  } else {
    return std::nullopt;
  }
  return IpAddress::FromBytes({bytes, size})->Unmapped();
}

}  // namespace system_names_internal

inline absl::StatusOr<std::string> HostName() {
  std::array<char, 256> name{};  // above any system's HOST_NAME_MAX
  if (::gethostname(name.data(), name.size() - 1) != 0) {
    return absl::InternalError(absl::StrCat("Error determining hostname: ", std::strerror(errno)));
  }
  return std::string(name.data());
}

inline Addresses LookUp(const std::string& host, const Book& book) {
  if (const std::optional<IpAddress> literal = ParseWithZone(host)) {
    return std::vector<IpAddress>{literal->Unmapped()};
  }
  if (!IsHostName(host)) return system_names_internal::LookUpError(host, EAI_NONAME);
  return book.addresses(host);
}

inline Addresses SystemAddresses(const std::string& host) {
  addrinfo hints = {};
  hints.ai_socktype = SOCK_STREAM;  // else each address comes once for each kind of socket
  addrinfo* list = nullptr;
  const int failure = ::getaddrinfo(host.c_str(), nullptr, &hints, &list);
  if (failure != 0) return system_names_internal::LookUpError(host, failure);
  std::vector<IpAddress> addresses;
  for (const addrinfo* entry = list; entry != nullptr; entry = entry->ai_next) {
    if (addresses.size() == kAddressesPerNameMax) break;
    const std::optional<IpAddress> address = system_names_internal::AddressOf(*entry);
    if (address && std::find(addresses.begin(), addresses.end(), *address) == addresses.end()) {
      addresses.push_back(*address);
    }
  }
  ::freeaddrinfo(list);
  if (addresses.empty()) return system_names_internal::LookUpError(host, EAI_NONAME);
  return addresses;
}

inline std::vector<IpAddress> Ipv4First(std::vector<IpAddress> addresses) {
  std::stable_partition(addresses.begin(), addresses.end(),
                        [](const IpAddress& address) { return address.is_v4(); });
  return addresses;
}

inline IpAddress Preferred(const std::vector<IpAddress>& addresses) {
  return Ipv4First(addresses).front();
}

inline absl::StatusOr<std::uint16_t> LookUpPort(const std::string& port, const char* protocol,
                                                const Book& book) {
  if (const std::optional<int> number = ParsePortNumber(port)) {
    if (*number >= 0) return static_cast<std::uint16_t>(*number);
    return absl::InvalidArgumentError(absl::StrCat("address ", port, ": invalid port"));
  }
  if (const std::optional<std::uint16_t> found = book.service_port(port, protocol)) return *found;
  return absl::InvalidArgumentError(
      absl::StrCat("address ", protocol, "/", port, ": unknown port"));
}

inline std::optional<std::uint16_t> SystemServicePort(const std::string& service,
                                                      const char* protocol) {
  servent entry = {};
  servent* found = nullptr;
  std::array<char, 2048> buffer;  // for the aliases of one service
  const int failure =
      ::getservbyname_r(service.c_str(), protocol, &entry, buffer.data(), buffer.size(), &found);
  if (failure != 0 || found == nullptr) return std::nullopt;
  return ntohs(static_cast<std::uint16_t>(found->s_port));
}

}  // namespace serf::names

#endif  // SERF_TRANSPORT_NET_SYSTEM_NAMES_H_
