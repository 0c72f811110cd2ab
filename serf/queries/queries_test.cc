#include "serf/queries/queries.h"

#include <chrono>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "serf/serf.h"
#include "serf/testing/node/lone_serf.h"
#include "serf/wire/message_type.h"

namespace serf {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using testkit::LoneSerf;
using wire::LamportTime;

wire::QueryResponseMessage ResponseOf(QueryId query, absl::string_view from,
                                      absl::string_view payload, bool ack = false) {
  wire::QueryResponseMessage response;
  response.ltime = query.time;
  response.id = query.number;
  response.from = from;
  response.flags = ack ? wire::kResponseFlagAck : 0;
  if (!payload.empty()) response.payload = AsBytes(payload);
  return response;
}

// --- own queries ---

class OwnQueryTest : public ::testing::Test {
 protected:
  OwnQueryTest() {
    self_.PeerAlive("a");
    self_.PeerAlive("b", {{"role", "web"}});
    self_.RunFor(seconds(5));
    self_.TakeEvents();
    self_.TakePackets();
  }
  QueryId Ask(const QueryParams& params = {}, absl::string_view name = "uptime") {
    const absl::StatusOr<QueryId> query = self_.SendQuery(name, "", params);
    EXPECT_TRUE(query.ok()) << query.status();
    return query.value_or(QueryId());
  }

  LoneSerf self_;
};

TEST_F(OwnQueryTest, AsksThisNodeTooAndGossips) {
  const QueryId query = Ask();
  EXPECT_EQ(query.time, LamportTime(1));
  const std::vector<QueryEvent> asked = self_.TakeQueries();
  ASSERT_THAT(asked, SizeIs(1));
  EXPECT_EQ(asked[0].id, query);
  EXPECT_EQ(asked[0].name, "uptime");
  EXPECT_EQ(asked[0].source_node, "self");
  EXPECT_EQ(asked[0].deadline, self_.time() + milliseconds(3200));
  EXPECT_EQ(self_.Stat("query_queue"), "1");
  EXPECT_EQ(self_.Stat("query_time"), "2");
  self_.RunFor(seconds(2));
  EXPECT_EQ(self_.Stat("query_queue"), "0");
}

TEST_F(OwnQueryTest, CollectsUntilTheTimeIsOver) {
  const QueryId query = Ask();
  self_.Receive(ResponseOf(query, "a", "1"));
  self_.Receive(ResponseOf(query, "a", "2"));
  self_.Receive(ResponseOf(query, "b", ""));
  EXPECT_EQ(self_.Respond(query, "mine"), "ok");
  EXPECT_THAT(self_.TakeUpdates(),
              ElementsAre("response a: 1", "response b: ", "response self: mine"));
  EXPECT_EQ(self_.serf().counters().query_duplicate_responses, 1u);
  self_.RunFor(milliseconds(3199));
  EXPECT_THAT(self_.TakeUpdates(), IsEmpty());
  self_.RunFor(milliseconds(1));
  EXPECT_THAT(self_.TakeUpdates(), ElementsAre("done"));
  self_.Receive(ResponseOf(query, "c", "late"));
  EXPECT_THAT(self_.TakeUpdates(), IsEmpty());
  EXPECT_TRUE(self_.log().Contains("reply for non-running query"));
}

TEST_F(OwnQueryTest, AcksComeIfTheyAreAskedFor) {
  QueryId query = Ask({.request_ack = true});
  self_.Receive(ResponseOf(query, "a", "", true));
  EXPECT_THAT(self_.TakeUpdates(), ElementsAre("ack self", "ack a"));
  query = Ask();
  self_.Receive(ResponseOf(query, "a", "", true));
  EXPECT_THAT(self_.TakeUpdates(), IsEmpty());
  EXPECT_TRUE(self_.log().Has("[WARN] serf: Failed to deliver query response, dropping"));
}

TEST_F(OwnQueryTest, FinishesEarlyIfAsked) {
  const QueryId query = Ask({.request_ack = true, .finish_early = true});
  self_.Respond(query, "x");
  for (const char* name : {"a", "b"}) {
    self_.Receive(ResponseOf(query, name, "", true));
    EXPECT_FALSE(absl::StrContains(::testing::PrintToString(self_.TakeUpdates()), "done"));
    self_.Receive(ResponseOf(query, name, "x"));
  }
  EXPECT_THAT(self_.TakeUpdates(), ElementsAre("response b: x", "done"));
}

TEST_F(OwnQueryTest, ExpectsOnlyWhoPassesTheFilters) {
  QueryParams params{.finish_early = true};
  params.filter_tags = {{"role", "^web$"}};
  const QueryId query = Ask(params);
  EXPECT_THAT(self_.TakeQueries(), IsEmpty());  // not for this node
  self_.Receive(ResponseOf(query, "b", "x"));
  EXPECT_THAT(self_.TakeUpdates(), ElementsAre("response b: x", "done"));
}

TEST_F(OwnQueryTest, WaitsForTheUnknownWhoWasNamed) {
  QueryParams params{.finish_early = true};
  params.filter_nodes = {"a", "newcomer"};
  const QueryId query = Ask(params);
  self_.Receive(ResponseOf(query, "a", "x"));
  EXPECT_THAT(self_.TakeUpdates(), ElementsAre("response a: x"));
  self_.Receive(ResponseOf(query, "newcomer", "y"));
  EXPECT_THAT(self_.TakeUpdates(), ElementsAre("response newcomer: y", "done"));
}

TEST_F(OwnQueryTest, WhoeverMayAnswerGetsTheWholeTimeIfNobodyIsExpected) {
  QueryParams params{.finish_early = true};
  params.filter_tags = {{"role", "("}};
  Ask(params);
  self_.RunFor(milliseconds(3199));
  EXPECT_THAT(self_.TakeUpdates(), IsEmpty());
}

TEST_F(OwnQueryTest, APingWantsAcksOnly) {
  const QueryId query = Ask({.request_ack = true, .finish_early = true}, "_serf_ping");
  EXPECT_THAT(self_.TakeQueries(), IsEmpty());
  self_.Receive(ResponseOf(query, "a", "", true));
  self_.Receive(ResponseOf(query, "b", "", true));
  EXPECT_THAT(self_.TakeUpdates(), ElementsAre("ack self", "ack a", "ack b", "done"));
}

TEST_F(OwnQueryTest, AReplyWithAnotherNumberIsDropped) {
  QueryId query = Ask();
  query.number ^= 1;
  self_.Receive(ResponseOf(query, "a", "x"));
  EXPECT_THAT(self_.TakeUpdates(), IsEmpty());
  EXPECT_TRUE(self_.log().Contains("query reply ID mismatch (Local: "));
}

TEST_F(OwnQueryTest, EachHasATimeOfItsOwn) {
  const QueryId first = Ask();
  const QueryId second = Ask();
  EXPECT_NE(first.time, second.time);
  self_.Receive(ResponseOf(first, "a", "1"));
  self_.Receive(ResponseOf(second, "a", "2"));
  EXPECT_THAT(self_.TakeUpdates(), ElementsAre("response a: 1", "response a: 2"));
}

TEST_F(OwnQueryTest, CancelledOnesFreeTheirPlace) {
  const QueryId kept = Ask();
  const QueryId cancelled = Ask({.timeout = hours(1)});
  while (self_.SendQuery("n", "", {.timeout = hours(1)}).ok()) continue;
  self_.CancelQuery({cancelled.time, cancelled.number + 1});  // of another node
  EXPECT_THAT(self_.TakeUpdates(), IsEmpty());
  self_.CancelQuery(cancelled);
  EXPECT_THAT(self_.TakeUpdates(), ElementsAre("done"));
  self_.CancelQuery(cancelled);
  self_.Receive(ResponseOf(cancelled, "a", "late"));
  self_.Receive(ResponseOf(kept, "a", "in time"));
  EXPECT_THAT(self_.TakeUpdates(), ElementsAre("response a: in time"));
  EXPECT_TRUE(self_.SendQuery("n", "", {.timeout = hours(1)}).ok());
  EXPECT_FALSE(self_.SendQuery("n").ok());
}

// A Judgement finds out which tags match an expensive expression; the query ends early all the
// same.
TEST_F(OwnQueryTest, TheAudienceIsJudgedElsewhere) {
  self_.PeerAlive("c", {{"role", "x"}});
  self_.HoldJudgements();
  QueryParams params;
  params.filter_tags = {{"role", "^\\pL{3,64}$"}};
  params.timeout = seconds(10);
  params.finish_early = true;
  const absl::StatusOr<QueryId> query = self_.SendQuery("n", "", params);
  ASSERT_TRUE(query.ok());
  // One of them judges this node itself.
  const auto judgements = self_.TakeJudgements();
  ASSERT_EQ(judgements.size(), 2u);
  self_.Receive(ResponseOf(*query, "b", "x"));
  EXPECT_THAT(self_.TakeUpdates(), ElementsAre("response b: x"));
  for (const auto& judgement : judgements) {
    judgement->Run([] { return Duration::zero(); });
    self_.Judged(*judgement);
  }
  EXPECT_THAT(self_.TakeUpdates(), ElementsAre("done"));
  EXPECT_TRUE(self_.TakeQueries().empty());
}

TEST_F(OwnQueryTest, WithoutAJudgementItTakesItsWholeTime) {
  self_.HoldJudgements();
  QueryParams params;
  params.filter_tags = {{"role", "^\\pL{3,64}$"}};
  params.timeout = seconds(10);
  params.finish_early = true;
  const absl::StatusOr<QueryId> query = self_.SendQuery("n", "", params);
  ASSERT_TRUE(query.ok());
  for (const auto& judgement : self_.TakeJudgements()) self_.Judged(*judgement);
  self_.Receive(ResponseOf(*query, "b", "x"));
  EXPECT_THAT(self_.TakeUpdates(), ElementsAre("response b: x"));
  self_.RunFor(seconds(11));
  EXPECT_THAT(self_.TakeUpdates(), ElementsAre("done"));
}

TEST_F(OwnQueryTest, ErrorsSayWhy) {
  EXPECT_EQ(self_.SendQuery("n", std::string(1024, 'x')).status().message(),
            "query exceeds limit of 1024 bytes");
  EXPECT_EQ(self_.SendQuery("n", "", {.timeout = -seconds(1)}).status().message(),
            "query timeout must not be negative");
  EXPECT_EQ(self_.Stat("query_time"), "1");
  for (std::size_t i = 0; i < QueryIssuer::kRunningMax; ++i) Ask();
  EXPECT_EQ(self_.SendQuery("n").status().message(), "too many queries are running");
  self_.RunFor(seconds(4));
  EXPECT_TRUE(self_.SendQuery("n").ok());
  self_.Shutdown();
  EXPECT_EQ(self_.SendQuery("n").status().message(), "Serf has been shut down");
}

TEST(OldProtocolTest, HasNoQueries) {
  Config config = LoneSerf::DefaultConfig();
  config.protocol_version = 3;
  LoneSerf self(config);
  EXPECT_EQ(self.SendQuery("n").status().message(), "Feature not supported");
}

TEST_F(OwnQueryTest, LongTimeoutsAreCut) {
  Ask({.timeout = hours(1000)});
  EXPECT_EQ(self_.TakeQueries().at(0).deadline, self_.time() + hours(1));
}

TEST_F(OwnQueryTest, ShutdownEndsThem) {
  Ask();
  Ask();
  self_.Shutdown();
  EXPECT_THAT(self_.TakeUpdates(), ElementsAre("done", "done"));
}

// --- queries of others ---

class OthersQueryTest : public ::testing::Test {
 protected:
  OthersQueryTest() {
    self_.PeerAlive("a");
    Calm();
  }
  // Empties the gossip queues.
  void Calm() {
    self_.RunFor(seconds(5));
    self_.TakeEvents();
    self_.TakePackets();
  }

  void Ask(absl::string_view source = "a", std::uint32_t flags = wire::kQueryFlagNoBroadcast,
           std::uint8_t relay_factor = 0, Duration timeout = seconds(10)) {
    wire::QueryMessage query;
    query.ltime = LamportTime(5);
    query.id = 77;
    const Endpoint endpoint = LoneSerf::EndpointOf(source);
    query.addr = endpoint.address.bytes();
    query.port = endpoint.port;
    query.source_node = source;
    query.flags = flags;
    query.relay_factor = relay_factor;
    query.timeout_ns = timeout.count();
    query.name = "uptime";
    self_.Receive(query);
  }
  // One more query, whose acknowledgement goes to the address of "a". With an empty `source` the
  // query does not name the asking node.
  void AskAt(std::uint64_t time, absl::string_view source, std::uint8_t relay_factor = 0) {
    wire::QueryMessage query;
    query.ltime = LamportTime(time);
    const Endpoint endpoint = LoneSerf::EndpointOf("a");
    query.addr = endpoint.address.bytes();
    query.port = endpoint.port;
    query.source_node = source;
    query.flags = wire::kQueryFlagAck | wire::kQueryFlagNoBroadcast;
    query.relay_factor = relay_factor;
    query.timeout_ns = Duration(seconds(10)).count();
    self_.Receive(query);
  }
  // The encoded user message.
  static std::string AnswerOf(absl::string_view payload, bool ack = false) {
    ByteVector bytes = {static_cast<std::uint8_t>(wire::MessageType::kUser)};
    ByteVector message;
    Encode(ResponseOf(kQuery, "self", payload, ack), message);
    Append(bytes, message);
    return std::string(AsText(bytes));
  }
  // The packets since the last call: where they went, and whether they hold the answer.
  std::vector<std::string> Sent(const std::string& answer) {
    std::vector<std::string> sent;
    for (const LoneSerf::Packet& packet : self_.TakePackets()) {
      const bool whole = AsText(packet.bytes) == answer;
      const bool relay = absl::StrContains(AsText(packet.bytes), answer.substr(1)) && !whole;
      sent.push_back(absl::StrCat(packet.to.ToString(), whole   ? " answer"
                                                        : relay ? " relay"
                                                                : " other"));
    }
    return sent;
  }
  static std::string To(absl::string_view node, absl::string_view what) {
    return absl::StrCat(LoneSerf::EndpointOf(node).ToString(), " ", what);
  }

  static constexpr QueryId kQuery{LamportTime(5), 77};
  LoneSerf self_;
};

TEST_F(OthersQueryTest, IsToldAndAnsweredOnce) {
  Ask();
  const std::vector<QueryEvent> asked = self_.TakeQueries();
  ASSERT_THAT(asked, SizeIs(1));
  EXPECT_EQ(asked[0].id, kQuery);
  EXPECT_EQ(asked[0].source_node, "a");
  EXPECT_EQ(asked[0].deadline, self_.time() + seconds(10));
  EXPECT_THAT(Sent(""), IsEmpty());
  EXPECT_EQ(self_.Respond(kQuery, "3 days"), "ok");
  EXPECT_THAT(Sent(AnswerOf("3 days")), ElementsAre(To("a", "answer")));
  EXPECT_EQ(self_.Respond(kQuery, "4 days"),
            "failed to respond to key query: response already sent");
  Ask();
  EXPECT_THAT(self_.TakeQueries(), IsEmpty());
  EXPECT_THAT(Sent(""), IsEmpty());
}

TEST_F(OthersQueryTest, AnswersHaveALimitAndADeadline) {
  Ask();
  EXPECT_EQ(self_.Respond(kQuery, std::string(1024, 'x')),
            "failed to respond to key query: response exceeds limit of 1024 bytes");
  self_.RunFor(seconds(10));
  EXPECT_EQ(self_.Respond(kQuery, "x"),
            "failed to respond to key query: response is past the deadline");
  self_.RunFor(seconds(60));
  EXPECT_EQ(self_.Respond(kQuery, "x"),
            "failed to respond to key query: response is past the deadline");
}

TEST_F(OthersQueryTest, LongTimeoutsAreCut) {
  Ask("a", wire::kQueryFlagNoBroadcast, /*relay_factor=*/0, hours(1000));
  EXPECT_EQ(self_.TakeQueries().at(0).deadline, self_.time() + hours(1));
}

TEST_F(OthersQueryTest, TheAckGoesOutFirst) {
  Ask("a", wire::kQueryFlagAck | wire::kQueryFlagNoBroadcast);
  EXPECT_THAT(Sent(AnswerOf("", true)), ElementsAre(To("a", "answer")));
}

TEST_F(OthersQueryTest, IsPassedOnAlsoIfItIsNotForThisNode) {
  wire::QueryMessage query;
  query.ltime = LamportTime(5);
  const ByteVector filter = {0, 0x91, 0xa1, 'x'};
  const std::vector<ByteView> filters = {filter};
  query.filters = wire::ListView<ByteView>(filters);
  query.name = "uptime";
  self_.Receive(query);
  EXPECT_THAT(self_.TakeQueries(), IsEmpty());
  EXPECT_EQ(self_.Stat("query_queue"), "1");
}

// Otherwise anybody could aim the whole cluster at a victim.
TEST_F(OthersQueryTest, NobodyElseIsAnswered) {
  wire::QueryMessage query;
  query.ltime = LamportTime(5);
  query.id = 77;
  const Endpoint victim = LoneSerf::EndpointOf("victim");
  query.addr = victim.address.bytes();
  query.port = victim.port;
  query.source_node = "a";  // a member, but not at that address
  query.flags = wire::kQueryFlagAck | wire::kQueryFlagNoBroadcast;
  query.timeout_ns = Duration(seconds(10)).count();
  self_.Receive(query);
  EXPECT_THAT(self_.TakeQueries(), SizeIs(1));
  EXPECT_EQ(self_.Respond(kQuery, "x"), "ok");
  EXPECT_THAT(Sent(""), IsEmpty());
}

TEST_F(OthersQueryTest, AnswersWaitForWhoIsNotKnownYet) {
  Ask("newcomer", wire::kQueryFlagAck | wire::kQueryFlagNoBroadcast);
  EXPECT_EQ(self_.Respond(kQuery, "x"), "ok");
  EXPECT_THAT(Sent(""), IsEmpty());
  self_.PeerAlive("newcomer");
  EXPECT_THAT(Sent(AnswerOf("x")),
              ::testing::IsSupersetOf({To("newcomer", "other"), To("newcomer", "answer")}));
}

TEST_F(OthersQueryTest, WithoutANameTheAddressCounts) {
  wire::QueryMessage query;
  query.ltime = LamportTime(5);
  query.id = 77;
  const IpAddress mapped = LoneSerf::EndpointOf("a").address.Mapped();
  query.addr = mapped.bytes();
  query.port = 7946;
  query.flags = wire::kQueryFlagNoBroadcast;
  query.timeout_ns = Duration(seconds(10)).count();
  self_.Receive(query);
  EXPECT_EQ(self_.Respond(kQuery, "x"), "ok");
  EXPECT_THAT(self_.TakePackets(), SizeIs(1));
}

TEST_F(OthersQueryTest, AnswersAreRelayedThroughOthers) {
  self_.PeerAlive("b");
  self_.PeerAlive("c");
  Calm();
  Ask("a", wire::kQueryFlagNoBroadcast, 5);
  EXPECT_EQ(self_.Respond(kQuery, "x"), "ok");
  EXPECT_THAT(Sent(AnswerOf("x")), ::testing::UnorderedElementsAre(
                                       To("a", "answer"), To("b", "relay"), To("c", "relay")));
}

TEST_F(OthersQueryTest, TheRelayFactorIsTheMost) {
  for (const char* name : {"b", "c", "d", "e"}) self_.PeerAlive(name);
  Calm();
  Ask("a", wire::kQueryFlagNoBroadcast, 2);
  EXPECT_EQ(self_.Respond(kQuery, "x"), "ok");
  EXPECT_THAT(self_.TakePackets(), SizeIs(3));
}

// A packet may hold a thousand queries that ask for 255 relays each.
TEST_F(OthersQueryTest, RelaysHaveARate) {
  for (int i = 0; i < 300; ++i) self_.PeerAlive(absl::StrCat("peer-", i));
  self_.TakePackets();
  const auto relays = [&](std::uint64_t time) {
    AskAt(time, "a", 255);
    // All packets but the acknowledgement itself.
    return self_.TakePackets().size() - 1;
  };
  std::size_t all = 0;
  for (std::uint64_t time = 10; time < 60; ++time) all += relays(time);
  EXPECT_LE(all, 1024u);
  EXPECT_GE(all, 900u);
  EXPECT_EQ(relays(60), 0u);
  EXPECT_GE(self_.serf().counters().dropped_answers, 45u * 255u);
  self_.RunFor(seconds(1));
  self_.TakePackets();
  EXPECT_GE(relays(61), 200u);
}

// To find out whether an address belongs to a member, a node must look at all of them.
TEST_F(OthersQueryTest, WithoutANameLargeClustersAnswerNowAndThen) {
  for (int i = 0; i < 300; ++i) self_.PeerAlive(absl::StrCat("peer-", i));
  self_.TakePackets();
  const auto answers = [&](std::uint64_t time) {
    AskAt(time, "");
    return self_.TakePackets().size();
  };
  EXPECT_EQ(answers(10), 1u);
  EXPECT_EQ(answers(11), 0u);
  self_.RunFor(milliseconds(1));
  self_.TakePackets();
  EXPECT_EQ(answers(12), 1u);
}

TEST_F(OthersQueryTest, ALargeAnswerTakesAStream) {
  Config config = LoneSerf::DefaultConfig();
  config.query_response_size_limit = 1 << 20;
  LoneSerf self(config);
  self.PeerAlive("a");
  wire::QueryMessage query;
  query.ltime = LamportTime(5);
  query.id = 77;
  const Endpoint endpoint = LoneSerf::EndpointOf("a");
  query.addr = endpoint.address.bytes();
  query.port = endpoint.port;
  query.source_node = "a";
  query.timeout_ns = Duration(seconds(10)).count();
  self.Receive(query);
  EXPECT_EQ(self.Respond(kQuery, std::string(100'000, 'x')), "ok");
  EXPECT_EQ(self.dials(), 1);
}

TEST_F(OthersQueryTest, InternalOnesAreNotTold) {
  wire::QueryMessage query;
  query.ltime = LamportTime(5);
  query.name = "_serf_dance";
  self_.Receive(query);
  EXPECT_THAT(self_.TakeEvents(), IsEmpty());
  EXPECT_TRUE(self_.log().Has("[WARN] serf: Unhandled internal query 'dance'"));
}

TEST_F(OthersQueryTest, AFloodIsForgottenFromItsOldEnd) {
  wire::QueryMessage query;
  const Endpoint endpoint = LoneSerf::EndpointOf("a");
  query.addr = endpoint.address.bytes();
  query.port = endpoint.port;
  query.source_node = "a";
  query.flags = wire::kQueryFlagNoBroadcast;
  query.timeout_ns = Duration(seconds(3600)).count();
  for (std::uint32_t i = 0; i <= QueryReceiver::kOpenMax; ++i) {
    query.ltime = LamportTime(1 + i / 16);
    query.id = i;
    self_.Receive(query);
  }
  EXPECT_EQ(self_.Respond({LamportTime(1), 0}, "x"),
            "failed to respond to key query: response is past the deadline");
  EXPECT_EQ(self_.Respond({LamportTime(1), 1}, "x"), "ok");
}

}  // namespace
}  // namespace serf
