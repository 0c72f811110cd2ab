#include "serf/testing/allocations.h"

#include <malloc.h>

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <new>

#if defined(__SANITIZE_ADDRESS__)
#define SERF_ALLOCATIONS_BY_HOOKS 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SERF_ALLOCATIONS_BY_HOOKS 1
#endif
#endif

namespace serf::testkit {

Allocations& allocations() {
  static constinit Allocations all;
  return all;
}

}  // namespace serf::testkit

namespace {

using serf::testkit::allocations;

void Took(std::size_t requested, std::size_t held) {
  serf::testkit::Allocations& all = allocations();
  ++all.count;
  all.largest = std::max(all.largest, requested);
  all.total += held;
  all.live += held;
  all.peak = std::max(all.peak, all.live);
}

// Memory that was taken before the reset of the counters does not count when it is returned.
void GaveBack(std::size_t held) {
  serf::testkit::Allocations& all = allocations();
  all.live -= std::min(all.live, held);
}

}  // namespace

#if defined(SERF_ALLOCATIONS_BY_HOOKS)

// The sanitizer's own operators stay, because they know which form took the memory.
#include <sanitizer/allocator_interface.h>

namespace {

// Counts only on the program's own thread; libFuzzer has a second one.
thread_local bool t_counts = false;

[[maybe_unused]] const int kInstalled = [] {
  t_counts = true;
  return __sanitizer_install_malloc_and_free_hooks(
      [](const volatile void*, std::size_t size) {
        if (t_counts) Took(size, size);
      },
      [](const volatile void* memory) {
        if (t_counts && memory != nullptr) GaveBack(__sanitizer_get_allocated_size(memory));
      });
}();

}  // namespace

#else

namespace {

// Not inlined, here and below, because GCC would report new and free as a mismatch.
[[gnu::noinline]] void* Allocate(std::size_t size, std::size_t alignment) noexcept {
  const std::size_t units = std::max<std::size_t>(1, (size + alignment - 1) / alignment);
  void* const memory = alignment <= __STDCPP_DEFAULT_NEW_ALIGNMENT__
                           ? std::malloc(units * alignment)
                           : std::aligned_alloc(alignment, units * alignment);
  Took(size, ::malloc_usable_size(memory));
  return memory;
}

[[gnu::noinline]] void Free(void* memory) noexcept {
  GaveBack(::malloc_usable_size(memory));
  std::free(memory);
}

void* AllocateOrAbort(std::size_t size, std::size_t alignment) {
  void* const memory = Allocate(size, alignment);
  if (memory == nullptr) std::abort();
  return memory;
}

constexpr std::size_t kAlignment = __STDCPP_DEFAULT_NEW_ALIGNMENT__;

}  // namespace

// Replaces every form: a sanitizer has its own form of each, and the two must not mix.
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
[[gnu::noinline]] void operator delete(void* memory) noexcept { Free(memory); }
[[gnu::noinline]] void operator delete[](void* memory) noexcept { Free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept { Free(memory); }
[[gnu::noinline]] void operator delete[](void* memory, std::size_t) noexcept { Free(memory); }
void operator delete(void* memory, const std::nothrow_t&) noexcept { Free(memory); }
void operator delete[](void* memory, const std::nothrow_t&) noexcept { Free(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { Free(memory); }
void operator delete[](void* memory, std::align_val_t) noexcept { Free(memory); }
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept { Free(memory); }
void operator delete[](void* memory, std::size_t, std::align_val_t) noexcept { Free(memory); }

#endif  // SERF_ALLOCATIONS_BY_HOOKS
