#ifndef SERF_RPC_MEMBER_FILTER_H_
#define SERF_RPC_MEMBER_FILTER_H_

// MemberFilter: which members a `members-filtered` request wants (spec/agent.md 1.7). The only
// header that includes RE2: a linear-time engine, so that no expression of a client can hold up
// the agent.
//
//   auto filter = MemberFilter::Compile(request);   // else: "Failed to compile regex: ..."
//   if (filter->Matches(member)) ...
//
// Differences from the original's syntax: \C matches a byte here, and a dot does not match bytes
// that are no UTF-8.

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "re2/re2.h"
#include "serf/member.h"
#include "serf/rpc/protocol.h"

namespace serf::rpc {

// Memory of one compiled expression and its automaton. Enough for alternations of hundreds of
// names; a client cannot take more with a few bytes of nested repetitions.
inline constexpr std::int64_t kRegexMemoryMax = std::int64_t{1} << 20;

// Tags of one filter. Each is an expression of kRegexMemoryMax.
inline constexpr std::size_t kFilterTagsMax = 64;

class MemberFilter {
 public:
  // The error is the text for the client (spec/agent.md 1.7 and B.6).
  static absl::StatusOr<MemberFilter> Compile(const MembersFilteredRequest& request);

  bool Matches(const Member& member) const;

 private:
  using Regex = std::unique_ptr<const re2::RE2>;

  static absl::StatusOr<Regex> CompileOne(absl::string_view expression);
  static absl::string_view ErrorName(re2::RE2::ErrorCode code);
  static bool Match(const Regex& regex, absl::string_view text) {
    return re2::RE2::PartialMatch(re2::StringPiece(text.data(), text.size()), *regex);
  }

  Regex status_;  // null: any
  Regex name_;
  std::vector<std::pair<std::string, Regex>> tags_;
};

// The original's words, where RE2's own differ or are more of a hint.
inline absl::string_view MemberFilter::ErrorName(re2::RE2::ErrorCode code) {
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

inline absl::StatusOr<MemberFilter::Regex> MemberFilter::CompileOne(absl::string_view expression) {
  // Anchoring is textual, so "a|b" means "^a|b$".
  const std::string anchored = absl::StrCat("^", expression, "$");
  re2::RE2::Options options;
  options.set_log_errors(false);
  options.set_max_mem(kRegexMemoryMax);
  auto regex = std::make_unique<const re2::RE2>(anchored, options);
  if (regex->ok()) return regex;
  // RE2 does not say what of an expression is no UTF-8.
  const absl::string_view culprit = regex->error_arg().empty()
                                        ? absl::string_view(anchored)
                                        : absl::string_view(regex->error_arg());
  return absl::InvalidArgumentError(absl::StrCat(
      "Failed to compile regex: error parsing regexp: ", ErrorName(regex->error_code()), ": `",
      culprit, "`"));
}

inline absl::StatusOr<MemberFilter> MemberFilter::Compile(const MembersFilteredRequest& request) {
  MemberFilter filter;
  if (request.tags.size() > kFilterTagsMax) {
    return absl::InvalidArgumentError("Failed to compile regex: too many tags");
  }
  for (const auto& [tag, expression] : request.tags) {
    absl::StatusOr<Regex> regex = CompileOne(expression);
    if (!regex.ok()) return regex.status();
    filter.tags_.emplace_back(tag, *std::move(regex));
  }
  if (!request.status.empty()) {
    absl::StatusOr<Regex> regex = CompileOne(request.status);
    if (!regex.ok()) return regex.status();
    filter.status_ = *std::move(regex);
  }
  if (!request.name.empty()) {
    absl::StatusOr<Regex> regex = CompileOne(request.name);
    if (!regex.ok()) return regex.status();
    filter.name_ = *std::move(regex);
  }
  return filter;
}

inline bool MemberFilter::Matches(const Member& member) const {
  if (status_ != nullptr && !Match(status_, MemberStatusName(member.status))) return false;
  if (name_ != nullptr && !Match(name_, member.name)) return false;
  for (const auto& [tag, regex] : tags_) {
    // A member without the tag counts as one with the empty text.
    const auto it = member.tags.find(tag);
    if (!Match(regex, it == member.tags.end() ? absl::string_view() : it->second)) return false;
  }
  return true;
}

}  // namespace serf::rpc

#endif  // SERF_RPC_MEMBER_FILTER_H_
