// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_TRANSPORT_AGENT_H_
#define SERF_TRANSPORT_AGENT_H_

// Agent: a member of a Serf cluster in this process, for an application with an io_context. It is a
// face over transport::Host: options as texts, a handler for each kind of event, and verbs that a
// coroutine awaits.
//
//   asio::awaitable<absl::Status> Run(asio::io_context& io) {
//     auto agent = serf::Agent::Start(io, {.name = "web-1", .bind = "10.0.0.1"});
//     if (!agent.ok()) co_return agent.status();
//     (*agent)->OnMember([](serf::MemberEventKind kind, const serf::Member& member) { ... });
//     auto joined = co_await (*agent)->Join({"10.0.0.2", "db.example:7000"});
//     if (!joined.ok()) co_return joined.status();
//     co_return co_await (*agent)->SendUserEvent("deploy", "v1.2.3");
//   }
//
// Do not use it without an io_context: BlockingAgent has a thread of its own. Do not use it to talk
// to an agent in another process: rpc::Client does that.
//
// Verbs: each takes an Asio completion token last. Without one it gives an awaitable. Its result is
// an absl::Status or an absl::StatusOr<T>, and that is the only way in which it reports an error.
// What a verb does, and its errors, are those of the Host's function of that name.
//
// Cancellation: by the token's cancellation slot, so that `co_await (agent->Join(a) ||
// timer.async_wait(use_awaitable))` ends when the first of both does. A cancelled verb ends at once
// with Cancelled. Join() then contacts no further address; other verbs continue. Members(),
// GetCoordinate() and Stats() end soon, and take no notice.
//
// Threads and lifetime: those of Host. Exactly one thread runs the io_context, which must outlive
// the Agent. Any thread may call a verb, and may destroy the Agent. Verbs under way then end with
// Cancelled. If the io_context's thread destroys the Agent, no handler is called again. If another
// thread does, one call may still be under way; BlockingAgent waits for it, because it joins its
// thread. If the io_context ends first, it destroys what waits.

#include <atomic>
#include <boost/asio/async_result.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <concepts>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "serf/base/base64.h"
#include "serf/base/bytes.h"
#include "serf/base/endpoint.h"
#include "serf/base/logger.h"
#include "serf/coordinate.h"
#include "serf/event.h"
#include "serf/join.h"
#include "serf/keys.h"
#include "serf/member.h"
#include "serf/query.h"
#include "serf/tags.h"
#include "serf/transport/agent_options.h"
#include "serf/transport/agent_query.h"
#include "serf/transport/completer.h"
#include "serf/transport/host.h"

namespace serf {

// The addresses of a join: any vector of texts, or {"10.0.0.1", "db.example:7000"}. It is not a
// std::initializer_list, because g++ 12 cannot hold one in an expression that awaits.
class JoinAddresses {
 public:
  JoinAddresses(std::vector<std::string> texts) : texts_(std::move(texts)) {}
  template <typename... Texts>
  requires(std::convertible_to<Texts, std::string>&&...) JoinAddresses(Texts&&... texts) {
    (texts_.emplace_back(std::forward<Texts>(texts)), ...);
  }
  std::vector<std::string> Take() && { return std::move(texts_); }

 private:
  std::vector<std::string> texts_;
};

class Agent {
 public:
  // The token of a verb that is called without one.
  using Awaitable = boost::asio::use_awaitable_t<>;

  // What the handlers below are given. A member event of several members is several calls.
  using MemberHandler = std::function<void(MemberEventKind, const Member&)>;
  using UserEventHandler = std::function<void(const UserEvent&)>;
  // Returns the answer, or nothing: then Respond() may answer later, before QueryEvent::deadline.
  using QueryHandler = std::function<std::optional<std::string>(const QueryEvent&)>;
  using JoinHandler = std::function<void(const absl::StatusOr<JoinResult>&)>;
  using ShutdownHandler = std::function<void()>;

  // Starts a member. Blocks while it looks up names and reads the snapshot. Errors: those of
  // ToHostOptions(), which name the field and its value, and those of Host::Create(), for example
  // for an address that is in use. After an error nothing stays open.
  //
  // Nothing is delivered before the io_context runs on: see OnMember(). With AgentOptions::join the
  // member joins once it runs. A failure of that join does not end the Agent: it is logged, and
  // OnJoin() hears of it.
  static absl::StatusOr<std::unique_ptr<Agent>> Start(boost::asio::io_context& io,
                                                      AgentOptions options = {});
  // Does what Host::Shutdown() does: the others find out by probing. To depart, Leave() first.
  ~Agent() { handlers_->silent.store(true, std::memory_order_relaxed); }
  Agent(const Agent&) = delete;
  Agent& operator=(const Agent&) = delete;

  // The handlers, one of each kind; a second call replaces the first. Call these on the
  // io_context's thread, or before it runs. What is set right after Start(), before the io_context
  // runs its next handler, misses nothing, not even the join of this node itself.
  //
  // Handlers run on the io_context's thread, in the order of the events. They must not block or
  // throw. They may call all verbs, with another token than Awaitable, and destroy the Agent.
  void OnMember(MemberHandler handler) { Set(handlers_->on_member, std::move(handler)); }
  void OnUserEvent(UserEventHandler handler) { Set(handlers_->on_user_event, std::move(handler)); }
  // An answer that cannot be sent, because it is too long, is logged.
  void OnQuery(QueryHandler handler) { Set(handlers_->on_query, std::move(handler)); }
  // How the join of AgentOptions::join ended; called once if that is given.
  void OnJoin(JoinHandler handler) { Set(handlers_->on_join, std::move(handler)); }
  // Called once when the member has ended by itself, since another node has its name and won the
  // vote. Verbs then fail; start a new Agent, with another name.
  void OnShutdown(ShutdownHandler handler) { Set(handlers_->on_shutdown, std::move(handler)); }

  // Joins the cluster through members that it has. The result of a join that reached somebody says
  // how many addresses answered, and in `errors` why the others did not. If nobody answered, the
  // text of the error has all reasons. Result: absl::StatusOr<JoinResult>.
  template <typename Token = Awaitable>
  auto Join(JoinAddresses addresses, JoinOptions options = {}, Token&& token = Token()) {
    return Begin<absl::StatusOr<JoinResult>>(
        host_->AsyncJoin(std::move(addresses).Take(), options, boost::asio::deferred), FromJoin,
        std::forward<Token>(token));
  }

  // Leaves the cluster, so that the others list this node as `left`. It takes seconds, and cannot
  // be undone: destroy the Agent next. Result: absl::Status.
  template <typename Token = Awaitable>
  auto Leave(Token&& token = Token()) {
    return host_->AsyncLeave(std::forward<Token>(token));
  }

  // Turns the failed member `name` into one that left. Result: absl::Status.
  template <typename Token = Awaitable>
  auto ForceLeave(std::string name, ForceLeaveOptions options = {}, Token&& token = Token()) {
    return host_->AsyncForceLeave(std::move(name), options, std::forward<Token>(token));
  }

  // Replaces all tags of this node. Result: absl::Status.
  template <typename Token = Awaitable>
  auto SetTags(Tags tags, Token&& token = Token()) {
    return host_->AsyncSetTags(std::move(tags), std::forward<Token>(token));
  }

  // Edits the tags of this node: change(tags) runs once, on the io_context's thread. Result:
  // absl::Status.
  template <typename Token = Awaitable>
  auto UpdateTags(std::function<void(Tags&)> change, Token&& token = Token()) {
    return host_->AsyncUpdateTags(std::move(change), std::forward<Token>(token));
  }

  // Sends a user event to all members, this one included. Result: absl::Status.
  template <typename Token = Awaitable>
  auto SendUserEvent(std::string name, std::string payload = {}, UserEventOptions options = {},
                     Token&& token = Token()) {
    return host_->AsyncSendUserEvent(std::move(name), std::move(payload), options,
                                     std::forward<Token>(token));
  }

  // Asks all members that pass the filters of `params`, this one included. Result:
  // absl::StatusOr<Query>; Query::Next() gives the answers.
  template <typename Token = Awaitable>
  auto SendQuery(std::string name, std::string payload = {}, QueryParams params = {},
                 Token&& token = Token());

  // Answers a query for which the handler of OnQuery() has returned nothing. Result: absl::Status.
  template <typename Token = Awaitable>
  auto Respond(QueryId query, std::string payload, Token&& token = Token()) {
    return host_->AsyncRespond(query, std::move(payload), std::forward<Token>(token));
  }

  // Installs, uses, removes or lists keys on all members; serf/keys.h says how to rotate a key.
  // `key` is base64; kList takes none. If some members fail, the error is Aborted, and its text
  // says which and why. Result: absl::StatusOr<KeyOutcome>.
  template <typename Token = Awaitable>
  auto ManageKeys(KeyOperation operation, std::string key = {}, Token&& token = Token());

  // Copies of all members in every state, sorted by name. Result:
  // absl::StatusOr<std::vector<Member>>.
  template <typename Token = Awaitable>
  auto Members(Token&& token = Token()) {
    return Begin<absl::StatusOr<std::vector<Member>>>(host_->AsyncMembers(boost::asio::deferred),
                                                      Same, std::forward<Token>(token));
  }

  // The network coordinate that the member `name` announced last; nothing if it announced none.
  // Result: absl::StatusOr<std::optional<Coordinate>>.
  template <typename Token = Awaitable>
  auto GetCoordinate(std::string name, Token&& token = Token()) {
    return Begin<absl::StatusOr<std::optional<Coordinate>>>(
        host_->AsyncCoordinate(std::move(name), boost::asio::deferred), Same,
        std::forward<Token>(token));
  }

  // The figures of Serf::Stats(), by name. Result:
  // absl::StatusOr<std::map<std::string, std::string>>.
  template <typename Token = Awaitable>
  auto Stats(Token&& token = Token()) {
    return Begin<absl::StatusOr<std::map<std::string, std::string>>>(
        host_->AsyncStats(boost::asio::deferred), Same, std::forward<Token>(token));
  }

  // The address that is bound, with its port, and the address that this node announces.
  const Endpoint& local() const { return host_->local(); }
  const Endpoint& advertise() const { return host_->advertise(); }

  // What this is a face of, for what the face lacks. Valid as long as the Agent.
  transport::Host& host() { return *host_; }

 private:
  friend class BlockingAgent;  // waits for Handlers::on_joined

  // What the Host's callbacks find. On the io_context's thread, but for `silent`. A handler may be
  // replaced while it runs.
  struct Handlers {
    std::shared_ptr<MemberHandler> on_member;
    std::shared_ptr<UserEventHandler> on_user_event;
    std::shared_ptr<QueryHandler> on_query;
    std::shared_ptr<JoinHandler> on_join;
    std::shared_ptr<ShutdownHandler> on_shutdown;
    // Called after `on_join`, whatever the application sets, and even if `silent`.
    std::function<void(const absl::Status&)> on_joined;
    std::weak_ptr<transport::Host> host;
    Logger* logger = nullptr;
    std::atomic<bool> silent = false;  // the Agent is gone

    // Calls a handler; false if there is none.
    template <typename Handler, typename... Args>
    bool Call(std::shared_ptr<Handler> handler, const Args&... args) {
      if (handler == nullptr || silent.load(std::memory_order_relaxed)) return false;
      (*handler)(args...);
      return true;
    }
    void Deliver(const Event& event);
    void Answer(const QueryEvent& query);
    void ReportJoin(absl::StatusOr<JoinResult> result);
  };

  Agent(boost::asio::io_context& io, std::shared_ptr<Handlers> handlers,
        std::shared_ptr<transport::Host> host)
      : io_(io), handlers_(std::move(handlers)), host_(std::move(host)) {}

  template <typename Handler>
  static void Set(std::shared_ptr<Handler>& into, Handler handler) {
    into = handler == nullptr ? nullptr : std::make_shared<Handler>(std::move(handler));
  }

  static constexpr auto Same = [](auto value) { return value; };
  static absl::StatusOr<JoinResult> FromJoin(JoinResult result) {
    if (!result.status.ok()) return result.status;
    return result;
  }
  static absl::StatusOr<KeyOutcome> FromKeys(KeyOutcome outcome);

  // Begins the Host's `operation`, and ends with map(its result). An error in `refused` ends it
  // instead, and nothing is begun.
  template <typename Result, typename Operation, typename Map, typename Token>
  auto Begin(Operation operation, Map map, Token&& token, absl::Status refused = absl::OkStatus());

  boost::asio::io_context& io_;
  const std::shared_ptr<Handlers> handlers_;
  const std::shared_ptr<transport::Host> host_;
};

// --- bodies ---

inline absl::StatusOr<std::unique_ptr<Agent>> Agent::Start(boost::asio::io_context& io,
                                                           AgentOptions options) {
  std::vector<std::string> addresses = options.join;
  absl::StatusOr<transport::HostOptions> host_options = ToHostOptions(std::move(options));
  if (!host_options.ok()) return host_options.status();
  const auto handlers = std::make_shared<Handlers>();
  handlers->logger = host_options->config.swim.logger;
  host_options->on_event = [handlers](const Event& event) { handlers->Deliver(event); };
  host_options->on_shutdown = [handlers] { handlers->Call(handlers->on_shutdown); };
  auto created = transport::Host::Create(io, *std::move(host_options));
  if (!created.ok()) return created.status();
  std::shared_ptr<transport::Host> host = *std::move(created);
  handlers->host = host;
  host->Start();
  if (!addresses.empty()) {
    host->AsyncJoin(std::move(addresses), {}, [handlers](JoinResult result) {
      handlers->ReportJoin(FromJoin(std::move(result)));
    });
  }
  return std::unique_ptr<Agent>(new Agent(io, handlers, std::move(host)));
}

inline void Agent::Handlers::Deliver(const Event& event) {
  if (const auto* members = std::get_if<MemberEvent>(&event)) {
    for (const Member& member : members->members) Call(on_member, members->kind, member);
  } else if (const auto* user = std::get_if<UserEvent>(&event)) {
    Call(on_user_event, *user);
  } else if (const auto* query = std::get_if<QueryEvent>(&event)) {
    Answer(*query);
  }
}

inline void Agent::Handlers::Answer(const QueryEvent& query) {
  if (on_query == nullptr || silent.load(std::memory_order_relaxed)) return;
  const std::shared_ptr<QueryHandler> handler = on_query;
  std::optional<std::string> answer = (*handler)(query);
  const std::shared_ptr<transport::Host> to = host.lock();
  if (!answer || to == nullptr) return;
  to->AsyncRespond(query.id, *std::move(answer),
                   [name = query.name, to_log = logger](const absl::Status& status) {
                     if (status.ok()) return;
                     Log(to_log, LogLevel::kWarn, "agent: Failed to answer query '", name,
                         "': ", absl::string_view(status.message()));
                   });
}

inline void Agent::Handlers::ReportJoin(absl::StatusOr<JoinResult> result) {
  if (!result.ok()) {
    Log(logger, LogLevel::kError,
        "agent: Failed to join: ", absl::string_view(result.status().message()));
  } else {
    for (const std::string& error : result->errors) {
      Log(logger, LogLevel::kWarn, "agent: Failed to join: ", error);
    }
  }
  Call(on_join, result);
  if (const auto joined = std::exchange(on_joined, nullptr)) joined(result.status());
}

inline absl::StatusOr<KeyOutcome> Agent::FromKeys(KeyOutcome outcome) {
  if (outcome.status.ok()) return outcome;
  std::string text(outcome.status.message());
  const char* separator = ": ";
  for (const auto& [name, message] : outcome.messages) {
    absl::StrAppend(&text, std::exchange(separator, "; "), name, ": ", message);
  }
  return absl::Status(outcome.status.code(), text);
}

template <typename Result, typename Operation, typename Map, typename Token>
auto Agent::Begin(Operation operation, Map map, Token&& token, absl::Status refused) {
  return boost::asio::async_initiate<Token, void(Result)>(
      [](auto handler, boost::asio::io_context* io, Operation begin, Map to, absl::Status no) {
        if (!no.ok()) {
          transport::Completer<decltype(handler), Result> complete(std::move(handler), *io);
          boost::asio::post(*io, [complete, no]() mutable { complete(no); });
          return;
        }
        auto end = [to = std::move(to)](auto value) mutable {
          return boost::asio::deferred.values(Result(to(std::move(value))));
        };
        (std::move(begin) | boost::asio::deferred(std::move(end)))(std::move(handler));
      },
      token, &io_, std::move(operation), std::move(map), std::move(refused));
}

template <typename Token>
auto Agent::SendQuery(std::string name, std::string payload, QueryParams params, Token&& token) {
  const auto queue = std::make_shared<agent_internal::AnswerQueue>(io_);
  auto to_query = [queue, host = std::weak_ptr<transport::Host>(host_)](
                      absl::StatusOr<QueryId> id) -> absl::StatusOr<Query> {
    if (!id.ok()) return id.status();
    return Query(queue, host, *id);
  };
  return Begin<absl::StatusOr<Query>>(
      host_->AsyncSendQuery(std::move(name), std::move(payload), std::move(params),
                            agent_internal::AnswerQueue::Feed(queue), boost::asio::deferred),
      std::move(to_query), std::forward<Token>(token));
}

template <typename Token>
auto Agent::ManageKeys(KeyOperation operation, std::string key, Token&& token) {
  absl::StatusOr<ByteVector> bytes = DecodeBase64(key);
  absl::Status refused;
  if (!bytes.ok()) {
    refused = absl::InvalidArgumentError(
        absl::StrCat("key: ", absl::string_view(bytes.status().message())));
    bytes = ByteVector();
  }
  return Begin<absl::StatusOr<KeyOutcome>>(
      host_->AsyncManageKeys(operation, *std::move(bytes), /*relay_factor=*/0,
                             boost::asio::deferred),
      FromKeys, std::forward<Token>(token), std::move(refused));
}

}  // namespace serf

#endif  // SERF_TRANSPORT_AGENT_H_
