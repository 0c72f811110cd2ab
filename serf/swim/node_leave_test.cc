// What a Node says about itself: its departure, and new metadata.

#include <chrono>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "serf/swim/hearing_node.h"
#include "serf/swim/node.h"
#include "serf/swim/test_net.h"

namespace serf::swim {
namespace {

using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

class NodeLeaveTest : public ::testing::Test, protected HearingNode {};

// --- leaving (docs/protocol/membership.md 4.8) ---

TEST_F(NodeLeaveTest, AfterLeavingTheNodeIsSilentAboutItself) {
  Alive(2, 1);
  Events();
  net_.Do(host_, [](Node& n, Instant now, Outbox& out) { n.Leave(now, out); });
  EXPECT_EQ(StateOf("n1"), "left 1");
  EXPECT_TRUE(node().has_left());
  EXPECT_TRUE(Gossips("dead n1@1 by n1"));
  EXPECT_THAT(Events(), ElementsAre("left n1", "leave is out"));
  Suspect("n1", 5, "n2");
  Dead("n1", 5, "n2");
  Alive({"n1", 7, TestNet::EndpointOf(1), "x"});
  EXPECT_EQ(StateOf("n1"), "left 1");
  EXPECT_EQ(counters().refutations, 0u);
  net_.Do(host_, [](Node& n, Instant now, Outbox& out) { n.Leave(now, out); });
  net_.RunFor(seconds(120));
  EXPECT_THAT(Events(), IsEmpty());
  EXPECT_TRUE(node().Find("n1").has_value());
  // It still answers.
  net_.sent.clear();
  Hear(wire::Ping{.seq_no = wire::SequenceNumber(3), .node = "n1"});
  EXPECT_EQ(net_.SentTo(TestNet::EndpointOf(9), "ack").size(), 1u);
}

TEST_F(NodeLeaveTest, LeavingAloneIsDoneAtOnce) {
  net_.Do(host_, [](Node& n, Instant now, Outbox& out) { n.Leave(now, out); });
  EXPECT_THAT(Events(), ElementsAre("left n1", "leave is out"));
}

TEST_F(NodeLeaveTest, LeavingWaitsForSuspectsAndNotForTheDead) {
  Alive(2, 1);
  Dead("n2", 1, "n3");
  Alive(3, 1);
  Suspect("n3", 1, "n2");
  Events();
  net_.Do(host_, [](Node& n, Instant now, Outbox& out) { n.Leave(now, out); });
  EXPECT_THAT(Events(), ElementsAre("left n1"));
  net_.RunFor(seconds(2));
  EXPECT_THAT(Events(), ElementsAre("leave is out"));
}

TEST_F(NodeLeaveTest, LeavingAmongTheDeadIsDoneAtOnce) {
  Alive(2, 1);
  Dead("n2", 1, "n3");
  Events();
  net_.Do(host_, [](Node& n, Instant now, Outbox& out) { n.Leave(now, out); });
  EXPECT_THAT(Events(), ElementsAre("left n1", "leave is out"));
}

// --- new metadata (docs/protocol/membership.md 7.7) ---

TEST_F(NodeLeaveTest, UpdateMetaIsAnnouncedWithAHigherIncarnation) {
  Alive(2, 1);
  Events();
  const auto update = [&](absl::string_view meta) {
    absl::Status status;
    net_.Do(host_, [&](Node& n, Instant now, Outbox& out) {
      status = n.UpdateMeta(now, AsBytes(meta), out);
    });
    return status;
  };
  EXPECT_TRUE(update("new").ok());
  EXPECT_EQ(StateOf("n1"), "alive 2");
  EXPECT_EQ(AsText(node().info(node().self()).meta()), "new");
  EXPECT_THAT(Events(), ElementsAre("update n1"));
  EXPECT_TRUE(Gossips("alive n1@2 new"));
  EXPECT_THAT(Events(), ElementsAre("update is out"));
  // A later update and a refutation replace the queued message; each call is reported once all the
  // same.
  EXPECT_TRUE(update("newer").ok());
  EXPECT_TRUE(update("newest").ok());
  EXPECT_THAT(Events(), ElementsAre("update n1", "update n1", "update is out"));
  Suspect("n1", 4, "n2");
  EXPECT_THAT(Events(), IsEmpty());
  EXPECT_TRUE(Gossips("alive n1@5 newest"));
  EXPECT_THAT(Events(), ElementsAre("update is out"));
  EXPECT_EQ(update(std::string(kMetaMax + 1, 'm')).code(), absl::StatusCode::kInvalidArgument);
  net_.Do(host_, [](Node& n, Instant now, Outbox& out) { n.Leave(now, out); });
  EXPECT_EQ(update("x").code(), absl::StatusCode::kFailedPrecondition);
}

TEST_F(NodeLeaveTest, UpdateMetaAloneIsDoneAtOnce) {
  net_.Do(host_, [&](Node& n, Instant now, Outbox& out) {
    EXPECT_TRUE(n.UpdateMeta(now, AsBytes("new"), out).ok());
  });
  EXPECT_THAT(Events(), ElementsAre("update n1", "update is out"));
}

}  // namespace
}  // namespace serf::swim
