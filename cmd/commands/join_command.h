#ifndef SERF_CMD_COMMANDS_JOIN_COMMAND_H_
#define SERF_CMD_COMMANDS_JOIN_COMMAND_H_

// `serf join`. Source: spec/agent.md 4.6.

#include "serf/cmd/command.h"

namespace serf::cmd {

// Tells an agent to join the cluster of other nodes.
extern const Command kJoinCommand;

}  // namespace serf::cmd

#endif  // SERF_CMD_COMMANDS_JOIN_COMMAND_H_
