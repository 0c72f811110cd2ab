// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_QUERIES_QUERY_RECEIVER_H_
#define SERF_QUERIES_QUERY_RECEIVER_H_

// QueryReceiver: the queries that reach a node, its own included. It takes each query once,
// acknowledges it, lets the application answer once, and relays answers. Source:
// docs/protocol/serf.md 6.3 to 6.7.
//
// This implementation differs from Go Serf where that is wrong (docs/protocol/serf.md 6.6, 15.2).
// Answers go only to members, so that nobody can aim the whole cluster at a victim. An answer for a
// node that is not known yet waits until it is. A node that claims a member's name is not a member.
// It still gets a conflict ballot, at most one per kContestantInterval.
//
// Sending the direct answer decides the result; failed relays are ignored. A relay may exceed the
// answer limit by the size of its header. Queries whose filters need a Judgement are delivered when
// it is back, so that later queries may overtake them. A query that cannot be judged is gossiped,
// not answered, and counted.

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/container/btree_set.h"
#include "absl/status/status.h"
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
#include "serf/lamport/query_buffer.h"
#include "serf/queries/query_filter.h"
#include "serf/query.h"
#include "serf/swim/log_limiter.h"
#include "serf/swim/node.h"
#include "serf/swim/node_info.h"
#include "serf/wire/ids.h"
#include "serf/wire/serf_messages.h"

namespace serf {

namespace query_receiver_internal {

// Where answers go.
struct Origin {
  Endpoint endpoint;
  std::string name;
  std::uint8_t relay_factor = 0;
  bool contestant = false;  // asks for a vote about its name
};

struct OpenQuery {
  Origin origin;
  Instant deadline;
  bool answered = false;
};

// A query that is not delivered yet.
struct ReceivedQuery {
  OpenQuery open;
  QueryEvent event;
  bool answerable = false;  // whether it has an address
  bool wants_ack = false;
};

struct HeldAnswer {
  Origin origin;
  Instant deadline;
  ByteVector message;
};

}  // namespace query_receiver_internal

class QueryReceiver {
 public:
  // The most queries that may still be answered, this node's included. Beyond it the oldest one
  // becomes unanswerable. Twice as many as one node asks at once; 5 MB.
  static constexpr std::size_t kOpenMax = 32'768;
  // The most queries under judgement, and the most bytes of their filters and payloads. A long
  // judgement makes them wait for seconds; queries beyond the limit are not judged.
  static constexpr std::size_t kJudgedMax = 64;
  static constexpr std::size_t kJudgedBytesMax = std::size_t{1} << 20;
  // The most answers that wait until the asking node becomes known.
  static constexpr std::size_t kHeldMax = 64;
  // The least time between votes for contestants that are not members.
  static constexpr Duration kContestantInterval = std::chrono::seconds(1);
  // The least version of the SWIM layer's protocol that can relay (docs/protocol/serf.md 6.7).
  static constexpr std::uint8_t kRelayProtocolVersion = 5;
  // The most relays at once, and how soon another one may follow; those beyond are left out and
  // counted. A query may ask for 255 relays of each answer, and a packet may hold a thousand
  // queries.
  static constexpr int kRelaysAtOnceMax = 1024;
  static constexpr Duration kRelayInterval = std::chrono::microseconds(50);
  // In a larger cluster a node does not look at all members for each answer.
  static constexpr std::size_t kLookedAtMax = 64;
  // In such a cluster, the pause per member before the node looks at all again: a fiftieth of the
  // processor.
  static constexpr Duration kSearchInterval = std::chrono::microseconds(1);

  // Both must outlive the receiver. `clock` is that of queries.
  QueryReceiver(SerfContext& context, CheckedClock& clock) : context_(context), clock_(clock) {}
  QueryReceiver(const QueryReceiver&) = delete;
  QueryReceiver& operator=(const QueryReceiver&) = delete;

  // From now on the node drops queries before this time.
  void IgnoreBefore(wire::LamportTime time) { min_time_ = time; }

  // A query. True if it is new and should be passed on.
  bool OnMessage(Instant now, const wire::QueryMessage& query);

  // The driver hands back a judgement of the context.
  void OnJudged(Instant now, const Judgement& judgement);

  // Answers a query, once. The errors begin "failed to respond to key query: ", whatever the query,
  // as in Go Serf (docs/protocol/serf.md 6.6).
  absl::Status Respond(Instant now, QueryId id, absl::string_view payload);
  // The same for an internal query; logs a failure. `kind`: "key", "conflict".
  void RespondInternally(Instant now, absl::string_view kind, QueryId id, ByteView payload) {
    if (const absl::Status status = Respond(now, id, AsText(payload)); !status.ok()) {
      Log(context_.config.swim.logger, LogLevel::kError, "serf: Failed to respond to ", kind,
          " query: ", absl::string_view(status.message()));
    }
  }
  // Whether an answer keeps the size limit.
  bool Fits(QueryId id, absl::string_view payload) const {
    return EncodeAnswer(id, 0, payload).size() <= context_.config.query_response_size_limit;
  }

  // A node became known: sends the answers that wait for it.
  void OnNodeJoin(Instant now, const swim::NodeInfo& info);
  // Forgets queries that cannot be answered any more.
  void Purge(Instant now);

  // The queries for this node, internal ones included.
  Results<QueryEvent>& queries() { return queries_; }

  std::size_t open() const { return open_.size(); }

 private:
  using Origin = query_receiver_internal::Origin;
  using OpenQuery = query_receiver_internal::OpenQuery;
  using ReceivedQuery = query_receiver_internal::ReceivedQuery;
  using HeldAnswer = query_receiver_internal::HeldAnswer;

  // False: the query is implausible, old or known.
  bool Admit(Instant now, const wire::QueryMessage& query);
  ReceivedQuery Describe(Instant now, const wire::QueryMessage& query) const;
  // The query is for this node: acknowledges and delivers it.
  void Accept(Instant now, ReceivedQuery query);
  // Leaves the filters to a Judgement.
  void Defer(Instant now, ReceivedQuery query, std::vector<TagExpression> filters);
  void CountUnjudged(Instant now, absl::string_view name, absl::string_view why);
  ByteVector EncodeAnswer(QueryId id, std::uint32_t flags, absl::string_view payload) const;
  void Forget(absl::btree_map<QueryId, OpenQuery>::iterator query) {
    deadlines_.erase({query->second.deadline, query->first});
    open_.erase(query);
  }
  // Sends an answer, or holds it while the origin is unknown.
  void Deliver(Instant now, const Origin& origin, Instant deadline, ByteVector message);
  void Send(Instant now, const Origin& origin, ByteView message);
  void Relay(Instant now, const Origin& origin, ByteView message);
  // Up to `count` random members that can relay; in a large cluster it may miss some.
  std::vector<swim::MemberIndex> PickHelpers(const Origin& origin, std::size_t count);
  bool IsMember(Instant now, const Origin& origin);
  // Whether to send a ballot to a contestant, which is not a member.
  bool MayAnswerContestant(Instant now, const Origin& origin);

  SerfContext& context_;
  CheckedClock& clock_;
  QueryBuffer recent_;
  wire::LamportTime min_time_;
  QueryFilters filters_;
  struct Judged {
    ReceivedQuery query;
    std::size_t bytes;
  };
  absl::btree_map<QueryId, Judged> judged_;
  std::size_t judged_bytes_ = 0;
  absl::btree_map<QueryId, OpenQuery> open_;
  absl::btree_set<std::pair<Instant, QueryId>> deadlines_;  // of the open queries
  std::vector<HeldAnswer> held_;
  Instant next_contestant_ = Instant::min();
  Results<QueryEvent> queries_;
  Instant next_search_ = Instant::min();
  Instant relays_until_ = Instant::min();
};

// --- receiving ---

inline bool QueryReceiver::Admit(Instant now, const wire::QueryMessage& query) {
  if (!clock_.Witness(now, query.ltime)) return false;
  if (query.ltime < min_time_) return false;
  const wire::LamportTime current = clock_.time();
  if (recent_.TooOld(query.ltime, current)) {
    ++context_.counters.dropped_old;
    context_.limiter.Log(now, swim::LogReason::kOldEvent, LogLevel::kWarn, [&] {
      return absl::StrCat("serf: received old query ", query.name, " from time ",
                          query.ltime.value(), " (current: ", current.value(), ")");
    });
    return false;
  }
  return recent_.Add(query.ltime, current, query.id);
}

inline bool QueryReceiver::OnMessage(Instant now, const wire::QueryMessage& query) {
  if (!Admit(now, query)) return false;
  ++context_.counters.queries;
  const bool rebroadcast = (query.flags & wire::kQueryFlagNoBroadcast) == 0;
  const auto warn = [&](const std::string& text) {
    context_.limiter.Log(now, swim::LogReason::kDecode, LogLevel::kWarn, [&] { return text; });
  };
  std::vector<TagExpression> open;
  switch (filters_.Judge(now, query.filters, context_.config.swim.name, context_.config.tags, open,
                         warn)) {
    case QueryFilters::Verdict::kFails:
      break;
    case QueryFilters::Verdict::kPasses:
      Accept(now, Describe(now, query));
      break;
    case QueryFilters::Verdict::kUndecided:
      Defer(now, Describe(now, query), std::move(open));
      break;
  }
  return rebroadcast;
}

inline QueryReceiver::ReceivedQuery QueryReceiver::Describe(Instant now,
                                                            const wire::QueryMessage& query) const {
  const Duration timeout =
      std::clamp(Duration(query.timeout_ns), Duration::zero(), kQueryTimeoutMax);
  ReceivedQuery received;
  OpenQuery& open = received.open;
  open.deadline = now + timeout;
  open.origin.name = std::string(query.source_node);
  open.origin.relay_factor = query.relay_factor;
  open.origin.contestant =
      query.name == kConflictQuery && AsText(query.payload) == query.source_node;
  // A query without an address can be delivered but not answered.
  if (const auto ip = IpAddress::FromBytes(query.addr)) {
    open.origin.endpoint = {*ip, query.port};
    received.answerable = true;
    received.wants_ack = (query.flags & wire::kQueryFlagAck) != 0;
  }
  received.event = {{query.ltime, query.id},
                    std::string(query.name),
                    std::string(AsText(query.payload)),
                    open.origin.name,
                    open.deadline};
  return received;
}

inline void QueryReceiver::Accept(Instant now, ReceivedQuery query) {
  const QueryId id = query.event.id;
  if (query.wants_ack) {
    Deliver(now, query.open.origin, query.open.deadline,
            EncodeAnswer(id, wire::kResponseFlagAck, {}));
  }
  if (query.answerable) {
    if (open_.size() >= kOpenMax) Purge(now);
    if (open_.size() >= kOpenMax) Forget(open_.begin());
    // Each query is admitted once, so it is not open yet.
    deadlines_.emplace(query.open.deadline, id);
    open_.emplace(id, std::move(query.open));
  }
  queries_.Add(std::move(query.event));
}

// --- judgement ---

inline void QueryReceiver::Defer(Instant now, ReceivedQuery query,
                                 std::vector<TagExpression> filters) {
  std::size_t bytes = query.event.name.size() + query.event.payload.size();
  for (const TagExpression& filter : filters) bytes += filter.tag.size() + filter.expression.size();
  if (judged_.size() >= kJudgedMax || judged_bytes_ + bytes > kJudgedBytesMax) {
    return CountUnjudged(now, query.event.name, "64 queries or 1 MiB of them wait for that");
  }
  auto judgement = std::make_unique<Judgement>(Judgement::Purpose::kAnswer, query.event.id,
                                               query.open.deadline, std::move(filters));
  const swim::NodeInfo& self = context_.node.info(context_.node.self());
  judgement->AddNode(self.name(), self.meta());
  judged_bytes_ += bytes;
  judged_.emplace(query.event.id, Judged{std::move(query), bytes});
  context_.judgements.Add(std::move(judgement));
}

inline void QueryReceiver::OnJudged(Instant now, const Judgement& judgement) {
  auto found = judged_.extract(judgement.query());
  if (!found) return;
  Judged& judged = found.mapped();
  judged_bytes_ -= judged.bytes;
  // The asking node has stopped waiting.
  const bool late = now >= judged.query.open.deadline;
  if (late) return CountUnjudged(now, judged.query.event.name, "its time was over");
  if (!judgement.decided()) {
    return CountUnjudged(now, judged.query.event.name,
                         judgement.failure().empty() ? "too much waits for that"
                                                     : absl::string_view(judgement.failure()));
  }
  const std::vector<TagExpression>& filters = judgement.filters();
  bool passes = false;
  judgement.ForEachNode([&](absl::string_view, std::size_t matched) {
    passes = matched == filters.size();
    const std::size_t known = std::min(matched + 1, filters.size());
    for (std::size_t i = 0; i < known; ++i) {
      const TagExpression& filter = filters[i];
      filters_.Remember(filter.expression, TagValue(context_.config.tags, filter.tag), i < matched);
      if (judgement.error(i).ok()) continue;
      context_.limiter.Log(now, swim::LogReason::kDecode, LogLevel::kWarn,
                           [&] { return BadFilterText(filter.expression, judgement.error(i)); });
    }
  });
  if (passes) Accept(now, std::move(judged.query));
}

inline void QueryReceiver::CountUnjudged(Instant now, absl::string_view name,
                                         absl::string_view why) {
  ++context_.counters.queries_unjudged;
  context_.limiter.Log(now, swim::LogReason::kUnjudgedQuery, LogLevel::kWarn, [&] {
    return absl::StrCat("serf: query '", name,
                        "' is not answered: to judge its filters takes too long: ", why);
  });
}

inline void QueryReceiver::Purge(Instant now) {
  while (!deadlines_.empty() && deadlines_.begin()->first <= now) {
    Forget(open_.find(deadlines_.begin()->second));
  }
  std::erase_if(held_, [now](const HeldAnswer& held) { return held.deadline <= now; });
}

// --- answering ---

inline ByteVector QueryReceiver::EncodeAnswer(QueryId id, std::uint32_t flags,
                                              absl::string_view payload) const {
  wire::QueryResponseMessage response;
  response.ltime = id.time;
  response.id = id.number;
  response.from = context_.config.swim.name;
  response.flags = flags;
  if (!payload.empty()) response.payload = AsBytes(payload);
  ByteVector message;
  Encode(response, message);
  return message;
}

inline absl::Status QueryReceiver::Respond(Instant now, QueryId id, absl::string_view payload) {
  const auto fail = [](absl::StatusCode code, const auto&... text) {
    return absl::Status(code, absl::StrCat("failed to respond to key query: ", text...));
  };
  ByteVector message = EncodeAnswer(id, 0, payload);
  const std::size_t limit = context_.config.query_response_size_limit;
  if (message.size() > limit) {
    return fail(absl::StatusCode::kInvalidArgument, "response exceeds limit of ", limit, " bytes");
  }
  const auto found = open_.find(id);
  if (found != open_.end() && found->second.answered) {
    return fail(absl::StatusCode::kAlreadyExists, "response already sent");
  }
  if (found == open_.end() || now >= found->second.deadline) {
    return fail(absl::StatusCode::kDeadlineExceeded, "response is past the deadline");
  }
  found->second.answered = true;
  Deliver(now, found->second.origin, found->second.deadline, std::move(message));
  return absl::OkStatus();
}

inline void QueryReceiver::Deliver(Instant now, const Origin& origin, Instant deadline,
                                   ByteVector message) {
  if (context_.config.answer_unknown_nodes || IsMember(now, origin) ||
      MayAnswerContestant(now, origin)) {
    return Send(now, origin, message);
  }
  if (held_.size() >= kHeldMax) Purge(now);
  if (held_.size() >= kHeldMax) {
    ++context_.counters.dropped_answers;
    return;
  }
  held_.push_back({origin, deadline, std::move(message)});
}

inline bool QueryReceiver::IsMember(Instant now, const Origin& origin) {
  if (!origin.name.empty()) {
    const auto member = context_.node.Find(origin.name);
    return member.has_value() &&
           SameHostAndPort(context_.node.info(*member).endpoint(), origin.endpoint);
  }
  // Releases before 0.9.0 do not name the asking node.
  if (const std::size_t members = context_.node.known_nodes(); members > kLookedAtMax) {
    if (now < next_search_) return false;
    next_search_ = now + static_cast<std::int64_t>(members) * kSearchInterval;
  }
  bool found = false;
  context_.node.ForEachMember([&](swim::MemberIndex member) {
    found = found || SameHostAndPort(context_.node.info(member).endpoint(), origin.endpoint);
  });
  return found;
}

inline bool QueryReceiver::MayAnswerContestant(Instant now, const Origin& origin) {
  if (!origin.contestant || now < next_contestant_) return false;
  next_contestant_ = now + kContestantInterval;
  return true;
}

inline void QueryReceiver::OnNodeJoin(Instant now, const swim::NodeInfo& info) {
  if (held_.empty()) return;
  std::vector<HeldAnswer> rest;
  for (HeldAnswer& held : std::exchange(held_, {})) {
    if (now >= held.deadline) continue;
    const bool is_origin = (held.origin.name.empty() || held.origin.name == info.name()) &&
                           SameHostAndPort(info.endpoint(), held.origin.endpoint);
    if (is_origin) {
      Send(now, held.origin, held.message);
    } else {
      rest.push_back(std::move(held));
    }
  }
  held_ = std::move(rest);
}

inline void QueryReceiver::Send(Instant now, const Origin& origin, ByteView message) {
  context_.Send(origin.endpoint, message);
  // The answer to this node itself does not use the network.
  if (origin.relay_factor > 0 && origin.name != context_.config.swim.name)
    Relay(now, origin, message);
}

inline void QueryReceiver::Relay(Instant now, const Origin& origin, ByteView message) {
  const Instant from = std::max(now, relays_until_);
  const auto room =
      static_cast<std::size_t>((now + kRelaysAtOnceMax * kRelayInterval - from) / kRelayInterval);
  const std::size_t wanted = std::min<std::size_t>(origin.relay_factor, room);
  context_.counters.dropped_answers += origin.relay_factor - wanted;
  if (wanted == 0) return;
  const std::vector<swim::MemberIndex> helpers = PickHelpers(origin, wanted);
  // Looking for helpers has a cost, too.
  const std::size_t spent = context_.node.known_nodes() > kLookedAtMax ? wanted : helpers.size();
  relays_until_ = from + static_cast<std::int64_t>(spent) * kRelayInterval;
  wire::RelayHeader header;
  header.dest_addr.ip = origin.endpoint.address.bytes();
  header.dest_addr.port = origin.endpoint.port;
  header.dest_name = origin.name;
  ByteVector relay;
  Encode(header, relay);
  Append(relay, message);
  for (const swim::MemberIndex helper : helpers) {
    context_.Send(context_.node.info(helper).endpoint(), relay);
  }
}

inline std::vector<swim::MemberIndex> QueryReceiver::PickHelpers(const Origin& origin,
                                                                 std::size_t count) {
  const auto can_help = [&](swim::MemberIndex member) {
    if (member == context_.node.self() || context_.node.state(member) != swim::NodeState::kAlive)
      return false;
    const swim::NodeInfo& info = context_.node.info(member);
    // The asking node would relay to itself.
    return info.name() != origin.name && info.versions().protocol_max >= kRelayProtocolVersion;
  };
  std::vector<swim::MemberIndex> helpers;
  if (context_.node.known_nodes() > kLookedAtMax) {
    // Eight draws for each nearly always find enough if a third of the members can help.
    for (std::size_t i = 0; i < 8 * count && helpers.size() < count; ++i) {
      const swim::MemberIndex member(
          static_cast<std::uint32_t>(context_.rng.Below(context_.node.index_limit())));
      if (!context_.node.IsKnown(member) || !can_help(member)) continue;
      if (std::find(helpers.begin(), helpers.end(), member) == helpers.end()) {
        helpers.push_back(member);
      }
    }
    return helpers;
  }
  context_.node.ForEachMember([&](swim::MemberIndex member) {
    if (can_help(member)) helpers.push_back(member);
  });
  count = std::min(count, helpers.size());
  for (std::size_t i = 0; i < count; ++i) {
    std::swap(helpers[i], helpers[i + context_.rng.Below(std::uint64_t{helpers.size() - i})]);
  }
  helpers.resize(count);
  return helpers;
}

}  // namespace serf

#endif  // SERF_QUERIES_QUERY_RECEIVER_H_
