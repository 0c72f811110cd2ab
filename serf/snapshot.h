#ifndef SERF_SNAPSHOT_H_
#define SERF_SNAPSHOT_H_

// Snapshot: keeps a file up to date from which a restarted node learns whom it knew and where its
// clocks were. A pure machine: it makes the text, a driver does the disk (SnapshotOp) and answers;
// what fails is made good by writing the whole file anew. Source: spec/serf.md 9.3 to 9.5.
//
//   Snapshot snapshot(SnapshotReader's state, options);
//   snapshot.OnMemberEvent(event);         // and so on: these only note
//   snapshot.Flush(now, out.snapshot());   // after each input, and at NextDeadline()
//   snapshot.OnDone(now, status);          // for each op, in order
//
// Lines wait at most kFlushInterval to be written together, with one sync of the disk, and only the
// last value of each clock. The text is the original's; what it has no line for (failed nodes)
// stands in comments.

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "serf/base/logger.h"
#include "serf/base/time.h"
#include "serf/event.h"
#include "serf/member.h"
#include "serf/snapshot_op.h"
#include "serf/snapshot_reader.h"
#include "serf/wire/ids.h"

namespace serf {

class Snapshot {
 public:
  // The first line after a pause is written at once, those after it together after this.
  static constexpr Duration kFlushInterval = std::chrono::milliseconds(500);
  // After a failed attempt to write the file anew, the next one.
  static constexpr Duration kRecoveryInterval = std::chrono::seconds(30);
  // The file is written anew when it is larger than both of these.
  static constexpr std::uint64_t kCompactionSizeMin = 128 << 10;
  static constexpr std::uint64_t kCompactionSizePerNode = 2 * 128;  // twice what a node takes
  // Ops that were not answered yet: a disk that stands still holds up no more than these.
  static constexpr std::size_t kOpsUnderWayMax = 16;
  // Bytes that wait for such a disk; beyond that they are dropped, and the file written anew later.
  static constexpr std::size_t kPendingMax = 1 << 20;

  struct Options {
    Logger* logger = nullptr;
    // Nodes of the life before of which nothing was heard for so long are forgotten.
    Duration forget_after = std::chrono::hours(24);
  };

  // Goes on from what was read; the file has state.size bytes.
  Snapshot(Instant now, SnapshotState state, const Options& options);

  // --- what happened ---

  void OnMemberEvent(const MemberEvent& event);
  void OnUserEvent(wire::LamportTime time) {
    if (!left_) state_.event_clock = std::max(state_.event_clock, time);
  }
  void OnQuery(wire::LamportTime time) {
    if (!left_) state_.query_clock = std::max(state_.query_clock, time);
  }
  // What the clock of intents shows: the next time that it will give.
  void OnClock(wire::LamportTime time) {
    if (time.value() > 0) {
      state_.clock = std::max(state_.clock, wire::LamportTime(time.value() - 1));
    }
  }
  // The node leaves on purpose: what happens to others is of no interest any more.
  void OnLeave();

  // --- the disk ---

  // Appends to `ops` what is due; with `all`, what is not due too.
  void Flush(Instant now, std::vector<SnapshotOp>& ops, bool all = false);
  // The oldest op that was not answered is done.
  void OnDone(Instant now, const absl::Status& status);
  // When to call Flush at the latest.
  Instant NextDeadline() const;

  const SnapshotState& state() const { return state_; }
  // Whether the file lacks something, because writing failed.
  bool behind() const { return behind_; }

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
    bool recovery = false;
  };

  void OnMember(MemberEventKind kind, const Member& member);
  void SetAlive(absl::string_view name, std::string address);
  void SetGone(absl::string_view name);
  void ForgetUnseen(Instant now);
  bool HasNews() const { return !pending_.empty() || written_ != Clocks(state_); }
  void AppendClocks();
  void Replace(Instant now, bool recovery, std::vector<SnapshotOp>& ops);
  std::string WholeText() const;
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
  Instant flush_at_ = Instant::min();  // no earlier, unless pressed
  std::deque<UnderWay> under_way_;
  std::uint64_t replaced_size_ = 0;

  bool behind_ = false;
  std::optional<Instant> last_recovery_;
  // Of the life before, and not heard of since.
  std::set<std::string, std::less<>> unseen_;
  Instant forget_at_ = kNever;
};

inline Snapshot::Snapshot(Instant now, SnapshotState state, const Options& options)
    : options_(options), state_(std::move(state)), written_(state_) {
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
    // It would forge lines.
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
      // One that was pruned while it left is still alive here.
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
  // The times of events count only before it.
  AppendClocks();
  pending_ += "leave\n";
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
  for (const std::string& name : std::exchange(unseen_, {})) SetGone(name);
}

inline void Snapshot::Flush(Instant now, std::vector<SnapshotOp>& ops, bool all) {
  ForgetUnseen(now);
  if (behind_) {
    // The whole file will hold it.
    pending_.clear();
    const bool due = !last_recovery_ || now >= *last_recovery_ + kRecoveryInterval;
    if (all || (due && under_way_.empty())) Replace(now, /*recovery=*/true, ops);
    return;
  }
  if (!HasNews() || (now < flush_at_ && !all)) return;
  if (under_way_.size() >= kOpsUnderWayMax && !all) {
    behind_ = pending_.size() > kPendingMax;
    return;
  }
  flush_at_ = now + kFlushInterval;
  AppendClocks();
  state_.size += pending_.size();
  if (state_.size > CompactionSize()) return Replace(now, /*recovery=*/false, ops);
  under_way_.push_back({SnapshotOp::Kind::kAppend, false});
  ops.push_back({SnapshotOp::Kind::kAppend, std::exchange(pending_, {})});
}

inline void Snapshot::Replace(Instant now, bool recovery, std::vector<SnapshotOp>& ops) {
  if (recovery) {
    Log(options_.logger, LogLevel::kInfo, "serf: Attempting compaction to recover from error...");
    last_recovery_ = now;
  }
  behind_ = false;
  pending_.clear();
  written_ = Clocks(state_);
  std::string text = WholeText();
  state_.size = replaced_size_ = text.size();
  under_way_.push_back({SnapshotOp::Kind::kReplace, recovery});
  ops.push_back({SnapshotOp::Kind::kReplace, std::move(text)});
}

inline std::string Snapshot::WholeText() const {
  std::string text;
  for (const auto& [name, address] : state_.alive) {
    absl::StrAppend(&text, "alive: ", name, " ", address, "\n");
  }
  for (const auto& [name, address] : state_.failed) {
    absl::StrAppend(&text, "# failed: ", name, " ", address, "\n");
  }
  absl::StrAppend(&text, "clock: ", state_.clock.value(), "\n");
  absl::StrAppend(&text, "event-clock: ", state_.event_clock.value(), "\n");
  absl::StrAppend(&text, "query-clock: ", state_.query_clock.value(), "\n");
  // Who left on purpose needs the nodes only if told to rejoin nevertheless, but never the time of
  // the last event.
  if (left_) absl::StrAppend(&text, "leave\nclock: ", state_.clock.value(), "\n");
  return text;
}

inline void Snapshot::OnDone(Instant now, const absl::Status& status) {
  if (under_way_.empty()) return;  // an answer to nothing
  const UnderWay op = under_way_.front();
  under_way_.pop_front();
  if (op.recovery) {
    if (status.ok()) {
      Log(options_.logger, LogLevel::kInfo,
          "serf: Finished compaction, successfully recovered from error state");
    } else {
      Log(options_.logger, LogLevel::kError,
          "serf: Compaction failed, will reattempt after 30s: ", status.message());
      last_recovery_ = now;
    }
  } else if (!status.ok()) {
    Log(options_.logger, LogLevel::kError, "serf: Failed to update snapshot: ", status.message());
  }
  if (!status.ok()) behind_ = true;
}

inline Instant Snapshot::NextDeadline() const {
  if (behind_) {
    // An answer comes first.
    if (!under_way_.empty()) return forget_at_;
    return last_recovery_ ? std::min(forget_at_, *last_recovery_ + kRecoveryInterval)
                          : Instant::min();
  }
  if (!HasNews() || under_way_.size() >= kOpsUnderWayMax) return forget_at_;
  return std::min(forget_at_, flush_at_);
}

}  // namespace serf

#endif  // SERF_SNAPSHOT_H_
