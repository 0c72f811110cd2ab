#include "serf/base/base64.h"

#include <string>

#include "absl/strings/escaping.h"
#include "gtest/gtest.h"

namespace serf {
namespace {

TEST(Base64Test, Decodes) {
  const struct {
    const char* text;
    const char* want;
  } kCases[] = {{"", ""},
                {"Zg==", "f"},
                {"Zm8=", "fo"},
                {"Zm9v", "foo"},
                {"Zm9vYg==", "foob"},
                {"Zm9v\nYmFy\r\n", "foobar"},
                {"c2hvcnQ=", "short"}};
  for (const auto& c : kCases) {
    const auto got = DecodeBase64(c.text);
    ASSERT_TRUE(got.ok()) << c.text << ": " << got.status();
    EXPECT_EQ(AsText(*got), c.want);
  }
  std::string all;
  for (int i = 0; i < 256; ++i) {
    all.push_back(static_cast<char>(i));
    EXPECT_EQ(AsText(*DecodeBase64(absl::Base64Escape(all))), all);
  }
}

TEST(Base64Test, NamesTheBadByte) {
  const struct {
    const char* text;
    int at;
  } kCases[] = {{"!!!", 0},   {"Zm9v!", 4}, {"Zg", 0},   {"Zm9vYg", 4}, {"Zm9vY", 4},
                {"=", 0},     {"Z===", 1},  {"Zg=", 3},  {"Zg=a", 3},   {"Zg==x", 4},
                {"Zm8==", 4}, {"Zm9v=", 4}, {"Zm-v", 2}, {"Zm 9v", 2}};
  for (const auto& c : kCases) {
    EXPECT_EQ(std::string(DecodeBase64(c.text).status().message()),
              absl::StrCat("illegal base64 data at input byte ", c.at))
        << c.text;
  }
}

}  // namespace
}  // namespace serf
