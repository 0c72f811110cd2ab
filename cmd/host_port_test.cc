#include "serf/cmd/host_port.h"

#include <string>

#include "gtest/gtest.h"

namespace serf::cmd {
namespace {

TEST(HostPortTest, Splits) {
  const struct {
    const char* text;
    const char* host;
    const char* port;
  } kCases[] = {
      {"127.0.0.1:7946", "127.0.0.1", "7946"}, {":7946", "", "7946"},
      {"[::1]:7946", "::1", "7946"},           {"name:", "name", ""},
      {"name:http", "name", "http"},
  };
  for (const auto& c : kCases) {
    const auto got = SplitHostPort(c.text);
    ASSERT_TRUE(got.ok()) << got.status();
    EXPECT_EQ(got->host, c.host);
    EXPECT_EQ(got->port, c.port);
    EXPECT_EQ(JoinHostPort(got->host, got->port), c.text);
  }
}

TEST(HostPortTest, Refuses) {
  const struct {
    const char* text;
    const char* what;
  } kCases[] = {
      {"", "missing port in address"},
      {"127.0.0.1", "missing port in address"},
      {"[::1]", "missing port in address"},
      {"::1", "too many colons in address"},
      {"1:2:3", "too many colons in address"},
      {"[::1:7946", "missing ']' in address"},
      {"[::1]::1", "too many colons in address"},
      {"[::1]x:1", "missing port in address"},
      {"[a[b]:1", "unexpected '[' in address"},
      {"a]:1", "unexpected ']' in address"},
  };
  for (const auto& c : kCases) {
    const auto got = SplitHostPort(c.text);
    ASSERT_FALSE(got.ok()) << c.text;
    EXPECT_EQ(std::string(got.status().message()), absl::StrCat("address ", c.text, ": ", c.what));
    EXPECT_EQ(absl::IsNotFound(got.status()), absl::string_view(c.what) == kCases[0].what);
  }
}

TEST(HostPortTest, LooksUpHosts) {
  EXPECT_EQ(LookUpHost("10.1.2.3")->ToString(), "10.1.2.3");
  EXPECT_EQ(LookUpHost("::1")->ToString(), "::1");
  EXPECT_EQ(LookUpHost("localhost")->ToString(), "127.0.0.1");
  EXPECT_TRUE(LookUpHost("")->is_unspecified());
  EXPECT_EQ(std::string(LookUpHost("no.such.host.invalid").status().message()),
            "lookup no.such.host.invalid: no such host");
}

TEST(HostPortTest, LooksUpPorts) {
  EXPECT_EQ(*LookUpPort("0"), 0);
  EXPECT_EQ(*LookUpPort("65535"), 65535);
  EXPECT_EQ(std::string(LookUpPort("70000").status().message()), "address 70000: invalid port");
  EXPECT_EQ(std::string(LookUpPort("-1").status().message()), "address -1: invalid port");
  EXPECT_EQ(std::string(LookUpPort("x").status().message()), "address tcp/x: unknown port");
}

}  // namespace
}  // namespace serf::cmd
