#ifndef SERF_RPC_SUBSCRIPTIONS_H_
#define SERF_RPC_SUBSCRIPTIONS_H_

// Subscriptions: the event streams and the monitor of one connection, with the records that wait
// to be written (spec/agent.md 1.9). A full queue drops what comes and counts it.

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
#include "serf/rpc/encode.h"
#include "serf/rpc/event_filter.h"
#include "serf/rpc/log_history.h"
#include "serf/rpc/protocol.h"
#include "serf/rpc/stream_event.h"

namespace serf::rpc {

class Subscriptions {
 public:
  // Opens a stream. Returns the error for the client; empty: none.
  absl::string_view AddStream(std::uint64_t seq, absl::string_view filter);
  // Opens the monitor, of lines from `level` on. The history does not count against its queue.
  absl::string_view AddMonitor(std::uint64_t seq, LogLevel level,
                               const std::vector<LogLinePtr>& history);
  // Ends what was opened by `seq`, if anything was: a stream and the monitor may share it.
  void Stop(std::uint64_t seq);

  // Queues for whoever wants it. False: a queue was full.
  bool Push(const StreamEventPtr& event);
  bool Push(const LogLinePtr& line);

  // Moves records from the queues to `out` until it holds `size` bytes: one of each in turn, so
  // that none waits for another's backlog.
  void WriteTo(msgpack::sbuffer& out, std::size_t size);

  bool empty() const { return streams_.empty() && !monitor_; }
  // What the end of the connection cuts off, for the log: "event", "log", or nothing.
  absl::string_view kind() const { return !streams_.empty() ? "event" : monitor_ ? "log" : ""; }
  // Records that were dropped.
  std::uint64_t dropped() const { return dropped_; }

 private:
  struct Stream {
    EventFilter filter;
    std::deque<StreamEventPtr> queue;
  };

  struct Monitor {
    std::uint64_t seq = 0;
    LogLevel level = LogLevel::kTrace;
    std::deque<LogLinePtr> queue;

    // Lines without a level pass every filter.
    bool Wants(const LogLine& line) const { return !line.level || *line.level >= level; }
  };

  template <typename Record>
  bool PushTo(std::deque<Record>& queue, const Record& record) {
    if (queue.size() >= kQueueMax) {
      ++dropped_;
      return false;
    }
    queue.push_back(record);
    return true;
  }

  std::map<std::uint64_t, Stream> streams_;
  std::optional<Monitor> monitor_;
  std::uint64_t dropped_ = 0;
};

inline absl::string_view Subscriptions::AddStream(std::uint64_t seq, absl::string_view filter) {
  std::optional<EventFilter> parsed = EventFilter::Parse(filter);
  if (streams_.contains(seq)) return kStreamExists;
  if (!parsed) return kInvalidFilter;
  if (streams_.size() == kStreamsMax) return kTooManyStreams;
  streams_.emplace(seq, Stream{*std::move(parsed), {}});
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

inline bool Subscriptions::Push(const StreamEventPtr& event) {
  bool room = true;
  if (event->type() == EventType::kQuery) return room;
  for (auto& [seq, stream] : streams_) {
    if (!stream.filter.Matches(event->type(), event->name())) continue;
    if (!PushTo(stream.queue, event)) room = false;
  }
  return room;
}

inline bool Subscriptions::Push(const LogLinePtr& line) {
  return !monitor_ || !monitor_->Wants(*line) || PushTo(monitor_->queue, line);
}

inline void Subscriptions::WriteTo(msgpack::sbuffer& out, std::size_t size) {
  Writer writer(out);
  for (bool more = true; more && out.size() < size;) {
    more = false;
    for (auto& [seq, stream] : streams_) {
      if (stream.queue.empty()) continue;
      Encode(writer, ResponseHeader{{}, seq});
      writer.Encoded(stream.queue.front()->body());
      stream.queue.pop_front();
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
