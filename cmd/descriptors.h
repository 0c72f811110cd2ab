#ifndef SERF_CMD_DESCRIPTORS_H_
#define SERF_CMD_DESCRIPTORS_H_

// The descriptors of a process: how many it may have, and who gets them.
//
//   OpenStandardStreams();                                    // before any other file is opened
//   const std::optional<rlimit> before = RaiseDescriptorLimit();
//   handlers.set_descriptor_limit(*before);                   // children get theirs back
//   const ConnectionLimits limits = ShareDescriptors(DescriptorLimit());

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <limits>
#include <optional>

namespace serf::cmd {

// Standard input, output and error that the parent closed lead to /dev/null from now on. Else the
// first sockets would take their places, and get what is written to the terminal.
inline void OpenStandardStreams() {
  for (;;) {
    // The lowest number that is free.
    const int file = ::open("/dev/null", O_RDWR);
    if (file < 0) return;
    if (file > STDERR_FILENO) {
      ::close(file);
      return;
    }
  }
}

// How many the process may have. As many as there are numbers, if it is not known.
inline std::size_t DescriptorLimit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) {
    return static_cast<std::size_t>(std::numeric_limits<int>::max());
  }
  return static_cast<std::size_t>(limit.rlim_cur);
}

// Raises the soft limit to the hard one, as the Go runtime does. The limit before, for children:
// some close each number up to theirs, or use select(). Nothing if it can't be raised.
inline std::optional<rlimit> RaiseDescriptorLimit() {
  rlimit before{};
  if (::getrlimit(RLIMIT_NOFILE, &before) != 0 || before.rlim_cur == before.rlim_max) {
    return std::nullopt;
  }
  rlimit raised = before;
  raised.rlim_cur = before.rlim_max;
  if (::setrlimit(RLIMIT_NOFILE, &raised) != 0) return std::nullopt;
  return before;
}

struct ConnectionLimits {
  std::size_t gossip;  // TCP connections of the cluster, in both directions
  std::size_t rpc;     // of clients
};

// What may be open beside connections, at most half of all: the agent's own files and sockets, two
// pipes for each script that runs, and what the look-up of a name needs for a moment.
inline constexpr std::size_t kReservedDescriptorsMax = 64;
// An agent without connections has a dozen.
inline constexpr std::size_t kReservedDescriptorsMin = 16;
// A push/pull lives for a second: so many are enough for clusters of thousands.
inline constexpr std::size_t kGossipConnectionsMax = 512;
// Beyond this the limit is of no use: the connections come and go one after the other.
inline constexpr std::size_t kGossipConnectionsMin = 4;
inline constexpr std::size_t kRpcConnectionsMin = 4;

// Half of the rest each, so that no flood on one side takes the other side's. What gossip does not
// want is left to clients.
constexpr ConnectionLimits ShareDescriptors(std::size_t descriptors) {
  const std::size_t reserved =
      std::clamp(descriptors / 2, kReservedDescriptorsMin, kReservedDescriptorsMax);
  const std::size_t rest = descriptors - std::min(descriptors, reserved);
  const std::size_t gossip = std::clamp(rest / 2, kGossipConnectionsMin, kGossipConnectionsMax);
  return {gossip, std::max(rest - std::min(rest, gossip), kRpcConnectionsMin)};
}

}  // namespace serf::cmd

#endif  // SERF_CMD_DESCRIPTORS_H_
