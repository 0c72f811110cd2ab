// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_TRANSPORT_SIDE_WORK_H_
#define SERF_TRANSPORT_SIDE_WORK_H_

// SideWork: the work that a Driver runs on other threads than the io_context's. Judgements of query
// filters run within a share of a core, because any member can cause them. The application's work
// runs on a second thread.
//
// Threads: all methods and all results on the io_context's thread.

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/functional/any_invocable.h"
#include "serf/base/time.h"
#include "serf/judgement.h"
#include "serf/transport/net/asio.h"
#include "serf/transport/net/clock.h"
#include "serf/transport/side_thread.h"

namespace serf::transport {

class SideWork {
 public:
  // Receives a judgement, whether it ran or not.
  using OnJudged = std::function<void(const Judgement&)>;
  // The application's work. It should end once may_go_on() is false, because nobody will use its
  // result.
  using MayGoOn = std::function<bool()>;
  using Work = absl::AnyInvocable<void(const MayGoOn&)>;
  using OnDone = absl::AnyInvocable<void(bool)>;

  SideWork(asio::io_context& io, OnJudged on_judged,
           SideThread::StartThread start = SideThread::Options().start)
      : io_(io),
        core_(std::make_shared<Core>(Core{std::move(on_judged), {}, 0})),
        judges_(std::make_unique<SideThread>(
            SideThread::Options{.share_percent = kJudgementShare, .start = start})),
        others_(std::make_unique<SideThread>(
            SideThread::Options{.queue_max = kWorkMax, .start = start})) {}
  ~SideWork() { Stop(); }
  SideWork(const SideWork&) = delete;
  SideWork& operator=(const SideWork&) = delete;

  // Runs the judgement before its deadline, and reports it later.
  void Judge(std::unique_ptr<Judgement> judgement);
  // Calls work() and then done(true). done(false) means that too much work waits, or that SideWork
  // stopped before the end of `work`. If the system has no thread left, both run here and now, and
  // may_go_on() is false after a turn's time: few requests need more, and otherwise no request
  // would be served.
  void Run(Work work, OnDone done);
  // Asks running work to end, waits for it, and drops the rest: calls done(false) for that work
  // within this call. It reports no further judgements.
  void Stop();
  // The same, but calls nobody.
  void Drop() {
    if (core_ != nullptr) const auto under_way = std::exchange(core_->under_way, {});
    Stop();
  }

 private:
  // Percent of a core for judgements. With a burst and the piece under way they take a twentieth,
  // even soon after a calm.
  static constexpr int kJudgementShare = 2;
  // The most pieces of the application's work that may wait.
  static constexpr std::size_t kWorkMax = 4096;
  // Processor time for one piece of the application's work. A match against 100,000 members takes
  // seconds at worst.
  static constexpr Duration kWorkTimeMax = std::chrono::seconds(10);
  // The same if the io_context's thread must do the work.
  static constexpr Duration kTurnTimeMax = std::chrono::milliseconds(5);
  // A time beyond every budget.
  static constexpr Duration kLongTime = std::chrono::hours(24);

  // Results reach SideWork through it, as long as SideWork exists.
  struct Core {
    OnJudged on_judged;
    absl::flat_hash_map<std::uint64_t, OnDone> under_way;
    std::uint64_t last;
  };

  asio::io_context& io_;
  std::shared_ptr<Core> core_;
  std::unique_ptr<SideThread> judges_;
  std::unique_ptr<SideThread> others_;
};

inline void SideWork::Judge(std::unique_ptr<Judgement> judgement) {
  if (core_ == nullptr) return;
  const std::shared_ptr<Judgement> shared = std::move(judgement);
  const auto back = [&io = io_, weak = std::weak_ptr<Core>(core_), shared] {
    asio::post(io, [weak, shared] {
      if (const auto core = weak.lock()) core->on_judged(*shared);
    });
  };
  const SideThread::Taken taken = judges_->Submit([side = judges_.get(), shared, back] {
    // A judgement gives up when its time is over, so an ending thread reports a very long time. But
    // never first: the judgement counts from there, and would have no limit.
    auto cpu_time = [side, first = true]() mutable {
      return std::exchange(first, false) || !side->ending() ? ThreadCpuTime() : kLongTime;
    };
    if (Now() < shared->deadline()) shared->Run(cpu_time);
    back();
  });
  if (taken != SideThread::Taken::kYes) back();
}

inline void SideWork::Run(Work work, OnDone done) {
  if (core_ == nullptr) return done(false);
  const std::uint64_t id = ++core_->last;
  auto shared = std::make_shared<Work>(std::move(work));
  const SideThread::Taken taken = others_->Submit(
      [&io = io_, weak = std::weak_ptr<Core>(core_), side = others_.get(), id, shared]() mutable {
        const Duration end = ThreadCpuTime() + kWorkTimeMax;
        (*shared)([side, end] { return !side->ending() && ThreadCpuTime() < end; });
        shared = nullptr;
        asio::post(io, [weak, id] {
          const auto core = weak.lock();
          if (core == nullptr) return;
          if (auto node = core->under_way.extract(id)) node.mapped()(true);
        });
      });
  if (taken == SideThread::Taken::kQueueFull) return done(false);
  if (taken == SideThread::Taken::kNoThread) {
    const Duration end = ThreadCpuTime() + kTurnTimeMax;
    (*shared)([end] { return ThreadCpuTime() < end; });
    return done(true);
  }
  core_->under_way.emplace(id, std::move(done));
}

inline void SideWork::Stop() {
  judges_ = nullptr;
  others_ = nullptr;
  const std::shared_ptr<Core> core = std::exchange(core_, nullptr);
  if (core == nullptr) return;
  for (auto& [id, done] : std::exchange(core->under_way, {})) done(false);
}

}  // namespace serf::transport

#endif  // SERF_TRANSPORT_SIDE_WORK_H_
