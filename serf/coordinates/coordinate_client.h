// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_COORDINATES_COORDINATE_CLIENT_H_
#define SERF_COORDINATES_COORDINATE_CLIENT_H_

// CoordinateClient: moves this node's coordinate with each measured round trip: a median filter per
// peer, Vivaldi's step, an adjustment for what no space can represent, and gravity towards the
// origin. It knows no messages. One thread. Source: docs/protocol/serf.md 10.3; Dabek et al.,
// "Vivaldi", 2004; Ledlie et al., "Network Coordinates in the Wild", 2007 (filter, gravity).
//
//   CoordinateClient client;
//   if (client.Update("db-1", coordinate_of_db_1, rtt, rng).ok()) Use(client.coordinate());

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "serf/base/duration_text.h"
#include "serf/base/rng.h"
#include "serf/base/time.h"
#include "serf/coordinate.h"

namespace serf {

// The numbers of Go Serf, which has no option to set them.
struct CoordinateConfig {
  std::size_t dimensions = kCoordinateDimensionsMax;
  double height_min = kCoordinateHeightMin;  // seconds
  std::size_t adjustment_window = 20;        // samples; zero: no adjustment
  double gravity_rho = 150.0;                // seconds: at this distance gravity moves 1 s
  // False behaves as Go Serf: it believes any finite coordinate, and its samples survive a reset,
  // so that one absurd peer holds a node at the origin for a whole window.
  bool hardened = true;
};

class CoordinateClient {
 public:
  // The longest round trip that counts; Serf's timeouts are far below.
  static constexpr Duration kRoundTripMax = std::chrono::seconds(10);
  // The median of this many round trips to a peer counts.
  static constexpr std::size_t kLatencyFilterSize = 3;

  explicit CoordinateClient(const CoordinateConfig& config = {});

  const Coordinate& coordinate() const { return coordinate_; }
  // How often the coordinate became invalid and started again.
  std::uint64_t resets() const { return resets_; }
  // How many peers have remembered round trips.
  std::size_t peers() const { return latencies_.size(); }

  // Moves the coordinate after a round trip to `peer`, which was at `other`. A round trip of zero
  // is valid. After an error nothing has changed: InvalidArgument, with the text of Go Serf.
  absl::Status Update(absl::string_view peer, const Coordinate& other, Duration round_trip,
                      Rng& rng);

  // Starts again at another coordinate. Errors: as Update().
  absl::Status Set(const Coordinate& coordinate);

  // Drops the round trips of a peer that is gone. Call it for each such peer, or they pile up.
  void Forget(absl::string_view peer) { latencies_.erase(peer); }

  // The estimated round trip to a node at `other`, which must have the same dimensions.
  Duration DistanceTo(const Coordinate& other) const { return Distance(coordinate_, other); }

 private:
  // c_e and c_c of the Vivaldi paper.
  static constexpr double kErrorGain = 0.25;
  static constexpr double kForceGain = 0.25;

  struct Latencies {
    std::array<double, kLatencyFilterSize> seconds;  // the oldest first
    std::size_t size = 0;
  };

  absl::Status Check(const Coordinate& coordinate) const;
  bool IsUsable(const Coordinate& coordinate) const {
    return config_.hardened ? IsPlausible(coordinate) : IsFinite(coordinate);
  }
  double FilterLatency(absl::string_view peer, double seconds);
  void ApplyVivaldi(const Coordinate& other, double round_trip, Rng& rng);
  void ApplyAdjustment(const Coordinate& other, double round_trip);
  void ApplyGravity(Rng& rng);
  void Reset();

  // Adds whole seconds and the rest separately, as Go Serf does.
  static double Seconds(Duration duration);

  CoordinateConfig config_;
  Coordinate origin_;
  Coordinate coordinate_;
  std::uint64_t resets_ = 0;
  std::vector<double> adjustment_samples_;
  std::size_t next_sample_ = 0;
  absl::flat_hash_map<std::string, Latencies> latencies_;
};

inline CoordinateClient::CoordinateClient(const CoordinateConfig& config)
    : config_(config),
      origin_(Coordinate::Start(config.dimensions, config.height_min)),
      coordinate_(origin_),
      adjustment_samples_(config.adjustment_window) {}

inline absl::Status CoordinateClient::Check(const Coordinate& coordinate) const {
  if (coordinate.dimensions != config_.dimensions) {
    return absl::InvalidArgumentError("dimensions aren't compatible");
  }
  if (!IsUsable(coordinate)) return absl::InvalidArgumentError("coordinate is invalid");
  return absl::OkStatus();
}

inline absl::Status CoordinateClient::Set(const Coordinate& coordinate) {
  if (absl::Status status = Check(coordinate); !status.ok()) return status;
  coordinate_ = coordinate;
  return absl::OkStatus();
}

inline absl::Status CoordinateClient::Update(absl::string_view peer, const Coordinate& other,
                                             Duration round_trip, Rng& rng) {
  if (absl::Status status = Check(other); !status.ok()) return status;
  if (round_trip < Duration::zero() || round_trip > kRoundTripMax) {
    return absl::InvalidArgumentError(
        absl::StrCat("round trip time not in valid range, duration ", FormatDuration(round_trip),
                     " is not a positive value less than ", FormatDuration(kRoundTripMax), " "));
  }
  const double median = FilterLatency(peer, Seconds(round_trip));
  ApplyVivaldi(other, std::max(median, kCoordinateZeroThreshold), rng);
  ApplyAdjustment(other, median);
  ApplyGravity(rng);
  if (!IsUsable(coordinate_)) Reset();
  return absl::OkStatus();
}

inline double CoordinateClient::FilterLatency(absl::string_view peer, double seconds) {
  auto found = latencies_.find(peer);
  if (found == latencies_.end()) found = latencies_.try_emplace(std::string(peer)).first;
  Latencies& last = found->second;
  if (last.size == kLatencyFilterSize) {
    std::move(last.seconds.begin() + 1, last.seconds.end(), last.seconds.begin());
    --last.size;
  }
  last.seconds[last.size++] = seconds;
  // Insertion sort, because GCC 12 warns of what std::sort would do to longer arrays.
  std::array<double, kLatencyFilterSize> sorted;
  for (std::size_t i = 0; i < last.size; ++i) {
    std::size_t at = i;
    for (; at > 0 && sorted[at - 1] > last.seconds[i]; --at) sorted[at] = sorted[at - 1];
    sorted[at] = last.seconds[i];
  }
  return sorted[last.size / 2];
}

inline void CoordinateClient::ApplyVivaldi(const Coordinate& other, double round_trip, Rng& rng) {
  using coordinate_internal::Product;
  const double distance = Seconds(DistanceTo(other));
  const double wrongness = std::abs(distance - round_trip) / round_trip;
  const double total_error = std::max(coordinate_.error + other.error, kCoordinateZeroThreshold);
  const double weight = coordinate_.error / total_error;
  const double gain = Product(kErrorGain, weight);
  coordinate_.error = std::min(Product(gain, wrongness) + Product(coordinate_.error, 1.0 - gain),
                               kCoordinateErrorMax);
  const double force = Product(Product(kForceGain, weight), round_trip - distance);
  coordinate_ = ApplyForce(coordinate_, force, other, config_.height_min, rng);
}

inline void CoordinateClient::ApplyAdjustment(const Coordinate& other, double round_trip) {
  if (adjustment_samples_.empty()) return;
  adjustment_samples_[next_sample_] = round_trip - RawDistance(coordinate_, other);
  next_sample_ = (next_sample_ + 1) % adjustment_samples_.size();
  double sum = 0;
  for (const double sample : adjustment_samples_) sum += sample;
  coordinate_.adjustment = sum / (2.0 * static_cast<double>(adjustment_samples_.size()));
}

inline void CoordinateClient::ApplyGravity(Rng& rng) {
  const double ratio = Seconds(Distance(origin_, coordinate_)) / config_.gravity_rho;
  const double force = -coordinate_internal::Product(ratio, ratio);
  coordinate_ = ApplyForce(coordinate_, force, origin_, config_.height_min, rng);
}

inline void CoordinateClient::Reset() {
  ++resets_;
  coordinate_ = origin_;
  if (!config_.hardened) return;
  std::fill(adjustment_samples_.begin(), adjustment_samples_.end(), 0.0);
  next_sample_ = 0;
}

inline double CoordinateClient::Seconds(Duration duration) {
  constexpr Duration::rep kSecond = 1'000'000'000;
  const Duration::rep ns = duration.count();
  return static_cast<double>(ns / kSecond) + static_cast<double>(ns % kSecond) / 1.0e9;
}

}  // namespace serf

#endif  // SERF_COORDINATES_COORDINATE_CLIENT_H_
