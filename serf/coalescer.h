#ifndef SERF_COALESCER_H_
#define SERF_COALESCER_H_

// MemberEventCoalescer: holds member events back for a moment and merges what belongs together, so
// that a cluster that comes up at once is one event and a flapping member none. A machine that is
// told the time. Source: spec/serf.md 11.2, 11.3.
//
//   coalescer.Add(now, event);             // then, at NextDeadline():
//   coalescer.OnTimer(now, [&](MemberEvent event) { ... });
//
// Where the original differs, it is wrong (15.3): an update is told once and not in each later
// batch, one that follows a join does not hide the join, and reaped members are forgotten. A member
// that went and returned within a batch with other tags or another address is told as an update.

#include <array>
#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/container/flat_hash_map.h"
#include "serf/base/time.h"
#include "serf/batch_timer.h"
#include "serf/event.h"
#include "serf/member.h"

namespace serf {

class MemberEventCoalescer {
 public:
  // See BatchTimer.
  MemberEventCoalescer(Duration period, Duration quiescent) : timer_(period, quiescent) {}

  void Add(Instant now, MemberEvent event);

  // When the batch is due; kNever if nothing is held back.
  Instant NextDeadline() const { return timer_.deadline(); }

  // Delivers the batch if it is due: one event for each kind, members sorted by name.
  template <typename Deliver>
  void OnTimer(Instant now, Deliver&& deliver) {
    if (now >= NextDeadline()) Flush(deliver);
  }

  // Delivers the batch now.
  template <typename Deliver>
  void Flush(Deliver&& deliver);

 private:
  static constexpr std::size_t kKinds = 5;

  // What is held back about a member: the newest kind and record.
  struct Pending {
    MemberEventKind kind = MemberEventKind::kJoin;
    Member member;
  };
  // What was told last about a member.
  struct Told {
    MemberEventKind kind = MemberEventKind::kJoin;
    Endpoint endpoint;
    Tags tags;
  };

  // Whether there is something to tell, and then notes it as told; may change the kind.
  bool Tell(Pending& pending);

  BatchTimer timer_;
  absl::btree_map<std::string, Pending> pending_;
  absl::flat_hash_map<std::string, Told> told_;
};

inline void MemberEventCoalescer::Add(Instant now, MemberEvent event) {
  timer_.OnEvent(now);
  for (Member& member : event.members) {
    const auto [at, is_new] = pending_.try_emplace(member.name);
    Pending& pending = at->second;
    if (!is_new && event.kind == MemberEventKind::kUpdate &&
        pending.kind == MemberEventKind::kJoin) {
      pending.member = std::move(member);
      continue;
    }
    pending = {event.kind, std::move(member)};
  }
}

inline bool MemberEventCoalescer::Tell(Pending& pending) {
  const Member& member = pending.member;
  const auto told = told_.find(member.name);
  if (pending.kind == MemberEventKind::kReap) {
    if (told != told_.end()) told_.erase(told);
    return true;
  }
  if (told != told_.end() && told->second.kind == pending.kind) {
    const bool same = told->second.endpoint == member.endpoint && told->second.tags == member.tags;
    if (same || pending.kind != MemberEventKind::kJoin) return false;
    pending.kind = MemberEventKind::kUpdate;
  }
  Told& now_told = told_[member.name];
  // An update tells that the member is there, as a join does: a join after it tells nothing new.
  now_told.kind = pending.kind == MemberEventKind::kUpdate ? MemberEventKind::kJoin : pending.kind;
  now_told.endpoint = member.endpoint;
  now_told.tags = member.tags;
  return true;
}

template <typename Deliver>
void MemberEventCoalescer::Flush(Deliver&& deliver) {
  timer_.Stop();
  std::array<MemberEvent, kKinds> batch;
  for (auto& [name, pending] : pending_) {
    if (!Tell(pending)) continue;
    batch[static_cast<std::size_t>(pending.kind)].members.push_back(std::move(pending.member));
  }
  pending_.clear();
  for (std::size_t kind = 0; kind < kKinds; ++kind) {
    if (batch[kind].members.empty()) continue;
    batch[kind].kind = static_cast<MemberEventKind>(kind);
    deliver(std::move(batch[kind]));
  }
}

}  // namespace serf

#endif  // SERF_COALESCER_H_
