#include "serf/queries/query_issuer.h"

#include <chrono>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "serf/testing/node/serf_part.h"

namespace serf {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using wire::LamportTime;

class QueryIssuerTest : public ::testing::Test, protected testkit::SerfPart {
 protected:
  explicit QueryIssuerTest(Config config = Quiet()) : SerfPart(std::move(config)) {}

  QueryId Send(const QueryParams& params = {}, absl::string_view name = "uptime") {
    const absl::StatusOr<QueryId> query = issuer_.Send(now_, name, "", params);
    EXPECT_TRUE(query.ok()) << query.status();
    return query.value_or(QueryId());
  }
  // The code of a Send that must have changed nothing.
  absl::Status Refused(const QueryParams& params = {}, absl::string_view payload = {}) {
    const LamportTime before = clock_.time();
    const std::size_t running = issuer_.running();
    const absl::Status status = issuer_.Send(now_, "q", payload, params).status();
    EXPECT_EQ(clock_.time(), before);
    EXPECT_EQ(issuer_.running(), running);
    EXPECT_THAT(TakeSent(), IsEmpty());
    return status;
  }
  void Hear(QueryId query, absl::string_view from, absl::string_view payload = {},
            std::uint32_t flags = 0) {
    wire::QueryResponseMessage response;
    response.ltime = query.time;
    response.id = query.number;
    response.from = from;
    response.flags = flags;
    if (!payload.empty()) response.payload = AsBytes(payload);
    issuer_.OnResponse(now_, response);
  }
  void HearAck(QueryId query, absl::string_view from) {
    Hear(query, from, {}, wire::kResponseFlagAck);
  }
  std::vector<std::string> TakeUpdates() {
    std::vector<std::string> updates;
    issuer_.updates().Drain(
        [&](const QueryUpdate& update) { updates.push_back(testkit::TextOf(update)); });
    return updates;
  }

  CheckedClock clock_{"queries", &log_, context_.counters};
  QueryIssuer issuer_{context_, clock_};
};

// --- sending ---

TEST_F(QueryIssuerTest, AQueryGoesToThisNodeFirstAsOneOfAnotherWould) {
  QueryParams params;
  params.request_ack = true;
  params.relay_factor = 2;
  params.timeout = seconds(7);
  params.filter_nodes = {"a"};
  const absl::StatusOr<QueryId> query = issuer_.Send(now_, "uptime", "-s", params);
  ASSERT_TRUE(query.ok());
  EXPECT_EQ(query->time, LamportTime(1));
  EXPECT_EQ(clock_.time(), LamportTime(2));
  const std::vector<SerfContext::Message> sent = TakeSent();
  ASSERT_THAT(sent, SizeIs(1));
  EXPECT_EQ(NameAt(sent[0].to), "self");
  wire::DecodeScratch scratch;
  wire::QueryMessage message;
  ASSERT_EQ(Decode(ByteView(sent[0].bytes).subspan(1), message, scratch), wire::DecodeResult::kOk);
  EXPECT_EQ(message.ltime, query->time);
  EXPECT_EQ(message.id, query->number);
  EXPECT_EQ(AsText(message.addr), AsText(config_.swim.advertise.address.bytes()));
  EXPECT_EQ(message.port, 7946);
  EXPECT_EQ(message.source_node, "self");
  EXPECT_EQ(message.flags, wire::kQueryFlagAck);
  EXPECT_EQ(message.relay_factor, 2);
  EXPECT_EQ(Duration(message.timeout_ns), seconds(7));
  EXPECT_EQ(message.name, "uptime");
  EXPECT_EQ(AsText(message.payload), "-s");
  EXPECT_EQ(message.filters.size(), 1u);
}

TEST_F(QueryIssuerTest, EachHasATimeOfItsOwn) {
  EXPECT_EQ(Send().time, LamportTime(1));
  EXPECT_EQ(Send().time, LamportTime(2));
  EXPECT_EQ(issuer_.running(), 2u);
}

TEST_F(QueryIssuerTest, OnAnErrorNothingWasDone) {
  QueryParams negative;
  negative.timeout = Duration(-1);
  EXPECT_EQ(Refused(negative).message(), "query timeout must not be negative");
  const std::string payload(config_.query_size_limit, 'x');
  EXPECT_EQ(Refused({}, payload), absl::InvalidArgumentError("query exceeds limit of 1024 bytes"));
  config_.query_size_limit = 9000;
  config_.swim.packet_size = 548;
  EXPECT_TRUE(absl::IsInvalidArgument(Refused({}, payload)));
  config_.protocol_version = 3;
  EXPECT_EQ(Refused(), absl::FailedPreconditionError("Feature not supported"));
}

TEST_F(QueryIssuerTest, RunningOnesAreBounded) {
  const QueryId first = Send();
  for (std::size_t i = 1; i < QueryIssuer::kRunningMax; ++i) Send();
  TakeSent();
  EXPECT_EQ(Refused(), absl::ResourceExhaustedError("too many queries are running"));
  issuer_.Cancel(first);
  Send();
  EXPECT_EQ(issuer_.running(), QueryIssuer::kRunningMax);
}

TEST_F(QueryIssuerTest, TheTimeoutIsTheDefaultOrWhatIsAskedForUpToAnHour) {
  const struct {
    Duration asked;
    Duration runs;
  } kTable[] = {
      {Duration::zero(), milliseconds(3200)},
      {Duration(1), Duration(1)},
      {kQueryTimeoutMax, kQueryTimeoutMax},
      {hours(24), kQueryTimeoutMax},
  };
  for (const auto& row : kTable) {
    QueryParams params;
    params.timeout = row.asked;
    Send(params);
    EXPECT_EQ(issuer_.NextDeadline(), now_ + row.runs);
    issuer_.EndAll();
  }
  EXPECT_EQ(issuer_.NextDeadline(), kNever);
}

TEST_F(QueryIssuerTest, TheDefaultTimeoutGrowsWithTheClusterAndNeedsNoGossip) {
  EXPECT_EQ(issuer_.DefaultTimeout(), milliseconds(3200));
  for (int i = 0; i < 9; ++i) AddPeer(absl::StrCat("n", i));
  EXPECT_EQ(issuer_.DefaultTimeout(), milliseconds(6400));
  config_.swim.gossip_interval = Duration::zero();
  EXPECT_EQ(issuer_.DefaultTimeout(), milliseconds(6400));
}

// --- answers ---

TEST_F(QueryIssuerTest, UpdatesComeInOrderAndTheLastIsTheEnd) {
  AddPeers({"a", "b"});
  QueryParams params;
  params.request_ack = true;
  const QueryId query = Send(params);
  HearAck(query, "b");
  Hear(query, "a", "1");
  HearAck(query, "a");
  Hear(query, "b", "2");
  EXPECT_THAT(TakeUpdates(), ElementsAre("ack b", "response a: 1", "ack a", "response b: 2"));
  Pass(milliseconds(3200));
  issuer_.OnTimer(now_);
  EXPECT_THAT(TakeUpdates(), ElementsAre("done"));
  Hear(query, "self", "3");
  EXPECT_THAT(TakeUpdates(), IsEmpty());
}

TEST_F(QueryIssuerTest, AtTheDeadlineNoAnswerIsTakenAndTheQueryEnds) {
  AddPeer("a");
  const QueryId query = Send();
  Pass(milliseconds(3200) - Duration(1));
  issuer_.OnTimer(now_);
  Hear(query, "a", "in time");
  EXPECT_THAT(TakeUpdates(), ElementsAre("response a: in time"));
  Pass(Duration(1));
  Hear(query, "self", "late");
  EXPECT_THAT(TakeUpdates(), IsEmpty());
  issuer_.OnTimer(now_);
  EXPECT_THAT(TakeUpdates(), ElementsAre("done"));
}

TEST_F(QueryIssuerTest, TheFirstToBeOverEndsFirst) {
  QueryParams params;
  std::vector<QueryId> queries;
  for (const int timeout : {3, 1, 2}) {
    params.timeout = seconds(timeout);
    queries.push_back(Send(params));
  }
  std::vector<QueryId> ended;
  Pass(seconds(3));
  issuer_.OnTimer(now_);
  issuer_.updates().Drain([&](const QueryUpdate& update) { ended.push_back(update.query); });
  EXPECT_THAT(ended, ElementsAre(queries[1], queries[2], queries[0]));
}

TEST_F(QueryIssuerTest, WhatIsNotWantedIsCountedAndDropped) {
  AddPeer("a");
  QueryParams params;
  params.request_ack = true;
  const QueryId query = Send(params);
  const QueryId unacked = Send();
  Hear({LamportTime(99), query.number}, "a");
  Hear({query.time, query.number + 1}, "a");
  HearAck(unacked, "a");
  EXPECT_EQ(context_.counters.dropped_reply, 3u);
  EXPECT_THAT(TakeUpdates(), IsEmpty());
  for (int i = 0; i < 3; ++i) {
    HearAck(query, "a");
    Hear(query, "a", "1");
  }
  EXPECT_EQ(context_.counters.query_duplicate_acks, 2u);
  EXPECT_EQ(context_.counters.query_duplicate_responses, 2u);
  EXPECT_THAT(TakeUpdates(), ElementsAre("ack a", "response a: 1"));
}

TEST_F(QueryIssuerTest, StrangersThatAnswerAreBounded) {
  const QueryId query = Send();
  for (std::size_t i = 0; i < QueryCollector::kStrangersMax + 5; ++i) {
    Hear(query, absl::StrCat("stranger", i), "1");
  }
  EXPECT_THAT(TakeUpdates(), SizeIs(QueryCollector::kStrangersMax));
  EXPECT_EQ(context_.counters.dropped_reply, 5u);
}

// --- the end ---

TEST_F(QueryIssuerTest, AnEarlyEndWaitsForAllWhoLiveAndAreAsked) {
  AddPeers({"a", "b", "dead"});
  KillPeer("dead");
  QueryParams params;
  params.finish_early = true;
  const QueryId all = Send(params);
  params.filter_nodes = {"a", "dead", "unknown"};
  const QueryId named = Send(params);
  for (const char* name : {"a", "self", "b"}) Hear(all, name, "x");
  EXPECT_THAT(TakeUpdates(),
              ElementsAre("response a: x", "response self: x", "response b: x", "done"));
  Hear(named, "a", "x");
  EXPECT_THAT(TakeUpdates(), ElementsAre("response a: x"));
  Hear(named, "unknown", "x");  // other nodes may know it
  EXPECT_THAT(TakeUpdates(), ElementsAre("response unknown: x", "done"));
}

TEST_F(QueryIssuerTest, APingEndsEarlyWithTheAcks) {
  AddPeer("a");
  QueryParams params;
  params.request_ack = true;
  params.finish_early = true;
  const QueryId query = Send(params, kPingQuery);
  HearAck(query, "a");
  HearAck(query, "self");
  EXPECT_THAT(TakeUpdates(), ElementsAre("ack a", "ack self", "done"));
}

// With a relay factor each answer comes several times; copies may come after the end, too. In Go
// Serf a query lasts until its time is over, so copies do not come after its end.
TEST_F(QueryIssuerTest, CopiesOfAnswersAfterAnEarlyEndAreNoWarning) {
  AddPeer("a");
  QueryParams params;
  params.finish_early = true;
  params.timeout = seconds(10);
  const QueryId query = Send(params);
  const QueryId cancelled = Send(params);
  Hear(query, "self", "x");
  Hear(query, "a", "x");
  issuer_.Cancel(cancelled);
  TakeUpdates();
  Hear(query, "a", "x");
  HearAck(query, "a");
  Hear(cancelled, "a", "x");
  EXPECT_THAT(TakeUpdates(), IsEmpty());
  EXPECT_EQ(context_.counters.dropped_reply, 3u);
  EXPECT_FALSE(log_.Contains("non-running"));
  Pass(seconds(10));
  Hear(query, "a", "x");
  EXPECT_EQ(context_.counters.dropped_reply, 4u);
  EXPECT_TRUE(log_.Contains("[WARN] serf: reply for non-running query"));
}

TEST_F(QueryIssuerTest, ACheapAudienceIsKnownAtOnce) {
  AddPeer("web1", {{"role", "web"}});
  AddPeer("db1", {{"role", "db"}});
  QueryParams params;
  params.finish_early = true;
  params.filter_tags = {{"role", "web"}};
  const QueryId query = Send(params);
  EXPECT_THAT(TakeJudgements(), IsEmpty());
  Hear(query, "web1", "x");
  EXPECT_THAT(TakeUpdates(), ElementsAre("response web1: x", "done"));
}

// Parameters with an expression that is not plain.
QueryParams Dear() {
  QueryParams params;
  params.finish_early = true;
  params.filter_tags = {{"role", "(w|v)(e|f){1,40}b"}};
  return params;
}

TEST_F(QueryIssuerTest, ADearAudienceIsJudgedElsewhereAndTheQueryWaitsForIt) {
  AddPeer("web1", {{"role", "web"}});
  AddPeer("db1", {{"role", "db"}});
  const QueryId query = Send(Dear());
  const auto judgements = TakeJudgements();
  ASSERT_THAT(judgements, SizeIs(1));
  EXPECT_EQ(judgements[0]->purpose(), Judgement::Purpose::kAudience);
  EXPECT_EQ(judgements[0]->query(), query);
  EXPECT_EQ(judgements[0]->deadline(), issuer_.NextDeadline());
  Hear(query, "web1", "x");
  EXPECT_THAT(TakeUpdates(), ElementsAre("response web1: x"));
  judgements[0]->Run([] { return Duration::zero(); });
  issuer_.OnJudged(*judgements[0]);
  EXPECT_THAT(TakeUpdates(), ElementsAre("done"));
}

// An unknown node owes an answer whatever its tags are.
TEST_F(QueryIssuerTest, TheAnswerOfAnUnknownNodeEndsNoQueryWhoseAudienceIsNotJudged) {
  AddPeer("web1", {{"role", "web"}});
  QueryParams params = Dear();
  params.filter_nodes = {"unknown", "web1"};
  const QueryId query = Send(params);
  const auto judgements = TakeJudgements();
  ASSERT_THAT(judgements, SizeIs(1));
  Hear(query, "unknown", "x");
  EXPECT_THAT(TakeUpdates(), ElementsAre("response unknown: x"));
  judgements[0]->Run([] { return Duration::zero(); });
  issuer_.OnJudged(*judgements[0]);
  EXPECT_THAT(TakeUpdates(), IsEmpty());
  Hear(query, "web1", "x");
  EXPECT_THAT(TakeUpdates(), ElementsAre("response web1: x", "done"));
}

TEST_F(QueryIssuerTest, AJudgementThatIsUndecidedOrOfNoQueryChangesNothing) {
  AddPeer("web1", {{"role", "web"}});
  const QueryId query = Send(Dear());
  const auto judgements = TakeJudgements();
  ASSERT_THAT(judgements, SizeIs(1));
  issuer_.OnJudged(*judgements[0]);  // it did not run
  Hear(query, "web1", "x");
  EXPECT_THAT(TakeUpdates(), ElementsAre("response web1: x"));
  issuer_.Cancel(query);
  TakeUpdates();
  judgements[0]->Run([] { return Duration::zero(); });
  issuer_.OnJudged(*judgements[0]);
  Judgement other(Judgement::Purpose::kAudience, {Send().time, 0}, now_, {});
  other.Run([] { return Duration::zero(); });
  issuer_.OnJudged(other);
  EXPECT_THAT(TakeUpdates(), IsEmpty());
}

TEST_F(QueryIssuerTest, ACancelledQueryEndsOnce) {
  const QueryId query = Send();
  issuer_.Cancel({query.time, query.number + 1});
  EXPECT_THAT(TakeUpdates(), IsEmpty());
  issuer_.Cancel(query);
  issuer_.Cancel(query);
  EXPECT_THAT(TakeUpdates(), ElementsAre("done"));
  EXPECT_EQ(issuer_.running(), 0u);
  EXPECT_EQ(issuer_.NextDeadline(), kNever);
  Hear(query, "self", "x");
  EXPECT_EQ(context_.counters.dropped_reply, 1u);
}

TEST_F(QueryIssuerTest, AllEndInTheOrderInWhichTheyWereAsked) {
  const std::vector<QueryId> queries = {Send(), Send(), Send()};
  issuer_.EndAll();
  std::vector<QueryId> ended;
  issuer_.updates().Drain([&](const QueryUpdate& update) { ended.push_back(update.query); });
  EXPECT_EQ(ended, queries);
}

}  // namespace
}  // namespace serf
