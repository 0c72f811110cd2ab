// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_MEMBER_H_
#define SERF_MEMBER_H_

// Member: what this node knows about a member of the cluster. The record is a copy: it does not
// change when the cluster does, and any thread may read it.
//
//   for (const serf::Member& member : members) {
//     if (member.status == serf::MemberStatus::kAlive) Use(member.endpoint, member.tags);
//   }
//
// Source: docs/protocol/serf.md 3.1.

#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"
#include "serf/base/endpoint.h"
#include "serf/tags.h"
#include "serf/wire/swim_messages.h"

namespace serf {

// The state of a member, as this node sees it. Other nodes may see another state for a few seconds.
// The numbers go over the wire in conflict answers; values are append-only.
//
// * kNone: unknown. A Member in a list never has it.
// * kAlive: the member answers probes, or is new.
// * kLeaving: the member has announced its departure and still runs.
// * kLeft: the member has left on purpose, or was forced to leave.
// * kFailed: the member does not answer. It may return with the same name.
enum class MemberStatus : std::uint8_t { kNone = 0, kAlive, kLeaving, kLeft, kFailed };

// The name of a status: "none", "alive", "leaving", "left", "failed". The text lives as long as the
// program.
inline constexpr absl::string_view MemberStatusName(MemberStatus status) {
  switch (status) {
    case MemberStatus::kNone:
      return "none";
    case MemberStatus::kAlive:
      return "alive";
    case MemberStatus::kLeaving:
      return "leaving";
    case MemberStatus::kLeft:
      return "left";
    case MemberStatus::kFailed:
      return "failed";
  }
  return "none";
}

// How an application turns a failed member into one that left.
struct ForceLeaveOptions {
  // Also erases the member from the list of every member.
  bool prune = false;
};

// A member of the cluster. `name` is unique in the cluster and identifies the member.
struct Member {
  // 1 to 512 bytes. A name from another node may hold any bytes: escape it before you print it.
  std::string name;
  // The address that the member announced, for its Serf traffic (UDP and TCP).
  Endpoint endpoint;
  Tags tags;
  MemberStatus status = MemberStatus::kNone;
  // The protocol versions that the member announced: lowest, highest and current version of the
  // membership protocol, then the same of the Serf protocol.
  wire::VersionVector versions;
};

}  // namespace serf

#endif  // SERF_MEMBER_H_
