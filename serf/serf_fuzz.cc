// User messages and push/pull states of peers, one after the other, for a running machine.
//
//   input  = record*
//   record = kind length-low length-high byte*{length}    kind is taken modulo 5

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "serf/base/bytes.h"
#include "serf/serf.h"
#include "serf/testing/fuzz_bounds.h"
#include "serf/testing/node/lone_serf.h"

namespace {

void Feed(serf::testkit::LoneSerf& self, std::uint8_t kind, serf::ByteView bytes) {
  switch (kind % 5) {
    case 0:
      return self.ReceiveBytes(bytes);
    case 1:
      return self.ReceiveState(bytes);
    case 2:
      return self.ReceiveState(bytes, /*join=*/true);
    case 3:
      return self.RunFor(std::chrono::seconds(bytes.size()));
    default:
      // A packet of the SWIM layer: members come and go.
      return bytes.empty() ? self.PeerGone("a") : self.ReceivePacket(bytes);
  }
}

// A machine with two peers. A byte may be an event, for which the test keeps a line, or a second of
// the machine's time.
constexpr serf::testkit::FuzzBounds kBounds = {
    .total = {1024, 1 << 20},
    .peak = {512, 512 << 10},
    .work = {200, 60000},
};

void Fuzz(serf::ByteView input) {
  serf::testkit::LoneSerf self;
  self.PeerAlive("a");
  self.PeerAlive("b");
  self.PeerGone("b");
  serf::ByteView rest = input;
  while (rest.size() >= 3) {
    const std::uint8_t kind = rest[0];
    const std::size_t length =
        std::min<std::size_t>(rest[1] | static_cast<std::size_t>(rest[2]) << 8, rest.size() - 3);
    Feed(self, kind, rest.subspan(3, length));
    rest = rest.subspan(3 + length);
  }
  // Whatever the peers sent, the node is alive and knows itself.
  if (self.serf().state() != serf::Serf::State::kAlive) std::abort();
  if (!self.serf().FindMember("self").has_value()) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return serf::testkit::FuzzWithin(kBounds, data, size, Fuzz);
}
