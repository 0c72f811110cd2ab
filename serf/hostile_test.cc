// Feeds every vector of serf.json that a node must refuse or survive to a running machine.

#include <array>
#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "serf/base/bytes.h"
#include "serf/base/rng.h"
#include "serf/serf.h"
#include "serf/testing/hostile_input.h"
#include "serf/testing/node/lone_serf.h"
#include "serf/testing/vectors/vectors.h"
#include "serf/wire/serf_messages.h"

namespace serf {
namespace {

using testkit::LoneSerf;

// All that an application or a peer can see of the machine's state.
std::string StateOf(LoneSerf& self) {
  std::string text;
  for (const auto& [key, value] : self.serf().Stats()) text += key + "=" + value + " ";
  for (const Member& member : self.serf().Members()) {
    text += member.name + " " + std::string(MemberStatusName(member.status)) + " ";
  }
  return text;
}

// Through each door by which bytes come in: a packet, and the state of a push/pull.
void ReceiveEverywhere(LoneSerf& self, ByteView message) {
  self.ReceiveBytes(message);
  self.ReceiveState(message);
  self.ReceiveState(message, /*join=*/true);
}

class HostileTest : public ::testing::Test {
 protected:
  HostileTest() {
    self_.PeerAlive("a");
    self_.RunFor(std::chrono::seconds(10));
  }

  LoneSerf self_;
};

TEST_F(HostileTest, RejectedMessagesChangeNothing) {
  int count = 0;
  for (const auto& vector : testkit::LoadVectors("serf.json")) {
    const std::string name = vector["name"];
    // The coordinates of probes are not messages. A decoder may accept text as "bin"
    // (docs/protocol/serf.md 1.2).
    if (vector["kind"] != "reject" || name.starts_with("ping-") || name == "reject-bin-node") {
      continue;
    }
    ++count;
    const std::string before = StateOf(self_);
    const std::uint64_t malformed = self_.serf().counters().dropped_malformed;
    ReceiveEverywhere(self_, testkit::Unhex(vector["hex"].get<std::string>()));
    EXPECT_EQ(StateOf(self_), before) << name;
    EXPECT_EQ(self_.serf().counters().dropped_malformed, malformed + 1) << name;
  }
  EXPECT_EQ(count, 10);
}

TEST_F(HostileTest, HostileMessagesAreSurvived) {
  Rng rng(9);
  std::vector<testkit::HostileInput> inputs = testkit::HostileSerfMessages(rng, "a");
  for (const auto& vector : testkit::LoadVectors("serf.json")) {
    if (vector["kind"] != "hostile") continue;
    inputs.push_back({vector["name"], testkit::Unhex(vector["hex"].get<std::string>())});
  }
  for (const auto& [name, bytes] : inputs) {
    self_.TakePackets();
    ReceiveEverywhere(self_, bytes);
    EXPECT_EQ(self_.serf().state(), Serf::State::kAlive) << name;
    EXPECT_EQ(self_.serf().member_count(), 2u) << name;
    for (const LoneSerf::Packet& packet : self_.TakePackets()) {
      EXPECT_EQ(packet.to, LoneSerf::EndpointOf("a")) << name;
    }
  }
  // The counters that docs/protocol/serf.md asks for.
  const Counters& counters = self_.serf().counters();
  EXPECT_EQ(self_.Stat("query_queue"), "1");  // four queries of one number: gossiped once
  EXPECT_EQ(counters.dropped_time, 2u);       // clocks of the far future
  EXPECT_EQ(counters.dropped_relay, 1u);
  EXPECT_EQ(self_.Stat("event_time"), "1");
}

// Each message, cut at each length, and with each byte changed.
TEST_F(HostileTest, DamagedMessagesAreSurvived) {
  for (const auto& vector : testkit::LoadVectors("serf.json")) {
    const ByteVector whole = testkit::Unhex(vector["hex"].get<std::string>());
    if (whole.size() > 256) continue;
    LoneSerf self;  // a fresh node each time: some messages leave much behind
    self.PeerAlive("a");
    for (std::size_t size = 0; size < whole.size(); ++size) {
      self.ReceiveBytes(ByteView(whole).first(size));
      ByteVector changed = whole;
      for (const std::uint8_t to : std::to_array<std::uint8_t>({0x00, 0x7f, 0xc1, 0xdd, 0xff})) {
        changed[size] = to;
        self.ReceiveBytes(changed);
        if (changed[0] == 2) self.ReceiveState(changed);
      }
    }
    EXPECT_EQ(self.serf().state(), Serf::State::kAlive);
    EXPECT_EQ(self.serf().member_count(), 2u);
  }
}

TEST_F(HostileTest, AStateThatPromisesMuchIsSmall) {
  Rng rng(9);
  const ByteVector start = {0x02, 0x81, 0xac, 'S', 't', 'a', 't', 'u',
                            's',  'L',  'T',  'i', 'm', 'e', 's'};
  self_.ReceiveState(testkit::Announcing(rng, start, testkit::kMap32));
  EXPECT_EQ(self_.serf().counters().states_malformed, 1u);
}

TEST_F(HostileTest, NamesThatCannotBeMembersAreNotKept) {
  const std::string long_name(swim::kNodeNameMax + 1, 'x');
  for (const std::string& name : {std::string(), long_name}) {
    self_.Receive(wire::LeaveMessage{.ltime = wire::LamportTime(5), .node = name});
    self_.Receive(wire::JoinMessage{.ltime = wire::LamportTime(5), .node = name});
  }
  EXPECT_EQ(self_.serf().counters().dropped_name, 4u);
  EXPECT_EQ(self_.Stat("intent_queue"), "0");
}

}  // namespace
}  // namespace serf
