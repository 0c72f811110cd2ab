// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_MEMBER_LISTING_H_
#define SERF_MEMBER_LISTING_H_

// MemberListing: all members at one moment, in one piece of memory. Serf::ListMembers() takes it on
// the machine's thread; another thread then turns it into sorted Members.
//
//   MemberListing listing = serf.ListMembers();              // on the machine's thread
//   std::vector<Member> members = listing.Sorted();          // on any thread, later
//
// Taking a listing costs a twentieth of a sorted copy of tens of thousands of members. Do not use
// it for small clusters or for one lookup: Serf::Members() and Serf::FindMember() are simpler. A
// listing owns its data and does not change when the cluster does. Several threads may read it at
// once.

#include <algorithm>
#include <cstddef>
#include <cstdint>
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

class MemberListing {
 public:
  // For Serf: room for so many members.
  void Reserve(std::size_t members) { rows_.reserve(members); }

  // For Serf: appends a copy of one member.
  void Add(const swim::NodeInfo& info, MemberStatus status) {
    const absl::string_view name = info.name();
    rows_.push_back({bytes_.size(), static_cast<std::uint32_t>(name.size()),
                     static_cast<std::uint32_t>(info.meta().size()), info.endpoint(),
                     info.versions(), status});
    Append(bytes_, AsBytes(name));
    Append(bytes_, info.meta());
  }

  // How many members the listing has.
  std::size_t size() const { return rows_.size(); }

  // Calls f(const Member&) with each member, sorted by name, until f returns false. The Member is
  // one that is filled anew for each call: f copies what it keeps.
  template <typename F>
  void ForEachSorted(F&& f) const {
    Member member;
    for (const Row* row : Order()) {
      Describe(*row, member);
      if (!f(std::as_const(member))) return;
    }
  }

  // Copies of all members, sorted by name. It decodes the tags, and takes milliseconds for tens of
  // thousands of members.
  std::vector<Member> Sorted() const {
    const std::vector<const Row*> order = Order();
    std::vector<Member> members(order.size());
    for (std::size_t i = 0; i < order.size(); ++i) Describe(*order[i], members[i]);
    return members;
  }

 private:
  struct Row {
    std::size_t position;  // in bytes_: the name, then the metadata
    std::uint32_t name_size;
    std::uint32_t meta_size;
    Endpoint endpoint;
    wire::VersionVector versions;
    MemberStatus status;
  };

  // The rows by name. Eight bytes behind what all names begin with decide nearly every comparison;
  // to compare names where they lie would take most of the time of a listing.
  std::vector<const Row*> Order() const {
    struct Key {
      std::uint64_t bytes;
      const Row* row;
    };
    const std::size_t common = CommonPrefix();
    std::vector<Key> keys;
    keys.reserve(rows_.size());
    for (const Row& row : rows_) keys.push_back({BytesAt(NameOf(row), common), &row});
    std::sort(keys.begin(), keys.end(), [this](const Key& a, const Key& b) {
      return a.bytes != b.bytes ? a.bytes < b.bytes : NameOf(*a.row) < NameOf(*b.row);
    });
    std::vector<const Row*> order;
    order.reserve(keys.size());
    for (const Key& key : keys) order.push_back(key.row);
    return order;
  }
  // How many bytes all names begin with.
  std::size_t CommonPrefix() const {
    if (rows_.empty()) return 0;
    const absl::string_view first = NameOf(rows_.front());
    std::size_t common = first.size();
    for (const Row& row : rows_) {
      const absl::string_view name = NameOf(row);
      common = std::min(common, name.size());
      common = static_cast<std::size_t>(
          std::mismatch(first.begin(), first.begin() + static_cast<std::ptrdiff_t>(common),
                        name.begin())
              .first -
          first.begin());
    }
    return common;
  }
  // Eight bytes from `position`, the first the most significant; zeros behind the end.
  static std::uint64_t BytesAt(absl::string_view name, std::size_t position) {
    std::uint64_t bytes = 0;
    for (std::size_t i = position; i < position + sizeof(bytes); ++i) {
      bytes = bytes << 8 | (i < name.size() ? static_cast<std::uint8_t>(name[i]) : 0u);
    }
    return bytes;
  }
  void Describe(const Row& row, Member& member) const {
    const absl::string_view name = NameOf(row);
    member.name.assign(name.data(), name.size());
    member.endpoint = row.endpoint;
    member.tags.clear();
    DecodeTags(ByteView(bytes_).subspan(row.position + row.name_size, row.meta_size), member.tags);
    member.status = row.status;
    member.versions = row.versions;
  }
  absl::string_view NameOf(const Row& row) const {
    return AsText(ByteView(bytes_).subspan(row.position, row.name_size));
  }

  ByteVector bytes_;
  std::vector<Row> rows_;
};

}  // namespace serf

#endif  // SERF_MEMBER_LISTING_H_
