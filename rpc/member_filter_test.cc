#include "serf/rpc/member_filter.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "gtest/gtest.h"
#include "serf/member.h"
#include "serf/member_listing.h"
#include "serf/rpc/protocol.h"
#include "serf/testing/rpc/fake_service.h"

namespace serf::rpc {
namespace {

MemberView Named(absl::string_view name, TagViews tags = {}) {
  return {name, {}, std::move(tags), MemberStatus::kAlive, {}};
}

bool Matches(const MembersFilteredRequest& request) {
  const absl::StatusOr<MemberFilter> filter = MemberFilter::Compile(request);
  EXPECT_TRUE(filter.ok()) << filter.status();
  return filter.ok() && filter->Matches(Named("web-1", {{"dc", "east"}, {"role", "web"}}));
}

TEST(MemberFilterTest, EveryPartMustMatch) {
  EXPECT_TRUE(Matches({}));
  EXPECT_TRUE(Matches({{}, "alive", ""}));
  EXPECT_FALSE(Matches({{}, "failed", ""}));
  EXPECT_TRUE(Matches({{}, "", "web-.*"}));
  EXPECT_TRUE(Matches({{{"role", "w.b"}, {"dc", "east"}}, "alive", "web-1"}));
  EXPECT_FALSE(Matches({{{"role", "web"}, {"dc", "west"}}, "", ""}));
}

TEST(MemberFilterTest, AnchoringIsTextual) {
  EXPECT_FALSE(Matches({{}, "", "web"}));
  EXPECT_TRUE(Matches({{}, "", "web|db"}));  // "^web|db$"
  EXPECT_FALSE(Matches({{}, "", "(web|db)"}));
}

TEST(MemberFilterTest, MissingTagIsEmptyText) {
  EXPECT_TRUE(Matches({{{"none", ""}}, "", ""}));
  EXPECT_TRUE(Matches({{{"none", ".*"}}, "", ""}));
  EXPECT_FALSE(Matches({{{"none", ".+"}}, "", ""}));
  EXPECT_FALSE(Matches({{{"role", ""}}, "", ""}));
}

TEST(MemberFilterTest, ErrorsReadLikeTheOriginals) {
  const struct {
    const char* expression;
    const char* error;
  } cases[] = {
      {"[", "missing closing ]: `[$`"},
      {"(a", "missing closing ): `^(a$`"},
      {"a)", "unexpected ): `^a)$`"},
      {"a**", "invalid nested repetition operator: `**`"},
      {"[b-a]", "invalid character class range: `b-a`"},
      {"\\8", "invalid escape sequence: `\\8`"},
      {"a{1001}", "invalid repeat count: `{1001}`"},
      {"(?<n>a)", "invalid or unsupported Perl syntax: `(?<`"},
      {"\xff", "invalid UTF-8: `^\xff$`"},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.expression);
    const absl::StatusOr<MemberFilter> filter = MemberFilter::Compile({{}, "", c.expression});
    ASSERT_FALSE(filter.ok());
    EXPECT_EQ(std::string(filter.status().message()),
              std::string("Failed to compile regex: error parsing regexp: ") + c.error);
  }
}

// Names of up to 255 letters, by character classes, which Go Serf accepts too.
TEST(MemberFilterTest, WhatPeopleWriteWorks) {
  for (const char* name : {"[\\pL\\pN_.-]{1,64}", "[\\pL\\pN_.-]{1,255}", "\\p{Ll}{1,255}"}) {
    const absl::StatusOr<MemberFilter> filter = MemberFilter::Compile({{}, "", name});
    ASSERT_TRUE(filter.ok()) << filter.status();
    EXPECT_TRUE(filter->Matches(Named("alpha")));
    EXPECT_FALSE(filter->Matches(Named("al pha")));
  }
}

TEST(MemberFilterTest, PlainExpressionsAndFewMembersAreCheap) {
  const auto times = [](std::size_t count, const std::string& name) {
    return ListingOf(std::vector<Member>(count, TestMember(name)));
  };
  const MemberListing few = times(10, "alpha");
  const MemberListing many = times(2000, "alpha");
  const MemberListing long_names = times(400, std::string(500, 'a'));
  const MembersFilteredRequest plain = {{{"role", "web"}}, "alive", "alp.*|web-[0-9]+"};
  EXPECT_TRUE(MemberFilter::IsCheap({}, many));
  EXPECT_TRUE(MemberFilter::IsCheap(plain, few));
  EXPECT_FALSE(MemberFilter::IsCheap(plain, many));
  EXPECT_TRUE(MemberFilter::IsCheap({{}, "alive", ""}, long_names));
  EXPECT_FALSE(MemberFilter::IsCheap({{}, "", "a"}, long_names));
  EXPECT_FALSE(MemberFilter::IsCheap({{}, "", "\\pL+"}, few));
  EXPECT_FALSE(MemberFilter::IsCheap({{}, "", "a{2}"}, few));
  EXPECT_FALSE(MemberFilter::IsCheap({{{"role", "(?i)web"}}, "", ""}, few));
}

TEST(MemberFilterTest, AllExpressionsHaveOneBudget) {
  MembersFilteredRequest request = {{}, "", "\\pL{90}"};
  EXPECT_TRUE(MemberFilter::Compile(request).ok());
  for (int i = 0; i < 8; ++i) request.tags[std::to_string(i)] = "\\pL{90}";
  EXPECT_FALSE(MemberFilter::Compile(request).ok());
}

// Expressions that make a backtracking engine run for years, or an automaton huge.
TEST(MemberFilterTest, HostileExpressionsAreBounded) {
  const std::string name = std::string(64, 'a') + "!";
  const absl::StatusOr<MemberFilter> exponential = MemberFilter::Compile({{}, "", "(a*)*(a*)*b"});
  ASSERT_TRUE(exponential.ok());
  EXPECT_FALSE(exponential->Matches(Named(name)));

  const absl::StatusOr<MemberFilter> huge =
      MemberFilter::Compile({{}, "", "((((a{1,100}){1,100}){1,100}){1,100}){1,100}"});
  EXPECT_FALSE(huge.ok());

  MembersFilteredRequest many;
  for (std::size_t i = 0; i <= kFilterTagsMax; ++i) many.tags[std::to_string(i)] = ".*";
  EXPECT_FALSE(MemberFilter::Compile(many).ok());
}

}  // namespace
}  // namespace serf::rpc
