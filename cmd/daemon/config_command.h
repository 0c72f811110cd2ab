#ifndef SERF_CMD_DAEMON_CONFIG_COMMAND_H_
#define SERF_CMD_DAEMON_CONFIG_COMMAND_H_

#include "serf/cmd/command.h"

namespace serf::cmd {

// `serf config`. Checks configuration files and shows what is in force, without an agent. Go Serf
// has no such command.
extern const Command kConfigCommand;

}  // namespace serf::cmd

#endif  // SERF_CMD_DAEMON_CONFIG_COMMAND_H_
