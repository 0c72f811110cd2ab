// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_SWIM_PAGED_VECTOR_H_
#define SERF_SWIM_PAGED_VECTOR_H_

// PagedVector<T>: a growing array in pages of 64 elements. At most one page is slack: a vector that
// doubles would break the budget of 64 bytes per known member (docs/architecture.md). For tables
// indexed by MemberIndex; not for short lists.
//
// A copy shares the pages. A page is copied when one of its owners writes to it, so that the tables
// of a simulation's nodes take the memory of what they disagree about. All copies belong to one
// thread.
//
//   PagedVector<Row> theirs = ours;     // a list of pointers
//   theirs.Edit(7).state = ...;         // a page of its own

#include <array>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace serf::swim {

template <typename T>
class PagedVector {
 public:
  static constexpr std::size_t kPageSize = 64;

  std::size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }

  // Valid until the element is edited.
  const T& operator[](std::size_t i) const {
    assert(i < size_);
    return pages_[i / kPageSize]->elements[i % kPageSize];
  }
  // An element that shares its memory with no other vector. It moves only if a copy of this vector
  // is taken and either is edited.
  T& Edit(std::size_t i) {
    assert(i < size_);
    PageRef& page = pages_[i / kPageSize];
    if (page->owners > 1) page = PageRef(new Page(page->elements));
    return page->elements[i % kPageSize];
  }

  // Appends value-initialized elements until there are `size`; never shrinks.
  void GrowTo(std::size_t size) {
    while (pages_.size() * kPageSize < size) pages_.push_back(PageRef(new Page));
    if (size > size_) size_ = size;
  }

  // The bytes of the list of pages, and of the pages that no other vector has.
  std::size_t memory_bytes() const {
    std::size_t own = 0;
    for (const PageRef& page : pages_) own += page->owners == 1 ? 1 : 0;
    return own * sizeof(Page) + pages_.capacity() * sizeof(pages_[0]);
  }

 private:
  struct Page {
    Page() = default;
    explicit Page(const std::array<T, kPageSize>& from) : elements(from) {}

    std::array<T, kPageSize> elements{};
    std::size_t owners = 0;
  };

  class PageRef {
   public:
    explicit PageRef(Page* page) : page_(page) { ++page_->owners; }
    PageRef(const PageRef& other) : PageRef(other.page_) {}
    PageRef(PageRef&& other) noexcept : page_(std::exchange(other.page_, nullptr)) {}
    PageRef& operator=(PageRef other) noexcept {
      std::swap(page_, other.page_);
      return *this;
    }
    ~PageRef() {
      if (page_ != nullptr && --page_->owners == 0) delete page_;
    }

    Page* operator->() const { return page_; }

   private:
    Page* page_;
  };

  std::vector<PageRef> pages_;
  std::size_t size_ = 0;
};

}  // namespace serf::swim

#endif  // SERF_SWIM_PAGED_VECTOR_H_
