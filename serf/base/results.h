// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_BASE_RESULTS_H_
#define SERF_BASE_RESULTS_H_

// Results: what a part of the machine leaves for its owner to take. A part that receives an input
// adds results and returns; it never calls its owner.
//
//   events_.Add(std::move(event));                          // in the part
//   part.events().Drain([&](Event event) { ... });         // in its owner, when the input is over
//
// Not thread-safe. Adding allocates only until the usual number fits.

#include <cassert>
#include <cstddef>
#include <utility>
#include <vector>

namespace serf {

template <typename T>
class Results {
 public:
  // Room that is kept for the next input. A storm's room is given back.
  static constexpr std::size_t kKeptMax = 64;

  void Add(T result) { added_.push_back(std::move(result)); }
  bool empty() const { return added_.empty(); }

  // Calls use(T) for each result in order, then for those that were added meanwhile. True if there
  // was one. `use` must not drain the same results.
  template <typename F>
  bool Drain(F&& use) {
    assert(taken_.empty());
    bool any = false;
    while (!added_.empty()) {
      any = true;
      std::swap(added_, taken_);
      for (T& result : taken_) use(std::move(result));
      taken_.clear();
      if (taken_.capacity() > kKeptMax) taken_ = std::vector<T>();
    }
    return any;
  }

 private:
  std::vector<T> added_;
  std::vector<T> taken_;  // those that Drain() is at
};

}  // namespace serf

#endif  // SERF_BASE_RESULTS_H_
