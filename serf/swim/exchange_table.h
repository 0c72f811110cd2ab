// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_SWIM_EXCHANGE_TABLE_H_
#define SERF_SWIM_EXCHANGE_TABLE_H_

// ExchangeTable: the open streams, when each must have ended, and how much memory they hold
// together. It chooses which stream to drop when there is no room; streams.h handles what the
// streams say.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "serf/base/endpoint.h"
#include "serf/base/fair_shares.h"
#include "serf/base/time.h"
#include "serf/base/timer_heap.h"
#include "serf/swim/node_context.h"
#include "serf/swim/outbox.h"
#include "serf/swim/stream_exchange.h"

namespace serf::swim {

class ExchangeTable {
 public:
  StreamId Open(StreamExchange::Purpose purpose, const Endpoint& peer, Instant deadline,
                const NodeContext& context) {
    const StreamId id(next_id_++);
    auto exchange = std::make_unique<StreamExchange>(purpose, peer, context);
    exchange->timer = timers_.Push(deadline, id);
    if (exchange->accepted()) {
      ++accepted_;
      strangers_.Add(id, peer.address);
    } else {
      ++dialled_;
    }
    exchanges_.emplace(id, std::move(exchange));
    return id;
  }

  // Null if the stream is not open.
  StreamExchange* Find(StreamId id) {
    const auto it = exchanges_.find(id);
    return it == exchanges_.end() ? nullptr : it->second.get();
  }

  void Forget(StreamId id) {
    const auto it = exchanges_.find(id);
    StreamExchange& exchange = *it->second;
    timers_.Remove(exchange.timer);
    if (exchange.counted_push_pull) --push_pulls_;
    unmerged_.Remove(id);
    strangers_.Remove(id);
    held_ -= exchange.held;
    --(exchange.accepted() ? accepted_ : dialled_);
    exchanges_.erase(it);
  }

  // --- deadlines ---
  Instant next() const { return timers_.next(); }
  StreamId Pop() { return timers_.Pop(); }
  void SetDeadline(StreamId id, StreamExchange& exchange, Instant deadline) {
    if (!timers_.Reschedule(exchange.timer, deadline)) exchange.timer = timers_.Push(deadline, id);
  }
  void RemoveDeadline(StreamExchange& exchange) { timers_.Remove(exchange.timer); }

  // --- counts ---
  std::size_t size() const { return exchanges_.size(); }
  std::size_t accepted() const { return accepted_; }
  std::size_t dialled() const { return dialled_; }
  // How many push/pulls of peers are open.
  std::size_t push_pulls() const { return push_pulls_; }
  void CountPushPull(StreamId id, StreamExchange& exchange) {
    exchange.counted_push_pull = true;
    ++push_pulls_;
    unmerged_.Add(id, exchange.peer().address);
  }
  // The bytes of memory of all streams. CountHeld() counts those of one stream anew.
  std::size_t held() const { return held_; }
  void CountHeld(StreamExchange& exchange) {
    held_ -= exchange.held;
    exchange.held = exchange.reader().held() + (exchange.merge ? exchange.merge->held() : 0);
    held_ += exchange.held;
  }

  // --- which stream to close ---
  // The streams of peers on which nothing was verified yet.
  FairShares<StreamId>& strangers() { return strangers_; }
  // The push/pulls of peers that are not being merged yet.
  FairShares<StreamId>& unmerged() { return unmerged_; }
  // The stream that holds most, of the address that holds most. Never a stream that is being
  // merged: it ends soon anyway.
  std::optional<StreamId> LargestHolder() const;

 private:
  absl::flat_hash_map<StreamId, std::unique_ptr<StreamExchange>> exchanges_;
  TimerHeap<StreamId> timers_;
  std::uint64_t next_id_ = 1;
  std::size_t accepted_ = 0;
  std::size_t dialled_ = 0;
  std::size_t push_pulls_ = 0;
  std::size_t held_ = 0;
  FairShares<StreamId> strangers_;
  FairShares<StreamId> unmerged_;
};

inline std::optional<StreamId> ExchangeTable::LargestHolder() const {
  absl::flat_hash_map<IpAddress, std::size_t> sums;
  for (const auto& [id, exchange] : exchanges_) {
    sums[SharingAddress(exchange->peer().address)] += exchange->held;
  }
  std::optional<StreamId> largest;
  std::pair<std::size_t, std::size_t> most;
  for (const auto& [id, exchange] : exchanges_) {
    if (exchange->stage == StreamExchange::Stage::kMerging) continue;
    const std::pair holds(sums[SharingAddress(exchange->peer().address)], exchange->held);
    // Of equal streams the oldest, so that the order of the table does not matter.
    if (largest && (holds < most || (holds == most && id > *largest))) continue;
    largest = id;
    most = holds;
  }
  return largest;
}

}  // namespace serf::swim

#endif  // SERF_SWIM_EXCHANGE_TABLE_H_
