// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_QUERIES_QUERY_FILTER_H_
#define SERF_QUERIES_QUERY_FILTER_H_

// Which nodes answer a query: by name and by tags. QueryFilters judges the filters of received
// queries for this node. QueryAudience judges those of this node's queries for every member. Both
// do so only where that is cheap, and leave the rest to a Judgement. Source: docs/protocol/serf.md
// 1.4.11, 6.3.

#include <algorithm>
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
#include "serf/base/bytes.h"
#include "serf/base/regex.h"
#include "serf/base/time.h"
#include "serf/judgement.h"
#include "serf/queries/verdict_cache.h"
#include "serf/query.h"
#include "serf/tags.h"
#include "serf/wire/list_view.h"
#include "serf/wire/message_type.h"
#include "serf/wire/msgpack.h"
#include "serf/wire/serf_messages.h"

namespace serf {

// The most filters of a query that a node looks at; each may be an expression to compile. A query
// with more filters matches no node.
inline constexpr std::size_t kQueryFiltersMax = 64;

// Judges the filters of queries for this node at once, where its name, a remembered verdict, or a
// plain expression decides.
class QueryFilters {
 public:
  enum class Verdict : std::uint8_t { kPasses, kFails, kUndecided };

  // What the expressions of one query may cost at once, by Regex::PlainCost: a tenth of the longest
  // time for which an input may hold up the thread.
  static constexpr Duration kCostMax = std::chrono::microseconds(500);
  // What all queries together may cost: a burst of this much, and one part in kShare of all time.
  // Beyond it a Judgement decides, however plain the expression is.
  static constexpr Duration kBurst = std::chrono::milliseconds(5);
  static constexpr int kShare = 50;

  // Whether a node of this name, with these tags, passes all filters. Calls warn(text) for a
  // malformed filter, which no node passes. kUndecided: the filters in `open` remain to be judged.
  template <typename Warn>
  Verdict Judge(Instant now, const wire::ListView<ByteView>& filters, absl::string_view name,
                const Tags& tags, std::vector<TagExpression>& open, Warn&& warn);

  // Keeps the result of a Judgement.
  void Remember(absl::string_view expression, absl::string_view value, bool matches) {
    verdicts_.Add(expression, value, matches);
  }

 private:
  template <typename Warn>
  Verdict JudgeTag(Instant now, ByteView body, const Tags& tags, std::vector<TagExpression>& open,
                   Warn&& warn);
  // Whether the budget permits this cost now.
  bool Spend(Instant now, Duration cost);

  VerdictCache verdicts_;
  Duration credit_ = kBurst;
  Instant credited_ = Instant::min();
  Duration cost_ = Duration::zero();  // of the query under judgement
};

// Appends the filters of a query: the names first, then each tag.
inline std::vector<ByteVector> EncodeQueryFilters(const QueryParams& params);

// Which members a query of this node asks by their tags.
class QueryAudience {
 public:
  // The most time and the most members of one look; beyond them a Judgement decides.
  static constexpr Duration kCostMax = std::chrono::milliseconds(1);
  static constexpr std::size_t kMembersMax = 1024;

  // Whether that is cheap, for members with metadata of `meta_bytes` in total.
  static bool IsCheap(const QueryParams& params, std::size_t members, std::size_t meta_bytes);

  explicit QueryAudience(const QueryParams& params);

  bool Includes(const Tags& tags) const;

 private:
  // Without a Regex the expression does not compile.
  std::vector<std::pair<absl::string_view, std::optional<Regex>>> tags_;
};

// The log line of a filter that does not compile.
inline std::string BadFilterText(absl::string_view expression, const absl::Status& why) {
  return absl::StrCat("serf: failed to compile filter regex (", expression.substr(0, 256),
                      "): ", absl::string_view(why.message()));
}

// --- bodies ---

namespace query_filter_internal {

template <typename Warn>
bool PassesNodeFilter(ByteView body, absl::string_view name, Warn&& warn) {
  wire::DecodeScratch scratch;
  wire::NodeFilter filter;
  if (const wire::DecodeResult result = Decode(body, filter, scratch);
      result != wire::DecodeResult::kOk) {
    warn(absl::StrCat("serf: failed to decode filterNodeType: ", wire::DecodeResultName(result)));
    return false;
  }
  bool found = false;
  filter.ForEach([&](absl::string_view each) { found = found || each == name; });
  return found;
}

}  // namespace query_filter_internal

template <typename Warn>
QueryFilters::Verdict QueryFilters::Judge(Instant now, const wire::ListView<ByteView>& filters,
                                          absl::string_view name, const Tags& tags,
                                          std::vector<TagExpression>& open, Warn&& warn) {
  if (filters.size() > kQueryFiltersMax) return Verdict::kFails;
  cost_ = Duration::zero();
  Verdict verdict = Verdict::kPasses;
  filters.ForEach([&](ByteView filter) {
    if (verdict == Verdict::kFails) return;
    Verdict one = Verdict::kFails;
    if (filter.empty()) {
      // Has no type.
    } else if (static_cast<wire::FilterType>(filter.front()) == wire::FilterType::kNode) {
      const bool passes = query_filter_internal::PassesNodeFilter(filter.subspan(1), name, warn);
      one = passes ? Verdict::kPasses : Verdict::kFails;
    } else if (static_cast<wire::FilterType>(filter.front()) == wire::FilterType::kTag) {
      one = JudgeTag(now, filter.subspan(1), tags, open, warn);
    } else {
      warn(absl::StrCat("serf: query has unrecognized filter type: ", filter.front()));
    }
    if (one != Verdict::kPasses) verdict = one;
  });
  if (verdict != Verdict::kFails && !open.empty()) verdict = Verdict::kUndecided;
  return verdict;
}

template <typename Warn>
QueryFilters::Verdict QueryFilters::JudgeTag(Instant now, ByteView body, const Tags& tags,
                                             std::vector<TagExpression>& open, Warn&& warn) {
  wire::DecodeScratch scratch;
  wire::TagFilter filter;
  if (const wire::DecodeResult result = Decode(body, filter, scratch);
      result != wire::DecodeResult::kOk) {
    warn(absl::StrCat("serf: failed to decode filterTagType: ", wire::DecodeResultName(result)));
    return Verdict::kFails;
  }
  const absl::string_view value = TagValue(tags, filter.tag);
  if (filter.expr.empty()) return Verdict::kPasses;
  if (const std::optional<bool> known = verdicts_.Find(filter.expr, value)) {
    return *known ? Verdict::kPasses : Verdict::kFails;
  }
  const std::optional<Duration> cost = Regex::PlainCost(filter.expr, value.size());
  if (!cost || !Spend(now, *cost)) {
    open.push_back({std::string(filter.tag), std::string(filter.expr)});
    return Verdict::kUndecided;
  }
  const absl::StatusOr<Regex> regex = Regex::Compile(filter.expr, Regex::kModestMemoryMax);
  if (!regex.ok()) {
    warn(BadFilterText(filter.expr, regex.status()));
    return Verdict::kFails;
  }
  const bool matches = regex->Matches(value);
  verdicts_.Add(filter.expr, value, matches);
  return matches ? Verdict::kPasses : Verdict::kFails;
}

inline bool QueryFilters::Spend(Instant now, Duration cost) {
  if (credited_ == Instant::min()) credited_ = now;
  credit_ = std::min(kBurst, credit_ + (now - credited_) / kShare);
  credited_ = now;
  if (cost_ + cost > kCostMax || cost > credit_) return false;
  cost_ += cost;
  credit_ -= cost;
  return true;
}

inline std::vector<ByteVector> EncodeQueryFilters(const QueryParams& params) {
  std::vector<ByteVector> filters;
  if (!params.filter_nodes.empty()) {
    const std::vector<absl::string_view> names(params.filter_nodes.begin(),
                                               params.filter_nodes.end());
    wire::EncodeFilter(wire::NodeFilter(names), filters.emplace_back());
  }
  for (const auto& [tag, expression] : params.filter_tags) {
    wire::EncodeFilter(wire::TagFilter{.tag = tag, .expr = expression}, filters.emplace_back());
  }
  return filters;
}

inline bool QueryAudience::IsCheap(const QueryParams& params, std::size_t members,
                                   std::size_t meta_bytes) {
  if (members > kMembersMax) return false;
  Duration cost = Duration::zero();
  for (const auto& [tag, expression] : params.filter_tags) {
    const std::optional<Duration> one = Regex::PlainCost(expression, meta_bytes, members);
    if (!one) return false;
    cost += *one;
  }
  return cost <= kCostMax;
}

inline QueryAudience::QueryAudience(const QueryParams& params) {
  for (const auto& [tag, expression] : params.filter_tags) {
    absl::StatusOr<Regex> regex = Regex::Compile(expression);
    tags_.emplace_back(tag, regex.ok() ? std::optional<Regex>(*std::move(regex)) : std::nullopt);
  }
}

inline bool QueryAudience::Includes(const Tags& tags) const {
  return std::all_of(tags_.begin(), tags_.end(), [&](const auto& tag) {
    return tag.second && tag.second->Matches(TagValue(tags, tag.first));
  });
}

}  // namespace serf

#endif  // SERF_QUERIES_QUERY_FILTER_H_
