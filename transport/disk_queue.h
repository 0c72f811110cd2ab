// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_TRANSPORT_DISK_QUEUE_H_
#define SERF_TRANSPORT_DISK_QUEUE_H_

// DiskQueue: runs calls that wait for a disk, one after the other, on a thread of its own. A disk
// may take seconds for a sync, and the membership protocol cannot wait so long. Calls that need no
// order belong in a Background.
//
//   DiskQueue disk(io);
//   disk.Run([path, text] { return WriteTextFile(path, text); },
//            [](const absl::Status& status) { ... });  // on the io_context's thread
//   disk.Drain(seconds(5));                            // at the end

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <utility>

#include "absl/functional/any_invocable.h"
#include "serf/base/time.h"
#include "serf/transport/background.h"
#include "serf/transport/net/asio.h"

namespace serf::transport {

// Threads: all calls on the io_context's thread. The io_context must outlive the DiskQueue.
class DiskQueue {
 public:
  // The thread ends after so much time without work: most nodes rarely change their keys and tags.
  static constexpr Duration kIdleMax = std::chrono::seconds(10);

  // Starts a thread. False: the system has no thread left.
  using StartThread = std::function<bool(std::function<void()>)>;

  explicit DiskQueue(asio::io_context& io, StartThread start = StartDetached)
      : core_(std::make_shared<Core>(io)), start_(std::move(start)) {}
  // Calls that wait still run, if the process lives, but no `done` is called.
  ~DiskQueue() {
    const std::lock_guard<std::mutex> lock(core_->mutex);
    core_->io = nullptr;
    core_->changed.notify_all();
  }
  DiskQueue(const DiskQueue&) = delete;
  DiskQueue& operator=(const DiskQueue&) = delete;

  // Calls work() on the thread, and later done(result) once on the io_context's thread. `work` may
  // outlive everything that it does not own. If the system has no thread left, `work` runs here and
  // now: a delay is better than a loss.
  template <typename Work, typename Done>
  void Run(Work work, Done done) {
    Push([core = core_, work = std::move(work), done = std::move(done)]() mutable {
      auto result = work();
      const std::lock_guard<std::mutex> lock(core->mutex);
      if (core->io == nullptr) return;
      asio::post(*core->io, [core, done = std::move(done), result = std::move(result)]() mutable {
        // Only this thread sets `io`, so it needs no lock.
        if (core->io != nullptr) done(std::move(result));
      });
    });
  }

  // Waits until all calls have run, but at most `limit`. False: the disk still blocks.
  bool Drain(Duration limit) {
    std::unique_lock<std::mutex> lock(core_->mutex);
    return core_->changed.wait_for(lock, limit, [this] { return core_->unfinished == 0; });
  }

 private:
  using Job = absl::AnyInvocable<void()>;

  // The thread shares ownership of it, because the queue does not wait for the thread's end.
  struct Core {
    explicit Core(asio::io_context& context) : io(&context) {}

    std::mutex mutex;
    std::condition_variable changed;
    std::deque<Job> jobs;
    std::size_t unfinished = 0;  // those in `jobs`, and the one that runs
    bool has_thread = false;
    asio::io_context* io;  // null: the queue is gone
  };

  void Push(Job job) {
    {
      const std::lock_guard<std::mutex> lock(core_->mutex);
      ++core_->unfinished;
      core_->jobs.push_back(std::move(job));
      if (core_->has_thread) return core_->changed.notify_all();
      core_->has_thread = true;
    }
    if (!start_([core = core_] { Work(*core, kIdleMax); })) Work(*core_, Duration::zero());
  }

  static void Work(Core& core, Duration idle_max) {
    std::unique_lock<std::mutex> lock(core.mutex);
    for (;;) {
      core.changed.wait_for(lock, idle_max,
                            [&] { return core.io == nullptr || !core.jobs.empty(); });
      if (core.jobs.empty()) break;
      Job job = std::move(core.jobs.front());
      core.jobs.pop_front();
      lock.unlock();
      job();
      job = nullptr;
      lock.lock();
      --core.unfinished;
      core.changed.notify_all();
    }
    core.has_thread = false;
  }

  const std::shared_ptr<Core> core_;
  const StartThread start_;
};

}  // namespace serf::transport

#endif  // SERF_TRANSPORT_DISK_QUEUE_H_
