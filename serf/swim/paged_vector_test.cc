#include "serf/swim/paged_vector.h"

#include <cstdint>

#include "gtest/gtest.h"

namespace serf::swim {
namespace {

TEST(PagedVector, GrowsWithoutMovingElements) {
  PagedVector<int> v;
  EXPECT_TRUE(v.empty());
  v.GrowTo(1);
  const int* first = &v.Edit(0);
  v.Edit(0) = 42;
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
  constexpr std::size_t kPages = 157;
  EXPECT_LE(v.memory_bytes(), kPages * (64 * 8 + sizeof(std::size_t)) + 256 * sizeof(void*))
      << "and its count of owners";
}

TEST(PagedVector, CopiesShareAPageUntilOneWritesToIt) {
  PagedVector<std::uint64_t> a;
  a.GrowTo(1000);
  a.Edit(700) = 7;
  PagedVector<std::uint64_t> b = a;
  EXPECT_EQ(&b[700], &a[700]);
  EXPECT_LE(b.memory_bytes(), 16 * sizeof(void*)) << "a list of pages";

  b.Edit(701) = 8;
  EXPECT_EQ(a[701], 0u);
  EXPECT_EQ(b[701], 8u);
  EXPECT_EQ(b[700], 7u);
  EXPECT_EQ(&b[0], &a[0]) << "only the page that was written to";
  a.Edit(700) = 9;
  EXPECT_EQ(b[700], 7u);

  b.GrowTo(2000);
  EXPECT_EQ(a.size(), 1000u);
  b.Edit(1000) = 1;
  a.GrowTo(2000);
  EXPECT_EQ(a[1000], 0u);
}

TEST(PagedVector, APageOutlivesItsOtherOwners) {
  PagedVector<std::uint64_t> a;
  {
    PagedVector<std::uint64_t> b;
    b.GrowTo(1);
    b.Edit(0) = 5;
    a = b;
  }
  const std::uint64_t* before = &a[0];
  EXPECT_EQ(a[0], 5u);
  EXPECT_EQ(&a.Edit(0), before) << "it has the page alone now";
  a = PagedVector<std::uint64_t>();
  EXPECT_TRUE(a.empty());
}

}  // namespace
}  // namespace serf::swim
