// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_TRANSPORT_NET_ZONE_H_
#define SERF_TRANSPORT_NET_ZONE_H_

// The zone of an address. "fe80::1%eth0" names fe80::1 on the link of that interface; each link has
// such an address of its own. Members cannot exchange zones, because each member has its own names
// for its links. Source: RFC 4007 (11).

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

// Parses an IP address. An IPv6 address may have a zone, which is dropped.
std::optional<IpAddress> ParseWithZone(absl::string_view host);

// The zone of such an address, given by the name or the number of an interface; zero for anything
// else. Error: "lookup fe80::1%eth9: no such network interface".
absl::StatusOr<Zone> ZoneOf(absl::string_view host);

// Adds the zone: "fe80::1" becomes "fe80::1%eth0". Returns `address` itself if the zone is zero.
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
