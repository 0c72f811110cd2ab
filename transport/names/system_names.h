#ifndef SERF_TRANSPORT_NAMES_SYSTEM_NAMES_H_
#define SERF_TRANSPORT_NAMES_SYSTEM_NAMES_H_

// What the system knows by name: the addresses of hosts (files, DNS, whatever nsswitch.conf has it
// ask) and the ports of services. It may take as long as the system's own time-outs, tens of
// seconds: for use before a program serves anybody. Elsewhere lookup.h is the one to use.

#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>

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

namespace serf::names {

// Addresses of one name: more than a round-robin record of a large cluster has.
inline constexpr std::size_t kAddressesPerNameMax = 256;

// At least one, each once, in the system's order.
using Addresses = absl::StatusOr<std::vector<IpAddress>>;

// Of the system's resolver and tables. The host is a name, not an IP address.
Addresses SystemAddresses(const std::string& host);
std::optional<std::uint16_t> SystemServicePort(const std::string& service, const char* protocol);

// Where names come from; a test gives tables.
struct Book {
  Addresses (*addresses)(const std::string& host) = SystemAddresses;
  std::optional<std::uint16_t> (*service_port)(const std::string& service,
                                               const char* protocol) = SystemServicePort;
};

// The addresses of a name; of an IP address itself, without asking. Errors: "lookup HOST: no such
// host", also for numbers that are no address; "lookup HOST: temporary failure in name resolution".
Addresses LookUp(const std::string& host, const Book& book = Book());

// The order in which to try them: IPv4 before IPv6, which a host may have a name for and no way to.
std::vector<IpAddress> Ipv4First(std::vector<IpAddress> addresses);

// Where one address is wanted: the first in that order. `addresses` is not empty.
IpAddress Preferred(const std::vector<IpAddress>& addresses);

// port = [ sign ] digits / service / nothing, which is 0. `protocol` is "tcp" or "udp". Errors:
// "address 70000: invalid port", "address tcp/x: unknown port".
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

inline Addresses LookUp(const std::string& host, const Book& book) {
  if (const std::optional<IpAddress> literal = IpAddress::Parse(host)) {
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

#endif  // SERF_TRANSPORT_NAMES_SYSTEM_NAMES_H_
