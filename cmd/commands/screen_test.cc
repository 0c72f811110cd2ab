#include "serf/cmd/commands/screen.h"

#include <cstdlib>
#include <string>

#include "gtest/gtest.h"

namespace serf::cmd {
namespace {

// What steers a terminal is escaped and counts with its escapes; a line never exceeds the width.
TEST(ScreenTest, RenderTable) {
  const struct {
    ScreenLine line;
    std::size_t width;
    std::string shown;
  } cases[] = {
      {{"db-2  failed", ""}, 80, "db-2  failed"},
      {{"db-2  failed", kRed}, 80, "\x1b[31mdb-2  failed\x1b[0m"},
      {{"db-2  failed", kRed}, 4, "\x1b[31mdb-2\x1b[0m"},
      {{"h\xc3\xa9llo", ""}, 2, "h\xc3\xa9"},
      {{"a\x1b[2Jb", ""}, 80, "a\\x1b[2Jb"},
      {{"a\x1b[2Jb", ""}, 3, "a\\x"},
      {{"a\xff", ""}, 80, "a\\xff"},
      {{"", kDim}, 80, "\x1b[2m\x1b[0m"},
      {{"abc", ""}, 0, ""},
  };
  for (const auto& c : cases) EXPECT_EQ(Render(c.line, c.width), c.shown);
}

TEST(ScreenTest, ColorModes) {
  for (const char* mode : {"auto", "always", "never"}) EXPECT_TRUE(IsColorMode(mode));
  EXPECT_FALSE(IsColorMode("yes"));
  EXPECT_TRUE(WantsColor("always"));
  EXPECT_FALSE(WantsColor("never"));
  EXPECT_FALSE(WantsColor("auto"));  // the output of a test is not a terminal
}

}  // namespace
}  // namespace serf::cmd
