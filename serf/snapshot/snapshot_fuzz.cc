// Any bytes as a snapshot file. Read in pieces of any size they give the same state, and that state
// survives being written anew.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "serf/base/bytes.h"
#include "serf/base/time.h"
#include "serf/snapshot/snapshot.h"
#include "serf/snapshot/snapshot_reader.h"
#include "serf/snapshot_op.h"
#include "serf/snapshot_state.h"
#include "serf/testing/fuzz_bounds.h"
#include "serf/wire/ids.h"

namespace {

void Check(bool holds) {
  if (!holds) std::abort();
}

bool Same(const serf::SnapshotState& a, const serf::SnapshotState& b) {
  return a.alive == b.alive && a.failed == b.failed && a.clock == b.clock &&
         a.event_clock == b.event_clock && a.query_clock == b.query_clock;
}

// A line of 15 bytes is a node in three maps; a malformed line is logged.
constexpr serf::testkit::FuzzBounds kBounds = {
    .total = {512, 32 << 10},
    .peak = {256, 32 << 10},
    .work = {30, 5000},
};

void Fuzz(serf::ByteView input) {
  using serf::SnapshotOp;
  if (input.empty()) return;
  // The first byte: how to cut, and whether a leave counts.
  const bool rejoin = (input[0] & 1) != 0;
  const std::size_t piece = 1 + input[0] / 2;
  const absl::string_view text = serf::AsText(input.subspan(1));

  serf::SnapshotReader at_once(rejoin, nullptr);
  at_once.Read(text);
  const serf::SnapshotState state = std::move(at_once).Finish();
  serf::SnapshotReader in_pieces(rejoin, nullptr);
  for (std::size_t at = 0; at < text.size(); at += piece) in_pieces.Read(text.substr(at, piece));
  const serf::SnapshotState again = std::move(in_pieces).Finish();
  Check(Same(state, again) && state.size == again.size);
  Check(state.size <= text.size() && (state.size == 0 || text[state.size - 1] == '\n'));

  const serf::Instant now{};
  serf::Snapshot snapshot(now, state, {});
  const std::uint64_t time = snapshot.state().query_clock.value();
  snapshot.OnQuery(serf::wire::LamportTime(time == UINT64_MAX ? time : time + 1));
  snapshot.OnLeave();
  std::vector<SnapshotOp> ops;
  snapshot.Flush(now, ops, /*all=*/true);
  for (std::size_t i = 0; i < ops.size(); ++i) snapshot.OnDone(now, absl::DataLossError(""));
  ops.clear();
  snapshot.Flush(now, ops, /*all=*/true);
  Check(ops.size() == 1 && ops[0].kind == SnapshotOp::Kind::kReplace);
  serf::SnapshotReader reader(/*rejoin_after_leave=*/true, nullptr);
  reader.Read(ops[0].text);
  Check(Same(snapshot.state(), std::move(reader).Finish()));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return serf::testkit::FuzzWithin(kBounds, data, size, Fuzz);
}
