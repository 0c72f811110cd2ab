// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_SWIM_PROBE_RING_H_
#define SERF_SWIM_PROBE_RING_H_

// ProbeRing: the order in which members are probed: shuffled round robin, so that each member is
// probed within a bounded time (SWIM, 2002, section 4.3; docs/protocol/membership.md 4.1, 5.1,
// 5.6). Random members are picked here, too.
//
// The order is computed, not stored: a shuffled list would cost four bytes for each member, and a
// simulation has such a list for each node. In each round a number is drawn, which chooses the
// bijection from the places of the round to the rows of the table.

#include <algorithm>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "serf/base/rng.h"
#include "serf/swim/member_table.h"
#include "serf/swim/node_info.h"

namespace serf::swim {

class ProbeRing {
 public:
  // All rows of `table`, which must outlive the ring, are members.
  explicit ProbeRing(const MemberTable& table) : table_(table) {}

  // `member` was added to the table. Its place in the round is random; if the round is past that
  // place, its turn comes in the next one.
  void Insert(MemberIndex member, Rng& rng);

  // The next member for which eligible(member) holds. Gives up after as many checks as there are
  // members; a wrap-around counts as a check, so a small cluster sometimes spends a tick without a
  // probe. Calls wrap() at each wrap, which must call Shuffle(), and may purge members before.
  template <typename Eligible, typename Wrap>
  std::optional<MemberIndex> Next(Eligible&& eligible, Wrap&& wrap);

  // Begins a round in a new order. Every order is about equally likely.
  void Shuffle(Rng& rng) {
    seed_ = rng.Next();
    rows_ = static_cast<std::uint32_t>(table_.index_limit());
    cursor_ = 0;
    late_ = std::vector<Late>();
  }

  // Puts up to `count` distinct members for which eligible(member) holds, uniformly chosen, into
  // `picked`, which it clears first. Finds all of them if there are no more than `count`
  // (docs/protocol/membership.md 6.3, Deviation). By rejection while that is cheap, otherwise by a
  // pass over all members.
  template <typename Eligible>
  void Pick(std::size_t count, Rng& rng, std::vector<MemberIndex>& picked,
            Eligible&& eligible) const;

  std::size_t memory_bytes() const { return late_.capacity() * sizeof(late_[0]); }

 private:
  // A member that joined during the round: its turn comes before that of the row at `place`.
  struct Late {
    std::uint32_t place;
    MemberIndex member;
    // The heap has the next on top.
    friend bool operator<(const Late& a, const Late& b) {
      return a.place != b.place ? a.place > b.place : a.member > b.member;
    }
  };
  // If more members than this and half of the rows join during a round, another round begins at
  // once: the list of them would take more memory than it is worth.
  static constexpr std::size_t kLateMax = 16;
  // After r steps a row has a uniformly random place with a probability of 1 - 2^-r.
  static constexpr std::uint64_t kSteps = 20;

  // The next member in the order, or a free row; nothing at the end of the round.
  std::optional<MemberIndex> Step();
  MemberIndex At(std::uint32_t place) const;

  const MemberTable& table_;
  std::uint64_t seed_ = 0;
  std::uint32_t rows_ = 0;    // at the beginning of the round
  std::uint32_t cursor_ = 0;  // the place of the next row
  std::vector<Late> late_;    // a heap
};

inline void ProbeRing::Insert(MemberIndex member, Rng& rng) {
  if (member.value() < rows_) return;  // the row has a random place already
  // A round that nobody had a turn in yet begins with one member more.
  if (cursor_ == 0 || late_.size() >= kLateMax + rows_ / 2) return Shuffle(rng);
  const auto place = static_cast<std::uint32_t>(rng.Below(rows_));
  if (place < cursor_) return;
  late_.push_back({place, member});
  std::push_heap(late_.begin(), late_.end());
}

// Swap-or-not (Hoang, Morris and Rogaway, 2012): in each step every place has a random partner, and
// both exchange or not.
inline MemberIndex ProbeRing::At(std::uint32_t place) const {
  std::uint32_t row = place;
  std::uint64_t step = seed_;
  for (std::uint64_t i = 0; i < kSteps; ++i) {
    step += 0x9e3779b97f4a7c15u;
    const std::uint64_t draw = MixBits(step);
    const auto sum = static_cast<std::uint32_t>(((draw >> 32) * rows_) >> 32);
    const std::uint32_t partner = sum >= row ? sum - row : sum + rows_ - row;
    if ((MixBits(draw ^ std::max(row, partner)) & 1) != 0) row = partner;
  }
  return MemberIndex(row);
}

inline std::optional<MemberIndex> ProbeRing::Step() {
  if (!late_.empty() && (cursor_ == rows_ || late_.front().place <= cursor_)) {
    std::pop_heap(late_.begin(), late_.end());
    const MemberIndex member = late_.back().member;
    late_.pop_back();
    return member;
  }
  if (cursor_ == rows_) return std::nullopt;
  return At(cursor_++);
}

template <typename Eligible, typename Wrap>
std::optional<MemberIndex> ProbeRing::Next(Eligible&& eligible, Wrap&& wrap) {
  for (std::size_t checked = 0; checked < table_.known();) {
    const std::optional<MemberIndex> member = Step();
    if (!member) {
      wrap();
      assert(cursor_ == 0);
      ++checked;
      continue;
    }
    if (!table_.Contains(*member)) continue;
    ++checked;
    if (eligible(*member)) return member;
  }
  return std::nullopt;
}

template <typename Eligible>
void ProbeRing::Pick(std::size_t count, Rng& rng, std::vector<MemberIndex>& picked,
                     Eligible&& eligible) const {
  picked.clear();
  const std::size_t rows = table_.index_limit();
  if (rows == 0 || count == 0) return;
  const auto is_picked = [&picked](MemberIndex m) {
    return std::find(picked.begin(), picked.end(), m) != picked.end();
  };
  // Eight draws for each pick nearly always find enough if a third of the rows is eligible.
  const std::size_t draws = std::min(8 * count, rows);
  for (std::size_t i = 0; i < draws && picked.size() < count; ++i) {
    const MemberIndex m(static_cast<std::uint32_t>(rng.Below(rows)));
    if (table_.Contains(m) && eligible(m) && !is_picked(m)) picked.push_back(m);
  }
  if (picked.size() == count) return;
  // The rest by reservoir sampling (Algorithm R) over the members that are not picked yet.
  const std::size_t have = picked.size();
  const std::size_t want = count - have;
  std::size_t seen = 0;
  table_.ForEach([&](MemberIndex m) {
    if (!eligible(m) ||
        std::find(picked.begin(), picked.begin() + have, m) != picked.begin() + have) {
      return;
    }
    if (seen++ < want) {
      picked.push_back(m);
    } else if (const std::size_t at = rng.Below(seen); at < want) {
      picked[have + at] = m;
    }
  });
}

}  // namespace serf::swim

#endif  // SERF_SWIM_PROBE_RING_H_
