#include "serf/base/newtype.h"

#include <cstdint>
#include <type_traits>

#include "absl/hash/hash.h"
#include "gtest/gtest.h"

namespace serf {
namespace {

using Apples = Newtype<struct ApplesTag, std::uint32_t>;
using Pears = Newtype<struct PearsTag, std::uint32_t>;

static_assert(sizeof(Apples) == sizeof(std::uint32_t));
static_assert(!std::is_convertible_v<std::uint32_t, Apples>);
static_assert(!std::is_convertible_v<Apples, std::uint32_t>);
static_assert(!std::is_constructible_v<Apples, Pears>);
static_assert(Apples().value() == 0);
static_assert(Apples(3) < Apples(4));

TEST(NewtypeTest, ComparesByValue) {
  EXPECT_EQ(Apples(7), Apples(7));
  EXPECT_NE(Apples(7), Apples(8));
  EXPECT_GT(Apples(8), Apples(7));
}

TEST(NewtypeTest, Hashes) {
  EXPECT_EQ(absl::HashOf(Apples(1)), absl::HashOf(Apples(1)));
  EXPECT_NE(absl::HashOf(Apples(1)), absl::HashOf(Apples(2)));
}

}  // namespace
}  // namespace serf
