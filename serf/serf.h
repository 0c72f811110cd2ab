// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_SERF_H_
#define SERF_SERF_H_

// Serf: a member of a cluster as a pure machine: the Serf layer (Lamport clocks, intents, member
// states, tags, user events, queries) over a swim::Node. It never blocks, reads no clock and opens
// no socket. transport::Host drives it with real sockets, testing/sim/world.h with virtual time.
// Use it directly only to write a driver of your own; an application uses a Host.
//
//   auto serf = Serf::Create(config);           // config.swim.advertise is set
//   (*serf)->Start(now, out);
//   loop: carry out `out`; wait for I/O or NextDeadline(); feed it; ...
//
// Inputs take the instant first and the Outbox last. On... reports what happened; a verb is a
// request. Views change nothing. Instants never go back. One thread uses a Serf at a time. A
// request after Shutdown() ends with an error. Source: docs/protocol/serf.md.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "serf/base/bytes.h"
#include "serf/base/endpoint.h"
#include "serf/base/logger.h"
#include "serf/base/time.h"
#include "serf/config.h"
#include "serf/context/context.h"
#include "serf/coordinates/coordinate_tracker.h"
#include "serf/counters.h"
#include "serf/event.h"
#include "serf/events/event_pipeline.h"
#include "serf/events/user_events.h"
#include "serf/gossip/broadcasts.h"
#include "serf/join.h"
#include "serf/judgement.h"
#include "serf/keys.h"
#include "serf/lamport/lamport_clock.h"
#include "serf/machine/local_state_writer.h"
#include "serf/machine/serf_message_receiver.h"
#include "serf/machine/stat_map.h"
#include "serf/machine/swim_config.h"
#include "serf/member.h"
#include "serf/member_listing.h"
#include "serf/members/intent_issuer.h"
#include "serf/members/member_tracker.h"
#include "serf/outbox.h"
#include "serf/queries/queries.h"
#include "serf/query.h"
#include "serf/reconnect/reconnector.h"
#include "serf/requests/join_queue.h"
#include "serf/requests/leave_sequence.h"
#include "serf/requests/requests.h"
#include "serf/serf_state.h"
#include "serf/snapshot/snapshot.h"
#include "serf/stats.h"
#include "serf/swim/broadcast_queue.h"
#include "serf/swim/delegate.h"
#include "serf/swim/node.h"
#include "serf/swim/node_info.h"
#include "serf/swim/packet_budget.h"
#include "serf/swim/scaling.h"
#include "serf/tags.h"

namespace serf {

// Parts receive inputs, keep their results, and Settle() takes the results when the input is over.
// No part calls up, except the SWIM layer (swim::Delegate). The application gets the events of one
// input in this order: member events, then user events by Lamport time, then queries.
class Serf final : private swim::Delegate {
 public:
  using State = SerfState;

  // How long a leave waits until its line is in the snapshot: longer than a sync takes on a busy
  // disk, and shorter than a client waits for an answer.
  static constexpr Duration kLeaveRecordMax = std::chrono::seconds(5);

  // Errors: InvalidArgument, for the first value of `config` that makes no sense
  // (Config::Validate).
  static absl::StatusOr<std::unique_ptr<Serf>> Create(Config config);

  // Announces this node; an event for its own join follows. Call it once, before any other input.
  void Start(Instant now, Outbox& out);

  // For a simulation; see swim::Node::KnowMembersOf. No events follow.
  void KnowMembersOf(Serf& other) {
    node_.KnowMembersOf(other.node_);
    members_.KnowMembersOf(other.members_);
  }

  // --- what happened; swim::Node describes the inputs of network and clock ---
  void OnDatagram(Instant now, const Endpoint& from, ByteView datagram, Outbox& out) {
    Run(now, out, [&] { node_.OnDatagram(now, from, datagram, out); });
  }
  void OnDatagramFailed(Instant now, const Endpoint& to, Outbox& out) {
    Run(now, out, [&] { node_.OnDatagramFailed(now, to, out); });
  }
  void OnTimer(Instant now, Outbox& out);
  std::optional<swim::StreamId> OnStreamAccepted(Instant now, const Endpoint& from, Outbox& out);
  void OnStreamConnected(Instant now, swim::StreamId stream, Outbox& out) {
    Run(now, out, [&] { node_.OnStreamConnected(now, stream, out); });
  }
  void OnStreamBytes(Instant now, swim::StreamId stream, ByteView bytes, Outbox& out) {
    Run(now, out, [&] { node_.OnStreamBytes(now, stream, bytes, out); });
  }
  void OnStreamClosed(Instant now, swim::StreamId stream, const absl::Status& reason, Outbox& out) {
    Run(now, out, [&] { node_.OnStreamClosed(now, stream, reason, out); });
  }
  // The oldest unanswered operation of Outbox::snapshot_ops() is on the disk, or has failed.
  void OnSnapshotDone(Instant now, const absl::Status& status, Outbox& out) {
    Run(now, out, [&] {
      if (snapshot_) snapshot_->OnDone(now, status);
    });
  }
  // The driver has saved the keyring `version` of Outbox::keyring_save(), or could not.
  void OnKeyringSaved(Instant now, std::uint64_t version, const absl::Status& status, Outbox& out) {
    Run(now, out, [&] { queries_.OnKeyringSaved(now, version, status); });
  }
  // The driver hands back a judgement of Outbox::judgements(), run or not.
  void OnQueryJudged(Instant now, const Judgement& judgement, Outbox& out) {
    Run(now, out, [&] { queries_.OnJudged(now, judgement); });
  }
  // When to call OnTimer() at the latest; kNever if nothing is due. Each input may change it.
  Instant NextDeadline() const;

  // --- requests: each ends with one Completion, in this or a later Outbox ---

  // Exchanges states with each target, one after the other, and announces a join intent if any
  // answered. The completion is OK if at least one answered, or if there was no target. Without
  // `replay` the node drops user events that are older than the join (docs/protocol/serf.md 4.4).
  // JoinQueue::kAtOnceMax joins run side by side; further ones wait. Errors: Unavailable, if no
  // target answered; FailedPrecondition, once the node leaves.
  void Join(Instant now, RequestId request, std::vector<swim::JoinTarget> targets,
            JoinOptions options, Outbox& out);
  // Ends a join that has not begun, as cancelled. A join that has begun continues.
  void CancelJoin(RequestId request, Outbox& out) {
    if (requests_.joins().Cancel(request)) {
      out.Complete({request, absl::CancelledError("join cancelled")});
    }
  }
  // Leaves the cluster. A second call while leaving shares the result of the first. After an error
  // this node has left, but the snapshot does not say so, and a restart may bring it back.
  void Leave(Instant now, RequestId request, Outbox& out);
  // Turns a failed member into one that left, on all members. Errors: DeadlineExceeded, if the news
  // was not gossiped within Config::broadcast_timeout.
  void ForceLeave(Instant now, RequestId request, absl::string_view name, ForceLeaveOptions options,
                  Outbox& out);
  // Replaces this node's tags and announces them. Errors: InvalidArgument, if they are too large,
  // and nothing has changed; DeadlineExceeded, as for ForceLeave().
  void SetTags(Instant now, RequestId request, Tags tags, Outbox& out);
  // Sends a user event to all members, this node included. Errors: InvalidArgument, if the event is
  // too large; the texts are those of docs/protocol/agent.md 1.5.
  absl::Status SendUserEvent(Instant now, absl::string_view name, absl::string_view payload,
                             UserEventOptions options, Outbox& out);

  // Asks the cluster, this node included. Answers come in the query updates of this and later
  // Outboxes; the last one is kDone. Errors: see QueryIssuer::Send.
  absl::StatusOr<QueryId> SendQuery(Instant now, absl::string_view name, absl::string_view payload,
                                    const QueryParams& params, Outbox& out);
  // Ends a query early; see QueryIssuer::Cancel.
  void CancelQuery(Instant now, QueryId query, Outbox& out) {
    Run(now, out, [&] { queries_.Cancel(query); });
  }
  // Answers a query that a QueryEvent delivered. Errors: see QueryReceiver::Respond.
  absl::Status Respond(Instant now, QueryId query, absl::string_view payload, Outbox& out);
  // Asks all members for an operation on their keyrings. The completion has the outcome. A key has
  // 16, 24 or 32 bytes; for kList it is empty.
  void ManageKeys(Instant now, RequestId request, KeyOperation operation, ByteView key,
                  std::uint8_t relay_factor, Outbox& out);

  // Stops the machine: it sends nothing more, has no deadline, and ends requests as cancelled.
  void Shutdown(Instant now, Outbox& out) {
    Run(now, out, [&] { Stop(now, out); });
  }

  // --- views ---
  State state() const { return context_.state; }
  const Config& config() const { return config_; }
  Member LocalMember() const;  // this node
  // A copy of a member in any state; nothing if the name is unknown.
  std::optional<Member> FindMember(absl::string_view name) const { return members_.Find(name); }
  // All members, in every state, sorted by name.
  std::vector<Member> Members() const { return ListMembers().Sorted(); }
  // The same in one piece of memory, for another thread to sort, or to read without copies.
  MemberListing ListMembers() const { return members_.List(); }
  // Another number whenever ListMembers() would return something else. It never decreases.
  std::uint64_t members_version() const {
    return members_.table().changes() + node_.info_changes();
  }
  // The addresses of all members that are alive, in no order.
  std::vector<Endpoint> AliveEndpoints() const {
    std::vector<Endpoint> endpoints;
    members_.ForEach([&](const swim::NodeInfo& info, MemberStatus status) {
      if (status == MemberStatus::kAlive) endpoints.push_back(info.endpoint());
    });
    return endpoints;
  }
  std::size_t member_count() const { return members_.table().size(); }
  // Statistics for operators: "members", "failed", "left", "health_score", "member_time", ...
  // (docs/protocol/serf.md 13.2).
  std::map<std::string, std::string> Stats() const { return StatMap(stat_values()); }
  // What Stats() shows, without the texts.
  StatValues stat_values() const {
    return ReadStats(
        {config_, node_, members_, user_events_, queries_, broadcasts_, counters(), coordinates()});
  }
  const Counters& counters() const { return context_.counters; }
  // Null if coordinates are disabled.
  const CoordinateTracker* coordinates() const { return coordinates_ ? &*coordinates_ : nullptr; }
  const swim::Node& node() const { return node_; }

 private:
  explicit Serf(Config config);

  // Runs an input, then settles its results.
  template <typename F>
  void Run(Instant now, Outbox& out, F&& input);
  // Takes the results of all parts, again and again until none has any.
  void Settle(Instant now, Outbox& out);
  bool TakeMemberEvents(Instant now, Outbox& out);
  bool TakeUserEvents();
  bool TakeQueryResults(Instant now, Outbox& out);
  bool TakeFinished(Instant now, Outbox& out);
  bool SendOutgoing(Instant now, Outbox& out);
  void Stop(Instant now, Outbox& out);
  void WriteSnapshot(Instant now, bool all, Outbox& out);

  // --- swim::Delegate ---
  inline void OnNodeJoin(Instant now, swim::MemberIndex member) override;
  void OnNodeLeave(Instant now, swim::MemberIndex m) override { members_.OnNodeLeave(now, m); }
  void OnNodeUpdate(Instant, swim::MemberIndex m) override { members_.OnNodeUpdate(m); }
  void OnNodePurged(Instant now, swim::MemberIndex m) override { members_.OnNodePurged(now, m); }
  bool ExpectsDeparture(swim::MemberIndex m) const override { return members_.IsLeaving(m); }
  void OnConflict(Instant now, swim::MemberIndex existing, const Endpoint& other) override {
    queries_.OnConflict(now, existing, other);
  }
  void OnUserMessage(Instant now, const Endpoint& from, ByteView message,
                     swim::Spread spread) override {
    receiver_.OnMessage(now, from, message, spread);
  }
  inline std::size_t DrawBroadcasts(std::size_t overhead, std::size_t budget,
                                    std::vector<ByteView>& parts,
                                    swim::BroadcastQueue::Packet packet) override;
  swim::BroadcastsWaiting QueuedBroadcasts() const override { return broadcasts_.waiting(); }
  std::unique_ptr<swim::StateWriter> WriteLocalState(bool) override {
    return std::make_unique<LocalStateWriter>(members_, user_events_.clock(), user_events_.recent(),
                                              queries_.clock());
  }
  // None of the summands ever decreases, and each change of the state increases one of them.
  std::optional<std::uint64_t> LocalStateVersion() const override {
    return members_.clock().time().value() + user_events_.clock().time().value() +
           queries_.clock().time().value() + members_.table().changes() + counters().user_events;
  }
  bool MergeRemoteState(Instant now, const swim::RemoteState& state) override {
    return receiver_.OnRemoteState(now, state);
  }
  void AppendAckPayload(ByteVector& out) override {
    if (coordinates_) coordinates_->AppendPayload(out);
  }
  inline void OnPingComplete(Instant now, swim::MemberIndex member, Duration rtt,
                             ByteView payload) override;
  void OnLeaveBroadcast(Instant) override { departure_is_out_ = true; }
  void OnUpdateBroadcast(Instant) override { tags_are_out_ = true; }

  // --- requests ---
  void StartJoins(Instant now, Outbox& out);
  void OnJoinDone(Instant now, swim::Node::JoinDone done, Outbox& out);
  void Advance(Instant now, LeaveSequence::Next next, Outbox& out);
  // Ends the leaves as soon as it is known whether the snapshot has the departure.
  void SettleLeave(Instant now, Outbox& out);
  void EndTagUpdates(Outbox& out) {
    if (std::exchange(tags_are_out_, false)) requests_.OnTagsSent(out);
  }
  static absl::Status ShutDownError() { return absl::CancelledError("Serf has been shut down"); }

  void Reconnect(Instant now, Outbox& out);

  Config config_;
  swim::Node node_;
  SerfContext context_{config_, node_};
  MemberTracker members_;
  Broadcasts broadcasts_;
  IntentIssuer intents_;
  UserEvents user_events_;
  Queries queries_;
  SerfMessageReceiver receiver_;
  EventPipeline pipeline_;
  Requests requests_;
  LeaveSequence leave_;
  Reconnector reconnector_;
  std::optional<CoordinateTracker> coordinates_;
  std::optional<Snapshot> snapshot_;
  Instant leave_recorded_by_ = kNever;  // while a leave waits for the disk

  // True if the SWIM layer reported, within this input, that an announcement of this node is out.
  bool departure_is_out_ = false;
  bool tags_are_out_ = false;
  Instant reap_at_ = kNever;
  Instant queue_check_at_ = kNever;
};

// --- life ---

inline absl::StatusOr<std::unique_ptr<Serf>> Serf::Create(Config config) {
  if (absl::Status status = config.Validate(); !status.ok()) return status;
  if (absl::Status status = CompleteSwimConfig(config); !status.ok()) return status;
  return std::unique_ptr<Serf>(new Serf(std::move(config)));
}

inline Serf::Serf(Config config)
    : config_(std::move(config)),
      node_(config_.swim, *this),
      members_(context_),
      broadcasts_(config_.QueueMax(1),
                  swim::BroadcastQueue::OrderFor(config_.swim.gossips_promptly())),
      intents_(context_, members_, broadcasts_),
      user_events_(context_, broadcasts_),
      queries_(context_, members_),
      receiver_(context_, members_, intents_, user_events_, queries_, broadcasts_),
      pipeline_(config_),
      requests_(config_.broadcast_timeout),
      leave_(config_.broadcast_timeout, config_.leave_propagate_delay,
             config_.swim.gossip_interval),
      reconnector_(context_, members_) {
  if (!config_.disable_coordinates) {
    coordinates_.emplace(config_.swim.name, config_.swim.seed, config_.swim.logger);
  }
  if (config_.snapshot) {
    members_.clock().Restore(config_.snapshot->clock);
    user_events_.Restore(config_.snapshot->event_clock);
    queries_.Restore(config_.snapshot->query_clock);
    reconnector_.Remember(*config_.snapshot);
  }
}

template <typename F>
void Serf::Run(Instant now, Outbox& out, F&& input) {
  if (context_.state == State::kShutdown) return;
  input();
  if (context_.state != State::kShutdown) Settle(now, out);
  if (queries_.name_lost() && context_.state != State::kShutdown) Stop(now, out);
}

inline void Serf::Settle(Instant now, Outbox& out) {
  for (bool more = true; more;) {
    more = TakeFinished(now, out);
    more |= TakeMemberEvents(now, out);
    more |= TakeUserEvents();
    more |= TakeQueryResults(now, out);
    more |= SendOutgoing(now, out);
  }
  pipeline_.Settle(now, out);
  queries_.asked().Drain([&](QueryEvent query) { out.Emit(std::move(query)); });
  if (broadcasts_.TakeNews()) node_.WakeGossip(now);
  WriteSnapshot(now, /*all=*/false, out);
  SettleLeave(now, out);
}

inline bool Serf::TakeMemberEvents(Instant now, Outbox& out) {
  return members_.events().Drain([&](MemberEvent event) {
    if (snapshot_) snapshot_->OnMemberEvent(event);
    reconnector_.OnMemberEvent(now, event);
    if (coordinates_ && event.kind == MemberEventKind::kReap) {
      for (const Member& member : event.members) coordinates_->Forget(member.name);
    }
    pipeline_.Add(now, std::move(event), out);
  });
}

inline bool Serf::TakeUserEvents() {
  return user_events_.fresh().Drain([&](UserEvent event) {
    if (snapshot_) snapshot_->OnUserEvent(event.time);
    pipeline_.Add(std::move(event));
  });
}

inline bool Serf::TakeQueryResults(Instant now, Outbox& out) {
  const bool any = queries_.Settle(now);
  queries_.updates().Drain([&](QueryUpdate update) { out.Tell(std::move(update)); });
  queries_.keys_done().Drain([&](KeysDone done) {
    auto outcome = std::make_shared<const KeyOutcome>(std::move(done.outcome));
    out.Complete({.request = done.request, .status = outcome->status, .keys = outcome});
  });
  context_.judgements.Drain([&](std::unique_ptr<Judgement> judgement) {
    out.judgements().push_back(std::move(judgement));
  });
  if (const std::optional<std::uint64_t> version = queries_.TakeKeyringSave()) {
    const auto keys = config_.swim.keyring->keys();
    out.Save({*version, {keys.begin(), keys.end()}});
  }
  return any;
}

// What the SWIM layer and the broadcasts have finished.
inline bool Serf::TakeFinished(Instant now, Outbox& out) {
  bool any = false;
  for (const Broadcasts::Token token : broadcasts_.TakeFinished()) {
    if (token == Requests::kLeaveToken) Advance(now, leave_.OnIntentSent(now), out);
    requests_.OnIntentSent(token, out);
    any = true;
  }
  for (swim::Node::JoinDone& done : node_.TakeJoinResults()) {
    OnJoinDone(now, std::move(done), out);
    any = true;
  }
  if (std::exchange(departure_is_out_, false)) {
    Advance(now, leave_.OnSwimLeft(now), out);
    any = true;
  }
  EndTagUpdates(out);
  return any;
}

inline bool Serf::SendOutgoing(Instant now, Outbox& out) {
  return context_.outgoing.Drain([&](SerfContext::Message message) {
    if (message.to == context_.own_endpoint()) {
      receiver_.OnMessage(now, message.to, message.bytes, swim::Spread::kAll);
    } else if (message.bytes.size() > swim::MaxGossipMessage(config_.swim)) {
      // Such a datagram may be too large for the network, so it goes over a stream.
      node_.SendReliable(now, message.to, message.bytes, out);
    } else {
      node_.SendBestEffort(now, message.to, message.bytes, out);
    }
  });
}

inline void Serf::WriteSnapshot(Instant now, bool all, Outbox& out) {
  if (!snapshot_) return;
  snapshot_->OnClock(members_.clock().time());
  snapshot_->OnQuery(queries_.newest());
  snapshot_->Flush(now, out.snapshot_ops(), all);
}

inline void Serf::Start(Instant now, Outbox& out) {
  reap_at_ = now + config_.reap_interval;
  reconnector_.Start(now);
  queue_check_at_ = now + config_.queue_check_interval;
  if (config_.snapshot) {
    snapshot_.emplace(now, *std::exchange(config_.snapshot, std::nullopt),
                      Snapshot::Options{.logger = config_.swim.logger});
  }
  Run(now, out, [&] {
    node_.Start(now, out);
    Reconnect(now, out);
  });
}

inline void Serf::Stop(Instant now, Outbox& out) {
  if (context_.state != State::kLeft) {
    Log(config_.swim.logger, LogLevel::kWarn, "serf: Shutdown without a Leave");
  }
  context_.state = State::kShutdown;
  queries_.Shutdown(now, ShutDownError());
  TakeQueryResults(now, out);
  pipeline_.Flush(now, out);
  WriteSnapshot(now, /*all=*/true, out);
  requests_.Cancel(ShutDownError(), out);
}

// --- inputs ---

inline std::optional<swim::StreamId> Serf::OnStreamAccepted(Instant now, const Endpoint& from,
                                                            Outbox& out) {
  std::optional<swim::StreamId> stream;
  Run(now, out, [&] { stream = node_.OnStreamAccepted(now, from, out); });
  return stream;
}

inline Instant Serf::NextDeadline() const {
  if (context_.state == State::kShutdown) return kNever;
  return std::min({node_.NextDeadline(), reconnector_.NextDeadline(),
                   snapshot_ ? snapshot_->NextDeadline() : kNever, members_.NextDeadline(),
                   leave_.NextDeadline(), queries_.NextDeadline(), pipeline_.NextDeadline(),
                   requests_.NextDeadline(), reap_at_, queue_check_at_, leave_recorded_by_});
}

inline void Serf::OnTimer(Instant now, Outbox& out) {
  Run(now, out, [&] {
    if (now >= node_.NextDeadline()) node_.OnTimer(now, out);
    members_.OnTimer(now);
    Advance(now, leave_.OnTimer(now), out);
    requests_.OnTimer(now, out);
    if (now >= reap_at_ && members_.Reap(now)) {
      reap_at_ = now + config_.reap_interval;
      queries_.Purge(now);
    }
    TakeMemberEvents(now, out);  // an attempt to reconnect to a failed member may now begin
    Reconnect(now, out);
    if (now >= queue_check_at_) {
      queue_check_at_ = now + config_.queue_check_interval;
      broadcasts_.Check(config_.queue_depth_warning, config_.QueueMax(member_count()),
                        config_.swim.logger);
    }
    queries_.OnTimer(now);
    pipeline_.OnTimer(now, out);
  });
}

inline void Serf::Reconnect(Instant now, Outbox& out) {
  while (std::optional<Reconnector::Attempt> attempt = reconnector_.Next(now)) {
    reconnector_.OnBegun(node_.Join(now, {attempt->target}, out), *attempt);
  }
}

// --- requests ---

inline void Serf::Join(Instant now, RequestId request, std::vector<swim::JoinTarget> targets,
                       JoinOptions options, Outbox& out) {
  if (!context_.lives()) {
    out.Complete(
        {request, absl::FailedPreconditionError("Serf can't Join after Leave or Shutdown")});
    return;
  }
  Run(now, out, [&] {
    requests_.joins().Push(request, std::move(targets), options);
    StartJoins(now, out);
  });
}

inline void Serf::StartJoins(Instant now, Outbox& out) {
  while (JoinQueue::Join* const join = requests_.joins().StartNext()) {
    receiver_.set_replay_on_join(requests_.joins().replays());
    join->id = node_.Join(now, std::move(join->targets), out);
  }
}

inline void Serf::OnJoinDone(Instant now, swim::Node::JoinDone done, Outbox& out) {
  const bool contacted = done.contacted > 0;
  const Reconnector::Ended ended = reconnector_.OnDone(now, done.id, contacted);
  const bool ours = ended != Reconnector::Ended::kOther;
  const std::optional<RequestId> request = ours ? std::nullopt : requests_.joins().Finish(done.id);
  // Announce the join after a restart too: a Go Serf member that still holds an old leave intent of
  // this node would otherwise list it as leaving forever (docs/protocol/serf.md 15.3). Not while
  // leaving: the join intent would cancel the leave.
  if (contacted && context_.lives() && (request || ended == Reconnector::Ended::kRejoin)) {
    intents_.IssueJoin(now);
  }
  if (ours) return Reconnect(now, out);
  if (!request) return;
  receiver_.set_replay_on_join(requests_.joins().replays());
  reconnector_.AddSeeds(now, done.answered);
  absl::Status status;
  if (!contacted && !done.errors.empty()) status = JoinError(done.errors);
  out.Complete({*request, std::move(status), done.contacted, std::move(done.errors)});
  StartJoins(now, out);
}

inline void Serf::Leave(Instant now, RequestId request, Outbox& out) {
  if (context_.state == State::kShutdown) {
    return out.Complete({request, absl::FailedPreconditionError("Leave called after Shutdown")});
  }
  Run(now, out, [&] {
    requests_.AddLeave(request);
    if (context_.state == State::kLeft && leave_recorded_by_ == kNever) leave_recorded_by_ = now;
    if (!context_.lives()) return;
    context_.state = State::kLeaving;
    if (snapshot_) snapshot_->OnLeave();
    const bool tells = intents_.IssueLeave(now, Requests::kLeaveToken);
    Advance(now, leave_.Begin(now, tells), out);
  });
}

inline void Serf::Advance(Instant now, LeaveSequence::Next next, Outbox& out) {
  switch (next.step) {
    case LeaveSequence::Step::kNone:
      if (next.timed_out) {
        Log(config_.swim.logger, LogLevel::kWarn,
            "serf: timeout waiting for leave broadcast: timeout waiting for leave broadcast");
      }
      return;
    case LeaveSequence::Step::kLeaveSwim:
      if (next.timed_out) {
        Log(config_.swim.logger, LogLevel::kWarn, "serf: timeout while waiting for graceful leave");
      }
      return node_.Leave(now, out);
    case LeaveSequence::Step::kLeft:
      context_.state = State::kLeft;
      leave_recorded_by_ = now + (snapshot_ ? kLeaveRecordMax : Duration::zero());
      return;
  }
}

inline void Serf::SettleLeave(Instant now, Outbox& out) {
  if (leave_recorded_by_ == kNever) return;
  if (now < leave_recorded_by_ && !snapshot_->leave_settled()) return;
  leave_recorded_by_ = kNever;
  requests_.OnLeft(snapshot_ ? snapshot_->LeaveStatus() : absl::OkStatus(), out);
}

inline void Serf::ForceLeave(Instant now, RequestId request, absl::string_view name,
                             ForceLeaveOptions options, Outbox& out) {
  if (context_.state == State::kShutdown) return out.Complete({request, ShutDownError()});
  Run(now, out, [&] {
    const bool told = intents_.IssueLeaveOf(now, name, options.prune, requests_.removal_token());
    if (!told) return Requests::Complete(request, absl::OkStatus(), out);
    requests_.AddRemoval(now, request);
  });
}

inline void Serf::SetTags(Instant now, RequestId request, Tags tags, Outbox& out) {
  if (context_.state == State::kShutdown) return out.Complete({request, ShutDownError()});
  Run(now, out, [&] {
    const absl::StatusOr<ByteVector> meta = EncodeTags(tags, config_.protocol_version);
    if (!meta.ok()) return Requests::Complete(request, meta.status(), out);
    // These tags replace those of an earlier change, which has ended then.
    if (absl::Status status = node_.UpdateMeta(now, *meta, out); !status.ok()) {
      return Requests::Complete(request, std::move(status), out);
    }
    config_.tags = std::move(tags);
    EndTagUpdates(out);
    if (node_.live_nodes() <= 1) return Requests::Complete(request, absl::OkStatus(), out);
    requests_.AddTagUpdate(now, request);
  });
}

inline absl::Status Serf::SendUserEvent(Instant now, absl::string_view name,
                                        absl::string_view payload, UserEventOptions options,
                                        Outbox& out) {
  absl::Status status = ShutDownError();
  Run(now, out, [&] { status = user_events_.Send(now, name, payload, options.coalesce); });
  return status;
}

inline absl::StatusOr<QueryId> Serf::SendQuery(Instant now, absl::string_view name,
                                               absl::string_view payload, const QueryParams& params,
                                               Outbox& out) {
  absl::StatusOr<QueryId> query = ShutDownError();
  Run(now, out, [&] { query = queries_.Send(now, name, payload, params); });
  return query;
}

inline absl::Status Serf::Respond(Instant now, QueryId query, absl::string_view payload,
                                  Outbox& out) {
  absl::Status status = ShutDownError();
  Run(now, out, [&] { status = queries_.Respond(now, query, payload); });
  return status;
}

inline void Serf::ManageKeys(Instant now, RequestId request, KeyOperation operation, ByteView key,
                             std::uint8_t relay_factor, Outbox& out) {
  if (context_.state == State::kShutdown) {
    const KeyOutcome outcome{.status = ShutDownError()};
    return out.Complete({.request = request,
                         .status = outcome.status,
                         .keys = std::make_shared<const KeyOutcome>(outcome)});
  }
  Run(now, out, [&] { queries_.ManageKeys(now, request, operation, key, relay_factor); });
}

// --- swim::Delegate ---

inline void Serf::OnNodeJoin(Instant now, swim::MemberIndex member) {
  members_.OnNodeJoin(now, member);
  queries_.OnNodeJoin(now, member);
}

inline std::size_t Serf::DrawBroadcasts(std::size_t overhead, std::size_t budget,
                                        std::vector<ByteView>& parts,
                                        swim::BroadcastQueue::Packet packet) {
  const std::size_t before = parts.size();
  const int transmit_limit = swim::RetransmitLimit(config_.swim.retransmit_mult, member_count()) *
                             node_.transmit_stretch();
  const std::size_t used = broadcasts_.Draw(transmit_limit, overhead, budget, parts, packet);
  const auto copies = static_cast<std::size_t>(packet.copies());
  context_.counters.messages_sent += copies * (parts.size() - before);
  context_.counters.message_bytes_sent += copies * (used - overhead * (parts.size() - before));
  return used;
}

inline void Serf::OnPingComplete(Instant now, swim::MemberIndex member, Duration rtt,
                                 ByteView payload) {
  queries_.OnProbeAnswered(member);
  if (coordinates_) {
    coordinates_->OnPingComplete(now, node_.info(member).name(), rtt, payload);
  }
}

// --- views ---

inline Member Serf::LocalMember() const {
  if (std::optional<Member> member = members_.Find(config_.swim.name)) return *std::move(member);
  Member member;
  member.name = config_.swim.name;
  member.endpoint = config_.swim.advertise;
  member.tags = config_.tags;
  return member;
}

}  // namespace serf

#endif  // SERF_SERF_H_
