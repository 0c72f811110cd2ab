#ifndef SERF_CMD_COMMANDS_FORCE_LEAVE_COMMAND_H_
#define SERF_CMD_COMMANDS_FORCE_LEAVE_COMMAND_H_

// `serf force-leave`. Source: spec/agent.md 4.4.

#include "serf/cmd/command.h"

namespace serf::cmd {

// Turns a failed member into one that left.
extern const Command kForceLeaveCommand;

}  // namespace serf::cmd

#endif  // SERF_CMD_COMMANDS_FORCE_LEAVE_COMMAND_H_
