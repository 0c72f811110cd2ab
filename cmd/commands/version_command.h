#ifndef SERF_CMD_COMMANDS_VERSION_COMMAND_H_
#define SERF_CMD_COMMANDS_VERSION_COMMAND_H_

// `serf version`. Source: spec/agent.md 4.16.

#include "serf/cmd/command.h"

namespace serf::cmd {

// Scripts read the second line: "Agent Protocol: 5 (Understands back to: 2)". Takes no flags.
extern const Command kVersionCommand;

}  // namespace serf::cmd

#endif  // SERF_CMD_COMMANDS_VERSION_COMMAND_H_
