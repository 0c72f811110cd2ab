#ifndef SERF_CMD_COMMANDS_QUERY_COMMAND_H_
#define SERF_CMD_COMMANDS_QUERY_COMMAND_H_

// `serf query`. Source: spec/agent.md 4.12.

#include "serf/cmd/command.h"

namespace serf::cmd {

// Asks the cluster, and prints what the nodes answer.
extern const Command kQueryCommand;

}  // namespace serf::cmd

#endif  // SERF_CMD_COMMANDS_QUERY_COMMAND_H_
