#include "serf/machine/serf_message_receiver.h"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "serf/events/user_events.h"
#include "serf/gossip/broadcasts.h"
#include "serf/lamport/lamport_clock.h"
#include "serf/members/intent_issuer.h"
#include "serf/queries/queries.h"
#include "serf/swim/packet_budget.h"
#include "serf/testing/node/serf_part.h"
#include "serf/wire/list_view.h"

namespace serf {
namespace {

using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using testkit::Encoded;
using testkit::JoinOf;
using testkit::LeaveOf;
using testkit::Peers;
using wire::LamportTime;

wire::UserEventMessage EventOf(absl::string_view name, std::uint64_t time, ByteView payload = {}) {
  return {.ltime = LamportTime(time), .name = name, .payload = payload};
}

wire::QueryMessage QueryOf(absl::string_view source_node, std::uint64_t time) {
  wire::QueryMessage query;
  query.ltime = LamportTime(time);
  query.id = 77;
  query.source_node = source_node;
  query.timeout_ns = Duration(seconds(10)).count();
  query.name = "uptime";
  return query;
}

wire::QueryResponseMessage ResponseOf(QueryId query, absl::string_view from) {
  return {.ltime = query.time, .id = query.number, .from = from};
}

ByteVector RelayOf(absl::string_view name, const Endpoint& to, const ByteVector& inner) {
  wire::RelayHeader header;
  header.dest_addr.ip = to.address.bytes();
  header.dest_addr.port = to.port;
  header.dest_name = name;
  ByteVector relay = Encoded(header);
  Append(relay, inner);
  return relay;
}

class SerfMessageReceiverTest : public ::testing::Test, protected testkit::SerfPart {
 protected:
  void Hear(ByteView message, const Endpoint& from = Peers::EndpointOf("a")) {
    receiver_.OnMessage(now_, from, message, swim::Spread::kRing);
  }
  // The messages that were queued for gossip since the last call.
  std::vector<ByteVector> TakeQueued() {
    std::vector<ByteView> parts;
    broadcasts_.Draw(/*transmit_limit=*/1, /*overhead=*/0, /*budget=*/1 << 20, parts);
    std::vector<ByteVector> copies;
    for (const ByteView part : parts) copies.emplace_back(part.begin(), part.end());
    return copies;
  }
  // What this node delivered since the last call: "user deploy", "query uptime".
  std::vector<std::string> TakeReports() {
    std::vector<std::string> lines;
    user_events_.fresh().Drain(
        [&](const UserEvent& event) { lines.push_back(absl::StrCat("user ", event.name)); });
    queries_.Settle(now_);
    queries_.asked().Drain(
        [&](const QueryEvent& query) { lines.push_back(absl::StrCat("query ", query.name)); });
    queries_.updates().Drain(
        [&](const QueryUpdate& update) { lines.push_back(testkit::TextOf(update)); });
    return lines;
  }
  // The number of calls that it takes to merge the state.
  int Merge(const wire::PushPullState& state, bool join = false, bool dialled = false) {
    return MergeBytes(Encoded(state), join, dialled);
  }
  int MergeBytes(const ByteVector& bytes, bool join = false, bool dialled = false) {
    swim::RemoteState state{bytes, join, dialled, Peers::EndpointOf("a"), /*first=*/true};
    int calls = 1;
    for (; !receiver_.OnRemoteState(now_, state); ++calls) state.first = false;
    return calls;
  }
  Counters& counters() { return context_.counters; }

  Broadcasts broadcasts_{64};
  IntentIssuer intents_{context_, members_, broadcasts_};
  UserEvents user_events_{context_, broadcasts_};
  Queries queries_{context_, members_};
  SerfMessageReceiver receiver_{context_, members_, intents_, user_events_, queries_, broadcasts_};
};

// --- messages ---

TEST_F(SerfMessageReceiverTest, WhatIsNewIsPassedOnAsItCameAndOnlyOnce) {
  AddPeer("a");
  const ByteVector messages[] = {
      Encoded(JoinOf("a", 5)), Encoded(LeaveOf("a", 6)),      Encoded(LeaveOf("a", 7, true)),
      Encoded(JoinOf("b", 5)), Encoded(EventOf("deploy", 5)), Encoded(QueryOf("a", 5)),
      Encoded(QueryOf("", 6)),  // of releases before 0.9.0
  };
  for (const ByteVector& message : messages) {
    Hear(message);
    EXPECT_THAT(TakeQueued(), ElementsAre(message));
    Hear(message);
    EXPECT_THAT(TakeQueued(), IsEmpty());
  }
  EXPECT_THAT(TakeReports(), ElementsAre("user deploy", "query uptime", "query uptime"));
  EXPECT_EQ(counters().messages_received, 2 * std::size(messages));
}

TEST_F(SerfMessageReceiverTest, WhatDoesNotDecodeIsCountedAndDropped) {
  const ByteVector messages[] = {
      Encoded(JoinOf("a", 5)),      Encoded(LeaveOf("a", 6)),
      Encoded(EventOf("e", 5)),     Encoded(QueryOf("a", 5)),
      Encoded(ResponseOf({}, "a")), RelayOf("a", Peers::EndpointOf("a"), {}),
  };
  for (ByteVector message : messages) {
    message.pop_back();
    Hear(message);
  }
  EXPECT_EQ(counters().dropped_malformed, std::size(messages));
  EXPECT_THAT(TakeQueued(), IsEmpty());
  EXPECT_THAT(TakeReports(), IsEmpty());
}

TEST_F(SerfMessageReceiverTest, TypesThatAreUnknownOrNotForGossipAreCountedAndDropped) {
  const wire::SerfMessageType kTypes[] = {
      wire::SerfMessageType::kPushPull, wire::SerfMessageType::kConflictResponse,
      wire::SerfMessageType::kKeyRequest, wire::SerfMessageType::kKeyResponse,
      static_cast<wire::SerfMessageType>(99)};
  for (const wire::SerfMessageType type : kTypes) Hear(ByteVector{static_cast<std::uint8_t>(type)});
  EXPECT_EQ(counters().dropped_type, std::size(kTypes));
  Hear({});
  EXPECT_EQ(counters().dropped_type, std::size(kTypes));
  EXPECT_EQ(counters().messages_received, std::size(kTypes) + 1);
}

TEST_F(SerfMessageReceiverTest, OnlyAnswersMayBeLargerThanADatagram) {
  const struct {
    ByteVector message;
    std::size_t largest;
  } kTable[] = {
      {Encoded(LeaveOf("a", 5)), wire::kDatagramMax},
      {Encoded(JoinOf("a", 5)), wire::kDatagramMax},
      {Encoded(EventOf("e", 5)), wire::kDatagramMax},
      {Encoded(QueryOf("a", 5)), wire::kDatagramMax},
      {Encoded(ResponseOf({}, "a")), SerfMessageReceiver::kAnswerMax},
      {RelayOf("a", Peers::EndpointOf("a"), {}), SerfMessageReceiver::kAnswerMax},
  };
  for (const auto& row : kTable) {
    ByteVector message = row.message;
    message.resize(row.largest, 0xc0);  // bytes behind the record do not matter
    Hear(message);
    EXPECT_EQ(counters().dropped_oversize, 0u) << int{message[0]};
    message.push_back(0xc0);
    Hear(message);
    EXPECT_EQ(std::exchange(counters().dropped_oversize, 0), 1u) << int{message[0]};
  }
}

TEST_F(SerfMessageReceiverTest, ANameThatNoMemberCanHaveIsCountedAndDropped) {
  const std::string longest(swim::kNodeNameMax, 'n');
  for (const std::string& name : {std::string(), longest + "n"}) {
    Hear(Encoded(JoinOf(name, 5)));
    Hear(Encoded(LeaveOf(name, 5)));
    Hear(Encoded(ResponseOf({}, name)));
  }
  Hear(Encoded(QueryOf(longest + "n", 5)));
  EXPECT_EQ(counters().dropped_name, 7u);
  EXPECT_THAT(TakeQueued(), IsEmpty());
  Hear(Encoded(JoinOf(longest, 5)));
  Hear(Encoded(QueryOf(longest, 5)));
  EXPECT_EQ(counters().dropped_name, 7u);
  EXPECT_THAT(TakeQueued(), SizeIs(2));
}

TEST_F(SerfMessageReceiverTest, WhatNoPacketOfGossipCarriesIsTakenButNotPassedOn) {
  const std::size_t room = swim::MaxGossipMessage(config_.swim);
  ByteVector payload(room);
  while (Encoded(EventOf("e", 5, payload)).size() > room) payload.pop_back();
  Hear(Encoded(EventOf("e", 5, payload)));
  EXPECT_THAT(TakeQueued(), SizeIs(1));
  payload.push_back(0);
  Hear(Encoded(EventOf("e", 6, payload)));
  EXPECT_THAT(TakeQueued(), IsEmpty());
  EXPECT_THAT(TakeReports(), ElementsAre("user e", "user e"));
  EXPECT_EQ(counters().not_passed_on, 1u);
}

TEST_F(SerfMessageReceiverTest, TheOwnDepartureIsRefutedInsteadOfPassedOn) {
  Hear(Encoded(LeaveOf("self", 5)));
  EXPECT_THAT(TakeQueued(), ElementsAre(Encoded(JoinOf("self", 6))));
  EXPECT_EQ(counters().refutations, 1u);
  EXPECT_EQ(Status("self"), MemberStatus::kAlive);
}

TEST_F(SerfMessageReceiverTest, AnAnswerReachesTheQueryThatItIsAbout) {
  AddPeer("a");
  const absl::StatusOr<QueryId> query = queries_.Send(now_, "uptime", "", {});
  ASSERT_TRUE(query.ok());
  Hear(Encoded(ResponseOf(*query, "a")));
  Hear(Encoded(ResponseOf({LamportTime(99), 1}, "a")));
  EXPECT_THAT(TakeReports(), ElementsAre("response a: "));
  EXPECT_EQ(counters().dropped_reply, 1u);
  EXPECT_THAT(TakeQueued(), IsEmpty());
}

// --- relays ---

TEST_F(SerfMessageReceiverTest, AnAnswerIsRelayedToAMemberAtItsAddressAndNothingElse) {
  AddPeers({"a", "b"});
  const Endpoint a = Peers::EndpointOf("a");
  const Endpoint other_port{a.address, 1};
  const ByteVector answer = Encoded(ResponseOf({LamportTime(5), 77}, "b"));
  const struct {
    const char* name;
    Endpoint to;
    ByteVector inner;
    bool relayed;
  } kTable[] = {
      {"a", a, answer, true},
      {"a", other_port, answer, false},
      {"a", Peers::EndpointOf("b"), answer, false},
      {"stranger", a, answer, false},
      {"", a, answer, false},
      {"a", a, Encoded(LeaveOf("b", 5)), false},
      {"a", a, {}, false},
  };
  for (const auto& row : kTable) {
    counters().relayed = counters().dropped_relay = 0;
    Hear(RelayOf(row.name, row.to, row.inner));
    const std::vector<SerfContext::Message> sent = TakeSent();
    EXPECT_EQ(counters().relayed, row.relayed) << row.name;
    EXPECT_EQ(counters().dropped_relay, !row.relayed) << row.name;
    ASSERT_THAT(sent, SizeIs(row.relayed));
    if (!row.relayed) continue;
    EXPECT_EQ(sent[0].to, a);
    EXPECT_EQ(sent[0].bytes, row.inner);
  }
}

// --- states ---

TEST_F(SerfMessageReceiverTest, AStateMovesTheThreeClocksAndNothingOfItIsPassedOn) {
  AddPeers({"alive", "left"});
  const std::vector<wire::StatusLTime> times = {{"alive", LamportTime(5)},
                                                {"left", LamportTime(6)}};
  const std::vector<absl::string_view> left = {"left"};
  const std::vector<wire::RecentEvent> events = {{"deploy", {}}};
  const std::vector<wire::EventSlot> slots = {
      {true, LamportTime(7), wire::ListView<wire::RecentEvent>(events)}};
  wire::PushPullState state;
  state.ltime = LamportTime(10);
  state.status_ltimes = wire::ListView<wire::StatusLTime>(times);
  state.left_members = wire::ListView<absl::string_view>(left);
  state.event_ltime = LamportTime(20);
  state.events = wire::ListView<wire::EventSlot>(slots);
  state.query_ltime = LamportTime(30);
  EXPECT_EQ(Merge(state), 1);
  EXPECT_EQ(members_.clock().time(), LamportTime(10));
  EXPECT_EQ(user_events_.clock().time(), LamportTime(20));
  EXPECT_EQ(queries_.clock().time(), LamportTime(30));
  EXPECT_EQ(Status("left"), MemberStatus::kLeaving);
  EXPECT_THAT(TakeReports(), ElementsAre("user deploy"));
  EXPECT_THAT(TakeQueued(), IsEmpty());
  Merge(state);
  EXPECT_THAT(TakeReports(), IsEmpty());
}

TEST_F(SerfMessageReceiverTest, TheOwnTombstoneInAStateIsRefuted) {
  const std::vector<wire::StatusLTime> times = {{"self", LamportTime(5)}};
  const std::vector<absl::string_view> left = {"self"};
  wire::PushPullState state;
  state.ltime = LamportTime(10);
  state.status_ltimes = wire::ListView<wire::StatusLTime>(times);
  state.left_members = wire::ListView<absl::string_view>(left);
  Merge(state);
  EXPECT_THAT(TakeQueued(), ElementsAre(Encoded(JoinOf("self", 10))));
}

TEST_F(SerfMessageReceiverTest, NamesInAStateThatNoMemberCanHaveAreDropped) {
  const std::string name(swim::kNodeNameMax + 1, 'n');
  const std::vector<wire::StatusLTime> times = {{"", LamportTime(5)}, {name, LamportTime(5)}};
  const std::vector<absl::string_view> left = {name};
  wire::PushPullState state;
  state.ltime = LamportTime(10);
  state.status_ltimes = wire::ListView<wire::StatusLTime>(times);
  state.left_members = wire::ListView<absl::string_view>(left);
  Merge(state);
  EXPECT_EQ(counters().dropped_name, 2u);
  EXPECT_EQ(members_.intents().size(), 0u);
}

TEST_F(SerfMessageReceiverTest, ALargeStateIsMergedInPortionsAndOneThatIsGivenUpBeginsAnew) {
  std::vector<std::string> names;
  for (int i = 0; i < 9000; ++i) names.push_back(absl::StrCat("n", 10000 + i));
  std::vector<wire::StatusLTime> times;
  for (const std::string& name : names) times.push_back({name, LamportTime(5)});
  wire::PushPullState state;
  state.ltime = LamportTime(10);
  state.status_ltimes = wire::ListView<wire::StatusLTime>(times);
  const ByteVector large = Encoded(state);
  const ByteVector small = Encoded(wire::PushPullState{.ltime = LamportTime(20)});
  // The small state lies at the address where the large one was.
  ByteVector bytes = large;
  EXPECT_FALSE(receiver_.OnRemoteState(now_, {.bytes = bytes, .peer = {}, .first = true}));
  EXPECT_LT(members_.intents().size(), names.size());
  std::copy(small.begin(), small.end(), bytes.begin());
  const ByteView rest(bytes.data(), small.size());
  EXPECT_TRUE(receiver_.OnRemoteState(now_, {.bytes = rest, .peer = {}, .first = true}));
  EXPECT_EQ(members_.clock().time(), LamportTime(20));
  EXPECT_EQ(counters().states_malformed, 0u);
  EXPECT_GT(MergeBytes(large), 1);
  EXPECT_EQ(members_.intents().size(), names.size());
}

TEST_F(SerfMessageReceiverTest, WhatIsNoStateIsCountedAndDone) {
  ByteVector cut = Encoded(wire::PushPullState{.ltime = LamportTime(20)});
  cut.pop_back();
  const struct {
    ByteVector bytes;
    const char* line;
  } kTable[] = {
      {{}, "serf: Remote state is zero bytes"},
      {Encoded(JoinOf("a", 5)), "serf: Remote state has bad type prefix: 1"},
      {cut, "serf: Failed to decode remote state: "},
  };
  for (const auto& row : kTable) {
    EXPECT_EQ(MergeBytes(row.bytes), 1);
    EXPECT_TRUE(log_.Contains(row.line)) << row.line;
    Pass(std::chrono::minutes(1));  // one line of a kind at a time
  }
  EXPECT_EQ(counters().states_malformed, std::size(kTable));
}

TEST_F(SerfMessageReceiverTest, EventsBeforeAJoinAreUnwelcomeIfItSaysSo) {
  wire::PushPullState state;
  state.event_ltime = LamportTime(20);
  Merge(state, /*join=*/true);
  Hear(Encoded(EventOf("welcome", 19)));
  receiver_.set_replay_on_join(false);
  state.event_ltime = LamportTime(30);
  Merge(state, /*join=*/false);
  Hear(Encoded(EventOf("no join", 29)));
  EXPECT_THAT(TakeReports(), ElementsAre("user welcome", "user no join"));
  Merge(state, /*join=*/true);
  Hear(Encoded(EventOf("old", 29)));
  Hear(Encoded(EventOf("new", 30)));
  EXPECT_THAT(TakeReports(), ElementsAre("user new"));
}

// Beyond the ceiling a clock moves slowly, except when it is adopted.
TEST_F(SerfMessageReceiverTest, OnlyTheFirstWhomThisNodeJoinsGivesItItsClock) {
  const auto state = [](std::uint64_t beyond) {
    return wire::PushPullState{.ltime = LamportTime(LamportClock::kCeiling + beyond)};
  };
  constexpr std::uint64_t kFar = std::uint64_t{1} << 40;
  Merge(state(kFar), /*join=*/true, /*dialled=*/false);
  EXPECT_LT(members_.clock().time(), LamportTime(LamportClock::kCeiling + kFar));
  Merge(state(kFar), /*join=*/false, /*dialled=*/true);
  EXPECT_LT(members_.clock().time(), LamportTime(LamportClock::kCeiling + kFar));
  Merge(state(kFar), /*join=*/true, /*dialled=*/true);
  EXPECT_EQ(members_.clock().time(), LamportTime(LamportClock::kCeiling + kFar));
  Merge(state(2 * kFar), /*join=*/true, /*dialled=*/true);
  EXPECT_LT(members_.clock().time(), LamportTime(LamportClock::kCeiling + 2 * kFar));
}

}  // namespace
}  // namespace serf
