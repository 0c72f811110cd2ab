// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_QUERIES_NAME_CONFLICT_H_
#define SERF_QUERIES_NAME_CONFLICT_H_

// NameConflict: what a node does when another node claims its name. It asks the others which node
// they know by the name, and gives way to a majority. Also the ballot of a voter. Source:
// docs/protocol/serf.md 8.
//
// This implementation differs from Go Serf where that is wrong (docs/protocol/serf.md 8.3). Only
// one vote is held at a time. Without voters, as in a cluster of two, neither node gives way. In a
// tie only the node with the greater address loses, and only if the next vote is a tie, too: the
// other node may be Go Serf, which gives way at once.
//
// A claimant must not bring its own voters. So a vote counts
// * only if it comes from the host of the member in whose name it is: the wire offers no better
//   proof;
// * once for each host, however many members are there;
// * only from a member that was known before the claim, or that this node learned together with the
//   claim, as it learns all members when it joins; and that has answered a probe, so that it
//   exists.
//
// This node gives way only if more than half of the hosts that could vote are against it: a
// silenced host has not voted.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "serf/base/bytes.h"
#include "serf/base/endpoint.h"
#include "serf/base/logger.h"
#include "serf/base/time.h"
#include "serf/context/context.h"
#include "serf/member.h"
#include "serf/members/member_status_table.h"
#include "serf/members/member_tracker.h"
#include "serf/queries/query_issuer.h"
#include "serf/query.h"
#include "serf/swim/log_limiter.h"
#include "serf/swim/node.h"
#include "serf/swim/node_info.h"
#include "serf/wire/list_view.h"
#include "serf/wire/message_type.h"
#include "serf/wire/msgpack.h"
#include "serf/wire/serf_messages.h"

namespace serf {

// How a vote about this node's name ended.
enum class NameVerdict : std::uint8_t {
  kKeep,    // a majority knows this node by the name
  kQuit,    // a majority does not
  kTie,     // half of them do, and this node gives way if that stays so
  kNoVote,  // no votes, or too few
};

// Of `voters` hosts `votes` have voted, `matching` of them for this node, which is at `self`.
// `other` claims the name.
inline constexpr NameVerdict JudgeName(std::size_t matching, std::size_t votes, std::size_t voters,
                                       const Endpoint& self, const Endpoint& other) {
  if (votes == 0) return NameVerdict::kNoVote;
  if (matching >= votes / 2 + 1) return NameVerdict::kKeep;
  if (2 * matching == votes) return self < other ? NameVerdict::kKeep : NameVerdict::kTie;
  return 2 * (votes - matching) > voters ? NameVerdict::kQuit : NameVerdict::kNoVote;
}

// The payload of a vote: what a node knows of the name, or that it does not know the name.
inline ByteVector EncodeBallot(const std::optional<Member>& member);

class NameConflict {
 public:
  // From the end of a vote to the next one about a conflict that persists. A vote takes a few
  // seconds and costs each node a message.
  static constexpr Duration kRetryInterval = std::chrono::seconds(30);

  // The state of a cluster that a node joins arrives in a few turns; a claim may come first.
  static constexpr Duration kJoinTime = std::chrono::seconds(1);

  // All three must outlive the object.
  NameConflict(SerfContext& context, const MemberTracker& members, QueryIssuer& issuer)
      : context_(context), members_(members), issuer_(issuer) {}
  NameConflict(const NameConflict&) = delete;
  NameConflict& operator=(const NameConflict&) = delete;

  // Another endpoint claims a member's name.
  void OnConflict(Instant now, swim::MemberIndex existing, const Endpoint& other);
  // False: the query is not that of the vote.
  bool OnUpdate(Instant now, const QueryUpdate& update);
  // Whether to look at an answer to this query, in the name of `from` and sent by `source`. Always
  // true if the query is not that of the vote.
  bool MayAnswer(QueryId query, absl::string_view from, const Endpoint& source) const;
  // A member is new, or returned: it has not answered a probe yet.
  void OnNodeJoin(swim::MemberIndex member) { SetProven(member, false); }
  void OnProbeAnswered(swim::MemberIndex member) { SetProven(member, true); }
  // The name belongs to another node: this one must shut down.
  bool name_lost() const { return name_lost_; }

 private:
  struct Vote {
    QueryId query;
    Endpoint other;
    Instant claimed_at;
    // The voters, and whether each one voted for this node.
    absl::btree_map<swim::MemberIndex, bool> ballots;
  };
  struct Tally {
    std::size_t matching = 0;
    std::size_t votes = 0;
    std::size_t voters = 0;
  };

  void Start(Instant now, const Endpoint& other);
  void Count(Instant now, const QueryUpdate& update);
  void Finish(Instant now);
  // Counts the votes by host.
  Tally CountHosts(const Vote& vote) const;
  bool IsVoter(const Vote& vote, swim::MemberIndex member) const;
  void SetProven(swim::MemberIndex member, bool proven) {
    if (member.value() >= proven_.size()) proven_.resize(member.value() + 1);
    proven_[member.value()] = proven;
  }

  SerfContext& context_;
  const MemberTracker& members_;
  QueryIssuer& issuer_;
  std::vector<bool> proven_;  // by member: whether it has answered a probe
  std::optional<Vote> vote_;
  Instant next_ = Instant::min();
  bool tied_ = false;  // whether the last vote ended in a tie
  bool name_lost_ = false;
};

// --- bodies ---

inline ByteVector EncodeBallot(const std::optional<Member>& member) {
  ByteVector ballot;
  if (!member) {
    wire::EncodeUnknownConflict(ballot);
    return ballot;
  }
  std::vector<wire::TagEntry> tags;
  for (const auto& [name, value] : member->tags) tags.push_back({name, value});
  wire::ConflictResponse response;
  response.name = member->name;
  response.addr = member->endpoint.address.bytes();
  response.port = member->endpoint.port;
  response.tags = wire::ListView<wire::TagEntry>(tags);
  response.status = static_cast<std::int64_t>(member->status);
  response.protocol_min = member->versions.protocol_min;
  response.protocol_max = member->versions.protocol_max;
  response.protocol_cur = member->versions.protocol_cur;
  response.delegate_min = member->versions.delegate_min;
  response.delegate_max = member->versions.delegate_max;
  response.delegate_cur = member->versions.delegate_cur;
  Encode(response, ballot);
  return ballot;
}

inline void NameConflict::OnConflict(Instant now, swim::MemberIndex existing,
                                     const Endpoint& other) {
  if (existing != context_.node.self()) {
    const swim::NodeInfo& info = context_.node.info(existing);
    context_.limiter.Log(now, swim::LogReason::kConflict, LogLevel::kWarn, [&] {
      return absl::StrCat("serf: Name conflict for '", info.name(), "' both ",
                          info.endpoint().ToString(), " and ", other.ToString(), " are claiming");
    });
    return;
  }
  const bool enabled = context_.config.enable_name_conflict_resolution;
  context_.limiter.Log(now, swim::LogReason::kConflict, LogLevel::kError, [&] {
    return absl::StrCat("serf: Node name conflicts with another node at ", other.ToString(),
                        ". Names must be unique! (Resolution enabled: ", enabled ? "true" : "false",
                        ")");
  });
  if (enabled && !vote_ && now >= next_) Start(now, other);
}

inline void NameConflict::Start(Instant now, const Endpoint& other) {
  // The vote lasts for the whole time of the query, so that members which are new can be probed.
  const absl::StatusOr<QueryId> query =
      issuer_.Send(now, kConflictQuery, context_.config.swim.name, QueryParams());
  if (!query.ok()) {
    next_ = now + kRetryInterval;
    Log(context_.config.swim.logger, LogLevel::kError,
        "serf: Failed to start name resolution query: ",
        absl::string_view(query.status().message()));
    return;
  }
  vote_ = Vote{*query, other, now, {}};
}

inline bool NameConflict::OnUpdate(Instant now, const QueryUpdate& update) {
  if (!vote_ || vote_->query != update.query) return false;
  if (update.kind == QueryUpdate::Kind::kResponse) Count(now, update);
  if (update.kind == QueryUpdate::Kind::kDone) Finish(now);
  return true;
}

inline bool NameConflict::MayAnswer(QueryId query, absl::string_view from,
                                    const Endpoint& source) const {
  if (!vote_ || vote_->query != query) return true;
  const std::optional<swim::MemberIndex> voter = context_.node.Find(from);
  return voter && SameHost(context_.node.info(*voter).endpoint().address, source.address);
}

inline void NameConflict::Count(Instant now, const QueryUpdate& update) {
  const std::optional<swim::MemberIndex> voter = context_.node.Find(update.from);
  if (!voter || *voter == context_.node.self()) return;
  const ByteView payload = AsBytes(update.payload);
  if (payload.empty() || static_cast<wire::SerfMessageType>(payload.front()) !=
                             wire::SerfMessageType::kConflictResponse) {
    context_.limiter.Log(now, swim::LogReason::kDecode, LogLevel::kError, [&] {
      return absl::StrCat("serf: Invalid conflict query response type: ",
                          payload.empty() ? std::string("none") : absl::StrCat(payload.front()));
    });
    return;
  }
  wire::DecodeScratch scratch;
  wire::ConflictResponse response;
  if (const wire::DecodeResult result = Decode(payload.subspan(1), response, scratch);
      result != wire::DecodeResult::kOk) {
    context_.limiter.Log(now, swim::LogReason::kDecode, LogLevel::kError, [&] {
      return absl::StrCat("serf: Failed to decode conflict query response: ",
                          wire::DecodeResultName(result));
    });
    return;
  }
  const std::optional<IpAddress> ip = IpAddress::FromBytes(response.addr);
  vote_->ballots[*voter] = ip && SameHostAndPort({*ip, response.port}, context_.own_endpoint());
}

inline bool NameConflict::IsVoter(const Vote& vote, swim::MemberIndex member) const {
  if (member == context_.node.self() || member.value() >= proven_.size() ||
      !proven_[member.value()]) {
    return false;
  }
  const MemberStatusTable& table = members_.table();
  return table.Present(member).status == MemberStatus::kAlive &&
         table.PresentSince(member) <= vote.claimed_at + kJoinTime;
}

inline NameConflict::Tally NameConflict::CountHosts(const Vote& vote) const {
  // Of two members on one host, the vote of the first that became a member counts.
  absl::btree_map<IpAddress, std::optional<bool>> hosts;
  context_.node.ForEachMember([&](swim::MemberIndex member) {
    if (!IsVoter(vote, member)) return;
    std::optional<bool>& ballot = hosts[context_.node.info(member).endpoint().address.Unmapped()];
    const auto found = vote.ballots.find(member);
    if (found != vote.ballots.end() && !ballot) ballot = found->second;
  });
  Tally tally;
  for (const auto& [host, ballot] : hosts) {
    ++tally.voters;
    if (!ballot) continue;
    ++tally.votes;
    if (*ballot) ++tally.matching;
  }
  return tally;
}

inline void NameConflict::Finish(Instant now) {
  const Vote vote = *std::exchange(vote_, std::nullopt);
  next_ = now + kRetryInterval;
  const Tally tally = CountHosts(vote);
  const std::string count = absl::StrCat("[", tally.matching, " / ", tally.votes, "]");
  NameVerdict verdict =
      JudgeName(tally.matching, tally.votes, tally.voters, context_.own_endpoint(), vote.other);
  const bool tied_before = std::exchange(tied_, verdict == NameVerdict::kTie);
  if (tied_ && tied_before) verdict = NameVerdict::kQuit;
  switch (verdict) {
    case NameVerdict::kKeep:
      Log(context_.config.swim.logger, LogLevel::kInfo,
          "serf: majority in name conflict resolution ", count);
      return;
    case NameVerdict::kNoVote:
      Log(context_.config.swim.logger, LogLevel::kWarn,
          "serf: ", tally.votes == 0 ? "nobody" : "too few",
          " answered in name conflict resolution, staying ", count);
      return;
    case NameVerdict::kTie:
      Log(context_.config.swim.logger, LogLevel::kWarn,
          "serf: tie in name conflict resolution, staying until the next ", count);
      return;
    case NameVerdict::kQuit:
      Log(context_.config.swim.logger, LogLevel::kWarn,
          "serf: minority in name conflict resolution, quitting ", count);
      Log(context_.config.swim.logger, LogLevel::kError, "serf: The name '",
          context_.config.swim.name, "' belongs to another node, at ", vote.other.ToString(),
          ": this one must have another");
      name_lost_ = true;
      return;
  }
}

}  // namespace serf

#endif  // SERF_QUERIES_NAME_CONFLICT_H_
