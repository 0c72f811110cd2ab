// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_SWIM_MEMBERSHIP_H_
#define SERF_SWIM_MEMBERSHIP_H_

// Membership: the members, their states, and the messages about them that are gossiped. It carries
// out the verdicts of state_rules.h: alive, suspect, dead, refutation, running suspicions, this
// node's departure. It knows neither packets nor streams. Source: docs/protocol/membership.md 4,
// 5.4, 5.6.
//
//   membership.Start(now);                    // announces this node
//   membership.OnAlive(now, alive);           // what others say, from packets and push/pulls
//   membership.Accuse(now, member, inc);      // a probe of this node failed
//   at membership.NextDeadline(): membership.OnTimer(now);

#include <cassert>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "serf/base/bytes.h"
#include "serf/base/endpoint.h"
#include "serf/base/logger.h"
#include "serf/base/time.h"
#include "serf/base/timer_heap.h"
#include "serf/swim/broadcast_queue.h"
#include "serf/swim/delegate.h"
#include "serf/swim/doubted_members.h"
#include "serf/swim/gossip_targets.h"
#include "serf/swim/log_limiter.h"
#include "serf/swim/member_table.h"
#include "serf/swim/node_context.h"
#include "serf/swim/node_info.h"
#include "serf/swim/own_announcements.h"
#include "serf/swim/probe_ring.h"
#include "serf/swim/scaling.h"
#include "serf/swim/state_rules.h"
#include "serf/swim/suspicion.h"
#include "serf/wire/ids.h"
#include "serf/wire/swim_messages.h"

namespace serf::swim {

class Membership {
 public:
  // The most known nodes, dead ones included; an alive of a further node is dropped and counted. As
  // many as a push/pull may carry (wire::kPushPullNodesMax).
  static constexpr std::size_t kMembersMax = 1 << 20;

  explicit Membership(NodeContext& context)
      : context_(context),
        targets_(table_, ring_),
        queue_(context.config.broadcast_queue_max,
               BroadcastQueue::OrderFor(context.config.gossips_promptly())) {}

  // Adds this node with incarnation 1 and queues its announcement.
  void Start(Instant now);

  // For a simulation; see Node::KnowMembersOf.
  void KnowMembersOf(Membership& other);

  // --- claims of others: no check is needed before; invalid ones are counted and dropped ---
  // `own_word`: the member itself says so, as far as the wire shows (state_rules.h). `spread`: how
  // far this node spreads the claim if it believes it.
  void OnAlive(Instant now, const wire::Alive& alive, bool own_word = false,
               Spread spread = Spread::kRing);
  void OnSuspect(Instant now, const wire::Suspect& suspect, Spread spread = Spread::kRing);
  void OnDead(Instant now, const wire::Dead& dead, Spread spread = Spread::kRing);
  // This node stood still, and heard nobody for so long (standstill.h). Call it before OnTimer().
  void Postpone(Instant now, Duration deaf) { suspicions_.Postpone(now, deaf, timers_); }
  // Ends suspicions that are over.
  void OnTimer(Instant now);
  Instant NextDeadline() const { return timers_.next(); }

  // --- what this node says ---

  // A probe of `member` failed that began when the member had this incarnation. A refutation that
  // came meanwhile stands.
  void Accuse(Instant now, MemberIndex member, wire::Incarnation incarnation);
  // Announces this node's departure. A second call does nothing.
  void Leave(Instant now);
  // Announces new metadata, at most kMetaMax bytes. Errors: FailedPrecondition: this node left;
  // ResourceExhausted: it used up its incarnations.
  absl::Status UpdateMeta(Instant now, ByteView meta);

  // The next member to probe, if any. Forgets members that are dead for long when the ring wraps
  // around.
  std::optional<MemberIndex> NextToProbe(Instant now);

  // A member about which others claim what it cannot have reached, if there is one: a push/pull
  // with it shows what is true.
  std::optional<MemberIndex> TakeDoubted() { return doubted_.Take(); }

  // Reports to the delegate which announcements of this node are out. Call it at the end of every
  // input: a message may end anywhere, by being replaced or drawn.
  void ReportFinished(Instant now);

  // --- views ---
  BroadcastQueue& queue() { return queue_; }
  const BroadcastQueue& queue() const { return queue_; }
  const MemberTable& table() const { return table_; }
  const ProbeRing& ring() const { return ring_; }
  // Changes with every change of the table.
  std::uint64_t version() const { return version_; }
  GossipTargets& targets() { return targets_; }
  MemberIndex self() const { return self_; }
  bool has_left() const { return left_; }
  std::size_t known() const { return table_.known(); }
  // How often each broadcast is sent.
  int transmit_limit() const {
    return RetransmitLimit(context_.config.retransmit_mult, table_.known()) *
           context_.probe_history.stretch();
  }
  // True if another node is alive or suspect.
  bool has_company() const {
    const NodeState own = table_.state(self_);
    return table_.live() > (own == NodeState::kAlive || own == NodeState::kSuspect ? 1u : 0u);
  }

  // True if gossip may find a target: another live node, or one that failed so lately that it still
  // gets gossip (docs/protocol/membership.md 6.2).
  bool has_gossip_targets(Instant now) const {
    return has_company() ||
           (any_failed_ && now - last_failure_ <= context_.config.gossip_to_the_dead_time);
  }
  // Gossip found no target, so no member that failed lately is left.
  void OnNoGossipTargets() { any_failed_ = false; }
  bool is_gossip_target(Instant now, MemberIndex member) const {
    const MemberTable::Row& row = table_.row(member);
    if (row.state == NodeState::kDead) {
      return now - row.changed_at <= context_.config.gossip_to_the_dead_time;
    }
    return member != self_ && row.state != NodeState::kLeft;
  }

  // True if a member is dead or left for so long that it is purged when the probe ring wraps
  // (docs/protocol/membership.md 5.6), provided that probes turn the ring. Until then it counts as
  // unknown to others. Nodes wrap at different times: otherwise the nodes that purged it would
  // accept a member that left and came back, and push/pulls with the others, which hold its old
  // incarnation, would declare it gone again.
  bool is_forgotten(Instant now, MemberIndex member) const {
    const MemberTable::Row& row = table_.row(member);
    const bool gone = row.state == NodeState::kDead || row.state == NodeState::kLeft;
    return gone && member != self_ && context_.config.probe_interval > Duration::zero() &&
           now - row.changed_at > context_.config.gossip_to_the_dead_time;
  }

  // Whether all acknowledgements of this member so far came from its announced endpoint, so that
  // those of other nodes can be distinguished.
  bool source_is_stable(MemberIndex member) const {
    return (table_.row(member).flags & kSourceStable) != 0;
  }
  void set_source_stable(MemberIndex member, bool stable) {
    table_.SetFlag(member, kSourceStable, stable);
  }
  // Whether the member's latest answer to a ping of this node says that it gossips promptly.
  void set_prompt(MemberIndex member, bool prompt) { table_.SetFlag(member, kPrompt, prompt); }

 private:
  // Flags of a member's row.
  static constexpr std::uint8_t kSourceStable = 1;
  static constexpr std::uint8_t kPrompt = 2;

  struct Claim {
    NodeInfoView info;
    wire::Incarnation incarnation;
    bool bootstrap = false;  // this node's own
    bool own_word = false;
    Spread spread = Spread::kAll;
  };
  // The most suspicions that end in a turn: after a pause of the process all of them are due at
  // once, and the application gets an event for each. Also the most members that are purged at
  // once.
  static constexpr int kEndedInTurnMax = 256;
  static constexpr std::size_t kPurgedInTurnMax = 4096;

  SubjectState SubjectOf(std::optional<MemberIndex> member) const;

  void ApplyAlive(Instant now, const Claim& claim);
  // Steps 2 and 3 of docs/protocol/membership.md 4.2, and the address list. False: drop the claim.
  bool Admit(Instant now, const Claim& claim, std::optional<MemberIndex> known);
  MemberIndex Add(Instant now, const NodeInfoView& info);
  void StoreAlive(Instant now, MemberIndex member, const Claim& claim);
  void ReportConflict(Instant now, MemberIndex existing, const Claim& claim);
  void ApplySuspect(Instant now, const wire::Suspect& suspect, Spread spread);
  void ApplyDead(Instant now, const wire::Dead& dead, Spread spread);
  void StoreGone(Instant now, MemberIndex member, NodeState state, const wire::Dead& dead,
                 Spread spread);
  void Refute(Instant now, wire::Incarnation accused);
  void StartSuspicion(Instant now, MemberIndex member, absl::string_view from);
  // Marks the member suspect for one probe interval. If it has not refuted by then, it has left.
  void DoubtFarewell(Instant now, MemberIndex member, const wire::Dead& dead, Spread spread);
  SuspicionSlot StartSuspicion(Instant now, MemberIndex member, absl::string_view from,
                               const SuspicionTimes& times);
  // Without probes a node still needs a time to wait for a refutation.
  Duration RefutationInterval() const {
    const Duration interval = context_.config.probe_interval;
    return interval > Duration::zero() ? interval : Duration(std::chrono::seconds(1));
  }
  void DropSuspicion(MemberIndex member);
  void ExpireSuspicion(Instant now, SuspicionSlot slot);
  void Purge(Instant now, MemberIndex member);

  // Counts and logs an alive that is dropped.
  template <typename Text>
  void Reject(Instant now, std::uint64_t& counter, LogReason reason, const Text& text) {
    ++counter;
    context_.limiter.Log(now, reason, LogLevel::kWarn, text);
  }
  // The accuser's name is gossiped, too; the accused must be known anyway. Counts what is dropped.
  template <typename Message>
  bool HasNames(const Message& message) {
    if (!message.node.empty() && message.from.size() <= kNodeNameMax) return true;
    ++(message.node.empty() ? context_.counters.dropped_malformed
                            : context_.counters.dropped_oversize);
    return false;
  }
  void QueueAlive(MemberIndex member, Spread spread, BroadcastQueue::Token token = 0);
  template <typename Message>
  void Queue(absl::string_view subject, const Message& message, Spread spread,
             BroadcastQueue::Token token = 0) {
    message_.clear();
    wire::Encode(message, message_);
    queue_.Enqueue(subject, message_, token, spread);
  }

  NodeContext& context_;
  MemberTable table_;
  ProbeRing ring_{table_};
  GossipTargets targets_;
  SuspicionTable suspicions_;
  TimerHeap<SuspicionSlot> timers_;
  BroadcastQueue queue_;
  MemberIndex self_;
  wire::Incarnation incarnation_;  // the last one used for this node
  std::uint64_t version_ = 0;
  DoubtedMembers doubted_;
  bool left_ = false;
  bool any_failed_ = false;
  Instant last_failure_{};
  OwnAnnouncements own_announcements_;
  ByteVector message_;
};

inline void Membership::Start(Instant now) {
  const Config& config = context_.config;
  incarnation_ = wire::Incarnation(1);
  const NodeInfoView own{config.name, config.advertise, config.meta, context_.own_versions()};
  self_ = Add(now, own);
  targets_.Start(self_, context_.rng);
  StoreAlive(now, self_, {.info = own, .incarnation = incarnation_, .bootstrap = true});
}

inline void Membership::KnowMembersOf(Membership& other) {
  assert(known() == 1 && timers_.empty() && other.timers_.empty());
  other.table_.ForEach([&](MemberIndex m) {
    other.set_source_stable(m, true);
    other.set_prompt(m, context_.config.gossips_promptly());
  });
  other.queue_.Clear();
  const NodeInfoRef own = table_.row(self_).info;
  table_.ShareFrom(other.table_);
  self_ = *table_.Find(own->name());
  assert(table_.row(self_).info.get() == own.get());
  ++version_;
  ring_.Shuffle(context_.rng);
  targets_.Start(self_, context_.rng);
  queue_.Clear();
}

inline SubjectState Membership::SubjectOf(std::optional<MemberIndex> member) const {
  if (!member) return {};
  const MemberTable::Row& row = table_.row(*member);
  return {.known = true,
          .own = *member == self_,
          .state = row.state,
          .incarnation = row.incarnation,
          .suspicion_runs = row.suspicion != kNoSuspicion,
          .farewell_doubted = row.suspicion != kNoSuspicion && suspicions_[row.suspicion].farewell};
}

// --- alive ---

inline void Membership::OnAlive(Instant now, const wire::Alive& alive, bool own_word,
                                Spread spread) {
  Counters& counters = context_.counters;
  const auto ignoring = [&alive](const auto&... why) {
    return absl::StrCat("memberlist: ignoring alive message for '", alive.node, "'", why...);
  };
  switch (wire::Check(alive)) {
    case wire::FormatFault::kNone:
      break;
    case wire::FormatFault::kAddressLength:
      return Reject(now, counters.dropped_address, LogReason::kRejectedAlive,
                    [&] { return ignoring(": address has ", alive.addr.size(), " bytes"); });
    case wire::FormatFault::kVersionVector:
      return Reject(now, counters.dropped_versions, LogReason::kRejectedAlive,
                    [&] { return ignoring(" because Vsn is not present"); });
    case wire::FormatFault::kMetaLength:
      return Reject(now, counters.dropped_oversize, LogReason::kRejectedAlive,
                    [&] { return ignoring(": metadata has ", alive.meta.size(), " bytes"); });
    case wire::FormatFault::kEmptyName:
      return Reject(now, counters.dropped_malformed, LogReason::kRejectedAlive,
                    [&] { return ignoring(": empty node name"); });
  }
  if (alive.node.size() > kNodeNameMax) {
    ++counters.dropped_oversize;
    return;
  }
  const Endpoint endpoint{*IpAddress::FromBytes(alive.addr), context_.PortOf(alive.port)};
  const wire::VersionVector versions = *wire::VersionVector::FromBytes(alive.vsn);
  ApplyAlive(now, {.info = {alive.node, endpoint, alive.meta, versions},
                   .incarnation = alive.incarnation,
                   .own_word = own_word,
                   .spread = spread});
}

inline void Membership::ApplyAlive(Instant now, const Claim& claim) {
  const std::optional<MemberIndex> known = table_.Find(claim.info.name);
  if (left_ && known == self_) return;
  if (!Admit(now, claim, known)) return;
  AliveClaim judged{
      .incarnation = claim.incarnation, .bootstrap = claim.bootstrap, .own_word = claim.own_word};
  Duration dead_for = Duration::zero();
  if (known) {
    const NodeInfo& stored = table_.info(*known);
    judged.same_endpoint = stored.endpoint() == claim.info.endpoint;
    judged.same_content = stored.versions() == claim.info.versions &&
                          NodeInfo::SameBytes(stored.meta(), claim.info.meta);
    dead_for = now - table_.row(*known).changed_at;
  }
  SubjectState subject = SubjectOf(known);
  subject.forgotten = known && is_forgotten(now, *known);
  switch (JudgeAlive(subject, judged, left_, dead_for, context_.config.dead_node_reclaim_time)) {
    case AliveVerdict::kIgnore:
      return;
    case AliveVerdict::kAdd:
      if (table_.known() >= kMembersMax) {
        ++context_.counters.dropped_members;
        return;
      }
      return StoreAlive(now, Add(now, claim.info), claim);
    case AliveVerdict::kAcceptMoved:
      context_.limiter.Log(now, LogReason::kAddressUpdate, LogLevel::kInfo, [&] {
        return absl::StrCat("memberlist: Updating address for left or failed node ",
                            claim.info.name, " from ", table_.info(*known).endpoint().ToString(),
                            " to ", claim.info.endpoint.ToString());
      });
      return StoreAlive(now, *known, claim);
    case AliveVerdict::kAccept:
      return StoreAlive(now, *known, claim);
    case AliveVerdict::kConflict:
      return ReportConflict(now, *known, claim);
    case AliveVerdict::kRefute:
      ++context_.counters.alive_applied;
      context_.limiter.Log(now, LogReason::kRefute, LogLevel::kWarn, [&] {
        return absl::StrCat("memberlist: Refuting an alive message for '", claim.info.name, "' (",
                            claim.info.endpoint.ToString(), ")");
      });
      return Refute(now, claim.incarnation);
    case AliveVerdict::kAbsurd:
      ++context_.counters.dropped_incarnation;
      context_.limiter.Log(now, LogReason::kIncarnation, LogLevel::kWarn, [&] {
        return absl::StrCat("memberlist: Ignoring an alive message for '", claim.info.name,
                            "' with incarnation ", claim.incarnation.value());
      });
      return doubted_.Add(*known);
  }
}

inline bool Membership::Admit(Instant now, const Claim& claim, std::optional<MemberIndex> known) {
  if (claim.bootstrap) return true;
  const NodeInfoView& info = claim.info;
  if (!AreSaneVersions(info.versions)) {
    Reject(now, context_.counters.dropped_versions, LogReason::kRejectedAlive, [&] {
      return absl::StrCat(
          "memberlist: Ignoring an alive message for '", info.name, "' (", info.endpoint.ToString(),
          ") because protocol version(s) are wrong: ", info.versions.protocol_min,
          " <= ", info.versions.protocol_cur, " <= ", info.versions.protocol_max, " should be >0");
    });
    return false;
  }
  if (context_.config.alive_filter) {
    const absl::Status status = context_.config.alive_filter(
        {info.name, info.endpoint, info.meta, info.versions, NodeState::kAlive});
    if (!status.ok()) {
      Reject(now, context_.counters.dropped_filtered, LogReason::kRejectedAlive, [&] {
        return absl::StrCat("memberlist: ignoring alive message for '", info.name,
                            "': ", status.message());
      });
      return false;
    }
  }
  const bool moved = !known || table_.info(*known).endpoint() != info.endpoint;
  if (!moved || context_.config.AddressAllowed(info.endpoint.address)) return true;
  const std::string address = info.endpoint.address.ToString();
  Reject(now, context_.counters.dropped_filtered, LogReason::kRejectedAddress, [&] {
    return known ? absl::StrCat("memberlist: Rejected IP update from ", info.name, " to ", address,
                                " for node ", address, ": ", address, " is not allowed")
                 : absl::StrCat("memberlist: Rejected node ", info.name, " (", address,
                                "): ", address, " is not allowed");
  });
  return false;
}

inline MemberIndex Membership::Add(Instant now, const NodeInfoView& info) {
  const MemberIndex member = table_.Add(context_.node_infos->Intern(info), now);
  ring_.Insert(member, context_.rng);
  return member;
}

inline void Membership::StoreAlive(Instant now, MemberIndex member, const Claim& claim) {
  ++version_;
  DropSuspicion(member);
  const NodeState old_state = table_.state(member);
  const bool new_meta = !NodeInfo::SameBytes(table_.info(member).meta(), claim.info.meta);
  table_.EditRow(member).incarnation = claim.incarnation;
  if (!table_.info(member).SameContent(claim.info)) {
    if (table_.info(member).endpoint() != claim.info.endpoint) set_source_stable(member, false);
    table_.SetInfo(member, context_.node_infos->Intern(claim.info));
  }
  // For a new member there is nothing to measure the claim by.
  if (!claim.own_word && member != self_ && claim.incarnation > kHearsayMax) {
    doubted_.Add(member);
  }
  if (old_state != NodeState::kAlive) table_.SetState(member, NodeState::kAlive, now);
  QueueAlive(member, claim.spread, claim.bootstrap ? own_announcements_.update() : 0);
  ++context_.counters.alive_applied;
  if (old_state == NodeState::kDead || old_state == NodeState::kLeft) {
    set_prompt(member, false);  // it may be another program now
    targets_.OnJoin(member);
    context_.delegate.OnNodeJoin(now, member);
  } else if (new_meta) {
    context_.delegate.OnNodeUpdate(now, member);
  }
}

inline void Membership::ReportConflict(Instant now, MemberIndex existing, const Claim& claim) {
  ++context_.counters.conflicts;
  context_.limiter.Log(now, LogReason::kConflict, LogLevel::kError, [&] {
    return absl::StrCat("memberlist: Conflicting address for ", claim.info.name,
                        ". Mine: ", table_.info(existing).endpoint().ToString(),
                        " Theirs: ", claim.info.endpoint.ToString(),
                        " Old state: ", static_cast<int>(table_.state(existing)));
  });
  context_.delegate.OnConflict(now, existing, claim.info.endpoint);
}

inline void Membership::QueueAlive(MemberIndex member, Spread spread, BroadcastQueue::Token token) {
  const NodeInfo& info = table_.info(member);
  const auto versions = info.versions().ToBytes();
  const ByteView meta = info.meta();
  Queue(info.name(),
        wire::Alive{.incarnation = table_.row(member).incarnation,
                    .node = info.name(),
                    .addr = info.endpoint().address.bytes(),
                    .port = info.endpoint().port,
                    // Nodes without metadata announce nil, as in Go Serf.
                    .meta = meta.empty() ? ByteView() : meta,
                    .vsn = versions},
        spread, token);
}

// --- suspect ---

inline void Membership::OnSuspect(Instant now, const wire::Suspect& suspect, Spread spread) {
  if (HasNames(suspect)) ApplySuspect(now, suspect, spread);
}

inline void Membership::Accuse(Instant now, MemberIndex member, wire::Incarnation incarnation) {
  const absl::string_view name = table_.info(member).name();
  const absl::string_view own = table_.info(self_).name();
  ApplySuspect(now, {.incarnation = incarnation, .node = name, .from = own}, Spread::kAll);
}

inline void Membership::ApplySuspect(Instant now, const wire::Suspect& suspect, Spread spread) {
  const std::optional<MemberIndex> known = table_.Find(suspect.node);
  switch (JudgeSuspect(SubjectOf(known), suspect.incarnation)) {
    case SuspectVerdict::kIgnore:
      return;
    case SuspectVerdict::kAbsurd:
      ++context_.counters.dropped_incarnation;
      return;
    case SuspectVerdict::kConfirm: {
      Suspicion& suspicion = suspicions_[table_.row(*known).suspicion];
      if (!suspicion.Confirm(suspect.from)) return;
      Queue(suspect.node, suspect, spread);
      timers_.Reschedule(suspicion.timer, suspicion.deadline());
      return;
    }
    case SuspectVerdict::kRefute:
      context_.limiter.Log(now, LogReason::kRefute, LogLevel::kWarn, [&] {
        return absl::StrCat("memberlist: Refuting a suspect message (from: ", suspect.from, ")");
      });
      return Refute(now, suspect.incarnation);
    case SuspectVerdict::kSuspect:
      ++version_;
      Queue(suspect.node, suspect, spread);
      ++context_.counters.suspect_applied;
      table_.EditRow(*known).incarnation = suspect.incarnation;
      table_.SetState(*known, NodeState::kSuspect, now);
      return StartSuspicion(now, *known, suspect.from);
  }
}

inline void Membership::StartSuspicion(Instant now, MemberIndex member, absl::string_view from) {
  const Config& config = context_.config;
  const Duration min =
      SuspicionTimeout(config.suspicion_mult, table_.known(), RefutationInterval());
  // A refutation is as fast as the member that refutes.
  const bool prompt = config.gossips_promptly() && (table_.row(member).flags & kPrompt) != 0;
  const int percent = prompt ? config.suspicion_prompt_percent : 100;
  StartSuspicion(now, member, from,
                 SuspicionTimes::For(config.suspicion_mult, config.suspicion_max_timeout_mult, min,
                                     table_.known(), percent));
}

inline SuspicionSlot Membership::StartSuspicion(Instant now, MemberIndex member,
                                                absl::string_view from,
                                                const SuspicionTimes& times) {
  const SuspicionSlot slot = suspicions_.Start(now, member, from, times);
  table_.EditRow(member).suspicion = slot;
  suspicions_[slot].timer = timers_.Push(suspicions_[slot].deadline(), slot);
  return slot;
}

inline void Membership::DropSuspicion(MemberIndex member) {
  const SuspicionSlot slot = table_.row(member).suspicion;
  if (slot == kNoSuspicion) return;
  timers_.Remove(suspicions_[slot].timer);
  suspicions_.Drop(slot);
  table_.EditRow(member).suspicion = kNoSuspicion;
}

inline void Membership::OnTimer(Instant now) {
  for (int ended = 0; ended < kEndedInTurnMax && timers_.next() <= now; ++ended) {
    ExpireSuspicion(now, timers_.Pop());
  }
}

inline void Membership::ExpireSuspicion(Instant now, SuspicionSlot slot) {
  const Suspicion& suspicion = suspicions_[slot];
  const MemberIndex member = suspicion.member();
  assert(table_.state(member) == NodeState::kSuspect);
  const absl::string_view name = table_.info(member).name();
  const wire::Incarnation incarnation = table_.row(member).incarnation;
  if (suspicion.farewell) {
    return StoreGone(now, member, NodeState::kLeft,
                     {.incarnation = incarnation, .node = name, .from = name}, Spread::kRing);
  }
  ++context_.counters.suspicions_expired;
  if (suspicion.k() > 0 && suspicion.confirmations() < suspicion.k()) {
    ++context_.counters.suspicions_degraded;
  }
  Log(context_.config.logger, LogLevel::kInfo, "memberlist: Marking ", name,
      " as failed, suspect timeout reached (", suspicion.confirmations(), " peer confirmations)");
  // All come to this verdict at nearly the same moment; nobody needs to hear it from everybody.
  ApplyDead(now, {.incarnation = incarnation, .node = name, .from = table_.info(self_).name()},
            Spread::kRing);
}

// --- dead ---

inline void Membership::OnDead(Instant now, const wire::Dead& dead, Spread spread) {
  if (HasNames(dead)) ApplyDead(now, dead, spread);
}

inline void Membership::ApplyDead(Instant now, const wire::Dead& dead, Spread spread) {
  const std::optional<MemberIndex> known = table_.Find(dead.node);
  SubjectState subject = SubjectOf(known);
  subject.farewell_expected = known && context_.delegate.ExpectsDeparture(*known);
  switch (JudgeDead(subject, dead.incarnation, dead.node == dead.from, left_)) {
    case DeadVerdict::kIgnore:
      return;
    case DeadVerdict::kAbsurd:
      ++context_.counters.dropped_incarnation;
      return;
    case DeadVerdict::kRefute:
      context_.limiter.Log(now, LogReason::kRefute, LogLevel::kWarn, [&] {
        return absl::StrCat("memberlist: Refuting a dead message (from: ", dead.from, ")");
      });
      return Refute(now, dead.incarnation);
    case DeadVerdict::kDoubt:
      return DoubtFarewell(now, *known, dead, spread);
    case DeadVerdict::kDead:
      any_failed_ = true;
      last_failure_ = now;
      return StoreGone(now, *known, NodeState::kDead, dead, spread);
    case DeadVerdict::kLeft:
      return StoreGone(now, *known, NodeState::kLeft, dead, spread);
  }
}

inline void Membership::StoreGone(Instant now, MemberIndex member, NodeState state,
                                  const wire::Dead& dead, Spread spread) {
  ++version_;
  DropSuspicion(member);
  Queue(dead.node, dead, spread, member == self_ ? own_announcements_.leave() : 0);
  ++context_.counters.dead_applied;
  table_.EditRow(member).incarnation = dead.incarnation;
  table_.SetState(member, state, now);
  context_.delegate.OnNodeLeave(now, member);
}

inline void Membership::DoubtFarewell(Instant now, MemberIndex member, const wire::Dead& dead,
                                      Spread spread) {
  ++version_;
  // As a suspect the member receives this gossip, too.
  Queue(dead.node, dead, spread);
  ++context_.counters.farewells_doubted;
  DropSuspicion(member);
  table_.EditRow(member).incarnation = dead.incarnation;
  table_.SetState(member, NodeState::kSuspect, now);
  const Duration patience = RefutationInterval();
  const SuspicionSlot slot =
      StartSuspicion(now, member, dead.from, {.min = patience, .max = patience, .k = 0});
  suspicions_[slot].farewell = true;
}

// --- the node itself ---

inline void Membership::Refute(Instant, wire::Incarnation accused) {
  const std::optional<wire::Incarnation> next = RefutingIncarnation(incarnation_, accused);
  if (!next) {
    ++context_.counters.dropped_incarnation;
    return;
  }
  incarnation_ = *next;
  table_.EditRow(self_).incarnation = incarnation_;
  ++version_;
  context_.awareness.Apply(1);
  ++context_.counters.refutations;
  QueueAlive(self_, Spread::kAll, own_announcements_.BeginRefutation());
}

inline void Membership::Leave(Instant now) {
  if (left_) return;
  left_ = true;
  own_announcements_.BeginLeave(has_company());
  const absl::string_view own = table_.info(self_).name();
  ApplyDead(now, {.incarnation = table_.row(self_).incarnation, .node = own, .from = own},
            Spread::kAll);
}

inline absl::Status Membership::UpdateMeta(Instant now, ByteView meta) {
  assert(meta.size() <= kMetaMax);
  if (left_) {
    return absl::FailedPreconditionError("the node has left and announces nothing any more");
  }
  if (incarnation_.value() == std::numeric_limits<std::uint32_t>::max()) {
    return absl::ResourceExhaustedError(
        "the node has used up its incarnations and must be started anew to change its tags");
  }
  incarnation_ = wire::Incarnation(incarnation_.value() + 1);
  own_announcements_.BeginUpdate(has_company());
  const NodeInfo& own = table_.info(self_);
  StoreAlive(now, self_,
             {.info = {own.name(), own.endpoint(), meta, own.versions()},
              .incarnation = incarnation_,
              .bootstrap = true});
  return absl::OkStatus();
}

inline void Membership::ReportFinished(Instant now) {
  for (const BroadcastQueue::Token token : queue_.finished()) own_announcements_.OnFinished(token);
  queue_.ClearFinished();
  while (own_announcements_.TakeUpdate()) context_.delegate.OnUpdateBroadcast(now);
  if (own_announcements_.TakeLeave()) context_.delegate.OnLeaveBroadcast(now);
}

inline std::optional<MemberIndex> Membership::NextToProbe(Instant now) {
  const auto eligible = [this](MemberIndex m) {
    const NodeState state = table_.state(m);
    return m != self_ && (state == NodeState::kAlive || state == NodeState::kSuspect);
  };
  return ring_.Next(eligible, [&] {
    // Members beyond the limit are purged at the next wrap.
    std::size_t purged = 0;
    table_.ForEach([&](MemberIndex m) {
      if (is_forgotten(now, m) && purged++ < kPurgedInTurnMax) Purge(now, m);
    });
    ring_.Shuffle(context_.rng);
  });
}

inline void Membership::Purge(Instant now, MemberIndex member) {
  context_.delegate.OnNodePurged(now, member);
  doubted_.Remove(member);
  ++version_;
  table_.Purge(member);
}

}  // namespace serf::swim

#endif  // SERF_SWIM_MEMBERSHIP_H_
