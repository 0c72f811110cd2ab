// Which suspicions a Node ends sooner than Go Serf: those of members that say that they gossip
// promptly (docs/decisions/0013-shorter-suspicions.md). n1 is real. The test plays the others,
// unless they are real too.

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "serf/swim/node.h"
#include "serf/swim/test_net.h"

namespace serf::swim {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using wire::Incarnation;

Config Calm(GossipPacing pacing) {
  Config config = Config::Lan();
  config.push_pull_interval = Duration::zero();
  config.disable_tcp_pings = true;
  config.gossip_pacing = pacing;
  return config;
}

class Accused {
 public:
  explicit Accused(const Config& config) : host_(net_.Add(1, config)) { Know(2); }

  void Know(int i, std::uint32_t incarnation = 1) {
    const auto vsn = wire::VersionVector{1, 5, 2, 0, 0, 0}.ToBytes();
    const Endpoint endpoint = TestNet::EndpointOf(i);
    const std::string name = absl::StrCat("n", i);
    Hear(wire::Alive{.incarnation = Incarnation(incarnation),
                     .node = name,
                     .addr = endpoint.address.bytes(),
                     .port = endpoint.port,
                     .meta = {},
                     .vsn = vsn});
  }
  // n2 answers the next ping of n1.
  void Answer(bool prompt) {
    const Endpoint two = TestNet::EndpointOf(2);
    const std::size_t before = net_.SentTo(two, "ping n2").size();
    ASSERT_TRUE(
        net_.RunUntil(seconds(5), [&] { return net_.SentTo(two, "ping n2").size() > before; }));
    Hear(wire::Ack{.seq_no = net_.SentTo(two, "ping n2").back().sequences[0],
                   .payload = {},
                   .prompt = prompt});
  }
  void Die() {
    Hear(wire::Dead{.incarnation = Incarnation(1), .node = "n2", .from = "n3"});
    ASSERT_EQ(state(), NodeState::kDead);
  }
  // How long n1 suspects n2 if three members suspect it, among five.
  Duration SuspectedFor(std::uint32_t incarnation = 1) {
    for (int i = 3; i <= 5; ++i) Know(i);
    for (const char* from : {"n3", "n4", "n5"}) {
      Hear(wire::Suspect{.incarnation = Incarnation(incarnation), .node = "n2", .from = from});
    }
    EXPECT_EQ(state(), NodeState::kSuspect);
    const Instant start = net_.now;
    EXPECT_TRUE(net_.RunUntil(seconds(60), [&] { return state() == NodeState::kDead; }));
    return net_.now - start;
  }
  NodeState state() const { return host_.node->state(*host_.node->Find("n2")); }

 private:
  template <typename Message>
  void Hear(const Message& message) {
    net_.Inject(host_, TestNet::EndpointOf(2), TestNet::Encoded(message));
  }

  TestNet net_;
  TestNet::Host& host_;
};

TEST(NodePrompt, AMemberThatSaysSoHasLessTimeToRefute) {
  Accused accused(Calm(GossipPacing::kPrompt));
  accused.Answer(/*prompt=*/true);
  EXPECT_EQ(accused.SuspectedFor(), milliseconds(1600));
}

TEST(NodePrompt, AnyOtherMemberHasTheTimeThatGoSerfGivesIt) {
  Accused accused(Calm(GossipPacing::kPrompt));
  accused.Answer(/*prompt=*/false);
  EXPECT_EQ(accused.SuspectedFor(), seconds(4));
}

TEST(NodePrompt, TheLatestAnswerCounts) {
  Accused accused(Calm(GossipPacing::kPrompt));
  accused.Answer(/*prompt=*/true);
  accused.Answer(/*prompt=*/false);
  EXPECT_EQ(accused.SuspectedFor(), seconds(4));
}

TEST(NodePrompt, AMemberThatReturnsMustSayItAgain) {
  Accused accused(Calm(GossipPacing::kPrompt));
  accused.Answer(/*prompt=*/true);
  accused.Die();
  accused.Know(2, /*incarnation=*/2);
  EXPECT_EQ(accused.SuspectedFor(/*incarnation=*/2), seconds(4));
}

TEST(NodePrompt, ATickedNodeGivesAllMembersTheFullTime) {
  Accused accused(Calm(GossipPacing::kTicked));
  accused.Answer(/*prompt=*/true);
  EXPECT_EQ(accused.SuspectedFor(), seconds(4));
}

TEST(NodePrompt, AHundredPercentIsGoSerfsTime) {
  Config config = Calm(GossipPacing::kPrompt);
  config.suspicion_prompt_percent = 100;
  Accused accused(config);
  accused.Answer(/*prompt=*/true);
  EXPECT_EQ(accused.SuspectedFor(), seconds(4));
}

// How long n1 suspects n2, one of five real nodes, after n2 has died.
Duration RealSuspicion(GossipPacing pacing_of_the_dead) {
  TestNet net;
  std::vector<TestNet::Host*> hosts;
  for (int i = 1; i <= 5; ++i) {
    hosts.push_back(&net.Add(i, Calm(i == 2 ? pacing_of_the_dead : GossipPacing::kPrompt)));
    if (i > 1) net.Join(*hosts.back(), hosts.front()->endpoint);
  }
  net.RunFor(seconds(15));  // each has probed all
  const auto state = [&] { return hosts[0]->node->state(*hosts[0]->node->Find("n2")); };
  EXPECT_EQ(state(), NodeState::kAlive);
  net.drop = [](const TestNet::Host& from, const Endpoint& to) {
    return from.name == "n2" || to == TestNet::EndpointOf(2);
  };
  EXPECT_TRUE(net.RunUntil(seconds(10), [&] { return state() == NodeState::kSuspect; }));
  const Instant suspected = net.now;
  EXPECT_TRUE(net.RunUntil(seconds(30), [&] { return state() == NodeState::kDead; }));
  return net.now - suspected;
}

TEST(NodePrompt, TheDeathOfARealPromptMemberIsKnownSooner) {
  EXPECT_LT(RealSuspicion(GossipPacing::kPrompt), milliseconds(3800));
  EXPECT_GE(RealSuspicion(GossipPacing::kTicked), milliseconds(3900));
}

}  // namespace
}  // namespace serf::swim
