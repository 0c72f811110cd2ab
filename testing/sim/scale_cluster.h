#ifndef SERF_TESTING_SIM_SCALE_CLUSTER_H_
#define SERF_TESTING_SIM_SCALE_CLUSTER_H_

// ScaleCluster: a World of a thousand nodes and more, all joined, for tests and measurements of
// large clusters. Its conditions read the SWIM layers' tables, because lists of members would cost
// more than the simulation itself.

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "serf/base/bytes.h"
#include "serf/base/rng.h"
#include "serf/base/time.h"
#include "serf/config.h"
#include "serf/swim/node_info.h"
#include "serf/tags.h"
#include "serf/testing/sim/link_model.h"
#include "serf/testing/sim/world.h"
#include "serf/wire/ids.h"
#include "serf/wire/swim_messages.h"

namespace serf::testkit {

class ScaleCluster {
 public:
  ScaleCluster(std::uint64_t seed, Config config)
      : rng_(seed), world_(rng_.Next()), config_(std::move(config)) {}

  World& world() { return world_; }
  std::size_t size() const { return world_.size(); }

  // Adds `nodes`, one every `spacing`; each joins a random one before it.
  void Grow(std::size_t nodes, Duration spacing) {
    for (std::size_t i = 0; i < nodes; ++i) {
      const std::size_t before = world_.size();
      const NodeId node = world_.Add(absl::StrCat("node-", before), config_);
      if (before > 0) {
        world_.Join(node, {NodeId(static_cast<std::uint32_t>(rng_.Below(before)))});
      }
      world_.RunFor(spacing);
    }
  }

  // Adds `nodes` that all know each other from the start, for measurements of an existing cluster:
  // each learns of all by one push/pull. Then they would announce all of it to each other, which
  // would take hours with ten thousand nodes; so packets that are full of announcements are lost.
  // False if the nodes do not agree in the end.
  bool StartJoined(std::uint32_t nodes) {
    const std::size_t mtu = std::exchange(world_.links().settings().mtu, kProbeMtu);
    // One after the other, so that the nodes' ticks and probes are not in step.
    const Duration spacing =
        std::max(config_.swim.gossip_interval, config_.swim.probe_interval) / std::max(nodes, 1u);
    for (std::uint32_t i = 0; i < nodes; ++i) {
      world_.Add(absl::StrCat("node-", i), config_);
      world_.RunFor(spacing);
    }
    world_.AnswerDialsWith(Introduction());
    for (std::uint32_t i = 0; i < nodes; ++i) world_.Join(NodeId(i), {NodeId(i == 0 ? 1 : 0)});
    world_.RunFor(std::chrono::milliseconds(20));
    world_.AnswerDialsWith({});
    const bool quiet = WaitForQuiet(std::chrono::minutes(5));
    world_.links().settings().mtu = mtu;
    return quiet && Disagreeing() == 0;
  }

  // Runs until no node has anything to gossip.
  bool WaitForQuiet(Duration limit) {
    return world_.RunUntil(
        [this] {
          bool quiet = true;
          ForEachUp([&](NodeId n) { quiet = quiet && world_.serf(n).node().queue().empty(); });
          return quiet;
        },
        limit, std::chrono::milliseconds(100));
  }

  // How many running nodes do not list exactly the running nodes as alive or suspect.
  std::size_t Disagreeing() const {
    std::size_t up = 0;
    ForEachUp([&](NodeId) { ++up; });
    std::size_t count = 0;
    ForEachUp([&](NodeId n) { count += world_.serf(n).node().live_nodes() != up ? 1 : 0; });
    return count;
  }
  // How many running nodes do not have the current tags of `subject`.
  std::size_t Unaware(NodeId subject) const {
    const swim::Node& self = world_.serf(subject).node();
    const ByteView meta = self.info(self.self()).meta();
    const std::string& name = world_.name(subject);
    std::size_t count = 0;
    ForEachUp([&](NodeId n) {
      const swim::Node& node = world_.serf(n).node();
      const std::optional<swim::MemberIndex> m = node.Find(name);
      count += m && swim::NodeInfo::SameBytes(node.info(*m).meta(), meta) ? 0 : 1;
    });
    return count;
  }

  bool WaitForAgreement(Duration limit) {
    return world_.RunUntil([this] { return Disagreeing() == 0; }, limit,
                           std::chrono::milliseconds(100));
  }

  // Changes the tags of a node, and waits until all nodes know them. Returns the time that it took;
  // nothing if over `limit`.
  std::optional<Duration> Disseminate(NodeId subject, const std::string& value, Duration limit) {
    const Instant start = world_.now();
    world_.SetTags(subject, {{"value", value}});
    if (!world_.RunUntil([&] { return Unaware(subject) == 0; }, limit,
                         std::chrono::milliseconds(5))) {
      return std::nullopt;
    }
    return world_.now() - start;
  }

  template <typename F>
  void ForEachUp(F&& f) const {
    for (std::uint32_t i = 0; i < world_.size(); ++i) {
      if (world_.is_up(NodeId(i))) f(NodeId(i));
    }
  }

  Rng& rng() { return rng_; }

 private:
  // Room for a probe and its answer, but not for a packet of announcements.
  static constexpr std::size_t kProbeMtu = 300;

  // The answer to a push/pull of a node that knows all others.
  ByteVector Introduction() const {
    ByteVector bytes;
    wire::Encode(wire::PushPullHeader{.nodes = static_cast<std::int64_t>(size())}, bytes);
    for (std::uint32_t i = 0; i < size(); ++i) {
      const swim::Node& node = world_.serf(NodeId(i)).node();
      const swim::NodeInfo& info = node.info(node.self());
      const auto versions = info.versions().ToBytes();
      wire::Encode(wire::PushPullNode{.name = info.name(),
                                      .addr = info.endpoint().address.bytes(),
                                      .port = info.endpoint().port,
                                      .meta = info.meta(),
                                      .incarnation = wire::Incarnation(1),
                                      .vsn = versions},
                   bytes);
    }
    return bytes;
  }

  Rng rng_;
  World world_;
  Config config_;
};

}  // namespace serf::testkit

#endif  // SERF_TESTING_SIM_SCALE_CLUSTER_H_
