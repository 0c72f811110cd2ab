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

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/resource.h>

#include <algorithm>
#include <boost/asio/error.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ip/v6_only.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/socket_base.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/system/error_code.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
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
#include "serf/base/fair_shares.h"
#include "serf/base/host_port.h"
#include "serf/base/logger.h"
#include "serf/base/system_error.h"
#include "serf/base/time.h"
#include "serf/event.h"
#include "serf/rpc/address.h"
#include "serf/rpc/log_history.h"
#include "serf/rpc/reply_cache.h"
#include "serf/rpc/server_connection.h"
#include "serf/rpc/service.h"
#include "serf/rpc/stream_event.h"
#include "serf/rpc/unix_socket.h"
#include "serf/transport/net/acceptor.h"
#include "serf/transport/net/clock.h"
#include "serf/transport/net/socket_address.h"
#include "serf/transport/net/system_names.h"

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
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // Listens on "HOST:PORT" or "unix:/PATH". Port 0 takes a free one. An empty host means all
  // addresses. If a name has several addresses, the server takes names::Preferred(). Only the owner
  // of a Unix domain socket's file may connect; see UnixSocketFile. An application may call it
  // several times, for several addresses. It blocks while it looks a name up.
  //
  // The message of an error reads like "listen tcp 127.0.0.1:7373: bind: address already in use".
  // Listeners that are open stay open.
  absl::Status Listen(const std::string& address);

  // Where the last Listen() listens, with its port. Nothing for a Unix domain socket.
  std::optional<Endpoint> local_endpoint() const { return local_; }

  // Delivers an event or a log line to the streams that want it. Without streams it costs little.
  void OnEvent(const Event& event);
  void OnLog(const LogLinePtr& line);

  // Stops listening, sends what is ready within a second, closes all connections, and calls `done`
  // later, once. Requests under way get no answer.
  void Shutdown(std::function<void()> done);

  // How many clients are connected.
  std::size_t connection_count() const { return connections_.size(); }
  // The memory of the replies that they share.
  std::size_t shared_bytes() const { return replies_->cache.bytes(); }

 private:
  using Executor = boost::asio::io_context::executor_type;
  using ConnectionId = std::uint64_t;

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

  template <typename Protocol>
  using Listener = transport::Acceptor<Protocol, Executor>;

  absl::Status ListenUnix(const std::string& path);
  // Accepts no new connections.
  void CloseListeners();
  void Adopt(ServerConnection::Socket socket, std::string peer, const IpAddress& from);
  // Whether there is room for a stranger, if need be by closing another one.
  bool HasRoom();
  static std::size_t DefaultMaxConnections();
  // Sets what the listener's connections inherit, which saves each the system calls: no delay of
  // small replies, and a kernel that detects peers that are gone, as Go Serf's.
  static void SetTcpOptions(Listener<boost::asio::ip::tcp>::Native& acceptor);
  // Gives up replies in time that nobody asks for any more.
  static std::shared_ptr<Replies> MakeReplies(boost::asio::io_context& io);
  static void Watch(const std::shared_ptr<Replies>& replies);
  void LogAcceptError(const boost::system::error_code& error);
  void Forget(ConnectionId id);
  absl::StatusOr<std::vector<boost::asio::ip::tcp::endpoint>> Candidates(const HostPort& target);

  boost::asio::io_context& io_;
  Service& service_;
  const ServerOptions options_;
  const std::shared_ptr<Replies> replies_ = MakeReplies(io_);
  const std::shared_ptr<ServerConnection::WriteTurn> turn_ =
      std::make_shared<ServerConnection::WriteTurn>();
  std::vector<std::unique_ptr<Listener<boost::asio::ip::tcp>>> tcp_listeners_;
  std::vector<std::unique_ptr<Listener<boost::asio::local::stream_protocol>>> unix_listeners_;
  std::vector<std::unique_ptr<UnixSocketFile>> files_;  // the sockets of listeners
  std::optional<Endpoint> local_;
  const std::size_t max_connections_;
  std::map<ConnectionId, std::shared_ptr<ServerConnection>> connections_;
  FairShares<ConnectionId> strangers_;  // the strangers among them
  ConnectionId last_id_ = 0;
  Instant next_refusal_log_ = Instant::min();
  bool draining_ = false;
  std::function<void()> shutdown_done_;
};

inline Server::Server(boost::asio::io_context& io, Service& service, ServerOptions options)
    : io_(io),
      service_(service),
      options_(std::move(options)),
      max_connections_(std::min(
          options_.max_connections > 0 ? options_.max_connections : DefaultMaxConnections(),
          kConnectionsMax)) {}

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

inline void Server::SetTcpOptions(Listener<boost::asio::ip::tcp>::Native& acceptor) {
  using Seconds = boost::asio::detail::socket_option::integer<IPPROTO_TCP, TCP_KEEPIDLE>;
  using Interval = boost::asio::detail::socket_option::integer<IPPROTO_TCP, TCP_KEEPINTVL>;
  constexpr int kSeconds = 15;
  boost::system::error_code ignored;
  acceptor.set_option(boost::asio::ip::tcp::no_delay(true), ignored);
  acceptor.set_option(boost::asio::socket_base::keep_alive(true), ignored);
  acceptor.set_option(Seconds(kSeconds), ignored);
  acceptor.set_option(Interval(kSeconds), ignored);
}

inline void Server::CloseListeners() {
  // Removes the files first: once a listener is closed, another agent may take its path.
  files_.clear();
  for (const auto& listener : tcp_listeners_) listener->Close();
  for (const auto& listener : unix_listeners_) listener->Close();
}

inline void Server::LogAcceptError(const boost::system::error_code& error) {
  Log(options_.logger, LogLevel::kError, "agent.ipc: Failed to accept client: ", ErrorText(error));
}

inline Server::~Server() {
  CloseListeners();
  for (const auto& [id, connection] : connections_) connection->Abandon();
}

inline absl::StatusOr<std::vector<boost::asio::ip::tcp::endpoint>> Server::Candidates(
    const HostPort& target) {
  using Tcp = boost::asio::ip::tcp;
  const absl::StatusOr<std::uint16_t> port = names::LookUpPort(target.port, "tcp");
  if (!port.ok()) return port.status();
  // All addresses: one socket for both families where there is IPv6.
  if (target.host.empty()) {
    return std::vector<Tcp::endpoint>{{Tcp::v6(), *port}, {Tcp::v4(), *port}};
  }
  if (const auto zone = names::ZoneOf(target.host); !zone.ok()) return zone.status();
  if (const auto literal = transport::ParseAsioAddress(target.host)) {
    return std::vector<Tcp::endpoint>{{*literal, *port}};
  }
  const names::Addresses found = names::LookUp(target.host);
  if (!found.ok()) return found.status();
  return std::vector<Tcp::endpoint>{transport::ToAsio(Endpoint{names::Preferred(*found), *port})};
}

inline absl::Status Server::Listen(const std::string& address) {
  using Tcp = boost::asio::ip::tcp;
  if (const auto path = UnixPathOf(address)) return ListenUnix(std::string(*path));
  const absl::StatusOr<HostPort> target = ParseAddress(address);
  if (!target.ok()) {
    return absl::InvalidArgumentError(absl::StrCat("listen tcp: ", target.status().message()));
  }
  const absl::StatusOr<std::vector<Tcp::endpoint>> candidates = Candidates(*target);
  if (!candidates.ok()) {
    return absl::Status(candidates.status().code(),
                        absl::StrCat("listen tcp: ", candidates.status().message()));
  }
  absl::Status failure;
  for (const Tcp::endpoint& endpoint : *candidates) {
    auto listener = std::make_unique<Listener<Tcp>>(io_);
    auto& acceptor = listener->native();
    boost::system::error_code error;
    absl::string_view call = "socket";
    acceptor.open(endpoint.protocol(), error);
    if (!error) {
      boost::system::error_code ignored;
      acceptor.set_option(Tcp::acceptor::reuse_address(true), ignored);
      SetTcpOptions(acceptor);
      if (target->host.empty() && endpoint.address().is_v6()) {
        acceptor.set_option(boost::asio::ip::v6_only(false), ignored);
      }
      call = "bind";
      acceptor.bind(endpoint, error);
    }
    if (!error) {
      call = "listen";
      acceptor.listen(Tcp::acceptor::max_listen_connections, error);
    }
    if (error) {
      if (failure.ok()) {
        failure = absl::UnavailableError(absl::StrCat("listen tcp ", transport::TextOf(endpoint),
                                                      ": ", call, ": ", ErrorText(error)));
      }
      continue;
    }
    const Tcp::endpoint local = acceptor.local_endpoint(error);
    local_ = Endpoint{transport::FromAsio(local.address()), local.port()};
    listener->Start(
        [this](ServerConnection::Socket socket, const Tcp::endpoint& peer) {
          Adopt(std::move(socket), transport::TextOf(peer), transport::FromAsio(peer.address()));
        },
        [this](const boost::system::error_code& why) { LogAcceptError(why); });
    tcp_listeners_.push_back(std::move(listener));
    return absl::OkStatus();
  }
  return failure;
}

inline absl::Status Server::ListenUnix(const std::string& path) {
  using Unix = boost::asio::local::stream_protocol;
  const auto failed = [&](const auto&... why) {
    return absl::UnavailableError(absl::StrCat("listen unix ", why...));
  };
  if (const absl::Status status = CheckUnixPath(path); !status.ok()) {
    return failed(status.message());
  }
  auto listener = std::make_unique<Listener<Unix>>(io_);
  auto& acceptor = listener->native();
  boost::system::error_code error;
  acceptor.open(Unix(), error);
  if (error) return failed(path, ": socket: ", ErrorText(error));
  absl::StatusOr<std::unique_ptr<UnixSocketFile>> file =
      UnixSocketFile::Bind(acceptor.native_handle(), path);
  if (!file.ok()) return failed(path, ": ", file.status().message());
  acceptor.listen(Unix::acceptor::max_listen_connections, error);
  if (error) return failed(path, ": listen: ", ErrorText(error));
  files_.push_back(*std::move(file));
  local_.reset();
  listener->Start(
      [this, path](ServerConnection::Socket socket, const Unix::endpoint&) {
        // The client's end has no name.
        Adopt(std::move(socket), absl::StrCat("unix:", path), IpAddress());
      },
      [this](const boost::system::error_code& why) { LogAcceptError(why); });
  unix_listeners_.push_back(std::move(listener));
  return absl::OkStatus();
}

inline bool Server::HasRoom() {
  const std::size_t strangers_max = std::max<std::size_t>(max_connections_ / 4, 1);
  if (connections_.size() < max_connections_ && strangers_.size() < strangers_max) return true;
  const std::optional<ConnectionId> victim = strangers_.Victim();
  if (!victim) return false;
  const auto found = connections_.find(*victim);
  found->second->Abandon();
  connections_.erase(found);
  strangers_.Remove(*victim);
  return true;
}

inline void Server::Adopt(ServerConnection::Socket socket, std::string peer,
                          const IpAddress& from) {
  if (!HasRoom()) {
    const Instant now = transport::Now();
    if (now >= next_refusal_log_) {
      next_refusal_log_ = now + kRefusalLogInterval;
      Log(options_.logger, LogLevel::kWarn, "agent.ipc: Too many clients, refusing ", peer);
    }
    return;  // the socket's end closes it
  }
  Log(options_.logger, LogLevel::kInfo, "agent.ipc: Accepted client: ", peer);
  if (options_.on_accepted) options_.on_accepted();
  const ConnectionId id = ++last_id_;
  ServerConnection::Options options;
  options.auth_key = options_.auth_key;
  options.peer = std::move(peer);
  options.logger = options_.logger;
  options.write_timeout = options_.write_timeout;
  options.replies = std::shared_ptr<ReplyCache>(replies_, &replies_->cache);
  options.turn = turn_;
  options.on_command = options_.on_command;
  options.on_trusted = [this, id] { strangers_.Remove(id); };
  options.on_end = [this, id] { Forget(id); };
  const auto connection =
      std::make_shared<ServerConnection>(std::move(socket), service_, std::move(options));
  connections_.emplace(id, connection);
  strangers_.Add(id, from);
  connection->Start();
}

inline void Server::Forget(ConnectionId id) {
  strangers_.Remove(id);
  connections_.erase(id);
  if (draining_ && connections_.empty() && shutdown_done_) {
    boost::asio::post(io_, std::exchange(shutdown_done_, nullptr));
  }
}

inline void Server::OnEvent(const Event& event) {
  if (connections_.empty()) return;
  const auto shared = std::make_shared<const StreamEvent>(event);
  for (const auto& [id, connection] : connections_) connection->OnEvent(shared);
}

inline void Server::OnLog(const LogLinePtr& line) {
  for (const auto& [id, connection] : connections_) connection->OnLog(line);
}

inline void Server::Shutdown(std::function<void()> done) {
  draining_ = true;
  CloseListeners();
  if (connections_.empty()) {
    boost::asio::post(io_, std::move(done));
    return;
  }
  shutdown_done_ = std::move(done);
  // A connection that ends leaves connections_.
  std::vector<std::shared_ptr<ServerConnection>> connections;
  for (const auto& [id, connection] : connections_) connections.push_back(connection);
  for (const auto& connection : connections) connection->Drain(kDrainTimeout);
}

}  // namespace serf::rpc

#endif  // SERF_RPC_SERVER_IO_H_
