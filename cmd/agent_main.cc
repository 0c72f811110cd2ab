// main() of the small binary that is `serf agent` alone.

#include "serf/cmd/command_line.h"
#include "serf/cmd/daemon/agent_command.h"

int main(int argc, char** argv) {
  return serf::cmd::RunSingleCommand(serf::cmd::kAgentCommand, serf::cmd::StartProcess(argc, argv));
}
