#include "serf/reconnect/reconnector.h"

#include <cstddef>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "serf/serf_state.h"
#include "serf/snapshot_state.h"
#include "serf/testing/node/serf_part.h"

namespace serf {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::Ge;
using ::testing::IsEmpty;
using ::testing::Lt;
using ::testing::SizeIs;
using ::testing::UnorderedElementsAre;

Endpoint At(absl::string_view name) { return testkit::Peers::EndpointOf(name); }

class ReconnectorTest : public ::testing::Test, protected testkit::SerfPart {
 protected:
  // Reports the changes to the reconnector, as the machine does.
  void HandEvents() {
    members_.events().Drain(
        [&](const MemberEvent& event) { reconnector_.OnMemberEvent(now_, event); });
  }
  void Fail(const std::vector<std::string>& names) {
    AddPeers(names);
    for (const std::string& name : names) KillPeer(name);
    HandEvents();
  }
  // The addresses that it dials now; the attempts stay under way.
  std::vector<Endpoint> Ask() {
    std::vector<Endpoint> asked;
    while (const std::optional<Reconnector::Attempt> attempt = reconnector_.Next(now_)) {
      EXPECT_EQ(attempt->target.text, attempt->target.endpoint.ToString());
      asked.push_back(attempt->target.endpoint);
      const swim::JoinId join(++joins_);
      reconnector_.OnBegun(join, *attempt);
      under_way_.push_back(join);
    }
    return asked;
  }
  // The same at its next deadline.
  std::vector<Endpoint> AskNext() {
    now_ = reconnector_.NextDeadline();
    return Ask();
  }
  Reconnector::Ended EndFirst(bool contacted) {
    const swim::JoinId token = under_way_.front();
    under_way_.erase(under_way_.begin());
    return reconnector_.OnDone(now_, token, contacted);
  }
  void EndAll(bool contacted = false) {
    while (!under_way_.empty()) EndFirst(contacted);
  }
  Duration Wait() const { return reconnector_.NextDeadline() - now_; }
  // A pause of so long, jittered by an eighth.
  static auto About(Duration pause) { return AllOf(Ge(pause - pause / 8), Lt(pause + pause / 8)); }

  Reconnector reconnector_{context_, members_};
  std::vector<swim::JoinId> under_way_;
  std::uint64_t joins_ = 100;
};

using Ended = Reconnector::Ended;

// --- failed members ---

TEST_F(ReconnectorTest, WhoFailedIsAskedSoonAndWhoLeftIsNot) {
  EXPECT_EQ(reconnector_.NextDeadline(), kNever);
  AddPeers({"left", "alive"});
  PeerLeaves("left");
  HandEvents();
  EXPECT_EQ(reconnector_.NextDeadline(), kNever);
  Fail({"failed"});
  KillPeer("alive");  // so that nobody shares the work
  HandEvents();
  EXPECT_THAT(Wait(), About(config_.reconnect_interval / ReconnectPace::kFirst));
  EXPECT_THAT(Ask(), IsEmpty());
  EXPECT_THAT(AskNext(), UnorderedElementsAre(At("failed"), At("alive")));
}

// To list all members of a large part that failed takes long. The reconnector dials each member
// once before it dials any a second time.
TEST_F(ReconnectorTest, OfManySomeAreListedAtOnce) {
  constexpr std::size_t kFailed = Reconnector::kTurnMax + 500;
  std::set<Endpoint> first, all;
  std::vector<std::string> names;
  for (int i = 100'000; all.size() < kFailed; ++i) {
    const std::string name = absl::StrCat("m", i);
    if (!all.insert(At(name)).second) continue;
    names.push_back(name);
    if (names.size() == Reconnector::kTurnMax) first = all;
  }
  Fail(names);
  std::set<Endpoint> asked;
  std::size_t attempts = 0;
  while (attempts < kFailed) {
    const std::vector<Endpoint> now = AskNext();
    attempts += now.size();
    asked.insert(now.begin(), now.end());
    EXPECT_EQ(asked.size(), attempts);
    // A turn dials only members that are listed.
    if (attempts == Reconnector::kTurnMax) EXPECT_EQ(asked, first);
    EndAll();
  }
  EXPECT_EQ(asked, all);
}

TEST_F(ReconnectorTest, PausesDoubleUpToAQuarterOfTheInterval) {
  Fail({"a"});
  for (const int part : {32, 16, 8, 4, 4, 4}) {
    EXPECT_THAT(Wait(), About(config_.reconnect_interval / part)) << part;
    EXPECT_THAT(AskNext(), ElementsAre(At("a"))) << part;
    EndAll();
  }
}

TEST_F(ReconnectorTest, WhoIsBeingAskedIsNotAskedAgain) {
  Fail({"a"});
  AskNext();
  EXPECT_THAT(AskNext(), IsEmpty());
  EXPECT_EQ(EndFirst(/*contacted=*/false), Ended::kReconnect);
  EXPECT_THAT(AskNext(), ElementsAre(At("a")));
}

TEST_F(ReconnectorTest, AttemptsUnderWayAreBounded) {
  std::vector<std::string> names;
  for (int i = 0; i < 20; ++i) names.push_back(absl::StrCat("n", i));
  Fail(names);
  std::set<Endpoint> asked;
  for (int turn = 0; turn < 5; ++turn) {
    const std::vector<Endpoint> now = AskNext();
    EXPECT_LE(now.size(), kReconnectsPerTurn);
    asked.insert(now.begin(), now.end());
  }
  EXPECT_THAT(under_way_, SizeIs(Reconnector::kUnderWayMax));
  EXPECT_THAT(asked, SizeIs(Reconnector::kUnderWayMax));  // each once
  EndFirst(/*contacted=*/false);
  EXPECT_THAT(AskNext(), SizeIs(1));
}

TEST_F(ReconnectorTest, EachIsTriedBeforeOneIsTriedAgain) {
  const std::vector<std::string> names = {"a", "b", "c", "d", "e", "f"};
  Fail(names);
  std::vector<Endpoint> asked;
  while (asked.size() < 2 * names.size()) {
    for (const Endpoint& endpoint : AskNext()) asked.push_back(endpoint);
    EndAll();
  }
  EXPECT_EQ(std::set<Endpoint>(asked.begin(), asked.begin() + 6).size(), names.size());
}

TEST_F(ReconnectorTest, OneThatAnswersHurriesTheOthersButNotEveryTime) {
  Fail({"a", "b"});
  for (int turn = 0; turn < 8; ++turn) {
    AskNext();
    EndAll();
  }
  AskNext();
  EXPECT_THAT(Wait(), About(config_.reconnect_interval / 4));
  EndFirst(/*contacted=*/true);
  EXPECT_LT(Wait(), config_.reconnect_interval / 16);
  // Within the interval a failure neither delays nor hurries what is due.
  const Instant before = reconnector_.NextDeadline();
  EndFirst(/*contacted=*/true);
  EXPECT_EQ(reconnector_.NextDeadline(), before);
}

TEST_F(ReconnectorTest, WhenNobodyIsFailedAnyMoreItRests) {
  Fail({"a"});
  AddPeer("a");
  HandEvents();
  EXPECT_THAT(AskNext(), IsEmpty());
  EXPECT_EQ(reconnector_.NextDeadline(), kNever);
}

// --- tokens ---

TEST_F(ReconnectorTest, ItsJoinsAreToldFromThoseOfTheApplication) {
  Fail({"a"});
  AskNext();
  EXPECT_EQ(reconnector_.OnDone(now_, swim::JoinId(1), true), Ended::kOther);
  const swim::JoinId token = under_way_.front();
  EXPECT_EQ(EndFirst(true), Ended::kReconnect);
  EXPECT_EQ(reconnector_.OnDone(now_, token, true), Ended::kOther);  // once
  AskNext();
  EXPECT_NE(under_way_.front(), token);
}

// --- seeds ---

TEST_F(ReconnectorTest, ASeedIsAskedWhileNobodyIsKnownThereEverMoreSeldom) {
  reconnector_.AddSeeds(now_, {At("a")});
  EXPECT_EQ(Wait(), config_.reconnect_interval);
  for (const int times : {2, 4, 8, 16, 16}) {
    EXPECT_THAT(AskNext(), ElementsAre(At("a")));
    EndAll();
    EXPECT_THAT(Wait(), About(times * config_.reconnect_interval)) << times;
  }
  AddPeer("a");
  EXPECT_THAT(AskNext(), IsEmpty());
  EXPECT_THAT(Wait(), About(config_.reconnect_interval));
}

TEST_F(ReconnectorTest, SeedsAreAskedOneByOneInTurn) {
  reconnector_.AddSeeds(now_, {At("a"), At("b")});
  std::vector<Endpoint> asked;
  for (int i = 0; i < 4; ++i) {
    const std::vector<Endpoint> now = AskNext();
    ASSERT_THAT(now, SizeIs(1));
    asked.push_back(now[0]);
    EndAll();
  }
  EXPECT_NE(asked[0], asked[1]);
  EXPECT_EQ(asked[0], asked[2]);
  EXPECT_EQ(asked[1], asked[3]);
}

TEST_F(ReconnectorTest, ThisNodeIsNoSeedNorIsWhoLeft) {
  reconnector_.AddSeeds(now_, {config_.swim.advertise});
  EXPECT_EQ(reconnector_.NextDeadline(), kNever);
  AddPeer("a");
  HandEvents();
  reconnector_.AddSeeds(now_, {At("a")});
  PeerLeaves("a");
  HandEvents();
  EXPECT_THAT(AskNext(), IsEmpty());
  EXPECT_EQ(reconnector_.NextDeadline(), kNever);
}

// --- the life before ---

class RejoiningReconnectorTest : public ReconnectorTest {
 protected:
  RejoiningReconnectorTest() {
    SnapshotState state;
    state.alive = {{"a", At("a").ToString()}, {"self", "10.0.0.1:7946"}};
    state.failed = {{"b", At("b").ToString()}};
    reconnector_.Remember(state);
    reconnector_.Start(now_);
  }
};

TEST_F(RejoiningReconnectorTest, TheNodesOfTheLifeBeforeAreAskedAtOnceUntilOneAnswers) {
  EXPECT_EQ(reconnector_.NextDeadline(), now_);
  EXPECT_THAT(Ask(), ElementsAre(At("a")));
  EXPECT_EQ(reconnector_.NextDeadline(), kNever);
  EXPECT_EQ(EndFirst(/*contacted=*/false), Ended::kRejoin);
  EXPECT_EQ(reconnector_.NextDeadline(), now_);
  EXPECT_THAT(Ask(), ElementsAre(At("b")));
  EXPECT_EQ(EndFirst(/*contacted=*/true), Ended::kRejoin);
  EXPECT_THAT(Wait(), About(config_.reconnect_interval / ReconnectPace::kFirst));
}

TEST_F(RejoiningReconnectorTest, WhoIsAMemberByNowIsNotAskedAgain) {
  Ask();
  EndFirst(/*contacted=*/true);
  AddPeers({"a", "b"});
  HandEvents();
  EXPECT_THAT(AskNext(), IsEmpty());
  EXPECT_EQ(reconnector_.NextDeadline(), kNever);
}

TEST_F(RejoiningReconnectorTest, TheyComeBeforeSeedsAndTheseBeforeTheFailed) {
  reconnector_.AddSeeds(now_, {At("seed")});
  Fail({"failed"});
  Pass(config_.reconnect_interval);
  EXPECT_THAT(Ask(), ElementsAre(At("a"), At("seed"), At("failed")));
}

// --- the end ---

TEST_F(RejoiningReconnectorTest, OnceToldToLeaveItAsksNobody) {
  reconnector_.AddSeeds(now_, {At("seed")});
  Fail({"failed"});
  Pass(config_.reconnect_interval);
  context_.state = SerfState::kLeaving;
  EXPECT_THAT(Ask(), IsEmpty());
  EXPECT_EQ(reconnector_.NextDeadline(), kNever);
}

}  // namespace
}  // namespace serf
