// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_SWIM_PACKET_BACKLOG_H_
#define SERF_SWIM_PACKET_BACKLOG_H_

// PacketBacklog: waiting messages of packets that hold more than one turn may take. A sender's
// messages keep their order, and those of other senders do not wait for them. Packets of ordinary
// nodes never come here.
//
//   if (backlog.Waits(from) || portion.empty()) backlog.Add(from, type, body, spread);  // else:
//   now backlog.Run(portion, [&](const Endpoint&, MessageType, ByteView body, Spread) { ... });
//
// It copies the messages, and holds no memory while none waits.

#include <algorithm>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <iterator>
#include <type_traits>
#include <utility>
#include <vector>

#include "serf/base/bytes.h"
#include "serf/base/endpoint.h"
#include "serf/base/portion.h"
#include "serf/swim/broadcast_queue.h"
#include "serf/wire/message_type.h"
#include "serf/wire/packet.h"

namespace serf::swim {

class PacketBacklog {
 public:
  // The cost of a message besides its bytes: handling, answering or reporting it takes up to 10 us.
  static constexpr std::size_t kMessageCost = 2048;
  // The most waiting bytes of an address: those of the largest packet.
  static constexpr std::size_t kShareMax = wire::kPacketInflatedMax + wire::kDatagramMax;
  // The most waiting bytes of all addresses: a flood has forged addresses, so that a share does not
  // limit it.
  static constexpr std::size_t kBytesMax = 4 * kShareMax;
  // The most addresses with waiting messages. Each sent a packet that one turn could not take.
  static constexpr std::size_t kSendersMax = 64;

  static constexpr std::size_t CostOf(ByteView body) { return kMessageCost + body.size(); }

  bool empty() const { return queues_.empty(); }

  // True if messages from this address wait: further ones must wait, too.
  bool Waits(const IpAddress& from) const;

  // Takes a copy to the end of its sender's messages; false if there is no room.
  bool Add(const Endpoint& from, wire::MessageType type, ByteView body, Spread spread);

  // Calls handle(from, type, body, spread) for messages of one sender until the portion is used up
  // or none is left; the next call continues with the next sender. `handle` must not call the
  // backlog.
  template <typename Handle>
  void Run(Portion& portion, Handle&& handle);

  // The waiting bytes, with the overhead of keeping them.
  std::size_t bytes() const { return bytes_; }
  // The memory that they occupy.
  std::size_t memory_bytes() const {
    std::size_t total = 0;
    for (const Queue& queue : queues_) total += queue.messages.capacity();
    return total;
  }

 private:
  struct Head {
    Endpoint from;
    std::uint32_t size;
    wire::MessageType type;
    Spread spread;
  };
  static_assert(std::is_trivially_copyable_v<Head>);
  // The waiting messages of one address.
  struct Queue {
    IpAddress from;
    ByteVector messages;  // each behind its Head
    std::size_t next = 0;
  };

  template <typename Queues>
  static auto Find(Queues& queues, const IpAddress& from) {
    return std::find_if(queues.begin(), queues.end(),
                        [&](const Queue& queue) { return SameHost(queue.from, from); });
  }

  std::vector<Queue> queues_;  // in turn
  std::size_t bytes_ = 0;
};

inline bool PacketBacklog::Waits(const IpAddress& from) const {
  return Find(queues_, from) != queues_.end();
}

inline bool PacketBacklog::Add(const Endpoint& from, wire::MessageType type, ByteView body,
                               Spread spread) {
  const std::size_t size = sizeof(Head) + body.size();
  if (bytes_ + size > kBytesMax) return false;
  auto queue = Find(queues_, from.address);
  if (queue == queues_.end()) {
    if (queues_.size() >= kSendersMax) return false;
    queues_.push_back({.from = from.address, .messages = {}});
    queue = std::prev(queues_.end());
  } else if (queue->messages.size() - queue->next + size > kShareMax) {
    return false;
  }
  const Head head{from, static_cast<std::uint32_t>(body.size()), type, spread};
  const std::size_t at = queue->messages.size();
  queue->messages.resize(at + size);
  std::memcpy(queue->messages.data() + at, &head, sizeof(head));
  std::copy(body.begin(), body.end(), queue->messages.data() + at + sizeof(head));
  bytes_ += size;
  return true;
}

template <typename Handle>
void PacketBacklog::Run(Portion& portion, Handle&& handle) {
  while (!queues_.empty() && !portion.empty()) {
    Queue& queue = queues_.front();
    while (queue.next < queue.messages.size() && !portion.empty()) {
      Head head;
      std::memcpy(&head, queue.messages.data() + queue.next, sizeof(head));
      const ByteView body = ByteView(queue.messages).subspan(queue.next + sizeof(head), head.size);
      portion.Spend(CostOf(body));
      handle(std::as_const(head.from), head.type, body, head.spread);
      queue.next += sizeof(head) + head.size;
      bytes_ -= sizeof(head) + head.size;
    }
    Queue rest = std::move(queue);
    queues_.erase(queues_.begin());
    if (rest.next == rest.messages.size()) continue;
    if (rest.next > rest.messages.size() / 2) {
      rest.messages.erase(rest.messages.begin(),
                          rest.messages.begin() + static_cast<std::ptrdiff_t>(rest.next));
      rest.next = 0;
    }
    queues_.push_back(std::move(rest));
  }
}

}  // namespace serf::swim

#endif  // SERF_SWIM_PACKET_BACKLOG_H_
