#ifndef SERF_RECONNECTOR_H_
#define SERF_RECONNECTOR_H_

// Reconnector: whom a node asks to join by itself, and when: from time to time one of the failed
// members, and after a restart the nodes of the life before. Source: spec/serf.md 3.6, 9.7.
//
//   while (auto attempt = reconnector.Next(now, alive)) node.Join(now, attempt->token, ...);
//   if (reconnector.OnDone(now, token, contacted)) return;   // it was one of these

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/string_view.h"
#include "serf/base/logger.h"
#include "serf/base/rng.h"
#include "serf/base/time.h"
#include "serf/config.h"
#include "serf/member_status_table.h"
#include "serf/member_tracker.h"
#include "serf/reconnect.h"
#include "serf/rejoin.h"
#include "serf/snapshot_reader.h"
#include "serf/swim/joins.h"
#include "serf/swim/node_info.h"
#include "serf/swim/outbox.h"

namespace serf {

class Reconnector final : private Rejoin::Cluster {
 public:
  // The engine's tokens of these joins.
  static constexpr swim::RequestId kReconnect{0};
  static constexpr swim::RequestId kRejoin{~std::uint64_t{0}};

  struct Attempt {
    swim::RequestId token;
    swim::JoinTarget target;
  };

  // All must outlive it.
  Reconnector(const Config& config, const MemberTracker& members, Rng& rng)
      : config_(config), members_(members), rng_(rng) {}
  Reconnector(const Reconnector&) = delete;
  Reconnector& operator=(const Reconnector&) = delete;

  // The node was in the cluster before, with these.
  void Remember(const SnapshotState& state) {
    rejoin_ = Rejoin(state, config_.swim.name, config_.reconnect_interval, config_.swim.logger);
  }
  void Start(Instant now) {
    reconnect_at_ = NextReconnect(now, config_.reconnect_interval, rng_);
    rejoin_.Start(now, rng_);
  }

  // Whom to ask now. `self_lives`: this node has not been told to leave.
  std::optional<Attempt> Next(Instant now, bool self_lives);
  // False if the join is none of these.
  bool OnDone(Instant now, swim::RequestId token, bool contacted);
  Instant NextDeadline() const { return std::min(reconnect_at_, rejoin_.NextDeadline()); }

 private:
  std::optional<Attempt> Reconnect(Instant now, bool self_lives);

  bool IsMember(absl::string_view name) const override { return members_.Find(name).has_value(); }
  bool HasAlivePeer() const override { return members_.HasAlivePeer(); }

  const Config& config_;
  const MemberTracker& members_;
  Rng& rng_;
  Instant reconnect_at_ = kNever;
  Rejoin rejoin_;
};

inline std::optional<Reconnector::Attempt> Reconnector::Next(Instant now, bool self_lives) {
  if (!self_lives) rejoin_.Stop();
  if (std::optional<swim::JoinTarget> target = rejoin_.Next(now, *this, rng_)) {
    return Attempt{kRejoin, *std::move(target)};
  }
  if (now < reconnect_at_) return std::nullopt;
  return Reconnect(now, self_lives);
}

inline std::optional<Reconnector::Attempt> Reconnector::Reconnect(Instant now, bool self_lives) {
  const MemberStatusTable& table = members_.table();
  bool now_is_good = table.failed() > 0 && self_lives;
  if (now_is_good && !ShouldReconnect(table.size(), table.failed(), table.left(), rng_)) {
    Log(config_.swim.logger, LogLevel::kDebug, "serf: forgoing reconnect for random throttling");
    now_is_good = false;
  }
  if (!now_is_good) {
    reconnect_at_ = NextReconnect(now, config_.reconnect_interval, rng_);
    return std::nullopt;
  }
  const swim::NodeInfo& info = *members_.PickFailed(rng_);
  std::string endpoint = info.endpoint().ToString();
  Log(config_.swim.logger, LogLevel::kInfo, "serf: attempting reconnect to ", info.name(), " ",
      endpoint);
  reconnect_at_ = kNever;  // until the attempt has ended
  return Attempt{kReconnect, {std::move(endpoint), info.endpoint()}};
}

inline bool Reconnector::OnDone(Instant now, swim::RequestId token, bool contacted) {
  if (token == kRejoin) {
    rejoin_.OnDone(now, contacted, rng_);
    return true;
  }
  if (token != kReconnect) return false;
  reconnect_at_ = NextReconnect(now, config_.reconnect_interval, rng_);
  return true;
}

}  // namespace serf

#endif  // SERF_RECONNECTOR_H_
