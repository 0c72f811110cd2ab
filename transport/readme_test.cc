// Checks that the README.md of this folder and that of the repository show the programs that the
// tests build and run.

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
  std::ifstream file(testkit::DataPath(path));
  return std::string(std::istreambuf_iterator<char>(file), {});
}

TEST(ReadmeTest, ShowsTheExamples) {
  const struct {
    const char* readme;
    const char* path;
    int lines_max;
  } kExamples[] = {{"README.md", "transport/agent_example_test.cc", 35},
                   {"README.md", "transport/blocking_agent_example_test.cc", 25},
                   {"transport/README.md", "transport/example_test.cc", 40},
                   {"transport/README.md", "transport/query_example_test.cc", 70}};
  for (const auto& example : kExamples) {
    const std::string readme = Read(example.readme);
    const std::string text = Read(example.path);
    ASSERT_FALSE(text.empty()) << example.path;
    EXPECT_TRUE(absl::StrContains(readme, absl::StrCat("```cpp\n", text, "```\n"))) << example.path;
    EXPECT_LE(std::count(text.begin(), text.end(), '\n'), example.lines_max) << example.path;
  }
}

}  // namespace
}  // namespace serf::transport
