#include "serf/serf.h"

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "serf/testing/node/lone_serf.h"

namespace serf {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using testkit::JoinOf;
using testkit::LeaveOf;
using testkit::LoneSerf;
using wire::LamportTime;
using enum MemberStatus;

wire::UserEventMessage EventOf(absl::string_view name, std::uint64_t time) {
  wire::UserEventMessage event;
  event.ltime = LamportTime(time);
  event.name = name;
  return event;
}

// --- start, views ---

TEST(SerfTest, StartsAsTheOnlyMember) {
  LoneSerf self;
  EXPECT_THAT(self.TakeEvents(), ElementsAre("member-join self alive"));
  EXPECT_TRUE(self.log().Has("[INFO] serf: EventMemberJoin: self 10.0.0.1"));
  EXPECT_EQ(self.serf().state(), Serf::State::kAlive);
  const Member member = self.serf().LocalMember();
  EXPECT_EQ(member.name, "self");
  EXPECT_EQ(member.endpoint.ToString(), "10.0.0.1:7946");
  EXPECT_EQ(member.status, kAlive);
  EXPECT_EQ(member.versions, (wire::VersionVector{1, 5, 2, 2, 5, 5}));
  EXPECT_EQ(self.serf().member_count(), 1u);
}

TEST(SerfTest, StatsOfAFreshNode) {
  LoneSerf self;
  const std::map<std::string, std::string> expected = {
      {"members", "1"},      {"failed", "0"},        {"left", "0"},
      {"health_score", "0"}, {"member_time", "1"},   {"event_time", "1"},
      {"query_time", "1"},   {"intent_queue", "0"},  {"event_queue", "0"},
      {"query_queue", "0"},  {"encrypted", "false"}, {"coordinate_resets", "0"}};
  EXPECT_EQ(self.serf().Stats(), expected);
}

TEST(SerfTest, CreateNamesTheFault) {
  Config config = LoneSerf::DefaultConfig();
  config.swim.name = "a";
  config.protocol_version = 7;
  EXPECT_EQ(Serf::Create(config).status().message(),
            "Protocol version '7' too high. Must be in range: [2, 5]");
}

TEST(SerfTest, MembersAreSortedAndDescribed) {
  LoneSerf self;
  self.PeerAlive("z", {{"role", "web"}});
  self.PeerAlive("a");
  const std::vector<Member> members = self.serf().Members();
  ASSERT_THAT(members, SizeIs(3));
  EXPECT_EQ(members[0].name, "a");
  EXPECT_EQ(members[1].name, "self");
  EXPECT_EQ(members[2].tags, (Tags{{"role", "web"}}));
  EXPECT_FALSE(self.serf().FindMember("nobody").has_value());
}

// --- requests ---

TEST(RequestTest, LeaveAloneTakesThePropagateDelay) {
  LoneSerf self;
  self.TakeEvents();
  const RequestId leave = self.Leave();
  EXPECT_EQ(self.serf().state(), Serf::State::kLeaving);
  EXPECT_THAT(self.TakeEvents(), ElementsAre("member-leave self left"));
  self.RunFor(milliseconds(999));
  EXPECT_EQ(self.Result(leave), "pending");
  self.RunFor(milliseconds(1));
  EXPECT_EQ(self.Result(leave), "ok");
  EXPECT_EQ(self.serf().state(), Serf::State::kLeft);
  EXPECT_EQ(self.serf().LocalMember().status, kLeft);
}

TEST(RequestTest, LeaveGossipsTheIntentThenTheEngineLeaves) {
  LoneSerf self;
  self.PeerAlive("a");
  const RequestId first = self.Leave();
  EXPECT_EQ(self.Status("self"), kLeaving);
  const RequestId second = self.Leave();
  self.RunFor(seconds(4));
  EXPECT_EQ(self.Result(first), "ok");
  EXPECT_EQ(self.Result(second), "ok");
  EXPECT_EQ(self.Status("self"), kLeft);
  EXPECT_FALSE(self.log().Has("[WARN] serf: timeout while waiting for graceful leave"));
  EXPECT_EQ(self.Result(self.Leave()), "ok");
  EXPECT_EQ(self.Result(self.Join({})), "Serf can't Join after Leave or Shutdown");
  // The departure stands.
  self.Receive(LeaveOf("self", 100));
  EXPECT_FALSE(self.log().Has("[DEBUG] serf: Refuting an older leave intent"));
}

TEST(RequestTest, LeaveGoesOnWhenNothingCanBeSent) {
  Config config = LoneSerf::DefaultConfig();
  config.swim.gossip_interval = Duration::zero();
  config.swim.gossip_pacing = swim::GossipPacing::kTicked;
  LoneSerf self(config);
  self.PeerAlive("a");
  const RequestId leave = self.Leave();
  self.RunFor(seconds(11) - milliseconds(1));
  EXPECT_EQ(self.Result(leave), "pending");
  self.RunFor(milliseconds(1));
  EXPECT_EQ(self.Result(leave), "ok");
  EXPECT_TRUE(self.log().Has("[WARN] serf: timeout while waiting for graceful leave"));
  EXPECT_TRUE(
      self.log().Has("[WARN] serf: timeout waiting for leave broadcast: timeout waiting "
                     "for leave broadcast"));
}

TEST(RequestTest, ShutdownEndsEverything) {
  LoneSerf self;
  self.PeerAlive("a");
  const RequestId leave = self.Leave();
  const RequestId removal = self.ForceLeave("x", {});
  self.Shutdown();
  EXPECT_EQ(self.Result(leave), "Serf has been shut down");
  EXPECT_EQ(self.Result(removal), "Serf has been shut down");
  EXPECT_TRUE(self.log().Has("[WARN] serf: Shutdown without a Leave"));
  EXPECT_EQ(self.serf().NextDeadline(), kNever);
  EXPECT_EQ(self.Result(self.Leave()), "Leave called after Shutdown");
  EXPECT_EQ(self.Result(self.Join({})), "Serf can't Join after Leave or Shutdown");
  self.PeerAlive("b");
  EXPECT_EQ(self.serf().member_count(), 2u);
  EXPECT_THAT(self.TakePackets(),
              ::testing::Each(::testing::Field(&LoneSerf::Packet::to, LoneSerf::EndpointOf("a"))));
}

TEST(RequestTest, JoinWithoutTargetsIsWell) {
  LoneSerf self;
  EXPECT_EQ(self.Result(self.Join({})), "ok");
}

TEST(RequestTest, ForceLeave) {
  LoneSerf self;
  EXPECT_EQ(self.Result(self.ForceLeave("nobody", {})), "ok");
  self.PeerAlive("a");
  self.PeerAlive("b");
  self.PeerGone("b");
  self.TakeEvents();
  const RequestId removal = self.ForceLeave("b", {});
  EXPECT_THAT(self.TakeEvents(), ElementsAre("member-leave b left"));
  EXPECT_EQ(self.Result(removal), "pending");
  self.RunFor(seconds(2));
  EXPECT_EQ(self.Result(removal), "ok");
}

TEST(RequestTest, RemoveFailedNodeTimesOut) {
  Config config = LoneSerf::DefaultConfig();
  config.swim.gossip_interval = Duration::zero();
  config.swim.gossip_pacing = swim::GossipPacing::kTicked;
  LoneSerf self(config);
  self.PeerAlive("a");
  const RequestId removal = self.ForceLeave("b", {});
  self.RunFor(seconds(5));
  EXPECT_EQ(self.Result(removal), "timed out broadcasting node removal");
}

TEST(RequestTest, RemovingOneselfIsRefuted) {
  LoneSerf self;
  self.PeerAlive("a");
  EXPECT_EQ(self.Result(self.ForceLeave("self", {.prune = true})), "ok");
  self.RunFor(seconds(10));
  EXPECT_EQ(self.Status("self"), kAlive);
  EXPECT_TRUE(self.log().Has("[DEBUG] serf: Refuting an older leave intent"));
}

TEST(RequestTest, SetTags) {
  LoneSerf self;
  self.TakeEvents();
  EXPECT_EQ(self.Result(self.SetTags({{"k", std::string(506, 'x')}})),
            "Encoded length of tags exceeds limit of 512 bytes");
  EXPECT_THAT(self.TakeEvents(), IsEmpty());
  EXPECT_EQ(self.Result(self.SetTags({{"role", "web"}})), "ok");
  EXPECT_THAT(self.TakeEvents(), ElementsAre("member-update self alive"));
  EXPECT_EQ(self.serf().LocalMember().tags, (Tags{{"role", "web"}}));
  EXPECT_EQ(self.serf().config().tags, (Tags{{"role", "web"}}));
  self.PeerAlive("a");
  const RequestId first = self.SetTags({{"role", "db"}});
  const RequestId second = self.SetTags({{"role", "lb"}});
  EXPECT_EQ(self.Result(first), "ok");  // replaced by the second
  EXPECT_EQ(self.Result(second), "pending");
  self.RunFor(seconds(2));
  EXPECT_EQ(self.Result(second), "ok");
}

TEST(RequestTest, TagsThatCannotBeAnnouncedAreNotSet) {
  LoneSerf self;
  ASSERT_EQ(self.Result(self.SetTags({{"role", "web"}})), "ok");
  self.Leave();
  self.RunFor(seconds(15));
  EXPECT_EQ(self.Result(self.SetTags({{"role", "db"}})),
            "the node has left and announces nothing any more");
  EXPECT_EQ(self.serf().config().tags, (Tags{{"role", "web"}}));
}

TEST(RequestTest, SetTagsTimesOutButStays) {
  Config config = LoneSerf::DefaultConfig();
  config.swim.gossip_interval = Duration::zero();
  config.swim.gossip_pacing = swim::GossipPacing::kTicked;
  LoneSerf self(config);
  self.PeerAlive("a");
  const RequestId request = self.SetTags({{"role", "db"}});
  self.RunFor(seconds(5));
  EXPECT_EQ(self.Result(request), "timeout waiting for update broadcast");
  EXPECT_EQ(self.serf().LocalMember().tags, (Tags{{"role", "db"}}));
}

// --- reconnect ---

TEST(ReconnectScheduleTest, AFailedMemberIsTriedAgain) {
  LoneSerf self;
  self.PeerAlive("a/b");
  self.PeerGone("a/b");
  self.RunFor(seconds(40));
  EXPECT_TRUE(self.log().Has(absl::StrCat("[INFO] serf: attempting reconnect to a/b ",
                                          LoneSerf::EndpointOf("a/b").ToString())));
}

// --- coalescing ---

TEST(CoalescingTest, MemberEventsAreHeldBackAndMerged) {
  Config config = LoneSerf::DefaultConfig();
  config.coalesce_period = seconds(3);
  config.quiescent_period = seconds(1);
  LoneSerf self(config);
  self.PeerAlive("b");
  self.PeerAlive("a");
  EXPECT_THAT(self.TakeEvents(), IsEmpty());
  self.RunFor(seconds(1));
  EXPECT_THAT(self.TakeEvents(), ElementsAre("member-join a alive b alive self alive"));
  self.PeerGone("a");
  self.Shutdown();
  EXPECT_THAT(self.TakeEvents(), ElementsAre("member-failed a failed"));
}

// --- queries ---

TEST(QueryTest, IsPassedOnOnceUnlessItSaysNot) {
  LoneSerf self;
  self.PeerAlive("a");
  wire::QueryMessage query;
  query.ltime = LamportTime(3);
  query.id = 7;
  query.name = "uptime";
  self.Receive(query);
  self.Receive(query);
  EXPECT_EQ(self.Stat("query_queue"), "1");
  EXPECT_EQ(self.Stat("query_time"), "4");
  query.id = 8;
  query.flags = wire::kQueryFlagNoBroadcast;
  self.Receive(query);
  EXPECT_EQ(self.Stat("query_queue"), "1");
  EXPECT_EQ(self.serf().counters().queries, 2u);
}

TEST(QueryTest, AnAnswerToNoQueryIsLogged) {
  LoneSerf self;
  wire::QueryResponseMessage response;
  response.ltime = LamportTime(3);
  response.id = 9;
  response.from = "a";
  self.Receive(response);
  EXPECT_TRUE(self.log().Has("[WARN] serf: reply for non-running query (LTime: 3, ID: 9) From: a"));
}

class RelayTest : public ::testing::Test {
 protected:
  RelayTest() { self_.PeerAlive("a"); }

  // The relayed copies of `inner` for this destination; empty if this node drops it.
  std::vector<ByteVector> Relayed(absl::string_view name, const Endpoint& to, ByteVector inner) {
    wire::RelayHeader header;
    header.dest_addr.ip = to.address.bytes();
    header.dest_addr.port = to.port;
    header.dest_name = name;
    ByteVector message;
    Encode(header, message);
    Append(message, inner);
    self_.RunFor(seconds(5));
    self_.TakePackets();
    self_.ReceiveBytes(message);
    std::vector<ByteVector> sent;
    for (const LoneSerf::Packet& packet : self_.TakePackets()) {
      EXPECT_EQ(packet.to, to);
      sent.push_back(packet.bytes);
    }
    return sent;
  }

  LoneSerf self_;
  const Endpoint a_ = LoneSerf::EndpointOf("a");
  const ByteVector answer_ = {5, 0x80};
};

TEST_F(RelayTest, PassesAnAnswerOnToAMember) {
  const std::vector<ByteVector> sent = Relayed("a", a_, answer_);
  ASSERT_THAT(sent, SizeIs(1));
  EXPECT_TRUE(absl::StrContains(AsText(sent[0]), AsText(answer_)));
  EXPECT_TRUE(
      self_.log().Has(absl::StrCat("[DEBUG] serf: Relaying response to addr: ", a_.ToString())));
}

TEST_F(RelayTest, NothingElseToNobodyElse) {
  EXPECT_THAT(Relayed("a", a_, {4, 0x80}), IsEmpty());
  EXPECT_THAT(Relayed("a", a_, {}), IsEmpty());
  EXPECT_THAT(Relayed("b", a_, answer_), IsEmpty());
  EXPECT_THAT(Relayed("", a_, answer_), IsEmpty());
  EXPECT_THAT(Relayed("a", LoneSerf::EndpointOf("victim"), answer_), IsEmpty());
  EXPECT_EQ(self_.serf().counters().dropped_relay, 5u);
}

// --- queues, conflicts ---

TEST(QueueDepthTest, WarnsAndDrops) {
  Config config = LoneSerf::DefaultConfig();
  config.queue_depth_warning = 3;
  config.max_queue_depth = 4;
  LoneSerf self(config);
  for (int i = 0; i < 6; ++i) self.Receive(EventOf(absl::StrCat("e", i), 1));
  self.RunFor(seconds(30));
  EXPECT_TRUE(self.log().Has("[WARN] serf: Event queue depth: 4"));
  EXPECT_TRUE(
      self.log().Has("[WARN] serf: Event queue depth (6) exceeds limit (4), dropping messages!"));
  self.RunFor(seconds(30));
  EXPECT_EQ(
      self.log().Count("[WARN] serf: Event queue depth (6) exceeds limit (4), dropping messages!"),
      1);
}

TEST(ConflictTest, IsLogged) {
  LoneSerf self;
  self.PeerAlive("a");
  wire::Alive alive;
  alive.incarnation = wire::Incarnation(9);
  const IpAddress other = IpAddress::V4(10, 9, 9, 9);
  alive.addr = other.bytes();
  alive.port = 7947;
  const auto versions = wire::VersionVector{1, 5, 2, 2, 5, 5}.ToBytes();
  alive.vsn = versions;
  for (const char* name : {"a", "self"}) {
    alive.node = name;
    ByteVector packet;
    Encode(alive, packet);
    self.RunFor(seconds(1));
    self.ReceivePacket(packet);
  }
  EXPECT_TRUE(self.log().Has(absl::StrCat("[WARN] serf: Name conflict for 'a' both ",
                                          LoneSerf::EndpointOf("a").ToString(),
                                          " and 10.9.9.9:7947 are claiming")));
  EXPECT_TRUE(self.log().Has(
      "[ERR] serf: Node name conflicts with another node at 10.9.9.9:7947. Names must be unique! "
      "(Resolution enabled: true)"));
  EXPECT_EQ(self.serf().state(), Serf::State::kAlive);
}

// --- push/pull state ---

class StateTest : public ::testing::Test {
 protected:
  void Receive(std::vector<wire::StatusLTime> times, std::vector<absl::string_view> left,
               std::uint64_t clock = 0) {
    wire::PushPullState state;
    state.ltime = LamportTime(clock);
    state.status_ltimes = wire::ListView<wire::StatusLTime>(times);
    state.left_members = wire::ListView<absl::string_view>(left);
    ByteVector bytes;
    Encode(state, bytes);
    self_.ReceiveState(bytes);
  }

  LoneSerf self_;
};

TEST_F(StateTest, ClocksFollowWhatThePeerHasUsed) {
  Receive({}, {}, 42);
  EXPECT_EQ(self_.Stat("member_time"), "42");
  EXPECT_EQ(self_.Stat("event_time"), "1");
}

TEST_F(StateTest, ALeftMemberIsALeaveIntentOneLater) {
  self_.PeerAlive("a");
  self_.Receive(JoinOf("a", 7));
  Receive({{"a", LamportTime(6)}}, {"a"});
  EXPECT_EQ(self_.Status("a"), kAlive);
  Receive({{"a", LamportTime(7)}}, {"a"});
  EXPECT_EQ(self_.Status("a"), kLeaving);
  EXPECT_EQ(self_.Stat("member_time"), "9");
}

TEST_F(StateTest, ALeftMemberThatWasKnownToHaveLeftKeepsTheLaterTime) {
  self_.PeerAlive("a");
  self_.Receive(JoinOf("a", 7));
  self_.PeerGone("a", /*announced=*/true);
  self_.RunFor(seconds(1));
  ASSERT_EQ(self_.Status("a"), kLeft);
  Receive({{"a", LamportTime(9)}}, {"a"}, 10);
  EXPECT_EQ(self_.Status("a"), kLeft);
  // This node keeps the peer's time: an older intent is not news.
  self_.Receive(LeaveOf("a", 9, /*prune=*/true));
  EXPECT_EQ(self_.Status("a"), kLeft);
  self_.Receive(LeaveOf("a", 10, /*prune=*/true));
  EXPECT_EQ(self_.Status("a"), kNone);
}

TEST_F(StateTest, TombstonesOfBothDoNotPushTheClockUp) {
  self_.PeerAlive("a");
  self_.Receive(LeaveOf("a", 7));
  self_.PeerGone("a");
  ASSERT_EQ(self_.Status("a"), kLeft);
  for (std::uint64_t time = 7; time < 100; ++time) Receive({{"a", LamportTime(time)}}, {"a"}, 100);
  EXPECT_EQ(self_.Stat("member_time"), "100");
  // The time was raised: an intent that is older than what the peer knows is old.
  self_.Receive(LeaveOf("a", 99));
  EXPECT_EQ(self_.serf().counters().member_leaves, 1u);
}

TEST_F(StateTest, TheOwnTombstoneIsRefuted) {
  Receive({{"self", LamportTime(12)}}, {"self"}, 13);
  EXPECT_EQ(self_.Status("self"), kAlive);
  EXPECT_EQ(self_.log().Count("[DEBUG] serf: Refuting an older leave intent"), 1);
  EXPECT_EQ(self_.Stat("member_time"), "15");
  Receive({{"self", LamportTime(12)}}, {"self"}, 13);
  EXPECT_EQ(self_.log().Count("[DEBUG] serf: Refuting an older leave intent"), 1);
}

TEST_F(StateTest, NothingIsPassedOn) {
  Receive({{"a", LamportTime(3)}, {"b", LamportTime(4)}}, {"b"}, 5);
  EXPECT_EQ(self_.Stat("intent_queue"), "0");
}

TEST_F(StateTest, ABadStateIsLoggedAndChangesNothing) {
  self_.ReceiveState(ByteVector{0x01, 0x80});
  EXPECT_TRUE(self_.log().Has("[ERR] serf: Remote state has bad type prefix: 1"));
  self_.RunFor(seconds(1));
  self_.ReceiveState(ByteVector{0x02, 0x81, 0xa5, 'L', 'T', 'i', 'm', 'e', 0xc3});
  EXPECT_TRUE(self_.log().Has("[ERR] serf: Failed to decode remote state: unexpected type"));
  EXPECT_EQ(self_.serf().counters().states_malformed, 2u);
  EXPECT_EQ(self_.Stat("member_time"), "1");
}

}  // namespace
}  // namespace serf
