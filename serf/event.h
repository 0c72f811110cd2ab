// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_EVENT_H_
#define SERF_EVENT_H_

// Event: what a node reports to the application, in the order of the state changes. Drivers deliver
// events one at a time (transport::HostOptions::on_event). An event owns its data, so the
// application may keep it, and read it on any thread.
//
//   void OnEvent(const serf::Event& event) {
//     if (const auto* members = std::get_if<serf::MemberEvent>(&event)) {
//       for (const serf::Member& member : members->members) Rebalance(members->kind, member);
//     } else if (const auto* user = std::get_if<serf::UserEvent>(&event)) {
//       Deploy(user->payload);
//     }
//   }
//
// Source: docs/protocol/serf.md 11.1.

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

// What happened to a member. Values are append-only.
//
// * kJoin: the member is alive; it is new, or it returned.
// * kLeave: the member left on purpose, or an operator forced a failed member to leave.
// * kFailed: the member does not answer. Nodes try to reconnect for Config::reconnect_timeout.
// * kUpdate: the member is alive, and its tags changed. A change of the address alone is not
// reported.
// * kReap: this node has forgotten the member, after a failure or a departure.
enum class MemberEventKind : std::uint8_t { kJoin, kLeave, kFailed, kUpdate, kReap };

// The name of a kind, as operators know it: "member-join", "member-leave", "member-failed",
// "member-update", "member-reap". The text lives as long as the program.
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

// Members to which the same thing happened. Without coalescing (Config::coalesce_period) an event
// has one member; with coalescing it may have several.
struct MemberEvent {
  MemberEventKind kind = MemberEventKind::kJoin;
  std::vector<Member> members;
};

// Most bytes of a user event, name and payload together. Go Serf refuses to send a larger event,
// and this implementation also drops a larger one that arrives.
inline constexpr std::size_t kUserEventMax = 9216;

// How an application sends a user event.
struct UserEventOptions {
  // Permits each receiver to merge the event with later ones of the same name, if its Config has a
  // `user_coalesce_period`. Only the last one then counts.
  bool coalesce = false;
};

// An event that an application sent to the whole cluster, this node or another one. A node delivers
// an event at most once while it remembers the event: it remembers the last 512 Lamport times
// (docs/protocol/serf.md 5.2). An event does not name its sender.
struct UserEvent {
  wire::LamportTime time;
  std::string name;
  // Any bytes, not only text.
  std::string payload;
  // The sender permits receivers to merge events of this name.
  bool coalesce = false;
};

// Everything that a node reports. A later version may add alternatives at the end: handle the ones
// that you know, and ignore the rest.
using Event = std::variant<MemberEvent, UserEvent, QueryEvent>;

}  // namespace serf

#endif  // SERF_EVENT_H_
