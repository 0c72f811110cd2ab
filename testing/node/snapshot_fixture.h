#ifndef SERF_TESTING_NODE_SNAPSHOT_FIXTURE_H_
#define SERF_TESTING_NODE_SNAPSHOT_FIXTURE_H_

// A fixture for tests of Snapshot and SnapshotReader: a Snapshot over a disk of text.
//
//   Writer writer;
//   writer->OnMemberEvent(Event1(MemberEventKind::kJoin, "a"));
//   writer.FlushAndWork(kStart);
//   ExpectSameNodesAndClocks(ReadAll(writer.file), writer->state());

#include <algorithm>
#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "gtest/gtest.h"
#include "serf/base/endpoint.h"
#include "serf/base/logger.h"
#include "serf/base/time.h"
#include "serf/event.h"
#include "serf/member.h"
#include "serf/snapshot/snapshot.h"
#include "serf/snapshot/snapshot_reader.h"
#include "serf/snapshot_op.h"
#include "serf/snapshot_state.h"

namespace serf::testkit {

inline SnapshotState ReadAll(absl::string_view text, bool rejoin = false, Logger* logger = nullptr,
                             std::size_t piece = 1 << 20) {
  SnapshotReader reader(rejoin, logger);
  for (; !text.empty(); text.remove_prefix(std::min(piece, text.size()))) {
    reader.Read(text.substr(0, piece));
  }
  return std::move(reader).Finish();
}

inline void ExpectSameNodesAndClocks(const SnapshotState& got, const SnapshotState& want) {
  EXPECT_EQ(got.alive, want.alive);
  EXPECT_EQ(got.failed, want.failed);
  EXPECT_EQ(got.clock, want.clock);
  EXPECT_EQ(got.event_clock, want.event_clock);
  EXPECT_EQ(got.query_clock, want.query_clock);
}

inline Member MakeMember(absl::string_view name, absl::string_view address) {
  Member member;
  member.name = std::string(name);
  member.endpoint = Endpoint::Parse(address).value();
  return member;
}

inline MemberEvent Event1(MemberEventKind kind, absl::string_view name,
                          absl::string_view address = "10.0.0.1:7946") {
  return {kind, {MakeMember(name, address)}};
}

inline constexpr Instant kStart{};

// A Snapshot over a disk of text.
class Writer {
 public:
  explicit Writer(SnapshotState state = {}, Logger* logger = nullptr)
      : snapshot_(kStart, std::move(state), {.logger = logger}) {}

  Snapshot& operator*() { return snapshot_; }
  Snapshot* operator->() { return &snapshot_; }

  // Does what the machine does after an input. True if there was something to write.
  bool Flush(Instant now, bool all = false) {
    std::vector<SnapshotOp> ops;
    snapshot_.Flush(now, ops, all);
    for (SnapshotOp& op : ops) ops_.push_back(std::move(op));
    return !ops.empty();
  }
  // Lets the disk carry out the operations under way, or fail with `status`. A full disk has no
  // room for any of them.
  void Work(Instant now, const absl::Status& status = absl::OkStatus()) {
    for (const SnapshotOp& op : std::exchange(ops_, {})) {
      Do(op, status);
      snapshot_.OnDone(now, status);
    }
  }
  // Carries out the appends under way, lets the replacements fail, and returns their number.
  int WorkWithoutReplacing(Instant now, const absl::Status& status) {
    int refused = 0;
    for (const SnapshotOp& op : std::exchange(ops_, {})) {
      const bool replaces = op.kind == SnapshotOp::Kind::kReplace;
      const absl::Status answer = replaces ? status : absl::OkStatus();
      refused += replaces;
      Do(op, answer);
      snapshot_.OnDone(now, answer);
    }
    return refused;
  }
  void FlushAndWork(Instant now) {
    Flush(now, /*all=*/true);
    Work(now);
  }

  std::string file;
  std::string waiting;  // lines that a full disk did not take
  int replaced = 0;

 private:
  void Do(const SnapshotOp& op, const absl::Status& status) {
    const bool replaces = op.kind == SnapshotOp::Kind::kReplace;
    if (status.ok()) {
      std::string before = std::exchange(waiting, {});
      if (replaces) {
        file = op.text;
        ++replaced;
      } else {
        file += before + op.text;
      }
    } else if (!replaces) {
      waiting = absl::IsResourceExhausted(status) ? waiting + op.text : "";
    }
  }

  Snapshot snapshot_;
  std::vector<SnapshotOp> ops_;
};

}  // namespace serf::testkit

#endif  // SERF_TESTING_NODE_SNAPSHOT_FIXTURE_H_
