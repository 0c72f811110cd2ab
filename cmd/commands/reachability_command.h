#ifndef SERF_CMD_COMMANDS_REACHABILITY_COMMAND_H_
#define SERF_CMD_COMMANDS_REACHABILITY_COMMAND_H_

// `serf reachability`. Source: spec/agent.md 4.13.

#include "serf/cmd/command.h"

namespace serf::cmd {

// Asks all members for a sign of life, and tells what is wrong if some give none.
extern const Command kReachabilityCommand;

}  // namespace serf::cmd

#endif  // SERF_CMD_COMMANDS_REACHABILITY_COMMAND_H_
