// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_TRANSPORT_SIDE_THREAD_H_
#define SERF_TRANSPORT_SIDE_THREAD_H_

// SideThread: a thread for long computations, one piece after the other, so that they delay nobody.
// Options limit it to a share of a core with a priority below all other threads of the host.
//
//   SideThread side({.share_percent = 5});
//   if (side.Submit([] { ... }) != SideThread::Taken::kYes) ...  // no room, or no thread
//
// Do not use it for calls that block: the share is one of processor time. The thread starts with
// the first piece. It ends after some time without work, and the memory that the work left behind
// is freed with it.

#include <malloc.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <ctime>
#include <deque>
#include <functional>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>

#include "absl/functional/any_invocable.h"
#include "serf/base/time.h"

namespace serf::transport {

// The processor time that the calling thread has used.
inline Duration ThreadCpuTime() {
  timespec time{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
}

class SideThread {
 public:
  using Work = absl::AnyInvocable<void()>;
  // Throws std::system_error if the system has no thread left.
  using StartThread = std::function<std::thread(std::function<void()>)>;
  enum class Taken : std::uint8_t { kYes, kQueueFull, kNoThread };

  struct Options {
    // Percent of a core. Below 100 nobody waits for the results: the thread has a low priority, and
    // work waits while the thread has used more than kBurst beyond its share. At 100 somebody waits
    // for the results: a low priority would take ten times as long on a busy host.
    int share_percent = 100;
    // The most pieces that may wait.
    std::size_t queue_max = 64;
    // The thread ends after so much time without work.
    Duration idle_max = std::chrono::seconds(5);
    StartThread start = [](std::function<void()> run) { return std::thread(std::move(run)); };
  };

  // Processor time that work may use at once. Without it, each piece would wait for the share that
  // the piece before used up. It is enough for two of the dearest query filters that people write.
  static constexpr Duration kBurst = std::chrono::milliseconds(180);

  explicit SideThread(Options options) : options_(options) {}
  // Waits for the piece that runs, and drops the others.
  ~SideThread() {
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      ending_ = true;
    }
    changed_.notify_one();
    if (thread_.joinable()) thread_.join();
  }
  SideThread(const SideThread&) = delete;
  SideThread& operator=(const SideThread&) = delete;

  // Queues `work` and returns at once. Call it from one thread only.
  Taken Submit(Work work) {
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      if (queue_.size() >= options_.queue_max) return Taken::kQueueFull;
      if (!runs_ && !Start()) return Taken::kNoThread;
      queue_.push_back(std::move(work));
    }
    changed_.notify_one();
    return Taken::kYes;
  }

  // True if the piece that runs should stop, because nobody will use its result. Any thread.
  bool ending() const { return ending_.load(std::memory_order_relaxed); }

 private:
  using Clock = std::chrono::steady_clock;

  // The lowest priority that does not wait for an idle host.
  static constexpr int kNice = 5;

  bool Start() {
    if (thread_.joinable()) thread_.join();  // the thread has ended
    try {
      thread_ = options_.start([this] { Run(); });
    } catch (const std::system_error&) {
      return false;  // the system has no thread left; the next piece tries again
    }
    runs_ = true;
    return true;
  }

  void Run() {
    if (options_.share_percent < 100) {
      const auto self = static_cast<id_t>(::gettid());
      ::setpriority(PRIO_PROCESS, self, std::max(kNice, ::getpriority(PRIO_PROCESS, self)));
    }
    Duration credit = kBurst;
    Clock::time_point credited = Clock::now();
    for (;;) {
      Work work = Next(credit, credited);
      if (work == nullptr) return;
      const Duration begin = ThreadCpuTime();
      work();
      work = nullptr;
      credit -= ThreadCpuTime() - begin;
    }
  }

  // Waits for work and for the share. A null result means that the thread ends.
  Work Next(Duration& credit, Clock::time_point& credited) {
    std::unique_lock<std::mutex> lock(mutex_);
    const Duration idle = options_.idle_max;
    if (!changed_.wait_for(lock, idle, [this] { return ending_ || !queue_.empty(); })) {
      runs_ = false;
      ::malloc_trim(0);
      return nullptr;
    }
    const Clock::time_point now = Clock::now();
    credit = std::min(kBurst, credit + (now - credited) * options_.share_percent / 100);
    credited = now;
    if (credit < Duration::zero() && options_.share_percent < 100) {
      const Duration wait = -credit * 100 / options_.share_percent;
      changed_.wait_for(lock, wait, [this] { return ending_.load(); });
      credit = Duration::zero();
      credited = std::max(credited + wait, now);
    }
    if (ending_) return nullptr;
    Work work = std::move(queue_.front());
    queue_.pop_front();
    return work;
  }

  const Options options_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Work> queue_;
  bool runs_ = false;
  std::atomic<bool> ending_ = false;
  std::thread thread_;
};

}  // namespace serf::transport

#endif  // SERF_TRANSPORT_SIDE_THREAD_H_
