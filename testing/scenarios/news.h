#ifndef SERF_TESTING_SCENARIOS_NEWS_H_
#define SERF_TESTING_SCENARIOS_NEWS_H_

// NewsCluster: a cluster of nodes that know each other, in which random nodes send user events at a
// steady rate. It measures how long an event needs to reach all living nodes, which nodes it
// misses, and what gossip costs. The nodes do not exchange states, so that nothing that gossip
// missed is made good. Only if they probe each other do they notice deaths, and that packets get
// lost.
//
//   NewsCluster cluster(Config::Lan(), 1000, /*seed=*/1, NewsProbes::kNone);
//   if (!cluster.Start()) ...;
//   cluster.Kill(/*share=*/0.3);
//   NewsFigures figures = cluster.Measure({.per_second = 10, .loss = 0.05});

#include <algorithm>
#include <cassert>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "serf/base/rng.h"
#include "serf/base/time.h"
#include "serf/config.h"
#include "serf/event.h"
#include "serf/testing/sim/link_model.h"
#include "serf/testing/sim/scale_cluster.h"
#include "serf/testing/sim/world.h"
#include "serf/testing/sim/world_observer.h"

namespace serf::testkit {

struct NewsLoad {
  double per_second = 1;
  double loss = 0;
  bool from_one = false;  // all events come from the same node
  // The events of the warm-up do not count, since a cluster that was calm may answer faster.
  Duration warm_up = std::chrono::seconds(3);
  // The time that counts, longer if it would have less than `events_min` events.
  Duration measured = std::chrono::seconds(5);
  std::size_t events_min = 20;
  std::size_t payload_bytes = 32;
};

struct NewsFigures {
  std::size_t events = 0;
  std::size_t complete = 0;  // of these, the ones that reached all living nodes
  // Until all living nodes have an event; kNever for events that miss a node.
  Duration median{};
  Duration p99{};
  // The pairs of an event and a living node, and those of them that gossip missed.
  std::uint64_t pairs = 0;
  std::uint64_t missed = 0;
  // Datagrams per living node and second in the time that counts, with the bytes of UDP's payload.
  // What is sent to dead nodes, or lost, is not received.
  double packets_sent = 0;
  double bytes_sent = 0;
  double packets_received = 0;
  double bytes_received = 0;

  static constexpr Duration kNever = Duration::max();
};

enum class NewsProbes : std::uint8_t { kNone, kSteady };

class NewsCluster : private WorldObserver {
 public:
  NewsCluster(const Config& config, std::uint32_t nodes, std::uint64_t seed, NewsProbes probes)
      : rng_(seed), nodes_(nodes), probes_(probes), cluster_(rng_.Next(), Silent(config, probes)) {
    cluster_.world().AddObserver(this);
  }
  NewsCluster(const NewsCluster&) = delete;
  NewsCluster& operator=(const NewsCluster&) = delete;

  LinkModel& links() { return cluster_.world().links(); }

  // False if the nodes do not know each other in the end.
  bool Start();

  // Kills random nodes until this share of all nodes is dead; at least one node lives.
  void Kill(double share);

  // Sends events, and waits until gossip has ended.
  NewsFigures Measure(const NewsLoad& load);

 private:
  struct Sent {
    Instant at{};
    Duration last{};  // until the latest of the nodes that have it
    std::size_t nodes = 0;
    bool counts = false;
  };

  // While a node gossips, its packets are at most a few gossip intervals apart.
  static constexpr Duration kSilence = std::chrono::seconds(2);
  static constexpr Duration kDrainMax = std::chrono::minutes(2);

  // So long a node that probes remembers a lost packet, and a little more.
  static constexpr Duration kProbesRemembered = std::chrono::seconds(40);

  static Config Silent(Config config, NewsProbes probes) {
    if (probes == NewsProbes::kNone) config.swim.probe_interval = Duration::zero();
    config.swim.push_pull_interval = Duration::zero();
    // What compression saves depends on the events.
    config.swim.enable_compression = false;
    // At the start a node learns of all others at once, and need not pass that on.
    config.swim.broadcast_queue_max = 64;
    return config;
  }

  void SendEvent(const NewsLoad& load, bool counts);
  void WaitForSilence();
  // Packets of gossip that the living nodes have sent.
  std::uint64_t Gossiped();
  NewsFigures Summary() const;
  void OnEvent(NodeId node, const Event& event) override;

  Rng rng_;
  std::uint32_t nodes_;
  NewsProbes probes_;
  ScaleCluster cluster_;
  std::vector<NodeId> living_;
  std::vector<Sent> sent_;
  std::uint64_t first_ = 0;  // the number of sent_.front()
};

inline bool NewsCluster::Start() {
  if (!cluster_.StartJoined(nodes_)) return false;
  for (std::uint32_t i = 0; i < nodes_; ++i) living_.push_back(NodeId(i));
  WaitForSilence();
  return true;
}

inline void NewsCluster::Kill(double share) {
  const auto dead = static_cast<std::size_t>(share * nodes_ + 0.5);
  const std::size_t wanted = std::max<std::size_t>(nodes_ - std::min<std::size_t>(dead, nodes_), 1);
  while (living_.size() > wanted) {
    std::swap(living_[rng_.Below(living_.size())], living_.back());
    cluster_.world().Crash(living_.back());
    living_.pop_back();
  }
}

inline NewsFigures NewsCluster::Measure(const NewsLoad& load) {
  World& world = cluster_.world();
  first_ += sent_.size();
  sent_.clear();
  if (std::exchange(world.links().settings().loss, load.loss) != load.loss &&
      probes_ != NewsProbes::kNone) {
    world.RunFor(kProbesRemembered);
  }
  const auto between =
      std::chrono::duration_cast<Duration>(std::chrono::duration<double>(1 / load.per_second));
  // The first event comes at once, so that a slow load does not wait in vain.
  for (Duration time{}; time < load.warm_up; time += between) {
    SendEvent(load, /*counts=*/false);
    world.RunFor(std::min(between, load.warm_up - time));
  }
  const std::size_t events = std::max<std::size_t>(
      load.events_min, static_cast<std::size_t>(ToSeconds(load.measured) * load.per_second));
  const Instant start = world.now();
  const LinkModel::Counters before = world.links().counters();
  for (std::size_t i = 0; i < events; ++i) {
    // Within the interval at any time, as news come.
    const Duration wait = rng_.Below(between);
    world.RunFor(wait);
    SendEvent(load, /*counts=*/true);
    world.RunFor(between - wait);
  }
  const LinkModel::Counters& after = world.links().counters();
  const double node_seconds = ToSeconds(world.now() - start) * static_cast<double>(living_.size());
  const auto rate = [&](std::uint64_t LinkModel::Counters::*counter) {
    return static_cast<double>(after.*counter - before.*counter) / node_seconds;
  };
  const double packets_sent = rate(&LinkModel::Counters::datagrams);
  const double bytes_sent = rate(&LinkModel::Counters::bytes);
  const double packets_received = rate(&LinkModel::Counters::delivered);
  const double bytes_received = rate(&LinkModel::Counters::bytes_delivered);
  WaitForSilence();
  NewsFigures figures = Summary();
  figures.packets_sent = packets_sent;
  figures.bytes_sent = bytes_sent;
  figures.packets_received = packets_received;
  figures.bytes_received = bytes_received;
  return figures;
}

inline void NewsCluster::SendEvent(const NewsLoad& load, bool counts) {
  World& world = cluster_.world();
  const std::uint64_t number = first_ + sent_.size();
  std::string payload(std::max(load.payload_bytes, sizeof(number)), '.');
  std::memcpy(payload.data(), &number, sizeof(number));
  sent_.push_back({.at = world.now(), .counts = counts});
  const NodeId sender = living_[load.from_one ? 0 : rng_.Below(living_.size())];
  [[maybe_unused]] const absl::Status status = world.SendUserEvent(sender, "news", payload, {});
  assert(status.ok());
}

inline void NewsCluster::WaitForSilence() {
  World& world = cluster_.world();
  for (Duration waited{}; waited < kDrainMax; waited += kSilence) {
    const std::uint64_t before = Gossiped();
    world.RunFor(kSilence);
    if (Gossiped() == before) return;
  }
}

inline std::uint64_t NewsCluster::Gossiped() {
  std::uint64_t packets = 0;
  for (const NodeId node : living_) {
    packets += cluster_.world().serf(node).node().counters().gossip_datagrams;
  }
  return packets;
}

inline void NewsCluster::OnEvent(NodeId, const Event& event) {
  const auto* user = std::get_if<UserEvent>(&event);
  std::uint64_t number = 0;
  if (user == nullptr || user->payload.size() < sizeof(number)) return;
  std::memcpy(&number, user->payload.data(), sizeof(number));
  if (number < first_ || number - first_ >= sent_.size()) return;
  Sent& sent = sent_[number - first_];
  ++sent.nodes;
  sent.last = cluster_.world().now() - sent.at;
}

inline NewsFigures NewsCluster::Summary() const {
  NewsFigures figures;
  std::vector<Duration> times;
  for (const Sent& sent : sent_) {
    if (!sent.counts) continue;
    figures.pairs += living_.size();
    figures.missed += living_.size() - sent.nodes;
    const bool complete = sent.nodes == living_.size();
    figures.complete += complete ? 1 : 0;
    times.push_back(complete ? sent.last : NewsFigures::kNever);
  }
  std::sort(times.begin(), times.end());
  figures.events = times.size();
  if (times.empty()) return figures;
  figures.median = times[times.size() / 2];
  figures.p99 = times[std::min(times.size() - 1, times.size() * 99 / 100)];
  return figures;
}

}  // namespace serf::testkit

#endif  // SERF_TESTING_SCENARIOS_NEWS_H_
