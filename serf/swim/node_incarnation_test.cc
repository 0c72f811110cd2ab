// How far a node believes what others say about a member's incarnation: nobody can evict, lift or
// silence a member (state_rules.h). Through datagrams and push/pulls, seen in the table and in the
// gossip.

#include <chrono>
#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "serf/base/bytes.h"
#include "serf/base/endpoint.h"
#include "serf/base/time.h"
#include "serf/swim/config.h"
#include "serf/swim/hearing_node.h"
#include "serf/swim/node.h"
#include "serf/swim/outbox.h"
#include "serf/swim/state_rules.h"
#include "serf/swim/test_net.h"
#include "serf/wire/ids.h"
#include "serf/wire/swim_messages.h"

namespace serf::swim {
namespace {

using std::chrono::seconds;
using ::testing::IsEmpty;

constexpr std::uint32_t kTop = 0xffffffffu;

class NodeIncarnationTest : public ::testing::Test, protected HearingNode {
 protected:
  using HearingNode::HearingNode;
};

// A node that makes push/pulls of its own.
class AskingNodeTest : public ::testing::Test, protected HearingNode {
 protected:
  static Config Asking() {
    Config config = Quiet();
    config.push_pull_interval = seconds(30);
    return config;
  }
  AskingNodeTest() : HearingNode(Asking()) {}
};

TEST_F(NodeIncarnationTest, AbsurdAccusationsNeitherEvictNorWrap) {
  Alive(2, 1);
  Events();
  for (const std::uint32_t absurd : {kFollowMax.value() + 1, kTop - 1, kTop}) {
    Suspect("n1", absurd, "n2");
    Dead("n1", absurd, "n2");
    Suspect("n2", absurd, "n3");
    Dead("n2", absurd, "n3");
    Dead("n2", absurd, "n2");
  }
  EXPECT_EQ(StateOf("n1"), "alive 1");
  EXPECT_EQ(StateOf("n2"), "alive 1");
  EXPECT_THAT(Events(), IsEmpty());
  EXPECT_EQ(counters().dropped_incarnation, 15u);
  EXPECT_EQ(counters().refutations, 0u);
}

// Other nodes cannot lift this node to where it can announce nothing new.
TEST_F(NodeIncarnationTest, OthersCannotSilenceItsTags) {
  Alive(2, 1);
  for (const std::uint32_t absurd : {kFollowMax.value() + 1, kTop - 1, kTop}) {
    Alive({"n1", absurd, TestNet::EndpointOf(1), "x"});
  }
  EXPECT_EQ(StateOf("n1"), "alive 1");
  EXPECT_EQ(counters().dropped_incarnation, 3u);
  // As high as it follows, for the sake of members that believe everything.
  Alive({"n1", kFollowMax.value(), TestNet::EndpointOf(1), "x"});
  EXPECT_EQ(StateOf("n1"), absl::StrCat("alive ", kFollowMax.value() + 1));
  EXPECT_TRUE(Gossips(absl::StrCat("alive n1@", kFollowMax.value() + 1)));
  absl::Status status;
  net_.Do(host_, [&](Node& n, Instant now, Outbox& out) {
    status = n.UpdateMeta(now, AsBytes("new"), out);
  });
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_TRUE(Gossips(absl::StrCat("alive n1@", kFollowMax.value() + 2, " new")));
  // At its own incarnation it refutes as any member.
  Suspect("n1", kFollowMax.value() + 2, "n2");
  EXPECT_EQ(StateOf("n1"), absl::StrCat("alive ", kFollowMax.value() + 3));
}

// A node does not believe a claim about a live member beyond what the member can have reached, and
// asks the member itself.
TEST_F(NodeIncarnationTest, OthersCannotLiftALivingMember) {
  TestNet::Host& n2 = net_.Add(2);
  ASSERT_EQ(net_.Join(n2, host_.endpoint).contacted, 1);
  const Endpoint elsewhere = TestNet::EndpointOf(9);
  const auto claim = [&](std::uint32_t incarnation) {
    net_.Inject(
        host_, elsewhere,
        TestNet::Encoded(wire::Alive{.incarnation = wire::Incarnation(incarnation),
                                     .node = "n2",
                                     .addr = n2.endpoint.address.bytes(),
                                     .port = n2.endpoint.port,
                                     .meta = AsBytes("false"),
                                     .vsn = n2.node->info(n2.node->self()).versions().ToBytes()}));
  };
  for (const std::uint32_t absurd : {kHearsayMax.value() + 1, kFollowMax.value() + 1, kTop}) {
    claim(absurd);
  }
  EXPECT_EQ(StateOf("n2"), "alive 1");
  EXPECT_EQ(counters().dropped_incarnation, 3u);
  EXPECT_EQ(host_.logger.Count("[WARN] memberlist: Ignoring an alive message for 'n2'"), 1);
  // The member's own tags get through.
  net_.Do(n2, [&](Node& n, Instant now, Outbox& out) {
    ASSERT_TRUE(n.UpdateMeta(now, AsBytes("true"), out).ok());
  });
  ASSERT_TRUE(net_.RunUntil(seconds(5), [&] { return StateOf("n2") == "alive 2"; }));
  // As high as claims are believed: the member exceeds the claim, and so do its tags.
  claim(kHearsayMax.value());
  const auto tells = [&](absl::string_view meta) {
    return AsText(node().info(*node().Find("n2")).meta()) == meta;
  };
  EXPECT_TRUE(tells("false"));
  ASSERT_TRUE(net_.RunUntil(seconds(5), [&] { return tells("true"); }));
  EXPECT_EQ(StateOf("n2"), absl::StrCat("alive ", kHearsayMax.value() + 1));
}

// A newcomer cannot measure a claim; the member's own word shows what is true.
TEST_F(NodeIncarnationTest, TheOwnersWordStandsAgainstWhatItNeverReached) {
  Alive({"n2", kTop, TestNet::EndpointOf(2), "false"});
  EXPECT_EQ(StateOf("n2"), absl::StrCat("alive ", kTop));
  TestNet::Host& n2 = net_.Add(2);
  EXPECT_EQ(net_.Join(n2, host_.endpoint).contacted, 1);
  EXPECT_EQ(StateOf("n2"), "alive 1");
  EXPECT_EQ(AsText(node().info(*node().Find("n2")).meta()), "");
}

// A member that believes everything, as Go Serf does, lifts itself to where others do not believe
// it.
TEST_F(AskingNodeTest, WhoIsNotBelievedIsAsked) {
  TestNet::Host& n2 = net_.Add(2, Quiet());
  ASSERT_EQ(net_.Join(n2, host_.endpoint).contacted, 1);
  net_.drop = [&](const TestNet::Host& from, const Endpoint&) { return from.name == "n2"; };
  const std::uint32_t high = kFollowMax.value() - 7;
  net_.Inject(n2, host_.endpoint,
              TestNet::Encoded(wire::Suspect{
                  .incarnation = wire::Incarnation(high), .node = "n2", .from = "n3"}));
  ASSERT_EQ(n2.node->incarnation(n2.node->self()), wire::Incarnation(high + 1));
  net_.drop = nullptr;
  // The message comes from another node, so it is hearsay.
  net_.Inject(
      host_, TestNet::EndpointOf(9),
      TestNet::Encoded(wire::Alive{.incarnation = wire::Incarnation(high + 1),
                                   .node = "n2",
                                   .addr = n2.endpoint.address.bytes(),
                                   .port = n2.endpoint.port,
                                   .vsn = n2.node->info(n2.node->self()).versions().ToBytes()}));
  EXPECT_NE(StateOf("n2"), absl::StrCat("alive ", high + 1));
  EXPECT_TRUE(net_.RunUntil(seconds(90), [&] {
    return StateOf("n2") == absl::StrCat("alive ", high + 1);
  })) << StateOf("n2");
}

}  // namespace
}  // namespace serf::swim
