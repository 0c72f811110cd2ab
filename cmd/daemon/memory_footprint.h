#ifndef SERF_CMD_DAEMON_MEMORY_FOOTPRINT_H_
#define SERF_CMD_DAEMON_MEMORY_FOOTPRINT_H_

// Keeps an idle agent small, and makes one that was attacked as small as before. Linux and glibc;
// on other systems it does nothing.
//
//   LimitHeap();               // first thing in the process
//   MemoryKeeper keeper(io);
//   keeper.Start();            // when the start is over

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <utility>

#include "serf/base/time.h"

#if defined(__linux__) && defined(__GLIBC__)
#include <link.h>
#include <linux/magic.h>
#include <malloc.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <array>
#include <cstddef>
#include <cstdint>
#endif

namespace serf::cmd {

// Makes glibc return freed memory to the system. By default glibc raises its thresholds with each
// large block that is freed, up to 32 MiB, so one large message would stay resident for good. Also
// limits the number of arenas, because each keeps memory for its threads.
void LimitHeap();

// Unmaps the pages of code and constants. The kernel maps a page again from the page cache when the
// program needs it. Takes about 0.1 ms, and as much again later. If the program lies on a file
// system that can go away, its pages stay, because a missing page would end the process (SIGBUS).
// The kernel drops pages there too when memory is short, but this function does not add to that
// risk.
void ReleaseMemory();

// The number of page faults of the process so far.
long PageFaults();

// Decides when a release pays: after the agent has done something new, once it is quiet again. A
// release in the midst of work would keep what the rest of the work maps: of a start, the end of
// the thread that wrote the banner.
class ReleaseRule {
 public:
  // One fault maps up to 64 KiB of code.
  static constexpr long kFaultsMin = 8;
  // An agent that does something new at each look does not wait for quiet any longer.
  static constexpr int kWaitsMax = 4;

  // Takes the number of faults so far, once a period. True: release now, then call OnReleased().
  bool OnLook(long faults) {
    const long fresh = faults - std::exchange(seen_, faults);
    if (std::exchange(settling_, false)) {
      // The agent always needs the pages that it needed again since the release.
      settled_ = faults;
      return false;
    }
    if (faults - settled_ < kFaultsMin) return false;
    if (fresh >= kFaultsMin && waits_ < kWaitsMax) {
      ++waits_;
      return false;
    }
    return true;
  }

  // Takes the number of faults after the release.
  void OnReleased(long faults) {
    seen_ = faults;
    waits_ = 0;
    settling_ = true;
  }

 private:
  long settled_ = 0;  // the count when the agent had settled
  long seen_ = 0;     // the count at the last look
  int waits_ = 0;     // looks that found the agent at work
  bool settling_ = false;
};

// Releases pages that the agent no longer needs. Otherwise all code that ever ran (flags, the
// loader's tables, RPC) would stay resident for the life of the process, while an idle agent runs a
// small part of it, over and over.
class MemoryKeeper {
 public:
  // The time between two looks.
  static constexpr Duration kPeriod = std::chrono::seconds(2);

  explicit MemoryKeeper(boost::asio::io_context& io) : timer_(io) {}

  void Start() {
    timer_.expires_after(kPeriod);
    timer_.async_wait([this](const auto& error) {
      if (error) return;
      if (rule_.OnLook(PageFaults())) {
        ReleaseMemory();
        rule_.OnReleased(PageFaults());
      }
      Start();
    });
  }

 private:
  boost::asio::steady_timer timer_;
  ReleaseRule rule_;
};

// --- bodies ---

#if defined(__linux__) && defined(__GLIBC__)

inline void LimitHeap() {
  constexpr int kThreshold = 128 << 10;  // the initial value, which stays when it is set
  ::mallopt(M_MMAP_THRESHOLD, kThreshold);
  ::mallopt(M_TRIM_THRESHOLD, kThreshold);
  // For the threads that run at a time: output, judgements, other work, files, and some look-ups.
  constexpr int kArenasMax = 8;
  ::mallopt(M_ARENA_MAX, kArenasMax);
}

namespace memory_footprint_internal {

// Takes the type from statfs(). True if another machine or process holds the files, and may stop
// serving them.
inline bool CanGoAway(std::uint32_t file_system) {
  switch (file_system) {
    case AFS_FS_MAGIC:
    case AFS_SUPER_MAGIC:
    case CEPH_SUPER_MAGIC:
    case CIFS_SUPER_MAGIC:
    case CODA_SUPER_MAGIC:
    case FUSE_SUPER_MAGIC:
    case NFS_SUPER_MAGIC:
    case SMB2_SUPER_MAGIC:
    case SMB_SUPER_MAGIC:
    case V9FS_MAGIC:
      return true;
    default:
      return false;
  }
}

inline bool ProgramCanGoAway() {
  struct statfs info;
  return ::statfs("/proc/self/exe", &info) == 0 &&
         CanGoAway(static_cast<std::uint32_t>(info.f_type));
}

// Finds the read-only segments of the program and its libraries.
class ReadOnlySegments {
 public:
  ReadOnlySegments() {
    ::dl_iterate_phdr(
        [](dl_phdr_info* info, std::size_t, void* self) {
          static_cast<ReadOnlySegments*>(self)->AddFrom(*info);
          return 0;
        },
        this);
  }

  // Runs nothing but this function and madvise(), so that it faults no other page in.
  void Unmap() const {
    for (std::size_t i = 0; i < size_; ++i) {
      (void)::madvise(segments_[i].begin, segments_[i].size, MADV_DONTNEED);
    }
  }

 private:
  // An agent has five libraries (the program and the vDSO count), with up to three such segments
  // each.
  static constexpr std::size_t kMax = 32;
  struct Segment {
    void* begin;
    std::size_t size;
  };

  void AddFrom(const dl_phdr_info& info) {
    const auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
    for (int i = 0; i < info.dlpi_phnum && size_ < kMax; ++i) {
      const ElfW(Phdr)& segment = info.dlpi_phdr[i];
      // A writable segment may differ from the file.
      if (segment.p_type != PT_LOAD || (segment.p_flags & PF_W) != 0) continue;
      const std::uintptr_t begin = (info.dlpi_addr + segment.p_vaddr) & ~(page - 1);
      const std::uintptr_t end = info.dlpi_addr + segment.p_vaddr + segment.p_memsz;
      // NOLINTNEXTLINE(performance-no-int-to-ptr)
      segments_[size_++] = {reinterpret_cast<void*>(begin), end - begin};
    }
  }

  std::array<Segment, kMax> segments_;
  std::size_t size_ = 0;
};

}  // namespace memory_footprint_internal

inline void ReleaseMemory() {
  // Everything else runs before the unmapping, because its code is unmapped too.
  const memory_footprint_internal::ReadOnlySegments segments;
  ::malloc_trim(0);
  if (!memory_footprint_internal::ProgramCanGoAway()) segments.Unmap();
}

inline long PageFaults() {
  rusage usage = {};
  ::getrusage(RUSAGE_SELF, &usage);
  return usage.ru_minflt;
}

#else

inline void LimitHeap() {}
inline void ReleaseMemory() {}
inline long PageFaults() { return 0; }

#endif

}  // namespace serf::cmd

#endif  // SERF_CMD_DAEMON_MEMORY_FOOTPRINT_H_
