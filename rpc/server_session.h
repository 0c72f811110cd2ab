// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_RPC_SERVER_SESSION_H_
#define SERF_RPC_SERVER_SESSION_H_

// ServerSession: one RPC connection of an agent without its socket.
//
//   ServerSession session(now, service, options);
//   session.OnBytes(now, bytes);                       // a request
//   session.OnEvent(now, event); session.OnLog(now, line);
//   socket.Write(session.Output()); session.OnWritten(now, n);
//   if (session.finished()) socket.Close();             // and in any case session.OnClosed()
//   at session.NextDeadline(): session.OnTimer(now);
//
// The session executes requests one after another. A request that the service answers late delays
// the later requests of this connection only. kRequestSizeMax limits the bytes of a request.
// kOutputHighWater and one reply, kQueueMax records per stream, and kAnswersWaitingMax limit what
// waits for a client that does not read.
//
// As in Go Serf, a header without Command or Seq has the values of the request before. Unlike Go
// Serf, the session skips a header with neither: it is the body of a command that has none, and Go
// Serf repeats the command. The session also consumes the body of a request that needs
// authentication, and answers a bad expression.
//
// One thread. Source: docs/protocol/agent.md 1.4 to 1.10.

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <iterator>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "msgpack/sbuffer.hpp"
#include "serf/base/bytes.h"
#include "serf/base/logger.h"
#include "serf/base/time.h"
#include "serf/coordinate.h"
#include "serf/keys.h"
#include "serf/member.h"
#include "serf/query.h"
#include "serf/rpc/decode.h"
#include "serf/rpc/encode.h"
#include "serf/rpc/log_history.h"
#include "serf/rpc/login.h"
#include "serf/rpc/members_command.h"
#include "serf/rpc/object_scanner.h"
#include "serf/rpc/output_buffer.h"
#include "serf/rpc/protocol.h"
#include "serf/rpc/query_streams.h"
#include "serf/rpc/reply_cache.h"
#include "serf/rpc/service.h"
#include "serf/rpc/stream_event.h"
#include "serf/rpc/subscriptions.h"

namespace serf::rpc {

class ServerSession {
 public:
  struct Options {
    std::string auth_key;      // empty: no authentication is needed
    std::string peer;          // "127.0.0.1:45676", for log lines
    Logger* logger = nullptr;  // null: silent
    // The session calls it when the service has made OnTimer() due, or output ready.
    std::function<void()> wake;
    // What the sessions of a server share; null: nothing.
    std::shared_ptr<ReplyCache> replies;
    // The session calls it for the handshake and for every request after it, also for refused ones.
    // Go Serf counts the same as commands.
    std::function<void()> on_command;
  };

  // `now`: when the connection was accepted. `service` must outlive the session.
  ServerSession(Instant now, Service& service, Options options);
  ServerSession(const ServerSession&) = delete;
  ServerSession& operator=(const ServerSession&) = delete;

  // --- what happened ---

  void OnBytes(Instant now, ByteView bytes);
  // The client sends no more. The session still answers its earlier requests.
  void OnEnd(Instant now);
  void OnTimer(Instant now);
  void OnEvent(Instant now, const StreamEventPtr& event);
  void OnLog(Instant now, const LogLinePtr& line);
  // The socket has taken the first `size` bytes of Output().
  void OnWritten(Instant now, std::size_t size);
  // The connection has ended, for any reason. Cancels the queries that it has asked, because they
  // take places that others need.
  void OnClosed();

  // --- views ---

  // The bytes to write. Records move here from their queues only when all earlier bytes were
  // written, so they wait, and are dropped, in the queues that count them.
  ByteView Output();
  // True when the connection should be closed: the session will read and write nothing more.
  bool finished() const { return closing_ && out_.drained(); }
  // False to apply back-pressure: a request is running or the output is full, and enough input is
  // buffered.
  bool wants_input() const {
    return !closing_ && !ended_ && !left_ && (unread() < kInputPause || !(busy_ || stalled()));
  }
  Instant NextDeadline() const {
    if (closing_) return kNever;
    if (due_) return Instant::min();
    return std::min({login_.NextDeadline(), request_deadline_, out_.NextDeadline()});
  }
  // True if the client has shaken hands and, if the agent has a key, shown it.
  bool trusted() const { return login_.trusted(); }
  // The streams that a failing write cuts off.
  const Subscriptions& subscriptions() const { return subscriptions_; }

 private:
  // The session executes no request while so many bytes wait to be written, because unread replies
  // would pile up.
  static constexpr std::size_t kOutputHighWater = std::size_t{64} << 10;
  // Bytes of requests that may wait behind a slow request. Further ones wait in the socket.
  static constexpr std::size_t kInputPause = std::size_t{64} << 10;
  // Between log lines about the same trouble.
  static constexpr Duration kLogInterval = std::chrono::seconds(1);
  static constexpr std::size_t kLogTextMax = 64;  // bytes of a client's text in a log line

  // What the session does with the object after a request that was refused because it needs
  // authentication.
  enum class Refused : std::uint8_t {
    kNothing,  // it is a header
    kBody,     // it is the body of the refused request
    kPerhaps,  // the command is unknown: a map without a command is its body
  };

  std::size_t unread() const { return in_.size() - begin_; }
  bool stalled() const { return out_.size() >= kOutputHighWater || out_.sharing(); }

  template <typename... Args>
  void Warn(Instant now, Instant& next, const Args&... args);
  template <typename... Args>
  void LogError(const Args&... args) {
    Log(options_.logger, LogLevel::kError, "agent.ipc: ", args...);
  }

  // Executes the requests that may run now.
  void Process(Instant now);
  void OnObject(Instant now, ByteView object);
  void OnHeader(Instant now, ByteView object);
  // Whether the object belongs to a request that was refused.
  bool ConsumeRefused(ByteView object);
  // The client's bytes are not a request: closes without a reply.
  void Reject(absl::string_view why);

  // Executes the request of header_; `body` is its body.
  void Execute(Instant now, ByteView body);
  // One of these methods executes the request. Its reply ends the request.
  void Handshake(Instant now, ByteView body);
  void Auth(Instant now, ByteView body);
  void SendUserEvent(Instant now, ByteView body);
  template <KeyOperation kOperation>
  void ManageKeys(Instant now, ByteView body);
  void Join(Instant now, ByteView body);
  void Leave(Instant now, ByteView body);
  void ForceLeave(Instant now, ByteView body);
  void Members(Instant now, ByteView body);
  void MembersFiltered(Instant now, ByteView body);
  void Tags(Instant now, ByteView body);
  void Stats(Instant now, ByteView body);
  void StreamEvents(Instant now, ByteView body);
  void StartMonitor(Instant now, ByteView body);
  void Stop(Instant now, ByteView body);
  void SendQuery(Instant now, ByteView body);
  void Respond(Instant now, ByteView body);
  void GetCoordinate(Instant now, ByteView body);

  // A query of this connection has an answer.
  void OnAnswer(QueryStreams::Key query, const QueryUpdate& update);

  // Decodes a body, or rejects it.
  template <typename Record>
  bool Read(ByteView body, Record& out) {
    Decoder decoder(body);
    if (decoder.Read(out)) return true;
    Reject(decoder.error());
    return false;
  }

  void Reply(absl::string_view error) {
    busy_ = false;
    Writer writer(out_.bytes());
    Encode(writer, ResponseHeader{error, header_.seq});
  }
  void ReplyStatus(const absl::Status& status) {
    // An empty error text would read as a success.
    const bool silent = !status.ok() && status.message().empty();
    Reply(silent ? absl::string_view("unknown error") : status.message());
  }

  // A completion for the service: calls `then(session, result...)` if the session still lives.
  template <typename... Result, typename Then>
  std::function<void(const Result&...)> Later(Then then);
  // For requests whose reply is a status alone.
  Service::Done LaterReply() {
    return Later<absl::Status>(
        [](ServerSession& session, const absl::Status& status) { session.ReplyStatus(status); });
  }
  ReplyCache::Done LaterMembers();

  Service& service_;
  const Options options_;
  // Completions hold it weakly, because they may come when the session is gone.
  const std::shared_ptr<ServerSession*> self_ = std::make_shared<ServerSession*>(this);

  ByteVector in_;
  std::size_t begin_ = 0;  // where the unread part of in_ begins
  ObjectScanner scanner_;
  OutputBuffer out_;
  const std::shared_ptr<ReplyCache> replies_;

  RequestHeader header_;
  bool awaiting_body_ = false;
  Refused refused_ = Refused::kNothing;

  Login login_;

  bool processing_ = false;
  bool busy_ = false;  // a request is being executed
  JoinId joining_;     // the last join
  bool due_ = false;   // there is more to process
  bool ended_ = false;
  bool left_ = false;  // the agent has left the cluster for this client
  bool closing_ = false;
  Instant request_deadline_ = kNever;

  Subscriptions subscriptions_;
  Instant next_event_warning_ = Instant::min();
  Instant next_log_warning_ = Instant::min();
  Instant next_auth_warning_ = Instant::min();
};

inline ServerSession::ServerSession(Instant now, Service& service, Options options)
    : service_(service),
      options_(std::move(options)),
      replies_(options_.replies ? options_.replies : std::make_shared<ReplyCache>()),
      login_(now, options_.auth_key) {}

template <typename... Args>
void ServerSession::Warn(Instant now, Instant& next, const Args&... args) {
  if (now < next) return;
  // Set before the line is written, because the line may come back through OnLog().
  next = now + kLogInterval;
  Log(options_.logger, LogLevel::kWarn, "agent.ipc: ", args...);
}

// --- input ---

inline void ServerSession::OnBytes(Instant now, ByteView bytes) {
  if (closing_) return;
  Append(in_, bytes);
  Process(now);
}

inline void ServerSession::OnEnd(Instant now) {
  ended_ = true;
  service_.CancelJoin(joining_);
  Process(now);
}

inline void ServerSession::OnTimer(Instant now) {
  due_ = false;
  if (closing_) return;
  if (login_.TakeRefusal(now)) {
    Reply(kInvalidAuthToken);
    if (login_.exhausted()) closing_ = true;
  }
  out_.OnTimer(now);
  if (login_.is_late(now) || now >= request_deadline_) Reject("i/o timeout");
  Process(now);
}

inline void ServerSession::Process(Instant now) {
  if (processing_) return;
  processing_ = true;
  while (!closing_ && !left_ && !busy_ && !stalled()) {
    const ByteView rest = ByteView(in_).subspan(begin_);
    const ObjectScanner::Result result =
        scanner_.Scan(rest, trusted() ? kRequestSizeMax : kLoginSizeMax);
    if (result == ObjectScanner::Result::kInvalid) {
      Reject(scanner_.error());
    } else if (result == ObjectScanner::Result::kComplete) {
      const std::size_t size = scanner_.size();
      scanner_.Reset();
      begin_ += size;
      OnObject(now, rest.first(size));
    } else if (ended_) {
      if (rest.empty() && !awaiting_body_) {
        closing_ = true;
      } else {
        Reject("unexpected EOF");
      }
    } else {
      const bool begun = awaiting_body_ || !rest.empty();
      if (begun && request_deadline_ == kNever) request_deadline_ = now + kRequestTimeout;
      break;
    }
  }
  processing_ = false;
  if (closing_) begin_ = in_.size();
  // Moves the rest once, after all the objects before it.
  if (begin_ > 0) {
    in_.erase(in_.begin(), in_.begin() + static_cast<std::ptrdiff_t>(begin_));
    begin_ = 0;
  }
}

inline void ServerSession::OnObject(Instant now, ByteView object) {
  if (!awaiting_body_) {
    OnHeader(now, object);
    return;
  }
  awaiting_body_ = false;
  request_deadline_ = kNever;
  Execute(now, object);
}

inline bool ServerSession::ConsumeRefused(ByteView object) {
  const Refused refused = std::exchange(refused_, Refused::kNothing);
  if (refused == Refused::kNothing) return false;
  Decoder decoder(object);
  return !decoder.IsRequestHeader().value_or(refused == Refused::kPerhaps);
}

inline void ServerSession::OnHeader(Instant now, ByteView object) {
  if (ConsumeRefused(object)) {
    request_deadline_ = kNever;
    return;
  }
  if (!header_.command.empty() && Decoder(object).IsStrayBody()) {
    request_deadline_ = kNever;
    return;
  }
  Decoder decoder(object);
  if (!decoder.Update(header_)) {
    Reject(decoder.error());
    return;
  }
  const CommandTraits* traits = FindCommand(header_.command);
  const bool is_handshake = traits != nullptr && traits->command == Command::kHandshake;
  const bool is_auth = traits != nullptr && traits->command == Command::kAuth;
  if (!login_.shaken_hands() && !is_handshake) {
    LogError("Failed to evaluate request: ", kHandshakeRequired);
    Reply(kHandshakeRequired);
    closing_ = true;
    return;
  }
  if (options_.on_command) options_.on_command();
  if (!login_.authenticated() && !is_handshake && !is_auth) {
    Warn(now, next_auth_warning_, "Client sending commands before auth");
    Reply(kAuthRequired);
    if (traits == nullptr) {
      refused_ = Refused::kPerhaps;
    } else if (traits->request_body) {
      refused_ = Refused::kBody;
    }
    request_deadline_ = kNever;
    return;
  }
  if (traits != nullptr && traits->request_body) {
    awaiting_body_ = true;
    return;
  }
  request_deadline_ = kNever;
  Execute(now, {});
}

inline void ServerSession::Reject(absl::string_view why) {
  if (closing_) return;
  closing_ = true;
  if (awaiting_body_ || busy_) {
    LogError("Failed to evaluate request: decode failed: ", why);
  } else {
    LogError("failed to decode request header: ", why);
  }
}

// --- requests ---

inline void ServerSession::Execute(Instant now, ByteView body) {
  using Handler = void (ServerSession::*)(Instant, ByteView);
  // In the order of Command.
  static constexpr Handler kHandlers[] = {
      &ServerSession::Handshake,
      &ServerSession::Auth,
      &ServerSession::SendUserEvent,
      &ServerSession::ForceLeave,
      &ServerSession::Join,
      &ServerSession::Members,
      &ServerSession::MembersFiltered,
      &ServerSession::StreamEvents,
      &ServerSession::Stop,
      &ServerSession::StartMonitor,
      &ServerSession::Leave,
      &ServerSession::Tags,
      &ServerSession::SendQuery,
      &ServerSession::Respond,
      &ServerSession::ManageKeys<KeyOperation::kInstall>,
      &ServerSession::ManageKeys<KeyOperation::kUse>,
      &ServerSession::ManageKeys<KeyOperation::kRemove>,
      &ServerSession::ManageKeys<KeyOperation::kList>,
      &ServerSession::Stats,
      &ServerSession::GetCoordinate,
  };
  static_assert(std::size(kHandlers) == std::size(kCommands));
  if (const CommandTraits* traits = FindCommand(header_.command)) {
    busy_ = true;
    (this->*kHandlers[static_cast<std::size_t>(traits->command)])(now, body);
    return;
  }
  LogError("Failed to evaluate request: command '",
           absl::string_view(header_.command).substr(0, kLogTextMax), "' not recognized");
  Reply(kUnsupportedCommand);
  closing_ = true;
}

template <typename... Result, typename Then>
std::function<void(const Result&...)> ServerSession::Later(Then then) {
  return [weak = std::weak_ptr<ServerSession*>(self_), then](const Result&... result) {
    const std::shared_ptr<ServerSession*> self = weak.lock();
    if (self == nullptr) return;
    ServerSession& session = **self;
    if (session.closing_) return;
    then(session, result...);
    if (session.processing_) return;  // the service has answered within the call
    session.due_ = true;
    if (session.options_.wake) session.options_.wake();
  };
}

inline void ServerSession::Handshake(Instant, ByteView body) {
  HandshakeRequest request;
  if (Read(body, request)) Reply(login_.OnHandshake(request.version));
}

inline void ServerSession::Auth(Instant now, ByteView body) {
  AuthRequest request;
  if (!Read(body, request)) return;
  if (login_.OnKey(now, request.auth_key)) Reply({});
}

inline void ServerSession::SendUserEvent(Instant, ByteView body) {
  EventRequest request;
  if (!Read(body, request)) return;
  service_.SendUserEvent(std::move(request.name), std::move(request.payload.data),
                         {.coalesce = request.coalesce}, LaterReply());
}

template <KeyOperation kOperation>
void ServerSession::ManageKeys(Instant, ByteView body) {
  constexpr bool kLists = kOperation == KeyOperation::kList;
  KeyRequest request;
  if (!kLists && !Read(body, request)) return;
  service_.ManageKeys(kOperation, std::move(request.key),
                      Later<KeyOutcome>([](ServerSession& session, const KeyOutcome& outcome) {
                        session.ReplyStatus(outcome.status);
                        Writer writer(session.out_.bytes());
                        EncodeKeysReply(writer, outcome, kLists);
                      }));
}

inline void ServerSession::Join(Instant, ByteView body) {
  JoinRequest request;
  if (!Read(body, request)) return;
  joining_ = service_.Join(std::move(request.existing), {.replay = request.replay},
                           Later<JoinResult>([names = request.failures](ServerSession& session,
                                                                        const JoinResult& result) {
                             session.ReplyStatus(result.status);
                             JoinReply reply{result.contacted, {}};
                             if (names) reply.failures = result.errors;
                             if (reply.failures.size() > kJoinAddressesMax)
                               reply.failures.resize(kJoinAddressesMax);
                             Writer writer(session.out_.bytes());
                             Encode(writer, reply);
                           }));
}

inline void ServerSession::Leave(Instant, ByteView) {
  Log(options_.logger, LogLevel::kInfo, "agent.ipc: Graceful leave triggered");
  service_.Leave(Later<absl::Status>([](ServerSession& session, const absl::Status& status) {
    if (!status.ok()) session.LogError("leave failed: ", status.message());
    session.ReplyStatus(status);
    if (!status.ok()) return;
    // The agent shuts down next and cannot answer further requests. Its streams stay open for its
    // last events, such as its own departure.
    session.left_ = true;
    if (session.subscriptions_.empty()) session.closing_ = true;
  }));
}

inline void ServerSession::ForceLeave(Instant, ByteView body) {
  ForceLeaveRequest request;
  if (!Read(body, request)) return;
  service_.ForceLeave(std::move(request.node), {.prune = request.prune}, LaterReply());
}

inline void ServerSession::Tags(Instant, ByteView body) {
  TagsRequest request;
  if (!Read(body, request)) return;
  service_.UpdateTags(std::move(request.tags), std::move(request.delete_tags), LaterReply());
}

inline void ServerSession::Members(Instant now, ByteView) {
  AskMembers(now, service_, replies_, {}, {}, LaterMembers());
}

inline void ServerSession::MembersFiltered(Instant now, ByteView body) {
  MembersFilteredRequest request;
  if (Read(body, request)) {
    AskMembers(now, service_, replies_, body, std::move(request), LaterMembers());
  }
}

inline ReplyCache::Done ServerSession::LaterMembers() {
  return Later<absl::Status, SharedBody>(
      [](ServerSession& session, const absl::Status& status, const SharedBody& body) {
        session.Reply(status.message());
        if (status.ok()) return session.out_.Share(body);
        session.LogError("Failed to evaluate request: ", status.message());
        // Go Serf's client expects a body after any error of its own.
        Writer writer(session.out_.bytes());
        BeginMembersReply(writer, 0);
      });
}

inline void ServerSession::Stats(Instant now, ByteView) {
  const ReplyCache::Request request{Command::kStats, {}};
  const ReplyCache::Version version = service_.StatsVersion();
  SharedBody body = replies_->Find(now, request, version);
  if (body == nullptr) {
    const std::shared_ptr<msgpack::sbuffer> made = replies_->TakeBuffer(request);
    Writer writer(*made);
    Encode(writer, service_.Stats());
    replies_->Keep(now, request, version, made);
    body = made;
  }
  Reply({});
  out_.Share(body);
}

inline void ServerSession::StreamEvents(Instant, ByteView body) {
  StreamRequest request;
  if (Read(body, request)) Reply(subscriptions_.AddStream(header_.seq, request.type));
}

inline void ServerSession::StartMonitor(Instant, ByteView body) {
  MonitorRequest request;
  if (!Read(body, request)) return;
  const std::string name = absl::AsciiStrToUpper(request.log_level);
  const std::optional<LogLevel> level = ParseLogLevel(name);
  if (!level) {
    Reply(absl::StrCat(kUnknownLogLevel, name));
    return;
  }
  Reply(subscriptions_.AddMonitor(header_.seq, *level, service_.LogHistory()));
}

inline void ServerSession::Stop(Instant, ByteView body) {
  StopRequest request;
  if (!Read(body, request)) return;
  subscriptions_.Stop(request.stop);
  Reply({});
}

// --- queries ---

inline void ServerSession::SendQuery(Instant, ByteView body) {
  QueryRequest request;
  if (!Read(body, request)) return;
  const bool reserved = absl::StartsWith(request.name, kInternalQueryPrefix) &&
                        !(request.name == kPingQuery && request.payload.data.empty());
  if (reserved || subscriptions_.queries().full()) {
    Reply(reserved ? kReservedQueryName : kTooManyQueries);
    return;
  }
  const QueryStreams::Key key = subscriptions_.queries().Add(header_.seq);
  const std::weak_ptr<ServerSession*> weak = self_;
  service_.SendQuery(
      std::move(request.name), std::move(request.payload.data), TakeParams(request),
      [weak, key](const QueryUpdate& update) {
        if (const auto self = weak.lock()) (*self)->OnAnswer(key, update);
      },
      [weak, key, &service = service_, reply = LaterReply()](const absl::StatusOr<QueryId>& query) {
        const std::shared_ptr<ServerSession*> self = weak.lock();
        QueryStreams* const queries =
            self != nullptr ? &(*self)->subscriptions_.queries() : nullptr;
        if (!query.ok()) {
          if (queries != nullptr) queries->Remove(key);
        } else if (queries == nullptr || !queries->Start(key, *query)) {
          service.CancelQuery(*query);  // the connection has ended before
        }
        reply(query.status());
      });
}

inline void ServerSession::OnAnswer(QueryStreams::Key query, const QueryUpdate& update) {
  if (closing_) return;
  if (!subscriptions_.queries().Push(query, update)) {
    LogError("Failed to stream ", AnswerTypeName(update.kind), " to ipc.client: ", options_.peer,
             ": too much waits to be read");
    closing_ = true;
  }
  if (!processing_ && options_.wake) options_.wake();
}

inline void ServerSession::Respond(Instant now, ByteView body) {
  RespondRequest request;
  if (!Read(body, request)) return;
  const std::optional<QueryId> query = subscriptions_.FindPending(now, request.id);
  if (!query) {
    Reply(kNoPendingQuery);
    return;
  }
  service_.Respond(*query, std::move(request.payload.data), LaterReply());
}

inline void ServerSession::GetCoordinate(Instant, ByteView body) {
  CoordinateRequest request;
  if (!Read(body, request)) return;
  CoordinateReply reply;
  if (const std::optional<Coordinate> found = service_.FindCoordinate(request.node)) {
    reply = {ToMessage(*found), true};
  }
  Reply({});
  Writer writer(out_.bytes());
  Encode(writer, reply);
}

inline void ServerSession::OnClosed() {
  closing_ = true;
  service_.CancelJoin(joining_);
  for (const QueryId query : subscriptions_.queries().TakeAll()) service_.CancelQuery(query);
}

// --- streams and output ---

inline void ServerSession::OnEvent(Instant now, const StreamEventPtr& event) {
  if (closing_ || subscriptions_.Push(now, event)) return;
  Warn(now, next_event_warning_, "Dropping event to ipc.client: ", options_.peer);
}

inline void ServerSession::OnLog(Instant now, const LogLinePtr& line) {
  if (closing_ || subscriptions_.Push(line)) return;
  Warn(now, next_log_warning_, "Dropping logs to ipc.client: ", options_.peer);
}

inline ByteView ServerSession::Output() {
  if (!closing_ && out_.fresh()) subscriptions_.WriteTo(out_.bytes(), kOutputHighWater);
  return out_.Unwritten();
}

inline void ServerSession::OnWritten(Instant now, std::size_t size) {
  out_.OnWritten(now, size);
  if (out_.size() > 0) return;
  // Requests may have waited for room in the output.
  if (unread() > 0 || ended_) Process(now);
}

}  // namespace serf::rpc

#endif  // SERF_RPC_SERVER_SESSION_H_
