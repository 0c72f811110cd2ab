#include "serf/query.h"

#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "serf/query_collector.h"
#include "serf/query_filter.h"

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
  EXPECT_FALSE(collector.complete());  // nobody was expected
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
  bool Passes(std::vector<ByteVector> filters, const Tags& tags = {}) {
    const std::vector<ByteView> views(filters.begin(), filters.end());
    return PassesQueryFilters(wire::ListView<ByteView>(views), "self", tags,
                              [this](const std::string& text) { warnings_.push_back(text); });
  }
  bool Passes(const QueryParams& params, const Tags& tags = {}) {
    const bool passes = Passes(EncodeQueryFilters(params), tags);
    // Who asks must come to the same end.
    EXPECT_EQ(QueryAudience(params).Includes("self", tags), passes);
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
  EXPECT_FALSE(Passes(std::vector<ByteVector>{{}}));  // crashed the original
  ASSERT_EQ(warnings_.size(), 4u);
  EXPECT_EQ(warnings_[0],
            "serf: failed to compile filter regex (web(): error parsing regexp: missing closing ): "
            "`web(`");
  EXPECT_EQ(warnings_[1], "serf: query has unrecognized filter type: 7");
  EXPECT_EQ(warnings_[2].substr(0, 39), "serf: failed to decode filterNodeType: ");
  EXPECT_EQ(warnings_[3].substr(0, 38), "serf: failed to decode filterTagType: ");
}

TEST_F(QueryFilterTest, AFilterCannotHoldUpTheNode) {
  // Exponential for engines that backtrack; and one that would need gigabytes.
  EXPECT_FALSE(Passes(TagParams({{"role", "(a*)*b"}}), {{"role", std::string(500, 'a')}}));
  EXPECT_FALSE(Passes(TagParams({{"role", "((((a{1000}){1000}){1000}){1000})"}}), {}));
  EXPECT_FALSE(Passes(TagParams({{"role", std::string(1 << 20, 'a')}}), {}));
  EXPECT_FALSE(Passes(std::vector<ByteVector>(100, ByteVector{0, 0x91, 0xa4, 's', 'e', 'l', 'f'})));
}

}  // namespace
}  // namespace serf
