#ifndef SERF_CMD_TERMINAL_H_
#define SERF_CMD_TERMINAL_H_

// Terminal: the agent's standard output, which banner and log entries share. Source: spec/agent.md
// 2.11.
//
// A reader that stands still (Ctrl-S, a full pipe) must not stand the node still, or the others
// would take it for failed: what cannot be written at once is kept, up to kPendingMax, and written
// by Flush().

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <functional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace serf::cmd {

class Terminal {
 public:
  // A day's log of a quiet cluster; whatever comes on top of it is lost.
  static constexpr std::size_t kPendingMax = 1 << 20;

  // Does not own `fd`.
  explicit Terminal(int fd = STDOUT_FILENO) : fd_(fd) {}
  // Gives the reader a last second.
  ~Terminal() { Flush(/*timeout_ms=*/1000); }

  Terminal(const Terminal&) = delete;
  Terminal& operator=(const Terminal&) = delete;

  // "==> Starting Serf agent..."
  void Output(absl::string_view text) { Write(absl::StrCat("==> ", text, "\n")); }

  // Text after four blanks; of an empty text only the line's end.
  void Info(absl::string_view text) { Write(absl::StrCat(text.empty() ? "" : "    ", text, "\n")); }

  // As it is.
  void Text(absl::string_view text) { Write(text); }

  // Called when something is kept that was not before: Flush() is wanted from then on.
  void set_on_stalled(std::function<void()> on_stalled) { on_stalled_ = std::move(on_stalled); }

  // Writes what is kept, waiting for the reader as long. True if nothing is left.
  bool Flush(int timeout_ms = 0);

 private:
  void Write(absl::string_view text);

  const int fd_;
  std::function<void()> on_stalled_;
  std::string pending_;
};

inline void Terminal::Write(absl::string_view text) {
  const bool stalled = !pending_.empty();
  if (pending_.size() + text.size() <= kPendingMax) absl::StrAppend(&pending_, text);
  if (!Flush() && !stalled && on_stalled_) on_stalled_();
}

inline bool Terminal::Flush(int timeout_ms) {
  // POSIX: a pipe that polls as writable takes this much without blocking.
  constexpr std::size_t kChunk = 512;
  std::size_t done = 0;
  while (done < pending_.size()) {
    pollfd ready{fd_, POLLOUT, 0};
    if (::poll(&ready, 1, timeout_ms) == 0) break;
    const std::size_t size = std::min(kChunk, pending_.size() - done);
    const ssize_t written = ::write(fd_, pending_.data() + done, size);
    if (written > 0) {
      done += static_cast<std::size_t>(written);
    } else if (errno == EAGAIN) {
      break;
    } else if (errno != EINTR) {
      done = pending_.size();  // nobody will ever read it: the agent goes on without
    }
  }
  pending_.erase(0, done);
  return pending_.empty();
}

}  // namespace serf::cmd

#endif  // SERF_CMD_TERMINAL_H_
