// Measures how news spreads through clusters of nodes that know each other, and what it costs.
// Prints a table, and writes the same figures as JSON.

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "serf/base/time.h"
#include "serf/config.h"
#include "serf/swim/config.h"
#include "serf/testing/scenarios/flag_reader.h"
#include "serf/testing/scenarios/json_rows.h"
#include "serf/testing/scenarios/news.h"

namespace {

using serf::Duration;
using serf::testkit::NewsCluster;
using serf::testkit::NewsFigures;
using serf::testkit::NewsLoad;
using serf::testkit::NewsProbes;

constexpr absl::string_view kUsage =
    "usage: news [--nodes=20,100,1000] [--rates=1,10,100,1000] [--loss=0,0.05]\n"
    "  [--dead=0,0.1,0.3,0.6] [--pacing=prompt,ticked] [--profile=lan|local|wan]\n"
    "  [--senders=all|one] [--probes=0] [--seconds=5] [--warm-up=3] [--events=20] [--payload=32] "
    "[--latency-us=500]\n"
    "  [--jitter-us=500] [--seed=1] [--json=FILE]\n"
    "Rates are user events a second of the whole cluster; loss and dead are shares. With "
    "--probes=1\n"
    "nodes probe each other, which notices deaths and losses.";

struct Options {
  std::vector<std::uint32_t> nodes = {20, 100, 1000};
  std::vector<double> rates = {1, 10, 100, 1000};
  std::vector<double> loss = {0, 0.05};
  std::vector<double> dead = {0, 0.1, 0.3, 0.6};
  std::vector<std::string> pacing = {"prompt", "ticked"};
  std::string profile = "lan";
  std::string senders = "all";
  std::uint32_t probes = 0;
  double seconds = 5;
  double warm_up = 3;
  std::size_t events = 20;
  std::size_t payload = 32;
  std::uint32_t latency_us = 500;
  std::uint32_t jitter_us = 500;
  std::uint64_t seed = 1;
  std::string json;
};

Duration Seconds(double seconds) {
  return std::chrono::duration_cast<Duration>(std::chrono::duration<double>(seconds));
}

std::optional<serf::Config> ConfigOf(const std::string& profile, const std::string& pacing) {
  serf::Config config;
  if (profile == "lan") {
    config = serf::Config::Lan();
  } else if (profile == "local") {
    config = serf::Config::Local();
  } else if (profile == "wan") {
    config = serf::Config::Wan();
  } else {
    return std::nullopt;
  }
  if (pacing == "prompt") {
    config.swim.gossip_pacing = serf::swim::GossipPacing::kPrompt;
  } else if (pacing == "ticked") {
    config.swim.gossip_pacing = serf::swim::GossipPacing::kTicked;
  } else {
    return std::nullopt;
  }
  return config;
}

// In milliseconds; "never" for what gossip does not reach.
std::string Milliseconds(Duration time, absl::string_view never) {
  if (time == NewsFigures::kNever) return std::string(never);
  char text[32];
  std::snprintf(text, sizeof text, "%.1f", serf::ToSeconds(time) * 1000);
  return text;
}

// A measurement, as a line of the table and as a JSON object.
struct Row {
  std::uint32_t nodes = 0;
  std::string pacing;
  double rate = 0;
  double loss = 0;
  double dead = 0;
  NewsFigures figures;

  static constexpr const char* kHead =
      "| nodes | pacing | news/s | loss | dead | median ms | p99 ms | missed pairs | packets/s "
      "sent "
      "| KB/s sent | packets/s received | KB/s received |\n"
      "|---|---|---|---|---|---|---|---|---|---|---|---|\n";

  void Print() const {
    const NewsFigures& f = figures;
    std::string missed = "0";
    if (f.missed > 0) {
      char share[32];
      std::snprintf(share, sizeof share, " (%.3g %%)",
                    100 * static_cast<double>(f.missed) / static_cast<double>(f.pairs));
      missed = absl::StrCat(f.missed, share);
    }
    std::printf("| %u | %s | %g | %g %% | %g %% | %s | %s | %s | %.1f | %.2f | %.1f | %.2f |\n",
                nodes, pacing.c_str(), rate, loss * 100, dead * 100,
                Milliseconds(f.median, "never").c_str(), Milliseconds(f.p99, "never").c_str(),
                missed.c_str(), f.packets_sent, f.bytes_sent / 1000, f.packets_received,
                f.bytes_received / 1000);
    std::fflush(stdout);
  }

  std::string Json(const Options& options) const {
    const NewsFigures& f = figures;
    return absl::StrCat(
        "{\"profile\": \"", options.profile, "\", \"seed\": ", options.seed, ", \"nodes\": ", nodes,
        ", \"pacing\": \"", pacing, "\", \"per_second\": ", rate, ", \"loss\": ", loss,
        ", \"dead\": ", dead, ", \"senders\": \"", options.senders,
        "\", \"probes\": ", options.probes > 0 ? 1 : 0, ", \"payload_bytes\": ", options.payload,
        ", \"events\": ", f.events, ", \"complete\": ", f.complete,
        ", \"median_ms\": ", Milliseconds(f.median, "null"),
        ", \"p99_ms\": ", Milliseconds(f.p99, "null"), ", \"pairs\": ", f.pairs,
        ", \"missed\": ", f.missed, ", \"packets_sent\": ", f.packets_sent,
        ", \"bytes_sent\": ", f.bytes_sent, ", \"packets_received\": ", f.packets_received,
        ", \"bytes_received\": ", f.bytes_received, "}");
  }
};

// All loads on clusters of one size and pacing: a new cluster for each share of dead nodes, so that
// no measurement depends on the ones before.
bool MeasureAll(const Options& options, std::uint32_t nodes, const std::string& pacing,
                std::vector<std::string>& json) {
  for (const double dead : options.dead) {
    NewsCluster cluster(*ConfigOf(options.profile, pacing), nodes, options.seed,
                        options.probes > 0 ? NewsProbes::kSteady : NewsProbes::kNone);
    cluster.links().settings().latency = std::chrono::microseconds(options.latency_us);
    cluster.links().settings().jitter = std::chrono::microseconds(options.jitter_us);
    if (!cluster.Start()) {
      std::fprintf(stderr, "%u nodes do not know each other\n", nodes);
      return false;
    }
    cluster.Kill(dead);
    for (const double rate : options.rates) {
      for (const double loss : options.loss) {
        const NewsLoad load{.per_second = rate,
                            .loss = loss,
                            .from_one = options.senders == "one",
                            .warm_up = Seconds(options.warm_up),
                            .measured = Seconds(options.seconds),
                            .events_min = options.events,
                            .payload_bytes = options.payload};
        const Row row{nodes, pacing, rate, loss, dead, cluster.Measure(load)};
        row.Print();
        json.push_back(row.Json(options));
      }
    }
  }
  return true;
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  serf::testkit::FlagReader flags(argc, argv);
  flags.Read("nodes", options.nodes, 2);
  flags.Read("rates", options.rates, 0.001);
  flags.Read("loss", options.loss);
  flags.Read("dead", options.dead);
  flags.Read("pacing", options.pacing);
  flags.Read("profile", options.profile);
  flags.Read("senders", options.senders);
  flags.Read("probes", options.probes);
  flags.Read("seconds", options.seconds);
  flags.Read("warm-up", options.warm_up);
  flags.Read("events", options.events, 1);
  flags.Read("payload", options.payload, 8);
  flags.Read("latency-us", options.latency_us);
  flags.Read("jitter-us", options.jitter_us, 1);
  flags.Read("seed", options.seed);
  flags.Read("json", options.json);
  if (!flags.Done(kUsage)) return 2;
  if (options.senders != "all" && options.senders != "one") {
    std::fprintf(stderr, "senders is %s, must be all or one\n", options.senders.c_str());
    return 2;
  }
  for (const std::string& pacing : options.pacing) {
    if (!ConfigOf(options.profile, pacing)) {
      std::fprintf(stderr, "unknown profile %s or pacing %s\n", options.profile.c_str(),
                   pacing.c_str());
      return 2;
    }
  }
  std::printf("%s", Row::kHead);
  std::vector<std::string> json;
  for (const std::uint32_t nodes : options.nodes) {
    for (const std::string& pacing : options.pacing) {
      if (!MeasureAll(options, nodes, pacing, json)) return 1;
    }
  }
  return options.json.empty() || serf::testkit::WriteJsonRows(options.json, json) ? 0 : 1;
}
