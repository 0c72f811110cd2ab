// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_MEMBERS_MEMBER_RULES_H_
#define SERF_MEMBERS_MEMBER_RULES_H_

// How intents and notifications of the SWIM layer change a member's state: pure functions, the
// table of docs/protocol/serf.md appendix A except for one line (see OnNodeGone). A result names
// the consequences (events, rebroadcast, pruning); the caller carries them out.

#include <cstdint>
#include <optional>

#include "serf/base/time.h"
#include "serf/event.h"
#include "serf/member.h"
#include "serf/members/intent_log.h"
#include "serf/wire/ids.h"

namespace serf {

// What intents decide about a member.
struct MemberRecord {
  MemberStatus status = MemberStatus::kNone;
  wire::LamportTime status_time;  // of the newest accepted intent

  friend constexpr bool operator==(const MemberRecord&, const MemberRecord&) = default;
};

struct IntentEffect {
  MemberRecord after;
  bool rebroadcast = false;
  bool refute = false;        // the intent claims that this node leaves: issue a join intent
  bool forced_leave = false;  // a failed member became one that left: an event
  bool prune = false;         // erase the member, but not before the SWIM layer has lost it
};

// A join intent about a known member (docs/protocol/serf.md 3.4.1).
inline constexpr IntentEffect OnJoinIntent(MemberRecord member, wire::LamportTime time) {
  IntentEffect effect{.after = member};
  if (time <= member.status_time) return effect;
  effect.after.status_time = time;
  if (member.status == MemberStatus::kLeaving) effect.after.status = MemberStatus::kAlive;
  effect.rebroadcast = true;
  return effect;
}

// A leave intent about a known member (docs/protocol/serf.md 3.4.2). `living_self`: the member is
// this node, and it was not asked to leave.
inline constexpr IntentEffect OnLeaveIntent(MemberRecord member, wire::LamportTime time, bool prune,
                                            bool living_self) {
  IntentEffect effect{.after = member};
  if (living_self) {
    // Refute also at a tie with this node's join intent: a node that heard the leave intent first
    // keeps the leave intent.
    effect.refute = time >= member.status_time;
    return effect;
  }
  if (time <= member.status_time) return effect;
  // In every state: otherwise two different leave messages about a member that has already left
  // would circulate forever.
  effect.after.status_time = time;
  switch (member.status) {
    case MemberStatus::kNone:
      return effect;
    case MemberStatus::kAlive:
      effect.after.status = MemberStatus::kLeaving;
      break;
    case MemberStatus::kFailed:
      effect.after.status = MemberStatus::kLeft;
      effect.forced_leave = true;
      break;
    case MemberStatus::kLeaving:
    case MemberStatus::kLeft:
      break;
  }
  effect.rebroadcast = true;
  effect.prune = prune;
  return effect;
}

// The SWIM layer reports a node alive (docs/protocol/serf.md 3.3.1). `member` is what is known of
// it; if nothing is known, `intent` is the intent that arrived earlier, if any.
inline constexpr MemberRecord OnNodeAlive(const std::optional<MemberRecord>& member,
                                          const Intent* intent) {
  if (member.has_value()) return {MemberStatus::kAlive, member->status_time};
  if (intent == nullptr) return {MemberStatus::kAlive, wire::LamportTime(0)};
  // A pruned name that is alive again has a new life, for which only newer intents count.
  return {intent->kind == IntentKind::kLeave ? MemberStatus::kLeaving : MemberStatus::kAlive,
          intent->time};
}

// The SWIM layer reports a node gone (docs/protocol/serf.md 3.3.2). Returns the event to emit;
// nothing, with the status unchanged, if a departure makes no sense now. `announced`: the node sent
// its own `dead` message, which only a leaving node does. Go Serf ignores that, so it reports
// `failed` for a member whose leave intent it missed
// (docs/decisions/0006-departures-are-leaves.md).
inline constexpr std::optional<MemberEventKind> OnNodeGone(MemberRecord& member, bool announced) {
  switch (member.status) {
    case MemberStatus::kLeaving:
      member.status = MemberStatus::kLeft;
      return MemberEventKind::kLeave;
    case MemberStatus::kAlive:
      member.status = announced ? MemberStatus::kLeft : MemberStatus::kFailed;
      return announced ? MemberEventKind::kLeave : MemberEventKind::kFailed;
    case MemberStatus::kNone:
    case MemberStatus::kLeft:
    case MemberStatus::kFailed:
      return std::nullopt;
  }
  return std::nullopt;
}

// Whether a member has been leaving for so long, while the SWIM layer sees it alive, that its
// restart must have overtaken the leave intent (docs/protocol/serf.md 15.3). `least` covers a
// departure, which takes seconds. A few push/pulls, `push_pull_period` apart, cover a join intent
// that still travels.
inline constexpr bool IsStuckLeaving(Duration leaving_for, Duration least,
                                     Duration push_pull_period) {
  constexpr int kPeriods = 3;
  const Duration patience = kPeriods * push_pull_period;
  return leaving_for > (patience > least ? patience : least);
}

// Whether it is time to forget a member that failed or left (docs/protocol/serf.md 3.7.1).
inline constexpr bool IsReapable(Instant now, Instant gone_since, Duration timeout) {
  return now - gone_since > timeout;
}

}  // namespace serf

#endif  // SERF_MEMBERS_MEMBER_RULES_H_
