// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_SWIM_GOSSIP_TARGETS_H_
#define SERF_SWIM_GOSSIP_TARGETS_H_

// GossipTargets: the targets of the next packets, chosen so that T transmissions per node and
// message reach every member. GossipPacer (gossip_pacer.h) decides when packets go, and
// BroadcastQueue what they hold.
//
// Go Serf sends each packet to a random node. All packets then miss a given node with probability
// e^-T: with T = 4 in a cluster of nine, every sixth message leaves a straggler, until a push/pull
// much later. Here the nodes are ordered on T - 1 rings by hashes of their names, as in Rapid
// (Suresh et al., 2018, section 4.1). The targets of a node, in turn, are its successors on the
// rings and one random node. Each node is the successor of exactly one node on each ring. So a
// message that all nodes forward T times reaches all of them unless T - 1 packets are lost,
// whatever T is. The random target keeps a node reachable if all its predecessors fail. The rings
// need no agreement: where views differ, the result is still no worse than random.
//
// Fresh messages go to the successors on the first rings all at once: a wave. On each ring a wave
// reaches every node, and on a few of them together it does so in a logarithm of hops. The rest of
// the transmissions follow the walk.

#include <algorithm>
#include <cassert>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "serf/base/portion.h"
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

  // `table` and `ring` hold the members to choose from, and must outlive the object.
  GossipTargets(const MemberTable& table, const ProbeRing& ring) : table_(table), ring_(ring) {}

  // Call it when this node's row exists, and again if the table became another one. Draws the
  // starting point from `rng`.
  void Start(MemberIndex self, Rng& rng) {
    rings_.clear();
    successors_.clear();
    scanned_.reset();
    stale_ = true;
    self_ = self;
    own_hash_ = HashOf(self);
    step_ = static_cast<std::size_t>(rng.Below(kRingsMax));
  }

  // `member` became alive; it may be closer on a ring than the present target. Call it for each
  // join; Update() notices departures by itself.
  void OnJoin(MemberIndex member);

  // `member` joined by a push/pull with this node, and knows what this node knew then. News that
  // was on its way meanwhile comes here, but maybe not there, because the nodes that forward it do
  // not know the newcomer yet. So for a while some of this node's transmissions go to the newcomer
  // instead.
  void OnPulled(Instant now, MemberIndex member) {
    if (newcomers_.size() >= kNewcomersMax) newcomers_.erase(newcomers_.begin());
    newcomers_.push_back({member, now + kNewcomerTime});
  }

  // A target, and its place in the cycle: BroadcastQueue sends each message to each place once.
  struct Target {
    MemberIndex member;
    std::uint8_t place;
  };

  // Brings the targets up to date, within a portion; call it before Next(). False: call it again in
  // another turn. It looks at all members only if too many of those next to this node are gone.
  // eligible(member) must be false for this node itself, and may turn true only at OnJoin().
  // `transmit_limit` is RetransmitLimit(n), so that each message goes to each target once.
  template <typename Eligible>
  bool Update(int transmit_limit, Portion& portion, Eligible&& eligible);

  // The next `count` targets into `targets` (cleared first), distinct, fewer if there are fewer.
  template <typename Eligible>
  void Next(Instant now, std::size_t count, Rng& rng, std::vector<Target>& targets,
            Eligible&& eligible);
  // The targets of a wave into `targets` (cleared first): the members at the first places until
  // `count` of them live. Those for which lives(member) is false go as well, but do not count; if
  // there are only such members, at most `count` of them. No random ones.
  template <typename Eligible, typename Lives>
  void Wave(Instant now, std::size_t count, std::vector<Target>& targets, Eligible&& eligible,
            Lives&& lives);
  // The places of the cycle, as of the last Next or Wave.
  std::uint8_t places() const { return static_cast<std::uint8_t>(places_); }

 private:
  struct Successor {
    std::size_t ring;
    MemberIndex member;
    std::uint64_t distance;
  };
  struct Candidate {
    std::uint64_t distance;
    MemberIndex member;
  };
  // The members that follow this node on a ring, by distance.
  struct Ring {
    std::vector<Candidate> nearest = {};
    // `nearest` has all eligible members up to here.
    std::uint64_t reach = kEverybody;
    std::uint64_t own_place = 0;
  };
  struct Newcomer {
    MemberIndex member;
    Instant until;
  };
  static constexpr std::uint64_t kEverybody = UINT64_MAX;
  // How many candidates a ring has beyond those that other rings may take. So many of them must
  // leave before the node looks at all members again.
  static constexpr std::size_t kSpareCandidates = 8;
  // The cost of looking at a member, and at its place on a ring.
  static constexpr std::size_t kLookCost = 12;
  static constexpr std::size_t kRingCost = 1;
  // In a shorter cycle a random transmission would cost too much of the certainty.
  static constexpr std::size_t kRandomFrom = 4;
  // The most nodes to remember that joined by way of this node lately; more are a storm of joins.
  static constexpr std::size_t kNewcomersMax = 8;
  // How long news may be on its way, also with Go Serf's timing.
  static constexpr Duration kNewcomerTime = std::chrono::seconds(2);

  // How far a member with this hash is behind this node on a ring; ascending is the ring's order.
  std::uint64_t Distance(std::size_t ring, std::uint64_t hash) const {
    return PlaceOn(ring, hash) - rings_[ring].own_place;
  }
  static std::uint64_t PlaceOn(std::size_t ring, std::uint64_t hash) {
    return MixBits(hash + (ring + 1) * 0x9e3779b97f4a7c15u);
  }
  std::uint64_t HashOf(MemberIndex member) const { return table_.info(member).stable_hash(); }
  bool IsSuccessor(MemberIndex member) const {
    return std::any_of(successors_.begin(), successors_.end(),
                       [member](const Successor& s) { return s.member == member; });
  }
  void Insert(Ring& ring, Candidate candidate) {
    if (candidate.distance <= ring.reach) InsertNear(ring, candidate);
  }
  void InsertNear(Ring& ring, Candidate candidate);
  void BeginScan();
  // Looks at all members. False if the portion is used up.
  template <typename Eligible>
  bool Scan(Portion& portion, Eligible& eligible);
  // Finds the successors among the candidates. False if there are too few of them left.
  template <typename Eligible>
  bool Select(Eligible& eligible);
  // Finds the newcomers and the places that are there now.
  template <typename Eligible>
  void CountPlaces(Instant now, Eligible& eligible);
  // The newcomer or successor at a place; nothing at that of the random target.
  std::optional<MemberIndex> At(std::size_t place) const {
    if (place >= first_newcomer_) return newcomers_[newcomers_.size() - (places_ - place)].member;
    if (place < successors_.size()) return successors_[place].member;
    return std::nullopt;
  }
  static bool Has(const std::vector<Target>& targets, MemberIndex member) {
    return std::any_of(targets.begin(), targets.end(),
                       [member](const Target& t) { return t.member == member; });
  }

  const MemberTable& table_;
  const ProbeRing& ring_;
  MemberIndex self_;
  std::uint64_t own_hash_ = 0;
  std::size_t wanted_ = 0;  // successors; there are fewer if there are fewer members
  bool with_random_ = false;
  std::size_t step_ = 0;
  std::size_t places_ = 0;
  std::size_t first_newcomer_ = 0;        // the place of the oldest newcomer that has one
  std::vector<Ring> rings_;               // at least `wanted_`
  std::optional<std::uint32_t> scanned_;  // while a scan is under way: rows that it looked at
  bool stale_ = true;                     // Select() must run
  std::vector<Successor> successors_;     // distinct, by ring
  std::vector<Successor> nearest_;        // scratch of Select
  std::vector<Newcomer> newcomers_;
  std::vector<MemberIndex> random_;  // scratch of Next
};

inline void GossipTargets::OnJoin(MemberIndex member) {
  if (member == self_) return;
  const std::uint64_t hash = HashOf(member);
  for (std::size_t ring = 0; ring < rings_.size(); ++ring) {
    Insert(rings_[ring], {Distance(ring, hash), member});
  }
  // Another node may have the row of a successor that was purged meanwhile.
  stale_ = stale_ || successors_.size() < wanted_ || IsSuccessor(member) ||
           std::any_of(successors_.begin(), successors_.end(),
                       [&](const Successor& s) { return Distance(s.ring, hash) < s.distance; });
}

inline void GossipTargets::InsertNear(Ring& ring, Candidate candidate) {
  std::vector<Candidate>& nearest = ring.nearest;
  const auto at = std::lower_bound(
      nearest.begin(), nearest.end(), candidate.distance,
      [](const Candidate& c, std::uint64_t distance) { return c.distance < distance; });
  if (at != nearest.end() && at->distance == candidate.distance) {
    at->member = candidate.member;  // it may have another row now
    return;
  }
  nearest.insert(at, candidate);
  if (nearest.size() <= rings_.size() + kSpareCandidates) return;
  nearest.pop_back();
  ring.reach = nearest.back().distance;
}

template <typename Eligible>
bool GossipTargets::Update(int transmit_limit, Portion& portion, Eligible&& eligible) {
  const std::size_t limit =
      std::clamp<std::size_t>(static_cast<std::size_t>(std::max(transmit_limit, 1)), 1, kRingsMax);
  with_random_ = limit >= kRandomFrom;
  const std::size_t wanted = with_random_ ? limit - 1 : limit;
  stale_ = stale_ || wanted != wanted_ ||
           !std::all_of(successors_.begin(), successors_.end(), [&](const Successor& s) {
             return table_.Contains(s.member) && eligible(s.member);
           });
  wanted_ = wanted;
  if (!stale_) return true;
  if (rings_.size() < wanted_) {
    for (std::size_t ring = rings_.size(); ring < wanted_; ++ring) {
      rings_.push_back({.own_place = PlaceOn(ring, own_hash_)});
    }
    BeginScan();
  }
  for (;;) {
    if (scanned_ && !Scan(portion, eligible)) return false;
    if (Select(eligible)) break;
    BeginScan();
  }
  stale_ = false;
  return true;
}

inline void GossipTargets::BeginScan() {
  for (Ring& ring : rings_) {
    ring.nearest.clear();
    ring.reach = kEverybody;
  }
  scanned_ = 0;
}

template <typename Eligible>
bool GossipTargets::Scan(Portion& portion, Eligible& eligible) {
  for (std::uint32_t& row = *scanned_; row < table_.index_limit(); ++row) {
    if (portion.empty()) return false;
    portion.Spend(kLookCost);
    const MemberIndex member(row);
    if (!table_.Contains(member) || !eligible(member)) continue;
    portion.Spend(kRingCost * rings_.size());
    const std::uint64_t hash = HashOf(member);
    for (std::size_t ring = 0; ring < rings_.size(); ++ring) {
      Insert(rings_[ring], {Distance(ring, hash), member});
    }
  }
  scanned_.reset();
  return true;
}

template <typename Eligible>
bool GossipTargets::Select(Eligible& eligible) {
  successors_.clear();
  for (std::size_t ring = 0; ring < wanted_; ++ring) {
    std::erase_if(rings_[ring].nearest, [&](const Candidate& c) {
      return !table_.Contains(c.member) || !eligible(c.member) ||
             Distance(ring, HashOf(c.member)) != c.distance;
    });
  }
  // Each pass finds the nearest member on each open ring that is not taken yet. Where two rings
  // want the same member, the later ring takes its next nearest in a further pass.
  while (successors_.size() < wanted_) {
    nearest_.clear();
    for (std::size_t ring = 0; ring < wanted_; ++ring) {
      const bool is_taken = std::any_of(successors_.begin(), successors_.end(),
                                        [ring](const Successor& s) { return s.ring == ring; });
      if (is_taken) continue;
      const std::vector<Candidate>& candidates = rings_[ring].nearest;
      const auto found =
          std::find_if(candidates.begin(), candidates.end(),
                       [this](const Candidate& c) { return !IsSuccessor(c.member); });
      if (found != candidates.end()) {
        nearest_.push_back({ring, found->member, found->distance});
      } else if (rings_[ring].reach != kEverybody) {
        return false;
      }
    }
    if (nearest_.empty()) break;  // no further member
    for (const Successor& s : nearest_) {
      if (!IsSuccessor(s.member)) successors_.push_back(s);
    }
  }
  // A successor keeps its place while others come and go.
  std::sort(successors_.begin(), successors_.end(),
            [](const Successor& a, const Successor& b) { return a.ring < b.ring; });
  return true;
}

template <typename Eligible>
void GossipTargets::CountPlaces(Instant now, Eligible& eligible) {
  assert(!stale_);
  std::erase_if(newcomers_, [&](const Newcomer& n) {
    return n.until < now || !table_.Contains(n.member) || !eligible(n.member) ||
           IsSuccessor(n.member);
  });
  // A place for a random target only if there are further members.
  places_ = successors_.size() +
            (with_random_ && table_.live() > successors_.size() + 1 ? std::size_t{1} : 0);
  // The last places of the cycle, at most a quarter of it, are for the latest newcomers.
  first_newcomer_ = places_ - std::min(newcomers_.size(), std::max<std::size_t>(places_ / 4, 1));
}

template <typename Eligible>
void GossipTargets::Next(Instant now, std::size_t count, Rng& rng, std::vector<Target>& targets,
                         Eligible&& eligible) {
  targets.clear();
  if (successors_.empty()) return;
  CountPlaces(now, eligible);
  for (std::size_t i = 0; i < places_ && targets.size() < count; ++i) {
    step_ = (step_ + 1) % places_;
    std::optional<MemberIndex> member = At(step_);
    if (!member) {
      ring_.Pick(1, rng, random_,
                 [&](MemberIndex m) { return eligible(m) && !IsSuccessor(m) && !Has(targets, m); });
      if (!random_.empty()) member = random_.front();
    }
    if (member && !Has(targets, *member)) {
      targets.push_back({*member, static_cast<std::uint8_t>(step_)});
    }
  }
}

template <typename Eligible, typename Lives>
void GossipTargets::Wave(Instant now, std::size_t count, std::vector<Target>& targets,
                         Eligible&& eligible, Lives&& lives) {
  targets.clear();
  if (successors_.empty()) return;
  CountPlaces(now, eligible);
  std::size_t living = 0;
  for (std::size_t place = 0; place < places_ && living < count; ++place) {
    const std::optional<MemberIndex> member = At(place);
    if (!member) continue;
    targets.push_back({*member, static_cast<std::uint8_t>(place)});
    living += lives(*member) ? 1 : 0;
  }
  if (living == 0 && targets.size() > count) targets.resize(count);
}

}  // namespace serf::swim

#endif  // SERF_SWIM_GOSSIP_TARGETS_H_
