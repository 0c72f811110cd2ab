#include "serf/queries/query_receiver.h"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "serf/testing/node/serf_part.h"
#include "serf/wire/list_view.h"

namespace serf {
namespace {

using std::chrono::hours;
using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using ::testing::UnorderedElementsAre;
using wire::LamportTime;

// A query of a peer, which lasts for ten seconds unless the test says otherwise.
struct Question {
  std::uint64_t time = 5;
  std::uint32_t number = 77;
  std::string from = "a";
  std::string at = "a";  // the peer whose address the query gives; empty: no address
  std::uint32_t flags = 0;
  std::uint8_t relay_factor = 0;
  Duration timeout = seconds(10);
  std::string name = "uptime";
  std::string payload = {};
  QueryParams filters = {};
};

class QueryReceiverTest : public ::testing::Test, protected testkit::SerfPart {
 protected:
  static Config WithRole() {
    Config config = Quiet();
    config.tags = {{"role", "web"}};
    return config;
  }
  QueryReceiverTest() : SerfPart(WithRole()) {}

  bool Ask(const Question& q) {
    const Endpoint endpoint =
        q.at == "self" ? context_.own_endpoint() : testkit::Peers::EndpointOf(q.at);
    const std::vector<ByteVector> filters = EncodeQueryFilters(q.filters);
    const std::vector<ByteView> views(filters.begin(), filters.end());
    wire::QueryMessage query;
    query.ltime = LamportTime(q.time);
    query.id = q.number;
    if (!q.at.empty()) query.addr = endpoint.address.bytes();
    query.port = endpoint.port;
    query.source_node = q.from;
    if (!views.empty()) query.filters = wire::ListView<ByteView>(views);
    query.flags = q.flags;
    query.relay_factor = q.relay_factor;
    query.timeout_ns = q.timeout.count();
    query.name = q.name;
    if (!q.payload.empty()) query.payload = AsBytes(q.payload);
    return receiver_.OnMessage(now_, query);
  }
  static QueryId IdOf(const Question& q) { return {LamportTime(q.time), q.number}; }
  absl::Status Respond(const Question& q, absl::string_view payload = "fine") {
    return receiver_.Respond(now_, IdOf(q), payload);
  }
  // Names and times of the queries that reached this node since the last call: "uptime 5".
  std::vector<std::string> TakeQueries() {
    std::vector<std::string> lines;
    receiver_.queries().Drain([&](const QueryEvent& query) {
      lines.push_back(absl::StrCat(query.name, " ", query.id.time.value()));
    });
    return lines;
  }
  // The messages that this node sent since the last call: "a: ack", "a: answer fine", "b: relay to
  // a".
  std::vector<std::string> TakeAnswers() {
    std::vector<std::string> lines;
    for (const SerfContext::Message& sent : TakeSent()) {
      const ByteView body = ByteView(sent.bytes).subspan(1);
      std::string line = absl::StrCat(NameAt(sent.to), ": ");
      wire::DecodeScratch scratch;
      if (sent.bytes[0] == static_cast<std::uint8_t>(wire::SerfMessageType::kRelay)) {
        wire::RelayHeader header;
        EXPECT_EQ(Decode(body, header, scratch), wire::DecodeResult::kOk);
        absl::StrAppend(&line, "relay to ", header.dest_name);
      } else {
        wire::QueryResponseMessage response;
        EXPECT_EQ(Decode(body, response, scratch), wire::DecodeResult::kOk);
        EXPECT_EQ(response.from, "self");
        const bool ack = response.flags == wire::kResponseFlagAck;
        absl::StrAppend(&line, ack ? "ack" : "answer ", AsText(response.payload));
      }
      lines.push_back(line);
    }
    return lines;
  }

  CheckedClock clock_{"queries", &log_, context_.counters};
  QueryReceiver receiver_{context_, clock_};
};

// --- receiving ---

TEST_F(QueryReceiverTest, AQueryIsTakenOnceByTimeAndNumber) {
  EXPECT_TRUE(Ask({.time = 5, .number = 1}));
  EXPECT_FALSE(Ask({.time = 5, .number = 1}));
  EXPECT_TRUE(Ask({.time = 5, .number = 2}));
  EXPECT_TRUE(Ask({.time = 6, .number = 1}));
  EXPECT_THAT(TakeQueries(), ElementsAre("uptime 5", "uptime 5", "uptime 6"));
  EXPECT_EQ(clock_.time(), LamportTime(7));
  EXPECT_EQ(context_.counters.queries, 3u);
}

TEST_F(QueryReceiverTest, WhetherItIsPassedOnIsTheSendersAndWhetherItIsToldIsTheFilters) {
  QueryParams us;
  us.filter_nodes = {"self"};
  QueryParams others;
  others.filter_nodes = {"b"};
  QueryParams web;
  web.filter_tags = {{"role", "^web$"}};
  QueryParams db;
  db.filter_tags = {{"role", "db"}};
  const struct {
    QueryParams filters;
    std::uint32_t flags;
    bool passed_on;
    std::size_t told;
  } kTable[] = {
      {{}, 0, true, 1},     {{}, wire::kQueryFlagNoBroadcast, false, 1},
      {us, 0, true, 1},     {us, wire::kQueryFlagNoBroadcast, false, 1},
      {others, 0, true, 0}, {others, wire::kQueryFlagNoBroadcast, false, 0},
      {web, 0, true, 1},    {db, 0, true, 0},
  };
  std::uint64_t time = 5;
  for (const auto& row : kTable) {
    EXPECT_EQ(Ask({.time = ++time, .flags = row.flags, .filters = row.filters}), row.passed_on);
    EXPECT_THAT(TakeQueries(), SizeIs(row.told)) << time;
  }
}

TEST_F(QueryReceiverTest, OldOnesAreNeitherTakenNorPassedOn) {
  receiver_.IgnoreBefore(LamportTime(4));
  EXPECT_FALSE(Ask({.time = 3}));
  EXPECT_TRUE(Ask({.time = 4}));
  EXPECT_EQ(context_.counters.dropped_old, 0u);
  EXPECT_TRUE(Ask({.time = 1000}));
  EXPECT_FALSE(Ask({.time = 1000 - QueryBuffer::kSlots}));
  EXPECT_EQ(context_.counters.dropped_old, 1u);
  EXPECT_TRUE(Ask({.time = 1001 - QueryBuffer::kSlots}));
  EXPECT_FALSE(Ask({.time = std::numeric_limits<std::uint64_t>::max()}));
  EXPECT_EQ(context_.counters.dropped_time, 1u);
}

TEST_F(QueryReceiverTest, TheEventSaysWhoAsksWhatAndUntilWhen) {
  const struct {
    Duration asked;
    Duration given;
  } kTable[] = {
      {Duration(-1), Duration::zero()},
      {seconds(10), seconds(10)},
      {kQueryTimeoutMax, kQueryTimeoutMax},
      {hours(24), kQueryTimeoutMax},
  };
  std::uint64_t time = 5;
  for (const auto& row : kTable) {
    Ask({.time = ++time, .timeout = row.asked, .payload = "-s"});
    receiver_.queries().Drain([&](const QueryEvent& query) {
      EXPECT_EQ(query.deadline, now_ + row.given);
      EXPECT_EQ(query.source_node, "a");
      EXPECT_EQ(query.payload, "-s");
    });
  }
}

// --- answering ---

TEST_F(QueryReceiverTest, TheAckGoesOutAtOnceIfItIsAskedFor) {
  AddPeer("a");
  Ask({.time = 5});
  EXPECT_THAT(TakeAnswers(), IsEmpty());
  Ask({.time = 6, .flags = wire::kQueryFlagAck});
  EXPECT_THAT(TakeAnswers(), ElementsAre("a: ack"));
}

TEST_F(QueryReceiverTest, AnAnswerGoesOutOnceWithinItsLimitUntilTheDeadline) {
  AddPeer("a");
  const Question asked{.time = 5};
  const Question other{.time = 6};
  Ask(asked);
  Ask(other);
  std::string payload;
  while (receiver_.Fits(IdOf(asked), payload + "x")) payload += "x";
  EXPECT_EQ(Respond(asked, payload + "x"),
            absl::InvalidArgumentError(
                "failed to respond to key query: response exceeds limit of 1024 bytes"));
  EXPECT_THAT(TakeAnswers(), IsEmpty());
  EXPECT_TRUE(Respond(asked, payload).ok());  // the answer that was too long does not count
  EXPECT_THAT(TakeAnswers(), ElementsAre("a: answer " + payload));
  EXPECT_EQ(Respond(asked),
            absl::AlreadyExistsError("failed to respond to key query: response already sent"));
  const absl::Status late =
      absl::DeadlineExceededError("failed to respond to key query: response is past the deadline");
  EXPECT_EQ(Respond({.time = 7}), late);
  Pass(seconds(10) - Duration(1));
  receiver_.Purge(now_);
  EXPECT_TRUE(Respond(other).ok());
  Pass(Duration(1));
  EXPECT_EQ(Respond({.time = 6, .number = 78}), late);
  receiver_.Purge(now_);
  EXPECT_EQ(receiver_.open(), 0u);
}

TEST_F(QueryReceiverTest, WhatGivesNoAddressIsToldButCannotBeAnswered) {
  const Question question{.at = "", .flags = wire::kQueryFlagAck};
  EXPECT_TRUE(Ask(question));
  EXPECT_THAT(TakeQueries(), ElementsAre("uptime 5"));
  EXPECT_TRUE(absl::IsDeadlineExceeded(Respond(question)));
  EXPECT_THAT(TakeAnswers(), IsEmpty());
}

TEST_F(QueryReceiverTest, OnlyAMemberAtItsAddressIsAnswered) {
  AddPeers({"a", "b"});
  const struct {
    const char* from;
    const char* at;
    bool answered;
  } kTable[] = {
      {"a", "a", true},         {"", "a", true},  {"a", "b", false},
      {"stranger", "a", false}, {"", "c", false}, {"stranger", "stranger", false},
  };
  std::uint64_t time = 5;
  for (const auto& row : kTable) {
    const Question question{.time = ++time, .from = row.from, .at = row.at};
    Ask(question);
    EXPECT_TRUE(Respond(question).ok());
    EXPECT_THAT(TakeAnswers(), SizeIs(row.answered)) << row.from << " at " << row.at;
  }
  config_.answer_unknown_nodes = true;
  const Question question{.time = ++time, .from = "stranger", .at = "stranger"};
  Ask(question);
  EXPECT_TRUE(Respond(question).ok());
  EXPECT_THAT(TakeAnswers(), SizeIs(1));
}

TEST_F(QueryReceiverTest, AHeldAnswerGoesOutWhenWhoAskedBecomesKnownInTime) {
  const Question late{.time = 5, .timeout = seconds(1)};
  const Question question{.time = 6, .flags = wire::kQueryFlagAck};
  const Question nameless{.time = 7, .from = ""};
  for (const Question& each : {late, question, nameless}) {
    Ask(each);
    EXPECT_TRUE(Respond(each, absl::StrCat(each.time)).ok());
  }
  AddPeer("b");
  receiver_.OnNodeJoin(now_, InfoOf("b"));
  EXPECT_THAT(TakeAnswers(), IsEmpty());
  Pass(seconds(1));
  AddPeer("a");
  receiver_.OnNodeJoin(now_, InfoOf("a"));
  EXPECT_THAT(TakeAnswers(), ElementsAre("a: ack", "a: answer 6", "a: answer 7"));
  receiver_.OnNodeJoin(now_, InfoOf("a"));
  EXPECT_THAT(TakeAnswers(), IsEmpty());
}

TEST_F(QueryReceiverTest, HeldAnswersAreBoundedAndThoseThatAreOverMakeRoom) {
  std::uint64_t time = 5;
  const auto ask = [&] { Ask({.time = ++time, .flags = wire::kQueryFlagAck}); };
  for (std::size_t i = 0; i < QueryReceiver::kHeldMax; ++i) ask();
  EXPECT_EQ(context_.counters.dropped_answers, 0u);
  ask();
  EXPECT_EQ(context_.counters.dropped_answers, 1u);
  Pass(seconds(10));
  ask();
  EXPECT_EQ(context_.counters.dropped_answers, 1u);
  AddPeer("a");
  receiver_.OnNodeJoin(now_, InfoOf("a"));
  EXPECT_THAT(TakeAnswers(), ElementsAre("a: ack"));
}

TEST_F(QueryReceiverTest, AContestantIsToldWhatIsKnownOfItsNameButSeldom) {
  AddPeer("a");
  Question question{.at = "impostor", .name = std::string(kConflictQuery), .payload = "a"};
  const auto is_answered = [&] {
    ++question.time;
    Ask(question);
    EXPECT_TRUE(Respond(question).ok());
    return !TakeAnswers().empty();
  };
  EXPECT_TRUE(is_answered());
  EXPECT_FALSE(is_answered());
  Pass(QueryReceiver::kContestantInterval);
  question.payload = "b";  // not about itself
  EXPECT_FALSE(is_answered());
  question.payload = "a";
  EXPECT_TRUE(is_answered());
}

TEST_F(QueryReceiverTest, OpenOnesAreBoundedAndTheOldestGoesUnlessOneIsOver) {
  AddPeer("a");
  const auto question = [](std::size_t i) {
    return Question{.time = 5 + i / 16, .number = static_cast<std::uint32_t>(i)};
  };
  for (std::size_t i = 0; i <= QueryReceiver::kOpenMax; ++i) Ask(question(i));
  EXPECT_EQ(receiver_.open(), QueryReceiver::kOpenMax);
  EXPECT_TRUE(absl::IsDeadlineExceeded(Respond(question(0))));
  EXPECT_TRUE(Respond(question(1)).ok());
  EXPECT_TRUE(Respond(question(QueryReceiver::kOpenMax)).ok());
  Pass(seconds(10));
  Ask(question(QueryReceiver::kOpenMax + 1));
  EXPECT_EQ(receiver_.open(), 1u);
}

// --- relays ---

TEST_F(QueryReceiverTest, AnAnswerIsRelayedByOthersThatCan) {
  AddPeers({"a", "b", "c", "dead"});
  AddPeerAt("old", testkit::Peers::EndpointOf("old"), /*protocol_max=*/4);
  KillPeer("dead");
  Question question{.relay_factor = 9};
  Ask(question);
  EXPECT_TRUE(Respond(question).ok());
  const std::vector<std::string> all = TakeAnswers();
  EXPECT_EQ(all.front(), "a: answer fine");
  EXPECT_THAT(all, UnorderedElementsAre("a: answer fine", "b: relay to a", "c: relay to a"));
  for (const std::size_t factor : {0, 1, 2, 255}) {
    question.relay_factor = static_cast<std::uint8_t>(factor);
    ++question.time;
    Ask(question);
    EXPECT_TRUE(Respond(question).ok());
    EXPECT_THAT(TakeAnswers(), SizeIs(1 + std::min<std::size_t>(factor, 2))) << factor;
  }
}

TEST_F(QueryReceiverTest, TheAnswerToTheOwnQueryIsNotRelayed) {
  AddPeer("a");
  const Question question{.from = "self", .at = "self", .relay_factor = 1};
  Ask(question);
  EXPECT_TRUE(Respond(question).ok());
  EXPECT_THAT(TakeAnswers(), ElementsAre("self: answer fine"));
}

// --- judgement ---

class JudgedQueryTest : public QueryReceiverTest {
 protected:
  // A query with an expensive filter.
  static Question Dear(std::uint64_t time, const std::string& expression = "(w|v)(e|f){1,40}b") {
    Question question{.time = time, .flags = wire::kQueryFlagAck};
    question.filters.filter_tags = {{"role", expression}};
    return question;
  }
  static void Run(Judgement& judgement) {
    judgement.Run([] { return Duration::zero(); });
  }
};

TEST_F(JudgedQueryTest, ItIsToldAndAcknowledgedWhenItsFiltersAreJudgedAndOthersOvertakeIt) {
  AddPeer("a");
  EXPECT_TRUE(Ask(Dear(5)));
  EXPECT_TRUE(Ask({.time = 6}));
  EXPECT_THAT(TakeQueries(), ElementsAre("uptime 6"));
  EXPECT_TRUE(absl::IsDeadlineExceeded(Respond(Dear(5))));
  EXPECT_THAT(TakeAnswers(), IsEmpty());
  const auto judgements = TakeJudgements();
  ASSERT_THAT(judgements, SizeIs(1));
  EXPECT_EQ(judgements[0]->purpose(), Judgement::Purpose::kAnswer);
  Run(*judgements[0]);
  receiver_.OnJudged(now_, *judgements[0]);
  EXPECT_THAT(TakeQueries(), ElementsAre("uptime 5"));
  EXPECT_THAT(TakeAnswers(), ElementsAre("a: ack"));
  EXPECT_TRUE(Respond(Dear(5)).ok());
  TakeAnswers();
  // Only once; and the verdict is remembered.
  receiver_.OnJudged(now_, *judgements[0]);
  EXPECT_THAT(TakeQueries(), IsEmpty());
  EXPECT_TRUE(Ask(Dear(7)));
  EXPECT_THAT(TakeQueries(), ElementsAre("uptime 7"));
}

TEST_F(JudgedQueryTest, WhatDoesNotPassIsForgottenAndRemembered) {
  Ask(Dear(5, "(x|y)(e|f){1,40}b"));
  const auto judgements = TakeJudgements();
  ASSERT_THAT(judgements, SizeIs(1));
  Run(*judgements[0]);
  receiver_.OnJudged(now_, *judgements[0]);
  Ask(Dear(6, "(x|y)(e|f){1,40}b"));
  EXPECT_THAT(TakeJudgements(), IsEmpty());
  EXPECT_THAT(TakeQueries(), IsEmpty());
  EXPECT_EQ(context_.counters.queries_unjudged, 0u);
}

TEST_F(JudgedQueryTest, WhatIsUndecidedOrLateIsCountedAndNotAnswered) {
  Ask(Dear(5, "(w|v)(e|f){1,40}b"));
  Ask(Dear(6, "(w|v)(e|f){1,41}b"));
  const auto judgements = TakeJudgements();
  ASSERT_THAT(judgements, SizeIs(2));
  receiver_.OnJudged(now_, *judgements[0]);  // it did not run
  EXPECT_EQ(context_.counters.queries_unjudged, 1u);
  Run(*judgements[1]);
  Pass(seconds(10));
  receiver_.OnJudged(now_, *judgements[1]);
  EXPECT_EQ(context_.counters.queries_unjudged, 2u);
  EXPECT_THAT(TakeQueries(), IsEmpty());
}

TEST_F(JudgedQueryTest, TheyAreBoundedInNumber) {
  for (std::uint64_t time = 5; time < 5 + QueryReceiver::kJudgedMax; ++time) Ask(Dear(time));
  EXPECT_TRUE(Ask(Dear(100)));
  EXPECT_EQ(context_.counters.queries_unjudged, 1u);
  const auto judgements = TakeJudgements();
  EXPECT_THAT(judgements, SizeIs(QueryReceiver::kJudgedMax));
  receiver_.OnJudged(now_, *judgements[0]);  // its place is free
  Ask(Dear(101));
  EXPECT_THAT(TakeJudgements(), SizeIs(1));
}

TEST_F(JudgedQueryTest, TheyAreBoundedInBytes) {
  Question large = Dear(5);
  large.payload = std::string(QueryReceiver::kJudgedBytesMax / 2, 'x');
  Ask(large);
  large.time = 6;
  Ask(large);  // with its filter it exceeds the half
  EXPECT_EQ(context_.counters.queries_unjudged, 1u);
  EXPECT_THAT(TakeJudgements(), SizeIs(1));
}

}  // namespace
}  // namespace serf
