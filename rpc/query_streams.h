// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_RPC_QUERY_STREAMS_H_
#define SERF_RPC_QUERY_STREAMS_H_

// QueryStreams: the queries that one connection has asked, with the answers that wait to be
// written, and what must be cancelled when the connection ends. It drops nothing: a query with
// incomplete answers would look like one that few nodes have answered. Internal to the server; one
// thread. Source: docs/protocol/agent.md 1.9.4.

#include <cstddef>
#include <cstdint>
#include <deque>
#include <iterator>
#include <map>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "msgpack/sbuffer.hpp"
#include "serf/query.h"
#include "serf/rpc/encode.h"
#include "serf/rpc/protocol.h"

namespace serf::rpc {

class QueryStreams {
 public:
  // Names a query. The client's own number does not, because two queries may share it.
  using Key = std::uint64_t;

  // Adds a query that is about to be asked. Its answers wait until Start().
  Key Add(std::uint64_t seq) {
    streams_.emplace(++last_key_, Stream{seq, std::nullopt, {}});
    return last_key_;
  }
  // The query is under way, and its reply comes before its answers. False for an unknown query.
  bool Start(Key key, QueryId query) {
    const auto it = streams_.find(key);
    if (it == streams_.end()) return false;
    it->second.query = query;
    if (!it->second.queue.empty()) ready_.insert(key);
    return true;
  }
  // Drops a query and its answers.
  void Remove(Key key) {
    const auto it = streams_.find(key);
    if (it == streams_.end()) return;
    for (const QueryUpdate& update : it->second.queue) waiting_ -= SizeOf(update);
    streams_.erase(it);
    ready_.erase(key);
  }

  // Queues an answer; kDone is the last of its query. False if more than kAnswersWaitingMax bytes
  // wait, because the client does not read.
  bool Push(Key key, QueryUpdate update) {
    const auto it = streams_.find(key);
    if (it == streams_.end()) return true;
    waiting_ += SizeOf(update);
    it->second.queue.push_back(std::move(update));
    if (it->second.query) ready_.insert(key);
    return waiting_ <= kAnswersWaitingMax;
  }

  // Writes the oldest answer of each query. False if none waits.
  bool WriteRound(msgpack::sbuffer& out) {
    const bool wrote = !ready_.empty();
    Writer writer(out);
    for (auto it = ready_.begin(); it != ready_.end();) {
      const auto found = streams_.find(*it);
      Stream& stream = found->second;
      const QueryUpdate update = std::move(stream.queue.front());
      stream.queue.pop_front();
      waiting_ -= SizeOf(update);
      Encode(writer, ResponseHeader{{}, stream.seq});
      Encode(writer, update);
      const bool done = update.kind == QueryUpdate::Kind::kDone;
      it = done || stream.queue.empty() ? ready_.erase(it) : std::next(it);
      if (done) streams_.erase(found);
    }
    return wrote;
  }

  // Forgets all queries. Returns those that are under way, for the caller to cancel.
  std::vector<QueryId> TakeAll() {
    std::vector<QueryId> queries;
    for (const auto& [key, stream] : std::exchange(streams_, {})) {
      if (stream.query) queries.push_back(*stream.query);
    }
    ready_.clear();
    waiting_ = 0;
    return queries;
  }

  bool empty() const { return streams_.empty(); }
  bool full() const { return streams_.size() >= kQueriesMax; }

 private:
  struct Stream {
    std::uint64_t seq;
    std::optional<QueryId> query;  // since Start()
    std::deque<QueryUpdate> queue;
  };

  // The memory that an answer takes.
  static std::size_t SizeOf(const QueryUpdate& update) {
    return sizeof(update) + update.from.size() + update.payload.size();
  }

  std::map<Key, Stream> streams_;
  // The queries with an answer that may be written. Each turn of a connection looks for them, while
  // nearly all of thousands of queries wait for an answer.
  std::set<Key> ready_;
  Key last_key_ = 0;
  std::size_t waiting_ = 0;
};

}  // namespace serf::rpc

#endif  // SERF_RPC_QUERY_STREAMS_H_
