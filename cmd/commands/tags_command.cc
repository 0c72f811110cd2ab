#include <span>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "serf/cmd/command.h"
#include "serf/cmd/commands/client_flags.h"
#include "serf/cmd/commands/commands.h"
#include "serf/cmd/flags.h"
#include "serf/cmd/tag_flag.h"
#include "serf/rpc/client.h"
#include "serf/tags.h"

namespace serf::cmd {
namespace {

int Run(std::span<const std::string> args) {
  std::vector<std::string> set;
  std::vector<std::string> remove;
  const std::vector<Flag> flags =
      WithClientFlags({{.name = "set", .list = &set}, {.name = "delete", .list = &remove}});
  const absl::StatusOr<std::vector<std::string>> words = ParseFlags(flags, args);
  if (!words.ok()) return FlagError(kTagsCommand, words.status());
  if (set.empty() && remove.empty()) {
    Print(absl::StrCat(kTagsCommand.help, "\n"));
    return kExitFailure;
  }
  rpc::Client client(ClientOptionsFromFlags());
  if (!ConnectToAgent(client)) return kExitFailure;
  absl::StatusOr<Tags> tags = ParseTags(set);
  if (!tags.ok()) {
    Print(absl::StrCat("Error: ", absl::string_view(tags.status().message()), "\n"));
    return kExitFailure;
  }
  const absl::Status updated = client.UpdateTags(*std::move(tags), std::move(remove));
  if (!updated.ok()) {
    Print(absl::StrCat("Error setting tags: ", absl::string_view(updated.message()), "\n"));
    return kExitFailure;
  }
  Print("Successfully updated agent tags\n");
  return kExitSuccess;
}

constexpr char kHelp[] =
    R"(Usage: serf tags [options] ...

  Changes the tags of the agent and tells the cluster. What is not named stays.
  At least one of -set and -delete is needed.

Options:

  -set key=value           Adds the tag, or changes its value. May be repeated.
  -delete key              Removes the tag, if there is one. May be repeated. A
                           tag that is also set stays, with the value set.
  -rpc-addr=127.0.0.1:7373 Address of the agent. Default: SERF_RPC_ADDR.
  -rpc-auth=KEY            Key of the agent. Default: SERF_RPC_AUTH.)";

}  // namespace

constinit const Command kTagsCommand = {
    .name = "tags", .synopsis = "Modify tags of a running Serf agent", .help = kHelp, .run = Run};

}  // namespace serf::cmd
