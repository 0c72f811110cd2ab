#ifndef SERF_RPC_QUERY_STREAMS_H_
#define SERF_RPC_QUERY_STREAMS_H_

// QueryStreams: the queries that one connection has asked, with the answers that wait to be written
// (spec/agent.md 1.9.4), and what is to be cancelled at its end. Nothing is dropped: a query whose
// answers are incomplete would look like one that few have answered.

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "msgpack/sbuffer.hpp"
#include "serf/query.h"
#include "serf/rpc/encode.h"
#include "serf/rpc/protocol.h"

namespace serf::rpc {

class QueryStreams {
 public:
  // Not the client's number, which two queries may share.
  using Key = std::uint64_t;

  // A query that is about to be asked. Its answers are kept back until Start().
  Key Add(std::uint64_t seq) {
    streams_.emplace(++last_key_, Stream{seq, std::nullopt, {}});
    return last_key_;
  }
  // It is under way, and its reply comes before its answers. False: there is no such stream.
  bool Start(Key key, QueryId query) {
    const auto it = streams_.find(key);
    if (it == streams_.end()) return false;
    it->second.query = query;
    return true;
  }
  void Remove(Key key) {
    const auto it = streams_.find(key);
    if (it == streams_.end()) return;
    for (const QueryUpdate& update : it->second.queue) waiting_ -= SizeOf(update);
    streams_.erase(it);
  }

  // Queues an answer; kDone is the last of its query. False if too much waits to be written: the
  // client does not read.
  bool Push(Key key, QueryUpdate update) {
    const auto it = streams_.find(key);
    if (it == streams_.end()) return true;
    waiting_ += SizeOf(update);
    it->second.queue.push_back(std::move(update));
    return waiting_ <= kAnswersWaitingMax;
  }

  // Writes the oldest answer of each query. False: none waits.
  bool WriteRound(msgpack::sbuffer& out) {
    bool wrote = false;
    Writer writer(out);
    for (auto it = streams_.begin(); it != streams_.end();) {
      Stream& stream = it->second;
      if (!stream.query || stream.queue.empty()) {
        ++it;
        continue;
      }
      const QueryUpdate update = std::move(stream.queue.front());
      stream.queue.pop_front();
      waiting_ -= SizeOf(update);
      Encode(writer, ResponseHeader{{}, stream.seq});
      Encode(writer, update);
      wrote = true;
      it = update.kind == QueryUpdate::Kind::kDone ? streams_.erase(it) : std::next(it);
    }
    return wrote;
  }

  // Forgets all. Returns those that are under way.
  std::vector<QueryId> TakeAll() {
    std::vector<QueryId> queries;
    for (const auto& [key, stream] : std::exchange(streams_, {})) {
      if (stream.query) queries.push_back(*stream.query);
    }
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

  // What an answer takes in memory.
  static std::size_t SizeOf(const QueryUpdate& update) {
    return sizeof(update) + update.from.size() + update.payload.size();
  }

  std::map<Key, Stream> streams_;
  Key last_key_ = 0;
  std::size_t waiting_ = 0;
};

}  // namespace serf::rpc

#endif  // SERF_RPC_QUERY_STREAMS_H_
