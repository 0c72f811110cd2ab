// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_RECONNECT_SEEDS_H_
#define SERF_RECONNECT_SEEDS_H_

// Seeds: the addresses at which the application's joins found somebody. When a partition lasts so
// long that both sides forget each other's members (reconnect_timeout), they are what is left to
// find together by. Who leaves on purpose, or is declared gone, is no seed any more.
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
  // More than an operator configures; the oldest go.
  static constexpr std::size_t kMax = 64;

  void Add(const Endpoint& endpoint) {
    Forget(endpoint);
    if (list_.size() >= kMax) list_.erase(list_.begin());
    list_.push_back(endpoint);
  }
  void Forget(const Endpoint& endpoint) { std::erase(list_, endpoint); }

  // In turn, one of those that wanted(all of them) returns. It is called once: to know who is a
  // member may mean to look at all members.
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
