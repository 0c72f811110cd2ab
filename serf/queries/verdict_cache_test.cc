#include "serf/queries/verdict_cache.h"

#include <optional>
#include <string>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

namespace serf {
namespace {

TEST(VerdictCacheTest, KnowsWhatItWasTold) {
  VerdictCache cache;
  EXPECT_EQ(cache.Find("^web", "web-1"), std::nullopt);
  cache.Add("^web", "web-1", true);
  cache.Add("^web", "db-1", false);
  EXPECT_EQ(cache.Find("^web", "web-1"), true);
  EXPECT_EQ(cache.Find("^web", "db-1"), false);
  cache.Add("^web", "db-1", true);
  EXPECT_EQ(cache.Find("^web", "db-1"), true);
}

TEST(VerdictCacheTest, NoTwoPairsAreOne) {
  VerdictCache cache;
  cache.Add("ab", "c", true);
  EXPECT_EQ(cache.Find("a", "bc"), std::nullopt);
  EXPECT_EQ(cache.Find("abc", ""), std::nullopt);
  EXPECT_EQ(cache.Find("", "abc"), std::nullopt);
}

TEST(VerdictCacheTest, IsBoundedAndKeepsWhatIsAsked) {
  VerdictCache cache;
  cache.Add("asked", "x", true);
  const std::string text(500, 'a');
  for (int i = 0; i < 10'000; ++i) {
    cache.Add(absl::StrCat("e", i), text, false);
    EXPECT_EQ(cache.Find("asked", "x"), true);
    EXPECT_LE(cache.size() * text.size(), VerdictCache::kBytesMax);
  }
  EXPECT_EQ(cache.Find("e0", text), std::nullopt);
  EXPECT_EQ(cache.Find("e9999", text), false);
}

TEST(VerdictCacheTest, WhatIsTooLargeIsNotKept) {
  VerdictCache cache;
  const std::string large(VerdictCache::kBytesMax, 'a');
  cache.Add(large, "", true);
  EXPECT_EQ(cache.size(), 0u);
}

}  // namespace
}  // namespace serf
