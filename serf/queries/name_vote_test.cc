// NameConflict by itself: which members may vote about this node's name, and how a vote ends.
// name_conflict_test.cc shows the same through the whole machine.

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "serf/lamport/checked_clock.h"
#include "serf/queries/name_conflict.h"
#include "serf/queries/query_issuer.h"
#include "serf/testing/node/serf_part.h"

namespace serf {
namespace {

using std::chrono::microseconds;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using testkit::Peers;

// Addresses beside that of "self", 10.0.0.1.
constexpr Endpoint kGreater{IpAddress::V4(10, 0, 0, 2), 7946};
constexpr Endpoint kLess{IpAddress::V4(9, 0, 0, 1), 7946};

class NameVoteTest : public ::testing::Test, protected testkit::SerfPart {
 protected:
  // Members that have answered a probe.
  void AddVoters(const std::vector<std::string>& names) {
    AddPeers(names);
    for (const std::string& name : names) conflict_.OnProbeAnswered(IndexOf(name));
  }
  // Another node claims to be "self". Returns the query of the vote, if one begins.
  std::optional<QueryId> Claim(const Endpoint& other = kGreater) {
    conflict_.OnConflict(now_, node_.self(), other);
    const std::vector<SerfContext::Message> sent = TakeSent();
    if (sent.empty()) return std::nullopt;
    wire::DecodeScratch scratch;
    wire::QueryMessage message;
    EXPECT_EQ(Decode(ByteView(sent[0].bytes).subspan(1), message, scratch),
              wire::DecodeResult::kOk);
    EXPECT_EQ(message.name, kConflictQuery);
    EXPECT_EQ(AsText(message.payload), "self");
    return QueryId{message.ltime, message.id};
  }
  // An answer to the vote that names this endpoint.
  void Vote(QueryId query, absl::string_view voter, const Endpoint& endpoint) {
    Member member;
    member.name = "self";
    member.endpoint = endpoint;
    VoteBytes(query, voter, EncodeBallot(member));
  }
  void VoteBytes(QueryId query, absl::string_view voter, const ByteVector& ballot) {
    EXPECT_TRUE(conflict_.OnUpdate(now_, {.query = query,
                                          .kind = QueryUpdate::Kind::kResponse,
                                          .from = std::string(voter),
                                          .payload = std::string(AsText(ballot))}));
  }
  void VoteFor(QueryId query, absl::string_view voter) {
    Vote(query, voter, config_.swim.advertise);
  }
  void VoteAgainst(QueryId query, absl::string_view voter) { Vote(query, voter, kGreater); }
  // The count at the end: "[1 / 2]".
  std::string End(QueryId query) {
    const std::size_t before = log_.lines().size();
    EXPECT_TRUE(conflict_.OnUpdate(now_, {.query = query}));
    for (std::size_t i = before; i < log_.lines().size(); ++i) {
      const std::string& line = log_.lines()[i];
      if (line.back() == ']') return line.substr(line.rfind('['));
    }
    return "no count";
  }
  bool lost() const { return conflict_.name_lost(); }

  CheckedClock clock_{"queries", &log_, context_.counters};
  QueryIssuer issuer_{context_, clock_};
  NameConflict conflict_{context_, members_, issuer_};
};

// --- when a vote is held ---

TEST_F(NameVoteTest, AClaimOfTheOwnNameBeginsAVoteAndOneOfAnotherNameIsLogged) {
  AddPeer("a");
  conflict_.OnConflict(now_, IndexOf("a"), kGreater);
  EXPECT_THAT(TakeSent(), IsEmpty());
  EXPECT_TRUE(log_.Contains("serf: Name conflict for 'a' both "));
  EXPECT_TRUE(Claim());
  EXPECT_FALSE(lost());
}

TEST_F(NameVoteTest, NoVoteIsHeldIfThatIsNotWanted) {
  config_.enable_name_conflict_resolution = false;
  EXPECT_EQ(Claim(), std::nullopt);
}

TEST_F(NameVoteTest, OneVoteIsHeldAtATimeAndTheNextAfterThePause) {
  const std::optional<QueryId> vote = Claim();
  ASSERT_TRUE(vote);
  Pass(2 * NameConflict::kRetryInterval);
  EXPECT_EQ(Claim(), std::nullopt);
  End(*vote);
  Pass(NameConflict::kRetryInterval - Duration(1));
  EXPECT_EQ(Claim(), std::nullopt);
  Pass(Duration(1));
  EXPECT_TRUE(Claim());
}

TEST_F(NameVoteTest, AQueryThatCannotBeSentIsTriedAfterThePause) {
  config_.protocol_version = 3;
  EXPECT_EQ(Claim(), std::nullopt);
  config_.protocol_version = 5;
  EXPECT_EQ(Claim(), std::nullopt);
  Pass(NameConflict::kRetryInterval);
  EXPECT_TRUE(Claim());
}

TEST_F(NameVoteTest, UpdatesOfOtherQueriesAreNotItsOwn) {
  EXPECT_FALSE(conflict_.OnUpdate(now_, {}));
  const std::optional<QueryId> vote = Claim();
  ASSERT_TRUE(vote);
  EXPECT_FALSE(conflict_.OnUpdate(now_, {.query = {vote->time, vote->number + 1}}));
  End(*vote);
  EXPECT_FALSE(conflict_.OnUpdate(now_, {.query = *vote}));
}

// --- who may vote ---

TEST_F(NameVoteTest, AnAnswerToTheVoteIsLookedAtOnlyFromTheHostOfTheMember) {
  AddPeer("a");
  const Endpoint a = Peers::EndpointOf("a");
  const QueryId other{wire::LamportTime(9), 9};
  EXPECT_TRUE(conflict_.MayAnswer(other, "a", kGreater));
  const std::optional<QueryId> vote = Claim();
  ASSERT_TRUE(vote);
  const struct {
    QueryId query;
    const char* from;
    Endpoint source;
    bool may;
  } kTable[] = {
      {*vote, "a", a, true},         {*vote, "a", {a.address, 1}, true},
      {*vote, "a", kGreater, false}, {*vote, "stranger", a, false},
      {other, "a", kGreater, true},  {other, "stranger", kGreater, true},
  };
  for (const auto& row : kTable) {
    EXPECT_EQ(conflict_.MayAnswer(row.query, row.from, row.source), row.may)
        << row.from << " " << row.source.ToString();
  }
}

TEST_F(NameVoteTest, OnlyMembersThatAnsweredAProbeCount) {
  AddVoters({"a", "b"});
  AddPeer("silent");
  conflict_.OnNodeJoin(IndexOf("b"));  // a member again, and has answered no probe since
  const std::optional<QueryId> vote = Claim();
  ASSERT_TRUE(vote);
  VoteFor(*vote, "a");
  VoteAgainst(*vote, "b");
  VoteAgainst(*vote, "silent");
  VoteAgainst(*vote, "stranger");
  VoteAgainst(*vote, "self");
  EXPECT_EQ(End(*vote), "[1 / 1]");
}

TEST_F(NameVoteTest, OnlyTheLivingCount) {
  AddVoters({"a", "failed", "leaving"});
  const std::optional<QueryId> vote = Claim();
  ASSERT_TRUE(vote);
  for (const char* name : {"failed", "leaving"}) VoteAgainst(*vote, name);
  KillPeer("failed");
  members_.OnLeaveMessage(now_, "leaving", wire::LamportTime(5), /*prune=*/false);
  VoteFor(*vote, "a");
  EXPECT_EQ(End(*vote), "[1 / 1]");
}

TEST_F(NameVoteTest, WhoBecameAMemberLongAfterTheClaimDoesNotCount) {
  AddVoters({"before"});
  const std::optional<QueryId> vote = Claim();
  ASSERT_TRUE(vote);
  Pass(NameConflict::kJoinTime);
  AddVoters({"with"});
  Pass(microseconds(1));
  AddVoters({"after"});
  for (const char* name : {"before", "with", "after"}) VoteFor(*vote, name);
  EXPECT_EQ(End(*vote), "[2 / 2]");
}

TEST_F(NameVoteTest, AHostHasOneVoteThatOfItsFirstMemberWhichVoted) {
  AddVoters({"a", "b"});
  const Endpoint b = Peers::EndpointOf("b");
  for (std::uint16_t port = 1; port <= 3; ++port) {
    const std::string name = absl::StrCat("b", port);
    AddPeerAt(name, {b.address, port});
    conflict_.OnProbeAnswered(IndexOf(name));
  }
  const std::optional<QueryId> vote = Claim();
  ASSERT_TRUE(vote);
  for (const char* name : {"b3", "b2"}) VoteAgainst(*vote, name);
  for (const char* name : {"a", "b1"}) VoteFor(*vote, name);
  EXPECT_EQ(End(*vote), "[2 / 2]");
}

TEST_F(NameVoteTest, BallotsThatMakeNoSenseDoNotCountAndOneOfNobodyIsAgainst) {
  AddVoters({"a", "b", "c", "d"});
  const std::optional<QueryId> vote = Claim();
  ASSERT_TRUE(vote);
  Member member;
  member.endpoint = config_.swim.advertise;
  ByteVector cut = EncodeBallot(member);
  cut.pop_back();
  VoteBytes(*vote, "a", cut);
  VoteBytes(*vote, "b", {});
  VoteBytes(*vote, "c", testkit::Encoded(wire::KeyRequest{}));
  VoteBytes(*vote, "d", EncodeBallot(std::nullopt));
  EXPECT_EQ(End(*vote), "[0 / 1]");
  EXPECT_FALSE(lost());  // three of four did not vote
}

// --- what comes of it ---

TEST_F(NameVoteTest, TheNameIsLostIfMoreThanHalfOfTheVotersAreAgainst) {
  const struct {
    std::size_t in_favour;
    std::size_t against;
    bool lost;
  } kTable[] = {
      {0, 0, false}, {3, 0, false}, {2, 1, false}, {0, 2, false}, {1, 2, false}, {0, 3, true},
  };
  const std::vector<std::string> voters = {"a", "b", "c", "d", "e"};
  AddVoters(voters);
  for (const auto& row : kTable) {
    ASSERT_FALSE(lost());
    const std::optional<QueryId> vote = Claim();
    ASSERT_TRUE(vote);
    for (std::size_t i = 0; i < row.in_favour + row.against; ++i) {
      i < row.in_favour ? VoteFor(*vote, voters[i]) : VoteAgainst(*vote, voters[i]);
    }
    EXPECT_EQ(End(*vote),
              absl::StrCat("[", row.in_favour, " / ", row.in_favour + row.against, "]"));
    EXPECT_EQ(lost(), row.lost) << row.in_favour << " " << row.against;
    Pass(NameConflict::kRetryInterval);
  }
}

TEST_F(NameVoteTest, OfATieTheGreaterAddressLosesAtTheSecondInARow) {
  AddVoters({"a", "b"});
  // A tie, or a vote that this node wins.
  const auto hold = [&](bool tie, const Endpoint& other) {
    const std::optional<QueryId> vote = Claim(other);
    ASSERT_TRUE(vote);
    VoteFor(*vote, "a");
    tie ? Vote(*vote, "b", other) : VoteFor(*vote, "b");
    End(*vote);
    Pass(NameConflict::kRetryInterval);
  };
  for (int i = 0; i < 3; ++i) hold(/*tie=*/true, kGreater);
  hold(/*tie=*/true, kLess);
  hold(/*tie=*/false, kLess);
  hold(/*tie=*/true, kLess);
  EXPECT_FALSE(lost());
  hold(/*tie=*/true, kLess);
  EXPECT_TRUE(lost());
  EXPECT_TRUE(log_.Contains("belongs to another node, at 9.0.0.1:7946"));
}

TEST_F(NameVoteTest, ABallotSaysWhatIsKnownOfTheName) {
  AddPeer("a", {{"role", "db"}});
  const ByteVector ballot = EncodeBallot(members_.Find("a"));
  wire::DecodeScratch scratch;
  wire::ConflictResponse response;
  ASSERT_EQ(Decode(ByteView(ballot).subspan(1), response, scratch), wire::DecodeResult::kOk);
  EXPECT_EQ(response.name, "a");
  EXPECT_EQ(IpAddress::FromBytes(response.addr), Peers::EndpointOf("a").address);
  EXPECT_EQ(response.port, 7946);
  EXPECT_EQ(response.status, static_cast<std::int64_t>(MemberStatus::kAlive));
  std::vector<std::string> tags;
  response.tags.ForEach(
      [&](const wire::TagEntry& tag) { tags.push_back(absl::StrCat(tag.name, "=", tag.value)); });
  EXPECT_THAT(tags, ElementsAre("role=db"));
}

}  // namespace
}  // namespace serf
