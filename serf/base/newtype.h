#ifndef SERF_BASE_NEWTYPE_H_
#define SERF_BASE_NEWTYPE_H_

// Newtype<Tag, T>: an integer that does not mix with other integers.
//
//   using StreamId = Newtype<struct StreamIdTag, std::uint64_t>;

#include <compare>
#include <type_traits>
#include <utility>

namespace serf {

template <typename Tag, typename T>
class Newtype {
  static_assert(std::is_integral_v<T>);

 public:
  using Value = T;

  constexpr Newtype() = default;
  constexpr explicit Newtype(T value) : value_(value) {}

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
