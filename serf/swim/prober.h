// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_SWIM_PROBER_H_
#define SERF_SWIM_PROBER_H_

// Prober: the failure detector of a node: one probe per probe interval, and the answers to the
// pings of others, direct ones and those it makes as a helper. Source: docs/protocol/membership.md
// 5.1 to 5.3, 10.
//
// Beyond Go Serf, against forgery: no broadcasts ride on answers to addresses that do not belong to
// a member, and the number of these answers is limited. An acknowledgement must come from the node
// that was asked, once that node is known to answer from the endpoint that it announces.

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "serf/base/bytes.h"
#include "serf/base/endpoint.h"
#include "serf/base/logger.h"
#include "serf/base/time.h"
#include "serf/swim/config.h"
#include "serf/swim/indirect_pings.h"
#include "serf/swim/log_limiter.h"
#include "serf/swim/member_table.h"
#include "serf/swim/membership.h"
#include "serf/swim/node_context.h"
#include "serf/swim/node_info.h"
#include "serf/swim/outbox.h"
#include "serf/swim/packet_sender.h"
#include "serf/swim/probe.h"
#include "serf/wire/ids.h"
#include "serf/wire/swim_messages.h"

namespace serf::swim {

class Prober {
 public:
  // Per second: datagrams that a node which is not a member can make this node send to a third
  // party (an ack to an address other than the ping's source, or a ping to a node that is not a
  // member). A node that joins becomes a member within a second. Acks to the source itself are not
  // limited: they are no larger than the ping.
  static constexpr int kStrangerAnswersMax = 256;

  // A ping over TCP that the probe needs besides the helpers.
  struct FallbackPing {
    Endpoint to;
    MemberIndex target;
    wire::SequenceNumber sequence;
    Instant deadline;
  };

  Prober(NodeContext& context, Membership& membership, PacketSender& sender)
      : context_(context), membership_(membership), sender_(sender) {}

  // The first probe is one interval from here.
  void Start(Instant now);
  // This node stood still, and heard nobody for so long (standstill.h). Call it before OnTimer().
  void Postpone(Duration deaf) { probe_.Postpone(deaf); }
  void OnTimer(Instant now, Outbox& out);
  Instant NextDeadline() const;

  void OnPing(Instant now, const Endpoint& from, const wire::Ping& ping, Outbox& out);
  void OnIndirectPing(Instant now, const Endpoint& from, const wire::IndirectPing& ping,
                      Outbox& out);
  void OnAck(Instant now, const Endpoint& from, const wire::Ack& ack, Outbox& out);
  void OnNack(const Endpoint& from, const wire::Nack& nack);
  // The network refused a datagram to this endpoint.
  void OnSendFailed(Instant now, const Endpoint& to, Outbox& out);
  // A fallback ping was answered.
  void OnTcpContact(wire::SequenceNumber sequence) { probe_.OnTcpContact(sequence); }

  // The fallback ping to send now, if any. Call it after each input.
  std::optional<FallbackPing> TakeFallbackPing() { return std::exchange(fallback_, std::nullopt); }

  // The ping for `target` with this number, as datagram and stream carry it. Its views live as long
  // as the two members.
  wire::Ping MakePing(MemberIndex target, wire::SequenceNumber sequence) const;

 private:
  using Riders = PacketSender::Riders;

  const NodeInfo& own() const { return membership_.table().info(membership_.self()); }

  void StartDueProbe(Instant now, Outbox& out);
  void AskHelpers(Instant now, Outbox& out);
  void EndProbe(Instant now);
  void EndIndirectPings(Instant now, Outbox& out);

  // Where the answer to a message goes: to the source in the message, if that is complete; else to
  // `from`.
  static Endpoint AnswerTo(const Endpoint& from, ByteView source_addr, std::uint16_t source_port);
  // True if a member of this name announces this endpoint.
  bool IsMember(absl::string_view name, const Endpoint& endpoint) const;
  // False if strangers have directed too much at others in this second.
  bool MayAnswerStranger(Instant now);
  // True if an answer to the probe under way may come from this endpoint.
  bool IsExpectedSource(const Endpoint& from) const;

  NodeContext& context_;
  Membership& membership_;
  PacketSender& sender_;

  Instant next_tick_ = kNever;
  bool tick_waits_ = false;  // a tick came while a probe ran
  Probe probe_;
  MemberIndex target_;  // of the probe
  wire::Incarnation target_incarnation_;
  bool strange_answer_ = false;       // one came from an unexpected source
  bool asked_helpers_ = false;        // the probe was not answered in time
  std::vector<MemberIndex> helpers_;  // of the probe; empty while it is direct
  std::optional<FallbackPing> fallback_;
  IndirectPings indirect_pings_;
  Instant stranger_second_{};
  int stranger_answers_ = 0;
};

inline void Prober::Start(Instant now) {
  if (context_.config.probe_interval > Duration::zero()) {
    next_tick_ = now + context_.config.probe_interval;
  }
}

inline Instant Prober::NextDeadline() const {
  return std::min({next_tick_, probe_.deadline(), indirect_pings_.NextDeadline()});
}

inline void Prober::OnTimer(Instant now, Outbox& out) {
  EndIndirectPings(now, out);
  // An end makes room for the probe of a tick at the same instant.
  for (bool again = true; again;) {
    switch (probe_.OnTimer(now)) {
      case Probe::Step::kNothing:
        again = false;
        break;
      case Probe::Step::kAskHelpers:
        Log(context_.config.logger, LogLevel::kDebug,
            "memberlist: Failed UDP ping: ", membership_.table().info(target_).name(),
            " (timeout reached)");
        AskHelpers(now, out);
        break;
      case Probe::Step::kEnd:
        EndProbe(now);
        break;
    }
  }
  if (now >= next_tick_) {
    // Missed ticks are lost, but the phase stays.
    const Duration interval = context_.config.probe_interval;
    next_tick_ += interval * ((now - next_tick_) / interval + 1);
    tick_waits_ = true;
  }
  StartDueProbe(now, out);
}

inline wire::Ping Prober::MakePing(MemberIndex target, wire::SequenceNumber sequence) const {
  return {.seq_no = sequence,
          .node = membership_.table().info(target).name(),
          .source_addr = own().endpoint().address.bytes(),
          .source_port = own().endpoint().port,
          .source_node = own().name()};
}

inline void Prober::StartDueProbe(Instant now, Outbox& out) {
  if (!tick_waits_ || probe_.running()) return;
  tick_waits_ = false;
  const std::optional<MemberIndex> target = membership_.NextToProbe(now);
  if (!target) return;
  ++context_.counters.probes;
  if (context_.awareness.score() > 0) ++context_.counters.probes_degraded;
  target_ = *target;
  target_incarnation_ = membership_.table().row(target_).incarnation;
  strange_answer_ = false;
  asked_helpers_ = false;
  helpers_.clear();
  probe_.Start(now, context_.NextSequence(), context_.config.probe_timeout,
               context_.awareness.Scale(context_.config.probe_interval));
  const NodeInfo& info = membership_.table().info(target_);
  const wire::Ping ping = MakePing(target_, probe_.sequence());
  if (membership_.table().state(target_) == NodeState::kAlive) {
    sender_.Send(ping, info.endpoint(), Riders::kBroadcasts, out);
    return;
  }
  const wire::Suspect suspect{
      .incarnation = target_incarnation_, .node = info.name(), .from = own().name()};
  sender_.SendPingWithSuspicion(ping, suspect, info.endpoint(), info.versions().protocol_max >= 5,
                                out);
}

inline void Prober::AskHelpers(Instant, Outbox& out) {
  asked_helpers_ = true;
  const MemberTable& table = membership_.table();
  const MemberIndex self = membership_.self();
  membership_.ring().Pick(static_cast<std::size_t>(context_.config.indirect_checks), context_.rng,
                          helpers_, [&](MemberIndex m) {
                            return m != self && m != target_ && table.state(m) == NodeState::kAlive;
                          });
  const NodeInfo& target = table.info(target_);
  int nacks_wanted = 0;
  for (const MemberIndex helper : helpers_) {
    const NodeInfo& info = table.info(helper);
    const bool nack = info.versions().protocol_max >= 4;
    nacks_wanted += nack ? 1 : 0;
    ++context_.counters.indirect_probes;
    sender_.Send(wire::IndirectPing{.seq_no = probe_.sequence(),
                                    .target = target.endpoint().address.bytes(),
                                    .port = target.endpoint().port,
                                    .node = target.name(),
                                    .nack = nack,
                                    .source_addr = own().endpoint().address.bytes(),
                                    .source_port = own().endpoint().port,
                                    .source_node = own().name()},
                 info.endpoint(), Riders::kBroadcasts, out);
  }
  probe_.HelpersAsked(nacks_wanted);
  if (!context_.config.disable_tcp_pings && target.versions().protocol_max >= 3) {
    ++context_.counters.fallback_pings;
    fallback_ = {target.endpoint(), target_, probe_.sequence(), probe_.end()};
  }
}

inline void Prober::EndProbe(Instant now) {
  context_.awareness.Apply(probe_.health_delta());
  const absl::string_view name = membership_.table().info(target_).name();
  context_.probe_history.Add(1, probe_.verdict() != Probe::Verdict::kNoContact);
  // A member that lives has answered directly, or a packet was lost. One that does not says nothing
  // about that.
  if (probe_.verdict() != Probe::Verdict::kNoContact) {
    context_.probe_history.AddDirect(!asked_helpers_);
  }
  if (probe_.verdict() == Probe::Verdict::kAcknowledged) return;
  // The member may have moved behind another address: the next probe learns again where its answers
  // come from. That does not end a running suspicion.
  if (strange_answer_) membership_.set_source_stable(target_, false);
  if (probe_.verdict() == Probe::Verdict::kTcpContact) {
    Log(context_.config.logger, LogLevel::kWarn, "memberlist: Was able to connect to ", name,
        " over TCP but UDP probes failed, network may be misconfigured");
    return;
  }
  context_.probe_history.Add(probe_.nacks(), true);
  context_.probe_history.Add(probe_.silent_helpers(), false);
  ++context_.counters.probes_failed;
  Log(context_.config.logger, LogLevel::kInfo, "memberlist: Suspect ", name,
      " has failed, no acks received");
  membership_.Accuse(now, target_, target_incarnation_);
}

inline void Prober::EndIndirectPings(Instant now, Outbox& out) {
  while (const std::optional<IndirectPing> indirect = indirect_pings_.TakeExpired(now)) {
    if (!indirect->nack_wanted) continue;
    sender_.Send(wire::Nack{indirect->requested}, indirect->asker,
                 indirect->asker_is_member ? Riders::kBroadcasts : Riders::kNone, out);
  }
}

inline void Prober::OnPing(Instant now, const Endpoint& from, const wire::Ping& ping, Outbox& out) {
  if (wire::Check(ping) != wire::FormatFault::kNone) {
    ++context_.counters.dropped_address;
    return;
  }
  if (!ping.node.empty() && ping.node != own().name()) {
    ++context_.counters.dropped_not_for_us;
    context_.limiter.Log(now, LogReason::kWrongPing, LogLevel::kWarn, [&] {
      return absl::StrCat("memberlist: Got ping for unexpected node '", Shown(ping.node),
                          "' from=", from.ToString());
    });
    return;
  }
  const Endpoint to = AnswerTo(from, ping.source_addr, ping.source_port);
  const bool is_member = IsMember(ping.source_node, to);
  if (!is_member && to != from && !MayAnswerStranger(now)) return;
  // An answer to a stranger carries no payload, so that it is no larger than the ping.
  ByteVector& payload = out.workspace().payload;
  payload.clear();
  if (is_member) context_.delegate.AppendAckPayload(payload);
  sender_.Send(wire::Ack{.seq_no = ping.seq_no,
                         .payload = payload.empty() ? ByteView() : ByteView(payload),
                         .prompt = is_member && context_.config.gossips_promptly()},
               to, is_member ? Riders::kBroadcasts : Riders::kNone, out);
}

inline void Prober::OnIndirectPing(Instant now, const Endpoint& from,
                                   const wire::IndirectPing& ping, Outbox& out) {
  if (wire::Check(ping) != wire::FormatFault::kNone) {
    ++context_.counters.dropped_address;
    return;
  }
  if (ping.node.size() > kNodeNameMax) {  // it is sent on
    ++context_.counters.dropped_oversize;
    return;
  }
  IndirectPing indirect;
  indirect.requested = ping.seq_no;
  indirect.asker = AnswerTo(from, ping.source_addr, ping.source_port);
  indirect.asker_is_member = IsMember(ping.source_node, indirect.asker);
  indirect.target = {*IpAddress::FromBytes(ping.target), context_.PortOf(ping.port)};
  indirect.nack_wanted = ping.nack;
  const bool target_is_member = IsMember(ping.node, indirect.target);
  indirect.target_only =
      target_is_member && membership_.source_is_stable(*membership_.table().Find(ping.node));
  if ((!indirect.asker_is_member || !target_is_member) && !MayAnswerStranger(now)) return;
  indirect.own = context_.NextSequence();
  indirect.deadline = now + context_.config.probe_timeout;
  if (!indirect_pings_.Add(indirect)) {
    ++context_.counters.dropped_indirect_pings;
    return;
  }
  sender_.Send(wire::Ping{.seq_no = indirect.own,
                          .node = ping.node,
                          .source_addr = own().endpoint().address.bytes(),
                          .source_port = own().endpoint().port,
                          .source_node = own().name()},
               indirect.target, target_is_member ? Riders::kBroadcasts : Riders::kNone, out);
}

inline void Prober::OnAck(Instant now, const Endpoint& from, const wire::Ack& ack, Outbox& out) {
  ++context_.counters.acks_received;
  if (const std::optional<IndirectPing> indirect = indirect_pings_.Acknowledge(ack.seq_no, from)) {
    // The payload is dropped: only the node that sent the ping may use it.
    sender_.Send(wire::Ack{.seq_no = indirect->requested, .payload = {}}, indirect->asker,
                 indirect->asker_is_member ? Riders::kBroadcasts : Riders::kNone, out);
    return;
  }
  if (!probe_.running() || ack.seq_no != probe_.sequence()) return;
  if (!IsExpectedSource(from)) {
    ++context_.counters.dropped_acks;
    strange_answer_ = true;
    return;
  }
  const Probe::Ack result = probe_.OnAck(now, ack.seq_no);
  EndProbe(now);
  if (result.round_trip) {
    if (SameHostAndPort(from, membership_.table().info(target_).endpoint())) {
      membership_.set_source_stable(target_, true);
      membership_.set_prompt(target_, ack.prompt);
    }
    context_.delegate.OnPingComplete(now, target_, *result.round_trip, ack.payload);
  }
  StartDueProbe(now, out);
}

inline void Prober::OnNack(const Endpoint& from, const wire::Nack& nack) {
  ++context_.counters.nacks_received;
  if (!probe_.running() || nack.seq_no != probe_.sequence()) return;
  if (!IsExpectedSource(from)) {
    ++context_.counters.dropped_acks;
    return;
  }
  probe_.OnNack(nack.seq_no);
}

inline void Prober::OnSendFailed(Instant now, const Endpoint& to, Outbox& out) {
  if (!probe_.running()) return;
  const NodeInfo& target = membership_.table().info(target_);
  if (!SameHostAndPort(to, target.endpoint()) || !probe_.OnSendFailed()) return;
  // It is normal that the host of a member that ended refuses a ping: not an error.
  Log(context_.config.logger, LogLevel::kDebug, "memberlist: Failed UDP ping: ", target.name(),
      " (the network refused it)");
  AskHelpers(now, out);
}

inline Endpoint Prober::AnswerTo(const Endpoint& from, ByteView source_addr,
                                 std::uint16_t source_port) {
  if (source_addr.empty() || source_port == 0) return from;
  return {*IpAddress::FromBytes(source_addr), source_port};
}

inline bool Prober::IsMember(absl::string_view name, const Endpoint& endpoint) const {
  if (name.empty()) return false;
  const std::optional<MemberIndex> member = membership_.table().Find(name);
  return member && SameHostAndPort(membership_.table().info(*member).endpoint(), endpoint);
}

inline bool Prober::MayAnswerStranger(Instant now) {
  if (now - stranger_second_ >= std::chrono::seconds(1)) {
    stranger_second_ = now;
    stranger_answers_ = 0;
  }
  if (stranger_answers_ < kStrangerAnswersMax) {
    ++stranger_answers_;
    return true;
  }
  ++context_.counters.dropped_strangers;
  return false;
}

inline bool Prober::IsExpectedSource(const Endpoint& from) const {
  const auto fits = [&](MemberIndex m) {
    return !membership_.source_is_stable(m) ||
           SameHostAndPort(membership_.table().info(m).endpoint(), from);
  };
  return fits(target_) || std::any_of(helpers_.begin(), helpers_.end(), fits);
}

}  // namespace serf::swim

#endif  // SERF_SWIM_PROBER_H_
