#ifndef SERF_CMD_EVENTS_SCRIPT_EVENT_H_
#define SERF_CMD_EVENTS_SCRIPT_EVENT_H_

// ScriptEvent: an event in the form that a script receives: environment variables and standard
// input. Source: docs/protocol/agent.md 3.2 and 3.3.
//
//   SERF_EVENT=member-join SERF_SELF_NAME=a SERF_SELF_ROLE=web SERF_TAG_ROLE=web
//   stdin: NAME TAB ADDRESS TAB ROLE TAB K=V "," K=V ... LF     one line for each member
//
//   SERF_EVENT=user SERF_USER_EVENT=deploy SERF_USER_LTIME=7, or
//   SERF_EVENT=query SERF_QUERY_NAME=load SERF_QUERY_LTIME=7
//   stdin: the payload, with LF at its end unless it is empty

#include <unistd.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/string_view.h"
#include "serf/cmd/text/utf8.h"
#include "serf/event.h"
#include "serf/member.h"
#include "serf/query.h"
#include "serf/rpc/event_filter.h"
#include "serf/tags.h"

namespace serf::cmd {

struct ScriptEvent {
  rpc::EventType type = rpc::EventType::kUser;
  std::string name;                    // for a user event or query
  std::uint64_t time = 0;              // Lamport time, for a user event or query
  std::string input;                   // the script's standard input; bytes
  std::shared_ptr<const Member> self;  // this node at the time of the event; never null
  // For a query: sends the script's output as the answer.
  std::function<void(std::string output)> respond;
  // For a query: true if a script asks it, and may wait for the answer.
  bool from_script = false;

  // The memory that it takes while it waits, without `self`, which many events share.
  std::size_t bytes() const { return sizeof(*this) + name.size() + input.size(); }
};

ScriptEvent MakeScriptEvent(const Event& event, Member self);

// The type and the name of an event, as filters use them. The name is valid as long as the event.
std::pair<rpc::EventType, absl::string_view> ScriptEventKind(const Event& event);

// "NAME=VALUE" words: the agent's environment, with the variables of the event in place of equal
// names.
std::vector<std::string> ScriptEnvironment(const ScriptEvent& event);

// "Mixed Case" becomes "MIXED_CASE": upper case, and "_" for each character that a shell's name
// cannot hold.
std::string TagVariable(absl::string_view tag);

namespace script_event_internal {

// Escapes a field of a line of fields.
inline std::string EscapeField(absl::string_view text) {
  return absl::StrReplaceAll(text, {{"\t", "\\t"}, {"\n", "\\n"}});
}

inline std::string RoleOf(const Member& member) {
  const auto role = member.tags.find(kRoleTag);
  return role == member.tags.end() ? std::string() : role->second;
}

inline void AppendLine(const Member& member, std::string& lines) {
  const std::string tags = absl::StrJoin(member.tags, ",", absl::PairFormatter("="));
  absl::StrAppend(&lines, EscapeField(member.name), "\t", member.endpoint.address.ToString(), "\t",
                  EscapeField(RoleOf(member)), "\t", EscapeField(tags), "\n");
}

inline std::string WithLineFeed(const std::string& payload) {
  return payload.empty() || payload.back() == '\n' ? payload : absl::StrCat(payload, "\n");
}

}  // namespace script_event_internal

inline std::pair<rpc::EventType, absl::string_view> ScriptEventKind(const Event& event) {
  if (const auto* members = std::get_if<MemberEvent>(&event)) {
    return {rpc::EventTypeOf(members->kind), {}};
  }
  if (const auto* user = std::get_if<UserEvent>(&event)) return {rpc::EventType::kUser, user->name};
  return {rpc::EventType::kQuery, std::get<QueryEvent>(event).name};
}

inline ScriptEvent MakeScriptEvent(const Event& event, Member self) {
  namespace internal = script_event_internal;
  ScriptEvent result;
  const auto [type, name] = ScriptEventKind(event);
  result.type = type;
  result.name = std::string(name);
  result.self = std::make_shared<const Member>(std::move(self));
  if (const auto* members = std::get_if<MemberEvent>(&event)) {
    for (const Member& member : members->members) internal::AppendLine(member, result.input);
  } else if (const auto* user = std::get_if<UserEvent>(&event)) {
    result.time = user->time.value();
    result.input = internal::WithLineFeed(user->payload);
  } else if (const auto* query = std::get_if<QueryEvent>(&event)) {
    result.time = query->id.time.value();
    result.input = internal::WithLineFeed(query->payload);
  }
  return result;
}

inline std::string TagVariable(absl::string_view tag) {
  std::string name;
  while (!tag.empty()) {
    const Utf8Char c = TakeUtf8(tag);
    const auto byte = static_cast<unsigned char>(c.code);
    const bool fits = c.valid && c.code < 0x80 && (absl::ascii_isalnum(byte) || byte == '_');
    name += fits ? absl::ascii_toupper(byte) : '_';
  }
  return name;
}

inline std::vector<std::string> ScriptEnvironment(const ScriptEvent& event) {
  std::map<std::string, std::string> variables;
  for (char** word = ::environ; word != nullptr && *word != nullptr; ++word) {
    const absl::string_view text = *word;
    const std::size_t equals = text.find('=');
    if (equals == absl::string_view::npos) continue;
    variables[std::string(text.substr(0, equals))] = std::string(text.substr(equals + 1));
  }
  variables["SERF_EVENT"] = std::string(rpc::EventTypeName(event.type));
  variables["SERF_SELF_NAME"] = event.self->name;
  variables["SERF_SELF_ROLE"] = script_event_internal::RoleOf(*event.self);
  for (const auto& [tag, value] : event.self->tags) {
    variables[absl::StrCat("SERF_TAG_", TagVariable(tag))] = value;
  }
  if (event.type == rpc::EventType::kUser) {
    variables["SERF_USER_EVENT"] = event.name;
    variables["SERF_USER_LTIME"] = absl::StrCat(event.time);
  } else if (event.type == rpc::EventType::kQuery) {
    variables["SERF_QUERY_NAME"] = event.name;
    variables["SERF_QUERY_LTIME"] = absl::StrCat(event.time);
  }
  std::vector<std::string> words;
  words.reserve(variables.size());
  for (const auto& [name, value] : variables) words.push_back(absl::StrCat(name, "=", value));
  return words;
}

}  // namespace serf::cmd

#endif  // SERF_CMD_EVENTS_SCRIPT_EVENT_H_
