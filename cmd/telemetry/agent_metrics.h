#ifndef SERF_CMD_TELEMETRY_AGENT_METRICS_H_
#define SERF_CMD_TELEMETRY_AGENT_METRICS_H_

// AgentMetrics: measures a running agent: once a second if the metrics go to a server, else once in
// an interval of Metrics, because an agent that nobody measures should sleep. Source:
// docs/protocol/agent.md 5.

#include <malloc.h>

#include <array>
#include <chrono>
#include <cstddef>
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
#include "serf/coordinates/coordinate_tracker.h"
#include "serf/counters.h"
#include "serf/event.h"
#include "serf/query.h"
#include "serf/serf.h"
#include "serf/swim/counters.h"
#include "serf/transport/host.h"

namespace serf::cmd {

namespace agent_metrics_internal {

// A counter of `Set`, and Go Serf's name for the metric that counts its growth.
template <typename Set>
struct Growing {
  absl::string_view name;
  std::uint64_t Set::*counter;
  // Counts how often `counter` grew; by default it grows by one at a time. Null: nobody counts
  // that, and all growth since the last measurement is one step.
  std::uint64_t Set::*steps = counter;
};

}  // namespace agent_metrics_internal

// Threads: all calls on the io_context's thread.
class AgentMetrics {
 public:
  // Takes the addresses of statsd and statsite, "host:port"; empty: none. With one of them, the
  // names of gauges contain the host's name.
  AgentMetrics(boost::asio::io_context& io, const std::string& statsd, const std::string& statsite);

  std::string Dump() const { return metrics_.Dump(); }

  // `host` must outlive the last run of the io_context.
  void Start(const transport::Host& host) {
    host_ = &host;
    Measure();
  }

  void OnEvent(const Event& event);
  // Counts RPC clients.
  void OnRpcAccepted() { metrics_.Count("agent.ipc.accept", 1); }
  void OnRpcCommand() { metrics_.Count("agent.ipc.command", 1); }
  // Counts a script of an event handler that ended.
  void OnInvoked(const std::string& command, Duration duration) {
    metrics_.Sample(absl::StrCat("agent.invoke.", command),
                    std::chrono::duration<double, std::milli>(duration).count());
  }

 private:
  template <typename Set>
  using Growing = agent_metrics_internal::Growing<Set>;
  static constexpr std::array kSerf = {
      Growing<Counters>{"serf.member.join", &Counters::member_joins},
      Growing<Counters>{"serf.member.left", &Counters::member_leaves},
      Growing<Counters>{"serf.member.failed", &Counters::member_failures},
      Growing<Counters>{"serf.member.update", &Counters::member_updates},
      // An addition of this project.
      Growing<Counters>{"serf.member.reap", &Counters::member_reaps},
      Growing<Counters>{"serf.member.flap", &Counters::member_flaps},
      Growing<Counters>{"serf.events", &Counters::user_events},
      Growing<Counters>{"serf.queries", &Counters::queries},  // internal queries count too
      Growing<Counters>{"serf.query_acks", &Counters::query_acks},
      Growing<Counters>{"serf.query_responses", &Counters::query_responses},
      Growing<Counters>{"serf.query_duplicate_acks", &Counters::query_duplicate_acks},
      Growing<Counters>{"serf.query_duplicate_responses", &Counters::query_duplicate_responses},
  };
  static constexpr std::array kSwim = {
      Growing<swim::Counters>{"memberlist.udp.sent", &swim::Counters::datagram_bytes_sent,
                              &swim::Counters::datagrams_sent},
      Growing<swim::Counters>{"memberlist.udp.received", &swim::Counters::datagram_bytes_received,
                              &swim::Counters::datagrams_received},
      Growing<swim::Counters>{"memberlist.tcp.sent", &swim::Counters::stream_bytes_sent, nullptr},
      Growing<swim::Counters>{"memberlist.tcp.accept", &swim::Counters::streams_accepted},
      Growing<swim::Counters>{"memberlist.tcp.connect", &swim::Counters::streams_dialled},
      Growing<swim::Counters>{"memberlist.msg.alive", &swim::Counters::alive_applied},
      Growing<swim::Counters>{"memberlist.msg.suspect", &swim::Counters::suspect_applied},
      Growing<swim::Counters>{"memberlist.msg.dead", &swim::Counters::dead_applied},
      Growing<swim::Counters>{"memberlist.degraded.probe", &swim::Counters::probes_degraded},
      Growing<swim::Counters>{"memberlist.degraded.timeout", &swim::Counters::suspicions_degraded},
  };
  static constexpr std::array kCoordinates = {
      Growing<CoordinateTracker::Counters>{"serf.coordinate.rejected",
                                           &CoordinateTracker::Counters::rejected},
      Growing<CoordinateTracker::Counters>{"serf.coordinate.zero-rtt",
                                           &CoordinateTracker::Counters::zero_round_trips},
  };

  static constexpr Duration kServerPeriod = std::chrono::seconds(1);
  // Measures before the end of an interval, so that the values still belong to it.
  static constexpr Duration kBeforeEnd = std::chrono::milliseconds(100);

  void Measure();
  Duration UntilNext() const;
  // Counts by how much each counter grew since the last time.
  template <typename Set, std::size_t kSize>
  void CountGrowth(const std::array<Growing<Set>, kSize>& names, const Set& now, Set& last);

  boost::asio::steady_timer timer_;
  std::optional<StatsSink<boost::asio::ip::udp>> statsd_;
  std::optional<StatsSink<boost::asio::ip::tcp>> statsite_;
  Metrics metrics_;
  MetricWords events_;
  MetricWords queries_;
  const transport::Host* host_ = nullptr;
  // The counters at the last measurement.
  Counters serf_;
  swim::Counters swim_;
  CoordinateTracker::Counters coordinates_;
  int health_score_ = 0;
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
    metrics_.Count(absl::StrCat("serf.events.", events_.Take(user->name)), 1);
  } else if (const auto* query = std::get_if<QueryEvent>(&event)) {
    metrics_.Count(absl::StrCat("serf.queries.", queries_.Take(query->name)), 1);
  }
}

template <typename Set, std::size_t kSize>
void AgentMetrics::CountGrowth(const std::array<Growing<Set>, kSize>& names, const Set& now,
                               Set& last) {
  for (const auto& [name, counter, steps] : names) {
    const std::uint64_t growth = now.*counter - last.*counter;
    if (growth == 0) continue;
    const std::uint64_t times = steps != nullptr ? now.*steps - last.*steps : 1;
    metrics_.CountSteps(name, static_cast<double>(growth), times);
  }
  last = now;
}

inline Duration AgentMetrics::UntilNext() const {
  if (statsd_ || statsite_) return kServerPeriod;
  const Duration left = Metrics::LeftOf(Metrics::Clock::now()) - kBeforeEnd;
  return left > Duration::zero() ? left : left + Metrics::kInterval;
}

inline void AgentMetrics::Measure() {
  const struct mallinfo2 memory = ::mallinfo2();
  metrics_.Gauge("runtime.alloc_bytes", static_cast<double>(memory.uordblks + memory.hblkhd));
  metrics_.Gauge("runtime.sys_bytes", static_cast<double>(memory.arena + memory.hblkhd));
  const Serf& serf = host_->serf();
  CountGrowth(kSerf, serf.counters(), serf_);
  CountGrowth(kSwim, serf.node().counters(), swim_);
  if (const CoordinateTracker* const coordinates = serf.coordinates()) {
    CountGrowth(kCoordinates, coordinates->counters(), coordinates_);
  }
  if (const int score = serf.node().health_score(); score != health_score_) {
    metrics_.Gauge("memberlist.health.score", score);
    health_score_ = score;
  }
  timer_.expires_after(
      std::chrono::duration_cast<boost::asio::steady_timer::duration>(UntilNext()));
  timer_.async_wait([this](const auto& error) {
    if (!error) Measure();
  });
}

}  // namespace serf::cmd

#endif  // SERF_CMD_TELEMETRY_AGENT_METRICS_H_
