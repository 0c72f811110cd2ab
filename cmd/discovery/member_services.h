#ifndef SERF_CMD_DISCOVERY_MEMBER_SERVICES_H_
#define SERF_CMD_DISCOVERY_MEMBER_SERVICES_H_

// The services that a member offers, by what its tags say. Serf knows nodes and tags; Prometheus,
// load balancers and resolvers want services with ports. This is the one rule for all of them:
//
//   service.NAME=PORT   the member is an instance of NAME at PORT
//   role=NAME           the member is an instance of NAME at the port in the tag "port"
//
//   for (const ServiceInstance& service : ServicesOf(member.tags)) Use(service.name, service.port);
//
// Pure functions; any thread may call them.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "absl/algorithm/container.h"
#include "absl/strings/ascii.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "serf/tags.h"

namespace serf::cmd {

struct ServiceInstance {
  absl::string_view name;  // lives as long as the tags
  std::uint16_t port = 0;  // zero: unknown

  bool operator==(const ServiceInstance&) const = default;
};

// By name, each at most once; service.NAME wins over a role of the same name. A name that
// IsServiceName() refuses makes no instance, and a port that ParsePort() refuses is unknown.
std::vector<ServiceInstance> ServicesOf(const Tags& tags);

// A service's name must be one DNS label: 1 to 63 letters, digits and dashes, no dash at an end.
bool IsServiceName(absl::string_view text);

// Digits alone, 1 to 65535.
std::optional<std::uint16_t> ParsePort(absl::string_view text);

// The port in a tag. Nothing if there is no such tag, or no port in it.
std::optional<std::uint16_t> PortTag(const Tags& tags, absl::string_view name);

inline bool IsServiceName(absl::string_view text) {
  constexpr std::size_t kLabelMax = 63;  // RFC 1035, 2.3.4
  if (text.empty() || text.size() > kLabelMax || text.front() == '-' || text.back() == '-') {
    return false;
  }
  return absl::c_all_of(
      text, [](char c) { return c == '-' || absl::ascii_isalnum(static_cast<unsigned char>(c)); });
}

inline std::optional<std::uint16_t> ParsePort(absl::string_view text) {
  constexpr std::size_t kDigitsMax = 5;
  std::uint32_t port = 0;
  if (text.empty() || text.size() > kDigitsMax) return std::nullopt;
  for (const char c : text) {
    if (!absl::ascii_isdigit(static_cast<unsigned char>(c))) return std::nullopt;
    port = port * 10 + static_cast<std::uint32_t>(c - '0');
  }
  if (port == 0 || port > 0xffff) return std::nullopt;
  return static_cast<std::uint16_t>(port);
}

inline std::optional<std::uint16_t> PortTag(const Tags& tags, absl::string_view name) {
  const auto found = tags.find(name);
  return found == tags.end() ? std::nullopt : ParsePort(found->second);
}

inline std::vector<ServiceInstance> ServicesOf(const Tags& tags) {
  std::vector<ServiceInstance> services;
  for (const auto& [key, value] : tags) {
    absl::string_view name = key;
    if (!absl::ConsumePrefix(&name, "service.") || !IsServiceName(name)) continue;
    services.push_back({name, ParsePort(value).value_or(0)});
  }
  const auto role = tags.find("role");
  if (role != tags.end() && IsServiceName(role->second)) {
    const absl::string_view name = role->second;
    const bool named =
        absl::c_any_of(services, [name](const ServiceInstance& s) { return s.name == name; });
    if (!named) services.push_back({name, PortTag(tags, "port").value_or(0)});
  }
  absl::c_sort(services,
               [](const ServiceInstance& a, const ServiceInstance& b) { return a.name < b.name; });
  return services;
}

}  // namespace serf::cmd

#endif  // SERF_CMD_DISCOVERY_MEMBER_SERVICES_H_
