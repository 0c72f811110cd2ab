// main() of the small binary that is `serf agent` alone.

#include "serf/cmd/agent_command.h"
#include "serf/cmd/command_line.h"

int main(int argc, char** argv) {
  return serf::cmd::RunSingleCommand(serf::cmd::kAgentCommand, serf::cmd::StartProcess(argc, argv));
}
