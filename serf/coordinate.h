// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_COORDINATE_H_
#define SERF_COORDINATE_H_

// Coordinate: a position in a space where the distance of two nodes estimates the round-trip time
// between them (Vivaldi; Dabek et al., SIGCOMM 2004, with heights, section 5.4). The file has
// values and pure functions, which any thread may call. CoordinateClient moves the coordinate of a
// node.
//
//   const Duration rtt = Distance(a, b);
//
// An estimate needs a few minutes of probes to become good: `error` says how good it is. Do not use
// it where a timeout must be safe.
//
// The results equal those of Go Serf to the last bit, whatever the compiler's options for
// contracting floating-point expressions are: see coordinate_internal::Product. Only -ffast-math
// and similar options break this.
//
// Source: docs/protocol/serf.md 10.1, 10.2.

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

// The number of dimensions of every Serf node. Only tests use fewer.
inline constexpr std::size_t kCoordinateDimensionsMax = 8;

// The error of a node that knows nothing yet, and the largest error.
inline constexpr double kCoordinateErrorMax = 1.5;
// The least height of a node, in seconds.
inline constexpr double kCoordinateHeightMin = 10.0e-6;
// Smaller distances, in seconds, and smaller sums of errors count as this.
inline constexpr double kCoordinateZeroThreshold = 1.0e-6;
// The largest part of a coordinate that a node believes, in seconds: six times the longest round
// trip that counts. A node that announces more has made it up.
inline constexpr double kCoordinatePartMax = 60.0;

struct Coordinate {
  // The coordinate of a node that knows nothing yet; also the origin of the space. `dimensions` is
  // 1 to kCoordinateDimensionsMax; `height_min` is in seconds.
  static constexpr Coordinate Start(std::size_t dimensions = kCoordinateDimensionsMax,
                                    double height_min = kCoordinateHeightMin) {
    assert(dimensions > 0 && dimensions <= kCoordinateDimensionsMax);
    return {.dimensions = dimensions, .height = height_min};
  }

  // The parts of `vec` that count. Valid as long as the coordinate.
  std::span<const double> values() const { return std::span(vec).first(dimensions); }

  friend constexpr bool operator==(const Coordinate&, const Coordinate&) = default;

  // Seconds. Parts from `dimensions` on are zero.
  std::array<double, kCoordinateDimensionsMax> vec = {};
  std::size_t dimensions = kCoordinateDimensionsMax;
  // The estimated relative error of distances: 1 is "100 %".
  double error = kCoordinateErrorMax;
  // Seconds to add to a distance; may be negative.
  double adjustment = 0;
  // Seconds from the node to the core of the network, part of every distance.
  double height = kCoordinateHeightMin;
};

// True if no part is NaN or infinite.
bool IsFinite(const Coordinate& coordinate);

// True if, besides, no part is larger than kCoordinatePartMax, and neither error nor height is
// negative. A node that believed more could be thrown far away by one message.
bool IsPlausible(const Coordinate& coordinate);

// The distance in seconds, without adjustments. Both coordinates must have the same dimensions.
double RawDistance(const Coordinate& a, const Coordinate& b);

// The estimated round-trip time in whole nanoseconds: never negative for valid coordinates, at most
// Duration::max(). Both coordinates must have the same dimensions.
Duration Distance(const Coordinate& a, const Coordinate& b);

// `a`, moved away from `b` by `force` seconds, or towards it if `force` is negative. Points that
// coincide part in a random direction. Both coordinates must have the same dimensions.
Coordinate ApplyForce(const Coordinate& a, double force, const Coordinate& b, double height_min,
                      Rng& rng);

// The coordinate of a message. Nothing if it has more dimensions than kCoordinateDimensionsMax. The
// values may be implausible: ask IsPlausible().
std::optional<Coordinate> FromMessage(const wire::CoordinateMessage& message);
wire::CoordinateMessage ToMessage(const Coordinate& coordinate);

namespace coordinate_internal {

// a * b, rounded to double. A compiler may fuse a product with the sum that it is part of, as GCC
// does by default for processors that can. The volatile object prevents that, for one store and one
// load.
inline double Product(double a, double b) {
  const volatile double product = a * b;
  return product;
}

// Looks at the bits, so that no compiler option about NaN can change the result.
inline bool IsFinite(double value) {
  constexpr std::uint64_t kExponent = std::uint64_t{0x7ff} << 52;
  return (std::bit_cast<std::uint64_t>(value) & kExponent) != kExponent;
}

inline double Magnitude(std::span<const double> vec) {
  double sum = 0;
  for (const double value : vec) sum += Product(value, value);
  return std::sqrt(sum);
}

// A random vector of length 1.
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

// True if `check` holds for each part.
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
  // The largest double below 2^63 is 1024 less. NaN takes the first branch too.
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
    // Keeps NaN, as Go's maximum does, so that the caller notices it.
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
