#include "serf/swim/paged_vector.h"

#include <cstdint>

#include "gtest/gtest.h"

namespace serf::swim {
namespace {

TEST(PagedVector, GrowsWithoutMovingElements) {
  PagedVector<int> v;
  EXPECT_TRUE(v.empty());
  v.GrowTo(1);
  int* first = &v[0];
  *first = 42;
  v.GrowTo(1000);
  EXPECT_EQ(v.size(), 1000u);
  EXPECT_EQ(&v[0], first);
  EXPECT_EQ(v[0], 42);
  EXPECT_EQ(v[999], 0) << "new elements are value-initialized";
  v.GrowTo(10);
  EXPECT_EQ(v.size(), 1000u) << "never shrinks";
}

TEST(PagedVector, SlackIsAtMostAPage) {
  PagedVector<std::uint64_t> v;
  v.GrowTo(10'000);
  EXPECT_LE(v.memory_bytes(), 10'064 * 8 + 256 * sizeof(void*));
}

}  // namespace
}  // namespace serf::swim
