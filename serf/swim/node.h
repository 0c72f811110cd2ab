#ifndef SERF_SWIM_NODE_H_
#define SERF_SWIM_NODE_H_

// Node: one member of a SWIM cluster as a pure machine: probing, suspicion, dissemination by
// gossip, and anti-entropy by push/pull (Das, Gupta, Motivala: SWIM, 2002; Dadgar, Phillips,
// Currey: Lifeguard, 2018; spec/memberlist.md).
//
// Inputs take the instant first and the Outbox last: On... tells what happened, a verb what is
// wanted. It never blocks, reads no clock and opens no socket. One thread.
//
//   Node node(config, delegate);
//   node.Start(now, out);
//   loop: carry out `out`; wait for I/O or node.NextDeadline(); feed it; ...

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "serf/base/bytes.h"
#include "serf/base/endpoint.h"
#include "serf/base/time.h"
#include "serf/swim/config.h"
#include "serf/swim/delegate.h"
#include "serf/swim/node_info.h"
#include "serf/swim/outbox.h"
#include "serf/swim/stats.h"

namespace serf::swim {

// An address to join: the text the user gave (for error messages), and what it resolved to.
struct JoinTarget {
  std::string text;
  Endpoint endpoint;
};

// How a Join ended: how many targets answered and were merged, and one text per failed target
// ("failed to join 10.0.0.1:7946: ...").
struct JoinResult {
  int contacted = 0;
  std::vector<std::string> errors;
};

class Node {
 public:
  // `config` must be valid (Config::Validate). `delegate` must outlive the node.
  Node(Config config, Delegate& delegate);
  Node(const Node&) = delete;
  Node& operator=(const Node&) = delete;

  // Announces itself (incarnation 1) and starts the schedules. Once, before any other input.
  void Start(Instant now, Outbox& out);

  // --- what happened ---
  void OnDatagram(Instant now, const Endpoint& from, ByteView datagram, Outbox& out);
  // A datagram could not be sent: the network refused it (ICMP, no route).
  void OnDatagramFailed(Instant now, const Endpoint& to, Outbox& out);
  void OnTimer(Instant now, Outbox& out);
  // The id of the new stream; none if too many are open: the driver closes the connection.
  std::optional<StreamId> OnStreamAccepted(Instant now, const Endpoint& from, Outbox& out);
  void OnStreamConnected(Instant now, StreamId stream, Outbox& out);
  void OnStreamBytes(Instant now, StreamId stream, ByteView bytes, Outbox& out);
  // The peer closed the stream (OK) or it failed, or the dial did ("dial tcp 10.0.0.1:7946:
  // connect: connection refused"). The id is gone.
  void OnStreamClosed(Instant now, StreamId stream, const absl::Status& reason, Outbox& out);

  // When OnTimer must be called at the latest; kNever if nothing is due.
  Instant NextDeadline() const;

  // --- what is wanted ---

  // Push/pulls with each target in order. The result is in TakeJoinResults().
  void Join(Instant now, RequestId id, std::vector<JoinTarget> targets, Outbox& out);
  struct JoinDone {
    RequestId id;
    JoinResult result;
  };
  // The joins that ended since the last call.
  std::vector<JoinDone> TakeJoinResults();

  // Announces the own departure; Delegate::OnLeaveBroadcast follows when it is out, at once if
  // nobody else is alive. The node keeps answering until the driver stops it.
  void Leave(Instant now, Outbox& out);
  // Announces new metadata; Delegate::OnUpdateBroadcast follows. More than kMetaMax bytes: error.
  absl::Status UpdateMeta(Instant now, ByteView meta, Outbox& out);
  // A user message to one node: by datagram, or by a stream of its own.
  void SendBestEffort(Instant now, const Endpoint& to, ByteView message, Outbox& out);
  void SendReliable(Instant now, const Endpoint& to, ByteView message, Outbox& out);
  // The queues behind Delegate::DrawBroadcasts turned non-empty: gossip promptly.
  void WakeGossip(Instant now);

  // --- views ---
  const Config& config() const;
  MemberIndex self() const;
  bool has_left() const;
  std::optional<MemberIndex> Find(absl::string_view name) const;
  const NodeInfo& info(MemberIndex member) const;
  NodeState state(MemberIndex member) const;
  Instant changed_at(MemberIndex member) const;
  // Every known node, itself and dead ones included: the N of the scaling formulas.
  std::size_t known_nodes() const;
  // Alive and suspect ones, itself included.
  std::size_t live_nodes() const;
  // Calls f(MemberIndex) for each known node, in order of index.
  template <typename F>
  void ForEachMember(F&& f) const;
  // Zero is healthy (Lifeguard's local health multiplier).
  int health_score() const;
  const Stats& stats() const;
};

}  // namespace serf::swim

#endif  // SERF_SWIM_NODE_H_
