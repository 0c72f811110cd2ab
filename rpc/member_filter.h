#ifndef SERF_RPC_MEMBER_FILTER_H_
#define SERF_RPC_MEMBER_FILTER_H_

// MemberFilter: which members a `members-filtered` request wants (spec/agent.md 1.7).
//
//   auto filter = MemberFilter::Compile(request);   // else: "Failed to compile regex: ..."
//   if (filter->Matches(member)) ...

#include <cstddef>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "serf/member.h"
#include "serf/regex.h"
#include "serf/rpc/protocol.h"

namespace serf::rpc {

// Tags of one filter. Each is an expression of Regex::kMemoryMax.
inline constexpr std::size_t kFilterTagsMax = 64;

class MemberFilter {
 public:
  // The error is the text for the client (spec/agent.md 1.7 and B.6).
  static absl::StatusOr<MemberFilter> Compile(const MembersFilteredRequest& request);

  bool Matches(const Member& member) const;

 private:
  static absl::StatusOr<Regex> CompileOne(absl::string_view expression);

  std::optional<Regex> status_;  // none: any
  std::optional<Regex> name_;
  std::vector<std::pair<std::string, Regex>> tags_;
};

inline absl::StatusOr<Regex> MemberFilter::CompileOne(absl::string_view expression) {
  // Anchoring is textual, so "a|b" means "^a|b$".
  absl::StatusOr<Regex> regex = Regex::Compile(absl::StrCat("^", expression, "$"));
  if (regex.ok()) return regex;
  return absl::InvalidArgumentError(
      absl::StrCat("Failed to compile regex: ", absl::string_view(regex.status().message())));
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
  if (status_ && !status_->Matches(MemberStatusName(member.status))) return false;
  if (name_ && !name_->Matches(member.name)) return false;
  for (const auto& [tag, regex] : tags_) {
    // A member without the tag counts as one with the empty text.
    const auto it = member.tags.find(tag);
    if (!regex.Matches(it == member.tags.end() ? absl::string_view() : it->second)) return false;
  }
  return true;
}

}  // namespace serf::rpc

#endif  // SERF_RPC_MEMBER_FILTER_H_
