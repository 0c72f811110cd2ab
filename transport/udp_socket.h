// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_TRANSPORT_UDP_SOCKET_H_
#define SERF_TRANSPORT_UDP_SOCKET_H_

// UdpSocket: sends and receives datagrams in batches, by recvmmsg and sendmmsg on the native handle
// of an Asio socket. Asio reports when there is something to read. Source:
// docs/protocol/membership.md 7.2.
//
//   socket.Open(bind);
//   socket.AsyncWaitReadable([&](ErrorCode error) {
//     socket.ReceiveUntil(end, refused, [&](Instant now, const auto& r) { ... });
//     socket.Send(outbox, refused);
//   });
//
// The socket reads failures that the network reports later (ICMP) from its error queue. Only the
// error queue names the destination; otherwise the error would hit the next datagram, to any
// destination. One thread.

// The second needs the first.
// clang-format off
#include <time.h>
#include <linux/errqueue.h>
// clang-format on
#include <netinet/in.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <bitset>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/udp.hpp>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "serf/base/bytes.h"
#include "serf/base/endpoint.h"
#include "serf/base/time.h"
#include "serf/swim/outbox.h"
#include "serf/transport/net/asio.h"
#include "serf/transport/net/bound_socket.h"
#include "serf/transport/net/clock.h"
#include "serf/transport/net/error_text.h"
#include "serf/transport/net/socket_address.h"
#include "serf/transport/net/zone.h"

namespace serf::transport {

class UdpSocket {
 public:
  // Datagrams per system call. A larger batch would not pay: the call's fixed cost is already below
  // a tenth.
  static constexpr std::size_t kBatch = 32;
  // The length limit of a datagram.
  static constexpr std::size_t kDatagramMax = 65536;
  // The size of the kernel's buffer in each direction: gossip comes in bursts. Open() halves it
  // until the system accepts it.
  static constexpr int kBufferWanted = 2 << 20;
  // Messages taken from the error queue at once; the next readiness handles the rest.
  static constexpr int kErrorsPerTurn = 64;

  struct Received {
    Endpoint from;
    ByteView bytes;
  };

  // Counts since the socket was opened.
  struct Counters {
    std::uint64_t received = 0;  // datagrams
    std::uint64_t sent = 0;      // datagrams
    std::uint64_t receive_calls = 0;
    std::uint64_t send_calls = 0;
    std::uint64_t dropped = 0;  // datagrams not sent, because the kernel's buffer was full
    std::uint64_t refused = 0;  // datagrams refused by the system or, later, by the network
  };

  explicit UdpSocket(asio::io_context& io) : socket_(io) {}
  UdpSocket(const UdpSocket&) = delete;
  UdpSocket& operator=(const UdpSocket&) = delete;

  // Binds to `at`; port 0 takes a free one. An error reads "listen udp 10.0.0.1:7946: bind: address
  // already in use". `zone` is the zone of a link-local IPv6 address, and of the destinations.
  absl::Status Open(const Endpoint& at, names::Zone zone = 0);
  bool is_open() const { return socket_.is_open(); }
  // Ends a wait with an error.
  void Close();

  // The address that was asked for, with the port that the socket got.
  const Endpoint& local() const { return local_; }
  const Counters& counters() const { return counters_; }

  // Calls handler(ErrorCode) once there is a datagram or an error to Receive().
  template <typename Handler>
  void AsyncWaitReadable(Handler&& handler) {
    socket_.async_wait(asio::ip::udp::socket::wait_read, std::forward<Handler>(handler));
  }

  // Receives the next datagrams, up to kBatch, by one system call; none if no more wait. They are
  // valid until the next call. Appends to `refused` the destinations that earlier datagrams did not
  // reach.
  std::span<const Received> Receive(std::vector<Endpoint>& refused);

  // Calls f(now, datagram) for a batch of what has arrived, and stops at `end`: the next call
  // continues with the rest of the batch. Gives back memory once the batch is done.
  enum class Progress : std::uint8_t { kNothingMore, kMore, kTimeIsOver };
  template <typename F>
  Progress ReceiveUntil(Instant end, std::vector<Endpoint>& refused, F&& f);

  // Frees the memory that datagrams longer than a page took. Members send none, and a sender of
  // such datagrams must not make the process larger. Call it when the received datagrams have been
  // read.
  void ReleaseLarge();

  // Sends the datagrams of `outbox`. Appends to `refused` the destinations that it could not send
  // to. While the kernel's buffer is full, it drops datagrams and counts them: the protocol allows
  // for loss, and a datagram that waited here would be stale.
  void Send(const swim::Outbox& outbox, std::vector<Endpoint>& refused);

 private:
  // The kernel fills these buffers, which are set up once. A page of `bytes` that no datagram has
  // reached is never touched, so an idle socket costs one page. The alignment keeps any two
  // datagrams on different pages.
  struct ReceiveBuffers {
    alignas(kDatagramMax) std::array<std::uint8_t, kBatch * kDatagramMax> bytes;
    std::array<mmsghdr, kBatch> headers;
    std::array<iovec, kBatch> vectors;
    std::array<SocketAddress, kBatch> addresses;
    std::array<Received, kBatch> received;
  };
  struct SendBuffers {
    std::array<mmsghdr, kBatch> headers;
    std::array<iovec, kBatch> vectors;
    std::array<SocketAddress, kBatch> addresses;
  };

  void SetOptions();
  void DrainErrors(std::vector<Endpoint>& refused);
  // Sends the first to.size() datagrams of send_, whose destinations are `to`.
  void SendBatch(std::span<const Endpoint* const> to, std::vector<Endpoint>& refused);
  static bool IsFull(int error) {
    return error == EAGAIN || error == EWOULDBLOCK || error == ENOBUFS || error == ENOMEM;
  }

  asio::ip::udp::socket socket_;
  Endpoint local_;
  int family_ = AF_INET;
  std::unique_ptr<ReceiveBuffers> receive_;
  std::span<const Received> batch_;  // what is left of the last one
  bool batch_is_full_ = false;
  std::bitset<kBatch> large_;  // which buffers hold more than a page
  const std::size_t page_size_ = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  SendBuffers send_ = {};
  Counters counters_;
};

// --- bodies ---

inline absl::Status UdpSocket::Open(const Endpoint& at, names::Zone zone) {
  const BindResult bound = OpenAndBind(socket_, at, zone);
  if (bound.error) return ListenError("udp", at, bound.call, bound.error);
  ErrorCode error;
  const asio::ip::udp::endpoint local = socket_.local_endpoint(error);
  if (!error) socket_.native_non_blocking(true, error);
  if (error) {
    Close();
    return ListenError("udp", at, "socket", error);
  }
  local_ = {at.address, local.port()};
  family_ = local.address().is_v4() ? AF_INET : AF_INET6;
  SetOptions();

  // Not value-initialized: see ReceiveBuffers.
  receive_.reset(new ReceiveBuffers);
  for (std::size_t i = 0; i < kBatch; ++i) {
    receive_->vectors[i] = {receive_->bytes.data() + i * kDatagramMax, kDatagramMax};
  }
  return absl::OkStatus();
}

inline void UdpSocket::SetOptions() {
  ErrorCode error;
  for (int size = kBufferWanted; size > 0; size /= 2) {
    socket_.set_option(asio::socket_base::receive_buffer_size(size), error);
    if (!error) break;
  }
  for (int size = kBufferWanted; size > 0; size /= 2) {
    socket_.set_option(asio::socket_base::send_buffer_size(size), error);
    if (!error) break;
  }
  // An IPv6 socket carries IPv4 too, and has both options. Without them a time-out finds the
  // failures, as on systems that report none.
  const int on = 1;
  const int handle = socket_.native_handle();
  (void)::setsockopt(handle, IPPROTO_IP, IP_RECVERR, &on, sizeof(on));
  if (family_ == AF_INET6) {
    (void)::setsockopt(handle, IPPROTO_IPV6, IPV6_RECVERR, &on, sizeof(on));
  }
}

inline void UdpSocket::Close() {
  ErrorCode ignored;
  socket_.close(ignored);
}

inline std::span<const UdpSocket::Received> UdpSocket::Receive(std::vector<Endpoint>& refused) {
  ReceiveBuffers& r = *receive_;
  for (std::size_t i = 0; i < kBatch; ++i) {
    r.headers[i] = {};
    r.headers[i].msg_hdr.msg_name = &r.addresses[i];
    r.headers[i].msg_hdr.msg_namelen = sizeof(SocketAddress);
    r.headers[i].msg_hdr.msg_iov = &r.vectors[i];
    r.headers[i].msg_hdr.msg_iovlen = 1;
  }
  int count = -1;
  // The kernel reports an error of an earlier datagram once, in place of the data that is there to
  // read.
  for (int attempt = 0; attempt < 2 && count < 0; ++attempt) {
    ++counters_.receive_calls;
    count = ::recvmmsg(socket_.native_handle(), r.headers.data(), kBatch, MSG_DONTWAIT, nullptr);
    if (count < 0) DrainErrors(refused);
  }
  std::size_t filled = 0;
  for (int i = 0; i < count; ++i) {
    const std::optional<Endpoint> from =
        FromSocketAddress(r.addresses[static_cast<std::size_t>(i)]);
    const auto at = static_cast<std::size_t>(i);
    if (r.headers[at].msg_len > page_size_) large_.set(at);
    if (!from) continue;
    const auto* bytes = static_cast<const std::uint8_t*>(r.vectors[at].iov_base);
    r.received[filled++] = {*from, ByteView(bytes, r.headers[at].msg_len)};
  }
  counters_.received += filled;
  return {r.received.data(), filled};
}

template <typename F>
UdpSocket::Progress UdpSocket::ReceiveUntil(Instant end, std::vector<Endpoint>& refused, F&& f) {
  if (batch_.empty()) {
    batch_ = Receive(refused);
    batch_is_full_ = batch_.size() == kBatch;
  }
  Instant now = Now();
  while (!batch_.empty()) {
    f(now, batch_.front());
    batch_ = batch_.subspan(1);
    if (batch_.empty()) break;
    now = Now();
    if (now >= end) return Progress::kTimeIsOver;
  }
  if (batch_is_full_) return Progress::kMore;
  ReleaseLarge();
  return Progress::kNothingMore;
}

inline void UdpSocket::ReleaseLarge() {
  if (large_.none()) return;
  for (std::size_t i = 0; i < kBatch; ++i) {
    if (!large_.test(i)) continue;
    // The first page stays, because every datagram needs it.
    (void)::madvise(receive_->bytes.data() + i * kDatagramMax + page_size_,
                    kDatagramMax - page_size_, MADV_DONTNEED);
  }
  large_.reset();
}

inline void UdpSocket::Send(const swim::Outbox& outbox, std::vector<Endpoint>& refused) {
  std::array<const Endpoint*, kBatch> to;
  std::size_t count = 0;
  for (const swim::Outbox::Datagram& datagram : outbox.datagrams()) {
    const socklen_t size = ToSocketAddress(datagram.to, family_, send_.addresses[count]);
    if (size == 0) {
      ++counters_.refused;
      refused.push_back(datagram.to);
      continue;
    }
    const ByteView bytes = outbox.bytes(datagram);
    // The kernel only reads them.
    send_.vectors[count] = {const_cast<std::uint8_t*>(bytes.data()), bytes.size()};
    send_.headers[count] = {};
    send_.headers[count].msg_hdr.msg_name = &send_.addresses[count];
    send_.headers[count].msg_hdr.msg_namelen = size;
    send_.headers[count].msg_hdr.msg_iov = &send_.vectors[count];
    send_.headers[count].msg_hdr.msg_iovlen = 1;
    to[count++] = &datagram.to;
    if (count == kBatch) {
      SendBatch({to.data(), count}, refused);
      count = 0;
    }
  }
  if (count > 0) SendBatch({to.data(), count}, refused);
}

inline void UdpSocket::SendBatch(std::span<const Endpoint* const> to,
                                 std::vector<Endpoint>& refused) {
  std::size_t done = 0;
  bool again = false;  // the next datagram has failed once
  while (done < to.size()) {
    ++counters_.send_calls;
    const int sent = ::sendmmsg(socket_.native_handle(), &send_.headers[done],
                                static_cast<unsigned>(to.size() - done), MSG_DONTWAIT);
    if (sent > 0) {
      done += static_cast<std::size_t>(sent);
      counters_.sent += static_cast<std::uint64_t>(sent);
      again = false;
      continue;
    }
    const int error = errno;
    if (error == EINTR) continue;
    if (IsFull(error)) {
      counters_.dropped += to.size() - done;
      return;
    }
    // It may be the error of an earlier datagram. A second attempt shows that.
    DrainErrors(refused);
    if (again) {
      ++counters_.refused;
      refused.push_back(*to[done++]);
    }
    again = !again;
  }
}

inline void UdpSocket::DrainErrors(std::vector<Endpoint>& refused) {
  for (int i = 0; i < kErrorsPerTurn; ++i) {
    SocketAddress to = {};
    std::array<std::uint8_t, 1> data;
    iovec vector = {data.data(), data.size()};
    alignas(cmsghdr) std::array<std::uint8_t, 256> control;
    msghdr header = {};
    header.msg_name = &to;
    header.msg_namelen = sizeof(to);
    header.msg_iov = &vector;
    header.msg_iovlen = 1;
    header.msg_control = control.data();
    header.msg_controllen = control.size();
    if (::recvmsg(socket_.native_handle(), &header, MSG_ERRQUEUE | MSG_DONTWAIT) < 0) return;
    for (cmsghdr* c = CMSG_FIRSTHDR(&header); c != nullptr; c = CMSG_NXTHDR(&header, c)) {
      const bool is_error = (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_RECVERR) ||
                            (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_RECVERR);
      if (!is_error) continue;
      const auto* report = reinterpret_cast<const sock_extended_err*>(CMSG_DATA(c));
      // The system call returns errors of this host, too.
      const bool from_network =
          report->ee_origin == SO_EE_ORIGIN_ICMP || report->ee_origin == SO_EE_ORIGIN_ICMP6;
      const std::optional<Endpoint> endpoint = FromSocketAddress(to);
      if (from_network && endpoint) {
        ++counters_.refused;
        refused.push_back(*endpoint);
      }
    }
  }
}

}  // namespace serf::transport

#endif  // SERF_TRANSPORT_UDP_SOCKET_H_
