// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_SWIM_COUNTERS_H_
#define SERF_SWIM_COUNTERS_H_

// Counters: what a Node has counted since its start. Each dropped datagram, stream or message
// counts under one reason. Source: docs/protocol/membership.md 8.1, 10.

#include <cstdint>

namespace serf::swim {

struct Counters {
  // --- traffic; bytes as handed to the socket ---
  std::uint64_t datagrams_sent = 0;
  std::uint64_t datagram_bytes_sent = 0;
  std::uint64_t datagrams_received = 0;
  std::uint64_t datagram_bytes_received = 0;
  std::uint64_t streams_dialled = 0;
  std::uint64_t streams_accepted = 0;
  std::uint64_t stream_bytes_sent = 0;
  std::uint64_t stream_bytes_received = 0;

  // --- datagrams dropped ---
  std::uint64_t dropped_empty = 0;
  std::uint64_t dropped_label = 0;
  std::uint64_t dropped_decrypt = 0;
  std::uint64_t dropped_checksum = 0;
  std::uint64_t dropped_decompress = 0;
  std::uint64_t dropped_compound = 0;     // truncated or too many parts
  std::uint64_t dropped_nesting = 0;      // wrappers too deep
  std::uint64_t dropped_type = 0;         // a type that is unknown or not for datagrams
  std::uint64_t dropped_malformed = 0;    // a body that does not decode
  std::uint64_t dropped_address = 0;      // an address of neither 4 nor 16 bytes
  std::uint64_t dropped_versions = 0;     // no version vector, or one that makes no sense
  std::uint64_t dropped_filtered = 0;     // refused by a filter or by the CIDR list
  std::uint64_t dropped_incarnation = 0;  // an impossible one (state_rules.h)
  std::uint64_t dropped_oversize = 0;     // metadata, name or payload beyond its limit
  std::uint64_t dropped_not_for_us = 0;   // a ping for another name
  std::uint64_t dropped_members = 0;      // a new node, beyond the limit of known nodes
  // An indirect ping, beyond the limit of those under way.
  std::uint64_t dropped_indirect_pings = 0;
  std::uint64_t dropped_backlog = 0;    // beyond the messages that a node keeps for later turns
  std::uint64_t dropped_strangers = 0;  // an answer to a stranger, beyond the rate
  std::uint64_t dropped_acks = 0;       // an ack or nack from a source that cannot have sent it
  std::uint64_t dropped_sends = 0;      // of this node: the encryption failed, or too many streams

  // Log lines that were not written, because a similar one was less than a second before.
  std::uint64_t log_lines_suppressed = 0;

  // --- streams dropped ---
  std::uint64_t streams_refused = 0;    // too many
  std::uint64_t streams_malformed = 0;  // did not decode
  std::uint64_t streams_timed_out = 0;
  std::uint64_t streams_failed = 0;

  // --- membership messages applied ---
  std::uint64_t alive_applied = 0;
  std::uint64_t suspect_applied = 0;
  std::uint64_t dead_applied = 0;
  std::uint64_t farewells_doubted = 0;  // not expected, or of an unseen incarnation
  std::uint64_t refutations = 0;
  std::uint64_t conflicts = 0;

  // --- failure detector ---
  std::uint64_t probes = 0;
  std::uint64_t probes_failed = 0;
  std::uint64_t probes_degraded = 0;  // with a health score above zero
  std::uint64_t indirect_probes = 0;
  std::uint64_t fallback_pings = 0;
  std::uint64_t acks_received = 0;
  std::uint64_t nacks_received = 0;
  std::uint64_t standstills = 0;  // of this node: its timers were late
  std::uint64_t suspicions_expired = 0;
  std::uint64_t suspicions_degraded = 0;  // expired with fewer confirmations than awaited

  // --- gossip ---
  std::uint64_t gossip_waves = 0;            // of fresh messages
  std::uint64_t gossip_waves_held_back = 0;  // of these, later than wanted: the budget was used up
  std::uint64_t gossip_rounds = 0;           // ticked ones, and those of repeats in between
  std::uint64_t gossip_datagrams = 0;
  std::uint64_t broadcasts_sent = 0;     // messages in packets, piggybacked ones included
  std::uint64_t broadcasts_dropped = 0;  // the queue was full

  // --- push/pull ---
  std::uint64_t push_pulls_started = 0;
  std::uint64_t push_pulls_answered = 0;
  std::uint64_t push_pulls_merged = 0;
  std::uint64_t push_pulls_refused = 0;
  std::uint64_t push_pulls_delayed = 0;  // the answer had to wait: the address asks too often
};

}  // namespace serf::swim

#endif  // SERF_SWIM_COUNTERS_H_
