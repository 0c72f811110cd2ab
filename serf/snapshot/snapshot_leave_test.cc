// The leave in the Snapshot of a disk that fails: when it is recorded, and what is reported.

#include <chrono>
#include <cstddef>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "serf/base/time.h"
#include "serf/event.h"
#include "serf/snapshot/snapshot.h"
#include "serf/snapshot_op.h"
#include "serf/testing/node/line_logger.h"
#include "serf/testing/node/snapshot_fixture.h"
#include "serf/wire/ids.h"

namespace serf {
namespace {

using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using testkit::Event1;
using testkit::kStart;
using testkit::ReadAll;
using testkit::Writer;
using wire::LamportTime;

// Go Serf's writer stops in that state, and a node that left comes back after a restart.
TEST(SnapshotLeaveTest, ALeaveIsRecordedAlthoughTheFileLacksLines) {
  Writer writer;
  writer->OnMemberEvent(Event1(MemberEventKind::kJoin, "a"));
  writer.FlushAndWork(kStart);
  writer->OnMemberEvent(Event1(MemberEventKind::kJoin, "b"));
  writer.Flush(kStart + seconds(1));
  writer.Work(kStart + seconds(1), absl::ResourceExhaustedError("full"));
  writer.Flush(kStart + seconds(1));
  writer.WorkWithoutReplacing(kStart + seconds(1), absl::ResourceExhaustedError("full"));
  ASSERT_TRUE(writer->behind());
  writer->OnLeave();
  EXPECT_FALSE(writer->leave_settled());
  EXPECT_TRUE(absl::IsDeadlineExceeded(writer->LeaveStatus()));
  EXPECT_TRUE(writer.Flush(kStart + seconds(2)));
  writer.WorkWithoutReplacing(kStart + seconds(2), absl::ResourceExhaustedError("full"));
  EXPECT_TRUE(writer->leave_settled());
  EXPECT_TRUE(writer->LeaveStatus().ok());
  EXPECT_TRUE(absl::EndsWith(writer.file, "leave\n"));
  EXPECT_THAT(ReadAll(writer.file).alive, IsEmpty());
}

TEST(SnapshotLeaveTest, ALeaveThatCannotBeRecordedIsAnError) {
  testkit::LineLogger log;
  Writer writer({}, &log);
  writer->OnMemberEvent(Event1(MemberEventKind::kJoin, "a"));
  writer.FlushAndWork(kStart);
  writer->OnLeave();
  const absl::Status full = absl::ResourceExhaustedError("write x: no space left on device");
  EXPECT_TRUE(writer.Flush(kStart + seconds(1)));
  writer.Work(kStart + seconds(1), full);
  EXPECT_FALSE(writer->leave_settled()) << "there is another way";
  EXPECT_TRUE(writer.Flush(kStart + seconds(1)));
  writer.Work(kStart + seconds(1), full);
  EXPECT_TRUE(writer->leave_settled());
  EXPECT_EQ(writer->LeaveStatus().message(),
            "left the cluster, but failed to record it in the snapshot: write x: no space left on "
            "device");
  EXPECT_THAT(
      log.lines(),
      ElementsAre("[ERR] serf: failed to flush leave to snapshot: write x: no space left on device",
                  "[INFO] serf: Attempting compaction to recover from error...",
                  "[ERR] serf: Compaction failed, will reattempt after 30s: write x: no space left "
                  "on device"));
  log.Clear();
  // The snapshot tries again until the process ends: each second whether there is room, and every
  // 30 seconds the whole file.
  for (int i = 2; i < 30; ++i) {
    EXPECT_TRUE(writer.Flush(kStart + seconds(i)));
    EXPECT_TRUE(writer->leave_settled());
    writer.Work(kStart + seconds(i), full);
    EXPECT_TRUE(writer->leave_settled());
  }
  EXPECT_THAT(log.lines(), IsEmpty()) << "and no whole file";
  EXPECT_TRUE(writer.Flush(kStart + seconds(31)));
  writer.Work(kStart + seconds(31));
  EXPECT_TRUE(writer->LeaveStatus().ok());
  EXPECT_THAT(ReadAll(writer.file).alive, IsEmpty());
}

// An append after the one that failed does not have the leave.
TEST(SnapshotLeaveTest, AClockBehindALeaveThatFailedRecordsNoLeave) {
  const absl::Status broken = absl::DataLossError("broken");
  Writer writer;
  writer->OnMemberEvent(Event1(MemberEventKind::kJoin, "a"));
  writer.FlushAndWork(kStart);
  writer->OnLeave();
  EXPECT_TRUE(writer.Flush(kStart + seconds(1)));
  writer.Work(kStart + seconds(1), broken);
  writer->OnClock(LamportTime(8));
  std::vector<SnapshotOp> ops;
  writer->Flush(kStart + seconds(2), ops);
  ASSERT_EQ(ops.size(), 2u);
  EXPECT_EQ(ops[0].text, "clock: 7\n");
  EXPECT_EQ(ops[1].kind, SnapshotOp::Kind::kReplace);
  writer->OnDone(kStart + seconds(2), absl::OkStatus());
  EXPECT_FALSE(writer->leave_settled());
  writer->OnDone(kStart + seconds(2), broken);
  EXPECT_TRUE(absl::IsDataLoss(writer->LeaveStatus()));
  writer->OnClock(LamportTime(9));
  EXPECT_TRUE(writer.Flush(kStart + seconds(3)));
  writer.Work(kStart + seconds(3));
  EXPECT_TRUE(absl::IsDataLoss(writer->LeaveStatus()));
  EXPECT_TRUE(writer.Flush(kStart + seconds(32)));
  writer.Work(kStart + seconds(32));
  EXPECT_TRUE(writer->LeaveStatus().ok());
  EXPECT_THAT(ReadAll(writer.file).alive, IsEmpty());
}

// The next append writes what the driver keeps, until another error makes the driver drop it.
TEST(SnapshotLeaveTest, ALeaveThatTheDriverKeepsIsRecordedByTheNextAppend) {
  const absl::Status full = absl::ResourceExhaustedError("full");
  for (const bool dropped : {false, true}) {
    SCOPED_TRACE(dropped);
    Writer writer;
    writer->OnMemberEvent(Event1(MemberEventKind::kJoin, "a"));
    writer.FlushAndWork(kStart);
    writer->OnLeave();
    for (int i = 1; i < 4; ++i) {
      writer.Flush(kStart + seconds(i));
      writer.Work(kStart + seconds(i), full);
    }
    EXPECT_FALSE(writer->LeaveStatus().ok());
    writer->OnClock(LamportTime(8));
    writer.Flush(kStart + seconds(4));
    writer.Work(kStart + seconds(4), dropped ? absl::DataLossError("full of it") : full);
    writer->OnClock(LamportTime(9));
    writer.Flush(kStart + seconds(5));
    writer.Work(kStart + seconds(5));
    EXPECT_EQ(writer.replaced, 0);
    EXPECT_EQ(writer->LeaveStatus().ok(), !dropped);
    EXPECT_EQ(ReadAll(writer.file).alive.empty(), !dropped);
  }
}

// A disk that stood still too long made the snapshot drop the leave with other lines.
TEST(SnapshotLeaveTest, ALeaveThatWasDroppedIsRecordedByTheWholeFile) {
  Writer writer;
  Instant now = kStart;
  for (std::size_t i = 0; i < Snapshot::kOpsUnderWayMax; ++i, now += Snapshot::kFlushInterval) {
    writer->OnMemberEvent(Event1(MemberEventKind::kJoin, "a"));
    ASSERT_TRUE(writer.Flush(now));
  }
  for (std::size_t i = 0; i < Snapshot::kPendingMax / 20; ++i) {
    writer->OnMemberEvent(Event1(MemberEventKind::kJoin, "a"));
  }
  writer->OnLeave();
  EXPECT_FALSE(writer.Flush(now));
  writer.Work(now);
  writer->OnClock(LamportTime(8));
  std::vector<SnapshotOp> ops;
  writer->Flush(now, ops);
  ASSERT_EQ(ops.size(), 2u);
  writer->OnDone(now, absl::OkStatus());
  EXPECT_FALSE(writer->leave_settled());
  writer->OnDone(now, absl::OkStatus());
  EXPECT_TRUE(writer->leave_settled());
  EXPECT_TRUE(writer->LeaveStatus().ok());
}

}  // namespace
}  // namespace serf
