#ifndef SERF_CMD_COMMANDS_SCREEN_H_
#define SERF_CMD_COMMANDS_SCREEN_H_

// Screen: a page of lines that is drawn again and again on the terminal of standard output, and the
// terminal as it was before when the page is gone: at the end of the object, and at the end of the
// process by any signal but SIGKILL. Ctrl-Z gives the terminal back, too, until the process
// continues and draws, which the system allows in the foreground only.
//
//   Screen screen;  // and draw again at SIGWINCH
//   screen.Draw({{"members 3", ""}, {"db-2  failed", kRed}});
//
// At most one at a time. It writes the sequences that every terminal emulator knows (ECMA-48, and
// xterm's for the alternate page), and needs no database of terminals.

#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "serf/cmd/text/quote.h"
#include "serf/cmd/text/utf8.h"

namespace serf::cmd {

// -color: "auto", "always" or "never". With "auto" colors are for a terminal that can show them and
// a user who wants them (no-color.org).
inline bool WantsColor(absl::string_view mode) {
  if (mode != "auto") return mode == "always";
  const auto variable = [](const char* name) -> absl::string_view {
    const char* const value = std::getenv(name);
    return value == nullptr ? "" : value;
  };
  return ::isatty(STDOUT_FILENO) == 1 && variable("NO_COLOR").empty() &&
         !variable("TERM").empty() && variable("TERM") != "dumb";
}

inline bool IsColorMode(absl::string_view mode) {
  return mode == "auto" || mode == "always" || mode == "never";
}

// Sequences that color what follows.
inline constexpr absl::string_view kRed = "\x1b[31m";
inline constexpr absl::string_view kYellow = "\x1b[33m";
inline constexpr absl::string_view kDim = "\x1b[2m";
inline constexpr absl::string_view kBold = "\x1b[1m";
inline constexpr absl::string_view kPlain = "\x1b[0m";

// A line of text without LF, and its color; empty: none.
struct ScreenLine {
  std::string text;
  absl::string_view color = {};

  bool operator==(const ScreenLine&) const = default;
};

// The text of a line: everything that could steer a terminal escaped, at most `width` code points,
// with its color.
inline std::string Render(const ScreenLine& line, std::size_t width) {
  const std::string safe = EscapeForTerminal(line.text);
  absl::string_view rest = safe;
  for (std::size_t n = 0; n < width && !rest.empty(); ++n) TakeUtf8(rest);
  const absl::string_view shown = absl::string_view(safe).substr(0, safe.size() - rest.size());
  return line.color.empty() ? std::string(shown) : absl::StrCat(line.color, shown, kPlain);
}

class Screen {
 public:
  // The first Draw() takes the terminal. Call it on the only thread that takes signals.
  Screen();
  ~Screen();
  Screen(const Screen&) = delete;
  Screen& operator=(const Screen&) = delete;

  // Shows these lines, as many as fit, and nothing else. Writes only the lines that differ from
  // what stands there.
  void Draw(const std::vector<ScreenLine>& lines);

  struct Size {
    std::size_t rows = 24;
    std::size_t columns = 80;
    bool operator==(const Size&) const = default;
  };
  // The terminal's size now.
  static Size Measure();

 private:
  // What the signal handler uses.
  struct Taken {
    termios before;
    bool has_before;
    volatile std::sig_atomic_t taken;
    volatile std::sig_atomic_t stale;  // Draw() must take the terminal first, again or still
  };
  static Taken& State() {
    static Taken state;
    return state;
  }
  static void Write(absl::string_view text);
  // Stops the process if it is in the background.
  static void Take();
  static void GiveBack();
  static void OnSignal(int signal);

  static constexpr int kEnds[] = {SIGTERM, SIGHUP, SIGQUIT, SIGABRT, SIGSEGV,
                                  SIGBUS,  SIGFPE, SIGILL,  SIGINT};

  std::vector<ScreenLine> drawn_;
  Size size_;
};

inline Screen::Screen() {
  State().has_before = ::tcgetattr(STDOUT_FILENO, &State().before) == 0;
  for (const int signal : kEnds) std::signal(signal, OnSignal);
  for (const int signal : {SIGTSTP, SIGCONT}) std::signal(signal, OnSignal);
  State().stale = 1;
}

inline Screen::~Screen() {
  GiveBack();
  for (const int signal : kEnds) std::signal(signal, SIG_DFL);
  for (const int signal : {SIGTSTP, SIGCONT}) std::signal(signal, SIG_DFL);
}

// Also called by the signal handler: only what may be called there.
inline void Screen::Write(absl::string_view text) {
  while (!text.empty()) {
    const ssize_t size = ::write(STDOUT_FILENO, text.data(), text.size());
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return;  // the terminal is gone
    text.remove_prefix(static_cast<std::size_t>(size));
  }
}

inline void Screen::Take() {
  if (State().has_before) {
    termios keys = State().before;
    keys.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO);
    keys.c_cc[VMIN] = 1;
    keys.c_cc[VTIME] = 0;
    ::tcsetattr(STDOUT_FILENO, TCSADRAIN, &keys);
  }
  State().taken = 1;
  // The alternate page, no cursor, no wrapping of long lines.
  Write("\x1b[?1049h\x1b[?25l\x1b[?7l\x1b[2J");
}

inline void Screen::GiveBack() {
  if (State().taken == 0) return;
  State().taken = 0;
  Write("\x1b[0m\x1b[?7h\x1b[?25h\x1b[?1049l");
  // After a SIGSTOP the shell has the terminal, and has set it as it wants.
  const pid_t foreground = ::tcgetpgrp(STDOUT_FILENO);
  if (foreground > 0 && foreground != ::getpgrp()) return;
  if (State().has_before) ::tcsetattr(STDOUT_FILENO, TCSAFLUSH, &State().before);
}

inline void Screen::OnSignal(int signal) {
  const int error = errno;
  if (signal != SIGCONT) {
    GiveBack();
    std::signal(signal, SIG_DFL);
    sigset_t one;
    ::sigemptyset(&one);
    ::sigaddset(&one, signal);
    // The system's action: the process ends or stops here.
    ::raise(signal);
    ::sigprocmask(SIG_UNBLOCK, &one, nullptr);
    // It continues, or had no shell that could continue it, and did not stop.
    std::signal(signal, OnSignal);
  }
  // The owner draws, which takes the terminal. Not here: "kill %1" continues a job in the
  // background with the signal that ends it, and to take the terminal would stop it first.
  State().stale = 1;
  ::raise(SIGWINCH);
  errno = error;
}

inline Screen::Size Screen::Measure() {
  winsize size{};
  Size result;
  if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0) return result;
  if (size.ws_row > 0) result.rows = size.ws_row;
  if (size.ws_col > 0) result.columns = size.ws_col;
  return result;
}

inline void Screen::Draw(const std::vector<ScreenLine>& lines) {
  const bool stale = State().stale != 0;
  State().stale = 0;
  if (stale) Take();
  const Size size = Measure();
  const bool all = stale || size != size_;
  std::string out;
  if (all) {
    out += "\x1b[2J";
    drawn_.clear();
  }
  const std::size_t rows = std::min(size.rows, lines.size());
  for (std::size_t row = 0; row < rows; ++row) {
    if (row < drawn_.size() && drawn_[row] == lines[row]) continue;
    absl::StrAppend(&out, "\x1b[", row + 1, ";1H", Render(lines[row], size.columns), "\x1b[K");
  }
  if (rows < drawn_.size()) absl::StrAppend(&out, "\x1b[", rows + 1, ";1H\x1b[J");
  drawn_.assign(lines.begin(), lines.begin() + static_cast<std::ptrdiff_t>(rows));
  size_ = size;
  Write(out);
}

}  // namespace serf::cmd

#endif  // SERF_CMD_COMMANDS_SCREEN_H_
