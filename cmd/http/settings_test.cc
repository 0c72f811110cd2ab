// Tests how the HTTP part of a configuration is read: each mistake names its key and its value, and
// never a token.

#include "serf/cmd/http/settings.h"

#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "serf/cmd/http/policy.h"

namespace serf::cmd {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

const std::string kSecret = "0123456789abcdef";

struct Read {
  std::string error;  // empty: none
  HttpSettings settings;
  std::vector<std::string> warnings;
};

Read ReadIt(const HttpOptions& options) {
  Read read;
  absl::StatusOr<HttpSettings> settings =
      ReadHttpSettings(options, std::chrono::seconds(1), read.warnings);
  if (settings.ok()) {
    read.settings = *std::move(settings);
  } else {
    read.error = std::string(settings.status().message());
  }
  return read;
}

HttpOptions WithTokens(std::vector<HttpTokenOption> tokens) {
  return {.addr = "127.0.0.1:0", .tokens = std::move(tokens), .anonymous = {}};
}

TEST(HttpSettingsTest, AnonymousByListener) {
  const Scopes all = {Scope::kProbe, Scope::kMetrics, Scope::kRead, Scope::kControl};
  const Scopes look = {Scope::kProbe, Scope::kMetrics, Scope::kRead};
  const Scopes probe = {Scope::kProbe};
  struct Case {
    const char* addr;
    const char* mode;
    Scopes scopes;
  };
  for (const Case& c : {
           Case{"127.0.0.1:7380", "0600", look},
           Case{"127.9.9.9:7380", "0600", look},
           Case{"[::1]:7380", "0600", look},
           Case{"localhost:7380", "0600", look},
           Case{"0.0.0.0:7380", "0600", probe},
           Case{":7380", "0600", probe},
           Case{"10.0.0.1:7380", "0600", probe},
           Case{"db-1:7380", "0600", probe},  // nobody knows what it will mean
           Case{"unix:/run/serf.http", "0600", all},
           Case{"unix:/run/serf.http", "0660", look},
       }) {
    const Read read =
        ReadIt({.addr = c.addr, .tokens = {}, .anonymous = {}, .socket_mode = c.mode});
    EXPECT_EQ(read.error, "") << c.addr;
    EXPECT_EQ(read.settings.policy.anonymous, c.scopes) << c.addr << " " << c.mode;
    EXPECT_THAT(read.warnings, IsEmpty());
  }
}

TEST(HttpSettingsTest, AnonymousAsConfigured) {
  Read read = ReadIt({.addr = "0.0.0.0:0", .tokens = {}, .anonymous = {{"probe", "metrics"}}});
  EXPECT_EQ(read.settings.policy.anonymous, (Scopes{Scope::kProbe, Scope::kMetrics}));
  EXPECT_THAT(read.warnings, ElementsAre(HasSubstr("0.0.0.0:0")));
  read = ReadIt({.addr = "127.0.0.1:0", .tokens = {}, .anonymous = std::vector<std::string>()});
  EXPECT_EQ(read.settings.policy.anonymous, Scopes());
  read = ReadIt({.addr = "127.0.0.1:0", .tokens = {}, .anonymous = {{"control"}}});
  EXPECT_THAT(read.error, HasSubstr("Invalid http_anonymous: 'control' is never"));
  read =
      ReadIt({.addr = "unix:/x", .tokens = {}, .anonymous = {{"control"}}, .socket_mode = "660"});
  EXPECT_EQ(read.error, "");
}

TEST(HttpSettingsTest, Mistakes) {
  const auto addr = [](const char* text) {
    return ReadIt({.addr = text, .tokens = {}, .anonymous = {}}).error;
  };
  EXPECT_THAT(addr("127.0.0.1"), HasSubstr("Invalid http_addr: address 127.0.0.1: missing port"));
  EXPECT_THAT(addr("127.0.0.1:70000"), HasSubstr("http_addr: address 70000: invalid port"));
  EXPECT_THAT(addr(("unix:/" + std::string(200, 'x')).c_str()), HasSubstr("Invalid http_addr: "));
  const auto mode = [](const char* text) {
    return ReadIt({.addr = "unix:/x", .tokens = {}, .anonymous = {}, .socket_mode = text}).error;
  };
  for (const char* text : {"0666", "0601", "8", "x", "", "00600", "-1", "rw"}) {
    EXPECT_THAT(mode(text), HasSubstr(absl::StrCat("Invalid http_socket_mode: '", text, "'")));
  }
  EXPECT_THAT(ReadIt({.addr = "", .tokens = {}, .anonymous = {{"reed"}}}).error,
              HasSubstr("Invalid http_anonymous: 'reed' is no scope"));
  for (const char* host : {"", "x:80", "http://x", "a b", "*", "*.example"}) {
    EXPECT_THAT(
        ReadIt({.addr = "", .tokens = {}, .anonymous = {}, .allowed_hosts = {"ok", host}}).error,
        HasSubstr(absl::StrCat("Invalid http_allowed_hosts: '", host, "'")));
  }
  EXPECT_THAT(ReadIt({.addr = "",
                      .tokens = {},
                      .anonymous = {},
                      .allowed_hosts = std::vector<std::string>(kHttpHostsMax + 1, "x")})
                  .error,
              HasSubstr("65 names, must be at most 64"));
}

TEST(HttpSettingsTest, Tokens) {
  const Read read = ReadIt(WithTokens({{"ops", kSecret, "", {"read", "control"}},
                                       {"prom", std::string(256, 'x'), "", {"metrics"}}}));
  EXPECT_EQ(read.error, "");
  ASSERT_EQ(read.settings.policy.tokens.size(), 2U);
  EXPECT_EQ(read.settings.policy.tokens[0].scopes, (Scopes{Scope::kRead, Scope::kControl}));

  struct Case {
    HttpTokenOption token;
    const char* error;
  };
  for (const Case& c : {
           Case{{"", kSecret, "", {"read"}}, "Invalid http_tokens[1]: it has no name"},
           Case{{"x", "", "", {"read"}}, "http_tokens 'x': it must have either"},
           Case{{"x", kSecret, "/f", {"read"}}, "http_tokens 'x': it must have either"},
           Case{{"x", "short-secret-15", "", {"read"}}, "the token has 15 bytes, must have 16"},
           Case{{"x", std::string(257, 'x'), "", {"read"}}, "257 bytes"},
           Case{{"x", "0123456789 abcdef", "", {"read"}}, "printable"},
           Case{{"x", "0123456789\x80 abcdef", "", {"read"}}, "printable"},
           Case{{"x", "0123456789abcdeX", "", {}}, "it has no scopes"},
           Case{{"x", "0123456789abcdeX", "", {"write"}}, "'write' is no scope"},
           Case{{"x", "", "/nonexistent/token", {"read"}}, "/nonexistent/token"},
           Case{{"x", kSecret, "", {"read"}}, "'ops' and 'x' have the same token"},
           Case{{"ops", "0123456789abcdeX", "", {"read"}}, "'ops' and 'ops' have the same name"},
       }) {
    const std::string error = ReadIt(WithTokens({{"ops", kSecret, "", {"read"}}, c.token})).error;
    EXPECT_THAT(error, HasSubstr(c.error));
    if (!c.token.token.empty()) EXPECT_FALSE(absl::StrContains(error, c.token.token)) << error;
  }
  std::vector<HttpTokenOption> many;
  for (std::size_t i = 0; i <= kHttpTokensMax; ++i) {
    many.push_back({absl::StrCat("t", i), absl::StrCat(kSecret, i), "", {"read"}});
  }
  EXPECT_THAT(ReadIt(WithTokens(many)).error, HasSubstr("33 tokens, must be at most 32"));
  many.pop_back();
  EXPECT_EQ(ReadIt(WithTokens(many)).error, "");
}

TEST(HttpSettingsTest, TokenFiles) {
  const std::string path = absl::StrCat(::testing::TempDir(), "/token", ::getpid());
  std::ofstream(path) << kSecret << "\n";
  ASSERT_EQ(::chmod(path.c_str(), 0600), 0);
  Read read = ReadIt(WithTokens({{"ops", "", path, {"read"}}}));
  EXPECT_EQ(read.error, "");
  EXPECT_EQ(read.settings.policy.tokens[0].secret, kSecret);
  EXPECT_THAT(read.warnings, IsEmpty());
  ASSERT_EQ(::chmod(path.c_str(), 0644), 0);
  read = ReadIt(WithTokens({{"ops", "", path, {"read"}}}));
  EXPECT_EQ(read.error, "");
  EXPECT_THAT(read.warnings, ElementsAre(HasSubstr(path)));
  ::unlink(path.c_str());
}

}  // namespace
}  // namespace serf::cmd
