// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_GOSSIP_BROADCASTS_H_
#define SERF_GOSSIP_BROADCASTS_H_

// Broadcasts: the three queues of messages that the SWIM layer gossips for the Serf layer. Intents
// go before queries, and queries before events, but with prompt gossip each kind has its turn
// (serf/swim/packet_lead.h). Source: docs/protocol/serf.md 12.2, 12.3.
//
// Unlike in Go Serf an intent replaces a queued one about the same member, which it makes useless
// (docs/protocol/serf.md 15.3): when many members leave, the queue holds one message for each.

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "serf/base/bytes.h"
#include "serf/base/logger.h"
#include "serf/swim/broadcast_queue.h"
#include "serf/swim/packet_lead.h"

namespace serf {

class Broadcasts {
 public:
  using Token = swim::BroadcastQueue::Token;

  using Order = swim::BroadcastQueue::Order;
  using Spread = swim::Spread;

  // `queue_max`: the most messages in each queue.
  explicit Broadcasts(std::size_t queue_max, Order order = Order::kTicks)
      : intents_{"Intent", queue_max, order},
        queries_{"Query", queue_max, order},
        events_{"Event", queue_max, order} {}

  // A `token` other than zero appears in TakeFinished() when the message left in a wave (without
  // waves: when it was sent for the last time), or was replaced.
  void AddIntent(absl::string_view member, bool prune, ByteView message, Spread spread,
                 Token token = 0) {
    // An intent that prunes says more than a later one that does not, so neither replaces the
    // other.
    Add(intents_, prune ? absl::StrCat("prune ", member) : absl::StrCat("intent ", member), message,
        spread, token);
  }
  void AddQuery(ByteView message, Spread spread) { Add(queries_, "", message, spread); }
  void AddEvent(ByteView message, Spread spread) { Add(events_, "", message, spread); }
  // True if a message was added since the last call: gossip has something new to say.
  bool TakeNews() { return std::exchange(any_news_, false); }

  // As swim::Delegate::DrawBroadcasts.
  std::size_t Draw(int transmit_limit, std::size_t overhead, std::size_t budget,
                   std::vector<ByteView>& parts, swim::BroadcastQueue::Packet packet = {});

  std::vector<Token> TakeFinished() {
    std::vector<Token> finished = intents_.queue.finished();
    intents_.queue.ClearFinished();
    return finished;
  }

  std::size_t intents() const { return intents_.queue.size(); }
  std::size_t queries() const { return queries_.queue.size(); }
  std::size_t events() const { return events_.queue.size(); }
  std::size_t size() const { return waiting().messages; }
  swim::BroadcastsWaiting waiting() const {
    return intents_.queue.waiting() + queries_.queue.waiting() + events_.queue.waiting();
  }

  // Logs a warning for full queues, and sets their limit from now on.
  void Check(std::size_t warning, std::size_t queue_max, Logger* logger) {
    for (Named* named : {&intents_, &events_, &queries_}) {
      CheckQueue(*named, warning, queue_max, logger);
    }
  }

  const swim::BroadcastQueue& intent_queue() const { return intents_.queue; }

 private:
  struct Named {
    Named(absl::string_view queue_name, std::size_t queue_max, Order order)
        : name(queue_name), queue(queue_max, order), max(queue_max) {}

    absl::string_view name;
    swim::BroadcastQueue queue;
    std::size_t max;
    std::uint64_t dropped = 0;  // at the last check
  };

  void Add(Named& named, absl::string_view subject, ByteView message, Spread spread,
           Token token = 0) {
    named.queue.Enqueue(subject, message, token, spread);
    any_news_ = true;
  }
  static void CheckQueue(Named& named, std::size_t warning, std::size_t queue_max, Logger* logger);

  Named intents_;
  Named queries_;
  Named events_;
  bool any_news_ = false;
};

inline std::size_t Broadcasts::Draw(int transmit_limit, std::size_t overhead, std::size_t budget,
                                    std::vector<ByteView>& parts,
                                    swim::BroadcastQueue::Packet packet) {
  std::size_t used = 0;
  std::array<Named*, swim::kUserKinds> order = {&intents_, &queries_, &events_};
  const auto lead = order.begin() + static_cast<std::ptrdiff_t>(packet.lead.user);
  std::rotate(order.begin(), lead, lead + 1);
  for (Named* named : order) {
    if (named->queue.empty()) continue;
    used += named->queue.Draw(transmit_limit, overhead, budget - used, parts, packet);
  }
  return used;
}

inline void Broadcasts::CheckQueue(Named& named, std::size_t warning, std::size_t queue_max,
                                   Logger* logger) {
  const std::size_t size = named.queue.size();
  if (size >= warning) {
    Log(logger, LogLevel::kWarn, "serf: ", named.name, " queue depth: ", size);
  }
  // Each insertion keeps the queue within its limit. So the number dropped since the last check is
  // the excess that an unlimited queue would hold now.
  const std::uint64_t excess = named.queue.dropped() - named.dropped;
  if (excess > 0 || size > queue_max) {
    Log(logger, LogLevel::kWarn, "serf: ", named.name, " queue depth (", size + excess,
        ") exceeds limit (", excess > 0 ? named.max : queue_max, "), dropping messages!");
  }
  named.max = queue_max;
  named.queue.SetMax(queue_max);
  named.dropped = named.queue.dropped();
}

}  // namespace serf

#endif  // SERF_GOSSIP_BROADCASTS_H_
