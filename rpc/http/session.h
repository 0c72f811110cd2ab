// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_RPC_HTTP_SESSION_H_
#define SERF_RPC_HTTP_SESSION_H_

// Session: one connection of the HTTP server without its socket: bytes in, bytes out, a deadline
// out. It reads one request at a time, has the application judge its head before the body is read,
// and writes the answer, at once or later, whole or in pieces.
//
//   Session session(now, application, &WallClock);
//   session.OnBytes(now, received);               // while wants_input()
//   session.Respond(now, session.number(), {.body = "ok"});
//   socket.Write(session.Output()); session.OnWritten(now, n);
//   at session.NextDeadline(): session.OnTimer(now);
//   if (session.finished()) close();              // after a pause, if lingers()
//
// Bytes that come while an answer is under way wait; a caller that reads only while wants_input()
// has at most one read of them here. An idle session holds no buffer.
//
// Limits: message.h. Not thread-safe. Source: RFC 9112.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "serf/base/bytes.h"
#include "serf/base/time.h"
#include "serf/rpc/http/message.h"
#include "serf/rpc/http/request_parser.h"
#include "serf/rpc/http/response.h"

namespace serf::http {

// What a session asks. The calls come from within OnBytes(), OnWritten() and OnTimer().
class Application {
 public:
  virtual ~Application() = default;
  // Whether to refuse a request, of which the head has come but perhaps not the body. Nothing:
  // accept it.
  virtual std::optional<Response> Refuse(const Request& head) = 0;
  // A whole request. The application answers with Respond() or Begin(), now or later.
  virtual void Serve(Request request) = 0;
  // The answer to a request that cannot be read.
  virtual Response Describe(const Problem& problem) = 0;
};

class Session {
 public:
  // Seconds of the wall clock, for the field Date.
  using UnixTime = std::int64_t (*)();

  // The application must outlive the session.
  Session(Instant now, Application& application, UnixTime unix_time)
      : application_(application), unix_time_(unix_time), deadline_(now + kIdleTime) {}

  // --- what happened ---

  void OnBytes(Instant now, ByteView bytes);
  // The client sends nothing more.
  void OnEnd(Instant now);
  void OnWritten(Instant now, std::size_t size);
  void OnTimer(Instant now);

  // --- the answer to the request with this number; ignored if that has ended ---

  void Respond(Instant now, std::uint64_t request, Response response);
  // An answer in pieces: Begin() with its head, Send() for each piece, at last End().
  void Begin(Instant now, std::uint64_t request, const Response& head);
  void Send(Instant now, std::uint64_t request, absl::string_view piece);
  void End(Instant now, std::uint64_t request);

  // --- views ---

  // The number of the request that is being answered, or was last.
  std::uint64_t number() const { return number_; }
  // Whether the application has a request to answer.
  bool serving() const { return state_ == State::kServing || state_ == State::kStreaming; }
  // No request is under way, and no answer.
  bool idle() const { return state_ == State::kReading && parser_ == nullptr && Output().empty(); }
  bool wants_input() const { return may_read() && !ended_; }
  ByteView Output() const { return AsBytes(out_).subspan(written_); }
  bool finished() const { return state_ == State::kClosing && drained(); }
  // Whether the client may still send when the session has finished. A socket that is closed over
  // unread bytes can take the answer back, so it should be closed in one direction first.
  bool lingers() const { return lingers_; }
  Instant NextDeadline() const;

 private:
  enum class State : std::uint8_t { kReading, kServing, kStreaming, kClosing };

  bool drained() const { return written_ == out_.size(); }
  // Whether the next request's turn has come.
  bool may_read() const { return state_ == State::kReading && drained(); }
  // Reads requests from `waiting_` and then `bytes`, until one awaits its answer.
  void Read(Instant now, ByteView bytes);
  // What follows a call of the parser.
  void Advance(Instant now);
  // Writes the last answer of the connection.
  void Fail(Instant now, Response response);
  void StartAnswer(Instant now, const Response& response, std::optional<std::size_t> length);
  void EndAnswer(Instant now);
  bool Answers(std::uint64_t request) const { return serving() && request == number_; }

  Application& application_;
  const UnixTime unix_time_;
  State state_ = State::kReading;
  std::unique_ptr<RequestParser> parser_;  // none: no byte of a request has come
  bool judged_ = false;                    // the application has seen the head
  std::string waiting_;                    // bytes behind the request that is being answered
  std::string out_;
  std::size_t written_ = 0;
  std::uint64_t number_ = 0;
  // These belong to the request that is being answered.
  int minor_ = 1;
  bool keep_alive_ = true;
  bool head_only_ = false;
  bool chunked_ = false;
  bool ended_ = false;  // the client sends nothing more
  bool lingers_ = false;
  Instant deadline_;  // of the request, or of the pause between two
  Instant write_deadline_ = kNever;
};

inline void Session::OnBytes(Instant now, ByteView bytes) {
  if (state_ == State::kClosing) return;
  if (!may_read()) {
    absl::StrAppend(&waiting_, AsText(bytes));
    return;
  }
  Read(now, bytes);
}

inline void Session::Read(Instant now, ByteView bytes) {
  std::string before = std::exchange(waiting_, std::string());
  if (!before.empty()) {
    absl::StrAppend(&before, AsText(bytes));
    bytes = AsBytes(before);
  }
  while (!bytes.empty() && may_read()) {
    if (parser_ == nullptr) {
      parser_ = std::make_unique<RequestParser>();
      judged_ = false;
      minor_ = 1;
      keep_alive_ = true;
      deadline_ = now + kHeadTime;
    }
    bytes = bytes.subspan(parser_->Put(bytes));
    Advance(now);
  }
  if (!bytes.empty() && state_ != State::kClosing) waiting_ = std::string(AsText(bytes));
}

inline void Session::Advance(Instant now) {
  Request& request = parser_->request();
  // The head counts before what is wrong behind it.
  if (parser_->head_done() && !judged_) {
    judged_ = true;
    deadline_ = now + kBodyTime;
    minor_ = request.minor;
    keep_alive_ = request.keep_alive;
    head_only_ = request.method == Method::kHead;
    if (std::optional<Response> refusal = application_.Refuse(request)) {
      // The next request stands behind a body that nobody reads.
      if (request.has_body) return Fail(now, *std::move(refusal));
      parser_ = nullptr;
      state_ = State::kServing;
      return Respond(now, ++number_, *std::move(refusal));
    }
    if (!parser_->done() && !parser_->problem() && request.expects_continue &&
        request.body.empty()) {
      absl::StrAppend(&out_, kContinue);
    }
  }
  if (parser_->problem()) return Fail(now, application_.Describe(*parser_->problem()));
  if (!parser_->done()) return;
  Request whole = std::move(request);
  parser_ = nullptr;
  state_ = State::kServing;
  deadline_ = kNever;
  ++number_;
  application_.Serve(std::move(whole));
}

inline void Session::Fail(Instant now, Response response) {
  parser_ = nullptr;
  lingers_ = true;
  response.close = true;
  state_ = State::kServing;
  Respond(now, ++number_, std::move(response));
}

inline void Session::OnEnd(Instant now) {
  ended_ = true;
  // A client may close its side behind its last request and still read the answer.
  if (state_ != State::kReading || !waiting_.empty()) return;
  state_ = State::kClosing;
  lingers_ = false;
  parser_ = nullptr;
  deadline_ = kNever;
  if (!drained()) write_deadline_ = now + kWriteTime;
}

inline void Session::StartAnswer(Instant now, const Response& response,
                                 std::optional<std::size_t> length) {
  deadline_ = kNever;
  // The end of the connection is the end of such a body.
  const bool until_end = !length && minor_ == 0;
  const bool more = !ended_ || !waiting_.empty();
  keep_alive_ = keep_alive_ && !response.close && more && !until_end;
  AppendHead(response, {.unix_time = unix_time_(), .minor = minor_, .keep_alive = keep_alive_},
             length, out_);
  write_deadline_ = now + kWriteTime;
}

inline void Session::Respond(Instant now, std::uint64_t request, Response response) {
  if (!Answers(request) || state_ != State::kServing) return;
  StartAnswer(now, response, response.body.size());
  if (!head_only_ && response.status != 304) out_ += response.body;
  EndAnswer(now);
}

inline void Session::Begin(Instant now, std::uint64_t request, const Response& head) {
  if (!Answers(request) || state_ != State::kServing) return;
  state_ = State::kStreaming;
  chunked_ = minor_ > 0;
  StartAnswer(now, head, std::nullopt);
  if (head_only_) EndAnswer(now);
}

inline void Session::Send(Instant now, std::uint64_t request, absl::string_view piece) {
  if (!Answers(request) || state_ != State::kStreaming || piece.empty()) return;
  if (drained()) write_deadline_ = now + kWriteTime;
  if (chunked_) {
    AppendChunk(piece, out_);
  } else {
    absl::StrAppend(&out_, piece);
  }
}

inline void Session::End(Instant now, std::uint64_t request) {
  if (!Answers(request) || state_ != State::kStreaming) return;
  if (drained()) write_deadline_ = now + kWriteTime;
  if (chunked_) absl::StrAppend(&out_, kLastChunk);
  EndAnswer(now);
}

inline void Session::EndAnswer(Instant now) {
  head_only_ = false;
  state_ = keep_alive_ ? State::kReading : State::kClosing;
  // A client that is on its way to send may not have heard of the end.
  if (!keep_alive_ && !ended_) lingers_ = true;
  deadline_ = keep_alive_ ? now + kIdleTime : kNever;
}

inline void Session::OnWritten(Instant now, std::size_t size) {
  written_ += size;
  write_deadline_ = now + kWriteTime;
  if (!drained()) return;
  write_deadline_ = kNever;
  out_ = std::string();
  written_ = 0;
  if (state_ != State::kReading) return;
  if (parser_ == nullptr) deadline_ = now + kIdleTime;
  if (!waiting_.empty()) Read(now, {});
  if (ended_ && may_read()) {
    waiting_ = std::string();
    OnEnd(now);
  }
}

inline Instant Session::NextDeadline() const { return std::min(deadline_, write_deadline_); }

inline void Session::OnTimer(Instant now) {
  if (now >= write_deadline_) {
    // The client takes nothing: what is left of the answer is lost.
    out_ = std::string();
    written_ = 0;
    write_deadline_ = deadline_ = kNever;
    parser_ = nullptr;
    state_ = State::kClosing;
    lingers_ = false;
    return;
  }
  if (now < deadline_) return;
  deadline_ = kNever;
  if (state_ != State::kReading) return;
  if (parser_ == nullptr || parser_->fresh()) {
    parser_ = nullptr;
    state_ = State::kClosing;
    return;
  }
  Fail(now, application_.Describe(
                {.status = 408,
                 .code = "timeout",
                 .message = parser_->head_done()
                                ? absl::StrCat("the body took more than ",
                                               static_cast<int>(ToSeconds(kBodyTime)), " s")
                                : absl::StrCat("the header fields took more than ",
                                               static_cast<int>(ToSeconds(kHeadTime)), " s")}));
}

}  // namespace serf::http

#endif  // SERF_RPC_HTTP_SESSION_H_
