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

DEFINE_bool(event_coalesce, true, "the event may be coalesced");

namespace serf::cmd {
namespace {

int Run(std::span<const std::string> args) {
  const std::vector<Flag> flags =
      WithClientFlags({{.name = "coalesce", .gflag = "event_coalesce"}});
  const absl::StatusOr<std::vector<std::string>> words = ParseFlags(flags, args);
  if (!words.ok()) return FlagError(kEventCommand, words.status());
  if (words->empty()) return UsageError(kEventCommand, "An event name must be specified.");
  if (words->size() > 2) {
    return UsageError(
        kEventCommand,
        "Too many command line arguments. Only a name and payload must be specified.");
  }
  const std::string& name = words->front();
  const std::string payload = words->size() == 2 ? words->back() : "";
  rpc::Client client(ClientOptionsFromFlags());
  if (!ConnectToAgent(client)) return kExitFailure;
  const absl::Status sent = client.SendUserEvent(name, payload, {.coalesce = FLAGS_event_coalesce});
  if (!sent.ok()) {
    Print(absl::StrCat("Error sending event: ", absl::string_view(sent.message()), "\n"));
    return kExitFailure;
  }
  Print(absl::StrCat("Event '", name, "' dispatched! Coalescing enabled: ",
                     FLAGS_event_coalesce ? "true" : "false", "\n"));
  return kExitSuccess;
}

constexpr char kHelp[] =
    R"(Usage: serf event [options] name payload

  Tells all members of an event. The payload is optional; it reaches the event
  handlers on their standard input.

Options:

  -coalesce=true           Of several events of this name within some seconds
                           a handler gets to see only the last. With "false"
                           it sees each of them, at once.
  -rpc-addr=127.0.0.1:7373 Address of the agent. Default: SERF_RPC_ADDR.
  -rpc-auth=KEY            Key of the agent. Default: SERF_RPC_AUTH.)";

}  // namespace

constinit const Command kEventCommand = {.name = "event",
                                         .synopsis = "Send a custom event through the Serf cluster",
                                         .help = kHelp,
                                         .run = Run};

}  // namespace serf::cmd
