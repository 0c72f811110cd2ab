// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_CONTEXT_CONTEXT_H_
#define SERF_CONTEXT_CONTEXT_H_

// SerfContext: what all parts of a Serf node share: the configuration, a view of the SWIM layer,
// the state of the node, its random numbers, counters, log limiter, and the messages that leave the
// node apart from gossip. Internal to serf/.

#include <memory>
#include <utility>

#include "serf/base/bytes.h"
#include "serf/base/endpoint.h"
#include "serf/base/results.h"
#include "serf/base/rng.h"
#include "serf/config.h"
#include "serf/counters.h"
#include "serf/judgement.h"
#include "serf/serf_state.h"
#include "serf/swim/log_limiter.h"
#include "serf/swim/node.h"

namespace serf {

struct SerfContext {
  // A user message for one node, perhaps this one.
  struct Message {
    Endpoint to;
    ByteVector bytes;
  };

  // Both must outlive the context.
  SerfContext(const Config& node_config, const swim::Node& swim_node)
      : config(node_config),
        node(swim_node),
        // The SWIM layer uses the seed itself. Equal sequences would make the two layers' choices
        // depend on each other.
        rng(node_config.swim.seed ^ 0x5e5f5e5f5e5f5e5fu),
        limiter(node_config.swim.logger) {}
  SerfContext(const SerfContext&) = delete;
  SerfContext& operator=(const SerfContext&) = delete;

  // True until this node is asked to leave or to stop.
  bool lives() const { return state == SerfState::kAlive; }
  const Endpoint& own_endpoint() const { return node.info(node.self()).endpoint(); }
  // Sends a message to one node when the input of the SWIM layer is over.
  void Send(const Endpoint& to, ByteView message) {
    outgoing.Add({to, ByteVector(message.begin(), message.end())});
  }

  const Config& config;
  const swim::Node& node;
  SerfState state = SerfState::kAlive;
  Rng rng;
  Counters counters;
  swim::LogLimiter limiter;
  Results<Message> outgoing;
  // Judgements for the driver to run where nothing waits for them.
  Results<std::unique_ptr<Judgement>> judgements;
};

}  // namespace serf

#endif  // SERF_CONTEXT_CONTEXT_H_
