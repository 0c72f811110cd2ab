// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_SWIM_STREAM_ANSWERS_H_
#define SERF_SWIM_STREAM_ANSWERS_H_

// Judges the answer of a peer on a stream that this node dialled: pure functions, whose errors have
// the texts of Go Serf. Source: docs/protocol/membership.md 3.4, 3.5.

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "serf/base/endpoint.h"
#include "serf/swim/config.h"
#include "serf/wire/ids.h"
#include "serf/wire/msgpack.h"
#include "serf/wire/packet.h"
#include "serf/wire/stream_frame.h"
#include "serf/wire/swim_messages.h"

namespace serf::swim {

// OK if the peer answered a push/pull with its state. Unavailable: the peer sent an error, whose
// text is in the message. InvalidArgument: it sent anything else.
inline absl::Status JudgePushPullAnswer(const wire::StreamUnit& unit, const Endpoint& peer) {
  if (unit.type == wire::MessageType::kPushPull) return absl::OkStatus();
  wire::ErrorMessage error;
  wire::DecodeScratch scratch;
  if (unit.type == wire::MessageType::kError &&
      wire::Decode(unit.body, error, scratch) == wire::DecodeResult::kOk) {
    return absl::UnavailableError(absl::StrCat("remote error: ", Shown(error.error)));
  }
  return absl::InvalidArgumentError(
      absl::StrCat("received invalid msgType (", static_cast<int>(unit.type),
                   "), expected pushPullMsg (6) from=", peer.ToString()));
}

// OK if the peer acknowledged the fallback ping with this number; else InvalidArgument.
inline absl::Status JudgePingAnswer(const wire::StreamUnit& unit, wire::SequenceNumber expected) {
  wire::Ack ack;
  wire::DecodeScratch scratch;
  if (unit.type != wire::MessageType::kAck ||
      wire::Decode(unit.body, ack, scratch) != wire::DecodeResult::kOk) {
    return absl::InvalidArgumentError(
        absl::StrCat("Unexpected msgType (", static_cast<int>(unit.type), ") from ping"));
  }
  if (ack.seq_no != expected) {
    return absl::InvalidArgumentError(absl::StrCat("Sequence number from ack (", ack.seq_no.value(),
                                                   ") doesn't match ping (", expected.value(),
                                                   ")"));
  }
  return absl::OkStatus();
}

}  // namespace serf::swim

#endif  // SERF_SWIM_STREAM_ANSWERS_H_
