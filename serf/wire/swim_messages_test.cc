#include "serf/wire/swim_messages.h"

#include <cstddef>
#include <string>
#include <utility>

#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "serf/testing/vectors/swim_messages.h"
#include "serf/testing/vectors/vectors.h"

namespace serf::wire {
namespace {

using ::serf::testkit::Decoded;
using ::serf::testkit::DecodeSwim;
using ::serf::testkit::HasFields;
using ::serf::testkit::Hex;
using ::serf::testkit::LoadVectors;
using ::serf::testkit::Unhex;

ByteView BodyOf(const ByteVector& message) { return ByteView(message).subspan(1); }

// Every message vector decodes to its fields, and those encode to its bytes.
TEST(SwimMessagesTest, MessageVectorsInBothDirections) {
  int checked = 0;
  for (const auto& vector : LoadVectors("memberlist.json")) {
    const std::string layer = vector["layer"];
    if (layer != "message" && layer != "stream-message" && layer != "stream-fragment") continue;
    SCOPED_TRACE(vector["name"].get<std::string>());
    const auto& decoded = vector["decoded"];
    const ByteVector bytes = Unhex(vector["hex"].get<std::string>());
    const bool typed = layer != "stream-fragment";
    const Decoded got =
        DecodeSwim(decoded["type"].get<std::string>(), ByteView(bytes).subspan(typed ? 1 : 0));
    ASSERT_EQ(got.result, DecodeResult::kOk);
    nlohmann::json fields = decoded.contains("fields") ? decoded["fields"] : decoded["header"];
    for (const char* follows : {"payload", "nodes", "user_state"}) fields.erase(follows);
    EXPECT_TRUE(HasFields(got.fields, fields)) << got.fields << fields;
    const ByteView head = ByteView(bytes).first(got.consumed + (typed ? 1 : 0));
    // Empty bytes decode as absent ones, as in Go Serf.
    if (vector["name"] == "ack-empty") {
      EXPECT_NE(Hex(got.again), Hex(head));
    } else {
      EXPECT_EQ(Hex(got.again), Hex(head));
    }
    ++checked;
  }
  EXPECT_EQ(checked, 39);
}

TEST(SwimMessagesTest, EmptyBytesCanBeSent) {
  ByteVector out;
  Encode(Ack{.seq_no = SequenceNumber(300), .payload = AsBytes("")}, out);
  EXPECT_EQ(Hex(out), "0282a75061796c6f6164a0a55365714e6fcd012c");
}

TEST(SwimMessagesTest, AnAckSaysThatItsSenderIsPromptOrNothing) {
  ByteVector out;
  Encode(Ack{.seq_no = SequenceNumber(300), .payload = {}, .prompt = true}, out);
  EXPECT_EQ(Hex(out), "0283a75061796c6f6164c0a650726f6d7074c3a55365714e6fcd012c");
  Ack ack;
  DecodeScratch scratch;
  EXPECT_EQ(Decode(ByteView(out).subspan(1), ack, scratch), DecodeResult::kOk);
  EXPECT_TRUE(ack.prompt);
}

TEST(SwimMessagesTest, ToleranceVectors) {
  int checked = 0;
  for (const auto& vector : LoadVectors("memberlist.json")) {
    if (vector["layer"] != "decode-tolerance") continue;
    SCOPED_TRACE(vector["name"].get<std::string>());
    const auto& decoded = vector["decoded"];
    if (decoded["type"] == "compress") continue;  // packet_test.cc
    const ByteVector bytes = Unhex(vector["hex"].get<std::string>());
    const Decoded got = DecodeSwim(decoded["type"].get<std::string>(), BodyOf(bytes));
    ++checked;
    // Of two codecs the more tolerant one counts.
    const bool newer =
        decoded.contains("with_codec_2.1.5") && decoded["with_codec_2.1.5"]["outcome"] == "accept";
    const auto& expected = newer ? decoded["with_codec_2.1.5"] : decoded;
    EXPECT_EQ(got.result == DecodeResult::kOk, expected["outcome"] == "accept")
        << DecodeResultName(got.result);
    if (expected["outcome"] != "accept") continue;
    EXPECT_TRUE(HasFields(got.fields, expected["fields"])) << got.fields << expected["fields"];
  }
  EXPECT_EQ(checked, 44);
}

// A number for a header field of type int64.
TEST(SwimMessagesTest, ANumberBeyondItsFieldIsRefused) {
  for (const std::uint64_t beyond : {std::uint64_t{1} << 63, ~std::uint64_t{0}}) {
    ByteVector body;
    MsgpackWriter writer(body);
    writer.Map(1);
    writer.Pair("Nodes", beyond);
    EXPECT_EQ(DecodeSwim("pushPullHeader", body).result, DecodeResult::kOutOfRange);
  }
}

// No prefix of a message decodes, and none reads past its end (the sanitizers watch).
TEST(SwimMessagesTest, EveryTruncationIsNoticed) {
  for (const auto& vector : LoadVectors("memberlist.json")) {
    if (vector["layer"] != "message" || vector["decoded"]["type"] == "user") continue;
    SCOPED_TRACE(vector["name"].get<std::string>());
    const ByteVector bytes = Unhex(vector["hex"].get<std::string>());
    for (std::size_t size = 0; size + 1 < bytes.size(); ++size) {
      const ByteVector part(bytes.begin() + 1, bytes.begin() + 1 + static_cast<ptrdiff_t>(size));
      EXPECT_EQ(DecodeSwim(vector["decoded"]["type"].get<std::string>(), part).result,
                DecodeResult::kTruncated);
    }
  }
}

TEST(SwimMessagesTest, ByteListsGoToTheScratch) {
  // Alive{Addr: [127, 0, 0, 200], Vsn: [1, 5, 2, 2, 5, 4]}
  const ByteVector bytes = Unhex("82a441646472947f0000ccc8a356736e96010502020504");
  DecodeScratch scratch;
  Alive alive;
  ASSERT_EQ(Decode(bytes, alive, scratch), DecodeResult::kOk);
  EXPECT_EQ(Hex(alive.addr), "7f0000c8");
  EXPECT_EQ(Hex(alive.vsn), "010502020504");
  // A list with more bytes than any message needs is refused, not stored.
  ByteVector huge = Unhex("81a44d657461dcffff");
  huge.resize(huge.size() + 0xffff, 1);
  EXPECT_EQ(Decode(huge, alive, scratch), DecodeResult::kTooLong);
}

TEST(SwimMessagesTest, DecodingResetsTheMessage) {
  DecodeScratch scratch;
  Ping ping{.seq_no = SequenceNumber(9), .node = "old", .source_port = 5};
  ASSERT_EQ(Decode(Unhex("c0"), ping, scratch), DecodeResult::kOk);
  EXPECT_EQ(ping.seq_no, SequenceNumber());
  EXPECT_TRUE(ping.node.empty());
  EXPECT_EQ(ping.source_port, 0);
}

TEST(SwimMessagesTest, ConsumedTellsWhereTheNextRecordBegins) {
  ByteVector two;
  Encode(PushPullNode{.name = "a", .state = 2}, two);
  const std::size_t first = two.size();
  Encode(PushPullNode{.name = "bb", .state = 3}, two);
  DecodeScratch scratch;
  PushPullNode node;
  ASSERT_EQ(Decode(two, node, scratch), DecodeResult::kOk);
  EXPECT_EQ(node.name, "a");
  ASSERT_EQ(scratch.consumed(), first);
  ASSERT_EQ(Decode(ByteView(two).subspan(first), node, scratch), DecodeResult::kOk);
  EXPECT_EQ(node.name, "bb");
  EXPECT_EQ(node.state, 3);
}

TEST(VersionVectorTest, TakesTheFirstSixBytes) {
  const ByteVector bytes = {1, 5, 2, 3, 4, 5, 99};
  EXPECT_FALSE(VersionVector::FromBytes(ByteView(bytes).first(5)).has_value());
  const auto versions = VersionVector::FromBytes(bytes);
  ASSERT_TRUE(versions.has_value());
  EXPECT_EQ(*versions, (VersionVector{1, 5, 2, 3, 4, 5}));
  EXPECT_EQ(Hex(versions->ToBytes()), "010502030405");
}

// The rows of docs/protocol/membership.md 10 about well-formed messages.
TEST(CheckTest, MessagesThatBreakARule) {
  const ByteVector bytes(17);
  const auto first = [&bytes](std::size_t size) { return ByteView(bytes).first(size); };
  for (std::size_t size = 0; size <= bytes.size(); ++size) {
    SCOPED_TRACE(size);
    const Alive versions{.node = "n", .addr = first(4), .vsn = first(size)};
    EXPECT_EQ(Check(versions), size < 6 ? FormatFault::kVersionVector : FormatFault::kNone);
    const FormatFault of_address =
        size == 4 || size == 16 ? FormatFault::kNone : FormatFault::kAddressLength;
    EXPECT_EQ(Check(Alive{.node = "n", .addr = first(size), .vsn = first(6)}), of_address);
    EXPECT_EQ(Check(IndirectPing{.target = first(size)}), of_address);
    // A ping need not name its source.
    EXPECT_EQ(Check(Ping{.source_addr = first(size)}), size == 0 ? FormatFault::kNone : of_address);
  }
}

TEST(CheckTest, HostileVectors) {
  const std::pair<const char*, FormatFault> cases[] = {
      {"hostile-udp-alive-vsn7", FormatFault::kNone},
      {"hostile-udp-alive-meta-4000", FormatFault::kMetaLength},
      {"hostile-udp-alive-emptyname", FormatFault::kEmptyName},
  };
  const nlohmann::json vectors = LoadVectors("memberlist.json");
  for (const auto& [name, fault] : cases) {
    SCOPED_TRACE(name);
    bool found = false;
    for (const auto& vector : vectors) {
      if (vector["name"] != name) continue;
      found = true;
      const ByteVector bytes = Unhex(vector["hex"].get<std::string>());
      DecodeScratch scratch;
      Alive alive;
      ASSERT_EQ(Decode(BodyOf(bytes), alive, scratch), DecodeResult::kOk);
      EXPECT_EQ(Check(alive), fault);
    }
    EXPECT_TRUE(found);
  }
}

TEST(CheckTest, OtherMessages) {
  EXPECT_EQ(Check(Suspect{}), FormatFault::kEmptyName);
  EXPECT_EQ(Check(Suspect{.node = "a"}), FormatFault::kNone);
  EXPECT_EQ(Check(Dead{}), FormatFault::kEmptyName);
  EXPECT_EQ(Check(Dead{.node = "a"}), FormatFault::kNone);
  EXPECT_EQ(Check(Ping{}), FormatFault::kNone);
  const ByteVector address(16);
  const ByteVector versions(6);
  PushPullNode node{.name = "a", .addr = address, .vsn = versions};
  EXPECT_EQ(Check(node), FormatFault::kNone);
  node.vsn = ByteView(versions).first(3);
  EXPECT_EQ(Check(node), FormatFault::kVersionVector);
  node.addr = ByteView(address).first(5);
  EXPECT_EQ(Check(node), FormatFault::kAddressLength);
  node.name = "";
  EXPECT_EQ(Check(node), FormatFault::kEmptyName);
}

}  // namespace
}  // namespace serf::wire
