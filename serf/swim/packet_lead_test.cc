#include "serf/swim/packet_lead.h"

#include <cstdint>

#include "gtest/gtest.h"

namespace serf::swim {
namespace {

TEST(PacketLead, TheFirstPacketIsGoSerfs) {
  EXPECT_TRUE(LeadOf(0).membership);
  EXPECT_EQ(LeadOf(0).user, UserKind::kIntents);
  EXPECT_TRUE(PacketLead().membership);
  EXPECT_EQ(PacketLead().user, UserKind::kIntents);
}

TEST(PacketLead, EachKindHasItsTurn) {
  struct Row {
    bool membership;
    UserKind user;
  };
  constexpr Row kRows[] = {
      {true, UserKind::kIntents},  {false, UserKind::kIntents}, {true, UserKind::kQueries},
      {false, UserKind::kQueries}, {true, UserKind::kEvents},   {false, UserKind::kEvents},
  };
  for (std::uint64_t i = 0; i < 12; ++i) {
    EXPECT_EQ(LeadOf(i).membership, kRows[i % 6].membership) << i;
    EXPECT_EQ(LeadOf(i).user, kRows[i % 6].user) << i;
  }
}

}  // namespace
}  // namespace serf::swim
