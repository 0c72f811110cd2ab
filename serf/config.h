#ifndef SERF_CONFIG_H_
#define SERF_CONFIG_H_

// Config of a Serf node. Source: spec/serf.md 13.1.

#include <chrono>
#include <cstddef>
#include <cstdint>

#include "absl/status/status.h"
#include "serf/base/time.h"
#include "serf/swim/config.h"
#include "serf/tags.h"

namespace serf {

struct Config {
  static Config Lan();
  static Config Wan();
  static Config Local();

  // Names the first value that makes no sense, with the texts of spec/agent.md 2.5.
  absl::Status Validate() const;

  // The engine below: name, addresses, timing, encryption, logger, seed. Its meta, versions and
  // filters are set by Serf itself.
  swim::Config swim;

  Tags tags;
  std::uint8_t protocol_version = 5;  // of Serf: 2 to 5
  Duration broadcast_timeout = std::chrono::seconds(5);       // leave, force-leave, tags
  Duration leave_propagate_delay = std::chrono::seconds(1);
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
  bool validate_node_names = false;
};

}  // namespace serf

#endif  // SERF_CONFIG_H_
