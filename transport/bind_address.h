#ifndef SERF_TRANSPORT_BIND_ADDRESS_H_
#define SERF_TRANSPORT_BIND_ADDRESS_H_

// The addresses that users give to listen on and to be told to others. Source: spec/agent.md 2.6.

#include <netdb.h>

#include <array>
#include <boost/asio/error.hpp>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "serf/base/endpoint.h"
#include "serf/base/host_port.h"
#include "serf/transport/asio.h"
#include "serf/transport/lookup.h"
#include "serf/transport/socket_address.h"

namespace serf::transport {

struct BindAddress {
  Endpoint endpoint;      // port 0: any free one
  bool has_host = false;  // false: ":7946" was given, and the address is 0.0.0.0
  bool has_port = false;  // false: the default port was added
};

// Where names and services come from; a test gives tables.
struct AddressBook {
  // The addresses of a name in the resolver's order, or LookupError().
  std::optional<IpAddress> (*first_address)(const std::string& host, absl::Status& error);
  // The TCP port of a service of the system, as "serf".
  std::optional<std::uint16_t> (*service_port)(const std::string& service);
};

// The system's. Blocks while names are looked up: for use at start-up.
AddressBook SystemAddressBook();

// address = [ host ] [ ":" port ]
// host    = name / IPv4 / "[" IPv6 "]"
// port    = number / service
//
// Without port, `default_port`. Of a name the first IPv4 address is taken, or else the first IPv6
// address. Errors: "address ::1: too many colons in address", "address X: missing ']' in address",
// "address 70000: invalid port", "address tcp/x: unknown port", "lookup NAME: no such host".
absl::StatusOr<BindAddress> ParseBindAddress(absl::string_view text, std::uint16_t default_port,
                                             const AddressBook& book = SystemAddressBook());

// --- bodies ---

inline absl::StatusOr<BindAddress> ParseBindAddress(absl::string_view text,
                                                    std::uint16_t default_port,
                                                    const AddressBook& book) {
  BindAddress result;
  absl::StatusOr<HostPort> parts = SplitHostPort(text);
  result.has_port = !absl::IsNotFound(parts.status());
  if (!result.has_port) parts = SplitHostPort(absl::StrCat(text, ":", default_port));
  if (!parts.ok()) return absl::InvalidArgumentError(parts.status().message());

  if (const std::optional<int> number = ParsePortNumber(parts->port)) {
    if (*number < 0) {
      return absl::InvalidArgumentError(absl::StrCat("address ", parts->port, ": invalid port"));
    }
    result.endpoint.port = static_cast<std::uint16_t>(*number);
  } else if (const std::optional<std::uint16_t> service = book.service_port(parts->port)) {
    result.endpoint.port = *service;
  } else {
    return absl::InvalidArgumentError(absl::StrCat("address tcp/", parts->port, ": unknown port"));
  }

  result.has_host = !parts->host.empty();
  if (!result.has_host) return result;
  if (const std::optional<IpAddress> literal = IpAddress::Parse(parts->host)) {
    result.endpoint.address = literal->Unmapped();
    return result;
  }
  absl::Status error;
  const std::optional<IpAddress> found = book.first_address(parts->host, error);
  if (!found) return error;
  result.endpoint.address = *found;
  return result;
}

inline AddressBook SystemAddressBook() {
  AddressBook book;
  book.first_address = [](const std::string& host,
                          absl::Status& error) -> std::optional<IpAddress> {
    addrinfo hints = {};
    hints.ai_socktype = SOCK_STREAM;
    addrinfo* list = nullptr;
    const int failure = ::getaddrinfo(host.c_str(), nullptr, &hints, &list);
    std::optional<IpAddress> found;
    for (const addrinfo* entry = list; failure == 0 && entry != nullptr; entry = entry->ai_next) {
      SocketAddress address;
      if (entry->ai_addrlen > sizeof(address)) continue;
      std::memcpy(&address, entry->ai_addr, entry->ai_addrlen);
      const std::optional<Endpoint> endpoint = FromSocketAddress(address);
      if (!endpoint) continue;
      if (!found || (!found->is_v4() && endpoint->address.is_v4())) found = endpoint->address;
    }
    if (failure == 0) ::freeaddrinfo(list);
    if (!found) {
      const bool again = failure == EAI_AGAIN;
      error = LookupError(host, again ? ErrorCode(asio::error::host_not_found_try_again)
                                      : ErrorCode(asio::error::host_not_found));
    }
    return found;
  };
  book.service_port = [](const std::string& service) -> std::optional<std::uint16_t> {
    servent entry = {};
    servent* found = nullptr;
    std::array<char, 2048> buffer;
    if (::getservbyname_r(service.c_str(), "tcp", &entry, buffer.data(), buffer.size(), &found) !=
            0 ||
        found == nullptr) {
      return std::nullopt;
    }
    return ntohs(static_cast<std::uint16_t>(found->s_port));
  };
  return book;
}

}  // namespace serf::transport

#endif  // SERF_TRANSPORT_BIND_ADDRESS_H_
