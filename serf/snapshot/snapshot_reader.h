// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_SNAPSHOT_SNAPSHOT_READER_H_
#define SERF_SNAPSHOT_SNAPSHOT_READER_H_

// SnapshotReader: reads the state of a node before its restart from a snapshot file. A Host reads
// the file that HostOptions::snapshot_path names; a driver of your own uses this class:
//
//   SnapshotReader reader(rejoin_after_leave, logger);
//   while (...) reader.Read(bytes);
//   config.snapshot = std::move(reader).Finish();
//
// The file is the node's own. But its lines hold names that other nodes chose, and may be torn.
// Therefore nothing in it is an error: the reader logs and skips what it does not understand.
// Memory is bounded by the limits below. One thread.
//
//   file      = { line LF } [ torn ]               the torn one is as if it had not been written
//   line      = "alive: " name " " address         the last space separates
//             | "not-alive: " name
//             | "clock: " n | "event-clock: " n | "query-clock: " n        the last one counts
//             | "leave"                            forgets all that is above, but see below
//             | "coordinate: " any                 of old releases
//             | "# failed: " name " " address      this project's; a comment to Go Serf
//             | "# compaction begins"              this project's: what follows replaces all above,
//             | "# compaction ends"                once the end is there; without the end, the file
//                                                  ends at the beginning
//             | "#" any
//   n         = decimal digits, at most 2^64 - 1
//   name      = any bytes but LF;  address = bytes without space and LF
//
// Source: docs/protocol/serf.md 9.2, 9.6.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "serf/base/logger.h"
#include "serf/lamport/lamport_clock.h"
#include "serf/snapshot_state.h"
#include "serf/wire/ids.h"

namespace serf {

// The most bytes of a line: eight of the longest names that a member can have.
inline constexpr std::size_t kSnapshotLineMax = 4096;
// The most nodes of each kind: more than any cluster has.
inline constexpr std::size_t kSnapshotNodesMax = std::size_t{1} << 20;
// The most log lines about one file; one more sums up the rest.
inline constexpr int kSnapshotWarningsMax = 100;
// The most bytes of all names and addresses: 64 for each of the most nodes, so that a file of long
// lines does not fill the memory.
inline constexpr std::size_t kSnapshotTextMax = kSnapshotNodesMax * 64;
// These lines enclose the whole state where it is written behind the old one; see SnapshotFile.
inline constexpr absl::string_view kSnapshotBegin = "# compaction begins";
inline constexpr absl::string_view kSnapshotEnd = "# compaction ends";

class SnapshotReader {
 public:
  // `rejoin_after_leave`: whether a node that left on purpose still remembers its peers. The logger
  // may be null, and must outlive the reader.
  SnapshotReader(bool rejoin_after_leave, Logger* logger)
      : rejoin_after_leave_(rejoin_after_leave), logger_(logger) {}

  // Reads the next bytes of the file, in pieces of any size.
  void Read(absl::string_view bytes);

  // The state, after the last bytes.
  SnapshotState Finish() &&;

 private:
  void OnLine(absl::string_view line);
  void OnNode(SnapshotState::Nodes& nodes, absl::string_view rest, absl::string_view line);
  void OnClock(wire::LamportTime& clock, absl::string_view what, absl::string_view digits);
  void OnLeave();
  void OnBegin(std::size_t length);
  void Erase(SnapshotState::Nodes& nodes, absl::string_view name);
  template <typename... Args>
  void Warn(const Args&... args) {
    if (++warnings_ <= kSnapshotWarningsMax) Log(logger_, LogLevel::kWarn, args...);
  }

  bool rejoin_after_leave_;
  Logger* logger_;
  SnapshotState state_;
  std::optional<SnapshotState> before_;  // the state that counts unless the compaction ends
  std::size_t text_ = 0;                 // bytes of names and addresses in `state_`
  std::string partial_;     // the beginning of the current line, at most kSnapshotLineMax bytes
  std::size_t length_ = 0;  // the length of all of it
  int warnings_ = 0;
  std::uint64_t too_many_ = 0;
};

inline void SnapshotReader::Read(absl::string_view bytes) {
  while (!bytes.empty()) {
    const std::size_t end = bytes.find('\n');
    const absl::string_view piece = bytes.substr(0, end);
    length_ += piece.size();
    const std::size_t room = kSnapshotLineMax - partial_.size();
    if (end == absl::string_view::npos) {
      partial_.append(piece.data(), std::min(piece.size(), room));
      return;
    }
    bytes.remove_prefix(end + 1);
    state_.size += length_ + 1;
    if (partial_.empty() && length_ <= kSnapshotLineMax) {
      OnLine(piece);
    } else {
      partial_.append(piece.data(), std::min(piece.size(), room));
      if (length_ <= kSnapshotLineMax) {
        OnLine(partial_);
      } else if (partial_.front() != '#') {
        Warn("serf: Unrecognized snapshot line: ", absl::string_view(partial_).substr(0, 64),
             "... (", length_, " bytes)");
      }
    }
    partial_.clear();
    length_ = 0;
  }
}

inline SnapshotState SnapshotReader::Finish() && {
  if (warnings_ > kSnapshotWarningsMax) {
    Log(logger_, LogLevel::kWarn, "serf: ", warnings_ - kSnapshotWarningsMax,
        " further snapshot lines were not understood");
  }
  if (too_many_ > 0) {
    Log(logger_, LogLevel::kWarn, "serf: ", too_many_, " nodes in the snapshot are beyond the ",
        kSnapshotNodesMax, " nodes and ", kSnapshotTextMax, " bytes that are read");
  }
  return before_ ? *std::move(before_) : std::move(state_);
}

inline void SnapshotReader::OnLine(absl::string_view line) {
  absl::string_view rest = line;
  if (absl::ConsumePrefix(&rest, "alive: ")) return OnNode(state_.alive, rest, line);
  if (absl::ConsumePrefix(&rest, "not-alive: ")) {
    Erase(state_.alive, rest);
    return Erase(state_.failed, rest);
  }
  if (absl::ConsumePrefix(&rest, "clock: ")) return OnClock(state_.clock, "clock", rest);
  if (absl::ConsumePrefix(&rest, "event-clock: ")) {
    return OnClock(state_.event_clock, "event clock", rest);
  }
  if (absl::ConsumePrefix(&rest, "query-clock: ")) {
    return OnClock(state_.query_clock, "query clock", rest);
  }
  if (line == "leave") return OnLeave();
  if (absl::ConsumePrefix(&rest, "# failed: ")) return OnNode(state_.failed, rest, line);
  if (line == kSnapshotBegin) return OnBegin(line.size() + 1);
  if (line == kSnapshotEnd) return before_.reset();
  if (absl::StartsWith(line, "#") || absl::StartsWith(line, "coordinate: ")) return;
  Warn("serf: Unrecognized snapshot line: ", line);
}

inline void SnapshotReader::OnNode(SnapshotState::Nodes& nodes, absl::string_view rest,
                                   absl::string_view line) {
  const std::size_t space = rest.rfind(' ');
  if (space == absl::string_view::npos) {
    // A comment that only looks like this one does not name a node.
    if (line.front() != '#') Warn("serf: Failed to parse address: ", line);
    return;
  }
  const absl::string_view name = rest.substr(0, space);
  Erase(state_.alive, name);
  Erase(state_.failed, name);
  if (nodes.size() == kSnapshotNodesMax || text_ + rest.size() > kSnapshotTextMax) {
    ++too_many_;
    return;
  }
  text_ += rest.size() - 1;
  nodes.try_emplace(std::string(name), rest.substr(space + 1));
}

inline void SnapshotReader::Erase(SnapshotState::Nodes& nodes, absl::string_view name) {
  const auto found = nodes.find(name);
  if (found == nodes.end()) return;
  text_ -= found->first.size() + found->second.size();
  nodes.erase(found);
}

// A second beginning without an end replaces the first.
inline void SnapshotReader::OnBegin(std::size_t length) {
  SnapshotState next;
  next.size = state_.size;
  if (!before_) {
    before_ = std::move(state_);
    before_->size -= length;
  }
  state_ = std::move(next);
  text_ = 0;
}

inline void SnapshotReader::OnClock(wire::LamportTime& clock, absl::string_view what,
                                    absl::string_view digits) {
  constexpr std::uint64_t kMax = std::numeric_limits<std::uint64_t>::max();
  std::uint64_t value = 0;
  absl::string_view error = digits.empty() ? "invalid syntax" : "";
  // The first fault counts, as in Go Serf's texts.
  for (const char c : digits) {
    const auto digit = static_cast<std::uint64_t>(static_cast<unsigned char>(c)) - '0';
    if (digit > 9) {
      error = "invalid syntax";
    } else if (value > kMax / 10 || value * 10 > kMax - digit) {
      error = "value out of range";
    } else {
      value = value * 10 + digit;
    }
    if (!error.empty()) break;
  }
  if (!error.empty()) {
    return Warn("serf: Failed to convert ", what, " time: strconv.ParseUint: parsing \"",
                absl::Utf8SafeCHexEscape(digits), "\": ", error);
  }
  if (value >= LamportClock::kAdoptMax) {
    return Warn("serf: Ignoring the ", what, " time ", value,
                " of the snapshot: it is at the end of the numbers");
  }
  clock = wire::LamportTime(value);
}

inline void SnapshotReader::OnLeave() {
  if (rejoin_after_leave_) {
    Log(logger_, LogLevel::kInfo, "serf: Ignoring previous leave in snapshot");
    return;
  }
  state_.alive.clear();
  state_.failed.clear();
  text_ = 0;
  state_.clock = state_.event_clock = state_.query_clock = {};
}

}  // namespace serf

#endif  // SERF_SNAPSHOT_SNAPSHOT_READER_H_
