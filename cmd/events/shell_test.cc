// Tests what a child process inherits and what it does not.

#include "serf/cmd/events/shell.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace serf::cmd {
namespace {

using ::testing::HasSubstr;

// The command's output and its exit status.
struct Ran {
  std::string output;
  int status = -1;
};

Ran RunShell(const std::string& command, const std::vector<std::string>& environment = {},
             const rlimit* descriptors = nullptr) {
  Ran ran;
  Pipe in;
  Pipe out;
  EXPECT_EQ(in.Open(), 0);
  EXPECT_EQ(out.Open(), 0);
  pid_t pid = -1;
  EXPECT_EQ(StartShell(command, environment, in.read_end(), out.write_end(), descriptors, &pid), 0);
  ::close(in.TakeWriteEnd());
  ::close(out.TakeWriteEnd());
  std::array<char, 4096> buffer;
  for (ssize_t size; (size = ::read(out.read_end(), buffer.data(), buffer.size())) > 0;) {
    ran.output.append(buffer.data(), static_cast<std::size_t>(size));
  }
  int status = 0;
  EXPECT_EQ(::waitpid(pid, &status, 0), pid);
  if (WIFEXITED(status)) ran.status = WEXITSTATUS(status);
  return ran;
}

// The lowest free descriptor, while all lower ones are taken.
int NextDescriptor() {
  const int next = ::dup(STDERR_FILENO);
  ::close(next);
  return next;
}

class DescriptorLimit {
 public:
  explicit DescriptorLimit(int limit) {
    ::getrlimit(RLIMIT_NOFILE, &before_);
    rlimit lower = before_;
    lower.rlim_cur = static_cast<rlim_t>(limit);
    ::setrlimit(RLIMIT_NOFILE, &lower);
  }
  ~DescriptorLimit() { ::setrlimit(RLIMIT_NOFILE, &before_); }

 private:
  rlimit before_;
};

TEST(ShellTest, HasItsEnvironmentAndNoOther) {
  const Ran ran = RunShell("echo $A-$HOME; cat; exit 3", {"A=x y"});
  EXPECT_EQ(ran.output, "x y-\n");
  EXPECT_EQ(ran.status, 3);
}

TEST(ShellTest, BlocksAndIgnoresNothing) {
  sigset_t blocked;
  ::sigemptyset(&blocked);
  ::sigaddset(&blocked, SIGUSR1);
  ::sigaddset(&blocked, SIGTERM);
  sigset_t before;
  ::pthread_sigmask(SIG_BLOCK, &blocked, &before);
  for (const int signal : {SIGPIPE, SIGHUP, SIGUSR2}) ::signal(signal, SIG_IGN);
  const Ran ran = RunShell("grep -E 'Sig(Blk|Ign)' /proc/self/status");
  for (const int signal : {SIGPIPE, SIGHUP, SIGUSR2}) ::signal(signal, SIG_DFL);
  sigset_t after;
  ::pthread_sigmask(SIG_SETMASK, &before, &after);
  EXPECT_EQ(ran.output, "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n");
  EXPECT_EQ(::sigismember(&after, SIGUSR1), 1);  // unchanged
  EXPECT_EQ(::sigismember(&after, SIGUSR2), 0);
}

TEST(ShellTest, HasTheLimitThatItIsGiven) {
  rlimit limit{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &limit), 0);
  limit.rlim_cur = 100;
  EXPECT_EQ(RunShell("ulimit -Sn; ulimit -Hn", {}, &limit).output,
            absl::StrCat("100\n", limit.rlim_max, "\n"));
  rlimit own{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &own), 0);
  EXPECT_NE(own.rlim_cur, 100u);
  EXPECT_EQ(RunShell("ulimit -Sn").output, absl::StrCat(own.rlim_cur, "\n"));
}

TEST(ShellTest, WhatCannotBeStartedIsTold) {
  Pipe in;
  Pipe out;
  ASSERT_EQ(in.Open(), 0);
  ASSERT_EQ(out.Open(), 0);
  pid_t pid = -1;
  // Longer than the system allows for one word.
  const std::string command = absl::StrCat("true ", std::string(std::size_t{1} << 20, 'x'));
  EXPECT_EQ(StartShell(command, {}, in.read_end(), out.write_end(), nullptr, &pid), E2BIG);
  EXPECT_EQ(::waitpid(-1, nullptr, WNOHANG), -1);  // no zombie is left
}

TEST(PipeTest, IsAboveTheStandardStreams) {
  const int input = ::dup(STDIN_FILENO);
  const int output = ::dup(STDOUT_FILENO);
  ::close(STDIN_FILENO);
  ::close(STDOUT_FILENO);
  Pipe pipe;
  const int error = pipe.Open();
  ::dup2(input, STDIN_FILENO);
  ::dup2(output, STDOUT_FILENO);
  ::close(input);
  ::close(output);
  EXPECT_EQ(error, 0);
  EXPECT_GT(pipe.read_end(), STDERR_FILENO);
  EXPECT_GT(pipe.write_end(), STDERR_FILENO);
}

TEST(PipeTest, FailsWholeAtTheLimitOfDescriptors) {
  const int next = NextDescriptor();
  for (int room = 0; room <= 1; ++room) {
    const DescriptorLimit limit(next + room);
    Pipe pipe;
    EXPECT_EQ(pipe.Open(), EMFILE) << room;
    EXPECT_EQ(pipe.read_end(), -1);
    EXPECT_EQ(pipe.write_end(), -1);
  }
  // The pipe fits, but not above the standard streams.
  const int input = ::dup(STDIN_FILENO);
  ::close(STDIN_FILENO);
  int error = 0;
  {
    const DescriptorLimit limit(next + 2);
    Pipe pipe;
    error = pipe.Open();
  }
  ::dup2(input, STDIN_FILENO);
  ::close(input);
  EXPECT_EQ(error, EMFILE);
  EXPECT_EQ(NextDescriptor(), next);  // no descriptor leaks
}

}  // namespace
}  // namespace serf::cmd
