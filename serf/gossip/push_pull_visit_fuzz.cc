// Reads the Serf layer's part of a push/pull in portions: the result is that of decoding it as a
// whole, in no more turns than its bytes allow.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <set>
#include <string>

#include "serf/base/bytes.h"
#include "serf/gossip/push_pull_visit.h"
#include "serf/testing/fuzz_bounds.h"
#include "serf/wire/ids.h"
#include "serf/wire/msgpack.h"
#include "serf/wire/serf_messages.h"

namespace {

using serf::PushPullVisit;
using serf::wire::LamportTime;

void Check(bool holds) {
  if (!holds) std::abort();
}

struct Counter {
  void OnClocks(LamportTime member, LamportTime event, LamportTime query) {
    clocks = {member, event, query};
  }
  void OnRemoteLeft(absl::string_view, LamportTime) { ++left; }
  void OnRemoteStatus(absl::string_view, LamportTime) { ++others; }
  void OnRemoteEvent(LamportTime time, const serf::wire::RecentEvent&) {
    Check(time >= last);
    last = time;
    ++events;
  }

  struct {
    LamportTime member;
    LamportTime event;
    LamportTime query;
  } clocks;
  LamportTime last;
  std::size_t left = 0;
  std::size_t others = 0;
  std::size_t events = 0;
};

// A name of one byte is in two sets, one of which belongs to the test; the visit keeps the latest
// slots.
constexpr serf::testkit::FuzzBounds kBounds = {
    .total = {512, 256 << 10},
    .peak = {256, 256 << 10},
    .work = {60, 20000},
};

void Fuzz(serf::ByteView body) {
  Counter counter;
  PushPullVisit visit(body);
  std::size_t turns = 1;
  PushPullVisit::Progress progress = visit.Run(counter);
  for (; progress == PushPullVisit::Progress::kMore; ++turns) progress = visit.Run(counter);
  // The visit looks at a byte twice at most, as a value and as an end, and may report it as one
  // event.
  constexpr std::size_t kCostOfByte =
      PushPullVisit::kEventCost + 3 * PushPullVisit::kStatusCost + 2;
  Check(turns <= 2 + 2 * body.size() * kCostOfByte / PushPullVisit::kTurnCost);

  serf::wire::DecodeScratch scratch;
  serf::wire::PushPullState state;
  const serf::wire::DecodeResult result = Decode(body, state, scratch);
  if (progress == PushPullVisit::Progress::kMalformed) {
    // Only the limits of length and of depth are rules of the visit alone.
    const bool own_rule = visit.result() == serf::wire::DecodeResult::kTooLong ||
                          visit.result() == serf::wire::DecodeResult::kTooDeep ||
                          result == serf::wire::DecodeResult::kTooDeep;
    Check(own_rule || result == visit.result());
    Check(counter.left + counter.others + counter.events == 0);
    return;
  }
  // An unknown value may nest deeper here, by the depth of its record.
  if (result == serf::wire::DecodeResult::kTooDeep) return;
  Check(result == serf::wire::DecodeResult::kOk);
  Check(counter.clocks.member == state.ltime && counter.clocks.event == state.event_ltime &&
        counter.clocks.query == state.query_ltime);
  std::set<std::string> names;
  state.left_members.ForEach([&](absl::string_view name) { names.emplace(name); });
  std::size_t others = 0;
  state.status_ltimes.ForEach([&](const serf::wire::StatusLTime& status) {
    if (!names.contains(std::string(status.node))) ++others;
  });
  std::size_t events = 0;
  state.events.ForEach([&](const serf::wire::EventSlot& slot) { events += slot.events.size(); });
  Check(counter.left == state.left_members.size());
  Check(counter.others == others);
  Check(visit.surplus() > 0 ? counter.events <= PushPullVisit::kEventsMax
                            : counter.events == events);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return serf::testkit::FuzzWithin(kBounds, data, size, Fuzz);
}
