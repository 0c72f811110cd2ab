#ifndef SERF_CMD_AGENT_ADDRESSES_H_
#define SERF_CMD_AGENT_ADDRESSES_H_

// Where an agent listens and what it tells others: the addresses of -bind, -iface and -advertise,
// looked up. Source: spec/agent.md 2.6.

#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "serf/base/bytes.h"
#include "serf/base/endpoint.h"
#include "serf/cmd/agent_config.h"
#include "serf/transport/bind_address.h"
#include "serf/transport/interfaces.h"

namespace serf::cmd {

struct AgentAddresses {
  Endpoint bind;
  std::string bind_text;  // for the banner: an empty host stays empty there
  std::optional<Endpoint> advertise;
  std::string notice;  // for the operator, if -iface chose the address; else empty
};

// Blocks on name look-ups. An error's message is what to print before giving up.
absl::StatusOr<AgentAddresses> LookUpAddresses(const AgentConfig& config);

namespace agent_addresses_internal {

inline bool IsLinkLocal(const IpAddress& address) {
  const ByteView bytes = address.bytes();
  if (address.is_v4()) return bytes[0] == 169 && bytes[1] == 254;
  return bytes[0] == 0xfe && (bytes[1] & 0xc0) == 0x80;
}

// Binds to an address of the interface, or checks that the one asked for is one.
inline absl::Status UseInterface(const std::string& name, AgentAddresses& addresses) {
  std::vector<IpAddress> owned;
  for (const transport::InterfaceAddress& entry : transport::ListInterfaceAddresses()) {
    if (entry.interface == name) owned.push_back(entry.address);
  }
  if (owned.empty()) {
    return absl::NotFoundError(absl::StrCat("Interface '", name, "' has no addresses"));
  }
  IpAddress& bound = addresses.bind.address;
  if (!bound.is_v4() || !bound.is_unspecified()) {
    for (const IpAddress& address : owned) {
      if (SameHost(address, bound)) return absl::OkStatus();
    }
    return absl::NotFoundError(
        absl::StrCat("Interface '", name, "' has no '", bound.ToString(), "' address"));
  }
  for (const IpAddress& address : owned) {
    if (IsLinkLocal(address)) continue;
    bound = address;
    addresses.bind_text = addresses.bind.ToString();
    addresses.notice =
        absl::StrCat("Using interface '", name, "' address '", bound.ToString(), "'");
    return absl::OkStatus();
  }
  return absl::NotFoundError(
      absl::StrCat("Failed to find usable address for interface '", name, "'"));
}

}  // namespace agent_addresses_internal

inline absl::StatusOr<AgentAddresses> LookUpAddresses(const AgentConfig& config) {
  const auto wrap = [](absl::string_view what, const absl::Status& status) {
    return absl::Status(status.code(),
                        absl::StrCat(what, ": ", absl::string_view(status.message())));
  };
  const absl::StatusOr<transport::BindAddress> bind =
      transport::ParseBindAddress(config.bind, kDefaultBindPort);
  if (!bind.ok()) return wrap("Invalid bind address", bind.status());
  AgentAddresses addresses;
  addresses.bind = bind->endpoint;
  addresses.bind_text =
      bind->has_host ? bind->endpoint.ToString() : absl::StrCat(":", bind->endpoint.port);
  if (!config.interface.empty()) {
    const absl::Status used = agent_addresses_internal::UseInterface(config.interface, addresses);
    if (!used.ok()) return used;
  }
  if (config.advertise.empty()) return addresses;
  // Without a port: the one that is bound (the original takes 7946, spec/agent.md 2.6).
  const absl::StatusOr<transport::BindAddress> advertise =
      transport::ParseBindAddress(config.advertise, addresses.bind.port);
  if (!advertise.ok()) return wrap("Invalid advertise address", advertise.status());
  addresses.advertise = advertise->endpoint;
  return addresses;
}

}  // namespace serf::cmd

#endif  // SERF_CMD_AGENT_ADDRESSES_H_
