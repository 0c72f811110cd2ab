// main() of `serf`, all commands in one program.

#include <string>
#include <vector>

#include "serf/cmd/command.h"
#include "serf/cmd/command_line.h"
#include "serf/cmd/commands/commands.h"
#include "serf/cmd/daemon/agent_command.h"
#include "serf/cmd/daemon/config_command.h"

int main(int argc, char** argv) {
  using namespace serf::cmd;
  const std::vector<std::string> args = StartProcess(argc, argv);
  // By name, as the general help lists them.
  const Command* const commands[] = {&kAgentCommand,        &kConfigCommand,  &kEventCommand,
                                     &kForceLeaveCommand,   &kInfoCommand,    &kJoinCommand,
                                     &kKeygenCommand,       &kKeysCommand,    &kLeaveCommand,
                                     &kMembersCommand,      &kMonitorCommand, &kQueryCommand,
                                     &kReachabilityCommand, &kRttCommand,     &kSdCommand,
                                     &kTagsCommand,         &kVersionCommand};
  return RunCommandLine(commands, args);
}
