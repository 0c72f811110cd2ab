#include "serf/swim/probe_history.h"

#include "gtest/gtest.h"

namespace serf::swim {
namespace {

TEST(ProbeHistory, FewFailuresChangeNothing) {
  ProbeHistory history;
  EXPECT_EQ(history.stretch(), 1);
  history.Add(4, false);
  EXPECT_EQ(history.stretch(), 1);
}

TEST(ProbeHistory, ManyFailuresStretchUpToALimit) {
  ProbeHistory history;
  const int expected[] = {1, 1, 1, 1, 2, 4, 4, 4, 4, 4};
  for (const int stretch : expected) {
    history.Add(1, false);
    EXPECT_EQ(history.stretch(), stretch);
  }
  for (int i = 0; i < 3; ++i) history.Add(1, true);
  EXPECT_EQ(history.stretch(), 2);
  history.Add(1, true);
  EXPECT_EQ(history.stretch(), 1);
}

TEST(ProbeHistory, AnswersFlowWhenThirtyTwoPingsInARowWereAnswered) {
  ProbeHistory history;
  EXPECT_TRUE(history.flows());
  history.AddDirect(false);
  for (int i = 0; i < ProbeHistory::kDirect; ++i) {
    EXPECT_FALSE(history.flows()) << i;
    history.AddDirect(true);
  }
  EXPECT_TRUE(history.flows());
}

}  // namespace
}  // namespace serf::swim
