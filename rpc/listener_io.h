// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_RPC_LISTENER_IO_H_
#define SERF_RPC_LISTENER_IO_H_

// Listeners: the listening sockets of a server, TCP or Unix domain, over Asio. The RPC server and
// the HTTP server each have one. An application uses these servers.
//
//   Listeners listeners(io, {.on_accepted = ..., .on_error = ...});
//   if (absl::Status s = listeners.Listen("127.0.0.1:7373"); !s.ok()) ...
//
// Threads: all calls, and all handlers, on the io_context's thread. Source: docs/protocol/agent.md
// 1.1.

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/stat.h>

#include <boost/asio/basic_stream_socket.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ip/v6_only.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/socket_base.hpp>
#include <boost/system/error_code.hpp>
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
#include "serf/base/endpoint.h"
#include "serf/base/host_port.h"
#include "serf/base/system_error.h"
#include "serf/rpc/address.h"
#include "serf/rpc/unix_socket.h"
#include "serf/transport/net/acceptor.h"
#include "serf/transport/net/socket_address.h"
#include "serf/transport/net/system_names.h"

namespace serf::rpc {

class Listeners {
 public:
  // A socket of any protocol.
  using Socket = boost::asio::basic_stream_socket<boost::asio::generic::stream_protocol,
                                                  boost::asio::io_context::executor_type>;
  struct Handlers {
    // Receives each connection, with the client's address for people ("unix:/run/serf.sock" for a
    // Unix domain socket, whose clients have no names), and as a number: then empty.
    std::function<void(Socket socket, std::string peer, const IpAddress& from)> on_accepted;
    std::function<void(const boost::system::error_code& error)> on_error;
  };

  // The io_context must outlive the listeners.
  Listeners(boost::asio::io_context& io, Handlers handlers)
      : io_(io), handlers_(std::move(handlers)) {}
  ~Listeners() { Close(); }
  Listeners(const Listeners&) = delete;
  Listeners& operator=(const Listeners&) = delete;

  // Listens on "HOST:PORT" or "unix:/PATH", whose file gets `mode`. Port 0 takes a free one. An
  // empty host means all addresses. If a name has several addresses, it takes names::Preferred().
  // It blocks while it looks a name up.
  //
  // The message of an error reads like "listen tcp 127.0.0.1:7373: bind: address already in use".
  // Listeners that are open stay open.
  absl::Status Listen(const std::string& address, mode_t mode = S_IRUSR | S_IWUSR);

  // Where the last Listen() listens, with its port. Nothing for a Unix domain socket.
  std::optional<Endpoint> local_endpoint() const { return local_; }

  // Accepts no new connections.
  void Close();

 private:
  using Executor = boost::asio::io_context::executor_type;
  template <typename Protocol>
  using Listener = transport::Acceptor<Protocol, Executor>;

  absl::Status ListenUnix(const std::string& path, mode_t mode);
  // Sets what the listener's connections inherit, which saves each the system calls: no delay of
  // small replies, and a kernel that detects peers that are gone, as Go Serf's.
  static void SetTcpOptions(Listener<boost::asio::ip::tcp>::Native& acceptor);
  static absl::StatusOr<std::vector<boost::asio::ip::tcp::endpoint>> Candidates(
      const HostPort& target);

  boost::asio::io_context& io_;
  const Handlers handlers_;
  std::vector<std::unique_ptr<Listener<boost::asio::ip::tcp>>> tcp_;
  std::vector<std::unique_ptr<Listener<boost::asio::local::stream_protocol>>> unix_;
  std::vector<std::unique_ptr<UnixSocketFile>> files_;  // the sockets of listeners
  std::optional<Endpoint> local_;
};

inline void Listeners::SetTcpOptions(Listener<boost::asio::ip::tcp>::Native& acceptor) {
  using Seconds = boost::asio::detail::socket_option::integer<IPPROTO_TCP, TCP_KEEPIDLE>;
  using Interval = boost::asio::detail::socket_option::integer<IPPROTO_TCP, TCP_KEEPINTVL>;
  constexpr int kSeconds = 15;
  boost::system::error_code ignored;
  acceptor.set_option(boost::asio::ip::tcp::no_delay(true), ignored);
  acceptor.set_option(boost::asio::socket_base::keep_alive(true), ignored);
  acceptor.set_option(Seconds(kSeconds), ignored);
  acceptor.set_option(Interval(kSeconds), ignored);
}

inline void Listeners::Close() {
  // Removes the files first: once a listener is closed, another agent may take its path.
  files_.clear();
  for (const auto& listener : tcp_) listener->Close();
  for (const auto& listener : unix_) listener->Close();
}

inline absl::StatusOr<std::vector<boost::asio::ip::tcp::endpoint>> Listeners::Candidates(
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

inline absl::Status Listeners::Listen(const std::string& address, mode_t mode) {
  using Tcp = boost::asio::ip::tcp;
  if (const auto path = UnixPathOf(address)) return ListenUnix(std::string(*path), mode);
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
        [this](Socket socket, const Tcp::endpoint& peer) {
          handlers_.on_accepted(std::move(socket), transport::TextOf(peer),
                                transport::FromAsio(peer.address()));
        },
        handlers_.on_error);
    tcp_.push_back(std::move(listener));
    return absl::OkStatus();
  }
  return failure;
}

inline absl::Status Listeners::ListenUnix(const std::string& path, mode_t mode) {
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
      UnixSocketFile::Bind(acceptor.native_handle(), path, mode);
  if (!file.ok()) return failed(path, ": ", file.status().message());
  acceptor.listen(Unix::acceptor::max_listen_connections, error);
  if (error) return failed(path, ": listen: ", ErrorText(error));
  files_.push_back(*std::move(file));
  local_.reset();
  listener->Start(
      [this, path](Socket socket, const Unix::endpoint&) {
        handlers_.on_accepted(std::move(socket), absl::StrCat("unix:", path), IpAddress());
      },
      handlers_.on_error);
  unix_.push_back(std::move(listener));
  return absl::OkStatus();
}

}  // namespace serf::rpc

#endif  // SERF_RPC_LISTENER_IO_H_
