#include "serf/base/results.h"

#include <memory>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace serf {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

std::vector<int> Taken(Results<int>& results) {
  std::vector<int> taken;
  results.Drain([&](int result) { taken.push_back(result); });
  return taken;
}

TEST(ResultsTest, AreTakenOnceAndInOrder) {
  Results<int> results;
  EXPECT_TRUE(results.empty());
  results.Add(1);
  results.Add(2);
  EXPECT_FALSE(results.empty());
  EXPECT_THAT(Taken(results), ElementsAre(1, 2));
  EXPECT_TRUE(results.empty());
  EXPECT_THAT(Taken(results), IsEmpty());
}

TEST(ResultsTest, DrainTellsWhetherThereWasOne) {
  Results<int> results;
  EXPECT_FALSE(results.Drain([](int) {}));
  results.Add(1);
  EXPECT_TRUE(results.Drain([](int) {}));
}

TEST(ResultsTest, ThoseAddedMeanwhileFollow) {
  Results<int> results;
  results.Add(3);
  std::vector<int> taken;
  results.Drain([&](int result) {
    taken.push_back(result);
    if (result > 0) results.Add(result - 1);
  });
  EXPECT_THAT(taken, ElementsAre(3, 2, 1, 0));
}

TEST(ResultsTest, AreMovedOut) {
  Results<std::unique_ptr<int>> results;
  results.Add(std::make_unique<int>(7));
  std::unique_ptr<int> taken;
  results.Drain([&](std::unique_ptr<int> result) { taken = std::move(result); });
  EXPECT_EQ(*taken, 7);
}

}  // namespace
}  // namespace serf
