// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_SWIM_BROADCAST_QUEUE_H_
#define SERF_SWIM_BROADCAST_QUEUE_H_

// BroadcastQueue: messages that wait to be gossiped, each a limited number of times
// (docs/protocol/membership.md 6.1). The SWIM layer has one queue for membership messages; the Serf
// layer has one each for intents, user events and queries.
//
//   queue.Enqueue("node-7", message);           // replaces what was queued about node-7
//   queue.Draw(limit, 2, budget, parts);        // fills a packet; counts one transmission of each
//   for (auto token : queue.finished()) ...;    // messages whose end somebody waits for
//   queue.ClearFinished();
//
// The order is Go Serf's: fewest transmissions, then longest, then newest. With Order::kWaves it is
// fewest transmissions, then oldest, and fresh messages leave in waves: a packet of a wave goes to
// several targets. So a stream of news arrives in order
// (docs/decisions/0003-prompt-gossip.md).
//
// Operations take O(log n). The queue is a treap over slots with reused buffers, so that a steady
// queue allocates nothing. One thread.

#include <algorithm>
#include <bit>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/hash/hash.h"
#include "absl/strings/string_view.h"
#include "serf/base/bytes.h"
#include "serf/base/time.h"
#include "serf/swim/packet_lead.h"

namespace serf::swim {

// How far this node spreads a message that it queues (docs/decisions/0003-prompt-gossip.md).
enum class Spread : std::uint8_t {
  kRepeats,  // in repeats only: its sender tells everybody itself
  kRing,     // in a wave to some members, who pass it on
  kAll,      // in a wave to all members: it is this node's own
};

// What packet a draw from a BroadcastQueue fills.
struct BroadcastPacket {
  // How many targets it goes to.
  int copies() const {
    if (to_all > 0) return static_cast<int>(to_all);
    return wave == 0 ? 1 : std::popcount(wave);
  }

  // A further packet for the same target: it must not hold the messages of the packets before.
  bool further = false;
  // The target's place among the `places` that the sender walks through, at most
  // BroadcastQueue::kPlacesMax; with `places` zero it has none. A message goes to each place once
  // before it goes to any place again, however long the queue is.
  std::uint8_t place = 0;
  std::uint8_t places = 0;
  // A packet of a wave: a bit for the place of each target. Zero: a packet for one target.
  std::uint32_t wave = 0;
  // A packet of a wave to all members: how many there are. Places do not matter then.
  std::size_t to_all = 0;
  bool is_wave() const { return wave != 0 || to_all > 0; }
  // A wave that goes to every live peer: repeats only make up for losses.
  bool everybody = false;
  // The fresh messages that a wave takes, by how far they spread.
  Spread most = Spread::kAll;
  Spread least = Spread::kRing;
  // The bytes that an empty packet holds; for waves.
  std::size_t capacity = 0;
  // When the wave leaves; a message that left in a later wave is not repeated yet. A repeat takes a
  // shorter way than the wave, and would overtake the messages before it.
  Instant wave_at{};
  // What fills the packet first.
  PacketLead lead;
};

// What waits in a queue, or in several.
struct BroadcastsWaiting {
  std::size_t messages = 0;
  std::size_t fresh = 0;         // of these, those that wait for a wave
  std::size_t to_all = 0;        // of these, those for all members
  std::size_t to_all_bytes = 0;  // without overheads

  friend BroadcastsWaiting operator+(const BroadcastsWaiting& a, const BroadcastsWaiting& b) {
    return {a.messages + b.messages, a.fresh + b.fresh, a.to_all + b.to_all,
            a.to_all_bytes + b.to_all_bytes};
  }
};

class BroadcastQueue {
 public:
  // Names a caller that waits for the end of a message. The caller chooses the number. Zero: nobody
  // waits.
  using Token = std::uint64_t;

  using Packet = BroadcastPacket;
  static constexpr std::size_t kPlacesMax = 32;
  // Of messages without a subject that their sender sends to all, no more bytes of repeats than
  // this are kept: three packets with overheads, less than a round holds. More would take the room
  // of news in a flood. Of those with a subject there is one for each member at most, and who
  // misses one has a wrong view of a member, so they are repeated as often as any.
  static constexpr std::size_t kToldBytesMax = 3500;

  enum class Order : std::uint8_t {
    kTicks,  // Go Serf's, for all messages; no waves
    kWaves,  // fresh messages leave in waves
  };
  static constexpr Order OrderFor(bool waves) { return waves ? Order::kWaves : Order::kTicks; }

  // `max_messages`: the most messages in the queue; at least 1.
  explicit BroadcastQueue(std::size_t max_messages, Order order = Order::kTicks)
      : order_(order), max_(max_messages) {
    assert(max_ > 0);
  }
  BroadcastQueue(const BroadcastQueue&) = delete;
  BroadcastQueue& operator=(const BroadcastQueue&) = delete;

  // Queues a copy of `message`. A non-empty `subject` replaces the message queued about the same
  // subject; an empty one replaces none. When the queue is full, drops one of the most transmitted
  // messages (of these the shortest, of these the oldest; with kWaves the oldest), but never the
  // new one.
  //
  // With kWaves `spread` says whether the message leaves in a wave. One without a subject that its
  // sender sends to all (kRepeats) takes the place of one that was repeated, if kToldBytesMax of
  // repeats wait; if none of these was repeated, it is not queued.
  void Enqueue(absl::string_view subject, ByteView message, Token token = 0,
               Spread spread = Spread::kRing);

  // Drops the message about `subject`, if there is one.
  void Invalidate(absl::string_view subject);

  // Appends messages to `parts` in order while they fit in `budget` bytes, each costing its size
  // plus `overhead`, and counts a transmission of each. A message that was transmitted
  // `transmit_limit` times (at least once) is finished and dropped. The views stay valid until the
  // next Enqueue() or Clear(). Returns the bytes used, overheads included.
  //
  // With kWaves a packet of a wave holds fresh messages only, and any other packet only repeats.
  // The packet of a wave counts as a transmission to each of its targets. A wave to all never
  // counts as all transmissions: nobody passes it on, and if the packets of that moment are lost
  // together, one repeat spreads the message. A caller that waits for a message waits for its wave:
  // that went to as many members as one round of Go Serf.
  std::size_t Draw(int transmit_limit, std::size_t overhead, std::size_t budget,
                   std::vector<ByteView>& parts, Packet packet = {});

  // Drops the last messages in order while there are more than `max_messages`, and keeps that
  // limit.
  void SetMax(std::size_t max_messages);
  // Drops all messages.
  void Clear();

  // The tokens of messages that were transmitted for the last time (with kWaves: that left in a
  // wave), replaced or dropped since ClearFinished(), in the order of their ends.
  const std::vector<Token>& finished() const { return finished_; }
  void ClearFinished() { finished_.clear(); }

  std::size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  // Messages that were never sent; with kWaves those that wait for a wave.
  std::size_t fresh() const { return fresh_.messages; }
  BroadcastsWaiting waiting() const {
    return {size_, fresh_.messages, to_all_.messages, to_all_.bytes};
  }
  // The bytes of the messages that wait, without overheads.
  std::size_t message_bytes() const { return bytes_; }
  // Messages dropped because the queue was full, but for those that went to every live peer.
  std::uint64_t dropped() const { return dropped_; }

  // Messages in the order of transmission, for tests and checkers.
  struct Peek {
    absl::string_view subject;
    ByteView message;
    int transmits;
  };
  std::vector<Peek> PeekForTest();

 private:
  using Slot = std::uint32_t;
  static constexpr Slot kNil = 0xffffffffu;
  // A free slot keeps the memory of its last message up to this; a message larger than a packet is
  // rare.
  static constexpr std::size_t kSlotBytesKeepMax = 2048;
  // The most messages that a draw passes over because its target has had them. More would cost more
  // time than a fuller packet saves.
  static constexpr int kPassOverMax = 256;

  struct Entry {
    ByteVector message;
    std::string subject;
    Token token = 0;
    std::uint64_t id = 0;  // ascending; newer is larger
    std::uint64_t priority = 0;
    std::uint32_t transmits = 0;
    std::uint32_t places = 0;  // a bit for each place it went to in this round
    bool everybody = false;    // a wave of it went to every live peer
    // As it was queued until its wave leaves, then kRepeats.
    Spread spread = Spread::kRing;
    Instant wave_at{};
    Slot left = kNil;
    Slot right = kNil;
  };

  // The order of transmission: fewer transmits, longer, newer. For waves the spread is in place of
  // the length, and the id is inverted.
  struct Key {
    std::uint32_t transmits;
    std::size_t length;
    std::uint64_t id;

    friend bool operator<(const Key& a, const Key& b) {
      if (a.transmits != b.transmits) return a.transmits < b.transmits;
      if (a.length != b.length) return a.length > b.length;
      return a.id > b.id;
    }
  };

  struct SubjectHash {
    using is_transparent = void;
    const BroadcastQueue* queue;
    std::size_t operator()(absl::string_view s) const { return absl::HashOf(s); }
    std::size_t operator()(Slot s) const { return (*this)(queue->slots_[s].subject); }
  };
  struct SubjectEqual {
    using is_transparent = void;
    const BroadcastQueue* queue;
    bool operator()(Slot a, Slot b) const { return a == b; }
    bool operator()(Slot a, absl::string_view b) const { return queue->slots_[a].subject == b; }
    bool operator()(absl::string_view a, Slot b) const { return (*this)(b, a); }
  };

  static std::uint32_t BitOf(const Packet& packet) {
    return packet.places > 0 ? std::uint32_t{1} << packet.place : 0;
  }
  // Whether the target at the packet's place has had the message in this round. There may be fewer
  // places now than when it left: what all of those had begins another round.
  static bool HasHad(const Entry& e, const Packet& packet) {
    return (e.places & BitOf(packet)) != 0 && !AllHad(e, packet);
  }
  static bool AllHad(const Entry& e, const Packet& packet) {
    const auto all = static_cast<std::uint32_t>((std::uint64_t{1} << packet.places) - 1);
    return all != 0 && (e.places & all) == all;
  }
  Key KeyOf(Slot s) const {
    const Entry& e = slots_[s];
    if (order_ == Order::kWaves) return {e.transmits, static_cast<std::size_t>(e.spread), ~e.id};
    return {e.transmits, e.message.size(), e.id};
  }

  // --- the treap: a search tree by Key, a heap by priority ---
  void TreeInsert(Slot s);
  void TreeErase(Slot s);
  // Splits `tree` into what is before `key` and the rest.
  void Split(Slot tree, const Key& key, Slot& before, Slot& rest);
  Slot Join(Slot before, Slot rest);
  // The first message whose key is not before `key`; kNil if there is none.
  Slot LowerBound(const Key& key) const;
  // The first message with so many transmissions or more.
  Slot FirstOf(std::uint32_t transmits) const {
    return LowerBound({transmits, SIZE_MAX, UINT64_MAX});
  }
  // The first message behind `key`. Ids begin at 1.
  Slot After(const Key& key) const { return LowerBound({key.transmits, key.length, key.id - 1}); }
  Slot Last() const;
  // The message that counts least. The queue is not empty.
  Slot Least() const;
  // With kWaves: the first message with so many transmissions that spreads so far at most.
  Slot FirstOf(std::uint32_t transmits, Spread spread) const {
    return LowerBound({transmits, static_cast<std::size_t>(spread), UINT64_MAX});
  }

  std::size_t DrawInTicks(int transmit_limit, std::size_t overhead, std::size_t budget,
                          std::vector<ByteView>& parts, const Packet& packet);
  std::size_t DrawRepeats(int transmit_limit, std::size_t overhead, std::size_t budget,
                          std::vector<ByteView>& parts, const Packet& packet);
  std::size_t DrawWave(int transmit_limit, std::size_t overhead, std::size_t budget,
                       std::vector<ByteView>& parts, const Packet& packet);
  // The message is fresh no more.
  void EndWait(Entry& e);
  std::size_t repeat_bytes() const { return bytes_ - fresh_.bytes; }
  // Counts transmissions of the message in `s` to the places of `bits`, and sets it aside or ends
  // it.
  void CountTransmissions(Slot s, int transmit_limit, const Packet& packet, std::uint32_t bits);
  // Puts back the messages that draws have set aside.
  void Restore();
  // Ends the message in `s`, which is in no tree now; its bytes stay until the slot is used.
  void Finish(Slot s);
  // Drops the message that counts least; returns its slot.
  Slot DropLeast();
  // Drops messages because the queue is full.
  void DropDownTo(std::size_t size);

  std::vector<Entry> slots_;
  std::vector<Slot> free_;
  std::vector<Slot> aside_;  // drawn for the present target, and put back later
  absl::flat_hash_set<Slot, SubjectHash, SubjectEqual> subjects_{0, SubjectHash{this},
                                                                 SubjectEqual{this}};
  std::vector<Token> finished_;
  Slot root_ = kNil;
  const Order order_;
  std::size_t max_;
  std::size_t size_ = 0;
  std::size_t bytes_ = 0;
  struct Sum {
    void Add(std::size_t size) {
      ++messages;
      bytes += size;
    }
    void Remove(std::size_t size) {
      --messages;
      bytes -= size;
    }
    std::size_t messages = 0;
    std::size_t bytes = 0;
  };
  Sum fresh_;
  Sum to_all_;  // of these
  std::uint64_t next_id_ = 1;
  std::uint64_t dropped_ = 0;
};

inline void BroadcastQueue::Enqueue(absl::string_view subject, ByteView message, Token token,
                                    Spread spread) {
  Restore();
  Invalidate(subject);
  if (order_ == Order::kTicks) spread = Spread::kRing;
  const bool told = spread == Spread::kRepeats;
  if (told && subject.empty() && repeat_bytes() >= kToldBytesMax) {
    const Entry& least = slots_[Least()];
    if (least.transmits == 0 || !least.everybody) return;
    DropLeast();
  }
  DropDownTo(max_ - 1);
  Slot s = static_cast<Slot>(slots_.size());
  if (free_.empty()) {
    slots_.emplace_back();
  } else {
    s = free_.back();
    free_.pop_back();
  }
  Entry& e = slots_[s];
  if (e.message.capacity() > kSlotBytesKeepMax) ByteVector().swap(e.message);
  e.message.assign(message.begin(), message.end());
  e.subject.assign(subject.data(), subject.size());
  e.token = token;
  e.id = next_id_++;
  e.transmits = 0;
  e.places = 0;
  e.everybody = told;
  e.spread = spread;
  e.wave_at = {};
  // The finalizer of SplitMix64: the same tree for the same history, balanced on average.
  std::uint64_t z = e.id * 0x9e3779b97f4a7c15u;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  e.priority = z ^ (z >> 31);
  if (!subject.empty()) subjects_.insert(s);
  ++size_;
  bytes_ += message.size();
  if (spread >= Spread::kRing) fresh_.Add(message.size());
  if (spread == Spread::kAll) to_all_.Add(message.size());
  TreeInsert(s);
}

inline void BroadcastQueue::EndWait(Entry& e) {
  if (e.spread >= Spread::kRing) fresh_.Remove(e.message.size());
  if (e.spread == Spread::kAll) to_all_.Remove(e.message.size());
  e.spread = Spread::kRepeats;
}

inline void BroadcastQueue::Invalidate(absl::string_view subject) {
  if (subject.empty()) return;
  Restore();
  const auto it = subjects_.find(subject);
  if (it == subjects_.end()) return;
  const Slot s = *it;
  TreeErase(s);
  Finish(s);
}

inline std::size_t BroadcastQueue::Draw(int transmit_limit, std::size_t overhead,
                                        std::size_t budget, std::vector<ByteView>& parts,
                                        Packet packet) {
  assert(packet.places <= kPlacesMax && (packet.places == 0 || packet.place < packet.places));
  if (!packet.further) Restore();
  if (order_ == Order::kTicks) {
    assert(!packet.is_wave());
    return DrawInTicks(transmit_limit, overhead, budget, parts, packet);
  }
  return packet.is_wave() ? DrawWave(transmit_limit, overhead, budget, parts, packet)
                          : DrawRepeats(transmit_limit, overhead, budget, parts, packet);
}

inline std::size_t BroadcastQueue::DrawInTicks(int transmit_limit, std::size_t overhead,
                                               std::size_t budget, std::vector<ByteView>& parts,
                                               const Packet& packet) {
  const std::uint32_t bit = BitOf(packet);
  int passed_over = 0;
  std::size_t used = 0;
  Slot at = FirstOf(0);
  while (at != kNil && used + overhead < budget) {
    // `at` is the first of its transmit count; take the longest of this count that fit.
    const std::uint32_t transmits = slots_[at].transmits;
    Slot s = LowerBound({transmits, budget - used - overhead, UINT64_MAX});
    while (s != kNil && slots_[s].transmits == transmits) {
      const Entry& e = slots_[s];
      if (HasHad(e, packet)) {
        if (++passed_over > kPassOverMax) return used;
        s = After(KeyOf(s));
        continue;
      }
      const Key key = KeyOf(s);
      used += overhead + e.message.size();
      parts.push_back(e.message);
      CountTransmissions(s, transmit_limit, packet, bit);
      if (used + overhead >= budget) return used;
      // The next message in order, from the first that still fits.
      const std::size_t room = budget - used - overhead;
      s = room < key.length ? LowerBound({transmits, room, UINT64_MAX}) : After(key);
    }
    at = FirstOf(transmits + 1);
  }
  return used;
}

inline std::size_t BroadcastQueue::DrawRepeats(int transmit_limit, std::size_t overhead,
                                               std::size_t budget, std::vector<ByteView>& parts,
                                               const Packet& packet) {
  const std::uint32_t bit = BitOf(packet);
  int passed_over = 0;
  std::size_t used = 0;
  Slot s = FirstOf(0, Spread::kRepeats);
  while (s != kNil && used + overhead < budget) {
    const Entry& e = slots_[s];
    const Key key = KeyOf(s);
    if (e.wave_at > packet.wave_at) {
      s = FirstOf(e.transmits + 1);  // those behind it are younger
      continue;
    }
    if (!HasHad(e, packet) && used + overhead + e.message.size() <= budget) {
      used += overhead + e.message.size();
      parts.push_back(e.message);
      CountTransmissions(s, transmit_limit, packet, bit);
    } else if (++passed_over > kPassOverMax) {
      break;
    }
    s = After(key);
  }
  return used;
}

inline std::size_t BroadcastQueue::DrawWave(int transmit_limit, std::size_t overhead,
                                            std::size_t budget, std::vector<ByteView>& parts,
                                            const Packet& packet) {
  std::size_t used = 0;
  Slot s = FirstOf(0, packet.most);
  while (s != kNil && slots_[s].transmits == 0 && slots_[s].spread >= packet.least) {
    const Entry& e = slots_[s];
    const Key key = KeyOf(s);
    if (used + overhead + e.message.size() <= budget) {
      used += overhead + e.message.size();
      parts.push_back(e.message);
      CountTransmissions(s, transmit_limit, packet, packet.wave);
    } else if (overhead + e.message.size() <= packet.capacity) {
      // It waits for the next packet, and those behind it as well: they keep their order.
      break;
    } else {
      // No packet will ever hold it.
      ++dropped_;
      TreeErase(s);
      Finish(s);
    }
    s = After(key);
  }
  return used;
}

inline void BroadcastQueue::CountTransmissions(Slot s, int transmit_limit, const Packet& packet,
                                               std::uint32_t bits) {
  TreeErase(s);
  Entry& e = slots_[s];
  if (e.spread != Spread::kRepeats) {
    EndWait(e);
    e.wave_at = packet.wave_at;
  }
  e.transmits += static_cast<std::uint32_t>(packet.copies());
  if (packet.to_all > 0) {
    const int most = std::max(transmit_limit - 1, 1);
    e.transmits = std::min(e.transmits, static_cast<std::uint32_t>(most));
  }
  if (AllHad(e, packet)) e.places = 0;
  e.places |= bits;
  if (AllHad(e, packet)) e.places = 0;
  e.everybody = e.everybody || packet.everybody;
  const bool enough = e.everybody && e.subject.empty() && repeat_bytes() > kToldBytesMax;
  if (enough || static_cast<std::int64_t>(e.transmits) >= transmit_limit) return Finish(s);
  if (packet.is_wave() && e.token != 0) finished_.push_back(std::exchange(e.token, 0));
  aside_.push_back(s);
}

inline void BroadcastQueue::SetMax(std::size_t max_messages) {
  assert(max_messages > 0);
  Restore();
  max_ = max_messages;
  DropDownTo(max_);
}

inline void BroadcastQueue::Clear() {
  Restore();
  while (size_ > 0) DropLeast();
}

inline std::vector<BroadcastQueue::Peek> BroadcastQueue::PeekForTest() {
  Restore();
  std::vector<Peek> list;
  Slot s = FirstOf(0);
  while (s != kNil) {
    const Entry& e = slots_[s];
    list.push_back({e.subject, e.message, static_cast<int>(e.transmits)});
    s = After(KeyOf(s));
  }
  return list;
}

inline void BroadcastQueue::TreeInsert(Slot s) {
  // Go down while the priorities above are higher, then split what is below around the key.
  Entry& e = slots_[s];
  const Key key = KeyOf(s);
  Slot* link = &root_;
  while (*link != kNil && slots_[*link].priority > e.priority) {
    link = KeyOf(*link) < key ? &slots_[*link].right : &slots_[*link].left;
  }
  Split(*link, key, e.left, e.right);
  *link = s;
}

inline void BroadcastQueue::TreeErase(Slot s) {
  const Key key = KeyOf(s);
  Slot* link = &root_;
  while (*link != s) {
    assert(*link != kNil);
    link = KeyOf(*link) < key ? &slots_[*link].right : &slots_[*link].left;
  }
  *link = Join(slots_[s].left, slots_[s].right);
  slots_[s].left = slots_[s].right = kNil;
}

inline void BroadcastQueue::Split(Slot tree, const Key& key, Slot& before, Slot& rest) {
  Slot* before_link = &before;
  Slot* rest_link = &rest;
  while (tree != kNil) {
    if (KeyOf(tree) < key) {
      *before_link = tree;
      before_link = &slots_[tree].right;
      tree = *before_link;
    } else {
      *rest_link = tree;
      rest_link = &slots_[tree].left;
      tree = *rest_link;
    }
  }
  *before_link = kNil;
  *rest_link = kNil;
}

inline BroadcastQueue::Slot BroadcastQueue::Join(Slot before, Slot rest) {
  Slot root = kNil;
  Slot* link = &root;
  while (before != kNil && rest != kNil) {
    if (slots_[before].priority > slots_[rest].priority) {
      *link = before;
      link = &slots_[before].right;
      before = *link;
    } else {
      *link = rest;
      link = &slots_[rest].left;
      rest = *link;
    }
  }
  *link = before != kNil ? before : rest;
  return root;
}

inline BroadcastQueue::Slot BroadcastQueue::LowerBound(const Key& key) const {
  Slot found = kNil;
  Slot s = root_;
  while (s != kNil) {
    if (KeyOf(s) < key) {
      s = slots_[s].right;
    } else {
      found = s;
      s = slots_[s].left;
    }
  }
  return found;
}

inline BroadcastQueue::Slot BroadcastQueue::Last() const {
  Slot s = root_;
  while (s != kNil && slots_[s].right != kNil) s = slots_[s].right;
  return s;
}

inline void BroadcastQueue::Restore() {
  for (const Slot s : aside_) TreeInsert(s);
  aside_.clear();
}

inline void BroadcastQueue::Finish(Slot s) {
  Entry& e = slots_[s];
  if (!e.subject.empty()) subjects_.erase(s);
  if (e.token != 0) finished_.push_back(e.token);
  EndWait(e);
  --size_;
  bytes_ -= e.message.size();
  free_.push_back(s);
}

inline void BroadcastQueue::DropDownTo(std::size_t size) {
  while (size_ > size) {
    // One that went to everybody has been delivered.
    const Slot victim = DropLeast();
    if (!slots_[victim].everybody) ++dropped_;
  }
}

inline BroadcastQueue::Slot BroadcastQueue::Least() const {
  const Slot s = Last();
  assert(s != kNil);
  return order_ == Order::kWaves ? FirstOf(slots_[s].transmits, slots_[s].spread) : s;
}

inline BroadcastQueue::Slot BroadcastQueue::DropLeast() {
  const Slot s = Least();
  TreeErase(s);
  Finish(s);
  return s;
}

}  // namespace serf::swim

#endif  // SERF_SWIM_BROADCAST_QUEUE_H_
