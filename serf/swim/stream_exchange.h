#ifndef SERF_SWIM_STREAM_EXCHANGE_H_
#define SERF_SWIM_STREAM_EXCHANGE_H_

// StreamExchange: what a node keeps of one stream: one request and at most one answer. The table
// of all of them, which acts on it, is in streams.h. Source: spec/memberlist.md 3.

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "serf/base/bytes.h"
#include "serf/base/endpoint.h"
#include "serf/base/time.h"
#include "serf/base/timer_heap.h"
#include "serf/swim/node_context.h"
#include "serf/swim/outbox.h"
#include "serf/wire/ids.h"
#include "serf/wire/stream_frame.h"

namespace serf::swim {

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

  Purpose purpose() const { return purpose_; }
  bool accepted() const { return purpose_ == Purpose::kAccepted; }
  const Endpoint& peer() const { return peer_; }
  wire::StreamReader& reader() { return reader_; }

  // Bytes that were received, about as much as the reader holds.
  std::size_t received() const { return received_; }
  wire::StreamStatus Feed(ByteView bytes) {
    received_ += bytes.size();
    return reader_.Feed(bytes);
  }

  // --- kept for the table ---
  TimerHandle timer;
  bool connected = false;
  bool counted_push_pull = false;        // among those that peers started
  ByteVector request;                    // ping or user message, until it is written
  RequestId join{};                      // of kJoin
  std::string peer_name;                 // of kPushPull, for the log
  wire::SequenceNumber ping_sequence{};  // of kFallbackPing

 private:
  Purpose purpose_;
  Endpoint peer_;
  wire::StreamReader reader_;
  std::size_t received_ = 0;
};

}  // namespace serf::swim

#endif  // SERF_SWIM_STREAM_EXCHANGE_H_
