// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_EVENTS_USER_EVENTS_H_
#define SERF_EVENTS_USER_EVENTS_H_

// UserEvents: the user events of a node. It issues those of this node, takes each one of the others
// once, and remembers the last ones for nodes that missed them. Source: docs/protocol/serf.md 4.3,
// 4.4, 5.
//
// Unlike Go Serf it refuses to issue an event that no gossip packet can carry: other members would
// not receive it before the next push/pull (docs/protocol/serf.md 5.1).

#include <algorithm>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "serf/base/bytes.h"
#include "serf/base/logger.h"
#include "serf/base/results.h"
#include "serf/base/time.h"
#include "serf/context/context.h"
#include "serf/event.h"
#include "serf/gossip/broadcasts.h"
#include "serf/lamport/checked_clock.h"
#include "serf/lamport/event_buffer.h"
#include "serf/lamport/lamport_clock.h"
#include "serf/swim/log_limiter.h"
#include "serf/swim/packet_budget.h"
#include "serf/wire/ids.h"
#include "serf/wire/serf_messages.h"

namespace serf {

class UserEvents {
 public:
  // Both must outlive the object.
  UserEvents(SerfContext& context, Broadcasts& broadcasts)
      : context_(context),
        broadcasts_(broadcasts),
        clock_("user events", context.config.swim.logger, context.counters) {}
  UserEvents(const UserEvents&) = delete;
  UserEvents& operator=(const UserEvents&) = delete;

  // Resumes the clock after the last event time that the snapshot has, so that old events are not
  // delivered again (docs/protocol/serf.md 2.3).
  void Restore(wire::LamportTime last) {
    clock_.Restore(last);
    min_time_ = clock_.time();
  }

  // Issues an event: delivers it here and queues it. InvalidArgument, and nothing was done, if it
  // is too large; the texts are those of docs/protocol/serf.md 5.1.
  absl::Status Send(Instant now, absl::string_view name, absl::string_view payload, bool coalesce);

  // An event of another node. True if it is new and should be passed on.
  bool OnMessage(Instant now, const wire::UserEventMessage& event) {
    return clock_.Witness(now, event.ltime) && Admit(now, event);
  }
  // An event in a peer's state. The clock has already witnessed the peer's clock.
  void OnRemoteEvent(Instant now, const wire::UserEventMessage& event) {
    if (clock_.IsPast(now, event.ltime)) Admit(now, event);
  }
  // A peer's clock; see CheckedClock.
  void OnPeerClock(Instant now, wire::LamportTime clock, bool adopt) {
    clock_.OnPeerClock(now, clock, adopt);
  }
  // From now on the node drops events before this time, from every source. `time` is not later than
  // the clock, so that the node never drops events to come.
  void IgnoreBefore(wire::LamportTime time) {
    min_time_ = std::max(min_time_, std::min(time, clock_.time()));
  }

  const LamportClock& clock() const { return clock_.clock(); }
  const EventBuffer& recent() const { return recent_; }
  // The events that are new to this node, including its own.
  Results<UserEvent>& fresh() { return fresh_; }

 private:
  // Takes an event; the clock has already witnessed its time. True if it is new.
  bool Admit(Instant now, const wire::UserEventMessage& event);

  SerfContext& context_;
  Broadcasts& broadcasts_;
  CheckedClock clock_;
  EventBuffer recent_;
  wire::LamportTime min_time_;
  Results<UserEvent> fresh_;
};

inline absl::Status UserEvents::Send(Instant now, absl::string_view name, absl::string_view payload,
                                     bool coalesce) {
  const std::size_t limit = context_.config.user_event_size_limit;
  if (name.size() + payload.size() > limit) {
    return absl::InvalidArgumentError(
        absl::StrCat("user event exceeds configured limit of ", limit, " bytes before encoding"));
  }
  wire::UserEventMessage message;
  message.ltime = clock_.time();
  message.name = name;
  message.payload = payload.empty() ? ByteView() : AsBytes(payload);
  message.cc = coalesce;
  ByteVector bytes;
  Encode(message, bytes);
  if (bytes.size() > limit) {
    return absl::InvalidArgumentError(absl::StrCat(
        "encoded user event exceeds configured limit of ", limit, " bytes after encoding"));
  }
  if (const std::size_t room = swim::MaxGossipMessage(context_.config.swim); bytes.size() > room) {
    return absl::InvalidArgumentError(absl::StrCat("encoded user event has ", bytes.size(),
                                                   " bytes, a packet of gossip holds ", room));
  }
  clock_.Take();
  Admit(now, message);
  broadcasts_.AddEvent(bytes, swim::Spread::kAll);
  return absl::OkStatus();
}

inline bool UserEvents::Admit(Instant now, const wire::UserEventMessage& event) {
  if (event.name.size() + event.payload.size() > kUserEventMax) {
    ++context_.counters.dropped_oversize;
    return false;
  }
  if (event.ltime < min_time_) return false;
  const wire::LamportTime current = clock_.time();
  if (recent_.TooOld(event.ltime, current)) {
    ++context_.counters.dropped_old;
    context_.limiter.Log(now, swim::LogReason::kOldEvent, LogLevel::kWarn, [&] {
      return absl::StrCat("serf: received old event ", event.name, " from time ",
                          event.ltime.value(), " (current: ", current.value(), ")");
    });
    return false;
  }
  if (!recent_.Add(event.ltime, current, event.name, AsText(event.payload))) return false;
  ++context_.counters.user_events;
  fresh_.Add({event.ltime, std::string(event.name), std::string(AsText(event.payload)), event.cc});
  return true;
}

}  // namespace serf

#endif  // SERF_EVENTS_USER_EVENTS_H_
