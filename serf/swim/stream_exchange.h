// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_SWIM_STREAM_EXCHANGE_H_
#define SERF_SWIM_STREAM_EXCHANGE_H_

// StreamExchange: what a node keeps of one stream: one request and at most one answer. streams.h
// has the table of all of them, and acts on it. Source: docs/protocol/membership.md 3.
//
// A push/pull of a peer is read, answered, and merged; a push/pull of this node is sent, read, and
// merged. Each of these steps may take several turns, in which the exchange is busy.

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/string_view.h"
#include "serf/base/bytes.h"
#include "serf/base/endpoint.h"
#include "serf/base/time.h"
#include "serf/base/timer_heap.h"
#include "serf/swim/joins.h"
#include "serf/swim/node_context.h"
#include "serf/swim/outbox.h"
#include "serf/swim/push_pull.h"
#include "serf/wire/ids.h"
#include "serf/wire/stream_frame.h"
#include "serf/wire/stream_writer.h"

namespace serf::swim {

// The beginning of the log line of a stream that failed, in Go Serf's words.
inline absl::string_view WhatFailed(wire::StreamError error, bool reads_push_pull) {
  switch (error) {
    case wire::StreamError::kLabelTruncated:
    case wire::StreamError::kLabelZeroLength:
      return "failed to receive and remove the stream label header: ";
    case wire::StreamError::kDoubleLabel:
    case wire::StreamError::kLabelMismatch:
    case wire::StreamError::kUnexpectedType:
      return "";
    case wire::StreamError::kBadBody:
    case wire::StreamError::kBadCount:
      return reads_push_pull ? "Failed to read remote state: " : "failed to receive: ";
    default:
      return "failed to receive: ";
  }
}

class StreamExchange {
 public:
  enum class Purpose : std::uint8_t {
    kAccepted,      // whatever the peer wants
    kJoin,          // a push/pull wanted by Node::Join
    kPushPull,      // the periodic one
    kFallbackPing,  // besides the helpers of a probe
    kUserMessage,   // a reliable one; no answer follows
  };

  StreamExchange(Purpose purpose, const Endpoint& peer, const NodeContext& context)
      : purpose_(purpose),
        peer_(peer),
        reader_({.initiator = purpose != Purpose::kAccepted,
                 .label = context.config.label,
                 .skip_inbound_label_check = context.config.skip_inbound_label_check,
                 .keyring = context.config.keyring.get(),
                 .aead = context.config.aead.get(),
                 .verify_incoming = context.config.verify_incoming}) {}

  enum class Stage : std::uint8_t {
    kReading,
    kDelayed,  // the answer waits: the peer asks too often
    kSending,  // writes the state of this node
    kMerging,
  };

  Purpose purpose() const { return purpose_; }
  bool accepted() const { return purpose_ == Purpose::kAccepted; }
  const Endpoint& peer() const { return peer_; }
  wire::StreamReader& reader() { return reader_; }

  // --- kept for the table ---
  Stage stage = Stage::kReading;
  TimerHandle timer;
  bool connected = false;
  bool closed = false;                             // by the peer: this node can send nothing more
  bool queued = false;                             // it has work left for another turn
  std::size_t received = 0;                        // bytes
  std::size_t held = 0;                            // bytes of memory, as accounted for
  std::unique_ptr<wire::StreamUnitWriter> writer;  // for the state of this node
  std::unique_ptr<PushPullMerge> merge;
  bool counted_push_pull = false;        // among those that peers started
  ByteVector request;                    // ping or user message, until it is written
  JoinId join{};                         // of kJoin
  std::string peer_name;                 // of kPushPull, for the log
  wire::SequenceNumber ping_sequence{};  // of kFallbackPing

 private:
  Purpose purpose_;
  Endpoint peer_;
  wire::StreamReader reader_;
};

}  // namespace serf::swim

#endif  // SERF_SWIM_STREAM_EXCHANGE_H_
