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

TEST(JudgementTest, AllFiltersHaveOneBudget) {
  const std::string half = "\\pL{80}";
  Judgement fits = JudgementOf({{"role", half}});
  fits.AddNode("a", {});
  fits.Run(NoTime);
  EXPECT_TRUE(fits.decided());
  Judgement beyond = JudgementOf({{"role", half}, {"role", half}});
  beyond.AddNode("a", {});
  beyond.Run(NoTime);
  EXPECT_FALSE(beyond.decided());
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
