// Any datagram is opened within the limits, with and without label and keys.

#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "serf/base/bytes.h"
#include "serf/testing/fuzz_bounds.h"
#include "serf/wire/aead.h"
#include "serf/wire/message_type.h"
#include "serf/wire/msgpack.h"
#include "serf/wire/openssl_aead.h"
#include "serf/wire/packet.h"
#include "serf/wire/swim_messages.h"

namespace serf::wire {
namespace {

// The keys of the vectors: 000102... of 16 and of 32 bytes.
Keyring MakeRing() {
  Keyring ring;
  for (const std::size_t size : {std::size_t{32}, std::size_t{16}}) {
    Keyring::Key key(size);
    for (std::size_t i = 0; i < size; ++i) key[i] = static_cast<std::uint8_t>(i);
    if (!ring.Add(key).ok()) std::abort();
  }
  return ring;
}

void Fuzz(ByteView datagram) {
  static const Keyring ring = MakeRing();
  static OpensslAead aead;
  static PacketScratch scratch;
  const PacketOptions cases[] = {
      {},
      {.keyring = &ring, .aead = &aead},
      {.label = "blue", .keyring = &ring, .aead = &aead},
      {.label = "blue", .skip_inbound_label_check = true},
      {.keyring = &ring, .aead = &aead, .verify_incoming = false},
  };
  for (const PacketOptions& options : cases) {
    std::size_t leaves = 0;
    OpenPacket(datagram, options, scratch, [&](MessageType type, ByteView body) {
      ++leaves;
      if (type != MessageType::kAlive) return;
      DecodeScratch decode;
      Alive alive;
      if (Decode(body, alive, decode) == DecodeResult::kOk) Check(alive);
    });
    if (leaves > kPacketLeavesMax) std::abort();
  }
}

// Inflates five times as much as a packet may hold, into vectors that double.
constexpr testkit::FuzzBounds kBounds = {
    .total = {15 * kInflationMax, 15 * kPacketInflationFree + (128 << 10)},
    .peak = {3 * kInflationMax, 3 * kPacketInflationFree + (128 << 10)},
    .work = {40, 40000},
};

}  // namespace
}  // namespace serf::wire

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return serf::testkit::FuzzWithin(serf::wire::kBounds, data, size, serf::wire::Fuzz);
}
