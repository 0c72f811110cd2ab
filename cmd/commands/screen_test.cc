#include "serf/cmd/commands/screen.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <string>

#include "gtest/gtest.h"

namespace serf::cmd {
namespace {

// What steers a terminal is escaped and counts with its escapes; a line never exceeds the width.
TEST(ScreenTest, RenderTable) {
  const struct {
    ScreenLine line;
    std::size_t width;
    std::string shown;
  } cases[] = {
      {{"db-2  failed", ""}, 80, "db-2  failed"},
      {{"db-2  failed", kRed}, 80, "\x1b[31mdb-2  failed\x1b[0m"},
      {{"db-2  failed", kRed}, 4, "\x1b[31mdb-2\x1b[0m"},
      {{"h\xc3\xa9llo", ""}, 2, "h\xc3\xa9"},
      {{"a\x1b[2Jb", ""}, 80, "a\\x1b[2Jb"},
      {{"a\x1b[2Jb", ""}, 3, "a\\x"},
      {{"a\xff", ""}, 80, "a\\xff"},
      {{"", kDim}, 80, "\x1b[2m\x1b[0m"},
      {{"abc", ""}, 0, ""},
  };
  for (const auto& c : cases) EXPECT_EQ(Render(c.line, c.width), c.shown);
}

TEST(ScreenTest, ColorModes) {
  for (const char* mode : {"auto", "always", "never"}) EXPECT_TRUE(IsColorMode(mode));
  EXPECT_FALSE(IsColorMode("yes"));
  EXPECT_TRUE(WantsColor("always"));
  EXPECT_FALSE(WantsColor("never"));
  EXPECT_FALSE(WantsColor("auto"));  // the output of a test is not a terminal
}

// A shell with one job, a Screen that Ctrl-Z has stopped, on a terminal of their own.
class JobTest : public ::testing::Test {
 protected:
  // Nothing takes so long, even on a busy machine.
  static constexpr unsigned kPatienceSeconds = 30;

  // Runs `shell` in a process that leads the terminal's session; true if it says so.
  template <typename Shell>
  static bool RunShell(Shell shell) {
    const int master = ::posix_openpt(O_RDWR | O_NOCTTY);
    EXPECT_GE(master, 0);
    EXPECT_EQ(::grantpt(master), 0);
    EXPECT_EQ(::unlockpt(master), 0);
    const std::string name = ::ptsname(master);
    const pid_t child = ::fork();
    if (child == 0) {
      ::alarm(kPatienceSeconds);
      ::setsid();
      ::dup2(::open(name.c_str(), O_RDWR), STDOUT_FILENO);
      ::ioctl(STDOUT_FILENO, TIOCSCTTY, 0);
      // The shell may always say who has the terminal.
      std::signal(SIGTTOU, SIG_IGN);
      ::_exit(shell() ? 0 : 1);
    }
    int status = 0;
    EXPECT_EQ(::waitpid(child, &status, 0), child);
    ::close(master);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
  }
  static pid_t StartJob() {
    const pid_t job = ::fork();
    if (job == 0) {
      ::setpgid(0, 0);
      ::tcsetpgrp(STDOUT_FILENO, ::getpgrp());
      std::signal(SIGTTOU, SIG_DFL);
      sigset_t window;
      ::sigemptyset(&window);
      ::sigaddset(&window, SIGWINCH);
      ::sigprocmask(SIG_BLOCK, &window, nullptr);
      Screen screen;
      screen.Draw({{"a", ""}});
      ::raise(SIGTSTP);
      for (int signal = 0;;) {
        screen.Draw({{"b", ""}});
        ::sigwait(&window, &signal);
      }
    }
    return job;
  }
  // Until the job has taken the terminal, at most until the shell's alarm.
  static void WaitUntilDrawn() {
    termios keys{};
    while (::tcgetattr(STDOUT_FILENO, &keys) == 0 && (keys.c_lflag & ICANON) != 0) {
      ::sched_yield();
    }
  }
  static int Wait(pid_t job) {
    int status = 0;
    ::waitpid(job, &status, WUNTRACED);
    return status;
  }
  static bool StoppedBy(int status, int signal) {
    return WIFSTOPPED(status) && WSTOPSIG(status) == signal;
  }
  static bool EndedBy(int status, int signal) {
    return WIFSIGNALED(status) && WTERMSIG(status) == signal;
  }
  static void GiveTerminal(pid_t group) { ::tcsetpgrp(STDOUT_FILENO, group); }
  // As a shell does it for a job that stands.
  static int Kill(pid_t job) {
    ::kill(job, SIGTERM);
    ::kill(job, SIGCONT);
    const int status = Wait(job);
    ::kill(job, SIGKILL);
    return status;
  }
};

TEST_F(JobTest, AStoppedOneEndsWhenItIsKilled) {
  EXPECT_TRUE(RunShell([] {
    const pid_t job = StartJob();
    if (!StoppedBy(Wait(job), SIGTSTP)) return false;
    GiveTerminal(::getpgrp());
    return EndedBy(Kill(job), SIGTERM);
  }));
  // SIGSTOP leaves the page where it is.
  EXPECT_TRUE(RunShell([] {
    const pid_t job = StartJob();
    if (!StoppedBy(Wait(job), SIGTSTP)) return false;
    ::kill(job, SIGCONT);
    WaitUntilDrawn();
    ::kill(job, SIGSTOP);
    if (!StoppedBy(Wait(job), SIGSTOP)) return false;
    GiveTerminal(::getpgrp());
    return EndedBy(Kill(job), SIGTERM);
  }));
}

TEST_F(JobTest, InTheBackgroundItStopsInsteadOfDrawing) {
  EXPECT_TRUE(RunShell([] {
    termios before{};
    ::tcgetattr(STDOUT_FILENO, &before);
    const pid_t job = StartJob();
    if (!StoppedBy(Wait(job), SIGTSTP)) return false;
    GiveTerminal(::getpgrp());
    ::kill(job, SIGCONT);
    if (!StoppedBy(Wait(job), SIGTTOU)) return false;
    GiveTerminal(job);
    ::kill(job, SIGCONT);
    WaitUntilDrawn();
    // SIGSTOP comes without a warning, and the shell sets the terminal for itself.
    ::kill(job, SIGSTOP);
    if (!StoppedBy(Wait(job), SIGSTOP)) return false;
    ::tcsetattr(STDOUT_FILENO, TCSANOW, &before);
    ::kill(job, SIGCONT);
    WaitUntilDrawn();
    ::kill(job, SIGTERM);
    const bool ended = EndedBy(Wait(job), SIGTERM);
    termios after{};
    ::tcgetattr(STDOUT_FILENO, &after);
    return ended && after.c_lflag == before.c_lflag;
  }));
}

}  // namespace
}  // namespace serf::cmd
