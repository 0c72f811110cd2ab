// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_TRANSPORT_AGENT_QUERY_H_
#define SERF_TRANSPORT_AGENT_QUERY_H_

// Query: a query that an Agent has sent, and the answers to it, one after the other.
//
//   absl::StatusOr<Query> query = co_await agent->SendQuery("uptime", "");
//   while (std::optional<Answer> answer = co_await query->Next()) Print(answer->payload);
//
// Threads: any thread, one at a time. The io_context must outlive the Query; the Agent need not.

#include <atomic>
#include <boost/asio/async_result.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "serf/query.h"
#include "serf/transport/completer.h"
#include "serf/transport/host.h"

namespace serf {

// What a member answers.
struct Answer {
  // The name of the member.
  std::string from;
  // Any bytes; empty if `is_ack`.
  std::string payload;
  // The member only confirms that the query has arrived: for QueryParams::request_ack.
  bool is_ack = false;
};

// The most answers that wait for Query::Next(), in number and in bytes. Further ones are counted
// and dropped, because members cannot be made to wait. More than 10,000 nodes answer to one query.
inline constexpr std::size_t kAnswersQueuedMax = 65'536;
inline constexpr std::size_t kAnswerBytesQueuedMax = std::size_t{32} << 20;

namespace agent_internal {

// The answers to one query between the Host, which has a feed, and the Query. All on the
// io_context's thread, unless it says otherwise.
class AnswerQueue {
 public:
  explicit AnswerQueue(boost::asio::io_context& io) : io_(io) {}

  // A Host calls it with each update. If the Host releases it before kDone, the waiting handler is
  // destroyed: the io_context has ended, and the handler may own this queue.
  static std::function<void(const QueryUpdate&)> Feed(const std::shared_ptr<AnswerQueue>& queue) {
    const std::shared_ptr<AnswerQueue> feed(
        queue.get(), [queue](AnswerQueue*) { std::exchange(queue->waiters_, {}); });
    return [feed](const QueryUpdate& update) { feed->OnUpdate(update); };
  }

  // Calls complete(answer) when there is one, or complete(nullopt) at the end.
  template <typename Complete>
  void Next(Complete complete);

  // Any thread.
  boost::asio::io_context& io() { return io_; }
  std::uint64_t dropped() const { return dropped_.load(std::memory_order_relaxed); }

 private:
  struct Waiter {
    absl::AnyInvocable<bool() const> waiting;  // false: it was cancelled
    absl::AnyInvocable<void(std::optional<Answer>)> complete;
  };

  void OnUpdate(const QueryUpdate& update);

  boost::asio::io_context& io_;
  std::deque<Answer> answers_;  // empty while somebody waits
  std::size_t bytes_ = 0;
  std::vector<Waiter> waiters_;
  bool done_ = false;
  std::atomic<std::uint64_t> dropped_ = 0;
};

}  // namespace agent_internal

class Query {
 public:
  // For Agent. `host` ends the query, if it is still there.
  Query(std::shared_ptr<agent_internal::AnswerQueue> queue, std::weak_ptr<transport::Host> host,
        QueryId id)
      : queue_(std::move(queue)), host_(std::move(host)), id_(id) {}
  // Ends the query, if it runs: later answers are dropped.
  ~Query() {
    if (const auto host = host_.lock()) host->CancelQuery(id_);
  }
  Query(Query&&) = default;
  Query& operator=(Query&& other) noexcept {
    std::swap(queue_, other.queue_);
    std::swap(host_, other.host_);
    std::swap(id_, other.id_);
    return *this;
  }

  // The next answer, or nothing when the query has ended: by its timeout, because all have answered
  // (QueryParams::finish_early), or because the Agent has ended. A call that is cancelled gives
  // nothing, too; the query then still runs, and the next call gets the next answer.
  //
  // Handler: void(std::optional<Answer>).
  template <typename Token = boost::asio::use_awaitable_t<>>
  auto Next(Token&& token = Token());

  QueryId id() const { return id_; }
  // How many answers were dropped, because kAnswersQueuedMax or kAnswerBytesQueuedMax waited.
  std::uint64_t dropped() const { return queue_->dropped(); }

 private:
  std::shared_ptr<agent_internal::AnswerQueue> queue_;
  std::weak_ptr<transport::Host> host_;
  QueryId id_;
};

// --- bodies ---

namespace agent_internal {

template <typename Complete>
void AnswerQueue::Next(Complete complete) {
  if (!complete.waiting()) return;
  std::erase_if(waiters_, [](const Waiter& waiter) { return !waiter.waiting(); });
  if (!answers_.empty()) {
    Answer answer = std::move(answers_.front());
    answers_.pop_front();
    bytes_ -= answer.from.size() + answer.payload.size();
    return complete(std::move(answer));
  }
  if (done_) return complete(std::nullopt);
  waiters_.push_back({[complete] { return complete.waiting(); }, complete});
}

inline void AnswerQueue::OnUpdate(const QueryUpdate& update) {
  if (update.kind == QueryUpdate::Kind::kDone) {
    done_ = true;
    for (Waiter& waiter : std::exchange(waiters_, {})) waiter.complete(std::nullopt);
    return;
  }
  Answer answer = {update.from, update.payload, update.kind == QueryUpdate::Kind::kAck};
  std::erase_if(waiters_, [](const Waiter& waiter) { return !waiter.waiting(); });
  if (!waiters_.empty()) {
    Waiter waiter = std::move(waiters_.front());
    waiters_.erase(waiters_.begin());
    return waiter.complete(std::move(answer));
  }
  const std::size_t size = answer.from.size() + answer.payload.size();
  if (answers_.size() >= kAnswersQueuedMax || bytes_ + size > kAnswerBytesQueuedMax) {
    dropped_.fetch_add(1, std::memory_order_relaxed);
    return;
  }
  bytes_ += size;
  answers_.push_back(std::move(answer));
}

}  // namespace agent_internal

template <typename Token>
auto Query::Next(Token&& token) {
  return boost::asio::async_initiate<Token, void(std::optional<Answer>)>(
      [](auto handler, std::shared_ptr<agent_internal::AnswerQueue> queue) {
        using Complete = transport::Completer<decltype(handler), std::optional<Answer>>;
        Complete complete(std::move(handler), queue->io());
        complete.OnCancel([](Complete& completer) { completer(std::nullopt); });
        boost::asio::post(queue->io(), [queue, complete] { queue->Next(complete); });
      },
      token, queue_);
}

}  // namespace serf

#endif  // SERF_TRANSPORT_AGENT_QUERY_H_
