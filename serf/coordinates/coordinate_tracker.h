// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_COORDINATES_COORDINATE_TRACKER_H_
#define SERF_COORDINATES_COORDINATE_TRACKER_H_

// CoordinateTracker: coordinates in a Serf node: the own one, what acknowledgements of pings carry,
// and the last that each member told. One thread. Source: docs/protocol/serf.md 10.5, 10.6.
//
//   CoordinateTracker tracker(config.name, config.seed, logger);
//   tracker.AppendPayload(ack);                                // for the peer that pings us
//   tracker.OnPingComplete(now, "db-1", rtt, payload);         // from the peer that we ping

#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "serf/base/bytes.h"
#include "serf/base/logger.h"
#include "serf/base/rng.h"
#include "serf/base/time.h"
#include "serf/coordinate.h"
#include "serf/coordinates/coordinate_client.h"
#include "serf/swim/log_limiter.h"
#include "serf/wire/coordinate_message.h"
#include "serf/wire/msgpack.h"

namespace serf {

class CoordinateTracker {
 public:
  struct Counters {
    std::uint64_t updates = 0;
    std::uint64_t zero_round_trips = 0;     // accepted as well
    std::uint64_t rejected = 0;             // serf.coordinate.rejected
    std::uint64_t unreadable = 0;           // another version, or no coordinate
    Duration last_move = Duration::zero();  // of the own coordinate by the last update
  };

  // The name is the own one. With its own sequence of the seed, so that a node with coordinates
  // otherwise decides as one without.
  CoordinateTracker(std::string name, std::uint64_t seed, Logger* logger)
      : name_(std::move(name)),
        rng_(seed ^ 0xc001d0c001d0c001u),
        logger_(logger),
        limiter_(logger) {}

  // Appends the own coordinate as the payload of an acknowledgement.
  void AppendPayload(ByteVector& out) const { Encode(ToMessage(client_.coordinate()), out); }

  // A member acknowledged a direct ping after `round_trip`. An empty payload is one from a node
  // without coordinates; one that can't be read or believed is counted, logged and dropped.
  void OnPingComplete(Instant now, absl::string_view member, Duration round_trip, ByteView payload);

  // A member is forgotten.
  void Forget(absl::string_view member) {
    client_.Forget(member);
    peers_.erase(member);
  }

  const Coordinate& own() const { return client_.coordinate(); }
  // What a member, or this node, last told of itself; null if it never did. Valid until the next
  // call that is not const.
  const Coordinate* Find(absl::string_view name) const;

  std::uint64_t resets() const { return client_.resets(); }
  const Counters& counters() const { return counters_; }

 private:
  std::string name_;
  Rng rng_;
  Logger* logger_;
  swim::LogLimiter limiter_;
  CoordinateClient client_;
  Counters counters_;
  wire::DecodeScratch scratch_;
  // Bounded by the member table: only members are asked, and what is forgotten leaves.
  absl::flat_hash_map<std::string, Coordinate> peers_;
};

inline void CoordinateTracker::OnPingComplete(Instant now, absl::string_view member,
                                              Duration round_trip, ByteView payload) {
  if (payload.empty()) return;
  if (payload.front() != wire::kPingPayloadVersion) {
    ++counters_.unreadable;
    limiter_.Log(now, swim::LogReason::kPingPayload, LogLevel::kError,
                 [&] { return absl::StrCat("serf: Unsupported ping version: ", payload.front()); });
    return;
  }
  wire::CoordinateMessage message;
  const wire::DecodeResult result = Decode(payload.subspan(1), message, scratch_);
  if (result != wire::DecodeResult::kOk) {
    ++counters_.unreadable;
    limiter_.Log(now, swim::LogReason::kPingPayload, LogLevel::kError, [&] {
      return absl::StrCat("serf: Failed to decode coordinate from ping: ",
                          wire::DecodeResultName(result));
    });
    return;
  }
  const std::optional<Coordinate> coordinate = FromMessage(message);
  const Coordinate before = client_.coordinate();
  const absl::Status status = coordinate
                                  ? client_.Update(member, *coordinate, round_trip, rng_)
                                  : absl::InvalidArgumentError("dimensions aren't compatible");
  if (!status.ok()) {
    ++counters_.rejected;
    Log(logger_, LogLevel::kTrace, "serf: Rejected coordinate from ", member, ": ",
        status.message());
    return;
  }
  ++counters_.updates;
  if (round_trip == Duration::zero()) ++counters_.zero_round_trips;
  counters_.last_move = Distance(before, client_.coordinate());
  peers_.insert_or_assign(member, *coordinate);
}

inline const Coordinate* CoordinateTracker::Find(absl::string_view name) const {
  if (name == name_) return &client_.coordinate();
  const auto found = peers_.find(name);
  return found == peers_.end() ? nullptr : &found->second;
}

}  // namespace serf

#endif  // SERF_COORDINATES_COORDINATE_TRACKER_H_
