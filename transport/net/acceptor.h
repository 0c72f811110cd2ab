// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_TRANSPORT_NET_ACCEPTOR_H_
#define SERF_TRANSPORT_NET_ACCEPTOR_H_

// Acceptor: the accept loop of a listening socket of any stream protocol. While the system refuses
// to accept, because no descriptor is left, the loop pauses: the socket stays ready meanwhile, and
// a loop without a pause would spin. The pause is short, because the connection that waits may
// bring news that matters. Source: docs/protocol/membership.md 7.2.
//
//   Acceptor<asio::ip::tcp> acceptor(io);
//   acceptor.native().open(...);  // ... bind, listen
//   acceptor.Start([](asio::ip::tcp::socket socket, const asio::ip::tcp::endpoint& peer) { ... },
//                  [](const ErrorCode& error) { ... });
//
// Threads: all calls, and all handlers, on the io_context's thread. A handler may close the
// acceptor or destroy it; no handler runs after that.

#include <algorithm>
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/basic_socket_acceptor.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/socket_base.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <utility>

#include "serf/base/time.h"
#include "serf/transport/net/asio.h"
#include "serf/transport/net/clock.h"

namespace serf::transport {

// The pause after an error of accept: the first one, and the longest.
inline constexpr Duration kAcceptPauseMin = std::chrono::milliseconds(5);
inline constexpr Duration kAcceptPauseMax = std::chrono::milliseconds(100);
// The least time between two reports of such errors.
inline constexpr Duration kAcceptErrorInterval = std::chrono::seconds(1);

// The pause after `pause`, which is zero after a success.
inline Duration NextAcceptPause(Duration pause) {
  return pause <= Duration::zero() ? kAcceptPauseMin : std::min(2 * pause, kAcceptPauseMax);
}

template <typename Protocol, typename Executor = asio::any_io_executor>
class Acceptor {
 public:
  using Native = asio::basic_socket_acceptor<Protocol, Executor>;
  using Socket = typename Protocol::socket::template rebind_executor<Executor>::other;
  using Address = typename Protocol::endpoint;
  // Receives each connection.
  using OnAccepted = std::function<void(Socket socket, const Address& peer)>;
  // Receives errors of accept, one per kAcceptErrorInterval at most.
  using OnError = std::function<void(const ErrorCode& error)>;

  explicit Acceptor(asio::io_context& io) : core_(std::make_shared<Core>(io)) {}
  ~Acceptor() { Close(); }
  Acceptor(const Acceptor&) = delete;
  Acceptor& operator=(const Acceptor&) = delete;

  // The socket. The owner opens and binds it and has it listen. Connections queue in the kernel
  // until Start().
  Native& native() { return core_->native; }

  void Start(OnAccepted on_accepted, OnError on_error) {
    core_->on_accepted = std::move(on_accepted);
    core_->on_error = std::move(on_error);
    ErrorCode ignored;
    core_->native.non_blocking(true, ignored);
    // Else accept() would wait for the next connection when a peer has gone already.
    core_->native.set_option(asio::socket_base::enable_connection_aborted(true), ignored);
    core_->Accept();
  }

  // Closes the socket. A second call does nothing.
  void Close() {
    ErrorCode ignored;
    core_->native.close(ignored);
    core_->pause_timer.cancel();
    core_->on_accepted = nullptr;
    core_->on_error = nullptr;
  }

 private:
  // Operations under way hold it, and may end after the acceptor did.
  struct Core : std::enable_shared_from_this<Core> {
    explicit Core(asio::io_context& io) : native(io), pause_timer(io) {}

    // Waits for a connection first. An accept() that finds none costs as much as one that finds
    // one, because the kernel makes the new socket before it looks; async_accept() tries each time.
    void Accept() {
      native.async_wait(Native::wait_read, [self = this->shared_from_this()](
                                               const ErrorCode& error) { self->Take(error); });
    }

    void Take(ErrorCode error) {
      if (!native.is_open() || on_accepted == nullptr) return;
      Socket socket(native.get_executor());
      if (!error) native.accept(socket, peer, error);
      // The peer has gone already, or another process has taken the connection.
      if (error == asio::error::connection_aborted || error == asio::error::would_block ||
          error == boost::system::errc::protocol_error) {
        return Accept();
      }
      if (error) return Pause(error);
      pause = Duration::zero();
      // A copy, because the handler may close the acceptor, and so destroy its own object.
      const OnAccepted call = on_accepted;
      call(std::move(socket), peer);
      if (native.is_open()) Accept();
    }

    void Pause(const ErrorCode& error) {
      pause = NextAcceptPause(pause);
      pause_timer.expires_after(std::chrono::duration_cast<asio::steady_timer::duration>(pause));
      pause_timer.async_wait([self = this->shared_from_this()](const ErrorCode& cancelled) {
        if (!cancelled && self->native.is_open()) self->Accept();
      });
      if (Now() < next_report) return;
      next_report = Now() + kAcceptErrorInterval;
      const OnError call = on_error;
      call(error);
    }

    Native native;
    asio::steady_timer pause_timer;
    OnAccepted on_accepted;
    OnError on_error;
    Address peer;
    Duration pause = Duration::zero();
    Instant next_report = Instant::min();
  };

  const std::shared_ptr<Core> core_;
};

}  // namespace serf::transport

#endif  // SERF_TRANSPORT_NET_ACCEPTOR_H_
