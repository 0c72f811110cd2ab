#ifndef SERF_CMD_DAEMON_AGENT_COMMAND_H_
#define SERF_CMD_DAEMON_AGENT_COMMAND_H_

// `serf agent`: its flags and help. Source: docs/protocol/agent.md 2.2 and 2.3.

#include "serf/cmd/command.h"

namespace serf::cmd {

// Runs an agent until it leaves, receives a signal to stop, or fails.
extern const Command kAgentCommand;

}  // namespace serf::cmd

#endif  // SERF_CMD_DAEMON_AGENT_COMMAND_H_
