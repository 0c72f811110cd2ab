#include "serf/transport/resolver.h"

#include <net/if.h>

#include <boost/asio/io_context.hpp>
#include <chrono>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "gtest/gtest.h"
#include "serf/transport/net/asio.h"
#include "serf/transport/net/lookup.h"

namespace serf::transport {
namespace {

constexpr names::Zone kNoZone = 0;

TEST(JoinEntryTest, SplitsNodeNameHostAndPort) {
  const struct {
    const char* text;
    const char* want;  // NODE|HOST|PORT, or the error
  } kTable[] = {
      {"10.0.0.1", "|10.0.0.1|7946"},
      {"10.0.0.1:1", "|10.0.0.1|1"},
      {"10.0.0.1:0", "|10.0.0.1|0"},
      {"db", "|db|7946"},
      {"db:9", "|db|9"},
      {"::1", "|::1|7946"},
      {"[::1]", "|::1|7946"},
      {"[::1]:9", "|::1|9"},
      {"::1:9", "|::1:9|7946"},
      {"node/10.0.0.1", "node|10.0.0.1|7946"},
      {"node/[::1]:9", "node|::1|9"},
      {"a/b/c", "a|b/c|7946"},
      {"/10.0.0.1", "empty node name provided"},
      {"", "||7946"},
      {"db:", "strconv.ParseUint: parsing \"\": invalid syntax"},
      {"db:x", "strconv.ParseUint: parsing \"x\": invalid syntax"},
      {"db:+1", "strconv.ParseUint: parsing \"+1\": invalid syntax"},
      {"db:65536", "strconv.ParseUint: parsing \"65536\": value out of range"},
      {"a]:1", "address a]:1: unexpected ']' in address"},
  };
  for (const auto& row : kTable) {
    const absl::StatusOr<JoinEntry> got = ParseJoinEntry(row.text, 7946);
    EXPECT_EQ(got.ok() ? absl::StrCat(got->node_name, "|", got->host, "|", got->port)
                       : std::string(got.status().message()),
              row.want)
        << row.text;
  }
}

// A lookup that the test answers.
struct Names {
  LookupFunction Function() {
    return [this](const std::string& host, names::Lookup::Done done) {
      asked.push_back(host);
      pending = std::move(done);
    };
  }
  std::vector<std::string> asked;
  names::Lookup::Done pending;
};

// The targets, or the error.
std::string Text(const JoinTargets& targets) {
  if (!targets.ok()) return std::string(targets.status().message());
  return absl::StrJoin(*targets, " ", [](std::string* out, const swim::JoinTarget& target) {
    EXPECT_EQ(target.text, target.endpoint.ToString());
    absl::StrAppend(out, target.text);
  });
}

TEST(ResolverTest, TakesEveryAddressOfANameInOrder) {
  Names names;
  std::optional<JoinTargets> result;
  const auto done = [&result](JoinTargets targets) { result = std::move(targets); };
  ResolveJoinEntry("db:9", 7946, kNoZone, names.Function(), done);
  EXPECT_EQ(names.asked, std::vector<std::string>{"db"});
  EXPECT_FALSE(result.has_value());
  names.pending(std::vector<IpAddress>{*IpAddress::Parse("fd00::2"), IpAddress::V4(10, 0, 0, 2)});
  ASSERT_TRUE(result.has_value());
  EXPECT_EQ(Text(*result), "[fd00::2]:9 10.0.0.2:9");
  ResolveJoinEntry("node/web", 7946, kNoZone, names.Function(), done);
  names.pending(absl::NotFoundError("lookup web: no such host"));
  EXPECT_EQ(Text(*result), "Failed to resolve node/web: lookup web: no such host");
}

TEST(ResolverTest, WhatIsNoNameNeedsNoLookup) {
  const struct {
    const char* entry;
    const char* want;
  } kTable[] = {
      {"10.0.0.1", "10.0.0.1:7946"},
      {"[::1]:1", "[::1]:1"},
      {"bad:x", "Failed to resolve bad:x: strconv.ParseUint: parsing \"x\": invalid syntax"},
  };
  for (const auto& row : kTable) {
    Names names;
    std::optional<JoinTargets> result;
    ResolveJoinEntry(row.entry, 7946, kNoZone, names.Function(),
                     [&result](JoinTargets targets) { result = std::move(targets); });
    ASSERT_TRUE(result.has_value()) << row.entry;
    EXPECT_EQ(Text(*result), row.want);
    EXPECT_TRUE(names.asked.empty()) << row.entry;
  }
}

TEST(ResolverTest, AZoneIsThatOfTheNode) {
  const names::Zone lo = ::if_nametoindex("lo");
  const struct {
    const char* entry;
    names::Zone zone;  // of the node
    const char* want;
  } kTable[] = {
      {"[fe80::1%lo]:9", lo, "[fe80::1]:9"},
      {"n/fe80::1%lo", lo, "[fe80::1]:7946"},
      {"fe80::1", lo, "[fe80::1]:7946"},
      {"[fe80::1%lo]:9", kNoZone,
       "Failed to resolve [fe80::1%lo]:9: this node is bound to no link-local address"},
      {"[fe80::1%lo]:9", lo + 1,
       "Failed to resolve [fe80::1%lo]:9: this node is bound to another link"},
      {"[fe80::1%nosuch0]:9", lo,
       "Failed to resolve [fe80::1%nosuch0]:9: lookup fe80::1%nosuch0: no such network interface"},
  };
  for (const auto& row : kTable) {
    Names names;
    std::optional<JoinTargets> result;
    ResolveJoinEntry(row.entry, 7946, row.zone, names.Function(),
                     [&result](JoinTargets targets) { result = std::move(targets); });
    ASSERT_TRUE(result.has_value()) << row.entry;
    EXPECT_EQ(Text(*result), row.want);
  }
}

// Go Serf also takes them for names that do not exist.
TEST(ResolverTest, NumbersAreNoAddresses) {
  asio::io_context io;
  names::Lookup lookup(io);
  const LookupFunction system = [&lookup](const std::string& host, names::Lookup::Done done) {
    lookup.Start(host, std::move(done));
  };
  const struct {
    const char* entry;
    const char* host;
  } kTable[] = {
      {"010.000.000.012:7946", "010.000.000.012"},
      {"10.0.0.1/24", "24"},
      {"1.2.3", "1.2.3"},
      {"0:7000", "0"},
      {":7000", ""},
  };
  for (const auto& row : kTable) {
    std::optional<JoinTargets> result;
    ResolveJoinEntry(row.entry, 7946, kNoZone, system,
                     [&result](JoinTargets targets) { result = std::move(targets); });
    io.restart();
    io.run_for(std::chrono::seconds(20));
    ASSERT_TRUE(result.has_value()) << row.entry;
    EXPECT_EQ(Text(*result), absl::StrCat("Failed to resolve ", row.entry, ": lookup ", row.host,
                                          ": no such host"));
  }
}

TEST(ResolverTest, AsksTheSystem) {
  asio::io_context io;
  names::Lookup lookup(io);
  std::optional<JoinTargets> result;
  ResolveJoinEntry(
      "localhost:9", 7946, kNoZone,
      [&lookup](const std::string& host, names::Lookup::Done done) {
        lookup.Start(host, std::move(done));
      },
      [&result](JoinTargets targets) { result = std::move(targets); });
  EXPECT_FALSE(result.has_value());
  io.run_for(std::chrono::seconds(20));
  ASSERT_TRUE(result.has_value());
  ASSERT_TRUE(result->ok()) << result->status();
  for (const swim::JoinTarget& target : **result) {
    EXPECT_TRUE(target.endpoint.address.is_loopback());
    EXPECT_EQ(target.endpoint.port, 9);
  }
}

}  // namespace
}  // namespace serf::transport
