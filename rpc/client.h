#ifndef SERF_RPC_CLIENT_H_
#define SERF_RPC_CLIENT_H_

// Client: a blocking RPC connection to an agent, for command line programs and tests. One thread.
//
//   Client client;
//   if (absl::Status s = client.Connect("127.0.0.1:7373"); !s.ok()) ...  // s.message(): 4.2
//   absl::StatusOr<std::vector<Member>> members = client.Members();
//
//   client.Stream("*");                       // what `serf monitor` does
//   client.Monitor("INFO");
//   while (auto record = client.Next(); record.ok()) ...
//
//   client.Query("load", "15m", params);      // what `serf query` does
//   for (;;) {
//     auto record = client.Next();            // an error: the query was cut off
//     if (std::get<AnswerRecord>(record->value).kind == QueryUpdate::Kind::kDone) break;
//   }
//
// Every call but Next() ends after the timeouts of ClientOptions. Interrupt() ends a call that
// blocks: from a handler on io_context(), such as a signal_set's.
//
// Source: spec/agent.md 1.11 and 4.2.

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

  // Its `stream` is what Stream(), Monitor() or Query() returned.
  using Record = StreamRecord;

  explicit Client(ClientOptions options = {})
      : io_(1), async_(std::make_unique<AsyncClient>(io_, std::move(options))) {}
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  // Once, before anything else.
  absl::Status Connect(const std::string& address);

  absl::StatusOr<std::vector<Member>> Members();
  absl::StatusOr<std::vector<Member>> MembersFiltered(MembersFilteredRequest filter);
  // An error of the agent comes with the number of addresses that answered nevertheless. All
  // failures are told by agents of this kind only.
  JoinResult Join(std::vector<std::string> addresses, bool replay);
  absl::Status SendUserEvent(std::string name, std::string payload, bool coalesce);
  // An operation on the keyrings of all nodes; `key` is base64, none for kList. An error of the
  // agent comes with what the nodes have answered.
  KeysResult ManageKeys(KeyOperation operation, std::string key);
  absl::Status Leave();
  absl::Status ForceLeave(std::string node, bool prune);
  absl::Status UpdateTags(Tags set, std::vector<std::string> remove);
  absl::StatusOr<StatsSections> Stats();

  // What a node last told of its network coordinate; none if the agent knows of none.
  absl::StatusOr<std::optional<Coordinate>> GetCoordinate(std::string node);
  // Asks the cluster; acknowledgements and responses come out of Next(), and last a kDone. With
  // `finish_early` that is as soon as all have answered, if the agent is one of ours.
  absl::StatusOr<Seq> Query(std::string name, std::string payload, QueryParams params);
  // Answers a query that Next() has delivered as a QueryRecord.
  absl::Status Respond(std::uint64_t id, std::string payload);

  // Opens a stream; its records come out of Next().
  absl::StatusOr<Seq> Stream(std::string filter);
  absl::StatusOr<Seq> Monitor(std::string level);
  absl::Status Stop(Seq stream);
  // Waits for the next record of any stream. An error is the end of the connection, or Cancelled.
  // What is not fetched waits here up to a read of the socket, then in the socket, then at the
  // agent. Only while another call waits for its answer must all that comes before it be read: if
  // kRecordsWaitingMax or kRecordBytesWaitingMax are reached meanwhile, the connection is closed.
  // That call ends with a ResourceExhausted error that names the stream, and so does Next() after
  // all that waits. So fetch records before, or ask through a second client.
  absl::StatusOr<Record> Next();

  // Makes the call that blocks, or the next one, return Cancelled.
  void Interrupt() { interrupted_ = true; }

  // Runs while a call blocks.
  boost::asio::io_context& io_context() { return io_; }

 private:
  // Starts an operation and runs the io_context until it has called its handler.
  template <typename Result, typename Operation>
  Result Wait(Operation start);
  // A handler of records of the stream whose number `seq` will hold.
  template <typename Value>
  auto Queue(std::shared_ptr<Seq> seq);
  // Opens a stream by `start(done)`.
  template <typename Operation>
  absl::StatusOr<Seq> Open(std::shared_ptr<Seq> seq, Operation start);

  boost::asio::io_context io_;
  RecordQueue records_;
  absl::Status ended_;
  bool interrupted_ = false;
  // The last member: its end calls handlers that use the others.
  std::unique_ptr<AsyncClient> async_;
};

template <typename Result, typename Operation>
Result Client::Wait(Operation start) {
  // Shared: an interrupted call leaves it to a handler that comes later.
  const auto result = std::make_shared<std::optional<Result>>();
  start([result](Result value) { *result = std::move(value); });
  io_.restart();
  while (!*result && !interrupted_ && io_.run_one() > 0) {
  }
  if (*result) return std::move(**result);
  interrupted_ = false;
  if constexpr (std::is_aggregate_v<Result>) {
    Result none;  // a status, beside what it tells
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

inline JoinResult Client::Join(std::vector<std::string> addresses, bool replay) {
  return Wait<JoinResult>([&](auto done) {
    async_->AsyncJoin(JoinRequest{std::move(addresses), replay, /*failures=*/true}, done);
  });
}

inline absl::Status Client::SendUserEvent(std::string name, std::string payload, bool coalesce) {
  return Wait<absl::Status>([&](auto done) {
    async_->AsyncUserEvent(std::move(name), std::move(payload), coalesce, done);
  });
}

inline KeysResult Client::ManageKeys(KeyOperation operation, std::string key) {
  return Wait<KeysResult>(
      [&](auto done) { async_->AsyncManageKeys(operation, std::move(key), done); });
}

inline absl::Status Client::Leave() {
  return Wait<absl::Status>([&](auto done) { async_->AsyncLeave(done); });
}

inline absl::Status Client::ForceLeave(std::string node, bool prune) {
  return Wait<absl::Status>(
      [&](auto done) { async_->AsyncForceLeave(std::move(node), prune, done); });
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

inline absl::StatusOr<Client::Seq> Client::Query(std::string name, std::string payload,
                                                 QueryParams params) {
  const auto seq = std::make_shared<Seq>(0);
  return Open(seq, [&](auto done) {
    async_->AsyncQuery(std::move(name), std::move(payload), std::move(params),
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
