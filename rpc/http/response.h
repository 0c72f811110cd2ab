// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_RPC_HTTP_RESPONSE_H_
#define SERF_RPC_HTTP_RESPONSE_H_

// The bytes of an answer: its head, and the pieces of a chunked body. Pure functions.
//
//   AppendHead(response, {.unix_time = now, .keep_alive = true}, response.body.size(), out);
//   out += response.body;
//
// Source: RFC 9112 4, 7.1; RFC 9110 5.6.7.

#include <array>
#include <cstddef>
#include <cstdint>
#include <ctime>
#include <optional>
#include <string>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/string_view.h"
#include "serf/rpc/http/message.h"

namespace serf::http {

inline absl::string_view ReasonOf(int status) {
  switch (status) {
    case 200:
      return "OK";
    case 202:
      return "Accepted";
    case 304:
      return "Not Modified";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 406:
      return "Not Acceptable";
    case 408:
      return "Request Timeout";
    case 409:
      return "Conflict";
    case 413:
      return "Content Too Large";
    case 414:
      return "URI Too Long";
    case 415:
      return "Unsupported Media Type";
    case 421:
      return "Misdirected Request";
    case 431:
      return "Request Header Fields Too Large";
    case 500:
      return "Internal Server Error";
    case 502:
      return "Bad Gateway";
    case 503:
      return "Service Unavailable";
    case 504:
      return "Gateway Timeout";
    default:
      return "";
  }
}

// "Sun, 06 Nov 1994 08:49:37 GMT". The names are English in every locale.
inline std::string HttpDate(std::int64_t unix_time) {
  constexpr std::array<absl::string_view, 7> kDays = {"Sun", "Mon", "Tue", "Wed",
                                                      "Thu", "Fri", "Sat"};
  constexpr std::array<absl::string_view, 12> kMonths = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                         "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  const std::time_t seconds = static_cast<std::time_t>(unix_time);
  std::tm utc = {};
  gmtime_r(&seconds, &utc);
  return absl::StrFormat("%s, %02d %s %d %02d:%02d:%02d GMT",
                         kDays[static_cast<std::size_t>(utc.tm_wday)], utc.tm_mday,
                         kMonths[static_cast<std::size_t>(utc.tm_mon)], utc.tm_year + 1900,
                         utc.tm_hour, utc.tm_min, utc.tm_sec);
}

struct HeadOptions {
  std::int64_t unix_time = 0;
  int minor = 1;           // of the request's version
  bool keep_alive = true;  // whether another request may follow
};

// Appends the status line and the header fields. `length` is that of the body; nothing: the body is
// chunked, or lasts until the connection ends.
inline void AppendHead(const Response& response, const HeadOptions& options,
                       std::optional<std::size_t> length, std::string& out) {
  absl::StrAppend(&out, "HTTP/1.1 ", response.status, " ", ReasonOf(response.status),
                  "\r\nDate: ", HttpDate(options.unix_time), "\r\n");
  if (!response.type.empty()) absl::StrAppend(&out, "Content-Type: ", response.type, "\r\n");
  bool cache = false;
  for (const Field& field : response.fields) {
    absl::StrAppend(&out, field.name, ": ", field.value, "\r\n");
    cache = cache || field.name == "Cache-Control";
  }
  if (!cache) absl::StrAppend(&out, "Cache-Control: no-store\r\n");
  absl::StrAppend(&out,
                  "X-Content-Type-Options: nosniff\r\n"
                  "Referrer-Policy: no-referrer\r\n"
                  "Cross-Origin-Resource-Policy: same-origin\r\n");
  if (length) {
    if (response.status != 304) absl::StrAppend(&out, "Content-Length: ", *length, "\r\n");
  } else if (options.minor > 0) {
    absl::StrAppend(&out, "Transfer-Encoding: chunked\r\n");
  }
  if (!options.keep_alive) {
    absl::StrAppend(&out, "Connection: close\r\n");
  } else if (options.minor == 0) {
    absl::StrAppend(&out, "Connection: keep-alive\r\n");
  }
  absl::StrAppend(&out, "\r\n");
}

// Appends a piece of a chunked body. An empty one would end the body, so it adds nothing.
inline void AppendChunk(absl::string_view piece, std::string& out) {
  if (!piece.empty()) absl::StrAppend(&out, absl::Hex(piece.size()), "\r\n", piece, "\r\n");
}

inline constexpr absl::string_view kLastChunk = "0\r\n\r\n";
inline constexpr absl::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";

}  // namespace serf::http

#endif  // SERF_RPC_HTTP_RESPONSE_H_
