#ifndef SERF_TRANSPORT_RESOLVER_H_
#define SERF_TRANSPORT_RESOLVER_H_

// Resolver: what a user gives to `join` to targets for the machine. Source: spec/memberlist.md 7.5.
// Names are left to the system's resolver; the original's own DNS query over TCP for names with a
// dot, which finds the same records, is not made.

#include <boost/asio/error.hpp>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "serf/base/endpoint.h"
#include "serf/base/host_port.h"
#include "serf/swim/node.h"
#include "serf/transport/asio.h"
#include "serf/transport/lookup.h"

namespace serf::transport {

// entry   = [ node-name "/" ] address
// address = host [ ":" port ]
struct JoinEntry {
  std::string node_name;  // may be empty; nothing here uses it
  std::string host;
  std::uint16_t port = 0;
};

// A bare IPv6 address has no port: only one colon, or one after "]", makes a port.
absl::StatusOr<JoinEntry> ParseJoinEntry(absl::string_view entry, std::uint16_t default_port);

class Resolver {
 public:
  struct Result {
    std::vector<swim::JoinTarget> targets;  // in the order of the entries
    std::vector<std::string> errors;        // "Failed to resolve ENTRY: lookup X: no such host"
  };

  explicit Resolver(LookupFunction lookup) : lookup_(std::move(lookup)) {}

  // Resolves the entries, one after the other, then calls `done`: at once if all are IP addresses.
  // After the resolver's end, or when a lookup is cancelled, nothing is called.
  void Resolve(std::vector<std::string> entries, std::uint16_t default_port,
               std::function<void(Result)> done);

 private:
  struct Work {
    std::vector<std::string> entries;
    std::uint16_t default_port = 0;
    std::function<void(Result)> done;
    std::size_t next = 0;
    Result result;
  };

  void Continue(std::shared_ptr<Work> work);
  static void AddError(Work& work, absl::string_view entry, const absl::Status& error) {
    work.result.errors.push_back(
        absl::StrCat("Failed to resolve ", entry, ": ", absl::string_view(error.message())));
  }
  static void AddTarget(Work& work, const IpAddress& address, std::uint16_t port) {
    const Endpoint endpoint{address, port};
    work.result.targets.push_back({endpoint.ToString(), endpoint});
  }

  LookupFunction lookup_;
  // Lookups under way see by it that the resolver is gone.
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

// --- bodies ---

inline absl::StatusOr<JoinEntry> ParseJoinEntry(absl::string_view entry,
                                                std::uint16_t default_port) {
  JoinEntry result;
  absl::string_view address = entry;
  if (const std::size_t slash = entry.find('/'); slash != absl::string_view::npos) {
    result.node_name = std::string(entry.substr(0, slash));
    if (result.node_name.empty()) return absl::InvalidArgumentError("empty node name provided");
    address = entry.substr(slash + 1);
  }
  const std::size_t first = address.find(':');
  const std::size_t last = address.rfind(':');
  const std::size_t bracket = address.rfind(']');
  const bool bracketed = !address.empty() && address.front() == '[';
  const bool has_port =
      last != absl::string_view::npos &&
      (bracketed ? bracket != absl::string_view::npos && last > bracket : first == last);
  std::string with_port(address);
  if (!has_port) {
    absl::string_view host = address;
    while (!host.empty() && (host.front() == '[' || host.front() == ']')) host.remove_prefix(1);
    while (!host.empty() && (host.back() == '[' || host.back() == ']')) host.remove_suffix(1);
    with_port = JoinHostPort(host, absl::StrCat(default_port));
  }
  absl::StatusOr<HostPort> parts = SplitHostPort(with_port);
  if (!parts.ok()) return parts.status();
  const auto port_error = [&parts](absl::string_view why) {
    return absl::InvalidArgumentError(
        absl::StrCat("strconv.ParseUint: parsing \"", parts->port, "\": ", why));
  };
  const std::optional<int> port = ParsePortNumber(parts->port);
  const bool plain = !parts->port.empty() && parts->port[0] != '+' && parts->port[0] != '-';
  if (!port || !plain) return port_error("invalid syntax");
  if (*port < 0) return port_error("value out of range");
  result.host = std::move(parts->host);
  result.port = static_cast<std::uint16_t>(*port);
  return result;
}

inline void Resolver::Resolve(std::vector<std::string> entries, std::uint16_t default_port,
                              std::function<void(Result)> done) {
  auto work = std::make_shared<Work>();
  work->entries = std::move(entries);
  work->default_port = default_port;
  work->done = std::move(done);
  Continue(std::move(work));
}

inline void Resolver::Continue(std::shared_ptr<Work> work) {
  while (work->next < work->entries.size()) {
    const std::string& entry = work->entries[work->next++];
    absl::StatusOr<JoinEntry> parsed = ParseJoinEntry(entry, work->default_port);
    if (!parsed.ok()) {
      AddError(*work, entry, parsed.status());
      continue;
    }
    if (const std::optional<IpAddress> literal = IpAddress::Parse(parsed->host)) {
      AddTarget(*work, *literal, parsed->port);
      continue;
    }
    const std::string host = parsed->host;
    lookup_(host, [this, alive = std::weak_ptr<bool>(alive_), work, host, port = parsed->port](
                      const ErrorCode& error, const std::vector<IpAddress>& addresses) {
      if (alive.expired() || error == asio::error::operation_aborted) return;
      if (error || addresses.empty()) {
        AddError(*work, work->entries[work->next - 1], LookupError(host, error));
      }
      for (const IpAddress& address : addresses) AddTarget(*work, address, port);
      Continue(work);
    });
    return;
  }
  work->done(std::move(work->result));
}

}  // namespace serf::transport

#endif  // SERF_TRANSPORT_RESOLVER_H_
