// Feeds a session any bytes as a client's. It must not crash, its memory must be bounded by the
// input, and it must answer the same however the bytes are cut into pieces.

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "serf/base/bytes.h"
#include "serf/base/time.h"
#include "serf/rpc/http/accept.h"
#include "serf/rpc/http/message.h"
#include "serf/rpc/http/session.h"
#include "serf/rpc/http/url.h"
#include "serf/testing/fuzz_bounds.h"

namespace {

using serf::ByteView;
using serf::Instant;
using namespace serf::http;  // NOLINT: a program

void Require(bool condition) {
  if (!condition) std::abort();
}

class Fuzzed : public Application {
 public:
  std::optional<Response> Refuse(const Request& head) override {
    Require(head.body.size() <= kBodyMax && head.fields.size() <= kHeaderCountMax);
    const std::optional<absl::string_view> accept = head.Find("accept");
    if (accept) {
      const double quality = QualityOf(ParseAccept(*accept), "text", "plain", {"0.0.4"});
      Require(quality >= 0 && quality <= 1);
    }
    if (const std::optional<Target> target = ParseTarget(head.target)) {
      Require(target->parameters.size() <= kParametersMax);
      return std::nullopt;
    }
    return Response{.status = 400, .body = "target"};
  }
  void Serve(Request request) override {
    Require(request.body.size() <= kBodyMax);
    Require(request.Count("content-length") + request.Count("transfer-encoding") <= 1);
    const std::uint64_t number = session->number();
    if (request.method == Method::kPost) {
      session->Begin(now, number, {.type = "text/plain"});
      session->Send(now, number, request.body);
      session->End(now, number);
    } else {
      session->Respond(now, number, {.body = absl::StrCat(request.target.size())});
    }
  }
  Response Describe(const Problem& problem) override {
    Require(problem.status >= 400 && !problem.message.empty());
    return {.status = problem.status, .body = std::string(problem.code)};
  }

  Session* session = nullptr;
  Instant now = Instant(std::chrono::seconds(1));
};

std::string Answer(ByteView input, std::size_t piece) {
  Fuzzed application;
  Session session(application.now, application, [] { return std::int64_t{0}; });
  application.session = &session;
  std::string answer;
  const auto take = [&] {
    for (ByteView out = session.Output(); !out.empty(); out = session.Output()) {
      absl::StrAppend(&answer, serf::AsText(out));
      session.OnWritten(application.now, out.size());
    }
  };
  for (ByteView rest = input; !rest.empty() && !session.finished();
       rest = rest.subspan(std::min(piece, rest.size()))) {
    session.OnBytes(application.now, rest.first(std::min(piece, rest.size())));
    take();
  }
  // Whatever the client does, the session comes to its end.
  for (int i = 0; i < 4 && !session.finished(); ++i) {
    Require(session.NextDeadline() != serf::kNever);
    application.now = session.NextDeadline();
    session.OnTimer(application.now);
    take();
  }
  Require(session.finished());
  return answer;
}

void Try(ByteView input) {
  const std::string whole = Answer(input, std::max<std::size_t>(input.size(), 1));
  const std::string pieces = Answer(input, 3);
  // A body that is on its way gets "100 Continue", one that has come does not.
  if (whole.find("100 Continue") == pieces.find("100 Continue")) Require(whole == pieces);
}

// An answer has 300 bytes, and the shortest request 18.
constexpr serf::testkit::FuzzBounds kBounds = {
    .total = {2000, 64 << 10}, .peak = {200, 64 << 10}, .work = {20, 20'000}};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return serf::testkit::FuzzWithin(kBounds, data, size, Try);
}
