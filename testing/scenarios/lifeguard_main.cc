// Runs the experiments of the Lifeguard paper over a grid of anomalies, or a part of the grid. Each
// row of the table is a configuration: its false failures, and how soon real ones were detected.

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "serf/base/time.h"
#include "serf/config.h"
#include "serf/swim/config.h"
#include "serf/testing/scenarios/flag_reader.h"
#include "serf/testing/scenarios/json_rows.h"
#include "serf/testing/scenarios/lifeguard.h"

namespace {

using serf::Duration;
using serf::testkit::LifeguardFigures;
using serf::testkit::LifeguardRun;
using serf::testkit::LifeguardSetup;
using std::chrono::milliseconds;

constexpr absl::string_view kUsage =
    "usage: lifeguard [--pacing=prompt,ticked] [--min-percent=100,50] [--alpha=4] [--beta=6]\n"
    "  [--awareness=8] [--standstill=on,off] [--profile=lan|local] [--agents=128] "
    "[--anomalous=1,4,8,...]\n"
    "  [--stand-ms=128,512,...] [--run-ms=1,4,...] [--experiments=threshold,interval]\n"
    "  [--repeats=10] [--service-us=200] [--seed=1] [--json=FILE]\n"
    "--min-percent is suspicion_prompt_percent, --standstill postpone_after_standstill (ticked\n"
    "agents: off, as in Go Serf), --service-us what an anomalous agent needs for a\n"
    "packet. --anomalous is the paper's C, --stand-ms its D, --run-ms its I. The defaults are the "
    "paper's\n"
    "grid; a part of it takes minutes instead of hours.";

struct Options {
  std::vector<std::string> pacing = {"prompt", "ticked"};
  std::vector<int> min_percent = {100};
  std::vector<int> alpha = {4};
  std::vector<int> beta = {6};
  std::vector<int> awareness = {8};
  std::vector<std::string> standstill = {"on"};
  std::string profile = "lan";
  std::uint32_t agents = 128;
  std::vector<std::uint32_t> anomalous = {1, 4, 8, 12, 16, 20, 24, 28, 32};
  std::vector<std::uint32_t> stand_ms = {128, 512, 2048, 8192, 16384, 32768};
  std::vector<std::uint32_t> run_ms = {1, 4, 16, 64, 256, 1024, 4096, 16384};
  std::vector<std::string> experiments = {"threshold", "interval"};
  std::uint64_t repeats = 10;
  std::uint64_t seed = 1;
  std::uint32_t service_us = 200;
  std::string json;
};

double Quantile(std::vector<Duration>& times, double quantile) {
  if (times.empty()) return 0;
  std::sort(times.begin(), times.end());
  const auto at = static_cast<std::size_t>(quantile * static_cast<double>(times.size()));
  return serf::ToSeconds(times[std::min(at, times.size() - 1)]);
}

// A configuration of all agents, by its name in the table.
struct Variant {
  std::string name;
  serf::Config config;
};

std::vector<Variant> Variants(const Options& options) {
  std::vector<Variant> variants;
  const auto add = [&](const std::string& pacing, const std::string& standstill, int alpha,
                       int beta, int awareness, int percent) {
    Variant variant;
    const bool ticked = pacing == "ticked";
    variant.config = options.profile == "local" ? serf::Config::Local() : serf::Config::Lan();
    serf::swim::Config& swim = variant.config.swim;
    swim.gossip_pacing =
        ticked ? serf::swim::GossipPacing::kTicked : serf::swim::GossipPacing::kPrompt;
    swim.suspicion_mult = alpha;
    swim.suspicion_max_timeout_mult = beta;
    swim.awareness_max_multiplier = awareness;
    swim.suspicion_prompt_percent = percent;
    swim.postpone_after_standstill = !ticked && standstill == "on";
    // It saves none of what is measured, and takes most of the time.
    swim.enable_compression = false;
    variant.name = absl::StrCat(pacing, ", a ", alpha, ", b ", beta, ", awareness ", awareness,
                                ticked ? "" : absl::StrCat(", minimum ", percent, " %"),
                                ticked ? "" : absl::StrCat(", standstill ", standstill));
    variants.push_back(std::move(variant));
  };
  for (const std::string& pacing : options.pacing) {
    for (const int alpha : options.alpha) {
      for (const int beta : options.beta) {
        for (const int awareness : options.awareness) {
          for (const int percent : options.min_percent) {
            // Only prompt agents have a shorter minimum.
            if (pacing == "ticked" && percent != options.min_percent.front()) continue;
            for (const std::string& standstill : options.standstill) {
              if (pacing == "ticked" && standstill != options.standstill.front()) continue;
              add(pacing, standstill, alpha, beta, awareness, percent);
            }
          }
        }
      }
    }
  }
  return variants;
}

// An experiment with one kind of anomaly.
struct Trial {
  bool in_turn = false;  // Interval, else Threshold
  LifeguardSetup setup;
};

// The grid, each trial as often as it is repeated.
std::vector<Trial> Trials(const Options& options) {
  std::vector<Trial> trials;
  for (const std::string& experiment : options.experiments) {
    const bool in_turn = experiment == "interval";
    const std::vector<std::uint32_t> once = {0};
    for (const std::uint32_t anomalous : options.anomalous) {
      for (const std::uint32_t stand : options.stand_ms) {
        for (const std::uint32_t run : in_turn ? options.run_ms : once) {
          const Trial trial{in_turn,
                            {.agents = options.agents,
                             .anomalous = anomalous,
                             .acquaintance = std::chrono::seconds(options.agents),
                             .stand = milliseconds(stand),
                             .run = milliseconds(run),
                             .service = std::chrono::microseconds(options.service_us)}};
          trials.insert(trials.end(), options.repeats, trial);
        }
      }
    }
  }
  return trials;
}

// The grid for one configuration, as a line of the table and a JSON object. Nothing if a cluster
// did not start. All configurations have the same seeds.
std::optional<std::string> RunGrid(const Options& options, const Variant& variant) {
  LifeguardFigures interval;
  LifeguardFigures threshold;
  std::uint64_t runs = 0;
  std::vector<std::uint64_t> false_failures_of_runs;
  for (const Trial& trial : Trials(options)) {
    LifeguardRun run(variant.config, trial.setup, options.seed + runs++);
    const std::optional<LifeguardFigures> figures =
        trial.in_turn ? run.Interval() : run.Threshold();
    if (!figures) return std::nullopt;
    false_failures_of_runs.push_back(figures->false_failures);
    (trial.in_turn ? interval : threshold).Add(*figures);
  }
  LifeguardFigures all = interval;
  all.Add(threshold);
  std::printf(
      "| %s | %llu | %llu | %llu | %.2f | %.2f | %.2f | %.2f | %.2f | %.2f | %zu | %.3f | %.3f |\n",
      variant.name.c_str(), static_cast<unsigned long long>(runs),
      static_cast<unsigned long long>(all.false_failures),
      static_cast<unsigned long long>(all.false_failures_at_healthy),
      Quantile(threshold.first, 0.5), Quantile(threshold.first, 0.99),
      Quantile(threshold.first, 0.999), Quantile(threshold.full, 0.5),
      Quantile(threshold.full, 0.99), Quantile(threshold.full, 0.999), threshold.first.size(),
      static_cast<double>(all.datagrams) / 1e6, static_cast<double>(all.bytes) / 1e9);
  std::fflush(stdout);
  return absl::StrCat("{\"configuration\": \"", variant.name, "\", \"seed\": ", options.seed,
                      ", \"runs\": ", runs, ", \"fp\": ", all.false_failures,
                      ", \"fp_healthy\": ", all.false_failures_at_healthy, ", \"fp_of_runs\": [",
                      absl::StrJoin(false_failures_of_runs, ", "),
                      "], \"fp_threshold\": ", threshold.false_failures,
                      ", \"fp_healthy_threshold\": ", threshold.false_failures_at_healthy,
                      ", \"first_median_s\": ", Quantile(threshold.first, 0.5),
                      ", \"first_p99_s\": ", Quantile(threshold.first, 0.99),
                      ", \"full_median_s\": ", Quantile(threshold.full, 0.5),
                      ", \"full_p99_s\": ", Quantile(threshold.full, 0.99),
                      ", \"detected\": ", threshold.first.size(),
                      ", \"datagrams\": ", all.datagrams, ", \"bytes\": ", all.bytes, "}");
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  serf::testkit::FlagReader flags(argc, argv);
  flags.Read("pacing", options.pacing);
  flags.Read("min-percent", options.min_percent, serf::swim::kSuspicionPercentMin);
  flags.Read("alpha", options.alpha, 1);
  flags.Read("beta", options.beta, 1);
  flags.Read("awareness", options.awareness, 1);
  flags.Read("standstill", options.standstill);
  flags.Read("profile", options.profile);
  flags.Read("agents", options.agents, 3);
  flags.Read("anomalous", options.anomalous, 1);
  flags.Read("stand-ms", options.stand_ms, 1);
  flags.Read("run-ms", options.run_ms, 1);
  flags.Read("experiments", options.experiments);
  flags.Read("repeats", options.repeats, 1);
  flags.Read("seed", options.seed);
  flags.Read("service-us", options.service_us);
  flags.Read("json", options.json);
  if (!flags.Done(kUsage)) return 2;
  for (const std::uint32_t anomalous : options.anomalous) {
    if (anomalous < options.agents) continue;
    std::fprintf(stderr, "--anomalous=%u leaves none of %u agents\n", anomalous, options.agents);
    return 2;
  }
  std::printf(
      "| configuration | runs | FP | FP- | first median s | 99 %% | 99.9 %% | full median s | 99 "
      "%% | "
      "99.9 %% | detected | M datagrams | GB "
      "|\n|---|---|---|---|---|---|---|---|---|---|---|---|---|\n");
  std::vector<std::string> json;
  for (const Variant& variant : Variants(options)) {
    const std::optional<std::string> row = RunGrid(options, variant);
    if (!row) return 1;
    json.push_back(*row);
  }
  return options.json.empty() || serf::testkit::WriteJsonRows(options.json, json) ? 0 : 1;
}
