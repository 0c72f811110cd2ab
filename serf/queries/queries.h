// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_QUERIES_QUERIES_H_
#define SERF_QUERIES_QUERIES_H_

// Queries: everything a node does with queries: its own, those of other nodes, and the internal
// ones, which it answers itself. Source: docs/protocol/serf.md 6.

#include <algorithm>
#include <cstdint>
#include <optional>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/string_view.h"
#include "serf/base/bytes.h"
#include "serf/base/endpoint.h"
#include "serf/base/logger.h"
#include "serf/base/results.h"
#include "serf/base/time.h"
#include "serf/context/context.h"
#include "serf/judgement.h"
#include "serf/keys.h"
#include "serf/lamport/checked_clock.h"
#include "serf/lamport/lamport_clock.h"
#include "serf/members/member_tracker.h"
#include "serf/outbox.h"
#include "serf/queries/key_manager.h"
#include "serf/queries/keyring_editor.h"
#include "serf/queries/name_conflict.h"
#include "serf/queries/query_issuer.h"
#include "serf/queries/query_receiver.h"
#include "serf/query.h"
#include "serf/swim/node_info.h"
#include "serf/wire/ids.h"
#include "serf/wire/serf_messages.h"

namespace serf {

class Queries {
 public:
  // Both must outlive the object.
  Queries(SerfContext& context, const MemberTracker& members)
      : context_(context),
        members_(members),
        clock_("queries", context.config.swim.logger, context.counters),
        issuer_(context, clock_),
        receiver_(context, clock_),
        keys_(context, issuer_),
        keyring_(context, receiver_),
        conflict_(context, members, issuer_) {}
  Queries(const Queries&) = delete;
  Queries& operator=(const Queries&) = delete;

  // Resumes the clock after the last query time that the snapshot has, so that old queries are not
  // delivered again (docs/protocol/serf.md 2.3).
  void Restore(wire::LamportTime last) {
    clock_.Restore(last);
    receiver_.IgnoreBefore(clock_.time());
  }

  // --- what is wanted ---

  // See QueryIssuer::Send.
  absl::StatusOr<QueryId> Send(Instant now, absl::string_view name, absl::string_view payload,
                               const QueryParams& params) {
    return issuer_.Send(now, name, payload, params);
  }
  // See QueryIssuer::Cancel.
  void Cancel(QueryId query) { issuer_.Cancel(query); }
  // See QueryReceiver::Respond.
  absl::Status Respond(Instant now, QueryId query, absl::string_view payload) {
    return receiver_.Respond(now, query, payload);
  }
  // See KeyManager::Start.
  void ManageKeys(Instant now, RequestId request, KeyOperation operation, ByteView key,
                  std::uint8_t relay_factor) {
    keys_.Start(now, request, operation, key, relay_factor);
  }
  // Ends all queries of this node, and key operations with this status.
  void Shutdown(Instant now, const absl::Status& status) {
    keys_.Cancel(status);
    issuer_.EndAll();
    Settle(now);
  }

  // --- what happened ---

  // True if the query is new and should be passed on.
  bool OnMessage(Instant now, const wire::QueryMessage& query) {
    return receiver_.OnMessage(now, query);
  }
  // `source`: the sender of the response.
  void OnResponse(Instant now, const wire::QueryResponseMessage& response, const Endpoint& source) {
    if (conflict_.MayAnswer({response.ltime, response.id}, response.from, source)) {
      issuer_.OnResponse(now, response);
    } else {
      ++context_.counters.dropped_reply;
    }
  }
  // The driver hands back a judgement of the context.
  void OnJudged(Instant now, const Judgement& judgement) {
    if (judgement.purpose() == Judgement::Purpose::kAnswer) {
      receiver_.OnJudged(now, judgement);
    } else {
      issuer_.OnJudged(judgement);
    }
  }
  // See KeyringEditor::OnSaved.
  void OnKeyringSaved(Instant now, std::uint64_t version, const absl::Status& status) {
    keyring_.OnSaved(now, version, status);
  }
  // See NameConflict::OnConflict.
  void OnConflict(Instant now, swim::MemberIndex existing, const Endpoint& other) {
    conflict_.OnConflict(now, existing, other);
  }
  // A peer's clock; see CheckedClock.
  void OnPeerClock(Instant now, wire::LamportTime clock, bool adopt) {
    clock_.OnPeerClock(now, clock, adopt);
  }
  void OnNodeJoin(Instant now, swim::MemberIndex member) {
    conflict_.OnNodeJoin(member);
    receiver_.OnNodeJoin(now, context_.node.info(member));
  }
  void OnProbeAnswered(swim::MemberIndex member) { conflict_.OnProbeAnswered(member); }

  // --- time ---
  void OnTimer(Instant now) { issuer_.OnTimer(now); }
  Instant NextDeadline() const { return issuer_.NextDeadline(); }
  // Forgets queries that cannot be answered any more. Call it from time to time.
  void Purge(Instant now) { receiver_.Purge(now); }

  // --- what is left to be taken ---

  // Hands each part what other parts have left. True if there was something: then there may be
  // more.
  bool Settle(Instant now);
  // For the application: queries of other nodes, and updates of this node's queries.
  Results<QueryEvent>& asked() { return asked_; }
  Results<QueryUpdate>& updates() { return updates_; }
  Results<KeysDone>& keys_done() { return keys_.done(); }
  // See KeyringEditor::TakeSave.
  std::optional<std::uint64_t> TakeKeyringSave() { return keyring_.TakeSave(); }

  // --- views ---
  // The name belongs to another node: this one must shut down.
  bool name_lost() const { return conflict_.name_lost(); }
  const LamportClock& clock() const { return clock_.clock(); }
  // The Lamport time of the newest query for this node, internal ones included; zero: none.
  wire::LamportTime newest() const { return newest_; }

 private:
  void OnInternalQuery(Instant now, const QueryEvent& query);
  void OnConflictQuery(Instant now, const QueryEvent& query);

  SerfContext& context_;
  const MemberTracker& members_;
  CheckedClock clock_;
  QueryIssuer issuer_;
  QueryReceiver receiver_;
  KeyManager keys_;
  KeyringEditor keyring_;
  NameConflict conflict_;
  Results<QueryEvent> asked_;
  Results<QueryUpdate> updates_;
  wire::LamportTime newest_;
};

inline bool Queries::Settle(Instant now) {
  bool any = receiver_.queries().Drain([&](QueryEvent query) {
    newest_ = std::max(newest_, query.id.time);
    if (absl::StartsWith(query.name, kInternalQueryPrefix)) return OnInternalQuery(now, query);
    asked_.Add(std::move(query));
  });
  any |= issuer_.updates().Drain([&](QueryUpdate update) {
    if (keys_.OnUpdate(now, update) || conflict_.OnUpdate(now, update)) return;
    updates_.Add(std::move(update));
  });
  return any;
}

inline void Queries::OnInternalQuery(Instant now, const QueryEvent& query) {
  if (query.name == kPingQuery) return;  // the acknowledgement is the answer
  if (query.name == kConflictQuery) return OnConflictQuery(now, query);
  for (const KeyOperation operation :
       {KeyOperation::kInstall, KeyOperation::kUse, KeyOperation::kRemove, KeyOperation::kList}) {
    if (query.name == KeyQueryName(operation)) return keyring_.OnQuery(now, operation, query);
  }
  Log(context_.config.swim.logger, LogLevel::kWarn, "serf: Unhandled internal query '",
      absl::string_view(query.name).substr(kInternalQueryPrefix.size()), "'");
}

inline void Queries::OnConflictQuery(Instant now, const QueryEvent& query) {
  // A contestant has no vote.
  if (query.payload == context_.config.swim.name) return;
  Log(context_.config.swim.logger, LogLevel::kDebug, "serf: Got conflict resolution query for '",
      query.payload, "'");
  receiver_.RespondInternally(now, "conflict", query.id,
                              EncodeBallot(members_.Find(query.payload)));
}

}  // namespace serf

#endif  // SERF_QUERIES_QUERIES_H_
