#include "serf/transport/resolver.h"

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "gtest/gtest.h"

namespace serf::transport {
namespace {

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

// Lookups that the test answers.
struct Names {
  LookupFunction Function() {
    return [this](const std::string& host, auto done) {
      asked.push_back(host);
      pending.push_back(std::move(done));
    };
  }
  void Answer(const ErrorCode& error, std::vector<IpAddress> addresses) {
    const auto done = std::exchange(pending, {});
    for (const auto& each : done) each(error, addresses);
  }
  std::vector<std::string> asked;
  std::vector<std::function<void(const ErrorCode&, std::vector<IpAddress>)>> pending;
};

std::string Text(const std::vector<swim::JoinTarget>& targets) {
  return absl::StrJoin(targets, " ", [](std::string* out, const swim::JoinTarget& target) {
    EXPECT_EQ(target.text, target.endpoint.ToString());
    absl::StrAppend(out, target.text);
  });
}

TEST(ResolverTest, TakesEveryAddressOfANameInOrder) {
  Names names;
  Resolver resolver(names.Function());
  std::optional<Resolver::Result> result;
  resolver.Resolve({"10.0.0.1", "db:9", "bad:x", "web", "::1"}, 7946,
                   [&](Resolver::Result r) { result = std::move(r); });
  EXPECT_EQ(names.asked, std::vector<std::string>{"db"});
  names.Answer({}, {IpAddress::V4(10, 0, 0, 2), *IpAddress::Parse("fd00::2")});
  EXPECT_EQ(names.asked, (std::vector<std::string>{"db", "web"}));
  EXPECT_FALSE(result.has_value());
  names.Answer(asio::error::host_not_found, {});
  ASSERT_TRUE(result.has_value());
  EXPECT_EQ(Text(result->targets), "10.0.0.1:7946 10.0.0.2:9 [fd00::2]:9 [::1]:7946");
  EXPECT_EQ(result->errors,
            (std::vector<std::string>{
                "Failed to resolve bad:x: strconv.ParseUint: parsing \"x\": invalid syntax",
                "Failed to resolve web: lookup web: no such host"}));
}

TEST(ResolverTest, LiteralsNeedNoLookup) {
  Names names;
  Resolver resolver(names.Function());
  bool done = false;
  resolver.Resolve({"10.0.0.1", "[::1]:1"}, 7946, [&](Resolver::Result) { done = true; });
  EXPECT_TRUE(done);
  done = false;
  resolver.Resolve({}, 7946, [&](Resolver::Result) { done = true; });
  EXPECT_TRUE(done);
  EXPECT_TRUE(names.asked.empty());
}

TEST(ResolverTest, CallsNobodyAfterItsEnd) {
  Names names;
  bool done = false;
  {
    Resolver resolver(names.Function());
    resolver.Resolve({"db"}, 7946, [&](Resolver::Result) { done = true; });
  }
  names.Answer({}, {IpAddress::V4(10, 0, 0, 2)});
  EXPECT_FALSE(done);
}

TEST(ResolverTest, StopsWhenALookupIsCancelled) {
  Names names;
  Resolver resolver(names.Function());
  bool done = false;
  resolver.Resolve({"db", "web"}, 7946, [&](Resolver::Result) { done = true; });
  names.Answer(asio::error::operation_aborted, {});
  EXPECT_FALSE(done);
  EXPECT_EQ(names.asked, std::vector<std::string>{"db"});
}

TEST(ResolverTest, WordsErrorsAsTheOriginal) {
  EXPECT_EQ(LookupError("x", asio::error::host_not_found).message(), "lookup x: no such host");
  EXPECT_EQ(LookupError("x", asio::error::no_data).message(), "lookup x: no such host");
  EXPECT_EQ(LookupError("x", {}).message(), "lookup x: no such host");
  EXPECT_EQ(LookupError("x", asio::error::host_not_found_try_again).message(),
            "lookup x: temporary failure in name resolution");
}

TEST(ResolverTest, AsksTheSystem) {
  asio::io_context io;
  asio::ip::tcp::resolver system(io);
  Resolver resolver(SystemLookup(system));
  std::optional<Resolver::Result> result;
  resolver.Resolve({"localhost:9"}, 7946, [&](Resolver::Result r) { result = std::move(r); });
  EXPECT_FALSE(result.has_value());
  io.run_for(std::chrono::seconds(20));
  ASSERT_TRUE(result.has_value());
  EXPECT_TRUE(result->errors.empty());
  ASSERT_FALSE(result->targets.empty());
  for (const swim::JoinTarget& target : result->targets) {
    EXPECT_TRUE(target.endpoint.address.is_loopback());
    EXPECT_EQ(target.endpoint.port, 9);
  }
}

}  // namespace
}  // namespace serf::transport
