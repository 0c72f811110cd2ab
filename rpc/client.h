// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_RPC_CLIENT_H_
#define SERF_RPC_CLIENT_H_

// Client: a blocking RPC connection to an agent in another process, for command line programs and
// tests. It speaks to agents of this project and to Go Serf's.
//
//   Client client;
//   if (absl::Status s = client.Connect("127.0.0.1:7373"); !s.ok()) return Fail(s.message());
//   absl::StatusOr<std::vector<Member>> members = client.Members();
//
//   client.Stream("*");                       // what `serf monitor` does
//   client.Monitor("INFO");
//   while (auto record = client.Next(); record.ok()) ...
//
//   client.SendQuery("load", "15m", params);      // what `serf query` does
//   for (;;) {
//     auto record = client.Next();
//     if (!record.ok()) return Fail(record.status().message());  // the query was cut off
//     if (std::get<AnswerRecord>(record->value).kind == QueryUpdate::Kind::kDone) break;
//   }
//
// Do not use it in a program that has an io_context of its own: AsyncClient of rpc/client_io.h does
// not block. Do not use it to become a member: transport::Host does that.
//
// Threads: all calls on one thread at a time: it has no lock. Every call but Next() ends after a
// timeout of ClientOptions at the latest. Interrupt() ends a call that blocks. Call it from a
// handler on io_context(), such as that of a signal_set; it is not safe from other threads.
//
// Errors: an error of the agent has the agent's text as its message (docs/protocol/agent.md 1.5),
// and leaves the connection open. DeadlineExceeded: no reply came in time. Cancelled: Interrupt().
// The agent may have carried out a request that ended with one of these two. Unavailable: the
// connection has ended; later calls fail too, and only a new Client helps.
//
// Source: docs/protocol/agent.md 1.11 and 4.2.

#include <boost/asio/io_context.hpp>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "serf/coordinate.h"
#include "serf/join.h"
#include "serf/keys.h"
#include "serf/member.h"
#include "serf/query.h"
#include "serf/rpc/client_io.h"
#include "serf/rpc/client_session.h"
#include "serf/rpc/protocol.h"
#include "serf/rpc/record_queue.h"
#include "serf/rpc/service.h"
#include "serf/tags.h"

namespace serf::rpc {

class Client {
 public:
  using Seq = ClientSession::Seq;

  // What Next() returns. Its `stream` is the number that Stream(), Monitor() or SendQuery()
  // returned; its `value` holds an EventRecord, a LogRecord or an AnswerRecord.
  using Record = StreamRecord;

  explicit Client(ClientOptions options = {})
      : io_(1), async_(std::make_unique<AsyncClient>(io_, std::move(options))) {}
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  // Connects, shakes hands and, with ClientOptions::auth_key, authenticates. Call it once, before
  // anything else. `address` is "HOST:PORT" or "unix:/PATH". The message of an error reads like
  // "dial tcp 127.0.0.1:7373: connect: connection refused" (docs/protocol/agent.md 4.2).
  absl::Status Connect(const std::string& address);

  // All members that the agent knows, in every state. Agents of this project sort them by name.
  absl::StatusOr<std::vector<Member>> Members();
  // The members that pass the filter, which the agent applies; see MembersFilteredRequest.
  absl::StatusOr<std::vector<Member>> MembersFiltered(MembersFilteredRequest filter);
  // Has the agent join other members. Waits up to ClientOptions::join_timeout for each address. Go
  // Serf sends no JoinResult::errors.
  JoinResult Join(std::vector<std::string> addresses, JoinOptions options = {});
  // Has the agent send a user event; see Host::AsyncSendUserEvent(). The payload may hold any
  // bytes.
  absl::Status SendUserEvent(std::string name, std::string payload, UserEventOptions options = {});
  // Installs, uses, removes or lists keys on all members; serf/keys.h says how to rotate. `key` is
  // base64; kList ignores it.
  KeyOutcome ManageKeys(KeyOperation operation, std::string key);
  // Has the agent leave the cluster. The agent then shuts down, and the connection ends.
  absl::Status Leave();
  // Turns a failed member into one that left. An unknown name is not an error.
  absl::Status ForceLeave(std::string node, ForceLeaveOptions options = {});
  // Changes the tags of the agent: removes those named by `remove`, then sets those of `set`. Other
  // tags stay.
  absl::Status UpdateTags(Tags set, std::vector<std::string> remove);
  // The agent's figures, by section and name, as text (docs/protocol/agent.md 1.7).
  absl::StatusOr<StatsSections> Stats();

  // The network coordinate that a member announced last; none if the agent knows none.
  absl::StatusOr<std::optional<Coordinate>> GetCoordinate(std::string node);
  // Has the agent send a query. Acknowledgements and answers come from Next(), and last a kDone.
  // With QueryParams::finish_early and an agent of this project, kDone comes as soon as all have
  // answered.
  absl::StatusOr<Seq> SendQuery(std::string name, std::string payload, QueryParams params);
  // Answers a query that Next() has delivered as a QueryRecord with this `id`. Once, and on the
  // same connection.
  absl::Status Respond(std::uint64_t id, std::string payload);

  // Opens a stream of events; its records come from Next(). `filter` lists kinds, for example
  // "member-join,user:deploy", or "*" for all (docs/protocol/agent.md 1.9.1).
  absl::StatusOr<Seq> Stream(std::string filter);
  // Opens a stream of the agent's log lines, from `level` on: "TRACE", "DEBUG", "INFO", "WARN",
  // "ERR". At most one per connection.
  absl::StatusOr<Seq> Monitor(std::string level);
  // Ends a stream. Records that wait already may still come.
  absl::Status Stop(Seq stream);
  // Waits for the next record of any stream, without a timeout. Errors: Cancelled, after
  // Interrupt(); the streams stay open. FailedPrecondition, if no stream is open. Else the
  // connection has ended.
  //
  // A program that fetches slowly loses nothing here: records wait in the client up to a read of
  // the socket, then in the socket, then at the agent. There is one exception. While another call
  // waits for its answer, the client must read everything that comes before that answer. If
  // kRecordsWaitingMax records or kRecordBytesWaitingMax bytes wait meanwhile, the client closes
  // the connection. That call then ends with a ResourceExhausted error that names the stream, and
  // so does Next() after all that waits. So fetch records before such a call, or make it with a
  // second client.
  absl::StatusOr<Record> Next();

  // Makes the call that blocks, or the next one, return Cancelled. Call it on the client's thread.
  void Interrupt() { interrupted_ = true; }

  // The io_context of the client, which runs only while a call blocks. For signals and timers.
  boost::asio::io_context& io_context() { return io_; }

 private:
  // Starts an operation and runs the io_context until the operation has called its handler.
  template <typename Result, typename Operation>
  Result Wait(Operation start);
  // A handler for the records of the stream whose number `seq` will hold.
  template <typename Value>
  auto Queue(std::shared_ptr<Seq> seq);
  // Opens a stream with `start(done)`.
  template <typename Operation>
  absl::StatusOr<Seq> Open(std::shared_ptr<Seq> seq, Operation start);

  boost::asio::io_context io_;
  RecordQueue records_;
  absl::Status ended_;
  bool interrupted_ = false;
  // The last member, because its destruction calls handlers that use the others.
  std::unique_ptr<AsyncClient> async_;
};

template <typename Result, typename Operation>
Result Client::Wait(Operation start) {
  // Shared, because an interrupted call leaves it to a handler that comes later.
  const auto result = std::make_shared<std::optional<Result>>();
  start([result](Result value) { *result = std::move(value); });
  io_.restart();
  while (!*result && !interrupted_ && io_.run_one() > 0) {
  }
  if (*result) return std::move(**result);
  interrupted_ = false;
  if constexpr (std::is_aggregate_v<Result>) {
    Result none;  // a status, besides the value that the call delivers
    none.status = absl::CancelledError("interrupted");
    return none;
  } else {
    return absl::CancelledError("interrupted");
  }
}

inline absl::Status Client::Connect(const std::string& address) {
  return Wait<absl::Status>([&](auto done) { async_->AsyncConnect(address, done); });
}

inline absl::StatusOr<std::vector<Member>> Client::Members() {
  return Wait<absl::StatusOr<std::vector<Member>>>([&](auto done) { async_->AsyncMembers(done); });
}

inline absl::StatusOr<std::vector<Member>> Client::MembersFiltered(MembersFilteredRequest filter) {
  return Wait<absl::StatusOr<std::vector<Member>>>(
      [&](auto done) { async_->AsyncMembersFiltered(std::move(filter), done); });
}

inline JoinResult Client::Join(std::vector<std::string> addresses, JoinOptions options) {
  return Wait<JoinResult>(
      [&](auto done) { async_->AsyncJoin(std::move(addresses), options, done); });
}

inline absl::Status Client::SendUserEvent(std::string name, std::string payload,
                                          UserEventOptions options) {
  return Wait<absl::Status>([&](auto done) {
    async_->AsyncSendUserEvent(std::move(name), std::move(payload), options, done);
  });
}

inline KeyOutcome Client::ManageKeys(KeyOperation operation, std::string key) {
  return Wait<KeyOutcome>(
      [&](auto done) { async_->AsyncManageKeys(operation, std::move(key), done); });
}

inline absl::Status Client::Leave() {
  return Wait<absl::Status>([&](auto done) { async_->AsyncLeave(done); });
}

inline absl::Status Client::ForceLeave(std::string node, ForceLeaveOptions options) {
  return Wait<absl::Status>(
      [&](auto done) { async_->AsyncForceLeave(std::move(node), options, done); });
}

inline absl::Status Client::UpdateTags(Tags set, std::vector<std::string> remove) {
  return Wait<absl::Status>(
      [&](auto done) { async_->AsyncUpdateTags(std::move(set), std::move(remove), done); });
}

inline absl::StatusOr<StatsSections> Client::Stats() {
  return Wait<absl::StatusOr<StatsSections>>([&](auto done) { async_->AsyncStats(done); });
}

inline absl::StatusOr<std::optional<Coordinate>> Client::GetCoordinate(std::string node) {
  return Wait<absl::StatusOr<std::optional<Coordinate>>>(
      [&](auto done) { async_->AsyncGetCoordinate(std::move(node), done); });
}

inline absl::Status Client::Respond(std::uint64_t id, std::string payload) {
  return Wait<absl::Status>([&](auto done) { async_->AsyncRespond(id, std::move(payload), done); });
}

template <typename Value>
auto Client::Queue(std::shared_ptr<Seq> seq) {
  return [this, seq = std::move(seq)](absl::StatusOr<Value> value) {
    if (!value.ok()) {
      ended_ = value.status();
    } else if (ended_.ok() && !records_.Push(Record{*seq, *std::move(value)})) {
      // It calls this handler with the reason.
      async_->Close(absl::ResourceExhaustedError(
          absl::StrCat("too much waits to be fetched, last of stream ", *seq)));
    }
  };
}

template <typename Operation>
absl::StatusOr<Client::Seq> Client::Open(std::shared_ptr<Seq> seq, Operation start) {
  return Wait<absl::StatusOr<Seq>>([&](auto done) {
    start([seq, done](absl::StatusOr<Seq> opened) {
      // Before the first record, which may have come with the reply.
      if (opened.ok()) *seq = *opened;
      done(std::move(opened));
    });
  });
}

inline absl::StatusOr<Client::Seq> Client::Stream(std::string filter) {
  const auto seq = std::make_shared<Seq>(0);
  return Open(seq, [&](auto done) {
    async_->AsyncStream(std::move(filter), Queue<EventRecord>(seq), std::move(done));
  });
}

inline absl::StatusOr<Client::Seq> Client::Monitor(std::string level) {
  const auto seq = std::make_shared<Seq>(0);
  return Open(seq, [&](auto done) {
    async_->AsyncMonitor(std::move(level), Queue<LogRecord>(seq), std::move(done));
  });
}

inline absl::StatusOr<Client::Seq> Client::SendQuery(std::string name, std::string payload,
                                                     QueryParams params) {
  const auto seq = std::make_shared<Seq>(0);
  return Open(seq, [&](auto done) {
    async_->AsyncSendQuery(std::move(name), std::move(payload), std::move(params),
                           Queue<AnswerRecord>(seq), std::move(done));
  });
}

inline absl::Status Client::Stop(Seq stream) {
  return Wait<absl::Status>([&](auto done) { async_->AsyncStop(stream, done); });
}

inline absl::StatusOr<Client::Record> Client::Next() {
  io_.restart();
  while (records_.empty() && ended_.ok() && !interrupted_ && io_.run_one() > 0) {
  }
  if (std::exchange(interrupted_, false)) return absl::CancelledError("interrupted");
  if (records_.empty()) {
    return ended_.ok() ? absl::FailedPreconditionError("no stream is open") : ended_;
  }
  return records_.Pop();
}

}  // namespace serf::rpc

#endif  // SERF_RPC_CLIENT_H_
