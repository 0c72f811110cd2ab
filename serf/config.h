// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_CONFIG_H_
#define SERF_CONFIG_H_

// Config: the configuration of a Serf node. A node reads it once, at its creation; afterwards only
// the tags change, by a request of their own.
//
//   serf::Config config = serf::Config::Lan();
//   config.swim.name = "web-1";
//   config.tags = {{"role", "web"}};
//   if (absl::Status status = config.Validate(); !status.ok()) ...
//
// transport::HostOptions takes one, and fills in what the driver knows: addresses, the seed and the
// snapshot. Durations are nanoseconds by type; write std::chrono::seconds(5). Each must lie between
// zero and kDurationMax, and the three intervals must be positive.
//
// Source: docs/protocol/serf.md 13.1.

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "serf/base/time.h"
#include "serf/event.h"
#include "serf/snapshot_state.h"
#include "serf/swim/config.h"
#include "serf/tags.h"

namespace serf {

// The lowest and the highest version of the Serf protocol (docs/protocol/serf.md 7.3). Members of
// different versions understand each other.
inline constexpr std::uint8_t kSerfProtocolMin = 2;
inline constexpr std::uint8_t kSerfProtocolMax = 5;

// The version of the membership protocol below, the same for all Serf versions. This node announces
// it, whatever `swim.protocol_version` says.
inline constexpr std::uint8_t kEngineProtocolVersion = 2;

// The longest of the durations in Config: ten years, so that no sum of an instant and a duration
// overflows.
inline constexpr Duration kDurationMax = std::chrono::hours(24 * 3652);

struct Config {
  // Profiles, as in Go Serf: values of `swim` for one data centre, for links between data centres,
  // and for nodes on one machine. All members of a cluster should use the same profile: a member
  // with shorter timeouts reports healthy members as failed. The rest of Config is the same in all
  // three.
  static Config Lan();
  static Config Wan();
  static Config Local();

  // InvalidArgument for the first value that makes no sense; the text names it, with the wording of
  // docs/protocol/agent.md 2.5 where Go Serf has one. Checks `swim` too. Host::Create() calls it,
  // so an application calls it only to report an error earlier.
  absl::Status Validate() const;

  // The most messages that may wait in each gossip queue of a cluster of `members` members. Beyond
  // it the node drops the oldest ones and logs a warning.
  std::size_t QueueMax(std::size_t members) const {
    return min_queue_depth > 0 ? std::max(min_queue_depth, 2 * members) : max_queue_depth;
  }

  // The membership layer below: node name, addresses, timing, encryption, logger, seed. See
  // serf/swim/config.h. Serf itself sets its `meta`, its versions and, with `validate_node_names`,
  // its `alive_filter`: values of the application for these are overwritten.
  swim::Config swim;

  // What this node announces of itself; see serf/tags.h. At most wire::kMetaMax (512) bytes,
  // encoded.
  Tags tags;
  // The Serf protocol version of this node, 2 to 5. Queries need 4. Lower it only while members of
  // old releases are in the cluster.
  std::uint8_t protocol_version = 5;
  // How long a leave, a force-leave or a change of tags waits until its announcement has been
  // gossiped. A leave then continues all the same; the other two end with DeadlineExceeded.
  Duration broadcast_timeout = std::chrono::seconds(5);
  // How long a leaving node still runs after its announcement, so that the news can spread.
  Duration leave_propagate_delay = std::chrono::seconds(1);
  // A departure takes seconds. A member that is still alive so long after its leave intent has not
  // left, and this node lists it as alive again.
  Duration leaving_timeout = std::chrono::minutes(1);
  // How often the node looks for members to forget. Must be positive.
  Duration reap_interval = std::chrono::seconds(15);
  // The pace of attempts to reconnect to failed members. Go Serf makes one attempt per interval.
  // This implementation makes the first one a second after a failure and later ones every eight
  // seconds; these pauses scale with the value (docs/decisions/0005-partitions-heal.md). Must be
  // positive.
  Duration reconnect_interval = std::chrono::seconds(30);
  // How long the node tries to reconnect to a failed member before it forgets the member (kReap).
  Duration reconnect_timeout = std::chrono::hours(24);
  // How long the node remembers a member that left before it forgets the member (kReap).
  Duration tombstone_timeout = std::chrono::hours(24);
  // A member that returns so soon after its failure counts in Counters::member_flaps. Nothing else
  // depends on it.
  Duration flap_timeout = std::chrono::seconds(60);
  // How long the node keeps a join or leave intent of a member that it does not know yet.
  Duration recent_intent_timeout = std::chrono::minutes(5);
  // How often the node compares the lengths of its gossip queues with the limits below. Must be
  // positive. A queue that is longer than `queue_depth_warning` messages is logged.
  Duration queue_check_interval = std::chrono::seconds(30);
  std::size_t queue_depth_warning = 128;
  std::size_t max_queue_depth = 4096;
  // The limit of each queue. If `min_queue_depth` is positive, the limit is that, or twice the
  // number of members if that is more, and `max_queue_depth` does not count. If it is zero, the
  // limit is `max_queue_depth`, which must then be positive.
  std::size_t min_queue_depth = 0;
  // Coalescing of member events: the node holds events back, and delivers one event per kind with
  // all the members. A batch ends `coalesce_period` after its first event, or earlier, when no
  // event came for `quiescent_period`. Off unless both are positive, as by default; the agent uses
  // 3 s and 1 s. Events then come late by up to `coalesce_period` (docs/protocol/serf.md 11.2).
  Duration coalesce_period = Duration::zero();
  Duration quiescent_period = Duration::zero();
  // The same for user events that were sent with `coalesce`: of each name only the latest is
  // delivered. Other user events are never held back.
  Duration user_coalesce_period = Duration::zero();
  Duration user_quiescent_period = Duration::zero();
  // The default timeout of a query, in gossip intervals, 1 to 100; see DefaultQueryTimeout().
  int query_timeout_mult = 16;
  // The most bytes of an encoded query or answer that this node sends. Larger ones from other
  // members are accepted.
  std::size_t query_size_limit = 1024;
  std::size_t query_response_size_limit = 1024;
  // Whether to answer queries from nodes that are not (yet) members, for example behind address
  // translation. Unsafe: an attacker can then direct the cluster's answers at any address.
  bool answer_unknown_nodes = false;
  // Whether this node asks the other members for a vote when another node claims its name, and
  // shuts down if it loses the vote (docs/protocol/serf.md 8.1).
  bool enable_name_conflict_resolution = true;
  // Whether the driver writes each change of the keyring to a file. The machine then hands the
  // keyring out (Outbox::keyring_save), and the change counts as done only after
  // Serf::OnKeyringSaved(). transport::Host sets it from HostOptions::save_keyring.
  bool keyring_is_saved = false;
  // The most bytes of a user event that this node sends, name and payload, both bare and encoded.
  // At most kUserEventMax (9216). A larger limit does not help if the event does not fit into a
  // gossip packet (swim::Config::packet_size).
  std::size_t user_event_size_limit = 512;
  // Whether ValidateNodeName() must accept the name of this node and of every member. A node with
  // another name is then refused.
  bool validate_node_names = false;
  // Whether this node neither announces a network coordinate nor learns those of others.
  bool disable_coordinates = false;
  // With a snapshot: the state that the file holds, empty if the file is new. The node continues
  // from it, and hands out what to write (Outbox::snapshot_ops). Without a value: no snapshot.
  // transport::Host sets it from HostOptions::snapshot_path.
  std::optional<SnapshotState> snapshot;

 private:
  absl::Status ValidateDurations() const;
};

// OK for a name that suits host names, log files and shells: letters, digits, "-" and ".", at most
// kValidNodeNameMax bytes. Else InvalidArgument.
inline constexpr std::size_t kValidNodeNameMax = 128;
inline absl::Status ValidateNodeName(absl::string_view name) {
  for (const char c : name) {
    if (!absl::ascii_isalnum(static_cast<unsigned char>(c)) && c != '-' && c != '.') {
      return absl::InvalidArgumentError(
          absl::StrCat("Node name contains invalid characters ", name,
                       " , Valid characters include all alpha-numerics and dashes and '.' "));
    }
  }
  if (name.size() > kValidNodeNameMax) {
    return absl::InvalidArgumentError(absl::StrCat(
        "Node name is ", name.size(), " characters. Valid length is between 1 and 128 characters"));
  }
  return absl::OkStatus();
}

inline Config Config::Lan() {
  Config config;
  config.swim = swim::Config::Lan();
  return config;
}

inline Config Config::Wan() {
  Config config;
  config.swim = swim::Config::Wan();
  return config;
}

inline Config Config::Local() {
  Config config;
  config.swim = swim::Config::Local();
  return config;
}

inline absl::Status Config::Validate() const {
  if (protocol_version < kSerfProtocolMin || protocol_version > kSerfProtocolMax) {
    return absl::InvalidArgumentError(
        absl::StrCat("Protocol version '", protocol_version, "' too ",
                     protocol_version < kSerfProtocolMin ? "low" : "high", ". Must be in range: [",
                     kSerfProtocolMin, ", ", kSerfProtocolMax, "]"));
  }
  if (user_event_size_limit > kUserEventMax) {
    return absl::InvalidArgumentError(
        absl::StrCat("user event size limit exceeds limit of ", kUserEventMax, " bytes"));
  }
  if (query_timeout_mult < 1 || query_timeout_mult > swim::kMultiplierMax) {
    return absl::InvalidArgumentError(absl::StrCat("query_timeout_mult is ", query_timeout_mult,
                                                   ", must be in range: [1, ", swim::kMultiplierMax,
                                                   "]"));
  }
  if (auto meta = EncodeTags(tags, protocol_version); !meta.ok()) return meta.status();
  if (validate_node_names) {
    if (absl::Status status = ValidateNodeName(swim.name); !status.ok()) return status;
  }
  if (QueueMax(1) == 0) return absl::InvalidArgumentError("max_queue_depth must be positive");
  if (absl::Status status = ValidateDurations(); !status.ok()) return status;
  return swim.Validate();
}

inline absl::Status Config::ValidateDurations() const {
  const struct {
    absl::string_view name;
    Duration value;
    Duration low;
  } durations[] = {
      // A period of zero would be a busy loop.
      {"reap_interval", reap_interval, Duration(1)},
      {"reconnect_interval", reconnect_interval, Duration(1)},
      {"queue_check_interval", queue_check_interval, Duration(1)},
      {"broadcast_timeout", broadcast_timeout, Duration::zero()},
      {"leave_propagate_delay", leave_propagate_delay, Duration::zero()},
      {"leaving_timeout", leaving_timeout, Duration::zero()},
      {"reconnect_timeout", reconnect_timeout, Duration::zero()},
      {"tombstone_timeout", tombstone_timeout, Duration::zero()},
      {"flap_timeout", flap_timeout, Duration::zero()},
      {"recent_intent_timeout", recent_intent_timeout, Duration::zero()},
      {"coalesce_period", coalesce_period, Duration::zero()},
      {"quiescent_period", quiescent_period, Duration::zero()},
      {"user_coalesce_period", user_coalesce_period, Duration::zero()},
      {"user_quiescent_period", user_quiescent_period, Duration::zero()},
  };
  for (const auto& duration : durations) {
    if (duration.value < duration.low) {
      return absl::InvalidArgumentError(absl::StrCat(duration.name, duration.low > Duration::zero()
                                                                        ? " must be positive"
                                                                        : " must not be negative"));
    }
    // So that no sum of an instant and a duration overflows.
    if (duration.value > kDurationMax) {
      return absl::InvalidArgumentError(absl::StrCat(duration.name, " is longer than ten years"));
    }
  }
  return absl::OkStatus();
}

}  // namespace serf

#endif  // SERF_CONFIG_H_
