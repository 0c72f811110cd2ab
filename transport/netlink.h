// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_TRANSPORT_NETLINK_H_
#define SERF_TRANSPORT_NETLINK_H_

// Lists that the kernel sends by netlink: its interfaces and their addresses. getifaddrs() does not
// serve here: it names an IPv4 address by its label ("eth0:vip"), which need not contain the name
// of the interface. Source: rtnetlink(7).
//
//   ForEachNetlinkMessage(RTM_GETADDR, [](const nlmsghdr& message) { ... });

#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <vector>

namespace serf::transport {

// Calls visit(const nlmsghdr&) for each entry of the list that `type` asks for: RTM_GETLINK or
// RTM_GETADDR. False: the kernel sent no list, or not all of it.
template <typename Visit>
bool ForEachNetlinkMessage(std::uint16_t type, Visit visit);

// Calls visit(const rtattr&) for each attribute after a message's Header: ifinfomsg or ifaddrmsg.
template <typename Header, typename Visit>
void ForEachNetlinkAttribute(const nlmsghdr& message, Visit visit);

// --- bodies ---

template <typename Visit>
bool ForEachNetlinkMessage(std::uint16_t type, Visit visit) {
  constexpr std::size_t kDumpMax = 32 << 10;  // the kernel's limit for one piece of a list
  const int fd = ::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
  if (fd < 0) return false;
  struct {
    nlmsghdr header;
    rtgenmsg body;
  } request = {};
  request.header.nlmsg_len = sizeof(request);
  request.header.nlmsg_type = type;
  request.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
  request.body.rtgen_family = AF_UNSPEC;
  bool failed = ::send(fd, &request, sizeof(request), 0) < 0;
  bool done = false;
  // The buffer is not on the stack, because the process would keep the stack's pages.
  std::vector<std::uint8_t> buffer(kDumpMax);
  while (!failed && !done) {
    const ssize_t size = ::recv(fd, buffer.data(), buffer.size(), 0);
    failed = size <= 0;
    auto left = static_cast<int>(size);
    const auto* message = reinterpret_cast<const nlmsghdr*>(buffer.data());
    for (; !failed && !done && NLMSG_OK(message, static_cast<unsigned>(left));
         message = NLMSG_NEXT(message, left)) {
      if (message->nlmsg_type == NLMSG_DONE) {
        done = true;
      } else if (message->nlmsg_type == NLMSG_ERROR) {
        failed = true;
      } else {
        visit(*message);
      }
    }
  }
  ::close(fd);
  return done;
}

template <typename Header, typename Visit>
void ForEachNetlinkAttribute(const nlmsghdr& message, Visit visit) {
  if (message.nlmsg_len < NLMSG_LENGTH(sizeof(Header))) return;
  auto left = static_cast<int>(message.nlmsg_len - NLMSG_LENGTH(sizeof(Header)));
  const auto* attribute = reinterpret_cast<const rtattr*>(
      reinterpret_cast<const std::uint8_t*>(&message) + NLMSG_SPACE(sizeof(Header)));
  for (; RTA_OK(attribute, left); attribute = RTA_NEXT(attribute, left)) visit(*attribute);
}

}  // namespace serf::transport

#endif  // SERF_TRANSPORT_NETLINK_H_
