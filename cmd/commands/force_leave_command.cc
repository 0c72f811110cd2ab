#include <span>
#include <string>
#include <vector>

#include "absl/algorithm/container.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "gflags/gflags.h"
#include "serf/cmd/command.h"
#include "serf/cmd/commands/client_flags.h"
#include "serf/cmd/commands/commands.h"
#include "serf/cmd/flags.h"
#include "serf/cmd/text/quote.h"
#include "serf/member.h"
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
  const std::string& name = names->front();
  const auto failed = [](const absl::Status& status) {
    Print(absl::StrCat("Error force leaving: ", absl::string_view(status.message()), "\n"));
    return kExitFailure;
  };
  const absl::StatusOr<std::vector<Member>> members = client.Members();
  if (!members.ok()) return failed(members.status());
  const bool known =
      absl::c_any_of(*members, [&name](const Member& member) { return member.name == name; });
  if (const absl::Status done = client.ForceLeave(name, {.prune = FLAGS_force_leave_prune});
      !done.ok()) {
    return failed(done);
  }
  // An unknown name is not a failure: the agent has told the cluster, where some member may know
  // the name. A script that cleans up repeatedly should not stop here.
  if (!known) {
    PrintError(absl::StrCat("Warning: no member is called \"", EscapeControls(name), "\"\n"));
  }
  return kExitSuccess;
}

constexpr char kHelp[] =
    R"(Usage: serf force-leave [options] name

  Makes the cluster list a failed member as left, so that nobody tries to
  reach it any more. A member that is alive after all says so and stays. If no
  member has the name, there is a warning.

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
