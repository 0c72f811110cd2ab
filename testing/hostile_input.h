#ifndef SERF_TESTING_HOSTILE_INPUT_H_
#define SERF_TESTING_HOSTILE_INPUT_H_

// Makes input that breaks a rule of the formats, when a test runs: from decoded messages, with
// lengths, counts and depths drawn from a seed. So the tests reach the guards, and no file of the
// repository holds bytes that could harm other software.
//
//   Rng rng(1);
//   for (const HostileInput& input : HostileDatagrams(rng, "agent-a")) Send(input.bytes);

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "serf/base/bytes.h"
#include "serf/base/rng.h"
#include "serf/testing/test_crypto.h"
#include "serf/wire/aead.h"
#include "serf/wire/compound.h"
#include "serf/wire/crc32.h"
#include "serf/wire/lzw.h"
#include "serf/wire/message_type.h"
#include "serf/wire/openssl_aead.h"
#include "serf/wire/packet.h"
#include "serf/wire/serf_messages.h"
#include "serf/wire/stream_frame.h"
#include "serf/wire/swim_messages.h"

namespace serf::testkit {

struct HostileInput {
  std::string name;
  ByteVector bytes;
};

// --- msgpack ---

// The heads of text, bytes, list and map whose length is 32 bits wide.
inline constexpr std::uint8_t kText32 = 0xdb;
inline constexpr std::uint8_t kBytes32 = 0xc6;
inline constexpr std::uint8_t kList32 = 0xdd;
inline constexpr std::uint8_t kMap32 = 0xdf;
inline constexpr std::uint8_t kHeads32[] = {kText32, kBytes32, kList32, kMap32};

// `start`, then the head of a value of 2 to 4 thousand million bytes, elements or pairs, of which
// none follows.
inline ByteVector Announcing(Rng& rng, ByteView start, std::uint8_t head) {
  ByteVector bytes(start.begin(), start.end());
  bytes.push_back(head);
  const std::uint64_t length = (std::uint64_t{1} << 31) + rng.Below(std::uint64_t{1} << 31);
  for (int shift = 24; shift >= 0; shift -= 8) {
    bytes.push_back(static_cast<std::uint8_t>(length >> shift));
  }
  return bytes;
}

// A map of one pair with an unknown key, up to its value.
inline ByteVector UnknownKey() { return {0x81, 0xa1, 'X'}; }

// A message of this type, whose unknown key holds nested lists.
inline ByteVector Nested(std::uint8_t type, std::size_t depth) {
  ByteVector bytes = {type};
  Append(bytes, UnknownKey());
  bytes.insert(bytes.end(), depth, 0x91);
  bytes.push_back(0xc0);
  return bytes;
}

// --- layers ---

template <typename Message>
ByteVector EncodedMessage(const Message& message) {
  ByteVector bytes;
  Encode(message, bytes);
  return bytes;
}

inline ByteVector Compressed(ByteView message) {
  ByteVector deflated;
  wire::LzwEncoder().Encode(message, 2 * message.size() + 16, deflated);
  return EncodedMessage(wire::CompressMessage{.algo = wire::kCompressLzw, .buf = deflated});
}

// The key of the recorded messages: 00 01 02 ... 1f.
inline ByteVector RecordedKey() {
  ByteVector key;
  for (std::uint8_t i = 0; i < 32; ++i) key.push_back(i);
  return key;
}

// Seals the plaintext without padding, with that key. `aad` is authenticated with it.
inline ByteVector SealedAsIs(ByteView plaintext, ByteView aad = {}) {
  wire::OpensslAead aead;
  CountingNonces nonces;
  ByteVector sealed(wire::kSealHeaderSize);
  Append(sealed, plaintext);
  wire::SealTail(sealed, 0, aad, RecordedKey(), wire::EncryptionVersion::kPlain, aead, nonces);
  return sealed;
}

// A message of the padded version, whose last byte announces more padding than there is.
inline ByteVector BadlyPadded(Rng& rng, ByteView aad = {}) {
  ByteVector plaintext(wire::kPadBlock);
  plaintext.back() = static_cast<std::uint8_t>(plaintext.size() + 1 + rng.Below(200));
  ByteVector sealed = SealedAsIs(plaintext, aad);
  sealed[0] = static_cast<std::uint8_t>(wire::EncryptionVersion::kPadded);
  return sealed;
}

// The header of a sealed frame of a stream.
inline ByteVector FrameHeader(std::size_t sealed_size) {
  ByteVector header = {static_cast<std::uint8_t>(wire::MessageType::kEncrypt)};
  for (int shift = 24; shift >= 0; shift -= 8) {
    header.push_back(static_cast<std::uint8_t>(sealed_size >> shift));
  }
  return header;
}

// --- whole inputs ---

// Packets for a node of this name, which has no key or has RecordedKey().
inline std::vector<HostileInput> HostileDatagrams(Rng& rng, absl::string_view target) {
  const auto type = [](wire::MessageType t) { return static_cast<std::uint8_t>(t); };
  std::vector<HostileInput> inputs;
  const auto add = [&inputs](absl::string_view name, ByteVector bytes) {
    inputs.push_back({std::string(name), std::move(bytes)});
  };

  // Layers that are empty, or hold less than they announce.
  const ByteView empty;
  ByteVector compound;
  wire::AppendCompound(std::vector<ByteView>(1 + rng.Below(200), empty), compound);
  add("compound-of-empty-parts", std::move(compound));
  ByteVector counted = {type(wire::MessageType::kCompound),
                        static_cast<std::uint8_t>(3 + rng.Below(253))};
  counted.insert(counted.end(), 4, 0);
  add("compound-without-lengths", std::move(counted));
  add("compress-of-nothing", Compressed(empty));
  ByteVector crc(wire::kCrcHeaderSize);
  wire::WriteCrcHeader(empty, crc.data());
  add("crc-of-nothing", std::move(crc));
  add("encrypted-nothing", SealedAsIs(empty));
  add("encrypted-with-bad-padding", BadlyPadded(rng));
  // Layers that hold much more than arrives on the wire.
  add("compressed-zeros",
      Compressed(ByteVector(wire::kPacketInflatedMax + 1 + rng.Below(std::uint64_t{4} << 20))));
  add("compressed-lists", Compressed(Nested(type(wire::MessageType::kPing),
                                            wire::kPacketInflatedMax + rng.Below(1 << 20))));

  // Messages.
  ByteVector vsn = {1, 5, 2, 2, 5, 4};
  vsn.resize(rng.Below(vsn.size()));
  const ByteVector whole_vsn = {1, 5, 2, 2, 5, 4};
  const ByteVector address = {127, 0, 0, 1};
  ByteVector odd_address(5 + rng.Below(11));
  wire::Alive alive = {.incarnation = wire::Incarnation(1),
                       .node = "n1",
                       .addr = address,
                       .port = 22003,
                       .vsn = vsn};
  add("alive-of-few-versions", EncodedMessage(alive));
  alive.vsn = {};
  add("alive-without-versions", EncodedMessage(alive));
  alive.vsn = whole_vsn;
  alive.addr = {};
  add("alive-without-address", EncodedMessage(alive));
  alive.addr = odd_address;
  add("alive-of-odd-address", EncodedMessage(alive));
  add("ping-from-odd-address", EncodedMessage(wire::Ping{.seq_no = wire::SequenceNumber(1),
                                                         .node = target,
                                                         .source_addr = odd_address,
                                                         .source_port = 5}));
  add("indirect-ping-of-nobody",
      EncodedMessage(wire::IndirectPing{
          .seq_no = wire::SequenceNumber(1), .port = 5, .node = "q", .nack = true}));
  add("suspect-beyond-refutation",
      EncodedMessage(wire::Suspect{
          .incarnation =
              wire::Incarnation(~std::uint32_t{0} - static_cast<std::uint32_t>(rng.Below(8))),
          .node = target,
          .from = "x"}));

  // Bodies that announce more than follows, and nested lists.
  for (const auto& [kind, head] :
       {std::pair{"text", kText32}, std::pair{"list", kList32}, std::pair{"map", kMap32}}) {
    ByteVector start = {type(wire::MessageType::kPing)};
    Append(start, UnknownKey());
    add(std::string("announced-") + kind, Announcing(rng, start, head));
  }
  add("nested-lists", Nested(type(wire::MessageType::kPing), 10'000 + rng.Below(50'000)));
  return inputs;
}

// Streams to the same node.
inline std::vector<HostileInput> HostileStreams(Rng& rng) {
  std::vector<HostileInput> inputs;
  const auto add = [&inputs](absl::string_view name, ByteVector bytes) {
    inputs.push_back({std::string(name), std::move(bytes)});
  };
  const auto beyond = [&rng](std::int64_t limit) {
    return limit + 1 + static_cast<std::int64_t>(rng.Below(std::uint64_t{1} << 62));
  };
  const auto below_zero = [&rng] {
    return -1 - static_cast<std::int64_t>(rng.Below(std::uint64_t{1} << 62));
  };
  using wire::PushPullHeader;
  add("nodes-below-zero", EncodedMessage(PushPullHeader{.nodes = below_zero(), .join = true}));
  add("nodes-beyond-the-limit",
      EncodedMessage(PushPullHeader{.nodes = beyond(wire::kPushPullNodesMax), .join = true}));
  add("state-beyond-the-limit",
      EncodedMessage(PushPullHeader{.user_state_len = beyond(wire::kUserStateMax), .join = true}));
  add("user-message-beyond-the-limit",
      EncodedMessage(wire::UserHeader{.user_msg_len = beyond(wire::kUserMessageMax)}));
  add("compress-of-nothing", Compressed({}));

  ByteVector vsn = {1, 5, 2, 2, 5, 4};
  vsn.resize(1 + rng.Below(5));
  const ByteVector address = {127, 0, 0, 1};
  ByteVector push_pull = EncodedMessage(PushPullHeader{.nodes = 1, .join = true});
  Encode(wire::PushPullNode{.name = "n1",
                            .addr = address,
                            .port = 5,
                            .incarnation = wire::Incarnation(1),
                            .vsn = vsn},
         push_pull);
  add("node-of-few-versions", std::move(push_pull));

  ByteVector nothing = FrameHeader(wire::SealedSize(wire::EncryptionVersion::kPlain, 0));
  Append(nothing, SealedAsIs({}, nothing));
  add("encrypted-nothing", std::move(nothing));
  ByteVector padded =
      FrameHeader(wire::SealedSize(wire::EncryptionVersion::kPlain, wire::kPadBlock));
  Append(padded, BadlyPadded(rng, padded));
  add("encrypted-with-bad-padding", std::move(padded));
  return inputs;
}

// Messages of the Serf layer, about unknown members, and about `member`, which all nodes know.
inline std::vector<HostileInput> HostileSerfMessages(Rng& rng, absl::string_view member) {
  using wire::LamportTime;
  std::vector<HostileInput> inputs;
  const auto add = [&inputs](absl::string_view name, ByteVector bytes) {
    inputs.push_back({std::string(name), std::move(bytes)});
  };
  const ByteVector address = {127, 0, 0, 1};
  const ByteView no_filter[] = {ByteView()};
  wire::QueryMessage query = {.ltime = LamportTime(1),
                              .id = 1,
                              .addr = address,
                              .port = 1,
                              .source_node = member,
                              .filters = wire::ListView<ByteView>(no_filter),
                              .timeout_ns = 1'000'000'000,
                              .name = "q"};
  add("empty-filter", EncodedMessage(query));
  query.filters = {};
  for (const absl::string_view name : {"_serf_install-key", "_serf_use-key", "_serf_remove-key"}) {
    query.name = name;
    add(name, EncodedMessage(query));
  }
  // Text and lists where they belong, and where they do not.
  for (const auto& [type, key] : {std::pair{wire::SerfMessageType::kQuery, "Filters"},
                                  std::pair{wire::SerfMessageType::kJoin, "Node"},
                                  std::pair{wire::SerfMessageType::kPushPull, "StatusLTimes"},
                                  std::pair{wire::SerfMessageType::kPushPull, "Events"},
                                  std::pair{wire::SerfMessageType::kPushPull, "LeftMembers"}}) {
    const absl::string_view text = key;
    ByteVector start = {static_cast<std::uint8_t>(type), 0x81,
                        static_cast<std::uint8_t>(0xa0 + text.size())};
    Append(start, AsBytes(text));
    for (const std::uint8_t head : kHeads32) {
      add(std::string("announced-") + key, Announcing(rng, start, head));
    }
  }
  const auto last = [&rng] { return LamportTime(~std::uint64_t{0} - rng.Below(1000)); };
  add("clock-of-an-intent", EncodedMessage(wire::JoinMessage{.ltime = last(), .node = "n"}));
  add("clock-of-an-event", EncodedMessage(wire::UserEventMessage{.ltime = last(), .name = "x"}));
  ByteVector relay = EncodedMessage(
      wire::RelayHeader{.dest_addr = {.ip = address, .port = 9}, .dest_name = "nobody"});
  Append(relay, EncodedMessage(wire::UserEventMessage{.name = "x"}));
  add("relay-of-an-event", std::move(relay));
  add("name-with-line-feed",
      EncodedMessage(wire::JoinMessage{.ltime = LamportTime(3), .node = "x\nleave"}));
  add("nested-lists",
      Nested(static_cast<std::uint8_t>(wire::SerfMessageType::kJoin), 10'000 + rng.Below(50'000)));
  return inputs;
}

}  // namespace serf::testkit

#endif  // SERF_TESTING_HOSTILE_INPUT_H_
