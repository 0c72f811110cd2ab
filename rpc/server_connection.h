// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_RPC_SERVER_CONNECTION_H_
#define SERF_RPC_SERVER_CONNECTION_H_

// ServerConnection: a ServerSession over a stream socket, with its time limits. Server
// (server_io.h) makes and owns it; an application uses Server.
//
// It writes synchronously as much as the socket takes, which for a reply is all of it in one call,
// and waits only for a socket that is full. What it waits for keeps it alive. One thread.

#include <algorithm>
#include <array>
#include <boost/asio/basic_stream_socket.hpp>
#include <boost/asio/basic_waitable_timer.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/system/error_code.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/string_view.h"
#include "serf/base/bytes.h"
#include "serf/base/logger.h"
#include "serf/base/system_error.h"
#include "serf/base/time.h"
#include "serf/rpc/log_history.h"
#include "serf/rpc/reply_cache.h"
#include "serf/rpc/server_session.h"
#include "serf/rpc/service.h"
#include "serf/rpc/stream_event.h"
#include "serf/transport/net/clock.h"

namespace serf::rpc {

class ServerConnection : public std::enable_shared_from_this<ServerConnection> {
 public:
  // A socket of any protocol: TCP, or a Unix domain socket.
  using Socket = boost::asio::basic_stream_socket<boost::asio::generic::stream_protocol,
                                                  boost::asio::io_context::executor_type>;

  // The most bytes that one turn of the loop writes, for all connections of a server together.
  // Copying them to the kernel takes a millisecond, and many large replies may be ready at once.
  static constexpr std::size_t kWriteTurn = std::size_t{1} << 20;
  // What the connections of a server share: the rest of this turn.
  struct WriteTurn {
    std::size_t left = kWriteTurn;
    bool ends = false;  // the next turn begins anew
  };
  struct Options {
    std::shared_ptr<WriteTurn> turn = std::make_shared<WriteTurn>();
    std::string auth_key;
    std::string peer;
    Logger* logger = nullptr;
    Duration write_timeout = {};
    // See ServerSession.
    std::shared_ptr<ReplyCache> replies;
    std::function<void()> on_command;
    // Called once, when the client has shaken hands and, with a key, authenticated.
    std::function<void()> on_trusted;
    // Called once, when the connection has ended. The owner may drop it then.
    std::function<void()> on_end;
  };

  ServerConnection(Socket socket, Service& service, Options options);

  void Start();
  void OnEvent(const StreamEventPtr& event);
  void OnLog(const LogLinePtr& line);
  // Stops reading, writes what is ready, and ends; after `limit` in any case.
  void Drain(Duration limit);
  // Ends at once, without on_end.
  void Abandon();

 private:
  // Requests are small; larger ones come in pieces.
  static constexpr std::size_t kReadSize = std::size_t{4} << 10;

  void Read();
  void OnReadable(const boost::system::error_code& error);
  // Writes, reads and sets the timer, as the session wants it now.
  void Update();
  void Write();
  void WaitWritable();
  void OnWriteFailed(absl::string_view why);
  void UpdateLater();
  void Watch();
  void OnTimer();
  void End();
  ServerSession::Options SessionOptions();

  Socket socket_;
  const Options options_;
  boost::asio::basic_waitable_timer<std::chrono::steady_clock,
                                    boost::asio::wait_traits<std::chrono::steady_clock>,
                                    boost::asio::io_context::executor_type>
      timer_;
  Instant armed_ = kNever;
  ServerSession session_;
  Instant write_deadline_ = kNever;
  Instant drain_deadline_ = kNever;
  bool trusted_ = false;
  bool reading_ = false;
  bool waiting_writable_ = false;
  bool update_posted_ = false;
  bool draining_ = false;
  bool ended_ = false;
};

inline ServerSession::Options ServerConnection::SessionOptions() {
  ServerSession::Options options;
  options.auth_key = options_.auth_key;
  options.peer = options_.peer;
  options.logger = options_.logger;
  options.replies = options_.replies;
  options.on_command = options_.on_command;
  // Posted, so that no write happens within the completion of the service, which must be free to
  // call the agent.
  options.wake = [this] { UpdateLater(); };
  return options;
}

inline ServerConnection::ServerConnection(Socket socket, Service& service, Options options)
    : socket_(std::move(socket)),
      options_(std::move(options)),
      timer_(socket_.get_executor()),
      session_(transport::Now(), service, SessionOptions()) {}

// The first request has usually come when the server learns of the connection.
inline void ServerConnection::Start() {
  boost::system::error_code ignored;
  socket_.non_blocking(true, ignored);
  OnReadable({});
}

inline void ServerConnection::OnEvent(const StreamEventPtr& event) {
  if (!session_.subscriptions().Wants(*event)) return;
  session_.OnEvent(transport::Now(), event);
  UpdateLater();
}

inline void ServerConnection::OnLog(const LogLinePtr& line) {
  // Most monitors want few of the lines, and there may be thousands of monitors.
  if (!session_.subscriptions().Wants(*line)) return;
  session_.OnLog(transport::Now(), line);
  UpdateLater();
}

// A burst of events or log lines goes out in one write. Code that logs or emits is not called back
// in the middle of it.
inline void ServerConnection::UpdateLater() {
  if (update_posted_ || ended_) return;
  update_posted_ = true;
  boost::asio::post(socket_.get_executor(), [self = shared_from_this()] {
    self->update_posted_ = false;
    self->Update();
  });
}

// Waits before it has a buffer, so that idle connections have none.
inline void ServerConnection::Read() {
  reading_ = true;
  socket_.async_wait(Socket::wait_read,
                     [self = shared_from_this()](const boost::system::error_code& error) {
                       self->reading_ = false;
                       self->OnReadable(error);
                     });
}

inline void ServerConnection::OnReadable(const boost::system::error_code& error) {
  if (ended_) return;
  boost::system::error_code failure = error;
  std::array<std::uint8_t, kReadSize> buffer;
  const std::size_t size = failure ? 0 : socket_.read_some(boost::asio::buffer(buffer), failure);
  if (failure == boost::asio::error::would_block) return Update();
  const Instant now = transport::Now();
  if (size > 0) session_.OnBytes(now, ByteView(buffer).first(size));
  if (failure == boost::asio::error::eof) {
    session_.OnEnd(now);
  } else if (failure) {
    End();
    return;
  }
  Update();
}

inline void ServerConnection::Update() {
  if (ended_) return;
  if (session_.NextDeadline() == Instant::min()) session_.OnTimer(transport::Now());
  if (!trusted_ && session_.trusted()) {
    trusted_ = true;
    if (options_.on_trusted) options_.on_trusted();
  }
  Write();
  if (ended_) return;
  if (session_.finished() || (draining_ && !waiting_writable_ && !update_posted_)) {
    End();
    return;
  }
  if (!reading_ && !draining_ && session_.wants_input()) Read();
  Watch();
}

inline void ServerConnection::Write() {
  const std::shared_ptr<WriteTurn>& turn = options_.turn;
  while (!waiting_writable_) {
    const ByteView all = session_.Output();
    if (all.empty()) return;
    if (!std::exchange(turn->ends, true)) {
      boost::asio::post(socket_.get_executor(), [turn] { *turn = WriteTurn(); });
    }
    if (turn->left == 0) return UpdateLater();
    const ByteView out = all.first(std::min(all.size(), turn->left));
    boost::system::error_code error;
    const std::size_t size = socket_.write_some(boost::asio::buffer(out.data(), out.size()), error);
    if (error == boost::asio::error::would_block) {
      WaitWritable();
    } else if (error) {
      OnWriteFailed(ErrorText(error));
      return;
    } else {
      write_deadline_ = kNever;
      turn->left -= size;
      session_.OnWritten(transport::Now(), size);
    }
  }
}

inline void ServerConnection::WaitWritable() {
  waiting_writable_ = true;
  if (write_deadline_ == kNever) write_deadline_ = transport::Now() + options_.write_timeout;
  socket_.async_wait(Socket::wait_write,
                     [self = shared_from_this()](const boost::system::error_code&) {
                       self->waiting_writable_ = false;
                       self->Update();
                     });
}

inline void ServerConnection::OnWriteFailed(absl::string_view why) {
  const absl::string_view kind = session_.subscriptions().kind();
  if (!kind.empty()) {
    Log(options_.logger, LogLevel::kError, "agent.ipc: Failed to stream ", kind,
        " to ipc.client: ", options_.peer, ": write: ", why);
  }
  End();
}

inline void ServerConnection::Watch() {
  const Instant deadline = std::min({session_.NextDeadline(), write_deadline_, drain_deadline_});
  // A timer that rings too early costs less than one that is set anew with every request.
  if (deadline >= armed_) return;
  armed_ = deadline;
  timer_.expires_at(transport::ToSteadyTime(deadline));
  timer_.async_wait([weak = weak_from_this()](const boost::system::error_code& error) {
    const std::shared_ptr<ServerConnection> self = weak.lock();
    if (error || self == nullptr) return;
    self->armed_ = kNever;
    self->OnTimer();
  });
}

inline void ServerConnection::OnTimer() {
  if (ended_) return;
  const Instant now = transport::Now();
  if (now >= write_deadline_ || now >= drain_deadline_) {
    OnWriteFailed("i/o timeout");
    return;
  }
  if (now >= session_.NextDeadline()) session_.OnTimer(now);
  Update();
}

inline void ServerConnection::Drain(Duration limit) {
  draining_ = true;
  drain_deadline_ = transport::Now() + limit;
  Update();
}

inline void ServerConnection::Abandon() {
  ended_ = true;
  boost::system::error_code ignored;
  socket_.shutdown(Socket::shutdown_both, ignored);
  socket_.close(ignored);
  timer_.cancel();
  session_.OnClosed();
}

inline void ServerConnection::End() {
  if (ended_) return;
  Abandon();
  if (options_.on_end) options_.on_end();
}

}  // namespace serf::rpc

#endif  // SERF_RPC_SERVER_CONNECTION_H_
