#ifndef SERF_CMD_COMMANDS_KEYS_COMMAND_H_
#define SERF_CMD_COMMANDS_KEYS_COMMAND_H_

// `serf keys`. Source: spec/agent.md 4.8.

#include "serf/cmd/command.h"

namespace serf::cmd {

// Installs, uses, removes or lists the keys of all nodes.
extern const Command kKeysCommand;

}  // namespace serf::cmd

#endif  // SERF_CMD_COMMANDS_KEYS_COMMAND_H_
