// Tests the text of metrics: both formats to the byte, and that a reader finds in the metrics of a
// node what was put in.

#include "serf/rpc/exposition.h"

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "gtest/gtest.h"
#include "serf/base/rng.h"
#include "serf/counters.h"
#include "serf/rpc/node_metrics.h"
#include "serf/rpc/node_snapshot.h"
#include "serf/swim/counters.h"

namespace serf::rpc {
namespace {

using Format = Exposition::Format;

std::string Example(Format format) {
  Exposition text(format);
  text.Info("app_build_info", "Version \"of\" the\\program.", {{"version", "1.2"}});
  text.Counter("app_bytes_total", "Bytes.", 12345678901234.0, "bytes");
  const std::vector<Exposition::Sample> samples = {{{{"queue", "a"}, {"kind", "x"}}, 0.25},
                                                   {{{"queue", "say \"hi\"\\\n"}}, -3}};
  text.Gauge("app_queue_length", "Jobs\nthat wait.", samples);
  return std::move(text).Finish();
}

TEST(ExpositionTest, TextFormat) {
  EXPECT_EQ(Example(Format::kText),
            "# TYPE app_build_info gauge\n"
            "# HELP app_build_info Version \"of\" the\\\\program.\n"
            "app_build_info{version=\"1.2\"} 1\n"
            "# TYPE app_bytes_total counter\n"
            "# HELP app_bytes_total Bytes.\n"
            "app_bytes_total 12345678901234\n"
            "# TYPE app_queue_length gauge\n"
            "# HELP app_queue_length Jobs\\nthat wait.\n"
            "app_queue_length{queue=\"a\",kind=\"x\"} 0.25\n"
            "app_queue_length{queue=\"say \\\"hi\\\"\\\\\\n\"} -3\n");
}

TEST(ExpositionTest, OpenMetrics) {
  EXPECT_EQ(Example(Format::kOpenMetrics),
            "# TYPE app_build info\n"
            "# HELP app_build Version \\\"of\\\" the\\\\program.\n"
            "app_build_info{version=\"1.2\"} 1\n"
            "# TYPE app_bytes counter\n"
            "# UNIT app_bytes bytes\n"
            "# HELP app_bytes Bytes.\n"
            "app_bytes_total 12345678901234\n"
            "# TYPE app_queue_length gauge\n"
            "# HELP app_queue_length Jobs\\nthat wait.\n"
            "app_queue_length{queue=\"a\",kind=\"x\"} 0.25\n"
            "app_queue_length{queue=\"say \\\"hi\\\"\\\\\\n\"} -3\n"
            "# EOF\n");
}

TEST(ExpositionTest, Numbers) {
  const auto number = [](double value) {
    Exposition text(Format::kText);
    text.Gauge("x", "X.", value);
    const std::string all = std::move(text).Finish();
    return all.substr(all.rfind(' ') + 1);
  };
  EXPECT_EQ(number(0), "0\n");
  EXPECT_EQ(number(1e15), "1e+15\n");
  EXPECT_EQ(number(999999999999999), "999999999999999\n");
  EXPECT_EQ(number(0.1), "0.1\n");
  EXPECT_EQ(number(1e-300), "1e-300\n");
  EXPECT_EQ(number(std::numeric_limits<double>::infinity()), "+Inf\n");
  EXPECT_EQ(number(-std::numeric_limits<double>::infinity()), "-Inf\n");
  EXPECT_EQ(number(std::numeric_limits<double>::quiet_NaN()), "NaN\n");
}

// A reader of the text that knows the rules of the names.
std::map<std::string, double> ReadBack(const std::string& text, Format format) {
  std::map<std::string, double> samples;
  std::set<std::string> families;
  std::string family;
  for (const absl::string_view line : absl::StrSplit(text, '\n')) {
    if (line.empty() || line == "# EOF") continue;
    const std::vector<std::string> words = absl::StrSplit(line, absl::MaxSplits(' ', 3));
    if (words[0] == "#") {
      if (words[1] == "TYPE") {
        family = words[2];
        EXPECT_TRUE(families.insert(family).second) << "twice: " << family;
        EXPECT_TRUE(absl::StartsWith(family, "serf_")) << family;
        const bool total = absl::EndsWith(family, "_total");
        EXPECT_EQ(total, words[3] == "counter" && format == Format::kText) << family;
      }
      EXPECT_EQ(words[2], family);
      if (words[1] == "UNIT") {
        EXPECT_TRUE(absl::EndsWith(family, words[3])) << family;
      }
      if (words[1] == "HELP") {
        EXPECT_TRUE(absl::EndsWith(words[3], ".")) << words[3];
      }
      continue;
    }
    const std::size_t blank = line.rfind(' ');
    const std::string name(line.substr(0, blank));
    EXPECT_TRUE(absl::StartsWith(name, family)) << name;
    double value = 0;
    EXPECT_TRUE(absl::SimpleAtod(line.substr(blank + 1), &value)) << line;
    EXPECT_TRUE(samples.emplace(name, value).second) << "twice: " << name;
  }
  return samples;
}

// Fills a struct of counters with numbers that are all different.
template <typename Set>
void Fill(Set& set, std::uint64_t& next, std::set<double>& values) {
  static_assert(sizeof(Set) % sizeof(std::uint64_t) == 0);
  for (std::size_t i = 0; i < sizeof(Set) / sizeof(std::uint64_t); ++i) {
    next += 1;
    values.insert(static_cast<double>(next));
    std::memcpy(reinterpret_cast<char*>(&set) + i * sizeof(next), &next, sizeof(next));
  }
}

TEST(NodeMetricsTest, EachCounterIsThereOnce) {
  for (const Format format : {Format::kText, Format::kOpenMetrics}) {
    NodeSnapshot now;
    std::uint64_t next = 1000;
    std::set<double> values;
    Fill(now.serf, next, values);
    Fill(now.swim, next, values);
    now.coordinates = NodeSnapshot::Coordinates();
    Exposition text(format);
    AppendNodeMetrics(now, text);
    const std::map<std::string, double> samples = ReadBack(std::move(text).Finish(), format);
    std::multiset<double> found;
    for (const auto& [name, value] : samples) {
      if (value >= 1000) found.insert(value);
    }
    EXPECT_EQ(std::set<double>(found.begin(), found.end()), values);
    EXPECT_EQ(found.size(), values.size());
  }
}

TEST(NodeMetricsTest, Gauges) {
  NodeSnapshot now;
  now.stats.members = 10;
  now.stats.failed = 2;
  now.stats.left = 1;
  now.stats.health_score = 3;
  now.stats.event_time = 77;
  now.suspect = 4;
  now.membership_queue = 5;
  Exposition text(Format::kText);
  AppendNodeMetrics(now, text);
  std::map<std::string, double> samples = ReadBack(std::move(text).Finish(), Format::kText);
  EXPECT_EQ(samples["serf_members{status=\"alive\"}"], 7);
  EXPECT_EQ(samples["serf_members{status=\"failed\"}"], 2);
  EXPECT_EQ(samples["serf_health_score"], 3);
  EXPECT_EQ(samples["serf_lamport_time{clock=\"event\"}"], 77);
  EXPECT_EQ(samples["serf_swim_suspicions"], 4);
  EXPECT_EQ(samples["serf_queue_length{queue=\"membership\"}"], 5);
  EXPECT_EQ(samples.count("serf_coordinate_resets_total"), 0U);  // coordinates are disabled
}

}  // namespace
}  // namespace serf::rpc
