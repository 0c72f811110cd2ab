// The leave in the Snapshot of a disk that fails: when it is recorded, and what is reported.

#include <chrono>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "serf/event.h"
#include "serf/snapshot/snapshot.h"
#include "serf/testing/node/line_logger.h"
#include "serf/testing/node/snapshot_fixture.h"

namespace serf {
namespace {

using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using testkit::Event1;
using testkit::kStart;
using testkit::ReadAll;
using testkit::Writer;

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
  // The snapshot tries again until the process ends.
  EXPECT_TRUE(writer.Flush(kStart + seconds(31)));
  writer.Work(kStart + seconds(31));
  EXPECT_TRUE(writer->LeaveStatus().ok());
  EXPECT_THAT(ReadAll(writer.file).alive, IsEmpty());
}

}  // namespace
}  // namespace serf
