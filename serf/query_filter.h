#ifndef SERF_QUERY_FILTER_H_
#define SERF_QUERY_FILTER_H_

// Who is to answer a query: by name and by tags. PassesQueryFilters judges the filters of a
// received query for this node, QueryAudience those of an own query for every member. Source:
// spec/serf.md 1.4.11, 6.3.

#include <algorithm>
#include <cstddef>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "serf/base/bytes.h"
#include "serf/query.h"
#include "serf/regex.h"
#include "serf/tags.h"
#include "serf/wire/list_view.h"
#include "serf/wire/message_type.h"
#include "serf/wire/msgpack.h"
#include "serf/wire/serf_messages.h"

namespace serf {

// Filters of a query that are looked at; each may be an expression to compile. One with more passes
// nowhere.
inline constexpr std::size_t kQueryFiltersMax = 64;

// Whether a node of this name, with these tags, passes them all. warn(text) is called for a filter
// that makes no sense; it passes nobody.
template <typename Warn>
bool PassesQueryFilters(const wire::ListView<ByteView>& filters, absl::string_view name,
                        const Tags& tags, Warn&& warn);

// Appends the filters of a query: the names first, then each tag.
inline std::vector<ByteVector> EncodeQueryFilters(const QueryParams& params);

// Whom an own query asks.
class QueryAudience {
 public:
  explicit QueryAudience(const QueryParams& params);

  bool Includes(absl::string_view name, const Tags& tags) const;
  // Whether Includes looks at the tags.
  bool needs_tags() const { return !tags_.empty(); }

 private:
  const std::vector<std::string>& names_;
  // None: the expression does not compile.
  std::vector<std::pair<absl::string_view, std::optional<Regex>>> tags_;
};

// --- bodies ---

namespace query_filter_internal {

// A node without the tag counts as one with the empty text.
inline absl::string_view TagValue(const Tags& tags, absl::string_view tag) {
  const auto found = tags.find(tag);
  return found == tags.end() ? absl::string_view() : absl::string_view(found->second);
}

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

template <typename Warn>
bool PassesTagFilter(ByteView body, const Tags& tags, Warn&& warn) {
  wire::DecodeScratch scratch;
  wire::TagFilter filter;
  if (const wire::DecodeResult result = Decode(body, filter, scratch);
      result != wire::DecodeResult::kOk) {
    warn(absl::StrCat("serf: failed to decode filterTagType: ", wire::DecodeResultName(result)));
    return false;
  }
  const absl::StatusOr<Regex> regex = Regex::Compile(filter.expr);
  if (!regex.ok()) {
    warn(absl::StrCat("serf: failed to compile filter regex (", filter.expr.substr(0, 256),
                      "): ", absl::string_view(regex.status().message())));
    return false;
  }
  return regex->Matches(TagValue(tags, filter.tag));
}

}  // namespace query_filter_internal

template <typename Warn>
bool PassesQueryFilters(const wire::ListView<ByteView>& filters, absl::string_view name,
                        const Tags& tags, Warn&& warn) {
  bool passes = filters.size() <= kQueryFiltersMax;
  filters.ForEach([&](ByteView filter) {
    if (!passes) return;
    passes = false;
    if (filter.empty()) return;  // has no type
    switch (static_cast<wire::FilterType>(filter.front())) {
      case wire::FilterType::kNode:
        passes = query_filter_internal::PassesNodeFilter(filter.subspan(1), name, warn);
        return;
      case wire::FilterType::kTag:
        passes = query_filter_internal::PassesTagFilter(filter.subspan(1), tags, warn);
        return;
    }
    warn(absl::StrCat("serf: query has unrecognized filter type: ", filter.front()));
  });
  return passes;
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

inline QueryAudience::QueryAudience(const QueryParams& params) : names_(params.filter_nodes) {
  for (const auto& [tag, expression] : params.filter_tags) {
    absl::StatusOr<Regex> regex = Regex::Compile(expression);
    tags_.emplace_back(tag, regex.ok() ? std::optional<Regex>(*std::move(regex)) : std::nullopt);
  }
}

inline bool QueryAudience::Includes(absl::string_view name, const Tags& tags) const {
  if (!names_.empty() && std::find(names_.begin(), names_.end(), name) == names_.end()) {
    return false;
  }
  return std::all_of(tags_.begin(), tags_.end(), [&](const auto& tag) {
    return tag.second && tag.second->Matches(query_filter_internal::TagValue(tags, tag.first));
  });
}

}  // namespace serf

#endif  // SERF_QUERY_FILTER_H_
