// Several machines in virtual time: what one node does and the others see.

#include <chrono>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "serf/config.h"
#include "serf/event.h"
#include "serf/member.h"
#include "serf/serf.h"
#include "serf/testing/node/lone_serf.h"
#include "serf/testing/sim/link_model.h"
#include "serf/testing/sim/world.h"

namespace serf {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testkit::NodeId;
using testkit::World;
using enum MemberStatus;

// Keeps the events of all nodes as "a: member-join b alive".
class EventLog final : public World::Observer {
 public:
  explicit EventLog(const World& world) : world_(world) {}
  void OnEvent(NodeId node, const Event& event) override {
    if (const auto* told = std::get_if<MemberEvent>(&event)) {
      for (const Member& member : told->members) {
        lines_.push_back(absl::StrCat(world_.name(node), ": ", MemberEventName(told->kind), " ",
                                      member.name, " ", MemberStatusName(member.status)));
      }
    } else if (const auto* user = std::get_if<UserEvent>(&event)) {
      lines_.push_back(absl::StrCat(world_.name(node), ": user ", user->name));
    }
  }
  // The events of one node since the last call for any node.
  std::vector<std::string> Take(absl::string_view node) {
    std::vector<std::string> taken;
    for (const std::string& line : lines_) {
      if (absl::StartsWith(line, absl::StrCat(node, ": "))) {
        taken.push_back(line.substr(node.size() + 2));
      }
    }
    lines_.clear();
    return taken;
  }

 private:
  const World& world_;
  std::vector<std::string> lines_;
};

class ClusterTest : public ::testing::Test {
 protected:
  explicit ClusterTest(Config config = Config::Lan()) : config_(std::move(config)) {
    world_.SetLogger(&log_);
    world_.AddObserver(&events_);
    for (const char* name : {"a", "b", "c"}) nodes_.push_back(world_.Add(name, config_));
  }
  void SetUp() override { JoinAll(); }

  void JoinAll() {
    for (std::size_t i = 1; i < nodes_.size(); ++i) {
      const RequestId join = world_.Join(nodes_[i], {nodes_[0]});
      ASSERT_TRUE(world_.RunUntil([&] { return world_.completion(join) != nullptr; }, seconds(5)));
      EXPECT_EQ(world_.completion(join)->contacted, 1);
      EXPECT_TRUE(world_.completion(join)->status.ok());
    }
    ASSERT_TRUE(EverybodySees("a", kAlive));
    ASSERT_TRUE(EverybodySees("b", kAlive));
    ASSERT_TRUE(EverybodySees("c", kAlive));
    // Until all messages of the start have been gossiped.
    world_.RunFor(seconds(5));
    events_.Take("");
  }

  NodeId a() const { return nodes_[0]; }
  NodeId b() const { return nodes_[1]; }
  NodeId c() const { return nodes_[2]; }

  MemberStatus Status(NodeId observer, absl::string_view name) {
    const auto member = world_.serf(observer).FindMember(name);
    return member.has_value() ? member->status : kNone;
  }
  // Whether all nodes that run agree on the status of `name` before `limit`.
  bool EverybodySees(absl::string_view name, MemberStatus status, Duration limit = seconds(30)) {
    return world_.RunUntil(
        [&] {
          for (const NodeId node : nodes_) {
            if (world_.is_up(node) && Status(node, name) != status) return false;
          }
          return true;
        },
        limit);
  }
  std::string Result(RequestId request) {
    const Completion* completion = world_.completion(request);
    if (completion == nullptr) return "pending";
    return completion->status.ok() ? "ok" : std::string(completion->status.message());
  }

  Config config_;
  testkit::LineLogger log_;
  World world_{7};
  EventLog events_{world_};
  std::vector<NodeId> nodes_;
};

TEST_F(ClusterTest, EverybodyHearsOfEachTagOnce) {
  const RequestId request = world_.SetTags(b(), {{"role", "db"}});
  ASSERT_TRUE(world_.RunUntil(
      [&] {
        return world_.serf(a()).FindMember("b")->tags == Tags{{"role", "db"}} &&
               world_.serf(c()).FindMember("b")->tags == Tags{{"role", "db"}};
      },
      seconds(5)));
  world_.RunFor(seconds(5));
  EXPECT_EQ(Result(request), "ok");
  EXPECT_THAT(events_.Take("a"), ElementsAre("member-update b alive"));
}

TEST_F(ClusterTest, ALeaveIsALeaveForAll) {
  const RequestId leave = world_.Leave(c());
  ASSERT_TRUE(EverybodySees("c", kLeft));
  world_.RunFor(seconds(5));
  EXPECT_EQ(Result(leave), "ok");
  EXPECT_EQ(world_.serf(c()).state(), Serf::State::kLeft);
  EXPECT_THAT(events_.Take("a"), ElementsAre("member-leave c left"));
  EXPECT_FALSE(log_.Contains("serf: EventMemberLeave (forced)"));
}

TEST_F(ClusterTest, ACrashIsAFailureUntilForced) {
  world_.Crash(c());
  ASSERT_TRUE(EverybodySees("c", kFailed, minutes(1)));
  EXPECT_THAT(events_.Take("a"), ElementsAre("member-failed c failed"));
  const RequestId removal = world_.ForceLeave(b(), "c", {});
  ASSERT_TRUE(EverybodySees("c", kLeft));
  world_.RunFor(seconds(5));
  EXPECT_EQ(Result(removal), "ok");
  EXPECT_THAT(events_.Take("a"), ElementsAre("member-leave c left"));
}

TEST_F(ClusterTest, APrunedFailedMemberIsGoneForAll) {
  world_.Crash(c());
  ASSERT_TRUE(EverybodySees("c", kFailed, minutes(1)));
  events_.Take("");
  world_.ForceLeave(b(), "c", {.prune = true});
  ASSERT_TRUE(EverybodySees("c", kNone));
  EXPECT_THAT(events_.Take("a"), ElementsAre("member-leave c left", "member-reap c left"));
  // The member stays gone, whatever the nodes exchange.
  world_.RunFor(minutes(10));
  EXPECT_TRUE(EverybodySees("c", kNone, Duration(0)));
}

// Go Serf loses such a member for good (docs/protocol/serf.md 3.4.3).
TEST_F(ClusterTest, ALivingMemberSurvivesBeingPruned) {
  const RequestId removal = world_.ForceLeave(b(), "c", {.prune = true});
  ASSERT_TRUE(EverybodySees("c", kAlive));
  world_.RunFor(minutes(2));
  EXPECT_EQ(Result(removal), "ok");
  EXPECT_TRUE(EverybodySees("c", kAlive, Duration(0)));
  EXPECT_THAT(events_.Take("a"), IsEmpty());
  EXPECT_TRUE(log_.Contains("c: serf: Refuting an older leave intent"));
}

TEST_F(ClusterTest, AMemberThatLeftComesBack) {
  world_.Leave(c());
  ASSERT_TRUE(EverybodySees("c", kLeft));
  world_.RunFor(seconds(5));
  events_.Take("");
  world_.Crash(c());
  world_.Restart(c());
  world_.Join(c(), {a()});
  ASSERT_TRUE(EverybodySees("c", kAlive));
  world_.RunFor(minutes(5));
  EXPECT_TRUE(EverybodySees("c", kAlive, Duration(0)));
  EXPECT_THAT(events_.Take("a"), ElementsAre("member-join c alive"));
}

TEST_F(ClusterTest, AFailedMemberIsReconnected) {
  world_.links().Partition({{a(), b()}, {c()}});
  ASSERT_TRUE(world_.RunUntil(
      [&] { return Status(a(), "c") == kFailed && Status(c(), "a") == kFailed; }, minutes(2)));
  world_.RunFor(minutes(2));
  world_.links().Heal();
  EXPECT_TRUE(EverybodySees("c", kAlive, minutes(5)));
  EXPECT_TRUE(EverybodySees("a", kAlive, minutes(1)));
  EXPECT_TRUE(log_.Contains(" serf: attempting reconnect to c 10.0.0.3:7946"));
}

TEST_F(ClusterTest, TombstonesLeaveTheClocksAlone) {
  world_.Leave(c());
  ASSERT_TRUE(EverybodySees("c", kLeft));
  world_.RunFor(seconds(10));
  const std::string before = world_.serf(a()).Stats()["member_time"];
  world_.RunFor(hours(2));
  EXPECT_EQ(world_.serf(a()).Stats()["member_time"], before);
  EXPECT_EQ(world_.serf(b()).Stats()["member_time"], before);
}

TEST_F(ClusterTest, TombstonesAndFailuresAreReaped) {
  world_.Leave(c());
  ASSERT_TRUE(EverybodySees("c", kLeft));
  world_.RunFor(seconds(5));
  world_.Crash(c());
  world_.Crash(b());
  ASSERT_TRUE(EverybodySees("b", kFailed, minutes(1)));
  events_.Take("");
  world_.RunFor(hours(25));
  EXPECT_THAT(events_.Take("a"), ElementsAre("member-reap c left", "member-reap b failed"));
  EXPECT_EQ(world_.serf(a()).member_count(), 1u);
}

TEST_F(ClusterTest, AJoinThatReachesNobodySaysSo) {
  world_.Crash(c());
  world_.Crash(b());
  const RequestId one = world_.Join(a(), {b()});
  const RequestId two = world_.Join(a(), {b(), c()});
  world_.RunFor(minutes(1));
  EXPECT_THAT(Result(one), ::testing::MatchesRegex(
                               "1 error occurred:\n\t\\* [Ff]ailed to join 10.0.0.2:7946: .*\n\n"));
  EXPECT_THAT(Result(two), HasSubstr("2 errors occurred:\n\t* "));
  EXPECT_EQ(world_.completion(two)->contacted, 0);
  EXPECT_EQ(world_.completion(two)->errors.size(), 2u);
}

TEST_F(ClusterTest, OneAnswerIsAJoin) {
  world_.Crash(c());
  const RequestId join = world_.Join(a(), {b(), c()});
  world_.RunFor(minutes(1));
  EXPECT_EQ(Result(join), "ok");
  EXPECT_EQ(world_.completion(join)->contacted, 1);
  EXPECT_EQ(world_.completion(join)->errors.size(), 1u);
}

// A node that receives a user event gossips it, and sends it in push/pulls to nodes that join
// later.
class UserEventClusterTest : public ClusterTest {
 protected:
  void SendEvent(NodeId node, absl::string_view name, std::uint64_t time) {
    wire::UserEventMessage event;
    event.ltime = wire::LamportTime(time);
    event.name = name;
    ByteVector packet = {static_cast<std::uint8_t>(wire::MessageType::kUser)};
    Encode(event, packet);
    world_.Call(node, [&](Serf& serf, Instant now, Outbox& out) {
      serf.OnDatagram(now, world_.endpoint(node), packet, out);
    });
  }
};

TEST_F(UserEventClusterTest, ReachesEachNodeOnce) {
  SendEvent(a(), "deploy", 5);
  world_.RunFor(minutes(2));
  EXPECT_THAT(events_.Take("c"), ElementsAre("user deploy"));
  EXPECT_EQ(world_.serf(b()).Stats()["event_time"], "6");
}

TEST_F(UserEventClusterTest, ReachesWhoJoinsLaterUnlessOldOnesAreIgnored) {
  SendEvent(a(), "two", 6);
  SendEvent(a(), "one", 5);
  world_.RunFor(seconds(5));
  const NodeId d = world_.Add("d", config_);
  const NodeId e = world_.Add("e", config_);
  events_.Take("");
  world_.Join(d, {a()}, {.replay = true});
  world_.RunFor(seconds(5));
  EXPECT_THAT(events_.Take("d"), ::testing::IsSupersetOf({"user one", "user two"}));
  world_.Join(e, {a()}, {});
  world_.RunFor(minutes(2));
  for (const std::string& line : events_.Take("e")) EXPECT_FALSE(absl::StartsWith(line, "user"));
}

// Two clusters meet by one join.
TEST(MergeTest, TwoClustersBecomeOne) {
  World world(3);
  std::vector<NodeId> nodes;
  for (int i = 0; i < 6; ++i) nodes.push_back(world.Add(absl::StrCat("n", i)));
  for (const int i : {1, 2}) world.Join(nodes[i], {nodes[0]});
  for (const int i : {4, 5}) world.Join(nodes[i], {nodes[3]});
  world.RunFor(seconds(10));
  EXPECT_EQ(world.serf(nodes[1]).member_count(), 3u);
  world.Join(nodes[4], {nodes[2]});
  EXPECT_TRUE(world.RunUntil(
      [&] {
        for (const NodeId node : nodes) {
          if (world.serf(node).member_count() != 6) return false;
        }
        return true;
      },
      seconds(40)));
}

}  // namespace
}  // namespace serf
