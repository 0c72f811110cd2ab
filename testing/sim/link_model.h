#ifndef SERF_TESTING_SIM_LINK_MODEL_H_
#define SERF_TESTING_SIM_LINK_MODEL_H_

// LinkModel: the effect of the simulated network on a datagram: latency, jitter, loss, duplication,
// reordering, one-way cuts, partitions, MTU. It counts its faults, so that a run can prove that
// they happened.
//
//   links.settings().loss = 0.2;
//   links.Partition({{a, b}, {c}});
//   links.Cut(a, b);              // a's packets do not reach b; b's reach a
//   links.Heal();

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "serf/base/newtype.h"
#include "serf/base/rng.h"
#include "serf/base/time.h"

namespace serf::testkit {

// The number of a node of a World, in the order in which they were added. Keeps through crash and
// restart.
using NodeId = Newtype<struct NodeIdTag, std::uint32_t>;

class LinkModel {
 public:
  struct Settings {
    Duration latency = std::chrono::microseconds(500);  // one way, the minimum
    Duration jitter = std::chrono::microseconds(500);   // uniform, added to the latency
    // The probabilities of a datagram's faults. Streams have none of these, because TCP hides them.
    double loss = 0;
    double duplication = 0;
    double reordering = 0;  // held back by up to `reorder_delay`
    Duration reorder_delay = std::chrono::milliseconds(50);
    std::size_t mtu = 65'507;  // longer datagrams are lost
  };

  struct Counters {
    std::uint64_t datagrams = 0;
    std::uint64_t bytes = 0;
    std::uint64_t delivered = 0;
    std::uint64_t bytes_delivered = 0;
    std::uint64_t lost = 0;
    std::uint64_t duplicated = 0;
    std::uint64_t reordered = 0;
    std::uint64_t cut = 0;               // by a one-way cut or a partition
    std::uint64_t oversize = 0;          // beyond the MTU
    std::uint64_t undeliverable = 0;     // to a crashed node or to no node
    std::uint64_t buffer_overflows = 0;  // to a paused node whose socket buffer was full
    std::uint64_t dials = 0;
    std::uint64_t dials_refused = 0;
    std::uint64_t dials_cut = 0;
    std::uint64_t streams_reset = 0;
  };

  // The fate of one datagram: up to two copies, each after a delay.
  struct Fate {
    std::size_t copies = 0;
    std::array<Duration, 2> delays{};
  };

  Settings& settings() { return settings_; }
  const Settings& settings() const { return settings_; }
  Counters& counters() { return counters_; }
  const Counters& counters() const { return counters_; }

  Fate Judge(NodeId from, NodeId to, std::size_t bytes, Rng& rng);

  Duration Latency(Rng& rng) const { return settings_.latency + rng.Below(settings_.jitter); }

  // --- cuts and partitions ---

  // False if nothing that `from` sends reaches `to`.
  bool Reaches(NodeId from, NodeId to) const {
    return GroupOf(from) == GroupOf(to) && !cuts_.contains(Pair(from, to));
  }
  bool Connected(NodeId a, NodeId b) const { return Reaches(a, b) && Reaches(b, a); }

  void Cut(NodeId from, NodeId to) { cuts_.insert(Pair(from, to)); }
  void Mend(NodeId from, NodeId to) { cuts_.erase(Pair(from, to)); }
  // Nodes reach only nodes of their group. The nodes in no group form one more.
  void Partition(const std::vector<std::vector<NodeId>>& groups);
  // Ends all cuts and partitions.
  void Heal() {
    cuts_.clear();
    group_.clear();
    partitioned_ = false;
  }
  // Heals, and ends loss, duplication and reordering.
  void Calm() {
    Heal();
    settings_.loss = settings_.duplication = settings_.reordering = 0;
  }
  // True while a cut, a partition or loss may keep living nodes from hearing each other.
  bool IsFaulty() const { return partitioned_ || !cuts_.empty() || settings_.loss > 0; }

 private:
  static std::uint64_t Pair(NodeId from, NodeId to) {
    return static_cast<std::uint64_t>(from.value()) << 32 | to.value();
  }
  std::uint32_t GroupOf(NodeId node) const {
    return node.value() < group_.size() ? group_[node.value()] : 0;
  }

  Settings settings_;
  Counters counters_;
  absl::flat_hash_set<std::uint64_t> cuts_;  // only looked up, so its order has no effect
  std::vector<std::uint32_t> group_;
  bool partitioned_ = false;
};

inline LinkModel::Fate LinkModel::Judge(NodeId from, NodeId to, std::size_t bytes, Rng& rng) {
  ++counters_.datagrams;
  counters_.bytes += bytes;
  Fate fate;
  if (bytes > settings_.mtu) {
    ++counters_.oversize;
    return fate;
  }
  if (!Reaches(from, to)) {
    ++counters_.cut;
    return fate;
  }
  if (settings_.loss > 0 && rng.NextDouble() < settings_.loss) {
    ++counters_.lost;
    return fate;
  }
  fate.copies = 1;
  if (settings_.duplication > 0 && rng.NextDouble() < settings_.duplication) {
    ++counters_.duplicated;
    fate.copies = 2;
  }
  for (std::size_t i = 0; i < fate.copies; ++i) {
    fate.delays[i] = Latency(rng);
    if (settings_.reordering > 0 && rng.NextDouble() < settings_.reordering) {
      ++counters_.reordered;
      fate.delays[i] += rng.Below(settings_.reorder_delay);
    }
  }
  return fate;
}

inline void LinkModel::Partition(const std::vector<std::vector<NodeId>>& groups) {
  group_.clear();
  partitioned_ = true;
  std::uint32_t number = 0;
  for (const std::vector<NodeId>& group : groups) {
    ++number;
    for (const NodeId node : group) {
      if (node.value() >= group_.size()) group_.resize(node.value() + 1, 0);
      group_[node.value()] = number;
    }
  }
}

}  // namespace serf::testkit

#endif  // SERF_TESTING_SIM_LINK_MODEL_H_
