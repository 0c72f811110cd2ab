// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_TRANSPORT_BOUND_PAIR_H_
#define SERF_TRANSPORT_BOUND_PAIR_H_

// BoundPair: the two sockets of a node, a TCP listener and a UDP socket on the same port, and the
// address that the node announces. Source: docs/protocol/membership.md 7.2 and 7.3; the texts are
// those of docs/protocol/agent.md 2.5.

#include <boost/asio/io_context.hpp>
#include <memory>
#include <optional>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "serf/base/endpoint.h"
#include "serf/base/logger.h"
#include "serf/transport/net/asio.h"
#include "serf/transport/net/tcp_listener.h"
#include "serf/transport/net/zone.h"
#include "serf/transport/udp_socket.h"

namespace serf::transport {

struct BoundPair {
  std::unique_ptr<TcpListener> listener;
  std::unique_ptr<UdpSocket> udp;
  // The zone of a link-local IPv6 address: that of `local` and of all members.
  names::Zone zone = 0;
  // The address that was asked for, with the port that both sockets got.
  const Endpoint& local() const { return udp->local(); }
};

// How many ports OpenBoundPair() tries to find one that is free for TCP and for UDP.
inline constexpr int kBindAttemptsMax = 10;

// Opens both sockets at `at`. For port 0 the system chooses the TCP port; if UDP cannot get the
// same port, the function tries another one. An error reads "Could not set up network transport:
// failed to obtain an address: Failed to start TCP listener on "10.0.0.1" port 7946: listen tcp
// 10.0.0.1:7946: bind: address already in use".
absl::StatusOr<BoundPair> OpenBoundPair(asio::io_context& io, const Endpoint& at, Logger* logger,
                                        names::Zone zone = 0);

// The address that a node announces. If `wanted` is given, it is that one, an IPv4 address in its
// 4-byte form, with port 0 replaced by the bound port. Else it is `private_address` if `bound` is a
// wildcard, and `bound` if not. Nothing, if `bound` is a wildcard and there is no private address.
std::optional<Endpoint> ChooseAdvertise(const Endpoint& bound,
                                        const std::optional<Endpoint>& wanted,
                                        const std::optional<IpAddress>& private_address);

// --- bodies ---

inline absl::StatusOr<BoundPair> OpenBoundPair(asio::io_context& io, const Endpoint& at,
                                               Logger* logger, names::Zone zone) {
  const auto failed = [&at](absl::string_view what, std::uint16_t port,
                            const absl::Status& status) {
    return absl::Status(
        status.code(),
        absl::StrCat("Could not set up network transport: failed to obtain an address: Failed to "
                     "start ",
                     what, " listener on \"", at.address.ToString(), "\" port ", port, ": ",
                     absl::string_view(status.message())));
  };
  absl::Status error;
  const int attempts = at.port == 0 ? kBindAttemptsMax : 1;
  for (int i = 0; i < attempts; ++i) {
    BoundPair pair = {std::make_unique<TcpListener>(io, logger), std::make_unique<UdpSocket>(io),
                      zone};
    if (absl::Status status = pair.listener->Open(at, zone); !status.ok()) {
      error = failed("TCP", at.port, status);
      continue;
    }
    const Endpoint chosen = pair.listener->local();
    if (absl::Status status = pair.udp->Open(chosen, zone); !status.ok()) {
      error = failed("UDP", chosen.port, status);
      continue;
    }
    if (at.port == 0) {
      Log(logger, LogLevel::kDebug, "memberlist: Using dynamic bind port ", chosen.port);
    }
    return pair;
  }
  return error;
}

inline std::optional<Endpoint> ChooseAdvertise(const Endpoint& bound,
                                               const std::optional<Endpoint>& wanted,
                                               const std::optional<IpAddress>& private_address) {
  if (wanted) {
    return Endpoint{wanted->address.Unmapped(), wanted->port == 0 ? bound.port : wanted->port};
  }
  if (!bound.address.is_unspecified()) return Endpoint{bound.address.Unmapped(), bound.port};
  if (!private_address) return std::nullopt;
  return Endpoint{*private_address, bound.port};
}

}  // namespace serf::transport

#endif  // SERF_TRANSPORT_BOUND_PAIR_H_
