// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_RPC_PENDING_QUERIES_H_
#define SERF_RPC_PENDING_QUERIES_H_

// PendingQueries: the queries that the streams of one connection have delivered and the client may
// still answer. The client knows each delivery by a number. Internal to the server; one thread.
// Source: docs/protocol/agent.md 1.7, respond.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>

#include "serf/base/time.h"
#include "serf/query.h"
#include "serf/rpc/protocol.h"

namespace serf::rpc {

class PendingQueries {
 public:
  // Adds a delivery and returns its number: 1, 2, 3, ... The number holds until the query's
  // deadline. Beyond kPendingQueriesMax the oldest ones are forgotten.
  std::uint64_t Add(Instant now, QueryId query, Instant deadline) {
    if (entries_.size() >= kPendingQueriesMax && now >= next_purge_) {
      next_purge_ = now + kPurgeInterval;
      std::erase_if(entries_, [now](const auto& entry) { return entry.second.deadline <= now; });
    }
    if (entries_.size() >= kPendingQueriesMax) entries_.erase(entries_.begin());
    entries_.emplace(++last_, Entry{query, deadline});
    return last_;
  }

  // The query with this number. Nothing if there is none, or its deadline has passed.
  std::optional<QueryId> Find(Instant now, std::uint64_t number) {
    const auto it = entries_.find(number);
    if (it == entries_.end()) return std::nullopt;
    if (it->second.deadline > now) return it->second.query;
    entries_.erase(it);
    return std::nullopt;
  }

  std::size_t size() const { return entries_.size(); }

 private:
  // The least time between two searches for passed deadlines.
  static constexpr Duration kPurgeInterval = std::chrono::seconds(1);

  struct Entry {
    QueryId query;
    Instant deadline;
  };

  std::map<std::uint64_t, Entry> entries_;
  std::uint64_t last_ = 0;
  Instant next_purge_ = Instant::min();
};

}  // namespace serf::rpc

#endif  // SERF_RPC_PENDING_QUERIES_H_
