// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_BASE_PORTION_H_
#define SERF_BASE_PORTION_H_

// Portion: what is left of the work that one input may cause at once. Work that may be long spends
// a portion, stops when the portion is empty, and continues with the next one in another turn of
// the loop. So nothing holds up the thread, however much there is to do.
//
//   for (; next < records && !portion.empty(); ++next) portion.Spend(Merge(next));
//   return next == records;  // else: once more, with another portion

#include <algorithm>
#include <cstddef>
#include <limits>

namespace serf {

class Portion {
 public:
  // The unit is the time in which a byte of messages is decoded, about 5 ns. A whole portion takes
  // about a millisecond, and 5 ms on a machine that is five times slower.
  static constexpr std::size_t kWhole = 256 << 10;

  constexpr Portion() = default;
  // For callers without other work: tests, and work on a thread of its own.
  static constexpr Portion Unlimited() { return Portion(std::numeric_limits<std::size_t>::max()); }

  constexpr bool empty() const { return left_ == 0; }
  constexpr std::size_t left() const { return left_; }
  constexpr void Spend(std::size_t cost) { left_ -= std::min(left_, cost); }
  // A part of at most `cost`, for a piece of the work. Spend here what was spent of it.
  constexpr Portion Part(std::size_t cost) const { return Portion(std::min(left_, cost)); }

 private:
  constexpr explicit Portion(std::size_t left) : left_(left) {}

  std::size_t left_ = kWhole;
};

}  // namespace serf

#endif  // SERF_BASE_PORTION_H_
