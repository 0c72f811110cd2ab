// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_RECONNECT_SNAPSHOT_REJOIN_H_
#define SERF_RECONNECT_SNAPSHOT_REJOIN_H_

// SnapshotRejoin: brings a restarted node back to the nodes in its snapshot. It says which node to
// join and when; the owner joins. Source: docs/protocol/serf.md 9.7. Go Serf makes one pass over
// the nodes that were alive last, so that a node which was cut off for long finds nobody.
//
//   SnapshotRejoin rejoin(state, own_name, reconnect_interval, logger);
//   rejoin.Start(now, rng);
//   if (auto target = rejoin.Next(now, cluster, rng)) ...join it, then:
//   rejoin.OnDone(now, contacted, rng);
//
// A round dials all nodes in random order until one answers, those that were alive last before the
// failed ones. If none answers, another round follows, with pauses of a ReconnectPace. Once a peer
// is found, the nodes that are still unknown are dialled one by one, since they may be another part
// of the cluster. All nodes share that work.

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "serf/base/endpoint.h"
#include "serf/base/logger.h"
#include "serf/base/rng.h"
#include "serf/base/time.h"
#include "serf/reconnect/reconnect_pace.h"
#include "serf/snapshot_state.h"
#include "serf/swim/joins.h"

namespace serf {

class SnapshotRejoin {
 public:
  // After so long the other nodes have reaped this one, and it stops dialling those it lost.
  static constexpr Duration kGiveUp = std::chrono::hours(24);

  // The most nodes to dial: a sample of those that were alive last, then of the failed ones. Each
  // attempt looks at all of them, and one that answers knows the others.
  static constexpr std::size_t kNodesMax = 16384;

  // What the owner knows of the cluster now.
  class Cluster {
   public:
    virtual ~Cluster() = default;
    virtual bool IsMember(absl::string_view name) const = 0;  // in any state
    virtual bool HasAlivePeer() const = 0;
    virtual std::size_t Alive() const = 0;  // this node included
  };

  // A node without a snapshot: nothing to do.
  SnapshotRejoin() = default;
  // Ignores texts that are not addresses.
  SnapshotRejoin(const SnapshotState& state, absl::string_view own_name, Duration interval,
                 Logger* logger);

  // The first round is due at once.
  void Start(Instant now, Rng& rng);
  // The node to join now. Nothing if it is not time yet or an attempt is under way.
  std::optional<swim::JoinTarget> Next(Instant now, const Cluster& cluster, Rng& rng);
  // The attempt has ended.
  void OnDone(Instant now, bool contacted, Rng& rng);
  // Gives up: Next() returns nothing from now on.
  void Stop() {
    nodes_.clear();
    next_at_ = kNever;
  }

  Instant NextDeadline() const { return next_at_; }

 private:
  struct Node {
    std::string name;
    Endpoint endpoint;
  };

  std::optional<swim::JoinTarget> Ask(std::size_t node);
  void DropMembers(const Cluster& cluster);
  void BeginRound(Rng& rng);
  void Pause(Instant now, Rng& rng) { next_at_ = now + pace_.Next(rng); }

  std::vector<Node> nodes_;
  std::size_t alive_ = 0;  // the first so many were alive last
  ReconnectPace pace_;
  Logger* logger_ = nullptr;
  bool any_ = false;  // the snapshot names a node, perhaps only this one

  bool in_round_ = false;  // until one answers
  std::size_t next_ = 0;
  std::optional<std::size_t> under_way_;
  Instant next_at_ = kNever;
  Instant give_up_at_ = kNever;
};

inline SnapshotRejoin::SnapshotRejoin(const SnapshotState& state, absl::string_view own_name,
                                      Duration interval, Logger* logger)
    : pace_(interval), logger_(logger), any_(!state.alive.empty() || !state.failed.empty()) {
  const auto add = [&](const SnapshotState::Nodes& nodes) {
    for (const auto& [name, address] : nodes) {
      const std::optional<Endpoint> endpoint = Endpoint::Parse(address);
      if (endpoint && name != own_name) nodes_.push_back({name, *endpoint});
    }
  };
  add(state.alive);
  alive_ = nodes_.size();
  add(state.failed);
}

inline void SnapshotRejoin::Start(Instant now, Rng& rng) {
  if (!any_) return;
  give_up_at_ = now + kGiveUp;
  next_at_ = now;
  BeginRound(rng);
  if (nodes_.size() <= kNodesMax) return;
  nodes_.erase(nodes_.begin() + kNodesMax, nodes_.end());
  alive_ = std::min(alive_, kNodesMax);
}

inline void SnapshotRejoin::BeginRound(Rng& rng) {
  in_round_ = true;
  next_ = 0;
  const auto failed = nodes_.begin() + static_cast<std::ptrdiff_t>(alive_);
  std::vector<Node> last_alive(nodes_.begin(), failed);
  std::vector<Node> last_failed(failed, nodes_.end());
  rng.Shuffle(last_alive);
  rng.Shuffle(last_failed);
  std::move(last_alive.begin(), last_alive.end(), nodes_.begin());
  std::move(last_failed.begin(), last_failed.end(), failed);
}

inline std::optional<swim::JoinTarget> SnapshotRejoin::Next(Instant now, const Cluster& cluster,
                                                            Rng& rng) {
  if (under_way_ || now < next_at_) return std::nullopt;
  if (in_round_ && next_ < nodes_.size()) return Ask(next_++);
  if (in_round_) {
    Log(logger_, LogLevel::kWarn, "serf: Failed to re-join any previously known node");
    in_round_ = false;
    if (nodes_.empty() || now >= give_up_at_) {
      Stop();
    } else {
      Pause(now, rng);
    }
    return std::nullopt;
  }
  if (now >= give_up_at_) {
    Stop();
    return std::nullopt;
  }
  if (!cluster.HasAlivePeer()) {
    BeginRound(rng);
    return Ask(next_++);
  }
  DropMembers(cluster);
  if (nodes_.empty()) {
    Stop();
    return std::nullopt;
  }
  if (rng.NextDouble() * static_cast<double>(cluster.Alive()) >
      static_cast<double>(nodes_.size())) {
    Pause(now, rng);  // another node dials it
    return std::nullopt;
  }
  if (next_ >= nodes_.size()) next_ = 0;
  return Ask(next_++);
}

// The cluster takes care of its members.
inline void SnapshotRejoin::DropMembers(const Cluster& cluster) {
  std::vector<Node> kept;
  std::size_t alive = 0;
  std::size_t next = 0;
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    if (cluster.IsMember(nodes_[i].name)) continue;
    if (i < alive_) ++alive;
    if (i < next_) ++next;
    kept.push_back(std::move(nodes_[i]));
  }
  nodes_ = std::move(kept);
  alive_ = alive;
  next_ = next;
}

inline std::optional<swim::JoinTarget> SnapshotRejoin::Ask(std::size_t node) {
  under_way_ = node;
  next_at_ = kNever;  // until the attempt has ended
  const std::string address = nodes_[node].endpoint.ToString();
  Log(logger_, LogLevel::kInfo,
      "serf: Attempting re-join to previously known node: ", nodes_[node].name, ": ", address);
  return swim::JoinTarget{address, nodes_[node].endpoint};
}

inline void SnapshotRejoin::OnDone(Instant now, bool contacted, Rng& rng) {
  if (!under_way_ || nodes_.empty()) return;
  const Node& node = nodes_[*under_way_];
  under_way_.reset();
  if (contacted) {
    Log(logger_, LogLevel::kInfo, "serf: Re-joined to previously known node: ", node.name, ": ",
        node.endpoint.ToString());
    in_round_ = false;
    pace_.Reset();
  }
  if (in_round_) {
    next_at_ = now;
  } else {
    Pause(now, rng);
  }
}

}  // namespace serf

#endif  // SERF_RECONNECT_SNAPSHOT_REJOIN_H_
