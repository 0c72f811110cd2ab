#ifndef SERF_QUERIES_H_
#define SERF_QUERIES_H_

// Queries: all that a node has to do with queries: its own, those of others, and the internal ones,
// which it answers itself. Source: spec/serf.md 6.

#include <algorithm>
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
#include "serf/lamport_clock.h"
#include "serf/query.h"
#include "serf/query_issuer.h"
#include "serf/query_receiver.h"
#include "serf/swim/node.h"
#include "serf/swim/node_info.h"
#include "serf/wire/ids.h"
#include "serf/wire/serf_messages.h"

namespace serf {

class Queries : private QueryIssuer::Listener, private QueryReceiver::Listener {
 public:
  class Listener {
   public:
    virtual ~Listener() = default;
    // For the application.
    virtual void OnQuery(QueryEvent query) = 0;
    virtual void OnQueryUpdate(QueryUpdate update) = 0;
    // A message for one node, or for this one, to be sent when the engine's input is over.
    virtual void SendLater(const Endpoint& to, ByteView message) = 0;
  };

  // All must outlive it.
  Queries(const Config& config, const swim::Node& node, Rng& rng, Counters& counters,
          Listener& listener)
      : config_(config),
        node_(node),
        rng_(rng),
        listener_(listener),
        issuer_(config, node, counters, *this),
        receiver_(config, node, rng, counters, *this) {}
  Queries(const Queries&) = delete;
  Queries& operator=(const Queries&) = delete;

  // Goes on after the last query time that a former life of the node recorded (2.3).
  void Restore(wire::LamportTime last) { receiver_.Restore(last); }

  // --- what is wanted ---

  // See QueryIssuer::Issue.
  absl::StatusOr<QueryId> Send(Instant now, absl::string_view name, absl::string_view payload,
                               const QueryParams& params);
  // See QueryReceiver::Respond.
  absl::Status Respond(Instant now, QueryId query, absl::string_view payload) {
    return receiver_.Respond(now, query, payload);
  }
  // Ends all own queries.
  void Shutdown(Instant now) { issuer_.EndAll(now); }

  // --- what happened ---

  // True if the query is new and should be passed on.
  bool OnMessage(Instant now, const wire::QueryMessage& query) {
    return receiver_.OnMessage(now, query);
  }
  void OnResponse(Instant now, const wire::QueryResponseMessage& response) {
    issuer_.OnResponse(now, response);
  }
  // A peer's clock has reached this time.
  void Witness(wire::LamportTime time) { receiver_.Witness(time); }
  void OnNodeJoin(Instant now, const swim::NodeInfo& info) { receiver_.OnNodeJoin(now, info); }

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
  void OnQueryUpdate(Instant now, QueryUpdate update) override;
  // --- QueryReceiver::Listener ---
  void OnQuery(Instant now, QueryEvent query) override;
  void SendLater(const Endpoint& to, ByteView message) override {
    listener_.SendLater(to, message);
  }

  void OnInternalQuery(const QueryEvent& query);

  const Config& config_;
  const swim::Node& node_;
  Rng& rng_;
  Listener& listener_;
  QueryIssuer issuer_;
  QueryReceiver receiver_;
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
  static_cast<void>(now);
  listener_.OnQueryUpdate(std::move(update));
}

inline void Queries::OnQuery(Instant now, QueryEvent query) {
  static_cast<void>(now);
  newest_ = std::max(newest_, query.id.time);
  if (absl::StartsWith(query.name, kInternalQueryPrefix)) return OnInternalQuery(query);
  listener_.OnQuery(std::move(query));
}

inline void Queries::OnInternalQuery(const QueryEvent& query) {
  if (query.name == kPingQuery) return;  // the acknowledgement says all
  Log(config_.swim.logger, LogLevel::kWarn, "serf: Unhandled internal query '",
      absl::string_view(query.name).substr(kInternalQueryPrefix.size()), "'");
}

}  // namespace serf

#endif  // SERF_QUERIES_H_
