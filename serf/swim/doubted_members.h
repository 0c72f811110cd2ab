// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_SWIM_DOUBTED_MEMBERS_H_
#define SERF_SWIM_DOUBTED_MEMBERS_H_

// DoubtedMembers: members about which other nodes claim an incarnation that they cannot have
// reached. A push/pull with such a member finds out what is true; the list holds the next ones to
// ask.
//
//   doubted.Add(member);
//   if (std::optional<MemberIndex> next = doubted.Take()) PushPullWith(*next);

#include <cstddef>
#include <optional>
#include <vector>

#include "serf/swim/member_table.h"

namespace serf::swim {

class DoubtedMembers {
 public:
  // This node asks one member per push/pull interval. More at once are a flood.
  static constexpr std::size_t kMax = 16;

  // Puts `member` last. A full list drops it: the next claim adds it again.
  void Add(MemberIndex member) {
    Remove(member);
    if (members_.size() < kMax) members_.push_back(member);
  }
  void Remove(MemberIndex member) { std::erase(members_, member); }
  // The member that has waited longest; removes it from the list.
  std::optional<MemberIndex> Take() {
    if (members_.empty()) return std::nullopt;
    const MemberIndex member = members_.front();
    members_.erase(members_.begin());
    return member;
  }

 private:
  std::vector<MemberIndex> members_;
};

}  // namespace serf::swim

#endif  // SERF_SWIM_DOUBTED_MEMBERS_H_
