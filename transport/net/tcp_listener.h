// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_TRANSPORT_NET_TCP_LISTENER_H_
#define SERF_TRANSPORT_NET_TCP_LISTENER_H_

// TcpListener: accepts TCP connections for a Host. Acceptor describes what happens while the system
// refuses connections.
//
// Threads: all calls on the io_context's thread. The owner closes the listener before anything that
// its handler refers to goes away.

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/socket_base.hpp>
#include <functional>
#include <utility>

#include "absl/status/status.h"
#include "serf/base/endpoint.h"
#include "serf/base/logger.h"
#include "serf/base/system_error.h"
#include "serf/transport/net/acceptor.h"
#include "serf/transport/net/asio.h"
#include "serf/transport/net/bound_socket.h"
#include "serf/transport/net/error_text.h"
#include "serf/transport/net/socket_address.h"
#include "serf/transport/net/zone.h"

namespace serf::transport {

class TcpListener {
 public:
  // Receives each connection.
  using Handler = std::function<void(asio::ip::tcp::socket, const Endpoint& from)>;

  // `logger` may be null.
  TcpListener(asio::io_context& io, Logger* logger) : acceptor_(io), logger_(logger) {}
  TcpListener(const TcpListener&) = delete;
  TcpListener& operator=(const TcpListener&) = delete;

  // Binds to `at`, port 0 for a free one, and listens. An error reads "listen tcp 10.0.0.1:7946:
  // bind: address already in use". Connections queue in the kernel until Start(). `zone` is the
  // zone of a link-local IPv6 address.
  absl::Status Open(const Endpoint& at, names::Zone zone = 0);
  void Start(Handler handler);
  void Close() { acceptor_.Close(); }

  // The address that was asked for, with the port that the listener got.
  const Endpoint& local() const { return local_; }

  int NativeHandleForTest() { return acceptor_.native().native_handle(); }

 private:
  Acceptor<asio::ip::tcp> acceptor_;
  Logger* const logger_;
  Endpoint local_;
};

// --- bodies ---

inline absl::Status TcpListener::Open(const Endpoint& at, names::Zone zone) {
  const BindResult bound = OpenAndBind(acceptor_.native(), at, zone);
  if (bound.error) return ListenError("tcp", at, bound.call, bound.error);
  ErrorCode error;
  acceptor_.native().listen(asio::socket_base::max_listen_connections, error);
  if (error) {
    Close();
    return ListenError("tcp", at, "listen", error);
  }
  const asio::ip::tcp::endpoint local = acceptor_.native().local_endpoint(error);
  if (error) {
    Close();
    return ListenError("tcp", at, "getsockname", error);
  }
  local_ = {at.address, local.port()};
  return absl::OkStatus();
}

inline void TcpListener::Start(Handler handler) {
  acceptor_.Start(
      [handler = std::move(handler)](asio::ip::tcp::socket socket,
                                     const asio::ip::tcp::endpoint& peer) {
        handler(std::move(socket), FromAsio(peer));
      },
      [logger = logger_, local = local_](const ErrorCode& error) {
        Log(logger, LogLevel::kError, "memberlist: Error accepting TCP connection: accept tcp ",
            local.ToString(), ": accept: ", ErrorText(error));
      });
}

}  // namespace serf::transport

#endif  // SERF_TRANSPORT_NET_TCP_LISTENER_H_
