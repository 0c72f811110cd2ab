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
#include "serf/outbox.h"
#include "serf/serf.h"
#include "serf/swim/node.h"
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
  // one of them hears of all others, and they share its table. False if they do not agree.
  bool StartJoined(std::uint32_t nodes) {
    // One after the other, so that the nodes' ticks and probes are not in step.
    const Duration spacing =
        std::max(config_.swim.gossip_interval, config_.swim.probe_interval) / std::max(nodes, 1u);
    for (std::uint32_t i = 0; i < nodes; ++i) {
      world_.Add(absl::StrCat("node-", i), config_);
      world_.RunFor(spacing);
    }
    const NodeId first(0);
    for (std::uint32_t i = 1; i < nodes; ++i) Introduce(NodeId(i), first);
    for (std::uint32_t i = 1; i < nodes; ++i) {
      world_.Call(NodeId(i),
                  [&](Serf& serf, Instant, Outbox&) { serf.KnowMembersOf(world_.serf(first)); });
    }
    return Disagreeing() == 0;
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
  // `to` hears the announcement of `subject`.
  void Introduce(NodeId subject, NodeId to) {
    const swim::Node& node = world_.serf(subject).node();
    const swim::NodeInfo& info = node.info(node.self());
    const auto versions = info.versions().ToBytes();
    ByteVector bytes;
    wire::Encode(wire::Alive{.incarnation = node.incarnation(node.self()),
                             .node = info.name(),
                             .addr = info.endpoint().address.bytes(),
                             .port = info.endpoint().port,
                             .meta = info.meta(),
                             .vsn = versions},
                 bytes);
    world_.Call(to, [&](Serf& serf, Instant now, Outbox& out) {
      serf.OnDatagram(now, info.endpoint(), bytes, out);
    });
  }

  Rng rng_;
  World world_;
  Config config_;
};

}  // namespace serf::testkit

#endif  // SERF_TESTING_SIM_SCALE_CLUSTER_H_
