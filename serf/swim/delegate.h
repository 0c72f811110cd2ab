// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_SWIM_DELEGATE_H_
#define SERF_SWIM_DELEGATE_H_

// Delegate: what the membership layer reports to, and asks of, the layer above it (the Serf layer;
// a test). The membership layer calls it synchronously within an input of swim::Node. A method may
// read the Node's views and call its SendBestEffort, SendReliable and WakeGossip, and nothing else
// of it. Source: docs/protocol/membership.md 7.8.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "serf/base/bytes.h"
#include "serf/base/endpoint.h"
#include "serf/base/portion.h"
#include "serf/base/time.h"
#include "serf/swim/broadcast_queue.h"
#include "serf/swim/node_info.h"
#include "serf/wire/swim_messages.h"

namespace serf::swim {

// What an admission filter (Config::alive_filter, merge_filter) sees of a remote node. The views
// are valid during the call. `meta` holds the tags; DecodeTags() reads them.
struct RemoteNode {
  absl::string_view name;
  Endpoint endpoint;
  ByteView meta;
  wire::VersionVector versions;
  NodeState state = NodeState::kAlive;
};

// The layer above's part of a push/pull.
struct RemoteState {
  ByteView bytes;        // never empty
  bool join = false;     // the header's flag
  bool dialled = false;  // this node dialled: it chose the peer
  Endpoint peer;         // the stream's other end
  bool first = true;     // the first call with this state; any unfinished one before was given up
};

// Builds the layer above's part of a push/pull, in portions.
class StateWriter {
 public:
  virtual ~StateWriter() = default;
  // Appends to `out`, which is the same object each time. False if the portion is used up before
  // the state is complete: the SWIM layer then calls it again in another turn of the loop.
  virtual bool Continue(Portion& portion, ByteVector& out) = 0;
};

// A writer for a short state, which is complete at once.
class ShortState final : public StateWriter {
 public:
  explicit ShortState(ByteVector bytes) : bytes_(std::move(bytes)) {}
  bool Continue(Portion&, ByteVector& out) override {
    Append(out, bytes_);
    return true;
  }

 private:
  ByteVector bytes_;
};

class Delegate {
 public:
  virtual ~Delegate() = default;

  // --- membership events; `member` stays valid until the member is purged ---

  // A node became alive that was unknown, dead or left.
  virtual void OnNodeJoin(Instant now, MemberIndex member) = 0;
  // A node was declared dead, or left; Node::state(member) says which.
  virtual void OnNodeLeave(Instant now, MemberIndex member) = 0;
  // The metadata of a node changed.
  virtual void OnNodeUpdate(Instant now, MemberIndex member) = 0;
  // The SWIM layer forgets a dead or left node. Its index can be read during the call for the last
  // time, and will be reused.
  virtual void OnNodePurged(Instant now, MemberIndex member) = 0;
  // Another endpoint claims the name of a living member.
  virtual void OnConflict(Instant now, MemberIndex existing, const Endpoint& other) = 0;

  // Whether the member has announced that it is about to leave. The departure of a member that has
  // not is believed only a moment later: it could belong to an earlier life.
  virtual bool ExpectsDeparture(MemberIndex member) const {
    static_cast<void>(member);
    return true;
  }

  // --- messages ---

  // A user message, from a datagram or a stream. It may be empty, but an empty one before another
  // message of a datagram is a mark (told_mark.h), and does not come here. The bytes are valid
  // during the call only. `spread`: how far the message goes if this node passes it on.
  virtual void OnUserMessage(Instant now, const Endpoint& from, ByteView message,
                             Spread spread) = 0;

  // Appends user messages to `parts` while they fit: each costs its size plus `overhead` of
  // `budget`. The SWIM layer calls it when it fills a packet. It counts as one transmission of each
  // message, or as one to each target of a wave. A further packet for the same target must not hold
  // the messages of the packets before. The views must stay valid until the input ends. Returns the
  // bytes used, overheads included.
  virtual std::size_t DrawBroadcasts(std::size_t overhead, std::size_t budget,
                                     std::vector<ByteView>& parts,
                                     BroadcastQueue::Packet packet) = 0;
  // Messages that wait in the queues behind DrawBroadcasts.
  virtual BroadcastsWaiting QueuedBroadcasts() const = 0;

  // --- push/pull ---

  // Begins the user state for a push/pull, as of now or of the turns until it is complete. The SWIM
  // layer may destroy the writer earlier. Must not be null.
  virtual std::unique_ptr<StateWriter> WriteLocalState(bool join) = 0;
  // A number that changes whenever WriteLocalState() would write other bytes; nothing if that is
  // not known. It saves building the state only to find out whether it changed.
  virtual std::optional<std::uint64_t> LocalStateVersion() const { return std::nullopt; }
  // Merges a portion of the state: true when all of it is merged. Until then the SWIM layer calls
  // it again, once a turn, with the same bytes at the same address. Only one state is merged at a
  // time. A stream that closes may end a state before its last call, and then the bytes are gone;
  // see RemoteState::first.
  virtual bool MergeRemoteState(Instant now, const RemoteState& state) = 0;

  // --- probes ---

  // Appends the payload of the acknowledgement of a direct ping (network coordinates).
  virtual void AppendAckPayload(ByteVector& out) = 0;
  // A direct ping was answered after `rtt` within the probe timeout.
  virtual void OnPingComplete(Instant now, MemberIndex member, Duration rtt, ByteView payload) = 0;

  // --- own broadcasts ---

  // The SWIM layer may call both within Node::Leave() and Node::UpdateMeta() themselves.

  // The broadcast of this node's departure was sent for the last time, or replaced. With prompt
  // gossip: it left in a wave; repeats follow while the node still runs.
  virtual void OnLeaveBroadcast(Instant now) = 0;
  // The same for the announcement of UpdateMeta().
  virtual void OnUpdateBroadcast(Instant now) = 0;
};

}  // namespace serf::swim

#endif  // SERF_SWIM_DELEGATE_H_
