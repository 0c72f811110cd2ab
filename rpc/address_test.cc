#include "serf/rpc/address.h"

#include <optional>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "gtest/gtest.h"

namespace serf::rpc {
namespace {

TEST(AddressTest, Parses) {
  const struct {
    const char* text;
    const char* host;
    const char* port;
  } cases[] = {
      {"127.0.0.1:7373", "127.0.0.1", "7373"},
      {"[::1]:7373", "::1", "7373"},
      {":7373", "", "7373"},
      {"localhost:http", "localhost", "http"},
      {"127.0.0.1:", "127.0.0.1", ""},
      {"127.0.0.1:007", "127.0.0.1", "7"},
      {"127.0.0.1:-0", "127.0.0.1", "0"},
      {"[a]:65535", "a", "65535"},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.text);
    const absl::StatusOr<HostPort> parsed = ParseAddress(c.text);
    ASSERT_TRUE(parsed.ok()) << parsed.status();
    EXPECT_EQ(parsed->host, c.host);
    EXPECT_EQ(parsed->port, c.port);
  }
}

TEST(AddressTest, UnixSockets) {
  const struct {
    const char* text;
    const char* path;  // null: none
  } cases[] = {
      {"unix:/run/serf.sock", "/run/serf.sock"},
      {"unix:./serf.sock", "./serf.sock"},
      {"unix:/", "/"},
      {"unix:7373", nullptr},
      {"unix:", nullptr},
      {"unix", nullptr},
      {"UNIX:/run/serf.sock", nullptr},
      {"/run/serf.sock", nullptr},
      {"127.0.0.1:7373", nullptr},
      {"", nullptr},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.text);
    const std::optional<absl::string_view> path = UnixPathOf(c.text);
    ASSERT_EQ(path.has_value(), c.path != nullptr);
    if (path) {
      EXPECT_EQ(*path, c.path);
    }
  }
}

// The texts that Go Serf's client prints after "dial tcp: ".
TEST(AddressTest, ErrorsReadLikeTheOriginals) {
  const struct {
    const char* text;
    const char* error;
  } cases[] = {
      {"", "missing address"},
      {"x", "address x: missing port in address"},
      {"[::1]", "address [::1]: missing port in address"},
      {"[::1]x:1", "address [::1]x:1: missing port in address"},
      {"[::1", "address [::1: missing ']' in address"},
      {"a:b:c", "address a:b:c: too many colons in address"},
      {"::1:1", "address ::1:1: too many colons in address"},
      {"a[b]:1", "address a[b]:1: unexpected '[' in address"},
      {"a]:1", "address a]:1: unexpected ']' in address"},
      {"127.0.0.1:99999", "address 99999: invalid port"},
      {"127.0.0.1:-1", "address -1: invalid port"},
      {"127.0.0.1:99999999999", "address 99999999999: invalid port"},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.text);
    const absl::StatusOr<HostPort> parsed = ParseAddress(c.text);
    ASSERT_FALSE(parsed.ok());
    EXPECT_EQ(parsed.status().message(), c.error);
  }
}

}  // namespace
}  // namespace serf::rpc
