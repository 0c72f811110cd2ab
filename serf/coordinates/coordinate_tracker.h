// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_COORDINATES_COORDINATE_TRACKER_H_
#define SERF_COORDINATES_COORDINATE_TRACKER_H_

// CoordinateTracker: the coordinates of a Serf node: its own, which acknowledgements of pings
// carry, and the last one of each member. One thread. Source: docs/protocol/serf.md 10.5, 10.6.
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
    std::uint64_t zero_round_trips = 0;     // they were accepted, too
    std::uint64_t rejected = 0;             // serf.coordinate.rejected
    std::uint64_t unreadable = 0;           // another version, or not a coordinate
    Duration last_move = Duration::zero();  // how far the last update moved this node
  };

  // `name` is that of this node. Derives its own sequence from the seed, so that coordinates change
  // no other decision of the node.
  CoordinateTracker(std::string name, std::uint64_t seed, Logger* logger)
      : name_(std::move(name)),
        rng_(seed ^ 0xc001d0c001d0c001u),
        logger_(logger),
        limiter_(logger) {}

  // Appends this node's coordinate as the payload of an acknowledgement.
  void AppendPayload(ByteVector& out) const { Encode(ToMessage(client_.coordinate()), out); }

  // A member acknowledged a direct ping after `round_trip`. An empty payload comes from a node
  // without coordinates. A payload that is unreadable or implausible is counted, logged and
  // dropped.
  void OnPingComplete(Instant now, absl::string_view member, Duration round_trip, ByteView payload);

  // The node forgets a member.
  void Forget(absl::string_view member) {
    client_.Forget(member);
    peers_.erase(member);
  }

  const Coordinate& own() const { return client_.coordinate(); }
  // The last coordinate of a member, or that of this node. Null if the member never sent one. Valid
  // until the next call that is not const.
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
  // The member table bounds it: only members are pinged, and a forgotten member is removed.
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
