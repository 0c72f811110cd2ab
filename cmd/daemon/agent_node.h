#ifndef SERF_CMD_DAEMON_AGENT_NODE_H_
#define SERF_CMD_DAEMON_AGENT_NODE_H_

// Turns the operator's configuration into the node's: profile, key, addresses, tags file and
// keyring file. Source: docs/protocol/agent.md 2.5 (rows 15 to 19 and the tables after them) and
// 2.7.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <variant>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "serf/base/base64.h"
#include "serf/base/bytes.h"
#include "serf/base/endpoint.h"
#include "serf/base/host_port.h"
#include "serf/base/logger.h"
#include "serf/base/time.h"
#include "serf/cmd/daemon/agent_addresses.h"
#include "serf/cmd/daemon/agent_config.h"
#include "serf/cmd/daemon/agent_options.h"
#include "serf/cmd/daemon/agent_tuning.h"
#include "serf/cmd/discovery/service.h"
#include "serf/cmd/files/file_text.h"
#include "serf/cmd/files/keyring_file.h"
#include "serf/cmd/files/tags_file.h"
#include "serf/cmd/telemetry/syslog_sink.h"
#include "serf/config.h"
#include "serf/rpc/address.h"
#include "serf/tags.h"
#include "serf/transport/host.h"
#include "serf/transport/net/system_names.h"
#include "serf/wire/aead.h"

namespace serf::cmd {

struct AgentNode {
  transport::HostOptions options;
  AgentAddresses addresses;
  ByteVector key;       // from -encrypt; empty: none
  KeyringFile keyring;  // the content of the keyring file, if there is one
  bool encrypted() const { return !key.empty() || !keyring.keyring.empty(); }
};

// Finds the mistakes that the agent must report before it announces its start. Blocks on name
// look-ups. An error's message is the text to print.
absl::StatusOr<AgentNode> PrepareNode(const AgentConfig& config, Logger* logger);

// The part of PrepareNode() that needs no network: profile, key, settings.
absl::Status ConfigureNode(const AgentConfig& config, Logger* logger, AgentNode& node);

// Reads the tags and keyring files into the node. An error's message is the text to print after
// "Failed to setup the Serf agent: ".
absl::Status ReadStateFiles(const AgentConfig& config, AgentNode& node, Logger* logger);

// The later checks: protocol, limits, tags, size of the key. Puts the keys into the options.
absl::Status CheckNode(const AgentConfig& config, AgentNode& node);

// The configuration and the addresses that the running agent started with.
struct Running {
  AgentConfig config;
  Endpoint advertise;
};

// For a reload: makes all checks of a start with this configuration, except whether sockets can be
// opened, and the size of the tags. Addresses and files count only if the configuration names
// others than the running one: a network that is away for a while is not a mistake. Blocks on name
// look-ups and disks.
absl::Status CheckConfig(const AgentConfig& config, const Running& running);

// Passes the addresses that were looked up to the node.
inline void UseAddresses(AgentNode& node) {
  node.options.bind = node.addresses.bind;
  node.options.zone = node.addresses.zone;
  node.options.advertise = node.addresses.advertise;
}

inline absl::StatusOr<AgentNode> PrepareNode(const AgentConfig& config, Logger* logger) {
  AgentNode node;
  absl::StatusOr<AgentAddresses> addresses = LookUpAddresses(config);
  if (!addresses.ok()) return addresses.status();
  node.addresses = *std::move(addresses);
  if (absl::Status status = ConfigureNode(config, logger, node); !status.ok()) return status;
  UseAddresses(node);
  return node;
}

inline absl::Status ConfigureNode(const AgentConfig& config, Logger* logger, AgentNode& node) {
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
  serf.swim.enable_compression = config.enable_compression.value_or(true);
  serf.swim.logger = logger;
  serf.tags = config.tags;
  serf.broadcast_timeout = config.broadcast_timeout;
  serf.coalesce_period = std::chrono::seconds(3);
  serf.quiescent_period = std::chrono::seconds(1);
  serf.user_coalesce_period = serf.coalesce_period;
  serf.user_quiescent_period = serf.quiescent_period;
  serf.validate_node_names = config.validate_node_names;
  serf.disable_coordinates = config.disable_coordinates;
  serf.enable_name_conflict_resolution = !config.disable_name_resolution;
  const auto take = [](Duration told, Duration& into) {
    if (told != Duration::zero()) into = told;
  };
  take(config.reconnect_interval, serf.reconnect_interval);
  take(config.reconnect_timeout, serf.reconnect_timeout);
  take(config.tombstone_timeout, serf.tombstone_timeout);
  if (absl::Status status = ApplyTuning(config.tuning, serf); !status.ok()) return status;
  node.options.snapshot_path = config.snapshot_path;
  node.options.rejoin_after_leave = config.rejoin_after_leave;
  if (!config.keyring_file.empty()) {
    node.options.save_keyring =
        [path = config.keyring_file](std::span<const wire::Keyring::Key> keys) {
          return WriteKeyringFile(path, keys);
        };
  }
  if (!config.tags_file.empty()) {
    node.options.save_tags = [path = config.tags_file](const Tags& tags) {
      return WriteTagsFile(path, tags);
    };
  }
  return absl::OkStatus();
}

namespace agent_node_internal {

inline absl::Status CheckTagsFile(const AgentConfig& config) {
  if (config.tags_file.empty() || config.tags.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError("Tags config not allowed while using tag files");
}

inline absl::Status CheckKeyringFile(const AgentConfig& config) {
  if (config.keyring_file.empty() || config.encrypt_key.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError("Encryption key not allowed while using a keyring");
}

// A start makes this check last, when it opens the sockets of multicast DNS.
inline absl::Status CheckDiscovery(const AgentConfig& config) {
  if (config.discover.empty()) return absl::OkStatus();
  absl::Status status = DiscoveryServiceName(config.discover).status();
  if (config.mdns_disable_ipv4 && config.mdns_disable_ipv6) {
    status.Update(absl::InvalidArgumentError("No multicast listeners could be started"));
  }
  if (status.ok()) return status;
  return absl::Status(status.code(), absl::StrCat("Error starting mDNS listener: ",
                                                  absl::string_view(status.message())));
}

}  // namespace agent_node_internal

inline absl::Status ReadStateFiles(const AgentConfig& config, AgentNode& node, Logger* logger) {
  namespace internal = agent_node_internal;
  if (absl::Status status = internal::CheckTagsFile(config); !status.ok()) return status;
  if (!config.tags_file.empty()) {
    absl::StatusOr<Tags> tags = ReadTagsFile(config.tags_file);
    if (tags.ok()) {
      Log(logger, LogLevel::kInfo, "agent: Restored ", tags->size(), " tag(s) from ",
          config.tags_file);
      node.options.config.tags = *std::move(tags);
    } else if (!absl::IsNotFound(tags.status())) {
      return tags.status();
    }
  }
  if (absl::Status status = internal::CheckKeyringFile(config); !status.ok()) return status;
  if (!config.keyring_file.empty()) {
    absl::StatusOr<KeyringFile> keyring = ReadKeyringFile(config.keyring_file);
    if (!keyring.ok()) return keyring.status();
    node.keyring = *std::move(keyring);
    Log(logger, LogLevel::kInfo, "agent: Restored keyring with ", node.keyring.keys, " keys from ",
        config.keyring_file);
  }
  return absl::OkStatus();
}

inline absl::Status CheckNode(const AgentConfig& config, AgentNode& node) {
  Config& serf = node.options.config;
  if (config.protocol > std::numeric_limits<std::uint8_t>::max()) {
    return absl::InvalidArgumentError(absl::StrCat("Protocol version '", config.protocol,
                                                   "' too high. Must be in range: [",
                                                   kSerfProtocolMin, ", ", kSerfProtocolMax, "]"));
  }
  serf.protocol_version = static_cast<std::uint8_t>(config.protocol);
  for (const AgentOption& option : kAgentOptions) {
    const auto* const field = std::get_if<std::int64_t AgentConfig::*>(&option.field);
    if (field == nullptr || !option.not_negative || config.**field >= 0) continue;
    return absl::InvalidArgumentError(
        absl::StrCat(option.key, " is ", config.**field, ", must not be negative"));
  }
  serf.user_event_size_limit = static_cast<std::size_t>(config.user_event_size_limit);
  serf.query_size_limit = static_cast<std::size_t>(config.query_size_limit);
  serf.query_response_size_limit = static_cast<std::size_t>(config.query_response_size_limit);
  if (absl::Status status = serf.Validate(); !status.ok()) return status;
  if (!node.encrypted()) return absl::OkStatus();
  wire::Keyring keyring = node.keyring.keyring;
  if (!node.key.empty()) {
    if (const absl::Status status = keyring.Add(node.key); !status.ok()) {
      return absl::Status(status.code(), absl::StrCat("Failed to create memberlist: ",
                                                      absl::string_view(status.message())));
    }
  }
  serf.swim.keyring = std::make_shared<wire::Keyring>(std::move(keyring));
  return absl::OkStatus();
}

namespace agent_node_internal {

// Sets the addresses of the node as a start does.
inline absl::Status CheckAddresses(const AgentConfig& config, const Running& running,
                                   AgentNode& node) {
  const auto same = [&](auto... members) {
    return (... && (config.*members == running.config.*members));
  };
  if (same(&AgentConfig::bind, &AgentConfig::advertise, &AgentConfig::interface,
           &AgentConfig::start_join, &AgentConfig::retry_join, &AgentConfig::discover)) {
    node.options.advertise = running.advertise;
    return absl::OkStatus();
  }
  absl::StatusOr<AgentAddresses> addresses = LookUpAddresses(config);
  if (!addresses.ok()) return addresses.status();
  node.addresses = *std::move(addresses);
  UseAddresses(node);
  return absl::OkStatus();
}

inline absl::Status CheckRpcAddress(const AgentConfig& config) {
  if (rpc::UnixPathOf(config.rpc_addr)) return absl::OkStatus();
  const absl::StatusOr<HostPort> target = rpc::ParseAddress(config.rpc_addr);
  const absl::Status status =
      target.ok() ? names::LookUpPort(target->port, "tcp").status() : target.status();
  return status.ok() ? status : Prefixed("Error starting RPC listener: listen tcp", status);
}

}  // namespace agent_node_internal

inline absl::Status CheckConfig(const AgentConfig& config, const Running& running) {
  namespace internal = agent_node_internal;
  AgentNode node;
  // The checks come in the order of a start.
  absl::Status status = ParseLogLevel(config.log_level).status();
  if (config.enable_syslog) status.Update(SyslogSink::CheckFacility(config.syslog_facility));
  status.Update(internal::CheckAddresses(config, running, node));
  status.Update(ConfigureNode(config, nullptr, node));
  status.Update(internal::CheckTagsFile(config));
  status.Update(internal::CheckKeyringFile(config));
  if (!status.ok()) return status;
  node.options.config.tags.clear();
  AgentConfig files = config;  // with only the files that differ
  if (files.tags_file == running.config.tags_file) files.tags_file.clear();
  if (files.keyring_file == running.config.keyring_file) files.keyring_file.clear();
  if (files.snapshot_path == running.config.snapshot_path) node.options.snapshot_path.clear();
  files.tags.clear();
  status = ReadStateFiles(files, node, nullptr);
  if (status.ok()) status = CheckNode(config, node);
  if (status.ok()) status = WithAddressFlags(transport::Host::Check(node.options));
  status.Update(internal::CheckDiscovery(config));
  status.Update(internal::CheckRpcAddress(config));
  return status;
}

}  // namespace serf::cmd

#endif  // SERF_CMD_DAEMON_AGENT_NODE_H_
