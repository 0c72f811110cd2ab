// What an RPC call costs the kernel: a server that receives requests and sends replies of the usual
// size, and does nothing else. No agent that uses TCP and epoll can answer for less. It takes the
// command line of an agent, so that compare.py runs it as one.
//
//   rpc_floor agent -rpc-addr 127.0.0.1:7373

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

namespace {

// The header of a reply.
std::string Header() {
  return std::string(
      "\x82\xa5"
      "Error\xa0\xa3"
      "Seq\x01",
      13);
}

// A whole reply, with as many bytes as an agent without other members sends: the body is one bin.
std::string Reply(std::uint16_t size) {
  constexpr std::size_t kBinHead = 3;
  std::string reply = Header();
  const std::size_t body = size - reply.size() - kBinHead;
  reply += '\xc5';
  reply += static_cast<char>(body >> 8);
  reply += static_cast<char>(body & 0xff);
  return reply.append(body, 'x');
}

int Fail(const char* what) {
  std::perror(what);
  return EXIT_FAILURE;
}

// Accepts a connection and watches it.
void Accept(int listener, int epoll) {
  const int socket = ::accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
  if (socket < 0) return;
  const int on = 1;
  ::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  epoll_event event = {};
  event.events = EPOLLIN | EPOLLET;
  event.data.fd = socket;
  ::epoll_ctl(epoll, EPOLL_CTL_ADD, socket, &event);
}

void Answer(int socket) {
  static const std::string handshake = Header();
  static const std::string members = Reply(150);
  static const std::string stats = Reply(305);
  std::array<char, 4096> bytes;
  const ssize_t size = ::recv(socket, bytes.data(), bytes.size(), 0);
  if (size <= 0) {
    ::close(socket);
    return;
  }
  const std::string request(bytes.data(), static_cast<std::size_t>(size));
  const auto names = [&request](const char* command) {
    return request.find(command) != std::string::npos;
  };
  const std::string& reply = names("members") ? members : names("stats") ? stats : handshake;
  ::send(socket, reply.data(), reply.size(), MSG_NOSIGNAL);
}

}  // namespace

int main(int argc, char** argv) {
  std::string text;
  for (int i = 1; i + 1 < argc; ++i) {
    if (std::strcmp(argv[i], "-rpc-addr") == 0) text = argv[i + 1];
  }
  const std::size_t colon = text.find(':');
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  if (colon == std::string::npos ||
      ::inet_pton(AF_INET, text.substr(0, colon).c_str(), &address.sin_addr) != 1) {
    std::fprintf(stderr, "-rpc-addr is not IPV4:PORT: '%s'\n", text.c_str());
    return EXIT_FAILURE;
  }
  address.sin_port = htons(static_cast<std::uint16_t>(std::atoi(text.c_str() + colon + 1)));
  const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int on = 1;
  ::setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  if (::bind(listener, reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0 ||
      ::listen(listener, SOMAXCONN) != 0) {
    return Fail("listen");
  }
  const int epoll = ::epoll_create1(EPOLL_CLOEXEC);
  epoll_event event = {};
  event.events = EPOLLIN;
  event.data.fd = listener;
  if (::epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event) != 0) return Fail("epoll_ctl");
  for (;;) {
    std::array<epoll_event, 16> ready;
    const int count = ::epoll_wait(epoll, ready.data(), static_cast<int>(ready.size()), -1);
    for (int i = 0; i < count; ++i) {
      const int socket = ready[static_cast<std::size_t>(i)].data.fd;
      socket == listener ? Accept(listener, epoll) : Answer(socket);
    }
  }
}
