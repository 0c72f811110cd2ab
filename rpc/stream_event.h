// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_RPC_STREAM_EVENT_H_
#define SERF_RPC_STREAM_EVENT_H_

// StreamEvent: an event as streams deliver it. The server encodes it once, and all connections
// share it. It does not change once it is made.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <variant>

#include "absl/strings/string_view.h"
#include "msgpack/sbuffer.hpp"
#include "serf/base/time.h"
#include "serf/event.h"
#include "serf/query.h"
#include "serf/rpc/encode.h"
#include "serf/rpc/event_filter.h"

namespace serf::rpc {

class StreamEvent {
 public:
  explicit StreamEvent(const Event& event) {
    msgpack::sbuffer buffer(256);
    Writer writer(buffer);
    if (const auto* members = std::get_if<MemberEvent>(&event)) {
      type_ = EventTypeOf(members->kind);
      Encode(writer, *members);
    } else if (const auto* user = std::get_if<UserEvent>(&event)) {
      type_ = EventType::kUser;
      name_ = user->name;
      Encode(writer, *user);
    } else {
      const auto& query = std::get<QueryEvent>(event);
      type_ = EventType::kQuery;
      name_ = query.name;
      query_ = query.id;
      deadline_ = query.deadline;
      EncodeQueryTail(writer, query);
    }
    body_.assign(buffer.data(), buffer.size());
  }

  EventType type() const { return type_; }
  // The name of a user event or query; else empty. Valid as long as this object.
  absl::string_view name() const { return name_; }
  // The bytes of the record.
  std::size_t size() const { return body_.size(); }
  // For a query: its id and its deadline.
  QueryId query() const { return query_; }
  Instant deadline() const { return deadline_; }

  // Writes the record that follows the header. For a query, `number` is the id by which the client
  // may answer.
  void WriteTo(Writer& writer, std::uint64_t number) const {
    if (type_ == EventType::kQuery) {
      EncodeQueryHead(writer);
      writer.Uint(number);
    }
    writer.Encoded(body_);
  }

 private:
  EventType type_ = EventType::kMemberJoin;
  std::string name_;
  QueryId query_;
  Instant deadline_;
  std::string body_;  // for a query: the part after the number
};

using StreamEventPtr = std::shared_ptr<const StreamEvent>;

}  // namespace serf::rpc

#endif  // SERF_RPC_STREAM_EVENT_H_
