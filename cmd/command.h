#ifndef SERF_CMD_COMMAND_H_
#define SERF_CMD_COMMAND_H_

// Command: what `serf NAME` runs. Each command is a target of its own, from which both //cmd:serf
// and a small binary of the same name are made.

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

// To standard output, as it is: what programs read, such as JSON.
inline void PrintRaw(absl::string_view text) { std::fwrite(text.data(), 1, text.size(), stdout); }

// Results and errors go to standard output, as in the original (docs/protocol/agent.md 4.2). They
// may hold names and answers of other nodes: these must not steer the terminal that shows them.
inline void Print(absl::string_view text) {
  if (::isatty(STDOUT_FILENO) == 1) {
    PrintRaw(EscapeForTerminal(text));
  } else {
    PrintRaw(text);
  }
}

inline void PrintError(absl::string_view text) { std::fwrite(text.data(), 1, text.size(), stderr); }

// Prints what is wrong with the call, then the help, and again what is wrong, which a page of help
// would have scrolled away. Returns the exit code.
inline int UsageError(const Command& command, absl::string_view what) {
  Print(absl::StrCat(what, "\n\n", command.help, "\n\n", what, "\n"));
  return kExitFailure;
}

// Prints what ParseFlags() refused: its line to standard error; the help after `help_prefix`, and
// the line again, to standard output. A flag that exists elsewhere needs no help but the line.
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
