// Tests the text formats: durations, quoting, tables, JSON.

#include <chrono>
#include <limits>
#include <string>

#include "gtest/gtest.h"
#include "serf/cmd/text/duration.h"
#include "serf/cmd/text/json_text.h"
#include "serf/cmd/text/quote.h"
#include "serf/cmd/text/table.h"
#include "serf/cmd/text/utf8.h"

namespace serf::cmd {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::nanoseconds;
using std::chrono::seconds;

TEST(DurationTest, Reads) {
  const struct {
    const char* text;
    Duration want;
  } kCases[] = {
      {"0", Duration::zero()},
      {"-0", Duration::zero()},
      {"0s", Duration::zero()},
      {"300ms", milliseconds(300)},
      {"-1.5h", -minutes(90)},
      {"+5s", seconds(5)},
      {"2h45m", hours(2) + minutes(45)},
      {".5s", milliseconds(500)},
      {"2.s", seconds(2)},
      {"1m0.07s", minutes(1) + milliseconds(70)},
      {"7us", nanoseconds(7000)},
      {"7\u00b5s", nanoseconds(7000)},
      {"7\u03bcs", nanoseconds(7000)},
      {"1.0000000015s", nanoseconds(1000000001)},
      {"9223372036854775807ns", Duration::max()},
      {"-9223372036854775808ns", Duration::min()},
  };
  for (const auto& c : kCases) {
    const auto got = ParseDuration(c.text);
    ASSERT_TRUE(got.ok()) << c.text << ": " << got.status();
    EXPECT_EQ(got->count(), c.want.count()) << c.text;
  }
}

TEST(DurationTest, Refuses) {
  const struct {
    const char* text;
    const char* want;
  } kCases[] = {
      {"", R"(time: invalid duration "")"},
      {"-", R"(time: invalid duration "-")"},
      {"abc", R"(time: invalid duration "abc")"},
      {".s", R"(time: invalid duration ".s")"},
      {"5", R"(time: missing unit in duration "5")"},
      {"1h5", R"(time: missing unit in duration "1h5")"},
      {"5x", R"(time: unknown unit "x" in duration "5x")"},
      // QuoteBytes() quotes byte by byte, unlike Quote().
      {"5\x01\"\\\x7f\xc3\xa9",
       "time: unknown unit \"\\x01\\\"\\\\\x7f\\xc3\\xa9\" in duration "
       "\"5\\x01\\\"\\\\\x7f\\xc3\\xa9\""},
      {"3 s", R"(time: unknown unit " s" in duration "3 s")"},
      {"9223372036854775808ns", R"(time: invalid duration "9223372036854775808ns")"},
      {"99999999999999999999h", R"(time: invalid duration "99999999999999999999h")"},
      {"3000000h", R"(time: invalid duration "3000000h")"},
  };
  for (const auto& c : kCases) {
    const auto got = ParseDuration(c.text);
    ASSERT_FALSE(got.ok()) << c.text;
    EXPECT_EQ(std::string(got.status().message()), c.want);
  }
}

TEST(DurationTest, Prints) {
  const struct {
    Duration value;
    const char* want;
  } kCases[] = {
      {Duration::zero(), "0s"},
      {nanoseconds(5), "5ns"},
      {nanoseconds(10000), "10\u00b5s"},
      {nanoseconds(1100), "1.1\u00b5s"},
      {milliseconds(500), "500ms"},
      {nanoseconds(2500000), "2.5ms"},
      {milliseconds(1500), "1.5s"},
      {seconds(30), "30s"},
      {minutes(1), "1m0s"},
      {minutes(90), "1h30m0s"},
      {hours(24) + nanoseconds(1), "24h0m0.000000001s"},
      {-seconds(5), "-5s"},
      {Duration::min(), "-2562047h47m16.854775808s"},
  };
  for (const auto& c : kCases) EXPECT_EQ(FormatDuration(c.value), c.want);
}

TEST(Utf8Test, TellsCharactersFromStrayBytes) {
  EXPECT_EQ(Utf8Length(""), 0u);
  EXPECT_EQ(Utf8Length("a\u00e9\u20ac\U0001f600"), 4u);
  for (const char* invalid : {"\x80", "\xc0\xaf", "\xe0\x80\x80", "\xed\xa0\x80",
                              "\xf4\x90\x80\x80", "\xf5", "\xe2\x82", "\xc3"}) {
    absl::string_view rest = invalid;
    EXPECT_FALSE(TakeUtf8(rest).valid) << Quote(invalid);
    EXPECT_EQ(rest.size() + 1, absl::string_view(invalid).size());
  }
}

TEST(QuoteTest, EscapesWhatDoesNotPrint) {
  EXPECT_EQ(Quote("plain \u00e9"), "\"plain \u00e9\"");
  EXPECT_EQ(Quote("a\"b\\c"), R"("a\"b\\c")");
  EXPECT_EQ(Quote("\a\b\t\n\v\f\r"), R"("\a\b\t\n\v\f\r")");
  EXPECT_EQ(Quote(absl::string_view("\0\x1b\x7f\xff", 4)), R"("\x00\x1b\x7f\xff")");
  EXPECT_EQ(Quote("\u0085\u00a0\u200b\u2028\ufeff"), R"("\u0085\u00a0\u200b\u2028\ufeff")");
  EXPECT_EQ(Quote("\U000e0001"), R"("\U000e0001")");
}

TEST(QuoteTest, EscapeControlsLeavesTheRest) {
  EXPECT_EQ(EscapeControls("a\"b\\c \u00e9\xff"), "a\"b\\c \u00e9\xff");
  EXPECT_EQ(EscapeControls("x\ny\x1b[31m\u009b"), R"(x\ny\x1b[31m\u009b)");
}

TEST(QuoteTest, ATerminalSeesLinesAndTabsOnly) {
  EXPECT_EQ(EscapeForTerminal("a\tb\nc\u00e9"), "a\tb\nc\u00e9");
  EXPECT_EQ(EscapeForTerminal("\x1b]0;x\a\r\x7f\u009b\x9b\xff"),
            R"(\x1b]0;x\a\r\x7f\u009b\x9b\xff)");
  EXPECT_EQ(EscapeForTerminal(absl::string_view("\0", 1)), R"(\x00)");
}

TEST(PlainAsciiTest, OnlyWhatPrintsIsPlain) {
  for (int byte = 0; byte < 256; ++byte) {
    const std::string text = "name-" + std::string(1, static_cast<char>(byte));
    EXPECT_EQ(IsPlainAscii(text), byte >= 0x20 && byte < 0x7f) << byte;
  }
  EXPECT_TRUE(IsPlainAscii(""));
}

TEST(TableTest, Aligns) {
  Table table;
  table.AddRow({"alpha", "127.0.0.1:7946", "alive", "role=web,v=2"});
  table.AddRow({"beta", "127.0.0.1:7947", "failed", "role=db"});
  EXPECT_EQ(table.ToString(),
            "alpha  127.0.0.1:7946  alive   role=web,v=2\n"
            "beta   127.0.0.1:7947  failed  role=db\n");
}

TEST(TableTest, KeepsOddNamesInOneColumn) {
  Table table;
  table.AddRow({" al|pha ", "x", "alive", ""});
  table.AddRow({"\u00e9\u00e9", "y\nz", "left", ""});
  EXPECT_EQ(table.ToString(),
            "al|pha  x     alive  \n"
            "\u00e9\u00e9      y\\nz  left\n");
  EXPECT_EQ(Table().ToString(), "\n");
}

TEST(JsonTextTest, Escapes) {
  EXPECT_EQ(JsonQuote("a\"b\\c\n\r\t"), R"("a\"b\\c\n\r\t")");
  EXPECT_EQ(JsonQuote("<&>"), R"("\u003c\u0026\u003e")");
  EXPECT_EQ(JsonQuote("\x01\b\f\x7f"), "\"\\u0001\\u0008\\u000c\x7f\"");
  EXPECT_EQ(JsonQuote("\u2028\u2029\u00e9"), "\"\\u2028\\u2029\u00e9\"");
  EXPECT_EQ(JsonQuote("a\xe2\x82z"), R"("a\ufffd\ufffdz")");
}

TEST(JsonTextTest, Indents) {
  nlohmann::ordered_json value;
  value["z"] = {1, -2};
  value["none"] = nullptr;
  value["empty"] = nlohmann::ordered_json::object();
  value["list"] = nlohmann::ordered_json::array();
  value["o"]["k<"] = true;
  EXPECT_EQ(ToJsonText(value),
            "{\n"
            "  \"z\": [\n    1,\n    -2\n  ],\n"
            "  \"none\": null,\n"
            "  \"empty\": {},\n"
            "  \"list\": [],\n"
            "  \"o\": {\n    \"k\\u003c\": true\n  }\n"
            "}\n");
}

}  // namespace
}  // namespace serf::cmd
