// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_SNAPSHOT_SNAPSHOT_H_
#define SERF_SNAPSHOT_SNAPSHOT_H_

// Snapshot: keeps a file up to date, from which a restarted node learns which members it knew and
// where its clocks were. A pure machine: it makes the text, and a driver writes it (SnapshotOp) and
// reports the result. serf::Serf has one if Config::snapshot is set; an application does not call
// it.
//
//   Snapshot snapshot(now, state, options);     // the state of a SnapshotReader
//   snapshot.OnMemberEvent(event);              // and so on: these only note
//   snapshot.Flush(now, out.snapshot_ops());    // after each input, and at NextDeadline()
//   snapshot.OnDone(now, status);               // for each op, in order
//
// After a failed write the snapshot writes the whole file anew. Meanwhile it still appends news: a
// file that lacks some lines is better than one that ends with the first failure. The driver
// keeps text for which a full disk has no room (ResourceExhausted, see SnapshotOp), and the
// snapshot asks the driver again and again to append it, so that the file is complete soon after
// the disk has room. Lines wait at most kFlushInterval, to be written together with one sync of the
// disk, and of each clock only the last value is written. The snapshot puts the text of the whole
// file together in portions, each a turn of the loop; what happens meanwhile stands at its end once
// more. The text is Go Serf's; what Go Serf has no line for (failed nodes) stands in comments.
// Source: docs/protocol/serf.md 9.3 to 9.5.

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "serf/base/logger.h"
#include "serf/base/portion.h"
#include "serf/base/time.h"
#include "serf/event.h"
#include "serf/member.h"
#include "serf/snapshot/snapshot_reader.h"
#include "serf/snapshot_op.h"
#include "serf/snapshot_state.h"
#include "serf/wire/ids.h"

namespace serf {

class Snapshot {
 public:
  // The snapshot writes the first line after a pause at once, and later ones together after this
  // time.
  static constexpr Duration kFlushInterval = std::chrono::milliseconds(500);
  // The pause between attempts to write the whole file anew.
  static constexpr Duration kRecoveryInterval = std::chrono::seconds(30);
  // The pause between attempts to append text for which a full disk had no room: a write that fails
  // costs some microseconds, and an operator that makes room wants to see soon that it helped.
  static constexpr Duration kFullDiskInterval = std::chrono::seconds(1);
  // The snapshot writes the file anew when it is larger than both of these.
  static constexpr std::uint64_t kCompactionSizeMin = 128 << 10;
  static constexpr std::uint64_t kCompactionSizePerNode = 2 * 128;  // twice what a node takes
  // The most ops without an answer: a disk that stands still holds up no more than these.
  static constexpr std::size_t kOpsUnderWayMax = 16;
  // The most nodes that are forgotten at once; others follow in later turns.
  static constexpr std::size_t kForgottenInTurnMax = 1024;
  // The most bytes that wait for such a disk. Further ones are dropped, and the file is written
  // anew later.
  static constexpr std::size_t kPendingMax = 1 << 20;

  struct Options {
    Logger* logger = nullptr;
    // A node of the file that stays silent so long is forgotten.
    Duration forget_after = std::chrono::hours(24);
  };

  // Continues from the state that was read; the file has state.size bytes.
  Snapshot(Instant now, SnapshotState state, const Options& options);

  // --- what happened ---

  void OnMemberEvent(const MemberEvent& event);
  void OnUserEvent(wire::LamportTime time) {
    if (!left_) state_.event_clock = std::max(state_.event_clock, time);
  }
  void OnQuery(wire::LamportTime time) {
    if (!left_) state_.query_clock = std::max(state_.query_clock, time);
  }
  // The clock of intents has this value: the next time that it gives.
  void OnClock(wire::LamportTime time) {
    if (time.value() > 0) {
      state_.clock = std::max(state_.clock, wire::LamportTime(time.value() - 1));
    }
  }
  // The node leaves on purpose. The snapshot ignores other members from now on.
  void OnLeave();

  // --- the disk ---

  // Appends to `ops` what is due; with `all`, everything.
  void Flush(Instant now, std::vector<SnapshotOp>& ops, bool all = false);
  // The oldest op without an answer has ended.
  void OnDone(Instant now, const absl::Status& status);
  // When to call Flush() at the latest.
  Instant NextDeadline() const;

  const SnapshotState& state() const { return state_; }
  // Whether the file lacks something, because writing failed.
  bool behind() const { return behind_ || waiting_; }
  // Whether the result of writing the line for OnLeave() is known.
  bool leave_settled() const { return leave_ == Leave::kRecorded || leave_ == Leave::kFailed; }
  // OK if that line is on the disk; else why not, or that it is still pending.
  absl::Status LeaveStatus() const;

 private:
  struct Clocks {
    Clocks() = default;
    explicit Clocks(const SnapshotState& state)
        : member(state.clock), event(state.event_clock), query(state.query_clock) {}
    friend bool operator==(const Clocks&, const Clocks&) = default;

    wire::LamportTime member;
    wire::LamportTime event;
    wire::LamportTime query;
  };
  struct UnderWay {
    SnapshotOp::Kind kind = SnapshotOp::Kind::kAppend;
    std::uint64_t size = 0;
    bool has_leave = false;  // its text has the line for OnLeave()
    bool recovery = false;   // a kReplace that restores what is lacking
  };
  enum class Leave : std::uint8_t { kNone, kPending, kUnderWay, kRecorded, kFailed };
  // The text of the whole file, while it is put together.
  struct Whole {
    bool recovery = false;
    std::string text;
    bool failed = false;  // has come to the failed nodes
    std::string next;     // the first name of what is left of them, or of the others
    std::string later;    // lines that were written since it began
  };
  // The cost of a line in a portion, besides its bytes.
  static constexpr std::size_t kLineCost = 32;

  void OnMember(MemberEventKind kind, const Member& member);
  void SetAlive(absl::string_view name, std::string address);
  void SetGone(absl::string_view name);
  void ForgetUnseen(Instant now);
  bool HasNews() const { return !pending_.empty() || written_ != Clocks(state_); }
  void AppendClocks();
  void Append(Instant now, std::vector<SnapshotOp>& ops);
  // Starts to write the whole file anew.
  void Begin(bool recovery) {
    whole_ = std::make_unique<Whole>();
    whole_->recovery = recovery;
  }
  // Builds more of the text; false if the portion is used up.
  bool Continue(Portion portion);
  bool AddLines(const SnapshotState::Nodes& nodes, absl::string_view prefix, Portion& portion);
  void Replace(std::vector<SnapshotOp>& ops);
  void Push(SnapshotOp op, bool recovery, std::vector<SnapshotOp>& ops);
  void OnAppendFailed(Instant now, const UnderWay& op, const absl::Status& status);
  void OnDiskFull(Instant now, const UnderWay& op);
  void MakeRecovery();
  void OnAppended(const UnderWay& op);
  void OnReplaceFailed(Instant now, const UnderWay& op, const absl::Status& status);
  bool IsReplacing() const {
    return whole_ != nullptr ||
           std::any_of(under_way_.begin(), under_way_.end(),
                       [](const UnderWay& op) { return op.kind == SnapshotOp::Kind::kReplace; });
  }
  bool MayRetry(Instant now) const {
    return !last_attempt_ || now >= *last_attempt_ + kRecoveryInterval;
  }
  std::uint64_t CompactionSize() const {
    // A file that is large because names are long is not written anew all the time.
    return std::max(
        {kCompactionSizeMin, kCompactionSizePerNode * state_.alive.size(), 2 * replaced_size_});
  }

  Options options_;
  SnapshotState state_;
  bool left_ = false;
  std::string pending_;                // lines about members, and the leave
  Clocks written_;                     // of clocks, only the last value of an interval is written
  Instant flush_at_ = Instant::min();  // not earlier, unless a leave or a shutdown presses
  std::deque<UnderWay> under_way_;
  std::uint64_t size_on_disk_ = 0;  // confirmed; with the operations under way, state_.size
  std::uint64_t replaced_size_ = 0;
  std::unique_ptr<Whole> whole_;  // null: no text is being built

  bool behind_ = false;                  // the file lacks lines that the driver does not have
  bool waiting_ = false;                 // the driver has lines that a full disk did not take
  bool leave_waiting_ = false;           // the line for OnLeave() is one of them
  Instant append_again_at_ = kNever;     // if so
  std::optional<Instant> last_attempt_;  // of a recovery, or of a compaction that failed
  Leave leave_ = Leave::kNone;
  absl::Status leave_error_;
  // Nodes of the snapshot that have not been heard of since.
  std::set<std::string, std::less<>> unseen_;
  Instant forget_at_ = kNever;
};

inline Snapshot::Snapshot(Instant now, SnapshotState state, const Options& options)
    : options_(options), state_(std::move(state)), written_(state_), size_on_disk_(state_.size) {
  for (const SnapshotState::Nodes* nodes : {&state_.alive, &state_.failed}) {
    for (const auto& [name, address] : *nodes) unseen_.insert(name);
  }
  if (!unseen_.empty()) forget_at_ = now + options_.forget_after;
}

inline void Snapshot::OnMemberEvent(const MemberEvent& event) {
  if (left_) return;
  for (const Member& member : event.members) OnMember(event.kind, member);
}

inline void Snapshot::OnMember(MemberEventKind kind, const Member& member) {
  if (member.name.find('\n') != std::string::npos) {
    // Such a name would forge lines.
    if (kind == MemberEventKind::kJoin) {
      Log(options_.logger, LogLevel::kWarn,
          "serf: Not recorded in the snapshot, since its name has a line feed: ", member.name);
    }
    return;
  }
  if (const auto found = unseen_.find(member.name); found != unseen_.end()) unseen_.erase(found);
  const auto known = state_.alive.find(member.name);
  switch (kind) {
    case MemberEventKind::kJoin:
      return SetAlive(member.name, member.endpoint.ToString());
    case MemberEventKind::kUpdate: {
      std::string address = member.endpoint.ToString();
      if (known != state_.alive.end() && known->second != address) {
        SetAlive(member.name, std::move(address));
      }
      return;
    }
    case MemberEventKind::kLeave:
      return SetGone(member.name);
    case MemberEventKind::kFailed: {
      SetGone(member.name);
      if (state_.failed.size() == kSnapshotNodesMax) return;
      const std::string address = member.endpoint.ToString();
      absl::StrAppend(&pending_, "# failed: ", member.name, " ", address, "\n");
      state_.failed.insert_or_assign(member.name, address);
      return;
    }
    case MemberEventKind::kReap:
      // A member that was pruned while it left is still alive here.
      if (known != state_.alive.end() || state_.failed.contains(member.name)) {
        SetGone(member.name);
      }
      return;
  }
}

inline void Snapshot::SetAlive(absl::string_view name, std::string address) {
  absl::StrAppend(&pending_, "alive: ", name, " ", address, "\n");
  if (const auto found = state_.failed.find(name); found != state_.failed.end()) {
    state_.failed.erase(found);
  }
  state_.alive.insert_or_assign(std::string(name), std::move(address));
}

inline void Snapshot::SetGone(absl::string_view name) {
  absl::StrAppend(&pending_, "not-alive: ", name, "\n");
  for (SnapshotState::Nodes* nodes : {&state_.alive, &state_.failed}) {
    if (const auto found = nodes->find(name); found != nodes->end()) nodes->erase(found);
  }
}

inline void Snapshot::OnLeave() {
  if (left_) return;
  left_ = true;
  // From now on nothing changes, and later lines would stand behind the leave.
  if (whole_ != nullptr) Begin(whole_->recovery);
  // Event times count only in front of the leave.
  AppendClocks();
  pending_ += "leave\n";
  leave_ = Leave::kPending;
  // At once: the process may be about to end.
  flush_at_ = Instant::min();
}

inline void Snapshot::AppendClocks() {
  const Clocks now(state_);
  const auto append = [this](absl::string_view prefix, wire::LamportTime before,
                             wire::LamportTime after) {
    if (before != after) absl::StrAppend(&pending_, prefix, after.value(), "\n");
  };
  append("clock: ", written_.member, now.member);
  append("event-clock: ", written_.event, now.event);
  append("query-clock: ", written_.query, now.query);
  written_ = now;
}

inline void Snapshot::ForgetUnseen(Instant now) {
  if (now < forget_at_) return;
  forget_at_ = kNever;
  if (left_) return;
  for (std::size_t i = 0; i < kForgottenInTurnMax && !unseen_.empty(); ++i) {
    SetGone(unseen_.extract(unseen_.begin()).value());
  }
  if (!unseen_.empty()) forget_at_ = now;
}

inline void Snapshot::Flush(Instant now, std::vector<SnapshotOp>& ops, bool all) {
  ForgetUnseen(now);
  // Wait for the answer to the operations under way first.
  const bool recover = behind_ && (all || (MayRetry(now) && under_way_.empty()));
  if (under_way_.size() >= kOpsUnderWayMax && !all) {
    if (pending_.size() <= kPendingMax) return;
    behind_ = true;
    pending_.clear();
    // The whole file will have the leave; a later append does not.
    if (leave_ == Leave::kPending) leave_ = Leave::kUnderWay;
    return;
  }
  const bool again = waiting_ && under_way_.empty() && (all || now >= append_again_at_);
  if (HasNews() && (all || recover || again || now >= flush_at_)) {
    Append(now, ops);
  } else if (again) {
    Push({SnapshotOp::Kind::kAppend, {}}, /*recovery=*/false, ops);
  }
  if (recover) {
    Log(options_.logger, LogLevel::kInfo, "serf: Attempting compaction to recover from error...");
    last_attempt_ = now;
    behind_ = false;
    Begin(/*recovery=*/true);
  } else if (!behind_ && !IsReplacing() && state_.size > CompactionSize() && MayRetry(now)) {
    Begin(/*recovery=*/false);
  }
  if (whole_ != nullptr && Continue(all ? Portion::Unlimited() : Portion())) Replace(ops);
}

inline void Snapshot::Append(Instant now, std::vector<SnapshotOp>& ops) {
  flush_at_ = now + kFlushInterval;
  AppendClocks();
  state_.size += pending_.size();
  if (whole_ != nullptr && !left_) whole_->later += pending_;
  Push({SnapshotOp::Kind::kAppend, std::exchange(pending_, {})}, /*recovery=*/false, ops);
}

inline bool Snapshot::AddLines(const SnapshotState::Nodes& nodes, absl::string_view prefix,
                               Portion& portion) {
  for (auto next = nodes.lower_bound(whole_->next); next != nodes.end(); ++next) {
    const auto& [name, address] = *next;
    if (portion.empty()) {
      whole_->next = name;
      return false;
    }
    const std::size_t before = whole_->text.size();
    absl::StrAppend(&whole_->text, prefix, name, " ", address, "\n");
    portion.Spend(whole_->text.size() - before + kLineCost);
  }
  whole_->next.clear();
  return true;
}

inline bool Snapshot::Continue(Portion portion) {
  if (!whole_->failed) {
    if (!AddLines(state_.alive, "alive: ", portion)) return false;
    whole_->failed = true;
  }
  return AddLines(state_.failed, "# failed: ", portion);
}

inline void Snapshot::Replace(std::vector<SnapshotOp>& ops) {
  const std::unique_ptr<Whole> whole = std::move(whole_);
  std::string& text = whole->text;
  absl::StrAppend(&text, whole->later, "clock: ", state_.clock.value(), "\n");
  absl::StrAppend(&text, "event-clock: ", state_.event_clock.value(), "\n");
  absl::StrAppend(&text, "query-clock: ", state_.query_clock.value(), "\n");
  // A node that left on purpose needs the nodes only if it must rejoin nevertheless, but never the
  // time of the last event.
  if (left_) absl::StrAppend(&text, "leave\nclock: ", state_.clock.value(), "\n");
  state_.size = text.size();
  Push({SnapshotOp::Kind::kReplace, std::move(text)}, whole->recovery, ops);
}

inline void Snapshot::Push(SnapshotOp op, bool recovery, std::vector<SnapshotOp>& ops) {
  // Of the appends only the first one after OnLeave() has its line, but each whole file has it.
  const bool first = leave_ == Leave::kPending;
  const bool has_leave =
      first || (op.kind == SnapshotOp::Kind::kReplace && left_ && leave_ != Leave::kRecorded);
  if (first) leave_ = Leave::kUnderWay;
  under_way_.push_back({op.kind, op.text.size(), has_leave, recovery});
  ops.push_back(std::move(op));
}

inline void Snapshot::OnDone(Instant now, const absl::Status& status) {
  if (under_way_.empty()) return;  // not the answer to an operation
  const UnderWay op = under_way_.front();
  under_way_.pop_front();
  if (!status.ok()) {
    if (op.kind == SnapshotOp::Kind::kAppend) return OnAppendFailed(now, op, status);
    return OnReplaceFailed(now, op, status);
  }
  if (std::exchange(leave_waiting_, false) || op.has_leave) leave_ = Leave::kRecorded;
  if (op.kind == SnapshotOp::Kind::kAppend) return OnAppended(op);
  size_on_disk_ = replaced_size_ = op.size;
  const bool waited = std::exchange(waiting_, false);
  if (op.recovery || waited) {
    Log(options_.logger, LogLevel::kInfo,
        "serf: Finished compaction, successfully recovered from error state");
  }
}

inline void Snapshot::OnAppended(const UnderWay& op) {
  size_on_disk_ += op.size;
  if (!std::exchange(waiting_, false)) return;
  Log(options_.logger, LogLevel::kInfo,
      "serf: The disk has room again: the snapshot has all that was to be written");
}

inline void Snapshot::OnAppendFailed(Instant now, const UnderWay& op, const absl::Status& status) {
  const bool full = absl::IsResourceExhausted(status);
  if (op.has_leave) {
    leave_error_ = status;
    // At once, whenever the last one was: the process may be about to end.
    last_attempt_.reset();
    Log(options_.logger, LogLevel::kError,
        "serf: failed to flush leave to snapshot: ", status.message());
  } else if (!behind_ && !(waiting_ && full)) {
    Log(options_.logger, LogLevel::kError, "serf: Failed to update snapshot: ", status.message());
  }
  leave_waiting_ = full && (leave_waiting_ || op.has_leave);
  if (full) return OnDiskFull(now, op);
  waiting_ = false;
  if (!IsReplacing()) {
    state_.size -= op.size;
    behind_ = true;
  } else {
    MakeRecovery();
  }
}

// A recovery was requested later, and the text has the lines that failed.
inline void Snapshot::MakeRecovery() {
  if (whole_ != nullptr) whole_->recovery = true;
  for (UnderWay& later : under_way_) {
    if (later.kind == SnapshotOp::Kind::kReplace) later.recovery = true;
  }
}

inline void Snapshot::OnDiskFull(Instant now, const UnderWay& op) {
  size_on_disk_ += op.size;  // the driver writes it later
  append_again_at_ = now + kFullDiskInterval;
  const bool first = !std::exchange(waiting_, true);
  if (op.has_leave) {
    if (IsReplacing()) return MakeRecovery();
    behind_ = true;
    return;
  }
  if (!first || IsReplacing() || !MayRetry(now)) return;
  // There may be room for a smaller file. Only once, since an attempt takes all the room there is.
  Log(options_.logger, LogLevel::kInfo, "serf: Attempting compaction to recover from error...");
  last_attempt_ = now;
  Begin(/*recovery=*/false);
}

inline void Snapshot::OnReplaceFailed(Instant now, const UnderWay& op, const absl::Status& status) {
  Log(options_.logger, LogLevel::kError,
      "serf: Compaction failed, will reattempt after 30s: ", status.message());
  last_attempt_ = now;
  if (op.recovery) behind_ = true;
  if (op.has_leave && op.recovery) {
    leave_ = Leave::kFailed;
    leave_error_ = status;
  }
  state_.size = size_on_disk_;
  for (const UnderWay& later : under_way_) {
    const bool adds = later.kind == SnapshotOp::Kind::kAppend;
    state_.size = adds ? state_.size + later.size : later.size;
  }
}

inline absl::Status Snapshot::LeaveStatus() const {
  if (leave_ == Leave::kNone || leave_ == Leave::kRecorded) return absl::OkStatus();
  const bool failed = leave_ == Leave::kFailed;
  return absl::Status(
      failed ? leave_error_.code() : absl::StatusCode::kDeadlineExceeded,
      absl::StrCat("left the cluster, but failed to record it in the snapshot: ",
                   failed ? absl::string_view(leave_error_.message()) : "the disk stands still"));
}

inline Instant Snapshot::NextDeadline() const {
  Instant next = forget_at_;
  // Wait for the answer first.
  if (behind_ && under_way_.empty()) {
    next = std::min(next, last_attempt_ ? *last_attempt_ + kRecoveryInterval : Instant::min());
  }
  if (waiting_ && under_way_.empty()) next = std::min(next, append_again_at_);
  if (under_way_.size() >= kOpsUnderWayMax) return next;
  if (whole_ != nullptr) return Instant::min();
  return HasNews() ? std::min(next, flush_at_) : next;
}

}  // namespace serf

#endif  // SERF_SNAPSHOT_SNAPSHOT_H_
