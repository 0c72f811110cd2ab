#ifndef SERF_CMD_TELEMETRY_STATS_SINK_H_
#define SERF_CMD_TELEMETRY_STATS_SINK_H_

// StatsSink: sends metrics to a statsd (UDP) or statsite (TCP) server. Source:
// docs/protocol/agent.md 5.
//
//   NAME:VALUE|T LF      T is "g", "c" or "ms"; blanks, colons and LF of the name are "_"
//
// It collects lines for kFlushInterval. A server that is away or slow costs lines, never memory or
// time; after an error nothing is sent for kRetryInterval.

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <type_traits>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/string_view.h"
#include "boost/asio/buffer.hpp"
#include "boost/asio/connect.hpp"
#include "boost/asio/io_context.hpp"
#include "boost/asio/ip/tcp.hpp"
#include "boost/asio/ip/udp.hpp"
#include "boost/asio/steady_timer.hpp"
#include "boost/asio/write.hpp"
#include "serf/base/endpoint.h"
#include "serf/transport/net/lookup.h"
#include "serf/transport/net/socket_address.h"
#include "serf/transport/net/system_names.h"

namespace serf::cmd {

// Threads: all calls on the io_context's thread. The io_context must outlive the sink. `Protocol`
// is ip::udp or ip::tcp.
template <typename Protocol>
class StatsSink {
 public:
  static constexpr std::size_t kLinesMax = 4096;  // lines that may wait; further ones are dropped
  static constexpr std::size_t kDatagramMax = 1400;  // bytes, in whole lines
  static constexpr std::chrono::milliseconds kFlushInterval{100};
  static constexpr std::chrono::seconds kRetryInterval{5};

  // `address` is "host:port". IPv4 addresses of the host are tried first.
  StatsSink(boost::asio::io_context& io, absl::string_view address)
      : lookup_(io), socket_(io), timer_(io) {
    const std::size_t colon = std::min(address.rfind(':'), address.size());
    host_ = std::string(address.substr(0, colon));
    port_ = std::string(address.substr(std::min(colon + 1, address.size())));
    if (host_.size() > 1 && host_.front() == '[') host_ = host_.substr(1, host_.size() - 2);
  }
  ~StatsSink() { *alive_ = false; }

  StatsSink(const StatsSink&) = delete;
  StatsSink& operator=(const StatsSink&) = delete;

  // See Metrics::Sink.
  void Add(absl::string_view name, char kind, double value);

  // The line "NAME:VALUE|T" and LF.
  static std::string Line(absl::string_view name, char kind, double value) {
    return absl::StrCat(absl::StrReplaceAll(name, {{" ", "_"}, {":", "_"}, {"\n", "_"}}), ":",
                        absl::StrFormat("%.6f", value), "|",
                        kind == 's' ? "ms" : absl::string_view(&kind, 1), "\n");
  }

 private:
  static constexpr bool kIsUdp = std::is_same_v<Protocol, boost::asio::ip::udp>;

  enum class State { kIdle, kConnecting, kConnected, kFailed };

  void FlushLater();
  void Flush();
  void Connect();
  void Fail();
  // Takes lines off the queue: up to `bytes` bytes, but at least one line.
  std::string Take(std::size_t bytes);

  const std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  // false: handlers do nothing
  std::string host_;
  std::string port_;
  names::Lookup lookup_;
  typename Protocol::socket socket_;
  boost::asio::steady_timer timer_;
  State state_ = State::kIdle;
  bool flushing_ = false;  // the timer runs, or a write is under way
  std::deque<std::string> lines_;
};

template <typename Protocol>
void StatsSink<Protocol>::Add(absl::string_view name, char kind, double value) {
  if (state_ == State::kFailed || lines_.size() == kLinesMax) return;
  lines_.push_back(Line(name, kind, value));
  if (state_ == State::kIdle) Connect();
  if (state_ == State::kConnected) FlushLater();
}

template <typename Protocol>
void StatsSink<Protocol>::Connect() {
  state_ = State::kConnecting;
  const absl::StatusOr<std::uint16_t> port = names::LookUpPort(port_, kIsUdp ? "udp" : "tcp");
  if (!port.ok()) return Fail();
  const absl::StatusOr<names::Zone> zone = names::ZoneOf(host_);
  if (!zone.ok()) return Fail();
  lookup_.Start(host_, [this, port = *port, zone = *zone](const names::Addresses& found) {
    if (!found.ok()) return Fail();
    std::vector<typename Protocol::endpoint> endpoints;
    for (const IpAddress& address : names::Ipv4First(*found)) {
      endpoints.push_back({transport::ToAsio(address, zone), port});
    }
    boost::asio::async_connect(socket_, endpoints,
                               [this, alive = alive_](const auto& failed, const auto&) {
                                 if (!*alive) return;
                                 if (failed) return Fail();
                                 state_ = State::kConnected;
                                 FlushLater();
                               });
  });
}

template <typename Protocol>
void StatsSink<Protocol>::Fail() {
  boost::system::error_code ignored;
  socket_.close(ignored);
  state_ = State::kFailed;
  flushing_ = false;
  lines_.clear();
  timer_.expires_after(kRetryInterval);
  timer_.async_wait([this, alive = alive_](const auto& error) {
    if (*alive && !error) state_ = State::kIdle;
  });
}

template <typename Protocol>
void StatsSink<Protocol>::FlushLater() {
  if (flushing_ || lines_.empty()) return;
  flushing_ = true;
  timer_.expires_after(kFlushInterval);
  timer_.async_wait([this, alive = alive_](const auto& error) {
    if (*alive && !error) Flush();
  });
}

template <typename Protocol>
std::string StatsSink<Protocol>::Take(std::size_t bytes) {
  std::string text;
  while (!lines_.empty() && (text.empty() || text.size() + lines_.front().size() <= bytes)) {
    text += lines_.front();
    lines_.pop_front();
  }
  return text;
}

template <typename Protocol>
void StatsSink<Protocol>::Flush() {
  if constexpr (kIsUdp) {
    boost::system::error_code error;
    socket_.non_blocking(true, error);
    while (!lines_.empty() && !error) {
      const std::string datagram = Take(kDatagramMax);
      socket_.send(boost::asio::buffer(datagram), 0, error);
      if (error == boost::asio::error::would_block) error.clear();
    }
    flushing_ = false;
    if (error) Fail();
  } else {
    auto text = std::make_shared<std::string>(Take(kLinesMax * kDatagramMax));
    boost::asio::async_write(socket_, boost::asio::buffer(*text),
                             [this, alive = alive_, text](const auto& error, std::size_t) {
                               if (!*alive) return;
                               flushing_ = false;
                               if (error) return Fail();
                               FlushLater();
                             });
  }
}

}  // namespace serf::cmd

#endif  // SERF_CMD_TELEMETRY_STATS_SINK_H_
