#ifndef SERF_TESTING_AGENTS_PROCESS_H_
#define SERF_TESTING_AGENTS_PROCESS_H_

// Process: a child process whose output the test reads while it runs. It never outlives the test:
// the destructor kills it.
//
//   Process agent({binary, "agent", "-node=a"});
//   ASSERT_TRUE(agent.WaitForOutput("Serf agent running!"));
//   agent.Signal(SIGINT);
//   EXPECT_EQ(agent.Wait(), 0);

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace serf::testkit {

// How long a test waits for something that must happen: longer than the protocol takes with unlucky
// gossip on a busy machine, and shorter than the limit of a medium test.
inline constexpr std::chrono::seconds kDeadline{90};

class Process {
 public:
  using Environment = std::map<std::string, std::string>;

  // Starts `argv[0]`, a path, with exactly this environment. Ends the test program if that fails.
  explicit Process(std::vector<std::string> argv, const Environment& environment = {});
  ~Process();

  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  pid_t pid() const { return pid_; }

  // The output so far.
  std::string out() const;
  std::string err() const;

  // Waits until standard output contains `text`. False at the deadline, or if the process ended
  // without it.
  bool WaitForOutput(absl::string_view text, std::chrono::seconds deadline = kDeadline) const;

  // Waits until `condition` holds. Checks it at once, then twenty times per second. False at the
  // deadline, or if the process ended before.
  bool WaitUntil(const std::function<bool()>& condition,
                 std::chrono::seconds deadline = kDeadline) const;

  // True after the end of the output: the process has ended, or is about to.
  bool ended() const {
    const std::lock_guard<std::mutex> lock(mutex_);
    return ended_;
  }

  void Signal(int number) const { ::kill(pid_, number); }

  // Waits for the end of the process and of its output. Returns the exit code, or 128 plus the
  // number of the signal that ended it; nothing at the deadline.
  std::optional<int> Wait(std::chrono::seconds deadline = kDeadline);

  // Sends SIGKILL and waits for the end.
  void Kill() {
    Signal(SIGKILL);
    Wait();
  }

 private:
  // Reads both pipes to their ends, so that the child never blocks on a full one.
  void Read(int out_fd, int err_fd);

  pid_t pid_ = -1;
  std::thread reader_;
  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  std::string out_;
  std::string err_;
  bool ended_ = false;  // both pipes are closed
  std::optional<int> exit_code_;
};

// Starts a program: the child's id. Aborts if it cannot be started.
inline pid_t Spawn(std::vector<std::string> argv, const Process::Environment& environment,
                   const posix_spawn_file_actions_t& actions,
                   const posix_spawnattr_t* attributes = nullptr) {
  std::vector<std::string> variables;
  for (const auto& [name, value] : environment) variables.push_back(absl::StrCat(name, "=", value));
  const auto pointers = [](std::vector<std::string>& words) {
    std::vector<char*> result;
    for (std::string& word : words) result.push_back(word.data());
    result.push_back(nullptr);
    return result;
  };
  pid_t pid = -1;
  const int error = ::posix_spawn(&pid, argv[0].c_str(), &actions, attributes,
                                  pointers(argv).data(), pointers(variables).data());
  if (error != 0) {
    std::fprintf(stderr, "cannot start %s: error %d\n", argv[0].c_str(), error);
    std::abort();
  }
  return pid;
}

inline Process::Process(std::vector<std::string> argv, const Environment& environment) {
  int out[2];
  int err[2];
  if (::pipe2(out, O_CLOEXEC) != 0 || ::pipe2(err, O_CLOEXEC) != 0) {
    std::fprintf(stderr, "no pipes for %s: error %d\n", argv[0].c_str(), errno);
    std::abort();
  }
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  ::posix_spawn_file_actions_adddup2(&actions, out[1], STDOUT_FILENO);
  ::posix_spawn_file_actions_adddup2(&actions, err[1], STDERR_FILENO);
  pid_ = Spawn(std::move(argv), environment, actions);
  ::posix_spawn_file_actions_destroy(&actions);
  ::close(out[1]);
  ::close(err[1]);
  reader_ = std::thread([this, out_fd = out[0], err_fd = err[0]] { Read(out_fd, err_fd); });
}

inline Process::~Process() {
  if (!exit_code_) Kill();
  reader_.join();
}

inline void Process::Read(int out_fd, int err_fd) {
  pollfd fds[2] = {{out_fd, POLLIN, 0}, {err_fd, POLLIN, 0}};
  std::string* const texts[2] = {&out_, &err_};
  char buffer[4096];
  while (fds[0].fd >= 0 || fds[1].fd >= 0) {
    if (::poll(fds, 2, -1) < 0) continue;
    for (int i = 0; i < 2; ++i) {
      if (fds[i].fd < 0 || fds[i].revents == 0) continue;
      const ssize_t size = ::read(fds[i].fd, buffer, sizeof(buffer));
      if (size > 0) {
        const std::lock_guard<std::mutex> lock(mutex_);
        texts[i]->append(buffer, static_cast<std::size_t>(size));
        changed_.notify_all();
      } else if (size == 0 || errno != EINTR) {
        ::close(fds[i].fd);
        fds[i].fd = -1;
      }
    }
  }
  const std::lock_guard<std::mutex> lock(mutex_);
  ended_ = true;
  changed_.notify_all();
}

inline std::string Process::out() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return out_;
}

inline std::string Process::err() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return err_;
}

inline bool Process::WaitForOutput(absl::string_view text, std::chrono::seconds deadline) const {
  std::unique_lock<std::mutex> lock(mutex_);
  changed_.wait_for(lock, deadline, [&] { return ended_ || absl::StrContains(out_, text); });
  return absl::StrContains(out_, text);
}

inline bool Process::WaitUntil(const std::function<bool()>& condition,
                               std::chrono::seconds deadline) const {
  const auto end = std::chrono::steady_clock::now() + deadline;
  for (bool last = false; !condition();) {
    if (last) return false;
    std::unique_lock<std::mutex> lock(mutex_);
    changed_.wait_for(lock, std::chrono::milliseconds(50), [&] { return ended_; });
    last = ended_ || std::chrono::steady_clock::now() >= end;
  }
  return true;
}

inline std::optional<int> Process::Wait(std::chrono::seconds deadline) {
  if (exit_code_) return exit_code_;
  {
    std::unique_lock<std::mutex> lock(mutex_);
    if (!changed_.wait_for(lock, deadline, [&] { return ended_; })) return std::nullopt;
  }
  // Other processes may close their output before they end; the processes of these tests do not.
  int status = 0;
  while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) continue;
  exit_code_ = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return exit_code_;
}

}  // namespace serf::testkit

#endif  // SERF_TESTING_AGENTS_PROCESS_H_
