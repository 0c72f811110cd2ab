// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_SWIM_INDIRECT_PINGS_H_
#define SERF_SWIM_INDIRECT_PINGS_H_

// IndirectPings: the pings that this node sends on behalf of others (SWIM's ping-req). The table
// remembers for the probe timeout which node asked under which number. If an acknowledgement comes
// in that time, it goes back to the asker; otherwise a nack does, if the asker wants one. Source:
// docs/protocol/membership.md 5.3.
//
// All entries live equally long, so they end in the order of their arrival: a ring suffices.

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "serf/base/endpoint.h"
#include "serf/base/time.h"
#include "serf/wire/ids.h"

namespace serf::swim {

struct IndirectPing {
  wire::SequenceNumber own;        // of the ping that this node sends
  wire::SequenceNumber requested;  // of the asker
  Endpoint asker;
  Endpoint target;
  Instant deadline;
  bool nack_wanted = false;
  bool asker_is_member = false;  // broadcasts may ride on the answer to it
  bool target_only = false;      // only an acknowledgement from `target` itself counts
  bool done = false;             // acknowledged
};

class IndirectPings {
 public:
  // A node of a large cluster helps three probes per second on average. The limit is what keeps a
  // flood of requests from using memory; it allows for a thousand times that rate.
  static constexpr std::size_t kIndirectPingsMax = 1024;

  // False if the table is full: drop the request. Deadlines must not descend.
  bool Add(const IndirectPing& ping);

  // Takes the entry whose ping was acknowledged; nothing if the number is unknown, or if the entry
  // waits for another source.
  std::optional<IndirectPing> Acknowledge(wire::SequenceNumber own, const Endpoint& from);

  // The earliest deadline; kNever if there is none.
  Instant NextDeadline() const { return size_ == 0 ? kNever : At(0).deadline; }

  // Takes an entry that ended at `now` or before without an acknowledgement; nothing if there is
  // none left. Call it until it returns nothing.
  std::optional<IndirectPing> TakeExpired(Instant now);

  std::size_t size() const { return size_; }

 private:
  static constexpr std::size_t kFirstCapacity = 16;

  const IndirectPing& At(std::size_t i) const { return ring_[(head_ + i) % ring_.size()]; }
  IndirectPing& At(std::size_t i) { return ring_[(head_ + i) % ring_.size()]; }
  void PopFront() {
    head_ = (head_ + 1) % ring_.size();
    --size_;
  }
  // Done entries at the front would wake the driver in vain.
  void DropDoneFront() {
    while (size_ > 0 && At(0).done) PopFront();
  }
  void Grow();

  std::vector<IndirectPing> ring_;
  std::size_t head_ = 0;
  std::size_t size_ = 0;
};

inline bool IndirectPings::Add(const IndirectPing& ping) {
  if (size_ == kIndirectPingsMax) return false;
  assert(size_ == 0 || At(size_ - 1).deadline <= ping.deadline);
  if (size_ == ring_.size()) Grow();
  ++size_;
  At(size_ - 1) = ping;
  return true;
}

inline std::optional<IndirectPing> IndirectPings::Acknowledge(wire::SequenceNumber own,
                                                              const Endpoint& from) {
  // Numbers ascend along the ring, modulo 2^32: the distance to the first one is sorted.
  std::size_t low = 0;
  std::size_t high = size_;
  while (low < high) {
    const std::size_t middle = low + (high - low) / 2;
    const std::uint32_t base = At(0).own.value();
    if (At(middle).own.value() - base < own.value() - base) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  if (low == size_ || At(low).own != own || At(low).done) return std::nullopt;
  if (At(low).target_only && !SameHostAndPort(At(low).target, from)) return std::nullopt;
  At(low).done = true;
  const IndirectPing found = At(low);
  DropDoneFront();
  return found;
}

inline std::optional<IndirectPing> IndirectPings::TakeExpired(Instant now) {
  DropDoneFront();
  if (size_ == 0 || now < At(0).deadline) return std::nullopt;
  const IndirectPing expired = At(0);
  PopFront();
  DropDoneFront();
  return expired;
}

inline void IndirectPings::Grow() {
  std::vector<IndirectPing> larger(ring_.empty() ? kFirstCapacity : ring_.size() * 2);
  for (std::size_t i = 0; i < size_; ++i) larger[i] = At(i);
  ring_ = std::move(larger);
  head_ = 0;
}

}  // namespace serf::swim

#endif  // SERF_SWIM_INDIRECT_PINGS_H_
