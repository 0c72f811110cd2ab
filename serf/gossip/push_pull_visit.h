// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_GOSSIP_PUSH_PULL_VISIT_H_
#define SERF_GOSSIP_PUSH_PULL_VISIT_H_

// PushPullVisit: reads the Serf layer's part of a peer's push/pull in portions, so that no state,
// however large, holds up the node. Source: docs/protocol/serf.md 4.3.
//
//   PushPullVisit visit(message.subspan(1));
//   while (visit.Run(visitor) == PushPullVisit::Progress::kMore) ...another turn...
//
// The visit first checks the whole state, and reports nothing of a malformed one. Then it calls
//
// * visitor.OnClocks(member, event, query), once: the peer's clocks, which are past all that
//   follows;
// * visitor.OnRemoteLeft(name, time), for each member that left; time 0 if the state has none;
// * visitor.OnRemoteStatus(name, time), for each other member;
// * visitor.OnRemoteEvent(time, RecentEvent), for each event.
//
// Events come by ascending time and not in their order on the wire, because a ring that has wrapped
// would have newer ones first (Go Serf issue 448). The visit holds kSlotsMax slots, and 32 bytes
// for each member that left.

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <utility>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/strings/string_view.h"
#include "serf/base/bytes.h"
#include "serf/lamport/event_buffer.h"
#include "serf/lamport/lamport_window.h"
#include "serf/wire/ids.h"
#include "serf/wire/msgpack.h"
#include "serf/wire/serf_messages.h"

namespace serf {

class PushPullVisit {
 public:
  enum class Progress : std::uint8_t { kMore, kDone, kMalformed };

  // The most used slots that the visit keeps, those of the latest times: more than this node's ring
  // has are too old, or too new.
  static constexpr std::size_t kSlotsMax = EventBuffer::kSlots;
  // The most events that the visit reports, the latest: 32 of each time. An event costs its
  // application much more than the byte that it may take on the wire.
  static constexpr std::size_t kEventsMax = 32 * kSlotsMax;
  // The most members that left, and the most other members: as many as the SWIM layer admits.
  static constexpr std::uint64_t kMembersMax = std::uint64_t{1} << 20;
  // The most slots, and the most events, that the visit looks at: 512 times those of a ring. Empty
  // ones take a byte, and a state that is compressed could have twenty million of them.
  static constexpr std::uint64_t kListedMax = std::uint64_t{1} << 18;
  // The most values in fields that this release does not know, in one state.
  static constexpr std::size_t kUnknownValuesMax = 1024;
  // The steps of a turn: about two milliseconds. Reading a value takes 1 (20 ns).
  static constexpr std::size_t kTurnCost = 65536;
  static constexpr std::size_t kStatusCost = 16;
  static constexpr std::size_t kLeftCost = 256;   // the application may get an event
  static constexpr std::size_t kEventCost = 512;  // the application gets it

  // `body` must outlive the visit.
  explicit PushPullVisit(ByteView body) : body_(body), rest_(body) {}
  PushPullVisit(const PushPullVisit&) = delete;
  PushPullVisit& operator=(const PushPullVisit&) = delete;

  // Runs a turn. Do not call it again after a result other than kMore.
  template <typename Visitor>
  Progress Run(Visitor&& visitor);

  ByteView body() const { return body_; }
  // The reason, after kMalformed.
  wire::DecodeResult result() const { return result_; }
  // How many events, or slots of them, were beyond the limits.
  std::size_t surplus() const { return surplus_; }

 private:
  using Reader = wire::MsgpackReader;

  // What the next value must be.
  enum class Expect : std::uint8_t {
    kState,
    kMemberTime,
    kStatusTimes,
    kStatusTime,
    kLeft,
    kEventTime,
    kSlots,
    kSlot,
    kSlotTime,
    kEvents,
    kEvent,
    kQueryTime,
    kText,
    kBytes,
    kUnknown,
  };
  // A list or a map that is not read to its end.
  struct Frame {
    Expect what = Expect::kUnknown;
    bool map = false;
    bool key_read = false;  // of a map: the next value belongs to the key
    Expect value = Expect::kUnknown;
    std::uint64_t left = 0;  // elements or pairs
    std::uint64_t index = 0;
  };
  // The elements of a list or map that was checked.
  struct Range {
    ByteView rest;
    std::uint64_t left = 0;
  };
  struct Slot {
    wire::LamportTime time;
    std::uint64_t order = 0;
    Range events;

    friend bool operator<(const Slot& a, const Slot& b) {
      return std::pair(a.time, a.order) < std::pair(b.time, b.order);
    }
    friend bool operator>(const Slot& a, const Slot& b) { return b < a; }
  };
  enum class Phase : std::uint8_t {
    kScan,
    kClocks,
    kNameLeft,
    kTimeLeft,
    kTellLeft,
    kTellStatus,
    kTellEvents,
  };

  // The nesting of the known form: the state, its slots, one of them, its events, one of them.
  static constexpr std::size_t kKnownNesting = 5;

  // --- the first look; false: malformed ---
  bool Scan(std::size_t& budget);
  bool ScanNext();
  bool ScanValue(Expect what);
  bool ScanContainer(Expect what);
  bool ScanUnknown();
  bool Open(Expect what, bool map, std::uint64_t size);
  void Close();
  // What an element of a list, or a field of a record in the form of a list, must be.
  static Expect ElementOf(const Frame& frame);
  static Expect FieldOf(const Frame& frame, absl::string_view key);
  void Keep(const Slot& slot);
  void ChooseEvents();
  template <typename T>
  bool Take(T& value);
  bool Fail(wire::DecodeResult why) {
    result_ = why;
    return false;
  }

  // --- the visit; false: the turn is over ---
  template <typename Visitor>
  bool Tell(Visitor& visitor, std::size_t& budget);
  void Enter(Phase phase, const Range& range) {
    phase_ = phase;
    cursor_ = range;
  }
  template <typename T, typename Step>
  static bool ForEach(Range& range, std::size_t cost, std::size_t& budget, Step&& step);

  ByteView body_;
  ByteView rest_;
  wire::DecodeResult result_ = wire::DecodeResult::kOk;
  Phase phase_ = Phase::kScan;

  std::array<Frame, kKnownNesting + wire::kSkipNestingMax> frames_;
  std::size_t depth_ = 0;
  std::size_t unknown_values_ = 0;
  Slot slot_;  // being read
  std::uint64_t slots_seen_ = 0;
  // All that the state lists, also in fields that come again.
  std::uint64_t slots_listed_ = 0;
  std::uint64_t events_listed_ = 0;
  std::uint64_t members_listed_ = 0;

  wire::LamportTime member_time_;
  wire::LamportTime event_time_;
  wire::LamportTime query_time_;
  Range status_times_;
  Range left_;
  std::vector<Slot> slots_;  // a heap with the earliest in front, then sorted
  std::size_t surplus_ = 0;

  Range cursor_;
  std::size_t next_slot_ = 0;
  absl::btree_map<absl::string_view, wire::LamportTime> left_times_;
};

// --- turns ---

template <typename Visitor>
PushPullVisit::Progress PushPullVisit::Run(Visitor&& visitor) {
  std::size_t budget = kTurnCost;
  if (phase_ == Phase::kScan) {
    if (!Scan(budget)) return Progress::kMalformed;
    if (depth_ > 0) return Progress::kMore;
    ChooseEvents();
    phase_ = Phase::kClocks;
  }
  return Tell(visitor, budget) ? Progress::kDone : Progress::kMore;
}

template <typename Visitor>
bool PushPullVisit::Tell(Visitor& visitor, std::size_t& budget) {
  switch (phase_) {
    case Phase::kScan:
    case Phase::kClocks:
      visitor.OnClocks(member_time_, event_time_, query_time_);
      Enter(Phase::kNameLeft, left_);
      [[fallthrough]];
    case Phase::kNameLeft:
      if (!ForEach<absl::string_view>(cursor_, kStatusCost, budget, [&](absl::string_view name) {
            left_times_.try_emplace(name);
          })) {
        return false;
      }
      Enter(Phase::kTimeLeft, left_times_.empty() ? Range() : status_times_);
      [[fallthrough]];
    case Phase::kTimeLeft:
      if (!ForEach<wire::StatusLTime>(cursor_, kStatusCost, budget,
                                      [&](const wire::StatusLTime& status) {
                                        const auto found = left_times_.find(status.node);
                                        if (found != left_times_.end())
                                          found->second = status.ltime;
                                      })) {
        return false;
      }
      Enter(Phase::kTellLeft, left_);
      [[fallthrough]];
    case Phase::kTellLeft:
      if (!ForEach<absl::string_view>(cursor_, kLeftCost, budget, [&](absl::string_view name) {
            visitor.OnRemoteLeft(name, left_times_.find(name)->second);
          })) {
        return false;
      }
      Enter(Phase::kTellStatus, status_times_);
      [[fallthrough]];
    case Phase::kTellStatus:
      if (!ForEach<wire::StatusLTime>(cursor_, kStatusCost, budget,
                                      [&](const wire::StatusLTime& status) {
                                        if (left_times_.contains(status.node)) return;
                                        visitor.OnRemoteStatus(status.node, status.ltime);
                                      })) {
        return false;
      }
      phase_ = Phase::kTellEvents;
      [[fallthrough]];
    case Phase::kTellEvents:
      for (; next_slot_ < slots_.size(); ++next_slot_) {
        Slot& slot = slots_[next_slot_];
        if (!ForEach<wire::RecentEvent>(
                slot.events, kEventCost, budget,
                [&](const wire::RecentEvent& event) { visitor.OnRemoteEvent(slot.time, event); })) {
          return false;
        }
      }
      return true;
  }
  return true;
}

template <typename T, typename Step>
bool PushPullVisit::ForEach(Range& range, std::size_t cost, std::size_t& budget, Step&& step) {
  for (; range.left > 0; --range.left) {
    if (budget < cost) return false;
    budget -= cost;
    wire::DecodeScratch scratch;
    Reader reader(range.rest, scratch);
    T value{};
    bool ok;
    if constexpr (requires { value.ReadEntry(reader); }) {
      ok = value.ReadEntry(reader);
    } else {
      ok = reader.Read(value);
    }
    if (!ok) range.left = 1;  // cannot happen: the state was checked
    range.rest = range.rest.subspan(reader.position());
    step(value);
  }
  return true;
}

// --- the first look ---

inline bool PushPullVisit::Scan(std::size_t& budget) {
  if (rest_.data() == body_.data() && rest_.size() == body_.size()) {
    if (!ScanValue(Expect::kState)) return false;
  }
  for (; depth_ > 0 && budget > 0; --budget) {
    if (!ScanNext()) return false;
  }
  return true;
}

inline bool PushPullVisit::ScanNext() {
  Frame& frame = frames_[depth_ - 1];
  if (frame.left == 0) {
    Close();
    return true;
  }
  if (frame.map && !frame.key_read) {
    wire::DecodeScratch scratch;
    Reader reader(rest_, scratch);
    absl::string_view key;
    if (!reader.ReadKey(key)) return Fail(reader.result());
    rest_ = rest_.subspan(reader.position());
    frame.key_read = true;
    frame.value = FieldOf(frame, key);
    return true;
  }
  const Expect what = frame.map ? frame.value : ElementOf(frame);
  frame.key_read = false;
  --frame.left;
  ++frame.index;
  return ScanValue(what);
}

inline PushPullVisit::Expect PushPullVisit::ElementOf(const Frame& frame) {
  const auto field = [&](std::initializer_list<Expect> fields) {
    return frame.index < fields.size() ? fields.begin()[frame.index] : Expect::kUnknown;
  };
  switch (frame.what) {
    case Expect::kLeft:
      return Expect::kText;
    case Expect::kSlots:
      return Expect::kSlot;
    case Expect::kEvents:
      return Expect::kEvent;
    // A list has the fields of the record in the order of their declaration.
    case Expect::kState:
      return field({Expect::kMemberTime, Expect::kStatusTimes, Expect::kLeft, Expect::kEventTime,
                    Expect::kSlots, Expect::kQueryTime});
    case Expect::kSlot:
      return field({Expect::kSlotTime, Expect::kEvents});
    case Expect::kEvent:
      return field({Expect::kText, Expect::kBytes});
    default:
      return Expect::kUnknown;
  }
}

inline PushPullVisit::Expect PushPullVisit::FieldOf(const Frame& frame, absl::string_view key) {
  switch (frame.what) {
    case Expect::kStatusTimes:
      return Expect::kStatusTime;
    case Expect::kState:
      if (key == "LTime") return Expect::kMemberTime;
      if (key == "StatusLTimes") return Expect::kStatusTimes;
      if (key == "LeftMembers") return Expect::kLeft;
      if (key == "EventLTime") return Expect::kEventTime;
      if (key == "Events") return Expect::kSlots;
      if (key == "QueryLTime") return Expect::kQueryTime;
      return Expect::kUnknown;
    case Expect::kSlot:
      if (key == "LTime") return Expect::kSlotTime;
      return key == "Events" ? Expect::kEvents : Expect::kUnknown;
    case Expect::kEvent:
      if (key == "Name") return Expect::kText;
      return key == "Payload" ? Expect::kBytes : Expect::kUnknown;
    default:
      return Expect::kUnknown;
  }
}

template <typename T>
bool PushPullVisit::Take(T& value) {
  wire::DecodeScratch scratch;
  Reader reader(rest_, scratch);
  if (!reader.Read(value)) return Fail(reader.result());
  rest_ = rest_.subspan(reader.position());
  return true;
}

inline bool PushPullVisit::ScanValue(Expect what) {
  wire::LamportTime time;
  absl::string_view text;
  ByteView bytes;
  switch (what) {
    case Expect::kMemberTime:
      return Take(member_time_);
    case Expect::kEventTime:
      return Take(event_time_);
    case Expect::kQueryTime:
      return Take(query_time_);
    case Expect::kSlotTime:
      return Take(slot_.time);
    case Expect::kStatusTime:
      return Take(time);
    case Expect::kText:
      return Take(text);
    case Expect::kBytes:
      return Take(bytes);
    case Expect::kUnknown:
      return ScanUnknown();
    case Expect::kState:
    case Expect::kStatusTimes:
    case Expect::kLeft:
    case Expect::kSlots:
    case Expect::kSlot:
    case Expect::kEvents:
    case Expect::kEvent:
      return ScanContainer(what);
  }
  return false;
}

inline bool PushPullVisit::ScanContainer(Expect what) {
  using Kind = Reader::Kind;
  wire::DecodeScratch scratch;
  Reader reader(rest_, scratch);
  Reader::Head head;
  if (!reader.ReadHead(head)) return Fail(reader.result());
  rest_ = rest_.subspan(reader.position());
  const bool absent = head.kind == Kind::kNil;
  const bool is_map = what == Expect::kStatusTimes;
  const bool is_list = what == Expect::kLeft || what == Expect::kSlots || what == Expect::kEvents;
  const bool fits = (head.kind == Kind::kMap && !is_list) || (head.kind == Kind::kList && !is_map);
  if (!absent && !fits) return Fail(wire::DecodeResult::kBadType);
  const Range range = absent ? Range() : Range{rest_, head.value};
  switch (what) {
    case Expect::kStatusTimes:
    case Expect::kLeft:
      members_listed_ += range.left;
      if (range.left > kMembersMax || members_listed_ > 2 * kMembersMax) {
        return Fail(wire::DecodeResult::kTooLong);
      }
      (what == Expect::kLeft ? left_ : status_times_) = range;
      break;
    case Expect::kSlots:
      slots_listed_ += range.left;
      if (slots_listed_ > kListedMax) return Fail(wire::DecodeResult::kTooLong);
      slots_.clear();
      break;
    case Expect::kSlot:
      slot_ = Slot{.time = {}, .order = ++slots_seen_, .events = {}};
      break;
    case Expect::kEvents:
      events_listed_ += range.left;
      if (events_listed_ > kListedMax) return Fail(wire::DecodeResult::kTooLong);
      slot_.events = range;
      break;
    default:
      break;
  }
  return absent || Open(what, head.kind == Kind::kMap, head.value);
}

inline bool PushPullVisit::ScanUnknown() {
  using Kind = Reader::Kind;
  if (++unknown_values_ > kUnknownValuesMax) return Fail(wire::DecodeResult::kTooLong);
  wire::DecodeScratch scratch;
  Reader reader(rest_, scratch);
  Reader::Head head;
  if (!reader.ReadHead(head)) return Fail(reader.result());
  const bool nests = head.kind == Kind::kList || head.kind == Kind::kMap;
  if (!nests && !reader.SkipBody(head)) return Fail(reader.result());
  rest_ = rest_.subspan(reader.position());
  // Skip keys of any type, too.
  return !nests || Open(Expect::kUnknown, /*map=*/false,
                        head.kind == Kind::kMap ? 2 * head.value : head.value);
}

inline bool PushPullVisit::Open(Expect what, bool map, std::uint64_t size) {
  if (depth_ == frames_.size()) return Fail(wire::DecodeResult::kTooDeep);
  frames_[depth_++] = {.what = what, .map = map, .left = size};
  return true;
}

inline void PushPullVisit::Close() {
  if (frames_[--depth_].what == Expect::kSlot && slot_.events.left > 0) Keep(slot_);
}

inline void PushPullVisit::Keep(const Slot& slot) {
  if (slots_.size() == kSlotsMax) {
    ++surplus_;
    if (slot < slots_.front()) return;
    std::pop_heap(slots_.begin(), slots_.end(), std::greater<>());
    slots_.pop_back();
  }
  slots_.push_back(slot);
  std::push_heap(slots_.begin(), slots_.end(), std::greater<>());
}

inline void PushPullVisit::ChooseEvents() {
  constexpr std::uint64_t kOfSlotMax = LamportWindow<BufferedEvent>::kSlotEntriesMax;
  std::sort(slots_.begin(), slots_.end());
  std::uint64_t events = 0;
  for (std::size_t i = slots_.size(); i-- > 0;) {
    Range& range = slots_[i].events;
    const std::uint64_t kept = std::min({range.left, kOfSlotMax, kEventsMax - events});
    surplus_ += range.left - kept;
    range.left = kept;
    events += kept;
  }
}

}  // namespace serf

#endif  // SERF_GOSSIP_PUSH_PULL_VISIT_H_
