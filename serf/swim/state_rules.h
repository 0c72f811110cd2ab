#ifndef SERF_SWIM_STATE_RULES_H_
#define SERF_SWIM_STATE_RULES_H_

// The precedence of alive, suspect, dead and left as pure functions (SWIM, 2002, section 4.2;
// spec/memberlist.md 4.2 to 4.7). The engine asks, then carries the verdict out.
//
// Deviations from the original, all of them safe between the two:
// - An accusation (suspect, dead) that lifts the incarnation beyond kAccusationMax is ignored by
//   everybody, the accused included. Incarnations count refutations and cannot honestly get
//   there; the original wraps to zero when it refutes 2^32-1, loses, and is evicted.
// - A refutation saturates: there is none of 2^32-1.
// - An alive of incarnation 0 about an unknown node is ignored instead of stored as a dead
//   placeholder, by which anybody could stretch all time-outs that grow with the cluster.
// - Alives without a version vector, or with one that makes no sense, are dropped, and stored
//   nodes without versions take no part in the compatibility check: the original fails every
//   later merge because of them.
// - A node that is dead or left for so long that it only waits to be purged comes back as if it
//   were unknown, with any incarnation and address.
// - A farewell may be one of an earlier life that a latecomer spreads: to those who forgot it, the
//   node came back with incarnation 1. So one that comes without an intent, or with an incarnation
//   that was never seen, is passed on, but believed only after a moment in which the node can
//   refute it.

#include <algorithm>
#include <cstdint>
#include <limits>
#include <optional>

#include "serf/base/time.h"
#include "serf/swim/node_info.h"
#include "serf/wire/ids.h"
#include "serf/wire/swim_messages.h"

namespace serf::swim {

// What is stored of the subject of a message.
struct SubjectState {
  bool known = false;  // else the rest but `own` is meaningless
  bool own = false;    // the subject is this node
  NodeState state = NodeState::kDead;
  wire::Incarnation incarnation{};
  bool suspicion_runs = false;
  bool farewell_doubted = false;  // the suspicion is of a farewell (DeadVerdict::kDoubt)
  bool farewell_expected = true;  // by the layer above
  bool forgotten = false;         // dead or left for long: only waits to be purged
};

// --- refutation ---

// No honest accusation is above: a node that refuted once a second for 60 years is below.
inline constexpr wire::Incarnation kAccusationMax{0x7fffffffu};

// True for an accusation to be ignored and counted as absurd. At the stored incarnation it is
// believed however high that is.
inline constexpr bool IsAbsurdAccusation(wire::Incarnation accused, wire::Incarnation stored) {
  return accused > kAccusationMax && accused > stored;
}

// The incarnation that refutes `accused` given the own counter; none if there is no higher one.
inline constexpr std::optional<wire::Incarnation> RefutingIncarnation(wire::Incarnation counter,
                                                                      wire::Incarnation accused) {
  const std::uint32_t base = std::max(counter.value(), accused.value());
  if (base == std::numeric_limits<std::uint32_t>::max()) return std::nullopt;
  return wire::Incarnation(base + 1);
}

// --- alive (4.2) ---

struct AliveClaim {
  wire::Incarnation incarnation{};
  bool same_endpoint = true;  // as stored, byte by byte, and the port
  bool same_content = true;   // metadata and versions as stored
  bool bootstrap = false;     // made by this node about itself
};

enum class AliveVerdict : std::uint8_t {
  kIgnore,
  kAdd,          // unknown: add the row, then as kAccept
  kAccept,       // store all; alive from now on; re-gossip
  kAcceptMoved,  // as kAccept, of a left or dead node at a new address: log it
  kConflict,     // somebody else claims the name: report, change nothing
  kRefute,       // about this node and wrong: refute
};

// `left`: this node has left. `dead_for`: how long ago the subject's state changed.
// `reclaim_time`: after which a dead node's name may move; zero is never.
AliveVerdict JudgeAlive(const SubjectState& subject, const AliveClaim& claim, bool left,
                        Duration dead_for, Duration reclaim_time);

// --- suspect (4.4) ---

enum class SuspectVerdict : std::uint8_t {
  kIgnore,
  kAbsurd,   // ignored; count it
  kConfirm,  // a suspicion runs: let it count; re-gossip if it does
  kSuspect,  // suspect from now on, with this incarnation; start a suspicion; re-gossip
  kRefute,
};

SuspectVerdict JudgeSuspect(const SubjectState& subject, wire::Incarnation incarnation);

// --- dead (4.5) ---

enum class DeadVerdict : std::uint8_t {
  kIgnore,
  kAbsurd,  // ignored; count it
  kDead,    // failed from now on; re-gossip
  kLeft,    // left from now on (the sender is the subject); re-gossip
  kDoubt,   // a farewell that may be old: suspect for a moment, then kLeft; re-gossip
  kRefute,
};

// `by_itself`: the message names the subject as its sender. `left`: this node has left.
DeadVerdict JudgeDead(const SubjectState& subject, wire::Incarnation incarnation, bool by_itself,
                      bool left);

// --- push/pull records (4.6) ---

enum class MergeAs : std::uint8_t { kAlive, kSuspect, kLeft, kIgnore };

// How a record of this state number is merged: a dead one as suspect, so that it can refute.
inline constexpr MergeAs MergeRule(std::int64_t state) {
  switch (state) {
    case 0:
      return MergeAs::kAlive;
    case 1:
    case 2:
      return MergeAs::kSuspect;
    case 3:
      return MergeAs::kLeft;
    default:
      return MergeAs::kIgnore;
  }
}

// --- versions (4.2 step 2, 4.7) ---

// True if there are versions and they make sense. (A missing vector is all zero.)
inline constexpr bool AreSaneVersions(const wire::VersionVector& v) {
  return v.protocol_min != 0 && v.protocol_min <= v.protocol_max;
}

// The versions that all of a set of nodes understand.
class CommonVersions {
 public:
  constexpr void Add(const wire::VersionVector& v) {
    protocol_min_ = std::max(protocol_min_, v.protocol_min);
    protocol_max_ = std::min(protocol_max_, v.protocol_max);
    delegate_min_ = std::max(delegate_min_, v.delegate_min);
    delegate_max_ = std::min(delegate_max_, v.delegate_max);
  }

  // True if a node that speaks `v` is understood by all.
  constexpr bool AdmitsProtocol(const wire::VersionVector& v) const {
    return protocol_min_ <= v.protocol_cur && v.protocol_cur <= protocol_max_;
  }
  constexpr bool AdmitsDelegate(const wire::VersionVector& v) const {
    return delegate_min_ <= v.delegate_cur && v.delegate_cur <= delegate_max_;
  }
  constexpr bool Admits(const wire::VersionVector& v) const {
    return AdmitsProtocol(v) && AdmitsDelegate(v);
  }

  constexpr std::uint8_t protocol_min() const { return protocol_min_; }
  constexpr std::uint8_t protocol_max() const { return protocol_max_; }
  constexpr std::uint8_t delegate_min() const { return delegate_min_; }
  constexpr std::uint8_t delegate_max() const { return delegate_max_; }

 private:
  std::uint8_t protocol_min_ = 0;
  std::uint8_t protocol_max_ = 255;
  std::uint8_t delegate_min_ = 0;
  std::uint8_t delegate_max_ = 255;
};

// True if two nodes understand what each other speaks. A merge excludes records that are not
// compatible with this node instead of failing as a whole (4.7, section 10).
inline constexpr bool AreCompatible(const wire::VersionVector& a, const wire::VersionVector& b) {
  CommonVersions common;
  common.Add(a);
  common.Add(b);
  return common.Admits(a) && common.Admits(b);
}

// --- bodies ---

inline AliveVerdict JudgeAlive(const SubjectState& subject, const AliveClaim& claim, bool left,
                               Duration dead_for, Duration reclaim_time) {
  // A node that left stays silent about itself.
  if (subject.own && left) return AliveVerdict::kIgnore;
  if (!subject.known) {
    return claim.incarnation == wire::Incarnation{} ? AliveVerdict::kIgnore : AliveVerdict::kAdd;
  }
  if (subject.forgotten && !subject.own) {
    if (claim.incarnation == wire::Incarnation{}) return AliveVerdict::kIgnore;
    return claim.same_endpoint ? AliveVerdict::kAccept : AliveVerdict::kAcceptMoved;
  }
  bool moved = false;
  if (!claim.same_endpoint) {
    const bool reclaim = reclaim_time > Duration::zero() && dead_for > reclaim_time;
    moved = subject.state == NodeState::kLeft || (subject.state == NodeState::kDead && reclaim);
    if (!moved) return AliveVerdict::kConflict;
  }
  if (subject.own) {
    if (claim.bootstrap) {
      return claim.incarnation < subject.incarnation ? AliveVerdict::kIgnore
                                                     : AliveVerdict::kAccept;
    }
    if (claim.incarnation < subject.incarnation) return AliveVerdict::kIgnore;
    // An echo of the own words; anything else at this incarnation or above is from another life.
    if (claim.incarnation == subject.incarnation && claim.same_content) {
      return AliveVerdict::kIgnore;
    }
    return AliveVerdict::kRefute;
  }
  if (moved) return AliveVerdict::kAcceptMoved;
  return claim.incarnation > subject.incarnation ? AliveVerdict::kAccept : AliveVerdict::kIgnore;
}

inline SuspectVerdict JudgeSuspect(const SubjectState& subject, wire::Incarnation incarnation) {
  if (!subject.known || incarnation < subject.incarnation) return SuspectVerdict::kIgnore;
  if (IsAbsurdAccusation(incarnation, subject.incarnation)) return SuspectVerdict::kAbsurd;
  if (subject.suspicion_runs) return SuspectVerdict::kConfirm;
  if (subject.state != NodeState::kAlive) return SuspectVerdict::kIgnore;
  return subject.own ? SuspectVerdict::kRefute : SuspectVerdict::kSuspect;
}

inline DeadVerdict JudgeDead(const SubjectState& subject, wire::Incarnation incarnation,
                             bool by_itself, bool left) {
  if (!subject.known || incarnation < subject.incarnation) return DeadVerdict::kIgnore;
  if (IsAbsurdAccusation(incarnation, subject.incarnation)) return DeadVerdict::kAbsurd;
  if (subject.state == NodeState::kDead || subject.state == NodeState::kLeft) {
    return DeadVerdict::kIgnore;  // a failed node never turns into one that left
  }
  if (subject.own && !left) return DeadVerdict::kRefute;
  if (by_itself && !subject.own) {
    if (subject.farewell_doubted) return DeadVerdict::kIgnore;
    if (incarnation > subject.incarnation || !subject.farewell_expected) {
      return DeadVerdict::kDoubt;
    }
  }
  return by_itself ? DeadVerdict::kLeft : DeadVerdict::kDead;
}

}  // namespace serf::swim

#endif  // SERF_SWIM_STATE_RULES_H_
