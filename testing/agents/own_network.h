#ifndef SERF_TESTING_AGENTS_OWN_NETWORK_H_
#define SERF_TESTING_AGENTS_OWN_NETWORK_H_

// A network for one test program and its children: only a loopback interface, which takes multicast
// as a link does.
//
//   int main(int argc, char** argv) {
//     serf::testkit::MoveToOwnNetwork();
//     ::testing::InitGoogleTest(&argc, argv);
//     return RUN_ALL_TESTS();
//   }

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <net/route.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"

namespace serf::testkit {

namespace own_network_internal {

inline bool WriteFile(const char* path, const std::string& text) {
  const int fd = ::open(path, O_WRONLY | O_CLOEXEC);
  const bool written =
      fd >= 0 && ::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  if (fd >= 0) ::close(fd);
  return written;
}

inline bool StartLoopback(int v4, int v6) {
  ifreq request = {};
  std::strcpy(request.ifr_name, "lo");
  request.ifr_flags = IFF_UP | IFF_RUNNING | IFF_LOOPBACK | IFF_MULTICAST;
  if (::ioctl(v4, SIOCSIFFLAGS, &request) != 0) return false;
  // Routes 224.0.0.0/4 and ff00::/8 to the interface.
  rtentry route = {};
  const auto set = [](sockaddr& address, in_addr_t value) {
    auto& v4_address = reinterpret_cast<sockaddr_in&>(address);
    v4_address.sin_family = AF_INET;
    v4_address.sin_addr.s_addr = htonl(value);
  };
  set(route.rt_dst, 0xe0000000);
  set(route.rt_genmask, 0xf0000000);
  route.rt_flags = RTF_UP;
  route.rt_dev = request.ifr_name;
  if (::ioctl(v4, SIOCADDRT, &route) != 0) return false;
  in6_rtmsg route6 = {};
  route6.rtmsg_dst.s6_addr[0] = 0xff;
  route6.rtmsg_dst_len = 8;
  route6.rtmsg_flags = RTF_UP;
  route6.rtmsg_metric = 1;
  route6.rtmsg_ifindex = static_cast<int>(::if_nametoindex("lo"));
  return ::ioctl(v6, SIOCADDRT, &route6) == 0;
}

// Sends a request of rtnetlink. True if the kernel carried it out.
inline bool Change(const nlmsghdr& request) {
  const int netlink = ::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
  struct {
    nlmsghdr header;
    nlmsgerr body;
  } answer = {};
  const bool done =
      ::send(netlink, &request, request.nlmsg_len, 0) >= 0 &&
      ::recv(netlink, &answer, sizeof(answer), MSG_TRUNC) >= static_cast<ssize_t>(sizeof(answer)) &&
      answer.header.nlmsg_type == NLMSG_ERROR && answer.body.error == 0;
  ::close(netlink);
  return done;
}

}  // namespace own_network_internal

// Call it before the first thread starts. False if the system does not allow it; the network is
// then that of the sandbox, or of the host.
inline bool MoveToOwnNetwork() {
  namespace internal = own_network_internal;
  const std::string user = absl::StrCat(::geteuid(), " ", ::geteuid(), " 1");
  const std::string group = absl::StrCat(::getegid(), " ", ::getegid(), " 1");
  if (::unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0) return false;
  if (!internal::WriteFile("/proc/self/setgroups", "deny") ||
      !internal::WriteFile("/proc/self/uid_map", user) ||
      !internal::WriteFile("/proc/self/gid_map", group)) {
    return false;
  }
  const int v4 = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  const int v6 = ::socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  const bool started = internal::StartLoopback(v4, v6);
  ::close(v4);
  ::close(v6);
  return started;
}

// An additional IPv4 address of the loopback interface, while the object lives, with a label:
// "lo:vip". Only after MoveToOwnNetwork().
class LabelledAddress {
 public:
  LabelledAddress(const char* label, const char* address) : label_(label) {
    ifreq request = Request();
    auto& v4 = reinterpret_cast<sockaddr_in&>(request.ifr_addr);
    v4.sin_family = AF_INET;
    ok_ = ::inet_pton(AF_INET, address, &v4.sin_addr) == 1 &&
          ::ioctl(socket_, SIOCSIFADDR, &request) == 0;
  }
  ~LabelledAddress() {
    ifreq request = Request();  // the interface is not up
    ::ioctl(socket_, SIOCSIFFLAGS, &request);
    ::close(socket_);
  }
  LabelledAddress(const LabelledAddress&) = delete;
  LabelledAddress& operator=(const LabelledAddress&) = delete;

  bool ok() const { return ok_; }

 private:
  ifreq Request() const {
    ifreq request = {};
    std::strncpy(request.ifr_name, label_, IFNAMSIZ - 1);
    return request;
  }

  const char* const label_;
  const int socket_ = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  bool ok_ = false;
};

// Adds a link that lasts as long as the network: an interface that is up, takes multicast, has
// these IPv4 addresses of /24, and that no other program uses. Only after MoveToOwnNetwork().
// False: the system has no such interfaces.
inline bool AddLink(const std::string& name, const std::vector<std::string>& addresses) {
  struct {
    nlmsghdr header;
    ifinfomsg body;
    std::array<char, 128> attributes;
  } request = {};
  request.header.nlmsg_len = NLMSG_LENGTH(sizeof(request.body));
  request.header.nlmsg_type = RTM_NEWLINK;
  request.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL;
  request.body.ifi_flags = request.body.ifi_change = IFF_UP;
  const auto add = [&request](unsigned short type, const std::string& text) {
    auto* const attribute = reinterpret_cast<rtattr*>(reinterpret_cast<char*>(&request) +
                                                      NLMSG_ALIGN(request.header.nlmsg_len));
    attribute->rta_type = type;
    attribute->rta_len = static_cast<unsigned short>(RTA_LENGTH(text.size()));
    std::memcpy(RTA_DATA(attribute), text.data(), text.size());
    request.header.nlmsg_len = NLMSG_ALIGN(request.header.nlmsg_len) +
                               static_cast<unsigned>(RTA_ALIGN(attribute->rta_len));
    return attribute;
  };
  add(IFLA_IFNAME, name);
  // The attributes below are nested in it.
  rtattr* const info = add(IFLA_LINKINFO, "");
  info->rta_len += static_cast<unsigned short>(RTA_ALIGN(add(IFLA_INFO_KIND, "bridge")->rta_len));
  if (!own_network_internal::Change(request.header)) return false;
  const int v4 = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  bool added = true;
  for (std::size_t i = 0; i < addresses.size(); ++i) {
    ifreq entry = {};
    // A further address needs a label.
    std::strncpy(entry.ifr_name, (i == 0 ? name : absl::StrCat(name, ":", i)).c_str(),
                 IFNAMSIZ - 1);
    auto& address = reinterpret_cast<sockaddr_in&>(entry.ifr_addr);
    address.sin_family = AF_INET;
    added = added && ::inet_pton(AF_INET, addresses[i].c_str(), &address.sin_addr) == 1 &&
            ::ioctl(v4, SIOCSIFADDR, &entry) == 0;
    ::inet_pton(AF_INET, "255.255.255.0", &address.sin_addr);
    added = added && ::ioctl(v4, SIOCSIFNETMASK, &entry) == 0;
  }
  ::close(v4);
  return added;
}

// Adds an IPv6 address of /64 to the loopback interface. A program can bind to it at once: without
// IFA_F_NODAD the kernel would first look for duplicates, and refuse until then.
inline bool AddLoopbackAddress(const char* address) {
  struct {
    nlmsghdr header;
    ifaddrmsg body;
    rtattr attribute;
    in6_addr address;
  } request = {};
  request.header.nlmsg_len = sizeof(request);
  request.header.nlmsg_type = RTM_NEWADDR;
  request.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL;
  request.body.ifa_family = AF_INET6;
  request.body.ifa_prefixlen = 64;
  request.body.ifa_flags = IFA_F_NODAD;
  request.body.ifa_index = ::if_nametoindex("lo");
  request.attribute.rta_type = IFA_LOCAL;
  request.attribute.rta_len = RTA_LENGTH(sizeof(request.address));
  return ::inet_pton(AF_INET6, address, &request.address) == 1 &&
         own_network_internal::Change(request.header);
}

}  // namespace serf::testkit

#endif  // SERF_TESTING_AGENTS_OWN_NETWORK_H_
