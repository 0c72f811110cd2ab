#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "gflags/gflags.h"
#include "serf/cmd/command.h"
#include "serf/cmd/commands/client_flags.h"
#include "serf/cmd/commands/commands.h"
#include "serf/cmd/flags.h"
#include "serf/rpc/client.h"
#include "serf/rpc/service.h"

DEFINE_bool(join_replay, false, "receive user events from before the join");

namespace serf::cmd {
namespace {

int Run(std::span<const std::string> args) {
  const std::vector<Flag> flags = WithClientFlags({{.name = "replay", .gflag = "join_replay"}});
  const absl::StatusOr<std::vector<std::string>> addresses = ParseFlags(flags, args);
  if (!addresses.ok()) return FlagError(kJoinCommand, addresses.status());
  if (addresses->empty()) {
    return UsageError(kJoinCommand, "At least one address to join must be specified.");
  }
  rpc::Client client(ClientOptionsFromFlags());
  if (!ConnectToAgent(client)) return kExitFailure;
  const JoinResult result = client.Join(*addresses, {.replay = FLAGS_join_replay});
  if (!result.status.ok()) {
    Print(absl::StrCat("Error joining the cluster: ", absl::string_view(result.status.message()),
                       "\n"));
    return kExitFailure;
  }
  Print(absl::StrCat("Successfully joined cluster by contacting ", result.contacted, " nodes.\n"));
  // The errors do not go to standard output, which scripts compare.
  for (const std::string& failure : result.errors) {
    PrintError(absl::StrCat(EscapeForTerminal(failure), "\n"));
  }
  return kExitSuccess;
}

constexpr char kHelp[] =
    R"(Usage: serf join [options] address ...

  Tells the agent to join the cluster of the nodes at these addresses. It is
  enough if one of them answers.

Options:

  -replay                  Also receive user events from before the join.
  -rpc-addr=127.0.0.1:7373 Address of the agent. Default: SERF_RPC_ADDR.
  -rpc-auth=KEY            Key of the agent. Default: SERF_RPC_AUTH.)";

}  // namespace

constinit const Command kJoinCommand = {
    .name = "join", .synopsis = "Tell Serf agent to join cluster", .help = kHelp, .run = Run};

}  // namespace serf::cmd
