// Members of a Serf: the effects of intents and of reports of the SWIM layer; pruning and reaping.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "serf/base/bytes.h"
#include "serf/member.h"
#include "serf/serf.h"
#include "serf/testing/node/lone_serf.h"

namespace serf {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using testkit::JoinOf;
using testkit::LeaveOf;
using testkit::LoneSerf;
using enum MemberStatus;

// --- intents and the SWIM layer's reports ---

class MemberTest : public ::testing::Test {
 protected:
  MemberTest() {
    self_.PeerAlive("a");
    self_.TakeEvents();
  }
  // The peer fails.
  void Fail() {
    self_.PeerGone("a");
    self_.TakeEvents();
    ASSERT_EQ(self_.Status("a"), kFailed);
  }
  std::string IntentQueue() { return self_.Stat("intent_queue"); }

  LoneSerf self_;
};

TEST_F(MemberTest, ALeavingMemberThatGoesHasLeft) {
  self_.Receive(LeaveOf("a", 5));
  EXPECT_EQ(self_.Status("a"), kLeaving);
  EXPECT_THAT(self_.TakeEvents(), IsEmpty());
  EXPECT_EQ(self_.Stat("member_time"), "6");
  EXPECT_EQ(IntentQueue(), "1");
  self_.PeerGone("a", /*announced=*/true);
  EXPECT_THAT(self_.TakeEvents(), ElementsAre("member-leave a left"));
  EXPECT_TRUE(self_.log().Has(absl::StrCat("[INFO] serf: EventMemberLeave: a ",
                                           LoneSerf::EndpointOf("a").address.ToString())));
  EXPECT_EQ(self_.Stat("left"), "1");
}

TEST_F(MemberTest, AnAliveMemberThatGoesHasFailed) {
  self_.PeerGone("a");
  EXPECT_THAT(self_.TakeEvents(), ElementsAre("member-failed a failed"));
  EXPECT_TRUE(self_.log().Has(absl::StrCat("[INFO] serf: EventMemberFailed: a ",
                                           LoneSerf::EndpointOf("a").address.ToString())));
  EXPECT_EQ(self_.Stat("failed"), "1");
}

TEST_F(MemberTest, AMemberThatSaysThatItGoesHasLeftThoughItsIntentWasMissed) {
  self_.PeerGone("a", /*announced=*/true);
  // It could be a leave of an earlier life, which the member would refute.
  EXPECT_EQ(self_.Status("a"), kAlive);
  self_.RunFor(seconds(1));
  EXPECT_THAT(self_.TakeEvents(), ElementsAre("member-leave a left"));
  EXPECT_TRUE(self_.log().Has(absl::StrCat("[INFO] serf: EventMemberLeave: a ",
                                           LoneSerf::EndpointOf("a").address.ToString())));
  EXPECT_EQ(self_.Stat("failed"), "0");
  EXPECT_EQ(self_.Stat("left"), "1");
  // This node does not dial the member; the intent is news only for other nodes.
  const int dials = self_.dials();
  self_.RunFor(minutes(2));
  EXPECT_EQ(self_.dials(), dials);
  self_.Receive(LeaveOf("a", 5));
  EXPECT_THAT(self_.TakeEvents(), IsEmpty());
  EXPECT_EQ(IntentQueue(), "1");
  self_.Receive(LeaveOf("a", 6, /*prune=*/true));
  EXPECT_THAT(self_.TakeEvents(), ElementsAre("member-reap a left"));
}

TEST_F(MemberTest, AFarewellWithoutAnIntentIsRefutedUnnoticed) {
  self_.PeerGone("a", /*announced=*/true);
  self_.RunFor(milliseconds(900));
  self_.PeerAlive("a");
  self_.RunFor(minutes(1));
  EXPECT_THAT(self_.TakeEvents(), IsEmpty());
  EXPECT_EQ(self_.Status("a"), kAlive);
}

TEST_F(MemberTest, AMemberThatLeftByItselfComesBack) {
  self_.PeerGone("a", /*announced=*/true);
  self_.RunFor(seconds(1));
  ASSERT_EQ(self_.Status("a"), kLeft);
  self_.TakeEvents();
  self_.PeerAlive("a");
  EXPECT_THAT(self_.TakeEvents(), ElementsAre("member-join a alive"));
  EXPECT_EQ(self_.Stat("left"), "0");
  EXPECT_EQ(self_.serf().counters().member_flaps, 0u);
}

TEST_F(MemberTest, ALeaveIntentTurnsAFailedMemberIntoALeftOne) {
  Fail();
  self_.Receive(LeaveOf("a", 5));
  EXPECT_THAT(self_.TakeEvents(), ElementsAre("member-leave a left"));
  EXPECT_TRUE(self_.log().Has(absl::StrCat("[INFO] serf: EventMemberLeave (forced): a ",
                                           LoneSerf::EndpointOf("a").address.ToString())));
}

TEST_F(MemberTest, AFailedMemberThatReturnsJoinsAndFlaps) {
  Fail();
  self_.PeerAlive("a");
  EXPECT_THAT(self_.TakeEvents(), ElementsAre("member-join a alive"));
  EXPECT_EQ(self_.Stat("failed"), "0");
  EXPECT_EQ(self_.serf().counters().member_flaps, 1u);
  self_.PeerGone("a");
  self_.RunFor(seconds(61));
  self_.PeerAlive("a");
  EXPECT_EQ(self_.serf().counters().member_flaps, 1u);
}

TEST_F(MemberTest, AnIntentIsPassedOnOnceAsItCame) {
  // The message has a field of a later version, which an encoder of this version would lose.
  const ByteVector message = {0x00, 0x83, 0xa5, 'L', 'T',  'i', 'm',  'e', 0x05, 0xa4,
                              'N',  'o',  'd',  'e', 0xa1, 'a', 0xa1, 'x', 0xc3};
  self_.ReceiveBytes(message);
  self_.ReceiveBytes(message);
  EXPECT_EQ(IntentQueue(), "1");
  self_.TakePackets();
  self_.RunFor(seconds(2));
  int copies = 0;
  for (const auto& packet : self_.TakePackets()) {
    copies += absl::StrContains(AsText(packet.bytes), AsText(message));
  }
  EXPECT_EQ(copies, 4);  // retransmit_mult for two members
  EXPECT_EQ(IntentQueue(), "0");
}

TEST_F(MemberTest, ANewerIntentReplacesTheQueuedOne) {
  for (std::uint64_t time = 5; time < 50; ++time) {
    self_.Receive(LeaveOf("a", time));
    self_.Receive(LeaveOf("unknown", time));
  }
  EXPECT_EQ(IntentQueue(), "2");
}

TEST_F(MemberTest, AnImplausibleTimeIsIgnored) {
  self_.Receive(JoinOf("x", std::numeric_limits<std::uint64_t>::max()));
  self_.Receive(LeaveOf("a", std::numeric_limits<std::uint64_t>::max() - 1));
  EXPECT_EQ(self_.Stat("member_time"), "1");
  EXPECT_EQ(self_.Status("a"), kAlive);
  EXPECT_EQ(self_.serf().counters().dropped_time, 2u);
}

TEST_F(MemberTest, IntentsAboutTheUnknownWaitForThem) {
  self_.Receive(LeaveOf("b", 5));
  self_.Receive(JoinOf("c", 6));
  EXPECT_EQ(IntentQueue(), "2");
  self_.PeerAlive("b");
  self_.PeerAlive("c");
  EXPECT_THAT(self_.TakeEvents(), ElementsAre("member-join b leaving", "member-join c alive"));
  self_.Receive(LeaveOf("c", 6));
  EXPECT_EQ(self_.Status("c"), kAlive);
}

TEST_F(MemberTest, BufferedIntentsExpire) {
  self_.Receive(LeaveOf("b", 5));
  self_.RunFor(minutes(5) + seconds(16));
  self_.PeerAlive("b");
  EXPECT_EQ(self_.Status("b"), kAlive);
}

TEST_F(MemberTest, AnUpdateIsTold) {
  self_.PeerAlive("a", {{"role", "db"}});
  EXPECT_THAT(self_.TakeEvents(), ElementsAre("member-update a alive"));
  EXPECT_TRUE(self_.log().Has("[INFO] serf: EventMemberUpdate: a"));
  EXPECT_EQ(self_.serf().FindMember("a")->tags, (Tags{{"role", "db"}}));
}

TEST_F(MemberTest, MembersAreSortedByName) {
  self_.PeerAlive("a", {{"role", "db"}});
  const std::vector<Member> members = self_.serf().Members();
  ASSERT_EQ(members.size(), 2u);
  EXPECT_EQ(members[0].name, "a");
  EXPECT_EQ(members[0].tags, (Tags{{"role", "db"}}));
  EXPECT_EQ(members[1].name, "self");
  EXPECT_EQ(members[1].tags, Tags{});
}

TEST_F(MemberTest, TheLivingSelfRefutesItsDeparture) {
  self_.Receive(LeaveOf("self", 8));
  EXPECT_EQ(self_.Status("self"), kAlive);
  EXPECT_TRUE(self_.log().Has("[DEBUG] serf: Refuting an older leave intent"));
  EXPECT_EQ(self_.Stat("member_time"), "10");
  EXPECT_EQ(IntentQueue(), "1");
  // The refutation is newer than the claim, which is now old.
  self_.Receive(LeaveOf("self", 8));
  EXPECT_EQ(self_.log().Count("[DEBUG] serf: Refuting an older leave intent"), 1);
  // Of two intents with the same time each node keeps the one that it hears first. A node that
  // hears this one first would list this node as leaving.
  self_.Receive(LeaveOf("self", 9));
  EXPECT_EQ(self_.log().Count("[DEBUG] serf: Refuting an older leave intent"), 2);
  EXPECT_EQ(self_.Status("self"), kAlive);
}

// Go Serf issue 662: a leave intent overtook the join intent of a member that restarted.
TEST_F(MemberTest, WhoIsStuckInLeavingBecomesAlive) {
  self_.Receive(LeaveOf("a", 5));
  self_.RunFor(seconds(80));
  EXPECT_EQ(self_.Status("a"), kLeaving);
  self_.RunFor(seconds(30));
  EXPECT_EQ(self_.Status("a"), kAlive);
  EXPECT_THAT(self_.TakeEvents(), IsEmpty());
}

// --- pruning ---

TEST_F(MemberTest, AFailedMemberIsPrunedAtOnce) {
  Fail();
  self_.Receive(LeaveOf("a", 5, /*prune=*/true));
  EXPECT_THAT(self_.TakeEvents(), ElementsAre("member-leave a left", "member-reap a left"));
  EXPECT_TRUE(self_.log().Has(absl::StrCat("[INFO] serf: EventMemberReap (forced): a ",
                                           LoneSerf::EndpointOf("a").address.ToString())));
  EXPECT_EQ(self_.Stat("members"), "1");
}

TEST_F(MemberTest, LateCopiesOfAPruneAreNotPassedOn) {
  Fail();
  self_.Receive(LeaveOf("a", 5, /*prune=*/true));
  self_.RunFor(seconds(10));
  ASSERT_EQ(IntentQueue(), "0");
  self_.Receive(LeaveOf("a", 5, /*prune=*/true));
  self_.Receive(LeaveOf("a", 5));
  EXPECT_EQ(IntentQueue(), "0");
  self_.RunFor(minutes(30));
  self_.Receive(LeaveOf("a", 5));
  EXPECT_EQ(IntentQueue(), "0");
  // The member may come back nevertheless.
  self_.PeerAlive("a");
  self_.PeerAlive("a");
  EXPECT_EQ(self_.Status("a"), kAlive);
}

TEST_F(MemberTest, ALeavingMemberIsPrunedWhenItHasLeft) {
  self_.Receive(LeaveOf("a", 5, /*prune=*/true));
  EXPECT_EQ(self_.Status("a"), kLeaving);
  EXPECT_EQ(IntentQueue(), "1");
  self_.RunFor(seconds(1));
  self_.PeerGone("a", /*announced=*/true);
  EXPECT_EQ(self_.Status("a"), kLeft);
  self_.RunFor(seconds(5));
  EXPECT_THAT(self_.TakeEvents(), ElementsAre("member-leave a left", "member-reap a left"));
  EXPECT_EQ(self_.Stat("members"), "1");
}

TEST_F(MemberTest, ALeavingMemberThatTakesLongIsPrunedWhenItHasLeft) {
  self_.Receive(LeaveOf("a", 5, /*prune=*/true));
  self_.RunFor(seconds(20));
  EXPECT_EQ(self_.Status("a"), kLeaving);
  self_.PeerGone("a");
  EXPECT_THAT(self_.TakeEvents(), ElementsAre("member-leave a left", "member-reap a left"));
}

TEST_F(MemberTest, ALivingMemberIsNotPruned) {
  self_.Receive(LeaveOf("a", 5, /*prune=*/true));
  self_.Receive(JoinOf("a", 6));  // it refutes
  self_.RunFor(seconds(10));
  EXPECT_EQ(self_.Status("a"), kAlive);
  self_.PeerGone("a");
  self_.RunFor(seconds(10));
  EXPECT_EQ(self_.Status("a"), kFailed);
}

TEST_F(MemberTest, TheOwnEntryIsNeverErased) {
  self_.Leave();
  self_.RunFor(seconds(12));
  ASSERT_EQ(self_.Status("self"), kLeft);
  self_.Receive(LeaveOf("self", 100, /*prune=*/true));
  EXPECT_EQ(self_.serf().LocalMember().status, kLeft);
  self_.RunFor(hours(48));
  EXPECT_EQ(self_.serf().LocalMember().name, "self");
  EXPECT_EQ(self_.Status("self"), kLeft);
}

// --- reaping ---

TEST_F(MemberTest, AFailedMemberIsReapedAfterItsTimeout) {
  Fail();
  self_.RunFor(hours(24) - seconds(1));
  EXPECT_EQ(self_.Status("a"), kFailed);
  self_.RunFor(seconds(17));
  EXPECT_THAT(self_.TakeEvents(), ElementsAre("member-reap a failed"));
  EXPECT_TRUE(self_.log().Has("[INFO] serf: EventMemberReap: a"));
  EXPECT_EQ(self_.Stat("members"), "1");
}

TEST_F(MemberTest, ATombstoneCountsFromTheLeaveAndNotTheFailure) {
  Fail();
  self_.RunFor(hours(23));
  self_.Receive(LeaveOf("a", 5));
  self_.RunFor(hours(23));
  EXPECT_EQ(self_.Status("a"), kLeft);
  self_.RunFor(hours(1) + seconds(16));
  EXPECT_EQ(self_.Status("a"), kNone);
}

// Hours after a partition a node forgets all members of the other side at once: one portion a turn.
TEST_F(MemberTest, ManyAreReapedInPortions) {
  constexpr std::size_t kGone = 2'000;
  for (std::size_t i = 0; i < kGone; ++i) {
    const std::string name = absl::StrCat("gone-", i);
    self_.PeerAlive(name);
    self_.PeerGone(name);
  }
  self_.RunFor(hours(24) - seconds(1));
  self_.TakeEvents();
  std::size_t reaped = 0, turns = 0;
  while (self_.serf().member_count() > 2) {
    const std::size_t before = self_.serf().member_count();
    self_.RunToNextTurn();
    const std::vector<std::string> events = self_.TakeEvents();
    EXPECT_LE(events.size(), 300u);
    EXPECT_EQ(before - self_.serf().member_count(), events.size());
    reaped += events.size();
    turns += !events.empty();
    if (turns > 0 && self_.serf().member_count() > 2) {
      EXPECT_LE(self_.serf().NextDeadline(), self_.time());
    }
  }
  EXPECT_EQ(reaped, kGone);
  EXPECT_GE(turns, kGone / 300);
  EXPECT_EQ(self_.Status("a"), kAlive);
}

}  // namespace
}  // namespace serf
