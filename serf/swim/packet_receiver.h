// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_SWIM_PACKET_RECEIVER_H_
#define SERF_SWIM_PACKET_RECEIVER_H_

// PacketReceiver: takes datagrams apart, hands their messages to the parts of the node, and counts
// and logs those it must drop. It handles a packet with more messages than a turn may take in
// several turns. Source: docs/protocol/membership.md 1.1, 8.2, 10.

#include <cstdint>
#include <optional>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "serf/base/bytes.h"
#include "serf/base/endpoint.h"
#include "serf/base/logger.h"
#include "serf/base/portion.h"
#include "serf/base/time.h"
#include "serf/swim/broadcast_queue.h"
#include "serf/swim/delegate.h"
#include "serf/swim/log_limiter.h"
#include "serf/swim/membership.h"
#include "serf/swim/node_context.h"
#include "serf/swim/outbox.h"
#include "serf/swim/packet_backlog.h"
#include "serf/swim/prober.h"
#include "serf/swim/told_mark.h"
#include "serf/wire/label.h"
#include "serf/wire/message_type.h"
#include "serf/wire/msgpack.h"
#include "serf/wire/packet.h"
#include "serf/wire/swim_messages.h"

namespace serf::swim {

class PacketReceiver {
 public:
  PacketReceiver(NodeContext& context, Membership& membership, Prober& prober)
      : context_(context), membership_(membership), prober_(prober) {}

  void OnDatagram(Instant now, const Endpoint& from, ByteView datagram, Outbox& out);
  // Messages of packets that held more than a portion.
  void OnTimer(Instant now, Outbox& out);
  Instant NextDeadline() const { return backlog_.empty() ? kNever : Instant(); }

 private:
  void OnMessage(Instant now, const Endpoint& from, wire::MessageType type, ByteView body,
                 Spread spread, Outbox& out);

  // The backlog has no room for a message of this type.
  void OnBacklogFull(Instant now, const Endpoint& from, wire::MessageType type);

  // Decodes and calls handle(message), or counts and logs.
  template <typename Message, typename Handle>
  void Decoded(Instant now, const Endpoint& from, absl::string_view what, ByteView body,
               Outbox& out, const Handle& handle);

  // True if an alive message comes from the very address that it announces.
  bool IsOwnWord(const Endpoint& from, const wire::Alive& alive) const {
    const std::optional<IpAddress> address = IpAddress::FromBytes(alive.addr);
    return address && SameHostAndPort(from, {*address, context_.PortOf(alive.port)});
  }
  // Whether to listen to alive messages from this address.
  bool MayAnnounce(Instant now, const Endpoint& from);

  void OnFault(Instant now, const Endpoint& from, ByteView datagram, wire::PacketError error,
               const wire::PacketScratch& scratch);
  // The log line of a fault, without the source.
  static std::string FaultText(ByteView datagram, wire::PacketError error,
                               const wire::PacketScratch& scratch);

  NodeContext& context_;
  Membership& membership_;
  Prober& prober_;
  PacketBacklog backlog_;
};

inline void PacketReceiver::OnDatagram(Instant now, const Endpoint& from, ByteView datagram,
                                       Outbox& out) {
  ++context_.counters.datagrams_received;
  context_.counters.datagram_bytes_received += datagram.size();
  const Config& config = context_.config;
  const wire::PacketOptions options{
      .label = config.label,
      .skip_inbound_label_check = config.skip_inbound_label_check,
      .keyring = config.keyring.get(),
      .aead = config.aead.get(),
      .verify_incoming = config.verify_incoming,
  };
  wire::PacketScratch& scratch = out.workspace().packet;
  Portion portion;
  bool waits = backlog_.Waits(from.address);
  Spread spread = Spread::kRing;
  bool lone_mark = false;
  const wire::PacketError error =
      wire::OpenPacket(datagram, options, scratch, [&](wire::MessageType type, ByteView body) {
        lone_mark = IsToldMark(type, body);
        if (lone_mark) {
          // Where packets get lost, each member that hears of news passes them on.
          if (context_.probe_history.flows()) spread = Spread::kRepeats;
          return;
        }
        waits = waits || portion.empty();
        if (!waits) {
          portion.Spend(PacketBacklog::CostOf(body));
          return OnMessage(now, from, type, body, spread, out);
        }
        if (!backlog_.Add(from, type, body, spread)) OnBacklogFull(now, from, type);
      });
  // An empty message that marks nothing is one as others are.
  if (lone_mark) OnMessage(now, from, wire::MessageType::kUser, {}, spread, out);
  if (error != wire::PacketError::kOk) OnFault(now, from, datagram, error, scratch);
}

inline void PacketReceiver::OnTimer(Instant now, Outbox& out) {
  Portion portion;
  backlog_.Run(portion, [&](const Endpoint& from, wire::MessageType type, ByteView body,
                            Spread spread) { OnMessage(now, from, type, body, spread, out); });
}

inline void PacketReceiver::OnBacklogFull(Instant now, const Endpoint& from,
                                          wire::MessageType type) {
  ++context_.counters.dropped_backlog;
  context_.limiter.Log(now, LogReason::kBacklog, LogLevel::kWarn, [&] {
    return absl::StrCat("memberlist: handler queue full, dropping message (",
                        static_cast<int>(type), ") from=", from.ToString());
  });
}

inline void PacketReceiver::OnMessage(Instant now, const Endpoint& from, wire::MessageType type,
                                      ByteView body, Spread spread, Outbox& out) {
  switch (type) {
    case wire::MessageType::kPing:
      return Decoded<wire::Ping>(now, from, "ping request", body, out,
                                 [&](const auto& m) { prober_.OnPing(now, from, m, out); });
    case wire::MessageType::kIndirectPing:
      return Decoded<wire::IndirectPing>(
          now, from, "indirect ping request", body, out,
          [&](const auto& m) { prober_.OnIndirectPing(now, from, m, out); });
    case wire::MessageType::kAck:
      return Decoded<wire::Ack>(now, from, "ack response", body, out,
                                [&](const auto& m) { prober_.OnAck(now, from, m, out); });
    case wire::MessageType::kNack:
      return Decoded<wire::Nack>(now, from, "nack response", body, out,
                                 [&](const auto& m) { prober_.OnNack(from, m); });
    case wire::MessageType::kSuspect:
      return Decoded<wire::Suspect>(now, from, "suspect message", body, out,
                                    [&](const auto& m) { membership_.OnSuspect(now, m, spread); });
    case wire::MessageType::kAlive:
      if (!MayAnnounce(now, from)) return;
      return Decoded<wire::Alive>(now, from, "alive message", body, out, [&](const auto& m) {
        membership_.OnAlive(now, m, IsOwnWord(from, m), spread);
      });
    case wire::MessageType::kDead:
      return Decoded<wire::Dead>(now, from, "dead message", body, out,
                                 [&](const auto& m) { membership_.OnDead(now, m, spread); });
    case wire::MessageType::kUser:
      return context_.delegate.OnUserMessage(now, from, body, spread);
    default:
      return;  // OpenPacket delivers no other
  }
}

template <typename Message, typename Handle>
void PacketReceiver::Decoded(Instant now, const Endpoint& from, absl::string_view what,
                             ByteView body, Outbox& out, const Handle& handle) {
  Message message;
  const wire::DecodeResult result = wire::Decode(body, message, out.workspace().decode);
  if (result == wire::DecodeResult::kOk) return handle(message);
  ++context_.counters.dropped_malformed;
  context_.limiter.Log(now, LogReason::kDecode, LogLevel::kError, [&] {
    return absl::StrCat("memberlist: Failed to decode ", what, ": ", wire::DecodeResultName(result),
                        " from=", from.ToString());
  });
}

inline bool PacketReceiver::MayAnnounce(Instant now, const Endpoint& from) {
  if (context_.config.AddressAllowed(from.address)) return true;
  ++context_.counters.dropped_filtered;
  context_.limiter.Log(now, LogReason::kRejectedAddress, LogLevel::kDebug, [&] {
    return absl::StrCat("memberlist: Blocked alive message: ", from.address.ToString(),
                        " is not allowed from=", from.ToString());
  });
  return false;
}

inline void PacketReceiver::OnFault(Instant now, const Endpoint& from, ByteView datagram,
                                    wire::PacketError error, const wire::PacketScratch& scratch) {
  using wire::PacketError;
  Counters& counters = context_.counters;
  const auto drop = [&](std::uint64_t& counter, LogReason reason,
                        LogLevel level = LogLevel::kError) {
    ++counter;
    context_.limiter.Log(now, reason, level, [&] {
      return absl::StrCat("memberlist: ", FaultText(datagram, error, scratch),
                          " from=", from.ToString());
    });
  };
  switch (error) {
    case PacketError::kOk:
      return;
    case PacketError::kEmpty:
      return drop(counters.dropped_empty, LogReason::kUnknownType);
    case PacketError::kLabelTruncated:
    case PacketError::kLabelZeroLength:
    case PacketError::kDoubleLabel:
    case PacketError::kLabelMismatch:
      return drop(counters.dropped_label, LogReason::kLabel);
    case PacketError::kNotEncrypted:
    case PacketError::kNotAuthentic:
    case PacketError::kBadPadding:
      return drop(counters.dropped_decrypt, LogReason::kDecrypt);
    case PacketError::kBadCrc:
      return drop(counters.dropped_checksum, LogReason::kChecksum, LogLevel::kWarn);
    case PacketError::kEmptyMessage:
      return drop(counters.dropped_malformed, LogReason::kUnknownType);
    case PacketError::kUnsupportedType:
      return drop(counters.dropped_type, LogReason::kUnknownType);
    case PacketError::kBadCompound:
      return drop(counters.dropped_compound, LogReason::kCompound);
    case PacketError::kTruncatedPart:
      return drop(counters.dropped_compound, LogReason::kCompound, LogLevel::kWarn);
    case PacketError::kBadCompress:
    case PacketError::kUnknownAlgorithm:
    case PacketError::kBadLzw:
      return drop(counters.dropped_decompress, LogReason::kDecompress);
    case PacketError::kTooDeep:
    case PacketError::kTooLarge:
    case PacketError::kTooManyLeaves:
      return drop(counters.dropped_nesting, LogReason::kCompound);
  }
}

inline std::string PacketReceiver::FaultText(ByteView datagram, wire::PacketError error,
                                             const wire::PacketScratch& scratch) {
  using wire::PacketError;
  const absl::string_view text = wire::PacketErrorText(error);
  switch (error) {
    case PacketError::kEmpty:
      return "UDP packet too short (0 bytes)";
    case PacketError::kLabelMismatch: {
      absl::string_view label;
      ByteView rest;
      wire::SplitLabel(datagram, label, rest);
      return absl::StrCat("discarding packet with unacceptable label \"", label, "\"");
    }
    case PacketError::kDoubleLabel:
      return "unexpected double packet label header";
    case PacketError::kNotEncrypted:
    case PacketError::kNotAuthentic:
    case PacketError::kBadPadding:
      return absl::StrCat("Decrypt packet failed: ", text);
    case PacketError::kBadCrc:
      return "Got invalid checksum for UDP packet";
    case PacketError::kUnsupportedType:
      return absl::StrCat("msg type (", static_cast<int>(scratch.unsupported_type()),
                          ") not supported");
    case PacketError::kBadCompound:
      return "Failed to decode compound request: truncated len slice";
    case PacketError::kTruncatedPart:
      return absl::StrCat("Compound request had ", scratch.truncated_parts(),
                          " truncated messages");
    case PacketError::kBadCompress:
    case PacketError::kUnknownAlgorithm:
    case PacketError::kBadLzw:
      return absl::StrCat("Failed to decompress payload: ", text);
    default:
      return std::string(text);
  }
}

}  // namespace serf::swim

#endif  // SERF_SWIM_PACKET_RECEIVER_H_
