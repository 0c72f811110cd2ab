// Hosts with a snapshot on the disk, and with coordinates.

#include <unistd.h>

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
#include "serf/snapshot/snapshot_reader.h"
#include "serf/testing/host_fixture.h"
#include "serf/transport/host.h"

namespace serf::transport {
namespace {

using std::chrono::seconds;

class HostSnapshotTest : public testkit::HostFixture {
 protected:
  HostSnapshotTest() : path_(absl::StrCat(::testing::TempDir(), "/host-", ::getpid(), ".snap")) {}
  ~HostSnapshotTest() override { ::unlink(path_.c_str()); }

  std::unique_ptr<Host> Open(const std::string& name, std::uint16_t port, bool with_snapshot) {
    HostOptions options = testkit::QuickOptions(name, {IpAddress::V4(127, 0, 0, 1), port});
    if (with_snapshot) options.snapshot_path = path_;
    return Start(std::move(options));
  }

  void Drain() {
    if (io_.stopped()) io_.restart();
    io_.poll();
  }
  static bool Sees(const Host& host, const std::string& name, MemberStatus status) {
    const std::optional<Member> member = host.serf().FindMember(name);
    return member && member->status == status;
  }
  std::string Text() const {
    std::ifstream in(path_);
    return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  }

  std::string path_;
};

TEST_F(HostSnapshotTest, ComesBackByItself) {
  auto stays = Open("stays", 0, false);
  auto returns = Open("returns", 0, true);
  ASSERT_TRUE(Join(*returns, *stays).status.ok());
  ASSERT_TRUE(RunUntil([&] { return Sees(*stays, "returns", MemberStatus::kAlive); }));
  ASSERT_TRUE(RunUntil([&] { return absl::StrContains(Text(), "alive: stays "); }));
  const std::uint16_t port = returns->local().port;
  // The node ends without a leave, as in a crash.
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
  ASSERT_TRUE(Join(*leaves, *stays).status.ok());
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
  HostOptions options = testkit::LocalOptions("a");
  options.snapshot_path = "no/such/dir/snap";
  EXPECT_EQ(Host::Create(io_, std::move(options)).status().message(),
            "Failed to setup snapshot: failed to open snapshot: open no/such/dir/snap: no such "
            "file or directory");
}

TEST_F(HostSnapshotTest, CoordinatesComeWithAcknowledgements) {
  auto a = Open("a", 0, false);
  auto b = Open("b", 0, false);
  ASSERT_TRUE(Join(*a, *b).status.ok());
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
