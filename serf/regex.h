#ifndef SERF_REGEX_H_
#define SERF_REGEX_H_

// Regex: a regular expression that comes from the network or a client. The only header that
// includes RE2: a linear-time engine with bounded memory, so that no expression can hold up the
// node.
//
// Differences from the original's syntax (Go's regexp): \C matches a byte here, and a dot does not
// match bytes that are no UTF-8.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "re2/re2.h"

namespace serf {

class Regex {
 public:
  // Memory of a compiled expression and its automaton. Enough for alternations of hundreds of
  // names; nobody can take more with a few bytes of nested repetitions.
  static constexpr std::int64_t kMemoryMax = std::int64_t{1} << 20;
  // Bytes of an expression: more than fits any query of the original.
  static constexpr std::size_t kExpressionMax = 16 << 10;

  // The error has the original's words: "error parsing regexp: missing closing ): `(`".
  static absl::StatusOr<Regex> Compile(absl::string_view expression);

  // Whether it matches anywhere in the text.
  bool Matches(absl::string_view text) const {
    return re2::RE2::PartialMatch(re2::StringPiece(text.data(), text.size()), *regex_);
  }

 private:
  explicit Regex(std::unique_ptr<const re2::RE2> regex) : regex_(std::move(regex)) {}

  static absl::string_view ErrorName(re2::RE2::ErrorCode code);

  std::unique_ptr<const re2::RE2> regex_;
};

// The original's words, where RE2's own differ or are more of a hint.
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

inline absl::StatusOr<Regex> Regex::Compile(absl::string_view expression) {
  const auto fail = [](absl::string_view what, absl::string_view culprit) {
    return absl::InvalidArgumentError(
        absl::StrCat("error parsing regexp: ", what, ": `", culprit, "`"));
  };
  if (expression.size() > kExpressionMax) {
    return fail("expression too large", expression.substr(0, 64));
  }
  re2::RE2::Options options;
  options.set_log_errors(false);
  options.set_max_mem(kMemoryMax);
  auto regex = std::make_unique<const re2::RE2>(
      re2::StringPiece(expression.data(), expression.size()), options);
  if (regex->ok()) return Regex(std::move(regex));
  // RE2 does not say what of an expression is no UTF-8.
  return fail(ErrorName(regex->error_code()),
              regex->error_arg().empty() ? expression : absl::string_view(regex->error_arg()));
}

}  // namespace serf

#endif  // SERF_REGEX_H_
