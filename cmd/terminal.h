#ifndef SERF_CMD_TERMINAL_H_
#define SERF_CMD_TERMINAL_H_

// Terminal: the agent's standard output. Banner and log entries share it, so each call is one
// write of whole lines. Source: spec/agent.md 2.11.

#include <unistd.h>

#include <cerrno>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace serf::cmd {

class Terminal {
 public:
  // Does not own `fd`.
  explicit Terminal(int fd = STDOUT_FILENO) : fd_(fd) {}

  Terminal(const Terminal&) = delete;
  Terminal& operator=(const Terminal&) = delete;

  // "==> Starting Serf agent..."
  void Output(absl::string_view text) { Write(absl::StrCat("==> ", text, "\n")); }

  // Text after four blanks; of an empty text only the line's end.
  void Info(absl::string_view text) { Write(absl::StrCat(text.empty() ? "" : "    ", text, "\n")); }

 private:
  // Nobody may listen any more (a closed pipe): the agent goes on without.
  void Write(absl::string_view text) {
    while (!text.empty()) {
      const ssize_t written = ::write(fd_, text.data(), text.size());
      if (written < 0 && errno == EINTR) continue;
      if (written <= 0) return;
      text.remove_prefix(static_cast<std::size_t>(written));
    }
  }

  const int fd_;
};

}  // namespace serf::cmd

#endif  // SERF_CMD_TERMINAL_H_
