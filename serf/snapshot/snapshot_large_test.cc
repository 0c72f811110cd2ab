// Snapshot: large files, whose text is built in portions.

#include <cstddef>
#include <cstdint>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "serf/base/time.h"
#include "serf/event.h"
#include "serf/snapshot/snapshot.h"
#include "serf/snapshot_state.h"
#include "serf/testing/node/snapshot_fixture.h"
#include "serf/wire/ids.h"

namespace serf {
namespace {

using ::testing::IsEmpty;
using testkit::Event1;
using testkit::ExpectSameNodesAndClocks;
using testkit::kStart;
using testkit::ReadAll;
using testkit::Writer;
using wire::LamportTime;

// A file that is due to be written anew, with this many nodes of each kind.
class LargeFileTest : public ::testing::Test {
 protected:
  static constexpr std::size_t kNodes = 10'000;

  LargeFileTest() : writer_(Before()) {}

  static SnapshotState Before() {
    SnapshotState state;
    for (std::size_t i = 0; i < kNodes; ++i) {
      state.alive[absl::StrCat("alive-", i)] = "10.0.0.1:7946";
      state.failed[absl::StrCat("failed-", i)] = "10.0.0.2:7946";
    }
    state.size = std::uint64_t{1} << 40;
    return state;
  }
  // The turns until the file was written anew; the disk does its part in between.
  std::size_t Settle() {
    std::size_t turns = 0;
    for (; writer_.replaced == 0 && turns < kNodes; ++turns) {
      // The work begins with any input.
      if (turns > 0) EXPECT_LE(writer_->NextDeadline(), now_);
      writer_.Flush(now_);
      writer_.Work(now_);
    }
    return turns;
  }
  // What happens to nodes that were written, and to others.
  void ChangeALot() {
    using enum MemberEventKind;
    writer_->OnMemberEvent(Event1(kLeave, "alive-0"));
    writer_->OnMemberEvent(Event1(kFailed, "alive-1"));
    writer_->OnMemberEvent(Event1(kFailed, "alive-9999"));
    writer_->OnMemberEvent(Event1(kJoin, "failed-0"));
    writer_->OnMemberEvent(Event1(kReap, "failed-9999"));
    writer_->OnMemberEvent(Event1(kJoin, "a new one"));
    writer_->OnMemberEvent(Event1(kJoin, "z new one"));
    writer_->OnMemberEvent(Event1(kLeave, "z new one"));
    writer_->OnMemberEvent(Event1(kUpdate, "alive-2", "10.0.0.9:1"));
    writer_->OnUserEvent(LamportTime(7));
    writer_->OnClock(LamportTime(9));
  }

  Writer writer_;
  Instant now_ = kStart;
};

TEST_F(LargeFileTest, IsPutTogetherInPortions) {
  // A line of 30 bytes costs some 60 of a portion's 262,144.
  const std::size_t turns = Settle();
  EXPECT_GE(turns, 2 * kNodes / 5000);
  EXPECT_LE(turns, 2 * kNodes / 1000);
  ExpectSameNodesAndClocks(ReadAll(writer_.file), writer_->state());
  EXPECT_EQ(writer_->state().size, writer_.file.size());
}

// In each turn, whether the lines about it are written before the end or after it.
TEST_F(LargeFileTest, WhatHappensMeanwhileIsInIt) {
  const std::size_t turns = Settle();
  for (const bool written : {false, true}) {
    for (std::size_t turn = 1; turn < turns; ++turn) {
      writer_ = Writer(Before());
      for (std::size_t i = 0; i < turn; ++i) writer_.Flush(now_);
      ASSERT_EQ(writer_.replaced, 0);
      ChangeALot();
      if (written) now_ += Snapshot::kFlushInterval;
      Settle();
      writer_.FlushAndWork(now_);
      const SnapshotState state = ReadAll(writer_.file);
      ExpectSameNodesAndClocks(state, writer_->state());
      EXPECT_EQ(state.alive.size(), kNodes - 1);  // three are gone, two are new
      EXPECT_EQ(writer_->state().size, writer_.file.size());
    }
  }
}

TEST_F(LargeFileTest, AppendsThatFailMeanwhileAreInIt) {
  writer_.Flush(now_);
  writer_.Flush(now_);
  ChangeALot();
  now_ += Snapshot::kFlushInterval;
  ASSERT_TRUE(writer_.Flush(now_));
  writer_.Work(now_, absl::UnavailableError("no"));
  Settle();
  EXPECT_FALSE(writer_->behind());
  ExpectSameNodesAndClocks(ReadAll(writer_.file), writer_->state());
}

TEST_F(LargeFileTest, ALeaveMeanwhileIsALeave) {
  writer_.Flush(now_);
  writer_.Flush(now_);
  ChangeALot();
  writer_->OnLeave();
  Settle();
  EXPECT_TRUE(writer_->leave_settled());
  EXPECT_THAT(ReadAll(writer_.file, false).alive, IsEmpty());
  ExpectSameNodesAndClocks(ReadAll(writer_.file, /*rejoin=*/true), writer_->state());
  EXPECT_EQ(writer_->state().event_clock, LamportTime(7));
}

// The end of the process does not wait for turns.
TEST_F(LargeFileTest, TheEndWritesAllOfIt) {
  writer_.Flush(now_);
  ChangeALot();
  writer_.FlushAndWork(now_);
  EXPECT_EQ(writer_.replaced, 1);
  ExpectSameNodesAndClocks(ReadAll(writer_.file), writer_->state());
}

// A disk that does not answer takes no more operations, so there are no turns for nothing.
TEST(SnapshotTest, TheWholeFileWaitsForTheDisk) {
  SnapshotState before;
  for (std::size_t i = 0; i < 100'000; ++i) before.alive[absl::StrCat("n", i)] = "10.0.0.1:7946";
  before.size = std::uint64_t{1} << 40;
  Writer writer(before);
  Instant now = kStart;
  writer.Flush(now);
  for (std::uint64_t i = 1; i <= Snapshot::kOpsUnderWayMax; ++i) {
    EXPECT_LE(writer->NextDeadline(), now);
    writer->OnUserEvent(LamportTime(i));
    now += Snapshot::kFlushInterval;
    writer.Flush(now);
  }
  EXPECT_GT(writer->NextDeadline(), now);
  writer.Work(now);
  while (writer.replaced == 0) {
    ASSERT_LE(writer->NextDeadline(), now);
    writer.Flush(now);
    writer.Work(now);
  }
  ExpectSameNodesAndClocks(ReadAll(writer.file), writer->state());
}

}  // namespace
}  // namespace serf
