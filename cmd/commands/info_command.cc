#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "gflags/gflags.h"
#include "nlohmann/json.hpp"
#include "serf/cmd/command.h"
#include "serf/cmd/commands/client_flags.h"
#include "serf/cmd/commands/commands.h"
#include "serf/cmd/flags.h"
#include "serf/cmd/text/json_text.h"
#include "serf/cmd/text/quote.h"
#include "serf/rpc/client.h"
#include "serf/rpc/service.h"

DEFINE_string(info_format, "text", "text or json");

namespace serf::cmd {
namespace {

std::string InfoText(const rpc::StatsSections& sections) {
  std::string text;
  for (const auto& [section, entries] : sections) {
    absl::StrAppend(&text, EscapeControls(section), ":\n");
    for (const auto& [key, value] : entries) {
      absl::StrAppend(&text, "\t", EscapeControls(key), " = ", EscapeControls(value), "\n");
    }
  }
  return absl::StrCat(absl::StripAsciiWhitespace(text), "\n");
}

std::string InfoJson(const rpc::StatsSections& sections) {
  nlohmann::ordered_json json = nlohmann::ordered_json::object();
  for (const auto& [section, entries] : sections) {
    nlohmann::ordered_json& object = json[section] = nlohmann::ordered_json::object();
    for (const auto& [key, value] : entries) object[key] = value;
  }
  return ToJsonText(json);
}

int Run(std::span<const std::string> args) {
  const std::vector<Flag> flags = WithClientFlags({{.name = "format", .gflag = "info_format"}});
  const absl::StatusOr<std::vector<std::string>> words = ParseFlags(flags, args);
  if (!words.ok()) return FlagError(kInfoCommand, words.status());
  rpc::Client client(ClientOptionsFromFlags());
  if (!ConnectToAgent(client)) return kExitFailure;
  const absl::StatusOr<rpc::StatsSections> sections = client.Stats();
  if (!sections.ok()) {
    Print(absl::StrCat("Error querying agent: ", absl::string_view(sections.status().message()),
                       "\n"));
    return kExitFailure;
  }
  if (FLAGS_info_format == "text") {
    Print(InfoText(*sections));
  } else if (FLAGS_info_format == "json") {
    PrintRaw(InfoJson(*sections));
  } else {
    Print(absl::StrCat("Encoding error: Invalid output format ", Quote(FLAGS_info_format), "\n"));
    return kExitFailure;
  }
  return kExitSuccess;
}

constexpr char kHelp[] =
    R"(Usage: serf info [options]

  Shows what the agent tells of itself: name, tags, numbers of members and the
  state of its queues.

Options:

  -format=text             "text" or "json".
  -rpc-addr=127.0.0.1:7373 Address of the agent. Default: SERF_RPC_ADDR.
  -rpc-auth=KEY            Key of the agent. Default: SERF_RPC_AUTH.)";

}  // namespace

constinit const Command kInfoCommand = {.name = "info",
                                        .synopsis = "Provides debugging information for operators",
                                        .help = kHelp,
                                        .run = Run};

}  // namespace serf::cmd
