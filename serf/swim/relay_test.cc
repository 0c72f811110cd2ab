#include "serf/swim/relay.h"

#include <chrono>
#include <cstdint>

#include "gtest/gtest.h"

namespace serf::swim {
namespace {

using std::chrono::milliseconds;
using wire::SequenceNumber;

constexpr Instant kStart{std::chrono::hours(1)};

Relay MakeRelay(std::uint32_t own, Instant deadline) {
  Relay relay;
  relay.own = SequenceNumber(own);
  relay.requested = SequenceNumber(own + 1000);
  relay.deadline = deadline;
  return relay;
}

TEST(RelayTableTest, EmptyTableHasNoDeadline) {
  RelayTable table;
  EXPECT_EQ(table.NextDeadline(), kNever);
  EXPECT_FALSE(table.TakeExpired(kStart).has_value());
  EXPECT_FALSE(table.Acknowledge(SequenceNumber(1), Endpoint{}).has_value());
}

TEST(RelayTableTest, AcknowledgementTakesTheEntryOnce) {
  RelayTable table;
  for (std::uint32_t i = 10; i < 20; ++i) {
    ASSERT_TRUE(table.Add(MakeRelay(i, kStart + milliseconds(i))));
  }
  const std::optional<Relay> found = table.Acknowledge(SequenceNumber(14), Endpoint{});
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

TEST(RelayTableTest, AnEntryMayWantTheTargetItself) {
  RelayTable table;
  Relay relay = MakeRelay(1, kStart);
  relay.target = Endpoint{IpAddress::V4(10, 0, 0, 1), 7946};
  relay.target_only = true;
  ASSERT_TRUE(table.Add(relay));
  const Endpoint other{IpAddress::V4(10, 0, 0, 2), 7946};
  EXPECT_FALSE(table.Acknowledge(SequenceNumber(1), other).has_value());
  const Endpoint mapped{relay.target.address.Mapped(), 7946};
  EXPECT_TRUE(table.Acknowledge(SequenceNumber(1), mapped).has_value());
}

TEST(RelayTableTest, ExpiredEntriesComeInOrderWithoutTheAcknowledged) {
  RelayTable table;
  for (std::uint32_t i = 0; i < 5; ++i) {
    ASSERT_TRUE(table.Add(MakeRelay(i, kStart + milliseconds(i))));
  }
  ASSERT_TRUE(table.Acknowledge(SequenceNumber(1), Endpoint{}).has_value());
  EXPECT_EQ(table.TakeExpired(kStart)->own, SequenceNumber(0));
  EXPECT_FALSE(table.TakeExpired(kStart + milliseconds(1)).has_value());
  EXPECT_EQ(table.TakeExpired(kStart + milliseconds(3))->own, SequenceNumber(2));
  EXPECT_EQ(table.TakeExpired(kStart + milliseconds(3))->own, SequenceNumber(3));
  EXPECT_FALSE(table.TakeExpired(kStart + milliseconds(3)).has_value());
  EXPECT_EQ(table.size(), 1u);
}

TEST(RelayTableTest, NumbersMayWrap) {
  RelayTable table;
  for (std::uint32_t i = 0; i < 8; ++i) {
    ASSERT_TRUE(table.Add(MakeRelay(0xfffffffcu + i, kStart)));
  }
  EXPECT_TRUE(table.Acknowledge(SequenceNumber(2), Endpoint{}).has_value());
  EXPECT_TRUE(table.Acknowledge(SequenceNumber(0xfffffffdu), Endpoint{}).has_value());
  EXPECT_FALSE(table.Acknowledge(SequenceNumber(4), Endpoint{}).has_value());
}

TEST(RelayTableTest, TheFullTableRefuses) {
  RelayTable table;
  std::uint32_t own = 0;
  while (table.Add(MakeRelay(own, kStart))) ++own;
  EXPECT_EQ(own, RelayTable::kRelaysMax);
  EXPECT_TRUE(table.Acknowledge(SequenceNumber(0), Endpoint{}).has_value());
  EXPECT_TRUE(table.Add(MakeRelay(own, kStart)));
  EXPECT_TRUE(table.Acknowledge(SequenceNumber(own), Endpoint{}).has_value());
}

}  // namespace
}  // namespace serf::swim
