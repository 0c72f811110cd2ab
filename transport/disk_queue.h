// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_TRANSPORT_DISK_QUEUE_H_
#define SERF_TRANSPORT_DISK_QUEUE_H_

// DiskQueue: calls that wait for a disk, one after the other, on a thread of their own: a disk may
// take seconds for a sync, and the membership protocol has none to spare. What needs no order is
// for Background.
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

// One thread, that of the io_context, which outlives it.
class DiskQueue {
 public:
  // The thread ends when it had nothing to do for so long: most nodes change their keys and tags
  // hardly ever.
  static constexpr Duration kIdleMax = std::chrono::seconds(10);

  // Starts a thread; false: the system has none left.
  using StartThread = std::function<bool(std::function<void()>)>;

  explicit DiskQueue(asio::io_context& io, StartThread start = StartDetached)
      : core_(std::make_shared<Core>(io)), start_(std::move(start)) {}
  // What was asked for is still done, if the process lives, and no `done` is called.
  ~DiskQueue() {
    const std::lock_guard<std::mutex> lock(core_->mutex);
    core_->io = nullptr;
    core_->changed.notify_all();
  }
  DiskQueue(const DiskQueue&) = delete;
  DiskQueue& operator=(const DiskQueue&) = delete;

  // Calls done(work()) later, once. `work` is called on the thread, and may outlive all but what it
  // owns. Where the system has no thread left it is done here and now: late is better than never.
  template <typename Work, typename Done>
  void Run(Work work, Done done) {
    Push([core = core_, work = std::move(work), done = std::move(done)]() mutable {
      auto result = work();
      const std::lock_guard<std::mutex> lock(core->mutex);
      if (core->io == nullptr) return;
      asio::post(*core->io, [core, done = std::move(done), result = std::move(result)]() mutable {
        // Set on this very thread, so that it needs no lock.
        if (core->io != nullptr) done(std::move(result));
      });
    });
  }

  // Waits until all that was asked for is done, and at most `limit`. False: the disk stands still.
  bool Drain(Duration limit) {
    std::unique_lock<std::mutex> lock(core_->mutex);
    return core_->changed.wait_for(lock, limit, [this] { return core_->unfinished == 0; });
  }

 private:
  using Job = absl::AnyInvocable<void()>;

  // What the thread shares, since nobody waits for its end.
  struct Core {
    explicit Core(asio::io_context& context) : io(&context) {}

    std::mutex mutex;
    std::condition_variable changed;
    std::deque<Job> jobs;
    std::size_t unfinished = 0;  // those in `jobs`, and the one that is being done
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
