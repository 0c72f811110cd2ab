// How a Node handles alive, suspect and dead messages: every branch of docs/protocol/membership.md
// 4, through datagrams, seen in the table, the events, the log and the gossip.

#include <chrono>
#include <cstdint>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "serf/swim/hearing_node.h"
#include "serf/swim/node.h"
#include "serf/swim/test_net.h"

namespace serf::swim {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using wire::Incarnation;

class NodeStateTest : public ::testing::Test, protected HearingNode {
 protected:
  using HearingNode::HearingNode;
};

// --- alive (docs/protocol/membership.md 4.2) ---

TEST_F(NodeStateTest, AliveOfAnUnknownNodeAddsIt) {
  Alive(2, 7, "m");
  EXPECT_EQ(StateOf("n2"), "alive 7");
  EXPECT_THAT(Events(), ElementsAre("join n2"));
  const NodeInfo& info = node().info(*node().Find("n2"));
  EXPECT_EQ(info.endpoint(), TestNet::EndpointOf(2));
  EXPECT_EQ(AsText(info.meta()), "m");
  EXPECT_EQ(node().known_nodes(), 2u);
  EXPECT_EQ(counters().alive_applied, 2u);
  EXPECT_TRUE(Gossips("alive n2@7 m"));
}

TEST_F(NodeStateTest, AliveOfIncarnationZeroLeavesNoPlaceholder) {
  Alive(2, 0);
  EXPECT_EQ(StateOf("n2"), "unknown");
  EXPECT_EQ(node().known_nodes(), 1u);
}

TEST_F(NodeStateTest, AliveNeedsAHigherIncarnation) {
  Alive(2, 5, "a");
  Alive(2, 5, "b");
  Alive(2, 4, "c");
  EXPECT_EQ(AsText(node().info(*node().Find("n2")).meta()), "a");
  EXPECT_THAT(Events(), ElementsAre("join n2"));
  Alive(2, 6, "d");
  EXPECT_EQ(AsText(node().info(*node().Find("n2")).meta()), "d");
  EXPECT_THAT(Events(), ElementsAre("update n2"));
  // No event if the metadata stays.
  Alive(2, 7, "d");
  EXPECT_EQ(StateOf("n2"), "alive 7");
  EXPECT_THAT(Events(), IsEmpty());
}

TEST_F(NodeStateTest, AliveStoresNewVersions) {
  Alive(2, 1);
  Alive({"n2", 2, TestNet::EndpointOf(2), "", {1, 4, 2, 1, 5, 5}});
  EXPECT_EQ(node().info(*node().Find("n2")).versions(), (wire::VersionVector{1, 4, 2, 1, 5, 5}));
}

TEST_F(NodeStateTest, SuspectIsClearedByAHigherIncarnationOnly) {
  Alive(2, 5);
  Suspect("n2", 5, "n3");
  EXPECT_EQ(StateOf("n2"), "suspect 5");
  Events();
  Alive(2, 5);
  EXPECT_EQ(StateOf("n2"), "suspect 5");
  Alive(2, 6);
  EXPECT_EQ(StateOf("n2"), "alive 6");
  EXPECT_THAT(Events(), IsEmpty());
  // Its suspicion is over, too: nothing happens later.
  net_.RunFor(seconds(60));
  EXPECT_EQ(StateOf("n2"), "alive 6");
}

TEST_F(NodeStateTest, DeadIsRevivedByAHigherIncarnationOnly) {
  Alive(2, 5);
  Dead("n2", 5, "n3");
  EXPECT_THAT(Events(), ElementsAre("join n2", "failed n2"));
  Alive(2, 5);
  EXPECT_EQ(StateOf("n2"), "dead 5");
  Alive(2, 6);
  EXPECT_EQ(StateOf("n2"), "alive 6");
  EXPECT_THAT(Events(), ElementsAre("join n2"));
}

TEST_F(NodeStateTest, LeftNodeAtTheSameAddressNeedsAHigherIncarnation) {
  Alive(2, 5);
  Dead("n2", 5, "n2");
  EXPECT_EQ(StateOf("n2"), "left 5");
  EXPECT_THAT(Events(), ElementsAre("join n2", "left n2"));
  Alive(2, 5);
  EXPECT_EQ(StateOf("n2"), "left 5");
  Alive(2, 6);
  EXPECT_EQ(StateOf("n2"), "alive 6");
  EXPECT_THAT(Events(), ElementsAre("join n2"));
}

TEST_F(NodeStateTest, LeftNodeMayComeBackElsewhereWithAnyIncarnation) {
  Alive(2, 5);
  Dead("n2", 5, "n2");
  Alive({"n2", 1, TestNet::EndpointOf(7)});
  EXPECT_EQ(StateOf("n2"), "alive 1");
  EXPECT_EQ(node().info(*node().Find("n2")).endpoint(), TestNet::EndpointOf(7));
  EXPECT_EQ(host_.logger.Count("[INFO] memberlist: Updating address for left or failed node n2 "
                               "from 10.0.0.2:7946 to 10.0.0.7:7946"),
            1);
}

TEST_F(NodeStateTest, LivingNameAtAnotherAddressIsAConflict) {
  Alive(2, 5);
  Events();
  Alive({"n2", 9, TestNet::EndpointOf(7)});
  EXPECT_EQ(StateOf("n2"), "alive 5");
  EXPECT_EQ(node().info(*node().Find("n2")).endpoint(), TestNet::EndpointOf(2));
  EXPECT_THAT(Events(), ElementsAre("conflict n2 10.0.0.7:7946"));
  EXPECT_EQ(host_.logger.Count("[ERR] memberlist: Conflicting address for n2. Mine: 10.0.0.2:7946 "
                               "Theirs: 10.0.0.7:7946 Old state: 0"),
            1);
  // A port is part of an address, and so is the form of an IPv4 address.
  Alive({"n2", 9, {TestNet::EndpointOf(2).address, 7947}});
  Alive({"n2", 9, {TestNet::EndpointOf(2).address.Mapped(), 7946}});
  EXPECT_EQ(counters().conflicts, 3u);
}

TEST_F(NodeStateTest, OwnNameAtAnotherAddressIsAConflictAndNoRefutation) {
  Alive({"n1", 9, TestNet::EndpointOf(7)});
  EXPECT_EQ(StateOf("n1"), "alive 1");
  EXPECT_THAT(Events(), ElementsAre("conflict n1 10.0.0.7:7946"));
  EXPECT_EQ(counters().refutations, 0u);
}

TEST_F(NodeStateTest, DeadNameAtAnotherAddressIsAConflictWithoutReclaim) {
  Alive(2, 5);
  Dead("n2", 5, "n3");
  net_.RunFor(std::chrono::hours(10));
  Events();
  Alive({"n2", 9, TestNet::EndpointOf(7)});
  EXPECT_EQ(StateOf("n2"), "dead 5");
  EXPECT_THAT(Events(), ElementsAre("conflict n2 10.0.0.7:7946"));
}

class NodeReclaimTest : public NodeStateTest {
 protected:
  NodeReclaimTest() : NodeStateTest(Reclaiming()) {}
  static Config Reclaiming() {
    Config config = Quiet();
    config.dead_node_reclaim_time = seconds(30);
    return config;
  }
};

TEST_F(NodeReclaimTest, DeadNameMayMoveAfterTheReclaimTime) {
  Alive(2, 5);
  Dead("n2", 5, "n3");
  net_.RunFor(seconds(30));
  Alive({"n2", 1, TestNet::EndpointOf(7)});
  EXPECT_EQ(StateOf("n2"), "dead 5");
  net_.RunFor(milliseconds(1));
  Alive({"n2", 1, TestNet::EndpointOf(7)});
  EXPECT_EQ(StateOf("n2"), "alive 1");
  EXPECT_EQ(node().info(*node().Find("n2")).endpoint(), TestNet::EndpointOf(7));
}

TEST_F(NodeStateTest, AliveWithNonsenseVersionsIsDropped) {
  for (const wire::VersionVector v :
       {wire::VersionVector{0, 5, 2, 0, 0, 0}, wire::VersionVector{1, 0, 2, 0, 0, 0},
        wire::VersionVector{5, 1, 2, 0, 0, 0}, wire::VersionVector{}}) {
    Alive({"n2", 1, TestNet::EndpointOf(2), "", v});
  }
  EXPECT_EQ(StateOf("n2"), "unknown");
  EXPECT_EQ(counters().dropped_versions, 4u);
  EXPECT_EQ(host_.logger.Count("Ignoring an alive message for 'n2' (10.0.0.2:7946) because "
                               "protocol version(s) are wrong"),
            1);
}

TEST_F(NodeStateTest, AliveThatCannotBeStoredIsDropped) {
  const auto versions = wire::VersionVector{1, 5, 2, 0, 0, 0}.ToBytes();
  const std::uint8_t address[16] = {10, 0, 0, 2};
  const wire::Alive good{.incarnation = Incarnation(1),
                         .node = "n2",
                         .addr = ByteView(address).first(4),
                         .port = 7946,
                         .meta = {},
                         .vsn = versions};
  const std::string long_name(kNodeNameMax + 1, 'x');
  const ByteVector long_meta(kMetaMax + 1);
  wire::Alive bad = good;
  for (const std::size_t size : {0, 1, 5, 15}) {
    bad.addr = ByteView(address).first(size);
    Hear(bad);
  }
  EXPECT_EQ(counters().dropped_address, 4u);
  bad = good;
  for (const std::size_t size : {0, 1, 5}) {
    bad.vsn = ByteView(versions).first(size);
    Hear(bad);
  }
  EXPECT_EQ(counters().dropped_versions, 3u);
  bad = good;
  bad.node = "";
  Hear(bad);
  EXPECT_EQ(counters().dropped_malformed, 1u);
  bad.node = long_name;
  Hear(bad);
  bad = good;
  bad.meta = long_meta;
  Hear(bad);
  EXPECT_EQ(counters().dropped_oversize, 2u);
  EXPECT_EQ(node().known_nodes(), 1u);
  Hear(good);
  EXPECT_EQ(StateOf("n2"), "alive 1");
}

TEST_F(NodeStateTest, PortZeroIsTheOwnPort) {
  Alive({"n2", 1, {TestNet::EndpointOf(2).address, 0}});
  EXPECT_EQ(node().info(*node().Find("n2")).endpoint().port, 7946);
}

class NodeVersionOneTest : public NodeStateTest {
 protected:
  NodeVersionOneTest() : NodeStateTest(Old()) {}
  static Config Old() {
    Config config = Quiet();
    config.protocol_version = 1;
    return config;
  }
};

TEST_F(NodeVersionOneTest, AllPortsAreTheOwnPort) {
  Alive({"n2", 1, {TestNet::EndpointOf(2).address, 1234}});
  EXPECT_EQ(node().info(*node().Find("n2")).endpoint().port, 7946);
}

class NodeFilterTest : public NodeStateTest {
 protected:
  NodeFilterTest() : NodeStateTest(Filtering()) {}
  static Config Filtering() {
    Config config = Quiet();
    config.alive_filter = [](const RemoteNode& node) {
      return node.name == "n3" ? absl::PermissionDeniedError("not him") : absl::OkStatus();
    };
    return config;
  }
};

TEST_F(NodeFilterTest, TheAliveFilterRefuses) {
  Alive(2, 1);
  Alive(3, 1);
  EXPECT_EQ(StateOf("n2"), "alive 1");
  EXPECT_EQ(StateOf("n3"), "unknown");
  EXPECT_EQ(counters().dropped_filtered, 1u);
  EXPECT_EQ(host_.logger.Count("[WARN] memberlist: ignoring alive message for 'n3': not him"), 1);
}

class NodeCidrTest : public NodeStateTest {
 protected:
  NodeCidrTest() : NodeStateTest(Fenced()) {}
  static Config Fenced() {
    Config config = Quiet();
    config.cidrs_allowed = {{IpAddress::V4(10, 0, 0, 0), 24}, {IpAddress::V4(127, 0, 0, 0), 8}};
    return config;
  }
};

TEST_F(NodeCidrTest, AddressesOutsideTheListAreRefused) {
  const Endpoint outside{IpAddress::V4(10, 0, 1, 2), 7946};
  Alive({"n2", 1, outside});
  EXPECT_EQ(StateOf("n2"), "unknown");
  EXPECT_EQ(host_.logger.Count("Rejected node n2 (10.0.1.2)"), 1);
  Alive(2, 1);
  EXPECT_EQ(StateOf("n2"), "alive 1");
  Dead("n2", 1, "n2");
  net_.RunFor(seconds(2));
  Alive({"n2", 2, outside});
  EXPECT_EQ(StateOf("n2"), "left 1");
  EXPECT_EQ(host_.logger.Count("Rejected IP update from n2 to 10.0.1.2 for node 10.0.1.2"), 1);
  EXPECT_EQ(counters().conflicts, 0u);
}

TEST_F(NodeCidrTest, AlivesFromOutsideAreNotHeard) {
  const auto vsn = wire::VersionVector{1, 5, 2, 0, 0, 0}.ToBytes();
  const Endpoint two = TestNet::EndpointOf(2);
  net_.Inject(host_, {IpAddress::V4(10, 0, 1, 2), 7946},
              TestNet::Encoded(wire::Alive{.incarnation = Incarnation(1),
                                           .node = "n2",
                                           .addr = two.address.bytes(),
                                           .port = two.port,
                                           .meta = {},
                                           .vsn = vsn}));
  EXPECT_EQ(StateOf("n2"), "unknown");
  EXPECT_EQ(host_.logger.Count("[DEBUG] memberlist: Blocked alive message: 10.0.1.2"), 1);
}

TEST_F(NodeStateTest, ComingBackWithNewsIsOneEvent) {
  Alive(2, 5, "a");
  const Instant since = node().changed_at(*node().Find("n2"));
  net_.RunFor(seconds(1));
  Alive(2, 6, "b");
  EXPECT_EQ(node().changed_at(*node().Find("n2")), since) << "alive all the time";
  Suspect("n2", 6, "n3");
  Alive(2, 7, "c");
  EXPECT_GT(node().changed_at(*node().Find("n2")), since);
  EXPECT_THAT(Events(), ElementsAre("join n2", "update n2", "update n2"));
  Dead("n2", 7, "n3");
  Alive(2, 8, "d");
  EXPECT_THAT(Events(), ElementsAre("failed n2", "join n2"));
}

// --- about this node (docs/protocol/membership.md 4.2 step 5 to 7, 4.3) ---

TEST_F(NodeStateTest, TheOwnEchoIsIgnored) {
  Alive({"n1", 1, TestNet::EndpointOf(1)});
  EXPECT_EQ(counters().refutations, 0u);
  EXPECT_EQ(StateOf("n1"), "alive 1");
  EXPECT_EQ(node().health_score(), 0);
}

TEST_F(NodeStateTest, WordsOfAnEarlierLifeAreRefuted) {
  Alive(2, 1);
  Alive({"n1", 4, TestNet::EndpointOf(1)});
  EXPECT_EQ(StateOf("n1"), "alive 5");
  EXPECT_EQ(node().health_score(), 1);
  EXPECT_TRUE(Gossips("alive n1@5"));
  Alive({"n1", 5, TestNet::EndpointOf(1), "other"});
  EXPECT_EQ(StateOf("n1"), "alive 6");
  Alive({"n1", 6, TestNet::EndpointOf(1), "", {1, 5, 3, 0, 0, 0}});
  EXPECT_EQ(StateOf("n1"), "alive 7");
  // Older ones are stale.
  Alive({"n1", 6, TestNet::EndpointOf(1), "other"});
  EXPECT_EQ(StateOf("n1"), "alive 7");
  EXPECT_THAT(Events(), ElementsAre("join n2"));
  EXPECT_GE(host_.logger.Count("[WARN] memberlist: Refuting an alive message for 'n1'"), 1);
}

TEST_F(NodeStateTest, SuspicionOfItselfIsRefuted) {
  Alive(2, 1);
  Suspect("n1", 1, "n2");
  EXPECT_EQ(StateOf("n1"), "alive 2");
  EXPECT_EQ(counters().refutations, 1u);
  EXPECT_EQ(node().health_score(), 1);
  EXPECT_EQ(host_.logger.Count("[WARN] memberlist: Refuting a suspect message (from: n2)"), 1);
  EXPECT_TRUE(Gossips("alive n1@2"));
  Suspect("n1", 1, "n2");
  EXPECT_EQ(StateOf("n1"), "alive 2");
  Suspect("n1", 100, "n2");
  EXPECT_EQ(StateOf("n1"), "alive 101");
}

TEST_F(NodeStateTest, OwnDeathIsRefuted) {
  Alive(2, 1);
  Dead("n1", 3, "n2");
  EXPECT_EQ(StateOf("n1"), "alive 4");
  EXPECT_EQ(host_.logger.Count("[WARN] memberlist: Refuting a dead message (from: n2)"), 1);
  // Also if it looks like a farewell of this node: it belongs to an earlier life.
  Dead("n1", 9, "n1");
  EXPECT_EQ(StateOf("n1"), "alive 10");
  EXPECT_TRUE(Gossips("alive n1@10"));
}

// --- suspect (docs/protocol/membership.md 4.4, 5.4) ---

TEST_F(NodeStateTest, SuspectOfUnknownOrOlderIsIgnored) {
  Suspect("n2", 1, "n3");
  Alive(2, 5);
  Suspect("n2", 4, "n3");
  EXPECT_EQ(StateOf("n2"), "alive 5");
  EXPECT_EQ(counters().suspect_applied, 0u);
}

TEST_F(NodeStateTest, SuspectRaisesTheIncarnationAndIsPassedOn) {
  Alive(2, 5);
  Suspect("n2", 8, "n3");
  EXPECT_EQ(StateOf("n2"), "suspect 8");
  EXPECT_EQ(counters().suspect_applied, 1u);
  EXPECT_TRUE(Gossips("suspect n2@8 by n3"));
}

// The incarnation of a confirmation is gossiped, and not stored.
TEST_F(NodeStateTest, AConfirmationLeavesTheIncarnationAlone) {
  for (int i = 2; i <= 5; ++i) Alive(i, 5);
  Suspect("n2", 5, "n3");
  Suspect("n2", 9, "n4");
  EXPECT_EQ(StateOf("n2"), "suspect 5");
  EXPECT_TRUE(Gossips("suspect n2@9 by n4"));
  Alive(2, 6);
  EXPECT_EQ(StateOf("n2"), "alive 6");
}

TEST_F(NodeStateTest, SuspectOfADeadOrLeftNodeIsIgnored) {
  Alive(2, 5);
  Alive(3, 5);
  Dead("n2", 5, "n3");
  Dead("n3", 5, "n3");
  Suspect("n2", 6, "n4");
  Suspect("n3", 6, "n4");
  EXPECT_EQ(StateOf("n2"), "dead 5");
  EXPECT_EQ(StateOf("n3"), "left 5");
}

TEST_F(NodeStateTest, UnconfirmedSuspicionLastsItsLongestTime) {
  // Four nodes: k = 2, 4 s at least, 24 s at most.
  for (int i = 2; i <= 4; ++i) Alive(i, 1);
  Suspect("n2", 1, "n3");
  Suspect("n2", 1, "n3");  // the originator does not confirm
  net_.RunFor(seconds(24) - milliseconds(1));
  EXPECT_EQ(StateOf("n2"), "suspect 1");
  net_.RunFor(milliseconds(1));
  EXPECT_EQ(StateOf("n2"), "dead 1");
  EXPECT_EQ(host_.logger.Count("[INFO] memberlist: Marking n2 as failed, suspect timeout reached "
                               "(0 peer confirmations)"),
            1);
  EXPECT_EQ(counters().suspicions_expired, 1u);
  EXPECT_EQ(counters().suspicions_degraded, 1u);
  EXPECT_TRUE(Gossips("dead n2@1 by n1"));
}

TEST_F(NodeStateTest, ConfirmationsShortenASuspicion) {
  for (int i = 2; i <= 5; ++i) Alive(i, 1);
  Suspect("n2", 1, "n3");
  net_.RunFor(seconds(1));
  Suspect("n2", 1, "n4");
  EXPECT_TRUE(Gossips("suspect n2@1 by n4"));
  Suspect("n2", 1, "n4");  // twice counts once
  EXPECT_FALSE(Gossips("suspect n2"));
  net_.RunFor(milliseconds(11381) - seconds(5) - milliseconds(1));
  EXPECT_EQ(StateOf("n2"), "suspect 1");
  net_.RunFor(milliseconds(1));
  EXPECT_EQ(StateOf("n2"), "dead 1");
}

TEST_F(NodeStateTest, TheLastConfirmationMayEndASuspicionAtOnce) {
  for (int i = 2; i <= 5; ++i) Alive(i, 1);
  Suspect("n2", 1, "n3");
  net_.RunFor(seconds(5));
  Suspect("n2", 1, "n4");
  Suspect("n2", 1, "n5");
  net_.RunFor(Duration::zero());
  EXPECT_EQ(StateOf("n2"), "dead 1");
  EXPECT_EQ(counters().suspicions_degraded, 0u);
}

// The node is stopped for ten seconds in the midst of a suspicion, and hears the refutation first.
TEST_F(NodeStateTest, AStoppedNodeHearsBeforeItJudges) {
  for (int i = 2; i <= 3; ++i) Alive(i, 1);  // k = 0: 4 s
  Suspect("n2", 1, "n3");
  Suspect("n3", 1, "n2");
  net_.RunFor(seconds(2));
  Alive(3, 1);  // the last thing that it hears
  net_.now += seconds(10);
  net_.RunFor(Duration::zero());
  EXPECT_EQ(StateOf("n2"), "suspect 1");
  EXPECT_EQ(counters().standstills, 1u);
  Alive(2, 2);
  net_.RunFor(seconds(2) - milliseconds(1));
  EXPECT_EQ(StateOf("n2"), "alive 2");
  EXPECT_EQ(StateOf("n3"), "suspect 1");
  net_.RunFor(milliseconds(1));
  EXPECT_EQ(StateOf("n3"), "dead 1");
}

TEST_F(NodeStateTest, InASmallClusterNobodyCanConfirm) {
  Alive(2, 1);
  Alive(3, 1);
  Suspect("n2", 1, "n3");
  Suspect("n2", 1, "n4");
  net_.RunFor(seconds(4) - milliseconds(1));
  EXPECT_EQ(StateOf("n2"), "suspect 1");
  net_.RunFor(milliseconds(1));
  EXPECT_EQ(StateOf("n2"), "dead 1");
}

TEST_F(NodeStateTest, DeadEndsASuspicion) {
  for (int i = 2; i <= 4; ++i) Alive(i, 1);
  Suspect("n2", 1, "n3");
  Dead("n2", 1, "n3");
  EXPECT_EQ(StateOf("n2"), "dead 1");
  net_.RunFor(seconds(30));
  EXPECT_EQ(counters().suspicions_expired, 0u);
  EXPECT_EQ(host_.delegate.Count("failed n2"), 1);
}

// --- dead (docs/protocol/membership.md 4.5) ---

TEST_F(NodeStateTest, DeadOfUnknownOrOlderIsIgnored) {
  Dead("n2", 1, "n3");
  EXPECT_EQ(StateOf("n2"), "unknown");
  Alive(2, 5);
  Dead("n2", 4, "n3");
  EXPECT_EQ(StateOf("n2"), "alive 5");
}

TEST_F(NodeStateTest, DeadRaisesTheIncarnation) {
  Alive(2, 5);
  Dead("n2", 8, "n3");
  EXPECT_EQ(StateOf("n2"), "dead 8");
  Alive(2, 8);
  EXPECT_EQ(StateOf("n2"), "dead 8");
}

TEST_F(NodeStateTest, ADeadNodeNeverTurnsIntoALeftOne) {
  Alive(2, 5);
  Dead("n2", 5, "n3");
  Dead("n2", 6, "n2");
  EXPECT_EQ(StateOf("n2"), "dead 5");
  EXPECT_THAT(Events(), ElementsAre("join n2", "failed n2"));
}

// A latecomer repeats a farewell of an earlier life, which had come further than this one.
TEST_F(NodeStateTest, AFarewellOfAHigherIncarnationCanBeRefuted) {
  Alive(2, 1);
  Alive(3, 1);
  net_.RunFor(seconds(5));
  Events();
  net_.sent.clear();
  Dead("n2", 5, "n2");
  EXPECT_EQ(StateOf("n2"), "suspect 5");
  EXPECT_EQ(counters().farewells_doubted, 1u);
  Dead("n2", 5, "n2");
  Dead("n2", 6, "n2");
  EXPECT_EQ(StateOf("n2"), "suspect 5") << "copies do not hurry it";
  net_.RunFor(milliseconds(900));
  EXPECT_FALSE(net_.SentTo(TestNet::EndpointOf(2), "dead n2@5 by n2").empty());
  EXPECT_FALSE(net_.SentTo(TestNet::EndpointOf(3), "dead n2@5 by n2").empty());
  Alive(2, 6);
  net_.RunFor(seconds(60));
  EXPECT_EQ(StateOf("n2"), "alive 6");
  EXPECT_THAT(Events(), IsEmpty());
}

TEST_F(NodeStateTest, AFarewellOfAHigherIncarnationIsBelievedAfterAProbeInterval) {
  for (int i = 2; i <= 5; ++i) Alive(i, 1);
  Suspect("n2", 1, "n3");
  for (int i = 2; i <= 3; ++i) Dead(absl::StrCat("n", i), 5, absl::StrCat("n", i));
  Suspect("n2", 5, "n4");
  Events();
  net_.RunFor(seconds(1) - milliseconds(1));
  EXPECT_EQ(StateOf("n2"), "suspect 5");
  EXPECT_EQ(StateOf("n3"), "suspect 5");
  net_.RunFor(milliseconds(1));
  EXPECT_EQ(StateOf("n2"), "left 5");
  EXPECT_EQ(StateOf("n3"), "left 5");
  EXPECT_THAT(Events(), ElementsAre("left n2", "left n3"));
  EXPECT_EQ(counters().suspicions_expired, 0u);
}

TEST_F(NodeStateTest, DeadIsPassedOnAlsoToTheDeadThemselves) {
  Alive(2, 5);
  net_.RunFor(seconds(5));
  net_.sent.clear();
  Dead("n2", 5, "n3");
  net_.RunFor(seconds(5));
  EXPECT_FALSE(net_.SentTo(TestNet::EndpointOf(2), "dead n2@5 by n3").empty());
}

TEST_F(NodeStateTest, LeftNodesGetNoGossip) {
  Alive(2, 5);
  net_.RunFor(seconds(5));
  Dead("n2", 5, "n2");
  net_.sent.clear();
  Alive(3, 1);
  net_.RunFor(seconds(5));
  EXPECT_TRUE(net_.SentTo(TestNet::EndpointOf(2), "").empty());
  EXPECT_FALSE(net_.SentTo(TestNet::EndpointOf(3), "dead n2@5 by n2").empty());
}

TEST_F(NodeStateTest, TheLongDeadGetNoGossip) {
  Alive(2, 5);
  Dead("n2", 5, "n3");
  net_.RunFor(seconds(31));
  net_.sent.clear();
  Alive(3, 1);
  Dead("n3", 1, "n3");
  net_.RunFor(seconds(10));
  EXPECT_TRUE(net_.sent.empty());
}

// --- log lines that the network triggers are limited ---

TEST_F(NodeStateTest, AFloodOfRefusalsIsLoggedOnceASecond) {
  for (int i = 0; i < 1000; ++i) Alive({"n2", 1, TestNet::EndpointOf(2), "", {}});
  EXPECT_EQ(host_.logger.Count("Ignoring an alive message"), 1);
  EXPECT_EQ(counters().dropped_versions, 1000u);
  EXPECT_EQ(counters().log_lines_suppressed, 999u);
}

}  // namespace
}  // namespace serf::swim
