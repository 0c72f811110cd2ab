#ifndef SERF_CMD_EVENTS_SCRIPT_EVENT_H_
#define SERF_CMD_EVENTS_SCRIPT_EVENT_H_

// ScriptEvent: an event as a script is told it: by variables of the environment and by standard
// input. Source: spec/agent.md 3.2, 3.3.
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
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/string_view.h"
#include "serf/cmd/utf8.h"
#include "serf/event.h"
#include "serf/member.h"
#include "serf/query.h"
#include "serf/rpc/event_filter.h"
#include "serf/tags.h"

namespace serf::cmd {

struct ScriptEvent {
  rpc::EventType type = rpc::EventType::kUser;
  std::string name;             // of a user event or query
  std::uint64_t time = 0;       // Lamport time, of the same
  std::string payload;          // of the same; bytes
  std::vector<Member> members;  // of a member event
  Member self;                  // the local node, when the event happened
  // Of a query: sends what the script wrote.
  std::function<void(std::string output)> respond;
};

ScriptEvent MakeScriptEvent(const Event& event, Member self);

// "NAME=VALUE" words: the agent's own environment, with what describes the event in place of equal
// names.
std::vector<std::string> ScriptEnvironment(const ScriptEvent& event);

// What the script reads.
std::string ScriptInput(const ScriptEvent& event);

// "Mixed Case" is "MIXED_CASE": in capitals, and each character that does not fit a shell's names
// as "_".
std::string TagVariable(absl::string_view tag);

namespace script_event_internal {

// Of the text of a line with fields.
inline std::string EscapeField(absl::string_view text) {
  return absl::StrReplaceAll(text, {{"\t", "\\t"}, {"\n", "\\n"}});
}

inline std::string RoleOf(const Member& member) {
  const auto role = member.tags.find(kRoleTag);
  return role == member.tags.end() ? std::string() : role->second;
}

}  // namespace script_event_internal

inline ScriptEvent MakeScriptEvent(const Event& event, Member self) {
  ScriptEvent result;
  result.self = std::move(self);
  if (const auto* members = std::get_if<MemberEvent>(&event)) {
    result.type = rpc::EventTypeOf(members->kind);
    result.members = members->members;
  } else if (const auto* user = std::get_if<UserEvent>(&event)) {
    result.type = rpc::EventType::kUser;
    result.name = user->name;
    result.time = user->time.value();
    result.payload = user->payload;
  } else if (const auto* query = std::get_if<QueryEvent>(&event)) {
    result.type = rpc::EventType::kQuery;
    result.name = query->name;
    result.time = query->id.time.value();
    result.payload = query->payload;
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
  variables["SERF_SELF_NAME"] = event.self.name;
  variables["SERF_SELF_ROLE"] = script_event_internal::RoleOf(event.self);
  for (const auto& [tag, value] : event.self.tags) {
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

inline std::string ScriptInput(const ScriptEvent& event) {
  namespace internal = script_event_internal;
  if (event.type == rpc::EventType::kUser || event.type == rpc::EventType::kQuery) {
    const bool complete = event.payload.empty() || absl::EndsWith(event.payload, "\n");
    return complete ? event.payload : absl::StrCat(event.payload, "\n");
  }
  std::string input;
  for (const Member& member : event.members) {
    const std::string tags = absl::StrJoin(member.tags, ",", absl::PairFormatter("="));
    absl::StrAppend(
        &input, internal::EscapeField(member.name), "\t", member.endpoint.address.ToString(), "\t",
        internal::EscapeField(internal::RoleOf(member)), "\t", internal::EscapeField(tags), "\n");
  }
  return input;
}

}  // namespace serf::cmd

#endif  // SERF_CMD_EVENTS_SCRIPT_EVENT_H_
