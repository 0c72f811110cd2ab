#include "serf/coalescer.h"

#include <chrono>
#include <initializer_list>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace serf {
namespace {

using std::chrono::seconds;
using testing::ElementsAre;
using testing::IsEmpty;
using enum MemberEventKind;

constexpr Instant kStart{};

MemberEvent Of(MemberEventKind kind, const std::string& name, const std::string& role = "") {
  Member member;
  member.name = name;
  if (!role.empty()) member.tags["role"] = role;
  return {kind, {member}};
}

class CoalescerTest : public testing::Test {
 protected:
  // What a batch of these events, all at once, delivers: "member-join: a b".
  std::vector<std::string> Batch(std::initializer_list<MemberEvent> events) {
    for (const MemberEvent& event : events) coalescer_.Add(now_, event);
    now_ += seconds(10);
    return Timer();
  }

  std::vector<std::string> Timer() {
    std::vector<std::string> lines;
    coalescer_.OnTimer(now_, [&](const MemberEvent& event) {
      std::string line = absl::StrCat(std::string(MemberEventName(event.kind)), ":");
      for (const Member& member : event.members) absl::StrAppend(&line, " ", member.name);
      lines.push_back(line);
    });
    return lines;
  }

  MemberEventCoalescer coalescer_{seconds(3), seconds(1)};
  Instant now_ = kStart;
};

TEST_F(CoalescerTest, MergesMembersOfAKindSortedByName) {
  EXPECT_THAT(Batch({Of(kJoin, "b"), Of(kJoin, "a"), Of(kFailed, "c")}),
              ElementsAre("member-join: a b", "member-failed: c"));
}

TEST_F(CoalescerTest, EndsABatchWhenItIsQuietOrOld) {
  EXPECT_EQ(coalescer_.NextDeadline(), kNever);
  coalescer_.Add(kStart, Of(kJoin, "a"));
  EXPECT_EQ(coalescer_.NextDeadline(), kStart + seconds(1));
  now_ = kStart + seconds(1) - Duration(1);
  EXPECT_THAT(Timer(), IsEmpty());
  for (int i = 1; i <= 4; ++i) {
    coalescer_.Add(kStart + i * std::chrono::milliseconds(700), Of(kJoin, "a"));
  }
  EXPECT_EQ(coalescer_.NextDeadline(), kStart + seconds(3));
  now_ = kStart + seconds(3);
  EXPECT_THAT(Timer(), ElementsAre("member-join: a"));
  EXPECT_EQ(coalescer_.NextDeadline(), kNever);
}

TEST_F(CoalescerTest, AFlapIsNothing) {
  EXPECT_THAT(Batch({Of(kJoin, "a")}), ElementsAre("member-join: a"));
  EXPECT_THAT(Batch({Of(kFailed, "a"), Of(kJoin, "a")}), IsEmpty());
  EXPECT_THAT(Batch({Of(kFailed, "a")}), ElementsAre("member-failed: a"));
  EXPECT_THAT(Batch({Of(kJoin, "a"), Of(kFailed, "a")}), IsEmpty());
}

TEST_F(CoalescerTest, AFlapThatBroughtOtherTagsIsAnUpdate) {
  EXPECT_THAT(Batch({Of(kJoin, "a", "web")}), ElementsAre("member-join: a"));
  EXPECT_THAT(Batch({Of(kFailed, "a"), Of(kJoin, "a", "db")}), ElementsAre("member-update: a"));
  EXPECT_THAT(Batch({Of(kFailed, "a"), Of(kJoin, "a", "db")}), IsEmpty());
}

TEST_F(CoalescerTest, OnlyTheLastKindOfABatchCounts) {
  EXPECT_THAT(Batch({Of(kJoin, "a"), Of(kLeave, "a")}), ElementsAre("member-leave: a"));
}

// Reference issue 555: an update was told again in every later batch.
TEST_F(CoalescerTest, AnUpdateIsToldOnceEach) {
  EXPECT_THAT(Batch({Of(kJoin, "a")}), ElementsAre("member-join: a"));
  EXPECT_THAT(Batch({Of(kUpdate, "a", "web")}), ElementsAre("member-update: a"));
  EXPECT_THAT(Batch({Of(kJoin, "b")}), ElementsAre("member-join: b"));
  EXPECT_THAT(Batch({Of(kUpdate, "a", "db")}), ElementsAre("member-update: a"));
}

TEST_F(CoalescerTest, AnUpdateDoesNotHideTheJoin) {
  coalescer_.Add(now_, Of(kJoin, "a"));
  coalescer_.Add(now_, Of(kUpdate, "a", "web"));
  std::vector<MemberEvent> delivered;
  coalescer_.Flush([&](MemberEvent event) { delivered.push_back(std::move(event)); });
  ASSERT_EQ(delivered.size(), 1u);
  EXPECT_EQ(delivered[0].kind, kJoin);
  EXPECT_EQ(delivered[0].members[0].tags, (Tags{{"role", "web"}}));
}

TEST_F(CoalescerTest, AReapedMemberIsForgotten) {
  EXPECT_THAT(Batch({Of(kJoin, "a")}), ElementsAre("member-join: a"));
  EXPECT_THAT(Batch({Of(kReap, "a")}), ElementsAre("member-reap: a"));
  EXPECT_THAT(Batch({Of(kReap, "a")}), ElementsAre("member-reap: a"));
  EXPECT_THAT(Batch({Of(kJoin, "a")}), ElementsAre("member-join: a"));
}

}  // namespace
}  // namespace serf
