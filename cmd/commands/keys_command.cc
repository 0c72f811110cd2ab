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
#include "serf/cmd/text/table.h"
#include "serf/keys.h"
#include "serf/rpc/client.h"
#include "serf/rpc/service.h"

DEFINE_string(keys_install, "", "key to install, base64");
DEFINE_string(keys_use, "", "key to encrypt with, base64");
DEFINE_string(keys_remove, "", "key to remove, base64");
DEFINE_bool(keys_list, false, "list the keys");

namespace serf::cmd {
namespace {

// The names of an operation in the output.
struct Words {
  absl::string_view doing;
  absl::string_view done;
  absl::string_view failed;
};

Words WordsOf(KeyOperation operation) {
  switch (operation) {
    case KeyOperation::kInstall:
      return {"Installing key on all members", "Successfully installed key!",
              "Error installing key: "};
    case KeyOperation::kUse:
      return {"Changing primary key on all members", "Successfully changed primary key!",
              "Error changing primary key: "};
    case KeyOperation::kRemove:
      return {"Removing key on all members", "Successfully removed key!", "Error removing key: "};
    case KeyOperation::kList:
      return {"Asking all members for installed keys", "Keys gathered, listing cluster keys...",
              "Failed to gather member keys: "};
  }
  return {};
}

int Execute(KeyOperation operation, const std::string& key) {
  const Words words = WordsOf(operation);
  rpc::Client client(ClientOptionsFromFlags());
  if (!ConnectToAgent(client)) return kExitFailure;
  Print(absl::StrCat("==> ", words.doing, "...\n"));
  const KeyOutcome result = client.ManageKeys(operation, key);
  if (!result.status.ok()) {
    if (!result.messages.empty()) {
      Table table;
      for (const auto& [node, message] : result.messages) {
        table.AddRow({"failed: ", node, message});
      }
      Print(table.ToString());
    }
    Print(absl::StrCat("\n", words.failed, absl::string_view(result.status.message()), "\n"));
    return kExitFailure;
  }
  Print(absl::StrCat("==> ", words.done, "\n"));
  if (operation != KeyOperation::kList) return kExitSuccess;
  Table table;
  for (const auto& [text, nodes] : result.keys) {
    table.AddRow({text, absl::StrCat("[", nodes, "/", result.nodes, "]")});
  }
  Print(absl::StrCat("\n", table.ToString()));
  return kExitSuccess;
}

int Run(std::span<const std::string> args) {
  const std::vector<Flag> flags = WithClientFlags({{.name = "install", .gflag = "keys_install"},
                                                   {.name = "use", .gflag = "keys_use"},
                                                   {.name = "remove", .gflag = "keys_remove"},
                                                   {.name = "list", .gflag = "keys_list"}});
  const absl::StatusOr<std::vector<std::string>> words = ParseFlags(flags, args);
  if (!words.ok()) return FlagError(kKeysCommand, words.status());
  const int actions = !FLAGS_keys_install.empty() + !FLAGS_keys_use.empty() +
                      !FLAGS_keys_remove.empty() + FLAGS_keys_list;
  if (actions == 0) {
    Print(absl::StrCat(kKeysCommand.help, "\n"));
    return kExitFailure;
  }
  if (actions > 1) {
    Print("Only one of -install, -use, -remove, or -list allowed\n");
    return kExitFailure;
  }
  if (!FLAGS_keys_install.empty()) return Execute(KeyOperation::kInstall, FLAGS_keys_install);
  if (!FLAGS_keys_use.empty()) return Execute(KeyOperation::kUse, FLAGS_keys_use);
  if (!FLAGS_keys_remove.empty()) return Execute(KeyOperation::kRemove, FLAGS_keys_remove);
  return Execute(KeyOperation::kList, {});
}

constexpr char kHelp[] =
    R"(Usage: serf keys [options]...

  Changes the keys of all members of an encrypted cluster. To replace a key,
  install the new one, use it, then remove the old one, each when the step
  before has succeeded on all members.

Options:

  -install=KEY             Adds a key (base64): from then on it can decrypt.
  -use=KEY                 Makes an installed key the one that encrypts.
  -remove=KEY              Forgets a key; not the one that encrypts.
  -list                    Shows the keys, and how many members have each.
  -rpc-addr=127.0.0.1:7373 Address of the agent. Default: SERF_RPC_ADDR.
  -rpc-auth=KEY            Key of the agent. Default: SERF_RPC_AUTH.)";

}  // namespace

constinit const Command kKeysCommand = {
    .name = "keys",
    .synopsis = "Manipulate the internal encryption keyring used by Serf",
    .help = kHelp,
    .run = Run};

}  // namespace serf::cmd
