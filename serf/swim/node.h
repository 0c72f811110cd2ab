// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_SWIM_NODE_H_
#define SERF_SWIM_NODE_H_

// Node: one member of a SWIM cluster as a pure machine: probing, suspicion, dissemination by
// gossip, and anti-entropy by push/pull (Das, Gupta, Motivala: SWIM, 2002; Dadgar, Phillips,
// Currey: Lifeguard, 2018; docs/protocol/membership.md).
//
// Inputs take the instant first and the Outbox last. On... reports what happened; a verb is a
// request. A Node never blocks, reads no clock and opens no socket. One thread.
//
//   Node node(config, delegate);
//   node.Start(now, out);
//   loop: carry out `out`; wait for I/O or node.NextDeadline(); feed it; ...

#include <algorithm>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "serf/base/bytes.h"
#include "serf/base/endpoint.h"
#include "serf/base/time.h"
#include "serf/swim/config.h"
#include "serf/swim/counters.h"
#include "serf/swim/delegate.h"
#include "serf/swim/gossiper.h"
#include "serf/swim/joins.h"
#include "serf/swim/membership.h"
#include "serf/swim/node_context.h"
#include "serf/swim/node_info.h"
#include "serf/swim/outbox.h"
#include "serf/swim/packet_receiver.h"
#include "serf/swim/packet_sender.h"
#include "serf/swim/prober.h"
#include "serf/swim/scaling.h"
#include "serf/swim/standstill.h"
#include "serf/swim/streams.h"

namespace serf::swim {

class Node {
 public:
  // `config` must be valid (Config::Validate). `delegate` must outlive the node.
  Node(Config config, Delegate& delegate);
  Node(const Node&) = delete;
  Node& operator=(const Node&) = delete;

  // Announces this node (incarnation 1) and starts the schedules. Call it once, before any other
  // input.
  void Start(Instant now, Outbox& out);

  // For a simulation that begins with a large cluster: this node, which has just started, knows the
  // members that `other` knows, itself included, as if both had known them for long: each has
  // answered a ping, and nothing remains to be announced. The tables share their memory, except
  // where they differ later, so both nodes belong to one thread, with one NodeInfoPool. Nobody is
  // suspected.
  void KnowMembersOf(Node& other) { membership_.KnowMembersOf(other.membership_); }

  // --- what happened ---
  void OnDatagram(Instant now, const Endpoint& from, ByteView datagram, Outbox& out);
  // A datagram could not be sent: the network refused it (ICMP, no route).
  void OnDatagramFailed(Instant now, const Endpoint& to, Outbox& out);
  void OnTimer(Instant now, Outbox& out);
  // The id of the new stream; nothing if too many are open: the driver then closes the connection.
  std::optional<StreamId> OnStreamAccepted(Instant now, const Endpoint& from, Outbox& out);
  void OnStreamConnected(Instant now, StreamId stream, Outbox& out);
  void OnStreamBytes(Instant now, StreamId stream, ByteView bytes, Outbox& out);
  // The peer closed the stream (OK), the stream failed, or the dial did ("dial tcp 10.0.0.1:7946:
  // connect: connection refused"). The id is gone.
  void OnStreamClosed(Instant now, StreamId stream, const absl::Status& reason, Outbox& out);

  // When OnTimer() must be called at the latest; kNever if nothing is due.
  Instant NextDeadline() const;

  // --- what is wanted ---

  // Makes a push/pull with each target in order. TakeJoinResults() has the result.
  JoinId Join(Instant now, std::vector<JoinTarget> targets, Outbox& out);
  using JoinDone = Joins::Done;
  // The joins that ended since the last call.
  std::vector<JoinDone> TakeJoinResults();

  // Announces this node's departure. Delegate::OnLeaveBroadcast() follows when the announcement is
  // out, at once if no other node is alive. The node keeps answering until the driver stops it. A
  // second call does nothing.
  void Leave(Instant now, Outbox& out);
  // Announces new metadata. Delegate::OnUpdateBroadcast() follows, once for each call that returned
  // OK. Errors: InvalidArgument: more than kMetaMax bytes; FailedPrecondition: this node left;
  // ResourceExhausted: it used up its incarnations.
  absl::Status UpdateMeta(Instant now, ByteView meta, Outbox& out);
  // Sends a user message to one node: by datagram, or over a stream of its own.
  void SendBestEffort(Instant now, const Endpoint& to, ByteView message, Outbox& out);
  void SendReliable(Instant now, const Endpoint& to, ByteView message, Outbox& out);
  // The queues behind Delegate::DrawBroadcasts turned non-empty: gossip promptly.
  void WakeGossip(Instant now);

  // --- views ---
  const Config& config() const { return context_.config; }
  MemberIndex self() const { return membership_.self(); }
  bool has_left() const { return membership_.has_left(); }
  std::optional<MemberIndex> Find(absl::string_view name) const {
    return membership_.table().Find(name);
  }
  const NodeInfo& info(MemberIndex member) const { return membership_.table().info(member); }
  // A counted reference, to hold the information beyond the next input.
  const NodeInfoRef& info_ref(MemberIndex member) const {
    return membership_.table().row(member).info;
  }
  NodeState state(MemberIndex member) const { return membership_.table().state(member); }
  wire::Incarnation incarnation(MemberIndex member) const {
    return membership_.table().row(member).incarnation;
  }
  Instant changed_at(MemberIndex member) const {
    return membership_.table().row(member).changed_at;
  }
  // The number of known nodes, this one and dead ones included: the N of the scaling formulas.
  std::size_t known_nodes() const { return membership_.table().known(); }
  // How often the address, the metadata or the versions of a known node have changed.
  std::uint64_t info_changes() const { return membership_.table().info_changes(); }
  // The number of alive and suspect nodes, this one included.
  std::size_t live_nodes() const { return membership_.table().live(); }
  // Calls f(MemberIndex) for each known node, in order of index.
  template <typename F>
  void ForEachMember(F&& f) const {
    membership_.table().ForEach(std::forward<F>(f));
  }
  // One more than the highest index of a known node.
  std::size_t index_limit() const { return membership_.table().index_limit(); }
  bool IsKnown(MemberIndex member) const { return membership_.table().Contains(member); }
  // Zero is healthy (Lifeguard's local health multiplier).
  int health_score() const { return context_.awareness.score(); }
  // How much more often than usual messages are sent, while many listed members are dead.
  int transmit_stretch() const { return context_.probe_history.stretch(); }
  // The message queue of the SWIM layer; the queues of the delegate are separate.
  const BroadcastQueue& queue() const { return membership_.queue(); }
  const Counters& counters() const { return context_.counters; }

 private:
  // Ends every input: carries out what one part wants of another, and reports to the delegate which
  // announcements are out.
  void Settle(Instant now, Outbox& out);
  // Begins every input that may come late: what others could not tell this node while it stood
  // still does not count against them.
  void NoteStandstill(Instant now) {
    const Instant due = std::min(membership_.NextDeadline(), prober_.NextDeadline());
    const Duration deaf = standstill_.OnTurn(now, due);
    if (deaf == Duration::zero() || !context_.config.postpone_after_standstill) return;
    ++context_.counters.standstills;
    membership_.Postpone(now, deaf);
    prober_.Postpone(deaf);
  }
  void OnPushPullTimer(Instant now, Outbox& out);

  NodeContext context_;
  Membership membership_{context_};
  PacketSender sender_{context_, membership_};
  Prober prober_{context_, membership_, sender_};
  Gossiper gossiper_{context_, membership_, sender_};
  Streams streams_{context_, membership_, prober_};
  PacketReceiver receiver_{context_, membership_, prober_};
  Joins joins_;
  Standstill standstill_;
  // The first one waits a random part of the interval longer, so that nodes which start together do
  // not exchange states at the same moment (docs/protocol/membership.md 6.5).
  Instant next_push_pull_ = kNever;
  bool push_pull_delay_over_ = false;
  std::vector<MemberIndex> partner_;
};

inline Node::Node(Config config, Delegate& delegate) : context_(std::move(config), delegate) {}

inline void Node::Start(Instant now, Outbox& out) {
  standstill_.OnTurn(now, now);
  membership_.Start(now);
  prober_.Start(now);
  gossiper_.Start(now);
  const Duration interval = context_.config.push_pull_interval;
  if (interval > Duration::zero()) next_push_pull_ = now + context_.rng.Below(interval);
  Settle(now, out);
}

// --- what happened ---

inline void Node::OnDatagram(Instant now, const Endpoint& from, ByteView datagram, Outbox& out) {
  NoteStandstill(now);
  receiver_.OnDatagram(now, from, datagram, out);
  Settle(now, out);
}

inline void Node::OnDatagramFailed(Instant now, const Endpoint& to, Outbox& out) {
  prober_.OnSendFailed(now, to, out);
  Settle(now, out);
}

inline void Node::OnTimer(Instant now, Outbox& out) {
  NoteStandstill(now);
  membership_.OnTimer(now);
  receiver_.OnTimer(now, out);
  prober_.OnTimer(now, out);
  streams_.OnTimer(now, out);
  if (now >= next_push_pull_) OnPushPullTimer(now, out);
  gossiper_.OnTimer(now, out);
  Settle(now, out);
}

inline std::optional<StreamId> Node::OnStreamAccepted(Instant now, const Endpoint& from,
                                                      Outbox& out) {
  return streams_.OnAccepted(now, from, out);
}

inline void Node::OnStreamConnected(Instant now, StreamId stream, Outbox& out) {
  streams_.OnConnected(now, stream, out);
  Settle(now, out);
}

inline void Node::OnStreamBytes(Instant now, StreamId stream, ByteView bytes, Outbox& out) {
  NoteStandstill(now);
  streams_.OnBytes(now, stream, bytes, out);
  Settle(now, out);
}

inline void Node::OnStreamClosed(Instant now, StreamId stream, const absl::Status& reason,
                                 Outbox& out) {
  streams_.OnClosed(now, stream, reason, out);
  Settle(now, out);
}

inline Instant Node::NextDeadline() const {
  return std::min({membership_.NextDeadline(), prober_.NextDeadline(), streams_.NextDeadline(),
                   gossiper_.NextDeadline(), receiver_.NextDeadline(), next_push_pull_});
}

inline void Node::OnPushPullTimer(Instant now, Outbox& out) {
  next_push_pull_ =
      now + PushPullScale(context_.config.push_pull_interval, membership_.table().known());
  if (const std::optional<MemberIndex> doubted = membership_.TakeDoubted()) {
    streams_.DialPushPull(now, *doubted, out);
  }
  if (!std::exchange(push_pull_delay_over_, true)) return;
  membership_.ring().Pick(1, context_.rng, partner_, [this](MemberIndex m) {
    return m != self() && state(m) == NodeState::kAlive;
  });
  if (!partner_.empty()) streams_.DialPushPull(now, partner_.front(), out);
}

inline void Node::Settle(Instant now, Outbox& out) {
  if (const std::optional<Prober::FallbackPing> ping = prober_.TakeFallbackPing()) {
    streams_.DialFallbackPing(now, *ping, out);
  }
  if (joins_.active()) {
    // A dial may fail at once, which frees the next attempt.
    for (bool again = true; again;) {
      for (const Streams::JoinAttempt& ended : streams_.TakeJoinAttempts()) {
        const std::string error = joins_.OnAttemptEnded(ended.join, ended.status);
        if (!error.empty()) Log(context_.config.logger, LogLevel::kDebug, "memberlist: ", error);
      }
      const std::optional<Joins::Attempt> attempt = joins_.NextAttempt();
      again = attempt.has_value();
      if (again) streams_.DialJoin(now, attempt->id, attempt->to, out);
    }
  }
  membership_.ReportFinished(now);
  context_.counters.broadcasts_dropped = membership_.queue().dropped();
  context_.counters.gossip_waves_held_back = gossiper_.held_back();
  context_.counters.log_lines_suppressed = context_.limiter.suppressed();
  gossiper_.Wake(now);
}

// --- what is wanted ---

inline JoinId Node::Join(Instant now, std::vector<JoinTarget> targets, Outbox& out) {
  const JoinId id = joins_.Start(std::move(targets));
  Settle(now, out);
  return id;
}

inline std::vector<Node::JoinDone> Node::TakeJoinResults() { return joins_.TakeDone(); }

inline void Node::Leave(Instant now, Outbox& out) {
  membership_.Leave(now);
  Settle(now, out);
}

inline absl::Status Node::UpdateMeta(Instant now, ByteView meta, Outbox& out) {
  if (meta.size() > kMetaMax) {
    return absl::InvalidArgumentError(
        absl::StrCat("metadata has ", meta.size(), " bytes, limit is ", kMetaMax));
  }
  if (absl::Status status = membership_.UpdateMeta(now, meta); !status.ok()) return status;
  Settle(now, out);
  return absl::OkStatus();
}

inline void Node::SendBestEffort(Instant, const Endpoint& to, ByteView message, Outbox& out) {
  sender_.SendUser(message, to, /*crc=*/false, out);
}

inline void Node::SendReliable(Instant now, const Endpoint& to, ByteView message, Outbox& out) {
  streams_.DialUserMessage(now, to, message, out);
}

inline void Node::WakeGossip(Instant now) { gossiper_.Wake(now); }

}  // namespace serf::swim

#endif  // SERF_SWIM_NODE_H_
