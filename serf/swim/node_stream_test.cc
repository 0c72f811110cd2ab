// The streams of a Node (docs/protocol/membership.md 3, 4.6, 4.7, 7.5): those of peers, those that
// it dials, timeouts and limits.

#include <chrono>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "serf/swim/node.h"
#include "serf/swim/streaming_node.h"
#include "serf/swim/test_net.h"
#include "serf/wire/stream_frame.h"

namespace serf::swim {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using wire::Incarnation;
using wire::SequenceNumber;

class NodeStreamTest : public ::testing::Test, protected StreamingNode {
 protected:
  using StreamingNode::StreamingNode;
};

// --- requests of peers ---

TEST_F(NodeStreamTest, AUserMessageIsDeliveredWithoutAnswer) {
  ByteVector bytes;
  wire::Encode(wire::UserHeader{.user_msg_len = 5}, bytes);
  Append(bytes, AsBytes("hello"));
  const StreamId id = Accept();
  Reaction reaction;
  for (const std::uint8_t byte : bytes) {
    EXPECT_FALSE(reaction.closed);
    reaction = Feed(id, {&byte, 1});
  }
  EXPECT_TRUE(reaction.closed);
  EXPECT_TRUE(reaction.bytes.empty());
  EXPECT_THAT(host_.delegate.messages, ElementsAre("hello"));
  // An empty one is not.
  bytes.clear();
  wire::Encode(wire::UserHeader{}, bytes);
  EXPECT_TRUE(Feed(Accept(), bytes).closed);
  EXPECT_EQ(host_.delegate.messages.size(), 1u);
}

TEST_F(NodeStreamTest, APingIsAnsweredUnlessItIsForAnother) {
  const auto ping = [](absl::string_view node) {
    return TestNet::Encoded(wire::Ping{.seq_no = SequenceNumber(5), .node = node});
  };
  host_.delegate.ack_payload = "only for datagrams";
  Reaction reaction = Feed(Accept(), ping("n1"));
  EXPECT_EQ(Text(reaction.bytes, true), "ack 5");
  EXPECT_TRUE(reaction.closed);
  EXPECT_EQ(Text(Feed(Accept(), ping("")).bytes, true), "ack 5");
  reaction = Feed(Accept(), ping("n2"));
  EXPECT_TRUE(reaction.closed);
  EXPECT_TRUE(reaction.bytes.empty());
  EXPECT_EQ(host_.logger.Count("[WARN] memberlist: Got ping for unexpected node n2"), 1);
}

TEST_F(NodeStreamTest, PushPullAnswersFirstAndMergesThen) {
  host_.delegate.state = "mine";
  const Reaction reaction = Feed(Accept(), PushPull({{"n2"}, {"n3", 0, 4}}, true, "theirs"));
  EXPECT_TRUE(reaction.closed);
  // The joiner is not in it yet.
  EXPECT_EQ(Text(reaction.bytes, true), "push-pull join=1 n1@1:0 state=mine+join");
  EXPECT_EQ(StateOf("n2"), "alive 1");
  EXPECT_EQ(StateOf("n3"), "alive 4");
  EXPECT_THAT(host_.delegate.merged, ElementsAre("theirs join"));
  EXPECT_EQ(Text(Feed(Accept(), PushPull({}, false)).bytes, true),
            "push-pull join=0 n1@1:0 n2@1:0 n3@4:0 state=mine");
  EXPECT_EQ(host_.delegate.merged.size(), 1u);  // an empty state is not merged
  EXPECT_EQ(counters().push_pulls_answered, 2u);
  EXPECT_EQ(counters().push_pulls_merged, 2u);
}

TEST_F(NodeStreamTest, RecordsAreMergedByTheirState) {
  Feed(Accept(), PushPull({{"a"}, {"b"}, {"c"}, {"d"}, {"d2"}}, false));
  Feed(Accept(), PushPull({{"a", 0, 2},
                           {"b", 1, 1},
                           {"c", 2, 3},
                           {"d", 3, 1},
                           {"d2", 3, 2},
                           {"e", 1},
                           {"f", 2},
                           {"g", 3},
                           {"h", 99},
                           {"i", -1}},
                          false));
  EXPECT_EQ(StateOf("a"), "alive 2");
  EXPECT_EQ(StateOf("b"), "suspect 1");
  EXPECT_EQ(StateOf("c"), "suspect 3");  // dead is never believed at once
  EXPECT_EQ(StateOf("d"), "left 1");
  EXPECT_EQ(StateOf("d2"), "suspect 2");  // nor is a farewell of another incarnation
  for (const char* unknown : {"e", "f", "g", "h", "i"}) EXPECT_EQ(StateOf(unknown), "unknown");
}

TEST_F(NodeStreamTest, OnesOwnDeathInAPushPullIsRefuted) {
  Feed(Accept(), PushPull({{"n1", 2, 4}}, false));
  EXPECT_EQ(StateOf("n1"), "alive 5");
  Feed(Accept(), PushPull({{"n1", 3, 7}}, false));
  EXPECT_EQ(StateOf("n1"), "alive 8");
}

// --- versions (docs/protocol/membership.md 4.7, 10) ---

TEST_F(NodeStreamTest, RecordsWithoutVersionsDoNotBlockAMerge) {
  const Record old{.name = "old", .versions = std::nullopt};
  Feed(Accept(), PushPull({old, {"n2"}}, false));
  EXPECT_EQ(StateOf("old"), "unknown");
  EXPECT_EQ(StateOf("n2"), "alive 1");
  Join({TestNet::EndpointOf(3)});
  Connect(dialled_);
  Feed(dialled_, PushPull({old, {"n3"}}, true));
  EXPECT_EQ(StateOf("old"), "unknown");
  EXPECT_EQ(StateOf("n3"), "alive 1");
  EXPECT_EQ(counters().push_pulls_refused, 0u);
  EXPECT_EQ(counters().dropped_versions, 2u);
}

TEST_F(NodeStreamTest, ANewcomerMayNotBringRecordsWithoutVersions) {
  Feed(Accept(), PushPull({{"n2"}, {.name = "old", .state = 2, .versions = std::nullopt}}, true));
  EXPECT_EQ(StateOf("n2"), "unknown");
  EXPECT_EQ(counters().push_pulls_refused, 1u);
  EXPECT_EQ(host_.logger.Count("Failed push/pull merge: Node 'old' protocol version (0) is "
                               "incompatible: [1, 5]"),
            1);
}

TEST_F(NodeStreamTest, PartsOfAVersionVectorRefuseTheMerge) {
  const Reaction reaction =
      Feed(Accept(), PushPull({{"n2"}, {.name = "n3", .vsn_size = 5}}, true, "state"));
  EXPECT_EQ(Text(reaction.bytes, true), "push-pull join=1 n1@1:0");
  EXPECT_EQ(StateOf("n2"), "unknown");
  EXPECT_THAT(host_.delegate.merged, IsEmpty());
  EXPECT_EQ(counters().push_pulls_refused, 1u);
  EXPECT_EQ(host_.logger.Count("[ERR] memberlist: Failed push/pull merge: Node 'n3'"), 1);
}

TEST_F(NodeStreamTest, IncompatibleNodesAreLeftOut) {
  Feed(Accept(), PushPull({{.name = "n2"},
                           {.name = "newer", .versions = wire::VersionVector{3, 6, 6, 0, 0, 0}},
                           {.name = "other", .versions = wire::VersionVector{1, 5, 2, 4, 5, 4}}},
                          true));
  EXPECT_EQ(StateOf("n2"), "alive 1");
  EXPECT_EQ(StateOf("newer"), "unknown");
  EXPECT_EQ(StateOf("other"), "unknown");
  EXPECT_EQ(counters().dropped_versions, 2u);
}

TEST_F(NodeStreamTest, AnIncompatibleClusterIsRefused) {
  Feed(Accept(),
       PushPull({{.name = "n2", .versions = wire::VersionVector{1, 6, 6, 0, 0, 0}}}, true));
  EXPECT_EQ(StateOf("n2"), "unknown");
  EXPECT_EQ(host_.logger.Count("Failed push/pull merge: Node 'n2' protocol version (6) is "
                               "incompatible: [1, 5]"),
            1);
  net_.RunFor(seconds(2));
  Feed(Accept(),
       PushPull({{.name = "n2", .versions = wire::VersionVector{1, 5, 2, 2, 5, 4}}}, true));
  EXPECT_EQ(host_.logger.Count("Failed push/pull merge: Node 'n2' delegate protocol version (4) "
                               "is incompatible: [2, 0]"),
            1);
  EXPECT_EQ(counters().push_pulls_refused, 2u);
}

class NodeMergeFilterTest : public NodeStreamTest {
 protected:
  NodeMergeFilterTest() : NodeStreamTest(Filtering(this)) {}
  static Config Filtering(NodeMergeFilterTest* test) {
    Config config = Calm();
    config.merge_filter = [test](const std::vector<RemoteNode>& nodes) {
      test->asked_ = "";
      for (const RemoteNode& n : nodes) {
        absl::StrAppend(&test->asked_, n.name, ":", static_cast<int>(n.state), " ");
      }
      return test->refuse_ ? absl::PermissionDeniedError("merge is off") : absl::OkStatus();
    };
    return config;
  }
  std::string asked_;
  bool refuse_ = true;
};

TEST_F(NodeMergeFilterTest, JoinsAreAskedForPeriodicOnesAreNot) {
  Feed(Accept(), PushPull({{"n2"}, {"n3", 2}}, true));
  EXPECT_EQ(asked_, "n2:0 n3:2 ");
  EXPECT_EQ(StateOf("n2"), "unknown");
  EXPECT_EQ(host_.logger.Count("Failed push/pull merge: merge is off"), 1);
  refuse_ = false;
  Feed(Accept(), PushPull({{"n2"}}, true));
  EXPECT_EQ(StateOf("n2"), "alive 1");
  asked_ = "";
  refuse_ = true;
  Feed(Accept(), PushPull({{"n4"}}, false));
  EXPECT_EQ(asked_, "");
  EXPECT_EQ(StateOf("n4"), "alive 1");
}

// --- malformed requests ---

TEST_F(NodeStreamTest, NonsenseIsClosedWithoutAnswer) {
  const std::uint8_t unknown[] = {99, 1, 2};
  Reaction reaction = Feed(Accept(), unknown);
  EXPECT_TRUE(reaction.closed);
  EXPECT_TRUE(reaction.bytes.empty());
  EXPECT_EQ(host_.logger.Count("[ERR] memberlist: Received invalid msgType (99) "
                               "from=10.0.0.9:40000"),
            1);
  net_.RunFor(seconds(2));
  ByteVector bytes;
  wire::Encode(wire::PushPullHeader{.nodes = -1}, bytes);
  EXPECT_TRUE(Feed(Accept(), bytes).closed);
  EXPECT_EQ(host_.logger.Count("[ERR] memberlist: Failed to read remote state: "), 1);
  net_.RunFor(seconds(2));
  const std::uint8_t labelled[] = {244, 1, 'x', 0};
  EXPECT_TRUE(Feed(Accept(), labelled).closed);
  EXPECT_EQ(host_.logger.Count("[ERR] memberlist: discarding stream with unacceptable label"), 1);
  EXPECT_EQ(counters().streams_malformed, 3u);
}

TEST_F(NodeStreamTest, WhatCannotBeOpenedIsAnsweredWithAnError) {
  const std::uint8_t encrypted[] = {10, 0, 0, 0, 30};
  const Reaction reaction = Feed(Accept(), encrypted);
  EXPECT_TRUE(reaction.closed);
  EXPECT_EQ(Text(reaction.bytes, true),
            "err Remote state is encrypted and encryption is not configured");
  EXPECT_EQ(host_.logger.Count("[ERR] memberlist: failed to receive: Remote state is encrypted"),
            1);
}

TEST_F(NodeStreamTest, APeerThatHangsUpIsSilence) {
  Closed(Accept());
  EXPECT_EQ(counters().streams_malformed, 0u);
  // In the middle of a message it is not.
  const StreamId id = Accept();
  const ByteVector bytes = PushPull({{"n2"}}, true);
  Feed(id, ByteView(bytes).first(bytes.size() - 3));
  Closed(id);
  EXPECT_EQ(counters().streams_malformed, 1u);
  EXPECT_EQ(StateOf("n2"), "unknown");
  Closed(Accept(), absl::UnavailableError("connection reset by peer"));
  EXPECT_EQ(counters().streams_failed, 1u);
}

TEST_F(NodeStreamTest, BytesAndEndsOfUnknownStreamsAreNothing) {
  EXPECT_FALSE(Feed(StreamId(77), AsBytes("x")).closed);
  Connect(StreamId(77));
  Closed(StreamId(77));
}

// --- time-outs and limits (docs/protocol/membership.md 3.7, 10) ---

TEST_F(NodeStreamTest, AnIdleStreamIsClosedAfterTheTcpTimeout) {
  const StreamId id = Accept();
  EXPECT_EQ(host_.node->NextDeadline(), net_.now + seconds(10));
  const auto tick = [](Node& node, Instant now, Outbox& out) { node.OnTimer(now, out); };
  net_.now += seconds(10) - milliseconds(1);
  EXPECT_FALSE(React(tick).closed);
  const ByteVector bytes = PushPull({{"n2"}}, true);
  EXPECT_FALSE(Feed(id, ByteView(bytes).first(5)).closed);  // bytes buy no time
  net_.now += milliseconds(1);
  EXPECT_TRUE(React(tick).closed);
  EXPECT_EQ(counters().streams_timed_out, 1u);
  EXPECT_EQ(host_.node->NextDeadline(), kNever);
  EXPECT_EQ(host_.logger.Count("i/o timeout"), 1);
}

TEST_F(NodeStreamTest, At127PushPullsTheNextIsRefused) {
  const ByteVector bytes = PushPull({{"n2"}}, true);
  const ByteView most = ByteView(bytes).first(bytes.size() - 1);
  std::vector<StreamId> open;
  for (int i = 0; i < 127; ++i) {
    open.push_back(Accept());
    EXPECT_FALSE(Feed(open.back(), most).closed) << i;
  }
  Reaction reaction = Feed(Accept(), most);
  EXPECT_TRUE(reaction.closed);
  EXPECT_TRUE(reaction.bytes.empty());
  EXPECT_EQ(host_.logger.Count("[ERR] memberlist: Too many pending push/pull requests"), 1);
  reaction = Feed(Accept(), bytes);  // also a whole one at once
  EXPECT_TRUE(reaction.closed);
  EXPECT_TRUE(reaction.bytes.empty());
  EXPECT_EQ(counters().push_pulls_refused, 2u);
  // Other requests are served.
  EXPECT_EQ(Text(Feed(Accept(), TestNet::Encoded(wire::Ping{})).bytes, true), "ack 0");
  // A stream that ends makes room for another one.
  EXPECT_TRUE(Feed(open[0], ByteView(bytes).last(1)).closed);
  EXPECT_FALSE(Feed(Accept(), most).closed);
  EXPECT_TRUE(Feed(Accept(), most).closed);
}

TEST_F(NodeStreamTest, DialledStreamsAreLimited) {
  for (std::size_t i = 0; i < Streams::kDialledMax; ++i) {
    React([&](Node& node, Instant now, Outbox& out) {
      node.SendReliable(now, TestNet::EndpointOf(2), AsBytes("x"), out);
    });
  }
  Join({TestNet::EndpointOf(2), TestNet::EndpointOf(3)});
  ASSERT_EQ(host_.joins.size(), 1u);
  EXPECT_THAT(host_.joins[0].errors,
              ElementsAre("Failed to join 10.0.0.2:7946: too many open streams",
                          "Failed to join 10.0.0.3:7946: too many open streams"));
  EXPECT_EQ(counters().dropped_sends, 2u);
}

// --- joining (docs/protocol/membership.md 7.5) ---

TEST_F(NodeStreamTest, JoinSendsItsStateAndMergesTheAnswer) {
  host_.delegate.state = "mine";
  Join({TestNet::EndpointOf(2)});
  EXPECT_EQ(dialled_to_, TestNet::EndpointOf(2));
  const Reaction request = Connect(dialled_);
  EXPECT_EQ(Text(request.bytes, false), "push-pull join=1 n1@1:0 state=mine+join");
  EXPECT_TRUE(Feed(dialled_, PushPull({{"n2"}}, true, "theirs")).closed);
  EXPECT_EQ(StateOf("n2"), "alive 1");
  EXPECT_THAT(host_.delegate.merged, ElementsAre("theirs join"));
  ASSERT_EQ(host_.joins.size(), 1u);
  EXPECT_EQ(host_.joins[0].contacted, 1);
  EXPECT_THAT(host_.joins[0].errors, IsEmpty());
}

TEST_F(NodeStreamTest, TargetsAreAskedOneAfterTheOther) {
  Join({TestNet::EndpointOf(2), TestNet::EndpointOf(3), TestNet::EndpointOf(4)});
  EXPECT_EQ(dialled_to_, TestNet::EndpointOf(2));
  Closed(dialled_, absl::UnavailableError("dial tcp 10.0.0.2:7946: connect: connection refused"));
  EXPECT_EQ(dialled_to_, TestNet::EndpointOf(3));
  Connect(dialled_);
  Feed(dialled_, PushPull({{"n3"}}, true));
  EXPECT_TRUE(host_.joins.empty());
  EXPECT_EQ(dialled_to_, TestNet::EndpointOf(4));
  Connect(dialled_);
  Feed(dialled_, TestNet::Encoded(wire::ErrorMessage{.error = "go away"}));
  ASSERT_EQ(host_.joins.size(), 1u);
  EXPECT_EQ(host_.joins[0].id, JoinId(1));
  EXPECT_EQ(host_.joins[0].contacted, 1);
  EXPECT_THAT(host_.joins[0].errors,
              ElementsAre("Failed to join 10.0.0.2:7946: dial tcp 10.0.0.2:7946: connect: "
                          "connection refused",
                          "Failed to join 10.0.0.4:7946: remote error: go away"));
}

TEST_F(NodeStreamTest, AJoinWithoutTargetsIsDoneAtOnce) {
  Join({});
  ASSERT_EQ(host_.joins.size(), 1u);
  EXPECT_EQ(host_.joins[0].contacted, 0);
  EXPECT_THAT(host_.joins[0].errors, IsEmpty());
}

TEST_F(NodeStreamTest, AJoinNamesWhatWentWrong) {
  const auto tick = [](Node& node, Instant now, Outbox& out) { node.OnTimer(now, out); };
  Join({TestNet::EndpointOf(2), TestNet::EndpointOf(3), TestNet::EndpointOf(4),
        TestNet::EndpointOf(5), TestNet::EndpointOf(6), TestNet::EndpointOf(7)});
  net_.now += seconds(10);
  EXPECT_TRUE(React(tick).closed);  // no connection
  net_.now += seconds(9);
  Connect(dialled_);
  net_.now += seconds(9);
  EXPECT_FALSE(React(tick).closed);  // the answer has its own time
  net_.now += seconds(1);
  EXPECT_TRUE(React(tick).closed);
  Connect(dialled_);
  Closed(dialled_);  // no answer
  Connect(dialled_);
  Feed(dialled_, TestNet::Encoded(wire::Ack{}));
  Connect(dialled_);
  Feed(dialled_, PushPull({{.name = "n6", .vsn_size = 3}}, true));
  Connect(dialled_);
  ByteVector bad;
  wire::Encode(wire::PushPullHeader{.nodes = 1 << 21}, bad);
  Feed(dialled_, bad);
  ASSERT_EQ(host_.joins.size(), 1u);
  EXPECT_EQ(host_.joins[0].contacted, 0);
  EXPECT_THAT(
      host_.joins[0].errors,
      ElementsAre("Failed to join 10.0.0.2:7946: dial tcp 10.0.0.2:7946: i/o timeout",
                  "Failed to join 10.0.0.3:7946: read tcp 10.0.0.3:7946: i/o timeout",
                  "Failed to join 10.0.0.4:7946: EOF",
                  "Failed to join 10.0.0.5:7946: received invalid msgType (2), expected "
                  "pushPullMsg (6) from=10.0.0.5:7946",
                  "Failed to join 10.0.0.6:7946: Node 'n6' has an incomplete version vector of 3 "
                  "bytes",
                  "Failed to join 10.0.0.7:7946: number of nodes in header (2097152) exceeds "
                  "limit"));
}

TEST_F(NodeStreamTest, JoinsMayRunSideBySide) {
  Join({TestNet::EndpointOf(2)});
  const StreamId first = dialled_;
  React([&](Node& node, Instant now, Outbox& out) {
    node.Join(now, {{"x", TestNet::EndpointOf(3)}}, out);
  });
  Connect(dialled_);
  Feed(dialled_, PushPull({{"n3"}}, true));
  Closed(first, absl::UnavailableError("no"));
  ASSERT_EQ(host_.joins.size(), 2u);
  EXPECT_EQ(host_.joins[0].id, JoinId(2));
  EXPECT_EQ(host_.joins[0].contacted, 1);
  EXPECT_EQ(host_.joins[1].contacted, 0);
}

TEST(NodeJoinTest, JoiningOneselfCounts) {
  TestNet net;
  TestNet::Host& a = net.Add(1);
  EXPECT_EQ(net.Join(a, a.endpoint).contacted, 1);
  EXPECT_EQ(a.node->known_nodes(), 1u);
  EXPECT_EQ(a.node->counters().refutations, 0u);
}

// --- reliable user messages (docs/protocol/membership.md 3.6) ---

TEST_F(NodeStreamTest, AReliableMessageIsOneStream) {
  React([](Node& node, Instant now, Outbox& out) {
    node.SendReliable(now, TestNet::EndpointOf(2), AsBytes("hello"), out);
  });
  const Reaction reaction = Connect(dialled_);
  EXPECT_EQ(Text(reaction.bytes, false), "user hello");
  EXPECT_TRUE(reaction.closed);
  React([](Node& node, Instant now, Outbox& out) {
    node.SendReliable(now, TestNet::EndpointOf(2), AsBytes("hello"), out);
  });
  Closed(dialled_, absl::UnavailableError("connection refused"));
  EXPECT_EQ(host_.logger.Count("[ERR] memberlist: Failed to send user message to 10.0.0.2:7946: "
                               "connection refused"),
            1);
}

// --- the periodic push/pull (docs/protocol/membership.md 6.5) ---

TEST(NodePushPullTest, ItRepairsWhatGossipMissed) {
  TestNet net;
  Config config = Calm();
  config.push_pull_interval = seconds(30);
  TestNet::Host& a = net.Add(1, config);
  TestNet::Host& b = net.Add(2, config);
  TestNet::Host& c = net.Add(3, config);
  net.Join(b, a.endpoint);
  net.Join(c, a.endpoint);
  EXPECT_EQ(b.node->known_nodes(), 2u);
  net.RunFor(seconds(29));
  EXPECT_EQ(a.node->counters().push_pulls_started + b.node->counters().push_pulls_started, 1u);
  EXPECT_TRUE(net.RunUntil(seconds(95), [&] { return b.node->known_nodes() == 3; }));
  net.RunFor(seconds(300));
  // After a random delay of one interval at most, one per interval.
  EXPECT_GE(a.node->counters().push_pulls_started, 9u);
  EXPECT_LE(a.node->counters().push_pulls_started, 14u);
  EXPECT_GE(a.logger.Count("[DEBUG] memberlist: Initiating push/pull sync with: n"), 9);
}

TEST(NodePushPullTest, AFailedOneIsLogged) {
  TestNet net;
  Config config = Calm();
  config.push_pull_interval = seconds(30);
  TestNet::Host& a = net.Add(1, config);
  TestNet::Host& b = net.Add(2, Calm());
  net.Join(a, b.endpoint);
  b.up = false;
  net.RunFor(seconds(61));
  EXPECT_GE(a.logger.Count("[ERR] memberlist: Push/Pull with n2 failed: dial tcp 10.0.0.2:7946: "
                           "connect: connection refused"),
            1);
}

}  // namespace
}  // namespace serf::swim
