#ifndef SERF_TRANSPORT_INTERFACES_H_
#define SERF_TRANSPORT_INTERFACES_H_

// The addresses of this host's interfaces, and which of them to tell others when the user said
// nothing: the first private one. Source: spec/memberlist.md 7.3 (RFC 6890 for the registry).

#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "serf/base/bytes.h"
#include "serf/base/endpoint.h"
#include "serf/transport/socket_address.h"

namespace serf::transport {

struct InterfaceAddress {
  std::string interface;
  IpAddress address;
  int prefix_bits = 0;
  bool up = false;
};

// True if `address` may leave its link, so that it can be told to others.
bool IsForwardable(const IpAddress& address);

// True if `address` is in the registry of special-purpose addresses: private, shared, loopback...
// What is not, is a public address.
bool IsSpecialPurpose(const IpAddress& address);

// Of the forwardable special-purpose addresses on interfaces that are up: those of
// `default_interface` (that of the IPv4 default route; may be empty) first, then IPv4 before IPv6,
// then the shorter prefix; the first of equals. IPv4 comes in the 16-byte form, as the original
// puts it on the wire. None: there is no such address.
std::optional<IpAddress> PickPrivateAddress(std::span<const InterfaceAddress> addresses,
                                            absl::string_view default_interface);

// The system's addresses, IPv4 first; empty if it does not tell.
std::vector<InterfaceAddress> ListInterfaceAddresses();

// Reads a table in the form of /proc/net/route; empty if there is no IPv4 default route.
std::string FindDefaultInterface(absl::string_view route_table);
std::string DefaultInterface();

// --- bodies ---

// True if the first `bits` bits are those of `base`, and the forms are equal.
inline bool IsInBlock(const IpAddress& address, const IpAddress& base, int bits) {
  const ByteView a = address.bytes();
  const ByteView b = base.bytes();
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size() && bits > 0; ++i, bits -= 8) {
    const int skip = bits < 8 ? 8 - bits : 0;
    if ((a[i] >> skip) != (b[i] >> skip)) return false;
  }
  return true;
}

struct AddressBlockText {
  const char* base;
  int bits;
};

inline bool IsInAnyBlock(const IpAddress& address, std::span<const AddressBlockText> blocks) {
  const IpAddress plain = address.Unmapped();
  return std::any_of(blocks.begin(), blocks.end(), [&plain](const AddressBlockText& block) {
    return IsInBlock(plain, *IpAddress::Parse(block.base), block.bits);
  });
}

inline bool IsForwardable(const IpAddress& address) {
  static constexpr AddressBlockText kNotForwardable[] = {
      {"0.0.0.0", 8},    {"127.0.0.0", 8},     {"169.254.0.0", 16}, {"192.0.0.0", 24},
      {"192.0.2.0", 24}, {"198.51.100.0", 24}, {"203.0.113.0", 24}, {"240.0.0.0", 4},
      {"::1", 128},      {"::", 128},          {"2001::", 23},      {"2001:db8::", 32},
      {"2001:10::", 28}, {"fe80::", 10},
  };
  return !IsInAnyBlock(address, kNotForwardable);
}

inline bool IsSpecialPurpose(const IpAddress& address) {
  static constexpr AddressBlockText kRegistry[] = {
      {"0.0.0.0", 8},      {"10.0.0.0", 8},     {"100.64.0.0", 10}, {"127.0.0.0", 8},
      {"169.254.0.0", 16}, {"172.16.0.0", 12},  {"192.0.0.0", 24},  {"192.0.2.0", 24},
      {"192.88.99.0", 24}, {"192.168.0.0", 16}, {"198.18.0.0", 15}, {"198.51.100.0", 24},
      {"203.0.113.0", 24}, {"240.0.0.0", 4},    {"::1", 128},       {"::", 128},
      {"64:ff9b::", 96},   {"100::", 64},       {"2001::", 16},     {"2001:2::", 48},
      {"2001:db8::", 32},  {"2001:10::", 28},   {"2002::", 16},     {"fc00::", 7},
      {"fe80::", 10},
  };
  return IsInAnyBlock(address, kRegistry);
}

inline std::optional<IpAddress> PickPrivateAddress(std::span<const InterfaceAddress> addresses,
                                                   absl::string_view default_interface) {
  const InterfaceAddress* best = nullptr;
  const auto is_better = [default_interface](const InterfaceAddress& a, const InterfaceAddress& b) {
    const bool a_default = a.interface == default_interface;
    const bool b_default = b.interface == default_interface;
    if (a_default != b_default) return a_default;
    const bool a_v4 = a.address.Unmapped().is_v4();
    const bool b_v4 = b.address.Unmapped().is_v4();
    if (a_v4 != b_v4) return a_v4;
    return a.prefix_bits < b.prefix_bits;
  };
  for (const InterfaceAddress& candidate : addresses) {
    if (!candidate.up || !IsForwardable(candidate.address) ||
        !IsSpecialPurpose(candidate.address)) {
      continue;
    }
    if (best == nullptr || is_better(candidate, *best)) best = &candidate;
  }
  if (best == nullptr) return std::nullopt;
  return best->address.Mapped();
}

inline std::vector<InterfaceAddress> ListInterfaceAddresses() {
  std::vector<InterfaceAddress> result;
  ifaddrs* list = nullptr;
  if (::getifaddrs(&list) != 0) return result;
  for (const ifaddrs* entry = list; entry != nullptr; entry = entry->ifa_next) {
    if (entry->ifa_addr == nullptr || entry->ifa_netmask == nullptr) continue;
    const int family = entry->ifa_addr->sa_family;
    if (family != AF_INET && family != AF_INET6) continue;
    const std::size_t size = family == AF_INET ? sizeof(sockaddr_in) : sizeof(sockaddr_in6);
    SocketAddress address = {};
    SocketAddress mask = {};
    std::memcpy(&address, entry->ifa_addr, size);
    std::memcpy(&mask, entry->ifa_netmask, size);
    int bits = 0;
    if (family == AF_INET) {
      bits = std::popcount(mask.v4.sin_addr.s_addr);
    } else {
      for (const std::uint8_t byte : mask.v6.sin6_addr.s6_addr) bits += std::popcount(byte);
    }
    result.push_back({entry->ifa_name, FromSocketAddress(address)->address, bits,
                      (entry->ifa_flags & IFF_UP) != 0});
  }
  ::freeifaddrs(list);
  std::stable_partition(result.begin(), result.end(),
                        [](const InterfaceAddress& a) { return a.address.is_v4(); });
  return result;
}

inline std::string FindDefaultInterface(absl::string_view route_table) {
  // Iface Destination Gateway Flags RefCnt Use Metric Mask ...; the numbers are hexadecimal. The
  // kernel lists the preferred route first.
  while (!route_table.empty()) {
    const std::size_t end = std::min(route_table.find('\n'), route_table.size());
    const std::string line(route_table.substr(0, end));
    route_table.remove_prefix(std::min(end + 1, route_table.size()));
    char name[IFNAMSIZ + 1] = {};
    unsigned destination = 1;
    unsigned mask = 1;
    const int fields =
        std::sscanf(line.c_str(), "%16s %8x %*x %*x %*d %*d %*d %8x", name, &destination, &mask);
    if (fields == 3 && destination == 0 && mask == 0) return name;
  }
  return "";
}

inline std::string DefaultInterface() {
  // A file of the kernel, with one line per route: more than this has no place on a host.
  constexpr std::size_t kTableMax = 1 << 20;
  std::string table;
  if (std::FILE* const file = std::fopen("/proc/net/route", "r")) {
    char chunk[4096];
    std::size_t size = 0;
    while (table.size() < kTableMax && (size = std::fread(chunk, 1, sizeof(chunk), file)) > 0) {
      table.append(chunk, size);
    }
    std::fclose(file);
  }
  return FindDefaultInterface(table);
}

}  // namespace serf::transport

#endif  // SERF_TRANSPORT_INTERFACES_H_
