// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_SWIM_STATE_RULES_H_
#define SERF_SWIM_STATE_RULES_H_

// The precedence of alive, suspect, dead and left as pure functions (SWIM, 2002, section 4.2;
// docs/protocol/membership.md 4.2 to 4.7). Membership asks, then carries the verdict out.
//
// Deviations from Go Serf, all of them safe in mixed clusters:
// * A claim of others about a member (alive, suspect, dead) counts only at an incarnation that the
//   member can have reached: IsBelievable(). Beyond it only the member's own word counts, even if
//   it is lower than what is stored. So nobody can lift a member to where it can neither refute nor
//   change its tags. Go Serf believes everything.
// * A member that is accused, or announced by others, beyond kFollowMax does not follow: the
//   numbers above are for its own changes.
// * An alive of incarnation 0 about an unknown node is ignored. Go Serf stores it as a dead
//   placeholder, by which anybody could stretch all timeouts that grow with the cluster.
// * Alives without a version vector, or with a senseless one, are dropped, and stored nodes without
//   versions take no part in the compatibility check. In Go Serf they make every later merge fail.
// * A node that is dead or left for so long that it only waits to be purged comes back as if it
//   were unknown, with any incarnation and address.
// * A farewell may belong to an earlier life and come from a latecomer: to nodes that had forgotten
//   it, the member came back with incarnation 1. So a farewell without an intent, or with an
//   incarnation that this node never saw, is gossiped, but believed only after a moment in which
//   the member can refute it.

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
  bool known = false;  // false: all other fields but `own` are meaningless
  bool own = false;    // the subject is this node
  NodeState state = NodeState::kDead;
  wire::Incarnation incarnation{};
  bool suspicion_runs = false;
  bool farewell_doubted = false;  // the suspicion is of a farewell (DeadVerdict::kDoubt)
  bool farewell_expected = true;  // by the layer above
  bool forgotten = false;         // dead or left for so long that it waits to be purged
};

// --- which incarnations are possible ---

// Incarnations count refutations and changes of metadata: a member with one each second for 60
// years is below this. Up to here a node believes all news from others.
inline constexpr wire::Incarnation kHearsayMax{0x7fffffffu};
// Above kHearsayMax a node believes claims of others that are at most this much above what is
// stored: the refutations of a member that was lifted there, some of which got lost.
inline constexpr std::uint32_t kHearsayStep = 16;
// How far a member follows a claim of others in a single step. It is beyond kHearsayMax, because Go
// Serf members believe and spread more, and because a restarted member must get over what others
// remember. The numbers above suffice for a change a second for 30 years.
inline constexpr wire::Incarnation kFollowMax{0xbfffffffu};

// Whether the member can have reached `claimed` if it was at `stored` (zero: nothing is stored).
inline constexpr bool IsBelievable(wire::Incarnation claimed, wire::Incarnation stored) {
  return claimed <= kHearsayMax || claimed <= stored ||
         claimed.value() - stored.value() <= kHearsayStep;
}

// Whether a member whose counter is at `counter` should exceed a claim of others. It always refutes
// claims that do not exceed the counter.
inline constexpr bool IsToBeFollowed(wire::Incarnation claimed, wire::Incarnation counter) {
  return claimed <= kFollowMax || claimed <= counter;
}

// The incarnation that refutes `claimed`; nothing if there is none, or the claim must not be
// followed.
inline constexpr std::optional<wire::Incarnation> RefutingIncarnation(wire::Incarnation counter,
                                                                      wire::Incarnation claimed) {
  const std::uint32_t base = std::max(counter.value(), claimed.value());
  if (!IsToBeFollowed(claimed, counter) || base == std::numeric_limits<std::uint32_t>::max()) {
    return std::nullopt;
  }
  return wire::Incarnation(base + 1);
}

// --- alive (docs/protocol/membership.md 4.2) ---

struct AliveClaim {
  wire::Incarnation incarnation{};
  bool same_endpoint = true;  // as stored, byte by byte, and the port
  bool same_content = true;   // metadata and versions as stored
  bool bootstrap = false;     // made by this node about itself
  bool own_word = false;      // came from the member itself, as far as the wire shows
};

enum class AliveVerdict : std::uint8_t {
  kIgnore,
  kAdd,          // unknown: add the row, then as kAccept
  kAccept,       // store all; alive from now on; re-gossip
  kAcceptMoved,  // as kAccept, of a left or dead node at a new address: log it
  kConflict,     // another node claims the name: report, change nothing
  kRefute,       // about this node and wrong: refute
  kAbsurd,       // a claim of others that it cannot have reached: count it, and ask the member
};

// `left`: this node has left. `dead_for`: how long ago the subject's state changed. `reclaim_time`:
// after which a dead node's name may move; zero: never.
AliveVerdict JudgeAlive(const SubjectState& subject, const AliveClaim& claim, bool left,
                        Duration dead_for, Duration reclaim_time);

// --- suspect (docs/protocol/membership.md 4.4) ---

enum class SuspectVerdict : std::uint8_t {
  kIgnore,
  kAbsurd,   // ignored; count it
  kConfirm,  // a suspicion runs: confirm it; re-gossip if that counts
  kSuspect,  // suspect from now on, with this incarnation; start a suspicion; re-gossip
  kRefute,
};

SuspectVerdict JudgeSuspect(const SubjectState& subject, wire::Incarnation incarnation);

// --- dead (docs/protocol/membership.md 4.5) ---

enum class DeadVerdict : std::uint8_t {
  kIgnore,
  kAbsurd,  // ignored; count it
  kDead,    // failed from now on; re-gossip
  kLeft,    // left from now on (the sender is the subject); re-gossip
  kDoubt,   // a farewell that may be old: suspect for a moment, then kLeft; re-gossip
  kRefute,
};

// `announced`: the message names its subject as its sender. `left`: this node has left.
DeadVerdict JudgeDead(const SubjectState& subject, wire::Incarnation incarnation, bool announced,
                      bool left);

// --- push/pull records (docs/protocol/membership.md 4.6) ---

enum class MergeAs : std::uint8_t { kAlive, kSuspect, kLeft, kIgnore };

// How to merge a record with this state number: a dead one as suspect, so that it can refute.
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

// --- versions (docs/protocol/membership.md 4.2 step 2, 4.7) ---

// True if there are versions and they make sense. (A missing vector is all zero.)
inline constexpr bool AreSaneVersions(const wire::VersionVector& v) {
  return v.protocol_min != 0 && v.protocol_min <= v.protocol_max;
}

// The versions that all nodes of a set understand.
class CommonVersions {
 public:
  constexpr void Add(const wire::VersionVector& v) {
    protocol_min_ = std::max(protocol_min_, v.protocol_min);
    protocol_max_ = std::min(protocol_max_, v.protocol_max);
    delegate_min_ = std::max(delegate_min_, v.delegate_min);
    delegate_max_ = std::min(delegate_max_, v.delegate_max);
  }

  // True if all nodes understand a node that speaks `v`.
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

// True if each of two nodes understands what the other one speaks. A merge leaves out records that
// are not compatible with this node instead of failing as a whole (docs/protocol/membership.md 4.7,
// 10).
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
    // An echo of this node's own message. Anything else at this incarnation or above belongs to
    // another life.
    if (claim.incarnation == subject.incarnation && claim.same_content) {
      return AliveVerdict::kIgnore;
    }
    return AliveVerdict::kRefute;
  }
  if (!claim.own_word && !IsBelievable(claim.incarnation, subject.incarnation)) {
    return AliveVerdict::kAbsurd;
  }
  if (moved) return AliveVerdict::kAcceptMoved;
  // The stored incarnation is not from this member, which never reached it.
  const bool unreached = claim.own_word && !IsBelievable(subject.incarnation, claim.incarnation);
  return claim.incarnation > subject.incarnation || unreached ? AliveVerdict::kAccept
                                                              : AliveVerdict::kIgnore;
}

inline constexpr bool IsAbsurdAccusation(const SubjectState& subject,
                                         wire::Incarnation incarnation) {
  return subject.own ? !IsToBeFollowed(incarnation, subject.incarnation)
                     : !IsBelievable(incarnation, subject.incarnation);
}

inline SuspectVerdict JudgeSuspect(const SubjectState& subject, wire::Incarnation incarnation) {
  if (!subject.known || incarnation < subject.incarnation) return SuspectVerdict::kIgnore;
  if (IsAbsurdAccusation(subject, incarnation)) return SuspectVerdict::kAbsurd;
  if (subject.suspicion_runs) return SuspectVerdict::kConfirm;
  if (subject.state != NodeState::kAlive) return SuspectVerdict::kIgnore;
  return subject.own ? SuspectVerdict::kRefute : SuspectVerdict::kSuspect;
}

inline DeadVerdict JudgeDead(const SubjectState& subject, wire::Incarnation incarnation,
                             bool announced, bool left) {
  if (!subject.known || incarnation < subject.incarnation) return DeadVerdict::kIgnore;
  if (IsAbsurdAccusation(subject, incarnation)) return DeadVerdict::kAbsurd;
  if (subject.state == NodeState::kDead || subject.state == NodeState::kLeft) {
    return DeadVerdict::kIgnore;  // a failed node never turns into one that left
  }
  if (subject.own && !left) return DeadVerdict::kRefute;
  if (announced && !subject.own) {
    if (subject.farewell_doubted) return DeadVerdict::kIgnore;
    if (incarnation > subject.incarnation || !subject.farewell_expected) {
      return DeadVerdict::kDoubt;
    }
  }
  return announced ? DeadVerdict::kLeft : DeadVerdict::kDead;
}

}  // namespace serf::swim

#endif  // SERF_SWIM_STATE_RULES_H_
