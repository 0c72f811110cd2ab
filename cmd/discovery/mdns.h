#ifndef SERF_CMD_DISCOVERY_MDNS_H_
#define SERF_CMD_DISCOVERY_MDNS_H_

// Mdns: finds the agents of a cluster on the link, and answers their questions: DiscoveryService
// and DiscoveryPoller with sockets and a clock.
//
//   absl::StatusOr<std::unique_ptr<Mdns>> mdns = Mdns::Start(io, options, logger, join);
//
// It uses every address family and interface that works. The next poll finds interfaces that appear
// later. Threads: all calls on the io_context's thread. Source: docs/protocol/agent.md 2.14.

#include <net/if.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "absl/algorithm/container.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "boost/asio/buffer.hpp"
#include "boost/asio/io_context.hpp"
#include "boost/asio/ip/address.hpp"
#include "boost/asio/ip/udp.hpp"
#include "boost/asio/ip/v6_only.hpp"
#include "boost/asio/steady_timer.hpp"
#include "serf/base/bytes.h"
#include "serf/base/endpoint.h"
#include "serf/base/logger.h"
#include "serf/base/time.h"
#include "serf/cmd/discovery/dns_message.h"
#include "serf/cmd/discovery/poller.h"
#include "serf/cmd/discovery/service.h"
#include "serf/cmd/telemetry/glog_logger.h"
#include "serf/transport/entropy.h"
#include "serf/transport/interfaces.h"
#include "serf/transport/net/clock.h"
#include "serf/transport/net/socket_address.h"

namespace serf::cmd {

inline constexpr std::uint16_t kMdnsPort = 5353;

// True if the address is this host's, or a neighbour's by the prefixes of these interfaces. Other
// addresses get no answer, because it could hit a host that never asked. Source: RFC 6762 (11).
bool IsOnLink(const IpAddress& address, std::span<const transport::InterfaceAddress> interfaces);

// A Linux socket can join 20 groups (igmp_max_memberships), so more interfaces have no room.
inline constexpr std::size_t kMulticastInterfacesMax = 16;

// The interfaces to use if none is configured: those that are up and have an address of the family.
// The interface of the default route (may be empty) comes first. Loopback interfaces count only if
// there are no others. At most kMulticastInterfacesMax.
std::vector<std::string> MulticastInterfaces(std::span<const transport::InterfaceAddress> addresses,
                                             absl::string_view default_interface, bool ipv4);

class Mdns {
 public:
  struct Options {
    DiscoveryService::Options service;
    std::string interface;  // "eth0"; empty: MulticastInterfaces()
    bool ipv4 = true;
    bool ipv6 = true;
  };

  // Ends a join: how many addresses could be joined, and the live members.
  using JoinDone = std::function<void(const absl::Status&, int joined, std::vector<Endpoint>)>;
  // Joins "10.0.0.1:7946", ..., and calls JoinDone once.
  using Join = std::function<void(std::vector<std::string>, JoinDone)>;

  // Starts to answer, and polls at once. Error: "No multicast listeners could be started", or that
  // of DiscoveryService::Create() about the names.
  static absl::StatusOr<std::unique_ptr<Mdns>> Start(boost::asio::io_context& io,
                                                     const Options& options, GlogLogger& logger,
                                                     Join join);
  ~Mdns();
  Mdns(const Mdns&) = delete;
  Mdns& operator=(const Mdns&) = delete;

 private:
  using Udp = boost::asio::ip::udp;
  using ErrorCode = boost::system::error_code;

  struct Socket {
    Socket(boost::asio::io_context& io, const Udp& f) : family(f), udp(io) {}

    const Udp family;
    Udp::socket udp;
    Udp::endpoint sender;
    // One byte more reveals a datagram that is too long.
    std::array<std::uint8_t, kDnsDatagramMax + 1> buffer;
  };
  using SocketPtr = std::shared_ptr<Socket>;

  Mdns(boost::asio::io_context& io, const Options& options, DiscoveryService service,
       GlogLogger& logger, Join join)
      : io_(io),
        interface_(options.interface),
        service_(std::move(service)),
        logger_(logger),
        join_(std::move(join)),
        timer_(io),
        poller_(transport::Now(), service_.service(), options.service.endpoint,
                transport::RandomSeed()) {}

  // A socket on the port of multicast DNS, in the group.
  SocketPtr OpenListener(const Udp& family);
  // Joins the group on interfaces where the socket has not joined it yet. False: the group is
  // joined on no interface.
  bool JoinGroup(Socket& socket);
  // The interfaces to use; zero stands for the system's choice. Empty if the configured interface
  // is gone.
  std::vector<unsigned> Indexes(const Udp& family) const;
  // A socket on any port, from which a poll asks.
  SocketPtr OpenAsker(const Udp& family);
  static void Close(std::vector<SocketPtr>& sockets);
  static Udp::endpoint Group(const Udp& family);

  void Receive(const SocketPtr& socket);
  void OnDatagram(Socket& socket, ByteView bytes);
  void OnTimer();
  // Carries out what the machine wants, and waits for its next deadline.
  void Apply(DiscoveryOutput out);
  void Ask(std::span<const ByteVector> questions);
  void StartJoin(std::span<const Endpoint> endpoints);

  boost::asio::io_context& io_;
  const std::string interface_;
  const DiscoveryService service_;
  GlogLogger& logger_;
  const Join join_;
  const std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  // false: handlers do nothing
  boost::asio::steady_timer timer_;
  DiscoveryPoller poller_;
  std::vector<transport::InterfaceAddress> neighbourhood_;
  std::vector<Udp> families_;
  std::vector<SocketPtr> listeners_;
  std::vector<SocketPtr> askers_;  // while a poll is under way
};

// --- bodies ---

inline bool IsOnLink(const IpAddress& address,
                     std::span<const transport::InterfaceAddress> interfaces) {
  const IpAddress plain = address.Unmapped();
  const bool link_local = !plain.is_v4() && transport::IsInBlock(plain, *IpAddress::Parse("fe80::"),
                                                                 /*bits=*/10);
  // Linux sends multicast over the loopback interface from no address at all.
  if (plain.is_loopback() || plain.is_unspecified() || link_local) return true;
  for (const transport::InterfaceAddress& entry : interfaces) {
    if (entry.up && transport::IsInBlock(plain, entry.address, entry.prefix_bits)) return true;
  }
  return false;
}

inline std::vector<std::string> MulticastInterfaces(
    std::span<const transport::InterfaceAddress> addresses, absl::string_view default_interface,
    bool ipv4) {
  std::vector<std::string> names;
  for (const bool loopback : {false, true}) {
    for (const transport::InterfaceAddress& entry : addresses) {
      const bool usable =
          entry.up && entry.address.is_v4() == ipv4 && entry.address.is_loopback() == loopback;
      if (!usable || absl::c_linear_search(names, entry.interface)) continue;
      const bool first = entry.interface == default_interface;
      names.insert(first ? names.begin() : names.end(), entry.interface);
    }
    if (!names.empty()) break;
  }
  if (names.size() > kMulticastInterfacesMax) names.resize(kMulticastInterfacesMax);
  return names;
}

inline absl::StatusOr<std::unique_ptr<Mdns>> Mdns::Start(boost::asio::io_context& io,
                                                         const Options& options, GlogLogger& logger,
                                                         Join join) {
  absl::StatusOr<DiscoveryService> service = DiscoveryService::Create(options.service);
  if (!service.ok()) return service.status();
  std::unique_ptr<Mdns> mdns(new Mdns(io, options, *std::move(service), logger, std::move(join)));
  if (options.ipv4) mdns->families_.push_back(Udp::v4());
  if (options.ipv6) mdns->families_.push_back(Udp::v6());
  mdns->neighbourhood_ = transport::ListInterfaceAddresses();
  for (const Udp& family : mdns->families_) {
    SocketPtr socket = mdns->OpenListener(family);
    if (socket != nullptr) mdns->listeners_.push_back(std::move(socket));
  }
  if (mdns->listeners_.empty()) {
    return absl::UnavailableError("No multicast listeners could be started");
  }
  for (const SocketPtr& socket : mdns->listeners_) mdns->Receive(socket);
  mdns->OnTimer();
  return mdns;
}

inline Mdns::Udp::endpoint Mdns::Group(const Udp& family) {
  const char* const group = family == Udp::v4() ? "224.0.0.251" : "ff02::fb";
  ErrorCode ignored;
  return {boost::asio::ip::make_address(group, ignored), kMdnsPort};
}

namespace mdns_internal {

template <typename T>
bool SetOption(int fd, int level, int name, const T& value) {
  return ::setsockopt(fd, level, name, &value, sizeof(value)) == 0;
}

}  // namespace mdns_internal

inline Mdns::SocketPtr Mdns::OpenListener(const Udp& family) {
  namespace internal = mdns_internal;
  auto socket = std::make_shared<Socket>(io_, family);
  Udp::socket& udp = socket->udp;
  ErrorCode error;
  udp.open(family, error);
  if (error) return nullptr;
  // Other programs on this host use the port too.
  udp.set_option(boost::asio::socket_base::reuse_address(true), error);
  const int fd = udp.native_handle();
  // Receives only the group's datagrams from the interfaces on which this socket joined.
  const bool ready = family == Udp::v4()
                         ? internal::SetOption(fd, IPPROTO_IP, IP_MULTICAST_ALL, 0)
                         : internal::SetOption(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1) &&
                               internal::SetOption(fd, IPPROTO_IPV6, IPV6_MULTICAST_ALL, 0);
  if (!ready || !JoinGroup(*socket)) return nullptr;
  udp.bind({family, kMdnsPort}, error);
  return error ? nullptr : socket;
}

inline std::vector<unsigned> Mdns::Indexes(const Udp& family) const {
  std::vector<unsigned> indexes;
  if (!interface_.empty()) {
    const unsigned index = ::if_nametoindex(interface_.c_str());
    if (index != 0) indexes.push_back(index);
    return indexes;
  }
  for (const std::string& name :
       MulticastInterfaces(neighbourhood_, transport::DefaultInterface(), family == Udp::v4())) {
    if (const unsigned index = ::if_nametoindex(name.c_str()); index != 0) indexes.push_back(index);
  }
  if (indexes.empty()) indexes.push_back(0);
  return indexes;
}

inline bool Mdns::JoinGroup(Socket& socket) {
  namespace internal = mdns_internal;
  const int fd = socket.udp.native_handle();
  const boost::asio::ip::address group = Group(socket.family).address();
  bool joined = false;
  for (const unsigned index : Indexes(socket.family)) {
    bool done = false;
    if (socket.family == Udp::v4()) {
      ip_mreqn request = {};
      request.imr_ifindex = static_cast<int>(index);
      const auto bytes = group.to_v4().to_bytes();
      std::memcpy(&request.imr_multiaddr, bytes.data(), bytes.size());
      done = internal::SetOption(fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, request);
    } else {
      ipv6_mreq request = {};
      request.ipv6mr_interface = index;
      const auto bytes = group.to_v6().to_bytes();
      std::memcpy(&request.ipv6mr_multiaddr, bytes.data(), bytes.size());
      done = internal::SetOption(fd, IPPROTO_IPV6, IPV6_ADD_MEMBERSHIP, request);
    }
    joined = joined || done || errno == EADDRINUSE;
  }
  return joined;
}

inline Mdns::SocketPtr Mdns::OpenAsker(const Udp& family) {
  auto socket = std::make_shared<Socket>(io_, family);
  Udp::socket& udp = socket->udp;
  ErrorCode error;
  udp.open(family, error);
  if (error) return nullptr;
  if (family == Udp::v6()) udp.set_option(boost::asio::ip::v6_only(true), error);
  if (!error) udp.bind({family, 0}, error);
  return error ? nullptr : socket;
}

// The handlers hold the sockets, and end.
inline void Mdns::Close(std::vector<SocketPtr>& sockets) {
  for (const SocketPtr& socket : sockets) {
    ErrorCode ignored;
    socket->udp.close(ignored);
  }
  sockets.clear();
}

inline Mdns::~Mdns() {
  *alive_ = false;
  Close(listeners_);
  Close(askers_);
}

inline void Mdns::Receive(const SocketPtr& socket) {
  socket->udp.async_receive_from(
      boost::asio::buffer(socket->buffer), socket->sender,
      [this, alive = alive_, socket](const ErrorCode& error, std::size_t size) {
        if (!*alive || error == boost::asio::error::operation_aborted) return;
        if (!error) OnDatagram(*socket, {socket->buffer.data(), size});
        if (*alive && socket->udp.is_open()) Receive(socket);
      });
}

inline void Mdns::OnDatagram(Socket& socket, ByteView bytes) {
  const IpAddress sender = transport::FromAsio(socket.sender.address());
  if (socket.sender.port() == 0 || !IsOnLink(sender, neighbourhood_)) return;
  const std::optional<DnsMessage> message = ParseDnsMessage(bytes);
  if (!message) return;
  for (const ByteVector& answer : service_.Answer(*message)) {
    ErrorCode ignored;  // the asker may be gone; a full buffer loses the answer, as the network may
    socket.udp.send_to(boost::asio::buffer(answer), socket.sender, MSG_DONTWAIT, ignored);
  }
  DiscoveryOutput out;
  poller_.OnResponse(transport::Now(), *message, out);
  Apply(std::move(out));
}

inline void Mdns::OnTimer() {
  DiscoveryOutput out;
  poller_.OnTimer(transport::Now(), out);
  Apply(std::move(out));
}

inline void Mdns::Apply(DiscoveryOutput out) {
  if (out.close || out.open) Close(askers_);
  if (out.open) {
    neighbourhood_ = transport::ListInterfaceAddresses();
    for (const SocketPtr& listener : listeners_) JoinGroup(*listener);
    for (const Udp& family : families_) {
      SocketPtr socket = OpenAsker(family);
      if (socket == nullptr) continue;
      Receive(socket);
      askers_.push_back(std::move(socket));
    }
  }
  if (!out.questions.empty()) Ask(out.questions);
  if (!out.join.empty()) StartJoin(out.join);
  timer_.expires_at(transport::ToSteadyTime(poller_.next_deadline()));
  timer_.async_wait([this, alive = alive_](const ErrorCode& error) {
    if (!error && *alive) OnTimer();
  });
}

inline void Mdns::Ask(std::span<const ByteVector> questions) {
  namespace internal = mdns_internal;
  bool sent = false;
  std::string why = "no socket or no interface";
  for (const SocketPtr& socket : askers_) {
    const bool ipv4 = socket->family == Udp::v4();
    const int fd = socket->udp.native_handle();
    for (const unsigned index : Indexes(socket->family)) {
      ip_mreqn request = {};
      request.imr_ifindex = static_cast<int>(index);
      // If the interface is gone, the later send reports the reason.
      (void)(ipv4 ? internal::SetOption(fd, IPPROTO_IP, IP_MULTICAST_IF, request)
                  : internal::SetOption(fd, IPPROTO_IPV6, IPV6_MULTICAST_IF, index));
      for (const ByteVector& question : questions) {
        ErrorCode error;
        socket->udp.send_to(boost::asio::buffer(question), Group(socket->family), 0, error);
        sent = sent || !error;
        if (error) why = error.message();
      }
    }
  }
  if (!sent) Log(&logger_, LogLevel::kError, "agent.mdns: Failed to poll for new hosts: ", why);
}

inline void Mdns::StartJoin(std::span<const Endpoint> endpoints) {
  std::vector<std::string> addresses;
  for (const Endpoint& endpoint : endpoints) addresses.push_back(endpoint.ToString());
  const std::size_t count = addresses.size();
  join_(std::move(addresses), [this, alive = alive_, count](const absl::Status& status, int joined,
                                                            std::vector<Endpoint> members) {
    if (!*alive) return;
    if (!status.ok()) {
      logger_.WriteLines(LogLevel::kError, absl::StrCat("agent.mdns: Failed to join: ",
                                                        absl::string_view(status.message())));
    }
    if (joined > 0) Log(&logger_, LogLevel::kInfo, "agent.mdns: Joined ", joined, " hosts");
    poller_.OnJoined(transport::Now(), members, joined == static_cast<int>(count));
    Apply({});
  });
}

}  // namespace serf::cmd

#endif  // SERF_CMD_DISCOVERY_MDNS_H_
