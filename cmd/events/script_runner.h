#ifndef SERF_CMD_EVENTS_SCRIPT_RUNNER_H_
#define SERF_CMD_EVENTS_SCRIPT_RUNNER_H_

// ScriptRunner: runs shell commands as child processes, and never blocks on one.
//
//   ScriptRunner runner(io);
//   runner.Run({.command = "wc -c", .environment = words, .input = "text"},
//              [](const ScriptResult& result) { ... });
//
// A command has ended when its shell has ended and all processes that inherited its output have
// closed it, or kOutputGrace later: the runner does not wait for a background child that keeps the
// output open. It reads and drops what such a child still writes, so that a closed pipe does not
// kill the child.
//
// When the parent of a process ends, the orphan goes to the first process of a container, or to a
// "subreaper" (prctl(2)). If the agent is such a process, the runner takes the orphans' exit
// status, because nobody else would.
//
// Source: docs/protocol/agent.md 3.2 to 3.4.

#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
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
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "boost/asio/buffer.hpp"
#include "boost/asio/io_context.hpp"
#include "boost/asio/posix/stream_descriptor.hpp"
#include "boost/asio/post.hpp"
#include "boost/asio/signal_set.hpp"
#include "boost/asio/steady_timer.hpp"
#include "boost/asio/write.hpp"
#include "serf/base/system_error.h"
#include "serf/cmd/events/output_tail.h"
#include "serf/cmd/events/shell.h"

namespace serf::cmd {

struct ScriptCall {
  std::string command;                   // for /bin/sh -c
  std::vector<std::string> environment;  // the whole environment, "NAME=VALUE"
  std::string input;                     // the standard input, which closes after it
};

struct ScriptResult {
  OutputTail output;  // standard output and standard error in the order of arrival
  // "exit status 3", "signal: killed", or why it did not start; empty: exit status 0.
  std::string failure;
  bool input_refused = false;  // the command closed its input before the end
};

// Threads: all calls on the io_context's thread. The io_context must outlive the runner. A Done may
// do anything with the runner, even destroy it.
class ScriptRunner {
 public:
  // How long the output of a shell that has ended may stay open.
  static constexpr std::chrono::seconds kOutputGrace{1};
  // The pause between two reads after that time.
  static constexpr std::chrono::milliseconds kDrainPause{100};
  static constexpr std::size_t kReadSize = 16384;  // the most bytes of one read
  // Output that is read as fast as it comes. Beyond it there is a pause between two reads, because
  // a command that writes without end would otherwise take all of the agent's time.
  static constexpr std::uint64_t kFastOutputMax = std::uint64_t{1} << 20;
  static constexpr std::chrono::milliseconds kFloodPause{1};
  // The most outputs that are read after kOutputGrace. Beyond it the oldest one is closed.
  static constexpr std::size_t kLeftOpenMax = 64;

  using Done = std::function<void(const ScriptResult&)>;

  explicit ScriptRunner(boost::asio::io_context& io) : io_(io), signals_(io, SIGCHLD) {
    WaitForChildren();
    ReapOrphans();  // orphans of a program that this process was before exec
  }
  // Processes that run continue. No Done is called.
  ~ScriptRunner();

  ScriptRunner(const ScriptRunner&) = delete;
  ScriptRunner& operator=(const ScriptRunner&) = delete;

  // Calls `done` once, later, even if the process could not be started.
  void Run(ScriptCall call, Done done);

  // Sets the limit of open files for scripts, before the first call. Default: the limit of this
  // process.
  void set_descriptor_limit(const rlimit& limit) { descriptors_ = limit; }

  std::size_t running() const { return running_.size(); }

 private:
  struct Process {
    explicit Process(boost::asio::io_context& io) : input(io), output(io), grace(io), pause(io) {}

    pid_t pid = -1;
    std::string text;  // the input
    boost::asio::posix::stream_descriptor input;
    boost::asio::posix::stream_descriptor output;
    boost::asio::steady_timer grace;  // for the output that is still open
    boost::asio::steady_timer pause;  // between two reads
    std::array<char, kReadSize> buffer;
    ScriptResult result;
    bool ended = false;   // the shell
    bool closed = false;  // the output is closed
    Done done;            // null: already called, or the runner is gone
  };
  using ProcessPtr = std::shared_ptr<Process>;

  // Starts the process, then writes and reads. Returns why it did not start; empty if it did.
  std::string Start(const ScriptCall& call, const ProcessPtr& process);
  void WaitForChildren();
  void Reap();
  void ReapOrphans() const;
  bool IsOwn(pid_t pid) const;
  void Write(const ProcessPtr& process);
  void Read(const ProcessPtr& process);
  // Continues to read after a pause: output that will be dropped is not worth the agent's time.
  void ReadLater(const ProcessPtr& process, std::chrono::milliseconds pause);
  // Reports the result if the command has ended.
  void Settle(const ProcessPtr& process);
  void Finish(const ProcessPtr& process);

  boost::asio::io_context& io_;
  const std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  // false: handlers do nothing
  boost::asio::signal_set signals_;
  std::optional<rlimit> descriptors_;
  std::vector<ProcessPtr> running_;
  std::deque<ProcessPtr> left_open_;
};

namespace script_runner_internal {

// "exit status 3", "signal: killed"; empty for exit status 0.
inline std::string DescribeStatus(int status) {
  if (WIFEXITED(status)) {
    return WEXITSTATUS(status) == 0 ? "" : absl::StrCat("exit status ", WEXITSTATUS(status));
  }
  std::string name = ::strsignal(WTERMSIG(status));
  name[0] = absl::ascii_tolower(static_cast<unsigned char>(name[0]));
  return absl::StrCat("signal: ", name, WCOREDUMP(status) ? " (core dumped)" : "");
}

// True if orphans become children of this process.
inline bool AdoptsOrphans() {
  int subreaper = 0;
  return ::getpid() == 1 || (::prctl(PR_GET_CHILD_SUBREAPER, &subreaper) == 0 && subreaper != 0);
}

// Why the call is invalid; empty if it is valid.
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
  auto process = std::make_shared<Process>(io_);
  process->done = std::move(done);
  process->text = std::move(call.input);
  running_.push_back(process);
  process->result.failure = Start(call, process);
  if (process->result.failure.empty()) return;
  process->ended = process->closed = true;
  boost::asio::post(io_, [this, alive = alive_, process] {
    if (*alive) Settle(process);
  });
}

inline std::string ScriptRunner::Start(const ScriptCall& call, const ProcessPtr& process) {
  namespace internal = script_runner_internal;
  if (std::string refusal = internal::Refusal(call); !refusal.empty()) return refusal;
  const auto failed = [](int error) {
    return absl::StrCat("fork/exec /bin/sh: ", SystemErrorText(error));
  };
  Pipe in;
  Pipe out;
  if (const int error = in.Open(); error != 0) return failed(error);
  if (const int error = out.Open(); error != 0) return failed(error);
  // Watches before the process exists, because watching can fail too, at a limit of the system.
  boost::system::error_code error;
  process->input.assign(in.write_end(), error);
  if (!error) {
    in.TakeWriteEnd();
    process->output.assign(out.read_end(), error);
  }
  if (error) return failed(error.value());
  out.TakeReadEnd();
  const int not_started = StartShell(call.command, call.environment, in.read_end(), out.write_end(),
                                     descriptors_ ? &*descriptors_ : nullptr, &process->pid);
  if (not_started != 0) {
    process->input.close(error);
    process->output.close(error);
    return failed(not_started);
  }
  // Writes at once what fits the pipe, because a script outlives an agent that ends.
  Write(process);
  Read(process);
  return "";
}

inline void ScriptRunner::WaitForChildren() {
  signals_.async_wait([this, alive = alive_](const auto& error, int) {
    if (error || !*alive) return;
    // Waits again first: a child that ends meanwhile must not be missed, and Done may destroy the
    // runner.
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
    process->result.failure = pid < 0 ? absl::StrCat("waitid: ", SystemErrorText(errno))
                                      : script_runner_internal::DescribeStatus(status);
    ended.push_back(process);
  }
  ReapOrphans();
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

inline bool ScriptRunner::IsOwn(pid_t pid) const {
  return std::any_of(running_.begin(), running_.end(), [pid](const ProcessPtr& process) {
    return process->pid == pid && !process->ended;
  });
}

// The system reports the same ended child until its status is taken, and none behind it. The runner
// has taken the status of its own children before; one that has ended since brings its own signal.
inline void ScriptRunner::ReapOrphans() const {
  if (!script_runner_internal::AdoptsOrphans()) return;
  for (;;) {
    siginfo_t child = {};
    if (::waitid(P_ALL, 0, &child, WEXITED | WNOHANG | WNOWAIT) != 0) return;
    if (child.si_pid == 0 || IsOwn(child.si_pid)) return;
    (void)::waitpid(child.si_pid, nullptr, WNOHANG);
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
        if (!error && !process->done) return ReadLater(process, kDrainPause);
        if (!error) {
          process->result.output.Append({process->buffer.data(), size});
          if (process->result.output.total() <= kFastOutputMax) return Read(process);
          return ReadLater(process, kFloodPause);
        }
        process->closed = true;
        boost::system::error_code ignored;
        process->output.close(ignored);
        std::erase(left_open_, process);
        Settle(process);
      });
}

inline void ScriptRunner::ReadLater(const ProcessPtr& process, std::chrono::milliseconds pause) {
  process->pause.expires_after(pause);
  process->pause.async_wait([this, alive = alive_, process](const auto& error) {
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
