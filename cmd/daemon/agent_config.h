#ifndef SERF_CMD_DAEMON_AGENT_CONFIG_H_
#define SERF_CMD_DAEMON_AGENT_CONFIG_H_

// AgentConfig: the operator's settings for `serf agent`, as text and before any look-up, and the
// checks that need nothing else. Source: docs/protocol/agent.md 2.3 and 2.5.

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "serf/base/duration_text.h"
#include "serf/base/logger.h"
#include "serf/base/time.h"
#include "serf/cmd/daemon/agent_tuning.h"
#include "serf/cmd/events/event_spec.h"
#include "serf/cmd/http/settings.h"
#include "serf/tags.h"
#include "serf/transport/interfaces.h"
#include "serf/transport/net/system_names.h"

namespace serf::cmd {

// The port of -bind and -advertise without one (docs/protocol/agent.md 2.6).
inline constexpr std::uint16_t kDefaultBindPort = 7946;

// A later setting overrides an earlier one; config_file.h has the rules for files.
struct AgentConfig {
  std::string node_name;         // empty: the host's name
  std::string bind = "0.0.0.0";  // host[:port]
  std::string advertise;         // host[:port]; empty: the bound address
  std::string interface;         // "eth0"; empty: none
  std::string rpc_addr = "127.0.0.1:7373";
  std::string rpc_auth;   // empty: clients need no key
  std::string http_addr;  // empty: no HTTP; this and the next four: see HttpOptions
  std::vector<HttpTokenOption> http_tokens;
  std::optional<std::vector<std::string>> http_anonymous;
  std::optional<std::vector<std::string>> http_allowed_hosts;
  std::string http_socket_mode = "0600";
  std::string encrypt_key;  // base64; empty: no encryption
  std::string log_level = "INFO";
  std::string profile = "lan";
  std::string role;  // sets the tag "role"
  Tags tags;
  std::string tags_file;     // where the agent keeps its tags; empty: nowhere
  std::string keyring_file;  // where the agent keeps its keys; empty: nowhere
  std::int64_t protocol = 5;
  std::optional<bool> enable_compression;  // not set: on
  std::vector<std::string> start_join;
  std::vector<std::string> retry_join;
  bool replay_on_join = false;
  Duration retry_interval = std::chrono::seconds(30);
  // Zero: retry_interval always applies; see retry_delay.h.
  Duration retry_interval_max = Duration::zero();
  std::int64_t retry_max_attempts = 0;  // zero: no limit
  Duration broadcast_timeout = std::chrono::seconds(5);
  bool leave_on_terminate = false;
  bool skip_leave_on_interrupt = false;
  std::vector<std::string> event_handlers;      // see event_spec.h
  std::optional<bool> event_handlers_parallel;  // not set: false
  bool disable_coordinates = false;
  bool disable_name_resolution = false;
  bool validate_node_names = false;
  std::int64_t query_response_size_limit = 1024;  // bytes, as in the next two
  std::int64_t query_size_limit = 1024;
  std::int64_t user_event_size_limit = 512;
  // Zero, here and below: the cluster layer's default.
  Duration reconnect_interval = Duration::zero();
  Duration reconnect_timeout = Duration::zero();
  Duration tombstone_timeout = Duration::zero();
  std::string snapshot_path;  // empty: none
  bool rejoin_after_leave = false;
  std::string discover;        // the name of the mDNS cluster; empty: none
  std::string mdns_interface;  // empty: `interface`
  bool mdns_disable_ipv4 = false;
  bool mdns_disable_ipv6 = false;
  bool enable_syslog = false;
  std::string syslog_facility = "LOCAL0";
  std::string statsite_addr;  // host:port; empty: none
  std::string statsd_addr;
  AgentTuning tuning;
};

// Fills in missing values and corrects those out of range; each warning is a line for the operator.
// An error's message is the text to print before the agent gives up.
absl::Status CompleteConfig(AgentConfig& config, std::vector<std::string>& warnings);

// What it says about HTTP.
inline HttpOptions HttpOptionsOf(const AgentConfig& config) {
  return {.addr = config.http_addr,
          .tokens = config.http_tokens,
          .anonymous = config.http_anonymous,
          .allowed_hosts = config.http_allowed_hosts.value_or(std::vector<std::string>()),
          .socket_mode = config.http_socket_mode};
}

// Parses "trace" to "ERR", in any case.
absl::StatusOr<LogLevel> ParseLogLevel(absl::string_view text);

namespace agent_config_internal {

inline absl::Status CheckMdns(const AgentConfig& config) {
  if (config.mdns_interface.empty()) return absl::OkStatus();
  if (config.discover.empty()) {
    return absl::InvalidArgumentError("mDNS interface specified without enabling mDNS discovery");
  }
  if (!transport::IsInterface(config.mdns_interface)) {
    return absl::NotFoundError(
        "Invalid mDNS network interface: route ip+net: no such network interface");
  }
  if (config.mdns_disable_ipv4 && config.mdns_disable_ipv6) {
    return absl::InvalidArgumentError(
        "Invalid mDNS configuration: both IPv4 and IPv6 are disabled");
  }
  return absl::OkStatus();
}

}  // namespace agent_config_internal

inline absl::Status CompleteConfig(AgentConfig& config, std::vector<std::string>& warnings) {
  if (config.node_name.empty()) {
    absl::StatusOr<std::string> name = names::HostName();
    if (!name.ok()) return name.status();
    config.node_name = *std::move(name);
  }
  const auto scripts = ParseEventScripts(config.event_handlers);
  if (!scripts.ok()) return scripts.status();
  if (!config.interface.empty() && !transport::IsInterface(config.interface)) {
    return absl::NotFoundError(
        "Invalid network interface: route ip+net: no such network interface");
  }
  if (absl::Status mdns = agent_config_internal::CheckMdns(config); !mdns.ok()) return mdns;
  if (!config.role.empty()) {
    warnings.push_back("Deprecation warning: 'Role' has been replaced with 'Tags'");
    config.tags["role"] = config.role;
  }
  constexpr Duration kLeast = std::chrono::seconds(1);
  if (config.retry_interval < kLeast) {
    warnings.push_back("Warning: 'RetryInterval' is too low. Setting to 1s");
    config.retry_interval = kLeast;
  }
  if (config.retry_interval_max != Duration::zero() &&
      config.retry_interval_max < config.retry_interval) {
    return absl::InvalidArgumentError(absl::StrCat(
        "retry_interval_max is ", FormatDuration(config.retry_interval_max),
        ", must not be below retry_interval, ", FormatDuration(config.retry_interval)));
  }
  if (config.broadcast_timeout < kLeast) {
    warnings.push_back("Warning: 'BroadcastTimeout' is too low. Setting to 1s");
    config.broadcast_timeout = kLeast;
  }
  if (config.rejoin_after_leave && config.snapshot_path.empty()) {
    warnings.push_back("Warning: 'RejoinAfterLeave' enabled without snapshot file");
  }
  return absl::OkStatus();
}

inline absl::StatusOr<LogLevel> ParseLogLevel(absl::string_view text) {
  const std::string upper = absl::AsciiStrToUpper(text);
  for (const LogLevel level :
       {LogLevel::kTrace, LogLevel::kDebug, LogLevel::kInfo, LogLevel::kWarn, LogLevel::kError}) {
    if (upper == LogLevelName(level)) return level;
  }
  return absl::InvalidArgumentError(absl::StrCat(
      "Invalid log level: ", upper, ". Valid log levels are: [TRACE DEBUG INFO WARN ERR]"));
}

}  // namespace serf::cmd

#endif  // SERF_CMD_DAEMON_AGENT_CONFIG_H_
