#include "serf/cmd/agent_command.h"

#include <span>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "gflags/gflags.h"
#include "serf/cmd/agent.h"
#include "serf/cmd/agent_config.h"
#include "serf/cmd/command.h"
#include "serf/cmd/duration.h"
#include "serf/cmd/flags.h"
#include "serf/cmd/tag_flag.h"
#include "serf/cmd/terminal.h"

DEFINE_string(agent_advertise, "", "address told to others; empty: what is bound");
DEFINE_string(agent_bind, "0.0.0.0", "address of gossip, TCP and UDP");
DEFINE_string(agent_broadcast_timeout, "5s", "most that leaving and other broadcasts may take");
DEFINE_bool(agent_disable_compression, false, "send gossip as it is");
DEFINE_string(agent_encrypt, "", "key in base64");
DEFINE_string(agent_iface, "", "network interface to bind to");
DEFINE_string(agent_log_level, "INFO", "trace, debug, info, warn or err");
DEFINE_string(agent_node, "", "unique name of the node; empty: the host name");
DEFINE_string(agent_profile, "lan", "lan, wan or local");
DEFINE_int64(agent_protocol, 5, "Serf protocol to speak; zero and below: the default");
DEFINE_bool(agent_replay, false, "replay old user events when joining");
DEFINE_string(agent_retry_interval, "30s", "between two attempts of -retry-join");
DEFINE_int64(agent_retry_max, 0, "attempts after the first of -retry-join; zero: no limit");
DEFINE_string(agent_role, "", "deprecated: the tag \"role\"");
DEFINE_string(agent_rpc_addr, "127.0.0.1:7373", "address of RPC");

namespace serf::cmd {
namespace {

struct Lists {
  std::vector<std::string> join;
  std::vector<std::string> retry_join;
  std::vector<std::string> tag;
};

std::vector<Flag> Flags(Lists& lists) {
  return {
      {.name = "advertise", .gflag = "agent_advertise"},
      {.name = "bind", .gflag = "agent_bind"},
      {.name = "broadcast-timeout", .gflag = "agent_broadcast_timeout"},
      {.name = "config-dir"},
      {.name = "config-file"},
      {.name = "disable-compression", .gflag = "agent_disable_compression"},
      {.name = "discover"},
      {.name = "encrypt", .gflag = "agent_encrypt"},
      {.name = "event-handler"},
      {.name = "iface", .gflag = "agent_iface"},
      {.name = "join", .list = &lists.join},
      {.name = "keyring-file"},
      {.name = "log-level", .gflag = "agent_log_level"},
      {.name = "mdns-disable-ipv4"},
      {.name = "mdns-disable-ipv6"},
      {.name = "mdns-iface"},
      {.name = "node", .gflag = "agent_node"},
      {.name = "profile", .gflag = "agent_profile"},
      {.name = "protocol", .gflag = "agent_protocol"},
      {.name = "rejoin"},
      {.name = "replay", .gflag = "agent_replay"},
      {.name = "retry-interval", .gflag = "agent_retry_interval"},
      {.name = "retry-join", .list = &lists.retry_join},
      {.name = "retry-max", .gflag = "agent_retry_max"},
      {.name = "role", .gflag = "agent_role"},
      {.name = "rpc-addr", .gflag = "agent_rpc_addr"},
      {.name = "snapshot"},
      {.name = "syslog"},
      {.name = "tag", .list = &lists.tag},
      {.name = "tags-file"},
  };
}

// The configuration that the flags describe. An empty or zero value leaves the default, as in the
// original, where flags are merged over defaults.
absl::StatusOr<AgentConfig> ConfigFromFlags(Lists lists) {
  AgentConfig config;
  const auto take = [](const std::string& value, std::string& into) {
    if (!value.empty()) into = value;
  };
  take(FLAGS_agent_advertise, config.advertise);
  take(FLAGS_agent_bind, config.bind);
  take(FLAGS_agent_encrypt, config.encrypt_key);
  take(FLAGS_agent_iface, config.interface);
  take(FLAGS_agent_log_level, config.log_level);
  take(FLAGS_agent_node, config.node_name);
  take(FLAGS_agent_profile, config.profile);
  take(FLAGS_agent_role, config.role);
  take(FLAGS_agent_rpc_addr, config.rpc_addr);
  config.enable_compression = !FLAGS_agent_disable_compression;
  config.replay_on_join = FLAGS_agent_replay;
  config.retry_max_attempts = FLAGS_agent_retry_max;
  if (FLAGS_agent_protocol > 0) config.protocol = FLAGS_agent_protocol;
  config.start_join = std::move(lists.join);
  config.retry_join = std::move(lists.retry_join);

  absl::StatusOr<Tags> tags = ParseTags(lists.tag);
  if (!tags.ok()) return tags.status();
  config.tags = *std::move(tags);
  const absl::StatusOr<Duration> retry_interval = ParseDuration(FLAGS_agent_retry_interval);
  if (!retry_interval.ok()) return retry_interval.status();
  if (*retry_interval != Duration::zero()) config.retry_interval = *retry_interval;
  const absl::StatusOr<Duration> broadcast_timeout = ParseDuration(FLAGS_agent_broadcast_timeout);
  if (!broadcast_timeout.ok()) return broadcast_timeout.status();
  if (*broadcast_timeout != Duration::zero()) config.broadcast_timeout = *broadcast_timeout;
  return config;
}

int Run(std::span<const std::string> args) {
  Lists lists;
  const absl::StatusOr<std::vector<std::string>> words = ParseFlags(Flags(lists), args);
  if (!words.ok()) return FlagError(kAgentCommand, words.status(), "==> ");
  Terminal terminal;
  absl::StatusOr<AgentConfig> config = ConfigFromFlags(std::move(lists));
  if (!config.ok()) {
    terminal.Output(absl::StrCat("Error: ", absl::string_view(config.status().message())));
    return kExitFailure;
  }
  return RunAgent(*std::move(config), terminal);
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
  -encrypt=KEY             Encrypt all gossip with this key in base64 (see
                           "serf keygen"). All nodes need the same one.
  -disable-compression     Do not compress gossip.

Node:

  -node=NAME               Unique name of the node. Default: the host name.
  -tag key=value           A tag that other nodes see. May be repeated.
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
  -replay                  Also receive user events from before the join.

Other:

  -log-level=info          What is logged: "trace", "debug", "info", "warn" or
                           "err" and above.

Signals:

  SIGINT                   Leave the cluster, then end.
  SIGTERM                  End at once; the others see the node fail.)";

}  // namespace

constinit const Command kAgentCommand = {
    .name = "agent",
    .synopsis = "Runs a Serf agent",
    .help = kHelp,
    .run = Run,
};

}  // namespace serf::cmd
