// Gossip, the layers of packets, and several Nodes together (docs/protocol/membership.md 1, 6).

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
using Host = TestNet::Host;
using Sent = TestNet::Sent;

Config WithoutPushPull(Config config = Config::Lan()) {
  config.push_pull_interval = Duration::zero();
  return config;
}

std::vector<Host*> Cluster(TestNet& net, int n, const Config& config) {
  std::vector<Host*> hosts;
  for (int i = 1; i <= n; ++i) {
    hosts.push_back(&net.Add(i, config));
    if (i > 1) {
      EXPECT_EQ(net.Join(*hosts.back(), hosts.front()->endpoint).contacted, 1);
    }
  }
  EXPECT_TRUE(net.RunUntil(seconds(20), [&] {
    for (const Host* h : hosts) {
      if (h->node->live_nodes() != static_cast<std::size_t>(n)) return false;
    }
    return true;
  }));
  net.RunFor(seconds(5));  // until nothing waits
  net.sent.clear();
  return hosts;
}

void Queue(TestNet& net, Host& host, absl::string_view message) {
  net.Do(host, [&](Node& node, Instant now, Outbox&) {
    host.delegate.queue.Enqueue("", AsBytes(message), 0, Spread::kAll);
    node.WakeGossip(now);
  });
}

// --- pacing ---

TEST(NodeGossipTest, PromptGossipLeavesWithinMilliseconds) {
  TestNet net;
  const auto hosts = Cluster(net, 3, WithoutPushPull());
  Queue(net, *hosts[0], "news");
  const Instant start = net.now;
  EXPECT_TRUE(net.RunUntil(seconds(1), [&] {
    return !hosts[1]->delegate.messages.empty() && !hosts[2]->delegate.messages.empty();
  }));
  EXPECT_LE(net.now - start, milliseconds(10));
}

TEST(NodeGossipTest, TickedGossipWaitsForTheTick) {
  TestNet net;
  Config config = WithoutPushPull();
  config.gossip_pacing = GossipPacing::kTicked;
  config.probe_interval = Duration::zero();
  const auto hosts = Cluster(net, 3, config);
  // n1 started at the hour, and ticks every 200 ms from there.
  net.RunFor(milliseconds(200) - (net.now - Instant(std::chrono::hours(1))) % milliseconds(200) +
             milliseconds(50));
  net.sent.clear();
  Queue(net, *hosts[0], "news");
  net.RunFor(milliseconds(149));
  EXPECT_TRUE(net.sent.empty());
  net.RunFor(milliseconds(1));
  EXPECT_EQ(net.sent.size(), 2u);
  for (const Sent& s : net.sent) EXPECT_EQ(s.text, "user news");
}

TEST(NodeGossipTest, WanKeepsTheTick) {
  EXPECT_EQ(Config::Wan().gossip_pacing, GossipPacing::kTicked);
  EXPECT_EQ(Config::Lan().gossip_pacing, GossipPacing::kPrompt);
  EXPECT_EQ(Config::Local().gossip_pacing, GossipPacing::kPrompt);
}

TEST(NodeGossipTest, WithoutAnIntervalNothingIsGossiped) {
  TestNet net;
  Config config = WithoutPushPull();
  config.gossip_interval = Duration::zero();
  config.probe_interval = Duration::zero();
  Host& a = net.Add(1, config);
  Host& b = net.Add(2, config);
  net.Join(a, b.endpoint);
  Queue(net, a, "news");
  net.RunFor(seconds(10));
  EXPECT_TRUE(net.sent.empty());
  EXPECT_EQ(a.node->NextDeadline(), kNever);
}

TEST(NodeGossipTest, AnIdleClusterSendsProbesOnly) {
  TestNet net;
  Cluster(net, 4, WithoutPushPull());
  net.RunFor(seconds(60));
  for (const Sent& s : net.sent) {
    EXPECT_TRUE(s.text.substr(0, 4) == "ping" || s.text == "ack") << s.text;
  }
  EXPECT_LE(net.sent.size(), 4u * 2 * 61);
}

// With the repeats of the last message and nobody to send them to.
TEST(NodeGossipTest, ANodeThatIsLeftAloneSleeps) {
  for (const GossipPacing pacing : {GossipPacing::kPrompt, GossipPacing::kTicked}) {
    TestNet net;
    Config config = WithoutPushPull();
    config.gossip_pacing = pacing;
    const auto hosts = Cluster(net, 2, config);
    hosts[0]->delegate.transmit_limit = 8;
    Queue(net, *hosts[0], "news");
    net.RunFor(milliseconds(5));
    net.Do(*hosts[1], [&](Node& node, Instant now, Outbox& out) { node.Leave(now, out); });
    net.RunFor(seconds(2));
    hosts[1]->up = false;
    net.RunFor(seconds(2));
    const std::uint64_t rounds = hosts[0]->node->counters().gossip_rounds;
    net.RunFor(seconds(60));
    EXPECT_LE(hosts[0]->node->counters().gossip_rounds, rounds + 1);
  }
}

TEST(NodeGossipTest, AMessageThatFitsNoPacketStopsNothing) {
  TestNet net;
  Config config = WithoutPushPull();
  config.probe_interval = Duration::zero();
  const auto hosts = Cluster(net, 2, config);
  Queue(net, *hosts[0], std::string(3000, 'x'));
  net.RunFor(seconds(1));
  EXPECT_LE(hosts[0]->node->counters().gossip_rounds, 40u);
  const std::uint64_t rounds = hosts[0]->node->counters().gossip_rounds;
  net.RunFor(seconds(10));
  EXPECT_LE(hosts[0]->node->counters().gossip_rounds - rounds, 55u);  // one per gossip interval
  EXPECT_TRUE(net.sent.empty());
  const Instant start = net.now;
  Queue(net, *hosts[0], "news");
  EXPECT_TRUE(net.RunUntil(seconds(1), [&] { return !hosts[1]->delegate.messages.empty(); }));
  EXPECT_LE(net.now - start, config.prompt_interval + milliseconds(2));
}

// The delays of messages of 20 nodes from one, and the gossip of a node per second on average.
struct Steady {
  std::vector<Duration> delays;  // until the last node has it, ascending
  double packets = 0;
  double bytes = 0;
  std::uint64_t rounds = 0;  // of the second node, which hears the messages
  std::uint64_t held_back = 0;

  Duration Percentile(std::size_t percent) const {
    return delays[std::min(delays.size() - 1, delays.size() * percent / 100)];
  }
};

Steady MeasureSteady(int per_second, int count, const Config& profile, int nodes = 20) {
  TestNet net;
  Config config = WithoutPushPull(profile);
  config.probe_interval = Duration::zero();
  const auto hosts = Cluster(net, nodes, config);
  for (Host* h : hosts) {
    h->delegate.regossip = true;
    h->delegate.transmit_limit = RetransmitLimit(config.retransmit_mult, hosts.size());
    h->delegate.on_heard = [&net](RecordingDelegate& d) { d.heard_at.push_back(net.now); };
  }
  const std::vector<Counters> before = [&] {
    std::vector<Counters> counters;
    for (const Host* h : hosts) counters.push_back(h->node->counters());
    return counters;
  }();
  std::vector<Instant> told;
  for (int i = 0; i < count; ++i) {
    const std::string message = absl::StrCat("event ", i, std::string(30, '.'));
    hosts[0]->delegate.heard.insert(message);
    told.push_back(net.now);
    Queue(net, *hosts[0], message);
    // At a rate, but not in step with anything.
    net.RunFor(Duration(seconds(1)) / per_second * (4 + i * 7 % 13) / 10);
  }
  const double passed = ToSeconds(seconds(count)) / per_second;
  Steady result;
  for (std::size_t i = 0; i < hosts.size(); ++i) {
    const Counters& now = hosts[i]->node->counters();
    result.packets += static_cast<double>(now.gossip_datagrams - before[i].gossip_datagrams);
    result.bytes += static_cast<double>(now.datagram_bytes_sent - before[i].datagram_bytes_sent);
  }
  result.packets /= passed * nodes;
  result.bytes /= passed * nodes;
  result.rounds = hosts[1]->node->counters().gossip_rounds - before[1].gossip_rounds;
  for (const Host* h : hosts) result.held_back += h->node->counters().gossip_waves_held_back;
  net.RunFor(seconds(5));
  for (int i = 0; i < count; ++i) {
    Duration last{};
    for (std::size_t h = 1; h < hosts.size(); ++h) {
      const RecordingDelegate& d = hosts[h]->delegate;
      EXPECT_EQ(d.heard_at.size(), static_cast<std::size_t>(count));
      if (d.heard_at.size() != static_cast<std::size_t>(count)) return result;
      last = std::max(last, Duration(d.heard_at[i] - told[i]));
    }
    result.delays.push_back(last);
  }
  std::sort(result.delays.begin(), result.delays.end());
  // In the order in which they were sent.
  for (std::size_t h = 1; h < hosts.size(); ++h) {
    std::set<std::string> seen;
    std::size_t next = 0;
    for (const std::string& message : hosts[h]->delegate.messages) {
      if (!seen.insert(message).second) continue;
      EXPECT_EQ(message.substr(0, message.find('.')), absl::StrCat("event ", next));
      ++next;
    }
  }
  return result;
}

// News at any rate are as quick as a lone message, and cost what the budget allows
// (docs/decisions/0003-prompt-gossip.md). A hop of the test's network takes 1 ms.
TEST(NodeGossipTest, SteadyNewsAreAsQuickAsALoneMessage) {
  struct Row {
    const char* name;
    int per_second;
    int count;
    Config profile;
    milliseconds median;
    milliseconds worst;
    double packets;
  };
  const Row rows[] = {
      {"lan, 1/s", 1, 20, Config::Lan(), milliseconds(12), milliseconds(16), 1 + 5.5},
      {"lan, 10/s", 10, 100, Config::Lan(), milliseconds(12), milliseconds(16), 10 + 5.5},
      {"lan, 100/s", 100, 500, Config::Lan(), milliseconds(15), milliseconds(25), 50 + 20},
      {"lan, 1,000/s", 1000, 3000, Config::Lan(), milliseconds(30), milliseconds(45), 50 + 150},
      {"local, 10/s", 10, 100, Config::Local(), milliseconds(12), milliseconds(16), 10 + 11},
      {"local, 100/s", 100, 500, Config::Local(), milliseconds(15), milliseconds(25), 50 + 30},
  };
  for (const Row& row : rows) {
    const Steady s = MeasureSteady(row.per_second, row.count, row.profile);
    ASSERT_FALSE(s.delays.empty()) << row.name;
    std::printf(
        "%-12s until 20 have it: median %.1f ms, 99 %% %.1f ms; %.0f packets and %.0f kB "
        "per node and second, %llu waves held back\n",
        row.name, 1e3 * ToSeconds(s.Percentile(50)), 1e3 * ToSeconds(s.Percentile(99)), s.packets,
        s.bytes / 1e3, static_cast<unsigned long long>(s.held_back));
    EXPECT_LE(s.Percentile(50), row.median) << row.name;
    EXPECT_LE(s.delays.back(), row.worst) << row.name;
    EXPECT_LE(s.packets, row.packets) << row.name;
    const double ticks =
        row.count / static_cast<double>(row.per_second) / ToSeconds(row.profile.gossip_interval);
    EXPECT_GE(static_cast<double>(s.rounds), row.per_second > 1 ? 0.9 * ticks : 0) << row.name;
  }
}

// A flood of user messages delays no news of members, and loses none of its own that a queue holds.
TEST(NodeGossipTest, AFloodDelaysNoMembershipMessage) {
  TestNet net;
  const auto hosts = Cluster(net, 3, WithoutPushPull());
  for (Host* h : hosts) h->delegate.regossip = true;
  constexpr int kPerMillisecond = 10;
  int told = 0;
  Duration longest{};
  for (int turn = 1; turn <= 40; ++turn) {
    const std::string meta = absl::StrCat("meta ", turn);
    const Instant start = net.now;
    net.Do(*hosts[0], [&](Node& n, Instant now, Outbox& out) {
      ASSERT_TRUE(n.UpdateMeta(now, AsBytes(meta), out).ok());
    });
    bool all = false;
    for (int ms = 0; ms < 50; ++ms) {
      for (int i = 0; i < kPerMillisecond; ++i) {
        Queue(net, *hosts[0], absl::StrCat("event ", told++, std::string(32, '.')));
      }
      net.RunFor(milliseconds(1));
      if (all) continue;
      all = true;
      for (int i = 1; i < 3; ++i) {
        const Node& node = *hosts[static_cast<std::size_t>(i)]->node;
        all = all && AsText(node.info(*node.Find("n1")).meta()) == meta;
      }
      if (all) longest = std::max(longest, Duration(net.now - start));
    }
    EXPECT_TRUE(all) << meta;
  }
  EXPECT_LE(longest, Config::Lan().prompt_interval + milliseconds(5));
  net.RunFor(seconds(1));
  for (int i = 1; i < 3; ++i) {
    EXPECT_EQ(hosts[static_cast<std::size_t>(i)]->delegate.heard.size(),
              static_cast<std::size_t>(told));
  }
  EXPECT_EQ(hosts[0]->delegate.queue.dropped(), 0u);
}

// --- how often, to whom, how full ---

TEST(NodeGossipTest, InATwoNodeClusterEachMessageIsSentFourTimes) {
  TestNet net;
  const auto hosts = Cluster(net, 2, WithoutPushPull());
  net.Do(*hosts[0], [](Node& n, Instant now, Outbox& out) {
    EXPECT_TRUE(n.UpdateMeta(now, AsBytes("m"), out).ok());
  });
  net.RunFor(seconds(10));
  int from_a = 0;
  int from_b = 0;
  for (const Sent& s : net.sent) {
    if (s.text.find("alive n1@2 m") == std::string::npos) continue;
    ++(s.from == "n1" ? from_a : from_b);
  }
  EXPECT_EQ(from_a, 4);
  EXPECT_EQ(from_b, 4);
  EXPECT_EQ(hosts[0]->delegate.Count("update is out"), 1);
}

TEST(NodeGossipTest, GossipCarriesAChecksumAndProbesDoNot) {
  TestNet net;
  const auto hosts = Cluster(net, 2, WithoutPushPull());
  Queue(net, *hosts[0], "news");
  net.RunFor(seconds(5));
  int gossip = 0;
  for (const Sent& s : net.sent) {
    const bool probe = s.text.substr(0, 4) == "ping" || s.text.substr(0, 3) == "ack";
    EXPECT_EQ(s.crc, !probe) << s.text;
    gossip += !probe;
  }
  EXPECT_GT(gossip, 0);
}

TEST(NodeGossipTest, DeepQueuesFillPacketsButNotBeyondTheBuffer) {
  TestNet net;
  const auto hosts = Cluster(net, 3, WithoutPushPull());
  for (Host* h : hosts) h->delegate.regossip = true;
  for (int i = 0; i < 200; ++i) {
    Queue(net, *hosts[0], absl::StrCat("event ", i, std::string(90, '.')));
  }
  net.RunFor(seconds(10));
  for (int i = 1; i < 3; ++i) {
    std::set<std::string> heard(hosts[i]->delegate.messages.begin(),
                                hosts[i]->delegate.messages.end());
    EXPECT_EQ(heard.size(), 200u);
  }
  std::size_t largest = 0;
  for (const Sent& s : net.sent) largest = std::max(largest, s.size);
  EXPECT_LE(largest, 1400u + 5);
  EXPECT_EQ(hosts[0]->delegate.queue.size(), 0u);
}

TEST(NodeGossipTest, MorePartsThanACompoundHoldsTakeFurtherPackets) {
  TestNet net;
  Config config = WithoutPushPull();
  config.packet_size = 20000;
  config.gossip_pacing = GossipPacing::kTicked;
  config.probe_interval = Duration::zero();
  const auto hosts = Cluster(net, 2, config);
  net.Do(*hosts[0], [&](Node& node, Instant now, Outbox&) {
    for (int i = 0; i < 600; ++i) {
      hosts[0]->delegate.queue.Enqueue("", AsBytes(absl::StrCat("e", i)));
    }
    node.WakeGossip(now);
  });
  net.RunFor(seconds(5));
  std::set<std::string> heard(hosts[1]->delegate.messages.begin(),
                              hosts[1]->delegate.messages.end());
  EXPECT_EQ(heard.size(), 600u);
  EXPECT_EQ(hosts[1]->node->counters().dropped_compound, 0u);
  // Riding on an acknowledgement too.
  hosts[1]->delegate.messages.clear();
  net.Do(*hosts[0], [&](Node&, Instant, Outbox&) {
    for (int i = 0; i < 600; ++i) {
      hosts[0]->delegate.queue.Enqueue("", AsBytes(absl::StrCat("f", i)));
    }
  });
  const Endpoint two = hosts[1]->endpoint;
  net.Inject(*hosts[0], two,
             TestNet::Encoded(wire::Ping{.seq_no = wire::SequenceNumber(1),
                                         .node = "n1",
                                         .source_addr = two.address.bytes(),
                                         .source_port = two.port,
                                         .source_node = "n2"}));
  net.RunFor(milliseconds(1));
  EXPECT_EQ(hosts[1]->delegate.messages.size(), 600u);
}

TEST(NodeGossipTest, TheQueueIsBounded) {
  TestNet net;
  Config config = WithoutPushPull();
  config.broadcast_queue_max = 10;
  config.gossip_interval = Duration::zero();
  Host& a = net.Add(1, config);
  const auto vsn = wire::VersionVector{1, 5, 2, 0, 0, 0}.ToBytes();
  for (int i = 2; i < 100; ++i) {
    const Endpoint e = TestNet::EndpointOf(i);
    const std::string name = absl::StrCat("n", i);
    net.Inject(a, e,
               TestNet::Encoded(wire::Alive{.incarnation = wire::Incarnation(1),
                                            .node = name,
                                            .addr = e.address.bytes(),
                                            .port = e.port,
                                            .meta = {},
                                            .vsn = vsn}));
  }
  EXPECT_EQ(a.node->known_nodes(), 99u);
  EXPECT_EQ(a.node->queue().size(), 10u);
  EXPECT_EQ(a.node->counters().broadcasts_dropped, 89u);
}

// --- user messages by datagram ---

TEST(NodeGossipTest, BestEffortMessagesGoAsTheyAre) {
  TestNet net;
  Config config = WithoutPushPull();
  config.probe_interval = Duration::zero();
  const auto hosts = Cluster(net, 2, config);
  hosts[0]->delegate.queue.Enqueue("", AsBytes("event"));
  for (const std::string& message : {std::string("hello"), std::string(), std::string(5000, 'y')}) {
    net.Do(*hosts[0], [&](Node& n, Instant now, Outbox& out) {
      n.SendBestEffort(now, hosts[1]->endpoint, AsBytes(message), out);
    });
  }
  net.RunFor(milliseconds(1));
  ASSERT_GE(hosts[1]->delegate.messages.size(), 3u);
  EXPECT_EQ(hosts[1]->delegate.messages[0], "hello");
  EXPECT_EQ(hosts[1]->delegate.messages[1], "");
  EXPECT_EQ(hosts[1]->delegate.messages[2], std::string(5000, 'y'));
}

// --- the layers: encryption, compression, labels ---

struct Layers {
  const char* name;
  std::string key;
  std::string label;
  bool compress;
  std::uint8_t protocol_version;
};

class NodeLayersTest : public ::testing::TestWithParam<Layers> {
 protected:
  static Config Make(const Layers& layers) {
    Config config = Config::Lan();
    config.push_pull_interval = seconds(2);
    if (!layers.key.empty()) Encrypt(config, AsBytes(layers.key));
    config.label = layers.label;
    config.enable_compression = layers.compress;
    config.protocol_version = layers.protocol_version;
    return config;
  }
};

TEST_P(NodeLayersTest, AClusterLivesUnderThem) {
  TestNet net;
  std::vector<Host*> hosts;
  for (int i = 1; i <= 3; ++i) {
    hosts.push_back(&net.Add(i, Make(GetParam())));
    if (i > 1) {
      const Node::JoinDone result = net.Join(*hosts.back(), hosts.front()->endpoint);
      ASSERT_EQ(result.contacted, 1) << result.errors[0];
    }
  }
  hosts[0]->delegate.state = std::string(1000, 's');
  net.RunFor(seconds(10));
  Queue(net, *hosts[0], "news " + std::string(500, 'n'));
  net.Do(*hosts[0], [&](Node& n, Instant now, Outbox& out) {
    n.SendReliable(now, hosts[1]->endpoint, AsBytes("reliable"), out);
  });
  net.RunFor(seconds(3));
  for (Host* h : hosts) {
    const Counters& s = h->node->counters();
    EXPECT_EQ(h->node->live_nodes(), 3u);
    EXPECT_EQ(s.probes_failed, 0u);
    EXPECT_EQ(s.dropped_decrypt + s.dropped_label + s.dropped_type + s.dropped_malformed +
                  s.dropped_checksum + s.dropped_decompress + s.streams_malformed +
                  s.streams_failed,
              0u);
  }
  EXPECT_FALSE(hosts[1]->delegate.merged.empty());
  EXPECT_THAT(hosts[1]->delegate.messages, ::testing::Contains("reliable"));
  EXPECT_THAT(hosts[2]->delegate.messages, ::testing::Contains("news " + std::string(500, 'n')));
}

INSTANTIATE_TEST_SUITE_P(
    All, NodeLayersTest,
    ::testing::Values(Layers{"Plain", "", "", false, 2}, Layers{"Compressed", "", "", true, 2},
                      Layers{"Labelled", "", "blue", true, 2},
                      Layers{"Aes128", "0123456789abcdef", "", true, 2},
                      Layers{"Aes256Labelled", "0123456789abcdef0123456789abcdef", "blue", true, 2},
                      Layers{"PaddedVersionOne", "0123456789abcdef01234567", "blue", false, 1}),
    [](const auto& layers) { return layers.param.name; });

TEST(NodeLayersMismatchTest, AnotherKeyOrLabelIsAnotherCluster) {
  TestNet net;
  Config a = Config::Lan();
  Encrypt(a, AsBytes("0123456789abcdef"));
  Config b = Config::Lan();
  Encrypt(b, AsBytes("fedcba9876543210"));
  Config c = Config::Lan();
  Encrypt(c, AsBytes("0123456789abcdef"));
  c.label = "blue";
  Host& ha = net.Add(1, a);
  Host& hb = net.Add(2, b);
  Host& hc = net.Add(3, c);
  Host& hd = net.Add(4, Config::Lan());
  Node::JoinDone result = net.Join(ha, hb.endpoint);
  EXPECT_EQ(result.contacted, 0);
  ASSERT_EQ(result.errors.size(), 1u);
  // The answer is encrypted under a key that n1 does not have either.
  EXPECT_EQ(result.errors[0],
            "Failed to join 10.0.0.2:7946: No installed keys could decrypt the message");
  EXPECT_EQ(hb.logger.Count("failed to receive: No installed keys could decrypt the message"), 1);
  EXPECT_EQ(net.Join(ha, hc.endpoint).contacted, 0);
  EXPECT_EQ(hc.logger.Count("discarding stream with unacceptable label \"\""), 1);
  result = net.Join(hd, ha.endpoint);
  EXPECT_EQ(result.errors[0].substr(0, 29), "Failed to join 10.0.0.1:7946:");
  net.Do(hb, [&](Node& n, Instant now, Outbox& out) {
    n.SendBestEffort(now, ha.endpoint, AsBytes("x"), out);
  });
  net.Do(hc, [&](Node& n, Instant now, Outbox& out) {
    n.SendBestEffort(now, ha.endpoint, AsBytes("x"), out);
  });
  net.RunFor(seconds(1));
  EXPECT_EQ(ha.node->counters().dropped_decrypt, 1u);
  EXPECT_EQ(ha.node->counters().dropped_label, 1u);
  EXPECT_EQ(ha.logger.Count("[ERR] memberlist: Decrypt packet failed: "), 1);
  EXPECT_EQ(ha.logger.Count("[ERR] memberlist: discarding packet with unacceptable label \"blue\""),
            1);
  EXPECT_EQ(ha.node->known_nodes(), 1u);
}

TEST(NodeLayersMismatchTest, KeysMayBeIntroducedInARunningCluster) {
  TestNet net;
  // First decrypting is optional and encrypting off, then encrypting is on, then both.
  Config open = WithoutPushPull();
  Encrypt(open, AsBytes("0123456789abcdef"));
  open.verify_incoming = false;
  open.verify_outgoing = false;
  Host& a = net.Add(1, open);
  Config sending = open;
  sending.verify_outgoing = true;
  Host& b = net.Add(2, sending);
  Host& c = net.Add(3, WithoutPushPull());
  EXPECT_EQ(net.Join(b, a.endpoint).contacted, 1);
  EXPECT_EQ(net.Join(c, a.endpoint).contacted, 1);
  net.RunFor(seconds(2));
  EXPECT_EQ(a.node->live_nodes(), 3u);
}

TEST(NodeLayersMismatchTest, BehindAProxyPacketsMayCarryNoLabel) {
  TestNet net;
  Config config = WithoutPushPull();
  config.label = "blue";
  config.skip_inbound_label_check = true;
  Host& a = net.Add(1, config);
  net.Inject(a, TestNet::EndpointOf(9), TestNet::Encoded(wire::Ping{}));
  EXPECT_EQ(net.SentTo(TestNet::EndpointOf(9), "ack").size(), 1u);
  ByteVector labelled;
  wire::AppendLabelHeader("blue", labelled);
  Append(labelled, TestNet::Encoded(wire::Ping{}));
  net.Inject(a, TestNet::EndpointOf(9), labelled);
  EXPECT_EQ(a.node->counters().dropped_label, 1u);
  EXPECT_EQ(a.logger.Count("[ERR] memberlist: unexpected double packet label header"), 1);
}

// --- a cluster as a whole ---

TEST(NodeClusterTest, ThePurgedLeaveEverywhere) {
  TestNet net;
  const auto hosts = Cluster(net, 4, Config::Lan());
  net.Do(*hosts[3], [](Node& n, Instant now, Outbox& out) { n.Leave(now, out); });
  net.RunFor(seconds(3));
  hosts[3]->up = false;
  EXPECT_TRUE(net.RunUntil(seconds(120), [&] {
    return hosts[0]->node->known_nodes() == 3 && hosts[1]->node->known_nodes() == 3 &&
           hosts[2]->node->known_nodes() == 3;
  }));
  EXPECT_EQ(hosts[0]->delegate.Count("left n4"), 1);
  EXPECT_EQ(hosts[0]->delegate.Count("failed n4"), 0);
  EXPECT_EQ(hosts[0]->delegate.Count("purged n4"), 1);
  // Push/pulls do not bring them back.
  net.RunFor(seconds(200));
  for (int i = 0; i < 3; ++i) EXPECT_EQ(hosts[i]->node->known_nodes(), 3u);
}

TEST(NodeClusterTest, ARestartedNodeRefutesItsFormerLife) {
  TestNet net;
  auto hosts = Cluster(net, 3, Config::Lan());
  net.Do(*hosts[2], [](Node& n, Instant now, Outbox& out) { n.Leave(now, out); });
  net.RunFor(seconds(2));
  net.Remove(*hosts[2]);
  hosts[2] = &net.Add(3, Config::Lan());
  EXPECT_EQ(net.Join(*hosts[2], hosts[0]->endpoint).contacted, 1);
  EXPECT_TRUE(net.RunUntil(seconds(5), [&] {
    return hosts[0]->node->live_nodes() == 3 && hosts[1]->node->live_nodes() == 3;
  }));
  EXPECT_GE(hosts[2]->node->counters().refutations, 1u);
  EXPECT_EQ(hosts[0]->delegate.Count("join n3"), 2);
}

TEST(NodeClusterTest, APartitionHeals) {
  TestNet net;
  const auto hosts = Cluster(net, 4, Config::Lan());
  const auto side = [](const Endpoint& e) { return e.address.bytes()[3] <= 2; };
  net.drop = [&](const Host& from, const Endpoint& to) { return side(from.endpoint) != side(to); };
  net.refuse = net.drop;
  EXPECT_TRUE(net.RunUntil(seconds(60), [&] {
    for (const Host* h : hosts) {
      if (h->node->live_nodes() != 2) return false;
    }
    return true;
  }));
  net.drop = nullptr;
  net.refuse = nullptr;
  // Dead members still receive gossip for 30 s, and so learn that they are considered dead.
  EXPECT_TRUE(net.RunUntil(seconds(60), [&] {
    for (const Host* h : hosts) {
      if (h->node->live_nodes() != 4) return false;
    }
    return true;
  }));
}

// --- the same seed, the same run ---

std::string Transcript(std::uint64_t seed) {
  TestNet net;
  net.seed = seed;
  std::vector<Host*> hosts;
  for (int i = 1; i <= 5; ++i) {
    hosts.push_back(&net.Add(i));
    if (i > 1) net.Join(*hosts.back(), hosts.front()->endpoint);
  }
  net.RunFor(seconds(20));
  hosts[4]->up = false;
  net.RunFor(seconds(60));
  std::string text;
  for (const Sent& s : net.sent) {
    absl::StrAppend(&text, (s.at - Instant()).count(), " ", s.from, ">", s.to.ToString(), " ",
                    s.text, "\n");
  }
  return text;
}

TEST(NodeDeterminismTest, TheSameSeedGivesTheSameTranscript) {
  const std::string first = Transcript(7);
  EXPECT_GT(first.size(), 10000u);
  EXPECT_EQ(first, Transcript(7));
  EXPECT_NE(first, Transcript(8));
}

// Forged members, or a rack that failed: while they are still listed as alive, messages to them are
// lost. Probes notice it, and news still reaches the live members.
TEST(NodeGossipAmongDeadTest, NewsReachesTheLivingWhileMostListedOnesAreDead) {
  TestNet net;
  std::vector<TestNet::Host*> living;
  for (int i = 1; i <= 3; ++i) living.push_back(&net.Add(i));
  for (int i = 1; i < 3; ++i) ASSERT_EQ(net.Join(*living[i], living[0]->endpoint).contacted, 1);
  net.RunFor(seconds(5));
  const auto vsn = wire::VersionVector{1, 5, 2, 2, 5, 5}.ToBytes();
  const auto make_up = [&](int from, int to) {
    for (int i = from; i < to; ++i) {
      const std::string name = absl::StrCat("ghost-", i);
      const ByteVector alive =
          TestNet::Encoded(wire::Alive{.incarnation = wire::Incarnation(1),
                                       .node = name,
                                       .addr = TestNet::EndpointOf(i).address.bytes(),
                                       .port = 7946,
                                       .vsn = vsn});
      for (TestNet::Host* host : living) net.Inject(*host, TestNet::EndpointOf(99), alive);
    }
  };
  make_up(100, 160);
  net.RunFor(seconds(9));
  EXPECT_EQ(living[0]->node->live_nodes(), 63u);
  EXPECT_GT(living[0]->node->transmit_stretch(), 1);
  int reached = 0;
  for (int turn = 0; turn < 10; ++turn) {
    const std::string news = absl::StrCat("news ", turn);
    net.Do(*living[0], [&](Node& node, Instant now, Outbox& out) {
      ASSERT_TRUE(node.UpdateMeta(now, AsBytes(news), out).ok());
    });
    net.RunFor(seconds(2));
    for (int i = 1; i < 3; ++i) {
      const Node& node = *living[static_cast<std::size_t>(i)]->node;
      reached += AsText(node.info(*node.Find("n1")).meta()) == news ? 1 : 0;
    }
  }
  EXPECT_GE(reached, 12);
}

}  // namespace
}  // namespace serf::swim
