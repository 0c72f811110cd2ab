#include "serf/cmd/flags.h"

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "gflags/gflags.h"
#include "gtest/gtest.h"

DEFINE_string(test_name, "none", "");
DEFINE_bool(test_detailed, false, "");
DEFINE_int64(test_count, 0, "");
DEFINE_string(test_timeout, "0", "");

namespace serf::cmd {
namespace {

class FlagsTest : public testing::Test {
 protected:
  FlagsTest() {
    FLAGS_test_name = "none";
    FLAGS_test_detailed = false;
    FLAGS_test_count = 0;
    FLAGS_test_timeout = "0";
  }

  absl::StatusOr<std::vector<std::string>> Parse(std::vector<std::string> args) {
    return ParseFlags(flags_, args);
  }

  std::string Error(std::vector<std::string> args) {
    return std::string(Parse(std::move(args)).status().message());
  }

  std::vector<std::string> tags_;
  const std::vector<Flag> flags_ = {
      {.name = "name", .gflag = "test_name"},
      {.name = "detailed", .gflag = "test_detailed"},
      {.name = "relay-factor", .gflag = "test_count"},
      {.name = "timeout", .gflag = "test_timeout", .duration = true},
      {.name = "tag", .list = &tags_},
  };
};

TEST_F(FlagsTest, OneOrTwoDashesEqualsOrNextWord) {
  for (const std::vector<std::string>& args : std::vector<std::vector<std::string>>{
           {"-name=x"}, {"--name=x"}, {"-name", "x"}, {"--name", "x"}}) {
    FLAGS_test_name = "none";
    ASSERT_TRUE(Parse(args).ok());
    EXPECT_EQ(FLAGS_test_name, "x");
  }
}

TEST_F(FlagsTest, ValuesMayBeOdd) {
  ASSERT_TRUE(Parse({"-name=a=b"}).ok());
  EXPECT_EQ(FLAGS_test_name, "a=b");
  ASSERT_TRUE(Parse({"-name="}).ok());
  EXPECT_EQ(FLAGS_test_name, "");
  ASSERT_TRUE(Parse({"-name", "-detailed"}).ok());
  EXPECT_EQ(FLAGS_test_name, "-detailed");
  EXPECT_FALSE(FLAGS_test_detailed);
}

TEST_F(FlagsTest, LastScalarWinsListsCollect) {
  ASSERT_TRUE(Parse({"-name=a", "-tag=x=1", "-name=b", "--tag", "y=2"}).ok());
  EXPECT_EQ(FLAGS_test_name, "b");
  EXPECT_EQ(tags_, (std::vector<std::string>{"x=1", "y=2"}));
}

TEST_F(FlagsTest, BooleansTakeAValueOnlyWithEquals) {
  const auto words = Parse({"-detailed", "false"});
  ASSERT_TRUE(words.ok());
  EXPECT_TRUE(FLAGS_test_detailed);
  EXPECT_EQ(*words, std::vector<std::string>{"false"});
  for (const char* no : {"0", "f", "F", "FALSE", "false", "False"}) {
    FLAGS_test_detailed = true;
    ASSERT_TRUE(Parse({absl::StrCat("-detailed=", no)}).ok());
    EXPECT_FALSE(FLAGS_test_detailed) << no;
  }
  for (const char* yes : {"1", "t", "T", "TRUE", "true", "True"}) {
    FLAGS_test_detailed = false;
    ASSERT_TRUE(Parse({absl::StrCat("-detailed=", yes)}).ok());
    EXPECT_TRUE(FLAGS_test_detailed) << yes;
  }
}

TEST_F(FlagsTest, WordsEndTheFlags) {
  const struct {
    std::vector<std::string> args;
    std::vector<std::string> want;
  } kCases[] = {
      {{"-name=a", "word", "-name=b"}, {"word", "-name=b"}},
      {{"-name=a", "--", "-name=b"}, {"-name=b"}},
      {{"-name=a", "-", "-name=b"}, {"-", "-name=b"}},
      {{"-name=a", "", "-name=b"}, {"", "-name=b"}},
      {{"-name=a"}, {}},
  };
  for (const auto& c : kCases) {
    const auto words = Parse(c.args);
    ASSERT_TRUE(words.ok()) << words.status();
    EXPECT_EQ(*words, c.want);
    EXPECT_EQ(FLAGS_test_name, "a");
  }
}

TEST_F(FlagsTest, Integers) {
  const struct {
    const char* text;
    std::int64_t want;
  } kCases[] = {{"10", 10},
                {"-3", -3},
                {"+7", 7},
                {"0x1F", 31},
                {"0o17", 15},
                {"017", 15},
                {"0b101", 5},
                {"0", 0},
                {"-0x10", -16},
                {"0x_ff", 255},
                {"0_7", 7},
                {"1_0", 10},
                {"9223372036854775807", INT64_MAX},
                {"-9223372036854775808", INT64_MIN}};
  for (const auto& c : kCases) {
    ASSERT_TRUE(Parse({absl::StrCat("-relay-factor=", c.text)}).ok()) << c.text;
    EXPECT_EQ(FLAGS_test_count, c.want) << c.text;
  }
  for (const char* bad :
       {"", "x", "1x", "08", "0b2", "1__0", "_10", "10_", "0x", "0x1_", "-", "1.5", " 1"}) {
    EXPECT_EQ(Error({absl::StrCat("-relay-factor=", bad)}),
              absl::StrCat("invalid value ", Quote(bad), " for flag -relay-factor: parse error"));
  }
  for (const char* large :
       {"9223372036854775808", "-9223372036854775809", "0xffffffffffffffffff"}) {
    EXPECT_EQ(Error({absl::StrCat("-relay-factor=", large)}),
              absl::StrCat("invalid value ", Quote(large),
                           " for flag -relay-factor: value out of range"));
  }
}

TEST_F(FlagsTest, Durations) {
  ASSERT_TRUE(Parse({"-timeout=1.5s"}).ok());
  EXPECT_EQ(FLAGS_test_timeout, "1.5s");
  EXPECT_EQ(Error({"-timeout=abc"}), "invalid value \"abc\" for flag -timeout: parse error");
}

TEST_F(FlagsTest, Errors) {
  EXPECT_EQ(Error({"-nosuch=1"}), "flag provided but not defined: -nosuch");
  EXPECT_EQ(Error({"--nosuch"}), "flag provided but not defined: -nosuch");
  EXPECT_EQ(Error({"-name"}), "flag needs an argument: -name");
  EXPECT_EQ(Error({"-detailed=maybe"}),
            "invalid boolean value \"maybe\" for -detailed: parse error");
  EXPECT_EQ(Error({"---x"}), "bad flag syntax: ---x");
  EXPECT_EQ(Error({"-=x"}), "bad flag syntax: -=x");
  EXPECT_EQ(Error({"--=x"}), "bad flag syntax: --=x");
  // Serf does not accept gflags' own names and spellings.
  EXPECT_EQ(Error({"-test_name=x"}), "flag provided but not defined: -test_name");
  EXPECT_EQ(Error({"-relay_factor=1"}), "flag provided but not defined: -relay_factor");
  EXPECT_EQ(Error({"-nodetailed"}), "flag provided but not defined: -nodetailed");
}

// Has the same grammar and errors, and no entry in gflags.
TEST(FlagVariableTest, IsSet) {
  bool watch = false;
  std::int64_t port = 7;
  std::string format = "text";
  std::string interval = "1s";
  const std::vector<Flag> flags = {{.name = "watch", .variable = &watch},
                                   {.name = "port", .variable = &port},
                                   {.name = "format", .variable = &format},
                                   {.name = "interval", .duration = true, .variable = &interval}};
  const std::vector<std::string> words = {"-watch", "-port", "0x10", "--format=json", "rest"};
  const auto rest = ParseFlags(flags, words);
  ASSERT_TRUE(rest.ok()) << rest.status();
  EXPECT_EQ(*rest, std::vector<std::string>{"rest"});
  EXPECT_TRUE(watch);
  EXPECT_EQ(port, 16);
  EXPECT_EQ(format, "json");
  EXPECT_EQ(interval, "1s");
  const auto error = [&flags](std::string word) {
    return std::string(
        ParseFlags(flags, std::vector<std::string>{std::move(word)}).status().message());
  };
  EXPECT_EQ(error("-watch=x"), "invalid boolean value \"x\" for -watch: parse error");
  EXPECT_EQ(error("-port=x"), "invalid value \"x\" for flag -port: parse error");
  EXPECT_EQ(error("-interval=5"), "invalid value \"5\" for flag -interval: parse error");
  EXPECT_EQ(error("-format"), "flag needs an argument: -format");
}

}  // namespace
}  // namespace serf::cmd
