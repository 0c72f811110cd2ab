// Whatever happens to the Lamport clocks of a cluster, every living node hears the others and is
// heard (docs/decisions/0008-clocks-follow.md).

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "serf/base/bytes.h"
#include "serf/base/time.h"
#include "serf/config.h"
#include "serf/keys.h"
#include "serf/lamport/lamport_clock.h"
#include "serf/member.h"
#include "serf/outbox.h"
#include "serf/testing/checkers/checkers.h"
#include "serf/testing/checkers/hearing_checker.h"
#include "serf/testing/sim/clock_jump.h"
#include "serf/testing/sim/link_model.h"
#include "serf/testing/sim/world.h"
#include "serf/testing/test_crypto.h"

namespace serf::testkit {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr std::uint64_t kCeiling = LamportClock::kCeiling;
constexpr std::uint64_t kSaved = 60 * LamportClock::kStepsPerSecond;

class ClocksTest : public ::testing::Test {
 protected:
  // The configuration says that the cluster is encrypted, so that keys can be managed, but sends
  // plaintext, so that the test can inject messages.
  static Config SomeConfig(const std::string& name) {
    Config config = Config::Lan();
    config.swim.name = name;
    Encrypt(config.swim, ByteVector(16, 1));
    config.swim.verify_incoming = false;
    config.swim.verify_outgoing = false;
    return config;
  }
  NodeId Add(bool snapshot = false) {
    Config config = SomeConfig(absl::StrCat("n", world_.size()));
    if (snapshot) config.snapshot.emplace();
    return world_.Add(config);
  }
  // Starts nodes, and waits until all living ones agree.
  void Build(std::size_t nodes, bool snapshot = false) {
    for (std::size_t i = 0; i < nodes; ++i) {
      nodes_.push_back(Add(snapshot));
      if (i > 0) world_.Join(nodes_[i], {nodes_[0]});
    }
    ASSERT_TRUE(world_.RunUntil([&] { return Agrees(world_); }, minutes(1), milliseconds(100)));
  }
  void ExpectAllHear(Duration patience = seconds(5)) {
    hearing_.Speak(/*ask=*/true, patience);
    world_.RunUntil([&] { return hearing_.Missing().empty(); }, patience, milliseconds(50));
    EXPECT_EQ(hearing_.Missing(), "");
  }
  // Waits until the clocks of all nodes are the same.
  bool WaitUntilLevel(Duration patience) {
    return world_.RunUntil(
        [&] {
          for (const NodeId node : nodes_) {
            if (ClocksOf(world_, node) != ClocksOf(world_, nodes_[0])) return false;
          }
          return true;
        },
        patience, seconds(1));
  }
  void ExpectKeysWork(NodeId node) {
    for (const KeyOperation operation :
         {KeyOperation::kInstall, KeyOperation::kUse, KeyOperation::kList}) {
      const RequestId request = world_.ManageKeys(node, operation, ByteVector(16, 2), 0);
      world_.RunUntil([&] { return world_.completion(request) != nullptr; }, seconds(30));
      ASSERT_NE(world_.completion(request), nullptr);
      EXPECT_TRUE(world_.completion(request)->status.ok())
          << world_.name(node) << ": " << world_.completion(request)->status;
    }
  }

  World world_{1};
  HearingChecker hearing_{world_};
  std::vector<NodeId> nodes_;
};

// --- a jump of the present nodes, and a node that comes later ---

class LateStarterTest : public ClocksTest, public ::testing::WithParamInterface<std::uint64_t> {};

TEST_P(LateStarterTest, TakesPart) {
  Build(3);
  SayAll(world_, nodes_[0], GetParam());
  world_.RunFor(seconds(5));
  ExpectAllHear();
  const NodeId victim = nodes_[2];
  nodes_.push_back(Add());
  world_.Join(nodes_[3], {nodes_[1]});
  ASSERT_TRUE(world_.RunUntil([&] { return Agrees(world_); }, minutes(1), milliseconds(100)));
  ExpectAllHear();
  ExpectKeysWork(nodes_[3]);
  ExpectKeysWork(nodes_[0]);
  // Intents: both sides believe an operator's force-leave of a failed member.
  world_.Crash(victim);
  const auto status = [&](NodeId node) {
    return world_.serf(node).FindMember(world_.name(victim))->status;
  };
  ASSERT_TRUE(world_.RunUntil([&] { return status(nodes_[3]) == MemberStatus::kFailed; },
                              minutes(2), milliseconds(100)));
  world_.RunFor(seconds(5));
  world_.ForceLeave(nodes_[0], world_.name(victim), {});
  world_.RunFor(seconds(5));
  EXPECT_EQ(status(nodes_[3]), MemberStatus::kLeft);
  // A node leaves, too.
  world_.Leave(nodes_[3]);
  world_.RunFor(seconds(20));
  EXPECT_EQ(world_.serf(nodes_[0]).FindMember(world_.name(nodes_[3]))->status, MemberStatus::kLeft);
  ExpectAllHear();
}

INSTANTIATE_TEST_SUITE_P(Jumps, LateStarterTest,
                         ::testing::Values(std::uint64_t{1} << 20, std::uint64_t{1} << 40,
                                           (std::uint64_t{1} << 40) + 2, std::uint64_t{1} << 62,
                                           std::uint64_t{1} << 63, kCeiling - 1, kCeiling + 1000,
                                           kCeiling + kSaved - 1, ~std::uint64_t{0} - 1,
                                           ~std::uint64_t{0}));

// --- two operators at once ---

TEST_F(ClocksTest, TwoPrimaryKeysAtOnceEndAsOneEverywhere) {
  Build(8);
  for (std::uint8_t key = 2; key <= 3; ++key) {
    const RequestId request =
        world_.ManageKeys(nodes_[0], KeyOperation::kInstall, ByteVector(16, key), 0);
    world_.RunUntil([&] { return world_.completion(request) != nullptr; }, seconds(30));
    ASSERT_TRUE(world_.completion(request)->status.ok()) << world_.completion(request)->status;
  }
  int winners = 0;
  for (std::size_t i = 0; i < 20; ++i) {
    world_.ManageKeys(nodes_[i % 7], KeyOperation::kUse, ByteVector(16, 2), 0);
    world_.ManageKeys(nodes_[i % 7 + 1], KeyOperation::kUse, ByteVector(16, 3), 0);
    world_.RunFor(seconds(15));
    const auto primary = [&](NodeId node) {
      return world_.serf(node).config().swim.keyring->keys().front();
    };
    for (const NodeId node : nodes_) EXPECT_EQ(primary(node), primary(nodes_[0])) << i;
    winners |= primary(nodes_[0])[0] == 2 ? 1 : 2;
  }
  EXPECT_EQ(winners, 3) << "now the one, now the other";
}

// --- jumps that not all nodes hear ---

TEST_F(ClocksTest, StepsThatOneHearsAloneDoNotCutItOff) {
  Build(5);
  world_.links().Partition({{nodes_[0]}, {nodes_[1], nodes_[2], nodes_[3], nodes_[4]}});
  for (std::uint64_t step = 1; step <= 8; ++step) {
    SayAll(world_, nodes_[0], step << 40);
  }
  world_.links().Heal();
  ASSERT_TRUE(world_.RunUntil([&] { return Agrees(world_); }, minutes(3), milliseconds(100)));
  ASSERT_TRUE(WaitUntilLevel(minutes(3)));
  ExpectAllHear();
}

TEST_F(ClocksTest, BothPartsOfAPartitionJump) {
  Build(6);
  world_.links().Partition({{nodes_[0], nodes_[1], nodes_[2]}, {nodes_[3], nodes_[4], nodes_[5]}});
  world_.RunFor(minutes(5));
  SayAll(world_, nodes_[0], std::uint64_t{1} << 61);
  SayAll(world_, nodes_[3], std::uint64_t{1} << 63);
  world_.RunFor(minutes(5));
  world_.links().Heal();
  ASSERT_TRUE(world_.RunUntil([&] { return Agrees(world_); }, minutes(3), milliseconds(100)));
  ASSERT_TRUE(WaitUntilLevel(minutes(3)));
  ExpectAllHear();
}

TEST_F(ClocksTest, TwoClustersWithDifferentPastsBecomeOne) {
  Build(3);
  SayAll(world_, nodes_[0], std::uint64_t{1} << 50);
  const NodeId other = Add();
  const NodeId friend_of_other = Add();
  world_.Join(friend_of_other, {other});
  world_.RunFor(seconds(10));
  SayAll(world_, other, kCeiling - 7);
  world_.RunFor(seconds(10));
  world_.Join(other, {nodes_[0]});
  nodes_.push_back(other);
  nodes_.push_back(friend_of_other);
  ASSERT_TRUE(world_.RunUntil([&] { return Agrees(world_); }, minutes(3), milliseconds(100)));
  ASSERT_TRUE(WaitUntilLevel(minutes(3)));
  ExpectAllHear();
}

TEST_F(ClocksTest, WhoRestartsTakesPartWithAndWithoutAFile) {
  Build(4, /*snapshot=*/true);
  SayAll(world_, nodes_[0], std::uint64_t{1} << 62);
  world_.RunFor(seconds(5));
  world_.Shutdown(nodes_[1]);
  SayAll(world_, nodes_[0], kCeiling + 500);
  world_.RunFor(minutes(1));
  world_.Restart(nodes_[1]);
  ASSERT_TRUE(world_.RunUntil([&] { return Agrees(world_); }, minutes(3), milliseconds(100)));
  ExpectAllHear();
  EXPECT_GT(ClocksOf(world_, nodes_[1]).event, kCeiling);
}

// --- beyond the ceiling ---

// Moves the clock of one node, for so long, as far as the node allows.
void Flood(World& world, NodeId node, Duration duration) {
  const Instant end = world.now() + duration;
  while (world.now() < end) {
    const Clocks clocks = ClocksOf(world, node);
    for (std::uint64_t step = kSaved; step > 0; step /= 2) {
      SayEvent(world, node, std::max(clocks.event, kCeiling) + step,
               absl::StrCat("flood ", clocks.event + step));
      SayQuery(world, node, std::max(clocks.query, kCeiling) + step);
      SayIntent(world, node, std::max(clocks.member, kCeiling) + step);
    }
    world.RunFor(seconds(10));
  }
}

TEST_F(ClocksTest, AFloodBeyondTheCeilingIsSlowRefusedAndSplitsNobody) {
  Build(4);
  Flood(world_, nodes_[0], minutes(10));
  const Clocks clocks = ClocksOf(world_, nodes_[0]);
  EXPECT_GT(clocks.event, kCeiling);
  EXPECT_LE(clocks.event, kCeiling + 12 * kSaved);
  EXPECT_GT(world_.serf(nodes_[0]).counters().dropped_time, 100u);
  world_.RunFor(minutes(2));
  ASSERT_TRUE(WaitUntilLevel(minutes(3)));
  ExpectAllHear();
  // A node that starts now takes part at once, though its clock is far behind.
  nodes_.push_back(Add());
  world_.Join(nodes_.back(), {nodes_[1]});
  ASSERT_TRUE(world_.RunUntil([&] { return Agrees(world_); }, minutes(1), milliseconds(100)));
  ExpectAllHear();
  ExpectKeysWork(nodes_.back());
}

// When one node alone was flooded, the others catch up in no more time than the flood took.
TEST_F(ClocksTest, AFloodBeyondTheCeilingInOnePartOfAPartition) {
  Build(4);
  world_.links().Partition({{nodes_[0], nodes_[1]}, {nodes_[2], nodes_[3]}});
  Flood(world_, nodes_[0], minutes(10));
  world_.links().Heal();
  ASSERT_TRUE(WaitUntilLevel(minutes(12)));
  ExpectAllHear();
}

// At the end of the range no time would be newer any more.
TEST_F(ClocksTest, TheEndOfTheNumbersIsNowhereNear) {
  Build(3);
  for (std::uint64_t back = 0; back < 64; ++back) {
    SayAll(world_, nodes_[0], ~std::uint64_t{0} - back);
  }
  Flood(world_, nodes_[0], minutes(1));
  world_.RunFor(minutes(2));
  for (const NodeId node : nodes_) {
    EXPECT_LT(ClocksOf(world_, node).event, LamportClock::kAdoptMax);
    EXPECT_LT(ClocksOf(world_, node).query, LamportClock::kAdoptMax);
    EXPECT_LT(ClocksOf(world_, node).member, LamportClock::kAdoptMax);
  }
  ASSERT_TRUE(WaitUntilLevel(minutes(3)));
  ExpectAllHear();
}

}  // namespace
}  // namespace serf::testkit
