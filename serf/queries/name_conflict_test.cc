#include "serf/queries/name_conflict.h"

#include <chrono>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "serf/serf.h"
#include "serf/testing/node/lone_serf.h"
#include "serf/wire/serf_messages.h"

namespace serf {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using testkit::LoneSerf;
using wire::LamportTime;
using enum NameVerdict;

constexpr Endpoint kLow{IpAddress::V4(10, 0, 0, 1), 7946};
constexpr Endpoint kHigh{IpAddress::V4(10, 0, 0, 2), 7946};

TEST(JudgeNameTest, AMajorityKeepsTheName) {
  const struct {
    std::size_t matching;
    std::size_t votes;
    std::size_t voters;
    NameVerdict low;   // of the contestant with the lower address
    NameVerdict high;  // of the other one, with as many votes
  } kTable[] = {
      {0, 0, 0, kNoVote, kNoVote},
      {0, 0, 9, kNoVote, kNoVote},
      {1, 1, 1, kKeep, kKeep},
      {0, 1, 1, kQuit, kQuit},
      {1, 2, 2, kKeep, kTie},
      {2, 2, 2, kKeep, kKeep},
      {1, 3, 3, kQuit, kQuit},
      {2, 3, 3, kKeep, kKeep},
      {2, 4, 4, kKeep, kTie},
      {1, 4, 4, kQuit, kQuit},
      // Of the hosts that could have voted, half or more did not vote, or not against this node.
      {0, 1, 2, kNoVote, kNoVote},
      {0, 2, 3, kQuit, kQuit},
      {1, 4, 6, kNoVote, kNoVote},
      {1, 1, 9, kKeep, kKeep},
  };
  for (const auto& row : kTable) {
    EXPECT_EQ(JudgeName(row.matching, row.votes, row.voters, kLow, kHigh), row.low)
        << row.matching << " / " << row.votes << " / " << row.voters;
    EXPECT_EQ(JudgeName(row.matching, row.votes, row.voters, kHigh, kLow), row.high)
        << row.matching << " / " << row.votes << " / " << row.voters;
  }
}

// Peers answer probes, unless they are silent.
class ConflictTest : public ::testing::Test {
 protected:
  static Config Probing() {
    Config config = LoneSerf::DefaultConfig();
    config.swim.probe_interval = seconds(1);
    config.swim.enable_compression = false;
    return config;
  }
  explicit ConflictTest(Config config = Probing()) : self_(std::move(config)) {}

  void Members(const std::vector<std::string>& names) {
    for (const std::string& name : names) self_.PeerAlive(name);
    RunFor(seconds(20));
  }
  void Silence(const std::vector<std::string>& names) {
    for (const std::string& name : names) silent_.insert(LoneSerf::EndpointOf(name));
  }
  void SayAlive(absl::string_view name, const Endpoint& endpoint) {
    const auto versions = wire::VersionVector{1, 5, 2, 2, 5, 5}.ToBytes();
    wire::Alive alive;
    alive.incarnation = wire::Incarnation(9);
    alive.node = name;
    alive.addr = endpoint.address.bytes();
    alive.port = endpoint.port;
    alive.vsn = versions;
    ByteVector packet;
    Encode(alive, packet);
    self_.ReceivePacket(packet);
  }
  // Another node claims to be "self".
  void Claim(const Endpoint& endpoint = kHigh) { SayAlive("self", endpoint); }
  // The vote of a node that knows "self" at this endpoint.
  void Vote(absl::string_view voter, const Endpoint& endpoint) {
    VoteFrom(voter, LoneSerf::EndpointOf(voter), endpoint);
  }
  void VoteFrom(absl::string_view voter, const Endpoint& source, const Endpoint& endpoint) {
    Member member;
    member.name = "self";
    member.endpoint = endpoint;
    member.status = MemberStatus::kAlive;
    VoteBytes(voter, source, EncodeBallot(member));
  }
  void VoteBytes(absl::string_view voter, const Endpoint& source, const ByteVector& ballot) {
    // The query is gossiped.
    RunFor(milliseconds(100));
    wire::QueryResponseMessage message;
    message.ltime = time_;
    message.id = number_;
    message.from = voter;
    message.payload = ballot;
    self_.Receive(message, source);
  }
  void RunFor(Duration duration) {
    for (const Instant end = self_.time() + duration; self_.time() < end;) {
      self_.RunFor(milliseconds(20));
      for (const LoneSerf::Packet& packet : self_.TakePackets()) OnPacket(packet);
    }
  }
  bool Lives() { return self_.serf().state() == Serf::State::kAlive; }

  LoneSerf self_;

 private:
  template <typename Message>
  static bool Find(ByteView packet, absl::string_view beginning, Message& message,
                   wire::DecodeScratch& scratch) {
    const std::size_t at = AsText(packet).find(beginning);
    return at != absl::string_view::npos &&
           Decode(packet.subspan(at), message, scratch) == wire::DecodeResult::kOk;
  }
  void OnPacket(const LoneSerf::Packet& packet) {
    wire::DecodeScratch scratch;
    wire::Ping ping;
    if (Find(packet.bytes, "\x85\xa4Node", ping, scratch) && !silent_.contains(packet.to)) {
      ByteVector ack;
      Encode(wire::Ack{.seq_no = ping.seq_no, .payload = {}}, ack);
      self_.ReceivePacket(ack, packet.to);
    }
    wire::DecodeScratch other;
    wire::QueryMessage query;
    if (!Find(packet.bytes,
              "\x8b\xa4"
              "Addr",
              query, other))
      return;
    EXPECT_EQ(query.name, "_serf_conflict");
    EXPECT_EQ(AsText(query.payload), "self");
    time_ = query.ltime;
    number_ = query.id;
  }

  std::set<Endpoint> silent_;
  LamportTime time_;
  std::uint32_t number_ = 0;
};

TEST_F(ConflictTest, AMajorityKeepsTheNode) {
  Members({"a", "b", "c"});
  Claim();
  Vote("a", kLow);
  Vote("b", kHigh);
  Vote("c", kLow);
  RunFor(seconds(4));
  EXPECT_TRUE(self_.log().Has("[INFO] serf: majority in name conflict resolution [2 / 3]"));
  EXPECT_TRUE(Lives());
  EXPECT_THAT(self_.TakeUpdates(), IsEmpty());
}

TEST_F(ConflictTest, AMinorityShutsDown) {
  Members({"a", "b", "c"});
  Claim();
  const RequestId leave = self_.ForceLeave("x", {});
  Vote("a", kHigh);
  VoteBytes("b", LoneSerf::EndpointOf("b"), EncodeBallot(std::nullopt));
  Vote("c", kLow);
  EXPECT_TRUE(Lives());
  RunFor(seconds(4));
  EXPECT_TRUE(
      self_.log().Has("[WARN] serf: minority in name conflict resolution, quitting [1 / 3]"));
  EXPECT_EQ(self_.serf().state(), Serf::State::kShutdown);
  EXPECT_NE(self_.Result(leave), "pending");
}

// In Go Serf both nodes shut down.
TEST_F(ConflictTest, WithoutVotersNobodyGivesWay) {
  Claim();
  RunFor(seconds(4));
  EXPECT_TRUE(Lives());
  EXPECT_TRUE(
      self_.log().Has("[WARN] serf: nobody answered in name conflict resolution, staying [0 / 0]"));
  // But the node holds another vote later.
  Claim();
  EXPECT_EQ(self_.Stat("query_time"), "2");
  RunFor(seconds(30));
  Claim();
  EXPECT_EQ(self_.Stat("query_time"), "3");
}

// The other node may be Go Serf, which gives way at once: then there is no second vote.
TEST_F(ConflictTest, OfATieTheGreaterAddressGoesAtTheSecond) {
  Members({"a", "b"});
  const Endpoint lower{IpAddress::V4(9, 0, 0, 1), 7946};
  for (const bool second : {false, true}) {
    Claim(lower);
    Vote("a", kLow);
    Vote("b", lower);
    RunFor(seconds(4));
    EXPECT_EQ(Lives(), !second);
    EXPECT_TRUE(self_.log().Has(
        "[WARN] serf: tie in name conflict resolution, staying until the next [1 / 2]"));
    RunFor(NameConflict::kRetryInterval);
  }
  EXPECT_TRUE(
      self_.log().Has("[WARN] serf: minority in name conflict resolution, quitting [1 / 2]"));
}

TEST_F(ConflictTest, OneVoteAtATime) {
  Members({"a"});
  for (int i = 0; i < 10; ++i) Claim();
  EXPECT_EQ(self_.Stat("query_time"), "2");
}

TEST_F(ConflictTest, OnlyMembersVoteAndOnlySense) {
  Members({"a", "b"});
  Claim();
  Vote("stranger", kHigh);
  Vote("another", kHigh);
  VoteBytes("b", LoneSerf::EndpointOf("b"), {5});
  VoteBytes("b", LoneSerf::EndpointOf("b"), {});
  Vote("a", kLow);
  RunFor(seconds(4));
  EXPECT_TRUE(self_.log().Has("[INFO] serf: majority in name conflict resolution [1 / 1]"));
  EXPECT_TRUE(self_.log().Has("[ERR] serf: Invalid conflict query response type: 5"));
}

// --- voters that the claimant made up ---

const std::vector<std::string> kMadeUp = {"v1", "v2", "v3", "v4", "v5", "v6", "v7", "v8", "v9"};

TEST_F(ConflictTest, VotersThatAnswerNoProbeDoNotCount) {
  Members({"a", "b"});
  Silence(kMadeUp);
  for (const std::string& name : kMadeUp) self_.PeerAlive(name);
  RunFor(seconds(1));
  Claim();
  for (const std::string& name : kMadeUp) Vote(name, kHigh);
  Vote("a", kLow);
  RunFor(seconds(7));
  EXPECT_TRUE(Lives());
  EXPECT_TRUE(self_.log().Has("[INFO] serf: majority in name conflict resolution [1 / 1]"));
}

TEST_F(ConflictTest, AHostHasOneVoteHoweverManyMembersItHas) {
  Members({"a", "b"});
  const Endpoint host = LoneSerf::EndpointOf("the host of all");
  for (std::size_t i = 0; i < kMadeUp.size(); ++i) {
    SayAlive(kMadeUp[i], {host.address, static_cast<std::uint16_t>(1000 + i)});
  }
  RunFor(seconds(20));
  Claim();
  for (const std::string& name : kMadeUp) VoteFrom(name, host, kHigh);
  Vote("a", kLow);
  Vote("b", kLow);
  RunFor(seconds(7));
  EXPECT_TRUE(Lives());
  EXPECT_TRUE(self_.log().Has("[INFO] serf: majority in name conflict resolution [2 / 3]"));
}

TEST_F(ConflictTest, VotersThatCameAfterTheClaimDoNotCount) {
  Members({"a", "b"});
  Claim();
  RunFor(NameConflict::kJoinTime + milliseconds(20));
  for (const std::string& name : kMadeUp) self_.PeerAlive(name);
  for (const std::string& name : kMadeUp) Vote(name, kHigh);
  Vote("a", kLow);
  RunFor(seconds(7));
  EXPECT_TRUE(Lives());
  EXPECT_TRUE(self_.log().Has("[INFO] serf: majority in name conflict resolution [1 / 1]"));
}

// Votes from elsewhere, in the names of members that would have voted for this node. They do not
// silence those members either.
TEST_F(ConflictTest, AVoteInTheNameOfAnotherDoesNotCount) {
  Members({"a", "b", "c"});
  Claim();
  for (const char* name : {"a", "b", "c"}) VoteFrom(name, kHigh, kHigh);
  for (const char* name : {"a", "b", "c"}) Vote(name, kLow);
  RunFor(seconds(4));
  EXPECT_TRUE(Lives());
  EXPECT_TRUE(self_.log().Has("[INFO] serf: majority in name conflict resolution [3 / 3]"));
  EXPECT_EQ(self_.serf().counters().dropped_reply, 3u);
}

// All of that for a minute: the claimant's members outnumber the others and answer probes, and the
// claimant votes in the names of all before they do.
TEST_F(ConflictTest, AClaimOfTheNameMakesNobodyDie) {
  const std::vector<std::string> honest = {"a", "b", "c"};
  Members(honest);
  const Endpoint host = LoneSerf::EndpointOf("the host of the claimant");
  for (std::size_t i = 0; i < kMadeUp.size(); ++i) {
    SayAlive(kMadeUp[i], {host.address, static_cast<std::uint16_t>(1000 + i)});
  }
  RunFor(seconds(20));
  const std::uint64_t before = std::stoul(self_.Stat("query_time"));
  for (int second = 0; second < 60; ++second) {
    Claim({host.address, 7946});
    for (const std::string& name : honest) VoteFrom(name, host, {host.address, 7946});
    for (const std::string& name : kMadeUp) VoteFrom(name, host, {host.address, 7946});
    for (const std::string& name : honest) Vote(name, kLow);
  }
  EXPECT_TRUE(Lives());
  EXPECT_TRUE(self_.log().Has("[INFO] serf: majority in name conflict resolution [3 / 4]"));
  EXPECT_LE(std::stoul(self_.Stat("query_time")) - before,
            seconds(120) / NameConflict::kRetryInterval + 1);
}

TEST_F(ConflictTest, TheSilenceOfOthersIsNoVote) {
  Members({"a", "b", "c"});
  Claim();
  Vote("c", kHigh);
  RunFor(seconds(4));
  EXPECT_TRUE(Lives());
  EXPECT_TRUE(self_.log().Has(
      "[WARN] serf: too few answered in name conflict resolution, staying [0 / 1]"));
}

TEST_F(ConflictTest, TheLoserSaysWhy) {
  Members({"a"});
  Claim();
  Vote("a", kHigh);
  RunFor(seconds(4));
  EXPECT_FALSE(Lives());
  EXPECT_TRUE(
      self_.log().Has("[ERR] serf: The name 'self' belongs to another node, at "
                      "10.0.0.2:7946: this one must have another"));
}

class NoResolutionTest : public ConflictTest {
 protected:
  static Config Disabled() {
    Config config = Probing();
    config.enable_name_conflict_resolution = false;
    return config;
  }
  NoResolutionTest() : ConflictTest(Disabled()) {}
};

TEST_F(NoResolutionTest, IsLoggedOnly) {
  Claim();
  EXPECT_TRUE(self_.log().Has(
      "[ERR] serf: Node name conflicts with another node at 10.0.0.2:7946. Names must be unique! "
      "(Resolution enabled: false)"));
  EXPECT_EQ(self_.Stat("query_time"), "1");
}

// --- voting ---

class VoterTest : public ConflictTest {
 protected:
  VoterTest() : ConflictTest(LoneSerf::DefaultConfig()) {}

  // The answers to a conflict query of "a" about this name.
  std::vector<ByteVector> Ask(absl::string_view name) {
    wire::QueryMessage query;
    query.ltime = LamportTime(5);
    query.id = 77;
    const Endpoint endpoint = LoneSerf::EndpointOf("a");
    query.addr = endpoint.address.bytes();
    query.port = endpoint.port;
    query.source_node = "a";
    query.flags = wire::kQueryFlagNoBroadcast;
    query.timeout_ns = Duration(seconds(10)).count();
    query.name = "_serf_conflict";
    query.payload = AsBytes(name);
    self_.Receive(query);
    std::vector<ByteVector> ballots;
    for (const LoneSerf::Packet& packet : self_.TakePackets()) {
      wire::DecodeScratch scratch;
      wire::QueryResponseMessage response;
      EXPECT_EQ(Decode(ByteView(packet.bytes).subspan(2), response, scratch),
                wire::DecodeResult::kOk);
      ballots.emplace_back(response.payload.begin(), response.payload.end());
    }
    return ballots;
  }
};

TEST_F(VoterTest, SaysWhomItKnows) {
  Members({"a", "b"});
  const std::vector<ByteVector> ballots = Ask("b");
  ASSERT_THAT(ballots, SizeIs(1));
  EXPECT_EQ(ballots[0], EncodeBallot(self_.serf().FindMember("b")));
  wire::DecodeScratch scratch;
  wire::ConflictResponse response;
  ASSERT_EQ(Decode(ByteView(ballots[0]).subspan(1), response, scratch), wire::DecodeResult::kOk);
  EXPECT_EQ(response.name, "b");
  EXPECT_EQ(response.port, 7946);
  EXPECT_EQ(response.status, 1);
  EXPECT_EQ(response.delegate_cur, 5);
  EXPECT_TRUE(self_.log().Has("[DEBUG] serf: Got conflict resolution query for 'b'"));
}

TEST_F(VoterTest, TheUnknownIsNil) {
  Members({"a"});
  const std::vector<ByteVector> ballots = Ask("nobody");
  ASSERT_THAT(ballots, SizeIs(1));
  EXPECT_EQ(ballots[0], (ByteVector{0x06, 0xc0}));
}

// It cannot become a member as long as it has that name, and must learn why.
TEST_F(VoterTest, AContestantThatIsNoMemberIsToldButSeldom) {
  Members({"a"});
  const Endpoint impostor = LoneSerf::EndpointOf("impostor");
  const auto ask = [&](std::uint32_t id, absl::string_view about) {
    wire::QueryMessage query;
    query.ltime = LamportTime(5);
    query.id = id;
    query.addr = impostor.address.bytes();
    query.port = impostor.port;
    query.source_node = "a";
    query.flags = wire::kQueryFlagNoBroadcast;
    query.timeout_ns = Duration(seconds(10)).count();
    query.name = "_serf_conflict";
    query.payload = AsBytes(about);
    self_.Receive(query);
    return self_.TakePackets().size();
  };
  EXPECT_EQ(ask(1, "b"), 0u);
  EXPECT_EQ(ask(2, "a"), 1u);
  EXPECT_EQ(ask(3, "a"), 0u);
  self_.RunFor(seconds(1));
  EXPECT_EQ(ask(4, "a"), 1u);
}

TEST_F(VoterTest, AContestantIsSilent) {
  Members({"a"});
  EXPECT_THAT(Ask("self"), IsEmpty());
}

}  // namespace
}  // namespace serf
