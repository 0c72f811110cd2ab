// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_RPC_RECORD_QUEUE_H_
#define SERF_RPC_RECORD_QUEUE_H_

// RecordQueue: the records of all streams that a blocking client has read and its caller has not
// fetched. It is bounded in number and in memory, and never drops a record that it took. Internal
// to Client, but for StreamRecord; one thread.

#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <utility>
#include <variant>

#include "serf/event.h"
#include "serf/member.h"
#include "serf/rpc/protocol.h"

namespace serf::rpc {

// A record of a stream, a monitor or a query; what Client::Next() returns. Use std::get_if to see
// which.
struct StreamRecord {
  // The number that Stream(), Monitor() or SendQuery() returned.
  std::uint64_t stream = 0;
  std::variant<EventRecord, LogRecord, AnswerRecord> value;
};

class RecordQueue {
 public:
  // Adds a record. False, and no change, if the queue is full. A record of any size fits an empty
  // queue.
  bool Push(StreamRecord record) {
    const std::size_t size = SizeOf(record);
    const bool full =
        records_.size() >= kRecordsWaitingMax || bytes_ + size > kRecordBytesWaitingMax;
    if (full && !records_.empty()) return false;
    bytes_ += size;
    records_.push_back({std::move(record), size});
    return true;
  }
  // Removes the oldest record. There must be one.
  StreamRecord Pop() {
    Entry entry = std::move(records_.front());
    records_.pop_front();
    bytes_ -= entry.size;
    return std::move(entry.record);
  }

  bool empty() const { return records_.empty(); }

  // The memory that a record takes.
  static std::size_t SizeOf(const StreamRecord& record);

 private:
  struct Entry {
    StreamRecord record;
    std::size_t size;
  };

  static std::size_t TextOf(const LogRecord& log) { return log.log.size(); }
  static std::size_t TextOf(const AnswerRecord& answer) {
    return answer.from.size() + answer.payload.size();
  }
  static std::size_t TextOf(const UserEvent& event) {
    return event.name.size() + event.payload.size();
  }
  static std::size_t TextOf(const QueryRecord& query) {
    return query.name.size() + query.payload.size();
  }
  static std::size_t TextOf(const MemberEvent& event);
  static std::size_t TextOf(const EventRecord& event) {
    return std::visit([](const auto& value) { return TextOf(value); }, event);
  }

  std::deque<Entry> records_;
  std::size_t bytes_ = 0;
};

inline std::size_t RecordQueue::TextOf(const MemberEvent& event) {
  std::size_t size = 0;
  for (const Member& member : event.members) {
    size += sizeof(member) + member.name.size();
    for (const auto& [key, value] : member.tags) {
      size += sizeof(std::pair<std::string, std::string>) + key.size() + value.size();
    }
  }
  return size;
}

inline std::size_t RecordQueue::SizeOf(const StreamRecord& record) {
  return sizeof(Entry) + std::visit([](const auto& value) { return TextOf(value); }, record.value);
}

}  // namespace serf::rpc

#endif  // SERF_RPC_RECORD_QUEUE_H_
