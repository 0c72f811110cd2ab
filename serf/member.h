#ifndef SERF_MEMBER_H_
#define SERF_MEMBER_H_

// Member: a member of the cluster as the Serf layer knows it. Source: spec/serf.md 3.1.

#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"
#include "serf/base/endpoint.h"
#include "serf/tags.h"
#include "serf/wire/swim_messages.h"

namespace serf {

// The numbers go over the wire in conflict answers. Append-only.
enum class MemberStatus : std::uint8_t { kNone = 0, kAlive, kLeaving, kLeft, kFailed };

// "none", "alive", "leaving", "left", "failed".
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

// A copy; stays as it is when the cluster goes on.
struct Member {
  std::string name;
  Endpoint endpoint;
  Tags tags;
  MemberStatus status = MemberStatus::kNone;
  wire::VersionVector versions;  // engine and Serf protocol: min, max, current
};

}  // namespace serf

#endif  // SERF_MEMBER_H_
