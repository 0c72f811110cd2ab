// Hosts with a snapshot on the disk, and with coordinates.

#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <chrono>
#include <fstream>
#include <iterator>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "serf/snapshot_reader.h"
#include "serf/transport/host.h"

namespace serf::transport {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr auto kPatience = seconds(30);

class HostSnapshotTest : public ::testing::Test {
 protected:
  HostSnapshotTest() : path_(absl::StrCat(::testing::TempDir(), "/host-", ::getpid(), ".snap")) {}
  ~HostSnapshotTest() override { ::unlink(path_.c_str()); }

  std::unique_ptr<Host> Open(const std::string& name, std::uint16_t port, bool with_snapshot) {
    HostOptions options;
    options.config = Config::Local();
    options.config.swim.name = name;
    options.config.swim.probe_interval = milliseconds(100);
    options.config.swim.probe_timeout = milliseconds(50);
    options.config.leave_propagate_delay = milliseconds(100);
    options.bind = {IpAddress::V4(127, 0, 0, 1), port};
    if (with_snapshot) options.snapshot_path = path_;
    absl::StatusOr<std::unique_ptr<Host>> host = Host::Create(io_, std::move(options));
    EXPECT_TRUE(host.ok()) << host.status();
    (*host)->Start();
    return *std::move(host);
  }

  template <typename Condition>
  bool RunUntil(Condition condition) {
    const auto deadline = std::chrono::steady_clock::now() + kPatience;
    while (!condition()) {
      if (std::chrono::steady_clock::now() > deadline) return false;
      if (io_.stopped()) io_.restart();
      io_.run_one_until(deadline);
    }
    return true;
  }
  void Drain() {
    if (io_.stopped()) io_.restart();
    io_.poll();
  }
  void Join(Host& host, const Host& to) {
    std::optional<absl::Status> joined;
    host.AsyncJoin({to.local().ToString()}, false,
                   [&](const absl::Status& status, const JoinOutcome&) { joined = status; });
    ASSERT_TRUE(RunUntil([&] { return joined.has_value(); }));
    EXPECT_TRUE(joined->ok()) << *joined;
  }
  static bool Sees(const Host& host, const std::string& name, MemberStatus status) {
    const std::optional<Member> member = host.serf().FindMember(name);
    return member && member->status == status;
  }
  std::string Text() const {
    std::ifstream in(path_);
    return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  }

  asio::io_context io_;
  std::string path_;
};

TEST_F(HostSnapshotTest, ComesBackByItself) {
  auto stays = Open("stays", 0, false);
  auto returns = Open("returns", 0, true);
  Join(*returns, *stays);
  ASSERT_TRUE(RunUntil([&] { return Sees(*stays, "returns", MemberStatus::kAlive); }));
  ASSERT_TRUE(RunUntil([&] { return absl::StrContains(Text(), "alive: stays "); }));
  const std::uint16_t port = returns->local().port;
  // Without a leave, as if it had crashed.
  returns = nullptr;
  Drain();
  EXPECT_TRUE(
      absl::StrContains(Text(), absl::StrCat("alive: stays ", stays->local().ToString(), "\n")));
  EXPECT_TRUE(absl::StrContains(Text(), "clock: "));

  returns = Open("returns", port, true);
  EXPECT_TRUE(RunUntil([&] { return Sees(*returns, "stays", MemberStatus::kAlive); }));
  EXPECT_TRUE(RunUntil([&] { return Sees(*stays, "returns", MemberStatus::kAlive); }));
}

TEST_F(HostSnapshotTest, WhoLeftStaysAway) {
  auto stays = Open("stays", 0, false);
  auto leaves = Open("leaves", 0, true);
  Join(*leaves, *stays);
  std::optional<absl::Status> left;
  leaves->AsyncLeave([&](const absl::Status& status) { left = status; });
  ASSERT_TRUE(RunUntil([&] { return left.has_value(); }));
  leaves = nullptr;
  Drain();
  EXPECT_TRUE(absl::StrContains(Text(), "leave\n"));
  for (const bool rejoin : {false, true}) {
    SnapshotReader reader(rejoin, nullptr);
    reader.Read(Text());
    EXPECT_EQ(std::move(reader).Finish().alive.size(), rejoin ? 2u : 0u);
  }
}

TEST_F(HostSnapshotTest, AFileThatCannotBeOpened) {
  HostOptions options;
  options.config.swim.name = "a";
  options.bind = {IpAddress::V4(127, 0, 0, 1), 0};
  options.snapshot_path = "no/such/dir/snap";
  EXPECT_EQ(Host::Create(io_, std::move(options)).status().message(),
            "Failed to setup snapshot: failed to open snapshot: open no/such/dir/snap: no such "
            "file or directory");
}

TEST_F(HostSnapshotTest, CoordinatesComeWithAcknowledgements) {
  auto a = Open("a", 0, false);
  auto b = Open("b", 0, false);
  Join(*a, *b);
  ASSERT_TRUE(RunUntil([&] {
    return a->serf().coordinates()->Find("b") != nullptr &&
           b->serf().coordinates()->Find("a") != nullptr;
  }));
  const Duration estimate =
      Distance(a->serf().coordinates()->own(), *a->serf().coordinates()->Find("b"));
  EXPECT_GT(estimate, Duration::zero());
  std::optional<Coordinate> asked;
  a->AsyncCoordinate("b", [&](const std::optional<Coordinate>& coordinate) { asked = coordinate; });
  EXPECT_TRUE(RunUntil([&] { return asked.has_value(); }));
  EXPECT_LT(estimate, seconds(1));
}

}  // namespace
}  // namespace serf::transport
