// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_MEMBERS_MEMBER_STATUS_TABLE_H_
#define SERF_MEMBERS_MEMBER_STATUS_TABLE_H_

// MemberStatusTable: the Serf layer's part of the knowledge about each member. A member that the
// SWIM layer sees alive has a row of 16 bytes, parallel to the table of the SWIM layer. Members
// that failed or left are kept apart, by name, because the SWIM layer forgets them after a while.
// The rules are in member_rules.h. Source: docs/protocol/serf.md 3.1.

#include <cassert>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "absl/container/btree_map.h"
#include "absl/strings/string_view.h"
#include "serf/base/time.h"
#include "serf/member.h"
#include "serf/members/member_rules.h"
#include "serf/swim/node_info.h"
#include "serf/swim/paged_vector.h"
#include "serf/wire/ids.h"

namespace serf {

class MemberStatusTable {
 public:
  // A member that failed or left.
  struct Departed {
    swim::NodeInfoRef info;
    MemberRecord record;
    Instant since;
  };
  // The key is the name, which lies in the NodeInfo.
  using DepartedMap = absl::btree_map<absl::string_view, Departed>;

  MemberStatusTable() = default;
  MemberStatusTable(const MemberStatusTable&) = delete;
  MemberStatusTable& operator=(const MemberStatusTable&) = delete;

  // Takes over all that `other` knows. The two share the memory of the rows, except where they
  // differ later. Both belong to one thread.
  void ShareFrom(const MemberStatusTable& other);

  // --- alive and leaving members, by the index of the SWIM layer ---

  // Status kNone: the index has no member.
  MemberRecord Present(swim::MemberIndex member) const {
    return member.value() < rows_.size() ? rows_[member.value()].record() : MemberRecord{};
  }
  // Since when a present member has its status; exact to the microsecond.
  Instant PresentSince(swim::MemberIndex member) const { return rows_[member.value()].since(); }
  // `record.status` is alive or leaving, or none to clear the row.
  void SetPresent(Instant now, swim::MemberIndex member, MemberRecord record);

  // --- failed and left members, by name ---

  // Null if the member is not there. Valid until the next change.
  const Departed* FindDeparted(absl::string_view name) const {
    const auto found = departed_.find(name);
    return found == departed_.end() ? nullptr : &found->second;
  }
  void AddDeparted(Instant now, swim::NodeInfoRef info, MemberRecord record);
  // A failed member became one that left, or only the time changed.
  void SetDeparted(Instant since, absl::string_view name, MemberRecord record);
  void EraseDeparted(absl::string_view name);
  const DepartedMap& departed() const { return departed_; }

  // --- counts ---
  // How often anything in the table has changed.
  std::uint64_t changes() const { return changes_; }
  std::size_t alive() const { return alive_; }
  std::size_t leaving() const { return leaving_; }
  std::size_t failed() const { return failed_; }
  std::size_t left() const { return departed_.size() - failed_; }
  std::size_t size() const { return alive_ + leaving_ + departed_.size(); }

 private:
  class Row {
   public:
    Row() = default;
    Row(MemberRecord record, Instant since)
        : status_time_(record.status_time),
          packed_(std::chrono::floor<std::chrono::microseconds>(since.time_since_epoch()).count() *
                      kStatusValues +
                  static_cast<std::int64_t>(record.status)) {}

    MemberStatus status() const {
      return static_cast<MemberStatus>(static_cast<std::uint64_t>(packed_) % kStatusValues);
    }
    MemberRecord record() const { return {status(), status_time_}; }
    Instant since() const {
      const std::int64_t status = static_cast<std::int64_t>(this->status());
      return Instant(std::chrono::microseconds((packed_ - status) / kStatusValues));
    }

   private:
    // A power of two, so that dividing by it separates microseconds of either sign from the status.
    static constexpr std::int64_t kStatusValues = 8;

    wire::LamportTime status_time_;
    std::int64_t packed_ = 0;  // microseconds * kStatusValues + status
  };
  static_assert(sizeof(Row) == 16, "the Serf layer's budget for a member");

  swim::PagedVector<Row> rows_;
  DepartedMap departed_;
  std::size_t alive_ = 0;
  std::size_t leaving_ = 0;
  std::size_t failed_ = 0;
  std::uint64_t changes_ = 0;
};

inline void MemberStatusTable::ShareFrom(const MemberStatusTable& other) {
  rows_ = other.rows_;
  departed_ = other.departed_;
  alive_ = other.alive_;
  leaving_ = other.leaving_;
  failed_ = other.failed_;
  changes_ += other.changes_ + 1;
}

inline void MemberStatusTable::SetPresent(Instant now, swim::MemberIndex member,
                                          MemberRecord record) {
  assert(record.status != MemberStatus::kFailed && record.status != MemberStatus::kLeft);
  rows_.GrowTo(member.value() + 1);
  const Row& row = rows_[member.value()];
  const MemberStatus before = row.status();
  if (before == record.status && Present(member) == record) return;
  ++changes_;
  const Instant since = before == record.status ? row.since() : now;
  rows_.Edit(member.value()) = Row(record, since);
  if (before == MemberStatus::kAlive) --alive_;
  if (before == MemberStatus::kLeaving) --leaving_;
  if (record.status == MemberStatus::kAlive) ++alive_;
  if (record.status == MemberStatus::kLeaving) ++leaving_;
}

inline void MemberStatusTable::AddDeparted(Instant now, swim::NodeInfoRef info,
                                           MemberRecord record) {
  assert(record.status == MemberStatus::kFailed || record.status == MemberStatus::kLeft);
  ++changes_;
  const absl::string_view name = info->name();
  const bool added = departed_.try_emplace(name, Departed{std::move(info), record, now}).second;
  assert(added);
  static_cast<void>(added);
  if (record.status == MemberStatus::kFailed) ++failed_;
}

inline void MemberStatusTable::SetDeparted(Instant since, absl::string_view name,
                                           MemberRecord record) {
  assert(record.status == MemberStatus::kFailed || record.status == MemberStatus::kLeft);
  ++changes_;
  Departed& departed = departed_.at(name);
  if (departed.record.status == MemberStatus::kFailed) --failed_;
  if (record.status == MemberStatus::kFailed) ++failed_;
  departed.record = record;
  departed.since = since;
}

inline void MemberStatusTable::EraseDeparted(absl::string_view name) {
  const auto found = departed_.find(name);
  assert(found != departed_.end());
  ++changes_;
  if (found->second.record.status == MemberStatus::kFailed) --failed_;
  departed_.erase(found);
}

}  // namespace serf

#endif  // SERF_MEMBERS_MEMBER_STATUS_TABLE_H_
