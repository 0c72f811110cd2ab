#include "serf/base/regex.h"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "gtest/gtest.h"
#include "serf/base/time.h"
#include "serf/testing/cpu_time.h"

namespace serf {
namespace {

std::string Repeated(absl::string_view unit, std::size_t bytes) {
  std::string text;
  while (text.size() + unit.size() <= bytes) absl::StrAppend(&text, unit);
  return text;
}

bool Matches(absl::string_view expression, absl::string_view text,
             std::int64_t memory = Regex::kMemoryMax) {
  const absl::StatusOr<Regex> regex = Regex::Compile(expression, memory);
  EXPECT_TRUE(regex.ok()) << regex.status();
  return regex.ok() && regex->Matches(text);
}

// Names of 255 letters by classes; Go Serf accepts them, too.
TEST(RegexTest, WhatPeopleWriteCompiles) {
  EXPECT_TRUE(Matches("^[\\pL\\pN_.-]{1,255}$", "web-1.example"));
  EXPECT_FALSE(Matches("^[\\pL\\pN_.-]{1,255}$", "web 1"));
  EXPECT_TRUE(Matches("^(?i)[\\pL\\pN\\pM\\pP]{1,255}$", std::string(255, 'a')));
  EXPECT_TRUE(Matches("^\\p{Lu}{1,255}$", std::string(255, 'A')));
  EXPECT_FALSE(Matches("^\\p{Lu}{1,255}$", std::string(256, 'A')));
  std::string names;
  for (int i = 0; i < 800; ++i) absl::StrAppend(&names, i == 0 ? "" : "|", "^node-", i, "\\.dc1$");
  EXPECT_TRUE(Matches(names, "node-799.dc1"));
  EXPECT_FALSE(Matches(names, "node-800.dc1"));
  // And within the smaller budget.
  EXPECT_TRUE(Matches("^[\\pL\\pN_.-]{1,64}$", "web-1.example", Regex::kModestMemoryMax));
  EXPECT_TRUE(Matches("^\\p{Lu}{1,98}$", "WEB", Regex::kModestMemoryMax));
  EXPECT_TRUE(Matches(names, "node-799.dc1", Regex::kModestMemoryMax));
}

TEST(RegexTest, LimitsAreErrorsOfTheirOwn) {
  const auto code = [](absl::string_view expression) {
    return Regex::Compile(expression, Regex::kModestMemoryMax).status().code();
  };
  EXPECT_EQ(code("a("), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(code("(a{1000}){1000}"), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(code("\\pL{1000}"), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(code(std::string(Regex::kExpressionMax + 1, 'a')),
            absl::StatusCode::kResourceExhausted);
  // Each class takes memory before the budget counts; an escaped backslash begins none.
  EXPECT_EQ(code(absl::StrCat("[", Repeated("\\pL", 3 * Regex::kUnicodeClassesMax), "]")),
            absl::StatusCode::kOk);
  EXPECT_EQ(code(absl::StrCat("[", Repeated("\\pL", 3 * Regex::kUnicodeClassesMax + 3), "]")),
            absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(code(Repeated("\\\\pL", 4 * Regex::kUnicodeClassesMax + 4)), absl::StatusCode::kOk);
}

// Go Serf 0.9.4 and 0.10.1 refuse it, so that as a query's filter it would select our members only.
TEST(RegexTest, AByteEscapeIsRefused) {
  for (const char* expression : {"\\C", "a\\C+", "\\\\\\C", "\\Qx\\E\\C"}) {
    EXPECT_EQ(Regex::Compile(expression, Regex::kModestMemoryMax).status().message(),
              "error parsing regexp: invalid escape sequence: `\\C`")
        << expression;
  }
  for (const char* expression : {"C", "\\\\C", "\\Q\\C\\E", "\\Q\\C"}) {
    EXPECT_TRUE(Regex::Compile(expression, Regex::kModestMemoryMax).ok()) << expression;
  }
}

TEST(RegexTest, MemoryIsThatOfTheProgram) {
  const absl::StatusOr<Regex> small = Regex::Compile("^web$");
  const absl::StatusOr<Regex> large = Regex::Compile("[\\pL]{64}");
  ASSERT_TRUE(small.ok() && large.ok());
  EXPECT_LT(small->memory(), 1000);
  EXPECT_GT(large->memory(), 500'000);
  EXPECT_LE(large->memory(), Regex::kMemoryMax);
}

TEST(RegexTest, WhatIsPlain) {
  for (const absl::string_view plain : {"", "web", "^web-[0-9]+$", "east|west", "a.*b", "(a|b)+?",
                                        "\\d\\.\\w", "[^a-z]", "\\\\", "\\{2}", "\\", "\xc3\xa9"}) {
    EXPECT_TRUE(Regex::PlainCost(plain, 10)) << plain;
  }
  for (const absl::string_view other : {"a{2}", "\\pL", "\\PL", "\\p{Lu}", "(?i)a", "(?:a)",
                                        "\\Qa\\E", "\\C", "\\x41", "\\1", "[\\pL]"}) {
    EXPECT_FALSE(Regex::PlainCost(other, 10)) << other;
  }
  EXPECT_FALSE(Regex::PlainCost(std::string(1000, 'a'), 10));
}

// The bound holds for the worst plain expressions.
TEST(RegexTest, PlainCostIsTheMost) {
  const std::string texts[] = {std::string(512, 'a'), Repeated("ab", 512),
                               Repeated("\xc3\xa9", 512), std::string(64, 'a'), ""};
  for (const absl::string_view unit :
       {"a?", "(a)?", "(a?)?", "(a|b)?", "(a|aa)*", ".?", "(.)?", "\\W?", "[^b]?", "\\b?a?",
        "(a*)*", ".*a?", "(|a)", "a+", "\xc3\xa9?", "^|a?", "[[:^alpha:]]?", "(.|a)?"}) {
    for (const absl::string_view end : {"", "b", "c$"}) {
      for (const std::size_t size : {16, 64, 256, 500}) {
        const std::string expression = absl::StrCat(Repeated(unit, size), end);
        for (const std::string& text : texts) {
          const std::optional<Duration> limit = Regex::PlainCost(expression, text.size());
          ASSERT_TRUE(limit) << expression;
          // The shortest of a few runs: other work of the machine does not count.
          Duration least = Duration::max();
          for (int run = 0; run < 5 && least > *limit; ++run) {
            const Duration begin = testkit::ThreadCpuTime();
            const absl::StatusOr<Regex> regex = Regex::Compile(expression, Regex::kModestMemoryMax);
            if (regex.ok()) static_cast<void>(regex->Matches(text));
            least = std::min(least, testkit::ThreadCpuTime() - begin);
          }
#ifdef NDEBUG
          EXPECT_LE(least, *limit) << expression << " with " << text.size();
#endif
        }
      }
    }
  }
}

}  // namespace
}  // namespace serf
