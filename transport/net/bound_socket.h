// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_TRANSPORT_NET_BOUND_SOCKET_H_
#define SERF_TRANSPORT_NET_BOUND_SOCKET_H_

// Opens and binds a UDP socket or a TCP acceptor; both follow the same rules. Source:
// docs/protocol/membership.md 7.2.

#include <boost/asio/error.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ip/v6_only.hpp>
#include <boost/asio/socket_base.hpp>
#include <type_traits>

#include "absl/strings/string_view.h"
#include "serf/base/endpoint.h"
#include "serf/transport/net/asio.h"
#include "serf/transport/net/socket_address.h"
#include "serf/transport/net/zone.h"

namespace serf::transport {

// What failed, and in which system call.
struct BindResult {
  ErrorCode error;
  absl::string_view call;
};

// Opens `socket`, a closed udp::socket or tcp::acceptor, and binds it to `at`. An unspecified
// address of either family takes IPv4 and IPv6, if the system has both. An acceptor takes over
// ports whose connections are still in TIME_WAIT. `zone` is the zone of a link-local IPv6 address.
template <typename Socket>
BindResult OpenAndBind(Socket& socket, const Endpoint& at, names::Zone zone) {
  using Protocol = typename Socket::protocol_type;
  const auto attempt = [&](const IpAddress& address) -> BindResult {
    BindResult result;
    const asio::ip::address plain = ToAsio(address, zone);
    const Protocol protocol = plain.is_v4() ? Protocol::v4() : Protocol::v6();
    socket.open(protocol, result.error);
    if (result.error) return {result.error, "socket"};
    if (plain.is_v6()) {
      socket.set_option(asio::ip::v6_only(!address.is_unspecified()), result.error);
      if (result.error) return {result.error, "setsockopt"};
    }
    if constexpr (std::is_same_v<Protocol, asio::ip::tcp>) {
      socket.set_option(asio::socket_base::reuse_address(true), result.error);
      if (result.error) return {result.error, "setsockopt"};
    }
    socket.bind({plain, at.port}, result.error);
    return {result.error, "bind"};
  };
  const auto close = [&socket] {
    ErrorCode ignored;
    socket.close(ignored);
  };
  BindResult result;
  if (at.address.is_unspecified()) {
    result = attempt(IpAddress::Parse("::").value_or(IpAddress()));
    const bool no_v6 = result.error == asio::error::address_family_not_supported ||
                       result.error == boost::system::errc::address_not_available;
    if (no_v6) {
      close();
      result = attempt(IpAddress());
    }
  } else {
    result = attempt(at.address.Unmapped());
  }
  if (result.error) close();
  return result;
}

}  // namespace serf::transport

#endif  // SERF_TRANSPORT_NET_BOUND_SOCKET_H_
