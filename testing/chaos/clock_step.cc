// A library to preload into an agent. It moves the agent's wall clock by the number of seconds in
// the file $CLOCK_STEP_FILE: 8 bytes, little endian, which may change at any time. The steady clock
// does not move.

#include <dlfcn.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>

namespace {

std::int64_t Step() {
  static const volatile std::int64_t* const step = [] {
    static const std::int64_t none = 0;
    const char* const path = std::getenv("CLOCK_STEP_FILE");
    const int fd = path == nullptr ? -1 : ::open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return &none;
    void* const page = ::mmap(nullptr, sizeof(none), PROT_READ, MAP_SHARED, fd, 0);
    ::close(fd);
    return page == MAP_FAILED ? &none : static_cast<const std::int64_t*>(page);
  }();
  return *step;
}

template <typename Function>
Function Original(const char* name) {
  return reinterpret_cast<Function>(::dlsym(RTLD_NEXT, name));
}

}  // namespace

extern "C" {

int clock_gettime(clockid_t clock, timespec* at) noexcept {
  static const auto original = Original<int (*)(clockid_t, timespec*)>("clock_gettime");
  const int result = original(clock, at);
  if (result == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) {
    at->tv_sec += Step();
  }
  return result;
}

int gettimeofday(timeval* at, void* zone) noexcept {
  static const auto original = Original<int (*)(timeval*, void*)>("gettimeofday");
  const int result = original(at, zone);
  if (result == 0) at->tv_sec += Step();
  return result;
}

time_t time(time_t* at) noexcept {
  timespec now = {};
  clock_gettime(CLOCK_REALTIME, &now);
  if (at != nullptr) *at = now.tv_sec;
  return now.tv_sec;
}

}  // extern "C"
