#include "serf/judgement.h"

#include <chrono>
#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "serf/base/bytes.h"
#include "serf/base/time.h"
#include "serf/query.h"
#include "serf/tags.h"

namespace serf {
namespace {

using ::testing::ElementsAre;

Duration NoTime() { return Duration::zero(); }

ByteVector MetaOf(const Tags& tags) {
  const absl::StatusOr<ByteVector> meta = EncodeTags(tags, 5);
  return meta.ok() ? *meta : ByteVector();
}

Judgement JudgementOf(std::vector<TagExpression> filters) {
  return Judgement(Judgement::Purpose::kAudience, QueryId(), kNever, std::move(filters));
}

std::vector<std::string> Verdicts(const Judgement& judgement) {
  std::vector<std::string> verdicts;
  judgement.ForEachNode([&](absl::string_view name, std::size_t matched) {
    verdicts.push_back(absl::StrCat(name, " ", matched));
  });
  return verdicts;
}

TEST(JudgementTest, TellsHowManyFiltersEachNodeMatches) {
  Judgement judgement = JudgementOf({{"role", "^web"}, {"dc", "east|west"}, {"rack", "^$"}});
  judgement.AddNode("a", MetaOf({{"role", "web-1"}, {"dc", "east"}}));
  judgement.AddNode("b", MetaOf({{"role", "db"}, {"dc", "east"}}));
  judgement.AddNode("c", MetaOf({{"role", "web-2"}, {"dc", "north"}}));
  judgement.AddNode("", MetaOf({}));
  EXPECT_FALSE(judgement.decided());
  judgement.Run(NoTime);
  ASSERT_TRUE(judgement.decided());
  EXPECT_THAT(Verdicts(judgement), ElementsAre("a 3", "b 0", "c 1", " 0"));
}

TEST(JudgementTest, WhatDoesNotCompileMatchesNobody) {
  Judgement judgement = JudgementOf({{"role", "web"}, {"role", "web("}});
  judgement.AddNode("a", MetaOf({{"role", "web("}}));
  judgement.Run(NoTime);
  ASSERT_TRUE(judgement.decided());
  EXPECT_THAT(Verdicts(judgement), ElementsAre("a 1"));
  EXPECT_TRUE(judgement.error(0).ok());
  EXPECT_EQ(judgement.error(1).message(), "error parsing regexp: missing closing ): `web(`");
}

// What people write for names, some of it costly; Go Serf answers by them.
TEST(JudgementTest, WhatPeopleWriteIsJudged) {
  std::string names;
  for (int i = 0; i < 200; ++i) {
    absl::StrAppend(&names, i == 0 ? "" : "|", "web-", i, "\\.eu-west-1\\.example\\.com");
  }
  const std::string name = "web-7.eu-west-1.example.com";
  for (const std::string& expression :
       {std::string("[\\pL\\pN_.-]{1,255}"), std::string("^\\w[\\w.-]{1,255}$"),
        std::string("(?i)^[\\pL\\pN_.-]{1,255}$"), absl::StrCat("^(", names, ")$"),
        absl::StrCat("(?i)^(", names, ")$"),
        std::string("^[[:alpha:]]{1,63}-\\d(\\.[[:alnum:]-]{1,63}){0,4}$"),
        std::string("^[\\pL]{1,63}-\\d(\\.[\\pL\\d-]{1,20}){0,4}$"), std::string("\\PL{1,255}")}) {
    // Of two tags, too.
    Judgement judgement = JudgementOf({{"name", expression}, {"host", expression}});
    judgement.AddNode("a", MetaOf({{"name", name}, {"host", name}}));
    judgement.AddNode("b", MetaOf({{"name", name}, {"host", ""}}));
    judgement.Run(NoTime);
    ASSERT_TRUE(judgement.decided()) << expression << ": " << judgement.failure();
    EXPECT_THAT(Verdicts(judgement), ElementsAre("a 2", "b 1")) << expression;
  }
}

TEST(JudgementTest, WhatIsTooLargeOrTakesTooLongIsNamed) {
  Judgement large = JudgementOf({{"role", "web"}, {"dc", "(\\pL{10}){100}"}});
  large.AddNode("a", MetaOf({{"role", "web"}}));
  large.Run(NoTime);
  EXPECT_FALSE(large.decided());
  EXPECT_EQ(large.failure(),
            "filter regex ((\\pL{10}){100}) of tag 'dc' needs more than 6 MiB when compiled");

  std::string slow;
  for (int i = 0; i < 400; ++i) slow += "a?";
  slow = absl::StrCat("(", slow, "){200}b");
  const auto judged = [&](int size) {
    Judgement judgement = JudgementOf({{"role", slow}});
    judgement.AddNode("a", MetaOf({{"role", std::string(static_cast<std::size_t>(size), 'a')}}));
    judgement.Run(NoTime);
    return judgement.failure();
  };
  EXPECT_EQ(judged(100), "");
  EXPECT_THAT(judged(400), ::testing::EndsWith("needs more than 250 ms of the processor"));
}

// So nobody can keep the thread busy with filters that decide nothing.
TEST(JudgementTest, WhereNobodyIsLeftTheRestIsNotLookedAt) {
  Judgement judgement = JudgementOf({{"role", "web"}, {"role", "(\\pL{10}){100}"}});
  judgement.AddNode("a", MetaOf({{"role", "db"}}));
  judgement.Run(NoTime);
  EXPECT_TRUE(judgement.decided());
  EXPECT_THAT(Verdicts(judgement), ElementsAre("a 0"));
}

TEST(JudgementTest, GivesUpWhenItsTimeIsOver) {
  Judgement judgement = JudgementOf({{"role", "web"}});
  for (int i = 0; i < 1000; ++i) judgement.AddNode(absl::StrCat(i), MetaOf({{"role", "web"}}));
  Duration time = Duration::zero();
  int looks = 0;
  judgement.Run([&] {
    ++looks;
    return time += Judgement::kCpuTimeMax / 10;
  });
  EXPECT_FALSE(judgement.decided());
  EXPECT_LE(looks, 12);
}

}  // namespace
}  // namespace serf
