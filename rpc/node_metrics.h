// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_RPC_NODE_METRICS_H_
#define SERF_RPC_NODE_METRICS_H_

// The metrics of a node for Prometheus: serf_... of the Serf layer, serf_swim_... of the membership
// layer. docs/metrics.md has the list for operators.
//
//   Exposition text(format);
//   AppendNodeMetrics(service.Snapshot(), text);
//   return std::move(text).Finish();

#include <array>
#include <cstdint>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "serf/counters.h"
#include "serf/rpc/exposition.h"
#include "serf/rpc/node_snapshot.h"
#include "serf/swim/counters.h"

namespace serf::rpc {

// Appends all families of a node.
void AppendNodeMetrics(const NodeSnapshot& now, Exposition& text);

namespace node_metrics_internal {

// One sample of a family: the value of its label, and the counter.
template <typename Set>
struct Labelled {
  absl::string_view value;
  std::uint64_t Set::*counter;
};

template <typename Set>
struct Family {
  absl::string_view name;
  absl::string_view help;
  absl::string_view label;  // empty: one sample without labels
  std::vector<Labelled<Set>> samples;
  absl::string_view unit = "";
};

template <typename Set>
void Append(const Set& now, const Family<Set>& family, Exposition& text) {
  std::vector<Exposition::Sample> samples;
  for (const Labelled<Set>& from : family.samples) {
    Exposition::Sample& sample = samples.emplace_back();
    if (!family.label.empty()) sample.labels = {{family.label, from.value}};
    sample.value = static_cast<double>(now.*from.counter);
  }
  text.Counter(family.name, family.help, samples, family.unit);
}

inline void AppendSerf(const Counters& now, Exposition& text) {
  using C = Counters;
  const auto append = [&](const Family<C>& family) { Append(now, family, text); };
  append({"serf_member_events_total",
          "Member events told, one for each member.",
          "event",
          {{"join", &C::member_joins},
           {"leave", &C::member_leaves},
           {"failed", &C::member_failures},
           {"update", &C::member_updates},
           {"reap", &C::member_reaps}}});
  append({"serf_member_flaps_total",
          "Members that came back within flap_timeout of their failure.",
          "",
          {{"", &C::member_flaps}}});
  append({"serf_user_events_total",
          "User events accepted, own ones too.",
          "",
          {{"", &C::user_events}}});
  append({"serf_queries_total",
          "Queries accepted, own and internal ones too.",
          "",
          {{"", &C::queries}}});
  append({"serf_queries_unjudged_total",
          "Queries not answered, because their filters would take too long to judge.",
          "",
          {{"", &C::queries_unjudged}}});
  append({"serf_query_acks_total", "Acknowledgements of own queries.", "", {{"", &C::query_acks}}});
  append(
      {"serf_query_responses_total", "Answers to own queries.", "", {{"", &C::query_responses}}});
  append({"serf_query_duplicates_total",
          "Acknowledgements and answers that came again.",
          "kind",
          {{"ack", &C::query_duplicate_acks}, {"response", &C::query_duplicate_responses}}});
  append({"serf_messages_total",
          "Messages of the Serf layer.",
          "direction",
          {{"received", &C::messages_received}, {"sent", &C::messages_sent}}});
  append({"serf_message_bytes_total",
          "Bytes of the messages of the Serf layer.",
          "direction",
          {{"received", &C::message_bytes_received}, {"sent", &C::message_bytes_sent}},
          "bytes"});
  append({"serf_messages_dropped_total",
          "Messages of the Serf layer that were not processed.",
          "reason",
          {{"malformed", &C::dropped_malformed},
           {"type", &C::dropped_type},
           {"time", &C::dropped_time},
           {"name", &C::dropped_name},
           {"oversize", &C::dropped_oversize},
           {"old", &C::dropped_old},
           {"relay", &C::dropped_relay},
           {"reply", &C::dropped_reply},
           {"answer", &C::dropped_answers},
           {"surplus", &C::dropped_surplus},
           {"state", &C::states_malformed}}});
  append({"serf_messages_relayed_total", "Answers passed on for others.", "", {{"", &C::relayed}}});
  append({"serf_messages_not_passed_on_total",
          "New messages too large for any packet of gossip.",
          "",
          {{"", &C::not_passed_on}}});
  append({"serf_leave_intents_refuted_total",
          "Leave intents about this node that it refuted.",
          "",
          {{"", &C::refutations}}});
}

inline void AppendSwim(const swim::Counters& now, Exposition& text) {
  using C = swim::Counters;
  const auto append = [&](const Family<C>& family) { Append(now, family, text); };
  append({"serf_swim_datagrams_total",
          "Datagrams.",
          "direction",
          {{"received", &C::datagrams_received}, {"sent", &C::datagrams_sent}}});
  append({"serf_swim_datagram_bytes_total",
          "Bytes of datagrams, as handed to the socket.",
          "direction",
          {{"received", &C::datagram_bytes_received}, {"sent", &C::datagram_bytes_sent}},
          "bytes"});
  append({"serf_swim_dropped_total",
          "Datagrams and messages of the membership layer that were dropped.",
          "reason",
          {{"empty", &C::dropped_empty},
           {"label", &C::dropped_label},
           {"decrypt", &C::dropped_decrypt},
           {"checksum", &C::dropped_checksum},
           {"decompress", &C::dropped_decompress},
           {"compound", &C::dropped_compound},
           {"nesting", &C::dropped_nesting},
           {"type", &C::dropped_type},
           {"malformed", &C::dropped_malformed},
           {"address", &C::dropped_address},
           {"versions", &C::dropped_versions},
           {"filtered", &C::dropped_filtered},
           {"incarnation", &C::dropped_incarnation},
           {"oversize", &C::dropped_oversize},
           {"not_for_us", &C::dropped_not_for_us},
           {"members", &C::dropped_members},
           {"indirect_pings", &C::dropped_indirect_pings},
           {"backlog", &C::dropped_backlog},
           {"strangers", &C::dropped_strangers},
           {"acks", &C::dropped_acks},
           {"sends", &C::dropped_sends}}});
  append({"serf_swim_streams_total",
          "Gossip connections opened.",
          "direction",
          {{"accepted", &C::streams_accepted}, {"dialled", &C::streams_dialled}}});
  append({"serf_swim_stream_bytes_total",
          "Bytes of gossip connections.",
          "direction",
          {{"received", &C::stream_bytes_received}, {"sent", &C::stream_bytes_sent}},
          "bytes"});
  append({"serf_swim_streams_dropped_total",
          "Gossip connections that ended badly.",
          "reason",
          {{"refused", &C::streams_refused},
           {"malformed", &C::streams_malformed},
           {"timed_out", &C::streams_timed_out},
           {"failed", &C::streams_failed}}});
  append({"serf_swim_updates_total",
          "Membership messages that changed something.",
          "type",
          {{"alive", &C::alive_applied},
           {"suspect", &C::suspect_applied},
           {"dead", &C::dead_applied}}});
  append({"serf_swim_refutations_total",
          "Accusations against this node that it refuted.",
          "",
          {{"", &C::refutations}}});
  append({"serf_swim_conflicts_total",
          "Claims of a living member's name by another address.",
          "",
          {{"", &C::conflicts}}});
  append({"serf_swim_farewells_doubted_total",
          "Departures that nobody had announced.",
          "",
          {{"", &C::farewells_doubted}}});
  append({"serf_swim_probes_total", "Probes begun.", "", {{"", &C::probes}}});
  append({"serf_swim_probes_failed_total",
          "Probes without any answer.",
          "",
          {{"", &C::probes_failed}}});
  append({"serf_swim_probes_degraded_total",
          "Probes begun with a health score above zero.",
          "",
          {{"", &C::probes_degraded}}});
  append({"serf_swim_indirect_probes_total", "Helpers asked.", "", {{"", &C::indirect_probes}}});
  append({"serf_swim_fallback_pings_total", "Pings over TCP.", "", {{"", &C::fallback_pings}}});
  append({"serf_swim_acks_total", "Acknowledgements received.", "", {{"", &C::acks_received}}});
  append({"serf_swim_nacks_total",
          "Negative acknowledgements received.",
          "",
          {{"", &C::nacks_received}}});
  append({"serf_swim_standstills_total",
          "Times that this node stood still: its timers were late, and it judged nobody at once.",
          "",
          {{"", &C::standstills}}});
  append({"serf_swim_suspicions_expired_total",
          "Suspicions that ended in a death.",
          "",
          {{"", &C::suspicions_expired}}});
  append({"serf_swim_suspicions_degraded_total",
          "Suspicions that ended so with fewer confirmations than awaited.",
          "",
          {{"", &C::suspicions_degraded}}});
  append({"serf_swim_gossip_rounds_total", "Rounds of gossip.", "", {{"", &C::gossip_rounds}}});
  append({"serf_swim_gossip_waves_total",
          "Waves of fresh messages, sent at once.",
          "",
          {{"", &C::gossip_waves}}});
  append({"serf_swim_gossip_waves_held_back_total",
          "Waves that were late because the budget was used up.",
          "",
          {{"", &C::gossip_waves_held_back}}});
  append({"serf_swim_gossip_datagrams_total",
          "Datagrams of gossip.",
          "",
          {{"", &C::gossip_datagrams}}});
  append({"serf_swim_broadcasts_total",
          "Transmissions of broadcasts, piggybacked ones too.",
          "",
          {{"", &C::broadcasts_sent}}});
  append({"serf_swim_broadcasts_dropped_total",
          "Broadcasts that a full queue dropped.",
          "",
          {{"", &C::broadcasts_dropped}}});
  append({"serf_swim_push_pulls_total",
          "Full exchanges of state.",
          "role",
          {{"initiator", &C::push_pulls_started}, {"responder", &C::push_pulls_answered}}});
  append({"serf_swim_push_pulls_merged_total",
          "Remote states merged.",
          "",
          {{"", &C::push_pulls_merged}}});
  append({"serf_swim_push_pulls_refused_total",
          "Remote states refused.",
          "",
          {{"", &C::push_pulls_refused}}});
  append({"serf_swim_push_pulls_delayed_total",
          "Remote states whose answer had to wait, because the address asks too often.",
          "",
          {{"", &C::push_pulls_delayed}}});
  append({"serf_log_lines_suppressed_total",
          "Log lines not written, because a similar one was less than a second before.",
          "",
          {{"", &C::log_lines_suppressed}}});
}

inline void AppendCoordinates(const NodeSnapshot::Coordinates& now, Exposition& text) {
  const auto count = [&](absl::string_view name, absl::string_view help, std::uint64_t value) {
    text.Counter(name, help, static_cast<double>(value));
  };
  count("serf_coordinate_updates_total", "Coordinates of others that moved the own one.",
        now.updates);
  count("serf_coordinate_rejected_total", "Coordinates that were not believed.", now.rejected);
  count("serf_coordinate_zero_rtt_total", "Round trips of zero.", now.zero_round_trips);
  count("serf_coordinate_unreadable_total", "Payloads that did not decode.", now.unreadable);
  count("serf_coordinate_resets_total", "Resets of the own coordinate.", now.resets);
  text.Gauge("serf_coordinate_error_ratio", "Own estimate of the relative error.", now.error,
             "ratio");
  text.Gauge("serf_coordinate_height_seconds", "Own height.", now.height, "seconds");
  text.Gauge("serf_coordinate_adjustment_seconds", "Own adjustment.", now.adjustment, "seconds");
}

}  // namespace node_metrics_internal

inline void AppendNodeMetrics(const NodeSnapshot& now, Exposition& text) {
  namespace internal = node_metrics_internal;
  const auto gauge = [&](absl::string_view name, absl::string_view help, absl::string_view label,
                         std::vector<std::pair<absl::string_view, std::uint64_t>> values) {
    std::vector<Exposition::Sample> samples;
    for (const auto& [value, number] : values) {
      samples.push_back({{{label, value}}, static_cast<double>(number)});
    }
    text.Gauge(name, help, samples);
  };
  const StatValues& stats = now.stats;
  gauge("serf_members",
        "Members by status in the Serf layer; a member that is leaving counts as alive.", "status",
        {{"alive", stats.members - stats.left - stats.failed},
         {"left", stats.left},
         {"failed", stats.failed}});
  gauge("serf_swim_members", "Nodes by state in the membership layer.", "state",
        {{"alive", now.alive}, {"suspect", now.suspect}, {"dead", now.dead}, {"left", now.left}});
  text.Gauge("serf_swim_suspicions", "Suspicions that run.", static_cast<double>(now.suspect));
  text.Gauge("serf_health_score", "Local health: 0 is healthy; probes slow down by 1 + this.",
             stats.health_score);
  gauge("serf_lamport_time", "Lamport clocks.", "clock",
        {{"member", stats.member_time}, {"event", stats.event_time}, {"query", stats.query_time}});
  gauge("serf_queue_length", "Messages that wait to be gossiped.", "queue",
        {{"membership", now.membership_queue},
         {"intent", stats.intent_queue},
         {"event", stats.event_queue},
         {"query", stats.query_queue}});
  internal::AppendSerf(now.serf, text);
  internal::AppendSwim(now.swim, text);
  if (now.coordinates) internal::AppendCoordinates(*now.coordinates, text);
}

}  // namespace serf::rpc

#endif  // SERF_RPC_NODE_METRICS_H_
