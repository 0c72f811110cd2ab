// Input that an implementation of Serf must expect, in the order of docs/protocol/serf.md 15.1 and
// 15.2. None of it crashes, exhausts or misleads this node.

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "serf/base/bytes.h"
#include "serf/base/rng.h"
#include "serf/base/time.h"
#include "serf/judgement.h"
#include "serf/keys.h"
#include "serf/lamport/lamport_clock.h"
#include "serf/queries/name_conflict.h"
#include "serf/queries/query_filter.h"
#include "serf/queries/query_receiver.h"
#include "serf/serf.h"
#include "serf/snapshot/snapshot_reader.h"
#include "serf/snapshot_state.h"
#include "serf/testing/allocations.h"
#include "serf/testing/cpu_time.h"
#include "serf/testing/hostile_input.h"
#include "serf/testing/node/lone_serf.h"
#include "serf/testing/test_crypto.h"
#include "serf/testing/vectors/vectors.h"
#include "serf/wire/serf_messages.h"

namespace serf {
namespace {

using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;
using testkit::LoneSerf;
using testkit::ThreadCpuTime;
using wire::LamportTime;

// A node with one peer, "a"; packets can be read.
class KnownWeaknessesTest : public ::testing::Test {
 protected:
  explicit KnownWeaknessesTest(Config config = LoneSerf::DefaultConfig())
      : self_(std::move(config)) {
    self_.PeerAlive("a");
    Calm();
  }
  // Empties the gossip queues.
  void Calm() {
    self_.RunFor(seconds(5));
    self_.TakePackets();
    self_.TakeEvents();
  }

  // A query of "a", or of a node that is not a member; the answer goes to `to`.
  struct Question {
    std::string name = "uptime";
    ByteVector payload = {};
    std::vector<ByteVector> filters = {};
    std::string source = "a";
    Endpoint to = LoneSerf::EndpointOf("a");
    std::uint64_t time = 1;
  };
  void Ask(const Question& question) {
    wire::QueryMessage query;
    query.ltime = LamportTime(question.time);
    query.id = 77;
    query.addr = question.to.address.bytes();
    query.port = question.to.port;
    query.source_node = question.source;
    query.flags = wire::kQueryFlagNoBroadcast | wire::kQueryFlagAck;
    query.timeout_ns = Duration(seconds(10)).count();
    query.name = question.name;
    if (!question.payload.empty()) query.payload = question.payload;
    const std::vector<ByteView> filters(question.filters.begin(), question.filters.end());
    if (!filters.empty()) query.filters = wire::ListView<ByteView>(filters);
    self_.Receive(query);
  }
  // The answers that this node sent since the last call, without acknowledgements.
  std::vector<ByteVector> Answers() {
    std::vector<ByteVector> answers;
    for (const LoneSerf::Packet& packet : self_.TakePackets()) {
      if (packet.bytes.size() < 2 || packet.bytes[1] != 5) continue;
      wire::DecodeScratch scratch;
      wire::QueryResponseMessage response;
      EXPECT_EQ(Decode(ByteView(packet.bytes).subspan(2), response, scratch),
                wire::DecodeResult::kOk);
      if ((response.flags & wire::kResponseFlagAck) != 0) continue;
      answers.emplace_back(response.payload.begin(), response.payload.end());
    }
    return answers;
  }
  // Whether the key response in an answer reports success.
  static bool WentWell(const ByteVector& answer) {
    wire::DecodeScratch scratch;
    wire::KeyResponse response;
    EXPECT_EQ(Decode(ByteView(answer).subspan(1), response, scratch), wire::DecodeResult::kOk);
    return response.result;
  }
  bool Lives() { return self_.serf().state() == Serf::State::kAlive; }

  LoneSerf self_;
};

Config Encrypted() {
  Config config = LoneSerf::DefaultConfig();
  testkit::Encrypt(config.swim, ByteVector(32, 1));
  config.swim.verify_incoming = false;
  config.swim.verify_outgoing = false;
  config.swim.enable_compression = false;
  return config;
}

class KnownKeyWeaknessesTest : public KnownWeaknessesTest {
 protected:
  KnownKeyWeaknessesTest() : KnownKeyWeaknessesTest(Encrypted()) {}
  explicit KnownKeyWeaknessesTest(Config config)
      : KnownWeaknessesTest(config), keyring_(config.swim.keyring) {}

  std::shared_ptr<wire::Keyring> keyring_;
};

// --- 15.1 Malformed and absurd input ---

TEST_F(KnownWeaknessesTest, AFilterOfLengthZeroPassesNobody) {
  Ask({.filters = {ByteVector{}}});
  EXPECT_THAT(self_.TakeQueries(), IsEmpty());
  EXPECT_THAT(self_.TakePackets(), IsEmpty());
}

TEST_F(KnownKeyWeaknessesTest, AKeyQueryWithoutPayloadIsAnsweredWithFalse) {
  std::uint64_t time = 0;
  for (const KeyOperation operation :
       {KeyOperation::kInstall, KeyOperation::kUse, KeyOperation::kRemove}) {
    Ask({.name = std::string(KeyQueryName(operation)), .time = ++time});
    const std::vector<ByteVector> answers = Answers();
    ASSERT_THAT(answers, SizeIs(1));
    EXPECT_FALSE(WentWell(answers[0]));
  }
  EXPECT_EQ(keyring_->keys().size(), 1u);
}

TEST_F(KnownKeyWeaknessesTest, AListOfAnyNumberOfKeysIsAnswered) {
  for (std::uint64_t keys = 1; keys <= 64; ++keys) {
    ASSERT_EQ(keyring_->keys().size(), keys);
    Ask({.name = std::string(KeyQueryName(KeyOperation::kList)), .time = keys});
    const std::vector<ByteVector> answers = Answers();
    ASSERT_THAT(answers, SizeIs(1)) << keys;
    EXPECT_TRUE(WentWell(answers[0])) << keys;
    EXPECT_LE(answers[0].size(), 1024u) << keys;
    ASSERT_TRUE(keyring_->Add(ByteVector(32, static_cast<std::uint8_t>(keys + 1))).ok());
  }
}

TEST_F(KnownWeaknessesTest, ADeclaredLengthSizesNoAllocation) {
  constexpr std::size_t kMuch = 1 << 20;
  testkit::allocations().largest = 0;
  Rng rng(1);
  self_.ReceiveBytes(
      testkit::Announcing(rng, testkit::Unhex("0481a746696c74657273"), testkit::kList32));
  self_.ReceiveBytes(testkit::Announcing(rng, testkit::Unhex("0181a44e6f6465"), testkit::kText32));
  EXPECT_EQ(self_.serf().counters().dropped_malformed, 2u);
  // The same in a push/pull state, for each of its lists.
  for (const char* key : {"Events", "LeftMembers", "StatusLTimes"}) {
    for (const std::uint8_t head : {testkit::kList32, testkit::kMap32, testkit::kText32}) {
      ByteVector state = {0x02, 0x81, static_cast<std::uint8_t>(0xa0 + std::string(key).size())};
      Append(state, AsBytes(key));
      self_.ReceiveState(testkit::Announcing(rng, state, head));
    }
  }
  EXPECT_EQ(self_.serf().counters().states_malformed, 9u);
  EXPECT_LT(testkit::allocations().largest, kMuch);
  EXPECT_EQ(self_.serf().member_count(), 2u);
}

TEST_F(KnownWeaknessesTest, NestingIsBounded) {
  Rng rng(2);
  self_.ReceiveState(testkit::Nested(0x02, 500'000 + rng.Below(500'000)));
  EXPECT_EQ(self_.serf().counters().states_malformed, 1u);
  // In a message too, and for maps.
  ByteVector message = {0x01, 0x81, 0xa1, 'x'};
  for (std::size_t i = 0; i < 10'000; ++i) message.insert(message.end(), {0x81, 0xa1, 'y'});
  self_.ReceiveBytes(message);
  EXPECT_EQ(self_.serf().counters().dropped_malformed, 1u);
  EXPECT_TRUE(Lives());
}

// transport/host_test.cc, WhatComesBeforeTheStartWaits, covers messages before the start is over.

TEST_F(KnownWeaknessesTest, ANodeThatLeftKeepsItsOwnEntryWhenItIsPruned) {
  self_.Leave();
  self_.RunFor(seconds(15));
  ASSERT_EQ(self_.Status("self"), MemberStatus::kLeft);
  self_.Receive(wire::LeaveMessage{.ltime = LamportTime(100), .node = "self", .prune = true});
  self_.RunFor(seconds(60));
  EXPECT_EQ(self_.Status("self"), MemberStatus::kLeft);
  EXPECT_EQ(self_.serf().LocalMember().name, "self");
}

// docs/protocol/serf.md 15.3 on events that are bigger than a packet: they would stay at the head
// of their queue forever, and an attacker could add as many as it likes over a stream.
TEST_F(KnownWeaknessesTest, WhatNoPacketCarriesIsToldButNotQueued) {
  const std::string large(2000, 'x');
  self_.Receive(wire::UserEventMessage{.ltime = LamportTime(1), .name = large});
  // Unknown fields can make the other messages large.
  ByteVector tail = {0xa1, 'z', 0xda, 0x07, 0xd0};
  tail.insert(tail.end(), 2000, 'z');
  const auto receive_with_tail = [&](const auto& message) {
    ByteVector bytes;
    Encode(message, bytes);
    ++bytes[1];  // one more field in the map
    Append(bytes, tail);
    self_.ReceiveBytes(bytes);
  };
  receive_with_tail(wire::JoinMessage{.ltime = LamportTime(5), .node = "a"});
  receive_with_tail(wire::LeaveMessage{.ltime = LamportTime(6), .node = "a"});
  receive_with_tail(wire::QueryMessage{.ltime = LamportTime(1), .name = "q"});
  EXPECT_THAT(self_.TakeEvents(), ElementsAre(absl::StrCat("user ", large), "query q"));
  EXPECT_EQ(self_.Status("a"), MemberStatus::kLeaving);
  EXPECT_EQ(self_.serf().counters().not_passed_on, 4u);
  for (const char* queue : {"intent_queue", "query_queue", "event_queue"}) {
    EXPECT_EQ(self_.Stat(queue), "0") << queue;
  }
}

// This node remembers a query until its deadline, up to an hour, and who answered until its end.
TEST_F(KnownWeaknessesTest, LongNamesAreNotRemembered) {
  const std::string long_name(swim::kNodeNameMax + 1, 'x');
  Ask({.source = long_name, .time = 1});
  Ask({.name = std::string(70'000, 'x'), .time = 2});
  EXPECT_THAT(self_.TakeQueries(), IsEmpty());
  const absl::StatusOr<QueryId> query = self_.SendQuery("q");
  ASSERT_TRUE(query.ok());
  self_.Receive(
      wire::QueryResponseMessage{.ltime = query->time, .id = query->number, .from = long_name});
  EXPECT_THAT(self_.TakeUpdates(), IsEmpty());
  EXPECT_EQ(self_.serf().counters().dropped_name, 2u);
  EXPECT_EQ(self_.serf().counters().dropped_oversize, 1u);
}

// --- 15.2 Trust ---

// testing/scenarios/clocks_test.cc shows that nodes which start later take part all the same, and
// that floods have no effect.
class KnownClockWeaknessesTest : public KnownWeaknessesTest {
 protected:
  std::string Clocks() {
    return absl::StrCat(self_.Stat("member_time"), " ", self_.Stat("event_time"), " ",
                        self_.Stat("query_time"));
  }
  // Sends the time in each way that a node accepts one.
  void TellTime(std::uint64_t time) {
    self_.Receive(wire::JoinMessage{.ltime = LamportTime(time), .node = "a"});
    self_.Receive(wire::LeaveMessage{.ltime = LamportTime(time), .node = "a"});
    self_.Receive(wire::UserEventMessage{.ltime = LamportTime(time), .name = "x"});
    Ask({.time = time});
    for (const bool join : {false, true}) {
      wire::PushPullState state;
      state.ltime = state.event_ltime = state.query_ltime = LamportTime(time);
      ByteVector bytes;
      Encode(state, bytes);
      self_.ReceiveState(bytes, join);
    }
  }
};

TEST_F(KnownClockWeaknessesTest, NobodyIsBroughtToTheEndOfTheNumbers) {
  constexpr std::uint64_t kLast = std::numeric_limits<std::uint64_t>::max();
  const std::string before = Clocks();
  for (std::uint64_t back = 0; back < std::uint64_t{1} << 31; back = 2 * back + 1) {
    TellTime(kLast - back);
    EXPECT_EQ(Clocks(), before) << back;
  }
  EXPECT_THAT(self_.TakeEvents(), IsEmpty());
  EXPECT_EQ(self_.Status("a"), MemberStatus::kAlive);
  EXPECT_EQ(self_.Stat("intent_queue"), "0");
  EXPECT_EQ(self_.Stat("event_queue"), "0");
  // Ten of each of 32 times: four messages, and three clocks of two states.
  EXPECT_EQ(self_.serf().counters().dropped_time, 32u * 10u);
  for (const char* what : {"intents", "user events", "queries"}) {
    EXPECT_TRUE(
        self_.log().Contains(absl::StrCat("[WARN] serf: Ignoring a Lamport time of ", what,
                                          " that is too far ahead: ", kLast, " (current: ")))
        << what;
  }
}

// As in Go Serf: a node that starts later would otherwise hear nothing, and nobody would hear it.
// Users of two clusters reported that.
TEST_F(KnownClockWeaknessesTest, WhateverIsNotTheEndIsFollowed) {
  for (const std::uint64_t time : {std::uint64_t{1} << 40, std::uint64_t{1} << 42,
                                   std::uint64_t{1} << 62, LamportClock::kCeiling - 2}) {
    TellTime(time);
    EXPECT_EQ(Clocks(), absl::StrCat(time + 1, " ", time + 1, " ", time + 1));
  }
  EXPECT_EQ(self_.serf().counters().dropped_time, 0u);
  self_.TakeEvents();
  EXPECT_EQ(self_.SendUserEvent("own"), "ok");
  EXPECT_THAT(self_.TakeEvents(), ElementsAre("user own"));
}

// Otherwise each slot of a state could move the clock again.
TEST_F(KnownClockWeaknessesTest, AStateMovesAClockOnce) {
  const std::vector<wire::RecentEvent> events = {{"e", {}}};
  std::vector<wire::EventSlot> slots(3);
  for (std::size_t i = 0; i < slots.size(); ++i) {
    slots[i].used = true;
    slots[i].ltime = LamportTime(std::uint64_t{5} << (20 * i));
    slots[i].events = wire::ListView<wire::RecentEvent>(events);
  }
  const std::vector<wire::StatusLTime> times = {{"a", LamportTime(1000)}, {"b", LamportTime(3)}};
  const std::vector<absl::string_view> left = {"b", "a"};
  wire::PushPullState state;
  state.ltime = LamportTime(10);
  state.event_ltime = LamportTime(10);
  state.events = wire::ListView<wire::EventSlot>(slots);
  state.status_ltimes = wire::ListView<wire::StatusLTime>(times);
  ByteVector bytes;
  Encode(state, bytes);
  self_.ReceiveState(bytes);
  EXPECT_EQ(Clocks(), "10 10 1");
  state.left_members = wire::ListView<absl::string_view>(left);
  bytes.clear();
  Encode(state, bytes);
  self_.ReceiveState(bytes);
  EXPECT_EQ(Clocks(), "10 10 1");
  EXPECT_THAT(self_.TakeEvents(), ElementsAre("user e"));
  EXPECT_EQ(self_.Status("a"), MemberStatus::kAlive);
  EXPECT_EQ(self_.serf().counters().dropped_time, 6u);
}

TEST_F(KnownWeaknessesTest, ARelayIsNoReflector) {
  ByteVector answer;
  Encode(wire::QueryResponseMessage{.from = "b"}, answer);
  ByteVector event;
  Encode(wire::UserEventMessage{.name = "x"}, event);
  const auto relay = [this](const Endpoint& to, absl::string_view name, ByteView inner) {
    wire::RelayHeader header;
    header.dest_addr.ip = to.address.bytes();
    header.dest_addr.port = to.port;
    header.dest_name = name;
    ByteVector message;
    Encode(header, message);
    Append(message, inner);
    self_.ReceiveBytes(message);
    return self_.TakePackets().size();
  };
  const Endpoint a = LoneSerf::EndpointOf("a");
  const Endpoint other_port{a.address, static_cast<std::uint16_t>(a.port + 1)};
  EXPECT_EQ(relay(a, "a", answer), 1u);
  EXPECT_EQ(relay(a, "a", event), 0u) << "no answer";
  EXPECT_EQ(relay(a, "a", {}), 0u) << "nothing";
  EXPECT_EQ(relay(LoneSerf::EndpointOf("victim"), "a", answer), 0u) << "not a member's address";
  EXPECT_EQ(relay(other_port, "a", answer), 0u) << "not a member's port";
  EXPECT_EQ(relay(a, "victim", answer), 0u) << "not a member's name";
  EXPECT_EQ(self_.serf().counters().dropped_relay, 5u);
}

TEST_F(KnownWeaknessesTest, AForgedQueryAimsNobodysAnswers) {
  Ask({.to = LoneSerf::EndpointOf("victim"), .time = 1});
  Ask({.source = "", .to = LoneSerf::EndpointOf("victim"), .time = 2});
  Ask({.source = "victim", .to = LoneSerf::EndpointOf("victim"), .time = 3});
  for (const QueryEvent& query : self_.TakeQueries()) self_.Respond(query.id, "x");
  EXPECT_THAT(self_.TakePackets(), IsEmpty());
}

TEST_F(KnownWeaknessesTest, AForgedLeaveIsRefuted) {
  for (const bool prune : {false, true}) {
    const std::uint64_t time = prune ? 200 : 100;
    self_.Receive(wire::LeaveMessage{.ltime = LamportTime(time), .node = "self", .prune = prune});
    EXPECT_EQ(self_.Status("self"), MemberStatus::kAlive);
    EXPECT_EQ(self_.Stat("member_time"), absl::StrCat(time + 2)) << "the refutation's time";
    // About another member that is alive: this node lists it as leaving until it refutes.
    self_.Receive(wire::LeaveMessage{.ltime = LamportTime(time), .node = "a", .prune = prune});
    EXPECT_EQ(self_.Status("a"), MemberStatus::kLeaving);
    self_.Receive(wire::JoinMessage{.ltime = LamportTime(time + 1), .node = "a"});
    EXPECT_EQ(self_.Status("a"), MemberStatus::kAlive);
  }
  self_.RunFor(seconds(60));
  EXPECT_THAT(self_.TakeEvents(), IsEmpty());
}

TEST_F(KnownWeaknessesTest, ForgedAnswersAreFew) {
  const absl::StatusOr<QueryId> query = self_.SendQuery("q");
  ASSERT_TRUE(query.ok());
  for (int i = 0; i < 1000; ++i) {
    self_.Receive(wire::QueryResponseMessage{
        .ltime = query->time, .id = query->number, .from = absl::StrCat("stranger-", i)});
  }
  EXPECT_THAT(self_.TakeUpdates(), SizeIs(QueryCollector::kStrangersMax));
  // A member has a single answer, whatever other nodes send in its name.
  for (int i = 0; i < 10; ++i) {
    self_.Receive(
        wire::QueryResponseMessage{.ltime = query->time, .id = query->number, .from = "a"});
  }
  EXPECT_THAT(self_.TakeUpdates(), SizeIs(1));
}

class KnownFileWeaknessesTest : public KnownWeaknessesTest {
 protected:
  KnownFileWeaknessesTest() : KnownWeaknessesTest(WithClocks()) {}
  static Config WithClocks() {
    Config config = LoneSerf::DefaultConfig();
    config.snapshot.emplace();
    config.snapshot->clock = LamportTime(std::numeric_limits<std::uint64_t>::max());
    config.snapshot->event_clock = LamportTime(std::numeric_limits<std::uint64_t>::max() - 1);
    config.snapshot->query_clock = LamportTime(std::uint64_t{1} << 62);
    return config;
  }
};

// A file of an older release, or of Go Serf, which ends there and starts again.
TEST_F(KnownFileWeaknessesTest, AFileDoesNotBringToTheEndOfTheNumbers) {
  EXPECT_EQ(self_.Stat("member_time"), "1");
  EXPECT_EQ(self_.Stat("event_time"), "1");
  EXPECT_EQ(self_.Stat("query_time"), absl::StrCat((std::uint64_t{1} << 62) + 1));
  self_.Receive(wire::UserEventMessage{.ltime = LamportTime(5), .name = "x"});
  EXPECT_THAT(self_.TakeEvents(), ElementsAre("user x"));
}

class KnownSnapshotWeaknessesTest : public KnownWeaknessesTest {
 protected:
  KnownSnapshotWeaknessesTest() : KnownWeaknessesTest(WithSnapshot()) {}
  static Config WithSnapshot() {
    Config config = LoneSerf::DefaultConfig();
    config.snapshot.emplace();
    return config;
  }
};

TEST_F(KnownSnapshotWeaknessesTest, ANameWithLineFeedsForgesNoLines) {
  self_.PeerAlive("x\nleave\nclock: 99999\nalive: evil 10.6.6.6:1\ny");
  self_.PeerAlive("good");
  self_.RunFor(seconds(5));
  SnapshotReader reader(/*rejoin_after_leave=*/false, nullptr);
  reader.Read(self_.snapshot());
  const SnapshotState state = std::move(reader).Finish();
  EXPECT_TRUE(state.alive.contains("good"));
  EXPECT_FALSE(state.alive.contains("evil"));
  EXPECT_LT(state.clock.value(), 99999u);
  EXPECT_THAT(self_.snapshot(), Not(::testing::HasSubstr("leave")));
}

std::string Repeated(absl::string_view unit, int count) {
  std::string text;
  for (int i = 0; i < count; ++i) absl::StrAppend(&text, unit);
  return text;
}

// The costliest kinds of expressions for RE2, each as large as a packet.
std::vector<std::string> CostlyExpressions() {
  return {
      // Exponential for engines that backtrack.
      "(a*)*b",
      // Gigabytes, written out.
      "((((a{1000}){1000}){1000}){1000})",
      Repeated("(", 600),
      Repeated("*", 500),
      // Large to parse, to compile, and to match.
      Repeated("\\pL", 400),
      absl::StrCat("(?i)[", Repeated("\\PL\\pL", 200), "]"),
      "(?i:\\pL{0,20})|^",
      "(?:[^a]{0,500}){0,2}|^",
      absl::StrCat("(", Repeated("a?", 600), "){100}b"),
      absl::StrCat("(", Repeated("(a|b)*", 200), "){10}c"),
      "(.?.?.?.?){1000}b",
      absl::StrCat(Repeated("(", 9), "a?", Repeated("){2}", 9), "b"),
  };
}

TEST_F(KnownWeaknessesTest, AnExpressionCannotHoldUpTheNode) {
  self_.SetTags({{"role", std::string(400, 'a')}});
  self_.HoldJudgements();
  std::uint64_t time = 0;
  std::uint64_t undecided = 0;
  for (const std::string& expression : CostlyExpressions()) {
    Duration least = Duration::max();
    for (int run = 0; run < 3; ++run) {
      // Another expression each time, so that no verdict is known.
      const std::string another = absl::StrCat("(?:", expression, ")|x", run);
      ByteVector filter;
      wire::EncodeFilter(wire::TagFilter{.tag = "role", .expr = another}, filter);
      // As many filters as this node looks at, so that the cost of each counts.
      const Question asked{.filters = std::vector<ByteVector>(kQueryFiltersMax, filter),
                           .time = ++time};
      const Duration begin = ThreadCpuTime();
      Ask(asked);
      least = std::min(least, ThreadCpuTime() - begin);
      EXPECT_THAT(self_.TakeQueries(), IsEmpty()) << expression;
      // The driver runs the rest elsewhere, and each judgement gives up in time.
      for (const std::unique_ptr<Judgement>& judgement : self_.TakeJudgements()) {
        const Duration start = ThreadCpuTime();
        judgement->Run(ThreadCpuTime);
        EXPECT_LT(ThreadCpuTime() - start, 8 * Judgement::kCpuTimeMax) << expression;
        undecided += !judgement->decided();
        self_.Judged(*judgement);
        self_.TakeQueries();
      }
    }
    EXPECT_LT(least, std::chrono::milliseconds(5)) << expression;
  }
  // A query that is not judged is counted and logged.
  EXPECT_GT(undecided, 0u);
  EXPECT_EQ(self_.serf().counters().queries_unjudged, undecided);
  EXPECT_EQ(self_.Stat("queries_unjudged"), absl::StrCat(undecided));
  EXPECT_TRUE(
      self_.log().Contains("is not answered: to judge its filters takes too long: filter "
                           "regex ("));
  Ask({.time = ++time});
  EXPECT_THAT(self_.TakeQueries(), SizeIs(1));
}

TEST_F(KnownWeaknessesTest, QueriesUnderJudgementAreBounded) {
  self_.HoldJudgements();
  const auto ask = [&](int i) {
    ByteVector filter;
    wire::EncodeFilter(wire::TagFilter{.tag = "role", .expr = absl::StrCat("\\pL{0,3}|", i)},
                       filter);
    Ask({.filters = {filter}, .time = static_cast<std::uint64_t>(i + 1)});
  };
  for (int i = 0; i < 1000; ++i) ask(i);
  const std::vector<std::unique_ptr<Judgement>> judgements = self_.TakeJudgements();
  EXPECT_THAT(judgements, SizeIs(QueryReceiver::kJudgedMax));
  EXPECT_EQ(self_.serf().counters().queries_unjudged, 1000 - QueryReceiver::kJudgedMax);
  // The asking node has stopped waiting when the last judgement is back.
  for (std::size_t i = 0; i < judgements.size(); ++i) {
    if (i + 1 == judgements.size()) self_.RunFor(seconds(11));
    judgements[i]->Run(ThreadCpuTime);
    self_.Judged(*judgements[i]);
    // Only once, although the judgement comes back twice.
    self_.Judged(*judgements[i]);
  }
  EXPECT_THAT(self_.TakeQueries(), SizeIs(QueryReceiver::kJudgedMax - 1));
  ask(1000);
  EXPECT_THAT(self_.TakeJudgements(), SizeIs(1));
}

// Here without voters; name_conflict_test.cc has a test of this name where the claimant has voters.
TEST_F(KnownWeaknessesTest, AFloodOfClaimsOfTheNameMakesNobodyDie) {
  const auto versions = wire::VersionVector{1, 5, 2, 2, 5, 5}.ToBytes();
  const Endpoint elsewhere{IpAddress::V4(10, 6, 6, 6), 7946};
  wire::Alive alive;
  alive.node = "self";
  alive.addr = elsewhere.address.bytes();
  alive.port = elsewhere.port;
  alive.vsn = versions;
  // A flood of claims for a minute. The node holds a vote now and then, and no member takes part.
  for (std::uint32_t i = 0; i < 600; ++i) {
    alive.incarnation = wire::Incarnation(100 + i);
    ByteVector packet;
    Encode(alive, packet);
    self_.ReceivePacket(packet);
    self_.RunFor(std::chrono::milliseconds(100));
  }
  EXPECT_TRUE(Lives());
  EXPECT_LE(std::stoul(self_.Stat("query_time")),
            1 + seconds(60) / NameConflict::kRetryInterval + 1);
  EXPECT_TRUE(self_.log().Contains("nobody answered in name conflict resolution, staying [0 / 0]"));
}

}  // namespace
}  // namespace serf
