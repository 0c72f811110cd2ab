#include "serf/swim/broadcast_queue.h"

#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "serf/base/rng.h"

namespace serf::swim {
namespace {

std::vector<std::string> Texts(const std::vector<ByteView>& parts) {
  std::vector<std::string> texts;
  for (const ByteView part : parts) texts.emplace_back(AsText(part));
  return texts;
}

using Strings = std::vector<std::string>;

class BroadcastQueueTest : public testing::Test {
 protected:
  void Put(absl::string_view subject, absl::string_view message, BroadcastQueue::Token token = 0) {
    queue_.Enqueue(subject, AsBytes(message), token);
  }
  Strings Draw(int limit, std::size_t budget, std::size_t overhead = 2,
               BroadcastQueue::Packet packet = {}) {
    parts_.clear();
    used_ = queue_.Draw(limit, overhead, budget, parts_, packet);
    return Texts(parts_);
  }

  BroadcastQueue queue_{100};
  std::vector<ByteView> parts_;
  std::size_t used_ = 0;
};

TEST_F(BroadcastQueueTest, EmptyGivesNothing) {
  EXPECT_EQ(Draw(4, 1000), Strings{});
  EXPECT_EQ(used_, 0u);
}

TEST_F(BroadcastQueueTest, LongestFirstThenNewest) {
  Put("a", "11");
  Put("b", "4444");
  Put("c", "22");
  Put("d", "333");
  EXPECT_EQ(Draw(4, 1000), (Strings{"4444", "333", "22", "11"}));
  EXPECT_EQ(used_, 11u + 4 * 2);
}

TEST_F(BroadcastQueueTest, FewestTransmitsFirst) {
  Put("a", "long message");
  EXPECT_EQ(Draw(4, 1000), Strings{"long message"});
  Put("b", "new");
  EXPECT_EQ(Draw(4, 1000), (Strings{"new", "long message"}));
}

TEST_F(BroadcastQueueTest, TheLongestThatFitsOfEachCount) {
  Put("a", "1234567890");
  Put("b", "12345");
  Put("c", "123");
  // 10 + 2 do not fit in 11; then 5 + 2, and 4 are left for 1 + 2 at the most.
  EXPECT_EQ(Draw(4, 11), Strings{"12345"});
  EXPECT_EQ(used_, 7u);
  EXPECT_EQ(Draw(4, 12), (Strings{"1234567890"}));
  EXPECT_EQ(Draw(4, 14), (Strings{"123", "12345"}))
      << "the untransmitted one first, then of the others the longest that fits";
}

TEST_F(BroadcastQueueTest, BudgetIsExact) {
  Put("a", "12345");
  EXPECT_EQ(Draw(4, 6), Strings{});
  EXPECT_EQ(Draw(4, 2), Strings{}) << "no room behind the overhead";
  EXPECT_EQ(Draw(4, 0), Strings{});
  EXPECT_EQ(Draw(4, 7), Strings{"12345"});
}

TEST_F(BroadcastQueueTest, FinishesAtTheLimit) {
  Put("a", "m", 7);
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(Draw(4, 100), Strings{"m"});
    EXPECT_TRUE(queue_.finished().empty());
  }
  EXPECT_EQ(Draw(4, 100), Strings{"m"}) << "exactly four times";
  EXPECT_EQ(queue_.finished(), std::vector<BroadcastQueue::Token>{7});
  queue_.ClearFinished();
  EXPECT_TRUE(queue_.empty());
  EXPECT_EQ(Draw(4, 100), Strings{});
  EXPECT_TRUE(queue_.finished().empty());
}

TEST_F(BroadcastQueueTest, AtLeastOnce) {
  Put("a", "m", 1);
  EXPECT_EQ(Draw(0, 100), Strings{"m"});
  EXPECT_EQ(queue_.finished(), std::vector<BroadcastQueue::Token>{1});
  EXPECT_TRUE(queue_.empty());
}

TEST_F(BroadcastQueueTest, SubjectsDisplace) {
  Put("node", "suspect", 1);
  Draw(4, 100);
  Put("node", "alive", 2);
  EXPECT_EQ(queue_.finished(), std::vector<BroadcastQueue::Token>{1});
  EXPECT_EQ(queue_.size(), 1u);
  EXPECT_EQ(Draw(4, 100), Strings{"alive"});
  EXPECT_EQ(queue_.PeekForTest()[0].transmits, 1) << "the new one starts at zero";
}

TEST_F(BroadcastQueueTest, MessagesWithoutSubjectStayApart) {
  Put("", "x");
  Put("", "x");
  EXPECT_EQ(queue_.size(), 2u);
  EXPECT_EQ(Draw(4, 100), (Strings{"x", "x"})) << "but no entry twice in one draw";
}

TEST_F(BroadcastQueueTest, InvalidateDropsByName) {
  Put("a", "x", 5);
  Put("b", "y");
  queue_.Invalidate("a");
  queue_.Invalidate("nobody");
  EXPECT_EQ(queue_.finished(), std::vector<BroadcastQueue::Token>{5});
  EXPECT_EQ(Draw(4, 100), Strings{"y"});
}

TEST_F(BroadcastQueueTest, FurtherPacketsHoldOtherMessages) {
  Put("a", "1234");
  Put("b", "123");
  Put("c", "12");
  EXPECT_EQ(Draw(4, 6), Strings{"1234"});
  EXPECT_EQ(Draw(4, 100, 2, {.further = true}), (Strings{"123", "12"}));
  EXPECT_EQ(Draw(4, 100, 2, {.further = true}), Strings{});
  EXPECT_EQ(queue_.size(), 3u) << "set aside, not lost";
  EXPECT_EQ(Draw(4, 100), (Strings{"1234", "123", "12"})) << "the next target gets all";
}

TEST_F(BroadcastQueueTest, EachPlaceGetsAMessageOnceBeforeAnyGetsItAgain) {
  Put("a", "a");
  const auto draw = [&](std::uint8_t place) {
    parts_.clear();
    queue_.Draw(5, 2, 100, parts_, {.place = place, .places = 3});
    return parts_.size();
  };
  EXPECT_EQ(draw(1), 1u);
  EXPECT_EQ(draw(1), 0u) << "it had it";
  EXPECT_EQ(draw(0), 1u);
  EXPECT_EQ(Draw(5, 100), Strings{"a"}) << "a ride has no place";
  EXPECT_EQ(draw(1), 0u);
  EXPECT_EQ(draw(2), 1u);
  EXPECT_EQ(draw(1), 1u) << "a second pass";
  EXPECT_TRUE(queue_.empty()) << "five transmissions";
}

// However the packets fill, the transmissions of a message go to different places.
TEST(BroadcastQueue, PlacesOfALongQueue) {
  constexpr int kMessages = 300;
  constexpr std::uint8_t kPlaces = 16;
  BroadcastQueue queue(1000);
  std::vector<std::vector<int>> hits(kMessages, std::vector<int>(kPlaces));
  for (int i = 0; i < kMessages; ++i) {
    const ByteVector message = {static_cast<std::uint8_t>(i), static_cast<std::uint8_t>(i >> 8)};
    queue.Enqueue("", message);
  }
  std::vector<ByteView> parts;
  std::uint8_t place = 0;
  for (int draw = 0; draw < 10'000 && !queue.empty(); ++draw) {
    parts.clear();
    queue.Draw(kPlaces, 2, 60, parts, {.place = place, .places = kPlaces});
    for (const ByteView part : parts) ++hits[part[0] + 256 * part[1]][place];
    place = static_cast<std::uint8_t>((place + 1) % kPlaces);
  }
  ASSERT_TRUE(queue.empty());
  for (const std::vector<int>& places : hits) {
    for (const int times : places) ASSERT_EQ(times, 1);
  }
}

TEST_F(BroadcastQueueTest, DisplacesWhatWasSetAside) {
  Put("a", "old", 1);
  Draw(4, 100);
  queue_.Invalidate("a");
  EXPECT_TRUE(queue_.empty());
  EXPECT_EQ(Draw(4, 100), Strings{});
}

TEST(BroadcastQueue, BoundedOnInsert) {
  BroadcastQueue queue(3);
  std::vector<ByteView> parts;
  queue.Enqueue("often", AsBytes("1234"), 1);
  queue.Draw(9, 2, 100, parts);
  queue.Enqueue("short-old", AsBytes("1"), 2);
  queue.Enqueue("long", AsBytes("123"), 3);
  queue.Enqueue("new", AsBytes("2"), 4);
  EXPECT_EQ(queue.finished(), std::vector<BroadcastQueue::Token>{1}) << "the most transmitted";
  queue.Enqueue("newer", AsBytes("3"), 5);
  EXPECT_EQ(queue.finished().back(), 2u) << "then the shortest, of these the oldest";
  EXPECT_EQ(queue.size(), 3u);
  EXPECT_EQ(queue.dropped(), 2u);
  queue.Enqueue("new", AsBytes("4"), 6);
  EXPECT_EQ(queue.finished().back(), 4u) << "one of the same subject makes room by itself";
  EXPECT_EQ(queue.dropped(), 2u);
  queue.SetMax(1);
  EXPECT_EQ(queue.size(), 1u);
  EXPECT_EQ(queue.PeekForTest()[0].subject, "long");
  queue.ClearFinished();
  queue.Clear();
  EXPECT_EQ(queue.finished(), std::vector<BroadcastQueue::Token>{3});
  EXPECT_EQ(queue.message_bytes(), 0u);
}

// --- waves ---

class WaveQueueTest : public testing::Test {
 protected:
  static constexpr std::uint8_t kPlaces = 8;

  void Put(absl::string_view subject, absl::string_view message, BroadcastQueue::Token token = 0) {
    queue_.Enqueue(subject, AsBytes(message), token);
  }
  // A packet for the places of `wave`.
  Strings Wave(std::size_t budget, std::uint32_t wave = 0b111, bool everybody = false) {
    parts_.clear();
    used_ = queue_.Draw(8, 2, budget, parts_,
                        {.places = kPlaces, .wave = wave, .everybody = everybody, .capacity = 100});
    return Texts(parts_);
  }
  Strings Repeat(std::uint8_t place, std::size_t budget = 100) {
    parts_.clear();
    queue_.Draw(8, 2, budget, parts_, {.place = place, .places = kPlaces});
    return Texts(parts_);
  }

  BroadcastQueue queue_{10, BroadcastQueue::Order::kWaves};
  std::vector<ByteView> parts_;
  std::size_t used_ = 0;
};

TEST_F(WaveQueueTest, NewsLeaveInTheOrderOfTheirArrival) {
  Put("", "1");
  Put("", "22");
  Put("", "333");
  EXPECT_EQ(queue_.fresh(), 3u);
  EXPECT_EQ(Wave(100), (Strings{"1", "22", "333"}));
  EXPECT_EQ(used_, 12u);
  EXPECT_EQ(queue_.fresh(), 0u);
  EXPECT_EQ(queue_.size(), 3u) << "repeats are left";
  EXPECT_EQ(Wave(100), Strings{});
}

// A short message does not overtake a long one.
TEST_F(WaveQueueTest, WhatDoesNotFitWaitsForTheNextPacket) {
  Put("", "1");
  Put("", "22222");
  Put("", "3");
  EXPECT_EQ(Wave(9), Strings{"1"});
  EXPECT_EQ(Wave(9), Strings{"22222"});
  EXPECT_EQ(Wave(9), Strings{"3"});
  EXPECT_EQ(queue_.fresh(), 0u);
}

// However many there are of them.
TEST_F(WaveQueueTest, WhatFitsNoPacketIsDroppedAndHoldsUpNobody) {
  BroadcastQueue queue(1000, BroadcastQueue::Order::kWaves);
  const std::string large(200, 'x');
  for (int i = 0; i < 300; ++i) queue.Enqueue("", AsBytes(large));
  queue.Enqueue("", AsBytes("1"));
  std::vector<ByteView> parts;
  queue.Draw(8, 2, 100, parts, {.places = kPlaces, .wave = 0b111, .capacity = 100});
  EXPECT_EQ(Texts(parts), Strings{"1"});
  EXPECT_EQ(queue.fresh(), 0u);
  EXPECT_EQ(queue.dropped(), 300u);
}

// A member leaves between the wave and the repeats.
TEST_F(WaveQueueTest, FewerPlacesThanTheMessageWentTo) {
  Put("", "m");
  Wave(100, 0b111);
  for (int i = 0; i < 5; ++i) {
    parts_.clear();
    queue_.Draw(8, 2, 100, parts_, {.place = static_cast<std::uint8_t>(i % 2), .places = 2});
    EXPECT_EQ(Texts(parts_), Strings{"m"}) << i;
  }
  EXPECT_TRUE(queue_.empty()) << "eight transmissions";
}

TEST_F(WaveQueueTest, AWaveIsATransmissionToEachOfItsPlaces) {
  Put("", "m");
  EXPECT_EQ(Repeat(3), Strings{}) << "news leave in waves only";
  EXPECT_EQ(Wave(100), Strings{"m"});
  EXPECT_EQ(queue_.PeekForTest()[0].transmits, 3);
  for (std::uint8_t had = 0; had < 3; ++had) EXPECT_EQ(Repeat(had), Strings{}) << int{had};
  for (std::uint8_t place = 3; place < 7; ++place) EXPECT_EQ(Repeat(place), Strings{"m"});
  EXPECT_EQ(queue_.size(), 1u);
  EXPECT_EQ(Repeat(7), Strings{"m"});
  EXPECT_TRUE(queue_.empty()) << "eight transmissions";
}

TEST_F(WaveQueueTest, WhoWaitsForAMessageWaitsForItsWave) {
  Put("a", "m", 7);
  EXPECT_TRUE(queue_.finished().empty());
  Wave(100);
  EXPECT_EQ(queue_.finished(), std::vector<BroadcastQueue::Token>{7});
  for (std::uint8_t place = 3; place < 8; ++place) Repeat(place);
  EXPECT_TRUE(queue_.empty());
  EXPECT_EQ(queue_.finished(), std::vector<BroadcastQueue::Token>{7}) << "once";
}

TEST_F(WaveQueueTest, ANewerMessageOfTheSubjectIsFreshAgain) {
  Put("a", "old");
  Wave(100);
  Put("a", "new");
  EXPECT_EQ(queue_.size(), 1u);
  EXPECT_EQ(queue_.fresh(), 1u);
  EXPECT_EQ(Wave(100), Strings{"new"});
  Put("a", "newer");
  queue_.Invalidate("a");
  EXPECT_EQ(queue_.fresh(), 0u);
  EXPECT_TRUE(queue_.empty());
}

// Repeats make room before news, and of news the oldest.
TEST_F(WaveQueueTest, AFullQueueDropsRepeatsThenTheOldest) {
  for (int i = 0; i < 5; ++i) Put("", absl::StrCat("repeat", i));
  Wave(100);
  for (int i = 0; i < 12; ++i) Put("", absl::StrCat("news", i));
  EXPECT_EQ(queue_.size(), 10u);
  EXPECT_EQ(queue_.fresh(), 10u);
  EXPECT_EQ(queue_.dropped(), 7u);
  EXPECT_EQ(Wave(13), (Strings{"news2"}));
}

// Dropping a repeat that every live peer was sent loses nothing.
TEST_F(WaveQueueTest, WhatEverybodyWasSentIsNoLoss) {
  for (int i = 0; i < 10; ++i) Put("", absl::StrCat("repeat", i));
  Wave(100, 0b111, /*everybody=*/true);
  EXPECT_EQ(queue_.size(), 10u);
  for (int i = 0; i < 10; ++i) Put("", "news");
  EXPECT_EQ(queue_.dropped(), 0u);
  Put("", "news");
  EXPECT_EQ(queue_.dropped(), 1u);
}

// More repeats would take the room of news.
TEST_F(WaveQueueTest, OfWhatEverybodyWasSentThreePacketsOfRepeatsAreKept) {
  for (int i = 0; i < 10; ++i) Put("", std::string(700, static_cast<char>('a' + i)), i + 1u);
  while (queue_.fresh() > 0) {
    parts_.clear();
    queue_.Draw(8, 2, 1400, parts_,
                {.places = kPlaces, .wave = 0b111, .everybody = true, .capacity = 1400});
  }
  EXPECT_EQ(queue_.finished().size(), 10u);
  EXPECT_GE(queue_.message_bytes(), BroadcastQueue::kToldBytesMax - 700);
  EXPECT_LE(queue_.message_bytes(), BroadcastQueue::kToldBytesMax);
  EXPECT_EQ(queue_.dropped(), 0u);
}

// The own news of a node go to all, what it passes on to some, and what others tell all themselves
// waits for repeats.
TEST_F(WaveQueueTest, EachWaveTakesWhatSpreadsSoFar) {
  queue_.Enqueue("", AsBytes("told"), 0, Spread::kRepeats);
  queue_.Enqueue("", AsBytes("heard 1"), 0, Spread::kRing);
  queue_.Enqueue("", AsBytes("own 1"), 7, Spread::kAll);
  queue_.Enqueue("", AsBytes("heard 2"), 0, Spread::kRing);
  queue_.Enqueue("", AsBytes("own 2"), 0, Spread::kAll);
  const BroadcastsWaiting waiting = queue_.waiting();
  EXPECT_EQ(waiting.messages, 5u);
  EXPECT_EQ(waiting.fresh, 4u);
  EXPECT_EQ(waiting.to_all, 2u);
  EXPECT_EQ(waiting.to_all_bytes, 10u);
  parts_.clear();
  const BroadcastPacket to_all{.to_all = 19,
                               .everybody = true,
                               .most = Spread::kAll,
                               .least = Spread::kAll,
                               .capacity = 100};
  EXPECT_EQ(to_all.copies(), 19);
  queue_.Draw(8, 2, 100, parts_, to_all);
  EXPECT_EQ(Texts(parts_), (Strings{"own 1", "own 2"}));
  EXPECT_EQ(queue_.finished(), std::vector<BroadcastQueue::Token>{7});
  EXPECT_EQ(queue_.waiting().to_all, 0u);
  EXPECT_EQ(queue_.waiting().to_all_bytes, 0u);
  EXPECT_EQ(Wave(100), (Strings{"heard 1", "heard 2"}));
  EXPECT_EQ(queue_.fresh(), 0u);
  EXPECT_EQ(Repeat(3), (Strings{"told", "heard 1", "heard 2", "own 1", "own 2"}));
}

TEST_F(WaveQueueTest, AWaveToSomeTakesTheOwnNewsFirstIfTheyDoNotGoToAll) {
  queue_.Enqueue("", AsBytes("heard"), 0, Spread::kRing);
  queue_.Enqueue("", AsBytes("own"), 0, Spread::kAll);
  EXPECT_EQ(Wave(100), (Strings{"own", "heard"}));
}

// Each is repeated once before another one is repeated again, or makes room for a new one.
TEST_F(WaveQueueTest, WhatAllWereToldTakesThePlaceOfWhatWasRepeated) {
  BroadcastQueue queue(1000, BroadcastQueue::Order::kWaves);
  for (int i = 0; i < 100; ++i) {
    queue.Enqueue("", AsBytes(std::string(100, 'x')), 0, Spread::kRepeats);
  }
  EXPECT_EQ(queue.size(), BroadcastQueue::kToldBytesMax / 100);
  queue.Enqueue("", AsBytes("own"), 0, Spread::kAll);
  EXPECT_EQ(queue.fresh(), 1u);
  queue.Enqueue("", AsBytes("too much"), 0, Spread::kRepeats);
  std::vector<ByteView> parts;
  queue.Draw(8, 2, 1000, parts, {.place = 0, .places = kPlaces});
  EXPECT_EQ(parts.size(), 9u);
  for (int i = 0; i < 20; ++i) {
    queue.Enqueue("", AsBytes(absl::StrCat("new ", i, std::string(94, 'x'))), 0, Spread::kRepeats);
  }
  int repeated = 0;
  for (const BroadcastQueue::Peek& p : queue.PeekForTest()) repeated += p.transmits > 0 ? 1 : 0;
  EXPECT_EQ(repeated, 0);
  EXPECT_LE(queue.message_bytes(), BroadcastQueue::kToldBytesMax + 200);
  EXPECT_EQ(queue.dropped(), 0u);
}

// What was passed on to some members is not dropped for what goes to all, though it has been sent
// as often as repeats that may be.
TEST_F(WaveQueueTest, WhatAllWereToldTakesThePlaceOfNothingElse) {
  BroadcastQueue queue(1000, BroadcastQueue::Order::kWaves);
  queue.Enqueue("", AsBytes("heard"), 0, Spread::kRing);
  std::vector<ByteView> parts;
  queue.Draw(8, 2, 1000, parts, {.places = kPlaces, .wave = 0b1, .capacity = 1000});
  const auto fill = [&] {
    while (queue.message_bytes() < BroadcastQueue::kToldBytesMax) {
      queue.Enqueue("", AsBytes(std::string(100, 'x')), 0, Spread::kRepeats);
    }
  };
  fill();
  queue.Draw(8, 2, 8000, parts, {.place = 0, .places = kPlaces});
  fill();
  queue.Enqueue("", AsBytes("told"), 0, Spread::kRepeats);
  const auto queued = queue.PeekForTest();
  EXPECT_EQ(std::count_if(queued.begin(), queued.end(),
                          [](const auto& p) { return AsText(p.message) == "heard"; }),
            1);
}

// All packets of a moment may be lost together.
TEST_F(WaveQueueTest, AWaveIsNotAllOfAMessagesTransmissions) {
  for (const int limit : {2, 4, 8}) {
    BroadcastQueue queue(10, BroadcastQueue::Order::kWaves);
    queue.Enqueue("", AsBytes("own"), 0, Spread::kAll);
    std::vector<ByteView> parts;
    queue.Draw(limit, 2, 100, parts, {.to_all = 19, .everybody = true, .capacity = 100});
    parts.clear();
    queue.Draw(limit, 2, 100, parts, {.place = 0, .places = 1});
    EXPECT_EQ(Texts(parts), Strings{"own"}) << limit;
    EXPECT_TRUE(queue.empty()) << limit;
  }
}

TEST_F(WaveQueueTest, AFullQueueDropsToldThenHeardThenOwn) {
  BroadcastQueue queue(3, BroadcastQueue::Order::kWaves);
  queue.Enqueue("", AsBytes("own 1"), 0, Spread::kAll);
  queue.Enqueue("", AsBytes("heard"), 0, Spread::kRing);
  queue.Enqueue("", AsBytes("told"), 0, Spread::kRepeats);
  queue.Enqueue("", AsBytes("own 2"), 0, Spread::kAll);
  EXPECT_EQ(queue.dropped(), 0u) << "everybody was told";
  queue.Enqueue("", AsBytes("own 3"), 0, Spread::kAll);
  EXPECT_EQ(queue.dropped(), 1u);
  queue.Enqueue("", AsBytes("own 4"), 0, Spread::kAll);
  std::vector<ByteView> parts;
  queue.Draw(8, 2, 100, parts, {.places = kPlaces, .wave = 0b111, .capacity = 100});
  EXPECT_EQ(Texts(parts), (Strings{"own 2", "own 3", "own 4"}));
}

// The rules of the specification, as a list that is sorted whenever it matters.
class SlowQueue {
 public:
  explicit SlowQueue(std::size_t max) : max_(max) {}

  void Enqueue(const std::string& subject, const std::string& message) {
    if (!subject.empty()) {
      std::erase_if(entries_, [&](const Entry& e) { return e.subject == subject; });
    }
    Sort();
    while (entries_.size() >= max_) entries_.pop_back();
    entries_.push_back({subject, message, 0, ++id_});
  }

  Strings Draw(int limit, std::size_t overhead, std::size_t budget) {
    Sort();
    Strings drawn;
    std::vector<Entry> aside;
    std::size_t used = 0;
    std::vector<int> counts;
    for (const Entry& e : entries_) counts.push_back(e.transmits);
    counts.erase(std::unique(counts.begin(), counts.end()), counts.end());
    for (const int count : counts) {
      for (;;) {
        if (used + overhead >= budget) break;
        const std::size_t room = budget - used - overhead;
        const auto it = std::find_if(entries_.begin(), entries_.end(), [&](const Entry& e) {
          return e.transmits == count && e.message.size() <= room;
        });
        if (it == entries_.end()) break;
        used += overhead + it->message.size();
        drawn.push_back(it->message);
        Entry e = *it;
        entries_.erase(it);
        if (++e.transmits < limit) aside.push_back(e);
      }
    }
    entries_.insert(entries_.end(), aside.begin(), aside.end());
    return drawn;
  }

  std::size_t size() const { return entries_.size(); }

 private:
  struct Entry {
    std::string subject, message;
    int transmits;
    std::uint64_t id;
  };
  void Sort() {
    std::sort(entries_.begin(), entries_.end(), [](const Entry& a, const Entry& b) {
      if (a.transmits != b.transmits) return a.transmits < b.transmits;
      if (a.message.size() != b.message.size()) return a.message.size() > b.message.size();
      return a.id > b.id;
    });
  }
  std::size_t max_;
  std::uint64_t id_ = 0;
  std::vector<Entry> entries_;
};

TEST(BroadcastQueue, AgreesWithTheSlowQueue) {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    Rng rng(seed);
    BroadcastQueue queue(40);
    SlowQueue slow(40);
    std::vector<ByteView> parts;
    for (int step = 0; step < 2000; ++step) {
      if (rng.Below(2) == 0) {
        const std::string subject = rng.Below(4) == 0 ? "" : absl::StrCat("s", rng.Below(50));
        const std::string message = absl::StrCat(step, std::string(rng.Below(60), 'x'));
        queue.Enqueue(subject, AsBytes(message));
        slow.Enqueue(subject, message);
      } else {
        const int limit = static_cast<int>(rng.Below(6));
        const std::size_t budget = rng.Below(400);
        parts.clear();
        queue.Draw(limit, 2, budget, parts);
        ASSERT_EQ(Texts(parts), slow.Draw(limit, 2, budget)) << "seed " << seed << " step " << step;
      }
      ASSERT_EQ(queue.size(), slow.size()) << "seed " << seed << " step " << step;
    }
  }
}

}  // namespace
}  // namespace serf::swim
