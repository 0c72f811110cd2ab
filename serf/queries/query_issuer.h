// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_QUERIES_QUERY_ISSUER_H_
#define SERF_QUERIES_QUERY_ISSUER_H_

// QueryIssuer: the queries of this node, from the message that is gossiped to the end of the
// collection. Source: docs/protocol/serf.md 6.1, 6.2, 6.8.
//
//   absl::StatusOr<QueryId> query = issuer.Send(now, "uptime", "", params);
//   issuer.OnResponse(now, response);
//   issuer.OnTimer(now);                           // at NextDeadline()
//   issuer.updates().Drain(...);                   // answers, acknowledgements and ends

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/container/btree_set.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "serf/base/bytes.h"
#include "serf/base/endpoint.h"
#include "serf/base/logger.h"
#include "serf/base/results.h"
#include "serf/base/time.h"
#include "serf/config.h"
#include "serf/context/context.h"
#include "serf/judgement.h"
#include "serf/lamport/checked_clock.h"
#include "serf/queries/query_collector.h"
#include "serf/queries/query_filter.h"
#include "serf/query.h"
#include "serf/swim/log_limiter.h"
#include "serf/swim/node.h"
#include "serf/swim/node_info.h"
#include "serf/swim/packet_budget.h"
#include "serf/tags.h"
#include "serf/wire/ids.h"
#include "serf/wire/list_view.h"
#include "serf/wire/serf_messages.h"

namespace serf {

class QueryIssuer {
 public:
  // The most queries of this node under way: a thousand a second that end after 16 s, the default
  // timeout of 10,000 nodes. Each gets its answers for up to an hour.
  static constexpr std::size_t kRunningMax = 16'384;

  // Both must outlive the issuer. `clock` is that of queries.
  QueryIssuer(SerfContext& context, CheckedClock& clock) : context_(context), clock_(clock) {}
  QueryIssuer(const QueryIssuer&) = delete;
  QueryIssuer& operator=(const QueryIssuer&) = delete;

  // Takes a time of the clock, sends the query to this node, which gossips it like any other, and
  // starts to collect. After an error nothing was done. Errors: InvalidArgument: too large, or a
  // negative timeout; FailedPrecondition: this node's Serf protocol has no queries;
  // ResourceExhausted: kRunningMax.
  absl::StatusOr<QueryId> Send(Instant now, absl::string_view name, absl::string_view payload,
                               const QueryParams& params);

  // Ends a query of this node early, with kDone. Later answers to it are dropped. Other nodes do
  // not learn of it and still answer. Does nothing if the query does not run.
  void Cancel(QueryId query);

  // A response of another node, to any query.
  void OnResponse(Instant now, const wire::QueryResponseMessage& response);

  // The driver hands back a judgement about which answers are due. Until then, and if it is
  // undecided, a query does not end early.
  void OnJudged(const Judgement& judgement);

  // Ends the queries whose time is over.
  void OnTimer(Instant now);
  Instant NextDeadline() const { return deadlines_.empty() ? kNever : deadlines_.begin()->first; }
  // Ends all queries.
  void EndAll();

  // Updates of this node's queries, in order. The last update of each query is kDone.
  Results<QueryUpdate>& updates() { return updates_; }

  std::size_t running() const { return running_.size(); }
  // The timeout of a query whose parameters have none.
  Duration DefaultTimeout() const;

 private:
  // The first version of the Serf protocol that has queries.
  static constexpr std::uint8_t kQueryProtocolVersion = 4;

  Duration TimeoutOf(const QueryParams& params) const {
    return params.timeout > Duration::zero() ? std::min(params.timeout, kQueryTimeoutMax)
                                             : DefaultTimeout();
  }
  void ExpectAnswers(const QueryParams& params, QueryCollector& collector);
  // Calls f for each member that is alive, as far as is known, and is asked by name.
  template <typename F>
  void ForEachAsked(const std::vector<std::string>& names, F&& f) const;
  void JudgeAudience(const QueryParams& params, QueryCollector& collector);
  void End(wire::LamportTime time);
  // Whether this query ended before its time, by its last answer or by Cancel().
  bool EndedEarly(Instant now, QueryId query) const {
    return std::any_of(ended_.begin(), ended_.end(), [&](const Ended& ended) {
      return ended.query == query && now < ended.deadline;
    });
  }

  struct Ended {
    QueryId query;
    Instant deadline;
  };
  // The most ended queries whose late answers are expected: those of some seconds of a busy
  // application.
  static constexpr std::size_t kEndedMax = 1024;

  SerfContext& context_;
  CheckedClock& clock_;
  absl::btree_map<wire::LamportTime, QueryCollector> running_;
  absl::btree_set<std::pair<Instant, wire::LamportTime>> deadlines_;
  std::deque<Ended> ended_;  // the last ones, by their ends
  Results<QueryUpdate> updates_;
};

inline Duration QueryIssuer::DefaultTimeout() const {
  // A cluster that never gossips uses the timeout of one that does.
  const Duration interval = context_.config.swim.gossip_interval > Duration::zero()
                                ? context_.config.swim.gossip_interval
                                : swim::Config::Lan().gossip_interval;
  return std::min(
      DefaultQueryTimeout(interval, context_.config.query_timeout_mult, context_.node.live_nodes()),
      kQueryTimeoutMax);
}

inline absl::StatusOr<QueryId> QueryIssuer::Send(Instant now, absl::string_view name,
                                                 absl::string_view payload,
                                                 const QueryParams& params) {
  if (context_.config.protocol_version < kQueryProtocolVersion) {
    return absl::FailedPreconditionError("Feature not supported");
  }
  if (params.timeout < Duration::zero()) {
    return absl::InvalidArgumentError("query timeout must not be negative");
  }
  if (running_.size() >= kRunningMax) {
    return absl::ResourceExhaustedError("too many queries are running");
  }
  // The clock does not move at the end of the numbers.
  if (running_.contains(clock_.time())) return absl::OutOfRangeError("the query clock has run out");
  const Duration timeout = TimeoutOf(params);
  const std::vector<ByteVector> filters = EncodeQueryFilters(params);
  const std::vector<ByteView> filter_views(filters.begin(), filters.end());
  const swim::NodeInfo& self = context_.node.info(context_.node.self());
  const Endpoint endpoint = self.endpoint();
  wire::QueryMessage message;
  message.ltime = clock_.time();
  message.id = static_cast<std::uint32_t>(context_.rng.Below(std::uint64_t{1} << 31));
  message.addr = endpoint.address.bytes();
  message.port = endpoint.port;
  message.source_node = context_.config.swim.name;
  if (!filters.empty()) message.filters = wire::ListView<ByteView>(filter_views);
  if (params.request_ack) message.flags = wire::kQueryFlagAck;
  message.relay_factor = params.relay_factor;
  message.timeout_ns = timeout.count();
  message.name = name;
  message.payload = payload.empty() ? ByteView() : AsBytes(payload);
  const QueryId id{message.ltime, message.id};
  ByteVector bytes;
  Encode(message, bytes);
  if (bytes.size() > context_.config.query_size_limit) {
    return absl::InvalidArgumentError(
        absl::StrCat("query exceeds limit of ", context_.config.query_size_limit, " bytes"));
  }
  if (const std::size_t room = swim::MaxGossipMessage(context_.config.swim); bytes.size() > room) {
    return absl::InvalidArgumentError(
        absl::StrCat("query has ", bytes.size(), " bytes, a packet of gossip holds ", room));
  }
  clock_.Take();
  QueryCollector collector(id, now + timeout, params.request_ack, name != kPingQuery);
  if (params.finish_early) ExpectAnswers(params, collector);
  deadlines_.emplace(collector.deadline(), message.ltime);
  running_.insert_or_assign(message.ltime, std::move(collector));
  // As if another node had asked.
  context_.Send(endpoint, bytes);
  return id;
}

template <typename F>
void QueryIssuer::ForEachAsked(const std::vector<std::string>& names, F&& f) const {
  const auto look_at = [&](swim::MemberIndex member) {
    const swim::NodeState state = context_.node.state(member);
    if (state != swim::NodeState::kAlive && state != swim::NodeState::kSuspect) return;
    f(context_.node.info(member));
  };
  if (names.empty()) return context_.node.ForEachMember(look_at);
  for (const std::string& name : names) {
    if (const auto member = context_.node.Find(name)) look_at(*member);
  }
}

inline void QueryIssuer::ExpectAnswers(const QueryParams& params, QueryCollector& collector) {
  // Other nodes may know a named node that this one does not.
  for (const std::string& name : params.filter_nodes) {
    if (!context_.node.Find(name).has_value()) collector.Expect(name);
  }
  if (params.filter_tags.empty()) {
    return ForEachAsked(params.filter_nodes,
                        [&](const swim::NodeInfo& info) { collector.Expect(info.name()); });
  }
  std::size_t members = 0;
  std::size_t meta_bytes = 0;
  ForEachAsked(params.filter_nodes, [&](const swim::NodeInfo& info) {
    ++members;
    meta_bytes += info.meta().size();
  });
  if (!QueryAudience::IsCheap(params, members, meta_bytes)) {
    return JudgeAudience(params, collector);
  }
  const QueryAudience audience(params);
  ForEachAsked(params.filter_nodes, [&](const swim::NodeInfo& info) {
    Tags tags;
    DecodeTags(info.meta(), tags);
    if (audience.Includes(tags)) collector.Expect(info.name());
  });
}

inline void QueryIssuer::JudgeAudience(const QueryParams& params, QueryCollector& collector) {
  std::vector<TagExpression> filters;
  for (const auto& [tag, expression] : params.filter_tags) filters.push_back({tag, expression});
  auto judgement = std::make_unique<Judgement>(Judgement::Purpose::kAudience, collector.id(),
                                               collector.deadline(), std::move(filters));
  ForEachAsked(params.filter_nodes,
               [&](const swim::NodeInfo& info) { judgement->AddNode(info.name(), info.meta()); });
  collector.Hold();
  context_.judgements.Add(std::move(judgement));
}

inline void QueryIssuer::OnJudged(const Judgement& judgement) {
  const auto found = running_.find(judgement.query().time);
  if (found == running_.end() || found->second.id() != judgement.query()) return;
  if (!judgement.decided()) return;
  QueryCollector& collector = found->second;
  judgement.ForEachNode([&](absl::string_view name, std::size_t matched) {
    if (matched == judgement.filters().size()) collector.Expect(name);
  });
  collector.Release();
  if (collector.complete()) End(judgement.query().time);
}

inline void QueryIssuer::OnResponse(Instant now, const wire::QueryResponseMessage& response) {
  const auto found = running_.find(response.ltime);
  if (found == running_.end()) {
    ++context_.counters.dropped_reply;
    // Relayed copies of answers come later than the answers.
    if (EndedEarly(now, {response.ltime, response.id})) return;
    context_.limiter.Log(now, swim::LogReason::kUnaskedReply, LogLevel::kWarn, [&] {
      return absl::StrCat("serf: reply for non-running query (LTime: ", response.ltime.value(),
                          ", ID: ", response.id, ") From: ", response.from);
    });
    return;
  }
  QueryCollector& collector = found->second;
  if (collector.id().number != response.id) {
    ++context_.counters.dropped_reply;
    context_.limiter.Log(now, swim::LogReason::kUnaskedReply, LogLevel::kWarn, [&] {
      return absl::StrCat("serf: query reply ID mismatch (Local: ", collector.id().number,
                          ", Response: ", response.id, ")");
    });
    return;
  }
  if (now >= collector.deadline()) return;
  const bool is_ack = (response.flags & wire::kResponseFlagAck) != 0;
  const QueryCollector::Part part =
      is_ack ? QueryCollector::Part::kAck : QueryCollector::Part::kResponse;
  switch (collector.Judge(part, response.from, context_.node.Find(response.from).has_value())) {
    case QueryCollector::Verdict::kDuplicate:
      ++(is_ack ? context_.counters.query_duplicate_acks
                : context_.counters.query_duplicate_responses);
      return;
    case QueryCollector::Verdict::kUnwanted:
      ++context_.counters.dropped_reply;
      context_.limiter.Log(now, swim::LogReason::kUnaskedReply, LogLevel::kWarn,
                           [] { return "serf: Failed to deliver query response, dropping"; });
      return;
    case QueryCollector::Verdict::kNew:
      break;
  }
  ++(is_ack ? context_.counters.query_acks : context_.counters.query_responses);
  QueryUpdate update;
  update.query = collector.id();
  update.kind = is_ack ? QueryUpdate::Kind::kAck : QueryUpdate::Kind::kResponse;
  update.from = std::string(response.from);
  if (!is_ack) update.payload = std::string(AsText(response.payload));
  const bool complete = collector.complete();
  updates_.Add(std::move(update));
  if (complete) End(response.ltime);
}

inline void QueryIssuer::Cancel(QueryId query) {
  const auto found = running_.find(query.time);
  if (found != running_.end() && found->second.id() == query) End(query.time);
}

inline void QueryIssuer::End(wire::LamportTime time) {
  const auto found = running_.find(time);
  QueryUpdate update;
  update.query = found->second.id();
  deadlines_.erase({found->second.deadline(), time});
  if (ended_.size() >= kEndedMax) ended_.pop_front();
  ended_.push_back({found->second.id(), found->second.deadline()});
  running_.erase(found);
  updates_.Add(std::move(update));
}

inline void QueryIssuer::OnTimer(Instant now) {
  while (NextDeadline() <= now) End(deadlines_.begin()->second);
}

inline void QueryIssuer::EndAll() {
  while (!running_.empty()) End(running_.begin()->first);
}

}  // namespace serf

#endif  // SERF_QUERIES_QUERY_ISSUER_H_
