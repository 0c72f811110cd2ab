#ifndef SERF_CMD_COMMAND_LINE_H_
#define SERF_CMD_COMMAND_LINE_H_

// The part of the command line before a command: --version, --help, the choice among commands, and
// the general help. Source: docs/protocol/agent.md 4.1.

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <span>
#include <string>
#include <vector>

#include "absl/algorithm/container.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "serf/cmd/command.h"
#include "serf/cmd/descriptors.h"
#include "serf/cmd/signals.h"

namespace serf::cmd {

// main() of `serf`: finds the command among `commands`, sorted by name, and runs it. One of them
// must be "version". Returns the exit code.
int RunCommandLine(std::span<const Command* const> commands, std::span<const std::string> args);

// main() of a binary that is one command: `members -detailed`. Returns the exit code.
int RunSingleCommand(const Command& command, std::span<const std::string> args);

// Returns the words after the program's name. Call it before any thread starts, because it sets the
// process's signals, and before any file is opened, because it reopens standard streams that the
// parent closed.
inline std::vector<std::string> StartProcess(int argc, char** argv) {
  OpenStandardStreams();
  ResetSignals();
  return {argv + std::min(argc, 1), argv + argc};
}

namespace command_line_internal {

// Flushes the output, which may still be in a buffer. A result that did not reach its reader is a
// failure. A reader that closed the pipe wants no error message.
inline int FinishOutput(int exit_code) {
  if (std::fflush(stdout) == 0 && std::ferror(stdout) == 0) return exit_code;
  if (errno != EPIPE) PrintError("Error writing to standard output\n");
  return exit_code == kExitSuccess ? kExitFailure : exit_code;
}

inline bool IsHelpFlag(absl::string_view word) {
  return word == "-h" || word == "-help" || word == "--help";
}

inline std::string GeneralHelp(std::span<const Command* const> commands) {
  std::size_t width = 0;
  for (const Command* command : commands) width = std::max(width, command->name.size());
  std::string text =
      "Usage: serf [--version] [--help] <command> [<args>]\n\nAvailable commands are:\n";
  for (const Command* command : commands) {
    absl::StrAppend(&text, "    ", command->name, std::string(width - command->name.size(), ' '),
                    "    ", command->synopsis, "\n");
  }
  return text;
}

}  // namespace command_line_internal

inline int RunCommandLine(std::span<const Command* const> commands,
                          std::span<const std::string> args) {
  namespace internal = command_line_internal;
  const auto find = [&](absl::string_view name) -> const Command* {
    const auto at = absl::c_find_if(commands, [&](const Command* c) { return c->name == name; });
    return at == commands.end() ? nullptr : *at;
  };
  // The word counts anywhere on the line, even as a payload: scripts rely on it.
  for (const std::string& word : args) {
    if (word != "-v" && word != "--version") continue;
    return internal::FinishOutput(find("version")->run({}));
  }
  bool help = false;
  bool flags_before = false;
  std::size_t command_at = args.size();
  for (std::size_t i = 0; i < args.size() && args[i] != "--"; ++i) {
    if (internal::IsHelpFlag(args[i])) {
      help = true;
    } else if (command_at == args.size() && !args[i].empty() && args[i][0] == '-') {
      flags_before = true;
    } else if (command_at == args.size()) {
      command_at = i;
    }
  }
  const Command* command = command_at < args.size() ? find(args[command_at]) : nullptr;
  if (command == nullptr) {
    PrintError(absl::StrCat(internal::GeneralHelp(commands), "\n"));
    return help && command_at == args.size() ? kExitSuccess : kExitNoSuchCommand;
  }
  if (help) {
    PrintError(absl::StrCat(command->help, "\n"));
    return kExitSuccess;
  }
  if (flags_before) {
    PrintError(
        absl::StrCat("Invalid flags before the subcommand. If these flags are for\n"
                     "the subcommand, please put them after the subcommand.\n\n",
                     command->help, "\n"));
    return kExitFailure;
  }
  return internal::FinishOutput(command->run(args.subspan(command_at + 1)));
}

inline int RunSingleCommand(const Command& command, std::span<const std::string> args) {
  for (const std::string& word : args) {
    if (word == "--") break;
    if (!command_line_internal::IsHelpFlag(word)) continue;
    PrintError(absl::StrCat(command.help, "\n"));
    return kExitSuccess;
  }
  return command_line_internal::FinishOutput(command.run(args));
}

}  // namespace serf::cmd

#endif  // SERF_CMD_COMMAND_LINE_H_
