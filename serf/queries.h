#ifndef SERF_QUERIES_H_
#define SERF_QUERIES_H_

// Queries: all that a node has to do with queries: its own, those of others, and the internal ones,
// which it answers itself. Source: spec/serf.md 6.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/string_view.h"
#include "serf/base/bytes.h"
#include "serf/base/endpoint.h"
#include "serf/base/logger.h"
#include "serf/base/rng.h"
#include "serf/base/time.h"
#include "serf/config.h"
#include "serf/counters.h"
#include "serf/judgement.h"
#include "serf/key_manager.h"
#include "serf/keyring_editor.h"
#include "serf/keys.h"
#include "serf/lamport_clock.h"
#include "serf/member_tracker.h"
#include "serf/name_conflict.h"
#include "serf/outbox.h"
#include "serf/query.h"
#include "serf/query_issuer.h"
#include "serf/query_receiver.h"
#include "serf/swim/node.h"
#include "serf/swim/node_info.h"
#include "serf/wire/ids.h"
#include "serf/wire/serf_messages.h"

namespace serf {

class Queries : private QueryIssuer::Listener,
                private QueryReceiver::Listener,
                private KeyManager::Listener,
                private KeyringEditor::Listener,
                private NameConflict::Listener {
 public:
  class Listener {
   public:
    virtual ~Listener() = default;
    // For the application.
    virtual void OnQuery(QueryEvent query) = 0;
    virtual void OnQueryUpdate(QueryUpdate update) = 0;
    virtual void OnKeysDone(RequestId request, absl::Status status, KeyOutcome outcome) = 0;
    // See KeyringEditor.
    virtual void SaveKeyring(std::uint64_t version) = 0;
    // Another node has the name: this one has to shut down.
    virtual void OnNameLost() = 0;
    // A message for one node, or for this one, to be sent when the engine's input is over.
    virtual void SendLater(const Endpoint& to, ByteView message) = 0;
    // To be judged where nothing waits; OnJudged follows.
    virtual void OnJudgement(std::unique_ptr<Judgement> judgement) = 0;
  };

  // All must outlive it.
  Queries(const Config& config, const swim::Node& node, const MemberTracker& members, Rng& rng,
          Counters& counters, Listener& listener)
      : config_(config),
        node_(node),
        members_(members),
        rng_(rng),
        counters_(counters),
        listener_(listener),
        issuer_(config, node, counters, *this),
        receiver_(config, node, rng, counters, *this),
        keys_(config.swim.logger, *this),
        keyring_(config, *this),
        conflict_(config, node, members, *this) {}
  Queries(const Queries&) = delete;
  Queries& operator=(const Queries&) = delete;

  // Goes on after the last query time that a former life of the node recorded (2.3).
  void Restore(wire::LamportTime last) { receiver_.Restore(last); }

  // --- what is wanted ---

  // See QueryIssuer::Issue.
  inline absl::StatusOr<QueryId> Send(Instant now, absl::string_view name,
                                      absl::string_view payload,
                                      const QueryParams& params) override;
  // See QueryIssuer::Cancel.
  void Cancel(Instant now, QueryId query) { issuer_.Cancel(now, query); }
  // See QueryReceiver::Respond.
  absl::Status Respond(Instant now, QueryId query, absl::string_view payload) {
    return receiver_.Respond(now, query, payload);
  }
  // See KeyManager::Start.
  void ManageKeys(Instant now, RequestId request, KeyOperation operation, ByteView key,
                  std::uint8_t relay_factor) {
    keys_.Start(now, request, operation, key, relay_factor);
  }
  // Ends all own queries, and key operations with this.
  void Shutdown(Instant now, const absl::Status& status) {
    keys_.Cancel(status);
    issuer_.EndAll(now);
  }

  // --- what happened ---

  // True if the query is new and should be passed on.
  bool OnMessage(Instant now, const wire::QueryMessage& query) {
    return receiver_.OnMessage(now, query);
  }
  // `source`: who sent it.
  void OnResponse(Instant now, const wire::QueryResponseMessage& response, const Endpoint& source) {
    if (conflict_.MayAnswer({response.ltime, response.id}, response.from, source)) {
      issuer_.OnResponse(now, response);
    } else {
      ++counters_.dropped_reply;
    }
  }
  // A judgement of OnJudgement is back.
  void OnJudged(Instant now, const Judgement& judgement) {
    if (judgement.purpose() == Judgement::Purpose::kAnswer) {
      receiver_.OnJudged(now, judgement);
    } else {
      issuer_.OnJudged(now, judgement);
    }
  }
  // See KeyringEditor::OnSaved.
  void OnKeyringSaved(Instant now, std::uint64_t version, const absl::Status& status) {
    now_ = now;
    keyring_.OnSaved(version, status);
  }
  // See NameConflict::OnConflict.
  void OnConflict(Instant now, swim::MemberIndex existing, const Endpoint& other) {
    conflict_.OnConflict(now, existing, other);
  }
  // A peer's clock; see CheckedClock.
  void OnPeerClock(Instant now, wire::LamportTime clock, bool adopt) {
    receiver_.OnPeerClock(now, clock, adopt);
  }
  void OnNodeJoin(Instant now, swim::MemberIndex member) {
    conflict_.OnNodeJoin(member);
    receiver_.OnNodeJoin(now, node_.info(member));
  }
  void OnProbeAnswered(swim::MemberIndex member) { conflict_.OnProbeAnswered(member); }

  // --- time ---
  void OnTimer(Instant now) { issuer_.OnTimer(now); }
  Instant NextDeadline() const { return issuer_.NextDeadline(); }
  // Forgets what cannot be answered any more. To be called from time to time.
  void Purge(Instant now) { receiver_.Purge(now); }

  const LamportClock& clock() const { return receiver_.clock(); }
  // Of the newest query that was for this node, internal ones included; zero: none.
  wire::LamportTime newest() const { return newest_; }

 private:
  // --- QueryIssuer::Listener ---
  inline void OnQueryUpdate(Instant now, QueryUpdate update) override;
  // --- QueryReceiver::Listener ---
  inline void OnQuery(Instant now, QueryEvent query) override;
  void SendLater(const Endpoint& to, ByteView message) override {
    listener_.SendLater(to, message);
  }
  // --- both ---
  void OnJudgement(std::unique_ptr<Judgement> judgement) override {
    listener_.OnJudgement(std::move(judgement));
  }

  // --- KeyManager::Listener ---
  std::size_t LiveNodes() const override { return node_.live_nodes(); }
  Duration DefaultTimeout() const override { return issuer_.DefaultTimeout(); }
  void OnKeysDone(RequestId request, absl::Status status, KeyOutcome outcome) override {
    listener_.OnKeysDone(request, std::move(status), std::move(outcome));
  }
  // --- KeyringEditor::Listener ---
  void AnswerKeyQuery(QueryId query, ByteView payload) override {
    RespondTo("key", query, payload);
  }
  bool AnswerFits(QueryId query, ByteView payload) const override {
    return receiver_.Fits(query, AsText(payload));
  }
  void SaveKeyring(std::uint64_t version) override { listener_.SaveKeyring(version); }
  // --- NameConflict::Listener ---
  void OnNameLost(Instant) override { listener_.OnNameLost(); }

  void OnInternalQuery(const QueryEvent& query);
  void OnConflictQuery(const QueryEvent& query);
  // Answers an internal query; logs a failure.
  void RespondTo(absl::string_view kind, QueryId query, ByteView payload);

  const Config& config_;
  const swim::Node& node_;
  const MemberTracker& members_;
  Rng& rng_;
  Counters& counters_;
  Listener& listener_;
  QueryIssuer issuer_;
  QueryReceiver receiver_;
  KeyManager keys_;
  KeyringEditor keyring_;
  NameConflict conflict_;
  Instant now_;  // of the input under way
  wire::LamportTime newest_;
};

inline absl::StatusOr<QueryId> Queries::Send(Instant now, absl::string_view name,
                                             absl::string_view payload, const QueryParams& params) {
  const absl::StatusOr<QueryIssuer::Issued> issued =
      issuer_.Issue(now, name, payload, params, receiver_.clock(), rng_);
  if (!issued.ok()) return issued.status();
  // As if another node had asked: that passes it on, too.
  listener_.SendLater(node_.info(node_.self()).endpoint(), issued->message);
  return issued->id;
}

inline void Queries::OnQueryUpdate(Instant now, QueryUpdate update) {
  if (keys_.OnUpdate(now, update) || conflict_.OnUpdate(now, update)) return;
  listener_.OnQueryUpdate(std::move(update));
}

inline void Queries::OnQuery(Instant now, QueryEvent query) {
  now_ = now;
  newest_ = std::max(newest_, query.id.time);
  if (absl::StartsWith(query.name, kInternalQueryPrefix)) return OnInternalQuery(query);
  listener_.OnQuery(std::move(query));
}

inline void Queries::OnInternalQuery(const QueryEvent& query) {
  if (query.name == kPingQuery) return;  // the acknowledgement says all
  if (query.name == kConflictQuery) return OnConflictQuery(query);
  for (const KeyOperation operation :
       {KeyOperation::kInstall, KeyOperation::kUse, KeyOperation::kRemove, KeyOperation::kList}) {
    if (query.name == KeyQueryName(operation)) return keyring_.OnQuery(operation, query);
  }
  Log(config_.swim.logger, LogLevel::kWarn, "serf: Unhandled internal query '",
      absl::string_view(query.name).substr(kInternalQueryPrefix.size()), "'");
}

inline void Queries::OnConflictQuery(const QueryEvent& query) {
  // A contestant has no vote.
  if (query.payload == config_.swim.name) return;
  Log(config_.swim.logger, LogLevel::kDebug, "serf: Got conflict resolution query for '",
      query.payload, "'");
  RespondTo("conflict", query.id, EncodeBallot(members_.Find(query.payload)));
}

inline void Queries::RespondTo(absl::string_view kind, QueryId query, ByteView payload) {
  if (const absl::Status status = receiver_.Respond(now_, query, AsText(payload)); !status.ok()) {
    Log(config_.swim.logger, LogLevel::kError, "serf: Failed to respond to ", kind,
        " query: ", absl::string_view(status.message()));
  }
}

}  // namespace serf

#endif  // SERF_QUERIES_H_
