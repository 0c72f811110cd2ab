// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_MEMBERS_MEMBER_RULES_H_
#define SERF_MEMBERS_MEMBER_RULES_H_

// How intents and the engine's notifications change a member's state: pure functions, the table of
// docs/protocol/serf.md appendix A but for one line: see OnNodeGone. What follows from a change
// (events, rebroadcast, pruning) is told in the result and done by the caller.

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
  bool refute = false;        // the own departure was claimed: issue a join intent
  bool forced_leave = false;  // a failed member became a left one: an event
  bool prune = false;         // erase it; not before the engine has lost it
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

// A leave intent about a known member (docs/protocol/serf.md 3.4.2). `living_self`: it is about
// this node, which has not been told to leave.
inline constexpr IntentEffect OnLeaveIntent(MemberRecord member, wire::LamportTime time, bool prune,
                                            bool living_self) {
  IntentEffect effect{.after = member};
  if (living_self) {
    // Also at a tie with the own join intent: who hears the leave intent first keeps that.
    effect.refute = time >= member.status_time;
    return effect;
  }
  if (time <= member.status_time) return effect;
  // In every state: otherwise two different leave messages about a member that has already left
  // would be passed on for ever.
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

// The engine reports a node alive (docs/protocol/serf.md 3.3.1): `member` is what is known of it,
// `intent` what was buffered if nothing is.
inline constexpr MemberRecord OnNodeAlive(const std::optional<MemberRecord>& member,
                                          const Intent* intent) {
  if (member.has_value()) return {MemberStatus::kAlive, member->status_time};
  if (intent == nullptr) return {MemberStatus::kAlive, wire::LamportTime(0)};
  // A pruned name that is alive again has a new life, for which only newer intents count.
  return {intent->kind == IntentKind::kLeave ? MemberStatus::kLeaving : MemberStatus::kAlive,
          intent->time};
}

// The engine reports a node gone (docs/protocol/serf.md 3.3.2): the event to emit. None, with the
// status unchanged, if that makes no sense now. `announced`: the node announced its departure to
// the engine, as none does that did not mean to leave. The original does not look at it, and takes
// for failed who left if it missed the intent (docs/decisions/0006-departures-are-leaves.md).
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

// Whether a member has been leaving for so long, while the engine sees it alive, that the leave
// intent must have been outrun by its restart (docs/protocol/serf.md 15.3): for `least`, since a
// departure takes seconds, and a few push/pulls, `push_pull_period` apart, since a join intent that
// still travels arrives with them.
inline constexpr bool IsStuckLeaving(Duration leaving_for, Duration least,
                                     Duration push_pull_period) {
  constexpr int kPeriods = 3;
  const Duration patience = kPeriods * push_pull_period;
  return leaving_for > (patience > least ? patience : least);
}

// Whether a failed or departed member is to be forgotten (docs/protocol/serf.md 3.7.1).
inline constexpr bool IsReapable(Instant now, Instant gone_since, Duration timeout) {
  return now - gone_since > timeout;
}

}  // namespace serf

#endif  // SERF_MEMBERS_MEMBER_RULES_H_
