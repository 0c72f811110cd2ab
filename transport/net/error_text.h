// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_TRANSPORT_NET_ERROR_TEXT_H_
#define SERF_TRANSPORT_NET_ERROR_TEXT_H_

// Socket errors in the words of Go Serf, which operators know and search for: "dial tcp
// 10.0.0.1:7946: connect: connection refused". Source: docs/protocol/agent.md 1.5 and 2.5.

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "serf/base/endpoint.h"
#include "serf/base/system_error.h"
#include "serf/transport/net/asio.h"

namespace serf::transport {

// The error of a connection that could not be made. `call` is the system call that failed.
inline absl::Status DialError(const Endpoint& to, absl::string_view call, const ErrorCode& error) {
  return absl::UnavailableError(
      absl::StrCat("dial tcp ", to.ToString(), ": ", call, ": ", ErrorText(error)));
}

// The error of a connection that broke. `operation` is "read" or "write".
inline absl::Status StreamError(absl::string_view operation, const Endpoint& local,
                                const Endpoint& peer, const ErrorCode& error) {
  return absl::UnavailableError(absl::StrCat(operation, " tcp ", local.ToString(), "->",
                                             peer.ToString(), ": ", operation, ": ",
                                             ErrorText(error)));
}

// The error of a socket that could not be opened for `network`, "tcp" or "udp".
inline absl::Status ListenError(absl::string_view network, const Endpoint& at,
                                absl::string_view call, const ErrorCode& error) {
  return absl::UnavailableError(
      absl::StrCat("listen ", network, " ", at.ToString(), ": ", call, ": ", ErrorText(error)));
}

}  // namespace serf::transport

#endif  // SERF_TRANSPORT_NET_ERROR_TEXT_H_
