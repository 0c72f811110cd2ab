// Waves: who tells all members, who passes on, and what marks and verdicts do
// (docs/decisions/0003-prompt-gossip.md).

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "serf/swim/node.h"
#include "serf/swim/packet_budget.h"
#include "serf/swim/test_net.h"

namespace serf::swim {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// Nodes that know each other and are calm. They gossip user messages on.
class NodeWaveTest : public testing::Test {
 protected:
  void Start(int nodes, Config config = Config::Lan()) {
    config.push_pull_interval = Duration::zero();
    for (int i = 1; i <= nodes; ++i) {
      hosts_.push_back(&net_.Add(i, config));
      hosts_.back()->delegate.regossip = true;
      hosts_.back()->delegate.transmit_limit = RetransmitLimit(config.retransmit_mult, nodes);
      if (i > 1) net_.Join(*hosts_.back(), hosts_.front()->endpoint);
    }
    net_.RunFor(seconds(10));
    for (const TestNet::Host* host : hosts_) {
      ASSERT_EQ(host->node->live_nodes(), static_cast<std::size_t>(nodes));
    }
    net_.sent.clear();
  }
  void Tell(TestNet::Host& host, const std::string& message) {
    host.delegate.heard.insert(message);
    host.delegate.messages.push_back(message);
    net_.Do(host, [&](Node& node, Instant now, Outbox&) {
      host.delegate.queue.Enqueue("", AsBytes(message), 0, Spread::kAll);
      node.WakeGossip(now);
    });
  }
  // A user message from 10.0.0.99, with or without the mark.
  void Hear(TestNet::Host& host, const std::string& message, bool marked) {
    ByteVector user;
    wire::AppendType(wire::MessageType::kUser, user);
    Append(user, AsBytes(message));
    std::vector<ByteView> parts;
    if (marked) parts.push_back(kToldMark);
    parts.push_back(user);
    ByteVector packet;
    wire::AppendMessages(parts, packet);
    net_.Inject(host, TestNet::EndpointOf(99), packet);
  }
  // What was sent since the last call and holds `part`.
  std::vector<TestNet::Sent> TakeSent(absl::string_view part) {
    std::vector<TestNet::Sent> found;
    for (const TestNet::Sent& s : net_.sent) {
      if (absl::StrContains(s.text, part)) found.push_back(s);
    }
    net_.sent.clear();
    return found;
  }
  std::size_t HaveHeard(const std::string& message) const {
    return static_cast<std::size_t>(std::count_if(
        hosts_.begin(), hosts_.end(),
        [&](const TestNet::Host* host) { return host->delegate.heard.contains(message); }));
  }

  TestNet net_;
  std::vector<TestNet::Host*> hosts_;
};

TEST_F(NodeWaveTest, WhoHasNewsTellsAllAndNobodyElseSendsAWave) {
  Start(20);
  Tell(*hosts_[0], "news");
  net_.RunFor(milliseconds(5));
  EXPECT_EQ(HaveHeard("news"), 20u);
  std::set<Endpoint> told;
  for (const TestNet::Sent& s : TakeSent("news")) {
    EXPECT_EQ(s.from, "n1");
    EXPECT_EQ(s.text, "told + user news");
    told.insert(s.to);
  }
  EXPECT_EQ(told.size(), 19u);
  // Repeats, to one member at a tick, as often as the protocol says; n1 itself repeats it once.
  net_.RunFor(milliseconds(1000));
  const std::size_t in_a_second = TakeSent("user news").size();
  EXPECT_GE(in_a_second, 19u * 4);
  EXPECT_LE(in_a_second, 19u * 6);
  net_.RunFor(seconds(10));
  EXPECT_EQ(in_a_second + TakeSent("user news").size(), 19u * 8 + 1);
}

TEST_F(NodeWaveTest, NewsOfATickedMemberGoFromHopToHop) {
  Start(20);
  Hear(*hosts_[0], "news", /*marked=*/false);
  net_.RunFor(milliseconds(100));
  EXPECT_EQ(HaveHeard("news"), 20u);
  const auto sent = TakeSent("user news");
  EXPECT_LE(sent.size(), 3u * 20);
  for (const TestNet::Sent& s : sent) EXPECT_EQ(s.text, "user news");
}

// A forger that marks a message and sends it to one member only costs time.
TEST_F(NodeWaveTest, AForgedMarkPreventsNothing) {
  Start(20);
  Hear(*hosts_[0], "news", /*marked=*/true);
  net_.RunFor(milliseconds(1));
  EXPECT_EQ(TakeSent("news").size(), 0u);
  EXPECT_TRUE(net_.RunUntil(seconds(3), [&] { return HaveHeard("news") == 20; }));
}

TEST_F(NodeWaveTest, AMarkIsNoMessage) {
  Start(2);
  Hear(*hosts_[0], "news", /*marked=*/true);
  EXPECT_EQ(hosts_[0]->delegate.messages, std::vector<std::string>{"news"});
}

// Its answer to a message about itself is a node's own news.
TEST_F(NodeWaveTest, ARefutationOfWhatAllWereToldGoesToAll) {
  Start(20);
  ByteVector suspect = TestNet::Encoded(
      wire::Suspect{.incarnation = wire::Incarnation(1), .node = "n1", .from = "n2"});
  const std::vector<ByteView> parts = {kToldMark, suspect};
  ByteVector packet;
  wire::AppendMessages(parts, packet);
  net_.Inject(*hosts_[0], TestNet::EndpointOf(2), packet);
  net_.RunFor(milliseconds(1));
  EXPECT_EQ(TakeSent("told + alive n1@2").size(), 19u);
}

// All members reach it by themselves, at nearly the same moment.
TEST_F(NodeWaveTest, AVerdictIsNotToldToAllByAll) {
  Start(30);
  hosts_[29]->up = false;
  const auto all_know = [&] {
    return std::all_of(hosts_.begin(), hosts_.end() - 1,
                       [](const TestNet::Host* h) { return h->node->live_nodes() == 29; });
  };
  ASSERT_TRUE(net_.RunUntil(seconds(60), all_know));
  net_.RunFor(milliseconds(50));
  // Three each, and a few more of those that have just missed its answer.
  EXPECT_LE(TakeSent("dead n30").size(), 4u * 29);
}

TEST_F(NodeWaveTest, WhatIsMoreThanTheBudgetIsPassedOnInItsOrder) {
  Start(20);
  constexpr std::size_t kBurst = 1000;
  for (std::size_t i = 0; i < kBurst; ++i) {
    Tell(*hosts_[0], absl::StrCat("event ", i, std::string(60, '.')));
  }
  const auto all_heard = [&] {
    return std::all_of(hosts_.begin(), hosts_.end(),
                       [](const TestNet::Host* h) { return h->delegate.heard.size() == kBurst; });
  };
  EXPECT_TRUE(net_.RunUntil(seconds(1), all_heard));
  for (const TestNet::Host* host : hosts_) {
    std::set<std::string> seen;
    std::size_t next = 0;
    for (const std::string& message : host->delegate.messages) {
      if (seen.insert(message).second) {
        EXPECT_TRUE(absl::StartsWith(message, absl::StrCat("event ", next++, ".")));
      }
    }
  }
}

// The mark takes three bytes of a packet, but no message is lost for that.
TEST_F(NodeWaveTest, AMessageThatFillsAPacketNeedsNoMark) {
  Config config = Config::Lan();
  Start(20, config);
  for (std::size_t less = 0; less <= kToldMarkCost; ++less) {
    std::string large = absl::StrCat(less, " ");
    large.resize(MaxGossipMessage(config) - less, '.');
    Tell(*hosts_[0], large);
    net_.RunFor(milliseconds(100));
    EXPECT_EQ(HaveHeard(large), 20u) << less;
  }
  for (const TestNet::Sent& s : net_.sent) {
    EXPECT_LE(s.size, static_cast<std::size_t>(config.packet_size));
  }
}

// All that a node sends within a moment may be lost together. Its news must not be lost with it.
TEST_F(NodeWaveTest, NewsOutliveALostWave) {
  Start(20);
  bool lost = true;
  net_.drop = [&](const TestNet::Host& from, const Endpoint&) { return lost && from.name == "n1"; };
  Tell(*hosts_[0], "news");
  net_.RunFor(milliseconds(20));
  EXPECT_EQ(HaveHeard("news"), 1u);
  lost = false;
  EXPECT_TRUE(net_.RunUntil(seconds(2), [&] { return HaveHeard("news") == 20; }));
}

// What members say of themselves is repeated, however many of them speak at once. Only of messages
// without a subject a flood may hold more than repeats have room for.
TEST_F(NodeWaveTest, WhatAllMembersSayAtOnceIsRepeated) {
  constexpr int kNodes = 60;
  Start(kNodes);
  int packets = 0;
  bool lossy = true;
  net_.drop = [&](const TestNet::Host&, const Endpoint&) { return lossy && ++packets % 10 == 0; };
  const std::string meta(400, 'x');
  for (TestNet::Host* host : hosts_) {
    net_.Do(*host, [&](Node& node, Instant now, Outbox& out) {
      EXPECT_TRUE(node.UpdateMeta(now, AsBytes(meta), out).ok());
    });
  }
  net_.RunFor(milliseconds(20));
  lossy = false;
  const auto behind = [&] {
    int count = 0;
    for (const TestNet::Host* host : hosts_) {
      for (const TestNet::Host* other : hosts_) {
        const auto member = host->node->Find(other->name);
        count += member && host->node->info(*member).meta().size() == meta.size() ? 0 : 1;
      }
    }
    return count;
  };
  EXPECT_GT(behind(), kNodes);
  net_.RunFor(seconds(8));
  EXPECT_EQ(behind(), 0);
}

// A wave to all would use up the packets of seconds, and what comes next would wait for them, a
// refutation, too. So members pass news on.
TEST_F(NodeWaveTest, ASmallBudgetOfPacketsDelaysNoNews) {
  Config config = Config::Lan();
  config.gossip_packets_per_second = 10;
  Start(20, config);
  for (int i = 0; i < 5; ++i) {
    const std::string news = absl::StrCat("news ", i);
    Tell(*hosts_[0], news);
    EXPECT_TRUE(net_.RunUntil(milliseconds(200), [&] { return HaveHeard(news) == 20; })) << i;
    net_.RunFor(milliseconds(500));
  }
}

// A node that finds that packets get lost passes on what is marked.
TEST_F(NodeWaveTest, WherePacketsGetLostNobodyRelysOnMarks) {
  Config config = Config::Lan();
  Start(5, config);
  // n1 hears n2 through others only.
  net_.drop = [&](const TestNet::Host& from, const Endpoint& to) {
    return from.name == "n2" && to == hosts_[0]->endpoint;
  };
  net_.refuse = [](const TestNet::Host&, const Endpoint&) { return true; };
  net_.RunFor(seconds(10));
  EXPECT_EQ(hosts_[0]->node->live_nodes(), 5u);
  net_.sent.clear();
  Hear(*hosts_[0], "news", /*marked=*/true);
  net_.RunFor(milliseconds(1));
  EXPECT_GE(TakeSent("user news").size(), 3u);
}

}  // namespace
}  // namespace serf::swim
