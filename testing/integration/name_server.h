#ifndef SERF_TESTING_INTEGRATION_NAME_SERVER_H_
#define SERF_TESTING_INTEGRATION_NAME_SERVER_H_

// NameServer: a DNS server that knows the names that the test gives it, and can change at any time.
// Source: RFC 1035.
//
//   NameServer server;  // at 127.0.0.1:53, of a network of the test's own
//   ASSERT_TRUE(server.running());
//   server.Set("seed.serf.test", {"127.0.0.2"});

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace serf::testkit {

class NameServer {
 public:
  NameServer();
  ~NameServer();

  NameServer(const NameServer&) = delete;
  NameServer& operator=(const NameServer&) = delete;

  bool running() const { return thread_.joinable(); }

  // From now on questions for the name get no answer.
  void Silence(const std::string& name) {
    const std::lock_guard<std::mutex> lock(mutex_);
    silent_.insert(name);
  }
  // The number of questions for a name. A look-up asks once for each family.
  int asked(const std::string& name) const {
    const std::lock_guard<std::mutex> lock(mutex_);
    const auto found = asked_.find(name);
    return found == asked_.end() ? 0 : found->second;
  }

  // Sets the IPv4 addresses of a name from now on. A name that was never set does not exist.
  void Set(const std::string& name, std::vector<std::string> addresses) {
    const std::lock_guard<std::mutex> lock(mutex_);
    names_[name] = std::move(addresses);
  }

 private:
  void Serve();
  // The answer to a message. Nothing, if the message is not a question.
  std::optional<std::string> Answer(absl::string_view message);

  const int socket_ = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  const int stop_ = ::eventfd(0, EFD_CLOEXEC);
  mutable std::mutex mutex_;
  std::map<std::string, std::vector<std::string>> names_;
  std::set<std::string> silent_;
  std::map<std::string, int> asked_;
  std::thread thread_;
};

inline NameServer::NameServer() {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(53);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::bind(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) return;
  thread_ = std::thread([this] { Serve(); });
}

inline NameServer::~NameServer() {
  if (running()) {
    ::eventfd_write(stop_, 1);
    thread_.join();
  }
  ::close(socket_);
  ::close(stop_);
}

inline void NameServer::Serve() {
  pollfd fds[2] = {{socket_, POLLIN, 0}, {stop_, POLLIN, 0}};
  while (fds[1].revents == 0) {
    if (::poll(fds, 2, -1) < 0 || fds[0].revents == 0) continue;
    char buffer[512];
    sockaddr_in from{};
    socklen_t from_size = sizeof(from);
    auto* const sender = reinterpret_cast<sockaddr*>(&from);
    const ssize_t size = ::recvfrom(socket_, buffer, sizeof(buffer), 0, sender, &from_size);
    if (size < 0) continue;
    const auto answer = Answer(absl::string_view(buffer, static_cast<std::size_t>(size)));
    if (answer) ::sendto(socket_, answer->data(), answer->size(), 0, sender, from_size);
  }
}

inline std::optional<std::string> NameServer::Answer(absl::string_view message) {
  constexpr std::size_t kHeaderSize = 12;
  constexpr char kNoSuchName = 3;
  // The question: labels, each after its length, then type and class.
  std::string name;
  std::size_t at = kHeaderSize;
  while (at < message.size() && message[at] != 0) {
    const auto size = static_cast<unsigned char>(message[at]);
    absl::StrAppend(&name, name.empty() ? "" : ".", message.substr(at + 1, size));
    at += 1u + size;
  }
  const std::size_t end = at + 5;
  if (end > message.size()) return std::nullopt;
  const bool v4 = message[at + 1] == 0 && message[at + 2] == 1;  // else there is no such record

  const std::lock_guard<std::mutex> lock(mutex_);
  ++asked_[name];
  if (silent_.count(name) > 0) return std::nullopt;
  const auto found = names_.find(name);
  std::vector<std::string> addresses;
  if (found != names_.end() && v4) addresses = found->second;
  // The header of an answer: authoritative, recursion asked for and available, one question.
  std::string answer(message.substr(0, 2));
  answer += {'\x85', static_cast<char>('\x80' | (found == names_.end() ? kNoSuchName : 0))};
  answer += {0, 1, 0, static_cast<char>(addresses.size()), 0, 0, 0, 0};
  absl::StrAppend(&answer, message.substr(kHeaderSize, end - kHeaderSize));
  for (const std::string& text : addresses) {
    in_addr address{};
    ::inet_pton(AF_INET, text.c_str(), &address);
    // The question's name, type A, class IN, a minute to keep, four bytes.
    answer += {'\xc0', kHeaderSize, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4};
    answer.append(reinterpret_cast<const char*>(&address), sizeof(address));
  }
  return answer;
}

}  // namespace serf::testkit

#endif  // SERF_TESTING_INTEGRATION_NAME_SERVER_H_
