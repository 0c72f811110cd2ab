#ifndef SERF_CONFIG_H_
#define SERF_CONFIG_H_

// Config of a Serf node. Source: spec/serf.md 13.1.

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
#include "serf/snapshot_reader.h"
#include "serf/swim/config.h"
#include "serf/tags.h"

namespace serf {

// Versions of the Serf protocol (spec/serf.md 7.3).
inline constexpr std::uint8_t kSerfProtocolMin = 2;
inline constexpr std::uint8_t kSerfProtocolMax = 5;

// Of the engine, for all of these.
inline constexpr std::uint8_t kEngineProtocolVersion = 2;

// Longest of the durations below.
inline constexpr Duration kDurationMax = std::chrono::hours(24 * 3652);

struct Config {
  static Config Lan();
  static Config Wan();
  static Config Local();

  // Names the first value that makes no sense, with the texts of spec/agent.md 2.5. Covers `swim`.
  absl::Status Validate() const;

  // How many messages of a queue may wait in a cluster of so many members.
  std::size_t QueueMax(std::size_t members) const {
    return min_queue_depth > 0 ? std::max(min_queue_depth, 2 * members) : max_queue_depth;
  }

  // The engine below: name, addresses, timing, encryption, logger, seed. Its meta, versions and
  // filters are set by Serf itself.
  swim::Config swim;

  Tags tags;
  std::uint8_t protocol_version = 5;                     // of Serf: 2 to 5
  Duration broadcast_timeout = std::chrono::seconds(5);  // leave, force-leave, tags
  Duration leave_propagate_delay = std::chrono::seconds(1);
  // A departure takes seconds: who lives on so long after its leave intent has not left.
  Duration leaving_timeout = std::chrono::minutes(1);
  Duration reap_interval = std::chrono::seconds(15);
  Duration reconnect_interval = std::chrono::seconds(30);
  Duration reconnect_timeout = std::chrono::hours(24);
  Duration tombstone_timeout = std::chrono::hours(24);
  Duration flap_timeout = std::chrono::seconds(60);
  Duration recent_intent_timeout = std::chrono::minutes(5);
  Duration queue_check_interval = std::chrono::seconds(30);
  std::size_t queue_depth_warning = 128;
  std::size_t max_queue_depth = 4096;
  std::size_t min_queue_depth = 0;  // zero: max_queue_depth alone decides
  // Member events are held back to merge what belongs together; zero: off.
  Duration coalesce_period = Duration::zero();
  Duration quiescent_period = Duration::zero();
  // The same for user events that allow it.
  Duration user_coalesce_period = Duration::zero();
  Duration user_quiescent_period = Duration::zero();
  int query_timeout_mult = 16;  // of the gossip interval: see DefaultQueryTimeout
  // Bytes of encoded queries and answers that are sent; those of others are taken as they come.
  std::size_t query_size_limit = 1024;
  std::size_t query_response_size_limit = 1024;
  // Queries of nodes are answered that are no members as far as this one knows: for those behind
  // address translation. Then anybody can aim the cluster's answers at anybody.
  bool answer_unknown_nodes = false;
  // Whether to hold a vote over the own name when another node claims it, and to give way.
  bool enable_name_conflict_resolution = true;
  // The driver writes each change of the keyring to a file (Outbox::keyring_save), and tells
  // (Serf::OnKeyringSaved), before the change counts as done.
  bool keyring_is_saved = false;
  std::size_t user_event_size_limit = 512;  // bytes, bare and encoded; at most kUserEventMax
  bool validate_node_names = false;         // own and others: see ValidateNodeName
  bool disable_coordinates = false;         // neither told to others, nor taken from them
  // With a snapshot: what it said, nothing if it is new. The node goes on from there, and says
  // what is to be written (Outbox::snapshot_ops).
  std::optional<SnapshotState> snapshot;

 private:
  absl::Status ValidateDurations() const;
};

// A name that suits host names, log files and shells: letters, digits, "-" and ".", at most
// kValidNodeNameMax bytes.
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
