#ifndef SERF_CMD_COMMAND_H_
#define SERF_CMD_COMMAND_H_

// Command: what `serf NAME` runs. Each command is a target of its own, part of both //cmd:serf and
// a small binary of the same name.

#include <unistd.h>

#include <cstdio>
#include <span>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "serf/cmd/text/quote.h"

namespace serf::cmd {

// Exit codes of every command (docs/protocol/agent.md 4.1).
inline constexpr int kExitSuccess = 0;
inline constexpr int kExitFailure = 1;
inline constexpr int kExitNoSuchCommand = 127;

struct Command {
  absl::string_view name;      // "members"
  absl::string_view synopsis;  // one line of the general help
  absl::string_view help;      // begins with "Usage: serf members"; no LF at its end
  int (*run)(std::span<const std::string> args);  // the words after the name; the exit code
};

// Writes text to standard output unchanged. For output that programs read, such as JSON.
inline void PrintRaw(absl::string_view text) { std::fwrite(text.data(), 1, text.size(), stdout); }

// Prints results and errors to standard output, as Go Serf does. They may hold names and answers of
// other nodes, so control characters that could steer the terminal are escaped. Source:
// docs/protocol/agent.md 4.2.
inline void Print(absl::string_view text) {
  if (::isatty(STDOUT_FILENO) == 1) {
    PrintRaw(EscapeForTerminal(text));
  } else {
    PrintRaw(text);
  }
}

inline void PrintError(absl::string_view text) { std::fwrite(text.data(), 1, text.size(), stderr); }

// Prints the mistake in the call, then the help, then the mistake again, because a page of help
// would have scrolled it away. Returns the exit code.
inline int UsageError(const Command& command, absl::string_view what) {
  Print(absl::StrCat(what, "\n\n", command.help, "\n\n", what, "\n"));
  return kExitFailure;
}

// Prints the error of ParseFlags(): its line to standard error; the help after `help_prefix`, and
// the line again, to standard output. A flag that exists in another place needs only the line.
inline int FlagError(const Command& command, const absl::Status& error,
                     absl::string_view help_prefix = "") {
  const absl::string_view what(error.message());
  PrintError(absl::StrCat(what, "\n"));
  if (!absl::IsUnimplemented(error)) {
    Print(absl::StrCat(help_prefix, command.help, "\n\n", help_prefix, what, "\n"));
  }
  return kExitFailure;
}

}  // namespace serf::cmd

#endif  // SERF_CMD_COMMAND_H_
