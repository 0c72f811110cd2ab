// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_BASE_NEWTYPE_H_
#define SERF_BASE_NEWTYPE_H_

// Newtype<Tag, T>: an integer that does not mix with other integers, so that the compiler rejects a
// StreamId in the place of a RequestId.
//
//   using StreamId = Newtype<struct StreamIdTag, std::uint64_t>;
//   StreamId id(7);
//   std::uint64_t raw = id.value();
//
// Do not use it for numbers that are added or scaled: it compares and hashes, and has no
// arithmetic. A default one is zero.

#include <compare>
#include <type_traits>
#include <utility>

namespace serf {

template <typename Tag, typename T>
class Newtype {
  static_assert(std::is_integral_v<T>);

 public:
  // The integer's type.
  using Value = T;

  constexpr Newtype() = default;
  constexpr explicit Newtype(T value) : value_(value) {}

  // The integer.
  constexpr T value() const { return value_; }

  friend constexpr auto operator<=>(Newtype, Newtype) = default;

  template <typename H>
  friend H AbslHashValue(H state, Newtype n) {
    return H::combine(std::move(state), n.value_);
  }

 private:
  T value_ = 0;
};

}  // namespace serf

#endif  // SERF_BASE_NEWTYPE_H_
