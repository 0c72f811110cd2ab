#ifndef SERF_CMD_COMMANDS_KEYGEN_COMMAND_H_
#define SERF_CMD_COMMANDS_KEYGEN_COMMAND_H_

// `serf keygen`. Source: spec/agent.md 4.7.

#include "serf/cmd/command.h"

namespace serf::cmd {

// Prints 32 random bytes in base64. Takes no flags; words are ignored.
extern const Command kKeygenCommand;

}  // namespace serf::cmd

#endif  // SERF_CMD_COMMANDS_KEYGEN_COMMAND_H_
