// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_EVENTS_USER_EVENT_COALESCER_H_
#define SERF_EVENTS_USER_EVENT_COALESCER_H_

// UserEventCoalescer: holds back user events that may be coalesced, and delivers the newest of each
// name: ten "deploy" within a second become the last one. A pure machine. Source:
// docs/protocol/serf.md 11.2, 11.4.
//
//   coalescer.Add(now, event);             // only events with `coalesce`; then, at NextDeadline():
//   coalescer.OnTimer(now, [&](UserEvent event) { ... });
//
// The newest event is the one with the greatest Lamport time. Events that share that time are all
// delivered, since none is newer than the others.

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/btree_map.h"
#include "serf/base/time.h"
#include "serf/event.h"
#include "serf/events/batch_timer.h"

namespace serf {

class UserEventCoalescer {
 public:
  // The most events held back, and the most bytes of their names and payloads: so many events of
  // 512 bytes, the default limit. A full batch is due at once, so that nothing is lost.
  static constexpr std::size_t kHeldMax = 4096;
  static constexpr std::size_t kHeldBytesMax = std::size_t{2} << 20;
  // The most events in a portion, as for the events of a push/pull: applications do much with each.
  static constexpr std::size_t kToldInTurnMax = 128;

  // See BatchTimer.
  UserEventCoalescer(Duration period, Duration quiescent) : timer_(period, quiescent) {}

  void Add(Instant now, UserEvent event);

  // When the batch is due; kNever if nothing is held back.
  Instant NextDeadline() const {
    const bool full = held_ >= kHeldMax || bytes_ >= kHeldBytesMax;
    return full || !batch_.empty() ? Instant::min() : timer_.deadline();
  }

  // Delivers the next portion of the batch if it is due, by ascending Lamport time. Events that
  // come meanwhile belong to the next batch.
  template <typename Deliver>
  void OnTimer(Instant now, Deliver&& deliver) {
    if (now < NextDeadline()) return;
    if (batch_.empty()) Begin();
    Continue(kToldInTurnMax, deliver);
  }

  // Delivers everything now.
  template <typename Deliver>
  void Flush(Deliver&& deliver) {
    Continue(batch_.size(), deliver);
    Begin();
    Continue(batch_.size(), deliver);
  }

 private:
  static std::size_t BytesOf(const UserEvent& event) {
    return event.name.size() + event.payload.size();
  }

  // The held-back events become the batch that is being delivered.
  void Begin();
  template <typename Deliver>
  void Continue(std::size_t events, Deliver& deliver);

  BatchTimer timer_;
  // By name: the events of the greatest time, in the order of their arrival.
  absl::btree_map<std::string, std::vector<UserEvent>> newest_;
  std::size_t held_ = 0;
  std::size_t bytes_ = 0;
  std::vector<UserEvent> batch_;  // being delivered
  std::size_t next_ = 0;          // in batch_
};

inline void UserEventCoalescer::Add(Instant now, UserEvent event) {
  timer_.OnEvent(now);
  std::vector<UserEvent>& newest = newest_[event.name];
  if (!newest.empty()) {
    if (event.time < newest.front().time) return;
    if (event.time > newest.front().time) {
      held_ -= newest.size();
      for (const UserEvent& old : newest) bytes_ -= BytesOf(old);
      newest.clear();
    }
  }
  bytes_ += BytesOf(event);
  newest.push_back(std::move(event));
  ++held_;
}

inline void UserEventCoalescer::Begin() {
  timer_.Stop();
  batch_.reserve(held_);
  for (auto& [name, events] : newest_) {
    std::move(events.begin(), events.end(), std::back_inserter(batch_));
  }
  newest_.clear();
  held_ = bytes_ = 0;
  std::stable_sort(batch_.begin(), batch_.end(),
                   [](const UserEvent& a, const UserEvent& b) { return a.time < b.time; });
}

template <typename Deliver>
void UserEventCoalescer::Continue(std::size_t events, Deliver& deliver) {
  for (; events > 0 && next_ < batch_.size(); --events, ++next_) {
    deliver(std::move(batch_[next_]));
  }
  if (next_ < batch_.size()) return;
  batch_ = {};
  next_ = 0;
}

}  // namespace serf

#endif  // SERF_EVENTS_USER_EVENT_COALESCER_H_
