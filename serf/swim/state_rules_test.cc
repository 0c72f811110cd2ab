#include "serf/swim/state_rules.h"

#include <chrono>
#include <limits>
#include <optional>

#include "gtest/gtest.h"

namespace serf::swim {
namespace {

using std::chrono::seconds;
using wire::Incarnation;

constexpr std::uint32_t kTop = std::numeric_limits<std::uint32_t>::max();
constexpr std::uint32_t kHigh = kHearsayMax.value();
constexpr std::uint32_t kFollow = kFollowMax.value();

SubjectState Known(NodeState state, std::uint32_t incarnation) {
  return {.known = true, .state = state, .incarnation = Incarnation(incarnation)};
}
SubjectState Own(NodeState state, std::uint32_t incarnation) {
  SubjectState subject = Known(state, incarnation);
  subject.own = true;
  return subject;
}
SubjectState Suspected(std::uint32_t incarnation) {
  SubjectState subject = Known(NodeState::kSuspect, incarnation);
  subject.suspicion_runs = true;
  return subject;
}
SubjectState Doubted(std::uint32_t incarnation) {
  SubjectState subject = Suspected(incarnation);
  subject.farewell_doubted = true;
  return subject;
}
SubjectState Unexpecting(SubjectState subject) {
  subject.farewell_expected = false;
  return subject;
}
SubjectState Forgotten(NodeState state, std::uint32_t incarnation) {
  SubjectState subject = Known(state, incarnation);
  subject.forgotten = true;
  return subject;
}
constexpr NodeState kAlive = NodeState::kAlive;
constexpr NodeState kSuspect = NodeState::kSuspect;
constexpr NodeState kDead = NodeState::kDead;
constexpr NodeState kLeft = NodeState::kLeft;

// --- alive ---

struct AliveCase {
  const char* what;
  SubjectState subject;
  AliveClaim claim;
  bool left;
  int dead_for_s;
  int reclaim_s;
  AliveVerdict expected;
};

AliveClaim Claim(std::uint32_t incarnation) { return {.incarnation = Incarnation(incarnation)}; }
AliveClaim Moved(std::uint32_t incarnation) {
  return {.incarnation = Incarnation(incarnation), .same_endpoint = false};
}
AliveClaim Changed(std::uint32_t incarnation) {
  return {.incarnation = Incarnation(incarnation), .same_content = false};
}
AliveClaim Bootstrap(std::uint32_t incarnation) {
  return {.incarnation = Incarnation(incarnation), .same_content = false, .bootstrap = true};
}

AliveClaim OwnWord(std::uint32_t incarnation) {
  return {.incarnation = Incarnation(incarnation), .own_word = true};
}

TEST(StateRules, Alive) {
  using V = AliveVerdict;
  const AliveCase kCases[] = {
      // Unknown.
      {"unknown", {}, Claim(1), false, 0, 0, V::kAdd},
      {"unknown, high", {}, Claim(kTop), false, 0, 0, V::kAdd},
      {"unknown, incarnation 0 is no node", {}, Claim(0), false, 0, 0, V::kIgnore},
      // About others: only a strictly higher incarnation counts.
      {"alive, lower", Known(kAlive, 5), Claim(4), false, 0, 0, V::kIgnore},
      {"alive, equal", Known(kAlive, 5), Claim(5), false, 0, 0, V::kIgnore},
      {"alive, equal with news", Known(kAlive, 5), Changed(5), false, 0, 0, V::kIgnore},
      {"alive, higher", Known(kAlive, 5), Claim(6), false, 0, 0, V::kAccept},
      {"suspect, lower", Known(kSuspect, 5), Claim(4), false, 0, 0, V::kIgnore},
      {"suspect, equal", Known(kSuspect, 5), Claim(5), false, 0, 0, V::kIgnore},
      {"suspect, higher", Known(kSuspect, 5), Claim(6), false, 0, 0, V::kAccept},
      {"dead, lower", Known(kDead, 5), Claim(4), false, 0, 0, V::kIgnore},
      {"dead, equal", Known(kDead, 5), Claim(5), false, 0, 0, V::kIgnore},
      {"dead, higher", Known(kDead, 5), Claim(6), false, 0, 0, V::kAccept},
      {"left, lower", Known(kLeft, 5), Claim(4), false, 0, 0, V::kIgnore},
      {"left, equal", Known(kLeft, 5), Claim(5), false, 0, 0, V::kIgnore},
      {"left, higher", Known(kLeft, 5), Claim(6), false, 0, 0, V::kAccept},
      // Another address.
      {"alive, moved", Known(kAlive, 5), Moved(6), false, 0, 0, V::kConflict},
      {"alive, moved, long ago", Known(kAlive, 5), Moved(6), false, 90, 30, V::kConflict},
      {"suspect, moved", Known(kSuspect, 5), Moved(6), false, 90, 30, V::kConflict},
      {"dead, moved, no reclaim", Known(kDead, 5), Moved(6), false, 90, 0, V::kConflict},
      {"dead, moved, too early", Known(kDead, 5), Moved(6), false, 30, 30, V::kConflict},
      {"dead, moved, reclaimed", Known(kDead, 5), Moved(6), false, 31, 30, V::kAcceptMoved},
      {"dead, moved, lower", Known(kDead, 5), Moved(1), false, 31, 30, V::kAcceptMoved},
      {"dead, moved, equal", Known(kDead, 5), Moved(5), false, 31, 30, V::kAcceptMoved},
      {"left, moved", Known(kLeft, 5), Moved(6), false, 0, 0, V::kAcceptMoved},
      {"left, moved, lower", Known(kLeft, 5), Moved(1), false, 0, 0, V::kAcceptMoved},
      {"left, moved, equal", Known(kLeft, 5), Moved(5), false, 0, 0, V::kAcceptMoved},
      // It waits to be purged: as if unknown.
      {"forgotten, lower", Forgotten(kLeft, 5), Claim(1), false, 31, 0, V::kAccept},
      {"forgotten, dead, equal", Forgotten(kDead, 5), Claim(5), false, 31, 0, V::kAccept},
      {"forgotten, moved", Forgotten(kDead, 5), Moved(1), false, 31, 0, V::kAcceptMoved},
      {"forgotten, incarnation 0", Forgotten(kLeft, 5), Claim(0), false, 31, 0, V::kIgnore},
      // About this node.
      {"own, lower", Own(kAlive, 5), Claim(4), false, 0, 0, V::kIgnore},
      {"own, echo", Own(kAlive, 5), Claim(5), false, 0, 0, V::kIgnore},
      {"own, lower and different", Own(kAlive, 5), Changed(4), false, 0, 0, V::kIgnore},
      {"own, equal but different", Own(kAlive, 5), Changed(5), false, 0, 0, V::kRefute},
      {"own, higher", Own(kAlive, 5), Claim(6), false, 0, 0, V::kRefute},
      {"own, highest", Own(kAlive, 5), Claim(kTop), false, 0, 0, V::kRefute},
      {"own, moved", Own(kAlive, 5), Moved(6), false, 0, 0, V::kConflict},
      {"own, bootstrap", Own(kAlive, 5), Bootstrap(6), false, 0, 0, V::kAccept},
      {"own, bootstrap, equal", Own(kAlive, 5), Bootstrap(5), false, 0, 0, V::kAccept},
      {"own, bootstrap, lower", Own(kAlive, 5), Bootstrap(4), false, 0, 0, V::kIgnore},
      // After leaving: silent about this node, not about others.
      {"own after leaving", Own(kLeft, 5), Claim(6), true, 0, 0, V::kIgnore},
      {"own after leaving, moved", Own(kLeft, 5), Moved(6), true, 0, 0, V::kIgnore},
      {"own after leaving, bootstrap", Own(kLeft, 5), Bootstrap(6), true, 0, 0, V::kIgnore},
      {"unknown after leaving", {}, Claim(1), true, 0, 0, V::kAdd},
      {"other after leaving", Known(kAlive, 5), Claim(6), true, 0, 0, V::kAccept},
      // What others say counts only up to what the member can have reached.
      {"hearsay, highest", Known(kAlive, 5), Claim(kHigh), false, 0, 0, V::kAccept},
      {"hearsay, beyond", Known(kAlive, 5), Claim(kHigh + 1), false, 0, 0, V::kAbsurd},
      {"hearsay, top", Known(kAlive, 5), Claim(kTop), false, 0, 0, V::kAbsurd},
      {"hearsay, top, of a suspect", Known(kSuspect, 5), Claim(kTop), false, 0, 0, V::kAbsurd},
      {"hearsay, top, of a dead one", Known(kDead, 5), Claim(kTop), false, 0, 0, V::kAbsurd},
      {"hearsay, top, left and moved", Known(kLeft, 5), Moved(kTop), false, 0, 0, V::kAbsurd},
      {"hearsay, beyond, and a conflict", Known(kAlive, 5), Moved(kTop), false, 0, 0, V::kConflict},
      {"hearsay, a refutation", Known(kAlive, kHigh), Claim(kHigh + 1), false, 0, 0, V::kAccept},
      {"hearsay, some were lost", Known(kAlive, kHigh + 4), Claim(kHigh + 4 + kHearsayStep), false,
       0, 0, V::kAccept},
      {"hearsay, too many", Known(kAlive, kHigh + 4), Claim(kHigh + 5 + kHearsayStep), false, 0, 0,
       V::kAbsurd},
      {"hearsay, at the top, echo", Known(kAlive, kTop), Claim(kTop), false, 0, 0, V::kIgnore},
      {"forgotten, hearsay, beyond", Forgotten(kDead, 5), Claim(kTop), false, 31, 0, V::kAccept},
      // The member's own word always counts, also against a stored incarnation that it never
      // reached.
      {"own word, higher", Known(kAlive, 5), OwnWord(6), false, 0, 0, V::kAccept},
      {"own word, top", Known(kAlive, 5), OwnWord(kTop), false, 0, 0, V::kAccept},
      {"own word, lower", Known(kAlive, 5), OwnWord(4), false, 0, 0, V::kIgnore},
      {"own word, lower, far", Known(kAlive, kHigh), OwnWord(1), false, 0, 0, V::kIgnore},
      {"own word, against the absurd", Known(kAlive, kTop), OwnWord(4), false, 0, 0, V::kAccept},
      {"own word, against a suspicion", Known(kSuspect, kTop), OwnWord(4), false, 0, 0, V::kAccept},
      {"own word, an older one", Known(kAlive, kHigh + 9), OwnWord(kHigh + 2), false, 0, 0,
       V::kIgnore},
  };
  for (const AliveCase& c : kCases) {
    EXPECT_EQ(JudgeAlive(c.subject, c.claim, c.left, seconds(c.dead_for_s), seconds(c.reclaim_s)),
              c.expected)
        << c.what;
  }
}

// --- suspect ---

TEST(StateRules, Suspect) {
  using V = SuspectVerdict;
  struct Case {
    const char* what;
    SubjectState subject;
    std::uint32_t incarnation;
    V expected;
  };
  const Case kCases[] = {
      {"unknown", {}, 1, V::kIgnore},
      {"alive, lower", Known(kAlive, 5), 4, V::kIgnore},
      {"alive, equal", Known(kAlive, 5), 5, V::kSuspect},
      {"alive, higher", Known(kAlive, 5), 6, V::kSuspect},
      {"suspected, lower", Suspected(5), 4, V::kIgnore},
      {"suspected, equal", Suspected(5), 5, V::kConfirm},
      {"suspected, higher", Suspected(5), 6, V::kConfirm},
      {"suspect, no suspicion runs", Known(kSuspect, 5), 9, V::kIgnore},
      {"dead", Known(kDead, 5), 9, V::kIgnore},
      {"left", Known(kLeft, 5), 9, V::kIgnore},
      {"own, lower", Own(kAlive, 5), 4, V::kIgnore},
      {"own, equal", Own(kAlive, 5), 5, V::kRefute},
      {"own, higher", Own(kAlive, 5), 9, V::kRefute},
      {"own, left", Own(kLeft, 5), 9, V::kIgnore},
      {"alive, highest credible", Known(kAlive, 5), kHigh, V::kSuspect},
      {"alive, absurd", Known(kAlive, 5), kHigh + 1, V::kAbsurd},
      {"alive, most absurd", Known(kAlive, 5), kTop, V::kAbsurd},
      {"suspected, absurd", Suspected(5), kTop, V::kAbsurd},
      {"own, highest credible", Own(kAlive, 5), kHigh, V::kRefute},
      {"own, highest that it follows", Own(kAlive, 5), kFollow, V::kRefute},
      {"own, absurd", Own(kAlive, 5), kFollow + 1, V::kAbsurd},
      {"own, most absurd", Own(kAlive, 5), kTop, V::kAbsurd},
      {"already high, equal", Known(kAlive, kHigh + 1), kHigh + 1, V::kSuspect},
      {"already high, a little higher", Known(kAlive, kHigh + 1), kHigh + 1 + kHearsayStep,
       V::kSuspect},
      {"already high, higher", Known(kAlive, kHigh + 1), kHigh + 2 + kHearsayStep, V::kAbsurd},
      {"own, already high, equal", Own(kAlive, kFollow + 1), kFollow + 1, V::kRefute},
      {"own, already high, higher", Own(kAlive, kFollow + 1), kFollow + 2, V::kAbsurd},
      {"unknown, absurd", {}, kTop, V::kIgnore},
  };
  for (const Case& c : kCases) {
    EXPECT_EQ(JudgeSuspect(c.subject, Incarnation(c.incarnation)), c.expected) << c.what;
  }
}

// --- dead ---

TEST(StateRules, Dead) {
  using V = DeadVerdict;
  struct Case {
    const char* what;
    SubjectState subject;
    std::uint32_t incarnation;
    bool announced;
    bool left;
    V expected;
  };
  const Case kCases[] = {
      {"unknown", {}, 1, false, false, V::kIgnore},
      {"unknown, leaves", {}, 1, true, false, V::kIgnore},
      {"alive, lower", Known(kAlive, 5), 4, false, false, V::kIgnore},
      {"alive, equal", Known(kAlive, 5), 5, false, false, V::kDead},
      {"alive, higher", Known(kAlive, 5), 6, false, false, V::kDead},
      {"alive, leaves", Known(kAlive, 5), 5, true, false, V::kLeft},
      {"alive, a farewell unheard of", Known(kAlive, 5), 6, true, false, V::kDoubt},
      {"alive, the highest credible one", Known(kAlive, 5), kHigh, true, false, V::kDoubt},
      {"suspected", Suspected(5), 5, false, false, V::kDead},
      {"alive, an unexpected farewell", Unexpecting(Known(kAlive, 5)), 5, true, false, V::kDoubt},
      {"alive, an unexpected one, lower", Unexpecting(Known(kAlive, 5)), 4, true, false,
       V::kIgnore},
      {"alive, an unexpected death", Unexpecting(Known(kAlive, 5)), 5, false, false, V::kDead},
      {"left, unexpected again", Unexpecting(Known(kLeft, 5)), 6, true, false, V::kIgnore},
      {"own, leaving, unexpected", Unexpecting(Own(kAlive, 5)), 5, true, true, V::kLeft},
      {"suspected, unexpected", Unexpecting(Suspected(5)), 5, true, false, V::kDoubt},
      {"suspected, leaves", Suspected(5), 5, true, false, V::kLeft},
      {"suspected, a farewell unheard of", Suspected(5), 6, true, false, V::kDoubt},
      {"doubted, again", Doubted(5), 5, true, false, V::kIgnore},
      {"doubted, a higher one", Doubted(5), 6, true, false, V::kIgnore},
      {"doubted, dies", Doubted(5), 5, false, false, V::kDead},
      {"suspected, lower", Suspected(5), 4, false, false, V::kIgnore},
      {"suspected, absurd", Suspected(5), kTop, false, false, V::kAbsurd},
      {"dead, again", Known(kDead, 5), 6, false, false, V::kIgnore},
      {"dead never turns into left", Known(kDead, 5), 6, true, false, V::kIgnore},
      {"left, again", Known(kLeft, 5), 6, true, false, V::kIgnore},
      {"left never turns into dead", Known(kLeft, 5), 6, false, false, V::kIgnore},
      {"own, lower", Own(kAlive, 5), 4, false, false, V::kIgnore},
      {"own, not leaving", Own(kAlive, 5), 5, false, false, V::kRefute},
      {"own, not leaving, own words of another life", Own(kAlive, 5), 7, true, false, V::kRefute},
      {"own, leaving", Own(kAlive, 5), 5, true, true, V::kLeft},
      {"own, leaving, lower", Own(kAlive, 5), 4, true, true, V::kIgnore},
      {"own, leaving, higher", Own(kAlive, 5), 6, true, true, V::kLeft},
      {"own, leaving, accused", Own(kAlive, 5), 5, false, true, V::kDead},
      {"own, has left, accused", Own(kLeft, 5), 6, false, true, V::kIgnore},
      {"own, has left", Own(kLeft, 5), 5, true, true, V::kIgnore},
      {"alive, absurd", Known(kAlive, 5), kTop, false, false, V::kAbsurd},
      {"alive, leaves at an absurd incarnation", Known(kAlive, 5), kTop, true, false, V::kAbsurd},
      {"own, absurd", Own(kAlive, 5), kTop, false, false, V::kAbsurd},
      {"own, highest credible", Own(kAlive, 5), kHigh, false, false, V::kRefute},
      {"already high, equal", Known(kAlive, kTop), kTop, false, false, V::kDead},
      {"already high, a little higher", Known(kAlive, kHigh + 1), kHigh + 2, true, false,
       V::kDoubt},
      {"already high, higher", Known(kAlive, kHigh + 1), kHigh + 2 + kHearsayStep, true, false,
       V::kAbsurd},
  };
  for (const Case& c : kCases) {
    EXPECT_EQ(JudgeDead(c.subject, Incarnation(c.incarnation), c.announced, c.left), c.expected)
        << c.what;
  }
}

// --- refutation ---

TEST(StateRules, RefutationIsAboveBothAndNeverWraps) {
  struct Case {
    std::uint32_t counter, accused;
    std::optional<std::uint32_t> expected;
  };
  const Case kCases[] = {
      {1, 1, 2},
      {1, 0, 2},
      {1, 7, 8},
      {9, 7, 10},
      {0, 0, 1},
      {1, kHigh, kHigh + 1},
      {1, kFollow, kFollow + 1},
      {1, kFollow + 1, {}},
      {1, kTop, {}},
      {kFollow + 5, kFollow + 5, kFollow + 6},
      {kFollow + 5, kFollow + 6, {}},
      {kTop, 1, {}},
      {kTop - 1, 3, kTop},
  };
  for (const Case& c : kCases) {
    const auto got = RefutingIncarnation(Incarnation(c.counter), Incarnation(c.accused));
    ASSERT_EQ(got.has_value(), c.expected.has_value()) << c.counter << ", " << c.accused;
    if (got) {
      EXPECT_EQ(got->value(), *c.expected) << c.counter << ", " << c.accused;
    }
  }
}

// Every accusation that is believed can be refuted, however high.
TEST(StateRules, EveryBelievedAccusationCanBeRefuted) {
  for (const std::uint32_t accused : {1u, 2u, kHigh - 1, kHigh, kHigh + 1, kTop - 1, kTop}) {
    const SubjectState seen_by_others = Known(kAlive, 1);
    if (JudgeSuspect(seen_by_others, Incarnation(accused)) != SuspectVerdict::kSuspect) continue;
    ASSERT_EQ(JudgeSuspect(Own(kAlive, 1), Incarnation(accused)), SuspectVerdict::kRefute);
    const auto refuted = RefutingIncarnation(Incarnation(1), Incarnation(accused));
    ASSERT_TRUE(refuted);
    EXPECT_EQ(JudgeAlive(Suspected(accused), {.incarnation = *refuted}, false, {}, {}),
              AliveVerdict::kAccept);
  }
}

// A member can exceed every claim about it that others believe: a node that heard the claim
// believes the refutation, and a node that did not hear it believes it or asks the member, whose
// own word counts.
TEST(StateRules, NobodyIsLiftedBeyondItsOwnRefutation) {
  int believed = 0;
  for (const std::uint32_t own : {1u, 1000u, kHigh - 1, kHigh, kHigh + 5, kFollow - 100}) {
    for (const std::uint32_t claimed :
         {own + 1, own + kHearsayStep, own + kHearsayStep + 1, kHigh, kHigh + 1, kFollow, kTop}) {
      SCOPED_TRACE(::testing::Message() << own << ", claimed " << claimed);
      const SubjectState there = Known(kAlive, own);
      if (JudgeAlive(there, Claim(claimed), false, {}, {}) != AliveVerdict::kAccept) continue;
      ++believed;
      const auto refuted = RefutingIncarnation(Incarnation(own), Incarnation(claimed));
      ASSERT_TRUE(refuted);
      EXPECT_EQ(JudgeAlive(Known(kAlive, claimed), {.incarnation = *refuted}, false, {}, {}),
                AliveVerdict::kAccept);
      const AliveVerdict elsewhere = JudgeAlive(there, {.incarnation = *refuted}, false, {}, {});
      EXPECT_TRUE(elsewhere == AliveVerdict::kAccept || elsewhere == AliveVerdict::kAbsurd);
      EXPECT_EQ(JudgeAlive(there, OwnWord(refuted->value()), false, {}, {}), AliveVerdict::kAccept);
    }
  }
  EXPECT_GE(believed, 15);
}

// --- every combination against the steps of docs/protocol/membership.md 4.2, 4.4 and 4.5 ---

AliveVerdict AliveBySteps(const SubjectState& s, const AliveClaim& c, bool left, bool reclaim) {
  if (left && s.own) return AliveVerdict::kIgnore;  // 1; Membership does 2 and 3
  if (!s.known) return AliveVerdict::kAdd;          // 4
  bool updates = false;
  if (!c.same_endpoint) {
    updates = s.state == kLeft || (s.state == kDead && reclaim);
    if (!updates) return AliveVerdict::kConflict;
  }
  if (!s.own && !updates && c.incarnation <= s.incarnation) return AliveVerdict::kIgnore;  // 5
  if (s.own && c.incarnation < s.incarnation) return AliveVerdict::kIgnore;
  if (s.own && !c.bootstrap) {  // 7
    const bool echo = c.incarnation == s.incarnation && c.same_content;
    return echo ? AliveVerdict::kIgnore : AliveVerdict::kRefute;
  }
  return updates ? AliveVerdict::kAcceptMoved : AliveVerdict::kAccept;
}

SuspectVerdict SuspectBySteps(const SubjectState& s, Incarnation incarnation) {
  if (!s.known) return SuspectVerdict::kIgnore;                       // 1
  if (incarnation < s.incarnation) return SuspectVerdict::kIgnore;    // 2
  if (s.suspicion_runs) return SuspectVerdict::kConfirm;              // 3
  if (s.state != kAlive) return SuspectVerdict::kIgnore;              // 4
  return s.own ? SuspectVerdict::kRefute : SuspectVerdict::kSuspect;  // 5, 6
}

DeadVerdict DeadBySteps(const SubjectState& s, Incarnation incarnation, bool announced, bool left) {
  if (!s.known) return DeadVerdict::kIgnore;                              // 1
  if (incarnation < s.incarnation) return DeadVerdict::kIgnore;           // 2
  if (s.state == kDead || s.state == kLeft) return DeadVerdict::kIgnore;  // 4
  if (s.own && !left) return DeadVerdict::kRefute;                        // 5
  // Beyond Go Serf: an unheard-of farewell is doubted first.
  if (announced && !s.own && incarnation > s.incarnation) return DeadVerdict::kDoubt;
  return announced ? DeadVerdict::kLeft : DeadVerdict::kDead;  // 7
}

TEST(StateRules, EveryCombinationFollowsTheSpecification) {
  constexpr bool kBoth[] = {false, true};
  int cases = 0;
  for (const NodeState state : {kAlive, kSuspect, kDead, kLeft}) {
    for (int bits = 0; bits < 256; ++bits) {
      const auto bit = [bits](int i) { return (bits >> i & 1) != 0; };
      SubjectState subject = Known(state, 5);
      subject.known = bit(0);
      subject.own = bit(1);
      subject.suspicion_runs = state == kSuspect && bit(2);
      const bool left = bit(3);
      // A node's own row is alive until the node leaves.
      if (subject.own && state != kAlive && !(state == kLeft && left)) continue;
      for (const std::uint32_t incarnation : {1u, 4u, 5u, 6u, 9u}) {
        SCOPED_TRACE(::testing::Message() << "state " << static_cast<int>(state) << ", bits "
                                          << bits << ", incarnation " << incarnation);
        AliveClaim claim = Claim(incarnation);
        claim.same_endpoint = bit(4);
        claim.same_content = bit(5);
        claim.bootstrap = bit(6) && subject.own;
        for (const bool long_dead : kBoth) {
          const Duration reclaim = bit(7) ? seconds(30) : seconds(0);
          EXPECT_EQ(JudgeAlive(subject, claim, left, seconds(long_dead ? 31 : 30), reclaim),
                    AliveBySteps(subject, claim, left, bit(7) && long_dead));
        }
        EXPECT_EQ(JudgeSuspect(subject, Incarnation(incarnation)),
                  SuspectBySteps(subject, Incarnation(incarnation)));
        for (const bool announced : kBoth) {
          EXPECT_EQ(JudgeDead(subject, Incarnation(incarnation), announced, left),
                    DeadBySteps(subject, Incarnation(incarnation), announced, left));
        }
        ++cases;
      }
    }
  }
  EXPECT_EQ(cases, (4 * 128 + 128 + 64) * 5);
}

// --- merging and versions ---

TEST(StateRules, MergeRule) {
  EXPECT_EQ(MergeRule(0), MergeAs::kAlive);
  EXPECT_EQ(MergeRule(1), MergeAs::kSuspect);
  EXPECT_EQ(MergeRule(2), MergeAs::kSuspect) << "never believed at once";
  EXPECT_EQ(MergeRule(3), MergeAs::kLeft);
  EXPECT_EQ(MergeRule(4), MergeAs::kIgnore);
  EXPECT_EQ(MergeRule(-1), MergeAs::kIgnore);
}

TEST(StateRules, SaneVersions) {
  EXPECT_TRUE(AreSaneVersions({1, 5, 2, 2, 5, 5}));
  EXPECT_TRUE(AreSaneVersions({1, 1, 1, 0, 0, 0}));
  EXPECT_FALSE(AreSaneVersions({})) << "a missing vector";
  EXPECT_FALSE(AreSaneVersions({0, 5, 2, 2, 5, 5}));
  EXPECT_FALSE(AreSaneVersions({1, 0, 2, 2, 5, 5}));
  EXPECT_FALSE(AreSaneVersions({3, 2, 2, 2, 5, 5}));
}

TEST(StateRules, CommonVersions) {
  CommonVersions common;
  EXPECT_TRUE(common.Admits({})) << "nobody demands anything";
  common.Add({1, 5, 2, 2, 5, 5});
  common.Add({2, 4, 2, 3, 9, 5});
  EXPECT_EQ(common.protocol_min(), 2);
  EXPECT_EQ(common.protocol_max(), 4);
  EXPECT_EQ(common.delegate_min(), 3);
  EXPECT_EQ(common.delegate_max(), 5);
  EXPECT_TRUE(common.Admits({0, 0, 2, 0, 0, 3}));
  EXPECT_TRUE(common.Admits({0, 0, 4, 0, 0, 5}));
  EXPECT_FALSE(common.AdmitsProtocol({0, 0, 1, 0, 0, 4}));
  EXPECT_FALSE(common.AdmitsProtocol({0, 0, 5, 0, 0, 4}));
  EXPECT_FALSE(common.AdmitsDelegate({0, 0, 2, 0, 0, 2}));
  EXPECT_FALSE(common.AdmitsDelegate({0, 0, 2, 0, 0, 6}));
}

TEST(StateRules, CompatibleBothWays) {
  const wire::VersionVector serf{1, 5, 2, 2, 5, 5};
  EXPECT_TRUE(AreCompatible(serf, serf));
  EXPECT_TRUE(AreCompatible(serf, {1, 5, 2, 2, 5, 4}));
  EXPECT_FALSE(AreCompatible(serf, {})) << "no versions";
  EXPECT_FALSE(AreCompatible(serf, {1, 1, 1, 2, 5, 5})) << "it does not understand us";
  EXPECT_FALSE(AreCompatible(serf, {1, 9, 9, 2, 5, 5})) << "we do not understand it";
  EXPECT_FALSE(AreCompatible(serf, {1, 5, 2, 2, 4, 4})) << "its application does not";
}

}  // namespace
}  // namespace serf::swim
