// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_RPC_CLIENT_IO_H_
#define SERF_RPC_CLIENT_IO_H_

// AsyncClient: an RPC connection to an agent in another process, for a program with an io_context.
// Its functions take an Asio completion token last: a callback or a future. Without one they give
// an awaitable. rpc/client.h is the blocking form.
//
//   AsyncClient client(io);
//   if (absl::Status s = co_await client.AsyncConnect("127.0.0.1:7373"); !s.ok()) co_return s;
//   absl::StatusOr<std::vector<Member>> members = co_await client.AsyncMembers();
//
// Threads: all calls on the io_context's thread. A handler runs through its executor, and never
// from within the call. Requests may overlap; results come in the order of the agent's replies.
//
// Lifetime: the io_context must outlive the client. The destructor closes the connection, and what
// waits ends with Unavailable, "client closed".
//
// Errors: the same as those of Client. After DeadlineExceeded the connection stays open. Deadlines
// are those of ClientOptions.
//
// Source: docs/protocol/agent.md 1.11, and 4.2 for the texts of a failed connection.

#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "serf/base/time.h"
#include "serf/coordinate.h"
#include "serf/join.h"
#include "serf/keys.h"
#include "serf/member.h"
#include "serf/query.h"
#include "serf/rpc/client_connection.h"
#include "serf/rpc/client_session.h"
#include "serf/rpc/protocol.h"
#include "serf/rpc/service.h"
#include "serf/tags.h"
#include "serf/transport/net/clock.h"

namespace serf::rpc {

class AsyncClient {
 public:
  // The token of a function that is called without one: the function gives an awaitable.
  using Awaitable = boost::asio::use_awaitable_t<>;

  // Connects only in AsyncConnect().
  explicit AsyncClient(boost::asio::io_context& io, ClientOptions options = {})
      : core_(std::make_shared<ClientConnection>(io, std::move(options))) {}
  ~AsyncClient() { core_->Close(); }
  AsyncClient(const AsyncClient&) = delete;
  AsyncClient& operator=(const AsyncClient&) = delete;

  // Connects to "HOST:PORT" or "unix:/PATH", shakes hands and authenticates. Call it once; after an
  // error the client cannot be used again. The message of an error reads like "dial tcp
  // 127.0.0.1:7373: connect: connection refused" (docs/protocol/agent.md 4.2). Handler:
  // void(absl::Status).
  template <typename Token = Awaitable>
  auto AsyncConnect(std::string address, Token&& token = Token()) {
    return Start<absl::Status>(
        std::forward<Token>(token),
        [address = std::move(address)](auto& core, auto done) { core->Connect(address, done); });
  }

  // All members that the agent knows, in every state. Handler:
  // void(absl::StatusOr<std::vector<Member>>).
  template <typename Token = Awaitable>
  auto AsyncMembers(Token&& token = Token()) {
    return Start<absl::StatusOr<std::vector<Member>>>(
        std::forward<Token>(token),
        [](auto& core, auto done) { core->session().Members(core->ReplyDeadline(), done); });
  }

  // The members that pass the filter. Handler: void(absl::StatusOr<std::vector<Member>>).
  template <typename Token = Awaitable>
  auto AsyncMembersFiltered(MembersFilteredRequest filter, Token&& token = Token()) {
    return Start<absl::StatusOr<std::vector<Member>>>(
        std::forward<Token>(token), [filter = std::move(filter)](auto& core, auto done) {
          core->session().MembersFiltered(core->ReplyDeadline(), filter, done);
        });
  }

  // Has the agent join other members. Waits up to ClientOptions::join_timeout for each address. Go
  // Serf sends no JoinResult::errors. Handler: void(JoinResult).
  template <typename Token = Awaitable>
  auto AsyncJoin(std::vector<std::string> addresses, JoinOptions options = {},
                 Token&& token = Token()) {
    JoinRequest request{std::move(addresses), options.replay, /*failures=*/true};
    return Start<JoinResult>(
        std::forward<Token>(token), [request = std::move(request)](auto& core, auto done) {
          const Duration limit = core->options().join_timeout;
          const auto count = static_cast<Duration::rep>(request.existing.size());
          core->session().Join(transport::Now() + limit * (count + 1), request, done);
        });
  }

  // Has the agent send a user event; see Host::AsyncSendUserEvent(). Handler: void(absl::Status).
  template <typename Token = Awaitable>
  auto AsyncSendUserEvent(std::string name, std::string payload, UserEventOptions options = {},
                          Token&& token = Token()) {
    return Start<absl::Status>(
        std::forward<Token>(token),
        [name = std::move(name), payload = std::move(payload), options](auto& core, auto done) {
          core->session().SendUserEvent(core->ReplyDeadline(), name, payload, options, done);
        });
  }

  // Installs, uses, removes or lists keys on all members. `key` is base64; kList ignores it. Waits
  // for all members, at most as long as a query takes. Handler: void(KeyOutcome).
  template <typename Token = Awaitable>
  auto AsyncManageKeys(KeyOperation operation, std::string key, Token&& token = Token()) {
    return Start<KeyOutcome>(
        std::forward<Token>(token), [operation, key = std::move(key)](auto& core, auto done) {
          core->session().ManageKeys(core->BroadcastDeadline(), operation, key, done);
        });
  }

  // Has the agent leave the cluster and shut down. Handler: void(absl::Status).
  template <typename Token = Awaitable>
  auto AsyncLeave(Token&& token = Token()) {
    return Start<absl::Status>(std::forward<Token>(token), [](auto& core, auto done) {
      core->session().Leave(core->BroadcastDeadline(), done);
    });
  }

  // Turns a failed member into one that left. Handler: void(absl::Status).
  template <typename Token = Awaitable>
  auto AsyncForceLeave(std::string node, ForceLeaveOptions options = {}, Token&& token = Token()) {
    return Start<absl::Status>(
        std::forward<Token>(token), [node = std::move(node), options](auto& core, auto done) {
          core->session().ForceLeave(core->BroadcastDeadline(), node, options, done);
        });
  }

  // Removes the agent's tags that `remove` names, then sets those of `set`. Handler:
  // void(absl::Status).
  template <typename Token = Awaitable>
  auto AsyncUpdateTags(Tags set, std::vector<std::string> remove, Token&& token = Token()) {
    return Start<absl::Status>(
        std::forward<Token>(token),
        [set = std::move(set), remove = std::move(remove)](auto& core, auto done) {
          core->session().UpdateTags(core->BroadcastDeadline(), set, remove, done);
        });
  }

  // The agent's figures, by section and name. Handler: void(absl::StatusOr<StatsSections>).
  template <typename Token = Awaitable>
  auto AsyncStats(Token&& token = Token()) {
    return Start<absl::StatusOr<StatsSections>>(
        std::forward<Token>(token),
        [](auto& core, auto done) { core->session().Stats(core->ReplyDeadline(), done); });
  }

  // The network coordinate that a member announced last; none if the agent knows none. Handler:
  // void(absl::StatusOr<std::optional<Coordinate>>).
  template <typename Token = Awaitable>
  auto AsyncGetCoordinate(std::string node, Token&& token = Token()) {
    return Start<absl::StatusOr<std::optional<Coordinate>>>(
        std::forward<Token>(token), [node = std::move(node)](auto& core, auto done) {
          core->session().GetCoordinate(core->ReplyDeadline(), node, done);
        });
  }

  // Has the agent send a query. The handler runs when the query is under way. `on_answer` then
  // receives each acknowledgement and answer, on the io_context's thread, and last kDone; or an
  // error, if the connection ends before. While `on_answer` runs the client reads nothing, and
  // answers wait at the agent. Handler: void(absl::StatusOr<Seq>).
  template <typename Token = Awaitable>
  auto AsyncSendQuery(std::string name, std::string payload, QueryParams params,
                      ClientSession::AnswerHandler on_answer, Token&& token = Token()) {
    return Start<absl::StatusOr<ClientSession::Seq>>(
        std::forward<Token>(token),
        [name = std::move(name), payload = std::move(payload), params = std::move(params),
         on_answer = std::move(on_answer)](auto& core, auto done) {
          core->session().SendQuery(core->ReplyDeadline(), name, payload, params, on_answer, done);
        });
  }

  // Answers the query of a QueryRecord that a stream of this connection has delivered. Handler:
  // void(absl::Status).
  template <typename Token = Awaitable>
  auto AsyncRespond(std::uint64_t id, std::string payload, Token&& token = Token()) {
    return Start<absl::Status>(std::forward<Token>(token),
                               [id, payload = std::move(payload)](auto& core, auto done) {
                                 core->session().Respond(core->ReplyDeadline(), id, payload, done);
                               });
  }

  // Opens a stream of events; `filter` as in Client::Stream(). `on_event` receives each record, on
  // the io_context's thread, and an error once when the connection ends. While it runs the client
  // reads nothing: a slow one makes the agent drop records. Handler: void(absl::StatusOr<Seq>); the
  // number is for AsyncStop().
  template <typename Token = Awaitable>
  auto AsyncStream(std::string filter, ClientSession::EventHandler on_event,
                   Token&& token = Token()) {
    return Start<absl::StatusOr<ClientSession::Seq>>(
        std::forward<Token>(token),
        [filter = std::move(filter), on_event = std::move(on_event)](auto& core, auto done) {
          core->session().Stream(core->ReplyDeadline(), filter, on_event, done);
        });
  }

  // The same for the agent's log, from `level` on ("trace" to "err").
  template <typename Token = Awaitable>
  auto AsyncMonitor(std::string level, ClientSession::LogHandler on_log, Token&& token = Token()) {
    return Start<absl::StatusOr<ClientSession::Seq>>(
        std::forward<Token>(token),
        [level = std::move(level), on_log = std::move(on_log)](auto& core, auto done) {
          core->session().Monitor(core->ReplyDeadline(), level, on_log, done);
        });
  }

  // Ends a stream; its handler is not called again. Handler: void(absl::Status).
  template <typename Token = Awaitable>
  auto AsyncStop(ClientSession::Seq stream, Token&& token = Token()) {
    return Start<absl::Status>(std::forward<Token>(token), [stream](auto& core, auto done) {
      core->session().Stop(core->ReplyDeadline(), stream, done);
    });
  }

  // Ends the connection. Requests under way and later ones end with `reason`. A second call does
  // nothing.
  void Close(absl::Status reason = absl::UnavailableError(kClientClosed)) {
    core_->Close(std::move(reason));
  }

  // The earliest deadline of the requests under way.
  Instant DeadlineForTest() const { return core_->session().NextDeadline(); }

 private:
  // A handler and where it runs. Shared, because std::function copies and a handler may be movable
  // only.
  template <typename Handler, typename Executor>
  struct Operation {
    Handler handler;
    Executor executor;
    bool initiating = true;
  };

  // Starts an operation: calls start(core, done) with a copyable done(Result).
  template <typename Result, typename Token, typename Begin>
  auto Start(Token&& token, Begin start) {
    return boost::asio::async_initiate<Token, void(Result)>(
        [core = core_, start = std::move(start)](auto handler) mutable {
          auto executor = boost::asio::get_associated_executor(handler, core->io().get_executor());
          using Op = Operation<decltype(handler), decltype(executor)>;
          auto op = std::make_shared<Op>(Op{std::move(handler), std::move(executor)});
          start(core, [op](Result result) {
            auto call = [op, result = std::move(result)]() mutable {
              std::move(op->handler)(std::move(result));
            };
            // At once where that is allowed, so that the reply of a stream precedes its records.
            if (op->initiating) {
              boost::asio::post(op->executor, std::move(call));
            } else {
              boost::asio::dispatch(op->executor, std::move(call));
            }
          });
          op->initiating = false;
          core->Flush();
        },
        token);
  }

  const std::shared_ptr<ClientConnection> core_;
};

}  // namespace serf::rpc

#endif  // SERF_RPC_CLIENT_IO_H_
