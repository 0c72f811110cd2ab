// The suite that every driver shares: the behaviour of a cluster, as its members see it.

#include "serf/testing/scenarios/scenario.h"

#include <chrono>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "serf/base/bytes.h"
#include "serf/base/endpoint.h"
#include "serf/config.h"
#include "serf/member.h"
#include "serf/serf.h"
#include "serf/testing/scenarios/scenario_host.h"
#include "serf/testing/scenarios/scenario_world.h"
#include "serf/testing/test_crypto.h"
#include "serf/wire/ids.h"
#include "serf/wire/message_type.h"
#include "serf/wire/serf_messages.h"
#include "serf/wire/swim_messages.h"

namespace serf::testkit {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::IsSupersetOf;
using enum MemberStatus;

// A fixture for a driver, which the test chooses.
class ScenarioTest : public ::testing::Test {
 protected:
  explicit ScenarioTest(ScenarioDriver& driver) : driver_(driver) {}

  // Adds nodes that join the first one, and waits until all know all.
  std::vector<NodeId> Cluster(std::vector<std::string> names, Config config = ScenarioConfig()) {
    std::vector<NodeId> nodes;
    for (const std::string& name : names) {
      nodes.push_back(driver_.Add(name, config));
      if (nodes.size() == 1) continue;
      EXPECT_TRUE(driver_.Join(nodes.back(), {nodes.front()}).status.ok());
    }
    EXPECT_TRUE(driver_.AllSee(nodes, AllAlive(names)));
    driver_.ForgetEvents();
    return nodes;
  }
  static std::string AllAlive(const std::vector<std::string>& names) {
    return absl::StrCat(absl::StrJoin(names, ":alive "), ":alive");
  }
  Tags TagsOf(NodeId observer, absl::string_view name) {
    const std::optional<Member> member = driver_.serf(observer).FindMember(name);
    return member ? member->tags : Tags{{"unknown", "member"}};
  }

  ScenarioDriver& driver_;
};

template <typename Driver>
struct Holder {
  Driver held;
};

template <typename Driver>
class Scenario : private Holder<Driver>, public ScenarioTest {
 protected:
  Scenario() : ScenarioTest(Holder<Driver>::held) {}
};

class DriverName {
 public:
  template <typename Driver>
  static std::string GetName(int /*index*/) {
    if (std::is_same_v<Driver, ScenarioWorld>) return "World";
    return std::is_same_v<Driver, ScenarioHostOnIpv4> ? "HostOnIpv4" : "HostOnIpv6";
  }
};
using Drivers = ::testing::Types<ScenarioWorld, ScenarioHostOnIpv4, ScenarioHostOnIpv6>;
TYPED_TEST_SUITE(Scenario, Drivers, DriverName);

// --- joining ---

TYPED_TEST(Scenario, TwoNodesMeet) {
  ScenarioDriver& d = this->driver_;
  const NodeId a = d.Add("a");
  const NodeId b = d.Add("b");
  const JoinResult joined = d.Join(b, {a});
  EXPECT_TRUE(joined.status.ok()) << joined.status;
  EXPECT_EQ(joined.contacted, 1);
  EXPECT_THAT(joined.errors, IsEmpty());
  ASSERT_TRUE(d.AllSee({a, b}, "a:alive b:alive"));
  EXPECT_EQ(d.serf(a).FindMember("b")->endpoint.ToString(), d.address(b));
  EXPECT_EQ(d.serf(b).FindMember("a")->endpoint.ToString(), d.address(a));
  // The nodes probe each other, and nothing changes.
  EXPECT_TRUE(d.Probe(a) && d.Probe(b));
  EXPECT_THAT(d.events(a), ElementsAre("member-join a", "member-join b"));
  EXPECT_THAT(d.events(b), ElementsAre("member-join b", "member-join a"));
}

TYPED_TEST(Scenario, TenNodesConvergeAndLoseOne) {
  ScenarioDriver& d = this->driver_;
  const std::vector<std::string> names = {"a", "b", "c", "d", "e", "f", "g", "h", "i", "j"};
  std::vector<NodeId> nodes = this->Cluster(names);
  EXPECT_TRUE(d.Probe(nodes[0]));
  for (const NodeId node : nodes) EXPECT_THAT(d.events(node), IsEmpty());
  d.Crash(nodes.back());
  nodes.pop_back();
  const std::string view =
      absl::StrCat(this->AllAlive({names.begin(), names.end() - 1}), " j:failed");
  EXPECT_TRUE(d.AllSee(nodes, view)) << d.View(nodes[0]);
  for (const NodeId node : nodes) EXPECT_THAT(d.events(node), ElementsAre("member-failed j"));
}

TYPED_TEST(Scenario, OneJoinMakesTwoClustersOne) {
  ScenarioDriver& d = this->driver_;
  const std::vector<NodeId> some = this->Cluster({"a", "b", "c"});
  const std::vector<NodeId> others = this->Cluster({"x", "y", "z"});
  EXPECT_EQ(d.View(some[1]), "a:alive b:alive c:alive");
  EXPECT_TRUE(d.Join(others[1], {some[2]}).status.ok());
  for (const auto& nodes : {some, others}) {
    EXPECT_TRUE(d.AllSee(nodes, "a:alive b:alive c:alive x:alive y:alive z:alive"));
  }
  EXPECT_THAT(d.events(some[0]),
              ::testing::UnorderedElementsAre("member-join x", "member-join y", "member-join z"));
}

TYPED_TEST(Scenario, AJoinNamesTheAddressThatDoesNotAnswerAndUsesTheOther) {
  ScenarioDriver& d = this->driver_;
  const NodeId dead = d.Add("dead");
  const NodeId a = d.Add("a");
  const NodeId b = d.Add("b");
  d.Crash(dead);
  const auto alone = d.Join(b, {dead});
  EXPECT_FALSE(alone.status.ok());
  EXPECT_EQ(alone.contacted, 0);
  EXPECT_THAT(std::string(alone.status.message()), HasSubstr(d.address(dead)));
  EXPECT_EQ(d.View(b), "b:alive");

  const auto both = d.Join(b, {dead, a});
  EXPECT_TRUE(both.status.ok()) << both.status;
  EXPECT_EQ(both.contacted, 1);
  EXPECT_THAT(both.errors, ElementsAre(HasSubstr(d.address(dead))));
  EXPECT_TRUE(d.AllSee({a, b}, "a:alive b:alive"));
}

TYPED_TEST(Scenario, AJoinOfNobodyIsDone) {
  ScenarioDriver& d = this->driver_;
  const NodeId a = d.Add("a");
  const auto nobody = d.Join(a, {});
  EXPECT_TRUE(nobody.status.ok());
  EXPECT_EQ(nobody.contacted, 0);
  const auto itself = d.Join(a, {a});
  EXPECT_TRUE(itself.status.ok()) << itself.status;
  EXPECT_EQ(itself.contacted, 1);
  EXPECT_EQ(d.View(a), "a:alive");
}

TYPED_TEST(Scenario, WhoJoinsHearsOfOldEventsUnlessItIgnoresThem) {
  ScenarioDriver& d = this->driver_;
  const std::vector<NodeId> nodes = this->Cluster({"a", "b"});
  wire::UserEventMessage event;
  event.ltime = wire::LamportTime(7);
  event.name = "deploy";
  ByteVector packet = {static_cast<std::uint8_t>(wire::MessageType::kUser)};
  Encode(event, packet);
  for (int i = 0; i < 3; ++i) d.SendDatagram(nodes[0], packet);
  ASSERT_TRUE(d.RunUntil([&] { return d.Told(nodes[1], "user deploy") > 0; }));

  const NodeId hears = d.Add("hears");
  const NodeId ignores = d.Add("ignores");
  EXPECT_TRUE(d.Join(hears, {nodes[0]}, {.replay = true}).status.ok());
  EXPECT_TRUE(d.Join(ignores, {nodes[0]}, {}).status.ok());
  const std::vector<NodeId> all = {nodes[0], nodes[1], hears, ignores};
  ASSERT_TRUE(d.AllSee(all, "a:alive b:alive hears:alive ignores:alive"));
  EXPECT_TRUE(d.Probe(ignores));
  for (const NodeId node : {nodes[0], nodes[1], hears}) EXPECT_EQ(d.Told(node, "user deploy"), 1);
  EXPECT_EQ(d.Told(ignores, "user deploy"), 0);
}

// --- tags ---

TYPED_TEST(Scenario, ChangedTagsReachAll) {
  ScenarioDriver& d = this->driver_;
  Config config = ScenarioConfig();
  config.tags = {{"role", "web"}, {"dc", "east"}};
  const std::vector<NodeId> nodes = this->Cluster({"a", "b", "c"}, config);
  for (const NodeId node : nodes) EXPECT_EQ(this->TagsOf(node, "b"), config.tags);
  const Tags changed = {{"role", "db"}, {"shard", "7"}};
  EXPECT_TRUE(d.SetTags(nodes[1], changed).ok());
  for (const NodeId node : nodes) {
    EXPECT_TRUE(d.RunUntil([&] { return this->TagsOf(node, "b") == changed; }));
    EXPECT_EQ(this->TagsOf(node, "a"), config.tags);
  }
  EXPECT_TRUE(d.Probe(nodes[0]));
  for (const NodeId node : nodes) EXPECT_THAT(d.events(node), ElementsAre("member-update b"));
}

TYPED_TEST(Scenario, TooManyTagsChangeNothing) {
  ScenarioDriver& d = this->driver_;
  const std::vector<NodeId> nodes = this->Cluster({"a", "b"});
  const absl::Status status = d.SetTags(nodes[1], {{"long", std::string(600, 'x')}});
  EXPECT_FALSE(status.ok());
  EXPECT_TRUE(d.Probe(nodes[0]));
  EXPECT_EQ(this->TagsOf(nodes[0], "b"), Tags());
  EXPECT_EQ(this->TagsOf(nodes[1], "b"), Tags());
  EXPECT_THAT(d.events(nodes[0]), IsEmpty());
}

// --- leaving ---

TYPED_TEST(Scenario, ALeaveIsNoFailureEvenWhenTheNodeIsGone) {
  ScenarioDriver& d = this->driver_;
  const std::vector<NodeId> nodes = this->Cluster({"a", "b", "c"});
  EXPECT_TRUE(d.Leave(nodes[2]).ok());
  EXPECT_EQ(d.serf(nodes[2]).state(), Serf::State::kLeft);
  ASSERT_TRUE(d.AllSee({nodes[0], nodes[1]}, "a:alive b:alive c:left"));
  EXPECT_FALSE(d.Join(nodes[2], {nodes[0]}).status.ok());
  d.Crash(nodes[2]);
  EXPECT_TRUE(d.Probe(nodes[0], 10) && d.Probe(nodes[1], 10));
  for (const NodeId node : {nodes[0], nodes[1]}) {
    EXPECT_EQ(d.View(node), "a:alive b:alive c:left");
    EXPECT_THAT(d.events(node), ElementsAre("member-leave c"));
  }
}

TYPED_TEST(Scenario, TheLastNodeLeavesAtOnce) {
  ScenarioDriver& d = this->driver_;
  const NodeId a = d.Add("a");
  EXPECT_TRUE(d.Leave(a).ok());
  EXPECT_EQ(d.serf(a).state(), Serf::State::kLeft);
  EXPECT_TRUE(d.Leave(a).ok()) << "the same again";
}

TYPED_TEST(Scenario, WhoLeftComesBack) {
  ScenarioDriver& d = this->driver_;
  const std::vector<NodeId> nodes = this->Cluster({"a", "b", "c"});
  EXPECT_TRUE(d.Leave(nodes[2]).ok());
  ASSERT_TRUE(d.AllSee({nodes[0], nodes[1]}, "a:alive b:alive c:left"));
  d.Crash(nodes[2]);
  d.Restart(nodes[2]);
  EXPECT_TRUE(d.Join(nodes[2], {nodes[0]}).status.ok());
  ASSERT_TRUE(d.AllSee(nodes, "a:alive b:alive c:alive"));
  EXPECT_TRUE(d.Probe(nodes[0], 10) && d.Probe(nodes[1], 10));
  for (const NodeId node : {nodes[0], nodes[1]}) {
    EXPECT_EQ(d.View(node), "a:alive b:alive c:alive");
    EXPECT_THAT(d.events(node), ElementsAre("member-leave c", "member-join c"));
  }
}

// --- failing ---

TYPED_TEST(Scenario, ACrashIsAFailure) {
  ScenarioDriver& d = this->driver_;
  const std::vector<NodeId> nodes = this->Cluster({"a", "b", "c"});
  d.Crash(nodes[1]);
  ASSERT_TRUE(d.AllSee({nodes[0], nodes[2]}, "a:alive b:failed c:alive"));
  EXPECT_THAT(d.events(nodes[0]), ElementsAre("member-failed b"));
  EXPECT_THAT(d.events(nodes[2]), ElementsAre("member-failed b"));
}

TYPED_TEST(Scenario, TheOnlyOtherNodeFails) {
  ScenarioDriver& d = this->driver_;
  const std::vector<NodeId> nodes = this->Cluster({"a", "b"});
  d.Crash(nodes[0]);
  EXPECT_TRUE(d.AllSee({nodes[1]}, "a:failed b:alive"));
  EXPECT_THAT(d.events(nodes[1]), ElementsAre("member-failed a"));
}

TYPED_TEST(Scenario, WhoFailedComesBackUnderItsName) {
  ScenarioDriver& d = this->driver_;
  const std::vector<NodeId> nodes = this->Cluster({"a", "b", "c"});
  d.Crash(nodes[1]);
  ASSERT_TRUE(d.AllSee({nodes[0], nodes[2]}, "a:alive b:failed c:alive"));
  d.Restart(nodes[1]);
  EXPECT_TRUE(d.Join(nodes[1], {nodes[2]}).status.ok());
  ASSERT_TRUE(d.AllSee(nodes, "a:alive b:alive c:alive"));
  EXPECT_TRUE(d.Probe(nodes[0], 10));
  EXPECT_THAT(d.events(nodes[0]), ElementsAre("member-failed b", "member-join b"));
  EXPECT_THAT(d.events(nodes[2]), ElementsAre("member-failed b", "member-join b"));
}

// The failed node does not join; the others keep trying.
TYPED_TEST(Scenario, WhoFailedIsReconnected) {
  ScenarioDriver& d = this->driver_;
  Config config = ScenarioConfig();
  config.reconnect_interval = std::chrono::milliseconds(500);
  const std::vector<NodeId> nodes = this->Cluster({"a", "b"}, config);
  d.Crash(nodes[1]);
  ASSERT_TRUE(d.AllSee({nodes[0]}, "a:alive b:failed"));
  d.Restart(nodes[1]);
  EXPECT_TRUE(d.AllSee(nodes, "a:alive b:alive"));
  EXPECT_THAT(d.events(nodes[0]), ElementsAre("member-failed b", "member-join b"));
}

// The others know a higher incarnation of the node, with other tags, than the node itself.
TYPED_TEST(Scenario, ARestartOverrulesTheEarlierLife) {
  ScenarioDriver& d = this->driver_;
  Config config = ScenarioConfig();
  config.tags = {{"life", "new"}};
  const std::vector<NodeId> nodes = this->Cluster({"a", "b", "c"}, config);
  const Tags old = {{"life", "old"}};
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(d.SetTags(nodes[2], old).ok());
  ASSERT_TRUE(d.RunUntil(
      [&] { return this->TagsOf(nodes[0], "c") == old && this->TagsOf(nodes[1], "c") == old; }));
  d.Crash(nodes[2]);
  d.Restart(nodes[2]);  // before any node misses it
  EXPECT_TRUE(d.Join(nodes[2], {nodes[0]}).status.ok());
  EXPECT_TRUE(d.RunUntil([&] {
    return this->TagsOf(nodes[0], "c") == config.tags && this->TagsOf(nodes[1], "c") == config.tags;
  }));
  ASSERT_TRUE(d.AllSee(nodes, "a:alive b:alive c:alive"));
  EXPECT_EQ(this->TagsOf(nodes[2], "c"), config.tags);
  EXPECT_EQ(d.Told(nodes[0], "member-failed c"), 0);
}

// --- force-leave ---

TYPED_TEST(Scenario, AFailedMemberIsForcedToLeave) {
  ScenarioDriver& d = this->driver_;
  const std::vector<NodeId> nodes = this->Cluster({"a", "b", "c"});
  d.Crash(nodes[2]);
  const std::vector<NodeId> rest = {nodes[0], nodes[1]};
  ASSERT_TRUE(d.AllSee(rest, "a:alive b:alive c:failed"));
  EXPECT_TRUE(d.ForceLeave(nodes[1], "c").ok());
  ASSERT_TRUE(d.AllSee(rest, "a:alive b:alive c:left"));
  for (const NodeId node : rest) {
    EXPECT_THAT(d.events(node), ElementsAre("member-failed c", "member-leave c"));
  }
}

TYPED_TEST(Scenario, APrunedMemberIsForgotten) {
  ScenarioDriver& d = this->driver_;
  const std::vector<NodeId> nodes = this->Cluster({"a", "b", "c", "d"});
  d.Crash(nodes[2]);
  EXPECT_TRUE(d.Leave(nodes[3]).ok());
  const std::vector<NodeId> rest = {nodes[0], nodes[1]};
  ASSERT_TRUE(d.AllSee(rest, "a:alive b:alive c:failed d:left"));
  d.ForgetEvents();
  EXPECT_TRUE(d.ForceLeave(nodes[1], "c", {.prune = true}).ok());
  ASSERT_TRUE(d.AllSee(rest, "a:alive b:alive d:left"));
  for (const NodeId node : rest) {
    EXPECT_THAT(d.events(node), ElementsAre("member-leave c", "member-reap c"));
  }
  EXPECT_TRUE(d.ForceLeave(nodes[0], "d", {.prune = true}).ok());
  EXPECT_TRUE(d.AllSee(rest, "a:alive b:alive"));
}

TYPED_TEST(Scenario, ALivingMemberSurvivesAForcedLeave) {
  ScenarioDriver& d = this->driver_;
  const std::vector<NodeId> nodes = this->Cluster({"a", "b", "c"});
  for (const bool prune : {false, true}) {
    EXPECT_TRUE(d.ForceLeave(nodes[1], "c", {.prune = prune}).ok());
    ASSERT_TRUE(d.AllSee(nodes, "a:alive b:alive c:alive"));
    EXPECT_TRUE(d.Probe(nodes[0], 10) && d.Probe(nodes[2], 10));
    for (const NodeId node : nodes) {
      EXPECT_EQ(d.View(node), "a:alive b:alive c:alive");
      EXPECT_THAT(d.events(node), IsEmpty());
    }
  }
}

TYPED_TEST(Scenario, AnUnknownNameIsForcedOutWithoutEffect) {
  ScenarioDriver& d = this->driver_;
  const std::vector<NodeId> nodes = this->Cluster({"a", "b"});
  EXPECT_TRUE(d.ForceLeave(nodes[0], "nobody").ok());
  EXPECT_TRUE(d.Probe(nodes[0]));
  for (const NodeId node : nodes) {
    EXPECT_EQ(d.View(node), "a:alive b:alive");
    EXPECT_THAT(d.events(node), IsEmpty());
  }
}

// --- false words ---

TYPED_TEST(Scenario, FalseAccusationsAreRefuted) {
  ScenarioDriver& d = this->driver_;
  const std::vector<NodeId> nodes = this->Cluster({"a", "b", "c"});
  const auto incarnation = [&](NodeId observer) {
    const swim::Node& node = d.serf(observer).node();
    return node.incarnation(*node.Find("c")).value();
  };
  ByteVector packet;
  Encode(wire::Suspect{wire::Incarnation(5), "c", "liar"}, packet);
  d.SendDatagram(nodes[0], packet);
  ASSERT_TRUE(d.RunUntil([&] { return incarnation(nodes[0]) > 5 && incarnation(nodes[2]) > 5; }));
  // The node is believed dead until it refutes.
  packet.clear();
  Encode(wire::Dead{wire::Incarnation(50), "c", "liar"}, packet);
  d.SendDatagram(nodes[0], packet);
  ASSERT_TRUE(d.RunUntil([&] { return incarnation(nodes[0]) > 50 && incarnation(nodes[1]) > 50; }));
  EXPECT_TRUE(d.AllSee(nodes, "a:alive b:alive c:alive"));
  EXPECT_THAT(d.events(nodes[2]), IsEmpty());
  EXPECT_THAT(d.events(nodes[0]), ElementsAre("member-failed c", "member-join c"));
  // No node believes an absurd incarnation, and none wraps around.
  packet.clear();
  Encode(wire::Dead{wire::Incarnation(std::numeric_limits<std::uint32_t>::max()), "c", "liar"},
         packet);
  d.SendDatagram(nodes[0], packet);
  d.SendDatagram(nodes[2], packet);
  EXPECT_TRUE(d.Probe(nodes[0]) && d.Probe(nodes[2]));
  EXPECT_TRUE(d.AllSee(nodes, "a:alive b:alive c:alive"));
  EXPECT_LT(incarnation(nodes[0]), 100u);
  EXPECT_EQ(d.Told(nodes[0], "member-failed c"), 1);
}

TYPED_TEST(Scenario, ATakenNameIsNotTakenOver) {
  ScenarioDriver& d = this->driver_;
  const std::vector<NodeId> nodes = this->Cluster({"a", "b"});
  const NodeId imposter = d.Add("b");
  // The join reaches a, which keeps the b that it knows.
  d.Join(imposter, {nodes[0]});
  // The imposter also keeps itself, until it has lost the vote and has ended.
  EXPECT_EQ(d.serf(imposter).FindMember("b")->endpoint.ToString(), d.address(imposter));
  EXPECT_TRUE(d.Probe(nodes[0], 10) && d.Probe(nodes[1], 10));
  for (const NodeId node : nodes) {
    EXPECT_EQ(d.View(node), "a:alive b:alive");
    EXPECT_EQ(d.serf(node).FindMember("b")->endpoint.ToString(), d.address(nodes[1]));
    EXPECT_THAT(d.events(node), IsEmpty());
  }
  EXPECT_GT(d.serf(nodes[0]).node().counters().conflicts, 0u);
}

// --- nodes that must not mix ---

TYPED_TEST(Scenario, EncryptedNodesKeepOthersOut) {
  ScenarioDriver& d = this->driver_;
  Config keyed = ScenarioConfig();
  Encrypt(keyed.swim, ByteVector(32, 1));
  const std::vector<NodeId> nodes = this->Cluster({"a", "b"}, keyed);
  EXPECT_TRUE(d.SetTags(nodes[1], {{"x", "y"}}).ok());
  EXPECT_TRUE(d.RunUntil([&] { return this->TagsOf(nodes[0], "b") == Tags{{"x", "y"}}; }));

  Config another = ScenarioConfig();
  Encrypt(another.swim, ByteVector(32, 2));
  const NodeId plain = d.Add("plain");
  const NodeId other = d.Add("other", another);
  for (const NodeId stranger : {plain, other}) {
    EXPECT_FALSE(d.Join(stranger, {nodes[0]}).status.ok());
    EXPECT_FALSE(d.Join(nodes[0], {stranger}).status.ok());
  }
  EXPECT_TRUE(d.Probe(nodes[0]));
  for (const NodeId node : nodes) EXPECT_EQ(d.View(node), "a:alive b:alive");
  EXPECT_EQ(d.View(plain), "plain:alive");
  EXPECT_EQ(d.View(other), "other:alive");
}

TYPED_TEST(Scenario, LabelsKeepClustersApart) {
  ScenarioDriver& d = this->driver_;
  Config blue = ScenarioConfig();
  blue.swim.label = "blue";
  Config green = ScenarioConfig();
  green.swim.label = "green";
  const std::vector<NodeId> nodes = this->Cluster({"a", "b"}, blue);
  const NodeId none = d.Add("none");
  const NodeId other = d.Add("other", green);
  for (const NodeId stranger : {none, other}) {
    EXPECT_FALSE(d.Join(stranger, {nodes[0]}).status.ok());
    EXPECT_FALSE(d.Join(nodes[0], {stranger}).status.ok());
  }
  EXPECT_TRUE(d.Probe(nodes[0]));
  for (const NodeId node : nodes) EXPECT_EQ(d.View(node), "a:alive b:alive");
  EXPECT_EQ(d.View(none), "none:alive");
  EXPECT_EQ(d.View(other), "other:alive");
}

// A push/pull carries two nodes. The one that no node here can talk to stays out.
TYPED_TEST(Scenario, AnIncompatibleProtocolIsRefused) {
  ScenarioDriver& d = this->driver_;
  const std::vector<NodeId> nodes = this->Cluster({"a", "b"});
  const ByteVector ours = {1, 5, 2, 2, 5, 5};
  const ByteVector later = {9, 9, 9, 2, 5, 5};
  const ByteVector application = {1, 5, 2, 9, 9, 9};
  const IpAddress nobody = *IpAddress::Parse("127.255.0.9");
  ByteVector bytes;
  Encode(wire::PushPullHeader{.nodes = 3, .user_state_len = 0, .join = true}, bytes);
  for (const auto& [name, versions] : {std::pair{"later", later}, std::pair{"known", ours},
                                       std::pair{"application", application}}) {
    wire::PushPullNode record;
    record.name = name;
    record.addr = nobody.bytes();
    record.port = 9;
    record.incarnation = wire::Incarnation(1);
    record.vsn = versions;
    Encode(record, bytes);
  }
  d.SendStream(nodes[0], bytes);
  EXPECT_TRUE(d.RunUntil([&] { return d.Told(nodes[1], "member-join known") == 1; }));
  for (const NodeId node : nodes) {
    EXPECT_THAT(d.events(node), ::testing::Contains("member-join known"));
    EXPECT_EQ(d.Told(node, "member-join later"), 0);
    EXPECT_EQ(d.Told(node, "member-join application"), 0);
  }
  EXPECT_FALSE(d.serf(nodes[0]).FindMember("later").has_value());
}

TYPED_TEST(Scenario, OlderSerfProtocolsMix) {
  ScenarioDriver& d = this->driver_;
  Config old = ScenarioConfig();
  old.protocol_version = kSerfProtocolMin;
  old.tags = {{"role", "web"}};
  const NodeId a = d.Add("a");
  const NodeId b = d.Add("b", old);
  EXPECT_TRUE(d.Join(b, {a}).status.ok());
  ASSERT_TRUE(d.AllSee({a, b}, "a:alive b:alive"));
  EXPECT_EQ(this->TagsOf(a, "b"), old.tags);
  EXPECT_TRUE(d.Leave(b).ok());
  EXPECT_TRUE(d.AllSee({a}, "a:alive b:left"));
}

TYPED_TEST(Scenario, GarbageMakesNoMembers) {
  ScenarioDriver& d = this->driver_;
  const std::vector<NodeId> nodes = this->Cluster({"a", "b"});
  for (const std::size_t size : {1, 3, 100, 60'000}) {
    for (const int byte : {0x00, 0x04, 0x07, 0x09, 0x0c, 0xc1, 0xf4, 0xff}) {
      d.SendDatagram(nodes[0], ByteVector(size, static_cast<std::uint8_t>(byte)));
    }
  }
  for (const int byte : {0x04, 0x63, 0xc1}) {
    d.SendStream(nodes[0], ByteVector(100, static_cast<std::uint8_t>(byte)));
  }
  EXPECT_TRUE(d.Probe(nodes[0]) && d.Probe(nodes[1]));
  for (const NodeId node : nodes) {
    EXPECT_EQ(d.View(node), "a:alive b:alive");
    EXPECT_THAT(d.events(node), IsEmpty());
  }
}

}  // namespace
}  // namespace serf::testkit
