// What a node of a large simulated cluster costs, in bytes, allocations and datagrams, so that ten
// thousand of them fit in a small machine (docs/simulation.md). Nodes share what they agree about.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <utility>

#include "gtest/gtest.h"
#include "serf/base/time.h"
#include "serf/config.h"
#include "serf/swim/scaling.h"
#include "serf/testing/allocations.h"
#include "serf/testing/sim/link_model.h"
#include "serf/testing/sim/scale_cluster.h"
#include "serf/testing/sim/world.h"

namespace serf::testkit {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;

constexpr std::uint32_t kNodes = 2000;

class ScaleCost : public testing::Test {
 protected:
  ScaleCost() : before_(allocations().live), cluster_(1, Plain()) {}

  static Config Plain() {
    Config config = Config::Lan();
    config.swim.enable_compression = false;
    return config;
  }
  // Of all nodes together, for each node.
  double Bytes() const { return static_cast<double>(allocations().live - before_) / kNodes; }
  double Datagrams() { return static_cast<double>(cluster_.world().links().counters().datagrams); }

  std::size_t before_;
  ScaleCluster cluster_;
};

TEST_F(ScaleCost, NodesShareWhatTheyAgreeAbout) {
  // Its own table would take a node some 120 kB.
  ASSERT_TRUE(cluster_.StartJoined(kNodes));
  std::printf("%.0f bytes per node\n", Bytes());
  EXPECT_LE(Bytes(), 20'000);

  // Each node probes one member a second. Its memory of the members' coordinates grows.
  const std::size_t allocated = allocations().count;
  double datagrams = Datagrams();
  constexpr int kSeconds = 5;
  cluster_.world().RunFor(seconds(kSeconds));
  const double probes = kNodes * kSeconds;
  const double allocated_per_probe = static_cast<double>(allocations().count - allocated) / probes;
  std::printf("idle: %.0f bytes per node; %.2f datagrams and %.2f allocations per probe\n", Bytes(),
              (Datagrams() - datagrams) / probes, allocated_per_probe);
  EXPECT_NEAR((Datagrams() - datagrams) / probes, 2, 0.01) << "a ping and its answer";
  EXPECT_LE(allocated_per_probe, 2.5);
  EXPECT_LE(Bytes(), 22'000);

  // Then each node keeps a page of rows for itself, and its candidates for targets of gossip.
  datagrams = Datagrams();
  const Instant start = cluster_.world().now();
  ASSERT_TRUE(cluster_.Disseminate(NodeId(700), "new", seconds(10)).has_value());
  ASSERT_TRUE(cluster_.WaitForQuiet(minutes(1)));
  const double probing = 2 * kNodes * ToSeconds(cluster_.world().now() - start);
  const double sent = (Datagrams() - datagrams - probing) / kNodes;
  std::printf("news: %.0f bytes and %.1f datagrams per node\n", Bytes(), sent);
  EXPECT_LE(Bytes(), 36'000);
  EXPECT_LE(sent, swim::RetransmitLimit(Plain().swim.retransmit_mult, kNodes) * 1.1);
}

}  // namespace
}  // namespace serf::testkit
