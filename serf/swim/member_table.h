// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_SWIM_MEMBER_TABLE_H_
#define SERF_SWIM_MEMBER_TABLE_H_

// MemberTable: what one node knows about every node: rows of 32 bytes with a stable index, an index
// by name, and counts. The rules are in state_rules.h.
//
//   MemberIndex m = table.Add(pool.Intern(view), now);   // dead, incarnation 0
//   table.SetState(m, NodeState::kAlive, now);
//   if (auto found = table.Find("node-7")) table.EditRow(*found).incarnation = ...;
//
// The budget is 64 bytes per row in all (docs/architecture.md): 32 here, 5 to 12 in the name index,
// 16 in the Serf layer's parallel table. Tables of one process that agree can share memory: see
// ShareFrom().

#include <array>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/string_view.h"
#include "serf/base/endpoint.h"
#include "serf/base/time.h"
#include "serf/swim/node_info.h"
#include "serf/swim/paged_vector.h"
#include "serf/swim/suspicion.h"
#include "serf/wire/ids.h"

namespace serf::swim {

class MemberTable {
 public:
  struct Row {
    NodeInfoRef info;  // null: the row is free
    Instant changed_at{};
    wire::Incarnation incarnation{};
    SuspicionSlot suspicion = kNoSuspicion;
    NodeState state = NodeState::kDead;  // read only: SetState keeps the counts
    std::uint8_t flags = 0;              // for the SWIM layer
  };

  MemberTable() = default;
  MemberTable(const MemberTable&) = delete;
  MemberTable& operator=(const MemberTable&) = delete;

  // Takes over all that `other` knows, but for running suspicions, of which it must have none. The
  // two share their memory, except where they differ later. Both belong to one thread.
  void ShareFrom(const MemberTable& other);

  // Adds a row in state dead with incarnation 0. The name must be unknown. Purged indexes are used
  // again before new ones, in no particular order.
  MemberIndex Add(NodeInfoRef info, Instant changed_at);

  // Forgets the node; its index will be reused. Drop its suspicion first.
  void Purge(MemberIndex member);

  std::optional<MemberIndex> Find(absl::string_view name) const {
    const auto it = names_->set.find(NameKey{name, NodeNameHash(name), &rows_});
    if (it == names_->set.end()) return std::nullopt;
    return *it;
  }

  // Valid until a row changes.
  const Row& row(MemberIndex member) const {
    assert(rows_[member.value()].info);
    return rows_[member.value()];
  }
  Row& EditRow(MemberIndex member) {
    assert(rows_[member.value()].info);
    return rows_.Edit(member.value());
  }
  const NodeInfo& info(MemberIndex member) const { return *row(member).info; }
  NodeState state(MemberIndex member) const { return row(member).state; }

  // True for the index of a row in use; for views that come from outside.
  bool Contains(MemberIndex member) const {
    return member.value() < rows_.size() && rows_[member.value()].info;
  }

  void SetState(MemberIndex member, NodeState state, Instant changed_at) {
    Row& r = EditRow(member);
    --by_state_[static_cast<std::size_t>(r.state)];
    ++by_state_[static_cast<std::size_t>(state)];
    r.state = state;
    r.changed_at = changed_at;
  }

  // Sets a new address, metadata or versions of the same name.
  void SetInfo(MemberIndex member, NodeInfoRef info) {
    Row& r = EditRow(member);
    assert(info && info->name() == r.info->name());
    r.info = std::move(info);
    ++info_changes_;
  }
  // Sets bits of Row::flags.
  void SetFlag(MemberIndex member, std::uint8_t bits, bool on) {
    const std::uint8_t before = row(member).flags;
    const auto after = static_cast<std::uint8_t>(on ? before | bits : before & ~bits);
    if (after != before) EditRow(member).flags = after;
  }
  // How often SetInfo() was called.
  std::uint64_t info_changes() const { return info_changes_; }

  // The number of known nodes, in all states: the N of the scaling formulas
  // (docs/protocol/membership.md 4.1).
  std::size_t known() const { return names_->set.size(); }
  std::size_t count(NodeState state) const { return by_state_[static_cast<std::size_t>(state)]; }
  // The number of alive and suspect nodes.
  std::size_t live() const { return count(NodeState::kAlive) + count(NodeState::kSuspect); }

  // True if a known node announces this address. Looks at all of them.
  bool HasAddress(const IpAddress& address) const {
    for (std::uint32_t i = 0; i < rows_.size(); ++i) {
      if (rows_[i].info && SameHost(rows_[i].info->endpoint().address, address)) return true;
    }
    return false;
  }

  // One more than the highest index ever used; parallel tables need that many rows.
  std::size_t index_limit() const { return rows_.size(); }

  // Calls f(MemberIndex) for each row in use, in order of index.
  template <typename F>
  void ForEach(F&& f) const {
    for (std::uint32_t i = 0; i < rows_.size(); ++i) {
      if (rows_[i].info) f(MemberIndex(i));
    }
  }

  // The bytes of rows and name index, slack included, without what is shared: the NodeInfos, and
  // what another table has as well.
  std::size_t memory_bytes() const {
    const bool own_names = names_.use_count() == 1;
    return rows_.memory_bytes() + free_.capacity() * sizeof(free_[0]) +
           (own_names ? names_->set.capacity() * (sizeof(MemberIndex) + 1) : 0);
  }

 private:
  using Rows = PagedVector<Row>;

  struct NameIndex;
  struct NameKey {
    absl::string_view name;
    std::size_t hash;
    const Rows* rows;  // of the table that looks it up
  };
  struct NameHash {
    using is_transparent = void;
    const NameIndex* index;
    std::size_t operator()(MemberIndex m) const { return (*index->rows)[m.value()].info->hash(); }
    std::size_t operator()(const NameKey& key) const { return key.hash; }
  };
  struct NameEqual {
    using is_transparent = void;
    bool operator()(MemberIndex a, MemberIndex b) const { return a == b; }
    bool operator()(MemberIndex a, const NameKey& b) const {
      const NodeInfo& info = *(*b.rows)[a.value()].info;
      return info.hash() == b.hash && info.name() == b.name;
    }
    bool operator()(const NameKey& a, MemberIndex b) const { return (*this)(b, a); }
  };
  // The index of the rows by name. Tables that have the same names in the same rows share one.
  struct NameIndex {
    explicit NameIndex(const Rows* own) : rows(own) {}
    NameIndex(const NameIndex&) = delete;
    NameIndex& operator=(const NameIndex&) = delete;

    const Rows* rows;  // of the table that changes the index
    absl::flat_hash_set<MemberIndex, NameHash, NameEqual> set{0, NameHash{this}, NameEqual{}};
  };

  // The index to change, which is this table's alone.
  NameIndex& EditNames();

  Rows rows_;
  std::vector<MemberIndex> free_;
  std::shared_ptr<NameIndex> names_ = std::make_shared<NameIndex>(&rows_);
  std::array<std::size_t, 4> by_state_ = {};
  std::uint64_t info_changes_ = 0;
};

static_assert(sizeof(MemberTable::Row) == 32, "the budget of a member row");

inline MemberIndex MemberTable::Add(NodeInfoRef info, Instant changed_at) {
  assert(info && !Find(info->name()));
  MemberIndex member(static_cast<std::uint32_t>(rows_.size()));
  if (free_.empty()) {
    rows_.GrowTo(rows_.size() + 1);
  } else {
    member = free_.back();
    free_.pop_back();
  }
  Row& r = rows_.Edit(member.value());
  r.info = std::move(info);
  r.changed_at = changed_at;
  ++by_state_[static_cast<std::size_t>(r.state)];
  EditNames().set.insert(member);
  return member;
}

inline void MemberTable::Purge(MemberIndex member) {
  EditNames().set.erase(member);
  Row& r = EditRow(member);
  assert(r.suspicion == kNoSuspicion);
  --by_state_[static_cast<std::size_t>(r.state)];
  r = Row{};
  free_.push_back(member);
}

inline MemberTable::NameIndex& MemberTable::EditNames() {
  if (names_.use_count() > 1) {
    auto own = std::make_shared<NameIndex>(&rows_);
    own->set.reserve(names_->set.size() + 1);
    for (const MemberIndex member : names_->set) own->set.insert(member);
    names_ = std::move(own);
  }
  names_->rows = &rows_;  // the table that made it may be gone
  return *names_;
}

inline void MemberTable::ShareFrom(const MemberTable& other) {
  rows_ = other.rows_;
  free_ = other.free_;
  names_ = other.names_;
  by_state_ = other.by_state_;
  info_changes_ += other.info_changes_ + 1;
}

}  // namespace serf::swim

#endif  // SERF_SWIM_MEMBER_TABLE_H_
