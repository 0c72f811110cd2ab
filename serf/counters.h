// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_COUNTERS_H_
#define SERF_COUNTERS_H_

// Counters: what the Serf layer of a node has counted since its start. No counter ever decreases.
// They belong to the machine: read them on the thread that drives it.
//
//   exporter.Set("serf_member_failures", host.serf().counters().member_failures);
//
// The membership layer and the UDP socket have counters of their own. A dropped message is normal
// in small numbers: duplicates and late answers arrive all the time. Many malformed ones point to a
// peer with another key, another protocol, or to an attacker.
//
// Source: docs/protocol/serf.md 13.3.

#include <cstdint>

namespace serf {

struct Counters {
  // --- events delivered, by kind, before coalescing ---
  std::uint64_t member_joins = 0;
  std::uint64_t member_leaves = 0;
  std::uint64_t member_failures = 0;
  std::uint64_t member_updates = 0;
  std::uint64_t member_reaps = 0;
  std::uint64_t member_flaps = 0;  // returned within Config::flap_timeout of a failure
  std::uint64_t user_events = 0;
  std::uint64_t queries = 0;
  std::uint64_t queries_unjudged = 0;  // not answered: the filters would take too long to judge

  // --- answers to queries of this node ---
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
  std::uint64_t not_passed_on = 0;  // new, but too large for any packet of gossip
  // Leave intents about this node that it contradicted.
  std::uint64_t refutations = 0;

  // --- messages dropped ---
  std::uint64_t dropped_malformed = 0;
  std::uint64_t dropped_type = 0;      // an unknown type, or one that gossip does not carry
  std::uint64_t dropped_time = 0;      // a Lamport time that the clock refused
  std::uint64_t dropped_name = 0;      // a name that no member can have
  std::uint64_t dropped_oversize = 0;  // a user event or query beyond its limit
  std::uint64_t dropped_old = 0;       // older than what the node remembers, so perhaps a duplicate
  std::uint64_t dropped_relay = 0;     // a relay that holds no answer, or is not for a member
  std::uint64_t dropped_reply = 0;     // an answer to no running query, or one too many
  // Answers of this node to nodes that it does not know, and relays of answers beyond their rate.
  std::uint64_t dropped_answers = 0;
  std::uint64_t dropped_surplus = 0;   // events beyond the limit of one push/pull
  std::uint64_t states_malformed = 0;  // push/pull states that do not decode
};

}  // namespace serf

#endif  // SERF_COUNTERS_H_
