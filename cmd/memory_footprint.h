#ifndef SERF_CMD_MEMORY_FOOTPRINT_H_
#define SERF_CMD_MEMORY_FOOTPRINT_H_

// What keeps an idle agent small, and one that was attacked as small as before. Linux and glibc;
// elsewhere nothing happens.
//
//   LimitHeap();                // first thing in the process
//   ReleaseStartUpMemory();     // when the start is over

#if defined(__linux__) && defined(__GLIBC__)

#include <link.h>
#include <malloc.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>

namespace serf::cmd {

// Freed memory goes back to the system: glibc otherwise raises its thresholds with each large block
// that is freed, up to 32 MiB, so that one large message would stay as resident memory for ever.
// One arena: all work is done on one thread, name look-ups on another.
inline void LimitHeap() {
  constexpr int kThreshold = 128 << 10;  // the initial one, which setting it keeps
  ::mallopt(M_MMAP_THRESHOLD, kThreshold);
  ::mallopt(M_TRIM_THRESHOLD, kThreshold);
  ::mallopt(M_ARENA_MAX, 1);
}

// Unmaps the pages of code and constants: what is needed again, a fraction, is mapped from the page
// cache when it is. Without it, what only the start has needed (flags, the loader's tables) counts
// as resident for the life of the process.
inline void ReleaseStartUpMemory() {
  ::dl_iterate_phdr(
      [](dl_phdr_info* info, std::size_t, void*) {
        const auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
        for (int i = 0; i < info->dlpi_phnum; ++i) {
          const ElfW(Phdr)& segment = info->dlpi_phdr[i];
          // What is writable may differ from the file.
          if (segment.p_type != PT_LOAD || (segment.p_flags & PF_W) != 0) continue;
          const std::uintptr_t begin = (info->dlpi_addr + segment.p_vaddr) & ~(page - 1);
          const std::uintptr_t end = info->dlpi_addr + segment.p_vaddr + segment.p_memsz;
          // NOLINTNEXTLINE(performance-no-int-to-ptr)
          (void)::madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED);
        }
        return 0;
      },
      nullptr);
  ::malloc_trim(0);
}

}  // namespace serf::cmd

#else

namespace serf::cmd {

inline void LimitHeap() {}
inline void ReleaseStartUpMemory() {}

}  // namespace serf::cmd

#endif

#endif  // SERF_CMD_MEMORY_FOOTPRINT_H_
