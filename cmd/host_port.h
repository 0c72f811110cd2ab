#ifndef SERF_CMD_HOST_PORT_H_
#define SERF_CMD_HOST_PORT_H_

// Addresses as operators write them: "10.0.0.1:7946", "[::1]", "node.example:http". Names are
// looked up with the system's resolver, which blocks: for start-up, not for the running agent.
// Source: spec/agent.md 2.6.

#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "serf/base/bytes.h"
#include "serf/base/endpoint.h"

namespace serf::cmd {

struct HostPort {
  std::string host;  // without brackets
  std::string port;
};

// Splits at the last colon; IPv6 addresses stand in brackets. The errors have the original's
// texts, "address X: too many colons in address". NOT_FOUND means: no port, all else in order.
absl::StatusOr<HostPort> SplitHostPort(absl::string_view text);

// "host:port", with brackets around an IPv6 address.
std::string JoinHostPort(absl::string_view host, absl::string_view port);

// The address of a name or literal, IPv4 preferred; of an empty host 0.0.0.0.
// "lookup NAME: no such host"
absl::StatusOr<IpAddress> LookUpHost(const std::string& host);

// A number up to 65535, or the name of a TCP service. "address 70000: invalid port"
absl::StatusOr<std::uint16_t> LookUpPort(const std::string& port);

inline absl::StatusOr<HostPort> SplitHostPort(absl::string_view text) {
  const auto bad = [&](absl::string_view what) {
    return absl::InvalidArgumentError(absl::StrCat("address ", text, ": ", what));
  };
  const auto missing_port = [&] {
    return absl::NotFoundError(absl::StrCat("address ", text, ": missing port in address"));
  };
  constexpr absl::string_view kTooMany = "too many colons in address";
  const std::size_t colon = text.rfind(':');
  if (colon == absl::string_view::npos) return missing_port();
  absl::string_view host = text.substr(0, colon);
  // Where brackets may no longer stand.
  std::size_t after_open = 0;
  std::size_t after_close = 0;
  if (text.front() == '[') {
    const std::size_t close = text.find(']');
    if (close == absl::string_view::npos) return bad("missing ']' in address");
    if (close + 1 == text.size()) return missing_port();
    if (close + 1 != colon) return text[close + 1] == ':' ? bad(kTooMany) : missing_port();
    host = text.substr(1, close - 1);
    after_open = 1;
    after_close = close + 1;
  } else if (host.find(':') != absl::string_view::npos) {
    return bad(kTooMany);
  }
  if (text.find('[', after_open) != absl::string_view::npos) {
    return bad("unexpected '[' in address");
  }
  if (text.find(']', after_close) != absl::string_view::npos) {
    return bad("unexpected ']' in address");
  }
  return HostPort{std::string(host), std::string(text.substr(colon + 1))};
}

inline std::string JoinHostPort(absl::string_view host, absl::string_view port) {
  const bool brackets = host.find(':') != absl::string_view::npos;
  return brackets ? absl::StrCat("[", host, "]:", port) : absl::StrCat(host, ":", port);
}

inline absl::StatusOr<IpAddress> LookUpHost(const std::string& host) {
  if (host.empty()) return IpAddress();
  if (const std::optional<IpAddress> literal = IpAddress::Parse(host)) return *literal;
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const int error = ::getaddrinfo(host.c_str(), nullptr, &hints, &found);
  if (error != 0) {
    const bool unknown = error == EAI_NONAME || error == EAI_AGAIN || error == EAI_NODATA;
    return absl::NotFoundError(
        absl::StrCat("lookup ", host, ": ", unknown ? "no such host" : ::gai_strerror(error)));
  }
  std::optional<IpAddress> address;
  for (const addrinfo* entry = found; entry != nullptr; entry = entry->ai_next) {
    if (entry->ai_family == AF_INET && (!address || !address->is_v4())) {
      const auto* v4 = reinterpret_cast<const sockaddr_in*>(entry->ai_addr);
      address = IpAddress::FromBytes(
          {reinterpret_cast<const std::uint8_t*>(&v4->sin_addr), IpAddress::kV4Size});
    } else if (entry->ai_family == AF_INET6 && !address) {
      const auto* v6 = reinterpret_cast<const sockaddr_in6*>(entry->ai_addr);
      address = IpAddress::FromBytes(
          {reinterpret_cast<const std::uint8_t*>(&v6->sin6_addr), IpAddress::kV6Size});
    }
  }
  ::freeaddrinfo(found);
  if (!address) return absl::NotFoundError(absl::StrCat("lookup ", host, ": no such host"));
  return *address;
}

inline absl::StatusOr<std::uint16_t> LookUpPort(const std::string& port) {
  constexpr std::uint32_t kPortMax = 65535;
  std::int64_t number = 0;
  if (absl::SimpleAtoi(port, &number)) {
    if (number >= 0 && number <= kPortMax) return static_cast<std::uint16_t>(number);
    return absl::InvalidArgumentError(absl::StrCat("address ", port, ": invalid port"));
  }
  if (port.empty()) return std::uint16_t{0};
  addrinfo hints{};
  hints.ai_family = AF_INET;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (::getaddrinfo(nullptr, port.c_str(), &hints, &found) != 0) {
    return absl::NotFoundError(absl::StrCat("address tcp/", port, ": unknown port"));
  }
  const std::uint16_t value = ntohs(reinterpret_cast<const sockaddr_in*>(found->ai_addr)->sin_port);
  ::freeaddrinfo(found);
  return value;
}

}  // namespace serf::cmd

#endif  // SERF_CMD_HOST_PORT_H_
