#include "serf/members/intent_issuer.h"

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "serf/gossip/broadcasts.h"
#include "serf/serf_state.h"
#include "serf/testing/node/serf_part.h"

namespace serf {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using testkit::Encoded;
using testkit::JoinOf;
using testkit::LeaveOf;
using wire::LamportTime;

class IntentIssuerTest : public ::testing::Test, protected testkit::SerfPart {
 protected:
  static constexpr Broadcasts::Token kToken = 7;

  // The queued messages, each as often as it is sent.
  std::vector<std::string> TakeQueued() {
    std::vector<ByteView> parts;
    broadcasts_.Draw(/*transmit_limit=*/1, /*overhead=*/0, /*budget=*/1 << 20, parts);
    std::vector<std::string> messages;
    for (const ByteView part : parts) messages.emplace_back(AsText(part));
    return messages;
  }
  template <typename Message>
  static std::string TextOf(const Message& message) {
    return std::string(AsText(Encoded(message)));
  }

  Broadcasts broadcasts_{64};
  IntentIssuer intents_{context_, members_, broadcasts_};
};

TEST_F(IntentIssuerTest, AJoinCountsHereFirstAndIsQueued) {
  intents_.IssueJoin(now_);
  EXPECT_FALSE(members_.OnJoinMessage(now_, "self", LamportTime(1)));
  EXPECT_EQ(members_.clock().time(), LamportTime(2));
  EXPECT_THAT(TakeQueued(), ElementsAre(TextOf(JoinOf("self", 1))));
  EXPECT_THAT(broadcasts_.TakeFinished(), IsEmpty());
}

TEST_F(IntentIssuerTest, EachHasALaterTimeAndTheNewestDisplacesTheOthers) {
  for (int i = 0; i < 3; ++i) intents_.IssueJoin(now_);
  EXPECT_THAT(TakeQueued(), ElementsAre(TextOf(JoinOf("self", 3))));
}

TEST_F(IntentIssuerTest, ALeaveIsToldToOthersIfThereAreAny) {
  context_.state = SerfState::kLeaving;
  EXPECT_FALSE(intents_.IssueLeave(now_, kToken));
  EXPECT_EQ(Status("self"), MemberStatus::kLeaving);
  EXPECT_THAT(TakeQueued(), IsEmpty());
  AddPeer("a");
  EXPECT_TRUE(intents_.IssueLeave(now_, kToken));
  EXPECT_THAT(broadcasts_.TakeFinished(), IsEmpty());
  EXPECT_THAT(TakeQueued(), ElementsAre(TextOf(LeaveOf("self", 2))));
  EXPECT_THAT(broadcasts_.TakeFinished(), ElementsAre(kToken));
}

TEST_F(IntentIssuerTest, ALeaveOfAnotherCountsHereFirst) {
  AddPeers({"a", "failed", "pruned"});
  KillPeer("failed");
  KillPeer("pruned");
  TakeEvents();
  EXPECT_TRUE(intents_.IssueLeaveOf(now_, "failed", /*prune=*/false, kToken));
  EXPECT_TRUE(intents_.IssueLeaveOf(now_, "pruned", /*prune=*/true, kToken));
  EXPECT_THAT(TakeEvents(), ElementsAre("member-leave failed left", "member-leave pruned left",
                                        "member-reap pruned left"));
  EXPECT_THAT(TakeQueued(),
              ::testing::UnorderedElementsAre(TextOf(LeaveOf("failed", 1)),
                                              TextOf(LeaveOf("pruned", 2, /*prune=*/true))));
  EXPECT_THAT(broadcasts_.TakeFinished(), ElementsAre(kToken, kToken));
}

TEST_F(IntentIssuerTest, WithNobodyToTellALeaveOfAnotherCountsHereOnly) {
  AddPeer("a");
  KillPeer("a");
  EXPECT_FALSE(intents_.IssueLeaveOf(now_, "a", /*prune=*/false, kToken));
  EXPECT_EQ(Status("a"), MemberStatus::kLeft);
  EXPECT_THAT(TakeQueued(), IsEmpty());
}

TEST_F(IntentIssuerTest, ALeaveOfTheLivingSelfIsARefutation) {
  AddPeer("a");
  EXPECT_FALSE(intents_.IssueLeaveOf(now_, "self", /*prune=*/true, kToken));
  EXPECT_EQ(Status("self"), MemberStatus::kAlive);
  EXPECT_EQ(context_.counters.refutations, 1u);
  EXPECT_THAT(TakeQueued(), ElementsAre(TextOf(JoinOf("self", 2))));
  EXPECT_THAT(broadcasts_.TakeFinished(), IsEmpty());
}

}  // namespace
}  // namespace serf
