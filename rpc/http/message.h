// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_RPC_HTTP_MESSAGE_H_
#define SERF_RPC_HTTP_MESSAGE_H_

// Messages of HTTP/1.1, as a Session hands them to an application and takes them back, and the
// limits of the server. Plain data.
//
//   if (request.method == Method::kGet && request.target == "/livez") {
//     return Response{.status = 200, .type = "text/plain; charset=utf-8", .body = "ok\n"};
//   }
//
// Source: RFC 9110, RFC 9112.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/string_view.h"
#include "serf/base/time.h"

namespace serf::http {

// --- limits ---

// The request line. Names of members have 512 bytes at most, three times that when percent-encoded,
// and a filter has a few expressions.
inline constexpr std::size_t kRequestLineMax = std::size_t{8} << 10;
// All header fields together: what common servers take, and more than any browser sends here.
inline constexpr std::size_t kHeadersMax = std::size_t{16} << 10;
inline constexpr std::size_t kHeaderCountMax = 100;
// A request's body. The largest is the list of addresses of a join: 4096 of 60 bytes.
inline constexpr std::size_t kBodyMax = std::size_t{256} << 10;
// What stands between the chunks of a body, or behind the last one: a size, which has 16 digits at
// most, with extensions that nobody uses.
inline constexpr std::size_t kChunkHeadMax = std::size_t{4} << 10;
// Empty lines in front of a request, which old clients send after a body (RFC 9112 2.2).
inline constexpr std::size_t kEmptyLinesMax = 4;
// For the headers, and for the body: a request of the allowed size takes 10 s at 25 KB/s.
inline constexpr Duration kHeadTime = std::chrono::seconds(10);
inline constexpr Duration kBodyTime = std::chrono::seconds(10);
// Between two requests. Prometheus scrapes every 15 s, and keeps its connections for minutes.
inline constexpr Duration kIdleTime = std::chrono::seconds(60);
// For an answer of which the client takes nothing.
inline constexpr Duration kWriteTime = std::chrono::seconds(30);

// --- messages ---

enum class Method : std::uint8_t { kGet, kHead, kPost, kPatch, kDelete, kOptions, kOther };

struct Field {
  std::string name;  // in lower case
  std::string value;
};

struct Request {
  Method method = Method::kOther;
  std::string target;  // as the client wrote it: "/metrics?members=1"
  int minor = 1;       // of the version: 1.0 or 1.1
  bool keep_alive = false;
  bool has_body = false;  // whether one follows the head, even an empty one in chunks
  bool expects_continue = false;
  std::vector<Field> fields;
  std::string body;

  // The first field of this name, which must be in lower case. Valid as long as the request.
  std::optional<absl::string_view> Find(absl::string_view name) const {
    for (const Field& field : fields) {
      if (field.name == name) return field.value;
    }
    return std::nullopt;
  }
  std::size_t Count(absl::string_view name) const {
    std::size_t count = 0;
    for (const Field& field : fields) count += field.name == name ? 1 : 0;
    return count;
  }
};

struct Response {
  int status = 200;
  std::string type = {};  // of the body; empty: no such field
  std::vector<Field> fields = {};
  std::string body = {};
  bool close = false;  // end the connection after it
};

// Why the server does not process a request.
struct Problem {
  int status = 400;
  absl::string_view code;  // for programs: "malformed_request"
  std::string message;     // for people: "the request line has no version"
};

// The name of a method in requests and in "Allow"; nothing for kOther.
inline absl::string_view MethodName(Method method) {
  switch (method) {
    case Method::kGet:
      return "GET";
    case Method::kHead:
      return "HEAD";
    case Method::kPost:
      return "POST";
    case Method::kPatch:
      return "PATCH";
    case Method::kDelete:
      return "DELETE";
    case Method::kOptions:
      return "OPTIONS";
    case Method::kOther:
      break;
  }
  return "";
}

// Names of methods are case-sensitive (RFC 9110 9.1).
inline Method MethodOf(absl::string_view name) {
  for (const Method method : {Method::kGet, Method::kHead, Method::kPost, Method::kPatch,
                              Method::kDelete, Method::kOptions}) {
    if (name == MethodName(method)) return method;
  }
  return Method::kOther;
}

}  // namespace serf::http

#endif  // SERF_RPC_HTTP_MESSAGE_H_
