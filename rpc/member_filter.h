// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_RPC_MEMBER_FILTER_H_
#define SERF_RPC_MEMBER_FILTER_H_

// MemberFilter: which members a `members-filtered` request asks for. The server uses it; a client
// sends a MembersFilteredRequest instead.
//
//   auto filter = MemberFilter::Compile(request);   // else: "Failed to compile regex: ..."
//   if (filter->Matches(member)) ...
//
// Compile and match on a thread where something waits only if MemberFilter::IsCheap(request,
// members). Otherwise use Service::WithMembers(). A filter does not change once it is made; several
// threads may use it. Source: docs/protocol/agent.md 1.7.

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "serf/base/regex.h"
#include "serf/base/time.h"
#include "serf/member.h"
#include "serf/rpc/protocol.h"

namespace serf::rpc {

// The most tags of one filter. All of its expressions have Regex::kMemoryMax bytes together.
inline constexpr std::size_t kFilterTagsMax = 64;

class MemberFilter {
 public:
  // What a filter may cost at once, by Regex::PlainCost: a fifth of what may hold up the thread.
  static constexpr Duration kCostMax = std::chrono::milliseconds(1);

  // Whether compiling the filter and matching these members costs at most kCostMax.
  static bool IsCheap(const MembersFilteredRequest& request, std::span<const Member> members);

  // Compiles the expressions. InvalidArgument, if one does not compile or there are too many tags;
  // the message is the text for the client (docs/protocol/agent.md 1.7 and B.6).
  static absl::StatusOr<MemberFilter> Compile(const MembersFilteredRequest& request);

  // Whether the member passes all parts of the filter.
  bool Matches(const Member& member) const;

 private:
  // Anchoring is textual, as in Go Serf, so "a|b" means "^a|b$".
  static std::string Anchored(absl::string_view expression) {
    return absl::StrCat("^", expression, "$");
  }
  // The value of a tag; empty if the member does not have it.
  static absl::string_view TagOf(const Member& member, const std::string& tag) {
    const auto found = member.tags.find(tag);
    return found == member.tags.end() ? absl::string_view() : absl::string_view(found->second);
  }
  // Compiles one expression. `memory` is the rest of the budget.
  static absl::StatusOr<Regex> CompileOne(absl::string_view expression, std::int64_t& memory);

  std::optional<Regex> status_;  // none: any
  std::optional<Regex> name_;
  std::vector<std::pair<std::string, Regex>> tags_;
};

inline bool MemberFilter::IsCheap(const MembersFilteredRequest& request,
                                  std::span<const Member> members) {
  Duration left = kCostMax;
  const auto spend = [&](absl::string_view expression, auto&& text_of) {
    if (left < Duration::zero()) return;
    std::size_t bytes = 0;
    for (const Member& member : members) bytes += text_of(member).size();
    const auto cost = Regex::PlainCost(Anchored(expression), bytes, members.size());
    left = cost ? left - *cost : Duration(-1);
  };
  for (const auto& entry : request.tags) {
    spend(entry.second, [tag = &entry.first](const Member& member) { return TagOf(member, *tag); });
  }
  if (!request.status.empty()) {
    spend(request.status, [](const Member& member) { return MemberStatusName(member.status); });
  }
  if (!request.name.empty()) {
    spend(request.name, [](const Member& member) { return absl::string_view(member.name); });
  }
  return left >= Duration::zero();
}

inline absl::StatusOr<Regex> MemberFilter::CompileOne(absl::string_view expression,
                                                      std::int64_t& memory) {
  const std::string anchored = Anchored(expression);
  absl::StatusOr<Regex> regex =
      Regex::Compile(anchored, std::max(memory, Regex::kInstructionMemory));
  if (regex.ok()) {
    memory -= regex->memory();
    return regex;
  }
  return absl::InvalidArgumentError(
      absl::StrCat("Failed to compile regex: ", absl::string_view(regex.status().message())));
}

inline absl::StatusOr<MemberFilter> MemberFilter::Compile(const MembersFilteredRequest& request) {
  MemberFilter filter;
  std::int64_t memory = Regex::kMemoryMax;
  if (request.tags.size() > kFilterTagsMax) {
    return absl::InvalidArgumentError("Failed to compile regex: too many tags");
  }
  for (const auto& [tag, expression] : request.tags) {
    absl::StatusOr<Regex> regex = CompileOne(expression, memory);
    if (!regex.ok()) return regex.status();
    filter.tags_.emplace_back(tag, *std::move(regex));
  }
  if (!request.status.empty()) {
    absl::StatusOr<Regex> regex = CompileOne(request.status, memory);
    if (!regex.ok()) return regex.status();
    filter.status_ = *std::move(regex);
  }
  if (!request.name.empty()) {
    absl::StatusOr<Regex> regex = CompileOne(request.name, memory);
    if (!regex.ok()) return regex.status();
    filter.name_ = *std::move(regex);
  }
  return filter;
}

inline bool MemberFilter::Matches(const Member& member) const {
  if (status_ && !status_->Matches(MemberStatusName(member.status))) return false;
  if (name_ && !name_->Matches(member.name)) return false;
  for (const auto& [tag, regex] : tags_) {
    if (!regex.Matches(TagOf(member, tag))) return false;
  }
  return true;
}

}  // namespace serf::rpc

#endif  // SERF_RPC_MEMBER_FILTER_H_
