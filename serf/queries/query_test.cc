#include "serf/query.h"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "gtest/gtest.h"
#include "serf/base/bytes.h"
#include "serf/base/time.h"
#include "serf/judgement.h"
#include "serf/queries/query_collector.h"
#include "serf/queries/query_filter.h"
#include "serf/tags.h"
#include "serf/wire/list_view.h"

namespace serf {
namespace {

using std::chrono::milliseconds;
using enum QueryCollector::Part;
using enum QueryCollector::Verdict;

TEST(DefaultQueryTimeoutTest, GrowsWithTheDigitsOfTheClusterSize) {
  const struct {
    std::size_t nodes;
    milliseconds timeout;
  } kTable[] = {
      {0, milliseconds(3200)},   {1, milliseconds(3200)},     {9, milliseconds(3200)},
      {10, milliseconds(6400)},  {99, milliseconds(6400)},    {100, milliseconds(9600)},
      {999, milliseconds(9600)}, {1000, milliseconds(12800)},
  };
  for (const auto& row : kTable) {
    EXPECT_EQ(DefaultQueryTimeout(milliseconds(200), 16, row.nodes), row.timeout) << row.nodes;
  }
}

// --- collector ---

QueryCollector CollectorOf(bool acks, bool responses) {
  return QueryCollector({wire::LamportTime(1), 7}, Instant{}, acks, responses);
}

TEST(QueryCollectorTest, TakesOneOfEachFromEachNode) {
  QueryCollector collector = CollectorOf(true, true);
  EXPECT_EQ(collector.Judge(kAck, "a", true), kNew);
  EXPECT_EQ(collector.Judge(kAck, "a", true), kDuplicate);
  EXPECT_EQ(collector.Judge(kResponse, "a", true), kNew);
  EXPECT_EQ(collector.Judge(kResponse, "a", true), kDuplicate);
  EXPECT_EQ(collector.Judge(kAck, "b", true), kNew);
  EXPECT_FALSE(collector.complete());  // no answer was due
}

TEST(QueryCollectorTest, AcksThatNobodyAskedForAreUnwanted) {
  QueryCollector collector = CollectorOf(false, true);
  EXPECT_EQ(collector.Judge(kAck, "a", true), kUnwanted);
  EXPECT_EQ(collector.Judge(kResponse, "a", true), kNew);
}

TEST(QueryCollectorTest, StrangersAreFew) {
  QueryCollector collector = CollectorOf(true, true);
  for (std::size_t i = 0; i < QueryCollector::kStrangersMax; ++i) {
    EXPECT_EQ(collector.Judge(kResponse, "stranger" + std::to_string(i), false), kNew);
  }
  EXPECT_EQ(collector.Judge(kResponse, "one more", false), kUnwanted);
  EXPECT_EQ(collector.Judge(kAck, "stranger0", false), kNew);
  EXPECT_EQ(collector.Judge(kResponse, "member", true), kNew);
}

TEST(QueryCollectorTest, IsCompleteWhenAllThatIsDueHasCome) {
  const struct {
    bool acks;
    bool responses;
  } kTable[] = {{true, true}, {true, false}, {false, true}};
  for (const auto& row : kTable) {
    QueryCollector collector = CollectorOf(row.acks, row.responses);
    collector.Expect("a");
    collector.Expect("b");
    collector.Expect("b");
    for (const char* name : {"a", "other", "b"}) {
      EXPECT_FALSE(collector.complete());
      if (row.acks) collector.Judge(kAck, name, true);
      EXPECT_FALSE(row.acks && row.responses && collector.complete());
      if (row.responses) collector.Judge(kResponse, name, true);
    }
    EXPECT_TRUE(collector.complete());
  }
}

// --- filters ---

class QueryFilterTest : public ::testing::Test {
 protected:
  using Verdict = QueryFilters::Verdict;

  Verdict Judge(const std::vector<ByteVector>& filters, const Tags& tags = {}) {
    const std::vector<ByteView> views(filters.begin(), filters.end());
    open_.clear();
    return filters_.Judge(now_, wire::ListView<ByteView>(views), "self", tags, open_,
                          [this](const std::string& text) { warnings_.push_back(text); });
  }
  // Uses a Judgement where one is needed.
  bool Passes(const std::vector<ByteVector>& filters, const Tags& tags = {}) {
    const Verdict verdict = Judge(filters, tags);
    EXPECT_EQ(open_.empty(), verdict != Verdict::kUndecided);
    if (verdict != Verdict::kUndecided) return verdict == Verdict::kPasses;
    Judgement judgement(Judgement::Purpose::kAnswer, QueryId(), kNever, open_);
    judgement.AddNode("self", *EncodeTags(tags, 5));
    judgement.Run([] { return Duration::zero(); });
    bool passes = false;
    judgement.ForEachNode([&](absl::string_view, std::size_t matched) {
      passes = judgement.decided() && matched == open_.size();
    });
    return passes;
  }
  bool Passes(const QueryParams& params, const Tags& tags = {}) {
    const bool passes = Passes(EncodeQueryFilters(params), tags);
    // The asking side must reach the same verdict.
    const bool is_named = params.filter_nodes.empty() ||
                          std::find(params.filter_nodes.begin(), params.filter_nodes.end(),
                                    "self") != params.filter_nodes.end();
    EXPECT_EQ(is_named && QueryAudience(params).Includes(tags), passes);
    return passes;
  }
  static QueryParams TagParams(const Tags& expressions) {
    QueryParams params;
    params.filter_tags = expressions;
    return params;
  }
  static QueryParams NodeParams(std::vector<std::string> names) {
    QueryParams params;
    params.filter_nodes = std::move(names);
    return params;
  }

  static std::vector<ByteVector> TagFilters(const Tags& expressions) {
    return EncodeQueryFilters(TagParams(expressions));
  }

  Instant now_ = Instant() + std::chrono::hours(1);
  QueryFilters filters_;
  std::vector<TagExpression> open_;
  std::vector<std::string> warnings_;
};

TEST_F(QueryFilterTest, NoneIsForAll) { EXPECT_TRUE(Passes(QueryParams())); }

TEST_F(QueryFilterTest, ByName) {
  EXPECT_TRUE(Passes(NodeParams({"a", "self"})));
  EXPECT_FALSE(Passes(NodeParams({"a", "SELF", "sel", "self "})));
}

TEST_F(QueryFilterTest, ByTag) {
  const Tags tags = {{"role", "web-1"}, {"dc", "east"}};
  EXPECT_TRUE(Passes(TagParams({{"role", "web"}}), tags));
  EXPECT_TRUE(Passes(TagParams({{"role", "^web-[0-9]+$"}, {"dc", "east|west"}}), tags));
  EXPECT_FALSE(Passes(TagParams({{"role", "^web$"}}), tags));
  EXPECT_FALSE(Passes(TagParams({{"role", "web"}, {"dc", "west"}}), tags));
  // A missing tag is empty.
  EXPECT_TRUE(Passes(TagParams({{"rack", ""}}), tags));
  EXPECT_TRUE(Passes(TagParams({{"rack", "^$"}}), tags));
  EXPECT_FALSE(Passes(TagParams({{"rack", "."}}), tags));
  EXPECT_TRUE(warnings_.empty());
}

TEST_F(QueryFilterTest, BothMustPass) {
  QueryParams params = TagParams({{"role", "web"}});
  params.filter_nodes = {"self"};
  EXPECT_TRUE(Passes(params, {{"role", "web"}}));
  EXPECT_FALSE(Passes(params, {{"role", "db"}}));
  params.filter_nodes = {"a"};
  EXPECT_FALSE(Passes(params, {{"role", "web"}}));
}

TEST_F(QueryFilterTest, BytesAreThoseOfTheOriginal) {
  QueryParams params = NodeParams({"node-a", "node-b"});
  params.filter_tags = {{"role", "^web.*$"}};
  const std::vector<ByteVector> filters = EncodeQueryFilters(params);
  ASSERT_EQ(filters.size(), 2u);
  EXPECT_EQ(AsText(filters[0]), absl::string_view("\0\x92\xa6node-a\xa6node-b", 16));
  EXPECT_EQ(AsText(filters[1]),
            "\x01\x82\xa4"
            "Expr\xa7^web.*$\xa3Tag\xa4role");
}

TEST_F(QueryFilterTest, WhatMakesNoSensePassesNobody) {
  EXPECT_FALSE(Passes(TagParams({{"role", "web("}}), {{"role", "web("}}));
  EXPECT_FALSE(Passes(std::vector<ByteVector>{{7, 0x90}}));
  EXPECT_FALSE(Passes(std::vector<ByteVector>{{0, 0xc1}}));
  EXPECT_FALSE(Passes(std::vector<ByteVector>{{1, 0x05}}));
  EXPECT_FALSE(Passes(std::vector<ByteVector>{{}}));
  ASSERT_EQ(warnings_.size(), 4u);
  EXPECT_EQ(warnings_[0],
            "serf: failed to compile filter regex (web(): error parsing regexp: missing closing ): "
            "`web(`");
  EXPECT_EQ(warnings_[1], "serf: query has unrecognized filter type: 7");
  EXPECT_EQ(warnings_[2].substr(0, 39), "serf: failed to decode filterNodeType: ");
  EXPECT_EQ(warnings_[3].substr(0, 38), "serf: failed to decode filterTagType: ");
}

TEST_F(QueryFilterTest, WhatIsNotCheapIsLeftOpen) {
  const Tags tags = {{"role", "web-1"}};
  EXPECT_EQ(Judge(TagFilters({{"role", "^web"}, {"dc", "east|west"}})), Verdict::kFails);
  EXPECT_EQ(Judge(TagFilters({{"dc", ""}, {"role", "^web"}}), tags), Verdict::kPasses);
  EXPECT_EQ(Judge(TagFilters({{"dc", "^$"}, {"role", "^\\pL{1,64}-"}}), tags), Verdict::kUndecided);
  ASSERT_EQ(open_.size(), 1u);
  EXPECT_EQ(open_[0].tag, "role");
  EXPECT_EQ(open_[0].expression, "^\\pL{1,64}-");
  // A filter that fails decides, wherever it is.
  EXPECT_EQ(Judge(TagFilters({{"role", "\\pL"}, {"zone", "x"}}), tags), Verdict::kFails);
  EXPECT_EQ(Judge(TagFilters({{"role", std::string(600, 'a')}}), tags), Verdict::kUndecided);
  // Each is cheap, but all together are not.
  Tags many;
  for (int i = 0; i < 32; ++i) many[absl::StrCat("tag", i)] = absl::StrCat("^(", i, ")?$");
  EXPECT_EQ(Judge(TagFilters(many), tags), Verdict::kUndecided);
}

TEST_F(QueryFilterTest, VerdictsAreRemembered) {
  const std::string expression = "^\\pL{1,64}-[0-9]$";
  EXPECT_EQ(Judge(TagFilters({{"role", expression}}), {{"role", "web-1"}}), Verdict::kUndecided);
  filters_.Remember(expression, "web-1", true);
  filters_.Remember(expression, "web", false);
  EXPECT_EQ(Judge(TagFilters({{"role", expression}}), {{"role", "web-1"}}), Verdict::kPasses);
  EXPECT_EQ(Judge(TagFilters({{"role", expression}}), {{"role", "web"}}), Verdict::kFails);
  EXPECT_EQ(Judge(TagFilters({{"role", expression}}), {{"role", "db"}}), Verdict::kUndecided);
}

TEST_F(QueryFilterTest, AFloodOfPlainOnesIsLeftOpenToo) {
  int at_once = 0;
  for (int i = 0; i < 10'000; ++i) {
    now_ += std::chrono::milliseconds(1);
    at_once += Judge(TagFilters({{"role", absl::StrCat("^web", i)}})) != Verdict::kUndecided;
  }
  // Each costs 40 us at least.
  EXPECT_GT(at_once, 1000);
  constexpr Duration kTime = std::chrono::seconds(10);
  EXPECT_LT(at_once,
            (QueryFilters::kBurst + kTime / QueryFilters::kShare) / std::chrono::microseconds(40));
  now_ += std::chrono::seconds(2);
  EXPECT_EQ(Judge(TagFilters({{"role", "^db"}})), Verdict::kFails);
}

TEST_F(QueryFilterTest, AFilterCannotHoldUpTheNode) {
  // Exponential for engines that backtrack; and one that would need gigabytes.
  EXPECT_FALSE(Passes(TagParams({{"role", "(a*)*b"}}), {{"role", std::string(400, 'a')}}));
  EXPECT_FALSE(Passes(TagParams({{"role", "((((a{1000}){1000}){1000}){1000})"}}), {}));
  EXPECT_FALSE(Passes(TagParams({{"role", std::string(1 << 20, 'a')}}), {}));
  EXPECT_FALSE(Passes(std::vector<ByteVector>(100, ByteVector{0, 0x91, 0xa4, 's', 'e', 'l', 'f'})));
}

TEST(QueryAudienceTest, IsCheapForFewMembersAndPlainExpressions) {
  QueryParams params;
  params.filter_tags = {{"role", "^web"}};
  EXPECT_TRUE(QueryAudience::IsCheap(params, 100, 2000));
  EXPECT_FALSE(QueryAudience::IsCheap(params, 100'000, 2'000'000));
  EXPECT_FALSE(QueryAudience::IsCheap(params, 500, 500 * 500));
  params.filter_tags["dc"] = "\\pL{1,64}";
  EXPECT_FALSE(QueryAudience::IsCheap(params, 3, 60));
}

TEST(QueryCollectorTest, IsNotCompleteWhileTheAudienceIsUnknown) {
  QueryCollector collector = CollectorOf(false, true);
  collector.Hold();
  collector.Expect("a");
  collector.Judge(kResponse, "a", true);
  EXPECT_FALSE(collector.complete());
  collector.Release();
  EXPECT_TRUE(collector.complete());
}

}  // namespace
}  // namespace serf
