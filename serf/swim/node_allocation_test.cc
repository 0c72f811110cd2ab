// Counts allocations: once its buffers have grown, a Node handles the datagrams of a cluster that
// does not change, and its own timers, without any.

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "serf/swim/node.h"
#include "serf/swim/test_net.h"
#include "serf/testing/allocations.h"

namespace serf::swim {
namespace {

using std::chrono::seconds;

// Sends nothing and notes nothing.
class SilentDelegate final : public RecordingDelegate {
 public:
  void OnUserMessage(Instant, const Endpoint&, ByteView, Spread) override { ++user_messages; }
  void OnPingComplete(Instant, MemberIndex, Duration, ByteView) override { ++round_trips; }
  std::size_t user_messages = 0;
  std::size_t round_trips = 0;
};

class NodeAllocationTest : public ::testing::Test {
 protected:
  static constexpr int kNodes = 4;

  NodeAllocationTest() {
    for (int i = 0; i < kNodes; ++i) {
      Config config = Config::Lan();
      config.push_pull_interval = Duration::zero();
      config.name = absl::StrCat("node-with-a-name-that-is-not-short-", i);
      config.advertise = TestNet::EndpointOf(i);
      config.seed = static_cast<std::uint64_t>(i);
      config.meta = ByteVector(100, std::uint8_t{'m'});
      nodes_.push_back(std::make_unique<Node>(config, delegates_[i]));
      delegates_[i].node = nodes_[i].get();
      delegates_[i].ack_payload = "coordinate";
      nodes_[i]->Start(now_, outs_[i]);
    }
    for (int i = 0; i < kNodes; ++i) {
      for (int j = 0; j < kNodes; ++j) Deliver(i, TestNet::Encoded(AliveOf(j)));
    }
  }

  wire::Alive AliveOf(int i, std::uint32_t incarnation = 1) {
    const Config& config = nodes_[i]->config();
    return {.incarnation = wire::Incarnation(incarnation),
            .node = config.name,
            .addr = config.advertise.address.bytes(),
            .port = config.advertise.port,
            .meta = config.meta,
            .vsn = versions_};
  }

  void Deliver(int to, ByteView bytes) {
    nodes_[to]->OnDatagram(now_, TestNet::EndpointOf(0), bytes, outs_[to]);
    Flush(to);
  }

  // Delivers the datagrams of node `i` at once, and those that they cause.
  void Flush(int i) {
    // Into a buffer of the depth of this call: delivering may fill the outbox again.
    ByteVector& copy = copies_[depth_];
    std::vector<std::pair<Endpoint, std::size_t>>& list = lists_[depth_];
    copy.clear();
    list.clear();
    for (const Outbox::Datagram& d : outs_[i].datagrams()) {
      Append(copy, outs_[i].bytes(d));
      list.emplace_back(d.to, copy.size());
    }
    outs_[i].Clear();
    ++depth_;
    std::size_t begin = 0;
    for (const auto& [to, end] : list) {
      const int target = to.address.bytes()[3];
      nodes_[target]->OnDatagram(now_, TestNet::EndpointOf(i),
                                 ByteView(copy).subspan(begin, end - begin), outs_[target]);
      begin = end;
      Flush(target);
    }
    --depth_;
  }

  void RunFor(Duration duration) {
    const Instant end = now_ + duration;
    for (;;) {
      int next = 0;
      for (int i = 1; i < kNodes; ++i) {
        if (nodes_[i]->NextDeadline() < nodes_[next]->NextDeadline()) next = i;
      }
      if (nodes_[next]->NextDeadline() > end) break;
      now_ = std::max(now_, nodes_[next]->NextDeadline());
      nodes_[next]->OnTimer(now_, outs_[next]);
      Flush(next);
    }
    now_ = end;
  }

  const std::array<std::uint8_t, 6> versions_ = wire::VersionVector{1, 5, 2, 0, 0, 0}.ToBytes();
  Instant now_{std::chrono::hours(1)};
  SilentDelegate delegates_[kNodes];
  Outbox outs_[kNodes];
  std::vector<std::unique_ptr<Node>> nodes_;
  std::size_t depth_ = 0;
  ByteVector copies_[16];
  std::vector<std::pair<Endpoint, std::size_t>> lists_[16];
};

TEST_F(NodeAllocationTest, ACalmClusterAllocatesNothing) {
  RunFor(seconds(30));
  const std::size_t before = testkit::allocations().count;
  const std::uint64_t datagrams = nodes_[0]->counters().datagrams_received;
  RunFor(seconds(60));
  EXPECT_EQ(testkit::allocations().count - before, 0u);
  EXPECT_GE(nodes_[0]->counters().datagrams_received - datagrams, 90u);
  EXPECT_GE(delegates_[0].round_trips, 60u);
}

TEST_F(NodeAllocationTest, NewsOfKnownStateAllocateNothing) {
  RunFor(seconds(30));
  ByteVector packet;
  const ByteVector alive = TestNet::Encoded(AliveOf(1));
  const ByteVector suspect = TestNet::Encoded(wire::Suspect{
      .incarnation = wire::Incarnation(0), .node = nodes_[1]->config().name, .from = "somebody"});
  const ByteVector dead = TestNet::Encoded(
      wire::Dead{.incarnation = wire::Incarnation(0), .node = "unknown", .from = "somebody"});
  const ByteVector user = {8, 'u'};
  const ByteView parts[] = {alive, suspect, dead, user};
  wire::AppendCompound(parts, packet);
  Deliver(2, packet);
  const std::size_t before = testkit::allocations().count;
  for (int i = 0; i < 1000; ++i) Deliver(2, packet);
  EXPECT_EQ(testkit::allocations().count - before, 0u);
  EXPECT_EQ(delegates_[2].user_messages, 1001u);
}

TEST_F(NodeAllocationTest, ASteadyStreamOfBroadcastsAllocatesNothing) {
  const ByteVector event(200, std::uint8_t{'e'});
  const auto broadcast = [&] {
    delegates_[0].queue.Enqueue("", event);
    nodes_[0]->WakeGossip(now_);
    RunFor(std::chrono::milliseconds(50));
  };
  for (int i = 0; i < 200; ++i) broadcast();
  const std::size_t before = testkit::allocations().count;
  for (int i = 0; i < 200; ++i) broadcast();
  EXPECT_EQ(testkit::allocations().count - before, 0u);
  EXPECT_GE(delegates_[1].user_messages, 200u);
}

TEST_F(NodeAllocationTest, RefusedDatagramsAllocateNothing) {
  const ByteVector bad[] = {{}, {99}, {7, 5}, {0, 0xc1}, {9, 0x80}, {12, 1, 2, 3, 4, 5}, {244, 1}};
  for (const ByteVector& b : bad) Deliver(0, b);
  const std::size_t before = testkit::allocations().count;
  for (int i = 0; i < 1000; ++i) {
    for (const ByteVector& b : bad) Deliver(0, b);
  }
  EXPECT_EQ(testkit::allocations().count - before, 0u);
}

}  // namespace
}  // namespace serf::swim
