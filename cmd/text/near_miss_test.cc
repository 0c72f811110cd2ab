#include "serf/cmd/text/near_miss.h"

#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace serf::cmd {
namespace {

TEST(NearMissTest, Distances) {
  EXPECT_EQ(EditDistance("", ""), 0U);
  EXPECT_EQ(EditDistance("", "abc"), 3U);
  EXPECT_EQ(EditDistance("abc", ""), 3U);
  EXPECT_EQ(EditDistance("abc", "ABC"), 0U);
  EXPECT_EQ(EditDistance("abc", "abd"), 1U);
  EXPECT_EQ(EditDistance("abc", "acb"), 1U);
  EXPECT_EQ(EditDistance("abc", "abcd"), 1U);
  EXPECT_EQ(EditDistance("kitten", "sitting"), 3U);
}

TEST(NearMissTest, Table) {
  const std::vector<std::string> keys = {"bind",           "gossip_interval", "gossip_nodes",
                                         "probe_interval", "log_level",       "tags"};
  const struct {
    std::string word;
    std::string nearest;
  } cases[] = {
      {"gosip_interval", "gossip_interval"},
      {"gossipinterval", "gossip_interval"},
      {"log-level", "log_level"},
      {"LogLevel", "log_level"},
      {"tag", "tags"},
      {"bnid", "bind"},
      {"bnod", ""},
      {"nothing_like_it", ""},
      {"", ""},
      {std::string(1000, 'x'), ""},
  };
  for (const auto& c : cases) EXPECT_EQ(NearMiss(c.word, keys), c.nearest) << c.word;
}

}  // namespace
}  // namespace serf::cmd
