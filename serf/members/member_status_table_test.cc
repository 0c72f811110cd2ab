#include "serf/members/member_status_table.h"

#include <chrono>
#include <string>

#include "gtest/gtest.h"

namespace serf {
namespace {

using std::chrono::microseconds;
using std::chrono::seconds;
using swim::MemberIndex;
using wire::LamportTime;
using enum MemberStatus;

class MemberStatusTableTest : public testing::Test {
 protected:
  swim::NodeInfoRef Info(const std::string& name) { return pool_.Intern({name, {}, {}, {}}); }

  swim::NodeInfoPool pool_;
  MemberStatusTable table_;
  const Instant start_ = Instant{} + seconds(100);
};

TEST_F(MemberStatusTableTest, ARowHoldsStatusTimeAndSince) {
  EXPECT_EQ(table_.Present(MemberIndex(70)), MemberRecord{});
  const MemberRecord alive{kAlive, LamportTime(~std::uint64_t{0})};
  table_.SetPresent(start_ + microseconds(7), MemberIndex(70), alive);
  EXPECT_EQ(table_.Present(MemberIndex(70)), alive);
  EXPECT_EQ(table_.PresentSince(MemberIndex(70)), start_ + microseconds(7));
  EXPECT_EQ(table_.Present(MemberIndex(69)), MemberRecord{});
}

TEST_F(MemberStatusTableTest, SinceMovesWithTheStatusOnly) {
  table_.SetPresent(start_, MemberIndex(0), {kAlive, LamportTime(1)});
  table_.SetPresent(start_ + seconds(1), MemberIndex(0), {kAlive, LamportTime(2)});
  EXPECT_EQ(table_.PresentSince(MemberIndex(0)), start_);
  table_.SetPresent(start_ + seconds(2), MemberIndex(0), {kLeaving, LamportTime(3)});
  EXPECT_EQ(table_.PresentSince(MemberIndex(0)), start_ + seconds(2));
}

TEST_F(MemberStatusTableTest, InstantsBeforeTheEpochWorkToo) {
  const Instant before = Instant{} - seconds(5) - microseconds(3);
  table_.SetPresent(before, MemberIndex(1), {kLeaving, LamportTime(1)});
  EXPECT_EQ(table_.Present(MemberIndex(1)).status, kLeaving);
  EXPECT_EQ(table_.PresentSince(MemberIndex(1)), before);
}

TEST_F(MemberStatusTableTest, CountsByStatus) {
  table_.SetPresent(start_, MemberIndex(0), {kAlive, LamportTime(0)});
  table_.SetPresent(start_, MemberIndex(1), {kAlive, LamportTime(0)});
  table_.SetPresent(start_, MemberIndex(1), {kLeaving, LamportTime(1)});
  table_.AddDeparted(start_, Info("f"), {kFailed, LamportTime(0)});
  table_.AddDeparted(start_, Info("l"), {kLeft, LamportTime(0)});
  EXPECT_EQ(table_.alive(), 1u);
  EXPECT_EQ(table_.leaving(), 1u);
  EXPECT_EQ(table_.failed(), 1u);
  EXPECT_EQ(table_.left(), 1u);
  EXPECT_EQ(table_.size(), 4u);

  table_.SetDeparted(start_, "f", {kLeft, LamportTime(4)});
  EXPECT_EQ(table_.failed(), 0u);
  EXPECT_EQ(table_.left(), 2u);
  EXPECT_EQ(table_.FindDeparted("f")->record.status_time, LamportTime(4));

  table_.SetPresent(start_, MemberIndex(0), MemberRecord{});
  table_.EraseDeparted("f");
  EXPECT_EQ(table_.FindDeparted("f"), nullptr);
  EXPECT_EQ(table_.alive(), 0u);
  EXPECT_EQ(table_.left(), 1u);
  EXPECT_EQ(table_.size(), 2u);
}

TEST_F(MemberStatusTableTest, TheDepartedAreSortedByName) {
  for (const char* name : {"c", "a", "b"}) {
    table_.AddDeparted(start_, Info(name), {kFailed, LamportTime(0)});
  }
  std::string names;
  for (const auto& [name, departed] : table_.departed()) names.append(name.data(), name.size());
  EXPECT_EQ(names, "abc");
}

// A repeated value is not a change, so that what the owner computed from the table stays valid.
TEST(MemberStatusTable, WhatIsRepeatedIsNoChange) {
  MemberStatusTable table;
  const swim::MemberIndex member(3);
  const MemberRecord record{MemberStatus::kAlive, wire::LamportTime(7)};
  table.SetPresent(Instant(), member, record);
  const std::uint64_t changes = table.changes();
  table.SetPresent(Instant(std::chrono::seconds(1)), member, record);
  EXPECT_EQ(table.changes(), changes);
  EXPECT_EQ(table.alive(), 1u);
  table.SetPresent(Instant(), member, {MemberStatus::kAlive, wire::LamportTime(8)});
  EXPECT_GT(table.changes(), changes);
  EXPECT_EQ(table.Present(member).status_time, wire::LamportTime(8));
}

}  // namespace
}  // namespace serf
