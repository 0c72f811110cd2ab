#ifndef SERF_TESTING_SCENARIOS_LIFEGUARD_H_
#define SERF_TESTING_SCENARIOS_LIFEGUARD_H_

// The experiments of the Lifeguard paper (Dadgar, Phillips, Currey, arXiv 1707.00788v2, section V):
// agents of which some are anomalous, that is, stand still in step. Threshold: they stand still
// once. Interval: they stand still and run in turn. What counts are failures that were reported
// about agents without anomaly, and how soon the others report an agent that stands still.
//
// An agent that stands still is a process that is stopped: its timers wait too, and packets wait in
// the socket's buffer, which takes `service` for each afterwards. In the paper an agent blocks
// where it sends or receives, and its timers run on; a timer that ran out meanwhile has the same
// effect here as soon as the agent continues, before it reads the first packet.
//
//   LifeguardRun run(config, {.anomalous = 8, .stand = seconds(2)}, /*seed=*/1);
//   const std::optional<LifeguardFigures> figures = run.Threshold();

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>
#include <variant>
#include <vector>

#include "serf/base/rng.h"
#include "serf/base/time.h"
#include "serf/config.h"
#include "serf/event.h"
#include "serf/member.h"
#include "serf/testing/sim/link_model.h"
#include "serf/testing/sim/scale_cluster.h"
#include "serf/testing/sim/world.h"
#include "serf/testing/sim/world_observer.h"

namespace serf::testkit {

struct LifeguardSetup {
  std::uint32_t agents = 128;
  std::uint32_t anomalous = 1;
  // How long the agents know each other before the experiment begins, besides the paper's 15 s:
  // here an agent learns about another one what it has to learn when it probes it.
  Duration acquaintance{};
  Duration stand = std::chrono::seconds(1);
  Duration run = std::chrono::milliseconds(1);  // between two stands, for Interval
  // What an anomalous agent needs for a datagram, so that what waited for it takes time.
  Duration service = std::chrono::microseconds(200);
};

struct LifeguardFigures {
  // Failures reported about agents without anomaly: by anybody, and by agents without anomaly.
  std::uint64_t false_failures = 0;
  std::uint64_t false_failures_at_healthy = 0;
  // For each anomalous agent, from its first stand until the first agent without anomaly reports
  // its failure, and until all of them have done so. Agents for which that did not happen are left
  // out.
  std::vector<Duration> first;
  std::vector<Duration> full;
  std::uint64_t datagrams = 0;
  std::uint64_t bytes = 0;

  void Add(const LifeguardFigures& other) {
    false_failures += other.false_failures;
    false_failures_at_healthy += other.false_failures_at_healthy;
    first.insert(first.end(), other.first.begin(), other.first.end());
    full.insert(full.end(), other.full.begin(), other.full.end());
    datagrams += other.datagrams;
    bytes += other.bytes;
  }
};

class LifeguardRun : private WorldObserver {
 public:
  LifeguardRun(Config config, const LifeguardSetup& setup, std::uint64_t seed)
      : setup_(setup), rng_(seed), cluster_(rng_.Next(), std::move(config)) {
    cluster_.world().AddObserver(this);
  }
  LifeguardRun(const LifeguardRun&) = delete;
  LifeguardRun& operator=(const LifeguardRun&) = delete;

  // Each does its experiment, once for an object. Nothing if the agents did not find each other.
  std::optional<LifeguardFigures> Threshold();
  std::optional<LifeguardFigures> Interval();

 private:
  // The paper's times.
  static constexpr Duration kQuiesce = std::chrono::seconds(15);
  static constexpr Duration kWatched = std::chrono::seconds(120);

  // The reports about an anomalous agent.
  struct Watched {
    std::optional<Duration> first;
    std::optional<Duration> full;
    std::vector<bool> reported;  // by agent
    std::uint32_t reports = 0;   // by different agents
  };

  bool Start();
  void StandStill();
  LifeguardFigures Summary();
  void OnEvent(NodeId node, const Event& event) override;
  bool IsAnomalous(NodeId node) const { return number_of_[node.value()] != kHealthy; }

  static constexpr std::uint32_t kHealthy = UINT32_MAX;

  LifeguardSetup setup_;
  Rng rng_;
  ScaleCluster cluster_;
  std::vector<std::uint32_t> number_of_;  // by agent: its number among the anomalous, or kHealthy
  std::vector<NodeId> anomalous_;
  std::vector<Watched> watched_;
  bool started_ = false;
  Instant start_{};
  std::uint64_t datagrams_before_ = 0;
  std::uint64_t bytes_before_ = 0;
  LifeguardFigures figures_;
};

inline bool LifeguardRun::Start() {
  World& world = cluster_.world();
  if (!cluster_.StartJoined(setup_.agents)) return false;
  world.RunFor(setup_.acquaintance + kQuiesce);
  number_of_.assign(setup_.agents, kHealthy);
  while (anomalous_.size() < setup_.anomalous) {
    const NodeId node(static_cast<std::uint32_t>(rng_.Below(setup_.agents)));
    if (number_of_[node.value()] != kHealthy) continue;
    number_of_[node.value()] = static_cast<std::uint32_t>(anomalous_.size());
    anomalous_.push_back(node);
    world.SetServiceTime(node, setup_.service);
  }
  watched_.resize(anomalous_.size());
  for (Watched& watched : watched_) watched.reported.resize(setup_.agents);
  start_ = world.now();
  datagrams_before_ = world.links().counters().datagrams;
  bytes_before_ = world.links().counters().bytes;
  started_ = true;
  return true;
}

inline void LifeguardRun::StandStill() {
  for (const NodeId node : anomalous_) cluster_.world().Pause(node);
  cluster_.world().RunFor(setup_.stand);
  for (const NodeId node : anomalous_) cluster_.world().Resume(node);
}

inline std::optional<LifeguardFigures> LifeguardRun::Threshold() {
  if (!Start()) return std::nullopt;
  StandStill();
  cluster_.world().RunFor(std::max(kWatched - setup_.stand, Duration::zero()));
  return Summary();
}

inline std::optional<LifeguardFigures> LifeguardRun::Interval() {
  if (!Start()) return std::nullopt;
  while (cluster_.world().now() - start_ < kWatched) {
    StandStill();
    cluster_.world().RunFor(setup_.run);
  }
  return Summary();
}

inline LifeguardFigures LifeguardRun::Summary() {
  const LinkModel::Counters& counters = cluster_.world().links().counters();
  figures_.datagrams = counters.datagrams - datagrams_before_;
  figures_.bytes = counters.bytes - bytes_before_;
  for (const Watched& watched : watched_) {
    if (watched.first) figures_.first.push_back(*watched.first);
    if (watched.full) figures_.full.push_back(*watched.full);
  }
  return figures_;
}

inline void LifeguardRun::OnEvent(NodeId node, const Event& event) {
  const auto* members = std::get_if<MemberEvent>(&event);
  if (!started_ || members == nullptr || members->kind != MemberEventKind::kFailed) return;
  const bool healthy = !IsAnomalous(node);
  for (const Member& member : members->members) {
    const std::optional<NodeId> subject = cluster_.world().FindNode(member.name);
    if (!subject) continue;
    if (!IsAnomalous(*subject)) {
      ++figures_.false_failures;
      figures_.false_failures_at_healthy += healthy ? 1 : 0;
      continue;
    }
    Watched& watched = watched_[number_of_[subject->value()]];
    if (!healthy || watched.reported[node.value()]) continue;
    watched.reported[node.value()] = true;
    const Duration time = cluster_.world().now() - start_;
    if (!watched.first) watched.first = time;
    if (++watched.reports == setup_.agents - setup_.anomalous) watched.full = time;
  }
}

}  // namespace serf::testkit

#endif  // SERF_TESTING_SCENARIOS_LIFEGUARD_H_
