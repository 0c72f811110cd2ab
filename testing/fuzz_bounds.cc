#include "serf/testing/fuzz_bounds.h"

#include <time.h>

#include <algorithm>
#include <cinttypes>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>

#include "serf/testing/allocations.h"

namespace serf::testkit {
namespace {

// The slowdown by AddressSanitizer, UBSan and libFuzzer's counters together; measured: 3 to 12.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr std::uint64_t kSlowdown = 16;
#elif defined(__has_feature)
constexpr std::uint64_t kSlowdown =
    __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) ? 16 : 1;
#else
constexpr std::uint64_t kSlowdown = 1;
#endif

// An input that took too long runs again. Its own cost is the same each time, while the share of
// the kernel and of other programs differs.
constexpr int kWorkTries = 3;

FuzzExtremes g_extremes;

std::uint64_t CpuMicroseconds() {
  timespec now = {};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000 +
         static_cast<std::uint64_t>(now.tv_nsec) / 1'000;
}

struct Cost {
  std::uint64_t total = 0;
  std::uint64_t peak = 0;
  std::uint64_t work = 0;
};

Cost Run(ByteView input, FuzzFunction function) {
  Allocations& heap = allocations();
  const std::size_t total_before = heap.total;
  const std::size_t live_before = heap.live;
  heap.peak = heap.live;
  const std::uint64_t before = CpuMicroseconds();
  function(input);
  Cost cost;
  cost.work = CpuMicroseconds() - before;
  cost.total = heap.total - total_before;
  cost.peak = heap.peak - live_before;
  return cost;
}

void Judge(const char* what, const char* unit, std::uint64_t value, std::uint64_t bound,
           std::size_t size, FuzzExtremes::Extreme& extreme) {
  const double share = static_cast<double>(value) / static_cast<double>(bound);
  if (share > extreme.share) extreme = {share, value, size};
  if (value <= bound) return;
  std::fprintf(stderr,
               "an input of %zu bytes costs %" PRIu64 " %s of %s; the bound is %" PRIu64 "\n", size,
               value, unit, what, bound);
  std::abort();
}

}  // namespace

const FuzzExtremes& fuzz_extremes() { return g_extremes; }

int FuzzWithin(const FuzzBounds& bounds, const std::uint8_t* data, std::size_t size,
               FuzzFunction function) {
  // The first run makes what a target keeps from input to input: tables, keys, buffers.
  static const bool warm = [function] {
    function({});
    return true;
  }();
  static_cast<void>(warm);
  const ByteView input(data, size);
  const std::uint64_t work_bound = bounds.work.Of(size) * kSlowdown;
  Cost cost = Run(input, function);
  for (int tries = 1; cost.work > work_bound && tries < kWorkTries; ++tries) {
    cost.work = std::min(cost.work, Run(input, function).work);
  }
  Judge("all allocations", "bytes", cost.total, bounds.total.Of(size), size, g_extremes.total);
  Judge("memory at a time", "bytes", cost.peak, bounds.peak.Of(size), size, g_extremes.peak);
  Judge("CPU", "us", cost.work, work_bound, size, g_extremes.work);
  return 0;
}

}  // namespace serf::testkit
