// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_TRANSPORT_BACKGROUND_H_
#define SERF_TRANSPORT_BACKGROUND_H_

// Background: calls of the system that may stand still for as long as they like (a disk, a name, a
// FIFO that is read like a file), on threads of their own, so that the io_context never waits for
// them, not even at its end.
//
//   Background background(io);
//   if (!background.Run([path] { return ReadTextFile(path); },
//                       [this](absl::StatusOr<std::string> text) { ... })) ...  // no thread left
//
// Not for many small calls: each has a thread.

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

// Runs `work` on a thread that nobody waits for: the end of the process leaves it where it is. So
// it may use only what it owns or what lives as long as the process. The thread takes no signals.
// False: the system has no thread for it, and `work` is gone.
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
  owned.release();  // the thread's
  return true;
}

// One thread, that of the io_context, which outlives it.
class Background {
 public:
  explicit Background(asio::io_context& io) : link_(std::make_shared<Link>(io)) {}
  // What runs goes on, and no `done` is called.
  ~Background() {
    const std::lock_guard<std::mutex> lock(link_->mutex);
    link_->io = nullptr;
  }
  Background(const Background&) = delete;
  Background& operator=(const Background&) = delete;

  // Calls done(work()) later, once, work() on a thread of its own, for which the rules of
  // StartDetached() hold. False: there is none, and nothing is called.
  template <typename Work, typename Done>
  bool Run(Work work, Done done) {
    return StartDetached([link = link_, work = std::move(work), done = std::move(done)]() mutable {
      auto result = work();
      const std::lock_guard<std::mutex> lock(link->mutex);
      if (link->io == nullptr) return;
      asio::post(*link->io, [link, done = std::move(done), result = std::move(result)]() mutable {
        // Set on this very thread, so that it needs no lock.
        if (link->io != nullptr) done(std::move(result));
      });
    });
  }

 private:
  struct Link {
    explicit Link(asio::io_context& context) : io(&context) {}

    std::mutex mutex;
    asio::io_context* io;  // null: nobody is there any more
  };

  const std::shared_ptr<Link> link_;
};

}  // namespace serf::transport

#endif  // SERF_TRANSPORT_BACKGROUND_H_
