#include "serf/events/user_events.h"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "serf/gossip/push_pull_state.h"
#include "serf/gossip/push_pull_visit.h"
#include "serf/lamport/event_buffer.h"
#include "serf/serf.h"
#include "serf/swim/packet_budget.h"
#include "serf/testing/node/lone_serf.h"
#include "serf/wire/message_type.h"

namespace serf {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using testkit::LoneSerf;
using wire::LamportTime;

wire::UserEventMessage EventOf(absl::string_view name, std::uint64_t time,
                               absl::string_view payload = {}) {
  wire::UserEventMessage event;
  event.ltime = LamportTime(time);
  event.name = name;
  if (!payload.empty()) event.payload = AsBytes(payload);
  return event;
}

// --- issuing ---

TEST(SendUserEventTest, IsToldHereAndGossiped) {
  LoneSerf self;
  self.PeerAlive("a");
  self.TakeEvents();
  self.TakePackets();
  EXPECT_EQ(self.SendUserEvent("deploy", "v1.2.3", {.coalesce = true}), "ok");
  const std::vector<UserEvent> events = self.TakeUserEvents();
  ASSERT_THAT(events, SizeIs(1));
  EXPECT_EQ(events[0].time, LamportTime(1));
  EXPECT_EQ(events[0].name, "deploy");
  EXPECT_EQ(events[0].payload, "v1.2.3");
  EXPECT_TRUE(events[0].coalesce);
  EXPECT_EQ(self.Stat("event_time"), "2");

  wire::UserEventMessage message = EventOf("deploy", 1, "v1.2.3");
  message.cc = true;
  ByteVector bytes;
  Encode(message, bytes);
  self.RunFor(seconds(2));
  int copies = 0;
  for (const auto& packet : self.TakePackets()) {
    copies += absl::StrContains(AsText(packet.bytes), AsText(bytes));
  }
  EXPECT_EQ(copies, 4);  // retransmit_mult for two members
}

TEST(SendUserEventTest, TheOwnEventComesBackWithoutEffect) {
  LoneSerf self;
  self.PeerAlive("a");
  EXPECT_EQ(self.SendUserEvent("deploy", "x"), "ok");
  self.TakeEvents();
  self.Receive(EventOf("deploy", 1, "x"));
  EXPECT_THAT(self.TakeEvents(), IsEmpty());
}

TEST(SendUserEventTest, EachGetsATimeOfItsOwn) {
  LoneSerf self;
  for (int i = 0; i < 3; ++i) EXPECT_EQ(self.SendUserEvent("same", "same"), "ok");
  std::vector<std::uint64_t> times;
  for (const UserEvent& event : self.TakeUserEvents()) times.push_back(event.time.value());
  EXPECT_THAT(times, ElementsAre(1u, 2u, 3u));
}

TEST(SendUserEventTest, TheSizeIsLimitedBeforeAndAfterEncoding) {
  LoneSerf self;
  EXPECT_EQ(self.SendUserEvent("n", std::string(512, 'x')),
            "user event exceeds configured limit of 512 bytes before encoding");
  // 25 bytes of keys, 1 of the time, 2 of the name, 3 before the payload.
  EXPECT_EQ(self.SendUserEvent("n", std::string(482, 'x')),
            "encoded user event exceeds configured limit of 512 bytes after encoding");
  EXPECT_THAT(self.TakeUserEvents(), IsEmpty());
  EXPECT_EQ(self.Stat("event_time"), "1");
  EXPECT_EQ(self.SendUserEvent("n", std::string(481, 'x')), "ok");
  EXPECT_EQ(self.SendUserEvent("", ""), "ok");
}

TEST(SendUserEventTest, WhatNoPacketCarriesIsRefused) {
  Config config = LoneSerf::DefaultConfig();
  config.user_event_size_limit = kUserEventMax;
  const std::size_t room = swim::MaxGossipMessage(config.swim);
  LoneSerf self(config);
  EXPECT_EQ(self.SendUserEvent("n", std::string(3000, 'x')),
            absl::StrCat("encoded user event has 3031 bytes, a packet of gossip holds ", room));
  EXPECT_EQ(self.SendUserEvent("n", std::string(9216, 'x')),
            "user event exceeds configured limit of 9216 bytes before encoding");
  EXPECT_EQ(self.SendUserEvent("n", std::string(room - 31, 'x')), "ok");
  // The event is gossiped: the queue becomes empty.
  self.PeerAlive("a");
  self.RunFor(seconds(5));
  EXPECT_EQ(self.Stat("event_queue"), "0");
}

TEST(SendUserEventTest, IsAllowedAfterLeaveButNotAfterShutdown) {
  LoneSerf self;
  self.Leave();
  self.RunFor(seconds(12));
  EXPECT_EQ(self.SendUserEvent("n"), "ok");
  self.Shutdown();
  EXPECT_EQ(self.SendUserEvent("n"), "Serf has been shut down");
}

// --- receiving ---

TEST(UserEventTest, ANewEventIsToldAndPassedOnOnce) {
  LoneSerf self;
  self.PeerAlive("a");
  self.TakeEvents();
  self.Receive(EventOf("deploy", 4));
  self.Receive(EventOf("deploy", 4));
  self.Receive(EventOf("restart", 4));
  self.Receive(EventOf("deploy", 4, "with a payload it is another"));
  EXPECT_THAT(self.TakeEvents(), ElementsAre("user deploy", "user restart", "user deploy"));
  EXPECT_EQ(self.Stat("event_queue"), "3");
  EXPECT_EQ(self.Stat("event_time"), "5");
}

TEST(UserEventTest, TheWindowIs512) {
  LoneSerf self;
  self.Receive(EventOf("new", 999));  // the clock now stands at 1000
  self.Receive(EventOf("oldest", 488));
  self.Receive(EventOf("too old", 487));
  EXPECT_THAT(self.TakeEvents(), ElementsAre("member-join self alive", "user new", "user oldest"));
  EXPECT_TRUE(
      self.log().Has("[WARN] serf: received old event too old from time 487 (current: 1000)"));
}

TEST(UserEventTest, AnImplausibleTimeIsIgnored) {
  LoneSerf self;
  self.Receive(EventOf("x", std::numeric_limits<std::uint64_t>::max() - 1));
  EXPECT_EQ(self.Stat("event_time"), "1");
  EXPECT_EQ(self.serf().counters().dropped_time, 1u);
  self.Receive(EventOf("y", 1'000'000'000));
  EXPECT_EQ(self.Stat("event_time"), "1000000001");
}

TEST(UserEventTest, ThoseOfOnePacketAreToldInTheirOrder) {
  LoneSerf self;
  self.TakeEvents();
  ByteVector packet = {static_cast<std::uint8_t>(wire::MessageType::kCompound), 3};
  std::vector<ByteVector> parts;
  for (const char* name : {"c3", "a1", "b2"}) {
    ByteVector part = {static_cast<std::uint8_t>(wire::MessageType::kUser)};
    ByteVector message;
    Encode(EventOf(name, static_cast<std::uint64_t>(name[1] - '0')), message);
    Append(part, message);
    packet.push_back(0);
    packet.push_back(static_cast<std::uint8_t>(part.size()));
    parts.push_back(std::move(part));
  }
  for (const ByteVector& part : parts) Append(packet, part);
  self.ReceivePacket(packet);
  EXPECT_THAT(self.TakeEvents(), ElementsAre("user a1", "user b2", "user c3"));
}

// --- push/pull ---

struct TimedEvent {
  std::uint64_t time;
  const char* name;
};

ByteVector StateOf(const std::vector<TimedEvent>& events, std::uint64_t clock) {
  std::vector<wire::RecentEvent> recent;
  for (const TimedEvent& event : events) recent.push_back({event.name, {}});
  std::vector<wire::EventSlot> slots;
  for (std::size_t i = 0; i < events.size(); ++i) {
    wire::EventSlot& slot = slots.emplace_back();
    slot.used = true;
    slot.ltime = LamportTime(events[i].time);
    slot.events = wire::ListView<wire::RecentEvent>(std::span(&recent[i], 1));
  }
  wire::PushPullState state;
  state.event_ltime = LamportTime(clock);
  state.events = wire::ListView<wire::EventSlot>(slots);
  ByteVector bytes;
  Encode(state, bytes);
  return bytes;
}

// Go Serf issue 448.
TEST(EventsOfPushPullTest, AreToldByTimeAlsoWhenTheRingHasWrapped) {
  LoneSerf self;
  self.TakeEvents();
  self.ReceiveState(StateOf({{1024, "c"}, {1025, "d"}, {1022, "a"}, {1023, "b"}}, 1026));
  EXPECT_THAT(self.TakeEvents(), ElementsAre("user a", "user b", "user c", "user d"));
  EXPECT_EQ(self.Stat("event_time"), "1026");
  EXPECT_EQ(self.Stat("event_queue"), "0");
}

TEST(EventsOfPushPullTest, WhatIsKnownIsNotToldAgain) {
  LoneSerf self;
  self.Receive(EventOf("a", 5));
  self.TakeEvents();
  self.ReceiveState(StateOf({{5, "a"}, {6, "b"}}, 7));
  self.ReceiveState(StateOf({{5, "a"}, {6, "b"}}, 7));
  self.Receive(EventOf("b", 6));
  EXPECT_THAT(self.TakeEvents(), ElementsAre("user b"));
}

// The clock of the peer puts the oldest events of its ring just inside the window.
TEST(EventsOfPushPullTest, AFullRingArrivesWhole) {
  EventBuffer ring;
  for (std::uint64_t i = 0; i < 600; ++i) {
    ASSERT_TRUE(ring.Add(LamportTime(i + 1), LamportTime(i + 2), absl::StrCat("e", i), ""));
  }
  LocalState state;
  state.event_time = LamportTime(601);
  ByteVector bytes;
  AppendPushPullState(std::move(state), ring, bytes);
  LoneSerf self;
  self.TakeEvents();
  self.ReceiveState(bytes);
  self.RunFor(Duration::zero());  // all its turns
  const std::vector<std::string> told = self.TakeEvents();
  ASSERT_THAT(told, SizeIs(512));
  EXPECT_EQ(told.front(), "user e88");
  EXPECT_EQ(told.back(), "user e599");
}

// Also between inputs of other nodes: each turn is a turn of the driver's loop.
TEST(EventsOfPushPullTest, ManyAreToldInTurnsAndInOrder) {
  LoneSerf self;
  self.PeerAlive("a");
  self.TakeEvents();
  std::vector<std::string> names;
  for (int i = 0; i < 500; ++i) names.push_back(absl::StrCat("e", 1000 + i));
  std::vector<TimedEvent> events;
  for (std::size_t i = 0; i < names.size(); ++i) events.push_back({1 + i, names[i].c_str()});
  self.ReceiveState(StateOf(events, 501));
  std::vector<std::string> told = self.TakeEvents();
  const std::size_t turn = PushPullVisit::kTurnCost / PushPullVisit::kEventCost;
  EXPECT_LE(told.size(), turn);
  int turns = 1;
  while (told.size() < names.size()) {
    ASSERT_LE(self.serf().NextDeadline(), self.time()) << told.size();
    self.PeerAlive("a");
    self.RunTurn();
    const std::vector<std::string> more = self.TakeEvents();
    EXPECT_LE(more.size(), turn);
    told.insert(told.end(), more.begin(), more.end());
    ASSERT_LE(++turns, 100);
  }
  EXPECT_TRUE(std::is_sorted(told.begin(), told.end()));
  EXPECT_EQ(self.serf().counters().user_events, names.size());
}

TEST(EventsOfPushPullTest, AJoinMayIgnoreWhatIsOld) {
  LoneSerf self;
  self.TakeEvents();
  self.Join({{"10.2.2.2:7946", *Endpoint::Parse("10.2.2.2:7946")}}, {});
  self.ReceiveState(StateOf({{5, "old"}, {9, "older than the clock"}}, 10), /*join=*/true);
  EXPECT_THAT(self.TakeEvents(), IsEmpty());
  // Old events are dropped for good, from every source; new ones are not.
  self.Receive(EventOf("old", 5));
  self.Receive(EventOf("new", 10));
  EXPECT_THAT(self.TakeEvents(), ElementsAre("user new"));
}

TEST(EventsOfPushPullTest, WithoutThatTheyAreReplayed) {
  LoneSerf self;
  self.TakeEvents();
  self.Join({{"10.2.2.2:7946", *Endpoint::Parse("10.2.2.2:7946")}}, {.replay = true});
  self.ReceiveState(StateOf({{5, "old"}}, 10), /*join=*/true);
  EXPECT_THAT(self.TakeEvents(), ElementsAre("user old"));
}

// --- coalescing ---

TEST(UserEventCoalescingTest, OnlyWhatAllowsIt) {
  Config config = LoneSerf::DefaultConfig();
  config.user_coalesce_period = seconds(3);
  config.user_quiescent_period = seconds(1);
  LoneSerf self(config);
  self.TakeEvents();
  EXPECT_EQ(self.SendUserEvent("deploy", "1", {.coalesce = true}), "ok");
  EXPECT_EQ(self.SendUserEvent("deploy", "2", {.coalesce = true}), "ok");
  EXPECT_EQ(self.SendUserEvent("restart", "3", {}), "ok");
  EXPECT_THAT(self.TakeEvents(), ElementsAre("user restart"));
  self.TakeUserEvents();
  self.RunFor(seconds(1) - milliseconds(1));
  EXPECT_THAT(self.TakeEvents(), IsEmpty());
  self.RunFor(milliseconds(1));
  const std::vector<UserEvent> events = self.TakeUserEvents();
  ASSERT_THAT(events, SizeIs(1));
  EXPECT_EQ(events[0].payload, "2");
}

TEST(UserEventCoalescingTest, ShutdownTellsWhatIsHeldBack) {
  Config config = LoneSerf::DefaultConfig();
  config.user_coalesce_period = seconds(3);
  config.user_quiescent_period = seconds(1);
  LoneSerf self(config);
  self.TakeEvents();
  EXPECT_EQ(self.SendUserEvent("deploy", "1", {.coalesce = true}), "ok");
  self.Shutdown();
  EXPECT_THAT(self.TakeEvents(), ElementsAre("user deploy"));
}

}  // namespace
}  // namespace serf
