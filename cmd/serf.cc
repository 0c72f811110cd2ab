// main() of `serf`, all commands in one program.

#include <string>
#include <vector>

#include "serf/cmd/command.h"
#include "serf/cmd/command_line.h"
#include "serf/cmd/commands/event_command.h"
#include "serf/cmd/commands/force_leave_command.h"
#include "serf/cmd/commands/info_command.h"
#include "serf/cmd/commands/join_command.h"
#include "serf/cmd/commands/keygen_command.h"
#include "serf/cmd/commands/keys_command.h"
#include "serf/cmd/commands/leave_command.h"
#include "serf/cmd/commands/members_command.h"
#include "serf/cmd/commands/monitor_command.h"
#include "serf/cmd/commands/query_command.h"
#include "serf/cmd/commands/reachability_command.h"
#include "serf/cmd/commands/rtt_command.h"
#include "serf/cmd/commands/tags_command.h"
#include "serf/cmd/commands/version_command.h"
#include "serf/cmd/daemon/agent_command.h"

int main(int argc, char** argv) {
  using namespace serf::cmd;
  const std::vector<std::string> args = StartProcess(argc, argv);
  // By name, as the general help lists them.
  const Command* const commands[] = {&kAgentCommand,   &kEventCommand, &kForceLeaveCommand,
                                     &kInfoCommand,    &kJoinCommand,  &kKeygenCommand,
                                     &kKeysCommand,    &kLeaveCommand, &kMembersCommand,
                                     &kMonitorCommand, &kQueryCommand, &kReachabilityCommand,
                                     &kRttCommand,     &kTagsCommand,  &kVersionCommand};
  return RunCommandLine(commands, args);
}
