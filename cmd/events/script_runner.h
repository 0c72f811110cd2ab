#ifndef SERF_CMD_EVENTS_SCRIPT_RUNNER_H_
#define SERF_CMD_EVENTS_SCRIPT_RUNNER_H_

// ScriptRunner: shell commands as child processes, without ever waiting for one.
// Source: spec/agent.md 3.2 to 3.4.
//
//   ScriptRunner runner(io);
//   runner.Run({.command = "wc -c", .environment = words, .input = "text"},
//              [](const ScriptResult& result) { ... });
//
// A command has ended when its shell has, and its output is closed by all who inherited it or
// kOutputGrace later: a background child that keeps it open is not waited for. What such a child
// still writes is read and thrown away, so that it does not die of a closed pipe.

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "boost/asio/buffer.hpp"
#include "boost/asio/io_context.hpp"
#include "boost/asio/posix/stream_descriptor.hpp"
#include "boost/asio/signal_set.hpp"
#include "boost/asio/steady_timer.hpp"
#include "boost/asio/write.hpp"
#include "serf/cmd/events/output_tail.h"

namespace serf::cmd {

struct ScriptCall {
  std::string command;                   // for /bin/sh -c
  std::vector<std::string> environment;  // all of it, "NAME=VALUE"
  std::string input;                     // standard input, then closed
};

struct ScriptResult {
  OutputTail output;    // standard output and standard error as they came
  std::string failure;  // empty: exit status 0; "exit status 3", "signal: killed", why it has none
  bool input_refused = false;  // it closed its input before the end
};

// One thread, that of the io_context, which outlives the runner. A Done may do anything with the
// runner, its destruction included.
class ScriptRunner {
 public:
  // How long the output of a shell that has ended may stay open.
  static constexpr std::chrono::seconds kOutputGrace{1};
  // Between two reads after that.
  static constexpr std::chrono::milliseconds kDrainPause{100};
  // Outputs that are read after that; the oldest is closed for one more.
  static constexpr std::size_t kLeftOpenMax = 64;

  using Done = std::function<void(const ScriptResult&)>;

  explicit ScriptRunner(boost::asio::io_context& io) : io_(io), signals_(io, SIGCHLD) {
    WaitForChildren();
  }
  // Processes that run go on; no Done is called.
  ~ScriptRunner();

  ScriptRunner(const ScriptRunner&) = delete;
  ScriptRunner& operator=(const ScriptRunner&) = delete;

  // Calls `done` once, later, also when the process could not be started.
  void Run(ScriptCall call, Done done);

  std::size_t running() const { return running_.size(); }

 private:
  struct Process {
    explicit Process(boost::asio::io_context& io) : input(io), output(io), grace(io) {}

    pid_t pid = -1;
    std::string text;  // of the input
    boost::asio::posix::stream_descriptor input;
    boost::asio::posix::stream_descriptor output;
    boost::asio::steady_timer grace;
    std::array<char, 4096> buffer;
    ScriptResult result;
    bool ended = false;   // the shell
    bool closed = false;  // the output
    Done done;            // null: told, or nobody is there any more
  };
  using ProcessPtr = std::shared_ptr<Process>;

  void WaitForChildren();
  void Reap();
  void Write(const ProcessPtr& process);
  void Read(const ProcessPtr& process);
  // Reads on after a while: what is thrown away anyway is not worth the agent's time.
  void Drain(const ProcessPtr& process);
  // Tells the result if the command has ended.
  void Settle(const ProcessPtr& process);
  void Finish(const ProcessPtr& process);

  boost::asio::io_context& io_;
  const std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  // false: handlers do nothing
  boost::asio::signal_set signals_;
  std::vector<ProcessPtr> running_;
  std::deque<ProcessPtr> left_open_;
};

namespace script_runner_internal {

// Both ends are above standard error, also in a process that was started without it, so that no
// dup2() overwrites what another one needs.
inline bool OpenPipe(std::array<int, 2>& ends) {
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return false;
  for (int& end : ends) {
    if (end > STDERR_FILENO) continue;
    const int low = end;
    end = ::fcntl(low, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    ::close(low);
  }
  return true;
}

inline std::string SystemText(int error) {
  std::string text = std::generic_category().message(error);
  if (!text.empty()) text[0] = absl::ascii_tolower(static_cast<unsigned char>(text[0]));
  return text;
}

// "exit status 3", "signal: killed"; empty for a success.
inline std::string DescribeStatus(int status) {
  if (WIFEXITED(status)) {
    return WEXITSTATUS(status) == 0 ? "" : absl::StrCat("exit status ", WEXITSTATUS(status));
  }
  std::string name = ::strsignal(WTERMSIG(status));
  name[0] = absl::ascii_tolower(static_cast<unsigned char>(name[0]));
  return absl::StrCat("signal: ", name, WCOREDUMP(status) ? " (core dumped)" : "");
}

// Starts the shell with these as its three standard streams and nothing else open. Zero or errno.
inline int Spawn(const ScriptCall& call, int in, int out, pid_t* pid) {
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_adddup2(&actions, in, STDIN_FILENO);
  ::posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
  ::posix_spawn_file_actions_adddup2(&actions, out, STDERR_FILENO);
  // Not all of the agent's sockets close themselves: a daemon that a script starts must not keep
  // the agent's ports.
  ::posix_spawn_file_actions_addclosefrom_np(&actions, STDERR_FILENO + 1);
  posix_spawnattr_t attributes;
  ::posix_spawnattr_init(&attributes);
  ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
  sigset_t signals;
  ::sigemptyset(&signals);
  ::posix_spawnattr_setsigmask(&attributes, &signals);
  ::sigfillset(&signals);  // the agent ignores some
  ::posix_spawnattr_setsigdefault(&attributes, &signals);

  std::string shell = "/bin/sh";
  std::string option = "-c";
  std::string command = call.command;
  std::array<char*, 4> argv = {shell.data(), option.data(), command.data(), nullptr};
  std::vector<std::string> words = call.environment;
  std::vector<char*> environment;
  environment.reserve(words.size() + 1);
  for (std::string& word : words) environment.push_back(word.data());
  environment.push_back(nullptr);
  const int error =
      ::posix_spawn(pid, shell.c_str(), &actions, &attributes, argv.data(), environment.data());
  ::posix_spawnattr_destroy(&attributes);
  ::posix_spawn_file_actions_destroy(&actions);
  return error;
}

// Why the command cannot be started as it is; empty if it can.
inline std::string Refusal(const ScriptCall& call) {
  for (const std::string& word : call.environment) {
    if (word.find('\0') != std::string::npos) return "exec: environment variable contains NUL";
  }
  if (call.command.find('\0') != std::string::npos) return "fork/exec /bin/sh: invalid argument";
  return "";
}

}  // namespace script_runner_internal

inline ScriptRunner::~ScriptRunner() {
  *alive_ = false;
  for (const ProcessPtr& process : running_) {
    process->done = nullptr;
    process->grace.cancel();
    boost::system::error_code ignored;
    process->input.close(ignored);
    process->output.close(ignored);
  }
  for (const ProcessPtr& process : left_open_) {
    boost::system::error_code ignored;
    process->output.close(ignored);
  }
}

inline void ScriptRunner::Run(ScriptCall call, Done done) {
  namespace internal = script_runner_internal;
  auto process = std::make_shared<Process>(io_);
  process->done = std::move(done);
  process->text = std::move(call.input);
  process->result.failure = internal::Refusal(call);
  std::array<int, 2> in = {-1, -1};
  std::array<int, 2> out = {-1, -1};
  if (process->result.failure.empty()) {
    int error = 0;
    if (!internal::OpenPipe(in) || !internal::OpenPipe(out)) {
      error = errno;
    } else {
      error = internal::Spawn(call, in[0], out[1], &process->pid);
    }
    if (error != 0) {
      process->result.failure = absl::StrCat("fork/exec /bin/sh: ", internal::SystemText(error));
    }
  }
  for (const int theirs : {in[0], out[1]}) {
    if (theirs >= 0) ::close(theirs);
  }
  running_.push_back(process);
  if (!process->result.failure.empty()) {
    for (const int ours : {in[1], out[0]}) {
      if (ours >= 0) ::close(ours);
    }
    process->ended = process->closed = true;
    process->grace.expires_after(std::chrono::seconds(0));
    process->grace.async_wait([this, alive = alive_, process](const auto&) {
      if (*alive) Settle(process);
    });
    return;
  }
  process->input.assign(in[1]);
  process->output.assign(out[0]);
  // What fits the pipe is written at once: a script outlives an agent that ends.
  Write(process);
  Read(process);
}

inline void ScriptRunner::WaitForChildren() {
  signals_.async_wait([this, alive = alive_](const auto& error, int) {
    if (error || !*alive) return;
    // Wait again first: what ends meanwhile must not be missed, and Done may end the runner.
    WaitForChildren();
    Reap();
  });
}

inline void ScriptRunner::Reap() {
  std::vector<ProcessPtr> ended;
  for (const ProcessPtr& process : running_) {
    if (process->ended) continue;
    int status = 0;
    const pid_t pid = ::waitpid(process->pid, &status, WNOHANG);
    if (pid == 0 || (pid < 0 && errno == EINTR)) continue;
    process->ended = true;
    process->result.failure =
        pid < 0 ? absl::StrCat("waitid: ", script_runner_internal::SystemText(errno))
                : script_runner_internal::DescribeStatus(status);
    ended.push_back(process);
  }
  const std::shared_ptr<bool> alive = alive_;
  for (const ProcessPtr& process : ended) {
    if (!*alive) return;
    if (!process->closed) {
      process->grace.expires_after(kOutputGrace);
      process->grace.async_wait([this, alive, process](const auto& error) {
        if (!error && *alive && process->done) Finish(process);
      });
    }
    Settle(process);
  }
}

inline void ScriptRunner::Write(const ProcessPtr& process) {
  boost::asio::async_write(process->input, boost::asio::buffer(process->text),
                           [process](const auto& error, std::size_t) {
                             if (error && error != boost::asio::error::operation_aborted) {
                               process->result.input_refused = true;
                             }
                             boost::system::error_code ignored;
                             process->input.close(ignored);
                           });
}

inline void ScriptRunner::Read(const ProcessPtr& process) {
  process->output.async_read_some(
      boost::asio::buffer(process->buffer),
      [this, alive = alive_, process](const auto& error, std::size_t size) {
        if (!*alive || error == boost::asio::error::operation_aborted) return;
        if (!error && !process->done) return Drain(process);
        if (!error) {
          process->result.output.Append({process->buffer.data(), size});
          return Read(process);
        }
        process->closed = true;
        boost::system::error_code ignored;
        process->output.close(ignored);
        std::erase(left_open_, process);
        Settle(process);
      });
}

inline void ScriptRunner::Drain(const ProcessPtr& process) {
  process->grace.expires_after(kDrainPause);
  process->grace.async_wait([this, alive = alive_, process](const auto& error) {
    if (!error && *alive) Read(process);
  });
}

inline void ScriptRunner::Settle(const ProcessPtr& process) {
  if (process->done && process->ended && process->closed) Finish(process);
}

inline void ScriptRunner::Finish(const ProcessPtr& process) {
  process->grace.cancel();
  std::erase(running_, process);
  boost::system::error_code ignored;
  process->input.close(ignored);
  if (!process->closed) {
    if (left_open_.size() == kLeftOpenMax) {
      left_open_.front()->output.close(ignored);
      left_open_.pop_front();
    }
    left_open_.push_back(process);
  }
  const Done done = std::exchange(process->done, nullptr);
  done(process->result);
}

}  // namespace serf::cmd

#endif  // SERF_CMD_EVENTS_SCRIPT_RUNNER_H_
