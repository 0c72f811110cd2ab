#ifndef SERF_CMD_COMMANDS_RTT_COMMAND_H_
#define SERF_CMD_COMMANDS_RTT_COMMAND_H_

// `serf rtt`. Source: spec/agent.md 4.14.

#include "serf/cmd/command.h"

namespace serf::cmd {

// Estimates the round trip time between two nodes.
extern const Command kRttCommand;

}  // namespace serf::cmd

#endif  // SERF_CMD_COMMANDS_RTT_COMMAND_H_
