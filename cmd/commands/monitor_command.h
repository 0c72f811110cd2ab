#ifndef SERF_CMD_COMMANDS_MONITOR_COMMAND_H_
#define SERF_CMD_COMMANDS_MONITOR_COMMAND_H_

// `serf monitor`. Source: spec/agent.md 4.11.

#include "serf/cmd/command.h"

namespace serf::cmd {

// Shows log lines and events of an agent as they come, until interrupted.
extern const Command kMonitorCommand;

}  // namespace serf::cmd

#endif  // SERF_CMD_COMMANDS_MONITOR_COMMAND_H_
