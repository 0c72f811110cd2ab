// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_RPC_CLIENT_SESSION_H_
#define SERF_RPC_CLIENT_SESSION_H_

// ClientSession: the client's side of an RPC connection without its socket. Client and AsyncClient
// are the forms with one; a program uses those.
//
//   ClientSession session;
//   session.Handshake(deadline, [](absl::Status status) {...});
//   session.Members(deadline, [](absl::StatusOr<std::vector<Member>> members) {...});
//   socket.Write(session.Output()); session.OnWritten(n);
//   session.OnBytes(bytes); session.OnEnd(reason); at NextDeadline(): session.OnTimer(now)
//
// Requests may overlap; replies are matched by Seq. The session calls each handler exactly once,
// from an On... method. An error of the agent has the agent's text as its message. A reply that
// came before the end of the connection takes precedence over the end. Handlers may send further
// requests but must not destroy the session. One thread. Source: docs/protocol/agent.md 1.3, 1.11.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "msgpack/sbuffer.hpp"
#include "serf/base/bytes.h"
#include "serf/base/time.h"
#include "serf/coordinate.h"
#include "serf/join.h"
#include "serf/keys.h"
#include "serf/member.h"
#include "serf/query.h"
#include "serf/rpc/decode.h"
#include "serf/rpc/encode.h"
#include "serf/rpc/object_scanner.h"
#include "serf/rpc/protocol.h"
#include "serf/rpc/service.h"

namespace serf::rpc {

class ClientSession {
 public:
  using Seq = std::uint64_t;
  template <typename T>
  using Handler = std::function<void(T)>;
  using StatusHandler = Handler<absl::Status>;
  // Receives every record of a stream, and an error once when the connection ends.
  using EventHandler = Handler<absl::StatusOr<EventRecord>>;
  using LogHandler = Handler<absl::StatusOr<LogRecord>>;
  // Receives every answer to a query, and last kDone, or an error when the connection ends before.
  using AnswerHandler = Handler<absl::StatusOr<AnswerRecord>>;

  ClientSession() = default;
  ClientSession(const ClientSession&) = delete;
  ClientSession& operator=(const ClientSession&) = delete;

  // --- requests; after `deadline` the handler gets a DeadlineExceeded error ---

  void Handshake(Instant deadline, StatusHandler done);
  void Auth(Instant deadline, std::string key, StatusHandler done);
  // In the order of the agent's reply: agents of this project sort by name, Go Serf's do not.
  void Members(Instant deadline, Handler<absl::StatusOr<std::vector<Member>>> done);
  void MembersFiltered(Instant deadline, const MembersFilteredRequest& filter,
                       Handler<absl::StatusOr<std::vector<Member>>> done);
  void Join(Instant deadline, JoinRequest request, Handler<JoinResult> done);
  void SendUserEvent(Instant deadline, std::string name, std::string payload,
                     UserEventOptions options, StatusHandler done);
  // `key` is base64; kList ignores it.
  void ManageKeys(Instant deadline, KeyOperation operation, std::string key,
                  Handler<KeyOutcome> done);
  void Leave(Instant deadline, StatusHandler done);
  void ForceLeave(Instant deadline, std::string node, ForceLeaveOptions options,
                  StatusHandler done);
  void UpdateTags(Instant deadline, Tags set, std::vector<std::string> remove, StatusHandler done);
  void Stats(Instant deadline, Handler<absl::StatusOr<StatsSections>> done);
  // The network coordinate that a member announced last; none if the agent knows none.
  void GetCoordinate(Instant deadline, std::string node,
                     Handler<absl::StatusOr<std::optional<Coordinate>>> done);
  // `done` runs when the query is under way.
  void SendQuery(Instant deadline, std::string name, std::string payload, const QueryParams& params,
                 AnswerHandler on_answer, Handler<absl::StatusOr<Seq>> done);
  // Answers the query of a QueryRecord that a stream of this connection has delivered.
  void Respond(Instant deadline, std::uint64_t id, std::string payload, StatusHandler done);
  // The result is the number for Stop().
  void Stream(Instant deadline, std::string filter, EventHandler on_event,
              Handler<absl::StatusOr<Seq>> done);
  void Monitor(Instant deadline, std::string level, LogHandler on_log,
               Handler<absl::StatusOr<Seq>> done);
  // Ends a stream: its handler is not called again. A second Stop() is not an error. A query can be
  // stopped too; the agent does not notice that.
  void Stop(Instant deadline, Seq stream, StatusHandler done);

  // --- what happened ---

  void OnBytes(ByteView bytes);
  // The connection has ended. Requests under way and later ones end with `reason`. A second call
  // does nothing.
  void OnEnd(absl::Status reason = absl::UnavailableError(kClientClosed));
  void OnTimer(Instant now);
  void OnWritten(std::size_t size);

  // --- views ---

  ByteView Output() const { return ViewOf(out_).subspan(written_); }
  Instant NextDeadline() const;
  bool ended() const { return ended_.has_value(); }
  // True if the agent sent something that is not an object of the protocol. The connection is then
  // unusable.
  bool broken() const { return broken_; }

 private:
  // The status is the agent's error; the body is empty if there is none.
  using ReplyHandler = std::function<void(absl::Status, ByteView body)>;
  using RecordHandler = std::function<void(const absl::Status& end, ByteView body)>;

  struct Request {
    Command command;
    Instant deadline;
    ReplyHandler done;
  };

  // A header has come, and its body is the next object.
  struct Expected {
    Seq seq = 0;
    bool reply = false;  // else a record of a stream
    absl::Status status;
  };

  template <typename Body>
  Seq Send(Instant deadline, Command command, const Body& body, ReplyHandler done);
  Seq SendHeader(Instant deadline, Command command, ReplyHandler done);
  // For commands whose reply is a header alone.
  static ReplyHandler StatusOnly(StatusHandler done) {
    return [done = std::move(done)](absl::Status status, ByteView) { done(std::move(status)); };
  }
  // For commands whose body is a Record: `then` makes the result of it.
  template <typename Record, typename Result, typename Then>
  static ReplyHandler WithBody(Handler<absl::StatusOr<Result>> done, Then then);
  // Sends a command that opens a stream.
  template <typename Body>
  void Open(Instant deadline, Command command, const Body& body, RecordHandler on_record,
            Handler<absl::StatusOr<Seq>> done);
  template <typename Record>
  static RecordHandler Records(Handler<absl::StatusOr<Record>> handler);

  void OnObject(ByteView object);
  void OnHeader(const ResponseHeader& header);
  void OnBody(Expected expected, ByteView body);
  void Complete(Seq seq, absl::Status status, ByteView body);

  Seq last_seq_ = 0;
  std::map<Seq, Request> requests_;
  // Shared, so that a handler may stop its own stream.
  std::map<Seq, std::shared_ptr<const RecordHandler>> streams_;
  std::optional<Expected> expected_;
  ByteVector in_;
  ObjectScanner scanner_;
  msgpack::sbuffer out_{512};
  std::size_t written_ = 0;
  std::optional<absl::Status> ended_;
  bool broken_ = false;
};

// --- requests ---

inline ClientSession::Seq ClientSession::SendHeader(Instant deadline, Command command,
                                                    ReplyHandler done) {
  const Seq seq = ++last_seq_;
  if (ended_) {
    done(*ended_, {});
    return seq;
  }
  Writer writer(out_);
  Encode(writer, RequestHeader{std::string(TraitsOf(command).name), seq});
  requests_.emplace(seq, Request{command, deadline, std::move(done)});
  return seq;
}

template <typename Body>
ClientSession::Seq ClientSession::Send(Instant deadline, Command command, const Body& body,
                                       ReplyHandler done) {
  const Seq seq = SendHeader(deadline, command, std::move(done));
  if (!ended_) {
    Writer writer(out_);
    Encode(writer, body);
  }
  return seq;
}

template <typename Record, typename Result, typename Then>
ClientSession::ReplyHandler ClientSession::WithBody(Handler<absl::StatusOr<Result>> done,
                                                    Then then) {
  return [done = std::move(done), then](absl::Status status, ByteView body) {
    if (!status.ok()) {
      done(std::move(status));
      return;
    }
    Record record;
    Decoder decoder(body);
    if (decoder.Read(record)) {
      done(then(record));
    } else {
      done(absl::DataLossError(absl::StrCat("bad reply: ", decoder.error())));
    }
  };
}

inline void ClientSession::Handshake(Instant deadline, StatusHandler done) {
  Send(deadline, Command::kHandshake, HandshakeRequest{kIpcVersion}, StatusOnly(std::move(done)));
}

inline void ClientSession::Auth(Instant deadline, std::string key, StatusHandler done) {
  Send(deadline, Command::kAuth, AuthRequest{std::move(key)}, StatusOnly(std::move(done)));
}

inline void ClientSession::Members(Instant deadline,
                                   Handler<absl::StatusOr<std::vector<Member>>> done) {
  SendHeader(deadline, Command::kMembers,
             WithBody<MembersReply>(std::move(done),
                                    [](MembersReply& reply) { return std::move(reply.members); }));
}

inline void ClientSession::MembersFiltered(Instant deadline, const MembersFilteredRequest& filter,
                                           Handler<absl::StatusOr<std::vector<Member>>> done) {
  Send(deadline, Command::kMembersFiltered, filter,
       WithBody<MembersReply>(std::move(done),
                              [](MembersReply& reply) { return std::move(reply.members); }));
}

inline void ClientSession::Join(Instant deadline, JoinRequest request, Handler<JoinResult> done) {
  Send(deadline, Command::kJoin, request,
       [done = std::move(done)](absl::Status status, ByteView body) {
         JoinReply reply;
         Decoder decoder(body);
         if (!body.empty() && !decoder.Read(reply) && status.ok()) {
           status = absl::DataLossError(absl::StrCat("bad reply: ", decoder.error()));
         }
         done(JoinResult{std::move(status), reply.num, std::move(reply.failures)});
       });
}

inline void ClientSession::SendUserEvent(Instant deadline, std::string name, std::string payload,
                                         UserEventOptions options, StatusHandler done) {
  Send(deadline, Command::kEvent,
       EventRequest{std::move(name), {std::move(payload)}, options.coalesce},
       StatusOnly(std::move(done)));
}

inline void ClientSession::ManageKeys(Instant deadline, KeyOperation operation, std::string key,
                                      Handler<KeyOutcome> done) {
  ReplyHandler on_reply = [done = std::move(done)](absl::Status status, ByteView body) {
    KeysReply reply;
    Decoder decoder(body);
    if (!body.empty() && !decoder.Read(reply) && status.ok()) {
      status = absl::DataLossError(absl::StrCat("bad reply: ", decoder.error()));
    }
    KeyOutcome result;
    result.status = std::move(status);
    result.messages = std::move(reply.messages);
    result.keys = {reply.keys.begin(), reply.keys.end()};
    result.nodes = reply.nodes;
    result.errors = reply.errors;
    result.responses = reply.responses;
    done(std::move(result));
  };
  const KeyRequest request{std::move(key)};
  switch (operation) {
    case KeyOperation::kInstall:
      Send(deadline, Command::kInstallKey, request, std::move(on_reply));
      break;
    case KeyOperation::kUse:
      Send(deadline, Command::kUseKey, request, std::move(on_reply));
      break;
    case KeyOperation::kRemove:
      Send(deadline, Command::kRemoveKey, request, std::move(on_reply));
      break;
    case KeyOperation::kList:
      SendHeader(deadline, Command::kListKeys, std::move(on_reply));
      break;
  }
}

inline void ClientSession::Leave(Instant deadline, StatusHandler done) {
  SendHeader(deadline, Command::kLeave, StatusOnly(std::move(done)));
}

inline void ClientSession::ForceLeave(Instant deadline, std::string node, ForceLeaveOptions options,
                                      StatusHandler done) {
  Send(deadline, Command::kForceLeave, ForceLeaveRequest{std::move(node), options.prune},
       StatusOnly(std::move(done)));
}

inline void ClientSession::UpdateTags(Instant deadline, Tags set, std::vector<std::string> remove,
                                      StatusHandler done) {
  Send(deadline, Command::kTags, TagsRequest{std::move(set), std::move(remove)},
       StatusOnly(std::move(done)));
}

inline void ClientSession::Stats(Instant deadline, Handler<absl::StatusOr<StatsSections>> done) {
  SendHeader(deadline, Command::kStats,
             WithBody<StatsSections>(std::move(done),
                                     [](StatsSections& stats) { return std::move(stats); }));
}

inline void ClientSession::GetCoordinate(Instant deadline, std::string node,
                                         Handler<absl::StatusOr<std::optional<Coordinate>>> done) {
  using Found = std::optional<Coordinate>;
  Send(deadline, Command::kGetCoordinate, CoordinateRequest{std::move(node)},
       WithBody<CoordinateReply>(std::move(done), [](CoordinateReply& reply) {
         if (!reply.ok) return absl::StatusOr<Found>(Found());
         Found found = FromMessage(reply.coord);
         if (found) return absl::StatusOr<Found>(std::move(found));
         return absl::StatusOr<Found>(absl::DataLossError("bad reply: no such coordinate can be"));
       }));
}

inline void ClientSession::Respond(Instant deadline, std::uint64_t id, std::string payload,
                                   StatusHandler done) {
  Send(deadline, Command::kRespond, RespondRequest{id, {std::move(payload)}},
       StatusOnly(std::move(done)));
}

template <typename Record>
ClientSession::RecordHandler ClientSession::Records(Handler<absl::StatusOr<Record>> handler) {
  return [handler = std::move(handler)](const absl::Status& end, ByteView body) {
    if (!end.ok()) {
      handler(end);
      return;
    }
    Record record;
    Decoder decoder(body);
    // An unknown record comes from a later agent; the session drops it.
    if (decoder.Read(record)) handler(std::move(record));
  };
}

template <typename Body>
void ClientSession::Open(Instant deadline, Command command, const Body& body,
                         RecordHandler on_record, Handler<absl::StatusOr<Seq>> done) {
  // The number is known once the request is sent, which is before its reply.
  const Seq seq = last_seq_ + 1;
  Send(deadline, command, body,
       [this, seq, on_record = std::make_shared<const RecordHandler>(std::move(on_record)),
        done = std::move(done)](absl::Status status, ByteView) {
         if (!status.ok()) {
           done(std::move(status));
           return;
         }
         streams_.emplace(seq, on_record);
         done(seq);
       });
}

inline void ClientSession::Stream(Instant deadline, std::string filter, EventHandler on_event,
                                  Handler<absl::StatusOr<Seq>> done) {
  Open(deadline, Command::kStream, StreamRequest{std::move(filter)},
       Records<EventRecord>(std::move(on_event)), std::move(done));
}

inline void ClientSession::Monitor(Instant deadline, std::string level, LogHandler on_log,
                                   Handler<absl::StatusOr<Seq>> done) {
  Open(deadline, Command::kMonitor, MonitorRequest{std::move(level)},
       Records<LogRecord>(std::move(on_log)), std::move(done));
}

inline void ClientSession::SendQuery(Instant deadline, std::string name, std::string payload,
                                     const QueryParams& params, AnswerHandler on_answer,
                                     Handler<absl::StatusOr<Seq>> done) {
  const QueryRequest request = MakeQueryRequest(std::move(name), std::move(payload), params);
  // Send() takes the next number.
  const Seq seq = last_seq_ + 1;
  AnswerHandler handler = [this, seq,
                           on_answer = std::move(on_answer)](absl::StatusOr<AnswerRecord> answer) {
    if (answer.ok()) {
      if (answer->kind == QueryUpdate::Kind::kDone) {
        streams_.erase(seq);
      } else if (answer->from.empty()) {
        return;  // Go Serf's agent sends this by mistake when a query is over
                 // (docs/protocol/agent.md 1.9.4)
      }
    }
    on_answer(std::move(answer));
  };
  Open(deadline, Command::kQuery, request, Records<AnswerRecord>(std::move(handler)),
       std::move(done));
}

inline void ClientSession::Stop(Instant deadline, Seq stream, StatusHandler done) {
  streams_.erase(stream);
  Send(deadline, Command::kStop, StopRequest{stream}, StatusOnly(std::move(done)));
}

// --- input ---

inline void ClientSession::OnBytes(ByteView bytes) {
  if (ended_) return;
  Append(in_, bytes);
  std::size_t begin = 0;
  while (!ended_) {
    const ByteView rest = ByteView(in_).subspan(begin);
    const ObjectScanner::Result result = scanner_.Scan(rest, kReplySizeMax);
    if (result == ObjectScanner::Result::kNeedMore) break;
    if (result == ObjectScanner::Result::kInvalid) {
      broken_ = true;
      OnEnd(absl::DataLossError(absl::StrCat("bad reply: ", scanner_.error())));
      return;
    }
    const std::size_t size = scanner_.size();
    scanner_.Reset();
    begin += size;
    OnObject(rest.first(size));
  }
  in_.erase(in_.begin(), in_.begin() + static_cast<std::ptrdiff_t>(begin));
}

inline void ClientSession::OnObject(ByteView object) {
  ResponseHeader header;
  const bool is_header = Decoder(object).ReadResponseHeader(header);
  if (expected_) {
    // A header where a body should be: the body was left out.
    const Expected expected = *std::exchange(expected_, std::nullopt);
    OnBody(expected, is_header ? ByteView() : object);
  }
  // Any other object is the body of a reply whose request was given up.
  if (is_header) OnHeader(header);
}

inline void ClientSession::OnHeader(const ResponseHeader& header) {
  const auto request = requests_.find(header.seq);
  if (request == requests_.end()) {
    if (streams_.contains(header.seq)) expected_ = Expected{header.seq, false, {}};
    return;
  }
  const ReplyBody reply_body = TraitsOf(request->second.command).reply_body;
  absl::Status status;
  if (!header.error.empty()) status = absl::UnknownError(header.error);
  const bool has_body = status.ok()
                            ? reply_body != ReplyBody::kNever
                            : reply_body == ReplyBody::kAlways && !IsHeaderOnlyError(header.error);
  if (has_body) {
    expected_ = Expected{header.seq, true, std::move(status)};
  } else {
    Complete(header.seq, std::move(status), {});
  }
}

inline void ClientSession::OnBody(Expected expected, ByteView body) {
  if (expected.reply) {
    if (body.empty() && expected.status.ok()) {
      expected.status = absl::DataLossError("bad reply: it has no body");
    }
    Complete(expected.seq, std::move(expected.status), body);
    return;
  }
  const auto stream = streams_.find(expected.seq);
  if (stream == streams_.end() || body.empty()) return;
  const std::shared_ptr<const RecordHandler> on_record = stream->second;
  (*on_record)(absl::OkStatus(), body);
}

inline void ClientSession::Complete(Seq seq, absl::Status status, ByteView body) {
  const auto it = requests_.find(seq);
  if (it == requests_.end()) return;  // its deadline has passed
  const ReplyHandler done = std::move(it->second.done);
  requests_.erase(it);
  done(std::move(status), body);
}

inline void ClientSession::OnEnd(absl::Status reason) {
  if (ended_) return;
  ended_ = reason;
  if (expected_ && expected_->reply && !expected_->status.ok()) {
    // The agent's own words say more than the end of the connection.
    Complete(expected_->seq, expected_->status, {});
  }
  expected_.reset();
  std::map<Seq, Request> requests = std::exchange(requests_, {});
  const auto streams = std::exchange(streams_, {});
  for (auto& [seq, request] : requests) request.done(reason, {});
  for (const auto& [seq, on_record] : streams) (*on_record)(reason, {});
}

inline void ClientSession::OnTimer(Instant now) {
  std::vector<Seq> late;
  for (const auto& [seq, request] : requests_) {
    if (request.deadline <= now) late.push_back(seq);
  }
  for (const Seq seq : late) Complete(seq, absl::DeadlineExceededError("i/o timeout"), {});
}

inline void ClientSession::OnWritten(std::size_t size) {
  written_ += size;
  if (written_ < out_.size()) return;
  written_ = 0;
  out_.clear();
}

inline Instant ClientSession::NextDeadline() const {
  Instant next = kNever;
  for (const auto& [seq, request] : requests_) next = std::min(next, request.deadline);
  return next;
}

}  // namespace serf::rpc

#endif  // SERF_RPC_CLIENT_SESSION_H_
