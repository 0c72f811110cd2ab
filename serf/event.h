#ifndef SERF_EVENT_H_
#define SERF_EVENT_H_

// Event: what the application is told, in the order of the state changes.
// Source: spec/serf.md 11.1.

#include <cstddef>
#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "absl/strings/string_view.h"
#include "serf/base/bytes.h"
#include "serf/member.h"
#include "serf/query.h"
#include "serf/wire/ids.h"

namespace serf {

// Append-only.
enum class MemberEventKind : std::uint8_t { kJoin, kLeave, kFailed, kUpdate, kReap };

// "member-join", "member-leave", "member-failed", "member-update", "member-reap".
inline constexpr absl::string_view MemberEventName(MemberEventKind kind) {
  switch (kind) {
    case MemberEventKind::kJoin:
      return "member-join";
    case MemberEventKind::kLeave:
      return "member-leave";
    case MemberEventKind::kFailed:
      return "member-failed";
    case MemberEventKind::kUpdate:
      return "member-update";
    case MemberEventKind::kReap:
      return "member-reap";
  }
  return "";
}

// One kind, one member from the machine; several after coalescing.
struct MemberEvent {
  MemberEventKind kind = MemberEventKind::kJoin;
  std::vector<Member> members;
};

// Bytes of name and payload of a user event. The original refuses to send more; more is not taken
// either.
inline constexpr std::size_t kUserEventMax = 9216;

struct UserEvent {
  wire::LamportTime time;
  std::string name;
  std::string payload;  // bytes
  bool coalesce = false;
};

using Event = std::variant<MemberEvent, UserEvent, QueryEvent>;

}  // namespace serf

#endif  // SERF_EVENT_H_
