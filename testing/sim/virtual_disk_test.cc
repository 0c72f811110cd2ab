#include "serf/testing/sim/virtual_disk.h"

#include <set>
#include <string>

#include "gtest/gtest.h"
#include "serf/snapshot_op.h"
#include "serf/testing/sim/node_disk.h"

namespace serf::testkit {
namespace {

std::string ContentOf(VirtualDisk& disk, const std::string& path) {
  const auto file = disk.OpenOrCreate(path, 0644);
  std::string text(1000, ' ');
  text.resize(*disk.Read(*file, {reinterpret_cast<std::uint8_t*>(text.data()), text.size()}));
  disk.Close(*file);
  return text;
}

TEST(VirtualDisk, WhatWasWrittenOutlivesTheProcess) {
  VirtualDisk disk(1);
  ASSERT_TRUE(disk.Write(*disk.OpenOrCreate("a", 0644), "text").ok());
  disk.Reboot(VirtualDisk::Loss::kNothing);
  EXPECT_EQ(ContentOf(disk, "a"), "text");
}

TEST(VirtualDisk, ALossOfPowerSparesWhatWasSynced) {
  std::set<std::string> seen;
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    VirtualDisk disk(seed);
    const auto file = disk.OpenOrCreate("a", 0644);
    ASSERT_TRUE(disk.Write(*file, "safe").ok());
    ASSERT_TRUE(disk.Sync(*file).ok());
    ASSERT_TRUE(disk.SyncFolderOf("a").ok());
    ASSERT_TRUE(disk.Write(*file, "xy").ok());
    disk.Reboot(VirtualDisk::Loss::kUnsynced);
    seen.insert(ContentOf(disk, "a"));
  }
  EXPECT_EQ(seen, (std::set<std::string>{"safe", "safex", "safexy"}));
}

TEST(VirtualDisk, ARenameIsSafeWhenTheFolderWasSynced) {
  std::set<bool> lost;
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    VirtualDisk disk(seed);
    const auto file = disk.Create("new", 0644);
    ASSERT_TRUE(disk.Write(*file, "text").ok());
    ASSERT_TRUE(disk.Sync(*file).ok());
    ASSERT_TRUE(disk.SyncFolderOf("new").ok());
    ASSERT_TRUE(disk.Rename("new", "old").ok());
    if (seed % 2 == 0) {
      ASSERT_TRUE(disk.SyncFolderOf("old").ok());
    }
    disk.Reboot(VirtualDisk::Loss::kUnsynced);
    const bool renamed = disk.InfoOf("old").ok();
    EXPECT_NE(renamed, disk.InfoOf("new").ok()) << "one of the two";
    if (seed % 2 == 0) {
      EXPECT_TRUE(renamed);
    } else {
      lost.insert(!renamed);
    }
  }
  EXPECT_EQ(lost.size(), 2u);
}

TEST(VirtualDisk, StopsBetweenCallsOrWithinAWrite) {
  std::set<std::string> seen;
  for (std::uint64_t seed = 1; seed <= 100; ++seed) {
    VirtualDisk disk(seed);
    const auto file = disk.OpenOrCreate("a", 0644);
    disk.StopAfter(1);
    EXPECT_TRUE(disk.Write(*file, "1").ok());
    EXPECT_FALSE(disk.Write(*file, "23").ok());
    EXPECT_FALSE(disk.Write(*file, "4").ok()) << "nothing happens any more";
    EXPECT_FALSE(disk.Sync(*file).ok());
    disk.Reboot(VirtualDisk::Loss::kNothing);
    seen.insert(ContentOf(disk, "a"));
    EXPECT_EQ(disk.torn(), ContentOf(disk, "a").size() > 1 ? 1u : 0u);
  }
  EXPECT_EQ(seen, (std::set<std::string>{"1", "12", "123"}));
}

TEST(VirtualDisk, FailsWhenToldTo) {
  VirtualDisk disk(1);
  const auto file = disk.OpenOrCreate("a", 0644);
  disk.set_failure(1);
  EXPECT_FALSE(disk.Write(*file, "text").ok());
  EXPECT_FALSE(disk.Sync(*file).ok());
  EXPECT_EQ(disk.failures(), 2u);
}

TEST(NodeDisk, EachLifeReadsWhatTheOneBeforeWrote) {
  NodeDisk disk(1);
  Rng rng(1);
  ASSERT_TRUE(disk.Open(false, nullptr).ok());
  disk.Push({SnapshotOp::Kind::kAppend, "alive: a 10.0.0.1:7946\nclock: 7\n"});
  EXPECT_TRUE(disk.Finish().ok());
  disk.End(VirtualDisk::Loss::kUnsynced, rng);
  const auto state = disk.Open(false, nullptr);
  ASSERT_TRUE(state.ok()) << state.status();
  EXPECT_EQ(state->alive.size(), 1u);
  EXPECT_EQ(state->clock.value(), 7u);
}

}  // namespace
}  // namespace serf::testkit
