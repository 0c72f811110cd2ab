// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_TRANSPORT_BACKGROUND_H_
#define SERF_TRANSPORT_BACKGROUND_H_

// Background: runs system calls that may block for any length of time (a disk, a name, a FIFO that
// is read like a file) on threads of their own. The io_context never waits for them, not even at
// its end.
//
//   Background background(io);
//   if (!background.Run([path] { return ReadTextFile(path); },
//                       [this](absl::StatusOr<std::string> text) { ... })) ...  // no thread left
//
// Do not use it for many small calls: each call has a thread.

#include <pthread.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <csignal>
#include <functional>
#include <memory>
#include <mutex>
#include <utility>

#include "serf/transport/net/asio.h"

namespace serf::transport {

// Runs `work` on a detached thread, which takes no signals. The end of the process does not wait
// for it, so `work` may use only what it owns or what lives as long as the process. False: the
// system has no thread left, and `work` is destroyed.
inline bool StartDetached(std::function<void()> work) {
  pthread_attr_t attributes;
  if (::pthread_attr_init(&attributes) != 0) return false;
  ::pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  auto owned = std::make_unique<std::function<void()>>(std::move(work));
  sigset_t all;
  sigset_t before;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  pthread_t thread;
  const int error = ::pthread_create(
      &thread, &attributes,
      [](void* argument) -> void* {
        const std::unique_ptr<std::function<void()>> call(
            static_cast<std::function<void()>*>(argument));
        (*call)();
        return nullptr;
      },
      owned.get());
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  ::pthread_attr_destroy(&attributes);
  if (error != 0) return false;
  owned.release();  // the thread owns it now
  return true;
}

// Threads: all calls on the io_context's thread. The io_context must outlive the Background.
class Background {
 public:
  explicit Background(asio::io_context& io) : link_(std::make_shared<Link>(io)) {}
  // Work that runs continues, but its `done` is not called.
  ~Background() {
    const std::lock_guard<std::mutex> lock(link_->mutex);
    link_->io = nullptr;
  }
  Background(const Background&) = delete;
  Background& operator=(const Background&) = delete;

  // Calls work() on a thread of its own, under the rules of StartDetached(), and later done(result)
  // once on the io_context's thread. False: the system has no thread left, and neither is called.
  template <typename Work, typename Done>
  bool Run(Work work, Done done) {
    return StartDetached([link = link_, work = std::move(work), done = std::move(done)]() mutable {
      auto result = work();
      const std::lock_guard<std::mutex> lock(link->mutex);
      if (link->io == nullptr) return;
      asio::post(*link->io, [link, done = std::move(done), result = std::move(result)]() mutable {
        // Only this thread sets `io`, so it needs no lock.
        if (link->io != nullptr) done(std::move(result));
      });
    });
  }

 private:
  struct Link {
    explicit Link(asio::io_context& context) : io(&context) {}

    std::mutex mutex;
    asio::io_context* io;  // null: the Background is gone
  };

  const std::shared_ptr<Link> link_;
};

}  // namespace serf::transport

#endif  // SERF_TRANSPORT_BACKGROUND_H_
