#include "serf/cmd/force_leave_command.h"

#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "gflags/gflags.h"
#include "serf/cmd/client_flags.h"
#include "serf/cmd/command.h"
#include "serf/cmd/flags.h"
#include "serf/rpc/client.h"

DEFINE_bool(force_leave_prune, false, "also forget the member");

namespace serf::cmd {
namespace {

int Run(std::span<const std::string> args) {
  const std::vector<Flag> flags =
      WithClientFlags({{.name = "prune", .gflag = "force_leave_prune"}});
  const absl::StatusOr<std::vector<std::string>> names = ParseFlags(flags, args);
  if (!names.ok()) return FlagError(kForceLeaveCommand, names.status());
  if (names->size() != 1) {
    return UsageError(kForceLeaveCommand, "A node name must be specified to force leave.");
  }
  rpc::Client client(ClientOptionsFromFlags());
  if (!ConnectToAgent(client)) return kExitFailure;
  const absl::Status done = client.ForceLeave(names->front(), FLAGS_force_leave_prune);
  if (done.ok()) return kExitSuccess;
  Print(absl::StrCat("Error force leaving: ", absl::string_view(done.message()), "\n"));
  return kExitFailure;
}

constexpr char kHelp[] =
    R"(Usage: serf force-leave [options] name

  Makes the cluster list a failed member as left, so that nobody tries to
  reach it any more. A member that is alive after all says so and stays.

Options:

  -prune                   Also remove the member from the list.
  -rpc-addr=127.0.0.1:7373 Address of the agent. Default: SERF_RPC_ADDR.
  -rpc-auth=KEY            Key of the agent. Default: SERF_RPC_AUTH.)";

}  // namespace

constinit const Command kForceLeaveCommand = {
    .name = "force-leave",
    .synopsis = "Forces a member of the cluster to enter the \"left\" state",
    .help = kHelp,
    .run = Run};

}  // namespace serf::cmd
