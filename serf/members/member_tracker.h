// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_MEMBERS_MEMBER_TRACKER_H_
#define SERF_MEMBERS_MEMBER_TRACKER_H_

// MemberTracker: the members as the Serf layer sees them. It follows the reports of the SWIM layer
// and the claims of intents and push/pulls, and keeps each change as an event. The rules are in
// member_rules.h; this file carries out their consequences. Source: docs/protocol/serf.md 3.
//
// This implementation differs from Go Serf where that is wrong (docs/protocol/serf.md 15.3).
// Pruning never waits, and never erases this node or a member that the SWIM layer sees alive. A
// member that is stuck in leaving becomes alive again. The age of a tombstone counts from the
// leave, not from an earlier failure. A member that announced its departure to the SWIM layer has
// left, even if this node missed its intent.

#include <algorithm>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/strings/string_view.h"
#include "serf/base/endpoint.h"
#include "serf/base/logger.h"
#include "serf/base/portion.h"
#include "serf/base/results.h"
#include "serf/base/time.h"
#include "serf/context/context.h"
#include "serf/event.h"
#include "serf/lamport/checked_clock.h"
#include "serf/lamport/lamport_clock.h"
#include "serf/member.h"
#include "serf/member_listing.h"
#include "serf/members/intent_log.h"
#include "serf/members/member_rules.h"
#include "serf/members/member_status_table.h"
#include "serf/swim/node.h"
#include "serf/swim/node_info.h"
#include "serf/swim/scaling.h"
#include "serf/tags.h"
#include "serf/wire/ids.h"
#include "serf/wire/msgpack.h"

namespace serf {

class MemberTracker {
 public:
  // Members that wait to be pruned. Leave intents with `prune` are not authenticated.
  static constexpr std::size_t kPrunesMax = 4096;
  // Prunes in one turn of the loop: the snapshot, the log and the application hear of each.
  static constexpr std::size_t kPrunedInTurnMax = 256;

  // The result of a leave intent.
  struct LeaveOutcome {
    bool rebroadcast = false;
    bool refute = false;  // the intent is about this node, which is alive: issue a join intent
  };

  // The context must outlive the tracker. Its `config.swim.node_infos` is set, and is the pool of
  // `node`.
  explicit MemberTracker(SerfContext& context)
      : context_(context), clock_("intents", context.config.swim.logger, context.counters) {}
  MemberTracker(const MemberTracker&) = delete;
  MemberTracker& operator=(const MemberTracker&) = delete;

  // For a simulation; see swim::Node::KnowMembersOf.
  void KnowMembersOf(const MemberTracker& other) { table_.ShareFrom(other.table_); }

  // --- what the SWIM layer reports (docs/protocol/serf.md 3.3) ---
  void OnNodeJoin(Instant now, swim::MemberIndex member);
  void OnNodeLeave(Instant now, swim::MemberIndex member);
  void OnNodeUpdate(swim::MemberIndex member);
  void OnNodePurged(Instant now, swim::MemberIndex member);
  bool IsLeaving(swim::MemberIndex member) const {
    return table_.Present(member).status == MemberStatus::kLeaving;
  }

  // --- claims (docs/protocol/serf.md 3.4, 4.3); implausible times are counted and ignored ---
  // True if the message is new and should be gossiped.
  bool OnJoinMessage(Instant now, absl::string_view name, wire::LamportTime time) {
    return clock_.Witness(now, time) && ApplyJoin(now, name, time);
  }
  LeaveOutcome OnLeaveMessage(Instant now, absl::string_view name, wire::LamportTime time,
                              bool prune);
  // The state of a peer lists this member, left or not, with its status time. The clock has already
  // witnessed the peer's clock.
  LeaveOutcome OnRemoteLeft(Instant now, absl::string_view name, wire::LamportTime time);
  void OnRemoteStatus(Instant now, absl::string_view name, wire::LamportTime time) {
    if (clock_.IsPast(now, time)) ApplyJoin(now, name, time);
  }

  // --- time ---
  // Prunes the members whose time has come.
  void OnTimer(Instant now);
  Instant NextDeadline() const { return next_prune_; }
  // Forgets old tombstones and intents, and makes members alive again that are stuck in leaving
  // (docs/protocol/serf.md 3.7). Call it every reap_interval. False: the portion is used up, and
  // another turn must continue.
  bool Reap(Instant now);

  // The changes, in their order; each event has one member.
  Results<MemberEvent>& events() { return events_; }

  // --- views ---
  CheckedClock& clock() { return clock_; }
  const LamportClock& clock() const { return clock_.clock(); }
  const MemberStatusTable& table() const { return table_; }
  const IntentLog& intents() const { return intents_; }
  // Whether any other member is alive; a broadcast makes sense only then.
  bool HasAlivePeer() const;
  std::optional<Member> Find(absl::string_view name) const;
  bool Contains(absl::string_view name) const {
    return FindPresent(name).has_value() || table_.FindDeparted(name) != nullptr;
  }
  // All members, in every state.
  MemberListing List() const;
  // Calls f(info, status) for each member, in no order.
  template <typename F>
  void ForEach(F&& f) const;
  // Those of `endpoints` that no member has, in any state. Looks at all members once.
  std::vector<Endpoint> WithoutMember(std::vector<Endpoint> endpoints) const;
  // A walk through all members, for the state in a push/pull.
  struct Walk {
    std::uint32_t next = 0;  // index in the SWIM layer
    std::string departed;    // after the indices: the first name among the departed
  };
  // Calls f(swim::NodeInfoRef, wire::LamportTime, bool left) for the next members. False if the
  // portion is used up: call it again. The walk may visit a member twice that departs meanwhile;
  // the later visit counts. It may miss a member that returns meanwhile.
  template <typename F>
  bool VisitTimes(Walk& walk, Portion& portion, F&& f) const;

 private:
  // The cost of looking at a tombstone, and of forgetting it: the snapshot, the log and the
  // application hear of it.
  static constexpr std::size_t kTombstoneCost = 8;
  static constexpr std::size_t kReapCost = 1024;
  static constexpr std::size_t kVisitCost = 64;

  bool IsSelf(absl::string_view name) const { return name == context_.config.swim.name; }
  // The index of a member that is alive or leaving.
  std::optional<swim::MemberIndex> FindPresent(absl::string_view name) const;
  bool ApplyJoin(Instant now, absl::string_view name, wire::LamportTime time);
  LeaveOutcome OnLeaveOfDeparted(Instant now, absl::string_view name, wire::LamportTime time,
                                 bool prune);
  void SchedulePrune(Instant now, absl::string_view name);
  // Prunes the member if a prune waits for its departure and is due.
  void PruneIfDue(Instant now, absl::string_view name);
  void Prune(Instant now, absl::string_view name);
  void HealLeaving(Instant now);
  void Emit(MemberEventKind kind, const swim::NodeInfo& info, MemberStatus status);
  static Member Describe(const swim::NodeInfo& info, MemberStatus status);
  void LogMember(absl::string_view event, const swim::NodeInfo& info) const {
    Log(context_.config.swim.logger, LogLevel::kInfo, "serf: ", event, ": ", info.name(), " ",
        info.endpoint().address.ToString());
  }
  void CheckTags(const swim::NodeInfo& info) const;

  SerfContext& context_;
  CheckedClock clock_;
  MemberStatusTable table_;
  IntentLog intents_;
  // When to prune the members that were leaving at the request; kNever: when they have left.
  absl::btree_map<std::string, Instant> prunes_;
  Instant next_prune_ = kNever;
  Results<MemberEvent> events_;
  std::string reap_from_;  // the first name of the next portion; empty: begin with the first
};

// --- the SWIM layer ---

inline void MemberTracker::OnNodeJoin(Instant now, swim::MemberIndex member) {
  const swim::NodeInfo& info = context_.node.info(member);
  std::optional<MemberRecord> known;
  if (const auto* departed = table_.FindDeparted(info.name()); departed != nullptr) {
    known = departed->record;
    if (known->status == MemberStatus::kFailed &&
        now - departed->since < context_.config.flap_timeout) {
      ++context_.counters.member_flaps;
    }
    table_.EraseDeparted(info.name());
  } else if (const MemberRecord record = table_.Present(member);
             record.status != MemberStatus::kNone) {
    known = record;
  }
  const MemberRecord record = OnNodeAlive(known, intents_.Find(info.name()));
  table_.SetPresent(now, member, record);
  CheckTags(info);
  LogMember("EventMemberJoin", info);
  ++context_.counters.member_joins;
  Emit(MemberEventKind::kJoin, info, record.status);
}

inline void MemberTracker::OnNodeLeave(Instant now, swim::MemberIndex member) {
  const swim::NodeInfo& info = context_.node.info(member);
  MemberRecord record = table_.Present(member);
  if (record.status == MemberStatus::kNone) {
    if (const auto* departed = table_.FindDeparted(info.name()); departed != nullptr) {
      Log(context_.config.swim.logger, LogLevel::kWarn,
          "serf: Bad state when leave: ", static_cast<int>(departed->record.status));
    }
    return;
  }
  const std::optional<MemberEventKind> kind =
      OnNodeGone(record, context_.node.state(member) == swim::NodeState::kLeft);
  if (!kind.has_value()) return;
  table_.SetPresent(now, member, MemberRecord{});
  table_.AddDeparted(now, context_.config.swim.node_infos->Intern(info.view()), record);
  if (kind == MemberEventKind::kLeave) {
    LogMember("EventMemberLeave", info);
    ++context_.counters.member_leaves;
  } else {
    LogMember("EventMemberFailed", info);
    ++context_.counters.member_failures;
  }
  Emit(*kind, info, record.status);
  PruneIfDue(now, info.name());
}

inline void MemberTracker::OnNodeUpdate(swim::MemberIndex member) {
  const MemberRecord record = table_.Present(member);
  if (record.status == MemberStatus::kNone) return;
  const swim::NodeInfo& info = context_.node.info(member);
  CheckTags(info);
  Log(context_.config.swim.logger, LogLevel::kInfo, "serf: EventMemberUpdate: ", info.name());
  ++context_.counters.member_updates;
  Emit(MemberEventKind::kUpdate, info, record.status);
}

inline void MemberTracker::OnNodePurged(Instant now, swim::MemberIndex member) {
  // The SWIM layer purges only members that it reported gone, and these have no row.
  assert(table_.Present(member).status == MemberStatus::kNone);
  table_.SetPresent(now, member, MemberRecord{});
}

// --- intents ---

inline bool MemberTracker::ApplyJoin(Instant now, absl::string_view name, wire::LamportTime time) {
  if (const auto member = FindPresent(name); member.has_value()) {
    const IntentEffect effect = OnJoinIntent(table_.Present(*member), time);
    table_.SetPresent(now, *member, effect.after);
    // The member refuted the leave that was to prune it. A later leave of its own does not prune
    // it.
    if (effect.after.status == MemberStatus::kAlive) prunes_.erase(name);
    return effect.rebroadcast;
  }
  if (const auto* departed = table_.FindDeparted(name); departed != nullptr) {
    const IntentEffect effect = OnJoinIntent(departed->record, time);
    table_.SetDeparted(departed->since, name, effect.after);
    return effect.rebroadcast;
  }
  return intents_.Upsert(now, name, IntentKind::kJoin, time);
}

inline MemberTracker::LeaveOutcome MemberTracker::OnLeaveMessage(Instant now,
                                                                 absl::string_view name,
                                                                 wire::LamportTime time,
                                                                 bool prune) {
  if (!clock_.Witness(now, time)) return {};
  const auto member = FindPresent(name);
  if (!member.has_value()) return OnLeaveOfDeparted(now, name, time, prune);
  const bool living_self = context_.lives() && *member == context_.node.self();
  const IntentEffect effect = OnLeaveIntent(table_.Present(*member), time, prune, living_self);
  table_.SetPresent(now, *member, effect.after);
  if (effect.prune) SchedulePrune(now, name);
  return {.rebroadcast = effect.rebroadcast, .refute = effect.refute};
}

inline MemberTracker::LeaveOutcome MemberTracker::OnLeaveOfDeparted(Instant now,
                                                                    absl::string_view name,
                                                                    wire::LamportTime time,
                                                                    bool prune) {
  const auto* departed = table_.FindDeparted(name);
  if (departed == nullptr) {
    return {.rebroadcast = intents_.Upsert(now, name, IntentKind::kLeave, time)};
  }
  const bool living_self = context_.lives() && IsSelf(name);
  const IntentEffect effect = OnLeaveIntent(departed->record, time, prune, living_self);
  table_.SetDeparted(effect.forced_leave ? now : departed->since, name, effect.after);
  if (effect.forced_leave) {
    LogMember("EventMemberLeave (forced)", *departed->info);
    ++context_.counters.member_leaves;
    Emit(MemberEventKind::kLeave, *departed->info, effect.after.status);
  }
  if (effect.prune && !IsSelf(name)) Prune(now, name);
  return {.rebroadcast = effect.rebroadcast, .refute = effect.refute};
}

inline MemberTracker::LeaveOutcome MemberTracker::OnRemoteLeft(Instant now, absl::string_view name,
                                                               wire::LamportTime time) {
  if (!clock_.IsPast(now, time)) return {};
  // Both nodes know that it left. To treat the time as an intent, which is one later, would make
  // two nodes with the same tombstone push each other's clocks up for as long as it exists.
  const auto raise = [&](MemberRecord record) {
    record.status_time = std::max(record.status_time, time);
    return record;
  };
  if (const auto member = FindPresent(name); member.has_value()) {
    const MemberRecord record = table_.Present(*member);
    if (record.status == MemberStatus::kLeaving) {
      table_.SetPresent(now, *member, raise(record));
      return {};
    }
  } else if (const auto* departed = table_.FindDeparted(name);
             departed != nullptr && departed->record.status == MemberStatus::kLeft) {
    table_.SetDeparted(departed->since, name, raise(departed->record));
    return {};
  }
  // The state does not give the intent's own time. The clock is past the status time, so a time one
  // later exists.
  return OnLeaveMessage(now, name, wire::LamportTime(time.value() + 1), /*prune=*/false);
}

// --- pruning ---

inline void MemberTracker::SchedulePrune(Instant now, absl::string_view name) {
  if (IsSelf(name) || prunes_.size() >= kPrunesMax) return;
  const Instant due =
      now + context_.config.broadcast_timeout + context_.config.leave_propagate_delay;
  prunes_.insert_or_assign(std::string(name), due);
  next_prune_ = std::min(next_prune_, due);
}

inline void MemberTracker::OnTimer(Instant now) {
  if (now < next_prune_) return;
  std::vector<std::string> due;
  for (const auto& [name, at] : prunes_) {
    if (at <= now && due.size() < kPrunedInTurnMax) due.push_back(name);
  }
  for (const std::string& name : due) {
    const auto member = FindPresent(name);
    if (member.has_value() && table_.Present(*member).status == MemberStatus::kLeaving) {
      prunes_[name] = kNever;  // its departure is still under way
    } else {
      PruneIfDue(now, name);
      prunes_.erase(name);  // if that did not prune the member, it is alive: it refuted the leave
    }
  }
  next_prune_ = kNever;
  for (const auto& [name, at] : prunes_) next_prune_ = std::min(next_prune_, at);
}

inline void MemberTracker::PruneIfDue(Instant now, absl::string_view name) {
  const auto found = prunes_.find(name);
  if (found == prunes_.end() || (found->second != kNever && found->second > now)) return;
  const auto* departed = table_.FindDeparted(name);
  if (departed != nullptr && departed->record.status == MemberStatus::kLeft) Prune(now, name);
}

inline void MemberTracker::Prune(Instant now, absl::string_view name) {
  const MemberStatusTable::Departed departed = *table_.FindDeparted(name);
  const swim::NodeInfo& info = *departed.info;
  LogMember("EventMemberReap (forced)", info);
  ++context_.counters.member_reaps;
  table_.EraseDeparted(info.name());
  intents_.Upsert(now, info.name(), IntentKind::kPruned, departed.record.status_time);
  prunes_.erase(info.name());
  Emit(MemberEventKind::kReap, info, departed.record.status);
}

// --- reaping ---

inline bool MemberTracker::Reap(Instant now) {
  Portion portion;
  std::vector<MemberStatusTable::Departed> expired;
  const MemberStatusTable::DepartedMap& all = table_.departed();
  auto next = all.lower_bound(reap_from_);
  for (; next != all.end() && !portion.empty(); ++next) {
    const auto& [name, departed] = *next;
    portion.Spend(kTombstoneCost);
    const bool failed = departed.record.status == MemberStatus::kFailed;
    const Duration timeout =
        failed ? context_.config.reconnect_timeout : context_.config.tombstone_timeout;
    if (!IsReapable(now, departed.since, timeout) || IsSelf(name)) continue;
    expired.push_back(departed);
    portion.Spend(kReapCost);
  }
  const bool done = next == all.end();
  reap_from_ = done ? std::string() : std::string(next->first);
  for (const MemberStatusTable::Departed& departed : expired) {
    const swim::NodeInfo& info = *departed.info;
    Log(context_.config.swim.logger, LogLevel::kInfo, "serf: EventMemberReap: ", info.name());
    ++context_.counters.member_reaps;
    table_.EraseDeparted(info.name());
    Emit(MemberEventKind::kReap, info, departed.record.status);
  }
  if (!done) return false;
  intents_.Expire(now, context_.config.recent_intent_timeout, context_.config.tombstone_timeout);
  HealLeaving(now);
  return true;
}

inline void MemberTracker::HealLeaving(Instant now) {
  if (table_.leaving() == 0) return;
  const Duration period =
      swim::PushPullScale(context_.config.swim.push_pull_interval, context_.node.known_nodes());
  context_.node.ForEachMember([&](swim::MemberIndex member) {
    MemberRecord record = table_.Present(member);
    if (record.status != MemberStatus::kLeaving ||
        (member == context_.node.self() && !context_.lives()))
      return;
    if (!IsStuckLeaving(now - table_.PresentSince(member), context_.config.leaving_timeout,
                        period)) {
      return;
    }
    record.status = MemberStatus::kAlive;
    table_.SetPresent(now, member, record);
    prunes_.erase(context_.node.info(member).name());
    Log(context_.config.swim.logger, LogLevel::kDebug,
        "serf: Regarding as alive again who did not leave: ", context_.node.info(member).name());
  });
}

// --- views ---

inline std::optional<swim::MemberIndex> MemberTracker::FindPresent(absl::string_view name) const {
  const std::optional<swim::MemberIndex> member = context_.node.Find(name);
  if (member.has_value() && table_.Present(*member).status != MemberStatus::kNone) return member;
  return std::nullopt;
}

inline bool MemberTracker::HasAlivePeer() const {
  const bool self_alive = table_.Present(context_.node.self()).status == MemberStatus::kAlive;
  return table_.alive() > (self_alive ? 1u : 0u);
}

inline std::optional<Member> MemberTracker::Find(absl::string_view name) const {
  if (const auto member = FindPresent(name); member.has_value()) {
    return Describe(context_.node.info(*member), table_.Present(*member).status);
  }
  if (const auto* departed = table_.FindDeparted(name); departed != nullptr) {
    return Describe(*departed->info, departed->record.status);
  }
  return std::nullopt;
}

template <typename F>
void MemberTracker::ForEach(F&& f) const {
  context_.node.ForEachMember([&](swim::MemberIndex member) {
    const MemberStatus status = table_.Present(member).status;
    if (status != MemberStatus::kNone) f(context_.node.info(member), status);
  });
  for (const auto& [name, departed] : table_.departed()) {
    f(*departed.info, departed.record.status);
  }
}

inline MemberListing MemberTracker::List() const {
  MemberListing listing;
  listing.Reserve(table_.size());
  ForEach([&](const swim::NodeInfo& info, MemberStatus s) { listing.Add(info.view(), s); });
  return listing;
}

inline std::vector<Endpoint> MemberTracker::WithoutMember(std::vector<Endpoint> endpoints) const {
  const auto plain = [](const Endpoint& e) { return Endpoint{e.address.Unmapped(), e.port}; };
  absl::flat_hash_set<Endpoint> free;
  for (const Endpoint& endpoint : endpoints) free.insert(plain(endpoint));
  ForEach([&](const swim::NodeInfo& info, MemberStatus) { free.erase(plain(info.endpoint())); });
  std::erase_if(endpoints, [&](const Endpoint& e) { return !free.contains(plain(e)); });
  return endpoints;
}

template <typename F>
bool MemberTracker::VisitTimes(Walk& walk, Portion& portion, F&& f) const {
  for (; walk.next < context_.node.index_limit(); ++walk.next) {
    if (portion.empty()) return false;
    portion.Spend(kVisitCost);
    const swim::MemberIndex member(walk.next);
    const MemberRecord record = table_.Present(member);
    if (record.status == MemberStatus::kNone) continue;
    // Peers take the time for that of a join. The time of an unfinished leave would make them
    // ignore the leave intent itself when it arrives.
    const bool leaving = record.status == MemberStatus::kLeaving && record.status_time.value() > 0;
    f(context_.node.info_ref(member),
      wire::LamportTime(record.status_time.value() - (leaving ? 1 : 0)),
      /*left=*/false);
  }
  const MemberStatusTable::DepartedMap& all = table_.departed();
  for (auto next = all.lower_bound(walk.departed); next != all.end(); ++next) {
    if (portion.empty()) {
      walk.departed = std::string(next->first);
      return false;
    }
    portion.Spend(kVisitCost);
    const MemberRecord& record = next->second.record;
    f(next->second.info, record.status_time, record.status == MemberStatus::kLeft);
  }
  return true;
}

inline Member MemberTracker::Describe(const swim::NodeInfo& info, MemberStatus status) {
  Member member{std::string(info.name()), info.endpoint(), {}, status, info.versions()};
  DecodeTags(info.meta(), member.tags);
  return member;
}

inline void MemberTracker::CheckTags(const swim::NodeInfo& info) const {
  if (context_.config.swim.logger == nullptr) return;
  Tags tags;
  if (const wire::DecodeResult result = DecodeTags(info.meta(), tags);
      result != wire::DecodeResult::kOk) {
    Log(context_.config.swim.logger, LogLevel::kError,
        "serf: Failed to decode tags: ", wire::DecodeResultName(result));
  }
}

inline void MemberTracker::Emit(MemberEventKind kind, const swim::NodeInfo& info,
                                MemberStatus status) {
  MemberEvent event{kind, {}};
  event.members.push_back(Describe(info, status));
  events_.Add(std::move(event));
}

}  // namespace serf

#endif  // SERF_MEMBERS_MEMBER_TRACKER_H_
