// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_QUERIES_QUERY_COLLECTOR_H_
#define SERF_QUERIES_QUERY_COLLECTOR_H_

// QueryCollector: the replies to one query of this node: which members acknowledged, which
// answered, and which are still expected to. It judges replies; it neither keeps answers nor knows
// the time. Source: docs/protocol/serf.md 6.8.

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/string_view.h"
#include "serf/base/time.h"
#include "serf/query.h"

namespace serf {

class QueryCollector {
 public:
  enum class Part : std::uint8_t { kAck, kResponse };
  enum class Verdict : std::uint8_t { kNew, kDuplicate, kUnwanted };

  // The most answers of nodes that are not members as far as this node knows. There may be a few,
  // if the query travels faster than the news of them; more are forged.
  static constexpr std::size_t kStrangersMax = 64;

  // `wants_acks`, `wants_responses`: what each node owes from which an answer is due.
  QueryCollector(QueryId id, Instant deadline, bool wants_acks, bool wants_responses)
      : id_(id), deadline_(deadline), wants_acks_(wants_acks), wants_responses_(wants_responses) {}

  // An answer of this node is due.
  void Expect(absl::string_view node) {
    std::uint8_t& parts = heard_[node];
    if ((parts & kExpected) != 0) return;
    parts |= kExpected;
    ++expected_;
    if (!IsSatisfied(parts)) ++missing_;
  }

  // Between Hold() and Release() it is not known which nodes owe an answer.
  void Hold() { held_ = true; }
  void Release() { held_ = false; }

  // A node acknowledged or answered. kUnwanted: an acknowledgement that the query did not ask for,
  // or one stranger too many.
  Verdict Judge(Part part, absl::string_view from, bool is_member);

  QueryId id() const { return id_; }
  Instant deadline() const { return deadline_; }
  // Whether all that is due has come. False if nothing is due: then any node may answer.
  bool complete() const { return !held_ && expected_ > 0 && missing_ == 0; }

 private:
  static constexpr std::uint8_t kExpected = 1;
  static constexpr std::uint8_t kAcked = 2;
  static constexpr std::uint8_t kAnswered = 4;

  bool IsSatisfied(std::uint8_t parts) const {
    return (!wants_acks_ || (parts & kAcked) != 0) &&
           (!wants_responses_ || (parts & kAnswered) != 0);
  }

  QueryId id_;
  Instant deadline_;
  bool wants_acks_;
  bool wants_responses_;
  absl::flat_hash_map<std::string, std::uint8_t> heard_;
  std::size_t expected_ = 0;
  std::size_t missing_ = 0;
  std::size_t strangers_ = 0;
  bool held_ = false;
};

inline QueryCollector::Verdict QueryCollector::Judge(Part part, absl::string_view from,
                                                     bool is_member) {
  if (part == Part::kAck && !wants_acks_) return Verdict::kUnwanted;
  const std::uint8_t bit = part == Part::kAck ? kAcked : kAnswered;
  const auto found = heard_.find(from);
  if (found != heard_.end() && (found->second & bit) != 0) return Verdict::kDuplicate;
  if (found == heard_.end() && !is_member && ++strangers_ > kStrangersMax) {
    return Verdict::kUnwanted;
  }
  std::uint8_t& parts = found != heard_.end() ? found->second : heard_[from];
  const bool was_missing = (parts & kExpected) != 0 && !IsSatisfied(parts);
  parts |= bit;
  if (was_missing && IsSatisfied(parts)) --missing_;
  return Verdict::kNew;
}

}  // namespace serf

#endif  // SERF_QUERIES_QUERY_COLLECTOR_H_
