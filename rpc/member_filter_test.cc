#include "serf/rpc/member_filter.h"

#include <string>

#include "absl/status/statusor.h"
#include "gtest/gtest.h"
#include "serf/member.h"
#include "serf/rpc/fake_service.h"
#include "serf/rpc/protocol.h"

namespace serf::rpc {
namespace {

bool Matches(const MembersFilteredRequest& request) {
  Member member = TestMember("web-1");
  member.tags = {{"role", "web"}, {"dc", "east"}};
  const absl::StatusOr<MemberFilter> filter = MemberFilter::Compile(request);
  EXPECT_TRUE(filter.ok()) << filter.status();
  return filter.ok() && filter->Matches(member);
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

// What makes a backtracking engine run for years, and what makes an automaton huge.
TEST(MemberFilterTest, HostileExpressionsAreCheap) {
  Member member = TestMember(std::string(64, 'a') + "!");
  const absl::StatusOr<MemberFilter> exponential = MemberFilter::Compile({{}, "", "(a*)*(a*)*b"});
  ASSERT_TRUE(exponential.ok());
  EXPECT_FALSE(exponential->Matches(member));

  const absl::StatusOr<MemberFilter> huge =
      MemberFilter::Compile({{}, "", "((((a{1,100}){1,100}){1,100}){1,100}){1,100}"});
  EXPECT_FALSE(huge.ok());

  MembersFilteredRequest many;
  for (std::size_t i = 0; i <= kFilterTagsMax; ++i) many.tags[std::to_string(i)] = ".*";
  EXPECT_FALSE(MemberFilter::Compile(many).ok());
}

}  // namespace
}  // namespace serf::rpc
