#include "serf/reconnect/snapshot_rejoin.h"

#include <algorithm>
#include <chrono>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "serf/snapshot/snapshot_reader.h"
#include "serf/snapshot_state.h"
#include "serf/testing/node/line_logger.h"

namespace serf {
namespace {

using std::chrono::hours;
using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

class FakeCluster : public SnapshotRejoin::Cluster {
 public:
  bool IsMember(absl::string_view name) const override {
    return members.contains(std::string(name));
  }
  bool HasAlivePeer() const override { return has_peer; }
  std::size_t Alive() const override { return alive; }
  std::set<std::string> members;
  bool has_peer = false;
  std::size_t alive = 2;
};

SnapshotState Read(absl::string_view text) {
  SnapshotReader reader(false, nullptr);
  reader.Read(text);
  return std::move(reader).Finish();
}

constexpr Duration kInterval = seconds(30);
constexpr char kSnapshot[] =
    "alive: me 10.0.0.9:7946\nalive: a 10.0.0.1:7946\nalive: b 10.0.0.2:7946\n"
    "# failed: c 10.0.0.3:7946\n# failed: d [fe80::4]:7946\nalive: bad 10.0.0.3\n";

class RejoinTest : public ::testing::Test {
 protected:
  void Begin(absl::string_view snapshot) {
    rejoin_ = SnapshotRejoin(Read(snapshot), "me", kInterval, &log_);
    rejoin_.Start(now_, rng_);
  }
  // Runs until nothing is due, and returns the nodes that were dialled. `contacted`: the one that
  // answers.
  std::vector<std::string> Asked(const std::string& contacted = "") {
    std::vector<std::string> asked;
    while (auto target = rejoin_.Next(now_, cluster_, rng_)) {
      EXPECT_EQ(target->text, target->endpoint.ToString());
      EXPECT_EQ(rejoin_.NextDeadline(), kNever);
      EXPECT_FALSE(rejoin_.Next(now_, cluster_, rng_)) << "one at a time";
      asked.push_back(target->text);
      rejoin_.OnDone(now_, target->text == contacted, rng_);
    }
    return asked;
  }
  std::vector<std::string> AskedAtDeadline(const std::string& contacted = "") {
    now_ = rejoin_.NextDeadline();
    return Asked(contacted);
  }

  Instant now_{};
  Rng rng_{5};
  testkit::LineLogger log_;
  FakeCluster cluster_;
  SnapshotRejoin rejoin_;
};

TEST_F(RejoinTest, NothingRemembered) {
  EXPECT_THAT(Asked(), IsEmpty());
  Begin("clock: 3\n");
  EXPECT_THAT(Asked(), IsEmpty());
  EXPECT_EQ(rejoin_.NextDeadline(), kNever);
  EXPECT_THAT(log_.lines(), IsEmpty());
}

TEST_F(RejoinTest, OnlyOneself) {
  Begin("alive: me 10.0.0.9:7946\n");
  EXPECT_THAT(Asked(), IsEmpty());
  EXPECT_THAT(log_.lines(),
              ElementsAre("[WARN] serf: Failed to re-join any previously known node"));
  EXPECT_EQ(rejoin_.NextDeadline(), kNever);
}

TEST_F(RejoinTest, UntilOneAnswersTheAliveFirst) {
  std::set<std::string> first;
  for (std::uint64_t seed = 1; seed < 20; ++seed) {
    rng_ = Rng(seed);
    Begin(kSnapshot);
    const std::vector<std::string> asked = Asked();
    ASSERT_EQ(asked.size(), 4u);
    first.insert(asked[0]);
    EXPECT_THAT((std::vector{asked[0], asked[1]}),
                UnorderedElementsAre("10.0.0.1:7946", "10.0.0.2:7946"));
    EXPECT_THAT((std::vector{asked[2], asked[3]}),
                UnorderedElementsAre("10.0.0.3:7946", "[fe80::4]:7946"));
  }
  EXPECT_EQ(first.size(), 2u) << "in random order";
  log_.Clear();
  Begin("alive: a 10.0.0.1:7946\n");
  EXPECT_EQ(Asked("10.0.0.1:7946").size(), 1u);
  EXPECT_THAT(
      log_.lines(),
      ElementsAre("[INFO] serf: Attempting re-join to previously known node: a: 10.0.0.1:7946",
                  "[INFO] serf: Re-joined to previously known node: a: 10.0.0.1:7946"));
}

TEST_F(RejoinTest, AloneItTriesAgainForADay) {
  Begin(kSnapshot);
  EXPECT_EQ(Asked().size(), 4u);
  EXPECT_EQ(log_.lines().back(), "[WARN] serf: Failed to re-join any previously known node");
  Duration pause = rejoin_.NextDeadline() - now_;
  EXPECT_LE(pause, kInterval / ReconnectPace::kFirst * 9 / 8);
  int rounds = 0;
  for (; rejoin_.NextDeadline() != kNever; ++rounds) {
    pause = rejoin_.NextDeadline() - now_;
    EXPECT_LE(pause, kInterval / ReconnectPace::kLast * 9 / 8);
    const std::size_t asked = AskedAtDeadline().size();
    EXPECT_EQ(asked, rejoin_.NextDeadline() != kNever ? 4u : asked);
    ASSERT_LT(rounds, 15'000);
  }
  EXPECT_GT(rounds, 10'000);
  EXPECT_GE(now_ - Instant{}, SnapshotRejoin::kGiveUp);
  EXPECT_LT(now_ - Instant{}, SnapshotRejoin::kGiveUp + hours(1));
}

// The other part of a cluster that was partitioned while all nodes restarted.
TEST_F(RejoinTest, WithAPeerTheUnknownOnesAreAskedOneByOne) {
  Begin(kSnapshot);
  EXPECT_EQ(Asked("10.0.0.1:7946").back(), "10.0.0.1:7946");
  cluster_.has_peer = true;
  cluster_.members = {"a", "c"};
  std::set<std::string> asked;
  for (int i = 0; i < 4; ++i) {
    const std::vector<std::string> now = AskedAtDeadline();
    ASSERT_EQ(now.size(), 1u);
    asked.insert(now[0]);
  }
  EXPECT_THAT(asked, UnorderedElementsAre("10.0.0.2:7946", "[fe80::4]:7946"));
  cluster_.members = {"a", "b", "c", "d"};
  EXPECT_THAT(AskedAtDeadline(), IsEmpty());
  EXPECT_EQ(rejoin_.NextDeadline(), kNever) << "all are known: done";
}

// All nodes share the work.
TEST_F(RejoinTest, TheUnknownOnesAreSharedAmongTheLiving) {
  Begin(kSnapshot);
  EXPECT_EQ(Asked("10.0.0.1:7946").back(), "10.0.0.1:7946");
  cluster_.has_peer = true;
  cluster_.members = {"a", "b", "c"};
  cluster_.alive = 20;
  std::size_t asked = 0;
  for (int i = 0; i < 2000; ++i) asked += AskedAtDeadline().size();
  EXPECT_NEAR(static_cast<double>(asked), 100, 40);
}

TEST_F(RejoinTest, StopsWhenToldTo) {
  Begin(kSnapshot);
  ASSERT_TRUE(rejoin_.Next(now_, cluster_, rng_));
  rejoin_.Stop();
  rejoin_.OnDone(now_, true, rng_);
  EXPECT_EQ(rejoin_.NextDeadline(), kNever);
  EXPECT_THAT(Asked(), IsEmpty());
}

// Other nodes could have filled the file with names.
TEST_F(RejoinTest, OfManyNodesSomeAreAsked) {
  std::string text;
  for (std::size_t i = 0; i < SnapshotRejoin::kNodesMax + 100; ++i) {
    absl::StrAppend(&text, "alive: n", i, " 10.", i / 65536, ".", i / 256 % 256, ".", i % 256,
                    ":7946\n");
  }
  Begin(text + "# failed: f 10.9.9.9:7946\n");
  const std::vector<std::string> asked = Asked();
  EXPECT_EQ(asked.size(), SnapshotRejoin::kNodesMax);
  EXPECT_EQ(std::set<std::string>(asked.begin(), asked.end()).size(), SnapshotRejoin::kNodesMax);
  EXPECT_EQ(std::count(asked.begin(), asked.end(), "10.9.9.9:7946"), 0);
}

}  // namespace
}  // namespace serf
