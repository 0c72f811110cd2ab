#ifndef SERF_TESTING_CPU_TIME_H_
#define SERF_TESTING_CPU_TIME_H_

// The processor time of threads and processes, for tests of what an input costs. Unlike clock time
// it does not depend on the other load of the host.

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <ctime>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "serf/base/time.h"

namespace serf::testkit {

// A sanitizer makes everything slower. Tests multiply bounds on processor time by this factor.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr int kSanitizerSlowness = 20;
#elif defined(__has_feature)
inline constexpr int kSanitizerSlowness =
    __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) ? 20 : 1;
#else
inline constexpr int kSanitizerSlowness = 1;
#endif

inline Duration CpuTimeOf(clockid_t clock) {
  timespec time{};
  ::clock_gettime(clock, &time);
  return std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
}

// The time of the calling thread.
inline Duration ThreadCpuTime() { return CpuTimeOf(CLOCK_THREAD_CPUTIME_ID); }

// The time of a process, including threads that have ended.
inline Duration ProcessCpuTime(pid_t pid) {
  clockid_t clock{};
  return ::clock_getcpuclockid(pid, &clock) == 0 ? CpuTimeOf(clock) : Duration::zero();
}

// The time of a process's first thread, while that thread waits.
inline Duration FirstThreadCpuTime(pid_t pid) {
  std::ifstream file(absl::StrCat("/proc/", pid, "/task/", pid, "/schedstat"));
  std::int64_t nanoseconds = 0;
  file >> nanoseconds;
  return Duration(nanoseconds);
}

}  // namespace serf::testkit

#endif  // SERF_TESTING_CPU_TIME_H_
