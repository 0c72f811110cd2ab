#ifndef SERF_CMD_TELEMETRY_AGENT_METRICS_H_
#define SERF_CMD_TELEMETRY_AGENT_METRICS_H_

// AgentMetrics: measures a running agent once per second. Source: spec/agent.md 5.

#include <malloc.h>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "boost/asio/io_context.hpp"
#include "boost/asio/ip/host_name.hpp"
#include "boost/asio/ip/tcp.hpp"
#include "boost/asio/ip/udp.hpp"
#include "boost/asio/steady_timer.hpp"
#include "serf/base/time.h"
#include "serf/cmd/telemetry/metrics.h"
#include "serf/cmd/telemetry/stats_sink.h"
#include "serf/counters.h"
#include "serf/event.h"
#include "serf/query.h"
#include "serf/transport/host.h"

namespace serf::cmd {

// One thread, that of the io_context.
class AgentMetrics {
 public:
  // Addresses of statsd and statsite, "host:port"; empty: none. With one of them the names of
  // gauges hold the host's name.
  AgentMetrics(boost::asio::io_context& io, const std::string& statsd, const std::string& statsite);

  std::string Dump() const { return metrics_.Dump(); }

  // `host` outlives the last run of the io_context.
  void Start(const transport::Host& host) {
    host_ = &host;
    Measure();
  }

  void OnEvent(const Event& event);
  // Of RPC clients.
  void OnRpcAccepted() { metrics_.Count("agent.ipc.accept", 1); }
  void OnRpcCommand() { metrics_.Count("agent.ipc.command", 1); }
  // A script of an event handler ended.
  void OnInvoked(const std::string& command, Duration duration) {
    metrics_.Sample(absl::StrCat("agent.invoke.", command),
                    std::chrono::duration<double, std::milli>(duration).count());
  }

 private:
  void Measure();
  // Counts what a counter grew by since the last time.
  void CountGrowth(absl::string_view name, std::uint64_t value, std::uint64_t& last);

  boost::asio::steady_timer timer_;
  std::optional<StatsSink<boost::asio::ip::udp>> statsd_;
  std::optional<StatsSink<boost::asio::ip::tcp>> statsite_;
  Metrics metrics_;
  const transport::Host* host_ = nullptr;
  Counters last_;
};

inline AgentMetrics::AgentMetrics(boost::asio::io_context& io, const std::string& statsd,
                                  const std::string& statsite)
    : timer_(io), metrics_(statsd.empty() && statsite.empty() ? "" : boost::asio::ip::host_name()) {
  if (!statsd.empty()) statsd_.emplace(io, statsd);
  if (!statsite.empty()) statsite_.emplace(io, statsite);
  if (!statsd_ && !statsite_) return;
  metrics_.set_sink([this](absl::string_view name, char kind, double value) {
    if (statsd_) statsd_->Add(name, kind, value);
    if (statsite_) statsite_->Add(name, kind, value);
  });
}

inline void AgentMetrics::OnEvent(const Event& event) {
  if (const auto* user = std::get_if<UserEvent>(&event)) {
    metrics_.Count("serf.events", 1);
    metrics_.Count(absl::StrCat("serf.events.", user->name), 1);
  } else if (const auto* query = std::get_if<QueryEvent>(&event)) {
    metrics_.Count("serf.queries", 1);
    metrics_.Count(absl::StrCat("serf.queries.", query->name), 1);
  }
}

inline void AgentMetrics::CountGrowth(absl::string_view name, std::uint64_t value,
                                      std::uint64_t& last) {
  if (value != last) metrics_.Count(name, static_cast<double>(value - last));
  last = value;
}

inline void AgentMetrics::Measure() {
  const struct mallinfo2 memory = ::mallinfo2();
  metrics_.Gauge("runtime.alloc_bytes", static_cast<double>(memory.uordblks + memory.hblkhd));
  metrics_.Gauge("runtime.sys_bytes", static_cast<double>(memory.arena + memory.hblkhd));
  const Counters& now = host_->serf().counters();
  CountGrowth("serf.member.join", now.member_joins, last_.member_joins);
  CountGrowth("serf.member.leave", now.member_leaves, last_.member_leaves);
  CountGrowth("serf.member.failed", now.member_failures, last_.member_failures);
  CountGrowth("serf.member.update", now.member_updates, last_.member_updates);
  CountGrowth("serf.member.reap", now.member_reaps, last_.member_reaps);
  CountGrowth("serf.member.flap", now.member_flaps, last_.member_flaps);
  timer_.expires_after(std::chrono::seconds(1));
  timer_.async_wait([this](const auto& error) {
    if (!error) Measure();
  });
}

}  // namespace serf::cmd

#endif  // SERF_CMD_TELEMETRY_AGENT_METRICS_H_
