// Events, queries and keys between several machines in virtual time.

#include <chrono>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "serf/base/bytes.h"
#include "serf/base/time.h"
#include "serf/config.h"
#include "serf/event.h"
#include "serf/keys.h"
#include "serf/outbox.h"
#include "serf/query.h"
#include "serf/serf.h"
#include "serf/testing/sim/world.h"
#include "serf/testing/test_crypto.h"
#include "serf/wire/aead.h"

namespace serf {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using testkit::NodeId;
using testkit::World;

// Nodes "n0", "n1", ... that answer each query with their names. The test counts what they report.
class ClusterQueryTest : public ::testing::Test, private World::Observer {
 protected:
  ClusterQueryTest() : world_(7) { world_.AddObserver(this); }

  void Build(int size, const Config& base = Config::Lan()) {
    for (int i = 0; i < size; ++i) {
      Config config = base;
      config.swim.name = absl::StrCat("n", i);
      nodes_.push_back(world_.Add(config));
      if (i > 0) world_.Join(nodes_.back(), {nodes_.front()});
    }
    ASSERT_TRUE(world_.RunUntil(
        [&] {
          for (const NodeId node : nodes_) {
            if (world_.serf(node).member_count() != nodes_.size()) return false;
          }
          return true;
        },
        seconds(60)));
  }
  QueryId Ask(NodeId node, const QueryParams& params) {
    absl::StatusOr<QueryId> query = absl::UnknownError("");
    world_.Call(node, [&](Serf& serf, Instant now, Outbox& out) {
      query = serf.SendQuery(now, "uptime", "", params, out);
    });
    EXPECT_TRUE(query.ok()) << query.status();
    return query.value_or(QueryId());
  }
  // Every member that a query reached answers.
  void Answer() {
    for (auto& [node, id] : std::exchange(asked_, {})) {
      world_.Call(node, [&, id = id](Serf& serf, Instant now, Outbox& out) {
        EXPECT_TRUE(serf.Respond(now, id, serf.config().swim.name, out).ok());
      });
    }
  }

  World world_;
  std::vector<NodeId> nodes_;
  std::map<std::string, int> events_;  // "n1 deploy" -> how often
  std::vector<std::pair<NodeId, QueryId>> asked_;
  int updates_ = 0;

 private:
  void OnQueryUpdate(NodeId, const QueryUpdate&) override { ++updates_; }
  void OnEvent(NodeId node, const Event& event) override {
    if (const auto* user = std::get_if<UserEvent>(&event)) {
      ++events_[absl::StrCat(world_.name(node), " ", user->name)];
    } else if (const auto* query = std::get_if<QueryEvent>(&event)) {
      asked_.emplace_back(node, query->id);
    }
  }
};

TEST_F(ClusterQueryTest, AnEventReachesAllOnce) {
  Build(20);
  for (int i = 0; i < 30; ++i) {
    world_.Call(nodes_[static_cast<std::size_t>(i) % nodes_.size()],
                [&](Serf& serf, Instant now, Outbox& out) {
                  EXPECT_TRUE(serf.SendUserEvent(now, absl::StrCat("e", i), "", {}, out).ok());
                });
  }
  world_.RunFor(seconds(60));
  EXPECT_THAT(events_, SizeIs(20 * 30));
  for (const auto& [event, count] : events_) EXPECT_EQ(count, 1) << event;
}

TEST_F(ClusterQueryTest, WhoJoinsLaterHearsOfOldEventsOrNot) {
  Build(3);
  world_.Call(nodes_[0], [&](Serf& serf, Instant now, Outbox& out) {
    EXPECT_TRUE(serf.SendUserEvent(now, "old", "", {}, out).ok());
  });
  world_.RunFor(seconds(10));
  Config config = Config::Lan();
  config.swim.name = "replays";
  world_.Join(world_.Add(config), {nodes_[0]}, {.replay = true});
  config.swim.name = "ignores";
  world_.Join(world_.Add(config), {nodes_[0]}, {});
  world_.RunFor(seconds(90));
  EXPECT_EQ(events_.count("replays old"), 1u);
  EXPECT_EQ(events_.count("ignores old"), 0u);
}

TEST_F(ClusterQueryTest, AllAreAskedOnceAndAcksComeAlsoRelayed) {
  Build(12);
  const Serf& asker = world_.serf(nodes_[3]);
  Ask(nodes_[3], {.request_ack = true, .relay_factor = 2});
  world_.RunFor(seconds(2));
  EXPECT_THAT(asked_, SizeIs(12));
  Answer();
  world_.RunFor(seconds(1));
  EXPECT_EQ(asker.counters().query_acks, 12u);
  EXPECT_EQ(asker.counters().query_responses, 12u);
  // Each answer of the others came once more through each of two helpers.
  EXPECT_EQ(asker.counters().query_duplicate_acks, 22u);
  EXPECT_EQ(asker.counters().query_duplicate_responses, 22u);
}

TEST_F(ClusterQueryTest, RelaysBridgeABrokenLink) {
  Build(5);
  world_.links().Cut(nodes_[4], nodes_[0]);
  Ask(nodes_[0], {.request_ack = true, .relay_factor = 3});
  world_.RunFor(seconds(2));
  EXPECT_EQ(world_.serf(nodes_[0]).counters().query_acks, 5u);
}

// A key operation uses queries of its own.
TEST_F(ClusterQueryTest, OfAKeyOperationCutShortTheApplicationIsToldNothingElse) {
  Config config = Config::Lan();
  testkit::Encrypt(config.swim, ByteVector(16, 1));
  Build(2, config);
  world_.links().Partition({{nodes_[0]}, {nodes_[1]}});
  const RequestId request = world_.ManageKeys(nodes_[0], KeyOperation::kList, {}, 0);
  world_.Shutdown(nodes_[0]);
  ASSERT_NE(world_.completion(request), nullptr);
  EXPECT_FALSE(world_.completion(request)->status.ok());
  EXPECT_EQ(updates_, 0);
}

TEST_F(ClusterQueryTest, KeysRotateWithoutALoss) {
  Config config = Config::Lan();
  testkit::Encrypt(config.swim, ByteVector(16, 1));
  std::vector<std::shared_ptr<wire::Keyring>> rings;
  for (int i = 0; i < 5; ++i) {
    testkit::Encrypt(config.swim, ByteVector(16, 1));
    rings.push_back(config.swim.keyring);
    config.swim.name = absl::StrCat("n", i);
    nodes_.push_back(world_.Add(config));
    if (i > 0) world_.Join(nodes_.back(), {nodes_.front()});
  }
  world_.RunFor(seconds(10));
  const auto manage = [&](KeyOperation operation, const ByteVector& key) {
    const RequestId request = world_.NewRequest();
    world_.Call(nodes_[2], [&](Serf& serf, Instant now, Outbox& out) {
      serf.ManageKeys(now, request, operation, key, 0, out);
    });
    EXPECT_TRUE(
        world_.RunUntil([&] { return world_.completion(request) != nullptr; }, seconds(10)));
    return world_.completion(request)->status;
  };
  const ByteVector key(32, 2);
  EXPECT_EQ(manage(KeyOperation::kInstall, key), absl::OkStatus());
  EXPECT_EQ(manage(KeyOperation::kUse, key), absl::OkStatus());
  EXPECT_EQ(manage(KeyOperation::kRemove, ByteVector(16, 1)), absl::OkStatus());
  EXPECT_EQ(manage(KeyOperation::kList, {}), absl::OkStatus());
  for (const auto& ring : rings) {
    ASSERT_EQ(ring->keys().size(), 1u);
    EXPECT_EQ(ring->keys()[0], key);
  }
}

TEST_F(ClusterQueryTest, TwoAloneWithTheSameNameBothStay) {
  Config config = Config::Lan();
  config.swim.name = "twin";
  const NodeId a = world_.Add(config);
  const NodeId b = world_.Add(config);
  world_.Join(b, {a});
  world_.RunFor(seconds(120));
  EXPECT_EQ(world_.serf(a).state(), Serf::State::kAlive);
  EXPECT_EQ(world_.serf(b).state(), Serf::State::kAlive);
}

}  // namespace
}  // namespace serf
