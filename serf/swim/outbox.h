// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_SWIM_OUTBOX_H_
#define SERF_SWIM_OUTBOX_H_

// Outbox: the effects of one or more inputs on the network, in order. The driver lends one to every
// input of the machine, carries the effects out, and clears it. In the steady state nothing is
// allocated.
//
//   node.OnDatagram(now, from, bytes, out);
//   for (const Outbox::Datagram& d : out.datagrams()) socket.Send(d.to, out.bytes(d));
//   for (const Outbox::StreamOp& op : out.stream_ops()) ...
//   out.Clear();
//
// An application that uses transport::Host never sees it. A driver may drop, delay or reorder
// datagrams, as a network does; it must carry out the operations on a stream in order. Bytes and
// views are valid until the next input or Clear(). Not thread-safe; neither are the machines.

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "serf/base/bytes.h"
#include "serf/base/endpoint.h"
#include "serf/base/newtype.h"
#include "serf/wire/msgpack.h"
#include "serf/wire/packet.h"

namespace serf::swim {

// Names a TCP connection, dialled or accepted. The machine gives the numbers out, and never uses
// one twice.
using StreamId = Newtype<struct StreamIdTag, std::uint64_t>;

// Buffers in which the machine takes packets apart and puts them together. They hold nothing
// between inputs.
struct PacketWorkspace {
  wire::PacketScratch packet;
  wire::DecodeScratch decode;        // of the message being handled
  ByteVector message;                // the message to send, without the broadcasts on it
  ByteVector compound;               // the same with the broadcasts on it
  ByteVector user_messages;          // drawn from the delegate, with their type byte
  ByteVector payload;                // of an acknowledgement
  std::vector<ByteView> parts;       // of a compound
  std::vector<ByteView> user_parts;  // as drawn from the delegate
};

class Outbox {
 public:
  // A range of the outbox's bytes; see bytes().
  struct Slice {
    std::size_t offset = 0;
    std::size_t size = 0;
  };

  struct Datagram {
    Endpoint to;
    Slice slice;
  };

  // What to do with a stream. The driver carries the operations out in this order.
  struct StreamOp {
    enum class Kind : std::uint8_t {
      // Connect to `to`. The driver answers with OnStreamConnected(), or with OnStreamClosed() and
      // the reason.
      kDial,
      // Write the slice. The machine never waits for the end of a write.
      kWrite,
      // Send what was written, then close. The driver calls no input for this stream afterwards.
      kClose,
    };
    Kind kind = Kind::kClose;
    StreamId stream;
    Endpoint to;
    Slice slice;
  };

  // The effects, in order.
  const std::vector<Datagram>& datagrams() const { return datagrams_; }
  const std::vector<StreamOp>& stream_ops() const { return stream_ops_; }

  // The bytes to send. Valid until the next input or Clear().
  ByteView bytes(Slice slice) const { return ByteView(arena_).subspan(slice.offset, slice.size); }
  ByteView bytes(const Datagram& datagram) const { return bytes(datagram.slice); }
  ByteView bytes(const StreamOp& op) const { return bytes(op.slice); }

  // Empties the outbox and keeps its memory, up to kArenaKeepMax bytes per buffer.
  void Clear() {
    datagrams_.clear();
    stream_ops_.clear();
    Trim(arena_);
    if (workspace_ == nullptr) return;
    Trim(workspace_->message);
    Trim(workspace_->compound);
    Trim(workspace_->payload);
  }

  // --- for the machine ---

  // Made on first use, then kept.
  PacketWorkspace& workspace() {
    if (workspace_ == nullptr) workspace_ = std::make_unique<PacketWorkspace>();
    return *workspace_;
  }

  // Append bytes to arena() between a BeginSlice() and the call that uses its result.
  ByteVector& arena() { return arena_; }
  std::size_t BeginSlice() const { return arena_.size(); }

  // What was appended since `begin`.
  Slice EndSlice(std::size_t begin) const { return {begin, arena_.size() - begin}; }

  // Sends a slice as one datagram. The same slice may go to several addresses.
  void SendDatagram(const Endpoint& to, Slice slice) {
    assert(slice.size > 0);
    datagrams_.push_back({to, slice});
  }

  void DialStream(StreamId stream, const Endpoint& to) {
    stream_ops_.push_back({StreamOp::Kind::kDial, stream, to, {}});
  }

  // Writes what was appended since `begin`.
  void WriteStream(StreamId stream, std::size_t begin) {
    assert(begin <= arena_.size());
    stream_ops_.push_back({StreamOp::Kind::kWrite, stream, {}, EndSlice(begin)});
  }

  void CloseStream(StreamId stream) {
    stream_ops_.push_back({StreamOp::Kind::kClose, stream, {}, {}});
  }

 private:
  // A push/pull of a large cluster may need megabytes once. The outbox does not keep them forever.
  static constexpr std::size_t kArenaKeepMax = 128 << 10;

  static void Trim(ByteVector& bytes) {
    bytes.clear();
    if (bytes.capacity() > kArenaKeepMax) bytes.shrink_to_fit();
  }

  std::vector<Datagram> datagrams_;
  std::vector<StreamOp> stream_ops_;
  ByteVector arena_;
  std::unique_ptr<PacketWorkspace> workspace_;
};

}  // namespace serf::swim

#endif  // SERF_SWIM_OUTBOX_H_
