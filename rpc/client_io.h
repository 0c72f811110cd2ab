#ifndef SERF_RPC_CLIENT_IO_H_
#define SERF_RPC_CLIENT_IO_H_

// AsyncClient: an RPC connection to an agent. Functions take Asio completion tokens:
// callbacks, futures or coroutines. client.h is the blocking form.
//
//   AsyncClient client(io, options);
//   client.AsyncConnect("127.0.0.1:7373", [&](absl::Status status) {
//     client.AsyncMembers([](absl::StatusOr<std::vector<Member>> members) {...});
//   });
//
// Results come in the order of the agent's replies, through the handler's executor and never from
// within the call. Requests may overlap. All calls on the io_context's thread. Destroying the
// client closes the connection; what waits ends with "client closed".
//
// Source: spec/agent.md 1.11 and, for the texts of a failed connection, 4.2.

#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
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
#include "serf/keys.h"
#include "serf/member.h"
#include "serf/query.h"
#include "serf/rpc/asio_util.h"
#include "serf/rpc/client_connection.h"
#include "serf/rpc/client_session.h"
#include "serf/rpc/protocol.h"
#include "serf/rpc/service.h"
#include "serf/tags.h"

namespace serf::rpc {

class AsyncClient {
 public:
  AsyncClient(boost::asio::io_context& io, ClientOptions options)
      : core_(std::make_shared<ClientConnection>(io, std::move(options))) {}
  ~AsyncClient() { core_->Close(); }
  AsyncClient(const AsyncClient&) = delete;
  AsyncClient& operator=(const AsyncClient&) = delete;

  // Connects to "host:port" or "unix:/path", shakes hands and authenticates. Once; after an error
  // the client is of no use. The error's message is that of 4.2: "dial tcp 127.0.0.1:7373: connect:
  // ...".
  template <typename Token>
  auto AsyncConnect(std::string address, Token&& token) {
    return Start<absl::Status>(token, [address = std::move(address)](auto& core, auto done) {
      core->Connect(address, done);
    });
  }

  template <typename Token>
  auto AsyncMembers(Token&& token) {
    return Start<absl::StatusOr<std::vector<Member>>>(
        token, [](auto& core, auto done) { core->session().Members(core->ReplyDeadline(), done); });
  }

  template <typename Token>
  auto AsyncMembersFiltered(MembersFilteredRequest filter, Token&& token) {
    return Start<absl::StatusOr<std::vector<Member>>>(
        token, [filter = std::move(filter)](auto& core, auto done) {
          core->session().MembersFiltered(core->ReplyDeadline(), filter, done);
        });
  }

  // Has an error, a number of joined addresses and texts of the others, or some of these.
  template <typename Token>
  auto AsyncJoin(std::vector<std::string> addresses, bool replay, Token&& token) {
    return AsyncJoin(JoinRequest{std::move(addresses), replay}, std::forward<Token>(token));
  }
  // The same; the request may want the failures beside those that answered, too.
  template <typename Token>
  auto AsyncJoin(JoinRequest request, Token&& token) {
    return Start<JoinResult>(token, [request = std::move(request)](auto& core, auto done) {
      const Duration limit = core->options().join_timeout;
      const auto count = static_cast<Duration::rep>(request.existing.size());
      core->session().Join(SteadyNow() + limit * (count + 1), request, done);
    });
  }

  template <typename Token>
  auto AsyncUserEvent(std::string name, std::string payload, bool coalesce, Token&& token) {
    return Start<absl::Status>(token, [name = std::move(name), payload = std::move(payload),
                                       coalesce](auto& core, auto done) {
      core->session().SendUserEvent(core->ReplyDeadline(), name, payload, coalesce, done);
    });
  }

  // `key` is base64, none for kList. Waits for all nodes, at most as long as a query takes.
  template <typename Token>
  auto AsyncManageKeys(KeyOperation operation, std::string key, Token&& token) {
    return Start<KeysResult>(token, [operation, key = std::move(key)](auto& core, auto done) {
      core->session().ManageKeys(core->BroadcastDeadline(), operation, key, done);
    });
  }

  template <typename Token>
  auto AsyncLeave(Token&& token) {
    return Start<absl::Status>(token, [](auto& core, auto done) {
      core->session().Leave(core->BroadcastDeadline(), done);
    });
  }

  template <typename Token>
  auto AsyncForceLeave(std::string node, bool prune, Token&& token) {
    return Start<absl::Status>(token, [node = std::move(node), prune](auto& core, auto done) {
      core->session().ForceLeave(core->BroadcastDeadline(), node, prune, done);
    });
  }

  template <typename Token>
  auto AsyncUpdateTags(Tags set, std::vector<std::string> remove, Token&& token) {
    return Start<absl::Status>(
        token, [set = std::move(set), remove = std::move(remove)](auto& core, auto done) {
          core->session().UpdateTags(core->BroadcastDeadline(), set, remove, done);
        });
  }

  template <typename Token>
  auto AsyncStats(Token&& token) {
    return Start<absl::StatusOr<StatsSections>>(
        token, [](auto& core, auto done) { core->session().Stats(core->ReplyDeadline(), done); });
  }

  // What a node last told of its network coordinate; none if the agent knows of none.
  template <typename Token>
  auto AsyncGetCoordinate(std::string node, Token&& token) {
    return Start<absl::StatusOr<std::optional<Coordinate>>>(
        token, [node = std::move(node)](auto& core, auto done) {
          core->session().GetCoordinate(core->ReplyDeadline(), node, done);
        });
  }

  // Asks the cluster. `on_answer` is called as AsyncStream()'s `on_event`, with each answer, and
  // last with kDone; or with an error if the connection ends before. While it runs nothing is
  // read: answers wait at the agent. The result says that the query is under way.
  template <typename Token>
  auto AsyncQuery(std::string name, std::string payload, QueryParams params,
                  ClientSession::AnswerHandler on_answer, Token&& token) {
    return Start<absl::StatusOr<ClientSession::Seq>>(
        token, [name = std::move(name), payload = std::move(payload), params = std::move(params),
                on_answer = std::move(on_answer)](auto& core, auto done) {
          core->session().Query(core->ReplyDeadline(), name, payload, params, on_answer, done);
        });
  }

  // Answers the query of a QueryRecord, which a stream of this connection has delivered.
  template <typename Token>
  auto AsyncRespond(std::uint64_t id, std::string payload, Token&& token) {
    return Start<absl::Status>(token, [id, payload = std::move(payload)](auto& core, auto done) {
      core->session().Respond(core->ReplyDeadline(), id, payload, done);
    });
  }

  // `on_event` is called on the io_context's thread for each record, and once with an error when
  // the connection ends. While it runs nothing is read: a slow one makes the agent drop records.
  template <typename Token>
  auto AsyncStream(std::string filter, ClientSession::EventHandler on_event, Token&& token) {
    return Start<absl::StatusOr<ClientSession::Seq>>(
        token, [filter = std::move(filter), on_event = std::move(on_event)](auto& core, auto done) {
          core->session().Stream(core->ReplyDeadline(), filter, on_event, done);
        });
  }

  // As AsyncStream(), for the agent's log from `level` on ("trace" to "err").
  template <typename Token>
  auto AsyncMonitor(std::string level, ClientSession::LogHandler on_log, Token&& token) {
    return Start<absl::StatusOr<ClientSession::Seq>>(
        token, [level = std::move(level), on_log = std::move(on_log)](auto& core, auto done) {
          core->session().Monitor(core->ReplyDeadline(), level, on_log, done);
        });
  }

  template <typename Token>
  auto AsyncStop(ClientSession::Seq stream, Token&& token) {
    return Start<absl::Status>(token, [stream](auto& core, auto done) {
      core->session().Stop(core->ReplyDeadline(), stream, done);
    });
  }

  // Ends the connection; what waits gets `reason`, and so do later requests. Idempotent.
  void Close(absl::Status reason = absl::UnavailableError(kClientClosed)) {
    core_->Close(std::move(reason));
  }

  // When the first of the requests under way is given up.
  Instant DeadlineForTest() const { return core_->session().NextDeadline(); }

 private:
  // A handler and where it is called. Shared, because std::function wants copies and a handler may
  // be movable only.
  template <typename Handler, typename Executor>
  struct Operation {
    Handler handler;
    Executor executor;
    bool initiating = true;
  };

  // Starts an operation: `start(core, done)` with a copyable `done(Result)`.
  template <typename Result, typename Token, typename Begin>
  auto Start(Token& token, Begin start) {
    return boost::asio::async_initiate<Token, void(Result)>(
        [core = core_, start = std::move(start)](auto handler) mutable {
          auto executor = boost::asio::get_associated_executor(handler, core->io().get_executor());
          using Op = Operation<decltype(handler), decltype(executor)>;
          auto op = std::make_shared<Op>(Op{std::move(handler), std::move(executor)});
          start(core, [op](Result result) {
            auto call = [op, result = std::move(result)]() mutable {
              std::move(op->handler)(std::move(result));
            };
            // At once where that is allowed, so that a stream's reply precedes its records.
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
