// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_TRANSPORT_NET_ZONE_H_
#define SERF_TRANSPORT_NET_ZONE_H_

// The zone of an address: "fe80::1%eth0" is what has fe80::1 on the link of that interface, for
// each link has such an address of its own. Source: RFC 4007 (11).
//
// Members can't tell each other zones: each has names of its own for its links.

#include <net/if.h>

#include <cstddef>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "serf/base/endpoint.h"

namespace serf::names {

// The index of an interface; zero: none.
using Zone = unsigned;

// An IP address, of IPv6 also one with a zone, which is left out.
std::optional<IpAddress> ParseWithZone(absl::string_view host);

// The zone of such an address, by the name or the number of an interface; zero of anything else.
// Error: "lookup fe80::1%eth9: no such network interface".
absl::StatusOr<Zone> ZoneOf(absl::string_view host);

// "fe80::1%eth0" of "fe80::1"; `address` itself if the zone is none.
std::string WithZone(std::string address, Zone zone);

// --- bodies ---

inline std::optional<IpAddress> ParseWithZone(absl::string_view host) {
  const std::size_t percent = host.rfind('%');
  const std::optional<IpAddress> address = IpAddress::Parse(host.substr(0, percent));
  if (percent == absl::string_view::npos || !address) return address;
  const bool has_zone = percent + 1 < host.size() && !address->Unmapped().is_v4();
  return has_zone ? address : std::nullopt;
}

inline absl::StatusOr<Zone> ZoneOf(absl::string_view host) {
  const std::size_t percent = host.rfind('%');
  if (percent == absl::string_view::npos || !ParseWithZone(host)) return 0;
  const std::string name(host.substr(percent + 1));
  if (const Zone zone = ::if_nametoindex(name.c_str()); zone != 0) return zone;
  Zone number = 0;
  char found[IF_NAMESIZE] = {};
  if (absl::SimpleAtoi(name, &number) && ::if_indextoname(number, found) != nullptr) return number;
  return absl::NotFoundError(absl::StrCat("lookup ", host, ": no such network interface"));
}

inline std::string WithZone(std::string address, Zone zone) {
  char name[IF_NAMESIZE] = {};
  if (zone == 0 || ::if_indextoname(zone, name) == nullptr) return address;
  return absl::StrCat(address, "%", name);
}

}  // namespace serf::names

#endif  // SERF_TRANSPORT_NET_ZONE_H_
