// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_TRANSPORT_INTERFACES_H_
#define SERF_TRANSPORT_INTERFACES_H_

// The addresses of this machine's interfaces, and which of them to announce when the user chose
// none: the first private one. Linux only.
//
//   std::optional<IpAddress> address =
//       PickPrivateAddress(ListInterfaceAddresses(), DefaultInterface());
//
// The functions read the kernel's tables at the moment of the call and keep nothing. Any thread.
// Source: docs/protocol/membership.md 7.3 (RFC 6890 for the registry).

#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "serf/base/bytes.h"
#include "serf/base/endpoint.h"
#include "serf/transport/netlink.h"

namespace serf::transport {

// An address of an interface.
struct InterfaceAddress {
  // The name of the interface, such as "eth0"; not a label of the address.
  std::string interface;
  IpAddress address;
  // The length of the network's prefix, 0 to 32 or 128.
  int prefix_bits = 0;
  bool up = false;
};

// True if packets to `address` may leave their link, so that a node can announce it.
bool IsForwardable(const IpAddress& address);

// True if `address` is in the registry of special-purpose addresses: private, shared, loopback and
// others. Any other address is public.
bool IsSpecialPurpose(const IpAddress& address);

// The address to announce: one that is forwardable and special-purpose, on an interface that is up.
// Those of `default_interface` come first (the interface of the IPv4 default route; may be empty),
// then IPv4 before IPv6, then the shorter prefix, then the order of `addresses`. An IPv4 address
// comes in the 16-byte form, as Go Serf puts it on the wire. Nothing if no address qualifies.
std::optional<IpAddress> PickPrivateAddress(std::span<const InterfaceAddress> addresses,
                                            absl::string_view default_interface);

// True if `address` reaches this link only: 169.254.0.0/16 or fe80::/10.
bool IsLinkLocal(const IpAddress& address);

// True if only this machine reaches a node here: no interface that is up has an address but
// loopback and link-local ones. One for documentation or reserved use (2001:db8::/32, 240.0.0.0/4)
// is an address like others: a node does not announce it by itself, but who gave it to the host has
// a network.
bool IsAlone(std::span<const InterfaceAddress> addresses);

// The system's addresses, IPv4 first. Empty if the kernel does not answer.
std::vector<InterfaceAddress> ListInterfaceAddresses();

// True if an interface has that name. Labels and alternative names do not count.
bool IsInterface(const std::string& name);

// The interface of the IPv4 default route; empty if there is none, or it leads to no interface.
// FindDefaultInterface() reads a table in the form of /proc/net/route; DefaultInterface() reads the
// kernel's.
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

inline bool IsLinkLocal(const IpAddress& address) {
  const ByteView bytes = address.bytes();
  if (address.is_v4()) return bytes[0] == 169 && bytes[1] == 254;
  return bytes[0] == 0xfe && (bytes[1] & 0xc0) == 0x80;
}

inline bool IsAlone(std::span<const InterfaceAddress> addresses) {
  return std::none_of(addresses.begin(), addresses.end(), [](const InterfaceAddress& entry) {
    return entry.up && !entry.address.is_loopback() && !IsLinkLocal(entry.address.Unmapped());
  });
}

inline std::vector<InterfaceAddress> ListInterfaceAddresses() {
  struct Link {
    std::string name;
    bool up = false;
  };
  std::map<int, Link> links;
  ForEachNetlinkMessage(RTM_GETLINK, [&links](const nlmsghdr& message) {
    if (message.nlmsg_type != RTM_NEWLINK) return;
    const auto& header = *static_cast<const ifinfomsg*>(NLMSG_DATA(&message));
    Link& link = links[header.ifi_index];
    link.up = (header.ifi_flags & IFF_UP) != 0;
    ForEachNetlinkAttribute<ifinfomsg>(message, [&link](const rtattr& attribute) {
      if (attribute.rta_type != IFLA_IFNAME) return;
      const auto* const name = static_cast<const char*>(RTA_DATA(&attribute));
      link.name.assign(name, ::strnlen(name, RTA_PAYLOAD(&attribute)));
    });
  });
  std::vector<InterfaceAddress> result;
  ForEachNetlinkMessage(RTM_GETADDR, [&](const nlmsghdr& message) {
    if (message.nlmsg_type != RTM_NEWADDR) return;
    const auto& header = *static_cast<const ifaddrmsg*>(NLMSG_DATA(&message));
    const auto link = links.find(static_cast<int>(header.ifa_index));
    if (link == links.end()) return;
    // On a point-to-point link IFA_ADDRESS is the address of the other end.
    std::optional<IpAddress> address;
    std::optional<IpAddress> local;
    ForEachNetlinkAttribute<ifaddrmsg>(message, [&](const rtattr& attribute) {
      if (attribute.rta_type != IFA_ADDRESS && attribute.rta_type != IFA_LOCAL) return;
      const auto* const bytes = static_cast<const std::uint8_t*>(RTA_DATA(&attribute));
      (attribute.rta_type == IFA_LOCAL ? local : address) =
          IpAddress::FromBytes({bytes, RTA_PAYLOAD(&attribute)});
    });
    if (local) address = local;
    if (!address) return;
    result.push_back(
        {link->second.name, address->Unmapped(), header.ifa_prefixlen, link->second.up});
  });
  std::stable_partition(result.begin(), result.end(),
                        [](const InterfaceAddress& a) { return a.address.is_v4(); });
  return result;
}

inline bool IsInterface(const std::string& name) {
  char real[IF_NAMESIZE] = {};
  const unsigned index = ::if_nametoindex(name.c_str());
  return index != 0 && ::if_indextoname(index, real) != nullptr && name == real;
}

inline std::string FindDefaultInterface(absl::string_view route_table) {
  // The columns are: Iface Destination Gateway Flags RefCnt Use Metric Mask ...; the numbers are
  // hexadecimal. The kernel lists the preferred route first. A route that leads nowhere (blackhole,
  // unreachable) has the name "*"; the next route then counts.
  while (!route_table.empty()) {
    const std::size_t end = std::min(route_table.find('\n'), route_table.size());
    const std::string line(route_table.substr(0, end));
    route_table.remove_prefix(std::min(end + 1, route_table.size()));
    char name[IFNAMSIZ + 1] = {};
    unsigned destination = 1;
    unsigned mask = 1;
    const int fields =
        std::sscanf(line.c_str(), "%16s %8x %*x %*x %*d %*d %*d %8x", name, &destination, &mask);
    const bool leads_somewhere = absl::string_view(name) != "*";
    if (fields == 3 && destination == 0 && mask == 0 && leads_somewhere) return name;
  }
  return "";
}

inline std::string DefaultInterface() {
  // The kernel's file has one line per route. A larger file cannot be right.
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
