#include "serf/swim/packet_backlog.h"

#include <cstddef>
#include <cstdint>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "serf/base/bytes.h"
#include "serf/base/endpoint.h"
#include "serf/base/portion.h"
#include "serf/wire/message_type.h"

namespace serf::swim {
namespace {

using ::testing::ElementsAre;
using wire::MessageType;

Endpoint From(std::uint8_t host) { return {IpAddress::V4(10, 0, 0, host), 7946}; }

struct Handled {
  std::uint8_t host;
  MessageType type;
  std::uint8_t first_byte;
  std::size_t size;
  friend bool operator==(const Handled&, const Handled&) = default;
};

// What one call of Run handles.
std::vector<Handled> RunOnce(PacketBacklog& backlog, Portion portion = {}) {
  std::vector<Handled> handled;
  backlog.Run(portion, [&](const Endpoint& from, MessageType type, ByteView body, Spread) {
    EXPECT_EQ(from.port, 7946);
    handled.push_back({from.address.bytes().back(), type,
                       body.empty() ? std::uint8_t{0} : body.front(), body.size()});
  });
  return handled;
}

TEST(PacketBacklogTest, ASendersMessagesKeepTheirOrder) {
  PacketBacklog backlog;
  EXPECT_TRUE(backlog.empty());
  EXPECT_FALSE(backlog.Waits(From(1).address));
  EXPECT_TRUE(backlog.Add(From(1), MessageType::kPing, ByteVector{1, 2}, Spread::kRing));
  EXPECT_TRUE(backlog.Add(From(2), MessageType::kAck, {}, Spread::kRing));
  EXPECT_TRUE(backlog.Add(From(1), MessageType::kUser, ByteVector{3}, Spread::kRing));
  EXPECT_TRUE(backlog.Waits(From(1).address));
  EXPECT_TRUE(backlog.Waits(From(1).address.Mapped()));
  EXPECT_FALSE(backlog.Waits(From(3).address));
  EXPECT_THAT(
      RunOnce(backlog, Portion::Unlimited()),
      ElementsAre(Handled{1, MessageType::kPing, 1, 2}, Handled{1, MessageType::kUser, 3, 1},
                  Handled{2, MessageType::kAck, 0, 0}));
  EXPECT_TRUE(backlog.empty());
  EXPECT_EQ(backlog.bytes(), 0u);
}

TEST(PacketBacklogTest, SendersTakeTurns) {
  PacketBacklog backlog;
  constexpr std::size_t kInTurn = Portion::kWhole / PacketBacklog::kMessageCost;
  for (std::size_t i = 0; i < 2 * kInTurn; ++i) {
    for (const std::uint8_t host : {std::uint8_t{1}, std::uint8_t{2}}) {
      ASSERT_TRUE(backlog.Add(From(host), MessageType::kNack, ByteVector{7}, Spread::kRing));
    }
  }
  std::vector<std::uint8_t> hosts;
  while (!backlog.empty()) {
    const std::vector<Handled> handled = RunOnce(backlog);
    EXPECT_LE(handled.size(), kInTurn);
    EXPECT_GE(handled.size(), 1u);
    if (handled.size() > 10) hosts.push_back(handled.front().host);
  }
  EXPECT_THAT(hosts, ElementsAre(1, 2, 1, 2));
}

TEST(PacketBacklogTest, BytesCostToo) {
  PacketBacklog backlog;
  const ByteVector large(60'000, 1);
  for (int i = 0; i < 10; ++i)
    ASSERT_TRUE(backlog.Add(From(1), MessageType::kUser, large, Spread::kRing));
  EXPECT_EQ(RunOnce(backlog).size(), Portion::kWhole / (60'000 + PacketBacklog::kMessageCost) + 1);
}

TEST(PacketBacklogTest, AnAddressHasAShare) {
  PacketBacklog backlog;
  const ByteVector large(60'000, 1);
  while (backlog.Add(From(1), MessageType::kUser, large, Spread::kRing)) {
  }
  EXPECT_LE(backlog.bytes(), PacketBacklog::kShareMax);
  EXPECT_GT(backlog.bytes(), PacketBacklog::kShareMax - 70'000);
  EXPECT_TRUE(backlog.Add(From(2), MessageType::kUser, large, Spread::kRing));
  // Handled messages make room, so that the memory of the waiting ones stays bounded.
  for (int i = 0; i < 100; ++i) {
    RunOnce(backlog);
    while (backlog.Add(From(1), MessageType::kUser, large, Spread::kRing)) {
    }
    ASSERT_LE(backlog.memory_bytes(), 4 * PacketBacklog::kShareMax);
  }
}

TEST(PacketBacklogTest, AllTogetherHaveALimit) {
  PacketBacklog backlog;
  const ByteVector large(60'000, 1);
  for (int host = 1; host < 10; ++host) {
    while (backlog.Add(From(static_cast<std::uint8_t>(host)), MessageType::kUser, large,
                       Spread::kRing)) {
    }
  }
  EXPECT_LE(backlog.bytes(), PacketBacklog::kBytesMax);
  EXPECT_GT(backlog.bytes(), PacketBacklog::kBytesMax - 70'000);
}

TEST(PacketBacklogTest, SendersHaveALimit) {
  PacketBacklog backlog;
  std::size_t senders = 0;
  while (
      backlog.Add(From(static_cast<std::uint8_t>(senders)), MessageType::kNack, {}, Spread::kRing))
    ++senders;
  EXPECT_EQ(senders, PacketBacklog::kSendersMax);
  EXPECT_TRUE(backlog.Add(From(0), MessageType::kNack, {}, Spread::kRing));
}

}  // namespace
}  // namespace serf::swim
