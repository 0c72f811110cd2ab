#ifndef SERF_CMD_COMMANDS_INFO_COMMAND_H_
#define SERF_CMD_COMMANDS_INFO_COMMAND_H_

// `serf info`. Source: spec/agent.md 4.5.

#include "serf/cmd/command.h"

namespace serf::cmd {

// Shows what an agent tells of itself.
extern const Command kInfoCommand;

}  // namespace serf::cmd

#endif  // SERF_CMD_COMMANDS_INFO_COMMAND_H_
