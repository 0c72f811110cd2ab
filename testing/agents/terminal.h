#ifndef SERF_TESTING_AGENTS_TERMINAL_H_
#define SERF_TESTING_AGENTS_TERMINAL_H_

// TerminalProcess: a child process on a terminal of its own, whose page the test reads and at which
// it types. It never outlives the test: the destructor kills it.
//
//   TerminalProcess top({binary, "top"}, {}, {.rows = 24, .columns = 80});
//   ASSERT_TRUE(top.WaitUntil([&] { return top.page().Contains("alive"); }));
//   top.Type("q");
//   EXPECT_EQ(top.Wait(), 0);
//   EXPECT_TRUE(top.restored());

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "serf/testing/agents/process.h"

namespace serf::testkit {

struct TerminalSize {
  unsigned short rows = 24;
  unsigned short columns = 80;
};

// What a terminal shows: understands the sequences that serf::cmd::Screen writes, and fails the
// test program at any other.
class TerminalPage {
 public:
  explicit TerminalPage(TerminalSize size) : size_(size) {}

  void Feed(absl::string_view bytes) {
    pending_.append(bytes.data(), bytes.size());
    std::size_t at = 0;
    while (at < pending_.size()) {
      const std::size_t used = Take(absl::string_view(pending_).substr(at));
      if (used == 0) break;  // half a sequence
      at += used;
    }
    pending_.erase(0, at);
  }
  void Resize(TerminalSize size) { size_ = size; }

  // The lines of the page without blanks at their ends.
  std::vector<std::string> Lines() const {
    std::vector<std::string> lines;
    for (const auto& [row, line] : page_) {
      lines.resize(row);
      lines.emplace_back(absl::StripTrailingAsciiWhitespace(line));
    }
    return lines;
  }
  std::string Text() const {
    std::string text;
    for (const std::string& line : Lines()) absl::StrAppend(&text, line, "\n");
    return text;
  }
  bool Contains(absl::string_view text) const { return absl::StrContains(Text(), text); }

  bool alternate() const { return modes_.count("?1049") != 0; }
  bool cursor_hidden() const { return hidden_; }
  // All sequences of colors so far.
  const std::string& colors() const { return colors_; }

 private:
  // The bytes that it used of `text`; zero: they are not all there yet.
  std::size_t Take(absl::string_view text) {
    if (text[0] == '\r' || text[0] == '\n') {
      if (text[0] == '\n') ++row_;
      column_ = 0;
      return 1;
    }
    if (text[0] != '\x1b') {
      std::string& line = page_[row_];
      if (line.size() < column_) line.resize(column_, ' ');
      line.replace(column_, 1, 1, text[0]);
      ++column_;
      return 1;
    }
    if (text.size() < 2) return 0;
    if (text[1] != '[') Refuse(text.substr(0, 2));
    std::size_t end = 2;
    while (end < text.size() && !absl::ascii_isalpha(static_cast<unsigned char>(text[end]))) ++end;
    if (end == text.size()) return 0;
    Control(text.substr(2, end - 2), text[end]);
    return end + 1;
  }

  void Control(absl::string_view arguments, char command) {
    switch (command) {
      case 'H': {
        const std::vector<std::string> at = absl::StrSplit(arguments, ';');
        if (at.size() != 2 || !absl::SimpleAtoi(at[0], &row_) ||
            !absl::SimpleAtoi(at[1], &column_)) {
          Refuse(arguments);
        }
        if (row_ < 1 || row_ > size_.rows) Refuse(arguments);
        --row_;
        --column_;
        return;
      }
      case 'K':
        page_[row_].resize(std::min(page_[row_].size(), column_));
        return;
      case 'J':
        if (arguments == "2") page_.clear();
        if (arguments.empty()) page_.erase(page_.lower_bound(row_), page_.end());
        return;
      case 'm':
        absl::StrAppend(&colors_, "[", arguments, "]");
        return;
      case 'h':
      case 'l':
        if (arguments == "?25") hidden_ = command == 'l';
        if (command == 'h') modes_[std::string(arguments)] = true;
        if (command == 'l') modes_.erase(std::string(arguments));
        if (arguments == "?1049") page_.clear();
        return;
      default:
        Refuse(absl::StrCat(arguments, std::string(1, command)));
    }
  }

  static void Refuse(absl::string_view what) {
    std::fprintf(stderr, "the terminal does not know %s\n", std::string(what).c_str());
    std::abort();
  }

  TerminalSize size_;
  std::map<std::size_t, std::string> page_;  // bytes, by row
  std::map<std::string, bool> modes_;
  std::string colors_;
  std::string pending_;
  std::size_t row_ = 0;
  std::size_t column_ = 0;
  bool hidden_ = false;
};

class TerminalProcess {
 public:
  explicit TerminalProcess(std::vector<std::string> argv, Process::Environment environment = {},
                           TerminalSize size = {});
  ~TerminalProcess() {
    if (!exit_code_) {
      Signal(SIGKILL);
      ::waitpid(pid_, nullptr, 0);
    }
    ::close(slave_);
    ::close(master_);
  }
  TerminalProcess(const TerminalProcess&) = delete;
  TerminalProcess& operator=(const TerminalProcess&) = delete;

  pid_t pid() const { return pid_; }
  const TerminalPage& page() const { return page_; }
  // All bytes that the process has written.
  const std::string& out() const { return out_; }

  void Type(absl::string_view keys) const {
    if (::write(master_, keys.data(), keys.size()) != static_cast<ssize_t>(keys.size())) {
      std::abort();
    }
  }
  void Resize(TerminalSize size) {
    page_.Resize(size);
    SetSize(size);
  }
  void Signal(int number) const { ::kill(pid_, number); }

  // Reads what the process writes until `condition` holds. False at the deadline.
  bool WaitUntil(const std::function<bool()>& condition, std::chrono::seconds deadline = kDeadline);

  // Waits for the end of the process. Its exit code, or 128 plus the number of the signal.
  std::optional<int> Wait(std::chrono::seconds deadline = kDeadline);

  // True if the terminal is as it was before the process: its page, its cursor, its keys.
  bool restored() const {
    return !page_.alternate() && !page_.cursor_hidden() && Flags() == flags_before_;
  }

 private:
  void SetSize(TerminalSize size) const {
    winsize window{};
    window.ws_row = size.rows;
    window.ws_col = size.columns;
    ::ioctl(master_, TIOCSWINSZ, &window);
  }
  tcflag_t Flags() const {
    termios state{};
    ::tcgetattr(slave_, &state);
    return state.c_lflag;
  }
  // Reads what is there; waits at most 50 ms for it.
  void ReadSome() {
    pollfd readable = {master_, POLLIN, 0};
    if (::poll(&readable, 1, 50) <= 0) return;
    char buffer[4096];
    const ssize_t size = ::read(master_, buffer, sizeof(buffer));
    if (size <= 0) return;
    out_.append(buffer, static_cast<std::size_t>(size));
    page_.Feed({buffer, static_cast<std::size_t>(size)});
  }

  int master_ = -1;
  int slave_ = -1;  // held open, so that the terminal outlives the process
  pid_t pid_ = -1;
  tcflag_t flags_before_ = 0;
  TerminalPage page_;
  std::string out_;
  std::optional<int> exit_code_;
};

inline TerminalProcess::TerminalProcess(std::vector<std::string> argv,
                                        Process::Environment environment, TerminalSize size)
    : page_(size) {
  environment.try_emplace("TERM", "xterm");
  master_ = ::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
  char name[64];
  if (master_ < 0 || ::grantpt(master_) != 0 || ::unlockpt(master_) != 0 ||
      ::ptsname_r(master_, name, sizeof(name)) != 0) {
    std::fprintf(stderr, "no terminal: error %d\n", errno);
    std::abort();
  }
  slave_ = ::open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
  flags_before_ = Flags();
  SetSize(size);
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  // The first terminal that a session leader opens controls the session.
  ::posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, name, O_RDWR, 0);
  ::posix_spawn_file_actions_adddup2(&actions, STDIN_FILENO, STDOUT_FILENO);
  ::posix_spawn_file_actions_adddup2(&actions, STDIN_FILENO, STDERR_FILENO);
  posix_spawnattr_t attributes;
  ::posix_spawnattr_init(&attributes);
  ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID);
  pid_ = Spawn(std::move(argv), environment, actions, &attributes);
  ::posix_spawnattr_destroy(&attributes);
  ::posix_spawn_file_actions_destroy(&actions);
}

inline bool TerminalProcess::WaitUntil(const std::function<bool()>& condition,
                                       std::chrono::seconds deadline) {
  const auto end = std::chrono::steady_clock::now() + deadline;
  while (!condition()) {
    if (std::chrono::steady_clock::now() >= end) return false;
    ReadSome();
  }
  return true;
}

inline std::optional<int> TerminalProcess::Wait(std::chrono::seconds deadline) {
  WaitUntil(
      [this] {
        int status = 0;
        if (exit_code_ || ::waitpid(pid_, &status, WNOHANG) != pid_) return exit_code_.has_value();
        exit_code_ = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
        return true;
      },
      deadline);
  ReadSome();  // the last words
  return exit_code_;
}

}  // namespace serf::testkit

#endif  // SERF_TESTING_AGENTS_TERMINAL_H_
