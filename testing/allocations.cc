#include "serf/testing/allocations.h"

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <new>

namespace {

// Not inlined, here and below: GCC would take new and free for a mismatch.
[[gnu::noinline]] void* Allocate(std::size_t size, std::size_t alignment) noexcept {
  serf::testing::Allocations& allocations = serf::testing::allocations();
  ++allocations.count;
  allocations.largest = std::max(allocations.largest, size);
  const std::size_t units = std::max<std::size_t>(1, (size + alignment - 1) / alignment);
  return alignment <= __STDCPP_DEFAULT_NEW_ALIGNMENT__
             ? std::malloc(units * alignment)
             : std::aligned_alloc(alignment, units * alignment);
}

void* AllocateOrAbort(std::size_t size, std::size_t alignment) {
  void* const memory = Allocate(size, alignment);
  if (memory == nullptr) std::abort();
  return memory;
}

constexpr std::size_t kAlignment = __STDCPP_DEFAULT_NEW_ALIGNMENT__;

}  // namespace

namespace serf::testing {

Allocations& allocations() {
  static constinit Allocations all;
  return all;
}

}  // namespace serf::testing

// Every form: a sanitizer has its own of each, and the two must not meet.
void* operator new(std::size_t size) { return AllocateOrAbort(size, kAlignment); }
void* operator new[](std::size_t size) { return AllocateOrAbort(size, kAlignment); }
void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
  return Allocate(size, kAlignment);
}
void* operator new[](std::size_t size, const std::nothrow_t&) noexcept {
  return Allocate(size, kAlignment);
}
void* operator new(std::size_t size, std::align_val_t alignment) {
  return AllocateOrAbort(size, static_cast<std::size_t>(alignment));
}
void* operator new[](std::size_t size, std::align_val_t alignment) {
  return AllocateOrAbort(size, static_cast<std::size_t>(alignment));
}
[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete[](void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete[](void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete(void* memory, const std::nothrow_t&) noexcept { std::free(memory); }
void operator delete[](void* memory, const std::nothrow_t&) noexcept { std::free(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::size_t, std::align_val_t) noexcept { std::free(memory); }
