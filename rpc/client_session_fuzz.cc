// Feeds a ClientSession any bytes as an agent's. It must not crash, must call each handler once,
// and must behave the same however the bytes are cut into pieces.

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "serf/base/bytes.h"
#include "serf/base/time.h"
#include "serf/coordinate.h"
#include "serf/keys.h"
#include "serf/member.h"
#include "serf/rpc/client_session.h"
#include "serf/rpc/protocol.h"
#include "serf/rpc/service.h"
#include "serf/testing/fuzz_bounds.h"

namespace {

using serf::ByteView;
using serf::Instant;
using serf::rpc::ClientSession;

// The results that the handlers received, in order.
std::string Outcome(ByteView input, std::size_t piece) {
  const Instant later = Instant(std::chrono::seconds(1));
  std::string told;
  int replies = 0;
  const auto note = [&](int request, const absl::Status& status, std::size_t size) {
    ++replies;
    absl::StrAppend(&told, request, ":", status.message(), ":", size, "\n");
  };
  const auto status_of = [&](int request) {
    return [&note, request](absl::Status status) { note(request, status, 0); };
  };
  ClientSession session;
  session.Handshake(later, status_of(1));
  session.Members(later, [&](absl::StatusOr<std::vector<serf::Member>> members) {
    note(2, members.status(), members.ok() ? members->size() : 0);
  });
  session.Join(later, {.existing = {"a"}},
               [&](serf::JoinResult result) { note(3, result.status, 0); });
  session.Stream(
      later, "*",
      [&](absl::StatusOr<serf::rpc::EventRecord> event) {
        absl::StrAppend(&told, "event ", event.status().message(), "\n");
      },
      [&](absl::StatusOr<ClientSession::Seq> seq) { note(4, seq.status(), 0); });
  session.Monitor(
      later, "INFO",
      [&](absl::StatusOr<serf::rpc::LogRecord> log) {
        absl::StrAppend(&told, "log ", log.ok() ? log->log : "", "\n");
      },
      [&](absl::StatusOr<ClientSession::Seq> seq) { note(5, seq.status(), 0); });
  session.Stats(later, [&](absl::StatusOr<serf::rpc::StatsSections> stats) {
    note(6, stats.status(), stats.ok() ? stats->size() : 0);
  });
  session.SendQuery(
      later, "load", "", {},
      [&](absl::StatusOr<serf::rpc::AnswerRecord> answer) {
        absl::StrAppend(&told, "answer ", answer.ok() ? answer->from : "", "\n");
      },
      [&](absl::StatusOr<ClientSession::Seq> seq) { note(7, seq.status(), 0); });
  session.GetCoordinate(later, "beta", [&](absl::StatusOr<std::optional<serf::Coordinate>> found) {
    note(8, found.status(), found.ok() && *found ? (*found)->dimensions : 0);
  });
  session.Respond(later, 1, "1.02", status_of(9));
  session.ManageKeys(later, serf::KeyOperation::kList, "",
                     [&](serf::KeyOutcome result) { note(10, result.status, result.keys.size()); });
  for (ByteView rest = input; !rest.empty(); rest = rest.subspan(std::min(piece, rest.size()))) {
    session.OnBytes(rest.first(std::min(piece, rest.size())));
  }
  session.OnTimer(later);
  session.OnEnd();
  if (replies != 10) std::abort();
  return told;
}

// Two sessions with ten requests; one of them takes single bytes.
constexpr serf::testkit::FuzzBounds kBounds = {
    .total = {512, 128 << 10},
    .peak = {128, 64 << 10},
    .work = {60, 10000},
};

void Fuzz(serf::ByteView input) {
  if (Outcome(input, input.size() + 1) != Outcome(input, 1)) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return serf::testkit::FuzzWithin(kBounds, data, size, Fuzz);
}
