#include "serf/wire/stream_frame.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "serf/base/portion.h"
#include "serf/base/rng.h"
#include "serf/testing/hostile_input.h"
#include "serf/testing/vectors/swim_messages.h"
#include "serf/testing/vectors/vectors.h"
#include "serf/wire/openssl_aead.h"
#include "serf/wire/push_pull_reader.h"
#include "serf/wire/stream_writer.h"

namespace serf::wire {
namespace {

using ::serf::testkit::Decoded;
using ::serf::testkit::DecodeSwim;
using ::serf::testkit::HasFields;
using ::serf::testkit::Hex;
using ::serf::testkit::HostileInput;
using ::serf::testkit::HostileStreams;
using ::serf::testkit::LoadVectors;
using ::serf::testkit::RecordedKey;
using ::serf::testkit::ToFields;
using ::serf::testkit::Unhex;

class FixedNonce : public NonceSource {
 public:
  explicit FixedNonce(ByteView nonce) { std::copy(nonce.begin(), nonce.end(), nonce_.begin()); }
  void Fill(Nonce& nonce) override { nonce = nonce_; }

 private:
  Nonce nonce_ = {};
};

class StreamTest : public ::testing::Test {
 protected:
  // Feeds the bytes in pieces of `piece`, then the end if `end`.
  std::unique_ptr<StreamReader> Read(ByteView bytes, StreamOptions options = {},
                                     std::size_t piece = 1 << 20, bool end = true) {
    options.aead = &aead_;
    auto reader = std::make_unique<StreamReader>(options);
    for (; !bytes.empty(); bytes = bytes.subspan(std::min(piece, bytes.size()))) {
      if (reader->Feed(bytes.first(std::min(piece, bytes.size()))) != StreamStatus::kNeedMore) {
        return reader;
      }
    }
    if (end) reader->FeedEnd();
    return reader;
  }

  ByteVector Seal(ByteView message, SealOptions options = {}, bool initiator = true) {
    options.aead = &aead_;
    if (options.nonces == nullptr) options.nonces = &nonces_;
    ByteVector arena = {1, 2, 3};
    EXPECT_TRUE(SealStreamUnit(message, options, initiator, scratch_, arena));
    return ByteVector(arena.begin() + 3, arena.end());
  }

  StreamFailure FailureOf(ByteView bytes, const StreamOptions& options = {}) {
    const auto reader = Read(bytes, options);
    EXPECT_EQ(reader->status(), StreamStatus::kFailed);
    return reader->failure();
  }

  OpensslAead aead_;
  FixedNonce nonces_{ByteVector(kNonceSize, 9)};
  PacketScratch scratch_;
};

const ByteVector kPing = Unhex("0082a44e6f6465a66e6f64652d62a55365714e6f09");

Keyring RingOf(const nlohmann::json& decoded) {
  Keyring ring;
  if (decoded.contains("key_hex")) {
    EXPECT_TRUE(ring.Add(Unhex(decoded["key_hex"].get<std::string>())).ok());
  }
  return ring;
}

void ExpectPushPull(const nlohmann::json& decoded, ByteView body) {
  PushPullReader reader(body);
  ASSERT_EQ(reader.result(), DecodeResult::kOk);
  EXPECT_TRUE(HasFields(ToFields(reader.header()), decoded["header"]));
  std::size_t count = 0;
  for (PushPullNode node; reader.Next(node); ++count) {
    ASSERT_LT(count, decoded["nodes"].size());
    EXPECT_TRUE(HasFields(ToFields(node), decoded["nodes"][count])) << ToFields(node);
  }
  EXPECT_EQ(reader.result(), DecodeResult::kOk);
  EXPECT_EQ(count, decoded["nodes"].size());
  const std::size_t state = static_cast<std::size_t>(reader.header().user_state_len);
  EXPECT_EQ(reader.user_state().size(), state);
  if (decoded.contains("user_state") && decoded["user_state"].is_object()) {
    EXPECT_EQ(Hex(reader.user_state()), decoded["user_state"]["hex"]);
  }
}

// Whether the recorded stream is the answer of the accepting side.
bool IsAnswer(const nlohmann::json& vector) {
  const std::string name = vector["name"];
  const std::string type = vector["decoded"].value("type", "");
  return type == "ack" || type == "err" || name.find("response") != std::string::npos ||
         name.find("enc-err") != std::string::npos || name.find("tcp-ack") != std::string::npos ||
         name.find("pv1-stream") != std::string::npos;
}

TEST_F(StreamTest, AcceptedVectorsInPiecesOfAnySize) {
  int checked = 0;
  for (const auto& vector : LoadVectors("memberlist.json")) {
    const auto& decoded = vector["decoded"];
    if (vector["layer"] != "stream" || decoded["outcome"] != "accept") continue;
    SCOPED_TRACE(vector["name"].get<std::string>());
    const ByteVector bytes = Unhex(vector["hex"].get<std::string>());
    const Keyring ring = RingOf(decoded);
    const std::string label = decoded.value("label", "");
    const StreamOptions options = {.initiator = IsAnswer(vector), .label = label, .keyring = &ring};
    for (const std::size_t piece : {bytes.size(), std::size_t{1}, std::size_t{7}}) {
      const auto reader = Read(bytes, options, piece, /*end=*/false);
      ASSERT_EQ(reader->status(), StreamStatus::kUnit) << reader->failure().text;
      const std::string type = decoded.value("type", "");
      const ByteView body = reader->unit().body;
      if (decoded.contains("header")) {
        ExpectPushPull(decoded, body);
      } else if (type == "userStream") {
        EXPECT_EQ(Hex(body), decoded["fields"]["payload"]["hex"]);
      } else if (decoded.contains("fields")) {
        const Decoded got = DecodeSwim(type, body);
        EXPECT_EQ(got.result, DecodeResult::kOk);
        EXPECT_TRUE(HasFields(got.fields, decoded["fields"])) << got.fields;
      }
    }
    // No prefix gives a unit.
    for (std::size_t size = 0; size < bytes.size(); ++size) {
      ASSERT_EQ(Read(ByteView(bytes).first(size), options)->status(), StreamStatus::kFailed);
    }
    ++checked;
  }
  EXPECT_EQ(checked, 33);
}

TEST_F(StreamTest, EncryptedVectorsInBothDirections) {
  int checked = 0;
  for (const auto& vector : LoadVectors("memberlist.json")) {
    const auto& decoded = vector["decoded"];
    const std::string layer = vector["layer"];
    if (layer != "stream-encrypt" && vector["name"] != "label-stream-encrypted" &&
        (layer != "stream" || !decoded.contains("nonce_hex"))) {
      continue;
    }
    SCOPED_TRACE(vector["name"].get<std::string>());
    const Keyring ring = RingOf(decoded);
    const std::string label = decoded.value("label", "");
    const ByteVector bytes = Unhex(vector["hex"].get<std::string>());
    const bool initiator = bytes[0] == 0xf4;
    const std::uint8_t version = bytes[(initiator ? LabelOverhead(label) : 0) + kFrameHeaderSize];
    FixedNonce nonces(Unhex(decoded["nonce_hex"].get<std::string>()));
    const ByteVector plain = Unhex(decoded["plaintext_hex"].get<std::string>());
    EXPECT_EQ(Hex(Seal(plain,
                       {.label = label,
                        .keyring = &ring,
                        .nonces = &nonces,
                        .encryption_version = static_cast<EncryptionVersion>(version)},
                       initiator)),
              Hex(bytes));
    const bool answer = !initiator && (IsAnswer(vector) || !label.empty());
    const auto reader = Read(bytes, {.initiator = answer, .label = label, .keyring = &ring});
    EXPECT_EQ(reader->status(), StreamStatus::kUnit) << reader->failure().text;
    EXPECT_EQ(reader->frame_size(),
              bytes.size() - kFrameHeaderSize - (initiator ? LabelOverhead(label) : 0));
    ++checked;
  }
  EXPECT_GE(checked, 14);
}

TEST_F(StreamTest, PushPullVector) {
  for (const auto& vector : LoadVectors("memberlist.json")) {
    if (vector["name"] != "pushpull-full") continue;
    const ByteVector bytes = Unhex(vector["hex"].get<std::string>());
    const auto reader = Read(bytes);
    ASSERT_EQ(reader->status(), StreamStatus::kUnit);
    EXPECT_EQ(reader->unit().type, MessageType::kPushPull);
    EXPECT_EQ(reader->unit().body.size(), bytes.size() - 1);
    PushPullReader push_pull(reader->unit().body);
    int nodes = 0;
    for (PushPullNode node; push_pull.Next(node);) ++nodes;
    EXPECT_EQ(nodes, 4);
    EXPECT_EQ(AsText(push_pull.user_state()), "USERSTATE");
    return;
  }
  ADD_FAILURE() << "no such vector";
}

TEST_F(StreamTest, HostileVectors) {
  struct Expected {
    StreamError error;
    StreamEnd end;
    std::string text;
  };
  const std::map<std::string, Expected> refused = {
      {"nodes-below-zero",
       {StreamError::kBadCount, StreamEnd::kClose, "number of nodes in header (#) exceeds limit"}},
      {"nodes-beyond-the-limit",
       {StreamError::kBadCount, StreamEnd::kClose, "number of nodes in header (#) exceeds limit"}},
      {"hostile-tcp-userlen-negative",
       {StreamError::kBadCount, StreamEnd::kClose, "user state length (#) exceeds limit"}},
      {"state-beyond-the-limit",
       {StreamError::kBadCount, StreamEnd::kClose, "user state length (#) exceeds limit"}},
      {"user-message-beyond-the-limit",
       {StreamError::kBadCount, StreamEnd::kClose, "user message length (#) exceeds limit"}},
      {"hostile-tcp-usermsg-negative",
       {StreamError::kBadCount, StreamEnd::kClose, "user message length (#) exceeds limit"}},
      {"compress-of-nothing",
       {StreamError::kEmpty, StreamEnd::kAnswer, "decompressed message is empty"}},
      {"hostile-tcp-compress-twice",
       {StreamError::kUnexpectedType, StreamEnd::kClose, "Received invalid msgType (9)"}},
      {"hostile-tcp-truncated",
       {StreamError::kBadBody, StreamEnd::kClose, "failed to decode node record: truncated"}},
      {"encrypted-nothing",
       {StreamError::kEmpty, StreamEnd::kAnswer, "decrypted message is empty"}},
      {"hostile-tcp-enc-len0",
       {StreamError::kNotAuthentic, StreamEnd::kAnswer, "Cannot decrypt empty payload"}},
      {"hostile-tcp-enc-len28",
       {StreamError::kNotAuthentic, StreamEnd::kAnswer, "Payload is too small to decrypt: 28"}},
      {"encrypted-with-bad-padding",
       {StreamError::kNotAuthentic, StreamEnd::kAnswer,
        "invalid padding of the decrypted message"}},
  };
  // Well-formed streams: Check() and the merge find the faults of records.
  const std::map<std::string, FormatFault> judged = {
      {"hostile-tcp-merge-novsn-join", FormatFault::kVersionVector},
      {"node-of-few-versions", FormatFault::kVersionVector},
      {"hostile-tcp-state-99", FormatFault::kNone},
  };
  Rng rng(6);
  std::vector<HostileInput> inputs = HostileStreams(rng);
  for (const auto& vector : LoadVectors("memberlist.json")) {
    if (vector["layer"] != "stream" || vector["decoded"]["outcome"] != "hostile") continue;
    inputs.push_back({vector["name"], Unhex(vector["hex"].get<std::string>())});
  }
  Keyring recorded_key;
  ASSERT_TRUE(recorded_key.Add(RecordedKey()).ok());
  std::size_t checked = 0;
  for (const auto& [name, bytes] : inputs) {
    SCOPED_TRACE(name);
    const bool encrypted = name.find("enc") == 0 || name.find("-enc-") != std::string::npos;
    const Keyring* const ring = encrypted ? &recorded_key : nullptr;
    const auto reader = Read(bytes, {.keyring = ring}, checked % 2 ? 1 : 99);
    ++checked;
    if (const auto fault = judged.find(name); fault != judged.end()) {
      ASSERT_EQ(reader->status(), StreamStatus::kUnit) << reader->failure().text;
      PushPullReader push_pull(reader->unit().body);
      FormatFault worst = FormatFault::kNone;
      for (PushPullNode node; push_pull.Next(node);) worst = std::max(worst, Check(node));
      EXPECT_EQ(worst, fault->second);
      continue;
    }
    ASSERT_EQ(reader->status(), StreamStatus::kFailed);
    const Expected& expected = refused.at(name);
    EXPECT_EQ(reader->failure().error, expected.error);
    EXPECT_EQ(reader->failure().end, expected.end);
    // "#" stands for the random number.
    std::string text = reader->failure().text;
    if (expected.error == StreamError::kBadCount) {
      const std::size_t open = text.find('(');
      text.replace(open + 1, text.find(')') - open - 1, "#");
    }
    EXPECT_EQ(text, expected.text);
  }
  EXPECT_EQ(checked, refused.size() + judged.size());
}

// Counts are refused as soon as the header is there.
TEST_F(StreamTest, CountsAreRefusedBeforeTheRecordsCome) {
  ByteVector header;
  Encode(PushPullHeader{.nodes = kPushPullNodesMax + 1}, header);
  EXPECT_EQ(Read(header, {}, 3, /*end=*/false)->status(), StreamStatus::kFailed);
  header.clear();
  Encode(PushPullHeader{.user_state_len = kUserStateMax + 1}, header);
  EXPECT_EQ(Read(header, {}, 3, /*end=*/false)->status(), StreamStatus::kFailed);
  header.clear();
  Encode(PushPullHeader{.nodes = kPushPullNodesMax, .user_state_len = kUserStateMax}, header);
  EXPECT_EQ(Read(header, {}, 3, /*end=*/false)->status(), StreamStatus::kNeedMore);
  header.clear();
  Encode(UserHeader{.user_msg_len = kUserMessageMax + 1}, header);
  EXPECT_EQ(Read(header, {}, 3, /*end=*/false)->status(), StreamStatus::kFailed);
}

// A length in the bytes is refused at once too, without waiting for so many bytes.
TEST_F(StreamTest, AnnouncedLengthsAreBounded) {
  Rng rng(7);
  // {Buf: gigabytes}, a ping with such a name, a record with such metadata, an unknown key.
  const std::pair<const char*, std::uint8_t> cases[] = {
      {"0981a3427566", testkit::kText32},
      {"0081a44e6f6465", testkit::kText32},
      {"0681a54e6f6465730181a44d657461", testkit::kText32},
      {"0081a15a", testkit::kList32},
  };
  for (const auto& [start, head] : cases) {
    const ByteVector bytes = testkit::Announcing(rng, Unhex(start), head);
    const auto reader = Read(bytes, {}, 1, /*end=*/false);
    ASSERT_EQ(reader->status(), StreamStatus::kFailed) << start;
    EXPECT_EQ(reader->failure().error, StreamError::kTooLarge) << start;
  }
}

TEST_F(StreamTest, RoundTripsAllLayers) {
  Keyring ring;
  ASSERT_TRUE(ring.Add(ByteVector(32, 5)).ok());
  ByteVector user;
  Encode(UserHeader{.user_msg_len = 5000}, user);
  user.resize(user.size() + 5000, 'u');
  for (int bits = 0; bits < 16; ++bits) {
    SCOPED_TRACE(bits);
    const absl::string_view label = bits & 1 ? "blue" : "";
    const Keyring* const keys = bits & 2 ? &ring : nullptr;
    const ByteVector sealed = Seal(
        user,
        {.label = label,
         .keyring = keys,
         .encryption_version = bits & 4 ? EncryptionVersion::kPadded : EncryptionVersion::kPlain,
         .compress = (bits & 8) != 0});
    for (const std::size_t piece : {std::size_t{1}, std::size_t{1000}, sealed.size()}) {
      const auto reader = Read(sealed, {.label = label, .keyring = keys}, piece, /*end=*/false);
      ASSERT_EQ(reader->status(), StreamStatus::kUnit) << reader->failure().text;
      EXPECT_EQ(reader->unit().type, MessageType::kUser);
      EXPECT_EQ(reader->unit().body.size(), 5000u);
    }
  }
}

TEST_F(StreamTest, CompressedEvenIfLarger) {
  const ByteVector sealed = Seal(Unhex("0281a55365714e6f07"), {.compress = true}, false);
  EXPECT_EQ(sealed[0], 9);
  EXPECT_GT(sealed.size(), 9u);
}

TEST_F(StreamTest, BytesAfterTheUnitAreIgnored) {
  ByteVector bytes = kPing;
  bytes.insert(bytes.end(), 100, 0xff);
  const auto reader = Read(bytes);
  ASSERT_EQ(reader->status(), StreamStatus::kUnit);
  EXPECT_EQ(reader->unit().body.size(), kPing.size() - 1);
  EXPECT_EQ(reader->Feed(kPing), StreamStatus::kUnit);
  EXPECT_EQ(reader->FeedEnd(), StreamStatus::kUnit);
}

TEST_F(StreamTest, EndsWhereTheNextByteWasDueAreSilent) {
  Keyring ring;
  ASSERT_TRUE(ring.Add(ByteVector(16, 1)).ok());
  const ByteVector sealed = Seal(kPing, {.keyring = &ring});
  for (std::size_t size = 0; size < sealed.size(); ++size) {
    const StreamFailure failure = FailureOf(ByteView(sealed).first(size), {.keyring = &ring});
    EXPECT_EQ(failure.error, StreamError::kClosed) << size;
    EXPECT_EQ(failure.end, StreamEnd::kSilent);
  }
  // Within a message it is an error; within the compress layer the node even answers with an error.
  EXPECT_EQ(FailureOf(ByteView(kPing).first(5)).end, StreamEnd::kClose);
  const ByteVector compressed = Seal(kPing, {.compress = true});
  EXPECT_EQ(FailureOf(ByteView(compressed).first(5)).end, StreamEnd::kAnswer);
}

TEST_F(StreamTest, LabelRules) {
  const ByteVector labelled = Seal(kPing, {.label = "blue"});
  EXPECT_EQ(Read(labelled, {.label = "blue"}, 1)->status(), StreamStatus::kUnit);
  StreamFailure failure = FailureOf(labelled, {.label = "red"});
  EXPECT_EQ(failure.error, StreamError::kLabelMismatch);
  EXPECT_EQ(failure.end, StreamEnd::kClose);
  EXPECT_EQ(failure.text, "discarding stream with unacceptable label \"blue\"");
  EXPECT_EQ(FailureOf(kPing, {.label = "red"}).error, StreamError::kLabelMismatch);
  const StreamOptions proxied = {.label = "blue", .skip_inbound_label_check = true};
  EXPECT_EQ(Read(kPing, proxied)->status(), StreamStatus::kUnit);
  EXPECT_EQ(FailureOf(labelled, proxied).error, StreamError::kDoubleLabel);
  failure = FailureOf(Unhex("f400"));
  EXPECT_EQ(failure.error, StreamError::kLabelZeroLength);
  EXPECT_EQ(failure.text, "label header cannot be empty when present");
  failure = FailureOf(Unhex("f405616263"));
  EXPECT_EQ(failure.error, StreamError::kLabelTruncated);
  EXPECT_EQ(failure.text, "cannot decode label; stream has been truncated");
  EXPECT_EQ(FailureOf(Unhex("f4")).error, StreamError::kLabelTruncated);
  // A stream without any byte is closed silently, whatever label was due.
  EXPECT_EQ(FailureOf({}, {.label = "blue"}).end, StreamEnd::kSilent);
  // Answers carry no header, so there it is an unknown type.
  EXPECT_EQ(FailureOf(labelled, {.initiator = true, .label = "blue"}).error,
            StreamError::kUnexpectedType);
}

TEST_F(StreamTest, EncryptionMustMatch) {
  Keyring ring;
  ASSERT_TRUE(ring.Add(ByteVector(16, 1)).ok());
  StreamFailure failure = FailureOf(Seal(kPing, {.keyring = &ring}));
  EXPECT_EQ(failure.end, StreamEnd::kAnswer);
  EXPECT_EQ(failure.text, "Remote state is encrypted and encryption is not configured");
  failure = FailureOf(kPing, {.keyring = &ring});
  EXPECT_EQ(failure.end, StreamEnd::kAnswer);
  EXPECT_EQ(failure.text, "Encryption is configured but remote state is not encrypted");
  EXPECT_EQ(Read(kPing, {.keyring = &ring, .verify_incoming = false})->status(),
            StreamStatus::kUnit);
  failure = FailureOf(Unhex("0a01400001"), {.keyring = &ring});
  EXPECT_EQ(failure.error, StreamError::kFrameTooLarge);
  EXPECT_EQ(failure.end, StreamEnd::kAnswer);
  EXPECT_EQ(failure.text, "Remote node state is larger than limit (20971521)");
  // The label is associated data, also of answers, which carry no header.
  const ByteVector answer =
      Seal(Unhex("0281a55365714e6f07"), {.label = "blue", .keyring = &ring}, false);
  EXPECT_EQ(Read(answer, {.initiator = true, .label = "blue", .keyring = &ring})->status(),
            StreamStatus::kUnit);
  EXPECT_EQ(FailureOf(answer, {.initiator = true, .keyring = &ring}).text,
            "No installed keys could decrypt the message");
}

TEST_F(StreamTest, EachSideHasItsMessages) {
  const std::string ack = "0281a55365714e6f07";
  const std::string error = "0d81a54572726f72a178";
  const std::string user = "0881aa557365724d73674c656e00";
  const std::string push_pull = "0681a54e6f64657300";
  for (const std::string& hex : {ack, error}) {
    EXPECT_EQ(Read(Unhex(hex), {.initiator = true})->status(), StreamStatus::kUnit);
    EXPECT_EQ(FailureOf(Unhex(hex)).error, StreamError::kUnexpectedType);
  }
  for (const std::string& hex : {user, Hex(kPing)}) {
    EXPECT_EQ(Read(Unhex(hex))->status(), StreamStatus::kUnit);
    EXPECT_EQ(FailureOf(Unhex(hex), {.initiator = true}).error, StreamError::kUnexpectedType);
  }
  EXPECT_EQ(Read(Unhex(push_pull))->status(), StreamStatus::kUnit);
  EXPECT_EQ(Read(Unhex(push_pull), {.initiator = true})->status(), StreamStatus::kUnit);
  for (const char* hex : {"01", "03", "0b", "07", "0c", "ff"}) {
    EXPECT_EQ(FailureOf(Unhex(hex)).error, StreamError::kUnexpectedType) << hex;
  }
}

TEST_F(StreamTest, DecompressionIsBounded) {
  ByteVector bomb = {8};
  LzwEncoder encoder;
  ByteVector deflated;
  ASSERT_TRUE(encoder.Encode(ByteVector(kStreamInflatedMax + 1, 0), kNoCompressLimit, deflated));
  ByteVector message;
  Encode(CompressMessage{.algo = kCompressLzw, .buf = deflated}, message);
  const StreamFailure failure = FailureOf(message);
  EXPECT_EQ(failure.error, StreamError::kTooLarge);
  EXPECT_EQ(failure.end, StreamEnd::kAnswer);
  EXPECT_EQ(FailureOf(Unhex("0982a4416c676f01a3427566a0")).text,
            "Cannot decompress unknown algorithm 1");
}

// The bytes that are there bound what a message inflates to; more is refused before it takes
// memory.
TEST_F(StreamTest, ABombIsRefusedBeforeItGoesOff) {
  Rng rng(5);
  LzwEncoder encoder;
  for (int i = 0; i < 3; ++i) {
    const std::size_t size = kInflationFree * (4 + rng.Below(std::uint64_t{20}));
    ByteVector deflated;
    ASSERT_TRUE(encoder.Encode(ByteVector(size, 0), kNoCompressLimit, deflated));
    ASSERT_GT(size, kInflationFree + kInflationMax * deflated.size());
    ByteVector message;
    Encode(CompressMessage{.algo = kCompressLzw, .buf = deflated}, message);
    const auto reader = Read(message);
    EXPECT_EQ(reader->status(), StreamStatus::kFailed);
    EXPECT_EQ(reader->failure().error, StreamError::kTooLarge);
    EXPECT_LE(reader->held(), message.size() + kInflatedHeldMax);
  }
  // Ordinary repetition, as in tables, is accepted.
  ByteVector plain = {static_cast<std::uint8_t>(MessageType::kUser)};
  MsgpackWriter(plain).Map(0);
  ByteVector deflated;
  ASSERT_TRUE(encoder.Encode(plain, kNoCompressLimit, deflated));
  ByteVector message;
  Encode(CompressMessage{.algo = kCompressLzw, .buf = deflated}, message);
  EXPECT_EQ(Read(message)->status(), StreamStatus::kUnit);
}

// The reader does not inflate worthless text to its end: the text costs its bytes, and one piece.
TEST_F(StreamTest, WorthlessTextCostsItsBytesAndAPiece) {
  Rng rng(6);
  // Runs of one byte, each longer than its code by less than the bound.
  const auto append_runs = [&rng](ByteVector& text, std::size_t size) {
    while (text.size() < size) {
      text.insert(text.end(), 500 + rng.Below(std::uint64_t{500}),
                  static_cast<std::uint8_t>(rng.Below(std::uint64_t{0x7f})));
    }
  };
  ByteVector records;
  Encode(PushPullHeader{.nodes = 1000, .user_state_len = 0}, records);
  Encode(PushPullNode{.name = "a", .addr = AsBytes("abcd"), .vsn = AsBytes("123456")}, records);
  const struct {
    const char* what;
    ByteVector begin;
    StreamError error;
  } kCases[] = {
      {"no type", {0xff}, StreamError::kUnexpectedType},
      {"no header", {static_cast<std::uint8_t>(MessageType::kPushPull)}, StreamError::kBadBody},
      {"no user header", {static_cast<std::uint8_t>(MessageType::kUser)}, StreamError::kBadBody},
      {"one record, then none", records, StreamError::kBadBody},
  };
  LzwEncoder encoder;
  for (const auto& c : kCases) {
    SCOPED_TRACE(c.what);
    ByteVector text = c.begin;
    append_runs(text, 12 << 20);
    ByteVector deflated;
    ASSERT_TRUE(encoder.Encode(text, kNoCompressLimit, deflated));
    ASSERT_LE(text.size(), kInflationFree + kInflationMax * deflated.size());
    ByteVector message;
    Encode(CompressMessage{.algo = kCompressLzw, .buf = deflated}, message);
    StreamReader reader{StreamOptions()};
    std::size_t turns = 1;
    Portion first;
    reader.Feed(message, first);
    while (reader.status() == StreamStatus::kBusy) {
      Portion portion;
      reader.Continue(portion);
      EXPECT_LE(reader.held(), message.size() + 3 * MessageText::kPiece + sizeof(LzwDecoder));
      ++turns;
    }
    EXPECT_EQ(reader.status(), StreamStatus::kFailed);
    EXPECT_EQ(reader.failure().error, c.error) << reader.failure().text;
    EXPECT_LE(turns, 2 + (message.size() + 2 * MessageText::kPiece) / Portion::kWhole);
  }
}

// Sealed, compressed, thousands of records: the reader does all the work in portions.
TEST_F(StreamTest, ALargeUnitIsReadInPortions) {
  Keyring ring;
  ASSERT_TRUE(ring.Add(ByteVector(16, 1)).ok());
  ASSERT_TRUE(ring.Add(ByteVector(32, 2)).ok());
  Keyring theirs;
  ASSERT_TRUE(theirs.Add(ByteVector(32, 2)).ok());
  ByteVector message;
  constexpr int kNodes = 20000;
  Encode(PushPullHeader{.nodes = kNodes, .user_state_len = 5}, message);
  for (int i = 0; i < kNodes; ++i) {
    const std::string name = absl::StrCat("node-", i);
    Encode(PushPullNode{.name = name, .addr = AsBytes("abcd"), .vsn = AsBytes("123456")}, message);
  }
  Append(message, AsBytes("state"));
  for (const bool compress : {false, true}) {
    for (const bool seal : {false, true}) {
      const ByteVector bytes =
          Seal(message, {.keyring = seal ? &theirs : nullptr, .compress = compress});
      StreamReader reader({.keyring = seal ? &ring : nullptr, .aead = &aead_});
      int turns = 0;
      for (ByteView rest = bytes; !rest.empty();) {
        const std::size_t piece = std::min<std::size_t>(rest.size(), 64 << 10);
        Portion portion;
        reader.Feed(rest.first(piece), portion);
        rest = rest.subspan(piece);
      }
      while (reader.status() == StreamStatus::kBusy) {
        Portion portion;
        const std::size_t before = reader.held();
        reader.Continue(portion);
        EXPECT_LE(reader.held(), before + Portion::kWhole * 8);
        if (!seal) EXPECT_LE(reader.held(), bytes.size() + kInflatedHeldMax);
        ++turns;
      }
      ASSERT_EQ(reader.status(), StreamStatus::kUnit) << reader.failure().text;
      EXPECT_TRUE(reader.is_verified());
      EXPECT_EQ(reader.unit().deflated.empty(), !compress);
      if (compress) {
        EXPECT_TRUE(reader.unit().body.empty());
        EXPECT_EQ(reader.unit().inflated_size, message.size());
      } else {
        EXPECT_TRUE(std::ranges::equal(reader.unit().body, ByteView(message).subspan(1)));
      }
      PushPullReader content(reader.unit());
      int records = 0;
      for (PushPullNode node; content.Next(node); ++records) {
        ASSERT_EQ(node.name, absl::StrCat("node-", records));
        ASSERT_LE(content.held(), kInflatedHeldMax);
      }
      EXPECT_EQ(records, kNodes);
      ASSERT_TRUE(content.ReadState());
      EXPECT_EQ(AsText(content.user_state()), "state");
      // Without a layer the reader reads the records as they come.
      EXPECT_GE(turns, compress || seal ? static_cast<int>(message.size() / Portion::kWhole) : 0);
    }
  }
}

TEST_F(StreamTest, ARecordHasItsLimit) {
  for (const bool nested : {false, true}) {
    ByteVector message;
    Encode(PushPullHeader{.nodes = 1}, message);
    const std::string name(kStreamMessageMax + 10, 'n');
    Encode(PushPullNode{.name = name}, message);
    const auto reader = Read(Seal(message, {.compress = nested}));
    EXPECT_EQ(reader->failure().error, StreamError::kTooLarge) << nested;
  }
}

// A huge record of tiny unknown values, in small pieces, is not read over and over.
TEST_F(StreamTest, ManyPiecesCostNoMoreThanTheirSum) {
  ByteVector message = Unhex("0981a15a");
  // Lists of 15 within lists of 15, deep enough for no length to tell the end.
  const std::function<void(int)> nest = [&](int depth) {
    message.push_back(depth == 0 ? 0xc0 : 0x9f);
    for (int i = 0; depth > 0 && i < 15; ++i) nest(depth - 1);
  };
  nest(5);
  ASSERT_GT(message.size(), 800000u);
  const auto reader = Read(message, {}, 100);
  EXPECT_EQ(reader->status(), StreamStatus::kFailed);
}

TEST(PushPullReaderTest, ReportsWhatIsMissing) {
  ByteVector body;
  Encode(PushPullHeader{.nodes = 1, .user_state_len = 3}, body);
  const std::size_t header = body.size();
  Encode(PushPullNode{.name = "a"}, body);
  Append(body, AsBytes("xyz"));
  const ByteView all = ByteView(body).subspan(1);
  PushPullNode node;
  {
    PushPullReader reader(all);
    EXPECT_TRUE(reader.Next(node));
    EXPECT_EQ(node.name, "a");
    EXPECT_FALSE(reader.Next(node));
    EXPECT_EQ(reader.result(), DecodeResult::kOk);
    EXPECT_EQ(AsText(reader.user_state()), "xyz");
  }
  for (std::size_t size = 0; size < all.size(); ++size) {
    PushPullReader reader(all.first(size));
    while (reader.Next(node)) {
    }
    EXPECT_EQ(reader.result(), DecodeResult::kTruncated) << size;
  }
  ByteVector negative;
  Encode(PushPullHeader{.nodes = -1}, negative);
  EXPECT_EQ(PushPullReader(ByteView(negative).subspan(1)).result(), DecodeResult::kOutOfRange);
  EXPECT_GT(header, 1u);
}

}  // namespace
}  // namespace serf::wire
