// Tests the texts of HTTP: targets, Accept fields, heads of answers.

#include "serf/rpc/http/message.h"

#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "gtest/gtest.h"
#include "serf/rpc/http/accept.h"
#include "serf/rpc/http/response.h"
#include "serf/rpc/http/url.h"

namespace serf::http {
namespace {

// --- url.h ---

TEST(TargetTest, SplitsAndDecodesOnce) {
  const std::optional<Target> target =
      ParseTarget("/api/v1/members/a%2Fb%2520/explain?limit=5&name=x%26y&q=a+b&verbose&=1&&");
  ASSERT_TRUE(target);
  EXPECT_EQ(target->segments,
            (std::vector<std::string>{"api", "v1", "members", "a/b%20", "explain"}));
  ASSERT_EQ(target->parameters.size(), 5U);
  EXPECT_EQ(target->parameters[0].value, "5");
  EXPECT_EQ(target->parameters[1].value, "x&y");
  EXPECT_EQ(target->parameters[2].value, "a b");
  EXPECT_TRUE(target->Has("verbose"));
  EXPECT_FALSE(target->Has("limit="));
}

TEST(TargetTest, Forms) {
  struct Case {
    absl::string_view text;
    absl::string_view path;  // empty: refused
    absl::string_view authority = "";
  };
  for (const Case& c : {
           Case{"/", "/"},
           Case{"*", "*"},
           Case{"/a//b/", "/a//b/"},
           Case{"/a/../b", "/a/../b"},
           Case{"http://localhost:7380/livez?x", "/livez", "localhost:7380"},
           Case{"HTTP://[::1]", "/", "[::1]"},
           Case{"http://?x", ""},
           Case{"https://localhost/", ""},
           Case{"localhost:7380", ""},
           Case{"", ""},
           Case{"/%", ""},
           Case{"/%4", ""},
           Case{"/%4g", ""},
           Case{"/?a=%zz", ""},
           Case{"/%00", "/%00"},
       }) {
    const std::optional<Target> target = ParseTarget(c.text);
    EXPECT_EQ(target.has_value(), !c.path.empty()) << c.text;
    if (!target) continue;
    EXPECT_EQ(target->path, c.path) << c.text;
    EXPECT_EQ(target->authority, c.authority) << c.text;
  }
}

TEST(TargetTest, ManyParametersAreRefused) {
  std::string text = "/x?";
  for (std::size_t i = 0; i < kParametersMax; ++i) absl::StrAppend(&text, "a&");
  EXPECT_TRUE(ParseTarget(text));
  EXPECT_FALSE(ParseTarget(absl::StrCat(text, "a")));
}

// --- accept.h ---

TEST(AcceptTest, Qualities) {
  struct Case {
    absl::string_view field;
    double openmetrics;
    double plain;
  };
  for (const Case& c : {
           // What Prometheus 2.42 sends.
           Case{"application/openmetrics-text;version=1.0.0,"
                "application/openmetrics-text;version=0.0.1;q=0.75,"
                "text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
                1, 0.5},
           // Prometheus 3 adds a parameter.
           Case{"application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
                "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.5,"
                "text/plain;version=0.0.4;q=0.4",
                0.6, 0.4},
           Case{"*/*", 1, 1},
           Case{"", 0, 0},
           Case{"text/html", 0, 0},
           Case{"text/*", 0, 1},
           Case{"Text/Plain; Q=0.3", 0, 0.3},
           Case{"text/*;q=0.2, text/plain;q=0.7, */*;q=0.9", 0.9, 0.7},
           Case{"application/openmetrics-text", 1, 0},
           Case{"application/openmetrics-text;version=2.0.0", 0, 0},
           Case{"application/openmetrics-text;q=0, */*", 0, 1},
           Case{"text/plain;q=2", 0, 0},
           Case{"text/plain;q=x", 0, 0},
           Case{"text/plain;q=-1", 0, 0},
           Case{"text/plain;q=nan", 0, 0},
           Case{",,;;,/,text", 0, 0},
       }) {
    const std::vector<MediaRange> ranges = ParseAccept(c.field);
    EXPECT_DOUBLE_EQ(QualityOf(ranges, "application", "openmetrics-text", {"1.0.0", "0.0.1"}),
                     c.openmetrics)
        << c.field;
    EXPECT_DOUBLE_EQ(QualityOf(ranges, "text", "plain", {"0.0.4"}), c.plain) << c.field;
  }
}

TEST(AcceptTest, ReadsAtMostSoMany) {
  std::string field;
  for (std::size_t i = 0; i < 10 * kMediaRangesMax; ++i) absl::StrAppend(&field, "a/b,");
  EXPECT_EQ(ParseAccept(field).size(), kMediaRangesMax);
}

// --- response.h ---

TEST(ResponseTest, Heads) {
  EXPECT_EQ(HttpDate(784111777), "Sun, 06 Nov 1994 08:49:37 GMT");  // of RFC 9110
  EXPECT_EQ(HttpDate(1709251199), "Thu, 29 Feb 2024 23:59:59 GMT");
  std::string out;
  AppendHead({.status = 401,
              .type = "application/json",
              .fields = {{"WWW-Authenticate", "Bearer realm=\"serf\""}}},
             {.unix_time = 784111777, .keep_alive = false}, 5, out);
  EXPECT_EQ(out,
            "HTTP/1.1 401 Unauthorized\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
            "Content-Type: application/json\r\nWWW-Authenticate: Bearer realm=\"serf\"\r\n"
            "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n"
            "Referrer-Policy: no-referrer\r\nCross-Origin-Resource-Policy: same-origin\r\n"
            "Content-Length: 5\r\nConnection: close\r\n\r\n");
  out.clear();
  AppendChunk("", out);
  AppendChunk("seventeen letters", out);
  EXPECT_EQ(out, "11\r\nseventeen letters\r\n");
}

TEST(MethodTest, NamesAreCaseSensitive) {
  EXPECT_EQ(MethodOf("GET"), Method::kGet);
  EXPECT_EQ(MethodOf("get"), Method::kOther);
  EXPECT_EQ(MethodOf(""), Method::kOther);
  EXPECT_EQ(MethodOf("BREW"), Method::kOther);
}

}  // namespace
}  // namespace serf::http
