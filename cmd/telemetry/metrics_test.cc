// Tests of the agent's metrics.

#include "serf/cmd/telemetry/metrics.h"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace serf::cmd {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// 2026-11-23 04:08:40 UTC.
constexpr Metrics::Clock::time_point kStart{seconds(1795406920)};

TEST(MetricsTest, DumpsCompleteIntervals) {
  Metrics metrics;
  metrics.Gauge("runtime.alloc_bytes", 1, kStart);
  metrics.Gauge("runtime.alloc_bytes", 2.5, kStart);
  metrics.Count("serf.events.de ploy:x", 1, kStart + milliseconds(1500));
  for (const double ms : {1, 2, 3}) metrics.Sample("agent.invoke.x", ms, kStart);
  EXPECT_EQ(metrics.Dump(kStart + seconds(9)), "");
  EXPECT_EQ(
      metrics.Dump(kStart + seconds(10)),
      "[2026-11-23 04:08:40 +0000 UTC][G] 'serf-agent.runtime.alloc_bytes': 2.500\n"
      "[2026-11-23 04:08:40 +0000 UTC][C] 'serf-agent.serf.events.de_ploy:x': Count: 1 Sum: 1.000 "
      "LastUpdated: 2026-11-23 04:08:41.500000000 +0000 UTC\n"
      "[2026-11-23 04:08:40 +0000 UTC][S] 'serf-agent.agent.invoke.x': Count: 3 Min: 1.000 Mean: "
      "2.000 Max: 3.000 Stddev: 1.000 Sum: 6.000 LastUpdated: 2026-11-23 04:08:40.000000000 +0000 "
      "UTC\n");
}

TEST(MetricsTest, IntervalsEndByTheClock) {
  EXPECT_EQ(Metrics::LeftOf(kStart), seconds(10));
  EXPECT_EQ(Metrics::LeftOf(kStart + milliseconds(9990)), milliseconds(10));
}

TEST(MetricWordTest, KeepsWhatHasNoMeaningToServers) {
  const struct {
    std::string text;
    std::string word;
  } kCases[] = {
      {"deploy", "deploy"},
      {"a-b_c.d/E9", "a-b_c.d/E9"},
      {"", ""},
      {"a b:c|d@e#f,g\nh", "a_b:c_d_e_f_g_h"},
      {"x:1|c\nserf-agent.serf.events:1000000|c", "x:1_c_serf-agent.serf.events:1000000_c"},
      {"\u00e9\u20ac", "__"},  // one for each character
      {std::string("\0\xff\x7f{}", 5), "_____"},
      {std::string(9000, 'x'), std::string(kMetricWordMax, 'x')},
  };
  for (const auto& c : kCases) EXPECT_EQ(MetricWord(c.text), c.word) << c.text;
}

TEST(MetricWordTest, AreBounded) {
  MetricWords words;
  EXPECT_EQ(words.Take("a b"), "a_b");
  for (std::size_t i = 1; i < MetricWords::kMax; ++i) words.Take(absl::StrCat(i));
  EXPECT_EQ(words.Take("new"), "other");
  EXPECT_EQ(words.Take("a b"), "a_b");
}

TEST(MetricsTest, KeepsAMinute) {
  Metrics metrics;
  for (int i = 0; i < 20; ++i) {
    metrics.Count(absl::StrCat("c", i), 1, kStart + seconds(10 * i));
  }
  const std::string dump = metrics.Dump(kStart + seconds(195));
  for (int i = 0; i < 20; ++i) {
    EXPECT_EQ(dump.find(absl::StrCat("c", i, "'")) != std::string::npos, i >= 13 && i < 19) << i;
  }
  EXPECT_EQ(metrics.Dump(kStart + seconds(1000)), "");
}

TEST(MetricsTest, NamesAreBounded) {
  Metrics metrics;
  for (std::size_t i = 0; i < 2 * Metrics::kNamesMax; ++i) {
    metrics.Count(absl::StrCat("c", i), 1, kStart);
  }
  const std::string dump = metrics.Dump(kStart + seconds(10));
  EXPECT_EQ(static_cast<std::size_t>(std::count(dump.begin(), dump.end(), '\n')),
            Metrics::kNamesMax);
}

TEST(MetricsTest, ClockThatIsSetBack) {
  Metrics metrics;
  metrics.Count("a", 1, kStart);
  metrics.Count("a", 1, kStart - seconds(100));
  EXPECT_THAT(metrics.Dump(kStart + seconds(10)), ::testing::HasSubstr("Count: 2"));
}

// Go Serf 0.9.4 counts each event by itself, so that three events are "Count: 3 Sum: 3.000".
TEST(MetricsTest, StepsThatWereCountedTogether) {
  struct Row {
    double sum;
    std::uint64_t steps;
    absl::string_view dumped;
  };
  constexpr Row kRows[] = {
      {3, 3, "'serf-agent.c': Count: 3 Sum: 3.000 "},
      {1200, 4, "'serf-agent.c': Count: 4 Sum: 1200.000 "},
      {7, 0, "'serf-agent.c': Count: 1 Sum: 7.000 "},
  };
  for (const Row& row : kRows) {
    Metrics metrics;
    std::vector<double> heard;
    metrics.set_sink([&](absl::string_view, char, double value) { heard.push_back(value); });
    metrics.CountSteps("c", row.sum, row.steps, kStart);
    EXPECT_THAT(metrics.Dump(kStart + seconds(10)), ::testing::HasSubstr(row.dumped));
    EXPECT_THAT(heard, ::testing::ElementsAre(row.sum));
  }
}

TEST(MetricsTest, SinkHearsAll) {
  Metrics metrics("host1");
  std::vector<std::string> heard;
  metrics.set_sink([&](absl::string_view name, char kind, double value) {
    heard.push_back(absl::StrCat(name, " ", absl::string_view(&kind, 1), " ", value));
  });
  metrics.Gauge("runtime.x", 1, kStart);
  metrics.Count("c", 2, kStart);
  metrics.Sample("s", 3, kStart);
  EXPECT_THAT(heard, ::testing::ElementsAre("serf-agent.host1.runtime.x g 1", "serf-agent.c c 2",
                                            "serf-agent.s s 3"));
}

}  // namespace
}  // namespace serf::cmd
