// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_TRANSPORT_NET_LOOKUP_H_
#define SERF_TRANSPORT_NET_LOOKUP_H_

// Lookup: addresses of host names, without blocking the io_context. Each name is looked up on a
// thread of its own, so a name for which no server answers delays no other one. No thread is ever
// waited for: what it finds after the end is dropped.
//
//   names::Lookup lookup(io);
//   lookup.Start("db.example.com", [](const names::Addresses& addresses) { ... });
//
// Call IpAddress::Parse() first, because an IP address needs no thread. At start-up, when nothing
// else waits, LookUp() of system_names.h is simpler.
//
// Threads: all calls on the io_context's thread. The io_context must outlive the Lookup.

#include <pthread.h>
#include <signal.h>

#include <boost/asio/execution_context.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "serf/transport/net/system_names.h"

namespace serf::names {

// The most threads of one io_context that look names up at once. If so many names get no answer,
// the next one waits. Four times what one join looks up at once.
inline constexpr std::size_t kLookupThreadsMax = 32;

// What the threads of an io_context share. The first Lookup makes it.
class LookupService;

class Lookup {
 public:
  using Done = std::function<void(const Addresses&)>;

  explicit Lookup(boost::asio::io_context& io);
  // Does what Cancel() does.
  ~Lookup() { Cancel(); }
  Lookup(const Lookup&) = delete;
  Lookup& operator=(const Lookup&) = delete;

  // Looks a name up as LookUp() does, and calls `done` once, later, on the io_context's thread. The
  // io_context has work until then. ResourceExhausted, if the system starts no thread.
  void Start(std::string host, Done done);
  // Forgets all lookups of this object: their `done` is not called.
  void Cancel();

 private:
  LookupService& service_;
};

class LookupService final : public boost::asio::execution_context::service {
 public:
  static inline boost::asio::execution_context::id id;

  explicit LookupService(boost::asio::io_context& io)
      : boost::asio::execution_context::service(io), io_(io), shared_(std::make_shared<Shared>()) {
    shared_->io = &io_;
    shared_->service = this;
  }

  void Start(const Lookup* owner, std::string host, Lookup::Done done);
  void Cancel(const Lookup* owner);
  // Replaces LookUp() for lookups that start from now on.
  void SetLookUpForTest(std::function<Addresses(const std::string&)> look_up) {
    look_up_ = std::move(look_up);
  }

 private:
  using Work = boost::asio::executor_work_guard<boost::asio::io_context::executor_type>;

  // The stack of a thread: what modules of the system's resolver need, with room.
  static constexpr std::size_t kStackSize = std::size_t{1} << 20;

  struct Question {
    std::uint64_t number = 0;
    std::string host;
    std::function<Addresses(const std::string&)> look_up;
  };
  struct Pending {
    const Lookup* owner;
    Lookup::Done done;
    Work work;
  };
  // Outlives the service while a thread waits for the system.
  struct Shared {
    std::mutex mutex;
    boost::asio::io_context* io = nullptr;  // null: the end
    LookupService* service = nullptr;
    std::deque<Question> waiting;
    std::size_t threads = 0;
  };

  inline void shutdown() override;
  // Starts a thread. False if none can be started; errno holds the reason.
  bool StartThread();
  static void* Run(void* shared);
  static void AnswerAll(const std::shared_ptr<Shared>& shared);
  void OnAnswer(std::uint64_t number, const Addresses& addresses);

  boost::asio::io_context& io_;
  const std::shared_ptr<Shared> shared_;
  std::map<std::uint64_t, Pending> pending_;
  std::uint64_t last_number_ = 0;
  std::function<Addresses(const std::string&)> look_up_ = [](const std::string& host) {
    return LookUp(host);
  };
};

// --- bodies ---

inline Lookup::Lookup(boost::asio::io_context& io)
    : service_(boost::asio::use_service<LookupService>(io)) {}

inline void Lookup::Start(std::string host, Done done) {
  service_.Start(this, std::move(host), std::move(done));
}

inline void Lookup::Cancel() { service_.Cancel(this); }

inline void LookupService::Start(const Lookup* owner, std::string host, Lookup::Done done) {
  const std::uint64_t number = ++last_number_;
  pending_.emplace(number, Pending{owner, std::move(done), Work(io_.get_executor())});
  int failure = 0;
  {
    const std::lock_guard<std::mutex> lock(shared_->mutex);
    shared_->waiting.push_back({number, host, look_up_});
    // The threads that run may all be waiting for servers that do not answer.
    if (shared_->threads == kLookupThreadsMax || StartThread() || shared_->threads > 0) return;
    failure = errno;
    shared_->waiting.pop_back();
  }
  boost::asio::post(io_, [this, number, host = std::move(host), failure] {
    OnAnswer(number, absl::ResourceExhaustedError(
                         absl::StrCat("lookup ", host, ": no thread: ", std::strerror(failure))));
  });
}

inline void LookupService::Cancel(const Lookup* owner) {
  for (auto it = pending_.begin(); it != pending_.end();) {
    if (it->second.owner != owner) {
      ++it;
      continue;
    }
    const std::lock_guard<std::mutex> lock(shared_->mutex);
    std::erase_if(shared_->waiting,
                  [&it](const Question& question) { return question.number == it->first; });
    it = pending_.erase(it);
  }
}

inline void LookupService::shutdown() {
  {
    const std::lock_guard<std::mutex> lock(shared_->mutex);
    shared_->io = nullptr;
    shared_->waiting.clear();
  }
  std::exchange(pending_, {}).clear();
}

inline bool LookupService::StartThread() {
  auto argument = std::make_unique<std::shared_ptr<Shared>>(shared_);
  pthread_attr_t attributes;
  ::pthread_attr_init(&attributes);
  ::pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  ::pthread_attr_setstacksize(&attributes, kStackSize);
  // Signals must go to the threads that expect them. A thread inherits the mask of its creator.
  sigset_t all;
  sigset_t before;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  pthread_t thread;
  const int failure = ::pthread_create(&thread, &attributes, Run, argument.get());
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  ::pthread_attr_destroy(&attributes);
  errno = failure;
  if (failure != 0) return false;
  argument.release();
  ++shared_->threads;
  return true;
}

inline void* LookupService::Run(void* argument) {
  const std::unique_ptr<std::shared_ptr<Shared>> shared(
      static_cast<std::shared_ptr<Shared>*>(argument));
  AnswerAll(*shared);
  return nullptr;
}

// Runs until no question waits. A thread that found none when it came was not needed.
inline void LookupService::AnswerAll(const std::shared_ptr<Shared>& shared) {
  for (;;) {
    Question question;
    {
      const std::lock_guard<std::mutex> lock(shared->mutex);
      if (shared->waiting.empty()) {
        --shared->threads;
        return;
      }
      question = std::move(shared->waiting.front());
      shared->waiting.pop_front();
    }
    Addresses addresses = question.look_up(question.host);
    const std::lock_guard<std::mutex> lock(shared->mutex);
    if (shared->io == nullptr) continue;
    boost::asio::post(*shared->io,
                      [service = shared->service, number = question.number,
                       addresses = std::move(addresses)] { service->OnAnswer(number, addresses); });
  }
}

inline void LookupService::OnAnswer(std::uint64_t number, const Addresses& addresses) {
  auto node = pending_.extract(number);
  if (!node.empty()) node.mapped().done(addresses);
}

}  // namespace serf::names

#endif  // SERF_TRANSPORT_NET_LOOKUP_H_
