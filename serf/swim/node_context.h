// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_SWIM_NODE_CONTEXT_H_
#define SERF_SWIM_NODE_CONTEXT_H_

// NodeContext: what all parts of a Node share. Internal to serf/swim.

#include <cstdint>
#include <memory>
#include <utility>

#include "serf/base/rng.h"
#include "serf/swim/awareness.h"
#include "serf/swim/config.h"
#include "serf/swim/counters.h"
#include "serf/swim/delegate.h"
#include "serf/swim/log_limiter.h"
#include "serf/swim/node_info.h"
#include "serf/swim/probe_history.h"
#include "serf/wire/ids.h"
#include "serf/wire/swim_messages.h"

namespace serf::swim {

struct NodeContext {
  NodeContext(Config node_config, Delegate& node_delegate)
      : config(std::move(node_config)),
        delegate(node_delegate),
        node_infos(config.node_infos != nullptr ? config.node_infos
                                                : std::make_shared<NodeInfoPool>()),
        rng(config.seed),
        awareness(config.awareness_max_multiplier),
        limiter(config.logger),
        // A forger of acknowledgements could easily guess numbers that start at one
        // (docs/protocol/membership.md 10).
        next_sequence_(static_cast<std::uint32_t>(rng.Next())) {}

  NodeContext(const NodeContext&) = delete;
  NodeContext& operator=(const NodeContext&) = delete;

  // Probes and indirect pings share the numbers, which may wrap.
  wire::SequenceNumber NextSequence() { return wire::SequenceNumber(next_sequence_++); }

  // The port that replaces 0 in messages of others; it replaces every port if this node speaks
  // protocol version 1 (docs/protocol/membership.md 4.2).
  std::uint16_t PortOf(std::uint16_t port) const {
    return port == 0 || config.protocol_version == 1 ? config.default_port : port;
  }

  bool keyed() const { return config.keyring != nullptr && !config.keyring->empty(); }

  // The versions that this node announces.
  wire::VersionVector own_versions() const {
    return {kProtocolVersionMin,          kProtocolVersionMax,
            config.protocol_version,      config.delegate_protocol_min,
            config.delegate_protocol_max, config.delegate_protocol_version};
  }

  const Config config;
  Delegate& delegate;
  const std::shared_ptr<NodeInfoPool> node_infos;
  Rng rng;
  Awareness awareness;
  ProbeHistory probe_history;
  Counters counters;
  LogLimiter limiter;

 private:
  std::uint32_t next_sequence_;
};

}  // namespace serf::swim

#endif  // SERF_SWIM_NODE_CONTEXT_H_
