// Hostile input to a running Node (docs/protocol/membership.md 10): it keeps running, answers, and
// adds no stranger to its table.

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "serf/base/rng.h"
#include "serf/swim/node.h"
#include "serf/swim/test_net.h"
#include "serf/testing/hostile_input.h"
#include "serf/testing/vectors/vectors.h"
#include "serf/wire/packet.h"

namespace serf::swim {
namespace {

using std::chrono::seconds;
using wire::SequenceNumber;

struct Input {
  std::string name;
  std::string layer;
  ByteVector bytes;
};

std::vector<Input> Vectors(absl::string_view outcome) {
  std::vector<Input> list;
  for (const auto& v : testkit::LoadVectors("memberlist.json")) {
    if (v["decoded"]["outcome"] != std::string(outcome)) continue;
    list.push_back({v["name"], v["layer"], testkit::Unhex(v["hex"].get<std::string>())});
  }
  return list;
}

// The recorded inputs, and some that a seed generates.
std::vector<Input> HostileInputs() {
  std::vector<Input> list = Vectors("hostile");
  Rng rng(4);
  for (const auto& [name, bytes] : testkit::HostileDatagrams(rng, "agent-a")) {
    list.push_back({name, "packet", bytes});
  }
  for (const auto& [name, bytes] : testkit::HostileStreams(rng)) {
    list.push_back({name, "stream", bytes});
  }
  return list;
}

// A node with the name that the vectors were recorded against, without a keyring or with one.
class Target {
 public:
  explicit Target(bool keyed) {
    Config config = Config::Lan();
    config.name = "agent-a";
    config.advertise = TestNet::EndpointOf(1);
    config.delegate_protocol_min = 2;
    config.delegate_protocol_max = 5;
    config.delegate_protocol_version = 4;
    config.push_pull_interval = Duration::zero();
    config.logger = &logger_;
    if (keyed) {
      ByteVector key(32);
      for (std::size_t i = 0; i < key.size(); ++i) key[i] = static_cast<std::uint8_t>(i);
      Encrypt(config, key);
    }
    node_ = std::make_unique<Node>(config, delegate_);
    delegate_.node = node_.get();
    node_->Start(now_, out_);
    out_.Clear();
  }

  void Datagram(ByteView bytes) {
    node_->OnDatagram(now_, TestNet::EndpointOf(9), bytes, out_);
    out_.Clear();
  }
  // In pieces of `piece` bytes; then the peer hangs up.
  void Stream(ByteView bytes, std::size_t piece) {
    const auto id = node_->OnStreamAccepted(now_, TestNet::EndpointOf(9), out_);
    ASSERT_TRUE(id.has_value());
    for (std::size_t at = 0; at < bytes.size(); at += piece) {
      node_->OnStreamBytes(now_, *id, bytes.subspan(at, std::min(piece, bytes.size() - at)), out_);
      out_.Clear();
    }
    node_->OnStreamClosed(now_, *id, absl::OkStatus(), out_);
    out_.Clear();
  }
  // Waits until the timeouts and limits of the last second are over.
  void Pass(Duration duration) {
    const Instant end = now_ + duration;
    while (node_->NextDeadline() <= end) {
      now_ = std::max(now_, node_->NextDeadline());
      node_->OnTimer(now_, out_);
      out_.Clear();
    }
    now_ = end;
  }

  // Whether the node answers a ping over a datagram and one over a stream.
  bool Answers() {
    Pass(seconds(2));
    const ByteVector ping =
        TestNet::Encoded(wire::Ping{.seq_no = SequenceNumber(4711), .node = "agent-a"});
    wire::SealOptions options{.keyring = node_->config().keyring.get(),
                              .aead = node_->config().aead.get(),
                              .nonces = node_->config().nonces.get()};
    ByteVector packet;
    wire::SealPacket(ping, options, scratch_, packet);
    node_->OnDatagram(now_, TestNet::EndpointOf(9), packet, out_);
    const bool by_datagram = out_.datagrams().size() == 1;
    out_.Clear();
    ByteVector request;
    wire::SealStreamUnit(ping, options, true, scratch_, request);
    const auto id = node_->OnStreamAccepted(now_, TestNet::EndpointOf(9), out_);
    if (!id) return false;
    node_->OnStreamBytes(now_, *id, request, out_);
    const bool by_stream = out_.stream_ops().size() == 2;
    out_.Clear();
    return by_datagram && by_stream;
  }

  std::string Names() const {
    std::string names;
    node_->ForEachMember(
        [&](MemberIndex m) { absl::StrAppend(&names, node_->info(m).name(), " "); });
    return names;
  }
  Node& node() { return *node_; }

 private:
  Instant now_{std::chrono::hours(1)};
  LinesLogger logger_;
  RecordingDelegate delegate_;
  std::unique_ptr<Node> node_;
  Outbox out_;
  wire::PacketScratch scratch_;
};

TEST(NodeHostileTest, EveryHostileInputIsSurvived) {
  int fed = 0;
  for (const Input& hostile : HostileInputs()) {
    for (const bool keyed : {false, true}) {
      Target target(keyed);
      if (hostile.layer == "stream") {
        target.Stream(hostile.bytes, hostile.bytes.size() + 1);
        target.Stream(hostile.bytes, 1);
      } else {
        target.Datagram(hostile.bytes);
      }
      EXPECT_TRUE(target.Answers()) << hostile.name;
      // The protocol accepts only this input: a vector of seven versions.
      const bool accepted = hostile.name == "hostile-udp-alive-vsn7" && !keyed;
      EXPECT_EQ(target.Names(), accepted ? "agent-a n1 " : "agent-a ") << hostile.name;
      const MemberIndex self = target.node().self();
      EXPECT_EQ(target.node().incarnation(self), wire::Incarnation(1)) << hostile.name;
      ++fed;
    }
  }
  EXPECT_GE(fed, 90);
}

TEST(NodeHostileTest, TheSameToOneNode) {
  for (const bool keyed : {false, true}) {
    Target target(keyed);
    for (const Input& hostile : HostileInputs()) {
      if (hostile.name == "hostile-udp-alive-vsn7") continue;
      if (hostile.layer == "stream") {
        target.Stream(hostile.bytes, 7);
      } else {
        target.Datagram(hostile.bytes);
      }
    }
    EXPECT_TRUE(target.Answers());
    EXPECT_EQ(target.Names(), "agent-a ");
  }
}

TEST(NodeHostileTest, EveryPrefixOfEveryInputIsSurvived) {
  for (const bool keyed : {false, true}) {
    Target target(keyed);
    for (const auto& inputs : {Vectors("accept"), Vectors("reject"), HostileInputs()}) {
      for (const Input& input : inputs) {
        const std::size_t step = 1 + input.bytes.size() / 100;
        for (std::size_t n = 0; n <= input.bytes.size(); n += step) {
          const ByteView prefix = ByteView(input.bytes).first(n);
          target.Datagram(prefix);
          target.Stream(prefix, n + 1);
        }
      }
    }
    EXPECT_TRUE(target.Answers());
  }
}

TEST(NodeHostileTest, RandomDatagramsAreSurvived) {
  Rng rng(7);
  for (const bool keyed : {false, true}) {
    Target target(keyed);
    ByteVector bytes;
    for (int i = 0; i < 50000; ++i) {
      bytes.resize(rng.Below(std::uint64_t{80}));
      for (std::uint8_t& b : bytes) b = static_cast<std::uint8_t>(rng.Next());
      // Most random types would be unknown.
      if (!bytes.empty() && i % 2 == 0)
        bytes[0] = static_cast<std::uint8_t>(rng.Below(std::uint64_t{14}));
      target.Datagram(bytes);
    }
    EXPECT_EQ(target.node().counters().datagrams_received, 50000u);
    EXPECT_TRUE(target.Answers());
    EXPECT_EQ(target.Names(), "agent-a ");
  }
}

TEST(NodeHostileTest, MutatedDatagramsAreSurvived) {
  std::vector<ByteVector> seeds;
  for (const Input& vector : Vectors("accept")) {
    if (vector.layer == "packet" || vector.layer == "message" || vector.layer == "compound" ||
        vector.layer == "crc") {
      seeds.push_back(vector.bytes);
    }
  }
  ASSERT_GT(seeds.size(), 50u);
  Rng rng(8);
  Target target(false);
  for (int i = 0; i < 100000; ++i) {
    ByteVector bytes = seeds[rng.Below(seeds.size())];
    for (std::uint64_t flips = rng.Below(std::uint64_t{4}) + 1; flips > 0 && !bytes.empty();
         --flips) {
      bytes[rng.Below(bytes.size())] = static_cast<std::uint8_t>(rng.Next());
    }
    target.Datagram(bytes);
    if (i % 1000 == 0) target.Pass(std::chrono::milliseconds(100));
  }
  EXPECT_TRUE(target.Answers());
}

TEST(NodeHostileTest, BufferedBytesAreBounded) {
  // Each stream announces a state of 20 MiB, and sends all but the last byte.
  Target target(false);
  ByteVector header;
  wire::Encode(wire::PushPullHeader{.user_state_len = wire::kUserStateMax}, header);
  const ByteVector body(static_cast<std::size_t>(wire::kUserStateMax) - 1);
  Outbox out;
  std::vector<StreamId> ids;
  const auto feed = [&](int from) {
    const auto id = target.node().OnStreamAccepted(Instant(), TestNet::EndpointOf(from), out);
    ASSERT_TRUE(id.has_value());
    ids.push_back(*id);
    target.node().OnStreamBytes(Instant(), *id, header, out);
    target.node().OnStreamBytes(Instant(), *id, body, out);
  };
  for (int i = 0; i < 40; ++i) feed(10 + i);
  EXPECT_EQ(target.node().counters().streams_refused, 28u);  // 12 of 20 MiB are within 256 MiB
  // A closed stream makes room.
  for (const StreamId id : ids) {
    target.node().OnStreamClosed(Instant(), id, absl::OkStatus(), out);
  }
  out.Clear();
  for (int i = 0; i < 12; ++i) feed(10 + i);
  EXPECT_EQ(target.node().counters().streams_refused, 28u);
}

}  // namespace
}  // namespace serf::swim
