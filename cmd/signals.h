#ifndef SERF_CMD_SIGNALS_H_
#define SERF_CMD_SIGNALS_H_

// Signals: what is done about them before any command runs. What an agent does at which signal is
// in docs/agent-options.md, and the original's agents do the same. Source:
// docs/protocol/agent.md 2.15.
//
//   ResetSignals();  // first thing in the process, before any thread

#include <csignal>

namespace serf::cmd {

// An agent that runs acts at them.
inline constexpr int kCaughtSignals[] = {SIGINT, SIGTERM, SIGHUP, SIGUSR1};

// What a signal could tell, a call tells as well (SIGPIPE, SIGXFSZ: an error of the write), or it
// means nothing to a node, whoever sends it.
inline constexpr int kIgnoredSignals[] = {SIGPIPE, SIGXFSZ,   SIGXCPU, SIGUSR1, SIGUSR2, SIGALRM,
                                          SIGPROF, SIGVTALRM, SIGIO,   SIGPWR,  SIGURG,  SIGWINCH};

// Ignores them and the real-time signals, and takes all others, whatever the parent blocked: else
// an agent of a parent that had blocked SIGTERM would not end, and one that had blocked SIGCHLD
// would wait for its first event handler for ever. Faults (SIGSEGV, SIGQUIT, ...) and job control
// (SIGTSTP, ...) are left to the system.
inline void ResetSignals() {
  for (const int signal : kIgnoredSignals) std::signal(signal, SIG_IGN);
  for (int signal = SIGRTMIN; signal <= SIGRTMAX; ++signal) std::signal(signal, SIG_IGN);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
}

// For the end of an agent, in its only thread that takes signals.
inline void BlockCaughtSignals() {
  sigset_t caught;
  ::sigemptyset(&caught);
  for (const int signal : kCaughtSignals) ::sigaddset(&caught, signal);
  ::sigprocmask(SIG_BLOCK, &caught, nullptr);
}

}  // namespace serf::cmd

#endif  // SERF_CMD_SIGNALS_H_
