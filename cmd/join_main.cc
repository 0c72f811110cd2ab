// main() of the small binary that is `serf join` alone.

#include "serf/cmd/command_line.h"
#include "serf/cmd/commands/commands.h"

int main(int argc, char** argv) {
  return serf::cmd::RunSingleCommand(serf::cmd::kJoinCommand, serf::cmd::StartProcess(argc, argv));
}
