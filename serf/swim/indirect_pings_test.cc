#include "serf/swim/indirect_pings.h"

#include <chrono>
#include <cstdint>

#include "gtest/gtest.h"

namespace serf::swim {
namespace {

using std::chrono::milliseconds;
using wire::SequenceNumber;

constexpr Instant kStart{std::chrono::hours(1)};

IndirectPing MakePing(std::uint32_t own, Instant deadline) {
  IndirectPing ping;
  ping.own = SequenceNumber(own);
  ping.requested = SequenceNumber(own + 1000);
  ping.deadline = deadline;
  return ping;
}

TEST(IndirectPingsTest, EmptyTableHasNoDeadline) {
  IndirectPings table;
  EXPECT_EQ(table.NextDeadline(), kNever);
  EXPECT_FALSE(table.TakeExpired(kStart).has_value());
  EXPECT_FALSE(table.Acknowledge(SequenceNumber(1), Endpoint{}).has_value());
}

TEST(IndirectPingsTest, AcknowledgementTakesTheEntryOnce) {
  IndirectPings table;
  for (std::uint32_t i = 10; i < 20; ++i) {
    ASSERT_TRUE(table.Add(MakePing(i, kStart + milliseconds(i))));
  }
  const std::optional<IndirectPing> found = table.Acknowledge(SequenceNumber(14), Endpoint{});
  ASSERT_TRUE(found.has_value());
  EXPECT_EQ(found->requested, SequenceNumber(1014));
  EXPECT_FALSE(table.Acknowledge(SequenceNumber(14), Endpoint{}).has_value());
  EXPECT_FALSE(table.Acknowledge(SequenceNumber(9), Endpoint{}).has_value());
  EXPECT_FALSE(table.Acknowledge(SequenceNumber(20), Endpoint{}).has_value());
  EXPECT_EQ(table.NextDeadline(), kStart + milliseconds(10));
  // An acknowledged entry in front moves the deadline.
  EXPECT_TRUE(table.Acknowledge(SequenceNumber(10), Endpoint{}).has_value());
  EXPECT_EQ(table.NextDeadline(), kStart + milliseconds(11));
}

TEST(IndirectPingsTest, AnEntryMayWantTheTargetItself) {
  IndirectPings table;
  IndirectPing ping = MakePing(1, kStart);
  ping.target = Endpoint{IpAddress::V4(10, 0, 0, 1), 7946};
  ping.target_only = true;
  ASSERT_TRUE(table.Add(ping));
  const Endpoint other{IpAddress::V4(10, 0, 0, 2), 7946};
  EXPECT_FALSE(table.Acknowledge(SequenceNumber(1), other).has_value());
  const Endpoint mapped{ping.target.address.Mapped(), 7946};
  EXPECT_TRUE(table.Acknowledge(SequenceNumber(1), mapped).has_value());
}

TEST(IndirectPingsTest, ExpiredEntriesComeInOrderWithoutTheAcknowledged) {
  IndirectPings table;
  for (std::uint32_t i = 0; i < 5; ++i) {
    ASSERT_TRUE(table.Add(MakePing(i, kStart + milliseconds(i))));
  }
  ASSERT_TRUE(table.Acknowledge(SequenceNumber(1), Endpoint{}).has_value());
  EXPECT_EQ(table.TakeExpired(kStart)->own, SequenceNumber(0));
  EXPECT_FALSE(table.TakeExpired(kStart + milliseconds(1)).has_value());
  EXPECT_EQ(table.TakeExpired(kStart + milliseconds(3))->own, SequenceNumber(2));
  EXPECT_EQ(table.TakeExpired(kStart + milliseconds(3))->own, SequenceNumber(3));
  EXPECT_FALSE(table.TakeExpired(kStart + milliseconds(3)).has_value());
  EXPECT_EQ(table.size(), 1u);
}

TEST(IndirectPingsTest, NumbersMayWrap) {
  IndirectPings table;
  for (std::uint32_t i = 0; i < 8; ++i) {
    ASSERT_TRUE(table.Add(MakePing(0xfffffffcu + i, kStart)));
  }
  EXPECT_TRUE(table.Acknowledge(SequenceNumber(2), Endpoint{}).has_value());
  EXPECT_TRUE(table.Acknowledge(SequenceNumber(0xfffffffdu), Endpoint{}).has_value());
  EXPECT_FALSE(table.Acknowledge(SequenceNumber(4), Endpoint{}).has_value());
}

TEST(IndirectPingsTest, TheFullTableRefuses) {
  IndirectPings table;
  std::uint32_t own = 0;
  while (table.Add(MakePing(own, kStart))) ++own;
  EXPECT_EQ(own, IndirectPings::kIndirectPingsMax);
  EXPECT_TRUE(table.Acknowledge(SequenceNumber(0), Endpoint{}).has_value());
  EXPECT_TRUE(table.Add(MakePing(own, kStart)));
  EXPECT_TRUE(table.Acknowledge(SequenceNumber(own), Endpoint{}).has_value());
}

}  // namespace
}  // namespace serf::swim
