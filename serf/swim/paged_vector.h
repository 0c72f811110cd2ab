// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_SWIM_PAGED_VECTOR_H_
#define SERF_SWIM_PAGED_VECTOR_H_

// PagedVector<T>: a growing array in pages of 64 elements. Elements never move, and at most one
// page is slack: a vector that doubles would break the budget of 64 bytes per known member
// (docs/architecture.md). For tables indexed by MemberIndex; not for short lists.

#include <cassert>
#include <cstddef>
#include <memory>
#include <vector>

namespace serf::swim {

template <typename T>
class PagedVector {
 public:
  static constexpr std::size_t kPageSize = 64;

  std::size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }

  T& operator[](std::size_t i) {
    assert(i < size_);
    return pages_[i / kPageSize][i % kPageSize];
  }
  const T& operator[](std::size_t i) const {
    assert(i < size_);
    return pages_[i / kPageSize][i % kPageSize];
  }

  // Appends value-initialized elements until there are `size`; never shrinks.
  void GrowTo(std::size_t size) {
    while (pages_.size() * kPageSize < size) pages_.push_back(std::make_unique<T[]>(kPageSize));
    if (size > size_) size_ = size;
  }

  // The bytes of the pages and of their list.
  std::size_t memory_bytes() const {
    return pages_.size() * kPageSize * sizeof(T) + pages_.capacity() * sizeof(pages_[0]);
  }

 private:
  std::vector<std::unique_ptr<T[]>> pages_;
  std::size_t size_ = 0;
};

}  // namespace serf::swim

#endif  // SERF_SWIM_PAGED_VECTOR_H_
