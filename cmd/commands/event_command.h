#ifndef SERF_CMD_COMMANDS_EVENT_COMMAND_H_
#define SERF_CMD_COMMANDS_EVENT_COMMAND_H_

// `serf event`. Source: spec/agent.md 4.3.

#include "serf/cmd/command.h"

namespace serf::cmd {

// Sends a user event through the cluster.
extern const Command kEventCommand;

}  // namespace serf::cmd

#endif  // SERF_CMD_COMMANDS_EVENT_COMMAND_H_
