// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_RPC_HTTP_CONNECTION_H_
#define SERF_RPC_HTTP_CONNECTION_H_

// Connection: a Session over a stream socket, with its time limits. Server (server_io.h) makes and
// owns it; an application uses Server and Exchange.
//
// It waits for bytes before it has a buffer, and the buffer is one of the stack. What it waits for
// keeps it alive. One thread.

#include <algorithm>
#include <array>
#include <boost/asio/buffer.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/post.hpp>
#include <boost/system/error_code.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/string_view.h"
#include "serf/base/bytes.h"
#include "serf/base/endpoint.h"
#include "serf/base/time.h"
#include "serf/rpc/http/message.h"
#include "serf/rpc/http/session.h"
#include "serf/rpc/listener_io.h"
#include "serf/transport/net/clock.h"

namespace serf::http {

// The other end of a connection, and what it has done so far.
struct Peer {
  std::string text;   // "10.0.0.5:51234", "unix:/run/serf.http"
  IpAddress address;  // of TCP
  int wrong_tokens = 0;
};

class Connection;

// The answer to one request, which may be given later. Calls do nothing if the client has gone.
class Exchange {
 public:
  Exchange(std::weak_ptr<Connection> connection, std::uint64_t request)
      : connection_(std::move(connection)), request_(request) {}

  void Respond(Response response) const;
  // An answer in pieces.
  void Begin(const Response& head) const;
  void Send(absl::string_view piece) const;
  void End() const;
  // Bytes that the client has not taken yet; nothing if it has gone.
  std::optional<std::size_t> backlog() const;

 private:
  std::weak_ptr<Connection> connection_;
  std::uint64_t request_;
};

// What a server asks of its application. Threads: all calls on the io_context's thread.
class Handler {
 public:
  virtual ~Handler() = default;
  // The first bytes of a request have come, and nothing has read them yet.
  virtual void OnArrival() {}
  // Whether to refuse a request before its body is read: its route, its caller.
  virtual std::optional<Response> Refuse(const Request& head, Peer& peer) = 0;
  virtual void Serve(Request request, const Peer& peer, Exchange exchange) = 0;
  // The answer to a request that cannot be read, or to a client for which there is no place.
  virtual Response Describe(const Problem& problem) = 0;
};

class Connection final : public std::enable_shared_from_this<Connection>, private Application {
 public:
  using Socket = rpc::Listeners::Socket;
  // The server that made the connection.
  class Owner {
   public:
    virtual ~Owner() = default;
    // Whether a request is being answered, so that the server does not close the connection to make
    // room. Called when that changes, and with false also after a request that was answered at
    // once.
    virtual void OnBusy(std::uint64_t id, const IpAddress& from, bool busy) = 0;
    // The owner calls OnTimer() at this time, or earlier, if nothing else happens before.
    virtual void OnDeadline(Instant deadline) = 0;
    // The connection has ended. The owner may drop it.
    virtual void OnEnd(std::uint64_t id) = 0;
  };
  // There may be many idle connections, so these take little.
  struct Options {
    Owner& owner;
    std::uint64_t id;  // the owner's
    Session::UnixTime unix_time;
  };

  Connection(Socket socket, Peer peer, Handler& handler, Options options);

  void Start();
  // Reads no further request, writes what is ready, and ends; after `limit` in any case.
  void Drain(Duration limit);
  // Ends at once, without OnEnd().
  void Abandon();
  // The server has one timer for all connections.
  Instant NextDeadline() const { return std::min(session_.NextDeadline(), end_deadline_); }
  void OnTimer();

 private:
  friend class Exchange;
  static constexpr std::size_t kReadSize = std::size_t{4} << 10;
  // After the last answer, how long and how much the connection reads of what nobody wants, so that
  // the client gets to read the answer.
  static constexpr Duration kLingerTime = std::chrono::seconds(2);
  static constexpr std::size_t kLingerBytes = std::size_t{1} << 20;

  std::optional<Response> Refuse(const Request& head) override {
    return handler_.Refuse(head, peer_);
  }
  void Serve(Request request) override {
    handler_.Serve(std::move(request), peer_, Exchange(weak_from_this(), session_.number()));
  }
  Response Describe(const Problem& problem) override { return handler_.Describe(problem); }

  void Read();
  void OnReadable(const boost::system::error_code& error);
  // Writes, reads and sets the timer, as the session wants it now.
  void Update();
  void UpdateLater();
  void Write();
  void Linger();
  void End();

  Socket socket_;
  Peer peer_;
  Handler& handler_;
  const Options options_;
  Session session_;
  Instant end_deadline_ = kNever;  // of draining, or of lingering
  std::size_t lingered_ = 0;
  std::uint64_t seen_ = 0;  // the number of the last request that the owner knows of
  bool busy_ = false;
  bool reading_ = false;
  bool waiting_writable_ = false;
  bool update_posted_ = false;
  bool draining_ = false;
  bool lingering_ = false;
  bool ended_ = false;
};

// --- Exchange ---

inline void Exchange::Respond(Response response) const {
  const std::shared_ptr<Connection> connection = connection_.lock();
  if (connection == nullptr) return;
  connection->session_.Respond(transport::Now(), request_, std::move(response));
  connection->UpdateLater();
}

inline void Exchange::Begin(const Response& head) const {
  const std::shared_ptr<Connection> connection = connection_.lock();
  if (connection == nullptr) return;
  connection->session_.Begin(transport::Now(), request_, head);
  connection->UpdateLater();
}

inline void Exchange::Send(absl::string_view piece) const {
  const std::shared_ptr<Connection> connection = connection_.lock();
  if (connection == nullptr) return;
  connection->session_.Send(transport::Now(), request_, piece);
  connection->UpdateLater();
}

inline void Exchange::End() const {
  const std::shared_ptr<Connection> connection = connection_.lock();
  if (connection == nullptr) return;
  connection->session_.End(transport::Now(), request_);
  connection->UpdateLater();
}

inline std::optional<std::size_t> Exchange::backlog() const {
  const std::shared_ptr<Connection> connection = connection_.lock();
  if (connection == nullptr || connection->ended_) return std::nullopt;
  return connection->session_.Output().size();
}

// --- Connection ---

inline Connection::Connection(Socket socket, Peer peer, Handler& handler, Options options)
    : socket_(std::move(socket)),
      peer_(std::move(peer)),
      handler_(handler),
      options_(options),
      session_(transport::Now(), *this, options_.unix_time) {}

// The first request has usually come when the server learns of the connection.
inline void Connection::Start() {
  boost::system::error_code ignored;
  socket_.non_blocking(true, ignored);
  OnReadable({});
}

inline void Connection::Read() {
  reading_ = true;
  socket_.async_wait(Socket::wait_read,
                     [self = shared_from_this()](const boost::system::error_code& error) {
                       self->reading_ = false;
                       self->OnReadable(error);
                     });
}

inline void Connection::OnReadable(const boost::system::error_code& error) {
  if (ended_) return;
  if (session_.idle() && !error) handler_.OnArrival();
  boost::system::error_code failure = error;
  std::array<std::uint8_t, kReadSize> buffer;
  const std::size_t size = failure ? 0 : socket_.read_some(boost::asio::buffer(buffer), failure);
  if (failure == boost::asio::error::would_block) return Update();
  if (lingering_) {
    lingered_ += size;
    return failure || lingered_ > kLingerBytes ? End() : Read();
  }
  const Instant now = transport::Now();
  if (size > 0) session_.OnBytes(now, ByteView(buffer).first(size));
  if (failure == boost::asio::error::eof) {
    session_.OnEnd(now);
  } else if (failure) {
    return End();
  }
  Update();
}

inline void Connection::UpdateLater() {
  if (update_posted_ || ended_) return;
  update_posted_ = true;
  boost::asio::post(socket_.get_executor(), [self = shared_from_this()] {
    self->update_posted_ = false;
    self->Update();
  });
}

inline void Connection::Update() {
  if (ended_ || lingering_) return;
  Write();
  if (ended_) return;
  if (session_.serving() != busy_ || session_.number() != seen_) {
    busy_ = session_.serving();
    seen_ = session_.number();
    options_.owner.OnBusy(options_.id, peer_.address, busy_);
  }
  if (session_.finished()) return session_.lingers() && !draining_ ? Linger() : End();
  if (draining_ && session_.idle()) return End();
  if (!reading_ && session_.wants_input() && !draining_) Read();
  options_.owner.OnDeadline(NextDeadline());
}

inline void Connection::Write() {
  while (!waiting_writable_) {
    const ByteView out = session_.Output();
    if (out.empty()) return;
    boost::system::error_code error;
    const std::size_t size = socket_.write_some(boost::asio::buffer(out.data(), out.size()), error);
    if (error == boost::asio::error::would_block) {
      waiting_writable_ = true;
      socket_.async_wait(Socket::wait_write,
                         [self = shared_from_this()](const boost::system::error_code&) {
                           self->waiting_writable_ = false;
                           self->Update();
                         });
    } else if (error) {
      return End();
    } else {
      const std::uint64_t number = session_.number();
      session_.OnWritten(transport::Now(), size);
      // The next request stood behind this one. What else waits in the loop comes first, so that a
      // client that sends many requests at once holds up nobody.
      if (session_.number() != number) return UpdateLater();
    }
  }
}

inline void Connection::OnTimer() {
  if (ended_) return;
  const Instant now = transport::Now();
  if (now >= end_deadline_) return End();
  if (now >= session_.NextDeadline()) session_.OnTimer(now);
  Update();
}

inline void Connection::Linger() {
  lingering_ = true;
  end_deadline_ = transport::Now() + kLingerTime;
  boost::system::error_code error;
  socket_.shutdown(Socket::shutdown_send, error);
  if (error) return End();
  if (!reading_) Read();
  options_.owner.OnDeadline(NextDeadline());
}

inline void Connection::Drain(Duration limit) {
  draining_ = true;
  end_deadline_ = transport::Now() + limit;
  if (lingering_) return End();
  Update();
}

inline void Connection::Abandon() {
  ended_ = true;
  boost::system::error_code ignored;
  socket_.close(ignored);
}

inline void Connection::End() {
  if (ended_) return;
  Abandon();
  options_.owner.OnEnd(options_.id);
}

}  // namespace serf::http

#endif  // SERF_RPC_HTTP_CONNECTION_H_
