// Tests the World itself: it carries datagrams and streams, and its faults have the promised
// effects.

#include "serf/testing/sim/world.h"

#include <chrono>
#include <string>

#include "gtest/gtest.h"
#include "serf/config.h"
#include "serf/testing/checkers/checkers.h"
#include "serf/testing/sim/virtual_disk.h"

namespace serf::testkit {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

TEST(World, TwoNodesMeet) {
  World world(1);
  const NodeId a = world.Add("a");
  const NodeId b = world.Add("b");
  const RequestId join = world.Join(b, {a});
  ASSERT_TRUE(world.RunUntil([&] { return world.completion(join) != nullptr; }, seconds(5)));
  EXPECT_TRUE(world.completion(join)->status.ok()) << world.completion(join)->status;
  EXPECT_EQ(world.completion(join)->contacted, 1);
  ASSERT_TRUE(world.RunUntil([&] { return Agrees(world); }, seconds(5))) << Disagreement(world);
  EXPECT_EQ(world.serf(a).member_count(), 2u);
  EXPECT_EQ(world.FindNode("b"), b);
  EXPECT_FALSE(world.FindNode("c"));
}

TEST(World, ACrashedNodeRefusesAndIsFoundOut) {
  World world(2);
  const NodeId a = world.Add("a");
  const NodeId b = world.Add("b");
  const NodeId c = world.Add("c");
  world.Join(b, {a});
  world.RunFor(seconds(2));
  world.Crash(b);
  EXPECT_FALSE(world.is_up(b));
  const RequestId join = world.Join(c, {b});
  ASSERT_TRUE(world.RunUntil([&] { return world.completion(join) != nullptr; }, seconds(15)));
  EXPECT_FALSE(world.completion(join)->status.ok());
  EXPECT_EQ(world.links().counters().dials_refused, 1u);
  EXPECT_TRUE(world.RunUntil(
      [&] { return world.serf(a).FindMember("b")->status == MemberStatus::kFailed; }, seconds(60)));
  world.Restart(b);
  world.Join(b, {a});
  EXPECT_TRUE(world.RunUntil(
      [&] { return world.serf(a).FindMember("b")->status == MemberStatus::kAlive; }, seconds(10)));
}

TEST(World, APausedNodeCatchesUp) {
  World world(3);
  const NodeId a = world.Add("a");
  const NodeId b = world.Add("b");
  world.Join(b, {a});
  world.RunFor(seconds(2));
  world.Pause(b);
  const Instant before = world.now();
  EXPECT_TRUE(world.RunUntil(
      [&] { return world.serf(a).FindMember("b")->status == MemberStatus::kFailed; }, seconds(60)));
  EXPECT_EQ(world.last_fault(), world.now());
  EXPECT_GT(world.last_fault(), before);
  world.Resume(b);
  EXPECT_TRUE(world.RunUntil([&] { return Agrees(world); }, seconds(60))) << Disagreement(world);
}

TEST(World, CutsArePerDirection) {
  World world(4);
  const NodeId a = world.Add("a");
  const NodeId b = world.Add("b");
  world.links().Cut(a, b);
  EXPECT_FALSE(world.links().Reaches(a, b));
  EXPECT_TRUE(world.links().Reaches(b, a));
  const RequestId join = world.Join(a, {b});
  ASSERT_TRUE(world.RunUntil([&] { return world.completion(join) != nullptr; }, seconds(30)));
  EXPECT_FALSE(world.completion(join)->status.ok());
  EXPECT_EQ(world.links().counters().dials_cut, 1u);
  world.links().Mend(a, b);
  const RequestId again = world.Join(a, {b});
  ASSERT_TRUE(world.RunUntil([&] { return world.completion(again) != nullptr; }, seconds(30)));
  EXPECT_TRUE(world.completion(again)->status.ok());
}

TEST(World, ActionsHappenInTheirTimeAndOrder) {
  World world(5);
  std::string order;
  world.After(seconds(2), [&] { order += "c"; });
  world.After(seconds(1), [&] {
    order += "a";
    world.After(seconds(1), [&] { order += "d"; });
  });
  world.After(seconds(1), [&] { order += "b"; });
  world.RunFor(milliseconds(1500));
  EXPECT_EQ(order, "ab");
  world.RunFor(seconds(1));
  EXPECT_EQ(order, "abcd");
}

TEST(World, ANodeWithAFileFindsBackByItself) {
  for (const VirtualDisk::Loss loss : {VirtualDisk::Loss::kNothing, VirtualDisk::Loss::kUnsynced}) {
    World world(6);
    const NodeId a = world.Add("a");
    Config config = Config::Lan();
    config.snapshot.emplace();
    const NodeId b = world.Add("b", config);
    EXPECT_FALSE(world.has_disk(a));
    ASSERT_TRUE(world.has_disk(b));
    world.Join(b, {a});
    ASSERT_TRUE(world.SendUserEvent(b, "e", "", {}).ok());
    world.RunFor(seconds(5));
    world.Crash(b, loss);
    EXPECT_FALSE(world.is_up(b));
    world.Restart(b);
    EXPECT_EQ(world.serf(b).Stats().at("event_time"), "2");
    EXPECT_TRUE(world.RunUntil([&] { return Agrees(world); }, seconds(20))) << Disagreement(world);
    EXPECT_EQ(world.serf(b).member_count(), 2u);
  }
}

TEST(World, AProcessThatEndsInOrderWritesAll) {
  World world(7);
  Config config = Config::Lan();
  config.snapshot.emplace();
  const NodeId a = world.Add("a", config);
  world.RunFor(seconds(5));
  ASSERT_TRUE(world.SendUserEvent(a, "e", "", {}).ok());
  ASSERT_TRUE(world.SendUserEvent(a, "e", "2", {}).ok());
  world.Shutdown(a);
  EXPECT_FALSE(world.is_up(a));
  world.Restart(a);
  EXPECT_EQ(world.serf(a).Stats().at("event_time"), "3");
}

TEST(World, TheSameSeedIsTheSameRun) {
  const auto run = [](std::uint64_t seed) {
    World world(seed);
    world.links().settings().loss = 0.1;
    const NodeId a = world.Add("a");
    for (const char* name : {"b", "c", "d"}) world.Join(world.Add(name), {a});
    world.RunFor(seconds(30));
    return world.trace_hash();
  };
  EXPECT_EQ(run(7), run(7));
  EXPECT_NE(run(7), run(8));
}

TEST(LinkModel, CountsWhatItDoes) {
  LinkModel links;
  Rng rng(1);
  const NodeId a(0);
  const NodeId b(1);
  const NodeId c(2);
  links.settings().loss = 0.25;
  links.settings().duplication = 0.25;
  links.settings().reordering = 0.25;
  int copies = 0;
  for (int i = 0; i < 10'000; ++i) copies += static_cast<int>(links.Judge(a, b, 100, rng).copies);
  EXPECT_NEAR(static_cast<double>(links.counters().lost), 2500, 200);
  EXPECT_NEAR(static_cast<double>(links.counters().duplicated), 1875, 200);
  EXPECT_GT(links.counters().reordered, 1000u);
  EXPECT_EQ(copies, static_cast<int>(10'000 - links.counters().lost + links.counters().duplicated));
  EXPECT_EQ(links.counters().bytes, 1'000'000u);

  links.Calm();
  EXPECT_FALSE(links.IsFaulty());
  links.settings().mtu = 500;
  EXPECT_EQ(links.Judge(a, b, 501, rng).copies, 0u);
  EXPECT_EQ(links.counters().oversize, 1u);
  links.Partition({{a}, {b}});
  EXPECT_TRUE(links.IsFaulty());
  EXPECT_EQ(links.Judge(a, b, 1, rng).copies, 0u);
  EXPECT_EQ(links.Judge(a, c, 1, rng).copies, 0u) << "the ungrouped are a group of their own";
  EXPECT_TRUE(links.Reaches(c, c));
  links.Heal();
  EXPECT_TRUE(links.Connected(a, b));
  const LinkModel::Fate fate = links.Judge(a, b, 1, rng);
  EXPECT_GE(fate.delays[0], links.settings().latency);
  EXPECT_LE(fate.delays[0], links.settings().latency + links.settings().jitter);
}

}  // namespace
}  // namespace serf::testkit
