#ifndef SERF_COORDINATE_H_
#define SERF_COORDINATE_H_

// Coordinate: a position in a space where the distance of two nodes estimates the round trip
// between them (Vivaldi; Dabek et al., SIGCOMM 2004, with heights, section 5.4). Values and pure
// functions; CoordinateClient moves one. Source: spec/serf.md 10.1, 10.2.
//
//   const Duration rtt = Distance(a, b);
//
// The results are the original's to the last bit, whatever the compiler's options for contracting
// floating-point expressions: see coordinate_internal::Product. Only -ffast-math and its like are
// beyond that.

#include <algorithm>
#include <array>
#include <bit>
#include <cassert>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>

#include "serf/base/rng.h"
#include "serf/base/time.h"
#include "serf/wire/coordinate_message.h"

namespace serf {

// Of all Serf nodes; fewer only in tests.
inline constexpr std::size_t kCoordinateDimensionsMax = 8;

// Initial and largest estimate of the own error.
inline constexpr double kCoordinateErrorMax = 1.5;
// Height of a node at the least, in seconds.
inline constexpr double kCoordinateHeightMin = 10.0e-6;
// Seconds (and sums of errors) below this count as this.
inline constexpr double kCoordinateZeroThreshold = 1.0e-6;
// Seconds; largest part of a coordinate to be believed. Six times the longest round trip that
// counts: what is further away was made up.
inline constexpr double kCoordinatePartMax = 60.0;

struct Coordinate {
  // Of a node that knows nothing yet; also the origin of the space.
  static constexpr Coordinate Start(std::size_t dimensions = kCoordinateDimensionsMax,
                                    double height_min = kCoordinateHeightMin) {
    assert(dimensions > 0 && dimensions <= kCoordinateDimensionsMax);
    return {.dimensions = dimensions, .height = height_min};
  }

  std::span<const double> values() const { return std::span(vec).first(dimensions); }

  friend constexpr bool operator==(const Coordinate&, const Coordinate&) = default;

  // Seconds; those from `dimensions` on are zero.
  std::array<double, kCoordinateDimensionsMax> vec = {};
  std::size_t dimensions = kCoordinateDimensionsMax;
  double error = kCoordinateErrorMax;  // relative: 1 is "100 %"
  double adjustment = 0;               // seconds, may be negative
  double height = kCoordinateHeightMin;
};

// No part is NaN or infinite.
bool IsFinite(const Coordinate& coordinate);

// Besides, none is larger than kCoordinatePartMax, and neither error nor height is negative. A
// node that believed more could be thrown far away by one message.
bool IsPlausible(const Coordinate& coordinate);

// In seconds, without adjustments. Both have the same dimensions.
double RawDistance(const Coordinate& a, const Coordinate& b);

// The estimated round trip: whole nanoseconds, never negative for valid coordinates, at most
// Duration::max(). Both have the same dimensions.
Duration Distance(const Coordinate& a, const Coordinate& b);

// `a`, moved away from `b` by `force` seconds; if negative, towards it. Points that coincide part
// in a random direction. Both have the same dimensions.
Coordinate ApplyForce(const Coordinate& a, double force, const Coordinate& b, double height_min,
                      Rng& rng);

// Nothing if there are more dimensions than any coordinate has.
std::optional<Coordinate> FromMessage(const wire::CoordinateMessage& message);
wire::CoordinateMessage ToMessage(const Coordinate& coordinate);

namespace coordinate_internal {

// a * b, rounded to double. Compilers may fuse a product with the sum that it is part of, as GCC
// does by default for processors that can; the volatile object forbids it. It costs a store and a
// load.
inline double Product(double a, double b) {
  const volatile double product = a * b;
  return product;
}

// By its bits, so that no option about NaN can change it.
inline bool IsFinite(double value) {
  constexpr std::uint64_t kExponent = std::uint64_t{0x7ff} << 52;
  return (std::bit_cast<std::uint64_t>(value) & kExponent) != kExponent;
}

inline double Magnitude(std::span<const double> vec) {
  double sum = 0;
  for (const double value : vec) sum += Product(value, value);
  return std::sqrt(sum);
}

// Of length 1.
inline void RandomDirection(std::span<double> out, Rng& rng) {
  for (double& value : out) value = rng.NextDouble() - 0.5;
  const double length = Magnitude(out);
  if (length > kCoordinateZeroThreshold) {
    for (double& value : out) value *= 1.0 / length;
    return;
  }
  std::fill(out.begin(), out.end(), 0.0);
  out.front() = 1.0;
}

// Applies `check` to every part; true if it holds for all.
template <typename Check>
bool AllParts(const Coordinate& coordinate, const Check& check) {
  const auto values = coordinate.values();
  return std::all_of(values.begin(), values.end(), check) && check(coordinate.error) &&
         check(coordinate.adjustment) && check(coordinate.height);
}

}  // namespace coordinate_internal

inline bool IsFinite(const Coordinate& coordinate) {
  return coordinate_internal::AllParts(
      coordinate, [](double part) { return coordinate_internal::IsFinite(part); });
}

inline bool IsPlausible(const Coordinate& coordinate) {
  return coordinate_internal::AllParts(coordinate,
                                       [](double part) {
                                         return coordinate_internal::IsFinite(part) &&
                                                std::abs(part) <= kCoordinatePartMax;
                                       }) &&
         coordinate.error >= 0 && coordinate.height >= 0;
}

inline double RawDistance(const Coordinate& a, const Coordinate& b) {
  assert(a.dimensions == b.dimensions);
  double sum = 0;
  for (std::size_t i = 0; i < a.dimensions; ++i) {
    const double difference = a.vec[i] - b.vec[i];
    sum += coordinate_internal::Product(difference, difference);
  }
  return std::sqrt(sum) + a.height + b.height;
}

inline Duration Distance(const Coordinate& a, const Coordinate& b) {
  double seconds = RawDistance(a, b);
  const double adjusted = seconds + a.adjustment + b.adjustment;
  if (adjusted > 0) seconds = adjusted;
  // The largest double below 2^63 is 1024 less; NaN is no distance either.
  constexpr double kLimit = 0x1p63;
  const double nanoseconds = seconds * 1.0e9;
  if (!(nanoseconds < kLimit)) return Duration::max();
  if (nanoseconds < -kLimit) return Duration::min();
  return Duration(static_cast<Duration::rep>(nanoseconds));
}

inline Coordinate ApplyForce(const Coordinate& a, double force, const Coordinate& b,
                             double height_min, Rng& rng) {
  using coordinate_internal::Product;
  assert(a.dimensions == b.dimensions);
  std::array<double, kCoordinateDimensionsMax> unit = {};
  const auto direction = std::span(unit).first(a.dimensions);
  for (std::size_t i = 0; i < a.dimensions; ++i) direction[i] = a.vec[i] - b.vec[i];
  const double distance = coordinate_internal::Magnitude(direction);
  Coordinate moved = a;
  if (distance > kCoordinateZeroThreshold) {
    const double scale = 1.0 / distance;
    for (double& value : direction) value *= scale;
    // (h * f) / m + h, in this order.
    moved.height = Product(a.height + b.height, force) / distance + a.height;
    // As the original's maximum, keeps NaN, so that the caller notices it.
    if (moved.height < height_min) moved.height = height_min;
  } else {
    coordinate_internal::RandomDirection(direction, rng);
  }
  for (std::size_t i = 0; i < a.dimensions; ++i) {
    moved.vec[i] = a.vec[i] + Product(direction[i], force);
  }
  return moved;
}

inline std::optional<Coordinate> FromMessage(const wire::CoordinateMessage& message) {
  const std::span<const double> values = message.vec.values();
  if (values.size() > kCoordinateDimensionsMax) return std::nullopt;
  Coordinate coordinate;
  std::copy(values.begin(), values.end(), coordinate.vec.begin());
  coordinate.dimensions = values.size();
  coordinate.error = message.error;
  coordinate.adjustment = message.adjustment;
  coordinate.height = message.height;
  return coordinate;
}

inline wire::CoordinateMessage ToMessage(const Coordinate& coordinate) {
  return {.vec = wire::CoordinateVector(coordinate.values()),
          .error = coordinate.error,
          .adjustment = coordinate.adjustment,
          .height = coordinate.height};
}

}  // namespace serf

#endif  // SERF_COORDINATE_H_
