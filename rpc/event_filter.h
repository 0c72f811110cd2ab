// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_RPC_EVENT_FILTER_H_
#define SERF_RPC_EVENT_FILTER_H_

// EventFilter: which events a stream wants, for example "member-join,user:deploy".
//
//   std::optional<EventFilter> filter = EventFilter::Parse("user:deploy");
//   if (filter->Matches(EventType::kUser, event.name)) ...
//
//   filter  = element *("," element)        "" is "*"
//   element = "*" | "member-join" | "member-leave" | "member-failed" | "member-update"
//           | "member-reap" | ("user" | "query") [":" name]
//
// Blanks are not trimmed. A name cannot hold a comma. An empty name matches every name. A filter
// does not change once it is made; several threads may use it.
//
// Source: docs/protocol/agent.md 1.9.1.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "serf/event.h"

namespace serf::rpc {

// The kind of an event. Append-only; the first five are those of MemberEventKind.
enum class EventType : std::uint8_t {
  kMemberJoin,
  kMemberLeave,
  kMemberFailed,
  kMemberUpdate,
  kMemberReap,
  kUser,
  kQuery,
};

inline constexpr EventType EventTypeOf(MemberEventKind kind) {
  return static_cast<EventType>(kind);
}
static_assert(EventTypeOf(MemberEventKind::kReap) == EventType::kMemberReap);

// The name of a kind: "member-join", ..., "user", "query". It lives as long as the program.
inline constexpr absl::string_view EventTypeName(EventType type) {
  if (type == EventType::kUser) return "user";
  if (type == EventType::kQuery) return "query";
  return MemberEventName(static_cast<MemberEventKind>(type));
}

// The most elements of one filter, because each is compared with every event.
inline constexpr std::size_t kFilterElementsMax = 256;

class EventFilter {
 public:
  // The filter of a text. Nothing if an element does not follow the grammar, or there are more than
  // kFilterElementsMax.
  static std::optional<EventFilter> Parse(absl::string_view text);

  // Whether the stream wants an event. `name` is that of a user event or query; else it is ignored.
  bool Matches(EventType type, absl::string_view name) const;

 private:
  struct Element {
    std::optional<EventType> type;  // none: "*"
    std::string name;               // empty: any
  };

  static std::optional<Element> ParseElement(absl::string_view text);

  std::vector<Element> elements_;
};

inline std::optional<EventFilter::Element> EventFilter::ParseElement(absl::string_view text) {
  if (text == "*") return Element{};
  for (int i = 0; i <= static_cast<int>(EventType::kQuery); ++i) {
    const auto type = static_cast<EventType>(i);
    const absl::string_view type_name = EventTypeName(type);
    if (text == type_name) return Element{type, {}};
    const bool named = type == EventType::kUser || type == EventType::kQuery;
    if (named && text.size() > type_name.size() && text[type_name.size()] == ':' &&
        text.substr(0, type_name.size()) == type_name) {
      return Element{type, std::string(text.substr(type_name.size() + 1))};
    }
  }
  return std::nullopt;
}

inline std::optional<EventFilter> EventFilter::Parse(absl::string_view text) {
  EventFilter filter;
  if (text.empty()) text = "*";
  for (;;) {
    const std::size_t comma = text.find(',');
    std::optional<Element> element = ParseElement(text.substr(0, comma));
    if (!element || filter.elements_.size() == kFilterElementsMax) return std::nullopt;
    filter.elements_.push_back(*std::move(element));
    if (comma == absl::string_view::npos) return filter;
    text.remove_prefix(comma + 1);
  }
}

inline bool EventFilter::Matches(EventType type, absl::string_view name) const {
  for (const Element& element : elements_) {
    if (element.type && *element.type != type) continue;
    if (element.name.empty() || element.name == name) return true;
  }
  return false;
}

}  // namespace serf::rpc

#endif  // SERF_RPC_EVENT_FILTER_H_
