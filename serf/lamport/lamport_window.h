// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_LAMPORT_LAMPORT_WINDOW_H_
#define SERF_LAMPORT_LAMPORT_WINDOW_H_

// LamportWindow<Entry>: the entries of the last N Lamport times, to recognise duplicates and to
// refuse what is too old to recognise. It behaves as the protocol's rings of N slots
// (docs/protocol/serf.md 5.2, 6.4), but keeps only the used slots, sorted by time.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/hash/hash.h"
#include "serf/wire/ids.h"

namespace serf {

template <typename Entry>
class LamportWindow {
 public:
  struct Slot {
    std::vector<Entry> entries;
    // Hashes of the first entries, as far as they are needed: among many entries hashes are
    // compared first.
    std::vector<std::size_t> hashes;
    std::size_t weight = 0;
  };
  using Slots = absl::btree_map<wire::LamportTime, Slot>;

  // Even if all nodes of a large cluster send at the same time, fewer than this share it.
  static constexpr std::size_t kSlotEntriesMax = 4096;

  // `slots`: how many times before the clock are remembered; positive. `weight_max`: the most
  // weight of all entries; beyond it the oldest times are dropped, and count as too old from then
  // on.
  LamportWindow(std::size_t slots, std::size_t weight_max)
      : slots_max_(slots), weight_max_(weight_max) {}

  // Whether `time` is before the window that ends at the clock's `current` time.
  bool TooOld(wire::LamportTime time, wire::LamportTime current) const {
    if (time < floor_) return true;
    return current.value() > slots_max_ && time.value() < current.value() - slots_max_;
  }

  // Adds an entry, unless its time is too old, is full, or has an equal entry. Drops what has
  // become too old. False if the entry was not added.
  bool Add(wire::LamportTime time, wire::LamportTime current, Entry entry, std::size_t weight);

  const Slots& slots() const { return slots_; }
  std::size_t weight() const { return weight_; }

 private:
  // Up to so many entries are compared one by one.
  static constexpr std::size_t kScannedMax = 16;

  static bool Holds(Slot& slot, const Entry& entry);
  void DropOldest() {
    const auto oldest = slots_.begin();
    weight_ -= oldest->second.weight;
    slots_.erase(oldest);
  }

  std::size_t slots_max_;
  std::size_t weight_max_;
  std::size_t weight_ = 0;
  wire::LamportTime floor_;  // earlier times were dropped for lack of room
  Slots slots_;
};

template <typename Entry>
bool LamportWindow<Entry>::Add(wire::LamportTime time, wire::LamportTime current, Entry entry,
                               std::size_t weight) {
  if (TooOld(time, current)) return false;
  Slot& slot = slots_[time];
  if (slot.entries.size() >= kSlotEntriesMax) return false;
  if (Holds(slot, entry)) return false;
  slot.entries.push_back(std::move(entry));
  slot.weight += weight;
  weight_ += weight;
  while (TooOld(slots_.begin()->first, current)) DropOldest();
  while (weight_ > weight_max_ && slots_.size() > 1) {
    floor_ = wire::LamportTime(slots_.begin()->first.value() + 1);
    DropOldest();
  }
  return true;
}

template <typename Entry>
bool LamportWindow<Entry>::Holds(Slot& slot, const Entry& entry) {
  const std::vector<Entry>& entries = slot.entries;
  if (entries.size() <= kScannedMax) {
    return std::find(entries.begin(), entries.end(), entry) != entries.end();
  }
  while (slot.hashes.size() < entries.size()) {
    slot.hashes.push_back(absl::HashOf(entries[slot.hashes.size()]));
  }
  const std::size_t hash = absl::HashOf(entry);
  for (std::size_t i = 0; i < entries.size(); ++i) {
    if (slot.hashes[i] == hash && entries[i] == entry) return true;
  }
  return false;
}

}  // namespace serf

#endif  // SERF_LAMPORT_LAMPORT_WINDOW_H_
