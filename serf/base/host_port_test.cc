#include "serf/base/host_port.h"

#include <optional>
#include <string>

#include "gtest/gtest.h"

namespace serf {
namespace {

TEST(HostPortTest, SplitsOrNamesTheFault) {
  const struct {
    const char* text;
    const char* want;  // HOST|PORT, or the error
  } kTable[] = {
      {"10.0.0.1:7946", "10.0.0.1|7946"},
      {"host:http", "host|http"},
      {":7946", "|7946"},
      {"host:", "host|"},
      {"[::1]:7946", "::1|7946"},
      {"[]:1", "|1"},
      {"[fe80::1%lo]:1", "fe80::1%lo|1"},
      {"", "address : missing port in address"},
      {"host", "address host: missing port in address"},
      {"[::1]", "address [::1]: missing port in address"},
      {"[::1]x", "address [::1]x: missing port in address"},
      {"[::1]x:1", "address [::1]x:1: missing port in address"},
      {"::1", "address ::1: too many colons in address"},
      {"a:b:1", "address a:b:1: too many colons in address"},
      {"[::1]::1", "address [::1]::1: too many colons in address"},
      {"[::1:7946", "address [::1:7946: missing ']' in address"},
      {"a[b:1", "address a[b:1: unexpected '[' in address"},
      {"[a[b]:1", "address [a[b]:1: unexpected '[' in address"},
      {"a]:1", "address a]:1: unexpected ']' in address"},
      {"[a]:1]", "address [a]:1]: unexpected ']' in address"},
  };
  for (const auto& row : kTable) {
    const absl::StatusOr<HostPort> got = SplitHostPort(row.text);
    EXPECT_EQ(got.ok() ? got->host + "|" + got->port : std::string(got.status().message()),
              row.want);
  }
}

TEST(HostPortTest, Joins) {
  EXPECT_EQ(JoinHostPort("a", "1"), "a:1");
  EXPECT_EQ(JoinHostPort("::1", "1"), "[::1]:1");
}

TEST(HostPortTest, ReadsPortNumbers) {
  const struct {
    const char* text;
    std::optional<int> want;
  } kTable[] = {
      {"", 0},
      {"0", 0},
      {"7946", 7946},
      {"+7", 7},
      {"65535", 65535},
      {"65536", -1},
      {"-1", -1},
      {"-0", 0},
      {"99999999999999999999", -1},
      {"http", std::nullopt},
      {"1x", std::nullopt},
      {" 1", std::nullopt},
  };
  for (const auto& row : kTable) EXPECT_EQ(ParsePortNumber(row.text), row.want) << row.text;
}

}  // namespace
}  // namespace serf
