#include "serf/swim/doubted_members.h"

#include <cstdint>
#include <optional>

#include "gtest/gtest.h"
#include "serf/swim/member_table.h"

namespace serf::swim {
namespace {

TEST(DoubtedMembersTest, TheLongestWaitingComesFirst) {
  DoubtedMembers doubted;
  EXPECT_EQ(doubted.Take(), std::nullopt);
  doubted.Add(MemberIndex(3));
  doubted.Add(MemberIndex(1));
  doubted.Add(MemberIndex(3));  // now the last
  EXPECT_EQ(doubted.Take(), MemberIndex(1));
  EXPECT_EQ(doubted.Take(), MemberIndex(3));
  EXPECT_EQ(doubted.Take(), std::nullopt);
}

TEST(DoubtedMembersTest, WhatIsRemovedIsNotAsked) {
  DoubtedMembers doubted;
  doubted.Add(MemberIndex(1));
  doubted.Add(MemberIndex(2));
  doubted.Remove(MemberIndex(1));
  doubted.Remove(MemberIndex(7));
  EXPECT_EQ(doubted.Take(), MemberIndex(2));
  EXPECT_EQ(doubted.Take(), std::nullopt);
}

TEST(DoubtedMembersTest, AFloodIsBounded) {
  DoubtedMembers doubted;
  for (std::uint32_t i = 0; i < 2 * DoubtedMembers::kMax; ++i) doubted.Add(MemberIndex(i));
  for (std::uint32_t i = 0; i < DoubtedMembers::kMax; ++i) {
    EXPECT_EQ(doubted.Take(), MemberIndex(i));
  }
  EXPECT_EQ(doubted.Take(), std::nullopt);
}

}  // namespace
}  // namespace serf::swim
