// Runs a large cluster by hand: scale NODES [SECONDS]. All nodes know each other from the start.
// Prints the cost of a row and the speed of virtual time, while the cluster probes and loses ten
// nodes. Seconds are those of the processor, unless they are virtual.

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
  // A node that learns of ten thousand others at once would queue as many announcements.
  config.swim.broadcast_queue_max = 64;
  const double before = Resident();
  double start = Spent();
  ScaleCluster cluster(1, std::move(config));
  const bool joined = cluster.StartJoined(nodes);
  std::printf("%u nodes started in %.1f s: %s\n", nodes, (Spent() - start),
              joined ? "all know all" : "they don't agree");
  const double pairs = static_cast<double>(nodes) * nodes;
  std::printf("%.2f GiB resident, %.1f bytes per row\n", Resident() / (1 << 30),
              (Resident() - before) / pairs);
  std::fflush(stdout);
  if (!joined) return 1;

  start = Spent();
  cluster.world().RunFor(std::chrono::seconds(seconds));
  std::printf("idle: %.3f virtual seconds per second\n", seconds / (Spent() - start));
  std::fflush(stdout);

  start = Spent();
  const serf::Instant crash = cluster.world().now();
  for (std::uint32_t i = 0; i < 10; ++i) cluster.world().Crash(NodeId(nodes / 10 * i));
  const bool agreed = cluster.WaitForAgreement(std::chrono::minutes(2));
  const double virtual_seconds = serf::ToSeconds(cluster.world().now() - crash);
  std::printf("%s %.1f virtual seconds after a crash of 10; %.3f virtual seconds per second\n",
              agreed ? "agreed" : "no agreement", virtual_seconds,
              virtual_seconds / (Spent() - start));
  std::printf("%.2f GiB resident\n", Resident() / (1 << 30));
  return agreed ? 0 : 1;
}
