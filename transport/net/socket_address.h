// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_TRANSPORT_NET_SOCKET_ADDRESS_H_
#define SERF_TRANSPORT_NET_SOCKET_ADDRESS_H_

// Converts endpoints to and from the forms of the system (sockaddr) and of Asio.
//
// An IPv4 address from a socket takes the 4-byte form, whatever the socket's family. The same peer
// so has the same Endpoint on a dual-stack socket and on a plain one.

#include <netinet/in.h>
#include <sys/socket.h>

#include <boost/asio/ip/address.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <cassert>
#include <cstring>
#include <optional>
#include <string>

#include "absl/strings/str_cat.h"
#include "serf/base/bytes.h"
#include "serf/base/endpoint.h"
#include "serf/transport/net/asio.h"
#include "serf/transport/net/zone.h"

namespace serf::transport {

// Room for an IPv4 or IPv6 address; a sockaddr_storage is five times as large.
union SocketAddress {
  sockaddr any;
  sockaddr_in v4;
  sockaddr_in6 v6;
};

// Writes `endpoint` for a socket of `family` (AF_INET or AF_INET6) and returns its length. Zero: a
// socket of that family cannot reach it.
inline socklen_t ToSocketAddress(const Endpoint& endpoint, int family, SocketAddress& out) {
  if (family == AF_INET) {
    const IpAddress plain = endpoint.address.Unmapped();
    if (!plain.is_v4()) return 0;
    out.v4 = {};
    out.v4.sin_family = AF_INET;
    out.v4.sin_port = htons(endpoint.port);
    std::memcpy(&out.v4.sin_addr, plain.bytes().data(), IpAddress::kV4Size);
    return sizeof(out.v4);
  }
  assert(family == AF_INET6);
  const IpAddress mapped = endpoint.address.Mapped();
  out.v6 = {};
  out.v6.sin6_family = AF_INET6;
  out.v6.sin6_port = htons(endpoint.port);
  std::memcpy(&out.v6.sin6_addr, mapped.bytes().data(), IpAddress::kV6Size);
  return sizeof(out.v6);
}

// Nothing, for another address family.
inline std::optional<Endpoint> FromSocketAddress(const SocketAddress& address) {
  if (address.any.sa_family == AF_INET) {
    const auto* bytes = reinterpret_cast<const std::uint8_t*>(&address.v4.sin_addr);
    return Endpoint{*IpAddress::FromBytes({bytes, IpAddress::kV4Size}), ntohs(address.v4.sin_port)};
  }
  if (address.any.sa_family == AF_INET6) {
    const auto* bytes = reinterpret_cast<const std::uint8_t*>(&address.v6.sin6_addr);
    return Endpoint{IpAddress::FromBytes({bytes, IpAddress::kV6Size})->Unmapped(),
                    ntohs(address.v6.sin6_port)};
  }
  return std::nullopt;
}

inline asio::ip::address ToAsio(const IpAddress& address) {
  const ByteView bytes = address.bytes();
  if (address.is_v4()) {
    asio::ip::address_v4::bytes_type v4;
    std::memcpy(v4.data(), bytes.data(), v4.size());
    return asio::ip::address_v4(v4);
  }
  asio::ip::address_v6::bytes_type v6;
  std::memcpy(v6.data(), bytes.data(), v6.size());
  return asio::ip::address_v6(v6);
}

inline IpAddress FromAsio(const asio::ip::address& address) {
  if (address.is_v4()) {
    const auto bytes = address.to_v4().to_bytes();
    return *IpAddress::FromBytes({bytes.data(), bytes.size()});
  }
  const auto bytes = address.to_v6().to_bytes();
  return IpAddress::FromBytes({bytes.data(), bytes.size()})->Unmapped();
}

// `zone` is the interface's index, which only a link-local IPv6 address needs; zero: none.
inline asio::ip::address ToAsio(const IpAddress& address, names::Zone zone) {
  const asio::ip::address plain = ToAsio(address);
  if (zone == 0 || !plain.is_v6() || !plain.to_v6().is_link_local()) return plain;
  return asio::ip::address_v6(plain.to_v6().to_bytes(), zone);
}

inline asio::ip::tcp::endpoint ToAsio(const Endpoint& endpoint, names::Zone zone = 0) {
  return {ToAsio(endpoint.address, zone), endpoint.port};
}

inline Endpoint FromAsio(const asio::ip::tcp::endpoint& endpoint) {
  return {FromAsio(endpoint.address()), endpoint.port()};
}

// The text of an endpoint, with its zone: "127.0.0.1:7373", "[fe80::1%eth0]:7373".
inline std::string TextOf(const asio::ip::tcp::endpoint& endpoint) {
  // Asio writes an IPv4 address with sprintf().
  if (endpoint.address().is_v4()) return FromAsio(endpoint).ToString();
  return absl::StrCat("[", endpoint.address().to_string(), "]:", endpoint.port());
}

// The address of a text; nothing for a name. Unlike IpAddress::Parse() it accepts a zone:
// "fe80::1%eth0".
inline std::optional<asio::ip::address> ParseAsioAddress(const std::string& host) {
  ErrorCode error;
  const asio::ip::address address = asio::ip::make_address(host, error);
  return error ? std::nullopt : std::optional(address);
}

}  // namespace serf::transport

#endif  // SERF_TRANSPORT_NET_SOCKET_ADDRESS_H_
