#include "serf/swim/probe.h"

#include <chrono>

#include "gtest/gtest.h"

namespace serf::swim {
namespace {

using std::chrono::milliseconds;
using wire::SequenceNumber;

constexpr SequenceNumber kSeq(7);
constexpr SequenceNumber kOther(8);
constexpr Instant kStart{std::chrono::hours(1)};

Probe Started() {
  Probe probe;
  probe.Start(kStart, kSeq, milliseconds(500), milliseconds(1000));
  return probe;
}

Probe AskingHelpers(int nacks_wanted) {
  Probe probe = Started();
  EXPECT_EQ(probe.OnTimer(kStart + milliseconds(500)), Probe::Step::kAskHelpers);
  probe.HelpersAsked(nacks_wanted);
  return probe;
}

TEST(ProbeTest, IdleProbeKnowsNothing) {
  Probe probe;
  EXPECT_FALSE(probe.running());
  EXPECT_EQ(probe.deadline(), kNever);
  EXPECT_EQ(probe.OnTimer(kStart), Probe::Step::kNothing);
  EXPECT_FALSE(probe.OnAck(kStart, SequenceNumber(0)).ended);
  EXPECT_FALSE(probe.OnNack(SequenceNumber(0)));
  EXPECT_FALSE(probe.OnSendFailed());
}

TEST(ProbeTest, DirectAckEndsWithRoundTrip) {
  Probe probe = Started();
  EXPECT_EQ(probe.deadline(), kStart + milliseconds(500));
  EXPECT_FALSE(probe.OnAck(kStart + milliseconds(3), kOther).ended);
  EXPECT_TRUE(probe.running());
  const Probe::Ack ack = probe.OnAck(kStart + milliseconds(3), kSeq);
  EXPECT_TRUE(ack.ended);
  EXPECT_EQ(ack.round_trip, milliseconds(3));
  EXPECT_FALSE(probe.running());
  EXPECT_EQ(probe.verdict(), Probe::Verdict::kAcknowledged);
  EXPECT_EQ(probe.health_delta(), -1);
  // The first one wins.
  EXPECT_FALSE(probe.OnAck(kStart + milliseconds(4), kSeq).ended);
}

TEST(ProbeTest, LateAckCountsWithoutRoundTrip) {
  Probe probe = AskingHelpers(3);
  const Probe::Ack ack = probe.OnAck(kStart + milliseconds(700), kSeq);
  EXPECT_TRUE(ack.ended);
  EXPECT_EQ(ack.round_trip, std::nullopt);
  EXPECT_EQ(probe.health_delta(), -1);
}

TEST(ProbeTest, TimerBeforeItsTimeDoesNothing) {
  Probe probe = Started();
  EXPECT_EQ(probe.OnTimer(kStart + milliseconds(499)), Probe::Step::kNothing);
  EXPECT_EQ(probe.OnTimer(kStart + milliseconds(500)), Probe::Step::kAskHelpers);
  EXPECT_EQ(probe.deadline(), kStart + milliseconds(1000));
  EXPECT_EQ(probe.OnTimer(kStart + milliseconds(999)), Probe::Step::kNothing);
  EXPECT_EQ(probe.OnTimer(kStart + milliseconds(1000)), Probe::Step::kEnd);
  EXPECT_EQ(probe.verdict(), Probe::Verdict::kNoContact);
}

TEST(ProbeTest, TimeoutLongerThanIntervalIsCut) {
  Probe probe;
  probe.Start(kStart, kSeq, milliseconds(3000), milliseconds(1000));
  EXPECT_EQ(probe.OnTimer(kStart + milliseconds(1000)), Probe::Step::kAskHelpers);
  probe.HelpersAsked(0);
  EXPECT_EQ(probe.OnTimer(kStart + milliseconds(1000)), Probe::Step::kEnd);
}

// The table of docs/protocol/membership.md 5.2.
TEST(ProbeTest, HealthDeltaWhenNobodyAnswers) {
  const struct {
    int wanted;
    int received;
    int delta;
  } rows[] = {{0, 0, 1}, {0, 2, 1}, {3, 0, 3}, {3, 1, 2}, {3, 3, 0}, {3, 5, 0}};
  for (const auto& row : rows) {
    Probe probe = AskingHelpers(row.wanted);
    EXPECT_FALSE(probe.OnNack(kOther));
    for (int i = 0; i < row.received; ++i) EXPECT_TRUE(probe.OnNack(kSeq));
    EXPECT_EQ(probe.OnTimer(kStart + milliseconds(1000)), Probe::Step::kEnd);
    EXPECT_EQ(probe.health_delta(), row.delta) << row.wanted << " " << row.received;
  }
}

TEST(ProbeTest, TcpContactCountsAtTheEnd) {
  Probe probe = AskingHelpers(3);
  probe.OnTcpContact(kOther);
  probe.OnTcpContact(kSeq);
  EXPECT_TRUE(probe.running());
  EXPECT_EQ(probe.OnTimer(kStart + milliseconds(1000)), Probe::Step::kEnd);
  EXPECT_EQ(probe.verdict(), Probe::Verdict::kTcpContact);
  EXPECT_EQ(probe.health_delta(), -1);
}

TEST(ProbeTest, TcpContactOfAnotherProbeDoesNotCount) {
  Probe probe = AskingHelpers(0);
  probe.OnTcpContact(kOther);
  EXPECT_EQ(probe.OnTimer(kStart + milliseconds(1000)), Probe::Step::kEnd);
  EXPECT_EQ(probe.verdict(), Probe::Verdict::kNoContact);
}

TEST(ProbeTest, RefusedPingAsksHelpersAtOnceAndEarnsNothing) {
  Probe probe = Started();
  EXPECT_TRUE(probe.OnSendFailed());
  EXPECT_FALSE(probe.OnSendFailed());
  probe.HelpersAsked(2);
  EXPECT_EQ(probe.deadline(), kStart + milliseconds(1000));
  EXPECT_TRUE(probe.OnAck(kStart + milliseconds(100), kSeq).ended);
  EXPECT_EQ(probe.health_delta(), 0);

  probe.Start(kStart, kSeq, milliseconds(500), milliseconds(1000));
  EXPECT_TRUE(probe.OnSendFailed());
  probe.HelpersAsked(2);
  EXPECT_TRUE(probe.OnNack(kSeq));
  EXPECT_EQ(probe.OnTimer(kStart + milliseconds(1000)), Probe::Step::kEnd);
  EXPECT_EQ(probe.health_delta(), 1);
}

// The prober stood still for ten seconds: the answers get the rest of their time.
TEST(ProbeTest, WhoHeardNobodyWaitsLonger) {
  for (const bool direct : {true, false}) {
    Probe probe;
    probe.Start(kStart, kSeq, milliseconds(500), milliseconds(1000));
    if (!direct) EXPECT_EQ(probe.OnTimer(kStart + milliseconds(500)), Probe::Step::kAskHelpers);
    constexpr Duration kDeaf = std::chrono::seconds(10);
    probe.Postpone(kDeaf);
    EXPECT_EQ(probe.deadline(), kStart + kDeaf + milliseconds(direct ? 500 : 1000));
    EXPECT_EQ(probe.end(), kStart + kDeaf + milliseconds(1000));
    // Once only.
    probe.Postpone(kDeaf);
    EXPECT_EQ(probe.end(), kStart + kDeaf + milliseconds(1000));
    EXPECT_TRUE(probe.OnAck(probe.end(), kSeq).ended);
    probe.Postpone(kDeaf);
    EXPECT_EQ(probe.deadline(), kNever);
  }
}

TEST(ProbeTest, StartForgetsTheLastProbe) {
  Probe probe = AskingHelpers(3);
  EXPECT_TRUE(probe.OnNack(kSeq));
  probe.OnTcpContact(kSeq);
  probe.Stop();
  probe.Start(kStart, kOther, milliseconds(500), milliseconds(1000));
  EXPECT_EQ(probe.OnTimer(kStart + milliseconds(500)), Probe::Step::kAskHelpers);
  EXPECT_EQ(probe.OnTimer(kStart + milliseconds(1000)), Probe::Step::kEnd);
  EXPECT_EQ(probe.verdict(), Probe::Verdict::kNoContact);
  EXPECT_EQ(probe.health_delta(), 1);
}

}  // namespace
}  // namespace serf::swim
