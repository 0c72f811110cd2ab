#include "serf/swim/member_table.h"

#include <chrono>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "serf/base/rng.h"
#include "serf/swim/probe_ring.h"

namespace serf::swim {
namespace {

using std::chrono::seconds;

NodeInfoView View(absl::string_view name) {
  return {name, {IpAddress::V4(10, 0, 0, 1), 7946}, {}, {1, 5, 2, 2, 5, 5}};
}

TEST(MemberTable, AddsFindsAndCounts) {
  NodeInfoPool pool;
  MemberTable table;
  EXPECT_FALSE(table.Find("a"));
  const MemberIndex a = table.Add(pool.Intern(View("a")), Instant(seconds(1)));
  const MemberIndex b = table.Add(pool.Intern(View("b")), Instant(seconds(2)));
  EXPECT_EQ(table.Find("a"), a);
  EXPECT_EQ(table.Find("b"), b);
  EXPECT_EQ(table.info(b).name(), "b");
  EXPECT_EQ(table.state(a), NodeState::kDead) << "known, and nothing more";
  EXPECT_EQ(table.row(a).incarnation, wire::Incarnation(0));
  EXPECT_EQ(table.row(b).changed_at, Instant(seconds(2)));
  EXPECT_EQ(table.known(), 2u);
  EXPECT_EQ(table.live(), 0u);

  table.SetState(a, NodeState::kAlive, Instant(seconds(3)));
  table.SetState(b, NodeState::kAlive, Instant(seconds(3)));
  table.SetState(b, NodeState::kSuspect, Instant(seconds(4)));
  EXPECT_EQ(table.live(), 2u);
  EXPECT_EQ(table.count(NodeState::kSuspect), 1u);
  EXPECT_EQ(table.count(NodeState::kDead), 0u);
  EXPECT_EQ(table.row(b).changed_at, Instant(seconds(4)));
}

TEST(MemberTable, PurgedRowsAreReusedAfresh) {
  NodeInfoPool pool;
  MemberTable table;
  const MemberIndex a = table.Add(pool.Intern(View("a")), Instant(seconds(1)));
  const MemberIndex b = table.Add(pool.Intern(View("b")), Instant(seconds(1)));
  table.EditRow(a).incarnation = wire::Incarnation(9);
  table.EditRow(a).flags = 3;
  table.SetState(a, NodeState::kLeft, Instant(seconds(2)));
  table.Purge(a);
  EXPECT_FALSE(table.Find("a"));
  EXPECT_FALSE(table.Contains(a));
  EXPECT_EQ(table.known(), 1u);
  EXPECT_EQ(table.count(NodeState::kLeft), 0u);
  EXPECT_EQ(pool.size(), 1u);

  const MemberIndex c = table.Add(pool.Intern(View("c")), Instant(seconds(3)));
  EXPECT_EQ(c, a);
  EXPECT_EQ(table.row(c).incarnation, wire::Incarnation(0));
  EXPECT_EQ(table.row(c).flags, 0);
  EXPECT_EQ(table.index_limit(), 2u);
  std::vector<MemberIndex> seen;
  table.ForEach([&](MemberIndex m) { seen.push_back(m); });
  EXPECT_EQ(seen, (std::vector<MemberIndex>{c, b}));
}

TEST(MemberTable, ContainsNothingOutside) {
  MemberTable table;
  EXPECT_FALSE(table.Contains(MemberIndex(0)));
  EXPECT_FALSE(table.Contains(MemberIndex(12345)));
}

TEST(MemberTable, InfoCanBeExchanged) {
  NodeInfoPool pool;
  MemberTable table;
  const MemberIndex a = table.Add(pool.Intern(View("a")), Instant{});
  NodeInfoView moved = View("a");
  moved.endpoint.port = 1;
  table.SetInfo(a, pool.Intern(moved));
  EXPECT_EQ(pool.size(), 1u);
  EXPECT_EQ(table.Find("a"), a);
  EXPECT_EQ(table.info(a).endpoint().port, 1);
}

TEST(MemberTable, RowsStayInPlaceWhileItGrows) {
  NodeInfoPool pool;
  MemberTable table;
  const MemberIndex a = table.Add(pool.Intern(View("a")), Instant{});
  const MemberTable::Row* row = &table.row(a);
  for (int i = 0; i < 2000; ++i) table.Add(pool.Intern(View(absl::StrCat("n", i))), Instant{});
  EXPECT_EQ(&table.row(a), row);
  EXPECT_EQ(table.Find("n1999"), MemberIndex(2000));
}

// The budget: 64 bytes per row of which 16 belong to the Serf layer, at 10,000 members.
TEST(MemberTable, StaysWithinItsBudget) {
  constexpr std::size_t kMembers = 10'000;
  NodeInfoPool pool;
  MemberTable table;
  ProbeRing ring(table);
  Rng rng(1);
  for (std::size_t i = 0; i < kMembers; ++i) {
    ring.Insert(table.Add(pool.Intern(View(absl::StrCat("node-", i))), Instant{}), rng);
  }
  PagedVector<std::array<std::uint64_t, 2>> parallel;
  parallel.GrowTo(kMembers);
  const std::size_t bytes = table.memory_bytes() + ring.memory_bytes() + parallel.memory_bytes();
  EXPECT_LE(bytes, 64 * kMembers) << static_cast<double>(bytes) / kMembers << " bytes per row";
}

// What many nodes of a simulation know is one copy; what one of them learns is its own.
TEST(MemberTable, TablesShareWhatTheyAgreeAbout) {
  constexpr std::size_t kMembers = 1000;
  NodeInfoPool pool;
  MemberTable b;
  b.Add(pool.Intern(View("lone")), Instant{});
  std::uint64_t changes = 0;
  {
    MemberTable a;
    for (std::size_t i = 0; i < kMembers; ++i) {
      a.SetState(a.Add(pool.Intern(View(absl::StrCat("n", i))), Instant{}), NodeState::kAlive,
                 Instant{});
    }
    a.Purge(MemberIndex(999));
    changes = b.info_changes();
    b.ShareFrom(a);
    EXPECT_GT(b.info_changes(), changes);
    EXPECT_EQ(b.known(), kMembers - 1);
    EXPECT_EQ(b.live(), kMembers - 1);
    EXPECT_FALSE(b.Find("lone"));
    EXPECT_EQ(b.Find("n500"), a.Find("n500"));
    EXPECT_EQ(&b.row(MemberIndex(500)), &a.row(MemberIndex(500)));
    EXPECT_LE(b.memory_bytes(), 300u);

    b.SetState(MemberIndex(500), NodeState::kSuspect, Instant(seconds(1)));
    EXPECT_EQ(a.state(MemberIndex(500)), NodeState::kAlive);
    EXPECT_EQ(a.count(NodeState::kSuspect), 0u);
    a.Purge(MemberIndex(7));
    EXPECT_TRUE(b.Find("n7"));
    EXPECT_EQ(a.Add(pool.Intern(View("a's")), Instant{}), MemberIndex(7));
    EXPECT_EQ(b.Add(pool.Intern(View("b's")), Instant{}), MemberIndex(999));
    EXPECT_FALSE(a.Find("b's"));
    EXPECT_FALSE(b.Find("a's"));
  }
  // The first one is gone, and its index was shared again meanwhile.
  MemberTable c;
  c.ShareFrom(b);
  b.Purge(*b.Find("n8"));
  for (std::size_t i = 0; i < kMembers; ++i) {
    c.Add(pool.Intern(View(absl::StrCat("m", i))), Instant{});
  }
  EXPECT_TRUE(c.Find("n8"));
  EXPECT_TRUE(c.Find("m8"));
  EXPECT_FALSE(b.Find("m8"));
  EXPECT_EQ(c.known(), 2 * kMembers);
}

TEST(MemberTable, TheLastOwnerOfAnIndexChangesIt) {
  NodeInfoPool pool;
  MemberTable b;
  {
    MemberTable a;
    for (int i = 0; i < 100; ++i) a.Add(pool.Intern(View(absl::StrCat("n", i))), Instant{});
    b.ShareFrom(a);
  }
  for (int i = 0; i < 100; ++i) b.Add(pool.Intern(View(absl::StrCat("m", i))), Instant{});
  b.Purge(*b.Find("n3"));
  EXPECT_FALSE(b.Find("n3"));
  for (int i = 0; i < 100; ++i) EXPECT_TRUE(b.Find(absl::StrCat("m", i))) << i;
}

}  // namespace
}  // namespace serf::swim
