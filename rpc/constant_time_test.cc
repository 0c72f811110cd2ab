#include "serf/rpc/constant_time.h"

#include "absl/strings/string_view.h"
#include "gtest/gtest.h"

namespace serf::rpc {
namespace {

TEST(ConstantTimeTest, IsEquality) {
  constexpr absl::string_view kTexts[] = {"", "a", "b", "ab", "ba", "aa", "\xff", "\x7f"};
  for (const absl::string_view a : kTexts) {
    for (const absl::string_view b : kTexts) {
      EXPECT_EQ(EqualInConstantTime(a, b), a == b) << a << " " << b;
    }
  }
}

}  // namespace
}  // namespace serf::rpc
