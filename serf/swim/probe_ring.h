// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_SWIM_PROBE_RING_H_
#define SERF_SWIM_PROBE_RING_H_

// ProbeRing: the order in which members are probed: shuffled round robin, so that each member is
// probed within a bounded time (SWIM, 2002, section 4.3; docs/protocol/membership.md 4.1, 5.1,
// 5.6). Random members are picked from it, too.

#include <algorithm>
#include <cassert>
#include <cstddef>
#include <optional>
#include <vector>

#include "serf/base/rng.h"
#include "serf/swim/node_info.h"

namespace serf::swim {

class ProbeRing {
 public:
  // Inserts at a random place: appends, then exchanges with a uniformly chosen earlier member.
  void Insert(MemberIndex member, Rng& rng) {
    // Grows by an eighth instead of doubling: the ring counts in the budget of a member row.
    if (members_.size() == members_.capacity()) {
      members_.reserve(members_.size() + members_.size() / 8 + 8);
    }
    members_.push_back(member);
    if (members_.size() < 2) return;
    std::swap(members_.back(), members_[rng.Below(members_.size() - 1)]);
  }

  // The next member for which eligible(member) holds. Gives up after as many checks as there are
  // members; a wrap-around counts as a check, so a small cluster sometimes spends a tick without a
  // probe. Calls wrap() at each wrap, which must call PurgeAndShuffle().
  template <typename Eligible, typename Wrap>
  std::optional<MemberIndex> Next(Eligible&& eligible, Wrap&& wrap) {
    for (std::size_t checked = 0; checked < members_.size(); ++checked) {
      if (cursor_ >= members_.size()) {
        wrap();
        assert(cursor_ == 0);
        continue;
      }
      const MemberIndex member = members_[cursor_++];
      if (eligible(member)) return member;
    }
    return std::nullopt;
  }

  // Removes the members for which purge(member) holds (it may forget them at once), shuffles the
  // rest, and starts over.
  template <typename Purge>
  void PurgeAndShuffle(Purge&& purge, Rng& rng) {
    members_.erase(std::remove_if(members_.begin(), members_.end(), purge), members_.end());
    rng.Shuffle(members_);
    cursor_ = 0;
  }

  // Puts up to `count` distinct members for which eligible(member) holds, uniformly chosen, into
  // `picked`, which it clears first. Finds all of them if there are no more than `count`
  // (docs/protocol/membership.md 6.3, Deviation). By rejection while that is cheap, otherwise by a
  // pass over the ring.
  template <typename Eligible>
  void Pick(std::size_t count, Rng& rng, std::vector<MemberIndex>& picked,
            Eligible&& eligible) const;

  std::size_t size() const { return members_.size(); }
  // In probe order.
  const std::vector<MemberIndex>& members() const { return members_; }
  std::size_t memory_bytes() const { return members_.capacity() * sizeof(MemberIndex); }

 private:
  std::vector<MemberIndex> members_;
  std::size_t cursor_ = 0;
};

template <typename Eligible>
void ProbeRing::Pick(std::size_t count, Rng& rng, std::vector<MemberIndex>& picked,
                     Eligible&& eligible) const {
  picked.clear();
  if (members_.empty() || count == 0) return;
  const auto is_picked = [&picked](MemberIndex m) {
    return std::find(picked.begin(), picked.end(), m) != picked.end();
  };
  // Eight draws for each pick nearly always find enough if a third of the ring is eligible.
  const std::size_t draws = std::min(8 * count, members_.size());
  for (std::size_t i = 0; i < draws && picked.size() < count; ++i) {
    const MemberIndex m = members_[rng.Below(members_.size())];
    if (eligible(m) && !is_picked(m)) picked.push_back(m);
  }
  if (picked.size() == count) return;
  // The rest by reservoir sampling (Algorithm R) over the members that are not picked yet.
  const std::size_t have = picked.size();
  const std::size_t want = count - have;
  std::size_t seen = 0;
  for (const MemberIndex m : members_) {
    if (!eligible(m) ||
        std::find(picked.begin(), picked.begin() + have, m) != picked.begin() + have) {
      continue;
    }
    if (seen++ < want) {
      picked.push_back(m);
    } else if (const std::size_t at = rng.Below(seen); at < want) {
      picked[have + at] = m;
    }
  }
}

}  // namespace serf::swim

#endif  // SERF_SWIM_PROBE_RING_H_
