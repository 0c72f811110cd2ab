#ifndef SERF_RPC_PENDING_QUERIES_H_
#define SERF_RPC_PENDING_QUERIES_H_

// PendingQueries: the queries that the streams of one connection have delivered and the client may
// answer, by the number that the client knows each delivery by (spec/agent.md 1.7, respond).

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
  // The number of a delivery: 1, 2, 3, ... It holds until the query's deadline; beyond
  // kPendingQueriesMax the oldest are forgotten.
  std::uint64_t Add(Instant now, QueryId query, Instant deadline) {
    if (entries_.size() >= kPendingQueriesMax && now >= next_purge_) {
      next_purge_ = now + kPurgeInterval;
      std::erase_if(entries_, [now](const auto& entry) { return entry.second.deadline <= now; });
    }
    if (entries_.size() >= kPendingQueriesMax) entries_.erase(entries_.begin());
    entries_.emplace(++last_, Entry{query, deadline});
    return last_;
  }

  // None if there is no such number, or no longer.
  std::optional<QueryId> Find(Instant now, std::uint64_t number) {
    const auto it = entries_.find(number);
    if (it == entries_.end()) return std::nullopt;
    if (it->second.deadline > now) return it->second.query;
    entries_.erase(it);
    return std::nullopt;
  }

  std::size_t size() const { return entries_.size(); }

 private:
  // Least time between two looks at all.
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
