#include "serf/members/member_tracker.h"

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "serf/base/portion.h"
#include "serf/serf_state.h"
#include "serf/swim/node_info.h"
#include "serf/testing/node/serf_part.h"

namespace serf {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using ::testing::UnorderedElementsAre;
using wire::LamportTime;
using enum MemberStatus;

class MemberTrackerTest : public ::testing::Test, protected testkit::SerfPart {
 protected:
  MemberTracker::LeaveOutcome Leave(absl::string_view name, std::uint64_t time,
                                    bool prune = false) {
    return members_.OnLeaveMessage(now_, name, LamportTime(time), prune);
  }
  bool Join(absl::string_view name, std::uint64_t time) {
    return members_.OnJoinMessage(now_, name, LamportTime(time));
  }
  void MakeLeft(absl::string_view name, std::uint64_t time) {
    Leave(name, time);
    PeerLeaves(name);
  }
  // How long a prune waits for a leaving member.
  Duration PruneDelay() const { return config_.broadcast_timeout + config_.leave_propagate_delay; }
  // "name:time" of each status time, and "-name" of each member that left.
  std::vector<std::string> Told() const {
    std::vector<std::string> told;
    std::vector<std::string> left;
    MemberTracker::Walk walk;
    Portion portion;
    EXPECT_TRUE(members_.VisitTimes(
        walk, portion, [&](const swim::NodeInfoRef& info, LamportTime time, bool has_left) {
          told.push_back(absl::StrCat(info->name(), ":", time.value()));
          if (has_left) left.push_back(absl::StrCat("-", info->name()));
        }));
    told.insert(told.end(), left.begin(), left.end());
    return told;
  }
};

// --- what the SWIM layer reports ---

TEST_F(MemberTrackerTest, WhatBecomesOfAMemberThatGoesDependsOnItsIntentAndItsFarewell) {
  const struct {
    bool intent;
    bool farewell;
    const char* event;
  } kTable[] = {
      {false, false, "member-failed a failed"},
      {false, true, "member-leave a left"},
      {true, false, "member-leave a left"},
      {true, true, "member-leave a left"},
  };
  std::uint64_t time = 10;
  for (const auto& row : kTable) {
    AddPeer("a");
    TakeEvents();
    if (row.intent) Leave("a", ++time);
    EXPECT_EQ(members_.IsLeaving(IndexOf("a")), row.intent);
    EXPECT_THAT(TakeEvents(), IsEmpty());
    row.farewell ? PeerLeaves("a") : KillPeer("a");
    EXPECT_THAT(TakeEvents(), ElementsAre(row.event));
  }
  EXPECT_EQ(context_.counters.member_failures, 1u);
  EXPECT_EQ(context_.counters.member_leaves, 3u);
}

TEST_F(MemberTrackerTest, EventsComeInTheOrderOfTheChanges) {
  AddPeer("a", {{"role", "db"}});
  AddPeer("b");
  AddPeer("a", {{"role", "web"}});
  KillPeer("b");
  Leave("b", 5, /*prune=*/true);
  AddPeer("b");
  EXPECT_THAT(TakeEvents(),
              ElementsAre("member-join a alive", "member-join b alive", "member-update a alive",
                          "member-failed b failed", "member-leave b left", "member-reap b left",
                          "member-join b alive"));
}

TEST_F(MemberTrackerTest, AReturnWithinTheFlapTimeoutIsAFlap) {
  AddPeer("a");
  KillPeer("a");
  Pass(config_.flap_timeout - Duration(1));
  AddPeer("a");
  EXPECT_EQ(context_.counters.member_flaps, 1u);
  KillPeer("a");
  Pass(config_.flap_timeout);
  AddPeer("a");
  EXPECT_EQ(context_.counters.member_flaps, 1u);
  // Only a member that failed.
  MakeLeft("a", 5);
  AddPeer("a");
  EXPECT_EQ(context_.counters.member_flaps, 1u);
}

TEST_F(MemberTrackerTest, TheNewestIntentWaitsForTheMember) {
  Leave("a", 5);
  Join("b", 5);
  Leave("c", 5);
  Join("c", 6);
  for (const char* name : {"a", "b", "c"}) AddPeer(name);
  EXPECT_THAT(TakeEvents(),
              ElementsAre("member-join a leaving", "member-join b alive", "member-join c alive"));
  EXPECT_THAT(Told(), UnorderedElementsAre("self:0", "a:4", "b:5", "c:6"));
}

// --- intents ---

TEST_F(MemberTrackerTest, AnIntentIsNewsOnceWhateverIsKnownOfTheName) {
  for (const char* name : {"present", "failed", "left"}) AddPeer(name);
  KillPeer("failed");
  MakeLeft("left", 1);
  for (const char* name : {"present", "failed", "left", "unknown"}) {
    EXPECT_TRUE(Join(name, 5)) << name;
    EXPECT_FALSE(Join(name, 5)) << name;
    EXPECT_FALSE(Leave(name, 5).rebroadcast) << name;
    EXPECT_TRUE(Leave(name, 6).rebroadcast) << name;
    EXPECT_FALSE(Leave(name, 6).rebroadcast) << name;
    EXPECT_FALSE(Join(name, 4)) << name;
  }
  EXPECT_EQ(Status("present"), kLeaving);
  EXPECT_EQ(Status("failed"), kLeft);
  EXPECT_EQ(Status("left"), kLeft);
  EXPECT_EQ(Status("unknown"), kNone);
}

TEST_F(MemberTrackerTest, AnImplausibleTimeChangesNothing) {
  AddPeer("a");
  EXPECT_FALSE(Leave("a", ~std::uint64_t{0}).rebroadcast);
  EXPECT_FALSE(Join("a", ~std::uint64_t{0}));
  EXPECT_EQ(Status("a"), kAlive);
  EXPECT_EQ(members_.clock().time(), LamportTime(1));
  EXPECT_EQ(context_.counters.dropped_time, 2u);
}

TEST_F(MemberTrackerTest, TheOwnDepartureIsRefutedUntilItIsTrue) {
  Join("self", 5);
  EXPECT_FALSE(Leave("self", 4).refute);
  const MemberTracker::LeaveOutcome tie = Leave("self", 5);
  EXPECT_TRUE(tie.refute);
  EXPECT_FALSE(tie.rebroadcast);
  EXPECT_EQ(Status("self"), kAlive);
  context_.state = SerfState::kLeaving;
  const MemberTracker::LeaveOutcome own = Leave("self", 6);
  EXPECT_FALSE(own.refute);
  EXPECT_TRUE(own.rebroadcast);
  EXPECT_EQ(Status("self"), kLeaving);
}

TEST_F(MemberTrackerTest, AForcedLeaveIsToldAndLaterFarewellsAreNot) {
  AddPeer("a");
  KillPeer("a");
  TakeEvents();
  Leave("a", 5);
  Leave("a", 6);
  PeerLeaves("a");
  EXPECT_THAT(TakeEvents(), ElementsAre("member-leave a left"));
}

// --- what a peer's state claims ---

TEST_F(MemberTrackerTest, ARemoteTombstoneIsALeaveIntentOneLater) {
  members_.clock().OnPeerClock(now_, LamportTime(100), /*adopt=*/false);
  AddPeers({"present", "failed"});
  KillPeer("failed");
  for (const char* name : {"present", "failed", "unknown"}) {
    members_.OnRemoteLeft(now_, name, LamportTime(7));
  }
  EXPECT_EQ(Status("present"), kLeaving);
  EXPECT_EQ(Status("failed"), kLeft);
  ASSERT_NE(members_.intents().Find("unknown"), nullptr);
  EXPECT_EQ(members_.intents().Find("unknown")->time, LamportTime(8));
  EXPECT_THAT(Told(), UnorderedElementsAre("self:0", "present:7", "failed:8", "-failed"));
  EXPECT_TRUE(members_.OnRemoteLeft(now_, "self", LamportTime(7)).refute);
}

// Otherwise two nodes with the same tombstone would push each other's clocks up forever.
TEST_F(MemberTrackerTest, ARemoteTombstoneThatIsKnownMovesNoClock) {
  members_.clock().OnPeerClock(now_, LamportTime(10), /*adopt=*/false);
  AddPeers({"leaving", "left"});
  Leave("leaving", 5);
  MakeLeft("left", 5);
  for (const char* name : {"leaving", "left"}) {
    members_.OnRemoteLeft(now_, name, LamportTime(9));
    members_.OnRemoteLeft(now_, name, LamportTime(3));
  }
  EXPECT_EQ(members_.clock().time(), LamportTime(10));
  EXPECT_THAT(Told(), UnorderedElementsAre("self:0", "leaving:8", "left:9", "-left"));
}

TEST_F(MemberTrackerTest, ARemoteTimeThatThePeersClockIsNotPastIsRefused) {
  AddPeer("a");
  members_.OnRemoteStatus(now_, "a", LamportTime(7));
  members_.OnRemoteLeft(now_, "a", LamportTime(7));
  EXPECT_EQ(Status("a"), kAlive);
  EXPECT_EQ(members_.clock().time(), LamportTime(1));
  EXPECT_EQ(context_.counters.dropped_time, 2u);
  members_.clock().OnPeerClock(now_, LamportTime(8), /*adopt=*/false);
  members_.OnRemoteStatus(now_, "a", LamportTime(7));
  EXPECT_THAT(Told(), UnorderedElementsAre("self:0", "a:7"));
}

// --- pruning ---

TEST_F(MemberTrackerTest, WhoIsGoneIsPrunedAtOnceAndItsNameRemembered) {
  AddPeers({"failed", "left"});
  KillPeer("failed");
  MakeLeft("left", 4);
  TakeEvents();
  EXPECT_TRUE(Leave("failed", 5, /*prune=*/true).rebroadcast);
  EXPECT_TRUE(Leave("left", 5, /*prune=*/true).rebroadcast);
  EXPECT_THAT(TakeEvents(), ElementsAre("member-leave failed left", "member-reap failed left",
                                        "member-reap left left"));
  for (const char* name : {"failed", "left"}) {
    EXPECT_FALSE(members_.Contains(name));
    EXPECT_FALSE(Leave(name, 5, /*prune=*/true).rebroadcast);
  }
  EXPECT_EQ(context_.counters.member_reaps, 2u);
}

TEST_F(MemberTrackerTest, WhoIsLeavingIsPrunedWhenItHasLeftButNotBeforeItsLeaveIsOut) {
  AddPeers({"quick", "slow"});
  Leave("quick", 5, /*prune=*/true);
  Leave("slow", 5, /*prune=*/true);
  EXPECT_EQ(members_.NextDeadline(), now_ + PruneDelay());
  PeerLeaves("quick");
  TakeEvents();
  Pass(PruneDelay() - Duration(1));
  members_.OnTimer(now_);
  EXPECT_THAT(TakeEvents(), IsEmpty());
  Pass(Duration(1));
  members_.OnTimer(now_);
  EXPECT_THAT(TakeEvents(), ElementsAre("member-reap quick left"));
  EXPECT_EQ(Status("slow"), kLeaving);
  EXPECT_EQ(members_.NextDeadline(), kNever);
  PeerLeaves("slow");
  EXPECT_THAT(TakeEvents(), ElementsAre("member-leave slow left", "member-reap slow left"));
}

TEST_F(MemberTrackerTest, AJoinIntentTakesAPruneBack) {
  AddPeer("a");
  Leave("a", 5, /*prune=*/true);
  Join("a", 6);
  Leave("a", 7);
  PeerLeaves("a");
  Pass(PruneDelay());
  members_.OnTimer(now_);
  EXPECT_EQ(Status("a"), kLeft);
  EXPECT_EQ(members_.NextDeadline(), kNever);
}

TEST_F(MemberTrackerTest, ThisNodeIsNeverPruned) {
  context_.state = SerfState::kLeaving;
  Leave("self", 5, /*prune=*/true);
  EXPECT_EQ(members_.NextDeadline(), kNever);
  EXPECT_EQ(Status("self"), kLeaving);
}

TEST_F(MemberTrackerTest, PrunesThatWaitAreBoundedAndDoneInPortions) {
  for (std::size_t i = 0; i <= MemberTracker::kPrunesMax; ++i) {
    const std::string name = absl::StrCat("n", i);
    AddPeer(name);
    Leave(name, 5, /*prune=*/true);
    PeerLeaves(name);
  }
  Pass(PruneDelay());
  while (members_.NextDeadline() <= now_) {
    const std::uint64_t before = context_.counters.member_reaps;
    members_.OnTimer(now_);
    EXPECT_LE(context_.counters.member_reaps - before, MemberTracker::kPrunedInTurnMax);
  }
  EXPECT_EQ(context_.counters.member_reaps, MemberTracker::kPrunesMax);
  EXPECT_EQ(Status(absl::StrCat("n", MemberTracker::kPrunesMax)), kLeft);
}

// --- reaping ---

TEST_F(MemberTrackerTest, TheGoneAreReapedAfterTheTimeoutOfTheirKind) {
  config_.reconnect_timeout = minutes(1);
  config_.tombstone_timeout = minutes(2);
  AddPeers({"failed", "left"});
  KillPeer("failed");
  MakeLeft("left", 5);
  TakeEvents();
  Pass(minutes(1));
  EXPECT_TRUE(members_.Reap(now_));
  EXPECT_THAT(TakeEvents(), IsEmpty());
  Pass(Duration(1));
  EXPECT_TRUE(members_.Reap(now_));
  EXPECT_THAT(TakeEvents(), ElementsAre("member-reap failed failed"));
  Pass(minutes(1));
  EXPECT_TRUE(members_.Reap(now_));
  EXPECT_THAT(TakeEvents(), ElementsAre("member-reap left left"));
  EXPECT_EQ(members_.table().size(), 1u);
}

TEST_F(MemberTrackerTest, ATombstoneCountsFromTheForcedLeave) {
  config_.tombstone_timeout = minutes(2);
  AddPeer("a");
  KillPeer("a");
  Pass(minutes(2));
  Leave("a", 5);
  Pass(minutes(2));
  EXPECT_TRUE(members_.Reap(now_));
  EXPECT_EQ(Status("a"), kLeft);
  Pass(Duration(1));
  EXPECT_TRUE(members_.Reap(now_));
  EXPECT_EQ(Status("a"), kNone);
}

TEST_F(MemberTrackerTest, WhoIsStuckInLeavingLivesAgainButNotTheLeavingSelf) {
  AddPeer("a");
  TakeEvents();
  context_.state = SerfState::kLeaving;
  Leave("a", 5, /*prune=*/true);
  Leave("self", 6);
  Pass(config_.leaving_timeout);
  EXPECT_TRUE(members_.Reap(now_));
  EXPECT_EQ(Status("a"), kLeaving);
  Pass(std::chrono::microseconds(1));  // the precision of the table
  EXPECT_TRUE(members_.Reap(now_));
  EXPECT_EQ(Status("a"), kAlive);
  EXPECT_EQ(Status("self"), kLeaving);
  EXPECT_THAT(TakeEvents(), IsEmpty());
  // The prune has ended, too.
  PeerLeaves("a");
  EXPECT_EQ(Status("a"), kLeft);
}

TEST_F(MemberTrackerTest, IntentsAboutTheUnknownAreForgotten) {
  Leave("a", 5);
  Pass(config_.recent_intent_timeout);
  EXPECT_TRUE(members_.Reap(now_));
  EXPECT_NE(members_.intents().Find("a"), nullptr);
  Pass(Duration(1));
  EXPECT_TRUE(members_.Reap(now_));
  EXPECT_EQ(members_.intents().Find("a"), nullptr);
}

// --- views ---

TEST_F(MemberTrackerTest, OnlyAliveOthersAreAPeer) {
  EXPECT_FALSE(members_.HasAlivePeer());
  AddPeer("a");
  EXPECT_TRUE(members_.HasAlivePeer());
  context_.state = SerfState::kLeaving;
  Leave("self", 5);
  EXPECT_TRUE(members_.HasAlivePeer());
  Leave("a", 6);
  EXPECT_FALSE(members_.HasAlivePeer());
}

TEST_F(MemberTrackerTest, MembersInEveryStateAreFoundAndSorted) {
  AddPeer("d", {{"role", "db"}});
  AddPeers({"c", "b", "a"});
  KillPeer("b");
  MakeLeft("c", 5);
  Leave("a", 6);
  const std::vector<Member> members = members_.List().Sorted();
  std::vector<std::string> lines;
  for (const Member& member : members) {
    lines.push_back(absl::StrCat(member.name, " ", MemberStatusName(member.status)));
    EXPECT_TRUE(members_.Contains(member.name));
    EXPECT_THAT(members_.WithoutMember({member.endpoint}), IsEmpty());
    EXPECT_EQ(members_.Find(member.name)->status, member.status);
  }
  EXPECT_THAT(lines, ElementsAre("a leaving", "b failed", "c left", "d alive", "self alive"));
  EXPECT_EQ(members[3].tags, (Tags{{"role", "db"}}));
  EXPECT_FALSE(members_.Contains("e"));
  EXPECT_THAT(members_.WithoutMember({testkit::Peers::EndpointOf("e")}), SizeIs(1));
}

// Peers would take the time of an unfinished leave for that of a join, and ignore the leave.
TEST_F(MemberTrackerTest, TheStateTellsOfALeavingMemberOneTimeLess) {
  AddPeers({"alive", "failed", "leaving", "left"});
  Join("alive", 5);
  Join("failed", 5);
  KillPeer("failed");
  Leave("leaving", 5);
  MakeLeft("left", 5);
  EXPECT_THAT(Told(), UnorderedElementsAre("self:0", "alive:5", "failed:5", "leaving:4", "left:5",
                                           "-left"));
}

}  // namespace
}  // namespace serf
