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
// members). Otherwise use Service::RunAside(). A filter does not change once it is made; several
// threads may use it. Source: docs/protocol/agent.md 1.7.

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
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
#include "serf/member_listing.h"
#include "serf/rpc/protocol.h"

namespace serf::rpc {

// The most tags of one filter. All of its expressions have Regex::kMemoryMax bytes together.
inline constexpr std::size_t kFilterTagsMax = 64;

class MemberFilter {
 public:
  // The most that a filter may cost at once, by Regex::PlainCost: a fifth of the time for which the
  // thread may be busy.
  static constexpr Duration kCostMax = std::chrono::milliseconds(1);

  // Whether compiling the filter and matching these members costs at most kCostMax.
  static bool IsCheap(const MembersFilteredRequest& request, const MemberListing& members);

  // Compiles the expressions. InvalidArgument, if one does not compile or there are too many tags;
  // the message is the text for the client (docs/protocol/agent.md 1.7 and B.6).
  static absl::StatusOr<MemberFilter> Compile(const MembersFilteredRequest& request);

  // Whether the member passes all parts of the filter.
  bool Matches(const MemberView& member) const;

 private:
  // Anchoring is textual, as in Go Serf, so "a|b" means "^a|b$".
  static std::string Anchored(absl::string_view expression) {
    return absl::StrCat("^", expression, "$");
  }
  // Compiles one expression. `memory` is the rest of the budget.
  static absl::StatusOr<Regex> CompileOne(absl::string_view expression, std::int64_t& memory);

  std::optional<Regex> status_;  // none: any
  std::optional<Regex> name_;
  std::vector<std::pair<std::string, Regex>> tags_;
};

inline bool MemberFilter::IsCheap(const MembersFilteredRequest& request,
                                  const MemberListing& members) {
  if (request.tags.size() > kFilterTagsMax) return true;  // Compile() refuses it
  // The bytes that each expression must read.
  std::size_t name_bytes = 0;
  std::size_t status_bytes = 0;
  std::array<std::size_t, kFilterTagsMax> tag_bytes = {};
  MemberView member;
  for (MemberListing::RowIndex row = 0; row < members.size(); ++row) {
    members.Describe(row, member);
    name_bytes += member.name.size();
    status_bytes += MemberStatusName(member.status).size();
    std::size_t i = 0;
    for (const auto& entry : request.tags) {
      tag_bytes[i++] += FindTag(member.tags, entry.first).size();
    }
  }
  Duration left = kCostMax;
  const auto spend = [&](absl::string_view expression, std::size_t bytes) {
    if (left < Duration::zero()) return;
    const auto cost = Regex::PlainCost(Anchored(expression), bytes, members.size());
    left = cost ? left - *cost : Duration(-1);
  };
  std::size_t i = 0;
  for (const auto& entry : request.tags) spend(entry.second, tag_bytes[i++]);
  if (!request.status.empty()) spend(request.status, status_bytes);
  if (!request.name.empty()) spend(request.name, name_bytes);
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

inline bool MemberFilter::Matches(const MemberView& member) const {
  if (status_ && !status_->Matches(MemberStatusName(member.status))) return false;
  if (name_ && !name_->Matches(member.name)) return false;
  for (const auto& [tag, regex] : tags_) {
    if (!regex.Matches(FindTag(member.tags, tag))) return false;
  }
  return true;
}

}  // namespace serf::rpc

#endif  // SERF_RPC_MEMBER_FILTER_H_
