#include "serf/events/user_event_coalescer.h"

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace serf {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::ElementsAre;
using testing::IsEmpty;

class UserEventCoalescerTest : public testing::Test {
 protected:
  void Add(const std::string& name, std::uint64_t time, const std::string& payload) {
    coalescer_.Add(now_, {wire::LamportTime(time), name, payload, true});
  }
  std::vector<std::string> Timer() {
    std::vector<std::string> lines;
    coalescer_.OnTimer(now_, [&](const UserEvent& event) {
      lines.push_back(absl::StrCat(event.name, " ", event.time.value(), " ", event.payload));
    });
    return lines;
  }
  std::vector<std::string> Batch() {
    now_ += seconds(10);
    return Timer();
  }

  UserEventCoalescer coalescer_{seconds(3), seconds(1)};
  Instant now_{};
};

TEST_F(UserEventCoalescerTest, DeliversTheNewestOfEachName) {
  Add("deploy", 5, "a");
  Add("deploy", 7, "b");
  Add("deploy", 6, "c");
  Add("restart", 1, "d");
  EXPECT_THAT(Batch(), ElementsAre("restart 1 d", "deploy 7 b"));
}

TEST_F(UserEventCoalescerTest, DeliversAllOfTheSameTime) {
  Add("deploy", 5, "a");
  Add("deploy", 5, "b");
  EXPECT_THAT(Batch(), ElementsAre("deploy 5 a", "deploy 5 b"));
}

TEST_F(UserEventCoalescerTest, DeliversNothingTwice) {
  Add("deploy", 5, "a");
  EXPECT_THAT(Batch(), ElementsAre("deploy 5 a"));
  EXPECT_EQ(coalescer_.NextDeadline(), kNever);
  Add("restart", 6, "b");
  EXPECT_THAT(Batch(), ElementsAre("restart 6 b"));
  // An older event in a later batch is still news.
  Add("deploy", 4, "c");
  EXPECT_THAT(Batch(), ElementsAre("deploy 4 c"));
}

TEST_F(UserEventCoalescerTest, EndsABatchWhenItIsQuietOrOld) {
  Add("a", 1, "");
  now_ += milliseconds(900);
  Add("a", 2, "");
  EXPECT_EQ(coalescer_.NextDeadline(), now_ + seconds(1));
  now_ += milliseconds(900);
  Add("a", 3, "");
  now_ += milliseconds(900);
  Add("a", 4, "");
  EXPECT_EQ(coalescer_.NextDeadline(), Instant{} + seconds(3));
  EXPECT_THAT(Timer(), IsEmpty());
  now_ = coalescer_.NextDeadline();
  EXPECT_THAT(Timer(), ElementsAre("a 4 "));
}

TEST_F(UserEventCoalescerTest, AFullBatchIsDueAtOnce) {
  for (std::size_t i = 0; i < UserEventCoalescer::kHeldMax; ++i) {
    EXPECT_THAT(Timer(), IsEmpty());
    Add(absl::StrCat("e", i), 1, "");
  }
  std::size_t told = 0;
  while (coalescer_.NextDeadline() <= now_) {
    const std::size_t in_turn = Timer().size();
    EXPECT_EQ(in_turn, UserEventCoalescer::kToldInTurnMax);
    told += in_turn;
  }
  EXPECT_EQ(told, UserEventCoalescer::kHeldMax);
}

TEST_F(UserEventCoalescerTest, WhatComesWhileABatchIsToldIsOfTheNext) {
  for (std::uint64_t i = 0; i < 200; ++i) Add(absl::StrCat("e", i), 1000 - i, "");
  now_ += seconds(1);
  std::vector<std::string> told = Timer();
  EXPECT_EQ(told.size(), UserEventCoalescer::kToldInTurnMax);
  EXPECT_EQ(told.front(), "e199 801 ");
  Add("later", 1, "");
  EXPECT_LE(coalescer_.NextDeadline(), now_);
  told = Timer();
  EXPECT_EQ(told.size(), 200 - UserEventCoalescer::kToldInTurnMax);
  EXPECT_EQ(told.back(), "e0 1000 ");
  EXPECT_EQ(coalescer_.NextDeadline(), now_ + seconds(1));
  now_ += seconds(1);
  EXPECT_THAT(Timer(), ElementsAre("later 1 "));
}

TEST_F(UserEventCoalescerTest, AFlushTellsAllThatIsLeft) {
  for (std::uint64_t i = 0; i < 300; ++i) Add(absl::StrCat("e", i), 1, "");
  now_ += seconds(1);
  std::size_t told = Timer().size();
  Add("later", 1, "");
  coalescer_.Flush([&](const UserEvent&) { ++told; });
  EXPECT_EQ(told, 301u);
  EXPECT_EQ(coalescer_.NextDeadline(), kNever);
}

TEST_F(UserEventCoalescerTest, ABatchOfManyBytesIsDueAtOnce) {
  const std::string payload(kUserEventMax, 'x');
  // Replaced events do not count.
  for (std::uint64_t time = 1; time < 2 * UserEventCoalescer::kHeldBytesMax / kUserEventMax;
       ++time) {
    Add("same", time, payload);
    EXPECT_THAT(Timer(), IsEmpty());
  }
  std::size_t held = 1;
  for (; coalescer_.NextDeadline() > now_; ++held) Add(absl::StrCat("e", held), 1, payload);
  EXPECT_EQ(held, UserEventCoalescer::kHeldBytesMax / kUserEventMax + 1);
  std::size_t told = 0;
  while (coalescer_.NextDeadline() <= now_) told += Timer().size();
  EXPECT_EQ(told, held);
  EXPECT_EQ(coalescer_.NextDeadline(), kNever);
}

}  // namespace
}  // namespace serf
