#ifndef SERF_CMD_EVENTS_SHELL_H_
#define SERF_CMD_EVENTS_SHELL_H_

// StartShell: starts a command as a child process that inherits only the agent's environment.
//
//   pid_t pid;
//   const int error = StartShell("wc -c", words, read_end, write_end, &pid);   // zero or errno
//
// posix_spawn() does not serve: it cannot give the child other limits than its parent's.

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <string>
#include <vector>

namespace serf::cmd {

// A pipe whose ends close themselves in children. Both are above standard error, even in a process
// that was started without it, so no dup2() overwrites another end. The destructor closes the ends
// that were not taken.
class Pipe {
 public:
  Pipe() = default;
  ~Pipe() {
    for (int end : ends_) {
      if (end >= 0) ::close(end);
    }
  }
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;

  // Returns zero or errno. After an error there is no pipe.
  int Open();

  int read_end() const { return ends_[0]; }
  int write_end() const { return ends_[1]; }
  // The caller must close the end that it takes.
  int TakeReadEnd() { return Take(0); }
  int TakeWriteEnd() { return Take(1); }

 private:
  int Take(std::size_t i) {
    const int end = ends_[i];
    ends_[i] = -1;
    return end;
  }

  std::array<int, 2> ends_ = {-1, -1};
};

// Runs `/bin/sh -c COMMAND` with these words ("NAME=VALUE") as its environment, `in` as standard
// input, `out` as standard output and standard error, and no other descriptor. No signal is blocked
// or ignored. `descriptors` is its limit of open files; null: that of this process. Returns zero or
// errno. The command and the words must not hold NUL.
int StartShell(const std::string& command, const std::vector<std::string>& environment, int in,
               int out, const rlimit* descriptors, pid_t* pid);

// --- bodies ---

inline int Pipe::Open() {
  if (::pipe2(ends_.data(), O_CLOEXEC) != 0) return errno;
  for (int& end : ends_) {
    if (end > STDERR_FILENO) continue;
    const int high = ::fcntl(end, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    if (high < 0) {
      const int error = errno;
      ::close(TakeReadEnd());
      ::close(TakeWriteEnd());
      return error;
    }
    ::close(end);
    end = high;
  }
  return 0;
}

namespace shell_internal {

// Runs in the child, which shares its parent's memory until it becomes another program, so it only
// makes system calls. Returns only after a failure.
inline void Become(char* const* argv, char* const* environment, int in, int out,
                   const rlimit* descriptors) {
  // Across execve() ignored signals stay ignored, and handled ones do not. sigaction() does not
  // serve here: it refuses the library's own two signals, and some programs start others with these
  // ignored. All zeros mean the default action. The system refuses the call for two signals, which
  // have that action anyway.
  constexpr std::array<unsigned long, 8> kDefault{};
  for (int signal = 1; signal < NSIG; ++signal) {
    (void)::syscall(SYS_rt_sigaction, signal, kDefault.data(), nullptr, NSIG / 8);
  }
  if (::dup2(in, STDIN_FILENO) < 0 || ::dup2(out, STDOUT_FILENO) < 0 ||
      ::dup2(out, STDERR_FILENO) < 0) {
    return;
  }
  // Not all of the agent's sockets are close-on-exec, and a daemon that a script starts must not
  // keep the agent's ports.
  if (::close_range(STDERR_FILENO + 1, ~0u, CLOSE_RANGE_CLOEXEC) != 0) {
    for (int fd = STDERR_FILENO + 1, end = ::getdtablesize(); fd < end; ++fd) {
      (void)::fcntl(fd, F_SETFD, FD_CLOEXEC);
    }
  }
  if (descriptors != nullptr) (void)::setrlimit(RLIMIT_NOFILE, descriptors);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::execve(argv[0], argv, environment);
}

}  // namespace shell_internal

inline int StartShell(const std::string& command, const std::vector<std::string>& environment,
                      int in, int out, const rlimit* descriptors, pid_t* pid) {
  // execve() changes none of its words.
  const std::array<char*, 4> argv = {const_cast<char*>("/bin/sh"), const_cast<char*>("-c"),
                                     const_cast<char*>(command.c_str()), nullptr};
  std::vector<char*> words;
  words.reserve(environment.size() + 1);
  for (const std::string& word : environment) words.push_back(const_cast<char*>(word.c_str()));
  words.push_back(nullptr);

  // The child writes to this pipe why it did not become another program. If it did, the pipe
  // closes.
  Pipe failure;
  if (const int no_pipe = failure.Open(); no_pipe != 0) return no_pipe;
  // No handler of the agent may run in the child, where it would touch the agent's own data.
  sigset_t all;
  sigset_t before;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  // fork() would copy the page tables, which takes milliseconds in an agent of a large cluster.
  const pid_t child = ::vfork();
  if (child == 0) {
    shell_internal::Become(argv.data(), words.data(), in, out, descriptors);
    const int why = errno;
    (void)!::write(failure.write_end(), &why, sizeof(why));
    ::_exit(127);
  }
  int error = child < 0 ? errno : 0;
  ::close(failure.TakeWriteEnd());
  if (child > 0 && ::read(failure.read_end(), &error, sizeof(error)) > 0) {
    (void)::waitpid(child, nullptr, 0);
  }
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  *pid = child;
  return error;
}

}  // namespace serf::cmd

#endif  // SERF_CMD_EVENTS_SHELL_H_
