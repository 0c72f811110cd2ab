#include "serf/swim/node_info.h"

#include <utility>

#include "gtest/gtest.h"

namespace serf::swim {
namespace {

constexpr wire::VersionVector kVersions{1, 5, 2, 2, 5, 5};

NodeInfoView View(absl::string_view name, absl::string_view meta, std::uint16_t port = 7946) {
  return {name, {IpAddress::V4(10, 0, 0, 1), port}, AsBytes(meta), kVersions};
}

TEST(NodeInfoPool, SameContentIsOneObject) {
  NodeInfoPool pool;
  const NodeInfoRef a = pool.Intern(View("a", "role=web"));
  const NodeInfoRef again = pool.Intern(View("a", "role=web"));
  EXPECT_EQ(a.get(), again.get());
  EXPECT_EQ(pool.size(), 1u);
  EXPECT_EQ(a->name(), "a");
  EXPECT_EQ(AsText(a->meta()), "role=web");
  EXPECT_EQ(a->endpoint().port, 7946);
  EXPECT_EQ(a->versions(), kVersions);
}

TEST(NodeInfoPool, EveryFieldDistinguishes) {
  NodeInfoPool pool;
  const NodeInfoRef a = pool.Intern(View("a", "m"));
  const NodeInfoRef name = pool.Intern(View("b", "m"));
  const NodeInfoRef meta = pool.Intern(View("a", "n"));
  const NodeInfoRef port = pool.Intern(View("a", "m", 1));
  // The form of an address counts: peers compare raw bytes.
  NodeInfoView mapped = View("a", "m");
  mapped.endpoint.address = mapped.endpoint.address.Mapped();
  const NodeInfoRef form = pool.Intern(mapped);
  NodeInfoView newer = View("a", "m");
  newer.versions.delegate_cur = 4;
  const NodeInfoRef versions = pool.Intern(newer);
  // Bytes do not move between name and metadata.
  const NodeInfoRef shifted = pool.Intern(View("am", ""));
  EXPECT_EQ(pool.size(), 7u);
  EXPECT_EQ(a->hash(), meta->hash()) << "the hash is that of the name";
  EXPECT_EQ(a->stable_hash(), port->stable_hash());
  EXPECT_NE(a->stable_hash(), name->stable_hash());
  EXPECT_TRUE(form->endpoint().address.is_v4_mapped());
  EXPECT_TRUE(shifted->meta().empty());
  EXPECT_FALSE(versions->SameContent(a->view()));
}

TEST(NodeInfoPool, ForgetsWithTheLastReference) {
  NodeInfoPool pool;
  NodeInfoRef a = pool.Intern(View("a", "m"));
  NodeInfoRef copy = a;
  NodeInfoRef moved = std::move(a);
  EXPECT_FALSE(a);  // NOLINT(bugprone-use-after-move): the moved-from state is specified
  moved.reset();
  EXPECT_EQ(pool.size(), 1u);
  copy = NodeInfoRef();
  EXPECT_EQ(pool.size(), 0u);
}

TEST(NodeInfoPool, EmptyAndBinaryBytes) {
  NodeInfoPool pool;
  const absl::string_view name("a\0b\xff", 4);
  const NodeInfoRef a = pool.Intern(View(name, ""));
  EXPECT_EQ(a->name(), name);
  EXPECT_TRUE(a->meta().empty());
}

// The rings of GossipTargets rest on these values: they must never change.
TEST(StableNameHash, IsTheSameEverywhere) {
  EXPECT_EQ(StableNameHash(""), 0xf52a15e9a9b5e89bu);
  EXPECT_EQ(StableNameHash("node-1"), 0x13950d4ef307e655u);
}

}  // namespace
}  // namespace serf::swim
