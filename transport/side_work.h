// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_TRANSPORT_SIDE_WORK_H_
#define SERF_TRANSPORT_SIDE_WORK_H_

// SideWork: what a Driver has done on other threads than the io_context's: judgements, within a
// share of a core, since anybody can cause them, and work of the application.
//
// All methods on the io_context's thread, where the results are told, too.

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
  // Told of a judgement, run or not.
  using OnJudged = std::function<void(const Judgement&)>;
  // Work of the application; it had better end once may_go_on() is false, since nobody will have
  // the result.
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

  // Runs it, before its deadline, and tells of it later.
  void Judge(std::unique_ptr<Judgement> judgement);
  // Calls work() and then done(true). done(false): it was not called, since too much waits or all
  // has stopped. Where the system has no thread left, both happen here and now, and may_go_on() is
  // false after a turn's time: few requests need more, and no request would ever be served else.
  void Run(Work work, OnDone done);
  // Waits for what runs, which is told to hurry, and drops the rest: its done(false) is called from
  // within. Of judgements nobody is told any more.
  void Stop();
  // The same, but calls nobody.
  void Drop() {
    if (core_ != nullptr) const auto under_way = std::exchange(core_->under_way, {});
    Stop();
  }

 private:
  // Of a core, for judgements: with a burst and the piece under way a twentieth, also soon after a
  // calm.
  static constexpr int kJudgementShare = 3;
  // Work of the application that waits.
  static constexpr std::size_t kWorkMax = 4096;
  // Of the processor, for one piece of it: to match 100,000 members takes seconds at worst.
  static constexpr Duration kWorkTimeMax = std::chrono::seconds(10);
  // The same where the io_context's thread has to do it.
  static constexpr Duration kTurnTimeMax = std::chrono::milliseconds(5);
  // Beyond every budget.
  static constexpr Duration kLongTime = std::chrono::hours(24);

  // What results find, if there still is something.
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
    // A time that is over has the judgement give up.
    const auto cpu_time = [side] { return side->ending() ? kLongTime : ThreadCpuTime(); };
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
