#include "serf/wire/packet.h"

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "serf/base/rng.h"
#include "serf/testing/hostile_input.h"
#include "serf/testing/vectors/swim_messages.h"
#include "serf/testing/vectors/vectors.h"
#include "serf/wire/openssl_aead.h"

namespace serf::wire {
namespace {

using ::serf::testkit::Decoded;
using ::serf::testkit::DecodeSwim;
using ::serf::testkit::HasFields;
using ::serf::testkit::Hex;
using ::serf::testkit::HostileDatagrams;
using ::serf::testkit::HostileInput;
using ::serf::testkit::LoadVectors;
using ::serf::testkit::RecordedKey;
using ::serf::testkit::Unhex;

struct Leaf {
  MessageType type;
  ByteVector body;
};

struct Opened {
  PacketError error = PacketError::kOk;
  std::vector<Leaf> leaves;
};

class FixedNonce : public NonceSource {
 public:
  explicit FixedNonce(ByteView nonce) { std::copy(nonce.begin(), nonce.end(), nonce_.begin()); }
  void Fill(Nonce& nonce) override { nonce = nonce_; }

 private:
  Nonce nonce_ = {};
};

class PacketTest : public ::testing::Test {
 protected:
  Opened Open(ByteView datagram, PacketOptions options = {}) {
    options.aead = &aead_;
    Opened opened;
    opened.error = OpenPacket(datagram, options, scratch_, [&](MessageType type, ByteView body) {
      opened.leaves.push_back({type, ByteVector(body.begin(), body.end())});
    });
    return opened;
  }

  ByteVector Seal(ByteView message, SealOptions options = {}) {
    options.aead = &aead_;
    if (options.nonces == nullptr) options.nonces = &nonces_;
    ByteVector arena = {1, 2, 3};  // something stands before
    EXPECT_TRUE(SealPacket(message, options, scratch_, arena));
    EXPECT_LE(arena.size() - 3, SealedPacketMax(message.size(), options));
    return ByteVector(arena.begin() + 3, arena.end());
  }

  OpensslAead aead_;
  FixedNonce nonces_{ByteVector(kNonceSize, 9)};
  PacketScratch scratch_;
};

const ByteVector kHello = Unhex("0868656c6c6f");

ByteVector BytesOf(const nlohmann::json& vector) { return Unhex(vector["hex"].get<std::string>()); }

Keyring RingOf(const nlohmann::json& decoded) {
  Keyring ring;
  if (decoded.contains("key_hex")) {
    EXPECT_TRUE(ring.Add(Unhex(decoded["key_hex"].get<std::string>())).ok());
  }
  return ring;
}

TEST_F(PacketTest, AcceptedVectors) {
  int packets = 0;
  int messages = 0;
  for (const auto& vector : LoadVectors("memberlist.json")) {
    const auto& decoded = vector["decoded"];
    if (vector["layer"] != "packet" || decoded["outcome"] != "accept") continue;
    SCOPED_TRACE(vector["name"].get<std::string>());
    const Keyring ring = RingOf(decoded);
    const std::string label = decoded.value("label", "");
    const Opened opened = Open(BytesOf(vector), {.label = label, .keyring = &ring});
    EXPECT_EQ(opened.error, PacketError::kOk) << PacketErrorText(opened.error);
    ++packets;
    if (!decoded.contains("messages")) continue;
    ASSERT_EQ(opened.leaves.size(), decoded["messages"].size());
    for (std::size_t i = 0; i < opened.leaves.size(); ++i) {
      const auto& message = decoded["messages"][i];
      EXPECT_EQ(static_cast<int>(opened.leaves[i].type), message["type_code"]);
      const Decoded got = DecodeSwim(message["type"].get<std::string>(), opened.leaves[i].body);
      ASSERT_EQ(got.result, DecodeResult::kOk);
      EXPECT_TRUE(HasFields(got.fields, message["fields"])) << got.fields;
      EXPECT_EQ(Hex(ByteView(got.again).subspan(1)), Hex(opened.leaves[i].body));
      ++messages;
    }
  }
  EXPECT_EQ(packets, 35);
  EXPECT_EQ(messages, 46);
}

// Packets with a plaintext are made again from it, byte for byte.
TEST_F(PacketTest, EncryptedVectorsAreReproduced) {
  int checked = 0;
  for (const auto& vector : LoadVectors("memberlist.json")) {
    const auto& decoded = vector["decoded"];
    if (vector["layer"] != "packet" || !decoded.contains("nonce_hex")) continue;
    SCOPED_TRACE(vector["name"].get<std::string>());
    const Keyring ring = RingOf(decoded);
    const std::string label = decoded.value("label", "");
    FixedNonce nonces(Unhex(decoded["nonce_hex"].get<std::string>()));
    const ByteVector plain = Unhex(decoded["plaintext_hex"].get<std::string>());
    const ByteVector bytes = Unhex(vector["hex"].get<std::string>());
    const std::uint8_t version = bytes[LabelOverhead(label)];
    // The plaintext may begin with a checksum, which is taken off and put on again.
    const bool crc = HasCrc(plain);
    const ByteVector again = Seal(ByteView(plain).subspan(crc ? kCrcHeaderSize : 0),
                                  {.label = label,
                                   .keyring = &ring,
                                   .nonces = &nonces,
                                   .encryption_version = static_cast<EncryptionVersion>(version),
                                   .crc = crc});
    EXPECT_EQ(Hex(again), Hex(bytes));
    ++checked;
  }
  EXPECT_EQ(checked, 6);
}

TEST_F(PacketTest, LabelVectors) {
  int checked = 0;
  for (const auto& vector : LoadVectors("memberlist.json")) {
    const std::string name = vector["name"];
    if (!name.starts_with("label-packet-") && !name.starts_with("label-hdr-") &&
        name != "label-double") {
      continue;
    }
    SCOPED_TRACE(name);
    const auto& decoded = vector["decoded"];
    const Keyring ring = RingOf(decoded);
    const std::string label = decoded["label"];
    const ByteVector bytes = BytesOf(vector);
    const Opened opened = Open(bytes, {.label = label, .keyring = &ring});
    const std::map<std::string, PacketError> refused = {
        {"label-packet-relabelled", PacketError::kNotAuthentic},
        {"label-hdr-1byte", PacketError::kLabelTruncated},
        {"label-hdr-zero", PacketError::kLabelZeroLength},
        {"label-hdr-short", PacketError::kLabelTruncated},
        {"label-hdr-only", PacketError::kEmptyMessage},
        {"label-double", PacketError::kUnsupportedType},
    };
    const auto expected = refused.find(name);
    EXPECT_EQ(opened.error, expected == refused.end() ? PacketError::kOk : expected->second);
    ++checked;
    if (expected != refused.end()) continue;
    EXPECT_EQ(opened.leaves.size(), 1u);
    EXPECT_EQ(Open(bytes, {.label = "other", .keyring = &ring}).error, PacketError::kLabelMismatch);
    EXPECT_EQ(Open(bytes, {.keyring = &ring}).error, PacketError::kLabelMismatch);
  }
  EXPECT_EQ(checked, 9);
}

TEST_F(PacketTest, CompoundAndCompressVectors) {
  const std::map<std::string, PacketError> refused = {
      {"compound-trunc-none", PacketError::kBadCompound},
      {"compound-trunc-lengths", PacketError::kBadCompound},
      {"compound-trunc-body", PacketError::kTruncatedPart},
      {"crc-bad", PacketError::kBadCrc},
      {"crc-short", PacketError::kUnsupportedType},
      // It compresses well, but its content is not a message of packets.
      {"compress-tablefull", PacketError::kUnsupportedType},
      {"compress-pushpull", PacketError::kUnsupportedType},
      {"decode-compress-algo-1", PacketError::kUnknownAlgorithm},
      {"decode-compress-empty-buf", PacketError::kBadLzw},
      {"decode-compress-no-end", PacketError::kBadLzw},
      {"decode-compress-bad-code", PacketError::kBadLzw},
  };
  int checked = 0;
  for (const auto& vector : LoadVectors("memberlist.json")) {
    const std::string layer = vector["layer"];
    const std::string name = vector["name"];
    if (layer != "compound" && layer != "crc" && layer != "compress" &&
        !name.starts_with("decode-compress-")) {
      continue;
    }
    SCOPED_TRACE(name);
    const Opened opened = Open(BytesOf(vector));
    const auto expected = refused.find(name);
    EXPECT_EQ(opened.error, expected == refused.end() ? PacketError::kOk : expected->second);
    if (name == "compound-trunc-body") {
      EXPECT_EQ(opened.leaves.size(), 1u);
      EXPECT_EQ(scratch_.truncated_parts(), 1u);
    }
    ++checked;
  }
  EXPECT_EQ(checked, 27);
}

// The rows of docs/protocol/membership.md 10 that concern the layers.
TEST_F(PacketTest, HostileVectors) {
  const std::map<std::string, PacketError> refused = {
      {"hostile-udp-empty", PacketError::kEmpty},
      {"hostile-udp-unknown-type", PacketError::kUnsupportedType},
      {"hostile-udp-err-type", PacketError::kUnsupportedType},
      {"hostile-udp-encrypt-type", PacketError::kNotEncrypted},
      {"hostile-udp-compress-nest", PacketError::kTooDeep},
      {"hostile-udp-quine-compound", PacketError::kTooDeep},
      {"compound-of-empty-parts", PacketError::kEmptyMessage},
      {"compound-without-lengths", PacketError::kBadCompound},
      {"compress-of-nothing", PacketError::kEmptyMessage},
      {"crc-of-nothing", PacketError::kEmptyMessage},
      {"compressed-lists", PacketError::kTooLarge},
      {"compressed-zeros", PacketError::kTooLarge},
      {"encrypted-nothing", PacketError::kEmptyMessage},
      {"encrypted-with-bad-padding", PacketError::kBadPadding},
  };
  // One leaf, whose body does not decode.
  const std::map<std::string, DecodeResult> undecodable = {
      {"hostile-udp-type-only", DecodeResult::kTruncated},
      {"announced-text", DecodeResult::kTruncated},
      {"announced-list", DecodeResult::kTruncated},
      {"announced-map", DecodeResult::kTruncated},
      {"nested-lists", DecodeResult::kTooDeep},
  };
  Rng rng(5);
  std::vector<HostileInput> inputs = HostileDatagrams(rng, "agent-a");
  const std::size_t made = inputs.size();
  for (const auto& vector : LoadVectors("memberlist.json")) {
    if (vector["layer"] != "packet" || vector["decoded"]["outcome"] != "hostile") continue;
    inputs.push_back({vector["name"], BytesOf(vector)});
  }
  EXPECT_EQ(inputs.size() - made, 13u);
  Keyring recorded_key;
  ASSERT_TRUE(recorded_key.Add(RecordedKey()).ok());
  for (const HostileInput& input : inputs) {
    const std::string& name = input.name;
    SCOPED_TRACE(name);
    const Keyring* const ring = absl::StrContains(name, "encrypt") ? &recorded_key : nullptr;
    const Opened opened = Open(input.bytes, {.keyring = ring});
    if (refused.contains(name)) {
      EXPECT_EQ(opened.error, refused.at(name)) << PacketErrorText(opened.error);
      EXPECT_TRUE(opened.leaves.empty());
      continue;
    }
    // Well-formed packets: the fault is in the message, or shows only to the state machine.
    EXPECT_EQ(opened.error, PacketError::kOk) << PacketErrorText(opened.error);
    ASSERT_EQ(opened.leaves.size(), 1u);
    const std::map<MessageType, std::string> types = {
        {MessageType::kPing, "ping"}, {MessageType::kIndirectPing, "indirectPing"},
        {MessageType::kAck, "ack"},   {MessageType::kSuspect, "suspect"},
        {MessageType::kDead, "dead"}, {MessageType::kAlive, "alive"}};
    const DecodeResult result =
        DecodeSwim(types.at(opened.leaves[0].type), opened.leaves[0].body).result;
    const auto expected = undecodable.find(name);
    EXPECT_EQ(result, expected == undecodable.end() ? DecodeResult::kOk : expected->second);
  }
}

// The visitor gets the other parts of the compound.
TEST_F(PacketTest, AnEmptyPartIsSkipped) {
  const ByteView parts[] = {kHello, ByteView(), kHello};
  ByteVector compound;
  AppendCompound(parts, compound);
  const Opened opened = Open(compound);
  EXPECT_EQ(opened.error, PacketError::kEmptyMessage);
  EXPECT_EQ(opened.leaves.size(), 2u);
}

TEST_F(PacketTest, AllLayersRoundTrip) {
  const ByteVector key(32, 4);
  Keyring ring;
  ASSERT_TRUE(ring.Add(key).ok());
  ByteVector compressible = {8};
  compressible.resize(300, 'a');
  for (int bits = 0; bits < 64; ++bits) {
    SCOPED_TRACE(bits);
    const absl::string_view label = bits & 1 ? "blue" : "";
    const Keyring* const keys = bits & 2 ? &ring : nullptr;
    const ByteVector& message = bits & 4 ? compressible : kHello;
    const ByteVector sealed = Seal(
        message,
        {.label = label,
         .keyring = keys,
         .encryption_version = bits & 8 ? EncryptionVersion::kPadded : EncryptionVersion::kPlain,
         .compress = (bits & 16) != 0,
         .crc = (bits & 32) != 0});
    const Opened opened = Open(sealed, {.label = label, .keyring = keys});
    EXPECT_EQ(opened.error, PacketError::kOk);
    ASSERT_EQ(opened.leaves.size(), 1u);
    EXPECT_EQ(opened.leaves[0].body, ByteVector(message.begin() + 1, message.end()));
  }
}

TEST_F(PacketTest, SpecifiedExamples) {
  EXPECT_EQ(Hex(Seal(kHello, {.label = "blue"})), "f404626c75650868656c6c6f");
  EXPECT_EQ(Hex(Seal(kHello, {.crc = true})), "0cada372550868656c6c6f");
  // The packet stays uncompressed, since compression would not make it shorter.
  EXPECT_EQ(Hex(Seal(kHello, {.compress = true})), "0868656c6c6f");
  ByteVector many = {8};
  many.resize(89, 'a');
  EXPECT_EQ(Hex(Seal(many, {.compress = true})),
            "0982a4416c676f00a3427566b20011841948b0a0c18308132a5cc8b0e1c280");
}

TEST_F(PacketTest, CompressedOnlyIfStrictlyShorter) {
  bool seen_plain = false;
  bool seen_compressed = false;
  for (std::size_t size = 1; size < 60; ++size) {
    ByteVector message = {8};
    message.resize(size, 'a');
    const ByteVector sealed = Seal(message, {.compress = true});
    if (sealed[0] == 9) {
      seen_compressed = true;
      EXPECT_LT(sealed.size(), message.size());
    } else {
      seen_plain = true;
      EXPECT_EQ(sealed, message);
    }
    EXPECT_EQ(Open(sealed).leaves.size(), 1u);
  }
  EXPECT_TRUE(seen_plain && seen_compressed);
}

TEST_F(PacketTest, LabelRules) {
  const ByteVector labelled = Seal(kHello, {.label = "blue"});
  EXPECT_EQ(Open(labelled, {.label = "blue"}).error, PacketError::kOk);
  EXPECT_EQ(Open(labelled).error, PacketError::kLabelMismatch);
  EXPECT_EQ(Open(kHello, {.label = "blue"}).error, PacketError::kLabelMismatch);
  const PacketOptions proxied = {.label = "blue", .skip_inbound_label_check = true};
  EXPECT_EQ(Open(kHello, proxied).error, PacketError::kOk);
  EXPECT_EQ(Open(labelled, proxied).error, PacketError::kDoubleLabel);
}

TEST_F(PacketTest, LabelIsAssociatedDataEvenWhenAProxyTookIt) {
  Keyring ring;
  ASSERT_TRUE(ring.Add(ByteVector(16, 1)).ok());
  const ByteVector sealed = Seal(kHello, {.label = "blue", .keyring = &ring});
  const ByteView bare = ByteView(sealed).subspan(LabelOverhead("blue"));
  EXPECT_EQ(Open(bare, {.label = "blue", .skip_inbound_label_check = true, .keyring = &ring}).error,
            PacketError::kOk);
  EXPECT_EQ(Open(bare, {.keyring = &ring}).error, PacketError::kNotAuthentic);
}

TEST_F(PacketTest, VerifyIncomingDecidesAboutPlaintext) {
  Keyring ring;
  ASSERT_TRUE(ring.Add(ByteVector(16, 1)).ok());
  EXPECT_EQ(Open(kHello, {.keyring = &ring}).error, PacketError::kNotEncrypted);
  EXPECT_EQ(Open(kHello, {.keyring = &ring, .verify_incoming = false}).error, PacketError::kOk);
  // Without keys an encrypted packet is a message of an unknown type, or a malformed ping.
  const ByteVector sealed = Seal(kHello, {.keyring = &ring});
  const Opened opened = Open(sealed);
  ASSERT_EQ(opened.leaves.size(), 1u);
  EXPECT_EQ(opened.leaves[0].type, MessageType::kIndirectPing);
}

TEST_F(PacketTest, AnyKeyOfTheRingOpens) {
  Keyring old_ring;
  ASSERT_TRUE(old_ring.Add(ByteVector(16, 1)).ok());
  Keyring ring;
  ASSERT_TRUE(ring.Add(ByteVector(32, 2)).ok());
  ASSERT_TRUE(ring.Add(ByteVector(24, 3)).ok());
  ASSERT_TRUE(ring.Add(ByteVector(16, 1)).ok());
  EXPECT_EQ(Open(Seal(kHello, {.keyring = &old_ring}), {.keyring = &ring}).error, PacketError::kOk);
  EXPECT_EQ(Open(Seal(kHello, {.keyring = &ring}), {.keyring = &old_ring}).error,
            PacketError::kNotAuthentic);
}

// A checksum counts only as the outermost plaintext layer.
TEST_F(PacketTest, ChecksumWithinACompoundIsUnsupported) {
  const ByteVector crc = Seal(kHello, {.crc = true});
  const ByteView parts[] = {crc, kHello};
  ByteVector compound;
  AppendCompound(parts, compound);
  const Opened opened = Open(compound);
  EXPECT_EQ(opened.error, PacketError::kUnsupportedType);
  EXPECT_EQ(scratch_.unsupported_type(), 12);
  EXPECT_EQ(opened.leaves.size(), 1u);  // the other part
}

ByteVector Wrapped(ByteView message, std::size_t layers) {
  ByteVector wrapped(message.begin(), message.end());
  for (std::size_t i = 0; i < layers; ++i) {
    const ByteVector inner = wrapped;
    const ByteView parts[] = {inner};
    wrapped.clear();
    AppendCompound(parts, wrapped);
  }
  return wrapped;
}

TEST_F(PacketTest, NestingIsLimited) {
  EXPECT_EQ(Open(Wrapped(kHello, kPacketNestingMax)).leaves.size(), 1u);
  const Opened opened = Open(Wrapped(kHello, kPacketNestingMax + 1));
  EXPECT_EQ(opened.error, PacketError::kTooDeep);
  EXPECT_TRUE(opened.leaves.empty());
}

TEST_F(PacketTest, LeavesAreLimited) {
  // Five compounds of 255 within one.
  const std::vector<ByteView> leaves(kCompoundPartsMax, kHello);
  ByteVector inner;
  AppendCompound(leaves, inner);
  const std::vector<ByteView> compounds(5, inner);
  ByteVector outer;
  AppendCompound(compounds, outer);
  const Opened opened = Open(outer);
  EXPECT_EQ(opened.error, PacketError::kTooManyLeaves);
  EXPECT_EQ(opened.leaves.size(), kPacketLeavesMax);
}

// The limit holds for all compress layers of a datagram together.
TEST_F(PacketTest, DecompressionIsLimitedInTotal) {
  ByteVector big(600 << 10);
  Rng rng(3);
  for (std::uint8_t& byte : big) byte = rng.Below(std::uint64_t{16}) == 0 ? 1 : 0;
  big[0] = 8;
  PacketScratch scratch;
  LzwEncoder encoder;
  ByteVector deflated;
  ASSERT_TRUE(encoder.Encode(big, 60000, deflated));
  ByteVector compress;
  Encode(CompressMessage{.algo = kCompressLzw, .buf = deflated}, compress);
  EXPECT_EQ(Open(compress).leaves.size(), 1u);
  const ByteView parts[] = {compress, compress, compress};
  ByteVector compound;
  AppendCompound(parts, compound);
  const Opened opened = Open(compound);
  EXPECT_EQ(opened.error, PacketError::kTooLarge);
  EXPECT_EQ(opened.leaves.size(), 1u);
}

// No member sends endless repetition.
TEST_F(PacketTest, DecompressionIsLimitedByTheBytesThatAreThere) {
  Rng rng(4);
  LzwEncoder encoder;
  for (int i = 0; i < 3; ++i) {
    ByteVector big = {8};
    big.resize(kPacketInflatedMax / (2 + rng.Below(std::uint64_t{2})), 0);
    ByteVector deflated;
    ASSERT_TRUE(encoder.Encode(big, 60000, deflated));
    ByteVector compress;
    Encode(CompressMessage{.algo = kCompressLzw, .buf = deflated}, compress);
    EXPECT_EQ(Open(compress).error, PacketError::kTooLarge);
    EXPECT_TRUE(Open(compress).leaves.empty());
  }
}

// The visitor may seal an answer with the same scratch.
TEST_F(PacketTest, SealingWithinAVisit) {
  ByteVector message = {8};
  message.resize(400, 'x');
  const ByteVector sealed = Seal(message, {.compress = true, .crc = true});
  ByteVector arena;
  int visits = 0;
  OpenPacket(sealed, {}, scratch_, [&](MessageType, ByteView body) {
    ASSERT_TRUE(SealPacket(message, {.compress = true}, scratch_, arena));
    EXPECT_EQ(body.size(), 399u);
    EXPECT_EQ(body.back(), 'x');
    ++visits;
  });
  EXPECT_EQ(visits, 1);
}

class BrokenAead : public Aead {
 public:
  bool Seal(ByteView, ByteView, ByteView, ByteView, std::uint8_t*) override { return false; }
  bool Open(ByteView, ByteView, ByteView, ByteView, std::uint8_t*) override { return false; }
  std::unique_ptr<AeadStream> BeginSeal(ByteView, ByteView, ByteView) override { return nullptr; }
  std::unique_ptr<AeadStream> BeginOpen(ByteView, ByteView, ByteView) override { return nullptr; }
};

TEST_F(PacketTest, AFailedEncryptionLeavesTheArena) {
  BrokenAead broken;
  Keyring ring;
  ASSERT_TRUE(ring.Add(ByteVector(16, 1)).ok());
  ByteVector arena = {1, 2};
  EXPECT_FALSE(SealPacket(kHello,
                          {.label = "x", .keyring = &ring, .aead = &broken, .nonces = &nonces_},
                          scratch_, arena));
  EXPECT_EQ(arena, (ByteVector{1, 2}));
}

TEST(PacketBudgetTest, FollowsTheSpecification) {
  EXPECT_EQ(GossipBudget(1400, "", 0), 1398u);
  EXPECT_EQ(GossipBudget(1400, "blue", 29), 1363u);
  EXPECT_EQ(GossipBudget(1400, "", 45), 1353u);
  EXPECT_EQ(GossipBudget(10, "blue", 29), 0u);
  EXPECT_EQ(PiggybackBudget(1400, 50, "", 0), 1348u);
  EXPECT_EQ(PiggybackBudget(1400, 50, "blue", 29), 1313u);
  EXPECT_EQ(PiggybackBudget(1400, 1399, "", 0), 0u);
}

TEST(PacketErrorTest, EveryErrorHasItsText) {
  std::map<absl::string_view, int> texts;
  for (std::size_t i = 0; i < kPacketErrors; ++i) {
    const absl::string_view text = PacketErrorText(static_cast<PacketError>(i));
    EXPECT_NE(text, "unknown");
    ++texts[text];
  }
  EXPECT_EQ(texts.size(), kPacketErrors);
}

}  // namespace
}  // namespace serf::wire
