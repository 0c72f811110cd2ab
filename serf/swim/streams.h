// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_SWIM_STREAMS_H_
#define SERF_SWIM_STREAMS_H_

// Streams: all streams of a node: those of peers (push/pull, ping, user message) and those that
// this node dials (join, periodic push/pull, fallback ping, reliable user message), with their
// timeouts and limits. Source: docs/protocol/membership.md 3, 10.
//
// Work is done in portions (serf/base/portion.h): one within each input, and then one in each
// OnTimer(), which is due at once as long as work is left.

#include <algorithm>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "serf/base/bytes.h"
#include "serf/base/endpoint.h"
#include "serf/base/logger.h"
#include "serf/base/portion.h"
#include "serf/base/time.h"
#include "serf/swim/answer_rate.h"
#include "serf/swim/exchange_table.h"
#include "serf/swim/joins.h"
#include "serf/swim/log_limiter.h"
#include "serf/swim/member_table.h"
#include "serf/swim/membership.h"
#include "serf/swim/node_context.h"
#include "serf/swim/node_info.h"
#include "serf/swim/outbox.h"
#include "serf/swim/own_state.h"
#include "serf/swim/prober.h"
#include "serf/swim/push_pull.h"
#include "serf/swim/stream_answers.h"
#include "serf/swim/stream_exchange.h"
#include "serf/wire/msgpack.h"
#include "serf/wire/packet.h"
#include "serf/wire/push_pull_reader.h"
#include "serf/wire/stream_frame.h"
#include "serf/wire/stream_writer.h"
#include "serf/wire/swim_messages.h"

namespace serf::swim {

class Streams {
 public:
  // The most open streams of peers. Go Serf has no limit. Each lives about a second, so a cluster
  // of thousands that starts at once stays below; limits further down bound the memory. Beyond this
  // a stranger is closed (serf/base/fair_shares.h): a stream on which nothing was verified yet.
  static constexpr std::size_t kAcceptedMax = 1024;
  // The most open streams that this node dialled: a separate limit, so that a flood from outside
  // does not stop it.
  static constexpr std::size_t kDialledMax = 256;
  // The most push/pulls that peers have begun. The address with the most of them gives way.
  static constexpr std::size_t kPushPullsMax = 127;
  // The most bytes of a stranger's stream; a joining node sends far less. Known members may send
  // all that wire::StreamReader accepts. Without encryption, so may any peer that has sent the head
  // of a push/pull.
  static constexpr std::size_t kStrangerBytesMax = 1 << 20;
  // The most bytes in all unfinished streams together. Beyond it the largest stream is closed, of
  // the address that holds most.
  static constexpr std::size_t kBufferedMax = 256 << 20;

  Streams(NodeContext& context, Membership& membership, Prober& prober)
      : context_(context), membership_(membership), prober_(prober) {}
  Streams(const Streams&) = delete;
  Streams& operator=(const Streams&) = delete;

  // --- what happened ---
  std::optional<StreamId> OnAccepted(Instant now, const Endpoint& from, Outbox& out);
  void OnConnected(Instant now, StreamId id, Outbox& out);
  void OnBytes(Instant now, StreamId id, ByteView bytes, Outbox& out);
  void OnClosed(Instant now, StreamId id, const absl::Status& reason, Outbox& out);
  void OnTimer(Instant now, Outbox& out);
  Instant NextDeadline() const {
    return work_.empty() ? std::min(table_.next(), own_state_.NextDeadline()) : Instant();
  }

  // --- requests ---
  // Begins a push/pull for Node::Join(); its end is in TakeJoinAttempts().
  void DialJoin(Instant now, JoinId join, const Endpoint& to, Outbox& out);
  void DialPushPull(Instant now, MemberIndex partner, Outbox& out);
  void DialFallbackPing(Instant now, const Prober::FallbackPing& ping, Outbox& out);
  void DialUserMessage(Instant now, const Endpoint& to, ByteView message, Outbox& out);

  // How an attempt to join one target ended: merged (OK), or why not.
  struct JoinAttempt {
    JoinId join;
    absl::Status status;
  };
  std::vector<JoinAttempt> TakeJoinAttempts() { return std::exchange(join_attempts_, {}); }

  // How many streams are open.
  std::size_t size() const { return table_.size(); }

 private:
  using Purpose = StreamExchange::Purpose;
  using Stage = StreamExchange::Stage;

  // Null, after reporting the failure, if too many are open.
  StreamExchange* Dial(Instant now, Purpose purpose, const Endpoint& to, Instant deadline,
                       JoinId join, Outbox& out);
  // Forgets a stream that the driver has closed or must close.
  void Forget(StreamId id);
  void Close(StreamId id, Outbox& out);

  // Advances an exchange as far as the portion and the received bytes allow; queues remaining work.
  // The exchange may be gone afterwards. The stages return true if another stage follows.
  void Advance(Instant now, StreamId id, Portion& portion, Outbox& out);
  bool Read(Instant now, StreamId id, StreamExchange& exchange, Portion& portion, Outbox& out);
  bool Send(Instant now, StreamId id, StreamExchange& exchange, Portion& portion, Outbox& out);
  void Merge(Instant now, StreamId id, StreamExchange& exchange, Portion& portion, Outbox& out);
  void Queue(StreamId id, StreamExchange& exchange) {
    if (!std::exchange(exchange.queued, true)) work_.push_back(id);
  }

  // The unit is complete. True if another stage follows; else the stream can be closed.
  bool OnUnit(Instant now, StreamId id, StreamExchange& exchange, Outbox& out);
  bool OnRequest(Instant now, StreamId id, StreamExchange& exchange, Outbox& out);
  void OnPingRequest(Instant now, StreamId id, StreamExchange& exchange, Outbox& out);
  bool OnPushPullAnswer(Instant now, StreamExchange& exchange);
  void OnPingAnswer(Instant now, StreamExchange& exchange);
  // The bytes are not a valid unit.
  void OnMalformed(Instant now, StreamId id, StreamExchange& exchange, Outbox& out);
  // Reports the end: too late, dial failed, connection broken, malformed bytes, or OK.
  void Finish(Instant now, const StreamExchange& exchange, const absl::Status& status);

  // False if the stream held more than it may, and was closed. Closes other streams to make room.
  bool MayHold(Instant now, StreamId id, StreamExchange& exchange, Outbox& out);
  // Closes a stream for lack of room.
  void Evict(Instant now, StreamId id, absl::string_view why, Outbox& out) {
    ++context_.counters.streams_refused;
    Finish(now, *table_.Find(id), absl::ResourceExhaustedError(why));
    Close(id, out);
  }
  // False if the peer's push/pull is one too many.
  bool CountPushPull(Instant now, StreamId id, StreamExchange& exchange, Outbox& out);
  wire::SealOptions SealOptions() const;
  bool WriteUnit(StreamId id, ByteView message, bool initiator, Outbox& out);

  NodeContext& context_;
  Membership& membership_;
  Prober& prober_;

  ExchangeTable table_;
  std::deque<StreamId> work_;  // in turn; some may be closed
  StreamId merging_{};         // the stream whose state the delegate merges; zero: none
  OwnState own_state_{context_, membership_};
  AnswerRate answer_rate_;
  std::vector<JoinAttempt> join_attempts_;
};

// --- opening and closing ---

inline void Streams::Forget(StreamId id) {
  if (merging_ == id) merging_ = StreamId();
  table_.Forget(id);
}

inline void Streams::Close(StreamId id, Outbox& out) {
  if (!table_.Find(id)->closed) out.CloseStream(id);
  Forget(id);
}

inline std::optional<StreamId> Streams::OnAccepted(Instant now, const Endpoint& from, Outbox& out) {
  if (table_.accepted() >= kAcceptedMax) {
    const std::optional<StreamId> victim = table_.strangers().Victim();
    if (!victim) {
      ++context_.counters.streams_refused;
      return std::nullopt;
    }
    Evict(now, *victim, "too many open streams", out);
  }
  ++context_.counters.streams_accepted;
  context_.limiter.Log(now, LogReason::kStreamAccepted, LogLevel::kDebug, [&] {
    return absl::StrCat("memberlist: Stream connection from=", from.ToString());
  });
  return table_.Open(Purpose::kAccepted, from, now + context_.config.tcp_timeout, context_);
}

inline StreamExchange* Streams::Dial(Instant now, Purpose purpose, const Endpoint& to,
                                     Instant deadline, JoinId join, Outbox& out) {
  if (table_.dialled() >= kDialledMax) {
    ++context_.counters.dropped_sends;
    StreamExchange refused(purpose, to, context_);
    refused.join = join;
    Finish(now, refused, absl::ResourceExhaustedError("too many open streams"));
    return nullptr;
  }
  ++context_.counters.streams_dialled;
  const StreamId id = table_.Open(purpose, to, deadline, context_);
  StreamExchange& exchange = *table_.Find(id);
  exchange.join = join;
  out.DialStream(id, to);
  return &exchange;
}

inline void Streams::DialJoin(Instant now, JoinId join, const Endpoint& to, Outbox& out) {
  ++context_.counters.push_pulls_started;
  Dial(now, Purpose::kJoin, to, now + context_.config.tcp_timeout, join, out);
}

inline void Streams::DialPushPull(Instant now, MemberIndex partner, Outbox& out) {
  const NodeInfo& info = membership_.table().info(partner);
  Log(context_.config.logger, LogLevel::kDebug,
      "memberlist: Initiating push/pull sync with: ", info.name(), " ", info.endpoint().ToString());
  ++context_.counters.push_pulls_started;
  StreamExchange* exchange = Dial(now, Purpose::kPushPull, info.endpoint(),
                                  now + context_.config.tcp_timeout, JoinId(), out);
  if (exchange != nullptr) exchange->peer_name = std::string(info.name());
}

inline void Streams::DialFallbackPing(Instant now, const Prober::FallbackPing& ping, Outbox& out) {
  StreamExchange* exchange =
      Dial(now, Purpose::kFallbackPing, ping.to, ping.deadline, JoinId(), out);
  if (exchange == nullptr) return;
  exchange->ping_sequence = ping.sequence;
  wire::Encode(prober_.MakePing(ping.target, ping.sequence), exchange->request);
}

inline void Streams::DialUserMessage(Instant now, const Endpoint& to, ByteView message,
                                     Outbox& out) {
  StreamExchange* exchange =
      Dial(now, Purpose::kUserMessage, to, now + context_.config.tcp_timeout, JoinId(), out);
  if (exchange == nullptr) return;
  wire::Encode(wire::UserHeader{.user_msg_len = static_cast<std::int64_t>(message.size())},
               exchange->request);
  Append(exchange->request, message);
}

// --- inputs ---

inline void Streams::OnConnected(Instant now, StreamId id, Outbox& out) {
  StreamExchange* exchange = table_.Find(id);
  if (exchange == nullptr || exchange->accepted() || exchange->connected) return;
  exchange->connected = true;
  bool written = false;
  switch (exchange->purpose()) {
    case Purpose::kJoin:
    case Purpose::kPushPull: {
      table_.SetDeadline(id, *exchange, now + context_.config.tcp_timeout);
      exchange->stage = Stage::kSending;
      Portion portion;
      return Advance(now, id, portion, out);
    }
    case Purpose::kFallbackPing:
    case Purpose::kUserMessage:
      written = WriteUnit(id, exchange->request, /*initiator=*/true, out);
      exchange->request = ByteVector();
      break;
    case Purpose::kAccepted:
      break;
  }
  if (written && exchange->purpose() != Purpose::kUserMessage) return;
  Finish(now, *exchange,
         written ? absl::OkStatus() : absl::InternalError("failed to encrypt the message"));
  Close(id, out);
}

inline void Streams::OnBytes(Instant now, StreamId id, ByteView bytes, Outbox& out) {
  StreamExchange* exchange = table_.Find(id);
  if (exchange == nullptr) return;  // this node closed it while these bytes were on their way
  context_.counters.stream_bytes_received += bytes.size();
  // Nothing may follow the unit. Bytes that come while this node sends its state wait.
  const bool waits = !exchange->accepted() && exchange->stage == Stage::kSending;
  if (exchange->stage != Stage::kReading && !waits) return;
  if (!exchange->accepted() && exchange->received == 0 &&
      exchange->purpose() != Purpose::kFallbackPing) {
    // The request is sent and the answer begins: it gets a time of its own.
    table_.SetDeadline(id, *exchange, now + context_.config.tcp_timeout);
  }
  exchange->received += bytes.size();
  Portion portion;
  exchange->reader().Feed(bytes, portion);
  if (!waits) Advance(now, id, portion, out);
}

inline void Streams::OnClosed(Instant now, StreamId id, const absl::Status& reason, Outbox& out) {
  StreamExchange* exchange = table_.Find(id);
  if (exchange == nullptr || exchange->closed) return;
  exchange->closed = true;
  Portion portion;
  switch (exchange->stage) {
    case Stage::kReading: {
      const bool is_busy = exchange->reader().status() == wire::StreamStatus::kBusy;
      if (is_busy || (reason.ok() && (exchange->accepted() || exchange->connected))) {
        exchange->reader().FeedEnd(portion);
        return Advance(now, id, portion, out);
      }
      break;
    }
    case Stage::kDelayed:
    case Stage::kSending:
      if (!exchange->accepted() && !reason.ok()) break;
      // The peer does not want this node's state any more, but its own state still counts.
      exchange->stage = exchange->accepted() ? Stage::kMerging : Stage::kReading;
      exchange->reader().FeedEnd(portion);
      return Advance(now, id, portion, out);
    case Stage::kMerging:
      return;
  }
  Finish(now, *exchange, reason.ok() ? absl::UnavailableError("connection closed") : reason);
  Forget(id);
}

inline void Streams::OnTimer(Instant now, Outbox& out) {
  while (table_.next() <= now) {
    const StreamId id = table_.Pop();
    StreamExchange& exchange = *table_.Find(id);
    if (exchange.stage == Stage::kDelayed) {
      exchange.stage = Stage::kSending;
      Queue(id, exchange);
      continue;
    }
    ++context_.counters.streams_timed_out;
    const absl::string_view what =
        exchange.accepted() || exchange.connected ? "read tcp " : "dial tcp ";
    Finish(now, exchange,
           absl::DeadlineExceededError(
               absl::StrCat(what, exchange.peer().ToString(), ": i/o timeout")));
    Close(id, out);
  }
  own_state_.OnTimer(now);
  Portion portion;
  for (std::size_t turns = work_.size(); turns > 0 && !portion.empty(); --turns) {
    const StreamId id = work_.front();
    work_.pop_front();
    StreamExchange* exchange = table_.Find(id);
    if (exchange == nullptr) continue;
    exchange->queued = false;
    Advance(now, id, portion, out);
  }
}

// --- stages ---

inline void Streams::Advance(Instant now, StreamId id, Portion& portion, Outbox& out) {
  StreamExchange& exchange = *table_.Find(id);
  for (bool more = true; more;) {
    switch (exchange.stage) {
      case Stage::kReading:
        more = Read(now, id, exchange, portion, out);
        break;
      case Stage::kDelayed:
        return;
      case Stage::kSending:
        more = Send(now, id, exchange, portion, out);
        break;
      case Stage::kMerging:
        return Merge(now, id, exchange, portion, out);
    }
  }
}

inline bool Streams::Read(Instant now, StreamId id, StreamExchange& exchange, Portion& portion,
                          Outbox& out) {
  const wire::StreamStatus status = exchange.reader().Continue(portion);
  if (!MayHold(now, id, exchange, out)) return false;
  switch (status) {
    case wire::StreamStatus::kNeedMore:
      if (exchange.accepted() && exchange.reader().reads_push_pull() &&
          !CountPushPull(now, id, exchange, out)) {
        Close(id, out);
      }
      return false;
    case wire::StreamStatus::kBusy:
      Queue(id, exchange);
      return false;
    case wire::StreamStatus::kUnit:
      table_.RemoveDeadline(exchange);
      table_.strangers().Remove(id);
      if (OnUnit(now, id, exchange, out)) return true;
      break;
    case wire::StreamStatus::kFailed:
      OnMalformed(now, id, exchange, out);
      break;
  }
  Close(id, out);
  return false;
}

inline bool Streams::Send(Instant now, StreamId id, StreamExchange& exchange, Portion& portion,
                          Outbox& out) {
  if (exchange.writer == nullptr) {
    const bool join = exchange.accepted()
                          ? wire::PushPullReader(exchange.reader().unit()).header().join
                          : exchange.purpose() == Purpose::kJoin;
    OwnState::Payload payload = own_state_.Get(now, join, portion);
    if (payload == nullptr) {
      Queue(id, exchange);
      return false;
    }
    const std::size_t size = payload->size();
    exchange.writer = std::make_unique<wire::StreamUnitWriter>(std::move(payload), SealOptions(),
                                                               !exchange.accepted());
    const Instant allowed =
        exchange.accepted() ? answer_rate_.Take(now, exchange.peer().address, size) : now;
    if (allowed > now) {
      if (allowed > now + context_.config.tcp_timeout) {  // the peer does not wait so long
        Evict(now, id, "too many push/pull requests from one address", out);
        return false;
      }
      ++context_.counters.push_pulls_delayed;
      exchange.stage = Stage::kDelayed;
      table_.SetDeadline(id, exchange, allowed);
      return false;
    }
  }
  const std::size_t begin = out.BeginSlice();
  const auto result = exchange.writer->Continue(portion, out.arena());
  if (out.arena().size() > begin) {
    out.WriteStream(id, begin);
    context_.counters.stream_bytes_sent += out.arena().size() - begin;
  }
  if (result == wire::StreamUnitWriter::Result::kUnfinished) {
    Queue(id, exchange);
    return false;
  }
  const bool sent = result == wire::StreamUnitWriter::Result::kDone;
  exchange.writer = nullptr;
  if (!sent) ++context_.counters.dropped_sends;
  if (exchange.accepted()) {
    if (sent) ++context_.counters.push_pulls_answered;
    exchange.stage = Stage::kMerging;
    return true;
  }
  if (sent) {
    table_.SetDeadline(id, exchange, now + context_.config.tcp_timeout);
    exchange.stage = Stage::kReading;
    return true;
  }
  Finish(now, exchange, absl::InternalError("failed to encrypt the message"));
  Close(id, out);
  return false;
}

inline void Streams::Merge(Instant now, StreamId id, StreamExchange& exchange, Portion& portion,
                           Outbox& out) {
  const bool is_request = exchange.accepted();
  if (exchange.merge == nullptr) {
    table_.unmerged().Remove(id);
    exchange.merge = std::make_unique<PushPullMerge>(
        context_, membership_,
        is_request ? PushPullMerge::Role::kRequest : PushPullMerge::Role::kAnswer, exchange.peer(),
        exchange.reader().unit());
  }
  const bool state_waits = merging_ != StreamId() && merging_ != id;
  const std::optional<absl::Status> status = exchange.merge->Continue(now, state_waits, portion);
  if (!status) {
    table_.CountHeld(exchange);
    if (exchange.merge->is_at_state() && !state_waits) {
      merging_ = id;
      portion.Spend(portion.left());  // the delegate has a portion of its own
    }
    return Queue(id, exchange);
  }
  if (!is_request) {
    Finish(now, exchange, *status);
  } else if (!status->ok()) {
    ++context_.counters.push_pulls_refused;
    context_.limiter.Log(now, LogReason::kMerge, LogLevel::kError, [&] {
      return absl::StrCat("memberlist: Failed push/pull merge: ", status->message(),
                          " from=", exchange.peer().ToString());
    });
  }
  Close(id, out);
}

// --- units ---

inline bool Streams::OnUnit(Instant now, StreamId id, StreamExchange& exchange, Outbox& out) {
  const std::uint64_t size = exchange.reader().frame_size();
  if (size > wire::kStreamFrameMax / 10 * 6) {
    context_.limiter.Log(now, LogReason::kStateSize, LogLevel::kWarn, [&] {
      return absl::StrCat("memberlist: Remote node state size is (", size, ") limit is (",
                          wire::kStreamFrameMax, ")");
    });
  }
  switch (exchange.purpose()) {
    case Purpose::kAccepted:
      return OnRequest(now, id, exchange, out);
    case Purpose::kJoin:
    case Purpose::kPushPull:
      return OnPushPullAnswer(now, exchange);
    case Purpose::kFallbackPing:
      OnPingAnswer(now, exchange);
      return false;
    case Purpose::kUserMessage:
      return false;
  }
  return false;
}

inline bool Streams::OnRequest(Instant now, StreamId id, StreamExchange& exchange, Outbox& out) {
  const wire::StreamUnit& unit = exchange.reader().unit();
  switch (unit.type) {
    case wire::MessageType::kUser:
      if (!unit.body.empty()) {
        context_.delegate.OnUserMessage(now, exchange.peer(), unit.body, Spread::kRing);
      }
      return false;
    case wire::MessageType::kPing:
      OnPingRequest(now, id, exchange, out);
      return false;
    case wire::MessageType::kPushPull:
      if (!CountPushPull(now, id, exchange, out)) return false;
      // The answer shows the table as it was before this merge, as in Go Serf. A peer that has
      // closed gets none.
      exchange.stage = exchange.closed ? Stage::kMerging : Stage::kSending;
      return true;
    default:
      // The reader accepts no other type on this side.
      assert(false);
      return false;
  }
}

inline void Streams::OnPingRequest(Instant now, StreamId id, StreamExchange& exchange,
                                   Outbox& out) {
  wire::Ping ping;
  wire::DecodeScratch scratch;
  if (wire::Decode(exchange.reader().unit().body, ping, scratch) != wire::DecodeResult::kOk) {
    ++context_.counters.streams_malformed;
    return;
  }
  if (!ping.node.empty() && ping.node != membership_.table().info(membership_.self()).name()) {
    ++context_.counters.dropped_not_for_us;
    context_.limiter.Log(now, LogReason::kWrongPing, LogLevel::kWarn, [&] {
      return absl::StrCat("memberlist: Got ping for unexpected node ", Shown(ping.node),
                          " from=", exchange.peer().ToString());
    });
    return;
  }
  if (exchange.closed) return;
  ByteVector& message = out.workspace().message;
  message.clear();
  wire::Encode(wire::Ack{.seq_no = ping.seq_no, .payload = {}}, message);
  WriteUnit(id, message, /*initiator=*/false, out);
}

inline bool Streams::OnPushPullAnswer(Instant now, StreamExchange& exchange) {
  const absl::Status status = JudgePushPullAnswer(exchange.reader().unit(), exchange.peer());
  if (!status.ok()) {
    Finish(now, exchange, status);
    return false;
  }
  exchange.stage = Stage::kMerging;
  return true;
}

inline void Streams::OnPingAnswer(Instant now, StreamExchange& exchange) {
  const absl::Status status = JudgePingAnswer(exchange.reader().unit(), exchange.ping_sequence);
  if (!status.ok()) return Finish(now, exchange, status);
  prober_.OnTcpContact(exchange.ping_sequence);
}

// --- failures ---

inline void Streams::OnMalformed(Instant now, StreamId id, StreamExchange& exchange, Outbox& out) {
  const wire::StreamFailure& failure = exchange.reader().failure();
  if (failure.end != wire::StreamEnd::kSilent) ++context_.counters.streams_malformed;
  if (!exchange.accepted()) {
    const bool closed = failure.end == wire::StreamEnd::kSilent;
    return Finish(now, exchange, absl::InvalidArgumentError(closed ? "EOF" : failure.text.c_str()));
  }
  if (failure.end == wire::StreamEnd::kSilent) return;
  context_.limiter.Log(now, LogReason::kStream, LogLevel::kError, [&] {
    const absl::string_view what = WhatFailed(failure.error, exchange.reader().reads_push_pull());
    return absl::StrCat("memberlist: ", what, failure.text, " from=", exchange.peer().ToString());
  });
  if (failure.end != wire::StreamEnd::kAnswer || exchange.closed) return;
  ByteVector& message = out.workspace().message;
  message.clear();
  wire::Encode(wire::ErrorMessage{.error = failure.text}, message);
  WriteUnit(id, message, /*initiator=*/false, out);
}

inline void Streams::Finish(Instant now, const StreamExchange& exchange,
                            const absl::Status& status) {
  if (!status.ok()) ++context_.counters.streams_failed;
  const auto complain = [&](absl::string_view what, const auto&... whom) {
    context_.limiter.Log(now, LogReason::kStream, LogLevel::kError, [&] {
      return absl::StrCat("memberlist: ", what, whom..., status.message());
    });
  };
  switch (exchange.purpose()) {
    case Purpose::kAccepted:
      if (!status.ok()) {
        complain("failed to receive: ");
      }
      return;
    case Purpose::kJoin:
      join_attempts_.push_back({exchange.join, status});
      return;
    case Purpose::kPushPull:
      if (!status.ok()) complain("Push/Pull with ", exchange.peer_name, " failed: ");
      return;
    case Purpose::kFallbackPing:
      // A refused connection is an answer to the ping, too.
      if (!status.ok() && exchange.connected) complain("Failed fallback TCP ping: ");
      return;
    case Purpose::kUserMessage:
      if (!status.ok()) {
        complain("Failed to send user message to ", exchange.peer().ToString(), ": ");
      }
      return;
  }
}

// --- limits ---

inline bool Streams::MayHold(Instant now, StreamId id, StreamExchange& exchange, Outbox& out) {
  table_.CountHeld(exchange);
  if (exchange.reader().is_verified()) table_.strangers().Remove(id);
  if (exchange.received > kStrangerBytesMax && table_.strangers().Contains(id)) {
    if (!membership_.table().HasAddress(exchange.peer().address)) {
      Evict(now, id, "too many bytes before anything was verified", out);
      return false;
    }
    table_.strangers().Remove(id);
  }
  while (table_.held() > kBufferedMax) {
    const std::optional<StreamId> victim = table_.LargestHolder();
    if (!victim) break;
    Evict(now, *victim, "too many bytes in open streams", out);
    if (*victim == id) return false;
  }
  return true;
}

inline bool Streams::CountPushPull(Instant now, StreamId id, StreamExchange& exchange,
                                   Outbox& out) {
  if (exchange.counted_push_pull) return true;
  if (table_.push_pulls() >= kPushPullsMax) {
    ++context_.counters.push_pulls_refused;
    context_.limiter.Log(now, LogReason::kPendingPushPulls, LogLevel::kError,
                         [] { return "memberlist: Too many pending push/pull requests"; });
    // Only an address that has more than this one gives way: otherwise peers that come at the same
    // time would drive each other out.
    const std::optional<StreamId> victim = table_.unmerged().Victim();
    const IpAddress& from = exchange.peer().address;
    if (!victim || table_.unmerged().CountOf(table_.Find(*victim)->peer().address) <=
                       table_.unmerged().CountOf(from) + 1) {
      return false;
    }
    Evict(now, *victim, "too many pending push/pull requests", out);
  }
  table_.CountPushPull(id, exchange);
  return true;
}

// --- writing ---

inline wire::SealOptions Streams::SealOptions() const {
  const Config& config = context_.config;
  return {
      .label = config.label,
      .keyring = config.verify_outgoing ? config.keyring.get() : nullptr,
      .aead = config.aead.get(),
      .nonces = config.nonces.get(),
      .encryption_version = wire::EncryptionVersionFor(config.protocol_version),
      .compress = config.enable_compression,
  };
}

inline bool Streams::WriteUnit(StreamId id, ByteView message, bool initiator, Outbox& out) {
  const std::size_t begin = out.BeginSlice();
  if (!wire::SealStreamUnit(message, SealOptions(), initiator, out.workspace().packet,
                            out.arena())) {
    ++context_.counters.dropped_sends;
    return false;
  }
  out.WriteStream(id, begin);
  context_.counters.stream_bytes_sent += out.arena().size() - begin;
  return true;
}

}  // namespace serf::swim

#endif  // SERF_SWIM_STREAMS_H_
