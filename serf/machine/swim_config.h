// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_MACHINE_SWIM_CONFIG_H_
#define SERF_MACHINE_SWIM_CONFIG_H_

// What Serf sets in the configuration of the SWIM layer. Source: docs/protocol/serf.md 12.7.

#include <memory>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "serf/base/bytes.h"
#include "serf/config.h"
#include "serf/swim/delegate.h"
#include "serf/swim/node_info.h"
#include "serf/tags.h"

namespace serf {

// Sets meta, versions, name filter and pool of config.swim. Error: the tags are too large.
inline absl::Status CompleteSwimConfig(Config& config) {
  absl::StatusOr<ByteVector> meta = EncodeTags(config.tags, config.protocol_version);
  if (!meta.ok()) return meta.status();
  config.swim.meta = *std::move(meta);
  config.swim.protocol_version = kEngineProtocolVersion;
  config.swim.delegate_protocol_min = kSerfProtocolMin;
  config.swim.delegate_protocol_max = kSerfProtocolMax;
  config.swim.delegate_protocol_version = config.protocol_version;
  if (config.swim.node_infos == nullptr) {
    config.swim.node_infos = std::make_shared<swim::NodeInfoPool>();
  }
  if (config.validate_node_names) {
    config.swim.alive_filter = [](const swim::RemoteNode& node) {
      return ValidateNodeName(node.name);
    };
  }
  return absl::OkStatus();
}

}  // namespace serf

#endif  // SERF_MACHINE_SWIM_CONFIG_H_
