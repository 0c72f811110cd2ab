#include "serf/gossip/broadcasts.h"

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "serf/base/bytes.h"
#include "serf/swim/packet_lead.h"

namespace serf {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

std::vector<std::string> Drawn(Broadcasts& broadcasts, std::size_t budget, int transmit_limit = 1) {
  std::vector<ByteView> parts;
  broadcasts.Draw(transmit_limit, 2, budget, parts);
  std::vector<std::string> texts;
  for (const ByteView part : parts) texts.emplace_back(AsText(part));
  return texts;
}

TEST(BroadcastsTest, IntentsGoBeforeQueriesBeforeEvents) {
  Broadcasts broadcasts(10);
  broadcasts.AddEvent(AsBytes("event"), swim::Spread::kRing);
  broadcasts.AddQuery(AsBytes("query"), swim::Spread::kRing);
  broadcasts.AddIntent("a", false, AsBytes("intent"), swim::Spread::kRing);
  EXPECT_EQ(broadcasts.size(), 3u);
  EXPECT_THAT(Drawn(broadcasts, 15), ElementsAre("intent", "query"));
  EXPECT_THAT(Drawn(broadcasts, 15), ElementsAre("event"));
  EXPECT_EQ(broadcasts.size(), 0u);
}

// Of packets that cannot hold all, each kind leads some (docs/decisions/0003-prompt-gossip.md).
TEST(BroadcastsTest, NoKindStarvesTheOthers) {
  Broadcasts broadcasts(100, Broadcasts::Order::kWaves);
  for (int i = 0; i < 50; ++i) {
    broadcasts.AddIntent(absl::StrCat("m", i), false, AsBytes("intent"), swim::Spread::kRing);
    broadcasts.AddQuery(AsBytes("query"), swim::Spread::kRing);
    broadcasts.AddEvent(AsBytes("event"), swim::Spread::kRing);
  }
  const auto led_by = [&](swim::UserKind kind) {
    std::vector<ByteView> parts;
    broadcasts.Draw(4, 2, 20, parts,
                    {.places = 8, .wave = 0b111, .capacity = 20, .lead = {.user = kind}});
    std::vector<std::string> texts;
    for (const ByteView part : parts) texts.emplace_back(AsText(part));
    return texts;
  };
  for (int i = 0; i < 10; ++i) {
    EXPECT_THAT(led_by(swim::UserKind::kIntents), ElementsAre("intent", "intent"));
    EXPECT_THAT(led_by(swim::UserKind::kQueries), ElementsAre("query", "query"));
    EXPECT_THAT(led_by(swim::UserKind::kEvents), ElementsAre("event", "event"));
  }
}

TEST(BroadcastsTest, AnIntentReplacesTheOneAboutTheSameMember) {
  Broadcasts broadcasts(10);
  broadcasts.AddIntent("a", false, AsBytes("old"), swim::Spread::kRing, 7);
  broadcasts.AddIntent("a", true, AsBytes("prune"), swim::Spread::kRing, 8);
  broadcasts.AddIntent("b", false, AsBytes("other"), swim::Spread::kRing, 9);
  EXPECT_THAT(broadcasts.TakeFinished(), IsEmpty());
  broadcasts.AddIntent("a", false, AsBytes("new"), swim::Spread::kRing, 10);
  EXPECT_THAT(broadcasts.TakeFinished(), ElementsAre(7));
  EXPECT_THAT(Drawn(broadcasts, 100), UnorderedElementsAre("new", "prune", "other"));
  EXPECT_THAT(broadcasts.TakeFinished(), UnorderedElementsAre(8, 9, 10));
  EXPECT_THAT(broadcasts.TakeFinished(), IsEmpty());
}

TEST(BroadcastsTest, FinishesAfterTheLastTransmission) {
  Broadcasts broadcasts(10);
  broadcasts.AddIntent("a", false, AsBytes("m"), swim::Spread::kRing, 7);
  for (int i = 0; i < 3; ++i) {
    EXPECT_THAT(broadcasts.TakeFinished(), IsEmpty());
    EXPECT_THAT(Drawn(broadcasts, 100, 3), ElementsAre("m"));
  }
  EXPECT_THAT(broadcasts.TakeFinished(), ElementsAre(7));
}

}  // namespace
}  // namespace serf
