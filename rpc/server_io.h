// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_RPC_SERVER_IO_H_
#define SERF_RPC_SERVER_IO_H_

// Server: the RPC listener of an agent and its connections, over Asio. It serves the clients of
// this project and of Go Serf from a Service, which the application implements.
//
//   Server server(io, service, {.auth_key = key, .logger = logger});
//   if (absl::Status s = server.Listen("127.0.0.1:7373"); !s.ok()) ...
//   server.OnEvent(event);            // every event of the agent, after coalescing
//   server.OnLog(line);               // every line of its log
//   server.Shutdown([&] { io.stop(); });
//
// Do not listen on a public address without care: the protocol is not encrypted, and a client with
// the key may do everything. A Unix domain socket admits only the user that the agent runs as.
//
// Threads: all calls on the io_context's thread. A Logger may call OnLog() from there at any time,
// also in the middle of the server's own work.
//
// Source: docs/protocol/agent.md 1.

#include <sys/resource.h>

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/system/error_code.hpp>
#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "serf/base/endpoint.h"
#include "serf/base/logger.h"
#include "serf/base/system_error.h"
#include "serf/base/time.h"
#include "serf/event.h"
#include "serf/rpc/connection_set.h"
#include "serf/rpc/listener_io.h"
#include "serf/rpc/log_history.h"
#include "serf/rpc/reply_cache.h"
#include "serf/rpc/server_connection.h"
#include "serf/rpc/service.h"
#include "serf/rpc/stream_event.h"
#include "serf/transport/net/clock.h"

namespace serf::rpc {

// How a server authenticates clients and limits them.
struct ServerOptions {
  // The key that clients must show; empty: no authentication. Compared in constant time.
  std::string auth_key;
  // Null: no log lines. It must outlive the server.
  Logger* logger = nullptr;
  // The most connections at once. A client counts as a stranger until it has shaken hands and, with
  // a key, authenticated; strangers take at most a quarter. At either limit a stranger makes room
  // for a newcomer (see FairShares); the server never closes another client for that. Zero: half of
  // the descriptors that the process may have. At most kConnectionsMax.
  std::size_t max_connections = 0;
  // How long a write may make no progress before the server closes the connection. A client that
  // reads slowly but steadily stays connected.
  Duration write_timeout = std::chrono::seconds(30);
  // For statistics; may be null. `on_accepted` reports a connection that the server keeps, and
  // `on_command` each command of a client after its handshake, and the handshake. They run on the
  // io_context's thread and must not use the server.
  std::function<void()> on_accepted;
  std::function<void()> on_command;
};

class Server {
 public:
  // Enough for a monitor on each of thousands of hosts. An idle connection takes about 4 KB, so
  // these take 32 MB.
  static constexpr std::size_t kConnectionsMax = 8192;

  // The io_context, the service and the logger must outlive the server.
  Server(boost::asio::io_context& io, Service& service, ServerOptions options);
  // Closes everything at once. Shutdown() first lets clients read their last replies.
  ~Server() = default;
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // Listens on "HOST:PORT" or "unix:/PATH". Port 0 takes a free one. An empty host means all
  // addresses. If a name has several addresses, the server takes names::Preferred(). Only the owner
  // of a Unix domain socket's file may connect; see UnixSocketFile. An application may call it
  // several times, for several addresses. It blocks while it looks a name up.
  //
  // The message of an error reads like "listen tcp 127.0.0.1:7373: bind: address already in use".
  // Listeners that are open stay open.
  absl::Status Listen(const std::string& address) { return listeners_.Listen(address); }

  // Where the last Listen() listens, with its port. Nothing for a Unix domain socket.
  std::optional<Endpoint> local_endpoint() const { return listeners_.local_endpoint(); }

  // Delivers an event or a log line to the streams that want it. Without streams it costs little.
  void OnEvent(const Event& event);
  void OnLog(const LogLinePtr& line);

  // Stops listening, sends what is ready within a second, closes all connections, and calls `done`
  // later, once. Requests under way get no answer.
  void Shutdown(std::function<void()> done);

  // How many clients are connected.
  std::size_t connection_count() const { return connections_.all().size(); }
  // The memory of the replies that they share.
  std::size_t shared_bytes() const { return replies_->cache.bytes(); }

 private:
  // What the connections share of their replies, and the timer that gives it up. A connection may
  // outlive the server for a moment.
  struct Replies {
    Replies(boost::asio::io_context& io, std::function<void()> wake)
        : cache(std::move(wake)), timer(io) {}
    ReplyCache cache;
    boost::asio::steady_timer timer;
    bool armed = false;
  };

  // How long clients have at a shutdown to read what is ready.
  static constexpr Duration kDrainTimeout = std::chrono::seconds(1);
  // The least time between two log lines about refused connections.
  static constexpr Duration kRefusalLogInterval = std::chrono::seconds(1);

  void Adopt(Listeners::Socket socket, std::string peer, const IpAddress& from);
  static std::size_t DefaultMaxConnections();
  // Gives up replies in time that nobody asks for any more.
  static std::shared_ptr<Replies> MakeReplies(boost::asio::io_context& io);
  static void Watch(const std::shared_ptr<Replies>& replies);
  void LogAcceptError(const boost::system::error_code& error);
  boost::asio::io_context& io_;
  Service& service_;
  const ServerOptions options_;
  const std::shared_ptr<Replies> replies_ = MakeReplies(io_);
  const std::shared_ptr<ServerConnection::WriteTurn> turn_ =
      std::make_shared<ServerConnection::WriteTurn>();
  const std::size_t max_connections_;
  // Strangers take at most a quarter.
  ConnectionSet<ServerConnection> connections_{max_connections_, max_connections_ / 4};
  Listeners listeners_;
  Instant next_refusal_log_ = Instant::min();
};

inline Server::Server(boost::asio::io_context& io, Service& service, ServerOptions options)
    : io_(io),
      service_(service),
      options_(std::move(options)),
      max_connections_(std::min(
          options_.max_connections > 0 ? options_.max_connections : DefaultMaxConnections(),
          kConnectionsMax)),
      listeners_(io, {[this](Listeners::Socket socket, std::string peer, const IpAddress& from) {
                        Adopt(std::move(socket), std::move(peer), from);
                      },
                      [this](const boost::system::error_code& error) { LogAcceptError(error); }}) {}

inline std::size_t Server::DefaultMaxConnections() {
  rlimit limit = {};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return kConnectionsMax;
  return std::clamp<std::size_t>(limit.rlim_cur / 2, 1, kConnectionsMax);
}

inline std::shared_ptr<Server::Replies> Server::MakeReplies(boost::asio::io_context& io) {
  const auto self = std::make_shared<std::weak_ptr<Replies>>();
  const auto replies = std::make_shared<Replies>(io, [self] {
    if (const std::shared_ptr<Replies> live = self->lock()) Watch(live);
  });
  *self = replies;
  return replies;
}

inline void Server::Watch(const std::shared_ptr<Replies>& replies) {
  const Instant deadline = replies->cache.NextDeadline();
  if (replies->armed || deadline == kNever) return;
  replies->armed = true;
  replies->timer.expires_at(transport::ToSteadyTime(deadline));
  replies->timer.async_wait(
      [weak = std::weak_ptr<Replies>(replies)](const boost::system::error_code& error) {
        const std::shared_ptr<Replies> live = weak.lock();
        if (error || live == nullptr) return;
        live->armed = false;
        live->cache.OnTimer(transport::Now());
        Watch(live);
      });
}

inline void Server::LogAcceptError(const boost::system::error_code& error) {
  Log(options_.logger, LogLevel::kError, "agent.ipc: Failed to accept client: ", ErrorText(error));
}

inline void Server::Adopt(Listeners::Socket socket, std::string peer, const IpAddress& from) {
  if (!connections_.HasRoom()) {
    const Instant now = transport::Now();
    if (now >= next_refusal_log_) {
      next_refusal_log_ = now + kRefusalLogInterval;
      Log(options_.logger, LogLevel::kWarn, "agent.ipc: Too many clients, refusing ", peer);
    }
    return;  // the socket's end closes it
  }
  Log(options_.logger, LogLevel::kInfo, "agent.ipc: Accepted client: ", peer);
  if (options_.on_accepted) options_.on_accepted();
  const ConnectionId id = connections_.NextId();
  ServerConnection::Options options;
  options.auth_key = options_.auth_key;
  options.peer = std::move(peer);
  options.logger = options_.logger;
  options.write_timeout = options_.write_timeout;
  options.replies = std::shared_ptr<ReplyCache>(replies_, &replies_->cache);
  options.turn = turn_;
  options.on_command = options_.on_command;
  options.on_trusted = [this, id] { connections_.Trust(id); };
  options.on_end = [this, id] { connections_.Remove(id); };
  const auto connection =
      std::make_shared<ServerConnection>(std::move(socket), service_, std::move(options));
  connections_.Add(id, connection, from);
  connection->Start();
}

inline void Server::OnEvent(const Event& event) {
  if (connections_.all().empty()) return;
  const auto shared = std::make_shared<const StreamEvent>(event);
  for (const auto& [id, connection] : connections_.all()) connection->OnEvent(shared);
}

inline void Server::OnLog(const LogLinePtr& line) {
  for (const auto& [id, connection] : connections_.all()) connection->OnLog(line);
}

inline void Server::Shutdown(std::function<void()> done) {
  listeners_.Close();
  connections_.Drain(kDrainTimeout,
                     [this, done = std::move(done)] { boost::asio::post(io_, done); });
}

}  // namespace serf::rpc

#endif  // SERF_RPC_SERVER_IO_H_
