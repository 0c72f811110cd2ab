#ifndef SERF_CMD_COMMANDS_LEAVE_COMMAND_H_
#define SERF_CMD_COMMANDS_LEAVE_COMMAND_H_

// `serf leave`. Source: spec/agent.md 4.9.

#include "serf/cmd/command.h"

namespace serf::cmd {

// Tells an agent to leave its cluster and to end.
extern const Command kLeaveCommand;

}  // namespace serf::cmd

#endif  // SERF_CMD_COMMANDS_LEAVE_COMMAND_H_
