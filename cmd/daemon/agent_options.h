#ifndef SERF_CMD_DAEMON_AGENT_OPTIONS_H_
#define SERF_CMD_DAEMON_AGENT_OPTIONS_H_

// The options of `serf agent`: one row for each. The flags, the files, the help and the check of
// docs/agent-options.md are made from the rows. A new option needs a member of AgentConfig, a row
// here and a row in that page. Settings of the layers below have their own table (agent_tuning.h).
// Source: docs/protocol/agent.md 2.3 and 2.4.

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "absl/strings/string_view.h"
#include "serf/base/time.h"
#include "serf/cmd/daemon/agent_config.h"
#include "serf/cmd/http/settings.h"
#include "serf/tags.h"

namespace serf::cmd {

struct AgentOption {
  // The destination of the value. The flag takes a text for a duration, and is repeatable for a
  // list and for tags ("KEY=VALUE"). None: a list of files to read, in the order of the command
  // line.
  using Field = std::variant<
      std::monostate, std::string AgentConfig::*, bool AgentConfig::*, std::int64_t AgentConfig::*,
      Duration AgentConfig::*, std::vector<std::string> AgentConfig::*, Tags AgentConfig::*,
      std::optional<bool> AgentConfig::*, std::optional<std::vector<std::string>> AgentConfig::*,
      std::vector<HttpTokenOption> AgentConfig::*>;
  // The last two have no flags, and a later value replaces an earlier one.
  // A paragraph of the help.
  enum class Section : std::uint8_t { kNone, kNetwork, kNode, kJoining, kEvents, kOther };

  Field field;
  absl::string_view key;   // in files, "node_name"; "mdns.interface" is within an object; or empty
  absl::string_view flag;  // without its dash, "node"; or empty
  Section section = Section::kNone;
  absl::string_view argument;  // the help shows it after the flag, "=NAME"
  absl::string_view help;      // lines of at most 53 bytes; empty: as in the row before
  // For a number: only values above zero count; otherwise all values but zero count.
  bool positive = false;
  // For a number: a start refuses values below zero.
  bool not_negative = false;
  // Nobody is shown the value.
  bool secret = false;
};

// In the order of the help within a section. If several durations are wrong, the error names the
// first, as in Go Serf.
inline constexpr auto kAgentOptions = std::to_array<AgentOption>({
    // --- network ---
    {.field = &AgentConfig::bind,
     .key = "bind",
     .flag = "bind",
     .section = AgentOption::Section::kNetwork,
     .argument = "=0.0.0.0:7946",
     .help = "Address for gossip, TCP and UDP. IPv6 addresses stand\n"
             "in brackets, \"[::1]\" or \"[::1]:7946\". The port is\n"
             "7946 if none is given."},
    {.field = &AgentConfig::interface,
     .key = "interface",
     .flag = "iface",
     .section = AgentOption::Section::kNetwork,
     .argument = "=eth0",
     .help = "Bind to an address of this network interface. With\n"
             "-bind, check that the address is one of them."},
    {.field = &AgentConfig::advertise,
     .key = "advertise",
     .flag = "advertise",
     .section = AgentOption::Section::kNetwork,
     .argument = "=10.0.0.1",
     .help = "Address that others are told, if it is not the bound\n"
             "one; the port is the bound one if none is given."},
    {.field = &AgentConfig::rpc_addr,
     .key = "rpc_addr",
     .flag = "rpc-addr",
     .section = AgentOption::Section::kNetwork,
     .argument = "=127.0.0.1:7373",
     .help = "Address on which the other commands reach the agent.\n"
             "unix:/path is a Unix domain socket."},
    {.field = &AgentConfig::rpc_auth, .key = "rpc_auth", .secret = true},
    // Additions of this project, up to http_tokens.
    {.field = &AgentConfig::http_addr,
     .key = "http_addr",
     .flag = "http-addr",
     .section = AgentOption::Section::kNetwork,
     .argument = "=127.0.0.1:7380",
     .help = "Answer HTTP here: metrics for Prometheus, and probes.\n"
             "unix:/path is a Unix domain socket. Default: no HTTP."},
    {.field = &AgentConfig::http_allowed_hosts, .key = "http_allowed_hosts"},
    {.field = &AgentConfig::http_anonymous, .key = "http_anonymous"},
    {.field = &AgentConfig::http_socket_mode, .key = "http_socket_mode"},
    {.field = &AgentConfig::http_tokens, .key = "http_tokens"},
    {.field = &AgentConfig::encrypt_key,
     .key = "encrypt_key",
     .flag = "encrypt",
     .section = AgentOption::Section::kNetwork,
     .argument = "=KEY",
     .help = "Encrypt all gossip with this key in base64 (see\n"
             "\"serf keygen\"). All nodes need the same one.",
     .secret = true},
    {.field = &AgentConfig::keyring_file,
     .key = "keyring_file",
     .flag = "keyring-file",
     .section = AgentOption::Section::kNetwork,
     .argument = "=PATH",
     .help = "Read the keys from this file, a list in JSON; the first\n"
             "one encrypts. Not with -encrypt."},
    // The flag means the opposite of the key, and overrides it with either value.
    {.field = &AgentConfig::enable_compression,
     .key = "enable_compression",
     .flag = "disable-compression",
     .section = AgentOption::Section::kNetwork,
     .help = "Do not compress gossip."},

    // --- node ---
    {.field = &AgentConfig::node_name,
     .key = "node_name",
     .flag = "node",
     .section = AgentOption::Section::kNode,
     .argument = "=NAME",
     .help = "Unique name of the node. Default: the host name."},
    {.field = &AgentConfig::tags,
     .key = "tags",
     .flag = "tag",
     .section = AgentOption::Section::kNode,
     .argument = " key=value",
     .help = "A tag that other nodes see. May be repeated."},
    {.field = &AgentConfig::tags_file,
     .key = "tags_file",
     .flag = "tags-file",
     .section = AgentOption::Section::kNode,
     .argument = "=PATH",
     .help = "Keep the tags in this file, also those that \"serf\n"
             "tags\" sets. Not with -tag."},
    {.field = &AgentConfig::role,
     .key = "role",
     .flag = "role",
     .section = AgentOption::Section::kNode,
     .argument = "=web",
     .help = "Deprecated: the same as \"-tag role=web\"."},
    {.field = &AgentConfig::protocol,
     .key = "protocol",
     .flag = "protocol",
     .section = AgentOption::Section::kNode,
     .argument = "=5",
     .help = "Serf protocol to speak, 2 to 5, for a cluster with\n"
             "older nodes.",
     .positive = true},
    {.field = &AgentConfig::profile,
     .key = "profile",
     .flag = "profile",
     .section = AgentOption::Section::kNode,
     .argument = "=lan",
     .help = "Timing: \"lan\", \"wan\" or \"local\"."},
    {.field = &AgentConfig::disable_coordinates, .key = "disable_coordinates"},
    {.field = &AgentConfig::disable_name_resolution, .key = "disable_name_resolution"},
    {.field = &AgentConfig::validate_node_names, .key = "validate_node_names"},
    {.field = &AgentConfig::leave_on_terminate, .key = "leave_on_terminate"},
    {.field = &AgentConfig::skip_leave_on_interrupt, .key = "skip_leave_on_interrupt"},
    {.field = &AgentConfig::user_event_size_limit,
     .key = "user_event_size_limit",
     .not_negative = true},
    {.field = &AgentConfig::query_size_limit, .key = "query_size_limit", .not_negative = true},
    {.field = &AgentConfig::query_response_size_limit,
     .key = "query_response_size_limit",
     .not_negative = true},
    {.field = &AgentConfig::reconnect_interval, .key = "reconnect_interval"},
    {.field = &AgentConfig::reconnect_timeout, .key = "reconnect_timeout"},
    {.field = &AgentConfig::tombstone_timeout, .key = "tombstone_timeout"},

    // --- joining ---
    {.field = &AgentConfig::start_join,
     .key = "start_join",
     .flag = "join",
     .section = AgentOption::Section::kJoining,
     .argument = "=ADDRESS",
     .help = "Join the cluster of this node before anything else,\n"
             "and fail if that is impossible. May be repeated: one\n"
             "answer is enough."},
    {.field = &AgentConfig::retry_join,
     .key = "retry_join",
     .flag = "retry-join",
     .section = AgentOption::Section::kJoining,
     .argument = "=ADDRESS",
     .help = "The same in the background, again and again until it\n"
             "succeeds. May be repeated."},
    {.field = &AgentConfig::retry_interval,
     .key = "retry_interval",
     .flag = "retry-interval",
     .section = AgentOption::Section::kJoining,
     .argument = "=30s",
     .help = "Time between two attempts of -retry-join."},
    // It stands here because Go Serf reports its error after that of the row above.
    {.field = &AgentConfig::broadcast_timeout,
     .key = "broadcast_timeout",
     .flag = "broadcast-timeout",
     .section = AgentOption::Section::kNode,
     .argument = "=5s",
     .help = "How long leaving and changes of tags may take."},
    // An addition of this project.
    {.field = &AgentConfig::retry_interval_max, .key = "retry_interval_max"},
    {.field = &AgentConfig::retry_max_attempts,
     .key = "retry_max_attempts",
     .flag = "retry-max",
     .section = AgentOption::Section::kJoining,
     .argument = "=0",
     .help = "Attempts of -retry-join after the first, then the\n"
             "agent ends. Zero: no limit."},
    {.field = &AgentConfig::discover,
     .key = "discover",
     .flag = "discover",
     .section = AgentOption::Section::kJoining,
     .argument = "=NAME",
     .help = "Find the agents of this cluster on the link by multicast\n"
             "DNS, and join them."},
    {.field = &AgentConfig::mdns_interface,
     .key = "mdns.interface",
     .flag = "mdns-iface",
     .section = AgentOption::Section::kJoining,
     .argument = "=eth0",
     .help = "Network interface of multicast DNS, if it is not that\n"
             "of -iface."},
    {.field = &AgentConfig::mdns_disable_ipv4,
     .key = "mdns.disable_ipv4",
     .flag = "mdns-disable-ipv4",
     .section = AgentOption::Section::kJoining,
     .argument = ", -mdns-disable-ipv6",
     .help = "Multicast DNS without one of the two."},
    {.field = &AgentConfig::mdns_disable_ipv6,
     .key = "mdns.disable_ipv6",
     .flag = "mdns-disable-ipv6"},
    {.field = &AgentConfig::snapshot_path,
     .key = "snapshot_path",
     .flag = "snapshot",
     .section = AgentOption::Section::kJoining,
     .argument = "=PATH",
     .help = "Remember members and clocks in this file: after a\n"
             "restart the agent joins them again by itself, and is\n"
             "not told of events that it knows."},
    {.field = &AgentConfig::rejoin_after_leave,
     .key = "rejoin_after_leave",
     .flag = "rejoin",
     .section = AgentOption::Section::kJoining,
     .help = "With -snapshot: join again also after a leave."},
    {.field = &AgentConfig::replay_on_join,
     .key = "replay_on_join",
     .flag = "replay",
     .section = AgentOption::Section::kJoining,
     .help = "Also receive user events from before the join."},

    // --- events ---
    {.field = &AgentConfig::event_handlers,
     .key = "event_handlers",
     .flag = "event-handler",
     .section = AgentOption::Section::kEvents,
     .argument = "=SPEC",
     .help = "Run a command for events: \"COMMAND\" for all of them,\n"
             "\"FILTER=COMMAND\" for some, as in\n"
             "\"member-join,user:deploy=./handler.sh\". May be\n"
             "repeated."},
    // An addition of this project.
    {.field = &AgentConfig::event_handlers_parallel, .key = "event_handlers_parallel"},

    // --- other ---
    {.flag = "config-file",
     .section = AgentOption::Section::kOther,
     .argument = "=PATH",
     .help = "Read settings from this file, an object in JSON. Flags\n"
             "outweigh it. May be repeated: later files outweigh\n"
             "earlier ones."},
    {.flag = "config-dir",
     .section = AgentOption::Section::kOther,
     .argument = "=PATH",
     .help = "The same with all \"*.json\" of a folder, in the order of\n"
             "their names."},
    {.field = &AgentConfig::log_level,
     .key = "log_level",
     .flag = "log-level",
     .section = AgentOption::Section::kOther,
     .argument = "=info",
     .help = "What is logged: \"trace\", \"debug\", \"info\", \"warn\" or\n"
             "\"err\" and above."},
    {.field = &AgentConfig::enable_syslog,
     .key = "enable_syslog",
     .flag = "syslog",
     .section = AgentOption::Section::kOther,
     .help = "Copy the log to the system's log daemon."},
    {.field = &AgentConfig::syslog_facility, .key = "syslog_facility"},
    {.field = &AgentConfig::statsite_addr, .key = "statsite_addr"},
    {.field = &AgentConfig::statsd_addr, .key = "statsd_addr"},
});

}  // namespace serf::cmd

#endif  // SERF_CMD_DAEMON_AGENT_OPTIONS_H_
