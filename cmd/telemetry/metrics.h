#ifndef SERF_CMD_TELEMETRY_METRICS_H_
#define SERF_CMD_TELEMETRY_METRICS_H_

// Metrics: the agent's own measurements, in intervals of the clock, for SIGUSR1 and for statsd.
// Source: docs/protocol/agent.md 5.
//
//   metrics.Count("serf.events", 1);
//   std::fputs(metrics.Dump(system_clock::now()).c_str(), stderr);
//
//   [2026-11-23 04:08:40 +0000 UTC][C] 'serf-agent.serf.events': Count: 1 Sum: 1.000 LastUpdated:
//   ...

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <ctime>
#include <deque>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/string_view.h"
#include "serf/cmd/text/utf8.h"

namespace serf::cmd {

// The words of a metric's name that come from other nodes: the names of events. Letters, digits and
// "-_./:" stay; every other character or stray byte becomes "_". No word can then forge a line or
// the syntax of a metrics server, for which a colon becomes "_" too. At most kMetricWordMax bytes.
inline constexpr std::size_t kMetricWordMax = 256;  // a line fits a datagram many times over
std::string MetricWord(absl::string_view text);

// The names in metrics that came from other nodes so far. Servers keep a metric permanently, so a
// sender of events could fill them. Beyond kMax every further name is "other".
class MetricWords {
 public:
  static constexpr std::size_t kMax = 1024;

  std::string Take(absl::string_view text) {
    std::string word = MetricWord(text);
    if (!known_.contains(word)) {
      if (known_.size() == kMax) return "other";
      known_.insert(word);
    }
    return word;
  }

 private:
  std::set<std::string, std::less<>> known_;
};

// One thread.
class Metrics {
 public:
  using Clock = std::chrono::system_clock;
  static constexpr std::chrono::seconds kInterval{10};
  static constexpr std::size_t kIntervalsMax = 7;  // a minute's, and the current one
  // The most names of an interval: names come from the network too, as names of events.
  static constexpr std::size_t kNamesMax = 1024;

  // 'g' gauge, 'c' counter, 's' sample in milliseconds.
  using Sink = std::function<void(absl::string_view name, char kind, double value)>;

  // `gauge_host` is the second word of the names of gauges; empty: none.
  explicit Metrics(std::string gauge_host = "") : gauge_host_(std::move(gauge_host)) {}

  // The sink also receives every measurement, with the whole name.
  void set_sink(Sink sink) { sink_ = std::move(sink); }

  // The whole names begin with "serf-agent."; those of gauges have the host's name after it. They
  // are put together only for the sink and for Dump(): an idle agent measures, and nobody asks.
  // The name of a gauge is a literal.
  void Gauge(absl::string_view name, double value, Clock::time_point now = Clock::now());
  void Count(absl::string_view name, double value, Clock::time_point now = Clock::now()) {
    CountSteps(name, value, 1, now);
  }
  // As that many calls of Count() whose values have this sum, all equal. The sink receives the sum,
  // once. `steps` is at least 1; zero counts as 1.
  void CountSteps(absl::string_view name, double sum, std::uint64_t steps,
                  Clock::time_point now = Clock::now()) {
    Add(&Interval::counters, 'c', name, sum, std::max<std::uint64_t>(steps, 1), now);
  }
  void Sample(absl::string_view name, double milliseconds, Clock::time_point now = Clock::now());

  // The rest of the interval that `now` lies in; more than zero.
  static Clock::duration LeftOf(Clock::time_point now) { return StartOf(now) + kInterval - now; }

  // All complete intervals of the last minute, one line for each metric.
  std::string Dump(Clock::time_point now = Clock::now()) const;

 private:
  struct Aggregate {
    std::uint64_t count = 0;
    double sum = 0;
    double squares = 0;
    double min = 0;
    double max = 0;
    Clock::time_point last;

    // Adds so many equal values with this sum.
    void Add(double total, std::uint64_t values, Clock::time_point now);
    double StandardDeviation() const;
  };
  using Aggregates = std::map<std::string, Aggregate, std::less<>>;
  struct Interval {
    Clock::time_point start;
    std::vector<std::pair<absl::string_view, double>> gauges;  // few
    Aggregates counters;
    Aggregates samples;
  };

  static Clock::time_point StartOf(Clock::time_point now) {
    const auto since = now.time_since_epoch();
    return Clock::time_point(since - since % kInterval);
  }
  static std::string WholeName(absl::string_view name) { return absl::StrCat("serf-agent.", name); }
  std::string WholeGaugeName(absl::string_view name) const {
    return absl::StrCat("serf-agent.", gauge_host_, gauge_host_.empty() ? "" : ".", name);
  }
  // The interval of `now`. Forgets those that are too old.
  Interval& Current(Clock::time_point now);
  void Add(Aggregates Interval::*kind, char letter, absl::string_view name, double total,
           std::uint64_t values, Clock::time_point now);
  static void AppendAggregates(const std::string& prefix, const Aggregates& aggregates,
                               std::string* out);

  const std::string gauge_host_;
  Sink sink_;
  std::deque<Interval> intervals_;  // oldest first
};

inline std::string MetricWord(absl::string_view text) {
  std::string word;
  while (!text.empty() && word.size() < kMetricWordMax) {
    const Utf8Char c = TakeUtf8(text);
    const auto byte = static_cast<unsigned char>(c.bytes.front());
    const bool stays =
        c.bytes.size() == 1 && (absl::ascii_isalnum(byte) || absl::StrContains("-_./:", c.bytes));
    word += stays ? c.bytes.front() : '_';
  }
  return word;
}

namespace metrics_internal {

inline std::string FormatTime(Metrics::Clock::time_point time, bool fraction) {
  const auto since = time.time_since_epoch();
  const auto seconds = std::chrono::floor<std::chrono::seconds>(since);
  const std::time_t whole = seconds.count();
  std::tm tm{};
  ::gmtime_r(&whole, &tm);
  std::string text = absl::StrFormat("%04d-%02d-%02d %02d:%02d:%02d", tm.tm_year + 1900,
                                     tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec);
  if (fraction) {
    const auto ns = std::chrono::duration_cast<std::chrono::nanoseconds>(since - seconds).count();
    absl::StrAppendFormat(&text, ".%09d", ns);
  }
  return absl::StrCat(text, " +0000 UTC");
}

}  // namespace metrics_internal

inline void Metrics::Aggregate::Add(double total, std::uint64_t values, Clock::time_point now) {
  const double value = total / static_cast<double>(values);
  min = count == 0 ? value : std::min(min, value);
  max = count == 0 ? value : std::max(max, value);
  count += values;
  sum += total;
  squares += total * value;
  last = now;
}

inline double Metrics::Aggregate::StandardDeviation() const {
  if (count < 2) return 0;
  const auto n = static_cast<double>(count);
  return std::sqrt(std::max(0.0, (n * squares - sum * sum) / (n * (n - 1))));
}

inline Metrics::Interval& Metrics::Current(Clock::time_point now) {
  const Clock::time_point start = StartOf(now);
  // After the clock was set back, the newest interval continues.
  if (intervals_.empty() || intervals_.back().start < start) {
    intervals_.push_back({start, {}, {}, {}});
    while (intervals_.size() > kIntervalsMax ||
           intervals_.front().start + kInterval * kIntervalsMax <= start) {
      intervals_.pop_front();
    }
  }
  return intervals_.back();
}

inline void Metrics::Gauge(absl::string_view name, double value, Clock::time_point now) {
  auto& gauges = Current(now).gauges;
  // Mostly the same literal, whose bytes need not be looked at.
  const auto known = std::find_if(gauges.begin(), gauges.end(), [name](const auto& gauge) {
    return gauge.first.data() == name.data() || gauge.first == name;
  });
  if (known != gauges.end()) {
    known->second = value;
  } else {
    gauges.emplace_back(name, value);
  }
  if (sink_) sink_(WholeGaugeName(name), 'g', value);
}

inline void Metrics::Sample(absl::string_view name, double milliseconds, Clock::time_point now) {
  Add(&Interval::samples, 's', name, milliseconds, 1, now);
}

inline void Metrics::Add(Aggregates Interval::*kind, char letter, absl::string_view name,
                         double total, std::uint64_t values, Clock::time_point now) {
  std::string word(name);
  std::replace(word.begin(), word.end(), ' ', '_');
  Aggregates& aggregates = Current(now).*kind;
  if (const auto known = aggregates.find(word); known != aggregates.end()) {
    known->second.Add(total, values, now);
  } else if (aggregates.size() < kNamesMax) {
    aggregates[word].Add(total, values, now);
  }
  if (sink_) sink_(WholeName(word), letter, total);
}

inline void Metrics::AppendAggregates(const std::string& prefix, const Aggregates& aggregates,
                                      std::string* out) {
  for (const auto& [name, a] : aggregates) {
    absl::StrAppend(out, prefix, " '", WholeName(name), "': Count: ", a.count);
    const double deviation = a.StandardDeviation();
    if (deviation != 0) {
      absl::StrAppendFormat(out, " Min: %.3f Mean: %.3f Max: %.3f Stddev: %.3f", a.min,
                            a.sum / static_cast<double>(a.count), a.max, deviation);
    }
    absl::StrAppendFormat(out, " Sum: %.3f LastUpdated: %s\n", a.sum,
                          metrics_internal::FormatTime(a.last, /*fraction=*/true));
  }
}

inline std::string Metrics::Dump(Clock::time_point now) const {
  std::string out;
  for (const Interval& interval : intervals_) {
    const bool complete = interval.start < StartOf(now);
    const bool recent = interval.start + kInterval * kIntervalsMax > now;
    if (!complete || !recent) continue;
    const std::string time =
        absl::StrCat("[", metrics_internal::FormatTime(interval.start, /*fraction=*/false), "]");
    auto gauges = interval.gauges;
    std::sort(gauges.begin(), gauges.end());
    for (const auto& [name, value] : gauges) {
      absl::StrAppendFormat(&out, "%s[G] '%s': %.3f\n", time, WholeGaugeName(name), value);
    }
    AppendAggregates(absl::StrCat(time, "[C]"), interval.counters, &out);
    AppendAggregates(absl::StrCat(time, "[S]"), interval.samples, &out);
  }
  return out;
}

}  // namespace serf::cmd

#endif  // SERF_CMD_TELEMETRY_METRICS_H_
