// Feeds a ServerSession any bytes as a client's. It must not crash, its answer must be bounded, and
// it must behave the same however the bytes are cut into pieces.

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/string_view.h"
#include "serf/base/bytes.h"
#include "serf/base/time.h"
#include "serf/coordinate.h"
#include "serf/event.h"
#include "serf/query.h"
#include "serf/rpc/log_history.h"
#include "serf/rpc/object_scanner.h"
#include "serf/rpc/protocol.h"
#include "serf/rpc/server_session.h"
#include "serf/rpc/stream_event.h"
#include "serf/testing/fuzz_bounds.h"
#include "serf/testing/rpc/fake_service.h"
#include "serf/wire/ids.h"

namespace {

using serf::ByteVector;
using serf::ByteView;
using serf::Instant;

void Require(bool condition) {
  if (!condition) std::abort();
}

// The answer to `input`, given in pieces of `piece` bytes.
ByteVector Answer(ByteView input, std::size_t piece, absl::string_view auth_key, bool hold) {
  serf::rpc::FakeService service;
  service.members = {serf::rpc::TestMember("alpha"), serf::rpc::TestMember("beta")};
  service.stats = {{"serf", {{"members", "2"}}}};
  service.coordinates["beta"] = serf::Coordinate::Start();
  service.hold = hold;
  serf::rpc::ServerSession::Options options;
  options.auth_key = std::string(auth_key);
  Instant now = Instant(std::chrono::seconds(1));
  serf::rpc::ServerSession session(now, service, std::move(options));
  ByteVector answer;
  const auto take = [&] {
    for (ByteView out = session.Output(); !out.empty(); out = session.Output()) {
      serf::Append(answer, out);
      session.OnWritten(now, out.size());
    }
  };
  const auto settle = [&] {
    service.Release();
    while (!session.finished() && session.NextDeadline() <= now + serf::rpc::kAuthDelay) {
      now = std::max(now, session.NextDeadline());
      session.OnTimer(now);
      service.Release();
    }
    take();
  };
  const auto feed = [&](ByteView bytes) {
    for (ByteView rest = bytes; !rest.empty(); rest = rest.subspan(std::min(piece, rest.size()))) {
      session.OnBytes(now, rest.first(std::min(piece, rest.size())));
      if (piece < bytes.size()) settle();
    }
    settle();
  };
  const auto emit = [&](const serf::Event& event) {
    session.OnEvent(now, std::make_shared<const serf::rpc::StreamEvent>(event));
  };
  // A query from a stream of one half may be answered in the other half.
  const std::size_t half = input.size() / 2;
  feed(input.first(half));
  emit(serf::MemberEvent{serf::MemberEventKind::kJoin, service.members});
  emit(serf::UserEvent{serf::wire::LamportTime(1), "deploy", "", true});
  emit(serf::QueryEvent{{serf::wire::LamportTime(2), 3}, "load", "15m", "alpha", serf::kNever});
  session.OnLog(now, serf::rpc::MakeLogLine({}, "line"));
  service.TellAnswer(serf::QueryUpdate::Kind::kAck, "beta");
  take();
  feed(input.subspan(half));
  service.TellAnswer(serf::QueryUpdate::Kind::kResponse, "beta", "1.02");
  service.TellAnswer(serf::QueryUpdate::Kind::kDone);
  take();
  session.OnEnd(now);
  settle();
  // If the client has made the agent leave, its streams continue until the agent ends.
  Require(session.finished() || service.leaves > 0);
  session.OnClosed();
  Require(service.running.empty());
  return answer;
}

// Four sessions, two of which take single bytes and answer between them. A request of 20 bytes has
// an answer of several hundred bytes.
constexpr serf::testkit::FuzzBounds kBounds = {
    .total = {2048, 512 << 10},
    .peak = {512, 256 << 10},
    .work = {200, 40000},
};

void Fuzz(serf::ByteView input) {
  const ByteVector whole = Answer(input, input.size() + 1, "", false);
  Require(whole == Answer(input, 1, "", true));
  const ByteVector guarded = Answer(input, input.size() + 1, "my-secret-auth-token", true);
  Require(guarded == Answer(input, 3, "my-secret-auth-token", false));
  // The answer is a sequence of whole objects.
  for (ByteView rest = whole; !rest.empty();) {
    serf::rpc::ObjectScanner scanner;
    Require(scanner.Scan(rest, serf::rpc::kReplySizeMax) ==
            serf::rpc::ObjectScanner::Result::kComplete);
    rest = rest.subspan(scanner.size());
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return serf::testkit::FuzzWithin(kBounds, data, size, Fuzz);
}
