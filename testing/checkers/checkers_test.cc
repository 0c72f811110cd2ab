// Tests the checkers: each finds the violations that it is for. The test reports to them by hand
// what nodes never do.

#include "serf/testing/checkers/checkers.h"

#include <chrono>
#include <string>

#include "absl/status/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "serf/config.h"
#include "serf/event.h"
#include "serf/member.h"
#include "serf/query.h"
#include "serf/snapshot_op.h"
#include "serf/snapshot_state.h"
#include "serf/testing/checkers/hearing_checker.h"
#include "serf/testing/checkers/listing_checker.h"
#include "serf/testing/checkers/query_checker.h"
#include "serf/testing/checkers/snapshot_checker.h"
#include "serf/testing/checkers/user_event_checker.h"
#include "serf/testing/sim/world.h"

namespace serf::testkit {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using wire::LamportTime;

class CheckersTest : public ::testing::Test {
 protected:
  CheckersTest() {
    Config config = Config::Lan();
    config.snapshot.emplace();
    config.swim.name = "a";
    a_ = world_.Add(config);
    config.swim.name = "b";
    b_ = world_.Add(config);
    world_.Join(b_, {a_});
    world_.RunFor(seconds(5));
    EXPECT_THAT(violations_.list(), IsEmpty());
  }
  void Tell(NodeId node, std::uint64_t time, const std::string& payload) {
    events_.OnEvent(node, UserEvent{LamportTime(time), "e", payload, false});
  }
  // Reports a member event about b to a.
  void TellMember(MemberEventKind kind) {
    MemberEvent event{kind, {}};
    event.members.emplace_back().name = "b";
    members_.OnEvent(a_, event);
  }
  void Update(QueryId query, QueryUpdate::Kind kind, const std::string& from = "") {
    queries_.OnQueryUpdate(a_, {query, kind, from, AnswerText(from, query)});
  }
  QueryId Ask(const QueryParams& params) {
    const QueryId query{LamportTime(50), 7};
    queries_.OnQuerySent(a_, query, params);
    return query;
  }

  World world_{1};
  Violations violations_{world_};
  EventChecker members_{world_, violations_};
  UserEventChecker events_{world_, violations_};
  QueryChecker queries_{world_, violations_};
  SnapshotChecker snapshots_{world_, violations_};
  ListingChecker listings_{world_, violations_};
  NodeId a_;
  NodeId b_;
};

TEST_F(CheckersTest, ALivingMemberThatIsSaidToBeGone) {
  TellMember(MemberEventKind::kLeave);
  TellMember(MemberEventKind::kJoin);
  EXPECT_THAT(violations_.list(), IsEmpty()) << "it has just started";
  world_.RunFor(minutes(2));
  TellMember(MemberEventKind::kLeave);
  TellMember(MemberEventKind::kJoin);
  TellMember(MemberEventKind::kFailed);
  // An operator may do this to a failed member.
  TellMember(MemberEventKind::kLeave);
  EXPECT_THAT(violations_.list(), ElementsAre(HasSubstr("a was told that b left, which lives"),
                                              HasSubstr("a was told that b failed, which lives")));
  EXPECT_EQ(members_.false_leaves(), 2u);
  EXPECT_EQ(members_.false_failures(), 1u);
}

TEST_F(CheckersTest, AListingThatChangesWithoutItsVersion) {
  EXPECT_GT(listings_.changes(), 0u);
  listings_.OnListing(a_, 1'000'000, "a alive\n");
  listings_.OnListing(b_, 1'000'000, "a leaving\n");
  listings_.OnListing(a_, 1'000'001, "a leaving\n");
  EXPECT_THAT(violations_.list(), IsEmpty());
  listings_.OnListing(a_, 1'000'001, "a left\n");
  EXPECT_THAT(violations_.list(),
              ElementsAre(HasSubstr("a lists other members at the same version 1000001")));
}

TEST_F(CheckersTest, ALeaveThatIsToldAsAFailure) {
  world_.RunFor(minutes(2));
  world_.Leave(b_);
  world_.RunFor(seconds(10));
  EXPECT_THAT(violations_.list(), IsEmpty());
  TellMember(MemberEventKind::kJoin);
  TellMember(MemberEventKind::kFailed);
  EXPECT_THAT(violations_.list(), ElementsAre(HasSubstr("a was told that b failed, which left")));
}

TEST_F(CheckersTest, AnEventToldTwice) {
  ASSERT_TRUE(world_.SendUserEvent(a_, "e", "x", {}).ok());
  world_.RunFor(seconds(5));
  EXPECT_THAT(violations_.list(), IsEmpty());
  EXPECT_EQ(events_.Missing(), "");
  Tell(b_, 1, "x");
  EXPECT_THAT(violations_.list(), ElementsAre(HasSubstr("b was told the event x of time 1 twice")));
}

TEST_F(CheckersTest, AnEventThatNobodySentOrOfAnotherTime) {
  Tell(b_, 1, "x");
  ASSERT_TRUE(world_.SendUserEvent(a_, "e", "y", {}).ok());
  Tell(b_, 9, "y");
  EXPECT_THAT(violations_.list(),
              ElementsAre(HasSubstr("which nobody sent"), HasSubstr("which has the time 1")));
}

TEST_F(CheckersTest, EventsOfOneInputOutOfOrder) {
  ASSERT_TRUE(world_.SendUserEvent(a_, "e", "x", {}).ok());
  ASSERT_TRUE(world_.SendUserEvent(a_, "e", "y", {}).ok());
  Tell(b_, 2, "y");
  Tell(b_, 1, "x");
  EXPECT_THAT(violations_.list(), ElementsAre(HasSubstr("after one of the same input")));
}

TEST_F(CheckersTest, AnEventThatOneMissed) {
  world_.links().Partition({{a_}, {b_}});
  ASSERT_TRUE(world_.SendUserEvent(a_, "e", "x", {}).ok());
  world_.RunFor(seconds(1));
  EXPECT_EQ(events_.Missing(), "b was never told the event x of time 1");
}

TEST_F(CheckersTest, AnEventThatTheFileSaysIsPast) {
  ASSERT_TRUE(world_.SendUserEvent(a_, "e", "x", {}).ok());
  world_.RunFor(seconds(5));
  world_.Crash(b_);
  world_.Restart(b_);
  EXPECT_THAT(violations_.list(), IsEmpty());
  Tell(b_, 1, "x");
  EXPECT_THAT(violations_.list(), ElementsAre(HasSubstr("but its file ends at 1")));
}

TEST_F(CheckersTest, WhoIsNotHeard) {
  HearingChecker hearing(world_);
  hearing.Speak(/*ask=*/true, seconds(5));
  EXPECT_EQ(hearing.Missing(), "b was not told the event of a") << "not yet";
  world_.RunFor(seconds(5));
  EXPECT_EQ(hearing.Missing(), "");
  world_.links().Partition({{a_}, {b_}});
  hearing.Speak(/*ask=*/true, seconds(5));
  world_.RunFor(seconds(1));
  EXPECT_EQ(hearing.Missing(), "b was not told the event of a");
  // A push/pull delivers events, but not queries.
  world_.links().Heal();
  world_.RunFor(minutes(2));
  EXPECT_EQ(hearing.Missing(), "b did not hear the question of a");
}

TEST_F(CheckersTest, AnswersThatNobodyAskedFor) {
  const QueryId query = Ask({.filter_nodes = {"b"}, .timeout = seconds(5)});
  Update(query, QueryUpdate::Kind::kResponse, "b");
  EXPECT_THAT(violations_.list(), IsEmpty());
  Update(query, QueryUpdate::Kind::kResponse, "b");
  Update(query, QueryUpdate::Kind::kAck, "b");
  Update(query, QueryUpdate::Kind::kResponse, "a");
  Update({LamportTime(99), 1}, QueryUpdate::Kind::kDone);
  EXPECT_THAT(violations_.list(),
              ElementsAre(HasSubstr("answered twice by b"), HasSubstr("acknowledgement unasked"),
                          HasSubstr("by a, whom it was not for"), HasSubstr("never asked")));
}

TEST_F(CheckersTest, AQueryThatEndsEarlyWithoutAll) {
  const QueryId query = Ask({.timeout = seconds(5), .finish_early = true});
  Update(query, QueryUpdate::Kind::kResponse, "a");
  Update(query, QueryUpdate::Kind::kDone);
  Update(query, QueryUpdate::Kind::kResponse, "b");
  EXPECT_THAT(violations_.list(), ElementsAre(HasSubstr("ended early without the answer of b"),
                                              HasSubstr("went on after its end")));
}

TEST_F(CheckersTest, AQueryThatLacksAnAnswerInCalmOrEndsLate) {
  const QueryId query = Ask({.timeout = milliseconds(5)});
  queries_.MustBeComplete(a_, query);
  world_.RunFor(milliseconds(6));
  Update(query, QueryUpdate::Kind::kResponse, "b");
  Update(query, QueryUpdate::Kind::kDone);
  EXPECT_THAT(violations_.list(),
              ElementsAre(HasSubstr("late"), HasSubstr("in calm without the answer of a")));
}

TEST_F(CheckersTest, AFileThatLostALine) {
  snapshots_.OnStop(b_);
  SnapshotState state;
  state.clock = LamportTime(1);
  snapshots_.OnRecovered(b_, state);
  EXPECT_THAT(violations_.list(),
              ElementsAre(HasSubstr("b recovered what was never in its file"),
                          HasSubstr("told member-join of a long before its end"),
                          HasSubstr("told member-join of b long before its end")));
}

TEST_F(CheckersTest, OfWhatWasUnderWaySomeWholeLinesMayBeThere) {
  world_.Crash(b_);
  world_.Restart(b_);
  const SnapshotState state = snapshots_.recovered(b_);
  const SnapshotOp op{SnapshotOp::Kind::kAppend, "event-clock: 5\nquery-clock: 6\n"};
  SnapshotState first = state;
  first.event_clock = LamportTime(5);
  snapshots_.OnSnapshotOp(b_, op);
  snapshots_.OnRecovered(b_, first);
  EXPECT_THAT(violations_.list(), IsEmpty());
  SnapshotState second = state;
  second.query_clock = LamportTime(6);
  snapshots_.OnSnapshotOp(b_, op);
  snapshots_.OnRecovered(b_, second);
  EXPECT_THAT(violations_.list(), ElementsAre(HasSubstr("recovered what was never in its file")));
}

TEST_F(CheckersTest, WhatAFullDiskDidNotTakeComesBeforeWhatFollows) {
  world_.Crash(b_);
  world_.Restart(b_);
  const SnapshotState state = snapshots_.recovered(b_);
  const auto append = [&](const char* line, const absl::Status& status) {
    snapshots_.OnSnapshotOp(b_, {SnapshotOp::Kind::kAppend, line});
    snapshots_.OnSnapshotDone(b_, status);
  };
  append("event-clock: 5\n", absl::ResourceExhaustedError("no space left on device"));
  append("query-clock: 6\n", absl::OkStatus());
  SnapshotState both = state;
  both.event_clock = LamportTime(5);
  both.query_clock = LamportTime(6);
  snapshots_.OnRecovered(b_, both);
  EXPECT_THAT(violations_.list(), IsEmpty());
  append("event-clock: 7\n", absl::ResourceExhaustedError("no space left on device"));
  append("query-clock: 8\n", absl::OkStatus());
  both.query_clock = LamportTime(8);
  snapshots_.OnRecovered(b_, both);
  EXPECT_THAT(violations_.list(), ElementsAre(HasSubstr("recovered what was never in its file")));
}

}  // namespace
}  // namespace serf::testkit
