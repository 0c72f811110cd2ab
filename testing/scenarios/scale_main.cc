// Runs a large cluster by hand: scale NODES [SECONDS]. All nodes know each other from the start.
// Prints the cost of a row and the speed of virtual time, while the cluster probes, spreads news
// and loses ten nodes. Seconds are those of the processor, unless they are virtual.

#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <ctime>
#include <utility>

#include "absl/strings/numbers.h"
#include "serf/base/time.h"
#include "serf/config.h"
#include "serf/testing/sim/link_model.h"
#include "serf/testing/sim/scale_cluster.h"
#include "serf/testing/sim/world.h"

namespace {

using serf::testkit::NodeId;
using serf::testkit::ScaleCluster;

// The resident memory of this process, in bytes.
double Resident() {
  std::FILE* file = std::fopen("/proc/self/statm", "r");
  if (file == nullptr) return 0;
  long total = 0;
  long resident = 0;
  const int read = std::fscanf(file, "%ld %ld", &total, &resident);
  std::fclose(file);
  return read == 2 ? static_cast<double>(resident) * static_cast<double>(::sysconf(_SC_PAGESIZE))
                   : 0;
}

// The processor time of this process so far, in seconds.
double Spent() { return static_cast<double>(std::clock()) / CLOCKS_PER_SEC; }

}  // namespace

int main(int argc, char** argv) {
  std::uint32_t nodes = 0;
  int seconds = 10;
  if (argc < 2 || argc > 3 || !absl::SimpleAtoi(argv[1], &nodes) || nodes < 20 ||
      (argc == 3 && (!absl::SimpleAtoi(argv[2], &seconds) || seconds < 1))) {
    std::fprintf(stderr, "usage: scale NODES [SECONDS]\n");
    return 2;
  }
  serf::Config config = serf::Config::Lan();
  config.swim.enable_compression = false;
  const double before = Resident();
  double start = Spent();
  ScaleCluster cluster(1, std::move(config));
  const bool joined = cluster.StartJoined(nodes);
  std::printf("%u nodes started in %.1f s: %s\n", nodes, (Spent() - start),
              joined ? "all know all" : "they don't agree");
  const double pairs = static_cast<double>(nodes) * nodes;
  const auto tell_memory = [&] {
    std::printf("  %.2f GiB resident, %.1f bytes per row\n", Resident() / (1 << 30),
                (Resident() - before) / pairs);
    std::fflush(stdout);
  };
  tell_memory();
  if (!joined) return 1;

  // Runs, and tells how fast virtual time passed.
  serf::testkit::World& world = cluster.world();
  const auto measure = [&](const char* what, auto&& run) {
    start = Spent();
    const serf::Instant begin = world.now();
    const std::uint64_t datagrams = world.links().counters().datagrams;
    const bool agreed = run();
    const double spent = Spent() - start;
    const double passed = serf::ToSeconds(world.now() - begin);
    const auto sent = static_cast<double>(world.links().counters().datagrams - datagrams);
    std::printf(
        "%s: %.1f virtual seconds, %.2f in a second; %.1f datagrams per node and virtual second, "
        "%.2f us each%s\n",
        what, passed, passed / spent, sent / nodes / passed, spent / sent * 1e6,
        agreed ? "" : "; no agreement");
    tell_memory();
    return agreed;
  };
  measure("idle", [&] {
    world.RunFor(std::chrono::seconds(seconds));
    return true;
  });
  const auto change = [&](int i) {
    return measure("one changes its tags, until all know", [&] {
      const NodeId subject(nodes / 3 * static_cast<std::uint32_t>(i));
      return cluster.Disseminate(subject, "new", std::chrono::minutes(1)).has_value() &&
             cluster.WaitForQuiet(std::chrono::minutes(1));
    });
  };
  // With the first news each node finds its place on the rings.
  if (!change(1) || !change(2)) return 1;
  const bool agreed = measure("ten crash, until all agree", [&] {
    for (std::uint32_t i = 0; i < 10; ++i) world.Crash(NodeId(nodes / 10 * i));
    return cluster.WaitForAgreement(std::chrono::minutes(2));
  });
  return agreed ? 0 : 1;
}
