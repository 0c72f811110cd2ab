#ifndef SERF_CMD_COMMANDS_COMMANDS_H_
#define SERF_CMD_COMMANDS_COMMANDS_H_

// The commands that ask a running agent, and keygen and version, which need none. `serf agent` is
// in cmd/daemon/. Each command has a file of its own: kJoinCommand is in join_command.cc.

#include "serf/cmd/command.h"

namespace serf::cmd {

// `serf event`. Sends a user event through the cluster. Source: docs/protocol/agent.md 4.3.
extern const Command kEventCommand;

// `serf force-leave`. Turns a failed member into one that left. Source: docs/protocol/agent.md 4.4.
extern const Command kForceLeaveCommand;

// `serf info`. Shows an agent's own figures. Source: docs/protocol/agent.md 4.5.
extern const Command kInfoCommand;

// `serf join`. Makes an agent join the cluster of other nodes. Source: docs/protocol/agent.md 4.6.
extern const Command kJoinCommand;

// `serf keygen`. Prints 32 random bytes in base64. Takes no flags; words are ignored. Source:
// docs/protocol/agent.md 4.7.
extern const Command kKeygenCommand;

// `serf keys`. Installs, uses, removes or lists the keys of all nodes. Source:
// docs/protocol/agent.md 4.8.
extern const Command kKeysCommand;

// `serf leave`. Makes an agent leave its cluster and end. Source: docs/protocol/agent.md 4.9.
extern const Command kLeaveCommand;

// `serf members`. Lists the members that an agent knows, as a table or as JSON. Source:
// docs/protocol/agent.md 4.10.
extern const Command kMembersCommand;

// `serf monitor`. Shows log lines and events of an agent as they come, until interrupted. Source:
// docs/protocol/agent.md 4.11.
extern const Command kMonitorCommand;

// `serf query`. Asks the cluster, and prints the nodes' answers. Source: docs/protocol/agent.md
// 4.12.
extern const Command kQueryCommand;

// `serf reachability`. Asks all members for an acknowledgement, and names likely reasons if some
// send none. Source: docs/protocol/agent.md 4.13.
extern const Command kReachabilityCommand;

// `serf rtt`. Estimates the round trip time between two nodes. Source: docs/protocol/agent.md 4.14.
extern const Command kRttCommand;

// `serf sd`. Writes the members for service discovery by other programs. Go Serf has no such
// command.
extern const Command kSdCommand;

// `serf tags`. Changes the tags of a running agent. Source: docs/protocol/agent.md 4.15.
extern const Command kTagsCommand;

// `serf version`. Scripts read the second line: "Agent Protocol: 5 (Understands back to: 2)". Takes
// no flags. Source: docs/protocol/agent.md 4.16.
extern const Command kVersionCommand;

}  // namespace serf::cmd

#endif  // SERF_CMD_COMMANDS_COMMANDS_H_
