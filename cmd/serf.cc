// main() of `serf`, all commands in one program.

#include <string>
#include <vector>

#include "serf/cmd/agent_command.h"
#include "serf/cmd/command.h"
#include "serf/cmd/command_line.h"
#include "serf/cmd/event_command.h"
#include "serf/cmd/force_leave_command.h"
#include "serf/cmd/info_command.h"
#include "serf/cmd/join_command.h"
#include "serf/cmd/keygen_command.h"
#include "serf/cmd/keys_command.h"
#include "serf/cmd/leave_command.h"
#include "serf/cmd/members_command.h"
#include "serf/cmd/monitor_command.h"
#include "serf/cmd/query_command.h"
#include "serf/cmd/reachability_command.h"
#include "serf/cmd/rtt_command.h"
#include "serf/cmd/tags_command.h"
#include "serf/cmd/version_command.h"

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
