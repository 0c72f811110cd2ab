#ifndef SERF_CMD_COMMANDS_TAGS_COMMAND_H_
#define SERF_CMD_COMMANDS_TAGS_COMMAND_H_

// `serf tags`. Source: spec/agent.md 4.15.

#include "serf/cmd/command.h"

namespace serf::cmd {

// Changes the tags of a running agent.
extern const Command kTagsCommand;

}  // namespace serf::cmd

#endif  // SERF_CMD_COMMANDS_TAGS_COMMAND_H_
