// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_TRANSPORT_BLOCKING_AGENT_H_
#define SERF_TRANSPORT_BLOCKING_AGENT_H_

// BlockingAgent: a member of a Serf cluster in this process, for an application without an
// io_context. It is an Agent on a thread of its own, whose verbs wait for their result.
//
//   auto agent = serf::BlockingAgent::Start({.name = "web-1", .join = {"10.0.0.2"}});
//   if (!agent.ok()) return Fail(agent.status());
//   auto members = (*agent)->Members();
//   if (members.ok()) Print(*members);
//
// Do not use it where there is an io_context: an Agent there needs no other thread.
//
// Threads: any thread but the agent's own may call any method. The agent's own thread calls the
// handlers that the set-up function gives the Agent, and the logger. A handler must not wait for
// the BlockingAgent: a verb there ends with FailedPrecondition. It calls the verbs of the Agent
// instead, with a callback.
//
// Lifetime: the destructor ends the member as ~Agent does. Verbs in which other threads wait end
// with Cancelled, and the destructor waits for them and for the agent's thread: afterwards nothing
// is called any more. A handler must not destroy the BlockingAgent.

#include <atomic>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_future.hpp>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "serf/base/endpoint.h"
#include "serf/coordinate.h"
#include "serf/event.h"
#include "serf/join.h"
#include "serf/keys.h"
#include "serf/member.h"
#include "serf/query.h"
#include "serf/tags.h"
#include "serf/transport/agent.h"
#include "serf/transport/agent_options.h"
#include "serf/transport/agent_query.h"

namespace serf {

namespace agent_internal {

// The thread of a BlockingAgent, and the calls that wait for it.
class AgentThread {
 public:
  AgentThread() : work_(boost::asio::make_work_guard(io_)) {}
  ~AgentThread() { End(); }
  AgentThread(const AgentThread&) = delete;
  AgentThread& operator=(const AgentThread&) = delete;

  boost::asio::io_context& io() { return io_; }
  // Error: ResourceExhausted, if the system has no thread left.
  absl::Status Start();
  // Returns verb(token), once that is there, or a Result that says why nobody may wait.
  template <typename Result, typename Verb>
  Result Wait(Verb verb);
  // Permits no further calls.
  void Close() {
    const std::lock_guard<std::mutex> lock(mutex_);
    closed_ = true;
  }
  // Waits for the calls that were permitted.
  void WaitForCalls() {
    std::unique_lock<std::mutex> lock(mutex_);
    changed_.wait(lock, [this] { return calls_ == 0; });
  }
  // Waits for the thread.
  void End() {
    work_.reset();
    if (thread_.joinable()) thread_.join();
  }

 private:
  absl::Status Enter();
  void Leave() {
    const std::lock_guard<std::mutex> lock(mutex_);
    --calls_;
    changed_.notify_all();
  }

  boost::asio::io_context io_{1};
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_;
  std::thread thread_;
  std::atomic<std::thread::id> thread_id_;  // set by the thread
  std::mutex mutex_;
  std::condition_variable changed_;
  int calls_ = 0;
  bool closed_ = false;
};

}  // namespace agent_internal

// A query that a BlockingAgent has sent; the end of this object ends it. It may outlive the agent.
class BlockingQuery {
 public:
  // For BlockingAgent.
  BlockingQuery(std::shared_ptr<agent_internal::AgentThread> thread, Query query)
      : thread_(std::move(thread)), query_(std::move(query)) {}

  // Waits for the next answer; nothing when the query or the agent has ended.
  std::optional<Answer> Next() {
    using Result = absl::StatusOr<std::optional<Answer>>;
    const Result next = thread_->Wait<Result>([this](auto token) { return query_.Next(token); });
    return next.value_or(std::nullopt);
  }

  QueryId id() const { return query_.id(); }
  // As of Query.
  std::uint64_t dropped() const { return query_.dropped(); }

 private:
  std::shared_ptr<agent_internal::AgentThread> thread_;
  Query query_;
};

class BlockingAgent {
 public:
  // Starts a member, and joins AgentOptions::join. Calls set_up(agent) before the member runs:
  // handlers that it sets miss nothing. Errors: those of Agent::Start() and of the join; after an
  // error there is no member. The Agent lives as long as the BlockingAgent.
  static absl::StatusOr<std::unique_ptr<BlockingAgent>> Start(
      AgentOptions options = {}, const std::function<void(Agent&)>& set_up = nullptr);
  ~BlockingAgent();
  BlockingAgent(const BlockingAgent&) = delete;
  BlockingAgent& operator=(const BlockingAgent&) = delete;

  // The verbs of Agent, which say what each does.
  absl::StatusOr<JoinResult> Join(std::vector<std::string> addresses, JoinOptions options = {});
  absl::Status Leave();
  absl::Status ForceLeave(std::string name, ForceLeaveOptions options = {});
  absl::Status SetTags(Tags tags);
  // `change` runs on the agent's thread.
  absl::Status UpdateTags(std::function<void(Tags&)> change);
  absl::Status SendUserEvent(std::string name, std::string payload = {},
                             UserEventOptions options = {});
  absl::StatusOr<BlockingQuery> SendQuery(std::string name, std::string payload = {},
                                          QueryParams params = {});
  absl::Status Respond(QueryId query, std::string payload);
  absl::StatusOr<KeyOutcome> ManageKeys(KeyOperation operation, std::string key = {});
  absl::StatusOr<std::vector<Member>> Members();
  absl::StatusOr<std::optional<Coordinate>> GetCoordinate(std::string name);
  absl::StatusOr<std::map<std::string, std::string>> Stats();

  const Endpoint& local() const { return agent_->local(); }
  const Endpoint& advertise() const { return agent_->advertise(); }

 private:
  BlockingAgent(std::shared_ptr<agent_internal::AgentThread> thread, std::unique_ptr<Agent> agent)
      : thread_(std::move(thread)), agent_(std::move(agent)) {}

  template <typename Result, typename Verb>
  Result Wait(Verb verb) {
    return thread_->Wait<Result>(std::move(verb));
  }

  const std::shared_ptr<agent_internal::AgentThread> thread_;
  std::unique_ptr<Agent> agent_;
};

// --- bodies ---

namespace agent_internal {

inline absl::Status AgentThread::Start() {
  try {
    thread_ = std::thread([this] {
      thread_id_ = std::this_thread::get_id();
      io_.run();
    });
  } catch (const std::system_error& error) {
    return absl::ResourceExhaustedError(absl::StrCat("Failed to start a thread: ", error.what()));
  }
  return absl::OkStatus();
}

inline absl::Status AgentThread::Enter() {
  if (thread_id_.load() == std::this_thread::get_id()) {
    return absl::FailedPreconditionError("a handler must not wait for the agent that calls it");
  }
  const std::lock_guard<std::mutex> lock(mutex_);
  if (closed_) return absl::CancelledError("shut down");
  ++calls_;
  return absl::OkStatus();
}

template <typename Result, typename Verb>
Result AgentThread::Wait(Verb verb) {
  if (absl::Status status = Enter(); !status.ok()) return status;
  Result result = verb(boost::asio::use_future).get();
  Leave();
  return result;
}

}  // namespace agent_internal

inline absl::StatusOr<std::unique_ptr<BlockingAgent>> BlockingAgent::Start(
    AgentOptions options, const std::function<void(Agent&)>& set_up) {
  auto thread = std::make_shared<agent_internal::AgentThread>();
  const bool joins = !options.join.empty();
  absl::StatusOr<std::unique_ptr<Agent>> agent = Agent::Start(thread->io(), std::move(options));
  if (!agent.ok()) return agent.status();
  if (set_up != nullptr) set_up(**agent);
  const auto joined = std::make_shared<std::promise<absl::Status>>();
  if (joins) {
    (*agent)->handlers_->on_joined = [joined](const absl::Status& status) {
      joined->set_value(status);
    };
  }
  std::unique_ptr<BlockingAgent> result(new BlockingAgent(std::move(thread), *std::move(agent)));
  if (absl::Status status = result->thread_->Start(); !status.ok()) return status;
  if (!joins) return result;
  if (absl::Status status = joined->get_future().get(); !status.ok()) return status;
  return result;
}

inline BlockingAgent::~BlockingAgent() {
  thread_->Close();
  agent_->host().Shutdown();
  thread_->WaitForCalls();
  agent_ = nullptr;
  thread_->End();
}

inline absl::StatusOr<JoinResult> BlockingAgent::Join(std::vector<std::string> addresses,
                                                      JoinOptions options) {
  return Wait<absl::StatusOr<JoinResult>>(
      [&](auto token) { return agent_->Join(std::move(addresses), options, token); });
}

inline absl::Status BlockingAgent::Leave() {
  return Wait<absl::Status>([&](auto token) { return agent_->Leave(token); });
}

inline absl::Status BlockingAgent::ForceLeave(std::string name, ForceLeaveOptions options) {
  return Wait<absl::Status>(
      [&](auto token) { return agent_->ForceLeave(std::move(name), options, token); });
}

inline absl::Status BlockingAgent::SetTags(Tags tags) {
  return Wait<absl::Status>([&](auto token) { return agent_->SetTags(std::move(tags), token); });
}

inline absl::Status BlockingAgent::UpdateTags(std::function<void(Tags&)> change) {
  return Wait<absl::Status>(
      [&](auto token) { return agent_->UpdateTags(std::move(change), token); });
}

inline absl::Status BlockingAgent::SendUserEvent(std::string name, std::string payload,
                                                 UserEventOptions options) {
  return Wait<absl::Status>([&](auto token) {
    return agent_->SendUserEvent(std::move(name), std::move(payload), options, token);
  });
}

inline absl::StatusOr<BlockingQuery> BlockingAgent::SendQuery(std::string name, std::string payload,
                                                              QueryParams params) {
  auto query = Wait<absl::StatusOr<Query>>([&](auto token) {
    return agent_->SendQuery(std::move(name), std::move(payload), std::move(params), token);
  });
  if (!query.ok()) return query.status();
  return BlockingQuery(thread_, *std::move(query));
}

inline absl::Status BlockingAgent::Respond(QueryId query, std::string payload) {
  return Wait<absl::Status>(
      [&](auto token) { return agent_->Respond(query, std::move(payload), token); });
}

inline absl::StatusOr<KeyOutcome> BlockingAgent::ManageKeys(KeyOperation operation,
                                                            std::string key) {
  return Wait<absl::StatusOr<KeyOutcome>>(
      [&](auto token) { return agent_->ManageKeys(operation, std::move(key), token); });
}

inline absl::StatusOr<std::vector<Member>> BlockingAgent::Members() {
  return Wait<absl::StatusOr<std::vector<Member>>>(
      [&](auto token) { return agent_->Members(token); });
}

inline absl::StatusOr<std::optional<Coordinate>> BlockingAgent::GetCoordinate(std::string name) {
  return Wait<absl::StatusOr<std::optional<Coordinate>>>(
      [&](auto token) { return agent_->GetCoordinate(std::move(name), token); });
}

inline absl::StatusOr<std::map<std::string, std::string>> BlockingAgent::Stats() {
  return Wait<absl::StatusOr<std::map<std::string, std::string>>>(
      [&](auto token) { return agent_->Stats(token); });
}

}  // namespace serf

#endif  // SERF_TRANSPORT_BLOCKING_AGENT_H_
