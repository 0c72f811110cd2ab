#include "serf/swim/packet_budget.h"

#include <cstddef>
#include <cstdint>
#include <memory>

#include "gtest/gtest.h"
#include "serf/base/bytes.h"
#include "serf/swim/config.h"
#include "serf/wire/aead.h"
#include "serf/wire/compound.h"
#include "serf/wire/packet.h"

namespace serf::swim {
namespace {

// The largest message fills its packet, and no more, whatever the label, the keys and the version.
TEST(PacketBudgetTest, TheLargestGossipMessageFits) {
  const auto keys = std::make_shared<wire::Keyring>();
  ASSERT_TRUE(keys->Add(ByteVector(32, 1)).ok());
  for (const char* label : {"", "blue"}) {
    for (const auto& keyring : {std::shared_ptr<wire::Keyring>(), keys}) {
      for (const std::uint8_t version : {std::uint8_t{1}, std::uint8_t{5}}) {
        SCOPED_TRACE(label);
        SCOPED_TRACE(static_cast<int>(version));
        Config config;
        config.label = label;
        config.keyring = keyring;
        config.protocol_version = version;
        const wire::SealOptions seal{.label = config.label,
                                     .keyring = keyring.get(),
                                     .encryption_version = wire::EncryptionVersionFor(version)};
        const auto packet = [&](std::size_t message) {
          return wire::SealedPacketMax(wire::kCompoundHeaderOverhead + kUserPartOverhead + message,
                                       seal);
        };
        EXPECT_LE(packet(MaxGossipMessage(config)), config.packet_size);
        // Version 1 fills up to a multiple of 16 bytes.
        EXPECT_GT(packet(MaxGossipMessage(config) + 16), config.packet_size);
        EXPECT_EQ(GossipBudget(config), MaxGossipMessage(config) + kUserPartOverhead);
      }
    }
  }
}

// A node with keys that sends in the clear has more room beside a ping, and the same for gossip.
TEST(PacketBudgetTest, RidersHaveTheRoomThatEncryptionDoesNotTake) {
  const auto keys = std::make_shared<wire::Keyring>();
  ASSERT_TRUE(keys->Add(ByteVector(32, 1)).ok());
  Config config;
  EXPECT_EQ(EncryptionOverhead(config), 0u);
  const std::size_t open = GossipBudget(config);
  EXPECT_EQ(PiggybackBudget(config, 100), open - 100);
  config.keyring = keys;
  const std::size_t overhead = EncryptionOverhead(config);
  EXPECT_GT(overhead, 0u);
  EXPECT_EQ(GossipBudget(config), open - overhead);
  EXPECT_EQ(PiggybackBudget(config, 100), open - overhead - 100);
  config.verify_outgoing = false;
  EXPECT_EQ(GossipBudget(config), open - overhead);
  EXPECT_EQ(PiggybackBudget(config, 100), open - 100);
  EXPECT_EQ(PiggybackBudget(config, config.packet_size), 0u);
}

TEST(PacketBudgetTest, ATinyPacketHasRoomForNoMessage) {
  Config config;
  config.packet_size = 4;
  EXPECT_EQ(GossipBudget(config), 4 - wire::kCompoundHeaderOverhead);
  EXPECT_EQ(MaxGossipMessage(config), 0u);
}

}  // namespace
}  // namespace serf::swim
