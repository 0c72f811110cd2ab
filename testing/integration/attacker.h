#ifndef SERF_TESTING_INTEGRATION_ATTACKER_H_
#define SERF_TESTING_INTEGRATION_ATTACKER_H_

// Attacker: raw sockets towards an agent, for tests that send bytes that no agent would send.
//
//   Attacker attacker(agent.options().address, "a", key);
//   attacker.SendDatagram(bytes);
//   ASSERT_TRUE(attacker.Ping());                // all datagrams before it have been read
//   TcpConnection connection(agent.options().address, kGossipPort);
//   connection.Send(bytes);
//   connection.EndSending();
//   EXPECT_TRUE(connection.WaitForEnd());

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "serf/base/bytes.h"
#include "serf/swim/config.h"
#include "serf/testing/agents/process.h"
#include "serf/testing/test_crypto.h"
#include "serf/wire/ids.h"
#include "serf/wire/message_type.h"
#include "serf/wire/msgpack.h"
#include "serf/wire/packet.h"
#include "serf/wire/stream_frame.h"
#include "serf/wire/stream_writer.h"
#include "serf/wire/swim_messages.h"

namespace serf::testkit {

inline constexpr std::uint16_t kGossipPort = 7946;
inline constexpr std::uint16_t kRpcPort = 7373;

inline sockaddr_in SocketAddressOf(const std::string& address, std::uint16_t port) {
  sockaddr_in result = {};
  result.sin_family = AF_INET;
  result.sin_port = htons(port);
  ::inet_pton(AF_INET, address.c_str(), &result.sin_addr);
  return result;
}

// The resident memory of a process, in bytes.
inline std::size_t ResidentBytes(pid_t pid) {
  std::ifstream file(absl::StrFormat("/proc/%d/statm", pid));
  std::size_t total = 0;
  std::size_t resident = 0;
  file >> total >> resident;
  return resident * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
}

// Datagrams for a UDP socket that the kernel dropped for want of room; -1 if there is no such
// socket.
inline int DroppedDatagrams(const std::string& address, std::uint16_t port) {
  const sockaddr_in at = SocketAddressOf(address, port);
  const std::string local = absl::StrFormat("%08X:%04X", at.sin_addr.s_addr, port);
  std::ifstream file("/proc/net/udp");
  for (std::string line; std::getline(file, line);) {
    const std::vector<std::string> fields = absl::StrSplit(line, ' ', absl::SkipWhitespace());
    int drops = 0;
    if (fields.size() > 12 && fields[1] == local && absl::SimpleAtoi(fields.back(), &drops)) {
      return drops;
    }
  }
  return -1;
}

// A connection of the test. The destructor closes it.
class TcpConnection {
 public:
  // Ends the test program if nobody listens.
  TcpConnection(const std::string& address, std::uint16_t port)
      : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    const sockaddr_in to = SocketAddressOf(address, port);
    if (::connect(fd_, reinterpret_cast<const sockaddr*>(&to), sizeof(to)) != 0) {
      std::perror("cannot connect");
      std::abort();
    }
  }
  ~TcpConnection() {
    if (fd_ >= 0) ::close(fd_);
  }
  TcpConnection(TcpConnection&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  TcpConnection& operator=(TcpConnection&&) = delete;

  // Sends until all bytes are sent, or the peer reads no more.
  void Send(ByteView bytes) const {
    while (!bytes.empty()) {
      const ssize_t sent = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent < 0 && errno == EINTR) continue;
      if (sent <= 0) return;
      bytes = bytes.subspan(static_cast<std::size_t>(sent));
    }
  }
  void EndSending() const { ::shutdown(fd_, SHUT_WR); }

  // Reads until at least `size` bytes have come in all calls together. False at the end or the
  // deadline.
  bool WaitForBytes(std::size_t size) {
    while (received_.size() < size) {
      if (!Receive()) return false;
    }
    return true;
  }
  // Waits until the peer has closed the connection.
  bool WaitForEnd() {
    while (Receive()) continue;
    return ended_;
  }
  const ByteVector& received() const { return received_; }

 private:
  bool Receive() {
    pollfd entry = {fd_, POLLIN, 0};
    if (::poll(&entry, 1, static_cast<int>(std::chrono::milliseconds(kDeadline).count())) <= 0) {
      return false;
    }
    std::array<std::uint8_t, 4096> buffer;
    const ssize_t size = ::recv(fd_, buffer.data(), buffer.size(), 0);
    if (size <= 0) {
      ended_ = true;
      return false;
    }
    Append(received_, ByteView(buffer).first(static_cast<std::size_t>(size)));
    return true;
  }

  int fd_;
  bool ended_ = false;
  ByteVector received_;
};

class Attacker {
 public:
  // Attacks the agent `name` at `address`. With a key the attacker knows the secret of the cluster.
  Attacker(const std::string& address, std::string name, ByteView key)
      : address_(address),
        name_(std::move(name)),
        fd_(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
    const sockaddr_in to = SocketAddressOf(address, kGossipPort);
    if (::connect(fd_, reinterpret_cast<const sockaddr*>(&to), sizeof(to)) != 0) {
      std::perror("cannot connect");
      std::abort();
    }
    if (!key.empty()) Encrypt(crypto_, key);
    seal_ = {.keyring = crypto_.keyring.get(),
             .aead = crypto_.aead.get(),
             .nonces = crypto_.nonces.get()};
  }
  ~Attacker() { ::close(fd_); }
  Attacker(const Attacker&) = delete;
  Attacker& operator=(const Attacker&) = delete;

  const std::string& address() const { return address_; }

  // Packs a message as members do: encrypted, if there is a key.
  ByteVector Packet(ByteView message) {
    ByteVector packet;
    wire::SealPacket(message, seal_, scratch_, packet);
    return packet;
  }
  ByteVector StreamUnit(ByteView message) {
    ByteVector unit;
    wire::SealStreamUnit(message, seal_, /*initiator=*/true, scratch_, unit);
    return unit;
  }

  // Sends the bytes unchanged. If the agent does not read, they queue, and are lost in the end.
  void SendDatagram(ByteView bytes) {
    while (::send(fd_, bytes.data(), bytes.size(), 0) < 0 && errno == EINTR) continue;
  }

  // Sends pings until the agent answers; false at the deadline. The agent has then read all earlier
  // datagrams, because a socket keeps their order.
  bool Ping();

  // The same over a stream. The agent has then accepted all earlier connections.
  bool StreamPing() {
    const ByteVector request =
        StreamUnit(Encoded(wire::Ping{.seq_no = wire::SequenceNumber(++seq_), .node = name_}));
    TcpConnection connection(address_, kGossipPort);
    connection.Send(request);
    return connection.WaitForBytes(1);
  }

  template <typename Message>
  static ByteVector Encoded(const Message& message) {
    ByteVector bytes;
    wire::Encode(message, bytes);
    return bytes;
  }

 private:
  // True if the next datagram from the agent, within a second, answers ping `seq_`.
  bool ReceiveAnswer();

  const std::string address_;
  const std::string name_;
  const int fd_;
  swim::Config crypto_;  // holds the keyring
  wire::SealOptions seal_;
  wire::PacketScratch scratch_;
  std::uint32_t seq_ = 1u << 20;
};

inline bool Attacker::Ping() {
  const auto end = std::chrono::steady_clock::now() + kDeadline;
  while (std::chrono::steady_clock::now() < end) {
    SendDatagram(
        Packet(Encoded(wire::Ping{.seq_no = wire::SequenceNumber(++seq_), .node = name_})));
    if (ReceiveAnswer()) return true;
  }
  return false;
}

inline bool Attacker::ReceiveAnswer() {
  std::array<std::uint8_t, 65536> buffer;
  pollfd entry = {fd_, POLLIN, 0};
  while (::poll(&entry, 1, /*milliseconds=*/1000) > 0) {
    const ssize_t size = ::recv(fd_, buffer.data(), buffer.size(), 0);
    if (size < 0) return false;
    bool answered = false;
    wire::OpenPacket(ByteView(buffer).first(static_cast<std::size_t>(size)),
                     {.keyring = crypto_.keyring.get(), .aead = crypto_.aead.get()}, scratch_,
                     [&](wire::MessageType type, ByteView body) {
                       wire::Ack ack;
                       wire::DecodeScratch decode;
                       answered |= type == wire::MessageType::kAck &&
                                   wire::Decode(body, ack, decode) == wire::DecodeResult::kOk &&
                                   ack.seq_no == wire::SequenceNumber(seq_);
                     });
    if (answered) return true;
  }
  return false;
}

}  // namespace serf::testkit

#endif  // SERF_TESTING_INTEGRATION_ATTACKER_H_
