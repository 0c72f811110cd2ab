// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_RECONNECT_RECONNECTOR_H_
#define SERF_RECONNECT_RECONNECTOR_H_

// Reconnector: which nodes this node joins without a request, and when: failed members; after a
// restart the nodes of the snapshot; and the seeds that are no longer members. Source:
// docs/protocol/serf.md 3.6, 9.7, and docs/decisions/0005-partitions-heal.md.
//
//   reconnector.OnMemberEvent(now, event);
//   while (auto attempt = reconnector.Next(now)) {
//     reconnector.OnBegun(node.Join(now, {attempt->target}, out), *attempt);
//   }
//   reconnector.OnDone(now, join, contacted);   // for each join that ended

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "serf/base/endpoint.h"
#include "serf/base/logger.h"
#include "serf/base/time.h"
#include "serf/context/context.h"
#include "serf/event.h"
#include "serf/member.h"
#include "serf/members/member_status_table.h"
#include "serf/members/member_tracker.h"
#include "serf/reconnect/reconnect_pace.h"
#include "serf/reconnect/seeds.h"
#include "serf/reconnect/snapshot_rejoin.h"
#include "serf/snapshot_state.h"
#include "serf/swim/joins.h"
#include "serf/swim/outbox.h"

namespace serf {

class Reconnector final : private SnapshotRejoin::Cluster {
 public:
  // The most attempts under way, of all kinds. A dial without an answer takes seconds.
  static constexpr std::size_t kUnderWayMax = 8;
  // The most failed members that are listed and shuffled at once; the next ones by name follow
  // later. To list tens of thousands would hold up the node.
  static constexpr std::size_t kTurnMax = 4096;
  // Seeds that are not members are dialled one by one. Each turn without success doubles the pause,
  // from reconnect_interval up to this many times that.
  static constexpr int kSeedsBackOffMax = 16;

  struct Attempt {
    swim::JoinTarget target;
    bool rejoin = false;  // to a node of the snapshot
  };

  // Both must outlive the object.
  Reconnector(SerfContext& context, const MemberTracker& members)
      : context_(context), members_(members), pace_(context.config.reconnect_interval) {}
  Reconnector(const Reconnector&) = delete;
  Reconnector& operator=(const Reconnector&) = delete;

  // After a restart: the snapshot has this state.
  void Remember(const SnapshotState& state) {
    rejoin_ = SnapshotRejoin(state, context_.config.swim.name, context_.config.reconnect_interval,
                             context_.config.swim.logger);
  }
  void Start(Instant now) { rejoin_.Start(now, context_.rng); }

  // A join of the application succeeded, and these addresses answered.
  void AddSeeds(Instant now, const std::vector<Endpoint>& seeds);
  // Members failed, left or returned.
  void OnMemberEvent(Instant now, const MemberEvent& event);

  // The next attempt to begin now. Nothing once this node was asked to leave.
  std::optional<Attempt> Next(Instant now);
  // The attempt that Next() returned is under way as this join.
  void OnBegun(swim::JoinId join, const Attempt& attempt) {
    under_way_.emplace(join, UnderWay{attempt.rejoin, attempt.target.endpoint});
  }
  // A join has ended. Returns its kind; kOther is a join of the application.
  enum class Ended : std::uint8_t { kOther, kReconnect, kRejoin };
  Ended OnDone(Instant now, swim::JoinId join, bool contacted);
  Instant NextDeadline() const {
    return std::min({reconnect_at_, seeds_at_, rejoin_.NextDeadline()});
  }

 private:
  struct UnderWay {
    bool rejoin = false;
    Endpoint endpoint;
  };

  // Decides how many failed members to dial now.
  void BeginTurn(Instant now);
  // The next failed member of the shuffled list.
  std::optional<swim::JoinTarget> NextFailed();
  std::optional<swim::JoinTarget> NextSeed(Instant now);
  // Makes the next turn come soon, but does not start the pace anew with each of many failures.
  void Hurry(Instant now);
  bool IsUnderWay(const Endpoint& endpoint) const {
    return std::any_of(under_way_.begin(), under_way_.end(),
                       [&](const auto& entry) { return entry.second.endpoint == endpoint; });
  }

  bool IsMember(absl::string_view name) const override { return members_.Contains(name); }
  bool HasAlivePeer() const override { return members_.HasAlivePeer(); }
  std::size_t Alive() const override { return members_.table().alive(); }

  SerfContext& context_;
  const MemberTracker& members_;
  std::map<swim::JoinId, UnderWay> under_way_;

  ReconnectPace pace_;
  Instant reconnect_at_ = kNever;
  Instant hurry_again_at_ = Instant::min();
  std::vector<std::string> turn_;  // failed members, dialled from the end
  std::string turn_from_;  // the first name behind those in turn_; empty: begin with the first
  std::size_t due_ = 0;    // how many of them to dial now

  Seeds seeds_;
  Instant seeds_at_ = kNever;
  int seeds_back_off_ = 1;

  SnapshotRejoin rejoin_;
};

inline std::optional<Reconnector::Attempt> Reconnector::Next(Instant now) {
  if (!context_.lives()) {
    rejoin_.Stop();
    reconnect_at_ = seeds_at_ = kNever;
    due_ = 0;
    return std::nullopt;
  }
  if (auto target = rejoin_.Next(now, *this, context_.rng)) {
    return Attempt{*std::move(target), /*rejoin=*/true};
  }
  if (now >= seeds_at_) {
    if (auto target = NextSeed(now)) return Attempt{*std::move(target)};
  }
  if (now >= reconnect_at_) BeginTurn(now);
  while (due_ > 0) {
    --due_;
    if (under_way_.size() >= kUnderWayMax) continue;
    if (auto target = NextFailed()) return Attempt{*std::move(target)};
  }
  return std::nullopt;
}

inline Reconnector::Ended Reconnector::OnDone(Instant now, swim::JoinId join, bool contacted) {
  const auto found = under_way_.find(join);
  if (found == under_way_.end()) return Ended::kOther;
  const bool rejoin = found->second.rejoin;
  under_way_.erase(found);
  if (rejoin) {
    rejoin_.OnDone(now, contacted, context_.rng);
  } else if (contacted) {
    // Other failed members may be reachable again, too.
    Hurry(now);
  }
  return rejoin ? Ended::kRejoin : Ended::kReconnect;
}

// --- failed members ---

inline void Reconnector::OnMemberEvent(Instant now, const MemberEvent& event) {
  for (const Member& member : event.members) {
    if (event.kind == MemberEventKind::kFailed) Hurry(now);
    // Another node may have its address by now.
    if (member.status == MemberStatus::kLeft) seeds_.Forget(member.endpoint);
  }
}

inline void Reconnector::Hurry(Instant now) {
  if (now >= hurry_again_at_) {
    hurry_again_at_ = now + context_.config.reconnect_interval;
    pace_.Reset();
  } else if (reconnect_at_ != kNever) {
    return;
  }
  reconnect_at_ = std::min(reconnect_at_, now + pace_.Next(context_.rng));
}

inline void Reconnector::BeginTurn(Instant now) {
  const MemberStatusTable& table = members_.table();
  if (table.failed() == 0) {
    reconnect_at_ = kNever;
    turn_.clear();
    return;
  }
  reconnect_at_ = now + pace_.Next(context_.rng);
  due_ = ReconnectsInTurn(table.size(), table.failed(), table.left(), context_.rng);
  if (due_ == 0) {
    Log(context_.config.swim.logger, LogLevel::kDebug,
        "serf: forgoing reconnect for random throttling");
  }
}

inline std::optional<swim::JoinTarget> Reconnector::NextFailed() {
  const MemberStatusTable& table = members_.table();
  if (turn_.empty()) {
    const MemberStatusTable::DepartedMap& all = table.departed();
    auto next = all.lower_bound(turn_from_);
    for (; next != all.end() && turn_.size() < kTurnMax; ++next) {
      if (next->second.record.status == MemberStatus::kFailed) turn_.emplace_back(next->first);
    }
    turn_from_ = next == all.end() ? std::string() : std::string(next->first);
    context_.rng.Shuffle(turn_);
  }
  while (!turn_.empty()) {
    const std::string name = std::move(turn_.back());
    turn_.pop_back();
    const MemberStatusTable::Departed* departed = table.FindDeparted(name);
    if (departed == nullptr || departed->record.status != MemberStatus::kFailed) continue;
    const Endpoint& endpoint = departed->info->endpoint();
    if (IsUnderWay(endpoint)) continue;
    std::string address = endpoint.ToString();
    Log(context_.config.swim.logger, LogLevel::kInfo, "serf: attempting reconnect to ", name, " ",
        address);
    return swim::JoinTarget{std::move(address), endpoint};
  }
  return std::nullopt;
}

// --- seeds ---

inline void Reconnector::AddSeeds(Instant now, const std::vector<Endpoint>& seeds) {
  for (const Endpoint& seed : seeds) {
    if (seed != context_.config.swim.advertise) seeds_.Add(seed);
  }
  if (!seeds_.empty() && seeds_at_ == kNever) seeds_at_ = now + context_.config.reconnect_interval;
}

inline std::optional<swim::JoinTarget> Reconnector::NextSeed(Instant now) {
  // A seed that is a member, in any state, needs no dial of its own.
  const std::optional<Endpoint> seed =
      seeds_.Next([this](const std::vector<Endpoint>& all) { return members_.WithoutMember(all); });
  seeds_back_off_ = seed ? std::min(2 * seeds_back_off_, kSeedsBackOffMax) : 1;
  const Duration pause = seeds_back_off_ * context_.config.reconnect_interval;
  seeds_at_ = seeds_.empty() ? kNever : now + pause - pause / 8 + context_.rng.Below(pause / 4);
  if (!seed || under_way_.size() >= kUnderWayMax || IsUnderWay(*seed)) return std::nullopt;
  std::string address = seed->ToString();
  Log(context_.config.swim.logger, LogLevel::kInfo, "serf: attempting to join again ", address);
  return swim::JoinTarget{std::move(address), *seed};
}

}  // namespace serf

#endif  // SERF_RECONNECT_RECONNECTOR_H_
