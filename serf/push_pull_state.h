#ifndef SERF_PUSH_PULL_STATE_H_
#define SERF_PUSH_PULL_STATE_H_

// The Serf layer's part of a push/pull: how it is put together, and in which order a received one
// is merged. Source: spec/serf.md 4.2, 4.3.

#include <algorithm>
#include <cstdint>
#include <limits>
#include <span>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/string_view.h"
#include "serf/base/bytes.h"
#include "serf/event_buffer.h"
#include "serf/wire/ids.h"
#include "serf/wire/list_view.h"
#include "serf/wire/serf_messages.h"

namespace serf {

// What a node tells of itself in a push/pull.
struct LocalState {
  wire::LamportTime member_time;
  wire::LamportTime event_time;
  wire::LamportTime query_time;
  std::vector<wire::StatusLTime> status_times;  // of all members, in any order
  std::vector<absl::string_view> left;          // of these, those that left
};

// Appends the message. `events` goes into it whole.
inline void AppendPushPullState(LocalState state, const EventBuffer& events, ByteVector& out) {
  std::sort(state.status_times.begin(), state.status_times.end(),
            [](const auto& a, const auto& b) { return a.node < b.node; });
  std::size_t count = 0;
  for (const auto& [time, slot] : events.slots()) count += slot.entries.size();
  std::vector<wire::RecentEvent> recent;
  recent.reserve(count);
  std::vector<wire::EventSlot> slots;
  slots.reserve(events.slots().size());
  for (const auto& [time, slot] : events.slots()) {
    const std::size_t first = recent.size();
    for (const BufferedEvent& event : slot.entries) {
      const ByteView payload = AsBytes(event.payload);
      recent.push_back({event.name, payload.empty() ? ByteView() : payload});
    }
    const std::span<const wire::RecentEvent> of_slot(recent.data() + first, recent.size() - first);
    wire::EventSlot& sent = slots.emplace_back();
    sent.used = true;
    sent.ltime = time;
    sent.events = wire::ListView<wire::RecentEvent>(of_slot);
  }
  wire::PushPullState message;
  message.ltime = state.member_time;
  message.status_ltimes = wire::ListView<wire::StatusLTime>(state.status_times);
  message.left_members = wire::ListView<absl::string_view>(state.left);
  message.event_ltime = state.event_time;
  message.events = wire::ListView<wire::EventSlot>(slots);
  message.query_ltime = state.query_time;
  Encode(message, out);
}

// Calls, in this order,
//   visitor.OnRemoteLeft(name, time)      for each left member; time 0 if the state has none
//   visitor.OnRemoteStatus(name, time)    for each other member
//   visitor.OnRemoteEvent(time, RecentEvent)
// Events go by ascending time and not as they come, since a ring that has wrapped would have newer
// ones first (reference issue 448).
template <typename Visitor>
void VisitPushPullState(const wire::PushPullState& state, Visitor&& visitor) {
  absl::flat_hash_map<absl::string_view, wire::LamportTime> left;
  state.left_members.ForEach([&](absl::string_view name) { left.try_emplace(name); });
  if (!left.empty()) {
    state.status_ltimes.ForEach([&](const wire::StatusLTime& status) {
      const auto found = left.find(status.node);
      if (found != left.end()) found->second = status.ltime;
    });
  }
  state.left_members.ForEach(
      [&](absl::string_view name) { visitor.OnRemoteLeft(name, left.find(name)->second); });
  state.status_ltimes.ForEach([&](const wire::StatusLTime& status) {
    if (!left.contains(status.node)) visitor.OnRemoteStatus(status.node, status.ltime);
  });

  std::vector<wire::EventSlot> slots;
  state.events.ForEach([&](const wire::EventSlot& slot) {
    if (slot.used) slots.push_back(slot);
  });
  std::stable_sort(slots.begin(), slots.end(),
                   [](const auto& a, const auto& b) { return a.ltime < b.ltime; });
  for (const wire::EventSlot& slot : slots) {
    slot.events.ForEach(
        [&](const wire::RecentEvent& event) { visitor.OnRemoteEvent(slot.ltime, event); });
  }
}

// The time of the leave intent that a left member of status time `time` stands for. The intent's
// own time is not told.
inline constexpr wire::LamportTime TimeOfRemoteLeave(wire::LamportTime time) {
  return time.value() == std::numeric_limits<std::uint64_t>::max()
             ? time
             : wire::LamportTime(time.value() + 1);
}

// What to witness of a peer's clock, which stands at a time that it has not used yet. None is zero.
inline constexpr wire::LamportTime LastUsed(wire::LamportTime clock) {
  return clock.value() == 0 ? clock : wire::LamportTime(clock.value() - 1);
}

}  // namespace serf

#endif  // SERF_PUSH_PULL_STATE_H_
