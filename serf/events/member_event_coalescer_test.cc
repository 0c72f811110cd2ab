#include "serf/events/member_event_coalescer.h"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <initializer_list>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
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

// Go Serf issue 555: each later batch repeated an update.
TEST_F(CoalescerTest, AnUpdateIsToldOnceEach) {
  EXPECT_THAT(Batch({Of(kJoin, "a")}), ElementsAre("member-join: a"));
  EXPECT_THAT(Batch({Of(kUpdate, "a", "web")}), ElementsAre("member-update: a"));
  EXPECT_THAT(Batch({Of(kJoin, "b")}), ElementsAre("member-join: b"));
  EXPECT_THAT(Batch({Of(kUpdate, "a", "db")}), ElementsAre("member-update: a"));
}

// Both have the newest record.
TEST_F(CoalescerTest, AnUpdateDoesNotHideTheJoin) {
  coalescer_.Add(now_, Of(kJoin, "a"));
  coalescer_.Add(now_, Of(kUpdate, "a", "web"));
  std::vector<MemberEvent> delivered;
  coalescer_.Flush([&](MemberEvent event) { delivered.push_back(std::move(event)); });
  ASSERT_EQ(delivered.size(), 2u);
  EXPECT_EQ(delivered[0].kind, kJoin);
  EXPECT_EQ(delivered[1].kind, kUpdate);
  for (const MemberEvent& event : delivered) {
    ASSERT_EQ(event.members.size(), 1u);
    EXPECT_EQ(event.members[0].tags, (Tags{{"role", "web"}}));
  }
}

TEST_F(CoalescerTest, AReapedMemberIsForgotten) {
  EXPECT_THAT(Batch({Of(kJoin, "a")}), ElementsAre("member-join: a"));
  EXPECT_THAT(Batch({Of(kReap, "a")}), ElementsAre("member-reap: a"));
  EXPECT_THAT(Batch({Of(kReap, "a")}), ElementsAre("member-reap: a"));
  EXPECT_THAT(Batch({Of(kJoin, "a")}), ElementsAre("member-join: a"));
}

// What one batch reports of a member, by what was reported before. "j" join, "l" leave, "f" failed,
// "u" update, "r" reap; a capital letter has other tags from there on.
TEST_F(CoalescerTest, WhatABatchTells) {
  const struct {
    const char* before;
    const char* batch;
    const char* told;
  } kCases[] = {
      // Not known before.
      {"", "j", "j"},
      {"", "jj", "j"},
      {"", "jU", "ju"},
      {"", "jUU", "ju"},
      {"", "jl", "l"},
      {"", "jf", "f"},
      {"", "jUl", "l"},
      {"", "jlj", "j"},
      {"", "jfJ", "j"},
      {"", "jljU", "ju"},
      {"", "jUfJ", "j"},
      {"", "jfr", "fr"},
      {"", "U", "u"},
      // Alive before.
      {"j", "j", ""},
      {"j", "J", "u"},
      {"j", "U", "u"},
      {"j", "UU", "u"},
      {"j", "l", "l"},
      {"j", "f", "f"},
      {"j", "fj", ""},
      {"j", "lJ", "u"},
      {"j", "fjU", "u"},
      {"j", "Ul", "l"},
      {"j", "Uf", "f"},
      {"j", "UfJ", "u"},
      {"j", "fl", "l"},
      {"j", "fr", "fr"},
      {"j", "lr", "lr"},
      {"j", "Ulr", "lr"},
      {"j", "flr", "lr"},
      {"j", "frj", ""},
      {"j", "frJ", "u"},
      {"ju", "j", ""},
      // Gone before.
      {"jl", "j", "j"},
      {"jf", "j", "j"},
      {"jf", "jf", ""},
      {"jf", "jl", "l"},
      {"jf", "l", "l"},
      {"jf", "r", "r"},
      {"jf", "lr", "lr"},
      {"jf", "jU", "ju"},
      {"jf", "jfr", "r"},
      {"jl", "rj", "j"},
      {"jlr", "j", "j"},
  };
  for (const auto& c : kCases) {
    coalescer_ = MemberEventCoalescer(seconds(3), seconds(1));
    std::string role = "r";
    const auto add = [&](char letter) {
      constexpr absl::string_view kLetters = "jlfur";
      const bool changed = letter < 'a';
      if (changed) role += "x";
      const std::size_t kind = kLetters.find(changed ? static_cast<char>(letter + 32) : letter);
      coalescer_.Add(now_, Of(static_cast<MemberEventKind>(kind), "a", role));
    };
    for (const char* letter = c.before; *letter != 0; ++letter) {
      add(*letter == 'u' ? 'U' : *letter);
      coalescer_.Flush([](const MemberEvent&) {});
    }
    for (const char* letter = c.batch; *letter != 0; ++letter) add(*letter);
    std::string told;
    coalescer_.Flush([&](const MemberEvent& event) {
      told += "jlfur"[static_cast<std::size_t>(event.kind)];
      ASSERT_EQ(event.members.size(), 1u);
      EXPECT_EQ(event.members[0].tags.at("role"), role) << c.before << " " << c.batch;
    });
    EXPECT_EQ(told, c.told) << c.before << " " << c.batch;
  }
}

TEST_F(CoalescerTest, AFullBatchIsDueAtOnce) {
  for (std::size_t i = 0; i < MemberEventCoalescer::kHeldMax; ++i) {
    EXPECT_GT(coalescer_.NextDeadline(), now_);
    coalescer_.Add(now_, Of(kJoin, absl::StrCat("m", i)));
  }
  EXPECT_LE(coalescer_.NextDeadline(), now_);
  coalescer_.Flush([](const MemberEvent& event) {
    EXPECT_EQ(event.members.size(), MemberEventCoalescer::kHeldMax);
  });
  EXPECT_EQ(coalescer_.NextDeadline(), kNever);
}

// A cluster that starts all at once does not hold up the loop: each turn delivers a portion, in
// order, and later events follow.
TEST_F(CoalescerTest, ManyMembersAreToldInPortions) {
  constexpr std::size_t kMembers = 10'000;
  std::vector<std::string> names;
  for (std::size_t i = 0; i < kMembers; ++i) names.push_back(absl::StrCat("m", 100'000 + i));
  for (std::size_t i = 0; i < kMembers; ++i) {
    coalescer_.Add(now_, Of(i % 2 == 0 ? kJoin : kFailed, names[i * 7919 % kMembers]));
  }
  now_ += seconds(1);
  std::vector<std::string> joined, failed;
  std::size_t turns = 0;
  for (; coalescer_.NextDeadline() <= now_; ++turns) {
    ASSERT_LT(turns, kMembers);
    std::size_t told = 0;
    coalescer_.OnTimer(now_, [&](const MemberEvent& event) {
      told += event.members.size();
      ASSERT_TRUE(event.kind == kFailed || failed.empty()) << "joins come first";
      for (const Member& member : event.members) {
        (event.kind == kJoin ? joined : failed).push_back(member.name);
      }
    });
    EXPECT_LE(told, 600u);
    if (turns == 0) coalescer_.Add(now_, Of(kLeave, names[0]));
  }
  EXPECT_GE(turns, kMembers / 600);
  EXPECT_EQ(joined.size() + failed.size(), kMembers);
  for (const auto* told : {&joined, &failed}) {
    EXPECT_EQ(told->size(), kMembers / 2);
    EXPECT_TRUE(std::is_sorted(told->begin(), told->end()));
  }
  EXPECT_EQ(coalescer_.NextDeadline(), now_ + seconds(1));
  now_ += seconds(1);
  EXPECT_THAT(Timer(), ElementsAre(absl::StrCat("member-leave: ", names[0])));
  EXPECT_EQ(coalescer_.NextDeadline(), kNever);
}

// A flush does not wait for turns.
TEST_F(CoalescerTest, AFlushTellsAllThatIsLeft) {
  for (int i = 0; i < 3'000; ++i) coalescer_.Add(now_, Of(kJoin, absl::StrCat("m", i)));
  now_ += seconds(1);
  std::size_t told = 0;
  const auto count = [&](const MemberEvent& event) { told += event.members.size(); };
  coalescer_.OnTimer(now_, count);
  coalescer_.Add(now_, Of(kJoin, "later"));
  EXPECT_LT(told, 3'000u);
  coalescer_.Flush(count);
  EXPECT_EQ(told, 3'001u);
  EXPECT_EQ(coalescer_.NextDeadline(), kNever);
}

TEST_F(CoalescerTest, ABatchOfManyBytesIsDueAtOnce) {
  const std::string role(10'000, 'x');  // more than the network takes
  for (int i = 0; i < 2'000; ++i) coalescer_.Add(now_, Of(kUpdate, "same", role));
  std::size_t held = 1;
  for (; coalescer_.NextDeadline() > now_; ++held) {
    coalescer_.Add(now_, Of(kJoin, absl::StrCat("m", held), role));
  }
  EXPECT_LE(held, MemberEventCoalescer::kHeldBytesMax / role.size() + 1);
  EXPECT_GE(held, MemberEventCoalescer::kHeldBytesMax / (role.size() + 20));
}

}  // namespace
}  // namespace serf
