#include "serf/cmd/daemon/agent_command.h"

#include <algorithm>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "gflags/gflags.h"
#include "serf/base/time.h"
#include "serf/cmd/command.h"
#include "serf/cmd/daemon/agent.h"
#include "serf/cmd/daemon/agent_config.h"
#include "serf/cmd/daemon/config_file.h"
#include "serf/cmd/daemon/terminal.h"
#include "serf/cmd/flags.h"
#include "serf/cmd/tag_flag.h"
#include "serf/cmd/text/duration.h"
#include "serf/tags.h"

DEFINE_string(agent_advertise, "", "address told to others; empty: what is bound");
DEFINE_string(agent_bind, "", "address of gossip, TCP and UDP; empty: 0.0.0.0");
DEFINE_string(agent_broadcast_timeout, "", "most that leaving and other broadcasts may take");
DEFINE_bool(agent_disable_compression, false, "send gossip as it is");
DEFINE_string(agent_discover, "", "name of a cluster to find by multicast DNS; empty: none");
DEFINE_string(agent_encrypt, "", "key in base64");
DEFINE_string(agent_iface, "", "network interface to bind to");
DEFINE_string(agent_keyring_file, "", "where keys are kept");
DEFINE_string(agent_log_level, "", "trace, debug, info, warn or err; empty: info");
DEFINE_bool(agent_mdns_disable_ipv4, false, "no multicast DNS over IPv4");
DEFINE_bool(agent_mdns_disable_ipv6, false, "no multicast DNS over IPv6");
DEFINE_string(agent_mdns_iface, "", "interface of multicast DNS; empty: that of -iface");
DEFINE_string(agent_node, "", "unique name of the node; empty: the host name");
DEFINE_string(agent_profile, "", "lan, wan or local; empty: lan");
DEFINE_int64(agent_protocol, 0, "Serf protocol to speak; zero and below: the default");
DEFINE_bool(agent_rejoin, false, "with a snapshot: join again after a leave");
DEFINE_bool(agent_replay, false, "replay old user events when joining");
DEFINE_string(agent_retry_interval, "", "between two attempts of -retry-join");
DEFINE_int64(agent_retry_max, 0, "attempts after the first of -retry-join; zero: no limit");
DEFINE_string(agent_role, "", "deprecated: the tag \"role\"");
DEFINE_string(agent_rpc_addr, "", "address of RPC; empty: 127.0.0.1:7373");
DEFINE_string(agent_snapshot, "", "file from which a restarted node goes on");
DEFINE_bool(agent_syslog, false, "copy the log to syslog");
DEFINE_string(agent_tags_file, "", "where tags are kept");

namespace serf::cmd {
namespace {

// What repeatable flags collect.
struct Lists {
  std::vector<std::string> config;  // files and folders, in one order
  std::vector<std::string> event_handler;
  std::vector<std::string> join;
  std::vector<std::string> retry_join;
  std::vector<std::string> tag;
};

using ConfigChange = std::function<void(AgentConfig&)>;

std::vector<Flag> Flags(Lists& lists) {
  return {
      {.name = "advertise", .gflag = "agent_advertise"},
      {.name = "bind", .gflag = "agent_bind"},
      {.name = "broadcast-timeout", .gflag = "agent_broadcast_timeout"},
      {.name = "config-dir", .list = &lists.config},
      {.name = "config-file", .list = &lists.config},
      {.name = "disable-compression", .gflag = "agent_disable_compression"},
      {.name = "discover", .gflag = "agent_discover"},
      {.name = "encrypt", .gflag = "agent_encrypt"},
      {.name = "event-handler", .list = &lists.event_handler},
      {.name = "iface", .gflag = "agent_iface"},
      {.name = "join", .list = &lists.join},
      {.name = "keyring-file", .gflag = "agent_keyring_file"},
      {.name = "log-level", .gflag = "agent_log_level"},
      {.name = "mdns-disable-ipv4", .gflag = "agent_mdns_disable_ipv4"},
      {.name = "mdns-disable-ipv6", .gflag = "agent_mdns_disable_ipv6"},
      {.name = "mdns-iface", .gflag = "agent_mdns_iface"},
      {.name = "node", .gflag = "agent_node"},
      {.name = "profile", .gflag = "agent_profile"},
      {.name = "protocol", .gflag = "agent_protocol"},
      {.name = "rejoin", .gflag = "agent_rejoin"},
      {.name = "replay", .gflag = "agent_replay"},
      {.name = "retry-interval", .gflag = "agent_retry_interval"},
      {.name = "retry-join", .list = &lists.retry_join},
      {.name = "retry-max", .gflag = "agent_retry_max"},
      {.name = "role", .gflag = "agent_role"},
      {.name = "rpc-addr", .gflag = "agent_rpc_addr"},
      {.name = "snapshot", .gflag = "agent_snapshot"},
      {.name = "syslog", .gflag = "agent_syslog"},
      {.name = "tag", .list = &lists.tag},
      {.name = "tags-file", .gflag = "agent_tags_file"},
  };
}

absl::Status Invalid(const absl::Status& status) {
  return absl::InvalidArgumentError(absl::StrCat("Error: ", absl::string_view(status.message())));
}

// What the flags say, as changes of a configuration. As in the original a flag with an empty or
// zero value, or a false, says nothing.
absl::StatusOr<std::vector<ConfigChange>> FlagChanges(const Lists& lists) {
  std::vector<ConfigChange> changes;
  const auto take = [&changes](const auto& value, auto AgentConfig::*member) {
    if (value == std::decay_t<decltype(value)>()) return;
    changes.push_back([value, member](AgentConfig& config) { config.*member = value; });
  };
  const auto append = [&changes](const std::vector<std::string>& values,
                                 std::vector<std::string> AgentConfig::*member) {
    changes.push_back([values, member](AgentConfig& config) {
      (config.*member).insert((config.*member).end(), values.begin(), values.end());
    });
  };
  take(FLAGS_agent_advertise, &AgentConfig::advertise);
  take(FLAGS_agent_bind, &AgentConfig::bind);
  take(FLAGS_agent_discover, &AgentConfig::discover);
  take(FLAGS_agent_encrypt, &AgentConfig::encrypt_key);
  take(FLAGS_agent_iface, &AgentConfig::interface);
  take(FLAGS_agent_keyring_file, &AgentConfig::keyring_file);
  take(FLAGS_agent_log_level, &AgentConfig::log_level);
  take(FLAGS_agent_mdns_disable_ipv4, &AgentConfig::mdns_disable_ipv4);
  take(FLAGS_agent_mdns_disable_ipv6, &AgentConfig::mdns_disable_ipv6);
  take(FLAGS_agent_mdns_iface, &AgentConfig::mdns_interface);
  take(FLAGS_agent_node, &AgentConfig::node_name);
  take(FLAGS_agent_profile, &AgentConfig::profile);
  take(std::max<std::int64_t>(FLAGS_agent_protocol, 0), &AgentConfig::protocol);
  take(FLAGS_agent_rejoin, &AgentConfig::rejoin_after_leave);
  take(FLAGS_agent_replay, &AgentConfig::replay_on_join);
  take(FLAGS_agent_retry_max, &AgentConfig::retry_max_attempts);
  take(FLAGS_agent_role, &AgentConfig::role);
  take(FLAGS_agent_rpc_addr, &AgentConfig::rpc_addr);
  take(FLAGS_agent_snapshot, &AgentConfig::snapshot_path);
  take(FLAGS_agent_syslog, &AgentConfig::enable_syslog);
  take(FLAGS_agent_tags_file, &AgentConfig::tags_file);
  append(lists.join, &AgentConfig::start_join);
  append(lists.retry_join, &AgentConfig::retry_join);
  append(lists.event_handler, &AgentConfig::event_handlers);
  absl::StatusOr<Tags> tags = ParseTags(lists.tag);
  if (!tags.ok()) return Invalid(tags.status());
  changes.push_back([tags = *std::move(tags)](AgentConfig& config) {
    for (const auto& [key, value] : tags) config.tags[key] = value;
  });
  const std::pair<const std::string&, Duration AgentConfig::*> durations[] = {
      {FLAGS_agent_retry_interval, &AgentConfig::retry_interval},
      {FLAGS_agent_broadcast_timeout, &AgentConfig::broadcast_timeout}};
  for (const auto& [text, member] : durations) {
    if (text.empty()) continue;
    const absl::StatusOr<Duration> duration = ParseDuration(text);
    if (!duration.ok()) return Invalid(duration.status());
    take(*duration, member);
  }
  // Said either way, it outweighs the files.
  if (!gflags::GetCommandLineFlagInfoOrDie("agent_disable_compression").is_default) {
    changes.push_back([enable = !FLAGS_agent_disable_compression](AgentConfig& config) {
      config.enable_compression = enable;
    });
  }
  return changes;
}

// Defaults, then the files, then the flags.
absl::StatusOr<AgentConfig> LoadConfig(const std::vector<std::string>& files,
                                       const std::vector<ConfigChange>& flags, Duration wait_max) {
  AgentConfig config;
  for (const std::string& path : files) {
    absl::Status read = ReadConfigPath(path, config, wait_max);
    if (!read.ok()) return read;
  }
  for (const ConfigChange& change : flags) change(config);
  return config;
}

int Run(std::span<const std::string> args) {
  Lists lists;
  const absl::StatusOr<std::vector<std::string>> words = ParseFlags(Flags(lists), args);
  if (!words.ok()) return FlagError(kAgentCommand, words.status(), "==> ");
  Terminal terminal;
  absl::StatusOr<std::vector<ConfigChange>> changes = FlagChanges(lists);
  if (!changes.ok()) {
    terminal.Output(absl::string_view(changes.status().message()));
    return kExitFailure;
  }
  return RunAgent([files = std::move(lists.config), flags = *std::move(changes)](
                      Duration wait_max) { return LoadConfig(files, flags, wait_max); },
                  terminal);
}

constexpr char kHelp[] =
    R"(Usage: serf agent [options]

  Runs an agent, which makes this host a node of a cluster, until it is
  interrupted. Each node needs an agent of its own.

Network:

  -bind=0.0.0.0:7946       Address for gossip, TCP and UDP. IPv6 addresses stand
                           in brackets, "[::1]" or "[::1]:7946". The port is
                           7946 if none is given.
  -iface=eth0              Bind to an address of this network interface. With
                           -bind, check that the address is one of them.
  -advertise=10.0.0.1      Address that others are told, if it is not the bound
                           one; the port is the bound one if none is given.
  -rpc-addr=127.0.0.1:7373 Address on which the other commands reach the agent.
                           unix:/path is a Unix domain socket.
  -encrypt=KEY             Encrypt all gossip with this key in base64 (see
                           "serf keygen"). All nodes need the same one.
  -keyring-file=PATH       Read the keys from this file, a list in JSON; the first
                           one encrypts. Not with -encrypt.
  -disable-compression     Do not compress gossip.

Node:

  -node=NAME               Unique name of the node. Default: the host name.
  -tag key=value           A tag that other nodes see. May be repeated.
  -tags-file=PATH          Keep the tags in this file, also those that "serf
                           tags" sets. Not with -tag.
  -role=web                Deprecated: the same as "-tag role=web".
  -protocol=5              Serf protocol to speak, 2 to 5, for a cluster with
                           older nodes.
  -profile=lan             Timing: "lan", "wan" or "local".
  -broadcast-timeout=5s    How long leaving and changes of tags may take.

Joining:

  -join=ADDRESS            Join the cluster of this node before anything else,
                           and fail if that is impossible. May be repeated: one
                           answer is enough.
  -retry-join=ADDRESS      The same in the background, again and again until it
                           succeeds. May be repeated.
  -retry-interval=30s      Time between two attempts of -retry-join.
  -retry-max=0             Attempts of -retry-join after the first, then the
                           agent ends. Zero: no limit.
  -discover=NAME           Find the agents of this cluster on the link by multicast
                           DNS, and join them.
  -mdns-iface=eth0         Network interface of multicast DNS, if it is not that
                           of -iface.
  -mdns-disable-ipv4, -mdns-disable-ipv6
                           Multicast DNS without one of the two.
  -snapshot=PATH           Remember members and clocks in this file: after a
                           restart the agent joins them again by itself, and is
                           not told of events that it knows.
  -rejoin                  With -snapshot: join again also after a leave.
  -replay                  Also receive user events from before the join.

Events:

  -event-handler=SPEC      Run a command for events: "COMMAND" for all of them,
                           "FILTER=COMMAND" for some, as in
                           "member-join,user:deploy=./handler.sh". May be
                           repeated.

Other:

  -config-file=PATH        Read settings from this file, an object in JSON. Flags
                           outweigh it. May be repeated: later files outweigh
                           earlier ones.
  -config-dir=PATH         The same with all "*.json" of a folder, in the order of
                           their names.
  -log-level=info          What is logged: "trace", "debug", "info", "warn" or
                           "err" and above.
  -syslog                  Copy the log to the system's log daemon.

Signals:

  SIGINT                   Leave the cluster, then end.
  SIGTERM                  End at once; the others see the node fail.
  SIGHUP                   Read the configuration files again: log level, event
                           handlers, tags, and what the signals do.
  SIGUSR1                  Write metrics to standard error.)";

}  // namespace

constinit const Command kAgentCommand = {
    .name = "agent",
    .synopsis = "Runs a Serf agent",
    .help = kHelp,
    .run = Run,
};

}  // namespace serf::cmd
