// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_MEMBER_LISTING_H_
#define SERF_MEMBER_LISTING_H_

// MemberListing: all members at one moment, in one piece of memory. Serf::ListMembers() takes it on
// the machine's thread; another thread then sorts it and looks at the members.
//
//   MemberListing listing = serf.ListMembers();              // on the machine's thread
//   MemberView member;
//   for (MemberListing::RowIndex row : listing.SortedRows()) {  // on another thread, later
//     listing.Describe(row, member);
//     Use(member.name, member.tags);
//   }
//   std::vector<Member> members = listing.Sorted();          // the same as copies
//
// Taking a listing costs a twentieth of a sorted copy of tens of thousands of members. Do not use
// it for small clusters or for one lookup: Serf::Members() and Serf::FindMember() are simpler. A
// listing owns its data and does not change when the cluster does. Several threads may read it at
// once.

#include <algorithm>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "serf/base/bytes.h"
#include "serf/base/endpoint.h"
#include "serf/member.h"
#include "serf/swim/node_info.h"
#include "serf/tags.h"
#include "serf/wire/swim_messages.h"

namespace serf {

// A member of a listing. The views end with the listing.
struct MemberView {
  absl::string_view name;
  Endpoint endpoint;
  TagViews tags;
  MemberStatus status = MemberStatus::kNone;
  wire::VersionVector versions;
};

class MemberListing {
 public:
  // Names a member of the listing: 0 to size() - 1, in no order.
  using RowIndex = std::uint32_t;

  // For Serf: makes room for so many members.
  void Reserve(std::size_t members) {
    rows_.reserve(members);
    bytes_.reserve(members * kUsualBytes);
  }

  // For Serf: appends a copy of one member.
  void Add(const swim::NodeInfoView& info, MemberStatus status) {
    assert(rows_.size() < std::numeric_limits<RowIndex>::max());
    rows_.push_back({bytes_.size(), static_cast<std::uint32_t>(info.name.size()),
                     static_cast<std::uint32_t>(info.meta.size()), info.endpoint, info.versions,
                     status});
    Append(bytes_, AsBytes(info.name));
    Append(bytes_, info.meta);
  }

  // How many members the listing has.
  std::size_t size() const { return rows_.size(); }

  // The members, sorted by name. Takes a millisecond or two for tens of thousands of members.
  std::vector<RowIndex> SortedRows() const;

  // Fills `member` from the row: a MemberView, which points into the listing and whose memory is
  // used again, or a Member, which is a copy.
  template <typename M>
  void Describe(RowIndex row, M& member) const {
    const Row& r = rows_[row];
    member.name = decltype(member.name)(NameOf(row));
    member.endpoint = r.endpoint;
    member.tags.clear();
    DecodeTags(ByteView(bytes_).subspan(r.position + r.name_size, r.meta_size), member.tags);
    member.status = r.status;
    member.versions = r.versions;
  }

  // Copies of all members, sorted by name. Takes milliseconds for tens of thousands of members.
  std::vector<Member> Sorted() const;

 private:
  struct Row {
    std::size_t position;  // in bytes_: the name, then the metadata
    std::uint32_t name_size;
    std::uint32_t meta_size;
    Endpoint endpoint;
    wire::VersionVector versions;
    MemberStatus status;
  };
  // A row, and eight bytes of its name, which decide nearly every comparison of the sort. Comparing
  // the names in `bytes_` would take most of the time of a listing.
  struct Key {
    std::uint64_t bytes;
    RowIndex row;
  };

  // The usual bytes of a name with its metadata. Unused pages of memory cost nothing, but growing
  // costs a copy.
  static constexpr std::size_t kUsualBytes = 64;
  // Up to so many names are compared as a whole.
  static constexpr std::size_t kFewNames = 8;

  // Sorts names that share their first `same` bytes: by the eight bytes behind everything that they
  // share, and then in the same way those that agree in these eight.
  void Sort(std::span<Key> keys, std::size_t same) const;
  void SortByName(std::span<Key> keys) const {
    std::sort(keys.begin(), keys.end(),
              [this](const Key& a, const Key& b) { return NameOf(a.row) < NameOf(b.row); });
  }
  // How many bytes all names begin with; the first `same` are known to be equal.
  std::size_t CommonPrefix(std::span<const Key> keys, std::size_t same) const;
  // Eight bytes from `position`, the first the most significant; zeros behind the end.
  static std::uint64_t BytesAt(absl::string_view name, std::size_t position) {
    std::uint64_t bytes = 0;
    for (std::size_t i = position; i < position + sizeof(bytes); ++i) {
      bytes = bytes << 8 | (i < name.size() ? static_cast<std::uint8_t>(name[i]) : 0u);
    }
    return bytes;
  }
  absl::string_view NameOf(RowIndex row) const {
    const Row& r = rows_[row];
    return AsText(ByteView(bytes_).subspan(r.position, r.name_size));
  }

  ByteVector bytes_;
  std::vector<Row> rows_;
};

inline std::vector<MemberListing::RowIndex> MemberListing::SortedRows() const {
  std::vector<Key> keys(rows_.size());
  for (std::size_t i = 0; i < keys.size(); ++i) keys[i].row = static_cast<RowIndex>(i);
  Sort(keys, 0);
  std::vector<RowIndex> rows;
  rows.reserve(keys.size());
  for (const Key& key : keys) rows.push_back(key.row);
  return rows;
}

inline std::vector<Member> MemberListing::Sorted() const {
  std::vector<Member> members;
  members.reserve(rows_.size());
  for (const RowIndex row : SortedRows()) Describe(row, members.emplace_back());
  return members;
}

inline void MemberListing::Sort(std::span<Key> keys, std::size_t same) const {
  if (keys.size() <= kFewNames) return SortByName(keys);
  const std::size_t common = CommonPrefix(keys, same);
  for (Key& key : keys) key.bytes = BytesAt(NameOf(key.row), common);
  std::sort(keys.begin(), keys.end(), [](const Key& a, const Key& b) { return a.bytes < b.bytes; });
  for (auto first = keys.begin(); first != keys.end();) {
    const auto last = std::find_if(
        first, keys.end(), [bytes = first->bytes](const Key& key) { return key.bytes != bytes; });
    const std::span<Key> equal(first, last);
    first = last;
    if (equal.size() < 2) continue;
    // A name that ends within the eight bytes equals one with zeros there.
    const std::size_t next = common + sizeof(Key::bytes);
    const bool ends = std::any_of(equal.begin(), equal.end(),
                                  [&](const Key& key) { return NameOf(key.row).size() < next; });
    ends ? SortByName(equal) : Sort(equal, next);
  }
}

inline std::size_t MemberListing::CommonPrefix(std::span<const Key> keys, std::size_t same) const {
  const absl::string_view first = NameOf(keys.front().row);
  std::size_t common = first.size();
  for (const Key& key : keys) {
    const absl::string_view name = NameOf(key.row);
    common = std::min(common, name.size());
    const auto end = first.begin() + static_cast<std::ptrdiff_t>(common);
    const auto begin = first.begin() + static_cast<std::ptrdiff_t>(same);
    const auto differs =
        std::mismatch(begin, end, name.begin() + static_cast<std::ptrdiff_t>(same)).first;
    common = static_cast<std::size_t>(differs - first.begin());
  }
  return common;
}

}  // namespace serf

#endif  // SERF_MEMBER_LISTING_H_
