#ifndef SERF_NAME_CONFLICT_H_
#define SERF_NAME_CONFLICT_H_

// NameConflict: what a node does when another one claims its name: it asks the others whom they
// know by it, and gives way to a majority. Also the ballot of a voter.
// Source: spec/serf.md 8.
//
// Where the original differs, it is wrong (8.3): one vote is held at a time; without any voter, as
// in a cluster of two, nobody gives way; and of a tie only one of the two is the loser, the one
// with the greater address, and only if the next vote is a tie, too: the other may be the original,
// which gives way at once. Only members vote, and not the contestant.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "serf/base/bytes.h"
#include "serf/base/endpoint.h"
#include "serf/base/logger.h"
#include "serf/base/time.h"
#include "serf/config.h"
#include "serf/member.h"
#include "serf/query.h"
#include "serf/swim/log_limiter.h"
#include "serf/swim/node.h"
#include "serf/swim/node_info.h"
#include "serf/wire/list_view.h"
#include "serf/wire/message_type.h"
#include "serf/wire/msgpack.h"
#include "serf/wire/serf_messages.h"

namespace serf {

// How a vote about the own name ended.
enum class NameVerdict : std::uint8_t {
  kKeep,    // a majority knows this node by the name
  kQuit,    // it does not
  kTie,     // half of them do, and this node is to give way if that stays so
  kNoVote,  // nobody said anything
};

// `matching` of `votes` are for this node, which is at `self`; `other` claims its name.
inline constexpr NameVerdict JudgeName(std::size_t matching, std::size_t votes,
                                       const Endpoint& self, const Endpoint& other) {
  if (votes == 0) return NameVerdict::kNoVote;
  if (matching >= votes / 2 + 1) return NameVerdict::kKeep;
  if (2 * matching != votes) return NameVerdict::kQuit;
  return self < other ? NameVerdict::kKeep : NameVerdict::kTie;
}

// The payload of a vote: what a node knows of the name, or that it does not know it.
inline ByteVector EncodeBallot(const std::optional<Member>& member);

class NameConflict {
 public:
  class Listener {
   public:
    virtual ~Listener() = default;
    virtual absl::StatusOr<QueryId> Send(Instant now, absl::string_view name,
                                         absl::string_view payload, const QueryParams& params) = 0;
    // The name belongs to another node: this one has to shut down.
    virtual void OnNameLost(Instant now) = 0;
  };

  // From the end of a vote to the next about a conflict that persists. A vote takes a few seconds
  // and costs each node a message.
  static constexpr Duration kRetryInterval = std::chrono::seconds(30);

  // All must outlive it.
  NameConflict(const Config& config, const swim::Node& node, Listener& listener)
      : config_(config), node_(node), listener_(listener), log_(config.swim.logger) {}
  NameConflict(const NameConflict&) = delete;
  NameConflict& operator=(const NameConflict&) = delete;

  // Another endpoint claims a member's name.
  void OnConflict(Instant now, swim::MemberIndex existing, const Endpoint& other);
  // False: the query is not that of the vote.
  bool OnUpdate(Instant now, const QueryUpdate& update);

 private:
  struct Vote {
    QueryId query;
    Endpoint other;
    std::size_t votes = 0;
    std::size_t matching = 0;
  };

  void Start(Instant now, const Endpoint& other);
  void Count(Instant now, const QueryUpdate& update);
  void Finish(Instant now);
  const Endpoint& self() const { return node_.info(node_.self()).endpoint(); }

  const Config& config_;
  const swim::Node& node_;
  Listener& listener_;
  swim::LogLimiter log_;
  std::optional<Vote> vote_;
  Instant next_ = Instant::min();
  bool tied_ = false;  // so the last vote ended
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
  if (existing != node_.self()) {
    const swim::NodeInfo& info = node_.info(existing);
    log_.Log(now, swim::LogReason::kConflict, LogLevel::kWarn, [&] {
      return absl::StrCat("serf: Name conflict for '", info.name(), "' both ",
                          info.endpoint().ToString(), " and ", other.ToString(), " are claiming");
    });
    return;
  }
  const bool enabled = config_.enable_name_conflict_resolution;
  log_.Log(now, swim::LogReason::kConflict, LogLevel::kError, [&] {
    return absl::StrCat("serf: Node name conflicts with another node at ", other.ToString(),
                        ". Names must be unique! (Resolution enabled: ", enabled ? "true" : "false",
                        ")");
  });
  if (enabled && !vote_ && now >= next_) Start(now, other);
}

inline void NameConflict::Start(Instant now, const Endpoint& other) {
  QueryParams params;
  params.finish_early = true;
  const absl::StatusOr<QueryId> query =
      listener_.Send(now, kConflictQuery, config_.swim.name, params);
  if (!query.ok()) {
    next_ = now + kRetryInterval;
    Log(config_.swim.logger, LogLevel::kError, "serf: Failed to start name resolution query: ",
        absl::string_view(query.status().message()));
    return;
  }
  vote_ = Vote{*query, other, 0, 0};
}

inline bool NameConflict::OnUpdate(Instant now, const QueryUpdate& update) {
  if (!vote_ || vote_->query != update.query) return false;
  if (update.kind == QueryUpdate::Kind::kResponse) Count(now, update);
  if (update.kind == QueryUpdate::Kind::kDone) Finish(now);
  return true;
}

inline void NameConflict::Count(Instant now, const QueryUpdate& update) {
  const std::optional<swim::MemberIndex> voter = node_.Find(update.from);
  if (!voter || *voter == node_.self()) return;
  const ByteView payload = AsBytes(update.payload);
  if (payload.empty() || static_cast<wire::SerfMessageType>(payload.front()) !=
                             wire::SerfMessageType::kConflictResponse) {
    log_.Log(now, swim::LogReason::kDecode, LogLevel::kError, [&] {
      return absl::StrCat("serf: Invalid conflict query response type: ",
                          payload.empty() ? std::string("none") : absl::StrCat(payload.front()));
    });
    return;
  }
  wire::DecodeScratch scratch;
  wire::ConflictResponse response;
  if (const wire::DecodeResult result = Decode(payload.subspan(1), response, scratch);
      result != wire::DecodeResult::kOk) {
    log_.Log(now, swim::LogReason::kDecode, LogLevel::kError, [&] {
      return absl::StrCat("serf: Failed to decode conflict query response: ",
                          wire::DecodeResultName(result));
    });
    return;
  }
  ++vote_->votes;
  const std::optional<IpAddress> ip = IpAddress::FromBytes(response.addr);
  if (ip && SameHostAndPort({*ip, response.port}, self())) ++vote_->matching;
}

inline void NameConflict::Finish(Instant now) {
  const Vote vote = *std::exchange(vote_, std::nullopt);
  next_ = now + kRetryInterval;
  const std::string count = absl::StrCat("[", vote.matching, " / ", vote.votes, "]");
  NameVerdict verdict = JudgeName(vote.matching, vote.votes, self(), vote.other);
  const bool tied_before = std::exchange(tied_, verdict == NameVerdict::kTie);
  if (tied_ && tied_before) verdict = NameVerdict::kQuit;
  switch (verdict) {
    case NameVerdict::kKeep:
      Log(config_.swim.logger, LogLevel::kInfo, "serf: majority in name conflict resolution ",
          count);
      return;
    case NameVerdict::kNoVote:
      Log(config_.swim.logger, LogLevel::kWarn,
          "serf: nobody answered in name conflict resolution, staying ", count);
      return;
    case NameVerdict::kTie:
      Log(config_.swim.logger, LogLevel::kWarn,
          "serf: tie in name conflict resolution, staying until the next ", count);
      return;
    case NameVerdict::kQuit:
      Log(config_.swim.logger, LogLevel::kWarn,
          "serf: minority in name conflict resolution, quiting ", count);
      listener_.OnNameLost(now);
      return;
  }
}

}  // namespace serf

#endif  // SERF_NAME_CONFLICT_H_
