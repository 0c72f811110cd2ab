// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_RECONNECT_SEEDS_H_
#define SERF_RECONNECT_SEEDS_H_

// Seeds: the addresses that answered the application's joins. If a partition lasts so long that
// both sides forget each other's members (reconnect_timeout), these addresses are the only way for
// the two sides to find each other again. An address is dropped when its member leaves or is forced
// to leave.
//
//   seeds.Add(endpoint);
//   seeds.Forget(endpoint);
//   seeds.Next([&](std::vector<Endpoint> seeds) { return members.WithoutMember(seeds); });

#include <algorithm>
#include <cstddef>
#include <optional>
#include <vector>

#include "serf/base/endpoint.h"

namespace serf {

class Seeds {
 public:
  // More than an operator configures. The oldest address makes room.
  static constexpr std::size_t kMax = 64;

  void Add(const Endpoint& endpoint) {
    Forget(endpoint);
    if (list_.size() >= kMax) list_.erase(list_.begin());
    list_.push_back(endpoint);
  }
  void Forget(const Endpoint& endpoint) { std::erase(list_, endpoint); }

  // Returns, in turn, one of the addresses that wanted(all addresses) returns. Calls `wanted` only
  // once, since it may look at all members.
  template <typename Wanted>
  std::optional<Endpoint> Next(Wanted&& wanted) {
    if (list_.empty()) return std::nullopt;
    const std::vector<Endpoint> candidates = wanted(list_);
    for (std::size_t i = 0; i < list_.size(); ++i) {
      next_ = (next_ + 1) % list_.size();
      if (std::find(candidates.begin(), candidates.end(), list_[next_]) != candidates.end()) {
        return list_[next_];
      }
    }
    return std::nullopt;
  }

  bool empty() const { return list_.empty(); }
  std::size_t size() const { return list_.size(); }

 private:
  std::vector<Endpoint> list_;
  std::size_t next_ = 0;
};

}  // namespace serf

#endif  // SERF_RECONNECT_SEEDS_H_
