// Snapshot and SnapshotReader: files of Go Serf in both directions, hostile and torn files, when
// lines are written, and recovery from a disk that fails. snapshot_leave_test.cc has the leave on
// such a disk.

#include "serf/snapshot/snapshot.h"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <fstream>
#include <iterator>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "serf/snapshot/snapshot_reader.h"
#include "serf/snapshot_state.h"
#include "serf/testing/node/line_logger.h"
#include "serf/testing/node/snapshot_fixture.h"
#include "serf/testing/vectors/vectors.h"

namespace serf {
namespace {

using nlohmann::json;
using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;
using testkit::Event1;
using testkit::ExpectSameNodesAndClocks;
using testkit::kStart;
using testkit::MakeMember;
using testkit::ReadAll;
using testkit::Writer;
using wire::LamportTime;

std::string LoadSnapshot(absl::string_view name) {
  std::ifstream in(serf::testkit::DataPath(absl::StrCat("testing/vectors/snapshots/", name)));
  EXPECT_TRUE(in) << name;
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

// --- reading ---

TEST(SnapshotReaderTest, VectorsAreRecoveredAsByTheOriginal) {
  const json expected = serf::testkit::LoadVectors("snapshots/expected.json");
  int files = 0;
  for (const auto& [file, want] : expected.items()) {
    if (file == "_about") continue;
    ++files;
    const std::string text = LoadSnapshot(file);
    for (const bool rejoin : {false, true}) {
      // In pieces of any size.
      for (const std::size_t piece : {std::size_t{1}, std::size_t{7}, std::size_t{1 << 20}}) {
        SCOPED_TRACE(absl::StrCat(file, " ", rejoin, " ", piece));
        const json& state = want[rejoin ? "rejoin_after_leave_true" : "rejoin_after_leave_false"];
        testkit::LineLogger log;
        const SnapshotState got = ReadAll(text, rejoin, &log, piece);
        std::map<std::string, std::string> alive(got.alive.begin(), got.alive.end());
        EXPECT_EQ(alive, (state["alive_nodes"].get<std::map<std::string, std::string>>()));
        EXPECT_EQ(got.clock.value(), state["clock"].get<std::uint64_t>());
        EXPECT_EQ(got.event_clock.value(), state["event_clock"].get<std::uint64_t>());
        EXPECT_EQ(got.query_clock.value(), state["query_clock"].get<std::uint64_t>());
        EXPECT_EQ(log.lines(), state["log_lines"].get<std::vector<std::string>>());
        EXPECT_THAT(got.failed, IsEmpty());
        EXPECT_EQ(got.size, text.rfind('\n') + 1);
      }
    }
  }
  EXPECT_EQ(files, 11);
}

TEST(SnapshotReaderTest, FailedNodes) {
  const SnapshotState state = ReadAll(
      "alive: a 10.0.0.1:1\nalive: b 10.0.0.2:1\nalive: c 10.0.0.3:1\n"
      "not-alive: a\n# failed: a 10.0.0.1:1\n"
      "not-alive: b\n# failed: b 10.0.0.2:1\nnot-alive: b\n"
      "# failed: c 10.0.0.3:2\nalive: c 10.0.0.3:3\n# failed: nonsense\n# failed: \n# failed:x "
      "y\n");
  EXPECT_THAT(state.alive, ElementsAre(Pair("c", "10.0.0.3:3")));
  EXPECT_THAT(state.failed, ElementsAre(Pair("a", "10.0.0.1:1")));
  EXPECT_THAT(ReadAll("# failed: a 10.0.0.1:1\nleave\n").failed, IsEmpty());
  EXPECT_THAT(ReadAll("# failed: a 10.0.0.1:1\nleave\n", true).failed,
              ElementsAre(Pair("a", "10.0.0.1:1")));
}

TEST(SnapshotReaderTest, LongLinesAreSkipped) {
  const std::string longest =
      absl::StrCat("alive: ", std::string(kSnapshotLineMax - 19, 'x'), " 10.0.0.1:1\n");
  ASSERT_EQ(longest.size(), kSnapshotLineMax + 0u);
  const std::string fits = absl::StrCat("alive: x", longest.substr(7));
  ASSERT_EQ(fits.size() - 1, kSnapshotLineMax);
  const std::string beyond = absl::StrCat("alive: xx", longest.substr(7));
  for (const std::size_t piece : {std::size_t{1}, std::size_t{1000}, std::size_t{1 << 20}}) {
    testkit::LineLogger log;
    const std::string text =
        absl::StrCat(fits, beyond, "#", std::string(100'000, 'c'), "\nclock: 4\n");
    const SnapshotState state = ReadAll(text, false, &log, piece);
    EXPECT_EQ(state.alive.size(), 1u);
    EXPECT_EQ(state.clock, LamportTime(4));
    EXPECT_EQ(state.size, text.size());
    EXPECT_THAT(log.lines(), ElementsAre(HasSubstr("serf: Unrecognized snapshot line: alive: xx")));
    EXPECT_LT(log.lines()[0].size(), 200u);
  }
}

TEST(SnapshotReaderTest, AFileOfGarbageDoesNotFillTheLog) {
  std::string text;
  for (int i = 0; i < 10'000; ++i) absl::StrAppend(&text, "garbage ", i, "\n");
  testkit::LineLogger log;
  ReadAll(text, false, &log);
  ASSERT_EQ(log.lines().size(), kSnapshotWarningsMax + 1u);
  EXPECT_EQ(log.lines().back(), "[WARN] serf: 9900 further snapshot lines were not understood");
}

// The reader takes a million nodes, but not of any length.
TEST(SnapshotReaderTest, LongNamesDoNotFillTheMemory) {
  testkit::LineLogger log;
  SnapshotReader reader(false, &log);
  const std::size_t most = kSnapshotTextMax / 4000;
  for (std::size_t i = 0; i < most + 100; ++i) {
    const std::string number = absl::StrCat(i);
    reader.Read(absl::StrCat("alive: ", std::string(4000 - number.size(), 'x'), number, " a\n"));
  }
  const SnapshotState state = std::move(reader).Finish();
  EXPECT_LE(state.alive.size(), most);
  EXPECT_GT(state.alive.size(), most - 10);
  EXPECT_THAT(log.lines(),
              ElementsAre(HasSubstr("nodes in the snapshot are beyond the 1048576 nodes "
                                    "and 67108864 bytes that are read")));
}

// A whole state behind the old one counts when its end is there.
TEST(SnapshotReaderTest, ACompactionBehindTheOldText) {
  const std::string old = "alive: a 10.0.0.1:1\n# failed: f 10.0.0.6:1\nclock: 9\nalive: b 10.0.";
  const std::string begun = absl::StrCat(old, "0.2:1\n# compaction begins\nalive: c 10.0.0.3:1\n");
  const SnapshotState before = ReadAll(begun);
  EXPECT_THAT(before.alive, ElementsAre(Pair("a", "10.0.0.1:1"), Pair("b", "10.0.0.2:1")));
  EXPECT_THAT(before.failed, ElementsAre(Pair("f", "10.0.0.6:1")));
  EXPECT_EQ(before.clock, LamportTime(9));
  EXPECT_EQ(before.size, begun.find("# comp"));
  const std::string ended = absl::StrCat(begun, "clock: 4\n# compaction ends\nevent-clock: 2\n");
  for (const bool rejoin : {false, true}) {
    const SnapshotState after = ReadAll(ended, rejoin);
    EXPECT_THAT(after.alive, ElementsAre(Pair("c", "10.0.0.3:1")));
    EXPECT_THAT(after.failed, IsEmpty());
    EXPECT_EQ(after.clock, LamportTime(4));
    EXPECT_EQ(after.event_clock, LamportTime(2));
    EXPECT_EQ(after.size, ended.size());
  }
  // An end alone ends nothing, and a second beginning begins anew.
  EXPECT_EQ(ReadAll("clock: 3\n# compaction ends\n").clock, LamportTime(3));
  EXPECT_THAT(
      ReadAll(absl::StrCat(begun, "# compaction begins\nclock: 5\n# compaction ends\n")).alive,
      IsEmpty());
}

// A crash while the last line was written, at any byte: exactly the lines before it count.
TEST(SnapshotReaderTest, CutAnywhere) {
  const std::string text = LoadSnapshot("leave-with-rejoin-0.9.4.snap");
  for (std::size_t cut = 0; cut <= text.size(); ++cut) {
    const std::size_t whole = cut == 0 ? 0 : text.rfind('\n', cut - 1) + 1;
    const SnapshotState state = ReadAll(absl::string_view(text).substr(0, cut), true);
    EXPECT_EQ(state.size, whole == std::string::npos + 1 ? 0 : whole);
    ExpectSameNodesAndClocks(state, ReadAll(absl::string_view(text).substr(0, state.size), true));
  }
}

// --- writing ---

// Each line of a file that Go Serf wrote, as the event that it was written for.
void Replay(absl::string_view line, Writer& writer) {
  if (absl::ConsumePrefix(&line, "alive: ")) {
    const std::size_t space = line.rfind(' ');
    writer->OnMemberEvent(
        Event1(MemberEventKind::kJoin, line.substr(0, space), line.substr(space + 1)));
  } else if (absl::ConsumePrefix(&line, "not-alive: ")) {
    writer->OnMemberEvent(Event1(MemberEventKind::kLeave, line));
  } else if (absl::ConsumePrefix(&line, "clock: ")) {
    writer->OnClock(LamportTime(std::stoull(std::string(line)) + 1));
  } else if (absl::ConsumePrefix(&line, "event-clock: ")) {
    writer->OnUserEvent(LamportTime(std::stoull(std::string(line))));
  } else if (absl::ConsumePrefix(&line, "query-clock: ")) {
    writer->OnQuery(LamportTime(std::stoull(std::string(line))));
  } else {
    ASSERT_EQ(line, "leave");
    writer->OnLeave();
  }
}

TEST(SnapshotTest, WritesWhatTheOriginalWrote) {
  for (const char* file :
       {"crash-0.10.1.snap", "crash-0.9.4.snap", "leave-0.9.4.snap", "leave-with-rejoin-0.9.4.snap",
        "shutdown-0.10.1.snap", "shutdown-0.9.4.snap", "compacted-then-leave-0.9.4.snap"}) {
    SCOPED_TRACE(file);
    const std::string text = LoadSnapshot(file);
    Writer writer;
    for (const absl::string_view line : absl::StrSplit(text, '\n', absl::SkipEmpty())) {
      if (line == "query-clock: 0") continue;  // of a compaction, which no event asks for
      Replay(line, writer);
      writer.FlushAndWork(kStart);
    }
    EXPECT_EQ(writer.file, absl::StrReplaceAll(text, {{"query-clock: 0\n", ""}}));
  }
}

TEST(SnapshotTest, FailedNodesAreRememberedAndTheOriginalReadsOver) {
  Writer writer;
  writer->OnMemberEvent(Event1(MemberEventKind::kJoin, "a", "[fe80::1]:7946"));
  writer->OnMemberEvent(Event1(MemberEventKind::kFailed, "a", "[fe80::1]:7946"));
  writer.FlushAndWork(kStart);
  EXPECT_EQ(writer.file, "alive: a [fe80::1]:7946\nnot-alive: a\n# failed: a [fe80::1]:7946\n");
  EXPECT_THAT(ReadAll(writer.file).failed, ElementsAre(Pair("a", "[fe80::1]:7946")));
  writer->OnMemberEvent(Event1(MemberEventKind::kReap, "a", "[fe80::1]:7946"));
  writer.FlushAndWork(kStart);
  EXPECT_THAT(ReadAll(writer.file).failed, IsEmpty());
  // A member that is not in the file needs no line when it leaves.
  const std::string before = writer.file;
  writer->OnMemberEvent(Event1(MemberEventKind::kReap, "b"));
  writer.FlushAndWork(kStart);
  EXPECT_EQ(writer.file, before);
}

TEST(SnapshotTest, AMemberErasedWhileLeavingIsGone) {
  Writer writer;
  writer->OnMemberEvent(Event1(MemberEventKind::kJoin, "a"));
  writer->OnMemberEvent(Event1(MemberEventKind::kReap, "a"));
  writer.FlushAndWork(kStart);
  EXPECT_EQ(writer.file, "alive: a 10.0.0.1:7946\nnot-alive: a\n");
}

TEST(SnapshotTest, AnUpdateCountsOnlyWithAnotherAddress) {
  Writer writer;
  writer->OnMemberEvent(Event1(MemberEventKind::kUpdate, "a"));
  writer->OnMemberEvent(Event1(MemberEventKind::kJoin, "a"));
  writer->OnMemberEvent(Event1(MemberEventKind::kUpdate, "a"));
  writer->OnMemberEvent(Event1(MemberEventKind::kUpdate, "a", "10.0.0.2:7946"));
  writer.FlushAndWork(kStart);
  EXPECT_EQ(writer.file, "alive: a 10.0.0.1:7946\nalive: a 10.0.0.2:7946\n");
}

TEST(SnapshotTest, NamesWithLineFeedsForgeNothing) {
  testkit::LineLogger log;
  Writer writer({}, &log);
  for (const MemberEventKind kind : {MemberEventKind::kJoin, MemberEventKind::kFailed,
                                     MemberEventKind::kLeave, MemberEventKind::kReap}) {
    writer->OnMemberEvent(Event1(kind, "x\nleave\nclock: 99999\nalive: y"));
  }
  writer.FlushAndWork(kStart);
  EXPECT_EQ(writer.file, "");
  EXPECT_THAT(log.lines(), ElementsAre(HasSubstr("has a line feed")));
  writer->OnMemberEvent(Event1(MemberEventKind::kJoin, "a\rb c"));
  writer.FlushAndWork(kStart);
  EXPECT_THAT(ReadAll(writer.file).alive, ElementsAre(Pair("a\rb c", "10.0.0.1:7946")));
}

TEST(SnapshotTest, ClocksOnlyGrow) {
  Writer writer;
  for (const std::uint64_t time : {0u, 1u, 5u, 3u, 5u, 6u}) {
    writer->OnClock(LamportTime(time));
    writer->OnUserEvent(LamportTime(time));
    writer->OnQuery(LamportTime(time));
    if (time != 3) writer.FlushAndWork(kStart);
  }
  EXPECT_EQ(writer.file,
            "event-clock: 1\nquery-clock: 1\nclock: 4\nevent-clock: 5\nquery-clock: 5\n"
            "clock: 5\nevent-clock: 6\nquery-clock: 6\n");
}

TEST(SnapshotTest, AfterLeaveOnlyTheClockGoesOn) {
  Writer writer;
  writer->OnMemberEvent(Event1(MemberEventKind::kJoin, "a"));
  writer->OnUserEvent(LamportTime(2));
  writer->OnLeave();
  writer->OnLeave();
  writer->OnMemberEvent(Event1(MemberEventKind::kFailed, "a"));
  writer->OnUserEvent(LamportTime(3));
  writer->OnQuery(LamportTime(3));
  writer->OnClock(LamportTime(8));
  EXPECT_TRUE(writer.Flush(kStart));
  writer.Work(kStart);
  EXPECT_EQ(writer.file, "alive: a 10.0.0.1:7946\nevent-clock: 2\nleave\nclock: 7\n");
}

TEST(SnapshotTest, LinesWaitNoLongerThanTheInterval) {
  Writer writer;
  EXPECT_EQ(writer->NextDeadline(), kNever);
  writer->OnUserEvent(LamportTime(1));
  EXPECT_TRUE(writer.Flush(kStart)) << "the first after a pause goes at once";
  writer->OnUserEvent(LamportTime(2));
  EXPECT_FALSE(writer.Flush(kStart + milliseconds(10)));
  EXPECT_EQ(writer->NextDeadline(), kStart + Snapshot::kFlushInterval);
  writer->OnUserEvent(LamportTime(3));
  EXPECT_TRUE(writer.Flush(kStart + Snapshot::kFlushInterval));
  EXPECT_EQ(writer->NextDeadline(), kNever);
  writer->OnLeave();
  EXPECT_TRUE(writer.Flush(kStart + Snapshot::kFlushInterval)) << "a leave does not wait";
  writer.Work(kStart);
  EXPECT_EQ(writer.file, "event-clock: 1\nevent-clock: 3\nleave\n");
}

// --- writing the file anew ---

TEST(SnapshotTest, CompactionKeepsTheState) {
  testkit::LineLogger log;
  Writer writer({}, &log);
  for (int i = 0; i < 20; ++i) {
    writer->OnMemberEvent(Event1(MemberEventKind::kJoin, absl::StrCat("node ", i)));
  }
  writer->OnMemberEvent(Event1(MemberEventKind::kFailed, "node 3"));
  writer->OnMemberEvent(Event1(MemberEventKind::kLeave, "node 4"));
  std::size_t largest = 0;
  for (std::uint64_t i = 1; i <= 50'000; ++i) {
    writer->OnUserEvent(LamportTime(i));
    writer->OnClock(LamportTime(i / 100));
    writer.FlushAndWork(kStart);
    largest = std::max(largest, writer.file.size());
    ASSERT_EQ(writer->state().size, writer.file.size());
  }
  EXPECT_EQ(writer.replaced, 7);
  EXPECT_GT(largest, Snapshot::kCompactionSizeMin - 2000);
  EXPECT_LE(largest, Snapshot::kCompactionSizeMin);
  const SnapshotState state = ReadAll(writer.file, false, &log);
  EXPECT_EQ(state.alive.size(), 18u);
  EXPECT_THAT(state.failed, ElementsAre(Pair("node 3", "10.0.0.1:7946")));
  ExpectSameNodesAndClocks(state, writer->state());
  EXPECT_THAT(log.lines(), IsEmpty());
}

TEST(SnapshotTest, CompactionAfterLeaveIsStillALeave) {
  Writer writer({}, nullptr);
  writer->OnMemberEvent(Event1(MemberEventKind::kJoin, "a"));
  writer->OnUserEvent(LamportTime(9));
  writer->OnLeave();
  for (std::uint64_t i = 1; writer.replaced == 0; ++i) {
    writer->OnClock(LamportTime(i));
    writer.FlushAndWork(kStart);
  }
  const SnapshotState stays_away = ReadAll(writer.file, false);
  EXPECT_THAT(stays_away.alive, IsEmpty());
  EXPECT_EQ(stays_away.event_clock, LamportTime(0));
  EXPECT_EQ(stays_away.clock, writer->state().clock);
  const SnapshotState rejoins = ReadAll(writer.file, true);
  EXPECT_EQ(rejoins.alive.size(), 1u);
  EXPECT_EQ(rejoins.event_clock, LamportTime(9));
}

// 128 bytes per node are a guess. Where names are longer, each append would make a compaction.
TEST(SnapshotTest, LongNamesAreNotWrittenAnewAllTheTime) {
  Writer writer;
  for (int i = 0; i < 1000; ++i) {
    writer->OnMemberEvent(Event1(MemberEventKind::kJoin, absl::StrCat(std::string(500, 'x'), i)));
    writer.FlushAndWork(kStart);
  }
  EXPECT_LE(writer.replaced, 3);
  const int before = writer.replaced;
  for (std::uint64_t i = 1; i < 1000; ++i) {
    writer->OnUserEvent(LamportTime(i));
    writer.FlushAndWork(kStart);
  }
  EXPECT_LE(writer.replaced, before + 1);
}

// --- a disk that fails ---

TEST(SnapshotTest, FailureIsMadeGoodByTheWholeFile) {
  testkit::LineLogger log;
  Writer writer({}, &log);
  writer->OnMemberEvent(Event1(MemberEventKind::kJoin, "a"));
  writer.Flush(kStart);
  writer.Work(kStart, absl::UnavailableError("write x: input/output error"));
  EXPECT_TRUE(writer->behind());
  EXPECT_THAT(log.lines(),
              ElementsAre("[ERR] serf: Failed to update snapshot: write x: input/output error"));
  log.Clear();
  // At once, and then not for a while.
  EXPECT_LE(writer->NextDeadline(), kStart);
  EXPECT_TRUE(writer.Flush(kStart));
  writer.Work(kStart + seconds(1), absl::UnavailableError("broken"));
  writer->OnUserEvent(LamportTime(1));
  EXPECT_THAT(log.lines(),
              ElementsAre("[INFO] serf: Attempting compaction to recover from error...",
                          "[ERR] serf: Compaction failed, will reattempt after 30s: broken"));
  log.Clear();
  // News is tried nevertheless, without a log line for each failure.
  for (std::uint64_t i = 2; i < 31; ++i) {
    writer->OnUserEvent(LamportTime(i));
    EXPECT_TRUE(writer.Flush(kStart + seconds(i)));
    if (i < 20) {
      writer.Work(kStart + seconds(i), absl::UnavailableError("broken"));
    } else {
      writer.Work(kStart + seconds(i));
    }
    EXPECT_EQ(writer->state().size, writer.file.size());
  }
  EXPECT_THAT(log.lines(), IsEmpty());
  EXPECT_EQ(ReadAll(writer.file).event_clock, LamportTime(30));
  EXPECT_EQ(writer->NextDeadline(), kStart + seconds(31));
  EXPECT_TRUE(writer.Flush(kStart + seconds(31)));
  // What happens while it is under way is appended after it.
  writer->OnUserEvent(LamportTime(77));
  EXPECT_TRUE(writer.Flush(kStart + seconds(31)));
  writer.Work(kStart + seconds(31));
  EXPECT_THAT(log.lines(),
              ElementsAre("[INFO] serf: Attempting compaction to recover from error...",
                          "[INFO] serf: Finished compaction, successfully recovered from error "
                          "state"));
  EXPECT_FALSE(writer->behind());
  EXPECT_EQ(writer.file,
            "alive: a 10.0.0.1:7946\nclock: 0\nevent-clock: 30\nquery-clock: 0\n"
            "event-clock: 77\n");
}

// The driver keeps what a full disk did not take. Soon after there is room, the file is complete.
TEST(SnapshotTest, WhatAFullDiskDidNotTakeIsTriedEverySecond) {
  const absl::Status full = absl::ResourceExhaustedError("write x: no space left on device");
  testkit::LineLogger log;
  Writer writer({}, &log);
  writer->OnMemberEvent(Event1(MemberEventKind::kJoin, "a"));
  writer.Flush(kStart);
  writer.Work(kStart, full);
  writer.Flush(kStart);  // the whole file, once
  writer.Work(kStart, full);
  EXPECT_TRUE(writer->behind());
  EXPECT_THAT(
      log.lines(),
      ElementsAre("[ERR] serf: Failed to update snapshot: write x: no space left on device",
                  "[INFO] serf: Attempting compaction to recover from error...",
                  "[ERR] serf: Compaction failed, will reattempt after 30s: write x: no space left "
                  "on device"));
  log.Clear();
  Instant now = kStart;
  for (int i = 0; i < 100; ++i) {
    ASSERT_EQ(writer->NextDeadline(), now + Snapshot::kFullDiskInterval);
    EXPECT_FALSE(writer.Flush(now + milliseconds(999)));
    now += Snapshot::kFullDiskInterval;
    EXPECT_TRUE(writer.Flush(now));
    writer.Work(now, full);
  }
  // News causes another attempt.
  writer->OnMemberEvent(Event1(MemberEventKind::kLeave, "a"));
  EXPECT_TRUE(writer.Flush(now));
  writer.Work(now, full);
  EXPECT_THAT(log.lines(), IsEmpty());
  EXPECT_EQ(writer.file, "");
  EXPECT_TRUE(writer.Flush(now + Snapshot::kFullDiskInterval));
  writer.Work(now + Snapshot::kFullDiskInterval);
  EXPECT_EQ(writer.file, "alive: a 10.0.0.1:7946\nnot-alive: a\n");
  EXPECT_EQ(writer->state().size, writer.file.size());
  EXPECT_FALSE(writer->behind());
  EXPECT_EQ(writer->NextDeadline(), kNever);
  EXPECT_EQ(writer.replaced, 0);
  EXPECT_THAT(log.lines(), ElementsAre("[INFO] serf: The disk has room again: the snapshot has all "
                                       "that was to be written"));
}

// More than the driver keeps, or another error: then only writing the whole file helps.
TEST(SnapshotTest, AfterAFullDiskAnotherError) {
  testkit::LineLogger log;
  Writer writer({}, &log);
  writer->OnMemberEvent(Event1(MemberEventKind::kJoin, "a"));
  writer.Flush(kStart);
  writer.Work(kStart, absl::ResourceExhaustedError("full"));
  writer.Flush(kStart);
  writer.Work(kStart, absl::ResourceExhaustedError("full"));
  log.Clear();
  writer.Flush(kStart + seconds(1));
  writer.Work(kStart + seconds(1), absl::DataLossError("full of it"));
  EXPECT_TRUE(writer->behind());
  EXPECT_THAT(log.lines(), ElementsAre("[ERR] serf: Failed to update snapshot: full of it"));
  EXPECT_EQ(writer->NextDeadline(), kStart + seconds(30));
  writer.Flush(kStart + seconds(30));
  writer.Work(kStart + seconds(30));
  EXPECT_FALSE(writer->behind());
  EXPECT_EQ(writer.replaced, 1);
  EXPECT_EQ(ReadAll(writer.file).alive.size(), 1u);
}

// A file at its limit of size (ulimit -f): a smaller one is possible.
TEST(SnapshotTest, ASmallerFileIsWhatThereIsRoomFor) {
  testkit::LineLogger log;
  Writer writer({}, &log);
  writer->OnMemberEvent(Event1(MemberEventKind::kJoin, "a"));
  writer.Flush(kStart);
  writer.Work(kStart, absl::ResourceExhaustedError("write x: file too large"));
  log.Clear();
  writer.Flush(kStart);
  writer.Work(kStart);
  EXPECT_FALSE(writer->behind());
  EXPECT_EQ(writer.replaced, 1);
  EXPECT_EQ(writer->NextDeadline(), kNever);
  EXPECT_THAT(log.lines(), ElementsAre("[INFO] serf: Finished compaction, successfully recovered "
                                       "from error state"));
}

// A file that cannot be written anew, for example in a folder that the agent may not write, is
// appended to nevertheless. A new attempt comes after a while.
TEST(SnapshotTest, ACompactionThatFailsDoesNotFreezeTheFile) {
  testkit::LineLogger log;
  Writer writer({}, &log);
  writer->OnMemberEvent(Event1(MemberEventKind::kJoin, "a"));
  Instant now = kStart;
  int refused = 0;
  for (std::uint64_t i = 1; i <= 20'000; ++i, now += milliseconds(500)) {
    writer->OnUserEvent(LamportTime(i));
    writer.Flush(now);
    if (i < 15'000) {
      refused += writer.WorkWithoutReplacing(now, absl::PermissionDeniedError("closed"));
    } else {
      writer.Work(now);
    }
    ASSERT_EQ(writer->state().size, writer.file.size());
    ASSERT_FALSE(writer->behind());
    if (i % 1000 == 0) {
      ASSERT_EQ(ReadAll(writer.file).event_clock, LamportTime(i));
    }
  }
  EXPECT_GT(refused, 20);
  EXPECT_LT(refused, 150) << "one in 30 seconds";
  EXPECT_EQ(writer.replaced, 1);
  EXPECT_EQ(log.lines().size(), static_cast<std::size_t>(refused));
  EXPECT_EQ(log.lines()[0], "[ERR] serf: Compaction failed, will reattempt after 30s: closed");
}

TEST(SnapshotTest, ADiskThatStandsStillCostsBoundedMemory) {
  Writer writer;
  std::size_t ops = 0;
  for (std::uint64_t i = 1; i <= 50'000; ++i) {
    writer->OnUserEvent(LamportTime(i));
    writer->OnMemberEvent(Event1(MemberEventKind::kJoin, "a"));
    if (writer.Flush(kStart + seconds(i))) ++ops;
  }
  EXPECT_EQ(ops, Snapshot::kOpsUnderWayMax);
  EXPECT_TRUE(writer->behind());
  writer.Work(kStart);
  EXPECT_TRUE(writer.Flush(kStart + hours(1)));
  writer.Work(kStart + hours(1));
  EXPECT_EQ(ReadAll(writer.file).event_clock, LamportTime(50'000));
}

TEST(SnapshotTest, NodesOfTheLifeBeforeAreForgottenAfterADay) {
  SnapshotState before =
      ReadAll("alive: a 10.0.0.1:1\nalive: b 10.0.0.2:1\n# failed: c 10.0.0.3:1\n");
  Writer writer(before);
  EXPECT_EQ(writer->NextDeadline(), kStart + hours(24));
  writer->OnMemberEvent(Event1(MemberEventKind::kJoin, "b", "10.0.0.2:1"));
  writer.FlushAndWork(kStart + hours(23));
  EXPECT_EQ(writer->state().alive.size(), 2u);
  writer.FlushAndWork(kStart + hours(24));
  EXPECT_THAT(writer->state().alive, ElementsAre(Pair("b", "10.0.0.2:1")));
  EXPECT_THAT(writer->state().failed, IsEmpty());
  EXPECT_EQ(writer.file, "alive: b 10.0.0.2:1\nnot-alive: a\nnot-alive: c\n");
  EXPECT_EQ(writer->NextDeadline(), kNever);
}

// A file of a million nodes must not hold up the node after a day.
TEST(SnapshotTest, ManyAreForgottenInTurns) {
  SnapshotState before;
  constexpr std::size_t kNodes = 3 * Snapshot::kForgottenInTurnMax + 1;
  for (std::size_t i = 0; i < kNodes; ++i) before.alive[absl::StrCat("n", i)] = "10.0.0.1:1";
  Writer writer(before);
  const Instant day = kStart + hours(24);
  for (std::size_t left = kNodes; left > 0;) {
    EXPECT_EQ(writer->NextDeadline(), day);
    writer.FlushAndWork(day);
    left -= std::min(left, Snapshot::kForgottenInTurnMax);
    EXPECT_EQ(writer->state().alive.size(), left);
  }
  EXPECT_GT(writer->NextDeadline(), day);
}

// At the last time nothing is news; a hostile peer may have moved a clock in a file there.
TEST(SnapshotReaderTest, NoClockIsAtTheEndOfTheNumbers) {
  testkit::LineLogger lines;
  const SnapshotState state = ReadAll(
      "clock: 7\nclock: 18446744073709551615\nevent-clock: 18446744073709551614\n"
      "query-clock: 9223372036854775808\n",
      false, &lines);
  EXPECT_EQ(state.clock, LamportTime(7));
  EXPECT_EQ(state.event_clock, LamportTime(0));
  EXPECT_EQ(state.query_clock, LamportTime(std::uint64_t{1} << 63));
  EXPECT_THAT(lines.lines(),
              ElementsAre("[WARN] serf: Ignoring the clock time 18446744073709551615 of the "
                          "snapshot: it is at the end of the numbers",
                          "[WARN] serf: Ignoring the event clock time 18446744073709551614 of the "
                          "snapshot: it is at the end of the numbers"));
}

}  // namespace
}  // namespace serf
