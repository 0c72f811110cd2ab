#include "serf/cmd/commands/reachability.h"

#include <set>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/string_view.h"
#include "gtest/gtest.h"

namespace serf::cmd {
namespace {

constexpr absl::string_view kSuccess = "Successfully contacted all live nodes\n";
constexpr absl::string_view kDuplicates =
    "Duplicate responses means there is a misconfiguration. Verify that node names are unique.\n";
constexpr absl::string_view kMore =
    "Received more acks than live nodes! Acks from non-live nodes:\n";
constexpr absl::string_view kLess = "Received less acks than live nodes! Missing acks from:\n";
constexpr absl::string_view kTips = "network issue.\n\nTroubleshooting tips:\n* ";

TEST(ReachabilityTest, Verdicts) {
  const std::set<std::string> live = {"alpha", "beta"};
  const struct {
    const char* what;
    std::vector<std::string> acks;
    bool passed;
    std::vector<absl::string_view> parts;  // in this order, and no other of the sentences above
  } kCases[] = {
      {"all", {"beta", "alpha"}, true, {kSuccess}},
      {"one is missing", {"alpha"}, false, {kLess, "\tbeta\n", kTips}},
      {"all are missing", {}, false, {kLess, "\talpha\n\tbeta\n", kTips}},
      {"one too many", {"alpha", "beta", "x"}, false, {kMore, "\tx\n", kTips}},
      {"another one", {"x", "alpha"}, false, {kMore, "\tx\n", kLess, "\tbeta\n", kTips}},
      {"one twice", {"alpha", "beta", "alpha"}, false, {kDuplicates, kSuccess}},
      {"a stranger twice", {"alpha", "beta", "x", "x"}, false, {kDuplicates, kMore, kTips}},
      {"a name of two lines", {"alpha", "beta", "x\ny"}, false, {kMore, "\tx\\ny\n", kTips}},
  };
  for (const auto& c : kCases) {
    Reachability test(live);
    for (const std::string& node : c.acks) test.OnAck(node);
    EXPECT_EQ(test.passed(), c.passed) << c.what;
    const std::string verdict = test.Verdict();
    std::size_t at = 0;
    for (const absl::string_view part : c.parts) {
      at = verdict.find(std::string(part), at);
      ASSERT_NE(at, std::string::npos) << c.what << ": " << part << verdict;
      at += part.size();
    }
    for (const absl::string_view sentence : {kSuccess, kDuplicates, kMore, kLess}) {
      bool expected = false;
      for (const absl::string_view part : c.parts) expected = expected || part == sentence;
      EXPECT_EQ(absl::StrContains(verdict, sentence), expected) << c.what << verdict;
    }
  }
}

TEST(ReachabilityTest, ASecondAckIsToldAtOnce) {
  Reachability test({"alpha"});
  EXPECT_TRUE(test.OnAck("alpha"));
  EXPECT_FALSE(test.OnAck("alpha"));
  EXPECT_TRUE(test.OnAck("x"));
  EXPECT_FALSE(test.OnAck("x"));
}

TEST(ReachabilityTest, WithoutLiveNodesNothingIsMissing) { EXPECT_TRUE(Reachability({}).passed()); }

}  // namespace
}  // namespace serf::cmd
