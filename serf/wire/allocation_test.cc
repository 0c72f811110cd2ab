// Counts allocations: opening, decoding, encoding and sealing datagrams makes none once the
// buffers have grown; nor does any message.

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <vector>

#include "absl/strings/string_view.h"
#include "gtest/gtest.h"
#include "serf/base/bytes.h"
#include "serf/testing/allocations.h"
#include "serf/wire/aead.h"
#include "serf/wire/coordinate_message.h"
#include "serf/wire/ids.h"
#include "serf/wire/list_view.h"
#include "serf/wire/msgpack.h"
#include "serf/wire/openssl_aead.h"
#include "serf/wire/packet.h"
#include "serf/wire/serf_messages.h"
#include "serf/wire/swim_messages.h"

namespace {

void* CountOpenssl(std::size_t size, const char*, int) {
  ++serf::testkit::allocations().count;
  return std::malloc(size);
}
void* RecountOpenssl(void* memory, std::size_t size, const char*, int) {
  ++serf::testkit::allocations().count;
  return std::realloc(memory, size);
}
void FreeOpenssl(void* memory, const char*, int) { std::free(memory); }

}  // namespace

namespace serf::wire {
namespace {

class CountingNonces : public NonceSource {
 public:
  void Fill(Nonce& nonce) override { ++nonce_[0], nonce = nonce_; }

 private:
  Nonce nonce_ = {};
};

// A gossip packet with one message of each kind, made, sealed, opened and decoded.
class Traffic {
 public:
  Traffic() {
    if (!ring_.Add(ByteVector(32, 1)).ok() || !old_ring_.Add(ByteVector(16, 2)).ok() ||
        !both_.Add(ByteVector(16, 2)).ok() || !both_.Add(ByteVector(32, 1)).ok()) {
      std::abort();
    }
  }

  // Returns the number of messages that arrived.
  int Run() {
    int arrived = 0;
    for (int bits = 0; bits < 16; ++bits) {
      SealOptions out{.label = bits & 1 ? "blue" : "",
                      .keyring = bits & 2 ? &ring_ : nullptr,
                      .aead = &aead_,
                      .nonces = &nonces_,
                      .compress = (bits & 4) != 0,
                      .crc = (bits & 8) != 0};
      // The second key of the receiver opens it: the first one fails on the way.
      PacketOptions in{
          .label = out.label, .keyring = out.keyring != nullptr ? &both_ : nullptr, .aead = &aead_};
      Fill();
      arena_.clear();
      if (!SealPacket(packet_, out, scratch_, arena_)) return -1;
      const PacketError error = OpenPacket(
          arena_, in, scratch_,
          [&](MessageType type, ByteView body) { arrived += DecodeLeaf(type, body) ? 1 : 0; });
      if (error != PacketError::kOk) return -1;
    }
    return arrived;
  }

 private:
  void Fill() {
    messages_.clear();
    bounds_.clear();
    const auto vsn = VersionVector{1, 5, 2, 2, 5, 5}.ToBytes();
    const std::array<std::uint8_t, 4> address = {10, 0, 0, 1};
    const auto add = [this](const auto& message) {
      bounds_.push_back(messages_.size());
      Encode(message, messages_);
    };
    add(Ping{.seq_no = SequenceNumber(7), .node = "b", .source_addr = address, .source_port = 1});
    add(IndirectPing{.seq_no = SequenceNumber(8), .target = address, .node = "c", .nack = true});
    add(Ack{.seq_no = SequenceNumber(9), .payload = address});
    add(Nack{.seq_no = SequenceNumber(9)});
    add(Suspect{.incarnation = Incarnation(1), .node = "d", .from = "a"});
    add(Dead{.incarnation = Incarnation(1), .node = "d", .from = "a"});
    for (int i = 0; i < 5; ++i) {
      add(Alive{.incarnation = Incarnation(1),
                .node = "a-node-with-a-name",
                .addr = address,
                .port = 7946,
                .meta = AsBytes("\xff\x81\xa4role\xa3web"),
                .vsn = vsn});
    }
    bounds_.push_back(messages_.size());
    AppendType(MessageType::kUser, messages_);
    Encode(QueryMessage{.ltime = LamportTime(5), .addr = address, .name = "load"}, messages_);
    parts_.clear();
    for (std::size_t i = 0; i < bounds_.size(); ++i) {
      const std::size_t end = i + 1 < bounds_.size() ? bounds_[i + 1] : messages_.size();
      parts_.push_back(ByteView(messages_).subspan(bounds_[i], end - bounds_[i]));
    }
    packet_.clear();
    AppendMessages(parts_, packet_);
  }

  template <typename Message>
  bool DecodeAs(ByteView body) {
    Message message;
    DecodeScratch scratch;
    return Decode(body, message, scratch) == DecodeResult::kOk;
  }

  bool DecodeLeaf(MessageType type, ByteView body) {
    switch (type) {
      case MessageType::kPing:
        return DecodeAs<Ping>(body);
      case MessageType::kIndirectPing:
        return DecodeAs<IndirectPing>(body);
      case MessageType::kAck:
        return DecodeAs<Ack>(body);
      case MessageType::kNack:
        return DecodeAs<Nack>(body);
      case MessageType::kSuspect:
        return DecodeAs<Suspect>(body);
      case MessageType::kDead:
        return DecodeAs<Dead>(body);
      case MessageType::kAlive:
        return DecodeAs<Alive>(body);
      default:
        return DecodeAs<QueryMessage>(body.subspan(1));
    }
  }

  OpensslAead aead_;
  CountingNonces nonces_;
  Keyring ring_;
  Keyring old_ring_;
  Keyring both_;
  PacketScratch scratch_;
  ByteVector messages_;
  std::vector<std::size_t> bounds_;
  std::vector<ByteView> parts_;
  ByteVector packet_;
  ByteVector arena_;
};

TEST(AllocationTest, DatagramsMakeNoneInTheSteadyState) {
  Traffic traffic;
  ASSERT_EQ(traffic.Run(), 16 * 12);  // grows the buffers and makes the cipher contexts
  const std::size_t before = testkit::allocations().count;
  int arrived = 0;
  for (int i = 0; i < 100; ++i) arrived += traffic.Run();
  EXPECT_EQ(testkit::allocations().count - before, 0u);
  EXPECT_EQ(arrived, 100 * 16 * 12);
}

TEST(AllocationTest, VisitingAPushPullStateMakesNone) {
  ByteVector state;
  const std::vector<StatusLTime> status(1000, {"a-node-with-a-name", LamportTime(7)});
  const std::vector<EventSlot> events(512);
  Encode(PushPullState{.status_ltimes = ListView<StatusLTime>(status),
                       .events = ListView<EventSlot>(events)},
         state);
  const std::size_t before = testkit::allocations().count;
  PushPullState decoded;
  DecodeScratch scratch;
  ASSERT_EQ(Decode(ByteView(state).subspan(1), decoded, scratch), DecodeResult::kOk);
  std::size_t visited = 0;
  decoded.status_ltimes.ForEach([&](const StatusLTime&) { ++visited; });
  decoded.events.ForEach([&](const EventSlot&) { ++visited; });
  EXPECT_EQ(testkit::allocations().count - before, 0u);
  EXPECT_EQ(visited, 1512u);
}

// Encodes and decodes a message in a buffer with room. Returns how many allocations that made.
template <typename Message>
std::size_t AllocationsOf(const Message& message) {
  ByteVector bytes;
  Encode(message, bytes);  // grows the buffer
  bytes.clear();
  const std::size_t before = testkit::allocations().count;
  Encode(message, bytes);
  Message decoded;
  DecodeScratch scratch;
  EXPECT_EQ(Decode(ByteView(bytes).subspan(1), decoded, scratch), DecodeResult::kOk);
  return testkit::allocations().count - before;
}

TEST(AllocationTest, MessagesOfTheSerfLayerMakeNone) {
  const std::array<std::uint8_t, 4> address = {10, 0, 0, 1};
  const std::array<absl::string_view, 2> texts = {"one", "a text that is longer than 31 bytes are"};
  const std::array<TagEntry, 1> tags = {{{"role", "web"}}};
  const ListView<absl::string_view> list(texts);
  EXPECT_EQ(AllocationsOf(LeaveMessage{.ltime = LamportTime(7), .node = texts[1]}), 0u);
  EXPECT_EQ(AllocationsOf(JoinMessage{.ltime = LamportTime(7), .node = texts[1]}), 0u);
  EXPECT_EQ(AllocationsOf(UserEventMessage{.name = texts[0], .payload = address}), 0u);
  EXPECT_EQ(AllocationsOf(QueryResponseMessage{.from = texts[0], .payload = address}), 0u);
  EXPECT_EQ(AllocationsOf(RelayHeader{.dest_addr = {.ip = address}, .dest_name = texts[1]}), 0u);
  EXPECT_EQ(AllocationsOf(ConflictResponse{.name = texts[0], .tags = ListView<TagEntry>(tags)}),
            0u);
  EXPECT_EQ(AllocationsOf(KeyRequest{.key = address}), 0u);
  EXPECT_EQ(AllocationsOf(KeyResponse{.message = texts[1], .keys = list}), 0u);
  EXPECT_EQ(AllocationsOf(CoordinateMessage{.error = 1.5}), 0u);
}

// Hostile lengths cost nothing either.
TEST(AllocationTest, AnnouncedLengthsMakeNone) {
  const ByteVector body = {0x81, 0xa7, 'F',  'i',  'l',  't',  'e',
                           'r',  's',  0xdd, 0xff, 0xff, 0xff, 0xff};
  const std::size_t before = testkit::allocations().count;
  QueryMessage query;
  DecodeScratch scratch;
  EXPECT_EQ(Decode(body, query, scratch), DecodeResult::kTruncated);
  EXPECT_EQ(testkit::allocations().count - before, 0u);
}

}  // namespace
}  // namespace serf::wire

int main(int argc, char** argv) {
  // Before OpenSSL allocates for the first time, so that it counts too.
  if (CRYPTO_set_mem_functions(&CountOpenssl, &RecountOpenssl, &FreeOpenssl) != 1) return 1;
  ::testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
