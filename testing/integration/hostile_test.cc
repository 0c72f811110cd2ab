// Sends a running agent what strangers may send. The agent keeps running, keeps its members,
// answers as before and does not grow.

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "serf/base/bytes.h"
#include "serf/base/rng.h"
#include "serf/rpc/client.h"
#include "serf/testing/agents/agent_process.h"
#include "serf/testing/agents/process.h"
#include "serf/testing/agents/programs.h"
#include "serf/testing/hostile_input.h"
#include "serf/testing/integration/attacker.h"
#include "serf/testing/vectors/vectors.h"
#include "serf/wire/compound.h"
#include "serf/wire/lzw.h"
#include "serf/wire/packet.h"
#include "serf/wire/swim_messages.h"

namespace serf::testkit {
namespace {

// The most that the agent may grow in a whole test.
constexpr std::size_t kGrowthMax = std::size_t{1} << 20;

// A sanitizer keeps freed memory, so the size means nothing.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kMeasuresMemory = false;
#elif defined(__has_feature)
constexpr bool kMeasuresMemory =
    !__has_feature(address_sanitizer) && !__has_feature(thread_sanitizer);
#else
constexpr bool kMeasuresMemory = true;
#endif

// The flag with RecordedKey().
constexpr char kKeyFlag[] = "-encrypt=AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

// Zeros, compressed to a thousandth of their size.
ByteVector Bomb(std::size_t size) {
  ByteVector bomb;
  wire::LzwEncoder().Encode(ByteVector(size), size, bomb);
  return bomb;
}

ByteVector CompressMessageOf(ByteView deflated) {
  return Attacker::Encoded(wire::CompressMessage{.algo = wire::kCompressLzw, .buf = deflated});
}

// The parameter: whether the cluster is encrypted. The attacker then knows the key, so that the
// agent reads its messages, and sends everything in plaintext too.
class HostileTest : public ::testing::TestWithParam<bool> {
 protected:
  // Starts an agent with the name in the recorded messages, adds a member, and sends some ordinary
  // traffic.
  void SetUp() override {
    ASSERT_TRUE(agent_.WaitUntilRunning()) << agent_.process().err();
    ASSERT_TRUE(other_.WaitUntilRunning()) << other_.process().err();
    {
      rpc::Client client;
      ASSERT_TRUE(client.Connect(agent_.rpc()).ok());
      ASSERT_TRUE(client.Join({other_.gossip()}).status.ok());
      ASSERT_TRUE(client.Stats().ok());
    }
    members_ = {{"agent-a", "alive"}, {"other", "alive"}};
    ASSERT_TRUE(agent_.WaitForMembers(members_));
    ASSERT_TRUE(attacker_.Ping());
    ASSERT_TRUE(attacker_.StreamPing());
    before_ = Resident();
  }

  // Waits until the agent has read all input. It works as before, and has not grown.
  void ExpectUnharmed(absl::string_view by) {
    EXPECT_TRUE(attacker_.Ping()) << by;
    EXPECT_TRUE(attacker_.StreamPing()) << by;
    EXPECT_EQ(agent_.States(), members_) << by;
    EXPECT_FALSE(agent_.process().ended()) << by << agent_.process().err();
    // Every other second the agent returns memory that it no longer needs.
    std::size_t now = 0;
    const bool small = agent_.process().WaitUntil(
        [&] {
          now = Resident();
          return now < before_ + kGrowthMax;
        },
        kMeasuresMemory ? std::chrono::seconds(10) : std::chrono::seconds(0));
    std::printf("%7zu KiB, %+6ld KiB after %s\n", now >> 10,
                (static_cast<long>(now) - static_cast<long>(before_)) / 1024,
                std::string(by).c_str());
    if (kMeasuresMemory) {
      EXPECT_TRUE(small) << by;
    }
  }

  static bool encrypted() { return GetParam(); }
  static std::vector<std::string> Flags() {
    if (encrypted()) return {kKeyFlag};
    return {};
  }
  std::size_t Resident() { return ResidentBytes(agent_.process().pid()); }

  // --- the attacks ---
  void RecordedMessages();
  void Promises();
  void Bombs();
  void DeepNesting();
  void RandomDatagrams();
  void IdleGossipConnections();
  void IdleRpcConnections();
  void RpcRequests();

  // Sends the message as a packet of the cluster, and bare.
  void SendPacket(ByteView message) {
    if (encrypted() && !message.empty()) attacker_.SendDatagram(attacker_.Packet(message));
    attacker_.SendDatagram(message);
  }

  // Sends both as streams, then closes, and waits until the agent closes too.
  void SendStream(ByteView message) {
    std::vector<ByteVector> units = {ByteVector(message.begin(), message.end())};
    if (encrypted() && !message.empty()) units.push_back(attacker_.StreamUnit(message));
    for (const ByteVector& unit : units) {
      TcpConnection connection(attacker_.address(), kGossipPort);
      connection.Send(unit);
      connection.EndSending();
      EXPECT_TRUE(connection.WaitForEnd());
    }
  }

  AgentProcess agent_{{.program = OurSerf(), .name = "agent-a", .flags = Flags()}};
  AgentProcess other_{{.program = OurSerf(), .name = "other", .flags = Flags()}};
  Attacker attacker_{agent_.options().address, "agent-a",
                     encrypted() ? RecordedKey() : ByteVector()};
  MemberStates members_;
  std::size_t before_ = 0;
};

INSTANTIATE_TEST_SUITE_P(, HostileTest, ::testing::Bool(),
                         [](const auto& param) { return param.param ? "Encrypted" : "Plain"; });

void HostileTest::RecordedMessages() {
  int sent = 0;
  for (const auto& vector : LoadVectors("memberlist.json")) {
    if (vector["decoded"]["outcome"] != "hostile") continue;
    // The agent must accept this message.
    if (vector["name"] == "hostile-udp-alive-vsn7") continue;
    const ByteVector bytes = Unhex(vector["hex"].get<std::string>());
    if (vector["layer"] == "stream") {
      SendStream(bytes);
    } else {
      SendPacket(bytes);
    }
    ASSERT_TRUE(attacker_.Ping()) << vector["name"];
    ++sent;
  }
  for (const auto& vector : LoadVectors("serf.json")) {
    if (vector["kind"] != "hostile") continue;
    ByteVector user = {static_cast<std::uint8_t>(wire::MessageType::kUser)};
    Append(user, Unhex(vector["hex"].get<std::string>()));
    SendPacket(user);
    ASSERT_TRUE(attacker_.Ping()) << vector["name"];
    ++sent;
  }
  EXPECT_GE(sent, 20);
  // Input that the test makes.
  Rng rng(3);
  for (const HostileInput& input : HostileDatagrams(rng, "agent-a")) {
    SendPacket(input.bytes);
    ASSERT_TRUE(attacker_.Ping()) << input.name;
  }
  for (const HostileInput& input : HostileStreams(rng)) {
    SendStream(input.bytes);
    ASSERT_TRUE(attacker_.Ping()) << input.name;
  }
  for (const HostileInput& input : HostileSerfMessages(rng, "other")) {
    ByteVector user = {static_cast<std::uint8_t>(wire::MessageType::kUser)};
    Append(user, input.bytes);
    SendPacket(user);
    ASSERT_TRUE(attacker_.Ping()) << input.name;
  }
}

void HostileTest::Promises() {
  // A message that announces the largest allowed size, of which nothing arrives.
  SendStream(Attacker::Encoded(
      wire::PushPullHeader{.nodes = wire::kPushPullNodesMax, .user_state_len = 0, .join = true}));
  SendStream(Attacker::Encoded(wire::UserHeader{.user_msg_len = wire::kUserMessageMax}));
  Rng rng(4);
  for (const std::size_t size :
       {std::size_t{20} << 20, (std::size_t{3} << 30) + rng.Below(1 << 30)}) {
    SendStream(FrameHeader(size));
  }
}

void HostileTest::Bombs() {
  // More than the limit of a stream; as a packet it takes 36 kB.
  const ByteVector bomb = CompressMessageOf(Bomb(std::size_t{48} << 20));
  ASSERT_LT(bomb.size(), wire::kDatagramMax);
  SendPacket(bomb);
  SendStream(bomb);
  ExpectUnharmed("bomb");
  // Just within the limits of a packet, so the agent expands it to its end.
  for (int i = 0; i < 8; ++i) {
    SendPacket(CompressMessageOf(Bomb(wire::kPacketInflatedMax - static_cast<std::size_t>(i))));
  }
  ExpectUnharmed("within the limit");
  // Many small bombs in one packet, and layers that are small each.
  const ByteVector small = CompressMessageOf(Bomb(12000));
  const std::vector<ByteView> parts(wire::kCompoundPartsMax, small);
  ByteVector compound;
  wire::AppendCompound(parts, compound);
  SendPacket(compound);
  SendPacket(Compressed(compound));
  SendStream(Compressed(compound));
  ByteVector layers = bomb;
  for (int i = 0; i < 12; ++i) {
    layers = Compressed(layers);
    SendPacket(layers);
    SendStream(layers);
  }
  ExpectUnharmed("layers");
}

void HostileTest::DeepNesting() {
  for (const std::uint8_t type : ByteVector{0, 1, 2, 3, 4, 5, 6, 8, 9, 11}) {
    SendPacket(Nested(type, 60000));
    ASSERT_TRUE(attacker_.Ping());
    SendStream(Nested(type, 1'000'000));
  }
  // The same as the body of each message of the Serf layer.
  for (std::uint8_t type = 0; type < 10; ++type) {
    ByteVector user = {static_cast<std::uint8_t>(wire::MessageType::kUser)};
    Append(user, Nested(type, 60000));
    SendPacket(user);
    ASSERT_TRUE(attacker_.Ping());
  }
  SendPacket(Compressed(Nested(0, 1'000'000)));
  SendStream(Compressed(Nested(6, 1'000'000)));
}

void HostileTest::RandomDatagrams() {
  // As many at once as the kernel's buffer holds.
  constexpr int kBurst = 50;
  constexpr int kDatagrams = 100'000;
  Rng rng(2026);
  ByteVector bytes;
  for (int i = 1; i <= kDatagrams; ++i) {
    bytes.resize(rng.Below(rng.Below(std::uint64_t{8}) == 0 ? std::uint64_t{1400} : 80));
    for (std::uint8_t& byte : bytes) byte = static_cast<std::uint8_t>(rng.Next());
    // Most of them begin like a message.
    if (!bytes.empty() && i % 4 != 0) bytes[0] = static_cast<std::uint8_t>(rng.Below(14));
    if (encrypted() && i % 2 == 0 && !bytes.empty()) {
      attacker_.SendDatagram(attacker_.Packet(bytes));
    } else {
      attacker_.SendDatagram(bytes);
    }
    if (i % kBurst == 0) {
      ASSERT_TRUE(attacker_.Ping()) << i;
    }
  }
  EXPECT_EQ(DroppedDatagrams(attacker_.address(), kGossipPort), 0);
}

void HostileTest::IdleGossipConnections() {
  std::vector<TcpConnection> connections;
  for (int i = 0; i < 500; ++i) {
    connections.emplace_back(attacker_.address(), kGossipPort);
    // Some of them begin a message.
    if (i % 4 == 0) connections.back().Send(ByteVector{6});
  }
  ExpectUnharmed("500 gossip connections");
}

void HostileTest::IdleRpcConnections() {
  std::vector<TcpConnection> connections;
  for (int i = 0; i < 500; ++i) {
    connections.emplace_back(attacker_.address(), kRpcPort);
    if (i % 4 == 0) connections.back().Send(ByteVector{0x82});
  }
  ExpectUnharmed("500 RPC connections");
}

void HostileTest::RpcRequests() {
  std::vector<ByteVector> requests;
  for (const auto& vector : LoadVectors("rpc.json")) {
    const std::string name = vector["name"];
    if (absl::StartsWith(name, "bad-") || absl::StrContains(name, "bad-regex") ||
        absl::StartsWith(name, "truncated-") || name == "unread-body") {
      requests.push_back(Unhex(vector["client_hex"].get<std::string>()));
    }
  }
  EXPECT_GE(requests.size(), 12u);
  // With and without a handshake: text, bytes, lists and maps that announce 4 G and hold nothing;
  // nesting; a text without an end.
  const ByteVector handshake = [] {
    for (const auto& vector : LoadVectors("rpc.json")) {
      if (vector["name"] == "handshake") return Unhex(vector["client_hex"].get<std::string>());
    }
    return ByteVector();
  }();
  ASSERT_FALSE(handshake.empty());
  Rng rng(5);
  for (const ByteVector& start : {ByteVector(), handshake}) {
    for (const std::uint8_t head : kHeads32) {
      requests.push_back(Announcing(rng, start, head));
      requests.back().push_back(0x01);
    }
    requests.push_back(start);
    requests.back().insert(requests.back().end(), 4 << 20, 0x91);
    requests.push_back(start);
    Append(requests.back(), ByteVector{0xdb, 0x00, 0x0f, 0xff, 0x00});
    requests.back().insert(requests.back().end(), 4 << 20, 'x');
    requests.push_back(start);
    for (int i = 0; i < 10000; ++i) Append(requests.back(), handshake);
  }
  for (const ByteVector& request : requests) {
    TcpConnection connection(attacker_.address(), kRpcPort);
    connection.Send(request);
    connection.EndSending();
    EXPECT_TRUE(connection.WaitForEnd())
        << Hex(ByteView(request).first(std::min<std::size_t>(request.size(), 100)));
  }
}

TEST_P(HostileTest, EverythingIsHarmless) {
  RecordedMessages();
  ExpectUnharmed("recorded messages");
  Promises();
  ExpectUnharmed("promises");
  Bombs();
  DeepNesting();
  ExpectUnharmed("deep nesting");
  RandomDatagrams();
  ExpectUnharmed("random datagrams");
  IdleGossipConnections();
  ExpectUnharmed("the end of the connections");
  IdleRpcConnections();
  ExpectUnharmed("the end of the connections");
  RpcRequests();
  ExpectUnharmed("RPC requests");
  EXPECT_EQ(other_.States(), members_);
}

}  // namespace
}  // namespace serf::testkit
