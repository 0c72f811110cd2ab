// Tests how requests are read: any cut of the bytes gives the same, each limit holds at its value
// and not one beyond, and what two programs could read differently is refused.

#include "serf/rpc/http/request_parser.h"

#include <algorithm>
#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "gtest/gtest.h"
#include "serf/base/bytes.h"
#include "serf/rpc/http/framing.h"
#include "serf/rpc/http/message.h"

namespace serf::http {
namespace {

struct Read {
  int status = 0;  // of the problem; 0: the request is complete; -1: it is not
  std::string message;
  Request request;
  std::size_t taken = 0;
};

Read ReadIn(absl::string_view text, std::size_t piece) {
  RequestParser parser;
  Read read;
  while (read.taken < text.size() && !parser.problem() && !parser.done()) {
    read.taken += parser.Put(AsBytes(text.substr(read.taken, piece)));
  }
  read.status = parser.problem() ? parser.problem()->status : parser.done() ? 0 : -1;
  if (parser.problem()) read.message = parser.problem()->message;
  read.request = parser.request();
  return read;
}

// Whatever the size of the pieces, the result is the same.
Read ReadAll(absl::string_view text) {
  Read whole = ReadIn(text, std::max<std::size_t>(text.size(), 1));
  for (const std::size_t piece : {1, 2, 3, 7, 64}) {
    const Read pieces = ReadIn(text, piece);
    EXPECT_EQ(pieces.status, whole.status) << piece << " of " << text.substr(0, 200);
    EXPECT_EQ(pieces.message, whole.message) << piece;
    EXPECT_EQ(pieces.request.body, whole.request.body) << piece;
    EXPECT_EQ(pieces.request.fields.size(), whole.request.fields.size()) << piece;
    if (whole.status == 0) {
      EXPECT_EQ(pieces.taken, whole.taken) << piece;
    }
  }
  return whole;
}

TEST(RequestParserTest, ReadsWhatClientsSend) {
  // What curl 7.88 and Prometheus 2.42 send.
  Read read = ReadAll(
      "GET /metrics HTTP/1.1\r\nHost: 127.0.0.1:7380\r\nUser-Agent: curl/7.88.1\r\n"
      "Accept: */*\r\n\r\n");
  EXPECT_EQ(read.status, 0);
  EXPECT_EQ(read.request.method, Method::kGet);
  EXPECT_EQ(read.request.target, "/metrics");
  EXPECT_EQ(read.request.Find("accept"), "*/*");
  EXPECT_EQ(read.request.Find("Accept"), std::nullopt);  // names are asked for in lower case
  EXPECT_TRUE(read.request.keep_alive);
  EXPECT_FALSE(read.request.expects_continue);

  read = ReadAll("HEAD / HTTP/1.0\r\n\r\n");
  EXPECT_EQ(read.request.minor, 0);
  EXPECT_FALSE(read.request.keep_alive);
  EXPECT_TRUE(ReadAll("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n").request.keep_alive);
  EXPECT_FALSE(ReadAll("GET / HTTP/1.1\r\nHost:x\r\nConnection: close\r\n\r\n").request.keep_alive);
  EXPECT_EQ(ReadAll("BREW / HTTP/1.1\r\nHost: x\r\n\r\n").request.method, Method::kOther);
}

TEST(RequestParserTest, Bodies) {
  Read read = ReadAll(
      "POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nExpect: 100-Continue\r\n\r\n{\"a\"GET");
  EXPECT_EQ(read.status, 0);
  EXPECT_EQ(read.request.body, "{\"a\"");
  EXPECT_TRUE(read.request.expects_continue);
  const absl::string_view chunked =
      "POST /x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: Chunked\r\n\r\n"
      "3\r\nabc\r\n0A;name=\"value\"\r\n0123456789\r\n0\r\nX-Trailer: 1\r\n\r\n";
  read = ReadAll(absl::StrCat(chunked, "GET / HTTP/1.1\r\n"));
  EXPECT_EQ(read.status, 0) << read.message;
  EXPECT_EQ(read.request.body, "abc0123456789");
  EXPECT_EQ(read.taken, chunked.size());
  // Fields behind the body come after the request was judged, and so they do not count.
  EXPECT_EQ(read.request.Find("x-trailer"), std::nullopt);
  EXPECT_EQ(ReadAll(chunked.substr(0, chunked.size() - 2)).status, -1);
}

TEST(RequestParserTest, EmptyLinesInFront) {
  const std::string request = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
  std::string lines;
  for (std::size_t i = 0; i < kEmptyLinesMax; ++i) lines += "\r\n";
  EXPECT_EQ(ReadAll(lines + request).status, 0);
  EXPECT_EQ(ReadAll(lines + "\r\n" + request).status, 400);
}

// Each form reaches a guard; no program but a lenient one would take it for two requests.
TEST(RequestParserTest, RefusesWhatIsAmbiguous) {
  struct Case {
    absl::string_view fields;
    absl::string_view message;
  };
  for (const Case& c : {
           Case{"Content-Length: 1\r\nContent-Length: 1\r\n", "2 Content-Length fields"},
           Case{"Content-Length: 1\r\nContent-Length: 2\r\n", ""},
           Case{"Content-Length: 1, 1\r\n", "must be a decimal number"},
           Case{"Content-Length: +1\r\n", ""},
           Case{"Content-Length: -1\r\n", ""},
           Case{"Content-Length: 0x1\r\n", ""},
           Case{"Content-Length: 1 1\r\n", ""},
           Case{"Content-Length:\r\n", ""},
           Case{"Content-Length: 99999999999999999999\r\n", ""},
           Case{"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n", ""},
           Case{"Transfer-Encoding: chunked\r\nContent-Length: 1\r\n", ""},
           Case{"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", ""},
           Case{"Transfer-Encoding: gzip\r\n", "this server knows 'chunked' only"},
           Case{"Transfer-Encoding: gzip, chunked\r\n", "this server knows 'chunked' only"},
           Case{"Transfer-Encoding: compress\r\n", "this server knows 'chunked' only"},
           Case{"Transfer-Encoding: deflate\r\n", "this server knows 'chunked' only"},
           Case{"Accept : text/plain\r\n", ""},
           Case{"X: a\r\n b\r\n", "a line begins with a blank"},
           Case{"X: a\r\n\tb\r\n", "a line begins with a blank"},
           Case{"X: a\nY: b\r\n", "must end with CR LF"},
           Case{"X: a\rY: b\r\n", "a CR without LF"},
           Case{"X y: a\r\n", ""},
           Case{": a\r\n", ""},
           Case{"novalue\r\n", ""},
           Case{"X: \x01\r\n", ""},
           Case{"Host: y\r\n", "2 Host fields"},
       }) {
    const Read read =
        ReadAll(absl::StrCat("POST /x HTTP/1.1\r\nHost: x\r\n", c.fields, "\r\n1\r\n0\r\n\r\n"));
    EXPECT_EQ(read.status, 400) << c.fields;
    EXPECT_NE(read.message.find(std::string(c.message)), std::string::npos)
        << c.fields << " gave: " << read.message;
  }
  EXPECT_EQ(ReadAll("GET / HTTP/1.1\r\n\r\n").message, "no Host field");
  EXPECT_EQ(ReadAll("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n").message,
            "Transfer-Encoding in HTTP/1.0");
  EXPECT_EQ(ReadAll(std::string("GET / HTTP/1.1\r\nHost: x\0y\r\n\r\n", 30)).message,
            "a zero byte in the head");
  EXPECT_EQ(ReadAll("GET / HTTP/1.1\n").message, "a line ends with LF, must end with CR LF");
}

TEST(RequestParserTest, RefusesBadLinesAndChunks) {
  for (const absl::string_view text :
       {"GET /\r\n\r\n", "GET / HTTP/2.0\r\nHost: x\r\n\r\n", "GET  / HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET / HTTP/1.1 \r\nHost: x\r\n\r\n", "G\x01T / HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET / http/1.1\r\nHost: x\r\n\r\n", "\x16\x03\x01\x02\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"}) {
    EXPECT_EQ(ReadAll(text).status, 400) << text;
  }
  const absl::string_view head = "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
  for (const absl::string_view body :
       {"x\r\n", "\r\n", "-1\r\na\r\n", "1 \r\na\r\n", "1\r\nabcdef\r\n", "1\nabcdef\r\n",
        "11111111111111111\r\n", "1;\x01\r\n"}) {
    EXPECT_GE(ReadAll(absl::StrCat(head, body)).status, 400) << body;
  }
}

// --- limits: at the value, and one beyond ---

TEST(RequestParserTest, LimitOfTheRequestLine) {
  const std::size_t path = kRequestLineMax - absl::string_view("GET  HTTP/1.1").size();
  const auto request = [](std::size_t size) {
    return absl::StrCat("GET /", std::string(size - 1, 'a'), " HTTP/1.1\r\nHost: x\r\n\r\n");
  };
  EXPECT_EQ(ReadAll(request(path)).status, 0);
  EXPECT_EQ(ReadAll(request(path + 1)).status, 414);
  // Also without an end in sight.
  EXPECT_EQ(ReadAll(std::string(kRequestLineMax + 1, 'a')).status, 414);
}

TEST(RequestParserTest, LimitOfTheFields) {
  const auto request = [](std::size_t size) {
    const absl::string_view rest = "Host: x\r\nX: \r\n\r\n";
    return absl::StrCat("GET / HTTP/1.1\r\nHost: x\r\nX: ", std::string(size - rest.size(), 'a'),
                        "\r\n\r\n");
  };
  EXPECT_EQ(ReadAll(request(kHeadersMax)).status, 0);
  EXPECT_EQ(ReadAll(request(kHeadersMax + 1)).status, 431);
  const std::string endless =
      absl::StrCat("GET / HTTP/1.1\r\nX: ", std::string(2 * kHeadersMax, 'a'));
  EXPECT_EQ(ReadAll(endless).status, 431);
  // Together with the longest request line.
  const std::string longest = absl::StrCat("GET /", std::string(kRequestLineMax - 14, 'a'),
                                           " HTTP/1.1\r\n", request(kHeadersMax).substr(16));
  EXPECT_EQ(ReadAll(longest).status, 0);
  EXPECT_EQ(ReadAll(longest.substr(0, longest.size() - 4) + "a\r\n\r\n").status, 431);
}

TEST(RequestParserTest, LimitOfTheNumberOfFields) {
  const auto request = [](std::size_t count) {
    std::string text = "GET / HTTP/1.1\r\nHost: x\r\n";
    for (std::size_t i = 1; i < count; ++i) absl::StrAppend(&text, "X: ", i, "\r\n");
    return text + "\r\n";
  };
  EXPECT_EQ(ReadAll(request(kHeaderCountMax)).status, 0);
  EXPECT_EQ(ReadAll(request(kHeaderCountMax + 1)).status, 431);
}

TEST(RequestParserTest, LimitOfTheBody) {
  const auto sized = [](std::size_t size, std::size_t sent) {
    return absl::StrCat("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: ", size, "\r\n\r\n",
                        std::string(sent, 'a'));
  };
  EXPECT_EQ(ReadIn(sized(kBodyMax, kBodyMax), 4096).status, 0);
  EXPECT_EQ(ReadIn(sized(kBodyMax + 1, 0), 4096).status, 413);  // before a byte of it has come
  const auto chunked = [](std::size_t size) {
    std::string text = "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
    while (size > 0) {
      const std::size_t chunk = std::min<std::size_t>(size, 1000);
      absl::StrAppend(&text, absl::Hex(chunk), "\r\n", std::string(chunk, 'a'), "\r\n");
      size -= chunk;
    }
    return text + "0\r\n\r\n";
  };
  EXPECT_EQ(ReadIn(chunked(kBodyMax), 4096).status, 0);
  EXPECT_EQ(ReadIn(chunked(kBodyMax + 1), 4096).status, 413);
  // Nothing but the size of a chunk, or an extension, or fields behind the body.
  const absl::string_view head = "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
  const std::string endless(2 * kChunkHeadMax, 'a');
  EXPECT_EQ(ReadIn(absl::StrCat(head, std::string(2 * kChunkHeadMax, '0')), 100).status, 400);
  EXPECT_EQ(ReadIn(absl::StrCat(head, "1;", endless), 100).status, 400);
  EXPECT_EQ(ReadIn(absl::StrCat(head, "0\r\nX: ", endless), 100).status, 400);
}

}  // namespace
}  // namespace serf::http
