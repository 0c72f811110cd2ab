// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_EVENTS_MEMBER_EVENT_COALESCER_H_
#define SERF_EVENTS_MEMBER_EVENT_COALESCER_H_

// MemberEventCoalescer: holds member events back for a moment and merges them, so that a cluster
// that starts all at once is a single event, and a flapping member causes none at all. A pure
// machine. Source: docs/protocol/serf.md 11.2, 11.3.
//
//   coalescer.Add(now, event);             // then, at NextDeadline():
//   coalescer.OnTimer(now, [&](MemberEvent event) { ... });
//
// A batch is one event for each kind. An event of many members is delivered in portions, one in
// each turn of the loop, because the records for clients and the lines for scripts take some
// microseconds for each member.
//
// A batch reports the last state of each member, compared with the last report: that it came, left
// or failed. Two more reports follow where they apply, since a listener for them hears of nothing
// else: a change of tags or address, and that the member was reaped. A member that left and
// returned within a batch with other tags or another address is reported as an update.
//
// This implementation differs from Go Serf where that is wrong (docs/protocol/serf.md 15.3): Go
// Serf repeats an update in each later batch, reports only the update of a join and an update,
// reports only the reap of a departure and a reap, and never forgets a member.

#include <array>
#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/container/flat_hash_map.h"
#include "absl/hash/hash.h"
#include "serf/base/portion.h"
#include "serf/base/time.h"
#include "serf/event.h"
#include "serf/events/batch_timer.h"
#include "serf/member.h"

namespace serf {

class MemberEventCoalescer {
 public:
  // The most members held back, and the most bytes of their names and tags. A full batch is due at
  // once, so that nothing is lost.
  static constexpr std::size_t kHeldMax = 16384;
  static constexpr std::size_t kHeldBytesMax = std::size_t{8} << 20;

  // See BatchTimer.
  MemberEventCoalescer(Duration period, Duration quiescent) : timer_(period, quiescent) {}

  void Add(Instant now, MemberEvent event);

  // When the batch is due; kNever if nothing is held back.
  Instant NextDeadline() const {
    const bool full = pending_.size() >= kHeldMax || bytes_ >= kHeldBytesMax;
    return full || telling_ ? Instant::min() : timer_.deadline();
  }

  // Delivers a portion of the batch if it is due: one event for each kind, members sorted by name.
  // Events that come meanwhile belong to the next batch.
  template <typename Deliver>
  void OnTimer(Instant now, Deliver&& deliver) {
    if (now < NextDeadline()) return;
    if (!telling_) Begin();
    Continue(Portion(), deliver);
  }

  // Delivers everything now.
  template <typename Deliver>
  void Flush(Deliver&& deliver) {
    if (telling_) Continue(Portion::Unlimited(), deliver);
    Begin();
    Continue(Portion::Unlimited(), deliver);
  }

 private:
  static constexpr std::size_t kKinds = 5;
  // The cost of a member in a portion, besides its bytes: to find out what to report, and to report
  // it. A portion has some 500 members.
  static constexpr std::size_t kJudgeCost = 64;
  static constexpr std::size_t kTellCost = 448;

  // What is held back about a member.
  struct Pending {
    MemberEventKind kind = MemberEventKind::kJoin;  // the last state
    bool updated = false;                           // and then an update, if it is a join
    bool reaped = false;                            // and then a reap, if it is a departure
    Member member;                                  // the newest record
  };
  // The last report about a member.
  struct Told {
    MemberEventKind kind = MemberEventKind::kJoin;
    // A hash of address and tags: they are only compared, and a member's tags may have 512 bytes.
    // If two hashes are equal by chance, the application misses an update.
    std::size_t record = 0;
  };

  static bool IsDeparture(MemberEventKind kind) {
    return kind == MemberEventKind::kLeave || kind == MemberEventKind::kFailed;
  }
  static std::size_t RecordOf(const Member& member) {
    return absl::HashOf(member.endpoint, member.tags);
  }
  static std::size_t BytesOf(const Member& member);

  void Merge(MemberEventKind kind, Pending& pending);
  // Removes from `pending` what need not be reported, and notes the rest as reported. False:
  // nothing is left.
  bool Tell(Pending& pending);

  // The held-back events become the batch that is being delivered.
  void Begin() {
    timer_.Stop();
    batch_.swap(pending_);
    bytes_ = 0;
    telling_ = true;
  }
  // Delivers more of the batch.
  template <typename Deliver>
  void Continue(Portion portion, Deliver& deliver);
  // Adds a member of the batch to the events that report it.
  void Judge(Pending pending);

  using Held = absl::btree_map<std::string, Pending>;
  // The members of one event, by name.
  struct ToTell {
    std::vector<Member> members;
    std::size_t next = 0;
  };

  BatchTimer timer_;
  Held pending_;
  std::size_t bytes_ = 0;  // of the members of pending_
  bool telling_ = false;
  Held batch_;                               // not yet judged
  std::array<ToTell, kKinds> to_tell_ = {};  // by kind
  absl::flat_hash_map<std::string, Told> told_;
};

inline std::size_t MemberEventCoalescer::BytesOf(const Member& member) {
  std::size_t bytes = member.name.size();
  for (const auto& [key, value] : member.tags) bytes += key.size() + value.size();
  return bytes;
}

inline void MemberEventCoalescer::Add(Instant now, MemberEvent event) {
  timer_.OnEvent(now);
  for (Member& member : event.members) {
    const auto [at, is_new] = pending_.try_emplace(member.name);
    Pending& pending = at->second;
    bytes_ += BytesOf(member);
    if (is_new) {
      pending.kind = event.kind;
    } else {
      bytes_ -= BytesOf(pending.member);
      Merge(event.kind, pending);
    }
    pending.member = std::move(member);
  }
}

inline void MemberEventCoalescer::Merge(MemberEventKind kind, Pending& pending) {
  if (kind == MemberEventKind::kUpdate && pending.kind == MemberEventKind::kJoin) {
    pending.updated = true;
  } else if (kind == MemberEventKind::kReap && IsDeparture(pending.kind)) {
    pending.reaped = true;
  } else {
    pending.kind = kind;
    pending.updated = pending.reaped = false;
  }
}

inline bool MemberEventCoalescer::Tell(Pending& pending) {
  const Member& member = pending.member;
  const auto told = told_.find(member.name);
  const bool same_kind = told != told_.end() && told->second.kind == pending.kind;
  if (pending.kind == MemberEventKind::kReap || pending.reaped) {
    if (same_kind) pending.kind = MemberEventKind::kReap;
    if (told != told_.end()) told_.erase(told);
    return true;
  }
  const std::size_t record = RecordOf(member);
  if (same_kind) {
    const bool changed = pending.updated || told->second.record != record;
    if (pending.kind != MemberEventKind::kJoin || !changed) return false;
    pending.kind = MemberEventKind::kUpdate;
    pending.updated = false;
  }
  // An update reports that the member is there, as a join does: a join after it is not news.
  const bool there = pending.kind == MemberEventKind::kUpdate;
  told_[member.name] = {there ? MemberEventKind::kJoin : pending.kind, record};
  return true;
}

inline void MemberEventCoalescer::Judge(Pending pending) {
  if (!Tell(pending)) return;
  const auto members = [this](MemberEventKind kind) -> std::vector<Member>& {
    return to_tell_[static_cast<std::size_t>(kind)].members;
  };
  if (pending.updated) members(MemberEventKind::kUpdate).push_back(pending.member);
  if (pending.reaped && pending.kind != MemberEventKind::kReap) {
    members(MemberEventKind::kReap).push_back(pending.member);
  }
  members(pending.kind).push_back(std::move(pending.member));
}

template <typename Deliver>
void MemberEventCoalescer::Continue(Portion portion, Deliver& deliver) {
  while (!batch_.empty()) {
    if (portion.empty()) return;
    portion.Spend(kJudgeCost);
    Judge(std::move(batch_.begin()->second));
    batch_.erase(batch_.begin());
  }
  for (std::size_t kind = 0; kind < kKinds; ++kind) {
    auto& [members, next] = to_tell_[kind];
    if (members.empty()) continue;
    MemberEvent event{static_cast<MemberEventKind>(kind), {}};
    for (; next < members.size() && !portion.empty(); ++next) {
      portion.Spend(kTellCost + BytesOf(members[next]));
      event.members.push_back(std::move(members[next]));
    }
    const bool all = next == members.size();
    if (all) to_tell_[kind] = {};
    if (!event.members.empty()) deliver(std::move(event));
    if (!all) return;
  }
  telling_ = false;
}

}  // namespace serf

#endif  // SERF_EVENTS_MEMBER_EVENT_COALESCER_H_
