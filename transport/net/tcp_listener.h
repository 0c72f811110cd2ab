// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_TRANSPORT_NET_TCP_LISTENER_H_
#define SERF_TRANSPORT_NET_TCP_LISTENER_H_

// TcpListener: accepts connections. While the system refuses to (no descriptors left), it pauses,
// so that a full process does not spin; never for long, since who waits there is perhaps the one
// whose news matter. Source: docs/protocol/membership.md 7.2.
//
// One thread. Whoever owns it closes it before what its handler refers to goes away.

#include <algorithm>
#include <boost/asio/error.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/socket_base.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <utility>

#include "absl/status/status.h"
#include "serf/base/endpoint.h"
#include "serf/base/logger.h"
#include "serf/base/system_error.h"
#include "serf/base/time.h"
#include "serf/transport/net/asio.h"
#include "serf/transport/net/bound_socket.h"
#include "serf/transport/net/clock.h"
#include "serf/transport/net/error_text.h"
#include "serf/transport/net/socket_address.h"
#include "serf/transport/net/zone.h"

namespace serf::transport {

class TcpListener {
 public:
  static constexpr Duration kPauseMin = std::chrono::milliseconds(5);
  static constexpr Duration kPauseMax = std::chrono::milliseconds(100);
  // Between two entries of the log about it.
  static constexpr Duration kLogInterval = std::chrono::seconds(1);

  // Gets each connection.
  using Handler = std::function<void(asio::ip::tcp::socket, const Endpoint& from)>;

  // `logger` may be null.
  TcpListener(asio::io_context& io, Logger* logger) : core_(std::make_shared<Core>(io, logger)) {}
  ~TcpListener() { Close(); }
  TcpListener(const TcpListener&) = delete;
  TcpListener& operator=(const TcpListener&) = delete;

  // Binds to `at`, port 0 for a free one, and listens. An error reads "listen tcp 10.0.0.1:7946:
  // bind: address already in use". Connections queue in the kernel until Start(). A link-local
  // address of IPv6 is that of `zone`.
  absl::Status Open(const Endpoint& at, names::Zone zone = 0);
  void Start(Handler handler);
  void Close();

  // As asked for, with the port that it got.
  const Endpoint& local() const { return core_->local; }

  int NativeHandleForTest() { return core_->acceptor.native_handle(); }

  // The pause after `pause`, which is zero after a success.
  static Duration NextPause(Duration pause) {
    return pause <= Duration::zero() ? kPauseMin : std::min(2 * pause, kPauseMax);
  }

 private:
  // Operations under way hold it, and may end after the listener did.
  struct Core : std::enable_shared_from_this<Core> {
    Core(asio::io_context& io, Logger* log) : acceptor(io), pause_timer(io), logger(log) {}

    void Accept();
    void OnAccepted(const ErrorCode& error, asio::ip::tcp::socket socket);

    asio::ip::tcp::acceptor acceptor;
    asio::steady_timer pause_timer;
    Logger* logger;
    Handler handler;
    Endpoint local;
    Duration pause = Duration::zero();
    Instant next_log = Instant::min();
  };

  std::shared_ptr<Core> core_;
};

// --- bodies ---

inline absl::Status TcpListener::Open(const Endpoint& at, names::Zone zone) {
  const BindResult bound = OpenAndBind(core_->acceptor, at, zone);
  if (bound.error) return ListenError("tcp", at, bound.call, bound.error);
  ErrorCode error;
  core_->acceptor.listen(asio::socket_base::max_listen_connections, error);
  if (error) {
    Close();
    return ListenError("tcp", at, "listen", error);
  }
  const asio::ip::tcp::endpoint local = core_->acceptor.local_endpoint(error);
  if (error) {
    Close();
    return ListenError("tcp", at, "getsockname", error);
  }
  core_->local = {at.address, local.port()};
  return absl::OkStatus();
}

inline void TcpListener::Start(Handler handler) {
  core_->handler = std::move(handler);
  core_->Accept();
}

inline void TcpListener::Close() {
  ErrorCode ignored;
  core_->acceptor.close(ignored);
  core_->pause_timer.cancel();
  core_->handler = nullptr;
}

inline void TcpListener::Core::Accept() {
  acceptor.async_accept(
      [self = shared_from_this()](const ErrorCode& error, asio::ip::tcp::socket socket) {
        self->OnAccepted(error, std::move(socket));
      });
}

inline void TcpListener::Core::OnAccepted(const ErrorCode& error, asio::ip::tcp::socket socket) {
  if (!acceptor.is_open() || handler == nullptr) return;
  if (error == asio::error::connection_aborted) return Accept();  // the peer changed its mind
  if (error) {
    pause = NextPause(pause);
    if (Now() >= next_log) {
      next_log = Now() + kLogInterval;
      Log(logger, LogLevel::kError, "memberlist: Error accepting TCP connection: accept tcp ",
          local.ToString(), ": accept: ", ErrorText(error));
    }
    pause_timer.expires_after(std::chrono::duration_cast<asio::steady_timer::duration>(pause));
    pause_timer.async_wait([self = shared_from_this()](const ErrorCode& cancelled) {
      if (!cancelled && self->acceptor.is_open()) self->Accept();
    });
    return;
  }
  pause = Duration::zero();
  ErrorCode gone;
  const asio::ip::tcp::endpoint from = socket.remote_endpoint(gone);
  // A copy: the handler may close the listener, and with it itself.
  const Handler call = handler;
  if (!gone) call(std::move(socket), FromAsio(from));
  if (acceptor.is_open()) Accept();
}

}  // namespace serf::transport

#endif  // SERF_TRANSPORT_NET_TCP_LISTENER_H_
