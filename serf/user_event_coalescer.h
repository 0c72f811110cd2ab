#ifndef SERF_USER_EVENT_COALESCER_H_
#define SERF_USER_EVENT_COALESCER_H_

// UserEventCoalescer: holds user events back that may be coalesced, and of those with the same name
// delivers the newest: ten "deploy" within a second become the last one. A machine that is told the
// time. Source: spec/serf.md 11.2, 11.4.
//
//   coalescer.Add(now, event);             // only events with `coalesce`; then, at NextDeadline():
//   coalescer.OnTimer(now, [&](UserEvent event) { ... });
//
// Newest is the greatest Lamport time; events that share it are all delivered, since none is newer
// than the other.

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/btree_map.h"
#include "serf/base/time.h"
#include "serf/batch_timer.h"
#include "serf/event.h"

namespace serf {

class UserEventCoalescer {
 public:
  // Events held back, and the bytes of their names and payloads: of as many of the size that users
  // get by default, 512. A full batch is due at once, so that nothing is lost.
  static constexpr std::size_t kHeldMax = 4096;
  static constexpr std::size_t kHeldBytesMax = std::size_t{2} << 20;

  // See BatchTimer.
  UserEventCoalescer(Duration period, Duration quiescent) : timer_(period, quiescent) {}

  void Add(Instant now, UserEvent event);

  // When the batch is due; kNever if nothing is held back.
  Instant NextDeadline() const {
    const bool full = held_ >= kHeldMax || bytes_ >= kHeldBytesMax;
    return full ? Instant::min() : timer_.deadline();
  }

  // Delivers the batch if it is due, by ascending Lamport time.
  template <typename Deliver>
  void OnTimer(Instant now, Deliver&& deliver) {
    if (now >= NextDeadline()) Flush(deliver);
  }

  // Delivers the batch now.
  template <typename Deliver>
  void Flush(Deliver&& deliver);

 private:
  static std::size_t BytesOf(const UserEvent& event) {
    return event.name.size() + event.payload.size();
  }

  BatchTimer timer_;
  // By name: the events of its greatest time, in the order they came.
  absl::btree_map<std::string, std::vector<UserEvent>> newest_;
  std::size_t held_ = 0;
  std::size_t bytes_ = 0;
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

template <typename Deliver>
void UserEventCoalescer::Flush(Deliver&& deliver) {
  timer_.Stop();
  std::vector<UserEvent> batch;
  batch.reserve(held_);
  for (auto& [name, events] : newest_) {
    std::move(events.begin(), events.end(), std::back_inserter(batch));
  }
  newest_.clear();
  held_ = bytes_ = 0;
  std::stable_sort(batch.begin(), batch.end(),
                   [](const UserEvent& a, const UserEvent& b) { return a.time < b.time; });
  for (UserEvent& event : batch) deliver(std::move(event));
}

}  // namespace serf

#endif  // SERF_USER_EVENT_COALESCER_H_
