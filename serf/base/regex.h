// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_BASE_REGEX_H_
#define SERF_BASE_REGEX_H_

// Regex: a regular expression that comes from the network or a client. This is the only header that
// includes RE2: no expression takes exponential time there, and the compiled program is bounded.
// That alone does not keep a thread free: an expression that fits a packet may take a tenth of a
// second to compile, and as long for each text (when RE2's automaton outgrows its memory, RE2 steps
// through the whole program for each byte). Therefore compile only a plain expression (PlainCost)
// where something waits; Judgement is for the others.
//
// Differences from the syntax of Go Serf (Go's regexp): \C matches a byte here, and a dot does not
// match bytes that are not UTF-8.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "re2/re2.h"
#include "serf/base/time.h"

namespace serf {

class Regex {
 public:
  // The budget of a compiled expression and its automaton: enough for a name of 255 letters by
  // classes, as [\pL\pN_.-]{1,255}, which is a program of 340,000 instructions. Compiling takes up
  // to nine times as much memory for a moment (55 MB), and about 0.13 s.
  static constexpr std::int64_t kMemoryMax = std::int64_t{6} << 20;
  // The budget of plain expressions, which are judged at once: more than any of them needs.
  static constexpr std::int64_t kModestMemoryMax = std::int64_t{2} << 20;
  // How much of a budget an instruction uses. RE2 reserves 48 bytes for each instruction before it
  // joins and repeats some, and reports the number after that, which is up to three times as large.
  static constexpr std::int64_t kInstructionMemory = 24;
  // The most bytes of an expression: more than fits into a query of Go Serf.
  static constexpr std::size_t kExpressionMax = 16 << 10;
  // The most classes such as \pL in an expression. RE2 keeps 20 to 30 KB for each before its budget
  // counts.
  static constexpr std::size_t kUnicodeClassesMax = 256;

  // Errors: InvalidArgument with the words of Go Serf, "error parsing regexp: missing closing ):
  // `(`"; ResourceExhausted if the expression is beyond a limit.
  static absl::StatusOr<Regex> Compile(absl::string_view expression,
                                       std::int64_t memory = kMemoryMax);

  // The longest time that compiling the expression and matching it with `texts` texts of
  // `text_bytes` in total may take. Nothing if the expression is not plain, so that its length does
  // not bound the cost: counted repetitions, classes such as \pL, flags.
  static std::optional<Duration> PlainCost(absl::string_view expression, std::size_t text_bytes,
                                           std::size_t texts = 1);

  // Whether the expression matches anywhere in the text.
  bool Matches(absl::string_view text) const {
    return re2::RE2::PartialMatch(re2::StringPiece(text.data(), text.size()), *regex_);
  }

  // How many instructions a match may have to look at: the whole program for each byte of the text.
  // That is rare, but an attacker can write such expressions. Each instruction takes up to 7 ns.
  std::int64_t Steps(std::size_t text_bytes) const {
    return std::int64_t{regex_->ProgramSize()} * static_cast<std::int64_t>(text_bytes + 1);
  }

  // About how much of a budget the expression uses.
  std::int64_t memory() const { return regex_->ProgramSize() * kInstructionMemory; }

 private:
  explicit Regex(std::unique_ptr<const re2::RE2> regex) : regex_(std::move(regex)) {}

  // Plain expressions have at most so many bytes, which covers nearly all that people write.
  static constexpr std::size_t kPlainMax = 512;
  // Measured for the worst plain expressions, and doubled: a construction, each byte of an
  // expression, and each byte of an expression with each byte of a text.
  static constexpr Duration kConstructCost = std::chrono::microseconds(40);
  static constexpr Duration kByteCost = std::chrono::nanoseconds(2000);
  static constexpr Duration kStepCost = std::chrono::nanoseconds(40);

  static absl::string_view ErrorName(re2::RE2::ErrorCode code);
  static bool IsPlain(absl::string_view expression);
  static std::size_t CountUnicodeClasses(absl::string_view expression);
  // Whether the expression has a \C, which stands for any byte in RE2 and for nothing in Go.
  static bool HasByteEscape(absl::string_view expression);

  std::unique_ptr<const re2::RE2> regex_;
};

// The words of Go Serf, where RE2's own differ or say less.
inline absl::string_view Regex::ErrorName(re2::RE2::ErrorCode code) {
  switch (code) {
    case re2::RE2::ErrorBadEscape:
      return "invalid escape sequence";
    case re2::RE2::ErrorBadCharClass:
      return "invalid character class";
    case re2::RE2::ErrorBadCharRange:
      return "invalid character class range";
    case re2::RE2::ErrorMissingBracket:
      return "missing closing ]";
    case re2::RE2::ErrorMissingParen:
      return "missing closing )";
    case re2::RE2::ErrorUnexpectedParen:
      return "unexpected )";
    case re2::RE2::ErrorTrailingBackslash:
      return "trailing backslash at end of expression";
    case re2::RE2::ErrorRepeatArgument:
      return "missing argument to repetition operator";
    case re2::RE2::ErrorRepeatSize:
      return "invalid repeat count";
    case re2::RE2::ErrorRepeatOp:
      return "invalid nested repetition operator";
    case re2::RE2::ErrorBadPerlOp:
      return "invalid or unsupported Perl syntax";
    case re2::RE2::ErrorBadUTF8:
      return "invalid UTF-8";
    case re2::RE2::ErrorBadNamedCapture:
      return "invalid named capture";
    case re2::RE2::ErrorPatternTooLarge:
      return "expression too large";
    default:
      return "regexp/syntax: internal error";
  }
}

inline bool Regex::IsPlain(absl::string_view expression) {
  if (expression.size() > kPlainMax) return false;
  char before = '\0';
  for (std::size_t i = 0; i < expression.size(); ++i) {
    const char c = expression[i];
    if (c == '{' || (before == '(' && c == '?')) return false;
    before = c;
    if (c != '\\') continue;
    if (++i == expression.size()) return true;  // does not compile
    const char escaped = expression[i];
    const bool is_letter = (escaped >= 'a' && escaped <= 'z') || (escaped >= 'A' && escaped <= 'Z');
    const bool is_digit = escaped >= '0' && escaped <= '9';
    constexpr absl::string_view kPlainEscapes = "dDwWsSbBAz";
    if (is_digit || (is_letter && kPlainEscapes.find(escaped) == absl::string_view::npos)) {
      return false;
    }
    before = '\0';
  }
  return true;
}

inline std::optional<Duration> Regex::PlainCost(absl::string_view expression,
                                                std::size_t text_bytes, std::size_t texts) {
  // More texts than any cluster has would overflow.
  if (!IsPlain(expression) || text_bytes + texts > (std::size_t{1} << 30)) return std::nullopt;
  const auto bytes = static_cast<std::int64_t>(expression.size() + 1);
  const auto steps = static_cast<std::int64_t>(text_bytes + texts);
  return kConstructCost + bytes * kByteCost + bytes * steps * kStepCost;
}

inline std::size_t Regex::CountUnicodeClasses(absl::string_view expression) {
  std::size_t count = 0;
  for (std::size_t i = 0; i + 1 < expression.size(); ++i) {
    if (expression[i] != '\\') continue;
    ++i;  // an escaped backslash escapes nothing
    count += expression[i] == 'p' || expression[i] == 'P';
  }
  return count;
}

inline bool Regex::HasByteEscape(absl::string_view expression) {
  for (std::size_t i = 0; i + 1 < expression.size(); ++i) {
    if (expression[i] != '\\') continue;
    ++i;
    if (expression[i] == 'C') return true;
    if (expression[i] != 'Q') continue;
    i = expression.find("\\E", i);  // until there, a backslash is one
    if (i == absl::string_view::npos) return false;
    ++i;
  }
  return false;
}

inline absl::StatusOr<Regex> Regex::Compile(absl::string_view expression, std::int64_t memory) {
  const auto fail = [](absl::StatusCode code, absl::string_view what, absl::string_view culprit) {
    return absl::Status(code, absl::StrCat("error parsing regexp: ", what, ": `", culprit, "`"));
  };
  if (expression.size() > kExpressionMax || CountUnicodeClasses(expression) > kUnicodeClassesMax) {
    return fail(absl::StatusCode::kResourceExhausted, "expression too large",
                expression.substr(0, 64));
  }
  if (HasByteEscape(expression)) {
    return fail(absl::StatusCode::kInvalidArgument, "invalid escape sequence", "\\C");
  }
  re2::RE2::Options options;
  options.set_log_errors(false);
  options.set_max_mem(memory);
  auto regex = std::make_unique<const re2::RE2>(
      re2::StringPiece(expression.data(), expression.size()), options);
  if (regex->ok()) return Regex(std::move(regex));
  const bool too_large = regex->error_code() == re2::RE2::ErrorPatternTooLarge;
  // RE2 does not say which part of an expression is not UTF-8.
  return fail(too_large ? absl::StatusCode::kResourceExhausted : absl::StatusCode::kInvalidArgument,
              ErrorName(regex->error_code()),
              regex->error_arg().empty() ? expression : absl::string_view(regex->error_arg()));
}

}  // namespace serf

#endif  // SERF_BASE_REGEX_H_
