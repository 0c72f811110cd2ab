// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_EVENTS_EVENT_PIPELINE_H_
#define SERF_EVENTS_EVENT_PIPELINE_H_

// EventPipeline: brings member and user events to the application in order, through the coalescers
// if they are configured. Source: docs/protocol/serf.md 11.1.
//
// The user events of one input (a packet, a push/pull) are delivered by ascending Lamport time.
// Gossip sends the newest event first, so that Go Serf delivers the events of one sender backwards.
// Of many events, each input and each turn of the loop delivers some.

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <optional>
#include <utility>
#include <vector>

#include "serf/base/time.h"
#include "serf/config.h"
#include "serf/event.h"
#include "serf/events/member_event_coalescer.h"
#include "serf/events/user_event_coalescer.h"
#include "serf/outbox.h"

namespace serf {

class EventPipeline {
 public:
  explicit EventPipeline(const Config& config) {
    const Duration zero = Duration::zero();
    if (config.coalesce_period > zero && config.quiescent_period > zero) {
      member_coalescer_.emplace(config.coalesce_period, config.quiescent_period);
    }
    if (config.user_coalesce_period > zero && config.user_quiescent_period > zero) {
      user_coalescer_.emplace(config.user_coalesce_period, config.user_quiescent_period);
    }
  }

  void Add(Instant now, MemberEvent event, Outbox& out) {
    if (member_coalescer_) return member_coalescer_->Add(now, std::move(event));
    out.Emit(std::move(event));
  }
  // Delivered by the next Settle().
  void Add(UserEvent event) { fresh_.push_back(std::move(event)); }

  // The end of an input.
  void Settle(Instant now, Outbox& out) {
    if (!fresh_.empty()) Sort();
    Tell(now, kToldInTurnMax, out);
  }

  Instant NextDeadline() const {
    if (!ready_.empty()) return Instant::min();
    return std::min(member_coalescer_ ? member_coalescer_->NextDeadline() : kNever,
                    user_coalescer_ ? user_coalescer_->NextDeadline() : kNever);
  }
  void OnTimer(Instant now, Outbox& out) {
    const auto emit = [&out](auto event) { out.Emit(std::move(event)); };
    if (member_coalescer_) member_coalescer_->OnTimer(now, emit);
    if (user_coalescer_) user_coalescer_->OnTimer(now, emit);
  }
  // Delivers all held-back events.
  void Flush(Instant now, Outbox& out) {
    Settle(now, out);
    Tell(now, ready_.size(), out);
    const auto emit = [&out](auto event) { out.Emit(std::move(event)); };
    if (member_coalescer_) member_coalescer_->Flush(emit);
    if (user_coalescer_) user_coalescer_->Flush(emit);
  }

 private:
  // As many as of a push/pull. A packet may hold a thousand.
  static constexpr std::size_t kToldInTurnMax = UserEventCoalescer::kToldInTurnMax;
  // Events that may wait. Further ones are delivered at once, so that a flood does not fill the
  // memory.
  static constexpr std::size_t kWaitingMax = 4096;

  // Puts the events of this input behind those that wait, in order.
  void Sort() {
    std::stable_sort(fresh_.begin(), fresh_.end(),
                     [](const UserEvent& a, const UserEvent& b) { return a.time < b.time; });
    if (ready_.empty()) return ready_.swap(fresh_);
    ready_.erase(ready_.begin(), ready_.begin() + static_cast<std::ptrdiff_t>(next_));
    next_ = 0;
    std::move(fresh_.begin(), fresh_.end(), std::back_inserter(ready_));
    fresh_.clear();
  }
  void Tell(Instant now, std::size_t count, Outbox& out) {
    const std::size_t waiting = ready_.size() - next_;
    count = std::max(count, waiting - std::min(waiting, kWaitingMax));
    for (; count > 0 && next_ < ready_.size(); --count, ++next_) {
      UserEvent& event = ready_[next_];
      if (event.coalesce && user_coalescer_) {
        user_coalescer_->Add(now, std::move(event));
      } else {
        out.Emit(std::move(event));
      }
    }
    if (next_ < ready_.size()) return;
    next_ = 0;
    ready_.clear();
    if (ready_.capacity() > kToldInTurnMax) ready_ = {};
  }

  std::optional<MemberEventCoalescer> member_coalescer_;
  std::optional<UserEventCoalescer> user_coalescer_;
  std::vector<UserEvent> fresh_;  // of this input
  std::vector<UserEvent> ready_;  // to deliver, from next_
  std::size_t next_ = 0;
};

}  // namespace serf

#endif  // SERF_EVENTS_EVENT_PIPELINE_H_
