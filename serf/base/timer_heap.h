// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_BASE_TIMER_HEAP_H_
#define SERF_BASE_TIMER_HEAP_H_

// TimerHeap<T>: deadlines with a small value each, ordered by deadline. Timers with equal deadlines
// are in the order in which they were set. A timer can be removed or moved at once; the heap holds
// no dead timers, so every operation costs O(log live).
//
//   TimerHeap<MemberIndex> timers;
//   const auto timer = timers.Push(now + timeout, member);
//   timers.Remove(timer);
//   while (timers.next() <= now) Expire(timers.Pop());
//
// The order depends on the calls alone, and never on addresses. Do not use it for values that are
// costly to move. It reads no clock and calls nothing back: its owner asks next() and pops. One
// thread at a time.

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <utility>
#include <vector>

#include "serf/base/time.h"

namespace serf {

// Names a timer until it is popped or removed. Afterwards the handle is stale, and stays stale even
// when its place is used again. A default handle is stale from the start.
class TimerHandle {
 public:
  constexpr TimerHandle() = default;

  friend constexpr bool operator==(const TimerHandle&, const TimerHandle&) = default;

 private:
  template <typename T>
  friend class TimerHeap;
  constexpr TimerHandle(std::uint32_t slot, std::uint32_t generation)
      : slot_(slot), generation_(generation) {}

  std::uint32_t slot_ = 0;
  // At least 1 for live timers.
  std::uint32_t generation_ = 0;
};

template <typename T>
class TimerHeap {
 public:
  // Whether there are timers, and how many.
  bool empty() const { return heap_.empty(); }
  std::size_t size() const { return heap_.size(); }

  // The earliest deadline; kNever without timers.
  Instant next() const { return heap_.empty() ? kNever : heap_.front().deadline; }

  // The value of the earliest timer. There must be one. The reference is valid until the next
  // change.
  const T& Top() const {
    assert(!heap_.empty());
    return slots_[heap_.front().slot].value;
  }

  // Sets a timer. A deadline in the past is allowed: next() is then in the past too.
  TimerHandle Push(Instant deadline, T value) {
    const std::uint32_t slot = TakeSlot();
    slots_[slot].value = std::move(value);
    heap_.push_back({});
    SiftUp(heap_.size() - 1, {deadline, next_sequence_++, slot});
    return {slot, slots_[slot].generation};
  }

  // Removes the earliest timer. There must be one.
  T Pop() {
    assert(!heap_.empty());
    const std::uint32_t slot = heap_.front().slot;
    T value = std::move(slots_[slot].value);
    Erase(slot);
    return value;
  }

  // False if the handle is stale.
  bool Remove(TimerHandle timer) {
    if (!IsLive(timer)) return false;
    Erase(timer.slot_);
    return true;
  }

  // Gives a timer a new deadline, as if it were set now. False, and no change, if the handle is
  // stale.
  bool Reschedule(TimerHandle timer, Instant deadline) {
    if (!IsLive(timer)) return false;
    Place(slots_[timer.slot_].position, {deadline, next_sequence_++, timer.slot_});
    return true;
  }

  // Whether the timer is set. Handles of another heap give a meaningless answer.
  bool IsLive(TimerHandle timer) const {
    return timer.generation_ != 0 && timer.slot_ < slots_.size() &&
           slots_[timer.slot_].generation == timer.generation_ &&
           slots_[timer.slot_].position != kFree;
  }

  // The deadline of a timer; kNever if the handle is stale.
  Instant deadline(TimerHandle timer) const {
    return IsLive(timer) ? heap_[slots_[timer.slot_].position].deadline : kNever;
  }

  // The value of a timer; null if the handle is stale. Valid until the next change.
  const T* Find(TimerHandle timer) const {
    return IsLive(timer) ? &slots_[timer.slot_].value : nullptr;
  }

  // Removes all timers; their handles become stale.
  void Clear() {
    while (!heap_.empty()) {
      Free(heap_.back().slot);
      heap_.pop_back();
    }
  }

 private:
  static constexpr std::uint32_t kFree = std::numeric_limits<std::uint32_t>::max();

  struct Item {
    Instant deadline;
    std::uint64_t sequence = 0;
    std::uint32_t slot = 0;

    bool operator<(const Item& other) const {
      return deadline != other.deadline ? deadline < other.deadline : sequence < other.sequence;
    }
  };

  // A value stays in its slot while its item moves through the heap.
  struct Slot {
    T value{};
    std::uint32_t position = kFree;
    std::uint32_t generation = 1;
    std::uint32_t next_free = kFree;
  };

  std::uint32_t TakeSlot() {
    if (free_ == kFree) {
      assert(slots_.size() < kFree);
      slots_.emplace_back();
      return static_cast<std::uint32_t>(slots_.size() - 1);
    }
    const std::uint32_t slot = free_;
    free_ = slots_[slot].next_free;
    return slot;
  }

  void Free(std::uint32_t slot) {
    Slot& freed = slots_[slot];
    freed.value = T{};
    freed.position = kFree;
    if (++freed.generation == 0) freed.generation = 1;
    freed.next_free = free_;
    free_ = slot;
  }

  void Erase(std::uint32_t slot) {
    const std::size_t hole = slots_[slot].position;
    const Item last = heap_.back();
    heap_.pop_back();
    if (hole < heap_.size()) Place(hole, last);
    Free(slot);
  }

  void Set(std::size_t position, const Item& item) {
    heap_[position] = item;
    slots_[item.slot].position = static_cast<std::uint32_t>(position);
  }

  // Puts `item` where `hole` is, or above or below it.
  void Place(std::size_t hole, const Item& item) {
    if (hole > 0 && item < heap_[(hole - 1) / 2]) {
      SiftUp(hole, item);
    } else {
      SiftDown(hole, item);
    }
  }

  void SiftUp(std::size_t hole, const Item& item) {
    while (hole > 0) {
      const std::size_t parent = (hole - 1) / 2;
      if (!(item < heap_[parent])) break;
      Set(hole, heap_[parent]);
      hole = parent;
    }
    Set(hole, item);
  }

  void SiftDown(std::size_t hole, const Item& item) {
    for (;;) {
      std::size_t child = 2 * hole + 1;
      if (child >= heap_.size()) break;
      if (child + 1 < heap_.size() && heap_[child + 1] < heap_[child]) ++child;
      if (!(heap_[child] < item)) break;
      Set(hole, heap_[child]);
      hole = child;
    }
    Set(hole, item);
  }

  std::vector<Item> heap_;
  std::vector<Slot> slots_;
  std::uint32_t free_ = kFree;
  std::uint64_t next_sequence_ = 0;
};

}  // namespace serf

#endif  // SERF_BASE_TIMER_HEAP_H_
