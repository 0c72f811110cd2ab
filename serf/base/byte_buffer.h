// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_BASE_BYTE_BUFFER_H_
#define SERF_BASE_BYTE_BUFFER_H_

// ByteBuffer: bytes that arrive in pieces and may become many. A vector copies them whenever it
// grows, and has them twice meanwhile; the system moves large memory without a copy.
//
//   ByteBuffer buffer;
//   buffer.Append(piece);
//   Parse(buffer.view());
//
// For bytes whose number is known, or stays small, take a ByteVector. Not thread-safe.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <memory>

#include "serf/base/bytes.h"

namespace serf {

class ByteBuffer {
 public:
  ByteBuffer() = default;
  ByteBuffer(const ByteBuffer&) = delete;
  ByteBuffer& operator=(const ByteBuffer&) = delete;

  // Appends a copy of `bytes`, which must not lie in the buffer. Views end. Ends the process if the
  // system has no memory left.
  void Append(ByteView bytes) {
    if (bytes.empty()) return;
    if (bytes.size() > capacity_ - size_) Grow(bytes.size());
    std::memcpy(bytes_.get() + size_, bytes.data(), bytes.size());
    size_ += bytes.size();
  }

  // Gives the memory back.
  void Clear() {
    bytes_ = nullptr;
    size_ = 0;
    capacity_ = 0;
  }

  std::size_t size() const { return size_; }
  // Until the next change.
  ByteView view() const { return {bytes_.get(), size_}; }

 private:
  struct Free {
    void operator()(std::uint8_t* bytes) const { std::free(bytes); }
  };

  void Grow(std::size_t more) {
    if (more > std::numeric_limits<std::size_t>::max() / 2 - size_) std::abort();
    // Of large memory only the pages that are written count.
    const std::size_t capacity = std::max(size_ + more, 2 * capacity_);
    void* const grown = std::realloc(bytes_.get(), capacity);
    if (grown == nullptr) std::abort();
    (void)bytes_.release();
    bytes_.reset(static_cast<std::uint8_t*>(grown));
    capacity_ = capacity;
  }

  std::unique_ptr<std::uint8_t, Free> bytes_;
  std::size_t size_ = 0;
  std::size_t capacity_ = 0;
};

}  // namespace serf

#endif  // SERF_BASE_BYTE_BUFFER_H_
