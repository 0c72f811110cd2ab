// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_RPC_HTTP_REQUEST_PARSER_H_
#define SERF_RPC_HTTP_REQUEST_PARSER_H_

// RequestParser: reads one request out of bytes that come in pieces of any size. Boost.Beast's
// parser splits the text; this class has the limits (message.h) and refuses forms that two programs
// could read differently (framing.h). It takes memory as bytes come, never as a length promises.
//
//   RequestParser parser;
//   const std::size_t taken = parser.Put(bytes);     // the rest belongs to the next request
//   if (parser.problem()) ...                        // answer, then close
//   if (parser.head_done()) Judge(parser.request()); // the body may be on its way
//   if (parser.done()) Serve(std::move(parser.request()));
//
// This is the only file that includes Boost.Beast. Not thread-safe.

#include <algorithm>
#include <array>
#include <boost/asio/buffer.hpp>
#include <boost/beast/http/basic_parser.hpp>
#include <boost/beast/http/error.hpp>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "serf/base/bytes.h"
#include "serf/rpc/http/framing.h"
#include "serf/rpc/http/message.h"

namespace serf::http {

class RequestParser : private boost::beast::http::basic_parser<true> {
 public:
  RequestParser() {
    header_limit(static_cast<std::uint32_t>(kHeadMax));
    body_limit(kBodyMax);
  }

  // Takes bytes, and returns how many: all of them, unless the request is complete or refused.
  std::size_t Put(ByteView bytes);

  // Whether no byte of the request has come yet.
  bool fresh() const { return !head_done_ && pending_.empty(); }
  bool head_done() const { return head_done_; }
  bool done() const { return head_done_ && is_done(); }
  // Why the request cannot be read. Nothing can be read after it.
  const std::optional<Problem>& problem() const { return problem_; }
  // Complete but for its body once head_done().
  Request& request() { return request_; }

 private:
  using Parser = boost::beast::http::basic_parser<true>;
  using Error = boost::beast::error_code;
  using View = boost::beast::string_view;

  // One byte more than a head may have, so that the limits below find it.
  static constexpr std::size_t kHeadMax = kRequestLineMax + 2 + kHeadersMax + 1;

  static absl::string_view ViewOf(View text) { return {text.data(), text.size()}; }
  std::size_t PutHead(absl::string_view bytes);
  std::size_t PutBody(absl::string_view bytes);
  // Parses the whole head, which is in pending_.
  void ParseHead();
  // Has Beast read, and returns how many bytes it has used.
  std::size_t Parse(absl::string_view bytes);
  std::size_t Fail(Problem problem) {
    problem_ = std::move(problem);
    pending_ = std::string();
    return 0;
  }

  // --- what Beast finds ---

  void on_request_impl(boost::beast::http::verb, View method, View target, int version,
                       Error& error) override {
    error = {};
    request_.method = MethodOf(ViewOf(method));
    request_.target = std::string(ViewOf(target));
    request_.minor = version % 10;
  }
  void on_response_impl(int, View, int, Error& error) override { error = {}; }
  void on_field_impl(boost::beast::http::field, View name, View value, Error& error) override {
    error = {};
    // Fields behind the body are nobody's: they come after the request has been judged.
    if (head_done_) return;
    if (request_.fields.size() == kHeaderCountMax) {
      too_many_fields_ = true;
      error = boost::beast::http::error::header_limit;
      return;
    }
    request_.fields.push_back({absl::AsciiStrToLower(ViewOf(name)),
                               std::string(absl::StripAsciiWhitespace(ViewOf(value)))});
  }
  void on_header_impl(Error& error) override { error = {}; }
  // The length is a promise: memory comes with the bytes.
  void on_body_init_impl(boost::optional<std::uint64_t> const&, Error& error) override {
    error = {};
  }
  std::size_t on_body_impl(View body, Error& error) override {
    error = {};
    request_.body.append(body.data(), body.size());
    return body.size();
  }
  void on_chunk_header_impl(std::uint64_t, View, Error& error) override { error = {}; }
  std::size_t on_chunk_body_impl(std::uint64_t, View body, Error& error) override {
    return on_body_impl(body, error);
  }
  void on_finish_impl(Error& error) override { error = {}; }

  Request request_;
  // The head until it is complete, then what Beast could not use yet of a chunked body.
  std::string pending_;
  std::size_t line_size_ = 0;  // of the request line, once it is complete
  std::size_t empty_lines_ = 0;
  std::optional<Problem> problem_;
  bool head_done_ = false;
  bool too_many_fields_ = false;
};

inline std::size_t RequestParser::Put(ByteView bytes) {
  const absl::string_view text = AsText(bytes);
  std::size_t taken = 0;
  if (!head_done_ && !problem_) taken = PutHead(text);
  if (head_done_ && !problem_ && !is_done()) taken += PutBody(text.substr(taken));
  return taken;
}

inline std::size_t RequestParser::PutHead(absl::string_view bytes) {
  constexpr absl::string_view kEnd = "\r\n\r\n";
  // A search begins where an end may have begun in the bytes before.
  const std::size_t before = pending_.size();
  const std::size_t from = before - std::min(before, kEnd.size() - 1);
  const std::size_t room = kHeadMax - before;
  absl::StrAppend(&pending_, bytes.substr(0, room));
  std::size_t taken = pending_.size() - before;
  std::size_t dropped = 0;
  while (absl::StartsWith(pending_, "\r\n")) {
    if (++empty_lines_ > kEmptyLinesMax) return Fail(Malformed("only empty lines")), taken;
    pending_.erase(0, 2);
    dropped += 2;
  }
  const std::size_t end = absl::string_view(pending_).find(kEnd, from - std::min(from, dropped));
  if (end != std::string::npos) {
    const std::size_t surplus = pending_.size() - (end + kEnd.size());
    pending_.resize(end + kEnd.size());
    taken -= surplus;
  }
  if (auto problem = CheckHead(pending_, from - std::min(from, dropped)))
    return Fail(*std::move(problem)), taken;
  if (line_size_ == 0) {
    const std::size_t line = pending_.find("\r\n");
    const std::size_t size = std::min(line, pending_.size() - (pending_.ends_with('\r') ? 1 : 0));
    if (size > kRequestLineMax) {
      return Fail({.status = 414,
                   .code = "too_large",
                   .message =
                       absl::StrCat("the request line has more than ", kRequestLineMax, " bytes")}),
             taken;
    }
    if (line != std::string::npos) line_size_ = line + 2;
  }
  if (pending_.size() > line_size_ + kHeadersMax && line_size_ > 0) {
    return Fail({.status = 431,
                 .code = "too_large",
                 .message =
                     absl::StrCat("the header fields have more than ", kHeadersMax, " bytes")}),
           taken;
  }
  if (end != std::string::npos) ParseHead();
  return taken;
}

inline void RequestParser::ParseHead() {
  const std::string head = std::exchange(pending_, std::string());
  Parse(head);
  if (problem_) return;
  if (auto problem = CheckFraming(request_)) {
    Fail(*std::move(problem));
    return;
  }
  request_.keep_alive = Parser::keep_alive();
  request_.has_body = !is_done();
  const std::optional<absl::string_view> expect = request_.Find("expect");
  request_.expects_continue =
      request_.minor > 0 && expect && absl::EqualsIgnoreCase(*expect, "100-continue");
  head_done_ = true;
  eager(true);
}

inline std::size_t RequestParser::PutBody(absl::string_view bytes) {
  if (bytes.empty()) return 0;
  if (pending_.empty()) {
    const std::size_t used = Parse(bytes);
    if (problem_ || is_done()) return used;
    pending_ = std::string(bytes.substr(used));
  } else {
    const std::size_t before = pending_.size();
    absl::StrAppend(&pending_, bytes);
    const std::size_t used = Parse(pending_);
    if (problem_) return bytes.size();
    // What waited was not enough for anything, so it is used before any of the new bytes.
    if (is_done()) return used - std::min(used, before);
    pending_.erase(0, used);
  }
  if (pending_.size() > kChunkHeadMax) {
    Fail(Malformed(absl::StrCat("more than ", kChunkHeadMax, " bytes between two chunks")));
  }
  return bytes.size();
}

inline std::size_t RequestParser::Parse(absl::string_view bytes) {
  Error error;
  const std::size_t used = put(boost::asio::const_buffer(bytes.data(), bytes.size()), error);
  if (!error || error == boost::beast::http::error::need_more) return used;
  if (too_many_fields_) {
    Fail({.status = 431,
          .code = "too_large",
          .message = absl::StrCat("more than ", kHeaderCountMax, " header fields")});
  } else if (error == boost::beast::http::error::body_limit) {
    Fail({.status = 413,
          .code = "too_large",
          .message = absl::StrCat("the body has more than ", kBodyMax, " bytes")});
  } else {
    Fail(Malformed(absl::StrCat("the request cannot be read: ", error.message())));
  }
  return used;
}

}  // namespace serf::http

#endif  // SERF_RPC_HTTP_REQUEST_PARSER_H_
