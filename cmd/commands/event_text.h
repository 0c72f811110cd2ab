#ifndef SERF_CMD_COMMANDS_EVENT_TEXT_H_
#define SERF_CMD_COMMANDS_EVENT_TEXT_H_

// The text of events in `serf monitor`, in the syntax that scripts know: that of Go, for the
// decoded MessagePack. Source: docs/protocol/agent.md 4.11 and B.5.
//
//   Event Info:
//   <TAB>Coalesce: false
//   <TAB>Event: "user"

#include <cstdint>
#include <string>
#include <variant>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "serf/base/bytes.h"
#include "serf/cmd/text/quote.h"
#include "serf/event.h"
#include "serf/member.h"
#include "serf/rpc/protocol.h"
#include "serf/tags.h"

namespace serf::cmd {

// All lines of one event, sorted by key.
std::string EventText(const rpc::EventRecord& event);

namespace event_text_internal {

// MessagePack sends a number of more than seven bits in an unsigned form, which prints in
// hexadecimal.
inline std::string Integer(std::uint64_t value) {
  return value < 0x80 ? absl::StrCat(value) : absl::StrCat("0x", absl::Hex(value));
}

inline std::string ByteList(ByteView bytes) {
  return absl::StrJoin(bytes, ", ", [](std::string* out, std::uint8_t byte) {
    absl::StrAppend(out, "0x", absl::Hex(static_cast<std::uint32_t>(byte)));
  });
}

inline std::string Payload(absl::string_view payload) {
  return payload.empty() ? "<nil>" : absl::StrCat("[]byte{", ByteList(AsBytes(payload)), "}");
}

inline std::string TagMap(const Tags& tags) {
  const auto pair = [](std::string* out, const Tags::value_type& tag) {
    absl::StrAppend(out, Quote(tag.first), ":", Quote(tag.second));
  };
  return absl::StrCat("map[interface {}]interface {}{", absl::StrJoin(tags, ", ", pair), "}");
}

inline std::string MemberMap(const Member& member) {
  const wire::VersionVector& versions = member.versions;
  return absl::StrCat(
      "map[interface {}]interface {}{\"Addr\":[]uint8{", ByteList(member.endpoint.address.bytes()),
      "}, \"DelegateCur\":", Integer(versions.delegate_cur),
      ", \"DelegateMax\":", Integer(versions.delegate_max),
      ", \"DelegateMin\":", Integer(versions.delegate_min), ", \"Name\":", Quote(member.name),
      ", \"Port\":", Integer(member.endpoint.port),
      ", \"ProtocolCur\":", Integer(versions.protocol_cur),
      ", \"ProtocolMax\":", Integer(versions.protocol_max),
      ", \"ProtocolMin\":", Integer(versions.protocol_min),
      ", \"Status\":", Quote(MemberStatusName(member.status)), ", \"Tags\":", TagMap(member.tags),
      "}");
}

inline std::string Lines(const MemberEvent& event) {
  const auto append = [](std::string* out, const Member& member) {
    absl::StrAppend(out, MemberMap(member));
  };
  return absl::StrCat("\tEvent: ", Quote(MemberEventName(event.kind)),
                      "\n\tMembers: []interface {}{", absl::StrJoin(event.members, ", ", append),
                      "}\n");
}

inline std::string Lines(const UserEvent& event) {
  return absl::StrCat("\tCoalesce: ", event.coalesce ? "true" : "false",
                      "\n\tEvent: \"user\"\n\tLTime: ", Integer(event.time.value()),
                      "\n\tName: ", Quote(event.name), "\n\tPayload: ", Payload(event.payload),
                      "\n");
}

inline std::string Lines(const rpc::QueryRecord& query) {
  return absl::StrCat("\tEvent: \"query\"\n\tID: ", Integer(query.id),
                      "\n\tLTime: ", Integer(query.time.value()), "\n\tName: ", Quote(query.name),
                      "\n\tPayload: ", Payload(query.payload), "\n");
}

}  // namespace event_text_internal

inline std::string EventText(const rpc::EventRecord& event) {
  return absl::StrCat(
      "Event Info:\n",
      std::visit([](const auto& e) { return event_text_internal::Lines(e); }, event));
}

}  // namespace serf::cmd

#endif  // SERF_CMD_COMMANDS_EVENT_TEXT_H_
