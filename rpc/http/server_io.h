// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_RPC_HTTP_SERVER_IO_H_
#define SERF_RPC_HTTP_SERVER_IO_H_

// Server: an HTTP/1.1 listener and its connections, over Asio. A Handler answers the requests.
//
//   http::Server server(io, handler, {.logger = logger});
//   if (absl::Status s = server.Listen("127.0.0.1:7380"); !s.ok()) ...
//   server.Shutdown([&] { io.stop(); });
//
// It has no TLS, and serves no files. Threads: all calls on the io_context's thread.

#include <sys/stat.h>

#include <algorithm>
#include <boost/asio/buffer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
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
#include "serf/base/endpoint.h"
#include "serf/base/logger.h"
#include "serf/base/system_error.h"
#include "serf/base/time.h"
#include "serf/rpc/connection_set.h"
#include "serf/rpc/http/connection.h"
#include "serf/rpc/http/message.h"
#include "serf/rpc/http/response.h"
#include "serf/rpc/listener_io.h"
#include "serf/transport/net/clock.h"

namespace serf::http {

struct ServerOptions {
  // Null: no log lines. It must outlive the server.
  Logger* logger = nullptr;
  // The most connections, for a process with few descriptors. At most Server::kConnectionsMax, and
  // at least one.
  std::size_t max_connections = 64;
};

class Server : private Connection::Owner {
 public:
  // Scrapers, a few browsers with six connections each, and scripts. The connection that is idle
  // longest makes room for a newcomer, one that is being answered does not.
  static constexpr std::size_t kConnectionsMax = 64;

  // The io_context, the handler and the logger must outlive the server.
  Server(boost::asio::io_context& io, Handler& handler, ServerOptions options)
      : io_(io),
        handler_(handler),
        options_(options),
        connections_(MaxOf(options), MaxOf(options)),
        listeners_(io, {[this](Connection::Socket socket, std::string peer, const IpAddress& from) {
                          Adopt(std::move(socket), std::move(peer), from);
                        },
                        [this](const boost::system::error_code& error) {
                          Log(options_.logger, LogLevel::kError,
                              "agent.http: Failed to accept client: ", ErrorText(error));
                        }}) {}

  // As Listeners::Listen().
  absl::Status Listen(const std::string& address, mode_t mode = S_IRUSR | S_IWUSR) {
    return listeners_.Listen(address, mode);
  }
  std::optional<Endpoint> local_endpoint() const { return listeners_.local_endpoint(); }
  std::size_t connection_count() const { return connections_.all().size(); }

  // Stops listening, sends what is ready within a second, closes all connections, and calls `done`
  // later, once.
  void Shutdown(std::function<void()> done) {
    listeners_.Close();
    connections_.Drain(kDrainTimeout,
                       [this, done = std::move(done)] { boost::asio::post(io_, done); });
  }

 private:
  static constexpr Duration kDrainTimeout = std::chrono::seconds(1);

  static std::size_t MaxOf(const ServerOptions& options) {
    return std::clamp<std::size_t>(options.max_connections, 1, kConnectionsMax);
  }
  static std::int64_t UnixTime() {
    return std::chrono::duration_cast<std::chrono::seconds>(
               std::chrono::system_clock::now().time_since_epoch())
        .count();
  }
  void OnBusy(std::uint64_t id, const IpAddress& from, bool busy) override {
    busy ? connections_.Trust(id) : connections_.Distrust(id, from);
  }
  inline void OnDeadline(Instant deadline) override;
  void OnEnd(std::uint64_t id) override { connections_.Remove(id); }
  void OnTimer();
  void Adopt(Connection::Socket socket, std::string peer, const IpAddress& from);
  void RefuseForLack(Connection::Socket socket);

  boost::asio::io_context& io_;
  Handler& handler_;
  const ServerOptions options_;
  boost::asio::steady_timer timer_{io_};
  Instant armed_ = kNever;
  rpc::ConnectionSet<Connection> connections_;
  rpc::Listeners listeners_;
};

inline void Server::Adopt(Connection::Socket socket, std::string peer, const IpAddress& from) {
  if (!connections_.HasRoom()) return RefuseForLack(std::move(socket));
  const rpc::ConnectionId id = connections_.NextId();
  const auto connection = std::make_shared<Connection>(
      std::move(socket), Peer{.text = std::move(peer), .address = from}, handler_,
      Connection::Options{.owner = *this, .id = id, .unix_time = &Server::UnixTime});
  connections_.Add(id, connection, from);
  connection->Start();
}

inline void Server::OnDeadline(Instant deadline) {
  // A timer that rings too early costs less than one that is set anew with every request.
  if (deadline >= armed_) return;
  armed_ = deadline;
  timer_.expires_at(transport::ToSteadyTime(deadline));
  timer_.async_wait([this](const boost::system::error_code& error) {
    if (!error) OnTimer();
  });
}

inline void Server::OnTimer() {
  armed_ = kNever;
  const Instant now = transport::Now();
  // A connection that ends leaves connections_.
  std::vector<std::shared_ptr<Connection>> due;
  for (const auto& [id, connection] : connections_.all()) {
    if (connection->NextDeadline() <= now) due.push_back(connection);
  }
  for (const auto& connection : due) connection->OnTimer();
  for (const auto& [id, connection] : connections_.all()) OnDeadline(connection->NextDeadline());
}

// The client has not asked anything yet; it reads this as the answer to what it asks.
inline void Server::RefuseForLack(Connection::Socket socket) {
  Response response = handler_.Describe({.status = 503,
                                         .code = "too_many_connections",
                                         .message = "too many connections, all of them busy"});
  response.fields.push_back({"Retry-After", "1"});
  std::string out;
  AppendHead(response, {.unix_time = UnixTime(), .keep_alive = false}, response.body.size(), out);
  out += response.body;
  boost::system::error_code ignored;
  socket.non_blocking(true, ignored);
  socket.write_some(boost::asio::buffer(out), ignored);
  socket.shutdown(Connection::Socket::shutdown_send, ignored);
}

}  // namespace serf::http

#endif  // SERF_RPC_HTTP_SERVER_IO_H_
