// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_SWIM_GOSSIP_TARGETS_H_
#define SERF_SWIM_GOSSIP_TARGETS_H_

// GossipTargets: whom the next packets go to, so that T transmissions per node and message reach
// everybody. When they go is GossipPacer's (gossip_pacer.h), what goes is BroadcastQueue's.
//
// The original sends each packet to a random node. A node is then missed by all with probability
// e^-T: with T = 4 in a cluster of nine, every sixth message leaves a straggler, until a push/pull
// much later. Here the nodes are ordered on T - 1 rings by hashes of their names, as Rapid does
// (Suresh et al., 2018, section 4.1), and a node's targets in turn are its successors on the
// rings and one random node. Everybody is the successor of exactly one node on each ring, so a
// message that all forward T times reaches all unless T - 1 packets are lost, whatever T is; the
// random one keeps a node reachable whose predecessors all fail. The rings need no agreement:
// where views differ it is still no worse than random.

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "serf/base/rng.h"
#include "serf/base/time.h"
#include "serf/swim/broadcast_queue.h"
#include "serf/swim/member_table.h"
#include "serf/swim/node_info.h"
#include "serf/swim/probe_ring.h"

namespace serf::swim {

class GossipTargets {
 public:
  // More transmissions than this repeat targets.
  static constexpr std::size_t kRingsMax = BroadcastQueue::kPlacesMax;

  // `table` and `ring` hold the members to choose from, and must outlive this.
  GossipTargets(const MemberTable& table, const ProbeRing& ring) : table_(table), ring_(ring) {}

  // Once, when the own row exists. The starting point is drawn from `rng`.
  void Start(MemberIndex self, Rng& rng) {
    self_ = self;
    step_ = static_cast<std::size_t>(rng.Below(kRingsMax));
    dirty_ = true;
  }

  // `member` became alive; it may be closer on a ring than the present target. Call it for each
  // join; departures are noticed when their turn comes.
  void OnJoin(MemberIndex member);

  // `member` joined by a push/pull with this node, and knows what this node knew then. News that
  // was on its way meanwhile comes here, but maybe not there, since those who forward it don't know
  // of the newcomer yet. So for a while some of this node's transmissions go there instead.
  void OnPulled(Instant now, MemberIndex member) {
    if (newcomers_.size() >= kNewcomersMax) newcomers_.erase(newcomers_.begin());
    newcomers_.push_back({member, now + kNewcomerTime});
  }

  // A target, and its place in the cycle: BroadcastQueue sends each message to each place once.
  struct Target {
    MemberIndex member;
    std::uint8_t place;
  };

  // The next `count` targets into `targets` (cleared first), distinct, fewer if there are fewer.
  // eligible(member) must be false for this node itself. `transmit_limit` is RetransmitLimit(n),
  // so that each message goes to each target once.
  template <typename Eligible>
  void Next(Instant now, std::size_t count, int transmit_limit, Rng& rng,
            std::vector<Target>& targets, Eligible&& eligible);
  // The places of the cycle, as of the last Next.
  std::uint8_t places() const { return static_cast<std::uint8_t>(places_); }

 private:
  struct Successor {
    std::size_t ring;
    MemberIndex member;
    std::uint64_t distance;
  };
  struct Newcomer {
    MemberIndex member;
    Instant until;
  };
  // Below this a random transmission would cost too much of the certainty.
  static constexpr std::size_t kRandomFrom = 4;
  // Of those who joined by way of this node lately; more than one at a time is a storm of joins.
  static constexpr std::size_t kNewcomersMax = 8;
  // How long news may be on its way, in the original's timing too.
  static constexpr Duration kNewcomerTime = std::chrono::seconds(2);

  // How far `member` is behind this node on a ring; ascending is the ring's order.
  std::uint64_t Distance(std::size_t ring, MemberIndex member) const {
    return PlaceOn(ring, member) - PlaceOn(ring, self_);
  }
  std::uint64_t PlaceOn(std::size_t ring, MemberIndex member) const {
    std::uint64_t z = table_.info(member).stable_hash() + (ring + 1) * 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  }
  bool IsSuccessor(MemberIndex member) const {
    return std::any_of(successors_.begin(), successors_.end(),
                       [member](const Successor& s) { return s.member == member; });
  }
  template <typename Eligible>
  void Rebuild(std::size_t rings, Eligible&& eligible);

  const MemberTable& table_;
  const ProbeRing& ring_;
  MemberIndex self_;
  bool dirty_ = true;
  std::size_t rings_ = 0;  // wanted; fewer successors if there are fewer members
  std::size_t step_ = 0;
  std::size_t places_ = 0;
  std::vector<Successor> successors_;  // distinct, by ring
  std::vector<Successor> nearest_;     // scratch of Rebuild
  std::vector<Newcomer> newcomers_;
  std::vector<MemberIndex> random_;  // scratch of Next
};

inline void GossipTargets::OnJoin(MemberIndex member) {
  if (dirty_ || member == self_) return;
  if (successors_.size() < rings_) {
    dirty_ = true;
    return;
  }
  // The row of a successor that was purged meanwhile may be another node's now.
  dirty_ = IsSuccessor(member) ||
           std::any_of(successors_.begin(), successors_.end(),
                       [&](const Successor& s) { return Distance(s.ring, member) < s.distance; });
}

template <typename Eligible>
void GossipTargets::Next(Instant now, std::size_t count, int transmit_limit, Rng& rng,
                         std::vector<Target>& targets, Eligible&& eligible) {
  targets.clear();
  const std::size_t limit =
      std::clamp<std::size_t>(static_cast<std::size_t>(std::max(transmit_limit, 1)), 1, kRingsMax);
  const bool with_random = limit >= kRandomFrom;
  const std::size_t rings = with_random ? limit - 1 : limit;
  const bool all_eligible = std::all_of(
      successors_.begin(), successors_.end(),
      [&](const Successor& s) { return table_.Contains(s.member) && eligible(s.member); });
  if (dirty_ || rings != rings_ || !all_eligible) Rebuild(rings, eligible);
  if (successors_.empty()) return;
  std::erase_if(newcomers_, [&](const Newcomer& n) {
    return n.until < now || !table_.Contains(n.member) || !eligible(n.member) ||
           IsSuccessor(n.member);
  });
  // A place for a random one only if there is somebody else.
  places_ = successors_.size() +
            (with_random && table_.live() > successors_.size() + 1 ? std::size_t{1} : 0);
  // The last places of the cycle are the latest newcomers', at most a quarter of it.
  const std::size_t first_newcomer =
      places_ - std::min(newcomers_.size(), std::max<std::size_t>(places_ / 4, 1));
  const auto is_target = [&targets](MemberIndex m) {
    return std::any_of(targets.begin(), targets.end(),
                       [m](const Target& t) { return t.member == m; });
  };
  for (std::size_t i = 0; i < places_ && targets.size() < count; ++i) {
    step_ = (step_ + 1) % places_;
    std::optional<MemberIndex> member;
    if (step_ >= first_newcomer) {
      member = newcomers_[newcomers_.size() - (places_ - step_)].member;
    } else if (step_ < successors_.size()) {
      member = successors_[step_].member;
    } else {
      ring_.Pick(1, rng, random_,
                 [&](MemberIndex m) { return eligible(m) && !IsSuccessor(m) && !is_target(m); });
      if (!random_.empty()) member = random_.front();
    }
    if (member && !is_target(*member)) {
      targets.push_back({*member, static_cast<std::uint8_t>(step_)});
    }
  }
}

template <typename Eligible>
void GossipTargets::Rebuild(std::size_t rings, Eligible&& eligible) {
  dirty_ = false;
  rings_ = rings;
  successors_.clear();
  // Each pass finds the nearest on each open ring of those not taken yet. Where two rings want
  // the same, the later one takes its next nearest in a further pass.
  while (successors_.size() < rings) {
    nearest_.clear();
    for (std::size_t ring = 0; ring < rings; ++ring) {
      const bool taken = std::any_of(successors_.begin(), successors_.end(),
                                     [ring](const Successor& s) { return s.ring == ring; });
      if (!taken) nearest_.push_back({ring, self_, UINT64_MAX});
    }
    for (const MemberIndex m : ring_.members()) {
      if (m == self_ || !eligible(m) || IsSuccessor(m)) continue;
      for (Successor& s : nearest_) {
        const std::uint64_t distance = Distance(s.ring, m);
        if (s.member == self_ || distance < s.distance) s = {s.ring, m, distance};
      }
    }
    if (nearest_.front().member == self_) break;  // nobody is left
    for (const Successor& s : nearest_) {
      if (!IsSuccessor(s.member)) successors_.push_back(s);
    }
  }
  // A successor keeps its place while others come and go.
  std::sort(successors_.begin(), successors_.end(),
            [](const Successor& a, const Successor& b) { return a.ring < b.ring; });
}

}  // namespace serf::swim

#endif  // SERF_SWIM_GOSSIP_TARGETS_H_
