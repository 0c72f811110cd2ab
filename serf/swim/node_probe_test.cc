// The failure detector of a Node (docs/protocol/membership.md 5): what it sends when, and how it
// handles the answers. n1 is real. The test plays the others, unless they are real too.

#include <chrono>
#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "serf/swim/node.h"
#include "serf/swim/test_net.h"

namespace serf::swim {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::ElementsAre;
using wire::Incarnation;
using wire::SequenceNumber;
using Sent = TestNet::Sent;

class NodeProbeTest : public ::testing::Test {
 protected:
  NodeProbeTest() : NodeProbeTest(Calm()) {}
  explicit NodeProbeTest(const Config& config) : host_(net_.Add(1, config)), start_(net_.now) {}

  // Without push/pulls, and without gossip: no broadcasts ride on the probes.
  static Config Calm() {
    Config config = Config::Lan();
    config.push_pull_interval = Duration::zero();
    config.retransmit_mult = 0;
    config.gossip_interval = Duration::zero();
    return config;
  }

  // Announces a node n<i> with these versions to n1.
  void Know(int i, wire::VersionVector versions = {1, 5, 2, 0, 0, 0},
            std::uint32_t incarnation = 1) {
    const auto vsn = versions.ToBytes();
    const Endpoint endpoint = TestNet::EndpointOf(i);
    const std::string name = absl::StrCat("n", i);
    Hear(9, wire::Alive{.incarnation = Incarnation(incarnation),
                        .node = name,
                        .addr = endpoint.address.bytes(),
                        .port = endpoint.port,
                        .meta = {},
                        .vsn = vsn});
    // The first packet carries the announcement once; skip it.
    net_.sent.clear();
  }
  template <typename Message>
  void Hear(int from, const Message& message) {
    net_.Inject(host_, TestNet::EndpointOf(from), TestNet::Encoded(message));
  }
  // The next ping that n1 sends to n<i>, or the last one if it was sent just now.
  Sent NextPing(int i, Duration within = seconds(10)) {
    const Endpoint to = TestNet::EndpointOf(i);
    const std::size_t before = net_.SentTo(to, "ping n").size();
    EXPECT_TRUE(net_.RunUntil(within, [&] { return net_.SentTo(to, "ping n").size() > before; }));
    const std::vector<Sent> pings = net_.SentTo(to, "ping n");
    return pings.empty() ? Sent{} : pings.back();
  }
  NodeState StateOf(int i) const {
    return host_.node->state(*host_.node->Find(absl::StrCat("n", i)));
  }
  const Counters& counters() const { return host_.node->counters(); }
  int health() const { return host_.node->health_score(); }
  // How long n1 has run.
  Duration Elapsed() const { return net_.now - start_; }

  TestNet net_;
  TestNet::Host& host_;
  Instant start_;
};

// --- the tick ---

TEST_F(NodeProbeTest, TheFirstProbeIsOneIntervalAfterTheStart) {
  Know(2);
  net_.RunFor(milliseconds(999));
  EXPECT_TRUE(net_.sent.empty());
  net_.RunFor(milliseconds(1));
  ASSERT_EQ(net_.sent.size(), 1u);
  EXPECT_EQ(net_.sent[0].to, TestNet::EndpointOf(2));
  EXPECT_EQ(net_.sent[0].text.substr(0, 15), "ping n2 from n1");
  EXPECT_FALSE(net_.sent[0].crc);
}

// While the node is stopped, the answer waits in the socket: the node reads it before it judges.
TEST_F(NodeProbeTest, AStoppedNodeReadsTheAnswerFirst) {
  Know(2);
  const Sent ping = NextPing(2);
  net_.RunFor(milliseconds(100));
  net_.now += seconds(10);
  net_.RunFor(Duration::zero());
  EXPECT_EQ(StateOf(2), NodeState::kAlive);
  EXPECT_EQ(counters().probes_failed, 0u);
  net_.Inject(host_, ping.to, TestNet::Encoded(wire::Ack{.seq_no = ping.sequences[0]}));
  net_.RunFor(milliseconds(899));
  EXPECT_EQ(counters().probes_failed, 0u);
  EXPECT_EQ(StateOf(2), NodeState::kAlive);
}

class HastyNodeProbeTest : public NodeProbeTest {
 protected:
  HastyNodeProbeTest() : NodeProbeTest(Hasty()) {}
  static Config Hasty() {
    Config config = Calm();
    config.postpone_after_standstill = false;
    return config;
  }
};

TEST_F(HastyNodeProbeTest, AStoppedNodeJudgesAtOnceAsGoSerfDoes) {
  Know(2);
  NextPing(2);
  net_.now += seconds(10);
  net_.RunFor(Duration::zero());
  EXPECT_EQ(StateOf(2), NodeState::kSuspect);
  EXPECT_EQ(counters().standstills, 0u);
}

TEST_F(NodeProbeTest, EveryMemberIsProbedInTurn) {
  for (int i = 2; i <= 6; ++i) Know(i);
  net_.drop = [](const TestNet::Host&, const Endpoint&) { return true; };
  int probes = 0;
  std::set<Endpoint> probed;
  while (probes < 5) {
    net_.RunUntil(seconds(3), [&] { return !net_.sent.empty(); });
    ASSERT_FALSE(net_.sent.empty());
    const Sent ping = net_.sent.back();
    net_.sent.clear();
    probed.insert(ping.to);
    net_.Inject(host_, ping.to, TestNet::Encoded(wire::Ack{.seq_no = ping.sequences[0]}));
    ++probes;
  }
  EXPECT_EQ(probed.size(), 5u);
  EXPECT_LE(Elapsed(), seconds(6));
}

TEST_F(NodeProbeTest, SequenceNumbersStartAnywhere) {
  std::set<std::uint32_t> first;
  for (std::uint64_t seed = 1; seed <= 4; ++seed) {
    TestNet net;
    net.seed = seed * 1000;
    TestNet::Host& a = net.Add(1, Calm());
    TestNet::Host& b = net.Add(2, Calm());
    net.Join(a, b.endpoint);
    net.RunFor(seconds(3));
    const std::vector<Sent> pings = net.SentTo(b.endpoint, "ping n2");
    ASSERT_GE(pings.size(), 1u);
    first.insert(pings[0].sequences[0].value());
  }
  EXPECT_EQ(first.size(), 4u);
  EXPECT_FALSE(first.contains(1));
}

// --- the outcomes of a probe (the table of docs/protocol/membership.md 5.2) ---

TEST_F(NodeProbeTest, ADirectAckGivesTheRoundTrip) {
  Know(2);
  const Sent ping = NextPing(2);
  net_.RunFor(milliseconds(42));
  Hear(2, wire::Ack{.seq_no = ping.sequences[0], .payload = AsBytes("coordinate")});
  EXPECT_THAT(host_.delegate.pings, ElementsAre("n2 42ms coordinate"));
  EXPECT_EQ(health(), 0);
  net_.RunFor(milliseconds(900));
  EXPECT_EQ(counters().probes_failed, 0u);
  EXPECT_EQ(counters().indirect_probes, 0u);
  // Only once.
  Hear(2, wire::Ack{.seq_no = ping.sequences[0]});
  EXPECT_EQ(host_.delegate.pings.size(), 1u);
}

TEST_F(NodeProbeTest, AnAckOfAnotherNumberIsNothing) {
  Know(2);
  const Sent ping = NextPing(2);
  Hear(2, wire::Ack{.seq_no = SequenceNumber(ping.sequences[0].value() + 1)});
  Hear(2, wire::Nack{SequenceNumber(ping.sequences[0].value() + 1)});
  EXPECT_EQ(counters().probes_failed, 0u);
  EXPECT_EQ(health(), 0);
  EXPECT_TRUE(host_.delegate.pings.empty());
  net_.RunFor(seconds(1));
  EXPECT_EQ(counters().probes_failed, 1u);
  EXPECT_EQ(StateOf(2), NodeState::kSuspect);
}

TEST_F(NodeProbeTest, ALateAckIsGoodButTellsNoRoundTrip) {
  for (int i = 2; i <= 3; ++i) Know(i);
  net_.RunUntil(seconds(2), [&] { return !net_.sent.empty(); });
  const Sent ping = net_.sent.back();
  net_.RunFor(milliseconds(700));
  EXPECT_EQ(counters().indirect_probes, 1u);
  EXPECT_NE(net_.sent.back().text.find("nack from n1"), std::string::npos);
  net_.Inject(host_, ping.to, TestNet::Encoded(wire::Ack{.seq_no = ping.sequences[0]}));
  EXPECT_TRUE(host_.delegate.pings.empty());
  net_.RunFor(milliseconds(300));
  EXPECT_EQ(counters().probes_failed, 0u);
}

TEST_F(NodeProbeTest, HelpersAreAskedAfterTheTimeout) {
  for (int i = 2; i <= 6; ++i) Know(i);
  net_.RunUntil(seconds(2), [&] { return !net_.sent.empty(); });
  const Sent ping = net_.sent.back();
  net_.sent.clear();
  net_.RunFor(milliseconds(499));
  EXPECT_TRUE(net_.sent.empty());
  net_.RunFor(milliseconds(1));
  std::set<Endpoint> helpers;
  for (const Sent& s : net_.sent) {
    EXPECT_EQ(s.text.substr(0, 13), "indirect-ping");
    EXPECT_EQ(s.sequences, ping.sequences);
    EXPECT_NE(s.to, ping.to);
    helpers.insert(s.to);
  }
  EXPECT_EQ(helpers.size(), 3u);
  EXPECT_EQ(counters().indirect_probes, 3u);
  EXPECT_EQ(counters().fallback_pings, 1u);
  // A helper reached the target.
  net_.Inject(host_, *helpers.begin(), TestNet::Encoded(wire::Ack{.seq_no = ping.sequences[0]}));
  net_.RunFor(milliseconds(500));
  EXPECT_EQ(counters().probes_failed, 0u);
  EXPECT_EQ(health(), 0);
}

TEST_F(NodeProbeTest, SilenceIsSuspicion) {
  Know(2);
  NextPing(2);
  net_.RunFor(seconds(1) - milliseconds(1));
  EXPECT_EQ(StateOf(2), NodeState::kAlive);
  net_.RunFor(milliseconds(1));
  EXPECT_EQ(StateOf(2), NodeState::kSuspect);
  EXPECT_EQ(counters().probes_failed, 1u);
  // There was no helper to ask for a nack: one point.
  EXPECT_EQ(health(), 1);
  EXPECT_EQ(host_.logger.Count("[INFO] memberlist: Suspect n2 has failed, no acks received"), 1);
  EXPECT_EQ(host_.logger.Count("[DEBUG] memberlist: Failed UDP ping: n2 (timeout reached)"), 1);
}

TEST_F(NodeProbeTest, MissingNacksCostHealth) {
  for (int i = 2; i <= 5; ++i) Know(i);
  net_.RunUntil(seconds(2), [&] { return !net_.sent.empty(); });
  const Sent ping = net_.sent.back();
  net_.RunFor(milliseconds(500));
  int nacks = 0;
  for (int i = 2; i <= 5 && nacks < 2; ++i) {
    if (TestNet::EndpointOf(i) == ping.to) continue;
    Hear(i, wire::Nack{ping.sequences[0]});
    ++nacks;
  }
  net_.RunFor(milliseconds(500));
  EXPECT_EQ(counters().probes_failed, 1u);
  EXPECT_EQ(health(), 1);  // three were asked, two reported
}

TEST_F(NodeProbeTest, AllNacksCostNothing) {
  for (int i = 2; i <= 5; ++i) Know(i);
  net_.RunUntil(seconds(2), [&] { return !net_.sent.empty(); });
  const Sent ping = net_.sent.back();
  net_.RunFor(milliseconds(500));
  for (int i = 2; i <= 5; ++i) {
    if (TestNet::EndpointOf(i) != ping.to) Hear(i, wire::Nack{ping.sequences[0]});
  }
  net_.RunFor(milliseconds(500));
  EXPECT_EQ(counters().probes_failed, 1u);
  EXPECT_EQ(health(), 0);
}

TEST_F(NodeProbeTest, OldHelpersAreNotAskedForNacksNorOldTargetsByTcp) {
  Know(2, {1, 2, 2, 0, 0, 0});
  Know(3, {1, 3, 2, 0, 0, 0});
  net_.RunUntil(seconds(2), [&] { return !net_.sent.empty(); });
  const bool target_is_two = net_.sent.back().to == TestNet::EndpointOf(2);
  net_.RunFor(milliseconds(500));
  const int helper = target_is_two ? 3 : 2;
  const std::vector<Sent> asked = net_.SentTo(TestNet::EndpointOf(helper), "indirect-ping");
  ASSERT_EQ(asked.size(), 1u);
  EXPECT_EQ(asked[0].text.find("nack"), std::string::npos);
  EXPECT_EQ(counters().fallback_pings, target_is_two ? 0u : 1u);
}

TEST_F(NodeProbeTest, ARefusedPingAsksTheHelpersAtOnce) {
  for (int i = 2; i <= 3; ++i) Know(i);
  net_.RunUntil(seconds(2), [&] { return !net_.sent.empty(); });
  const Sent ping = net_.sent.back();
  net_.sent.clear();
  const auto refuse = [&](const Endpoint& to) {
    net_.Do(host_, [&](Node& n, Instant now, Outbox& out) { n.OnDatagramFailed(now, to, out); });
  };
  refuse(TestNet::EndpointOf(8));  // another node
  EXPECT_TRUE(net_.sent.empty());
  refuse(ping.to);
  ASSERT_EQ(net_.sent.size(), 1u);
  EXPECT_EQ(net_.sent[0].text.substr(0, 13), "indirect-ping");
  refuse(ping.to);
  EXPECT_EQ(net_.sent.size(), 1u);
  EXPECT_EQ(host_.logger.Count("[DEBUG] memberlist: Failed UDP ping: "), 1);
  EXPECT_EQ(host_.logger.Count(" (the network refused it)"), 1);
}

TEST_F(NodeProbeTest, TcpContactSaysThatUdpIsBroken) {
  TestNet::Host& b = net_.Add(2, Calm());
  net_.Join(host_, b.endpoint);
  net_.drop = [](const TestNet::Host&, const Endpoint&) { return true; };
  net_.RunFor(seconds(10));
  EXPECT_EQ(StateOf(2), NodeState::kAlive);
  EXPECT_EQ(counters().probes_failed, 0u);
  EXPECT_GE(counters().fallback_pings, 3u);
  EXPECT_GE(host_.logger.Count("[WARN] memberlist: Was able to connect to n2 over TCP but UDP "
                               "probes failed, network may be misconfigured"),
            3);
  EXPECT_EQ(health(), 0);
  EXPECT_TRUE(host_.delegate.pings.empty());
}

TEST_F(NodeProbeTest, WithoutTcpPingsUdpDecides) {
  Config config = Calm();
  config.disable_tcp_pings = true;
  TestNet::Host& b = net_.Add(2, config);
  net_.Join(b, host_.endpoint);
  net_.drop = [](const TestNet::Host&, const Endpoint&) { return true; };
  net_.RunFor(seconds(20));
  EXPECT_EQ(b.node->counters().fallback_pings, 0u);
  EXPECT_EQ(b.delegate.Count("failed n1"), 1);
}

// --- health scales the probes (docs/protocol/membership.md 5.5) ---

TEST_F(NodeProbeTest, IllHealthStretchesTheInterval) {
  Know(2);
  NextPing(2);
  net_.RunFor(seconds(1));
  EXPECT_EQ(health(), 1);
  // The ring wraps: one tick without a probe, at most.
  const Sent second = NextPing(2);
  net_.RunFor(milliseconds(1500));
  EXPECT_EQ(counters().probes_failed, 1u);
  net_.RunFor(milliseconds(500));
  EXPECT_EQ(counters().probes_failed, 2u);
  EXPECT_EQ(counters().probes_degraded, 1u);
  EXPECT_EQ(health(), 2);
}

TEST_F(NodeProbeTest, ATickDuringAProbeIsRememberedOnce) {
  for (int i = 2; i <= 3; ++i) Know(i);
  // A refutation makes the next probe last two seconds.
  Hear(9, wire::Suspect{.incarnation = Incarnation(1), .node = "n1", .from = "n2"});
  EXPECT_EQ(health(), 1);
  net_.sent.clear();
  net_.RunUntil(seconds(2), [&] { return !net_.sent.empty(); });
  const Instant first = net_.now;
  const Sent ping = net_.sent.back();
  net_.RunFor(milliseconds(1200));
  net_.sent.clear();
  net_.Inject(host_, ping.to, TestNet::Encoded(wire::Ack{.seq_no = ping.sequences[0]}));
  // At once, by the tick that came a second after the first.
  ASSERT_EQ(net_.sent.size(), 1u);
  EXPECT_EQ(net_.sent[0].at, first + milliseconds(1200));
}

// --- suspects (docs/protocol/membership.md 5.2) ---

TEST_F(NodeProbeTest, ASuspectIsToldSoWithThePing) {
  Know(2);
  Hear(9, wire::Suspect{.incarnation = Incarnation(1), .node = "n2", .from = "n3"});
  const Sent ping = NextPing(2);
  EXPECT_EQ(ping.text, "ping n2 from n1 + suspect n2@1 by n1");
  EXPECT_TRUE(ping.crc);
}

TEST_F(NodeProbeTest, ARefutationDuringTheProbeStands) {
  Know(2);
  NextPing(2);
  net_.RunFor(milliseconds(900));
  Know(2, {1, 5, 2, 0, 0, 0}, 2);
  net_.RunFor(milliseconds(100));
  EXPECT_EQ(counters().probes_failed, 1u);
  EXPECT_EQ(StateOf(2), NodeState::kAlive);
}

// --- sources (section 10) ---

TEST_F(NodeProbeTest, AcksOfStrangersDoNotKeepADeadNodeAlive) {
  Know(2);
  Sent ping = NextPing(2);
  // It is unknown yet whether the target answers from its announced endpoint: accepted.
  Hear(8, wire::Ack{.seq_no = ping.sequences[0]});
  ping = NextPing(2);
  Hear(2, wire::Ack{.seq_no = ping.sequences[0]});
  // Now it is known.
  ping = NextPing(2);
  Hear(8, wire::Ack{.seq_no = ping.sequences[0]});
  EXPECT_EQ(counters().dropped_acks, 1u);
  net_.RunFor(seconds(1));
  EXPECT_EQ(StateOf(2), NodeState::kSuspect);
}

TEST_F(NodeProbeTest, HelpersMayAnswerForTheTarget) {
  for (int i = 2; i <= 3; ++i) Know(i);
  for (int i = 0; i < 4; ++i) {
    net_.sent.clear();
    net_.RunUntil(seconds(3), [&] { return !net_.sent.empty(); });
    const Sent ping = net_.sent.back();
    net_.Inject(host_, ping.to, TestNet::Encoded(wire::Ack{.seq_no = ping.sequences[0]}));
  }
  net_.sent.clear();
  net_.RunUntil(seconds(3), [&] { return !net_.sent.empty(); });
  const Sent ping = net_.sent.back();
  const int helper = ping.to == TestNet::EndpointOf(2) ? 3 : 2;
  // Not before it was asked.
  Hear(helper, wire::Ack{.seq_no = ping.sequences[0]});
  EXPECT_EQ(counters().dropped_acks, 1u);
  net_.RunFor(milliseconds(500));
  Hear(8, wire::Ack{.seq_no = ping.sequences[0]});
  Hear(8, wire::Nack{ping.sequences[0]});
  EXPECT_EQ(counters().dropped_acks, 3u);
  Hear(helper, wire::Ack{.seq_no = ping.sequences[0]});
  EXPECT_EQ(counters().dropped_acks, 3u);
  net_.RunFor(milliseconds(500));
  EXPECT_EQ(counters().probes_failed, 0u);
}

TEST_F(NodeProbeTest, AMovedSourceIsLearntAnew) {
  TestNet::Host& b = net_.Add(2, Calm());
  net_.Join(host_, b.endpoint);
  net_.RunFor(seconds(5));
  // From now on n2's datagrams come from another address; over TCP it is still there.
  net_.drop = [&](const TestNet::Host& from, const Endpoint&) { return from.name == "n2"; };
  net_.RunFor(seconds(5));
  net_.sent.clear();
  for (int i = 0; i < 6; ++i) {
    const Sent ping = NextPing(2);
    Hear(7, wire::Ack{.seq_no = ping.sequences[0]});
  }
  net_.RunFor(seconds(1));
  EXPECT_GE(counters().dropped_acks, 1u);
  EXPECT_LE(counters().dropped_acks, 2u);
  EXPECT_EQ(StateOf(2), NodeState::kAlive);
}

// --- answering (docs/protocol/membership.md 5.3) ---

TEST_F(NodeProbeTest, PingsAreAnsweredToTheSourceThatTheyName) {
  Know(2);
  host_.delegate.ack_payload = "here";
  const Endpoint two = TestNet::EndpointOf(2);
  Hear(9, wire::Ping{.seq_no = SequenceNumber(77),
                     .node = "n1",
                     .source_addr = two.address.bytes(),
                     .source_port = two.port,
                     .source_node = "n2"});
  ASSERT_EQ(net_.sent.size(), 1u);
  EXPECT_EQ(net_.sent[0].to, two);
  EXPECT_EQ(net_.sent[0].text.substr(0, 8), "ack here");
  EXPECT_THAT(net_.sent[0].sequences, ElementsAre(SequenceNumber(77)));
  // An incomplete source: the answer goes to where the datagram came from.
  Hear(9, wire::Ping{.seq_no = SequenceNumber(78), .node = "n1", .source_port = 5});
  Hear(9, wire::Ping{.seq_no = SequenceNumber(79), .node = "", .source_addr = two.address.bytes()});
  EXPECT_EQ(net_.SentTo(TestNet::EndpointOf(9), "ack").size(), 2u);
}

// A stranger gets no more bytes than it sent: no amplification.
TEST_F(NodeProbeTest, AStrangersAnswerCarriesNothing) {
  Know(2);
  host_.delegate.ack_payload = std::string(120, 'c');
  Hear(9, wire::Ping{.seq_no = SequenceNumber(77)});
  const Endpoint two = TestNet::EndpointOf(2);
  Hear(9, wire::Ping{.seq_no = SequenceNumber(78),
                     .source_addr = two.address.bytes(),
                     .source_port = two.port,
                     .source_node = "stranger"});
  ASSERT_EQ(net_.sent.size(), 2u);
  for (const Sent& sent : net_.sent) {
    EXPECT_EQ(sent.text, "ack");
    EXPECT_LE(sent.size, 24u);
  }
  net_.sent.clear();
  Hear(2, wire::Ping{.seq_no = SequenceNumber(79),
                     .source_addr = two.address.bytes(),
                     .source_port = two.port,
                     .source_node = "n2"});
  ASSERT_EQ(net_.sent.size(), 1u);
  EXPECT_EQ(net_.sent[0].text.substr(0, 6), "ack cc");
}

TEST_F(NodeProbeTest, PingsForOthersAreNotAnswered) {
  Hear(9, wire::Ping{.seq_no = SequenceNumber(1), .node = "n2"});
  EXPECT_TRUE(net_.sent.empty());
  EXPECT_EQ(counters().dropped_not_for_us, 1u);
  EXPECT_EQ(host_.logger.Count("[WARN] memberlist: Got ping for unexpected node 'n2' "
                               "from=10.0.0.9:7946"),
            1);
}

TEST_F(NodeProbeTest, SourcesOfNoAddressAreDropped) {
  const std::uint8_t three[3] = {1, 2, 3};
  Hear(9,
       wire::Ping{
           .seq_no = SequenceNumber(1), .node = "n1", .source_addr = three, .source_port = 7946});
  Hear(9, wire::IndirectPing{.seq_no = SequenceNumber(1), .target = three, .node = "n2"});
  EXPECT_TRUE(net_.sent.empty());
  EXPECT_EQ(counters().dropped_address, 2u);
}

TEST_F(NodeProbeTest, StrangersGetBareAnswersAndDirectFewAtOthers) {
  Config config = Config::Lan();
  config.probe_interval = Duration::zero();
  TestNet::Host& b = net_.Add(2, config);
  const Endpoint victim = TestNet::EndpointOf(8);
  net_.sent.clear();
  for (std::uint32_t i = 0; i < 1000; ++i) {
    net_.Inject(b, TestNet::EndpointOf(9),
                TestNet::Encoded(wire::Ping{.seq_no = SequenceNumber(i), .node = "n2"}));
  }
  EXPECT_EQ(net_.sent.size(), 1000u);
  for (const Sent& s : net_.sent) EXPECT_EQ(s.text, "ack");
  net_.sent.clear();
  const ByteVector redirected = TestNet::Encoded(wire::Ping{.seq_no = SequenceNumber(1),
                                                            .node = "n2",
                                                            .source_addr = victim.address.bytes(),
                                                            .source_port = victim.port});
  for (int i = 0; i < 1000; ++i) net_.Inject(b, TestNet::EndpointOf(9), redirected);
  EXPECT_EQ(net_.sent.size(), static_cast<std::size_t>(Prober::kStrangerAnswersMax));
  for (const Sent& s : net_.sent) EXPECT_EQ(s.text, "ack");
  EXPECT_EQ(b.node->counters().dropped_strangers, 1000u - Prober::kStrangerAnswersMax);
  net_.RunFor(seconds(1));
  net_.sent.clear();
  net_.Inject(b, TestNet::EndpointOf(9), redirected);
  EXPECT_EQ(net_.sent.size(), 1u);
}

TEST_F(NodeProbeTest, BroadcastsRideOnAnswersToMembers) {
  const Endpoint nine = TestNet::EndpointOf(9);
  const auto vsn = wire::VersionVector{1, 5, 2, 0, 0, 0}.ToBytes();
  Hear(9, wire::Alive{.incarnation = Incarnation(1),
                      .node = "n9",
                      .addr = nine.address.bytes(),
                      .port = nine.port,
                      .meta = {},
                      .vsn = vsn});
  net_.sent.clear();
  const wire::Ping ping{.seq_no = SequenceNumber(5),
                        .node = "n1",
                        .source_addr = nine.address.bytes(),
                        .source_port = nine.port,
                        .source_node = "n9"};
  Hear(9, ping);
  ASSERT_EQ(net_.sent.size(), 1u);
  EXPECT_EQ(net_.sent[0].text, "ack + alive n9@1 + alive n1@1");
  // A member's name at another address does not count.
  wire::Ping forged = ping;
  forged.source_port = 9999;
  host_.delegate.queue.Enqueue("", AsBytes("event"));
  Hear(9, forged);
  EXPECT_EQ(net_.sent.back().text, "ack");
  Hear(9, ping);
  EXPECT_EQ(net_.sent.back().text, "ack + user event");
}

// --- helping (docs/protocol/membership.md 5.3) ---

class NodeRelayTest : public NodeProbeTest {
 protected:
  NodeRelayTest() : NodeProbeTest(NoProbes()) {
    Know(2);
    Know(3);
  }
  static Config NoProbes() {
    Config config = Calm();
    config.probe_interval = Duration::zero();
    return config;
  }
  // n3 asks n1 to ping n2. Returns the number of n1's ping.
  SequenceNumber Ask(std::uint32_t sequence, bool nack) {
    const Endpoint two = TestNet::EndpointOf(2);
    const Endpoint three = TestNet::EndpointOf(3);
    net_.sent.clear();
    Hear(3, wire::IndirectPing{.seq_no = SequenceNumber(sequence),
                               .target = two.address.bytes(),
                               .port = two.port,
                               .node = "n2",
                               .nack = nack,
                               .source_addr = three.address.bytes(),
                               .source_port = three.port,
                               .source_node = "n3"});
    EXPECT_EQ(net_.sent.size(), 1u);
    EXPECT_EQ(net_.sent[0].to, two);
    EXPECT_EQ(net_.sent[0].text.substr(0, 15), "ping n2 from n1");
    const SequenceNumber own = net_.sent[0].sequences[0];
    net_.sent.clear();
    return own;
  }
};

TEST_F(NodeRelayTest, AnAckIsPassedOnWithoutItsPayload) {
  const SequenceNumber own = Ask(1000, true);
  EXPECT_NE(own, SequenceNumber(1000));
  Hear(2, wire::Ack{.seq_no = own, .payload = AsBytes("coordinate")});
  ASSERT_EQ(net_.sent.size(), 1u);
  EXPECT_EQ(net_.sent[0].to, TestNet::EndpointOf(3));
  EXPECT_EQ(net_.sent[0].text, "ack");
  EXPECT_THAT(net_.sent[0].sequences, ElementsAre(SequenceNumber(1000)));
  net_.RunFor(seconds(2));
  EXPECT_EQ(net_.sent.size(), 1u);  // no nack follows
}

TEST_F(NodeRelayTest, SilenceIsANackIfOneIsWanted) {
  const SequenceNumber own = Ask(1000, true);
  net_.RunFor(milliseconds(499));
  EXPECT_TRUE(net_.sent.empty());
  net_.RunFor(milliseconds(1));
  ASSERT_EQ(net_.sent.size(), 1u);
  EXPECT_EQ(net_.sent[0].to, TestNet::EndpointOf(3));
  EXPECT_EQ(net_.sent[0].text, "nack");
  EXPECT_THAT(net_.sent[0].sequences, ElementsAre(SequenceNumber(1000)));
  // Too late.
  Hear(2, wire::Ack{.seq_no = own});
  EXPECT_EQ(net_.sent.size(), 1u);
  Ask(1001, false);
  net_.RunFor(seconds(2));
  EXPECT_TRUE(net_.sent.empty());
}

TEST_F(NodeRelayTest, RequestsBeyondTheTableAreDropped) {
  const Endpoint two = TestNet::EndpointOf(2);
  const Endpoint three = TestNet::EndpointOf(3);
  net_.sent.clear();
  for (std::uint32_t i = 0; i < IndirectPings::kIndirectPingsMax + 50; ++i) {
    Hear(3, wire::IndirectPing{.seq_no = SequenceNumber(i),
                               .target = two.address.bytes(),
                               .port = two.port,
                               .node = "n2",
                               .source_addr = three.address.bytes(),
                               .source_port = three.port,
                               .source_node = "n3"});
  }
  EXPECT_EQ(net_.sent.size(), IndirectPings::kIndirectPingsMax);
  EXPECT_EQ(counters().dropped_indirect_pings, 50u);
  net_.RunFor(seconds(1));
  Ask(5, false);
}

TEST_F(NodeRelayTest, PortZeroOfATargetIsTheOwnPort) {
  const Endpoint four = TestNet::EndpointOf(4);
  net_.sent.clear();
  Hear(3, wire::IndirectPing{
              .seq_no = SequenceNumber(1), .target = four.address.bytes(), .node = "n4"});
  ASSERT_EQ(net_.sent.size(), 1u);
  EXPECT_EQ(net_.sent[0].to, four);
  // The asker named no source: the answer goes where the request came from.
  Hear(4, wire::Ack{.seq_no = net_.sent[0].sequences[0]});
  EXPECT_EQ(net_.SentTo(TestNet::EndpointOf(3), "ack").size(), 1u);
}

TEST(NodeRealProbeTest, AHelperSavesANodeBehindABrokenLink) {
  TestNet net;
  Config config = Config::Lan();
  config.disable_tcp_pings = true;
  std::vector<TestNet::Host*> hosts;
  for (int i = 1; i <= 4; ++i) {
    hosts.push_back(&net.Add(i, config));
    if (i > 1) net.Join(*hosts.back(), hosts.front()->endpoint);
  }
  net.RunFor(seconds(3));
  net.drop = [](const TestNet::Host& from, const Endpoint& to) {
    return (from.name == "n1" && to == TestNet::EndpointOf(2)) ||
           (from.name == "n2" && to == TestNet::EndpointOf(1));
  };
  net.RunFor(seconds(60));
  EXPECT_GT(hosts[0]->node->counters().indirect_probes, 10u);
  for (TestNet::Host* h : hosts) {
    EXPECT_EQ(h->node->live_nodes(), 4u);
    EXPECT_EQ(h->node->counters().probes_failed, 0u) << h->name;
  }
}

}  // namespace
}  // namespace serf::swim
