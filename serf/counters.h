#ifndef SERF_COUNTERS_H_
#define SERF_COUNTERS_H_

// Counters: what the Serf layer of a node counted since its start. Source: spec/serf.md 13.3.

#include <cstdint>

namespace serf {

struct Counters {
  // --- events told, by kind ---
  std::uint64_t member_joins = 0;
  std::uint64_t member_leaves = 0;
  std::uint64_t member_failures = 0;
  std::uint64_t member_updates = 0;
  std::uint64_t member_reaps = 0;
  std::uint64_t member_flaps = 0;  // returned soon after failing
  std::uint64_t user_events = 0;
  std::uint64_t queries = 0;
  std::uint64_t queries_unjudged = 0;  // not answered: to judge the filters would take too long

  // --- what came of own queries ---
  std::uint64_t query_acks = 0;
  std::uint64_t query_responses = 0;
  std::uint64_t query_duplicate_acks = 0;
  std::uint64_t query_duplicate_responses = 0;

  // --- messages ---
  std::uint64_t messages_received = 0;
  std::uint64_t message_bytes_received = 0;
  std::uint64_t messages_sent = 0;
  std::uint64_t message_bytes_sent = 0;
  std::uint64_t relayed = 0;
  std::uint64_t not_passed_on = 0;  // new, but no packet of gossip carries it
  std::uint64_t refutations = 0;

  // --- messages dropped ---
  std::uint64_t dropped_malformed = 0;
  std::uint64_t dropped_type = 0;      // a type that is unknown or not for gossip
  std::uint64_t dropped_time = 0;      // a Lamport time that the clock refused
  std::uint64_t dropped_name = 0;      // a member name that cannot be one
  std::uint64_t dropped_oversize = 0;  // a user event or query beyond its limit
  std::uint64_t dropped_old = 0;       // before the window in which duplicates are known
  std::uint64_t dropped_relay = 0;     // not an answer, or not for a member
  std::uint64_t dropped_reply = 0;     // an answer to no running query, or one too many
  std::uint64_t dropped_answers = 0;   // own answers to nodes that are not known
  std::uint64_t dropped_surplus = 0;   // events, or slots of them, of push/pulls with too many
  std::uint64_t states_malformed = 0;  // of push/pulls
};

}  // namespace serf

#endif  // SERF_COUNTERS_H_
