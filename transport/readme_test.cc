// The program in README.md is the one that is built and run.

#include <algorithm>
#include <fstream>
#include <iterator>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "serf/testing/vectors/vectors.h"

namespace serf::transport {
namespace {

std::string Read(const char* path) {
  std::ifstream file(testing::DataPath(path));
  return std::string(std::istreambuf_iterator<char>(file), {});
}

TEST(ReadmeTest, ShowsTheExample) {
  const std::string example = Read("transport/example_test.cc");
  const std::string readme = Read("transport/README.md");
  ASSERT_FALSE(example.empty());
  EXPECT_TRUE(absl::StrContains(readme, absl::StrCat("```cpp\n", example, "```\n")));
  EXPECT_LE(std::count(example.begin(), example.end(), '\n'), 40);
}

}  // namespace
}  // namespace serf::transport
