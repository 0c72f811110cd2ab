#include "serf/join.h"

#include "gtest/gtest.h"

namespace serf {
namespace {

TEST(JoinErrorTest, ListsWhatFailed) {
  EXPECT_EQ(JoinError({"x"}).message(), "1 error occurred:\n\t* x\n\n");
  EXPECT_EQ(JoinError({"x", "y"}).message(), "2 errors occurred:\n\t* x\n\t* y\n\n");
}

}  // namespace
}  // namespace serf
