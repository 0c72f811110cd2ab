// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_RPC_CLIENT_CONNECTION_H_
#define SERF_RPC_CLIENT_CONNECTION_H_

// ClientConnection: a ClientSession over a stream socket, with its time limits. It is the part of
// AsyncClient (client_io.h) that does not know completion tokens; use AsyncClient instead. What it
// waits for keeps it alive, and Close() ends that. One thread.

#include <algorithm>
#include <array>
#include <boost/asio/buffer.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/system/error_code.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "serf/base/bytes.h"
#include "serf/base/endpoint.h"
#include "serf/base/host_port.h"
#include "serf/base/system_error.h"
#include "serf/base/time.h"
#include "serf/rpc/address.h"
#include "serf/rpc/client_session.h"
#include "serf/rpc/protocol.h"
#include "serf/rpc/unix_socket.h"
#include "serf/transport/net/clock.h"
#include "serf/transport/net/lookup.h"
#include "serf/transport/net/socket_address.h"
#include "serf/transport/net/system_names.h"

namespace serf::rpc {

// How a client connects and how long it waits. Every timeout must be positive.
//
//   Client client({.auth_key = "secret", .reply_timeout = std::chrono::seconds(2)});
struct ClientOptions {
  // The key that the agent asks for (`-rpc-auth`). Empty: the client does not authenticate.
  std::string auth_key;
  // For the lookup of a name and the connection to one of its addresses, together.
  Duration connect_timeout = std::chrono::seconds(10);
  // For the handshake, the authentication, and requests that the agent answers from its memory.
  Duration reply_timeout = std::chrono::seconds(10);
  // For leave, force-leave, tags and keys. These wait for gossip, for as long as the agent's
  // operator has configured.
  Duration broadcast_timeout = std::chrono::seconds(60);
  // For a join, per address: the agent dials each, for 10 s at most, and exchanges states.
  Duration join_timeout = std::chrono::seconds(30);
};

class ClientConnection : public std::enable_shared_from_this<ClientConnection> {
 public:
  using Done = std::function<void(absl::Status)>;

  ClientConnection(boost::asio::io_context& io, ClientOptions options)
      : io_(io), options_(std::move(options)), socket_(io), lookup_(io), timer_(io) {}

  boost::asio::io_context& io() { return io_; }
  const ClientOptions& options() const { return options_; }
  ClientSession& session() { return session_; }
  Instant ReplyDeadline() const { return transport::Now() + options_.reply_timeout; }
  Instant BroadcastDeadline() const { return transport::Now() + options_.broadcast_timeout; }

  void Connect(const std::string& address, Done done);
  // Writes what the session wants to send, and watches its deadlines.
  void Flush();
  // Closes the connection. Requests under way end with `reason`.
  void Close(absl::Status reason = absl::UnavailableError(kClientClosed)) {
    End(std::move(reason));
  }

 private:
  using Tcp = boost::asio::ip::tcp;
  // A socket of any protocol: TCP, or a Unix domain socket.
  using Stream = boost::asio::generic::stream_protocol;

  struct Candidate {
    Stream::endpoint endpoint;
    std::string text;  // "tcp 127.0.0.1:7373"
  };

  // The most bytes of a read; larger replies come in pieces.
  static constexpr std::size_t kReadSize = std::size_t{16} << 10;

  void Resolve(const HostPort& target);
  // Tries candidates_[index] and those after it.
  void Dial(std::size_t index);
  void OnConnected();
  // Ends AsyncConnect().
  void Finish(absl::Status status);
  void Read();
  void WaitWritable();
  void Watch();
  void End(absl::Status reason);
  void AddCandidate(const Tcp::endpoint& endpoint);

  boost::asio::io_context& io_;
  const ClientOptions options_;
  Stream::socket socket_;
  names::Lookup lookup_;
  boost::asio::steady_timer timer_;
  Instant armed_ = kNever;
  ClientSession session_;
  std::array<std::uint8_t, kReadSize> buffer_;
  std::vector<Candidate> candidates_;
  std::string host_;
  absl::Status dial_error_;  // the error of the first candidate
  Instant connect_deadline_ = kNever;
  Done connect_done_;
  bool connected_ = false;
  bool waiting_writable_ = false;
  bool write_failed_ = false;
};

inline void ClientConnection::Connect(const std::string& address, Done done) {
  connect_done_ = std::move(done);
  if (const std::optional<absl::string_view> path = UnixPathOf(address)) {
    if (const absl::Status status = CheckUnixPath(*path); !status.ok()) {
      Finish(absl::InvalidArgumentError(absl::StrCat("dial unix ", status.message())));
      return;
    }
    const boost::asio::local::stream_protocol::endpoint endpoint{std::string(*path)};
    candidates_.push_back({endpoint, absl::StrCat("unix ", *path)});
    Dial(0);
    return;
  }
  const absl::StatusOr<HostPort> target = ParseAddress(address);
  if (!target.ok()) {
    Finish(absl::InvalidArgumentError(absl::StrCat("dial tcp: ", target.status().message())));
    return;
  }
  connect_deadline_ = transport::Now() + options_.connect_timeout;
  Watch();
  Resolve(*target);
}

inline void ClientConnection::Resolve(const HostPort& target) {
  host_ = target.host;
  const absl::StatusOr<std::uint16_t> port = names::LookUpPort(target.port, "tcp");
  if (!port.ok()) {
    Finish(absl::InvalidArgumentError(absl::StrCat("dial tcp: ", port.status().message())));
    return;
  }
  if (const auto zone = names::ZoneOf(target.host); !zone.ok()) {
    Finish(absl::NotFoundError(absl::StrCat("dial tcp: ", zone.status().message())));
    return;
  }
  if (const auto literal = transport::ParseAsioAddress(target.host)) {
    AddCandidate({*literal, *port});
    Dial(0);
    return;
  }
  lookup_.Start(
      target.host.empty() ? "localhost" : target.host,
      [self = shared_from_this(), port = *port](const names::Addresses& found) {
        if (!self->connect_done_) return;
        if (!found.ok()) {
          self->Finish(absl::NotFoundError(absl::StrCat("dial tcp: ", found.status().message())));
          return;
        }
        for (const IpAddress& address : names::Ipv4First(*found)) {
          self->AddCandidate(transport::ToAsio(Endpoint{address, port}));
        }
        self->Dial(0);
      });
}

inline void ClientConnection::AddCandidate(const Tcp::endpoint& endpoint) {
  const std::string text =
      host_.empty() ? absl::StrCat(":", endpoint.port()) : transport::TextOf(endpoint);
  candidates_.push_back({endpoint, absl::StrCat("tcp ", text)});
}

inline void ClientConnection::Dial(std::size_t index) {
  if (index == candidates_.size()) {
    Finish(dial_error_);
    return;
  }
  boost::system::error_code ignored;
  socket_.close(ignored);
  const auto on_connected = [self = shared_from_this(),
                             index](const boost::system::error_code& error) {
    if (!self->connect_done_) return;
    if (!error) {
      self->OnConnected();
      return;
    }
    if (index == 0) {
      self->dial_error_ = absl::UnavailableError(
          absl::StrCat("dial ", self->candidates_[0].text, ": connect: ", ErrorText(error)));
    }
    self->Dial(index + 1);
  };
  socket_.async_connect(candidates_[index].endpoint, on_connected);
}

inline void ClientConnection::OnConnected() {
  connected_ = true;
  connect_deadline_ = kNever;
  boost::system::error_code ignored;
  socket_.set_option(Tcp::no_delay(true), ignored);
  socket_.non_blocking(true, ignored);
  session_.Handshake(ReplyDeadline(), [this](absl::Status status) {
    if (!status.ok() || options_.auth_key.empty()) {
      Finish(std::move(status));
      return;
    }
    session_.Auth(ReplyDeadline(), options_.auth_key,
                  [this](absl::Status auth) { Finish(std::move(auth)); });
  });
  Read();
  Flush();
}

inline void ClientConnection::Finish(absl::Status status) {
  if (!connect_done_) return;
  connect_deadline_ = kNever;
  const Done done = std::exchange(connect_done_, nullptr);
  done(status);
  if (!status.ok()) Close();
}

inline void ClientConnection::Read() {
  socket_.async_read_some(
      boost::asio::buffer(buffer_),
      [self = shared_from_this()](const boost::system::error_code& error, std::size_t size) {
        // Handles the bytes that came before the end first: a reply takes precedence over the end
        // of the stream.
        self->session_.OnBytes(ByteView(self->buffer_.data(), size));
        if (error || self->session_.ended()) {
          self->Close();
          return;
        }
        self->Flush();
        self->Read();
      });
}

inline void ClientConnection::Flush() {
  if (!connected_) return;
  while (!waiting_writable_ && !write_failed_ && !session_.ended()) {
    const ByteView out = session_.Output();
    if (out.empty()) break;
    boost::system::error_code error;
    const std::size_t size = socket_.write_some(boost::asio::buffer(out.data(), out.size()), error);
    if (error == boost::asio::error::would_block) {
      WaitWritable();
    } else if (error) {
      // Replies that the agent sent before it hung up may still wait to be read; the read finds the
      // end.
      write_failed_ = true;
    } else {
      session_.OnWritten(size);
    }
  }
  Watch();
}

inline void ClientConnection::WaitWritable() {
  waiting_writable_ = true;
  socket_.async_wait(Stream::socket::wait_write,
                     [self = shared_from_this()](const boost::system::error_code& error) {
                       self->waiting_writable_ = false;
                       if (!error) self->Flush();
                     });
}

inline void ClientConnection::Watch() {
  const Instant deadline = std::min(session_.NextDeadline(), connect_deadline_);
  // A timer that rings too early costs less than one that is set anew with every request.
  if (deadline >= armed_) return;
  armed_ = deadline;
  timer_.expires_at(transport::ToSteadyTime(deadline));
  timer_.async_wait([weak = weak_from_this()](const boost::system::error_code& error) {
    const std::shared_ptr<ClientConnection> self = weak.lock();
    if (error || self == nullptr) return;
    self->armed_ = kNever;
    const Instant now = transport::Now();
    if (now >= self->connect_deadline_) {
      const std::string target = self->candidates_.empty()
                                     ? absl::StrCat("tcp: lookup ", self->host_)
                                     : self->candidates_[0].text;
      self->Finish(absl::DeadlineExceededError(absl::StrCat("dial ", target, ": i/o timeout")));
      return;
    }
    self->session_.OnTimer(now);
    self->Flush();
  });
}

inline void ClientConnection::End(absl::Status reason) {
  boost::system::error_code ignored;
  socket_.close(ignored);
  lookup_.Cancel();
  timer_.cancel();
  session_.OnEnd(reason);
  if (connect_done_) std::exchange(connect_done_, nullptr)(reason);
}

}  // namespace serf::rpc

#endif  // SERF_RPC_CLIENT_CONNECTION_H_
