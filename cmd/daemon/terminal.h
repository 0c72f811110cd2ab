#ifndef SERF_CMD_DAEMON_TERMINAL_H_
#define SERF_CMD_DAEMON_TERMINAL_H_

// Terminal: the agent's standard output, which the banner and the log entries share.
//
// A reader that blocks (Ctrl-S, a full pipe, a socket) must not block the node, because other
// members would report it as failed. No test of a descriptor guarantees that a write will not
// block, and O_NONBLOCK would affect every process that shares the descriptor. Linux 6.4 can write
// what a pipe or a socket takes at once, and no more. A thread writes the rest, and all that goes
// to other descriptors. The Terminal keeps up to kPendingMax bytes that the reader has not taken
// yet. Any thread. Source: docs/protocol/agent.md 2.11 and 2.12.

#include <poll.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "serf/transport/background.h"

namespace serf::cmd {

class Terminal {
 public:
  // A day's log of a quiet cluster. The Terminal drops everything beyond it.
  static constexpr std::size_t kPendingMax = 1 << 20;
  // How long an idle thread waits for more text. A thread costs an idle agent 40 KiB, and a new one
  // 50 µs.
  static constexpr std::chrono::seconds kIdleMax{1};
  // How long the reader has at the end to take the rest.
  static constexpr std::chrono::seconds kLastWait{1};

  // Does not own `fd`.
  explicit Terminal(int fd = STDOUT_FILENO) : state_(std::make_shared<State>(fd)) {}
  ~Terminal();

  Terminal(const Terminal&) = delete;
  Terminal& operator=(const Terminal&) = delete;

  // "==> Starting Serf agent..."
  static std::string OutputLine(absl::string_view text) { return absl::StrCat("==> ", text, "\n"); }
  void Output(absl::string_view text) { Write(OutputLine(text)); }

  // Text after four blanks; for an empty text only the end of the line.
  static std::string InfoLine(absl::string_view text) {
    return absl::StrCat(text.empty() ? "" : "    ", text, "\n");
  }
  void Info(absl::string_view text) { Write(InfoLine(text)); }

  // Writes text unchanged.
  void Text(absl::string_view text) { Write(text); }

 private:
  // Outlives the terminal while a write blocks.
  struct State {
    explicit State(int descriptor) : fd(descriptor) {}

    const int fd;
    std::mutex mutex;  // guards the members below
    std::condition_variable changed;
    std::string pending;
    std::size_t in_flight = 0;  // bytes that the thread is writing
    bool writer = false;        // the thread runs
    bool at_once = true;        // the kernel can write here without waiting
    bool ending = false;
  };

  void Write(absl::string_view text);
  // Writes what the reader takes at once, and returns the rest. Nothing else may be pending.
  static absl::string_view WriteAtOnce(State& state, absl::string_view text);
  // Writes what arrives, until the end or until nothing has come for kIdleMax.
  static void Work(State& state);
  // Writes what is pending, and releases the lock meanwhile.
  static void Drain(State& state, std::unique_lock<std::mutex>& lock);

  const std::shared_ptr<State> state_;
};

inline Terminal::~Terminal() {
  std::unique_lock<std::mutex> lock(state_->mutex);
  state_->ending = true;
  state_->changed.notify_all();
  state_->changed.wait_for(lock, kLastWait, [this] { return !state_->writer; });
}

inline void Terminal::Write(absl::string_view text) {
  std::unique_lock<std::mutex> lock(state_->mutex);
  if (state_->pending.size() + state_->in_flight + text.size() > kPendingMax) return;
  if (state_->pending.empty() && state_->in_flight == 0) text = WriteAtOnce(*state_, text);
  if (text.empty()) return;
  absl::StrAppend(&state_->pending, text);
  if (!state_->writer) {
    state_->writer = transport::StartDetached([state = state_] { Work(*state); });
    // Without a thread the caller waits for the reader: a delay is better than a loss.
    if (!state_->writer) return Drain(*state_, lock);
  }
  state_->changed.notify_all();
}

inline absl::string_view Terminal::WriteAtOnce(State& state, absl::string_view text) {
#if defined(RWF_NOWAIT)
  while (state.at_once && !text.empty()) {
    const iovec piece{const_cast<char*>(text.data()), text.size()};
    const ssize_t written = ::pwritev2(state.fd, &piece, 1, -1, RWF_NOWAIT);
    if (written > 0) {
      text.remove_prefix(static_cast<std::size_t>(written));
    } else if (errno != EINTR) {
      // EAGAIN comes from a full pipe; any other error is the thread's, too.
      state.at_once = errno == EAGAIN;
      break;
    }
  }
#endif
  return text;
}

inline void Terminal::Work(State& state) {
  std::unique_lock<std::mutex> lock(state.mutex);
  const auto wanted = [&state] { return state.ending || !state.pending.empty(); };
  while (state.changed.wait_for(lock, kIdleMax, wanted) && !state.pending.empty()) {
    Drain(state, lock);
  }
  state.writer = false;
  state.changed.notify_all();
}

inline void Terminal::Drain(State& state, std::unique_lock<std::mutex>& lock) {
  const std::string text = std::exchange(state.pending, {});
  state.in_flight = text.size();
  lock.unlock();
  for (std::size_t done = 0; done < text.size();) {
    const ssize_t written = ::write(state.fd, text.data() + done, text.size() - done);
    if (written > 0) {
      done += static_cast<std::size_t>(written);
    } else if (errno == EAGAIN) {  // a process that shares the descriptor made it non-blocking
      pollfd ready{state.fd, POLLOUT, 0};
      ::poll(&ready, 1, -1);
    } else if (errno != EINTR) {
      break;  // nobody will ever read it; the agent continues
    }
  }
  lock.lock();
  state.in_flight = 0;
}

}  // namespace serf::cmd

#endif  // SERF_CMD_DAEMON_TERMINAL_H_
