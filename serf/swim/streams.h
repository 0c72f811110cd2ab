#ifndef SERF_SWIM_STREAMS_H_
#define SERF_SWIM_STREAMS_H_

// Streams: all streams of a node: those that peers open (push/pull, ping, user message) and those
// that it dials (join, periodic push/pull, fallback ping, reliable user message), with their
// time-outs and limits. Source: spec/memberlist.md 3, 10.

#include <algorithm>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "serf/base/bytes.h"
#include "serf/base/endpoint.h"
#include "serf/base/logger.h"
#include "serf/base/time.h"
#include "serf/base/timer_heap.h"
#include "serf/swim/log_limiter.h"
#include "serf/swim/membership.h"
#include "serf/swim/node_context.h"
#include "serf/swim/outbox.h"
#include "serf/swim/prober.h"
#include "serf/swim/push_pull.h"
#include "serf/swim/stream_exchange.h"
#include "serf/wire/msgpack.h"
#include "serf/wire/stream_frame.h"
#include "serf/wire/swim_messages.h"

namespace serf::swim {

class Streams {
 public:
  // Open streams that peers started. The original has no limit. Each lives a second or so, so a
  // cluster of thousands that starts at once stays below; memory is bounded further down.
  static constexpr std::size_t kAcceptedMax = 1024;
  // Open streams that this node dialled: apart, so that a flood from outside cannot stop it.
  static constexpr std::size_t kDialledMax = 256;
  // Push/pulls that peers have begun; the original refuses the 128th.
  static constexpr std::size_t kPushPullsMax = 127;
  // Bytes that wait in unfinished streams, all together. One alone is bounded by
  // wire::StreamReader.
  static constexpr std::size_t kBufferedMax = 256 << 20;

  Streams(NodeContext& context, Membership& membership, Prober& prober)
      : context_(context), membership_(membership), prober_(prober) {}
  Streams(const Streams&) = delete;
  Streams& operator=(const Streams&) = delete;

  // --- what happened ---
  std::optional<StreamId> OnAccepted(Instant now, const Endpoint& from, Outbox& out);
  void OnConnected(Instant now, StreamId id, Outbox& out);
  void OnBytes(Instant now, StreamId id, ByteView bytes, Outbox& out);
  void OnClosed(Instant now, StreamId id, const absl::Status& reason);
  void OnTimer(Instant now, Outbox& out);
  Instant NextDeadline() const { return timers_.next(); }

  // --- what is wanted ---
  // A push/pull for Node::Join; its end is in TakeJoinAttempts().
  void DialJoin(Instant now, RequestId join, const Endpoint& to, Outbox& out);
  void DialPushPull(Instant now, MemberIndex partner, Outbox& out);
  void DialFallbackPing(Instant now, const Prober::FallbackPing& ping, Outbox& out);
  void DialUserMessage(Instant now, const Endpoint& to, ByteView message, Outbox& out);

  // How an attempt to join one target ended: merged (OK), or why not.
  struct JoinAttempt {
    RequestId join;
    absl::Status status;
  };
  std::vector<JoinAttempt> TakeJoinAttempts() { return std::exchange(join_attempts_, {}); }

  // Streams that are open.
  std::size_t size() const { return exchanges_.size(); }

 private:
  using Purpose = StreamExchange::Purpose;

  StreamExchange* Find(StreamId id) {
    const auto it = exchanges_.find(id);
    return it == exchanges_.end() ? nullptr : it->second.get();
  }
  StreamId Open(Purpose purpose, const Endpoint& peer, Instant deadline);
  // As Open, and dials; null (and the failure reported) if too many are open.
  StreamExchange* Dial(Instant now, Purpose purpose, const Endpoint& to, Instant deadline,
                       RequestId join, Outbox& out);
  // Forgets a stream that the driver has closed or is told to close.
  void Forget(StreamId id);
  void Close(StreamId id, Outbox& out);

  // The unit arrived whole. `out` is null if the stream is closed already: no answer then.
  void OnUnit(Instant now, StreamId id, StreamExchange& exchange, Outbox* out);
  void OnRequest(Instant now, StreamId id, StreamExchange& exchange, Outbox* out);
  void OnPingRequest(Instant now, StreamId id, StreamExchange& exchange, Outbox* out);
  void OnPushPullRequest(Instant now, StreamId id, StreamExchange& exchange, Outbox* out);
  absl::Status OnPushPullAnswer(Instant now, StreamExchange& exchange);
  void OnPingAnswer(Instant now, StreamExchange& exchange);
  // The bytes are no unit.
  void OnMalformed(Instant now, StreamId id, StreamExchange& exchange, Outbox* out);
  // Too late, dial failed, connection broken, bytes that make no sense, or OK.
  void Finish(Instant now, const StreamExchange& exchange, const absl::Status& status);

  // False if the peer's push/pull is one too many.
  bool CountPushPull(Instant now, StreamExchange& exchange);
  bool WriteUnit(StreamId id, ByteView message, bool initiator, Outbox& out);
  bool WritePushPull(Instant now, StreamId id, bool join, bool initiator, Outbox& out);

  NodeContext& context_;
  Membership& membership_;
  Prober& prober_;

  absl::flat_hash_map<StreamId, std::unique_ptr<StreamExchange>> exchanges_;
  TimerHeap<StreamId> timers_;
  std::uint64_t next_id_ = 1;
  std::size_t accepted_ = 0;
  std::size_t dialled_ = 0;
  std::size_t push_pulls_ = 0;
  std::size_t buffered_ = 0;
  std::vector<JoinAttempt> join_attempts_;
};

// --- opening and closing ---

inline StreamId Streams::Open(Purpose purpose, const Endpoint& peer, Instant deadline) {
  const StreamId id(next_id_++);
  auto exchange = std::make_unique<StreamExchange>(purpose, peer, context_);
  exchange->timer = timers_.Push(deadline, id);
  ++(purpose == Purpose::kAccepted ? accepted_ : dialled_);
  exchanges_.emplace(id, std::move(exchange));
  return id;
}

inline void Streams::Forget(StreamId id) {
  const auto it = exchanges_.find(id);
  StreamExchange& exchange = *it->second;
  timers_.Remove(exchange.timer);
  if (exchange.counted_push_pull) --push_pulls_;
  buffered_ -= exchange.received();
  --(exchange.accepted() ? accepted_ : dialled_);
  exchanges_.erase(it);
}

inline void Streams::Close(StreamId id, Outbox& out) {
  out.CloseStream(id);
  Forget(id);
}

inline std::optional<StreamId> Streams::OnAccepted(Instant now, const Endpoint& from, Outbox&) {
  if (accepted_ >= kAcceptedMax) {
    ++context_.stats.streams_refused;
    return std::nullopt;
  }
  ++context_.stats.streams_accepted;
  context_.limiter.Log(now, LogReason::kStreamAccepted, LogLevel::kDebug, [&] {
    return absl::StrCat("memberlist: Stream connection from=", from.ToString());
  });
  return Open(Purpose::kAccepted, from, now + context_.config.tcp_timeout);
}

inline StreamExchange* Streams::Dial(Instant now, Purpose purpose, const Endpoint& to,
                                     Instant deadline, RequestId join, Outbox& out) {
  if (dialled_ >= kDialledMax) {
    ++context_.stats.dropped_sends;
    StreamExchange refused(purpose, to, context_);
    refused.join = join;
    Finish(now, refused, absl::ResourceExhaustedError("too many open streams"));
    return nullptr;
  }
  ++context_.stats.streams_dialled;
  const StreamId id = Open(purpose, to, deadline);
  StreamExchange& exchange = *Find(id);
  exchange.join = join;
  out.DialStream(id, to);
  return &exchange;
}

inline void Streams::DialJoin(Instant now, RequestId join, const Endpoint& to, Outbox& out) {
  ++context_.stats.push_pulls_started;
  Dial(now, Purpose::kJoin, to, now + context_.config.tcp_timeout, join, out);
}

inline void Streams::DialPushPull(Instant now, MemberIndex partner, Outbox& out) {
  const NodeInfo& info = membership_.table().info(partner);
  Log(context_.config.logger, LogLevel::kDebug,
      "memberlist: Initiating push/pull sync with: ", info.name(), " ", info.endpoint().ToString());
  ++context_.stats.push_pulls_started;
  StreamExchange* exchange = Dial(now, Purpose::kPushPull, info.endpoint(),
                                  now + context_.config.tcp_timeout, RequestId(), out);
  if (exchange != nullptr) exchange->peer_name = std::string(info.name());
}

inline void Streams::DialFallbackPing(Instant now, const Prober::FallbackPing& ping, Outbox& out) {
  StreamExchange* exchange =
      Dial(now, Purpose::kFallbackPing, ping.to, ping.deadline, RequestId(), out);
  if (exchange == nullptr) return;
  exchange->ping_sequence = ping.sequence;
  wire::Encode(prober_.MakePing(ping.target, ping.sequence), exchange->request);
}

inline void Streams::DialUserMessage(Instant now, const Endpoint& to, ByteView message,
                                     Outbox& out) {
  StreamExchange* exchange =
      Dial(now, Purpose::kUserMessage, to, now + context_.config.tcp_timeout, RequestId(), out);
  if (exchange == nullptr) return;
  wire::Encode(wire::UserHeader{.user_msg_len = static_cast<std::int64_t>(message.size())},
               exchange->request);
  Append(exchange->request, message);
}

// --- inputs ---

inline void Streams::OnConnected(Instant now, StreamId id, Outbox& out) {
  StreamExchange* exchange = Find(id);
  if (exchange == nullptr || exchange->accepted() || exchange->connected) return;
  exchange->connected = true;
  bool written = false;
  switch (exchange->purpose()) {
    case Purpose::kJoin:
    case Purpose::kPushPull:
      timers_.Reschedule(exchange->timer, now + context_.config.tcp_timeout);
      written =
          WritePushPull(now, id, exchange->purpose() == Purpose::kJoin, /*initiator=*/true, out);
      break;
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
  StreamExchange* exchange = Find(id);
  if (exchange == nullptr) return;  // closed by this node; the driver had these on the way
  context_.stats.stream_bytes_received += bytes.size();
  if (!exchange->accepted() && exchange->received() == 0 &&
      exchange->purpose() != Purpose::kFallbackPing) {
    // The request is through and the answer begins: now it has its own time.
    timers_.Reschedule(exchange->timer, now + context_.config.tcp_timeout);
  }
  buffered_ += bytes.size();
  const wire::StreamStatus status = exchange->Feed(bytes);
  if (buffered_ > kBufferedMax && status == wire::StreamStatus::kNeedMore) {
    ++context_.stats.streams_refused;
    Finish(now, *exchange, absl::ResourceExhaustedError("too many bytes in open streams"));
    Close(id, out);
    return;
  }
  switch (status) {
    case wire::StreamStatus::kBusy:
    case wire::StreamStatus::kNeedMore:
      if (!exchange->accepted() || !exchange->reader().reads_push_pull()) return;
      if (!CountPushPull(now, *exchange)) Close(id, out);
      return;
    case wire::StreamStatus::kUnit:
      OnUnit(now, id, *exchange, &out);
      break;
    case wire::StreamStatus::kFailed:
      OnMalformed(now, id, *exchange, &out);
      break;
  }
  Close(id, out);
}

inline void Streams::OnClosed(Instant now, StreamId id, const absl::Status& reason) {
  StreamExchange* exchange = Find(id);
  if (exchange == nullptr) return;
  if (!reason.ok()) {
    Finish(now, *exchange, reason);
  } else if (!exchange->accepted() && !exchange->connected) {
    Finish(now, *exchange, absl::UnavailableError("connection closed"));
  } else if (exchange->reader().FeedEnd() == wire::StreamStatus::kUnit) {
    OnUnit(now, id, *exchange, nullptr);
  } else {
    OnMalformed(now, id, *exchange, nullptr);
  }
  Forget(id);
}

inline void Streams::OnTimer(Instant now, Outbox& out) {
  while (timers_.next() <= now) {
    const StreamId id = timers_.Pop();
    StreamExchange& exchange = *Find(id);
    ++context_.stats.streams_timed_out;
    const absl::string_view what =
        exchange.accepted() || exchange.connected ? "read tcp " : "dial tcp ";
    Finish(now, exchange,
           absl::DeadlineExceededError(
               absl::StrCat(what, exchange.peer().ToString(), ": i/o timeout")));
    Close(id, out);
  }
}

// --- units ---

inline void Streams::OnUnit(Instant now, StreamId id, StreamExchange& exchange, Outbox* out) {
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
      return Finish(now, exchange, OnPushPullAnswer(now, exchange));
    case Purpose::kFallbackPing:
      return OnPingAnswer(now, exchange);
    case Purpose::kUserMessage:
      return;
  }
}

inline void Streams::OnRequest(Instant now, StreamId id, StreamExchange& exchange, Outbox* out) {
  const wire::StreamUnit& unit = exchange.reader().unit();
  switch (unit.type) {
    case wire::MessageType::kUser:
      if (!unit.body.empty()) context_.delegate.OnUserMessage(now, exchange.peer(), unit.body);
      return;
    case wire::MessageType::kPing:
      return OnPingRequest(now, id, exchange, out);
    case wire::MessageType::kPushPull:
      return OnPushPullRequest(now, id, exchange, out);
    default:
      // The reader lets no other type through on this side.
      assert(false);
      return;
  }
}

inline void Streams::OnPingRequest(Instant now, StreamId id, StreamExchange& exchange,
                                   Outbox* out) {
  wire::Ping ping;
  wire::DecodeScratch scratch;
  if (wire::Decode(exchange.reader().unit().body, ping, scratch) != wire::DecodeResult::kOk) {
    ++context_.stats.streams_malformed;
    return;
  }
  if (!ping.node.empty() && ping.node != membership_.table().info(membership_.self()).name()) {
    ++context_.stats.dropped_not_for_us;
    context_.limiter.Log(now, LogReason::kWrongPing, LogLevel::kWarn, [&] {
      return absl::StrCat("memberlist: Got ping for unexpected node ", ping.node,
                          " from=", exchange.peer().ToString());
    });
    return;
  }
  if (out == nullptr) return;
  ByteVector& message = out->workspace().message;
  message.clear();
  wire::Encode(wire::Ack{.seq_no = ping.seq_no, .payload = {}}, message);
  WriteUnit(id, message, /*initiator=*/false, *out);
}

inline void Streams::OnPushPullRequest(Instant now, StreamId id, StreamExchange& exchange,
                                       Outbox* out) {
  if (!CountPushPull(now, exchange)) return;
  const ByteView body = exchange.reader().unit().body;
  // The answer shows the table as it was before this merge, as the original's does. A peer that
  // hung up gets none.
  if (out != nullptr) {
    const bool join = wire::PushPullReader(body).header().join;
    if (WritePushPull(now, id, join, /*initiator=*/false, *out)) {
      ++context_.stats.push_pulls_answered;
    }
  }
  const absl::Status status =
      PushPullMerge(context_, membership_, PushPullMerge::Role::kRequest, exchange.peer(), body)
          .Run(now);
  if (status.ok()) return;
  ++context_.stats.push_pulls_refused;
  context_.limiter.Log(now, LogReason::kMerge, LogLevel::kError, [&] {
    return absl::StrCat("memberlist: Failed push/pull merge: ", status.message(),
                        " from=", exchange.peer().ToString());
  });
}

inline absl::Status Streams::OnPushPullAnswer(Instant now, StreamExchange& exchange) {
  const wire::StreamUnit& unit = exchange.reader().unit();
  switch (unit.type) {
    case wire::MessageType::kPushPull:
      return PushPullMerge(context_, membership_, PushPullMerge::Role::kAnswer, exchange.peer(),
                           unit.body)
          .Run(now);
    case wire::MessageType::kError: {
      wire::ErrorMessage error;
      wire::DecodeScratch scratch;
      if (wire::Decode(unit.body, error, scratch) != wire::DecodeResult::kOk) break;
      return absl::UnavailableError(absl::StrCat("remote error: ", error.error));
    }
    default:
      break;
  }
  return absl::InvalidArgumentError(
      absl::StrCat("received invalid msgType (", static_cast<int>(unit.type), "), expected ",
                   "pushPullMsg (6) from=", exchange.peer().ToString()));
}

inline void Streams::OnPingAnswer(Instant now, StreamExchange& exchange) {
  const wire::StreamUnit& unit = exchange.reader().unit();
  wire::Ack ack;
  wire::DecodeScratch scratch;
  if (unit.type != wire::MessageType::kAck ||
      wire::Decode(unit.body, ack, scratch) != wire::DecodeResult::kOk) {
    return Finish(now, exchange,
                  absl::InvalidArgumentError(absl::StrCat(
                      "Unexpected msgType (", static_cast<int>(unit.type), ") from ping")));
  }
  if (ack.seq_no != exchange.ping_sequence) {
    return Finish(now, exchange,
                  absl::InvalidArgumentError(
                      absl::StrCat("Sequence number from ack (", ack.seq_no.value(),
                                   ") doesn't match ping (", exchange.ping_sequence.value(), ")")));
  }
  prober_.OnTcpContact(ack.seq_no);
}

// --- failures ---

inline void Streams::OnMalformed(Instant now, StreamId id, StreamExchange& exchange, Outbox* out) {
  const wire::StreamFailure& failure = exchange.reader().failure();
  if (failure.end != wire::StreamEnd::kSilent) ++context_.stats.streams_malformed;
  if (!exchange.accepted()) {
    const bool closed = failure.end == wire::StreamEnd::kSilent;
    return Finish(now, exchange, absl::InvalidArgumentError(closed ? "EOF" : failure.text.c_str()));
  }
  if (failure.end == wire::StreamEnd::kSilent) return;
  context_.limiter.Log(now, LogReason::kStream, LogLevel::kError, [&] {
    absl::string_view what;
    switch (failure.error) {
      case wire::StreamError::kLabelTruncated:
      case wire::StreamError::kLabelZeroLength:
        what = "failed to receive and remove the stream label header: ";
        break;
      case wire::StreamError::kDoubleLabel:
      case wire::StreamError::kLabelMismatch:
      case wire::StreamError::kUnexpectedType:
        break;
      case wire::StreamError::kBadBody:
      case wire::StreamError::kBadCount:
        what = exchange.reader().reads_push_pull() ? "Failed to read remote state: "
                                                   : "failed to receive: ";
        break;
      default:
        what = "failed to receive: ";
        break;
    }
    return absl::StrCat("memberlist: ", what, failure.text, " from=", exchange.peer().ToString());
  });
  if (failure.end != wire::StreamEnd::kAnswer || out == nullptr) return;
  ByteVector& message = out->workspace().message;
  message.clear();
  wire::Encode(wire::ErrorMessage{.error = failure.text}, message);
  WriteUnit(id, message, /*initiator=*/false, *out);
}

inline void Streams::Finish(Instant now, const StreamExchange& exchange,
                            const absl::Status& status) {
  if (!status.ok()) ++context_.stats.streams_failed;
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
      // That nobody listens is what the ping was to find out.
      if (!status.ok() && exchange.connected) complain("Failed fallback TCP ping: ");
      return;
    case Purpose::kUserMessage:
      if (!status.ok()) {
        complain("Failed to send user message to ", exchange.peer().ToString(), ": ");
      }
      return;
  }
}

inline bool Streams::CountPushPull(Instant now, StreamExchange& exchange) {
  if (exchange.counted_push_pull) return true;
  if (push_pulls_ >= kPushPullsMax) {
    ++context_.stats.push_pulls_refused;
    context_.limiter.Log(now, LogReason::kPendingPushPulls, LogLevel::kError,
                         [] { return "memberlist: Too many pending push/pull requests"; });
    return false;
  }
  exchange.counted_push_pull = true;
  ++push_pulls_;
  return true;
}

// --- writing ---

inline bool Streams::WriteUnit(StreamId id, ByteView message, bool initiator, Outbox& out) {
  const Config& config = context_.config;
  const wire::SealOptions options{
      .label = config.label,
      .keyring = config.verify_outgoing ? config.keyring.get() : nullptr,
      .aead = config.aead.get(),
      .nonces = config.nonces.get(),
      .encryption_version = wire::EncryptionVersionFor(config.protocol_version),
      .compress = config.enable_compression,
  };
  const std::size_t begin = out.BeginSlice();
  if (!wire::SealStreamUnit(message, options, initiator, out.workspace().packet, out.arena())) {
    ++context_.stats.dropped_sends;
    return false;
  }
  out.WriteStream(id, begin);
  context_.stats.stream_bytes_sent += out.arena().size() - begin;
  return true;
}

inline bool Streams::WritePushPull(Instant now, StreamId id, bool join, bool initiator,
                                   Outbox& out) {
  PacketWorkspace& workspace = out.workspace();
  workspace.message.clear();
  AppendPushPull(now, context_, membership_, join, workspace.payload, workspace.message);
  return WriteUnit(id, workspace.message, initiator, out);
}

}  // namespace serf::swim

#endif  // SERF_SWIM_STREAMS_H_
