// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_SWIM_SUSPICION_H_
#define SERF_SWIM_SUSPICION_H_

// Running suspicions: a slot table, and the remaining time of a suspicion as a pure function of its
// confirmations (Lifeguard, 2018, section IV-B; docs/protocol/membership.md 5.4). It keeps no
// timers: Membership sets one for deadline().
//
//   SuspicionSlot s = suspicions.Start(now, member, from, SuspicionTimes::For(...));
//   if (suspicions[s].Confirm(other)) { re-gossip; re-arm for suspicions[s].deadline(); }
//   suspicions.Drop(s);

#include <algorithm>
#include <cassert>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/container/inlined_vector.h"
#include "absl/strings/string_view.h"
#include "serf/base/time.h"
#include "serf/base/timer_heap.h"
#include "serf/swim/node_info.h"

namespace serf::swim {

// A place in the SuspicionTable. 32 bits, since every member row holds one.
using SuspicionSlot = Newtype<struct SuspicionSlotTag, std::uint32_t>;
inline constexpr SuspicionSlot kNoSuspicion{0xffffffffu};

// How long a suspicion lasts: `max` without confirmation, `min` with `k` of them.
struct SuspicionTimes {
  Duration min{};
  Duration max{};
  int k = 0;

  // `min` is SuspicionTimeout(n) (scaling.h). In a cluster that is too small to give k
  // confirmations (n - 2 < k), none is expected. `known_nodes` counts every known node, this one
  // included. `min_percent`, at most 100, shortens the least time if confirmations are expected:
  // without any, a time that is too short would rest on the word of one node.
  static SuspicionTimes For(int suspicion_mult, int max_timeout_mult, Duration min,
                            std::size_t known_nodes, int min_percent = 100) {
    int k = suspicion_mult - 2;
    if (static_cast<std::int64_t>(known_nodes) - 2 < k) k = 0;
    const Duration longest = min * max_timeout_mult;
    return k > 0 ? SuspicionTimes{min * min_percent / 100, longest, k}
                 : SuspicionTimes{min, longest, 0};
  }
};

// The whole time of a suspicion, from its start, after `confirmations` of `times.k`. Truncated to
// milliseconds as in the protocol, but never below min. `confirmations` is at most k.
inline Duration SuspicionDuration(const SuspicionTimes& times, int confirmations) {
  if (times.k < 1) return times.min;
  if (confirmations == 0) return times.max;
  const double fraction = std::log(confirmations + 1.0) / std::log(times.k + 1.0);
  const double seconds =
      ToSeconds(times.max) - fraction * (ToSeconds(times.max) - ToSeconds(times.min));
  const Duration raw =
      std::chrono::milliseconds(static_cast<std::int64_t>(std::floor(seconds * 1000.0)));
  return raw < times.min ? times.min : raw;
}

class Suspicion {
 public:
  MemberIndex member() const { return member_; }
  Instant started() const { return started_; }
  Instant deadline() const {
    return started_ + postponed_ + SuspicionDuration(times_, confirmations());
  }
  int confirmations() const { return static_cast<int>(seen_.size()) - 1; }
  // How many confirmations shorten it; fewer at the end mean a degraded detector
  // (docs/protocol/membership.md 8.1).
  int k() const { return times_.k; }

  // True if `from` is new and counts: the caller then re-gossips and re-arms; the deadline may have
  // passed already. The originator never counts.
  bool Confirm(absl::string_view from) {
    if (confirmations() >= times_.k) return false;
    const std::uint64_t accuser = StableNameHash(from);
    for (const std::uint64_t seen : seen_) {
      if (seen == accuser) return false;
    }
    seen_.push_back(accuser);
    return true;
  }

  // How long a node needs to read what has come while it stood still: some hundreds of datagrams.
  static constexpr Duration kHearing = std::chrono::milliseconds(500);

  // This node heard nobody for so long: the suspect gets the time again, and at least kHearing from
  // now on, so that what has come meanwhile is read first. All postponements together are at most
  // as long as the longest suspicion: a node that is late all the time still detects failures.
  void Postpone(Instant now, Duration deaf) {
    const Duration rest = now + kHearing - deadline();
    postponed_ = std::min(postponed_ + std::max(deaf, rest), times_.max);
  }

  // For Membership: its timer of this suspicion, and whether the suspicion ends in a departure.
  TimerHandle timer;
  bool farewell = false;

 private:
  friend class SuspicionTable;

  MemberIndex member_;
  Instant started_{};
  Duration postponed_{};
  SuspicionTimes times_;
  // Hashes of the originator and of the nodes that confirmed. A name may be of any length and need
  // not belong to a node, so only the hash is kept; two names with one hash merely count once. Five
  // places suffice for the profiles (k is at most 4).
  absl::InlinedVector<std::uint64_t, 5> seen_;
};

class SuspicionTable {
 public:
  SuspicionSlot Start(Instant now, MemberIndex member, absl::string_view from,
                      const SuspicionTimes& times) {
    SuspicionSlot slot(static_cast<std::uint32_t>(slots_.size()));
    if (free_.empty()) {
      slots_.emplace_back();
    } else {
      slot = free_.back();
      free_.pop_back();
    }
    Suspicion& s = slots_[slot.value()];
    s.timer = TimerHandle();
    s.farewell = false;
    s.member_ = member;
    s.started_ = now;
    s.postponed_ = Duration::zero();
    s.times_ = times;
    s.seen_.clear();
    s.seen_.push_back(StableNameHash(from));
    return slot;
  }

  void Drop(SuspicionSlot slot) {
    assert(slot.value() < slots_.size());
    free_.push_back(slot);
  }

  // Valid until the next Start.
  Suspicion& operator[](SuspicionSlot slot) { return slots_[slot.value()]; }
  const Suspicion& operator[](SuspicionSlot slot) const { return slots_[slot.value()]; }

  // Suspicion::Postpone() for each that runs, and its timer with it.
  void Postpone(Instant now, Duration deaf, TimerHeap<SuspicionSlot>& timers) {
    for (Suspicion& suspicion : slots_) {
      if (!timers.IsLive(suspicion.timer)) continue;  // a free place
      suspicion.Postpone(now, deaf);
      timers.Reschedule(suspicion.timer, suspicion.deadline());
    }
  }

  // How many suspicions run.
  std::size_t size() const { return slots_.size() - free_.size(); }

 private:
  std::vector<Suspicion> slots_;
  std::vector<SuspicionSlot> free_;
};

}  // namespace serf::swim

#endif  // SERF_SWIM_SUSPICION_H_
