#ifndef SERF_CMD_DAEMON_TERMINAL_H_
#define SERF_CMD_DAEMON_TERMINAL_H_

// Terminal: the agent's standard output, which banner and log entries share. Source:
// docs/protocol/agent.md 2.11, 2.12.
//
// A reader that stands still (Ctrl-S, a full pipe, a socket) must not stand the node still, or the
// others would take it for failed. No test of a descriptor tells for sure that a write will not
// block, and to make it non-blocking would do the same to whoever shares it. So a thread of its own
// writes; what the reader has not taken yet is kept, up to kPendingMax.

#include <poll.h>
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

// Any thread.
class Terminal {
 public:
  // A day's log of a quiet cluster; whatever comes on top of it is lost.
  static constexpr std::size_t kPendingMax = 1 << 20;
  // How long the thread waits for more: a thread costs an idle agent 40 KiB, a new one 50 µs.
  static constexpr std::chrono::seconds kIdleMax{1};
  // What the reader has at the end for all that is left.
  static constexpr std::chrono::seconds kLastWait{1};

  // Does not own `fd`.
  explicit Terminal(int fd = STDOUT_FILENO) : state_(std::make_shared<State>(fd)) {}
  ~Terminal();

  Terminal(const Terminal&) = delete;
  Terminal& operator=(const Terminal&) = delete;

  // "==> Starting Serf agent..."
  void Output(absl::string_view text) { Write(absl::StrCat("==> ", text, "\n")); }

  // Text after four blanks; of an empty text only the line's end.
  void Info(absl::string_view text) { Write(absl::StrCat(text.empty() ? "" : "    ", text, "\n")); }

  // As it is.
  void Text(absl::string_view text) { Write(text); }

 private:
  // Outlives the terminal as long as a write stands still.
  struct State {
    explicit State(int descriptor) : fd(descriptor) {}

    const int fd;
    std::mutex mutex;  // guards the rest
    std::condition_variable changed;
    std::string pending;
    std::size_t in_flight = 0;  // bytes that are being written
    bool writer = false;        // there is a thread
    bool ending = false;
  };

  void Write(absl::string_view text);
  // Writes what comes, until the end or for want of more.
  static void Work(State& state);
  // Writes what is pending, and lets go of the lock meanwhile.
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
  absl::StrAppend(&state_->pending, text);
  if (!state_->writer) {
    state_->writer = transport::StartDetached([state = state_] { Work(*state); });
    // Without a thread the reader is waited for: better than to say nothing at all.
    if (!state_->writer) return Drain(*state_, lock);
  }
  state_->changed.notify_all();
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
    } else if (errno == EAGAIN) {  // whoever shares it made it non-blocking
      pollfd ready{state.fd, POLLOUT, 0};
      ::poll(&ready, 1, -1);
    } else if (errno != EINTR) {
      break;  // nobody will ever read it: the agent goes on without
    }
  }
  lock.lock();
  state.in_flight = 0;
}

}  // namespace serf::cmd

#endif  // SERF_CMD_DAEMON_TERMINAL_H_
