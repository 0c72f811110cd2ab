#ifndef SERF_CMD_DESCRIPTORS_H_
#define SERF_CMD_DESCRIPTORS_H_

// The file descriptors of a process: how many it may have, and how its parts share them.
//
//   OpenStandardStreams();                                    // before any other file is opened
//   const std::optional<rlimit> before = RaiseDescriptorLimit();
//   handlers.set_descriptor_limit(*before);                   // children get theirs back
//   const ConnectionLimits limits = ShareDescriptors(DescriptorLimit(), with_http);

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <limits>
#include <optional>

namespace serf::cmd {

// Opens /dev/null in place of each standard stream that the parent closed. Otherwise the first
// sockets would take these numbers, and receive the program's output.
inline void OpenStandardStreams() {
  for (;;) {
    // open() returns the lowest free number.
    const int file = ::open("/dev/null", O_RDWR);
    if (file < 0) return;
    if (file > STDERR_FILENO) {
      ::close(file);
      return;
    }
  }
}

// The number of descriptors that the process may have. If it is unknown, the largest number.
inline std::size_t DescriptorLimit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) {
    return static_cast<std::size_t>(std::numeric_limits<int>::max());
  }
  return static_cast<std::size_t>(limit.rlim_cur);
}

// Raises the soft limit to the hard one, as the Go runtime does. Returns the limit before, for
// children: some close every number up to their limit, or use select(). Nothing, if the limit
// cannot be raised.
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
  std::size_t rpc;     // connections of clients
  std::size_t http;    // connections of HTTP clients; zero without an HTTP port
};

// Descriptors that may be open besides connections, at most half of all: the agent's own files and
// sockets, two pipes for each script that runs, and those that a name lookup needs for a moment.
inline constexpr std::size_t kReservedDescriptorsMax = 64;
// An agent without connections has a dozen.
inline constexpr std::size_t kReservedDescriptorsMin = 16;
// A push/pull lives for a second, so this is enough for clusters of thousands of members.
inline constexpr std::size_t kGossipConnectionsMax = 512;
// A smaller limit has no use: the connections then come and go one after the other.
inline constexpr std::size_t kGossipConnectionsMin = 4;
inline constexpr std::size_t kRpcConnectionsMin = 4;
// As many as the HTTP server takes.
inline constexpr std::size_t kHttpConnectionsMax = 64;

// Gives half of the rest to each side, so that a flood on one side cannot take the other's. Clients
// also get what gossip does not need. An HTTP port has an eighth of that.
constexpr ConnectionLimits ShareDescriptors(std::size_t descriptors, bool with_http) {
  const std::size_t reserved =
      std::clamp(descriptors / 2, kReservedDescriptorsMin, kReservedDescriptorsMax);
  const std::size_t rest = descriptors - std::min(descriptors, reserved);
  const std::size_t gossip = std::clamp(rest / 2, kGossipConnectionsMin, kGossipConnectionsMax);
  const std::size_t clients = std::max(rest - std::min(rest, gossip), kRpcConnectionsMin);
  const std::size_t of_http =
      with_http ? std::clamp(clients / 8, std::size_t{1}, kHttpConnectionsMax) : 0;
  return {gossip, clients - of_http, of_http};
}

}  // namespace serf::cmd

#endif  // SERF_CMD_DESCRIPTORS_H_
