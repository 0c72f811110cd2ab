#ifndef SERF_TESTING_AGENTS_HTTP_GET_H_
#define SERF_TESTING_AGENTS_HTTP_GET_H_

// HttpGet(): one request over a connection of its own, as curl makes it.
//
//   const HttpAnswer answer = HttpGet("127.0.0.1:7380", "/metrics");
//   EXPECT_EQ(answer.status, 200);

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cstddef>
#include <cstring>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"

namespace serf::testkit {

struct HttpAnswer {
  int status = 0;  // 0: no answer
  std::string head;
  std::string body;  // as it came: chunks, if there are any
};

namespace http_get_internal {

// A connection to "IP:PORT" or "unix:PATH", or -1.
inline int Connect(absl::string_view address) {
  sockaddr_storage storage = {};
  socklen_t size = 0;
  if (absl::ConsumePrefix(&address, "unix:")) {
    auto* const to = reinterpret_cast<sockaddr_un*>(&storage);
    to->sun_family = AF_UNIX;
    std::memcpy(to->sun_path, address.data(), address.size());
    size = sizeof(*to);
  } else {
    const std::vector<std::string> parts = absl::StrSplit(address, ':');
    int port = 0;
    auto* const to = reinterpret_cast<sockaddr_in*>(&storage);
    to->sin_family = AF_INET;
    if (parts.size() != 2 || !absl::SimpleAtoi(parts[1], &port) ||
        ::inet_pton(AF_INET, parts[0].c_str(), &to->sin_addr) != 1) {
      return -1;
    }
    to->sin_port = htons(static_cast<std::uint16_t>(port));
    size = sizeof(*to);
  }
  const int fd = ::socket(storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (::connect(fd, reinterpret_cast<const sockaddr*>(&storage), size) == 0) return fd;
  ::close(fd);
  return -1;
}

}  // namespace http_get_internal

// `fields`: further header fields, each with its CR LF.
inline HttpAnswer HttpGet(absl::string_view address, absl::string_view target,
                          absl::string_view fields = "") {
  HttpAnswer answer;
  const int fd = http_get_internal::Connect(address);
  if (fd < 0) return answer;
  const std::string request = absl::StrCat(
      "GET ", target, " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n", fields, "\r\n");
  std::string all;
  if (::send(fd, request.data(), request.size(), MSG_NOSIGNAL) > 0) {
    std::array<char, 65536> buffer;
    ssize_t size = 0;
    while ((size = ::recv(fd, buffer.data(), buffer.size(), 0)) > 0) {
      all.append(buffer.data(), static_cast<std::size_t>(size));
    }
  }
  ::close(fd);
  const std::size_t end = all.find("\r\n\r\n");
  if (end == std::string::npos) return answer;
  answer.head = all.substr(0, end + 2);
  answer.body = all.substr(end + 4);
  static_cast<void>(absl::SimpleAtoi(absl::string_view(answer.head).substr(9, 3), &answer.status));
  return answer;
}

}  // namespace serf::testkit

#endif  // SERF_TESTING_AGENTS_HTTP_GET_H_
