// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_BASE_FAIR_SHARES_H_
#define SERF_BASE_FAIR_SHARES_H_

// FairShares: chooses which connection to close when there is no room for another one. It knows the
// connections that have not yet shown that they belong here ("strangers"), by the address that they
// come from.
//
// The address with the most strangers pays: it loses its oldest one. So one address may have all
// places while no other one wants them, and a flood from it never costs another address a place. In
// a flood from everywhere the longest silent strangers go. A site has an IPv6 network of its own
// (RFC 6177), so a /64 counts as one address.
//
//   shares.Add(id, from);                                  // accepted
//   if (full) { if (auto victim = shares.Victim()) Close(*victim); else refuse; }
//   shares.Remove(id);                                     // it ended, or proved itself
//
// Each call costs the logarithm of the number of strangers. Not thread-safe.

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <tuple>

#include "absl/container/btree_set.h"
#include "absl/container/flat_hash_map.h"
#include "serf/base/endpoint.h"

namespace serf {

// The address that stands for all that count as one.
inline IpAddress SharingAddress(const IpAddress& from) {
  const IpAddress plain = from.Unmapped();
  if (plain.is_v4()) return plain;
  std::array<std::uint8_t, IpAddress::kV6Size> network = {};
  std::copy_n(plain.bytes().begin(), network.size() / 2, network.begin());
  return *IpAddress::FromBytes(network);
}

template <typename Id>
class FairShares {
 public:
  // A stranger, younger than all others. `id` must not be in here.
  void Add(Id id, const IpAddress& from) {
    const Stranger stranger{SharingAddress(from), next_++};
    strangers_.emplace(id, stranger);
    Unrank(stranger.network);
    lines_.insert({stranger.network, stranger.age, id});
    Rank(stranger.network, ++counts_[stranger.network]);
  }

  // The stranger proved itself, or has gone. Does nothing if it is not in here.
  void Remove(Id id) {
    const auto found = strangers_.find(id);
    if (found == strangers_.end()) return;
    const Stranger stranger = found->second;
    strangers_.erase(found);
    Unrank(stranger.network);
    lines_.erase({stranger.network, stranger.age, id});
    const auto count = counts_.find(stranger.network);
    if (--count->second == 0) {
      counts_.erase(count);
    } else {
      Rank(stranger.network, count->second);
    }
  }

  bool Contains(Id id) const { return strangers_.contains(id); }
  std::size_t size() const { return strangers_.size(); }

  // Strangers that share the address of `from`.
  std::size_t CountOf(const IpAddress& from) const {
    const auto found = counts_.find(SharingAddress(from));
    return found == counts_.end() ? 0 : found->second;
  }

  // The stranger to close: the oldest one of the address that has the most. Of several such
  // addresses it is the one whose oldest stranger is older. Nothing without strangers.
  std::optional<Id> Victim() const {
    if (ranks_.empty()) return std::nullopt;
    return OldestOf(ranks_.begin()->network).id;
  }

 private:
  struct Stranger {
    IpAddress network;
    std::uint64_t age;  // ascending: the lowest is the oldest
  };
  // Strangers of one address stand in a line, the oldest first.
  struct InLine {
    IpAddress network;
    std::uint64_t age;
    Id id;
    friend bool operator<(const InLine& a, const InLine& b) {
      return std::tie(a.network, a.age) < std::tie(b.network, b.age);
    }
  };
  // The addresses, the one that pays first.
  struct Ranked {
    std::size_t count;
    std::uint64_t oldest;
    IpAddress network;
    friend bool operator<(const Ranked& a, const Ranked& b) {
      return std::tie(b.count, a.oldest) < std::tie(a.count, b.oldest);
    }
  };

  const InLine& OldestOf(const IpAddress& network) const {
    return *lines_.lower_bound(InLine{network, 0, Id()});
  }
  void Unrank(const IpAddress& network) {
    const auto count = counts_.find(network);
    if (count == counts_.end()) return;
    ranks_.erase(Ranked{count->second, OldestOf(network).age, network});
  }
  void Rank(const IpAddress& network, std::size_t count) {
    ranks_.insert(Ranked{count, OldestOf(network).age, network});
  }

  absl::flat_hash_map<Id, Stranger> strangers_;
  absl::flat_hash_map<IpAddress, std::size_t> counts_;
  absl::btree_set<InLine> lines_;
  absl::btree_set<Ranked> ranks_;
  std::uint64_t next_ = 1;
};

}  // namespace serf

#endif  // SERF_BASE_FAIR_SHARES_H_
