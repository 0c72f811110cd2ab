#ifndef SERF_CMD_SIGNALS_H_
#define SERF_CMD_SIGNALS_H_

// Signals: their treatment before any command runs. docs/agent-options.md lists what an agent does
// at each signal, which is the same as in Go Serf. Source: docs/protocol/agent.md 2.15.
//
//   ResetSignals();  // first thing in the process, before any thread

#include <csignal>

namespace serf::cmd {

// A running agent acts on these signals.
inline constexpr int kCaughtSignals[] = {SIGINT, SIGTERM, SIGHUP, SIGUSR1};

// A call reports the same as the signal (SIGPIPE, SIGXFSZ: an error of the write), or the signal
// means nothing to a node.
inline constexpr int kIgnoredSignals[] = {SIGPIPE, SIGXFSZ,   SIGXCPU, SIGUSR1, SIGUSR2, SIGALRM,
                                          SIGPROF, SIGVTALRM, SIGIO,   SIGPWR,  SIGURG,  SIGWINCH};

// Ignores these and the real-time signals, and unblocks all others, whatever the parent blocked.
// Otherwise an agent whose parent had blocked SIGTERM would not end, and an agent whose parent had
// blocked SIGCHLD would wait for its first event handler without end. Faults (SIGSEGV, SIGQUIT,
// ...) and job control (SIGTSTP, ...) keep the system's actions.
inline void ResetSignals() {
  for (const int signal : kIgnoredSignals) std::signal(signal, SIG_IGN);
  for (int signal = SIGRTMIN; signal <= SIGRTMAX; ++signal) std::signal(signal, SIG_IGN);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
}

// For the end of an agent. Call it on the only thread that takes signals.
inline void BlockCaughtSignals() {
  sigset_t caught;
  ::sigemptyset(&caught);
  for (const int signal : kCaughtSignals) ::sigaddset(&caught, signal);
  ::sigprocmask(SIG_BLOCK, &caught, nullptr);
}

}  // namespace serf::cmd

#endif  // SERF_CMD_SIGNALS_H_
