// What streams and packets cost a Node: how much each peer may hold, which stream is closed first,
// and that all work is done in portions, one a turn.

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "serf/base/bytes.h"
#include "serf/base/endpoint.h"
#include "serf/base/time.h"
#include "serf/swim/config.h"
#include "serf/swim/delegate.h"
#include "serf/swim/node.h"
#include "serf/swim/outbox.h"
#include "serf/swim/streaming_node.h"
#include "serf/swim/streams.h"
#include "serf/swim/test_net.h"
#include "serf/wire/aead.h"
#include "serf/wire/compound.h"
#include "serf/wire/ids.h"
#include "serf/wire/msgpack.h"
#include "serf/wire/packet.h"
#include "serf/wire/push_pull_reader.h"
#include "serf/wire/stream_frame.h"
#include "serf/wire/stream_writer.h"
#include "serf/wire/swim_messages.h"

namespace serf::swim {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::Each;

const std::string kKey = "0123456789abcdef";

class NodeLoadTest : public ::testing::Test, protected StreamingNode {
 protected:
  using StreamingNode::StreamingNode;

  // True if this input closed the stream.
  bool Closes(StreamId id, ByteView bytes) {
    bool closed = false;
    React([&](Node& node, Instant now, Outbox& out) {
      node.OnStreamBytes(now, id, bytes, out);
      closed = Closed(out, id);
    });
    return closed;
  }
  static bool Closed(const Outbox& out, StreamId id) {
    return std::ranges::any_of(out.stream_ops(), [id](const Outbox::StreamOp& op) {
      return op.kind == Outbox::StreamOp::Kind::kClose && op.stream == id;
    });
  }
  bool IsDue() const { return host_.node->NextDeadline() <= net_.now; }
  Reaction Tick() {
    return React([](Node& node, Instant now, Outbox& out) { node.OnTimer(now, out); });
  }
  // Runs turns until no work is left; returns the bytes written meanwhile.
  std::size_t Settle(ByteVector* written = nullptr) {
    std::size_t turns = 0;
    for (; IsDue(); ++turns) {
      const Reaction reaction = Tick();
      if (written != nullptr) Append(*written, reaction.bytes);
    }
    return turns;
  }
  static std::vector<Record> ManyRecords(int count) {
    std::vector<Record> records;
    for (int i = 0; i < count; ++i) {
      records.push_back(
          {absl::StrCat("member-", i),
           0,
           1,
           {IpAddress::V4(10, 1, static_cast<std::uint8_t>(i >> 8), static_cast<std::uint8_t>(i)),
            7946}});
    }
    return records;
  }
};

Config Keyed() {
  Config config = Calm();
  Encrypt(config, AsBytes(kKey));
  return config;
}
class KeyedNodeLoadTest : public NodeLoadTest {
 protected:
  KeyedNodeLoadTest() : NodeLoadTest(Keyed()) {}
};

// --- who goes ---

// The flooding address pays for it; the node can dial all the while.
TEST_F(NodeLoadTest, OfTooManyStreamsTheOldestSilentOneGoes) {
  const StreamId honest = Accept(8);
  std::vector<StreamId> flood;
  for (std::size_t i = 1; i < Streams::kAcceptedMax; ++i) flood.push_back(Accept());
  for (std::size_t i = 0; i < 600; ++i) {
    React([&](Node& node, Instant now, Outbox& out) {
      EXPECT_TRUE(node.OnStreamAccepted(now, TestNet::EndpointOf(9), out).has_value());
      EXPECT_TRUE(Closed(out, flood[i])) << i;
    });
  }
  EXPECT_EQ(counters().streams_refused, 600u);
  Join({TestNet::EndpointOf(2)});
  EXPECT_EQ(dialled_to_, TestNet::EndpointOf(2));
  EXPECT_EQ(Text(Feed(honest, TestNet::Encoded(wire::Ping{})).bytes, true), "ack 0");
  // They all end by themselves.
  net_.now += seconds(10);
  Tick();
  Accept();
  EXPECT_EQ(counters().streams_refused, 600u);
}

TEST_F(NodeLoadTest, AFloodOfPushPullsFromOneAddressGivesWayToOthers) {
  const ByteVector bytes = PushPull({{"n2"}}, true);
  const ByteView most = ByteView(bytes).first(bytes.size() - 1);
  std::vector<StreamId> flood;
  for (std::size_t i = 0; i < Streams::kPushPullsMax; ++i) {
    flood.push_back(Accept());
    EXPECT_FALSE(Closes(flood.back(), most));
  }
  const StreamId honest = Accept(8);
  React([&](Node& node, Instant now, Outbox& out) {
    node.OnStreamBytes(now, honest, most, out);
    EXPECT_TRUE(Closed(out, flood[0]));
    EXPECT_FALSE(Closed(out, honest));
  });
  EXPECT_FALSE(Feed(honest, ByteView(bytes).last(1)).bytes.empty());
  // Streams of many addresses do not drive each other out.
  std::vector<StreamId> many;
  bool refused = false;
  for (int i = 10; i < 200 && !refused; ++i) {
    many.push_back(Accept(i));
    refused = Closes(many.back(), most);
  }
  EXPECT_TRUE(refused);
  EXPECT_FALSE(Feed(many.front(), ByteView(bytes).last(1)).bytes.empty());
}

TEST_F(KeyedNodeLoadTest, AStrangerHasAMebibyte) {
  // A frame of the largest size is announced.
  ByteVector frame = {static_cast<std::uint8_t>(wire::MessageType::kEncrypt), 1, 0x40, 0, 0};
  frame.resize(64 << 10);
  const auto feed = [&](StreamId id, std::size_t size) {
    Closes(id, frame);
    const ByteVector piece(64 << 10);
    for (std::size_t fed = frame.size(); fed < size; fed += piece.size()) {
      if (Closes(id, piece)) return true;
    }
    return false;
  };
  const StreamId stranger = Accept();
  EXPECT_FALSE(feed(stranger, Streams::kStrangerBytesMax));
  EXPECT_TRUE(Closes(stranger, AsBytes("x")));
  EXPECT_EQ(host_.logger.Count("too many bytes before anything was verified"), 1);
  // A stream from a member's address is not a stranger.
  ByteVector packet;
  wire::PacketScratch scratch;
  const Config& config = host_.node->config();
  const auto vsn = kGood.ToBytes();
  ASSERT_TRUE(wire::SealPacket(
      TestNet::Encoded(wire::Alive{.incarnation = wire::Incarnation(1),
                                   .node = "n8",
                                   .addr = TestNet::EndpointOf(8).address.bytes(),
                                   .port = 7946,
                                   .vsn = vsn}),
      {.keyring = config.keyring.get(), .aead = config.aead.get(), .nonces = config.nonces.get()},
      scratch, packet));
  net_.Inject(host_, TestNet::EndpointOf(8), packet);
  ASSERT_EQ(StateOf("n8"), "alive 1");
  EXPECT_FALSE(feed(Accept(8), 4 * Streams::kStrangerBytesMax));
}

// Without encryption any peer that begins a push/pull may send a large one.
TEST_F(NodeLoadTest, ALargeClustersStateIsNoStrangers) {
  ByteVector bytes = PushPull(ManyRecords(20000), true);
  ASSERT_GT(bytes.size(), Streams::kStrangerBytesMax);
  EXPECT_FALSE(Closes(Accept(), ByteView(bytes).first(bytes.size() - 1)));
  // But a stream without that beginning is one.
  bytes.assign(Streams::kStrangerBytesMax + 1, 0);
  wire::MsgpackWriter(bytes).Nil();
  EXPECT_TRUE(Closes(Accept(), bytes));
}

TEST_F(NodeLoadTest, TheLargestHolderGoesAndNotWhoCrossesTheLimit) {
  ByteVector start = PushPull({}, false, "");
  start.clear();
  wire::Encode(wire::PushPullHeader{.nodes = 1, .user_state_len = 15 << 20}, start);
  wire::Encode(wire::PushPullNode{.name = "n2"}, start);
  start.resize(10 << 20);
  // Two honest streams, the second of which crosses the limit, and a flood from one address.
  const StreamId first = Accept(7);
  EXPECT_FALSE(Closes(first, start));
  for (int i = 0; counters().streams_refused == 0; ++i) {
    Closes(Accept(), start);
    ASSERT_LT(i, 100);
  }
  const StreamId second = Accept(8);
  EXPECT_FALSE(Closes(second, start));
  EXPECT_FALSE(Closes(first, AsBytes("x")));
  EXPECT_EQ(counters().streams_refused, 2u);
}

// --- portions ---

TEST_F(NodeLoadTest, AMergeIsDoneInPortions) {
  constexpr int kMembers = 5000;
  const ByteVector bytes = PushPull(ManyRecords(kMembers), false, "their state");
  const StreamId id = Accept();
  ByteVector answer = Feed(id, bytes).bytes;
  std::size_t known = host_.node->known_nodes();
  EXPECT_LT(known, 1000u);
  EXPECT_TRUE(host_.delegate.merged.empty());
  std::size_t turns = 0;
  for (; IsDue(); ++turns) {
    Append(answer, Tick().bytes);
    EXPECT_LE(host_.node->known_nodes() - known, 300u);
    known = host_.node->known_nodes();
    // The node answers pings in between.
    net_.Inject(host_, TestNet::EndpointOf(9),
                TestNet::Encoded(wire::Ping{.seq_no = wire::SequenceNumber(7)}));
    EXPECT_EQ(net_.sent.back().text, "ack");
  }
  EXPECT_GE(turns, 15u);
  EXPECT_EQ(known, 1u + kMembers);
  EXPECT_EQ(host_.delegate.merged.size(), 1u);
  // The answer has the state before the merge.
  EXPECT_EQ(Text(answer, true), "push-pull join=0 n1@1:0");
  EXPECT_EQ(counters().push_pulls_merged, 1u);
}

// What was compressed and is long is inflated once more, in the same turns; so is its state.
TEST_F(NodeLoadTest, ALongCompressedStateIsMergedInPortions) {
  constexpr int kMembers = 10000;
  std::string state;
  for (int i = 0; i < 100000; ++i) absl::StrAppend(&state, "state-", i, ";");
  const ByteVector message = PushPull(ManyRecords(kMembers), false, state);
  wire::PacketScratch scratch;
  ByteVector bytes;
  ASSERT_TRUE(wire::SealStreamUnit(message, {.compress = true}, true, scratch, bytes));
  ASSERT_LT(bytes.size(), message.size() / 2);
  host_.delegate.state_portions = 3;
  const StreamId id = Accept();
  const StreamId other = Accept(8);
  ByteVector answer = Feed(id, bytes).bytes;
  Feed(other, bytes);
  std::size_t known = host_.node->known_nodes();
  for (; IsDue(); known = host_.node->known_nodes()) {
    Append(answer, Tick().bytes);
    ASSERT_LE(host_.node->known_nodes() - known, 600u);
  }
  EXPECT_EQ(known, 1u + kMembers);
  ASSERT_EQ(host_.delegate.merged.size(), 2u);
  EXPECT_TRUE(host_.delegate.merged[0] == state && host_.delegate.merged[1] == state);
  EXPECT_EQ(counters().push_pulls_merged, 2u);
}

// After a pause of the process all suspicions are over at once: it is longer than they may be
// postponed.
TEST_F(NodeLoadTest, ManySuspicionsEndInPortions) {
  constexpr std::size_t kMembers = 2000;
  Feed(Accept(), PushPull(ManyRecords(kMembers), false));
  Settle();
  for (std::size_t i = 0; i < kMembers; ++i) {
    net_.Inject(host_, TestNet::EndpointOf(9),
                TestNet::Encoded(wire::Suspect{.incarnation = wire::Incarnation(1),
                                               .node = absl::StrCat("member-", i),
                                               .from = "member-0"}));
  }
  net_.now += std::chrono::hours(1);
  host_.delegate.events.clear();
  std::size_t turns = 0, failed = 0;
  for (; IsDue(); ++turns) {
    Tick();
    EXPECT_LE(host_.delegate.events.size(), 256u);
    failed += host_.delegate.events.size();
    host_.delegate.events.clear();
  }
  EXPECT_EQ(failed, kMembers);
  EXPECT_GE(turns, kMembers / 256);
}

// Compounds of compounds: as many messages as a packet may hold.
TEST_F(NodeLoadTest, APacketOfManyMessagesIsHandledInPortions) {
  std::vector<ByteVector> compounds;
  std::uint32_t count = 0;
  while (count < wire::kPacketLeavesMax) {
    std::vector<ByteVector> pings;
    for (std::size_t i = 0; i < wire::kCompoundPartsMax; ++i) {
      pings.push_back(TestNet::Encoded(wire::Ping{.seq_no = wire::SequenceNumber(count++)}));
    }
    wire::AppendCompound(std::vector<ByteView>(pings.begin(), pings.end()),
                         compounds.emplace_back());
  }
  ByteVector packet;
  wire::AppendCompound(std::vector<ByteView>(compounds.begin(), compounds.end()), packet);
  const Endpoint sender = TestNet::EndpointOf(9);
  const Endpoint other = TestNet::EndpointOf(8);
  net_.sent.clear();

  net_.Inject(host_, sender, packet);
  const std::size_t in_turn = net_.sent.size();
  EXPECT_GE(in_turn, 50u);  // more than packets of ordinary nodes hold
  EXPECT_LE(in_turn, 200u);
  EXPECT_TRUE(IsDue());

  // Other senders do not wait for them; the same sender does, so that its messages keep their
  // order.
  net_.Inject(host_, other, TestNet::Encoded(wire::Ping{.seq_no = wire::SequenceNumber(5000)}));
  ASSERT_EQ(net_.sent.size(), in_turn + 1);
  EXPECT_EQ(net_.sent.back().to, other);
  net_.sent.pop_back();
  net_.Inject(host_, sender, TestNet::Encoded(wire::Ping{.seq_no = wire::SequenceNumber(count++)}));
  EXPECT_EQ(net_.sent.size(), in_turn);

  while (IsDue()) {
    const std::size_t before = net_.sent.size();
    Tick();
    EXPECT_LE(net_.sent.size() - before, in_turn);
  }
  ASSERT_EQ(net_.sent.size(), count);
  for (std::uint32_t i = 0; i < count; ++i) {
    EXPECT_EQ(net_.sent[i].to, sender);
    EXPECT_THAT(net_.sent[i].sequences, ::testing::ElementsAre(wire::SequenceNumber(i)));
  }
  EXPECT_EQ(counters().dropped_backlog, 0u);

  // A sender that does not stop has a limited share.
  while (counters().dropped_backlog == 0) net_.Inject(host_, sender, packet);
  while (IsDue()) Tick();
}

// The peer may close as soon as it has sent everything.
TEST_F(NodeLoadTest, WhoHangsUpIsHeardNevertheless) {
  const StreamId id = Accept();
  Feed(id, PushPull(ManyRecords(3000), false));
  EXPECT_TRUE(IsDue());
  React([&](Node& node, Instant now, Outbox& out) {
    node.OnStreamClosed(now, id, absl::UnavailableError("connection reset by peer"), out);
  });
  Settle();
  EXPECT_EQ(host_.node->known_nodes(), 3001u);
}

TEST_F(NodeLoadTest, ASmallOneIsNotBehindALargeOne) {
  Feed(Accept(), PushPull(ManyRecords(5000), false));
  EXPECT_TRUE(IsDue());
  EXPECT_NE(Text(Feed(Accept(8), PushPull({{"n2"}}, false)).bytes, true), "");
  EXPECT_EQ(StateOf("n2"), "alive 1");
  EXPECT_TRUE(IsDue());
}

// The delegate gets one state at a time, a portion per turn.
TEST_F(NodeLoadTest, TheDelegateMergesOneStateAtATime) {
  host_.delegate.state_portions = 5;
  const ByteVector one = PushPull({{"n2"}}, false, "one");
  const ByteVector two = PushPull({{"n3"}}, false, "two");
  Feed(Accept(), one);
  Feed(Accept(8), two);
  EXPECT_TRUE(host_.delegate.merged.empty());
  Settle();
  EXPECT_THAT(host_.delegate.merged, ::testing::ElementsAre("one", "two"));
  EXPECT_EQ(host_.delegate.state_calls, 12);
}

// --- this node's state ---

// The state is built in portions, kept until it changes, and the same for all that ask meanwhile.
TEST_F(NodeLoadTest, TheOwnStateIsBuiltInPortionsAndKept) {
  Feed(Accept(), PushPull(ManyRecords(20000), false));
  Settle();
  ASSERT_EQ(host_.node->known_nodes(), 20001u);
  const ByteVector ask = PushPull({{"member-0"}}, false);
  const auto answered = [&](int from, std::size_t& turns) {
    ByteVector bytes = Feed(Accept(from), ask).bytes;
    turns = Settle(&bytes);
    return bytes;
  };
  std::size_t turns = 0;
  const ByteVector first = answered(8, turns);
  EXPECT_GE(turns, 10u);
  EXPECT_EQ(answered(9, turns), first);
  EXPECT_LE(turns, 2u);
  // It changes.
  Feed(Accept(), PushPull({{"one more"}}, false));
  EXPECT_NE(answered(8, turns), first);
  EXPECT_GE(turns, 10u);
  host_.delegate.state = "new";
  const ByteVector other = answered(8, turns);
  EXPECT_GE(turns, 10u);
  EXPECT_EQ(answered(8, turns), other);
  EXPECT_LE(turns, 2u);
}

// A peer that asks in a loop waits, and only that peer.
TEST_F(NodeLoadTest, AnswersToOneAddressHaveARate) {
  host_.delegate.state.assign(1 << 20, 's');
  for (char& c : host_.delegate.state) c = static_cast<char>(net_.seed = net_.seed * 69069 + 1);
  const ByteVector ask = PushPull({{"n2"}}, false);
  std::size_t answers = 0;
  while (counters().push_pulls_delayed == 0) {
    Feed(Accept(), ask);
    Settle();
    ASSERT_LT(++answers, 1000u);
  }
  EXPECT_GE(answers, 32u);
  // As many as may be under way wait.
  for (int i = 0; i < 200; ++i) Feed(Accept(), ask);
  Settle();
  const std::uint64_t before = counters().push_pulls_answered;
  Feed(Accept(8), ask);
  Settle();
  EXPECT_EQ(counters().push_pulls_answered, before + 1);
  // They get their answers later.
  for (int i = 0; i < 400; ++i) {
    net_.now += milliseconds(10);
    Tick();
    Settle();
  }
  EXPECT_GE(counters().push_pulls_answered, before + 50);
}

// A peer may refuse before it has received everything: its reason is reported.
TEST_F(NodeLoadTest, AnAnswerMayComeWhileTheOwnStateIsSent) {
  Feed(Accept(), PushPull(ManyRecords(20000), false));
  Settle();
  for (const bool hangs_up : {false, true}) {
    host_.joins.clear();
    host_.delegate.state += "x";  // so that the state is built anew
    Join({TestNet::EndpointOf(2)});
    Connect(dialled_);
    ASSERT_TRUE(IsDue());
    Feed(dialled_, TestNet::Encoded(wire::ErrorMessage{.error = "no"}));
    if (hangs_up) StreamingNode::Closed(dialled_);
    Settle();
    ASSERT_EQ(host_.joins.size(), 1u);
    EXPECT_THAT(host_.joins[0].errors,
                ::testing::ElementsAre("Failed to join 10.0.0.2:7946: remote error: no"));
  }
}

Config Uncompressed() {
  Config config = Calm();
  config.enable_compression = false;
  return config;
}
class UncompressedNodeLoadTest : public NodeLoadTest {
 protected:
  UncompressedNodeLoadTest() : NodeLoadTest(Uncompressed()) {}
};

// A table that exceeds what peers accept is sent in part, with this node's record.
TEST_F(UncompressedNodeLoadTest, WhatIsTooLargeIsToldInPart) {
  constexpr int kEach = 40000;
  for (const char tag : {'a', 'b'}) {
    std::vector<Record> records = ManyRecords(kEach);
    for (Record& r : records) r.name = absl::StrCat(r.name, std::string(480, tag));
    Feed(Accept(), PushPull(records, false));
    Settle();
  }
  ASSERT_EQ(host_.node->known_nodes(), 1u + 2 * kEach);
  ByteVector answer = Feed(Accept(), PushPull({{"n2"}}, false)).bytes;
  Settle(&answer);
  EXPECT_LE(answer.size(), wire::kStreamBodyMax);
  EXPECT_GE(answer.size(), wire::kStreamBodyMax - 4096);
  wire::StreamReader reader({.initiator = true});
  ASSERT_EQ(reader.Feed(answer), wire::StreamStatus::kUnit) << reader.failure().text;
  wire::PushPullReader content(reader.unit());
  wire::PushPullNode node;
  ASSERT_TRUE(content.Next(node));
  EXPECT_EQ(node.name, "n1");
  EXPECT_EQ(host_.logger.Count("[WARN] memberlist: Local state is larger than the limit"), 1);
}

}  // namespace
}  // namespace serf::swim
