#ifndef SERF_TESTING_SIM_VIRTUAL_STREAMS_H_
#define SERF_TESTING_SIM_VIRTUAL_STREAMS_H_

// VirtualStreams: the TCP of a World. A connection has two directions. In each, all sent bytes
// arrive, in order, in pieces of any size. A dial to a crashed node is refused; a dial across a cut
// is retried until one side gives up. Only World uses it, and carries out the events.

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/inlined_vector.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "serf/base/bytes.h"
#include "serf/base/endpoint.h"
#include "serf/base/rng.h"
#include "serf/base/time.h"
#include "serf/swim/outbox.h"
#include "serf/testing/sim/link_model.h"

namespace serf::testkit {

class VirtualStreams {
 public:
  // Call Arrive(direction) at `at`.
  struct Due {
    Instant at;
    std::uint32_t direction;
  };
  using Dues = absl::InlinedVector<Due, 2>;

  enum class Host : std::uint8_t { kUp, kPaused, kDown };

  // What arrives at a node.
  struct Arrival {
    enum class Kind : std::uint8_t {
      kNothing,
      kHeld,    // the host is paused: call Arrive(direction) again when it continues
      kAccept,  // call Accepted or Rejected next
      kConnected,
      kBytes,
      kClosed,
    };
    Kind kind = Kind::kNothing;
    NodeId node;
    swim::StreamId stream;
    Endpoint from;                 // for kAccept
    std::uint32_t connection = 0;  // for kAccept
    ByteVector bytes;              // for kBytes
    absl::Status reason;           // for kClosed
    Dues due;
  };

  VirtualStreams(LinkModel& links, Rng& rng) : links_(links), rng_(rng) {}

  // --- what machines do --- `target` is empty if no node has the address.
  Dues Dial(Instant now, NodeId node, swim::StreamId stream, const Endpoint& from,
            const Endpoint& to, std::optional<NodeId> target);
  Dues Write(Instant now, NodeId node, swim::StreamId stream, ByteView bytes);
  Dues Close(Instant now, NodeId node, swim::StreamId stream);
  Dues Accepted(Instant now, std::uint32_t connection, swim::StreamId stream);
  Dues Rejected(Instant now, std::uint32_t connection);
  // The process died, so its peers see a reset.
  Dues CrashNode(Instant now, NodeId node);

  // --- what happens ---
  Arrival Arrive(Instant now, std::uint32_t direction, const std::function<Host(NodeId)>& host);

  // Connections that live or have bytes on their way.
  std::size_t open() const { return connections_.size() - free_.size(); }

 private:
  struct Item {
    enum class Kind : std::uint8_t { kSyn, kConnected, kBytes, kFin };
    Kind kind = Kind::kBytes;
    bool asked = false;     // for kSyn: the machine knows of it
    bool answered = false;  // for kSyn: the handshake is complete
    Instant at = {};
    ByteVector bytes = {};
    absl::Status reason = {};
  };
  struct Direction {
    std::vector<Item> items;
    std::size_t head = 0;
    bool scheduled = false;
    Instant last{};
    Instant stalled_since = kNever;

    bool empty() const { return head == items.size(); }
    Item& front() { return items[head]; }
    Item Pop() {
      Item item = std::move(items[head++]);
      if (empty()) {
        items.clear();
        head = 0;
      }
      return item;
    }
  };
  struct Side {
    NodeId node;
    swim::StreamId stream;
    bool open = false;
  };
  struct Connection {
    bool used = false;
    bool target_exists = false;
    Endpoint from;
    Endpoint to;
    std::array<Side, 2> sides;            // the dialler, the acceptor
    std::array<Direction, 2> directions;  // from side 0, from side 1
  };
  using Key = std::pair<std::uint32_t, std::uint64_t>;

  // The longest piece. Real ones are shorter, but would be too many.
  static constexpr std::size_t kPieceMax = 16'384;
  // A real TCP retransmits for longer, but no machine waits so long.
  static constexpr Duration kStallMax = std::chrono::seconds(60);
  // The first retransmission of data, and of a dial, as in Linux. Each further one waits twice as
  // long.
  static constexpr Duration kRetransmit = std::chrono::milliseconds(200);
  static constexpr Duration kRetransmitDial = std::chrono::seconds(1);

  void Push(Instant now, std::uint32_t direction, Item item, Dues& dues);
  std::optional<std::uint32_t> FindSide(NodeId node, swim::StreamId stream) const {
    const auto it = sides_.find(Key{node.value(), stream.value()});
    if (it == sides_.end()) return std::nullopt;
    return it->second;
  }
  void CloseSide(std::uint32_t side) {
    Side& s = connections_[side / 2].sides[side % 2];
    if (!s.open) return;
    s.open = false;
    sides_.erase(Key{s.node.value(), s.stream.value()});
  }
  // Handles the front item of a direction that reached a host, which may be up or down.
  void Deliver(Instant now, std::uint32_t direction, Host host, Arrival& arrival);
  void Refuse(Instant now, std::uint32_t connection, Dues& dues);
  void FreeIfDone(std::uint32_t connection);

  LinkModel& links_;
  Rng& rng_;
  std::vector<Connection> connections_;
  std::vector<std::uint32_t> free_;
  absl::flat_hash_map<Key, std::uint32_t> sides_;  // connection * 2 + side; only looked up
};

// --- bodies ---

inline void VirtualStreams::Push(Instant now, std::uint32_t direction, Item item, Dues& dues) {
  Direction& d = connections_[direction / 2].directions[direction % 2];
  item.at = std::max(d.last, now + links_.Latency(rng_));
  d.last = item.at;
  const Instant at = item.at;
  d.items.push_back(std::move(item));
  if (d.scheduled) return;
  d.scheduled = true;
  dues.push_back({at, direction});
}

inline VirtualStreams::Dues VirtualStreams::Dial(Instant now, NodeId node, swim::StreamId stream,
                                                 const Endpoint& from, const Endpoint& to,
                                                 std::optional<NodeId> target) {
  ++links_.counters().dials;
  std::uint32_t index = static_cast<std::uint32_t>(connections_.size());
  if (free_.empty()) {
    connections_.emplace_back();
  } else {
    index = free_.back();
    free_.pop_back();
  }
  Connection& c = connections_[index];
  c = Connection();
  c.used = true;
  c.target_exists = target.has_value();
  c.from = from;
  c.to = to;
  c.sides[0] = {node, stream, true};
  c.sides[1] = {target.value_or(node), {}, false};
  sides_[Key{node.value(), stream.value()}] = index * 2;
  if (target && !links_.Reaches(node, *target)) ++links_.counters().dials_cut;
  Dues dues;
  Push(now, index * 2, {.kind = Item::Kind::kSyn}, dues);
  return dues;
}

inline VirtualStreams::Dues VirtualStreams::Write(Instant now, NodeId node, swim::StreamId stream,
                                                  ByteView bytes) {
  Dues dues;
  const auto side = FindSide(node, stream);
  if (!side) return dues;
  while (!bytes.empty()) {
    std::size_t size = std::min(bytes.size(), kPieceMax);
    // A reader must not rely on pieces, so some are cut anywhere.
    if (rng_.Below(4) == 0) size = 1 + static_cast<std::size_t>(rng_.Below(size));
    Item item;
    item.bytes.assign(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size));
    Push(now, *side, std::move(item), dues);
    bytes = bytes.subspan(size);
  }
  return dues;
}

inline VirtualStreams::Dues VirtualStreams::Close(Instant now, NodeId node, swim::StreamId stream) {
  Dues dues;
  const auto side = FindSide(node, stream);
  if (!side) return dues;
  CloseSide(*side);
  Push(now, *side, {.kind = Item::Kind::kFin}, dues);
  return dues;
}

inline VirtualStreams::Dues VirtualStreams::Accepted(Instant now, std::uint32_t connection,
                                                     swim::StreamId stream) {
  Connection& c = connections_[connection];
  c.sides[1].stream = stream;
  c.sides[1].open = true;
  sides_[Key{c.sides[1].node.value(), stream.value()}] = connection * 2 + 1;
  Dues dues;
  if (!std::exchange(c.directions[0].front().answered, true)) {
    Push(now, connection * 2 + 1, {.kind = Item::Kind::kConnected}, dues);
  }
  return dues;
}

inline VirtualStreams::Dues VirtualStreams::Rejected(Instant now, std::uint32_t connection) {
  Dues dues;
  if (!std::exchange(connections_[connection].directions[0].front().answered, true)) {
    Push(now, connection * 2 + 1, {.kind = Item::Kind::kConnected}, dues);
  }
  Push(now, connection * 2 + 1, {.kind = Item::Kind::kFin}, dues);
  return dues;
}

inline VirtualStreams::Dues VirtualStreams::CrashNode(Instant now, NodeId node) {
  Dues dues;
  for (std::uint32_t i = 0; i < connections_.size(); ++i) {
    for (std::uint32_t side = 0; side < 2; ++side) {
      const Side& s = connections_[i].sides[side];
      if (!connections_[i].used || !s.open || s.node != node) continue;
      ++links_.counters().streams_reset;
      CloseSide(i * 2 + side);
      Item fin{.kind = Item::Kind::kFin};
      fin.reason = absl::UnavailableError("connection reset by peer");
      Push(now, i * 2 + side, std::move(fin), dues);
    }
  }
  return dues;
}

inline void VirtualStreams::Refuse(Instant now, std::uint32_t connection, Dues& dues) {
  ++links_.counters().dials_refused;
  Item fin{.kind = Item::Kind::kFin};
  fin.reason = absl::UnavailableError(absl::StrCat(
      "dial tcp ", connections_[connection].to.ToString(), ": connect: connection refused"));
  Push(now, connection * 2 + 1, std::move(fin), dues);
}

inline VirtualStreams::Arrival VirtualStreams::Arrive(Instant now, std::uint32_t direction,
                                                      const std::function<Host(NodeId)>& host) {
  Arrival arrival;
  const std::uint32_t index = direction / 2;
  Connection& c = connections_[index];
  Direction& d = c.directions[direction % 2];
  const Side& sender = c.sides[direction % 2];
  const Side& receiver = c.sides[1 - direction % 2];
  if (d.empty()) {
    d.scheduled = false;
    FreeIfDone(index);
    return arrival;
  }
  arrival.node = receiver.node;
  if (c.target_exists && !links_.Reaches(sender.node, receiver.node)) {
    if (d.stalled_since == kNever) d.stalled_since = now;
    if (now - d.stalled_since < kStallMax && (sender.open || receiver.open)) {
      const Duration first = d.front().kind == Item::Kind::kSyn ? kRetransmitDial : kRetransmit;
      arrival.due.push_back({now + (now - d.stalled_since) + first, direction});
      return arrival;
    }
    // The sender's TCP gives up, and the receiver learns nothing.
    d.items.clear();
    d.head = 0;
    d.scheduled = false;
    if (sender.open) {
      arrival.kind = Arrival::Kind::kClosed;
      arrival.node = sender.node;
      arrival.stream = sender.stream;
      arrival.reason = absl::DeadlineExceededError("connection timed out");
      CloseSide(direction);
    }
    FreeIfDone(index);
    return arrival;
  }
  d.stalled_since = kNever;
  const Host state = c.target_exists ? host(receiver.node) : Host::kDown;
  if (state == Host::kPaused) {
    if (d.front().kind == Item::Kind::kSyn && !std::exchange(d.front().answered, true)) {
      Push(now, index * 2 + 1, {.kind = Item::Kind::kConnected}, arrival.due);
    }
    arrival.kind = Arrival::Kind::kHeld;
    return arrival;
  }
  if (state == Host::kUp && d.front().kind == Item::Kind::kSyn &&
      !std::exchange(d.front().asked, true)) {
    // Accepted or Rejected read the item, which stays until the direction is due again.
    arrival.kind = Arrival::Kind::kAccept;
    arrival.connection = index;
    arrival.from = c.from;
    arrival.due.push_back({now, direction});
    return arrival;
  }
  Deliver(now, direction, state, arrival);
  if (d.empty()) {
    d.scheduled = false;
    FreeIfDone(index);
  } else {
    arrival.due.push_back({std::max(now, d.front().at), direction});
  }
  return arrival;
}

inline void VirtualStreams::Deliver(Instant now, std::uint32_t direction, Host host,
                                    Arrival& arrival) {
  Connection& c = connections_[direction / 2];
  const std::uint32_t receiver_side = direction ^ 1u;
  const Side& receiver = c.sides[1 - direction % 2];
  Item item = c.directions[direction % 2].Pop();
  if (host == Host::kDown) {
    if (item.kind == Item::Kind::kSyn) Refuse(now, direction / 2, arrival.due);
    return;
  }
  if (!receiver.open) return;
  arrival.stream = receiver.stream;
  switch (item.kind) {
    case Item::Kind::kSyn:
      return;
    case Item::Kind::kConnected:
      arrival.kind = Arrival::Kind::kConnected;
      return;
    case Item::Kind::kBytes:
      arrival.kind = Arrival::Kind::kBytes;
      arrival.bytes = std::move(item.bytes);
      return;
    case Item::Kind::kFin:
      arrival.kind = Arrival::Kind::kClosed;
      arrival.reason = std::move(item.reason);
      CloseSide(receiver_side);
      return;
  }
}

inline void VirtualStreams::FreeIfDone(std::uint32_t connection) {
  Connection& c = connections_[connection];
  if (!c.used || c.sides[0].open || c.sides[1].open) return;
  for (const Direction& d : c.directions) {
    if (d.scheduled || !d.empty()) return;
  }
  c = Connection();
  free_.push_back(connection);
}

}  // namespace serf::testkit

#endif  // SERF_TESTING_SIM_VIRTUAL_STREAMS_H_
