#include <cstdio>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "gflags/gflags.h"
#include "serf/cmd/command.h"
#include "serf/cmd/commands/client_flags.h"
#include "serf/cmd/commands/commands.h"
#include "serf/cmd/commands/event_text.h"
#include "serf/cmd/commands/interrupt.h"
#include "serf/cmd/flags.h"
#include "serf/rpc/client.h"
#include "serf/rpc/protocol.h"

DEFINE_string(monitor_log_level, "INFO", "trace, debug, info, warn or err");

namespace serf::cmd {
namespace {

void PrintRecord(const rpc::Client::Record& record) {
  if (const auto* line = std::get_if<rpc::LogRecord>(&record.value)) {
    Print(absl::StrCat(line->log, "\n"));
  } else {
    Print(EventText(std::get<rpc::EventRecord>(record.value)));
  }
}

int Run(std::span<const std::string> args) {
  const std::vector<Flag> flags =
      WithClientFlags({{.name = "log-level", .gflag = "monitor_log_level"}});
  const absl::StatusOr<std::vector<std::string>> words = ParseFlags(flags, args);
  if (!words.ok()) return FlagError(kMonitorCommand, words.status());
  rpc::Client client(ClientOptionsFromFlags());
  if (!ConnectToAgent(client)) return kExitFailure;
  const absl::StatusOr<rpc::Client::Seq> events = client.Stream("*");
  if (!events.ok()) {
    Print(absl::StrCat("Error starting stream: ", absl::string_view(events.status().message()),
                       "\n"));
    return kExitFailure;
  }
  const absl::StatusOr<rpc::Client::Seq> log = client.Monitor(FLAGS_monitor_log_level);
  if (!log.ok()) {
    Print(
        absl::StrCat("Error starting monitor: ", absl::string_view(log.status().message()), "\n"));
    return kExitFailure;
  }
  // Caught only from here on: while the calls above wait, an interrupt ends the process.
  const CatchInterrupt caught(client);
  for (;;) {
    const absl::StatusOr<rpc::Client::Record> record = client.Next();
    if (absl::IsCancelled(record.status())) {
      // The connection ends with the process; Stop() informs the agent before that.
      client.Stop(*log).IgnoreError();
      client.Stop(*events).IgnoreError();
      return kExitSuccess;
    }
    if (!record.ok()) break;
    PrintRecord(*record);
    if (std::fflush(stdout) != 0) return kExitFailure;  // nobody reads it any more
  }
  Print(
      "\nRemote side ended the monitor! This usually means that the\n"
      "remote side has exited or crashed.\n");
  return kExitFailure;
}

constexpr char kHelp[] =
    R"(Usage: serf monitor [options]

  Shows the log of the agent, beginning with its last lines, and all events as
  they come, until it is interrupted.

Options:

  -log-level=info          "trace", "debug", "info", "warn" or "err" and above;
                           independent of the agent's own level.
  -rpc-addr=127.0.0.1:7373 Address of the agent. Default: SERF_RPC_ADDR.
  -rpc-auth=KEY            Key of the agent. Default: SERF_RPC_AUTH.)";

}  // namespace

constinit const Command kMonitorCommand = {
    .name = "monitor", .synopsis = "Stream logs from a Serf agent", .help = kHelp, .run = Run};

}  // namespace serf::cmd
