#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "serf/cmd/command.h"
#include "serf/cmd/commands/client_flags.h"
#include "serf/cmd/commands/commands.h"
#include "serf/cmd/flags.h"
#include "serf/rpc/client.h"

namespace serf::cmd {
namespace {

int Run(std::span<const std::string> args) {
  const absl::StatusOr<std::vector<std::string>> words = ParseFlags(WithClientFlags({}), args);
  if (!words.ok()) return FlagError(kLeaveCommand, words.status());
  if (!words->empty()) {
    return UsageError(kLeaveCommand, absl::StrCat("\"", words->front(),
                                                  "\" is not needed: it is the agent itself that "
                                                  "leaves. Of others tells \"serf force-leave\"."));
  }
  rpc::Client client(ClientOptionsFromFlags());
  if (!ConnectToAgent(client)) return kExitFailure;
  const absl::Status left = client.Leave();
  if (!left.ok()) {
    Print(absl::StrCat("Error leaving: ", absl::string_view(left.message()), "\n"));
    return kExitFailure;
  }
  Print("Graceful leave complete\n");
  return kExitSuccess;
}

constexpr char kHelp[] =
    R"(Usage: serf leave

  Tells the agent to leave its cluster and to end. The other nodes list it as
  left, not as failed. It takes no name: "serf force-leave" is for others.

Options:

  -rpc-addr=127.0.0.1:7373 Address of the agent. Default: SERF_RPC_ADDR.
  -rpc-auth=KEY            Key of the agent. Default: SERF_RPC_AUTH.)";

}  // namespace

constinit const Command kLeaveCommand = {
    .name = "leave",
    .synopsis = "Gracefully leaves the Serf cluster and shuts down",
    .help = kHelp,
    .run = Run};

}  // namespace serf::cmd
