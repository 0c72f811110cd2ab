// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_MACHINE_SERF_MESSAGE_RECEIVER_H_
#define SERF_MACHINE_SERF_MESSAGE_RECEIVER_H_

// SerfMessageReceiver: takes what other nodes send to the Serf layer: user messages and the states
// of push/pulls. It decodes, checks and hands on, and queues what is new for gossip, byte for byte
// as it came. Source: docs/protocol/serf.md 3.10, 4.3, 5.4, 6.4, 6.7, 12.1.

#include <cassert>
#include <cstddef>
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "serf/base/bytes.h"
#include "serf/base/endpoint.h"
#include "serf/base/logger.h"
#include "serf/base/time.h"
#include "serf/context/context.h"
#include "serf/events/user_events.h"
#include "serf/gossip/broadcasts.h"
#include "serf/gossip/push_pull_visit.h"
#include "serf/members/intent_issuer.h"
#include "serf/members/member_tracker.h"
#include "serf/queries/queries.h"
#include "serf/swim/config.h"
#include "serf/swim/delegate.h"
#include "serf/swim/log_limiter.h"
#include "serf/swim/node.h"
#include "serf/swim/packet_budget.h"
#include "serf/wire/message_type.h"
#include "serf/wire/msgpack.h"
#include "serf/wire/packet.h"
#include "serf/wire/serf_messages.h"

namespace serf {

class SerfMessageReceiver {
 public:
  // The most bytes of an answer, with the header of a relay: answers up to this size come over a
  // stream. All other messages are gossiped, and none is larger than a datagram. To decode so many
  // bytes takes milliseconds.
  static constexpr std::size_t kAnswerMax = 1 << 20;

  // All of them must outlive the receiver.
  SerfMessageReceiver(SerfContext& context, MemberTracker& members, IntentIssuer& intents,
                      UserEvents& user_events, Queries& queries, Broadcasts& broadcasts)
      : context_(context),
        members_(members),
        intents_(intents),
        user_events_(user_events),
        queries_(queries),
        broadcasts_(broadcasts) {}
  SerfMessageReceiver(const SerfMessageReceiver&) = delete;
  SerfMessageReceiver& operator=(const SerfMessageReceiver&) = delete;

  // A user message and its sender.
  void OnMessage(Instant now, const Endpoint& from, ByteView message, swim::Spread spread);
  // Merges the state of a push/pull, one portion a call. True when all of it is merged; until then,
  // call it again with the same state.
  bool OnRemoteState(Instant now, const swim::RemoteState& state);

  // If false, a push/pull for a join makes this node drop events that are older than the join
  // (docs/protocol/serf.md 4.4).
  void set_replay_on_join(bool replay) { replay_on_join_ = replay; }

 private:
  // The visitor of a push/pull state.
  struct Merge;
  // Whether the bytes are a state at all; otherwise logs and counts.
  bool BeginVisit(Instant now, ByteView bytes);
  template <typename Text>
  void OnBadState(Instant now, const Text& text) {
    ++context_.counters.states_malformed;
    context_.limiter.Log(now, swim::LogReason::kMerge, LogLevel::kError, text);
  }

  // Decodes the body; logs and counts a failure. `what`: "leave", "user event", ...
  template <typename Message>
  bool DecodeBody(Instant now, ByteView message, absl::string_view what, Message& out,
                  wire::DecodeScratch& scratch);
  bool IsMemberName(absl::string_view name);
  // Whether a gossip packet can carry the message. A message that came over a stream, or from a
  // node with larger packets, may be larger: it would stay in its queue forever, ahead of smaller
  // ones.
  bool IsPortable(ByteView message);

  void OnLeaveBytes(Instant now, ByteView message, swim::Spread spread);
  void OnJoinBytes(Instant now, ByteView message, swim::Spread spread);
  void OnUserEventBytes(Instant now, ByteView message, swim::Spread spread);
  void OnQueryBytes(Instant now, ByteView message, swim::Spread spread);
  void OnResponseBytes(Instant now, const Endpoint& from, ByteView message);
  void OnRelayBytes(Instant now, ByteView message);

  SerfContext& context_;
  MemberTracker& members_;
  IntentIssuer& intents_;
  UserEvents& user_events_;
  Queries& queries_;
  Broadcasts& broadcasts_;

  bool replay_on_join_ = true;
  // True until this node has joined a node, whose clocks it adopts.
  bool adopts_clocks_ = true;
  std::unique_ptr<PushPullVisit> visit_;  // of the state under way
};

inline void SerfMessageReceiver::OnMessage(Instant now, const Endpoint& from, ByteView message,
                                           swim::Spread spread) {
  ++context_.counters.messages_received;
  context_.counters.message_bytes_received += message.size();
  if (message.empty()) return;
  const auto type = static_cast<wire::SerfMessageType>(message.front());
  const bool is_answer =
      type == wire::SerfMessageType::kQueryResponse || type == wire::SerfMessageType::kRelay;
  if (message.size() > (is_answer ? kAnswerMax : wire::kDatagramMax)) {
    ++context_.counters.dropped_oversize;
    return;
  }
  switch (type) {
    case wire::SerfMessageType::kLeave:
      return OnLeaveBytes(now, message, spread);
    case wire::SerfMessageType::kJoin:
      return OnJoinBytes(now, message, spread);
    case wire::SerfMessageType::kUserEvent:
      return OnUserEventBytes(now, message, spread);
    case wire::SerfMessageType::kQuery:
      return OnQueryBytes(now, message, spread);
    case wire::SerfMessageType::kQueryResponse:
      return OnResponseBytes(now, from, message);
    case wire::SerfMessageType::kRelay:
      return OnRelayBytes(now, message);
    case wire::SerfMessageType::kPushPull:
    case wire::SerfMessageType::kConflictResponse:
    case wire::SerfMessageType::kKeyRequest:
    case wire::SerfMessageType::kKeyResponse:
      break;
  }
  ++context_.counters.dropped_type;
  context_.limiter.Log(now, swim::LogReason::kUnknownType, LogLevel::kWarn, [&] {
    return absl::StrCat("serf: Received message of unknown type: ", message.front());
  });
  return;
}

template <typename Message>
bool SerfMessageReceiver::DecodeBody(Instant now, ByteView message, absl::string_view what,
                                     Message& out, wire::DecodeScratch& scratch) {
  const wire::DecodeResult result = Decode(message.subspan(1), out, scratch);
  if (result == wire::DecodeResult::kOk) return true;
  ++context_.counters.dropped_malformed;
  context_.limiter.Log(now, swim::LogReason::kDecode, LogLevel::kError, [&] {
    return absl::StrCat("serf: Error decoding ", what, ": ", wire::DecodeResultName(result));
  });
  return false;
}

inline bool SerfMessageReceiver::IsMemberName(absl::string_view name) {
  // The SWIM layer accepts only members with such names.
  if (!name.empty() && name.size() <= swim::kNodeNameMax) return true;
  ++context_.counters.dropped_name;
  return false;
}

inline bool SerfMessageReceiver::IsPortable(ByteView message) {
  if (message.size() <= swim::MaxGossipMessage(context_.config.swim)) return true;
  ++context_.counters.not_passed_on;
  return false;
}

// --- intents ---

inline void SerfMessageReceiver::OnLeaveBytes(Instant now, ByteView message, swim::Spread spread) {
  wire::DecodeScratch scratch;
  wire::LeaveMessage leave;
  if (!DecodeBody(now, message, "leave message", leave, scratch)) return;
  Log(context_.config.swim.logger, LogLevel::kDebug, "serf: messageLeaveType: ", leave.node);
  if (!IsMemberName(leave.node)) return;
  const MemberTracker::LeaveOutcome outcome =
      members_.OnLeaveMessage(now, leave.node, leave.ltime, leave.prune);
  if (outcome.refute) intents_.Refute(now);
  if (!outcome.rebroadcast || !IsPortable(message)) return;
  broadcasts_.AddIntent(leave.node, leave.prune, message, spread);
}

inline void SerfMessageReceiver::OnJoinBytes(Instant now, ByteView message, swim::Spread spread) {
  wire::DecodeScratch scratch;
  wire::JoinMessage join;
  if (!DecodeBody(now, message, "join message", join, scratch)) return;
  Log(context_.config.swim.logger, LogLevel::kDebug, "serf: messageJoinType: ", join.node);
  if (!IsMemberName(join.node)) return;
  if (!members_.OnJoinMessage(now, join.node, join.ltime) || !IsPortable(message)) return;
  broadcasts_.AddIntent(join.node, /*prune=*/false, message, spread);
}

// --- user events ---

inline void SerfMessageReceiver::OnUserEventBytes(Instant now, ByteView message,
                                                  swim::Spread spread) {
  wire::DecodeScratch scratch;
  wire::UserEventMessage event;
  if (!DecodeBody(now, message, "user event message", event, scratch)) return;
  Log(context_.config.swim.logger, LogLevel::kDebug, "serf: messageUserEventType: ", event.name);
  if (!user_events_.OnMessage(now, event) || !IsPortable(message)) return;
  broadcasts_.AddEvent(message, spread);
}

// --- queries ---

inline void SerfMessageReceiver::OnQueryBytes(Instant now, ByteView message, swim::Spread spread) {
  wire::DecodeScratch scratch;
  wire::QueryMessage query;
  if (!DecodeBody(now, message, "query message", query, scratch)) return;
  Log(context_.config.swim.logger, LogLevel::kDebug, "serf: messageQueryType: ", query.name);
  // Releases before 0.9.0 do not name the asking node.
  if (!query.source_node.empty() && !IsMemberName(query.source_node)) return;
  if (!queries_.OnMessage(now, query) || !IsPortable(message)) return;
  broadcasts_.AddQuery(message, spread);
}

inline void SerfMessageReceiver::OnResponseBytes(Instant now, const Endpoint& from,
                                                 ByteView message) {
  wire::DecodeScratch scratch;
  wire::QueryResponseMessage response;
  if (!DecodeBody(now, message, "query response message", response, scratch)) return;
  Log(context_.config.swim.logger, LogLevel::kDebug,
      "serf: messageQueryResponseType: ", response.from);
  if (IsMemberName(response.from)) queries_.OnResponse(now, response, from);
}

// --- relays ---

inline void SerfMessageReceiver::OnRelayBytes(Instant now, ByteView message) {
  wire::DecodeScratch scratch;
  wire::RelayHeader header;
  const ByteView body = message.subspan(1);
  if (const wire::DecodeResult result = Decode(body, header, scratch);
      result != wire::DecodeResult::kOk) {
    ++context_.counters.dropped_malformed;
    context_.limiter.Log(now, swim::LogReason::kDecode, LogLevel::kError, [&] {
      return absl::StrCat("serf: Error decoding relay header: ", wire::DecodeResultName(result));
    });
    return;
  }
  // Relays carry only answers, and only to members, by name and at their address. Otherwise anybody
  // could make this node send anything to any address (docs/protocol/serf.md 15.2).
  const ByteView inner = body.subspan(scratch.consumed());
  const bool is_answer = !inner.empty() && static_cast<wire::SerfMessageType>(inner.front()) ==
                                               wire::SerfMessageType::kQueryResponse;
  const auto ip = IpAddress::FromBytes(header.dest_addr.ip);
  const auto member = context_.node.Find(header.dest_name);
  if (!is_answer || !ip.has_value() || !member.has_value()) {
    ++context_.counters.dropped_relay;
    return;
  }
  const Endpoint& to = context_.node.info(*member).endpoint();
  if (!SameHost(to.address, *ip) || to.port != header.dest_addr.port) {
    ++context_.counters.dropped_relay;
    return;
  }
  ++context_.counters.relayed;
  Log(context_.config.swim.logger, LogLevel::kDebug,
      "serf: Relaying response to addr: ", to.ToString());
  context_.Send(to, inner);
}

// --- push/pull ---

struct SerfMessageReceiver::Merge {
  void OnClocks(wire::LamportTime member, wire::LamportTime event, wire::LamportTime query) {
    const bool adopt = state.join && state.dialled && std::exchange(receiver.adopts_clocks_, false);
    receiver.members_.clock().OnPeerClock(now, member, adopt);
    receiver.user_events_.OnPeerClock(now, event, adopt);
    receiver.queries_.OnPeerClock(now, query, adopt);
    if (state.join && !receiver.replay_on_join_) receiver.user_events_.IgnoreBefore(event);
  }
  void OnRemoteLeft(absl::string_view name, wire::LamportTime time) {
    if (!receiver.IsMemberName(name)) return;
    if (receiver.members_.OnRemoteLeft(now, name, time).refute) receiver.intents_.Refute(now);
  }
  void OnRemoteStatus(absl::string_view name, wire::LamportTime time) {
    if (receiver.IsMemberName(name)) receiver.members_.OnRemoteStatus(now, name, time);
  }
  void OnRemoteEvent(wire::LamportTime time, const wire::RecentEvent& event) {
    wire::UserEventMessage message;
    message.ltime = time;
    message.name = event.name;
    message.payload = event.payload;
    receiver.user_events_.OnRemoteEvent(now, message);
  }

  SerfMessageReceiver& receiver;
  Instant now;
  const swim::RemoteState& state;
};

inline bool SerfMessageReceiver::OnRemoteState(Instant now, const swim::RemoteState& state) {
  // The address does not prove a first call: a state that was given up may have had the same one.
  if (state.first && !BeginVisit(now, state.bytes)) return true;
  assert(visit_ != nullptr);
  const auto progress = visit_->Run(Merge{*this, now, state});
  if (progress == PushPullVisit::Progress::kMore) return false;
  if (progress == PushPullVisit::Progress::kMalformed) {
    OnBadState(now, [&] {
      return absl::StrCat("serf: Failed to decode remote state: ",
                          wire::DecodeResultName(visit_->result()));
    });
  }
  context_.counters.dropped_surplus += visit_->surplus();
  visit_ = nullptr;
  return true;
}

inline bool SerfMessageReceiver::BeginVisit(Instant now, ByteView bytes) {
  visit_ = nullptr;
  if (bytes.empty()) {
    OnBadState(now, [] { return std::string("serf: Remote state is zero bytes"); });
    return false;
  }
  if (static_cast<wire::SerfMessageType>(bytes.front()) != wire::SerfMessageType::kPushPull) {
    OnBadState(now, [&] {
      return absl::StrCat("serf: Remote state has bad type prefix: ", bytes.front());
    });
    return false;
  }
  visit_ = std::make_unique<PushPullVisit>(bytes.subspan(1));
  return true;
}

}  // namespace serf

#endif  // SERF_MACHINE_SERF_MESSAGE_RECEIVER_H_
