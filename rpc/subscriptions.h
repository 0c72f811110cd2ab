// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_RPC_SUBSCRIPTIONS_H_
#define SERF_RPC_SUBSCRIPTIONS_H_

// Subscriptions: what one connection receives without asking anew: event streams, the monitor, and
// the answers to its queries, with the records that wait to be written. A full queue of events or
// log lines drops what comes, and counts it. Internal to the server; one thread. Source:
// docs/protocol/agent.md 1.9.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "msgpack/sbuffer.hpp"
#include "serf/base/logger.h"
#include "serf/base/time.h"
#include "serf/query.h"
#include "serf/rpc/encode.h"
#include "serf/rpc/event_filter.h"
#include "serf/rpc/log_history.h"
#include "serf/rpc/pending_queries.h"
#include "serf/rpc/protocol.h"
#include "serf/rpc/query_streams.h"
#include "serf/rpc/stream_event.h"

namespace serf::rpc {

class Subscriptions {
 public:
  // Opens a stream. Returns the error text for the client, or an empty text.
  absl::string_view AddStream(std::uint64_t seq, absl::string_view filter);
  // The same for the monitor, of lines from `level` on. The history does not count against its
  // queue.
  absl::string_view AddMonitor(std::uint64_t seq, LogLevel level,
                               const std::vector<LogLinePtr>& history);
  // Ends what `seq` opened, if anything: a stream and the monitor may share it. Queries continue,
  // and the client may still answer what a stream has delivered.
  void Stop(std::uint64_t seq);

  // Whether a stream, or the monitor, wants it.
  bool Wants(const StreamEvent& event) const {
    return std::any_of(streams_.begin(), streams_.end(), [&event](const auto& entry) {
      return entry.second.filter.Matches(event.type(), event.name());
    });
  }
  bool Wants(const LogLine& line) const { return monitor_ && monitor_->Wants(line); }
  // Queues an event or a line for the streams that want it. False if a queue was full.
  bool Push(Instant now, const StreamEventPtr& event);
  bool Push(const LogLinePtr& line);

  // The queries that the client has asked.
  QueryStreams& queries() { return queries_; }
  // The query that a stream delivered under this number; nothing if the client cannot answer it any
  // more.
  std::optional<QueryId> FindPending(Instant now, std::uint64_t number) {
    return pending_.Find(now, number);
  }

  // Moves records from the queues to `out` until it holds `size` bytes. It takes one record of each
  // queue in turn, so a long queue does not delay the others.
  void WriteTo(msgpack::sbuffer& out, std::size_t size);

  bool empty() const { return streams_.empty() && !monitor_ && queries_.empty(); }
  // What the end of the connection cuts off, for the log: "event", "log", "query end", or nothing.
  absl::string_view kind() const {
    if (!streams_.empty()) return "event";
    if (monitor_) return "log";
    return queries_.empty() ? "" : "query end";
  }
  // How many records were dropped.
  std::uint64_t dropped() const { return dropped_; }

 private:
  struct Delivery {
    StreamEventPtr event;
    std::uint64_t number = 0;  // for a query
  };

  struct Stream {
    EventFilter filter;
    std::deque<Delivery> queue;
    std::size_t bytes = 0;  // of the shared event bodies in it
  };

  struct Monitor {
    std::uint64_t seq = 0;
    LogLevel level = LogLevel::kTrace;
    std::deque<LogLinePtr> queue;

    // Lines without a level pass every filter.
    bool Wants(const LogLine& line) const { return !line.level || *line.level >= level; }
  };

  // Whether a queue has room for one more record. Counts the record as dropped if not.
  bool HasRoom(std::size_t size, std::size_t bytes = 0) {
    if (size < kQueueMax && bytes < kQueueBytesMax) return true;
    ++dropped_;
    return false;
  }

  std::map<std::uint64_t, Stream> streams_;
  std::optional<Monitor> monitor_;
  QueryStreams queries_;
  PendingQueries pending_;
  std::uint64_t dropped_ = 0;
};

inline absl::string_view Subscriptions::AddStream(std::uint64_t seq, absl::string_view filter) {
  std::optional<EventFilter> parsed = EventFilter::Parse(filter);
  if (streams_.contains(seq)) return kStreamExists;
  if (!parsed) return kInvalidFilter;
  if (streams_.size() == kStreamsMax) return kTooManyStreams;
  streams_.emplace(seq, Stream{*std::move(parsed), {}, 0});
  return {};
}

inline absl::string_view Subscriptions::AddMonitor(std::uint64_t seq, LogLevel level,
                                                   const std::vector<LogLinePtr>& history) {
  if (monitor_) return kMonitorExists;
  monitor_ = Monitor{seq, level, {}};
  for (const LogLinePtr& line : history) {
    if (monitor_->Wants(*line)) monitor_->queue.push_back(line);
  }
  return {};
}

inline void Subscriptions::Stop(std::uint64_t seq) {
  streams_.erase(seq);
  if (monitor_ && monitor_->seq == seq) monitor_.reset();
}

inline bool Subscriptions::Push(Instant now, const StreamEventPtr& event) {
  bool room = true;
  for (auto& [seq, stream] : streams_) {
    if (!stream.filter.Matches(event->type(), event->name())) continue;
    if (!HasRoom(stream.queue.size(), stream.bytes)) {
      room = false;
      continue;
    }
    Delivery delivery{event};
    if (event->type() == EventType::kQuery) {
      delivery.number = pending_.Add(now, event->query(), event->deadline());
    }
    stream.queue.push_back(std::move(delivery));
    stream.bytes += event->size();
  }
  return room;
}

inline bool Subscriptions::Push(const LogLinePtr& line) {
  if (!Wants(*line)) return true;
  if (!HasRoom(monitor_->queue.size())) return false;
  monitor_->queue.push_back(line);
  return true;
}

inline void Subscriptions::WriteTo(msgpack::sbuffer& out, std::size_t size) {
  Writer writer(out);
  for (bool more = true; more && out.size() < size;) {
    more = queries_.WriteRound(out);
    for (auto& [seq, stream] : streams_) {
      if (stream.queue.empty()) continue;
      Encode(writer, ResponseHeader{{}, seq});
      const Delivery delivery = std::move(stream.queue.front());
      stream.queue.pop_front();
      stream.bytes -= delivery.event->size();
      delivery.event->WriteTo(writer, delivery.number);
      more = true;
    }
    if (monitor_ && !monitor_->queue.empty()) {
      Encode(writer, ResponseHeader{{}, monitor_->seq});
      EncodeLogRecord(writer, monitor_->queue.front()->text);
      monitor_->queue.pop_front();
      more = true;
    }
  }
}

}  // namespace serf::rpc

#endif  // SERF_RPC_SUBSCRIPTIONS_H_
