#ifndef SERF_CMD_TELEMETRY_PROCESS_METRICS_H_
#define SERF_CMD_TELEMETRY_PROCESS_METRICS_H_

// Metrics of this process: CPU time, memory, descriptors, under the names that every client library
// of Prometheus uses.
//
//   ProcessMemory memory;
//   memory.Read();                             // before the work that the answer makes
//   AppendProcessMetrics(memory, text);
//
// Source: proc(5).

#include <dirent.h>
#include <fcntl.h>
#include <malloc.h>
#include <sys/resource.h>
#include <unistd.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "serf/base/time.h"
#include "serf/rpc/exposition.h"

namespace serf::cmd {

// The process's memory at one time. To answer a request maps code that an idle agent has given
// back, twice the size of it, so the numbers are from before.
class ProcessMemory {
 public:
  ~ProcessMemory() {
    if (file_ >= 0) ::close(file_);
  }
  ProcessMemory() = default;
  ProcessMemory(const ProcessMemory&) = delete;
  ProcessMemory& operator=(const ProcessMemory&) = delete;

  void Read() {
    if (file_ < 0) file_ = ::open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    std::array<char, 256> text;
    const ssize_t size = ::pread(file_, text.data(), text.size(), 0);
    if (size <= 0) return;
    const std::vector<absl::string_view> words =
        absl::StrSplit(absl::string_view(text.data(), static_cast<std::size_t>(size)), ' ');
    if (words.size() < 3) return;
    const auto bytes = [](absl::string_view pages) {
      std::uint64_t count = 0;
      static_cast<void>(absl::SimpleAtoi(pages, &count));
      return count * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
    };
    virtual_bytes = bytes(words[0]);
    resident_bytes = bytes(words[1]);
    file_bytes = bytes(words[2]);
  }

  std::uint64_t virtual_bytes = 0;
  std::uint64_t resident_bytes = 0;
  std::uint64_t file_bytes = 0;  // of the resident ones

 private:
  int file_ = -1;
};

namespace process_metrics_internal {

inline double CpuSeconds() {
  rusage usage = {};
  ::getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) * 1e-6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

inline std::size_t OpenDescriptors() {
  DIR* const folder = ::opendir("/proc/self/fd");
  if (folder == nullptr) return 0;
  std::size_t count = 0;
  while (::readdir(folder) != nullptr) ++count;
  ::closedir(folder);
  constexpr std::size_t kDotsAndOwn = 3;
  return count - std::min(count, kDotsAndOwn);
}

}  // namespace process_metrics_internal

// `start_time`: the start of the process, in seconds of Unix time.
inline void AppendProcessMetrics(const ProcessMemory& memory, double start_time,
                                 rpc::Exposition& text) {
  namespace internal = process_metrics_internal;
  const struct mallinfo2 heap = ::mallinfo2();
  const auto bytes = [&](absl::string_view name, absl::string_view help, std::uint64_t value) {
    text.Gauge(name, help, static_cast<double>(value), "bytes");
  };
  bytes("serf_resident_anonymous_bytes", "Resident memory that is not of files.",
        memory.resident_bytes - memory.file_bytes);
  bytes("serf_heap_allocated_bytes", "Memory in use on the heap.", heap.uordblks + heap.hblkhd);
  bytes("serf_heap_system_bytes", "Memory of the heap taken from the system.",
        heap.arena + heap.hblkhd);
  text.Counter("process_cpu_seconds_total", "User and system CPU time.", internal::CpuSeconds(),
               "seconds");
  bytes("process_resident_memory_bytes", "Resident memory, before this answer was made.",
        memory.resident_bytes);
  bytes("process_virtual_memory_bytes", "Virtual memory.", memory.virtual_bytes);
  text.Gauge("process_open_fds", "Open file descriptors.",
             static_cast<double>(internal::OpenDescriptors()));
  rlimit limit = {};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  text.Gauge("process_max_fds", "Limit of open file descriptors.",
             static_cast<double>(limit.rlim_cur));
  text.Gauge("process_start_time_seconds", "Start of the process, Unix time.", start_time,
             "seconds");
}

}  // namespace serf::cmd

#endif  // SERF_CMD_TELEMETRY_PROCESS_METRICS_H_
