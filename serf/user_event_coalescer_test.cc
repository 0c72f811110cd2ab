#include "serf/user_event_coalescer.h"

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
  // An older one in a later batch is news nevertheless.
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
  EXPECT_EQ(Timer().size(), UserEventCoalescer::kHeldMax);
}

TEST_F(UserEventCoalescerTest, ABatchOfManyBytesIsDueAtOnce) {
  const std::string payload(kUserEventMax, 'x');
  // What is replaced does not count.
  for (std::uint64_t time = 1; time < 2 * UserEventCoalescer::kHeldBytesMax / kUserEventMax;
       ++time) {
    Add("same", time, payload);
    EXPECT_THAT(Timer(), IsEmpty());
  }
  std::size_t held = 1;
  for (; coalescer_.NextDeadline() > now_; ++held) Add(absl::StrCat("e", held), 1, payload);
  EXPECT_EQ(held, UserEventCoalescer::kHeldBytesMax / kUserEventMax + 1);
  EXPECT_EQ(Timer().size(), held);
  EXPECT_EQ(coalescer_.NextDeadline(), kNever);
}

}  // namespace
}  // namespace serf
