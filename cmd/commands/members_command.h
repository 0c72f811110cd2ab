#ifndef SERF_CMD_COMMANDS_MEMBERS_COMMAND_H_
#define SERF_CMD_COMMANDS_MEMBERS_COMMAND_H_

// `serf members`. Source: spec/agent.md 4.10.

#include "serf/cmd/command.h"

namespace serf::cmd {

// Lists the members that an agent knows, as a table or as JSON.
extern const Command kMembersCommand;

}  // namespace serf::cmd

#endif  // SERF_CMD_COMMANDS_MEMBERS_COMMAND_H_
