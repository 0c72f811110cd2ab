#include "serf/swim/node.h"

#include <chrono>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "serf/swim/test_net.h"

namespace serf::swim {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

using Host = TestNet::Host;

TEST(NodeTest, ALoneNodeKnowsItselfAndIsQuiet) {
  TestNet net;
  Host& a = net.Add(1);
  EXPECT_THAT(a.delegate.events, ElementsAre("join n1"));
  EXPECT_EQ(a.node->state(a.node->self()), NodeState::kAlive);
  EXPECT_EQ(a.node->incarnation(a.node->self()), wire::Incarnation(1));
  net.RunFor(seconds(60));
  EXPECT_EQ(a.node->counters().datagrams_sent, 0u);
  EXPECT_EQ(a.node->counters().streams_dialled, 0u);
}

TEST(NodeTest, JoinTeachesBothSides) {
  TestNet net;
  Host& a = net.Add(1);
  Host& b = net.Add(2);
  const Node::JoinDone result = net.Join(b, a.endpoint);
  EXPECT_EQ(result.contacted, 1);
  EXPECT_THAT(result.errors, IsEmpty());
  EXPECT_THAT(a.delegate.events, ElementsAre("join n1", "join n2"));
  EXPECT_THAT(b.delegate.events, ElementsAre("join n2", "join n1"));
}

TEST(NodeTest, FiveNodesFindEachOtherAndStayTogether) {
  TestNet net;
  std::vector<Host*> hosts;
  for (int i = 1; i <= 5; ++i) {
    hosts.push_back(&net.Add(i));
    if (i == 1) continue;
    EXPECT_EQ(net.Join(*hosts.back(), hosts.front()->endpoint).contacted, 1);
  }
  EXPECT_TRUE(net.RunUntil(seconds(5), [&] {
    for (Host* h : hosts) {
      if (h->node->live_nodes() != 5) return false;
    }
    return true;
  }));
  net.RunFor(seconds(60));
  for (Host* h : hosts) {
    EXPECT_EQ(h->node->live_nodes(), 5u);
    EXPECT_EQ(h->node->counters().probes_failed, 0u);
    EXPECT_EQ(h->node->counters().suspect_applied, 0u);
    EXPECT_GT(h->node->counters().probes, 40u);
  }
}

TEST(NodeTest, ACrashedNodeIsFoundAndForgotten) {
  TestNet net;
  std::vector<Host*> hosts;
  for (int i = 1; i <= 4; ++i) {
    hosts.push_back(&net.Add(i));
    if (i > 1) net.Join(*hosts.back(), hosts.front()->endpoint);
  }
  net.RunFor(seconds(5));
  hosts[3]->up = false;
  EXPECT_TRUE(net.RunUntil(seconds(30), [&] {
    for (int i = 0; i < 3; ++i) {
      if (hosts[i]->delegate.Count("failed n4") != 1) return false;
    }
    return true;
  }));
  for (int i = 0; i < 3; ++i) EXPECT_EQ(hosts[i]->node->live_nodes(), 3u);
  EXPECT_EQ(hosts[0]->delegate.Count("purged n4"), 0);
  EXPECT_TRUE(net.RunUntil(seconds(60), [&] {
    for (int i = 0; i < 3; ++i) {
      if (hosts[i]->delegate.Count("purged n4") != 1) return false;
    }
    return true;
  }));
  for (int i = 0; i < 3; ++i) EXPECT_EQ(hosts[i]->node->known_nodes(), 3u);
}

TEST(NodeTest, LeaveIsNoFailure) {
  TestNet net;
  Host& a = net.Add(1);
  Host& b = net.Add(2);
  net.Join(b, a.endpoint);
  net.RunFor(seconds(2));
  net.Do(b, [](Node& n, Instant now, Outbox& out) { n.Leave(now, out); });
  EXPECT_TRUE(net.RunUntil(seconds(5), [&] { return b.delegate.Count("leave is out") == 1; }));
  // It is under way.
  EXPECT_TRUE(net.RunUntil(milliseconds(5), [&] { return a.delegate.Count("left n2") == 1; }));
  EXPECT_EQ(a.node->live_nodes(), 1u);
}

}  // namespace
}  // namespace serf::swim
