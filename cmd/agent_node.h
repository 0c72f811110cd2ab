#ifndef SERF_CMD_AGENT_NODE_H_
#define SERF_CMD_AGENT_NODE_H_

// From the operator's configuration to the node's: profile, key, addresses. Source: spec/agent.md
// 2.5 (rows 15 to 19), 2.7.

#include <chrono>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "serf/base/bytes.h"
#include "serf/base/logger.h"
#include "serf/cmd/agent_addresses.h"
#include "serf/cmd/agent_config.h"
#include "serf/cmd/base64.h"
#include "serf/config.h"
#include "serf/transport/host.h"
#include "serf/wire/aead.h"

namespace serf::cmd {

struct AgentNode {
  transport::HostOptions options;
  AgentAddresses addresses;
  ByteVector key;  // empty: no encryption
};

// What can be wrong before the agent says that it starts. Blocks on name look-ups. An error's
// message is what to print.
absl::StatusOr<AgentNode> PrepareNode(const AgentConfig& config, Logger* logger);

// What is checked after it: the protocol, the tags, the size of the key. Puts the key into the
// options.
absl::Status CheckNode(const AgentConfig& config, AgentNode& node);

inline absl::StatusOr<AgentNode> PrepareNode(const AgentConfig& config, Logger* logger) {
  AgentNode node;
  absl::StatusOr<AgentAddresses> addresses = LookUpAddresses(config);
  if (!addresses.ok()) return addresses.status();
  node.addresses = *std::move(addresses);
  absl::StatusOr<ByteVector> key = DecodeBase64(config.encrypt_key);
  if (!key.ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat("Invalid encryption key: ", absl::string_view(key.status().message())));
  }
  node.key = *std::move(key);
  Config& serf = node.options.config;
  if (config.profile == "lan") {
    serf = Config::Lan();
  } else if (config.profile == "wan") {
    serf = Config::Wan();
  } else if (config.profile == "local") {
    serf = Config::Local();
  } else {
    return absl::InvalidArgumentError(absl::StrCat("Unknown profile: ", config.profile));
  }
  serf.swim.name = config.node_name;
  serf.swim.enable_compression = config.enable_compression;
  serf.swim.logger = logger;
  serf.tags = config.tags;
  serf.broadcast_timeout = config.broadcast_timeout;
  serf.coalesce_period = std::chrono::seconds(3);
  serf.quiescent_period = std::chrono::seconds(1);
  node.options.bind = node.addresses.bind;
  node.options.advertise = node.addresses.advertise;
  return node;
}

inline absl::Status CheckNode(const AgentConfig& config, AgentNode& node) {
  Config& serf = node.options.config;
  if (config.protocol > std::numeric_limits<std::uint8_t>::max()) {
    return absl::InvalidArgumentError(absl::StrCat("Protocol version '", config.protocol,
                                                   "' too high. Must be in range: [",
                                                   kSerfProtocolMin, ", ", kSerfProtocolMax, "]"));
  }
  serf.protocol_version = static_cast<std::uint8_t>(config.protocol);
  if (absl::Status status = serf.Validate(); !status.ok()) return status;
  if (node.key.empty()) return absl::OkStatus();
  wire::Keyring keyring;
  if (const absl::Status status = keyring.Add(node.key); !status.ok()) {
    return absl::Status(status.code(), absl::StrCat("Failed to create memberlist: ",
                                                    absl::string_view(status.message())));
  }
  serf.swim.keyring = std::make_shared<wire::Keyring>(std::move(keyring));
  return absl::OkStatus();
}

}  // namespace serf::cmd

#endif  // SERF_CMD_AGENT_NODE_H_
