// Payloads of acknowledgements, one after the other. Whatever coordinates they hold, at whatever
// round trips, this node's coordinate stays usable.
//
//   input  = record*
//   record = peer round-trip{2} length byte*{length}
//
// The round trip is in units of 200 us, up to 13 s: some are out of range.

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "serf/base/bytes.h"
#include "serf/base/time.h"
#include "serf/coordinate.h"
#include "serf/coordinates/coordinate_tracker.h"
#include "serf/testing/fuzz_bounds.h"

namespace {

// A record of four bytes may come from a new peer.
constexpr serf::testkit::FuzzBounds kBounds = {
    .total = {256, 16 << 10},
    .peak = {128, 16 << 10},
    .work = {20, 4000},
};

void Fuzz(serf::ByteView input) {
  serf::CoordinateTracker tracker("self", /*seed=*/1, nullptr);
  serf::Instant now{};
  serf::ByteView rest = input;
  while (rest.size() >= 4) {
    const std::string peer(1, static_cast<char>(rest[0]));
    const serf::Duration round_trip =
        std::chrono::microseconds(200) * (rest[1] | static_cast<unsigned>(rest[2]) << 8);
    const std::size_t length = std::min<std::size_t>(rest[3], rest.size() - 4);
    tracker.OnPingComplete(now, peer, round_trip, rest.subspan(4, length));
    rest = rest.subspan(4 + length);
    now += std::chrono::seconds(1);

    if (!serf::IsPlausible(tracker.own())) std::abort();
    if (tracker.own().height < serf::kCoordinateHeightMin) std::abort();
    const serf::Coordinate* const other = tracker.Find(peer);
    if (other == nullptr) continue;
    if (!serf::IsPlausible(*other)) std::abort();
    if (serf::Distance(tracker.own(), *other) < serf::Duration::zero()) std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return serf::testkit::FuzzWithin(kBounds, data, size, Fuzz);
}
