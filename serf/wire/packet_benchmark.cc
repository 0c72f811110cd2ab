// Costs of the layers of packets, each alone and all together, for gossip packets of the default
// size: 14 alive messages, 1400 bytes.

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "benchmark/benchmark.h"
#include "serf/base/bytes.h"
#include "serf/base/rng.h"
#include "serf/wire/aead.h"
#include "serf/wire/compound.h"
#include "serf/wire/crc32.h"
#include "serf/wire/lzw.h"
#include "serf/wire/openssl_aead.h"
#include "serf/wire/packet.h"
#include "serf/wire/swim_messages.h"

namespace serf::wire {
namespace {

class SeededNonces : public NonceSource {
 public:
  void Fill(Nonce& nonce) override {
    const std::uint64_t word = rng_.Next();
    for (std::size_t i = 0; i < nonce.size(); ++i) {
      nonce[i] = static_cast<std::uint8_t>(word >> (5 * i));
    }
  }

 private:
  Rng rng_{1};
};

ByteVector GossipPacket() {
  const std::array<std::uint8_t, 6> versions = {1, 5, 2, 2, 5, 5};
  std::vector<ByteVector> messages;
  for (int i = 0; i < 14; ++i) {
    const std::array<std::uint8_t, 4> address = {10, 0, 0, static_cast<std::uint8_t>(i)};
    Encode(Alive{.incarnation = Incarnation(3),
                 .node = absl::StrCat("node-000", i, ".dc1"),
                 .addr = address,
                 .port = 7946,
                 .meta = AsBytes("\xff\x82\xa2"
                                 "dc\xa4"
                                 "east\xa4role\xa3web"),
                 .vsn = versions},
           messages.emplace_back());
  }
  const std::vector<ByteView> parts(messages.begin(), messages.end());
  ByteVector packet;
  AppendCompound(parts, packet);
  return packet;
}

void SetBytes(benchmark::State& state, std::size_t bytes) {
  state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations() * bytes));
}

void Crc(benchmark::State& state) {
  const ByteVector packet = GossipPacket();
  for (auto _ : state) benchmark::DoNotOptimize(Crc32(packet));
  SetBytes(state, packet.size());
}
BENCHMARK(Crc);

void LzwCompress(benchmark::State& state) {
  const ByteVector packet = GossipPacket();
  LzwEncoder encoder;
  ByteVector out;
  for (auto _ : state) {
    out.clear();
    benchmark::DoNotOptimize(encoder.Encode(packet, packet.size(), out));
  }
  SetBytes(state, packet.size());
}
BENCHMARK(LzwCompress);

void LzwExpand(benchmark::State& state) {
  const ByteVector packet = GossipPacket();
  LzwEncoder encoder;
  LzwDecoder decoder;
  ByteVector compressed;
  encoder.Encode(packet, packet.size(), compressed);
  ByteVector out;
  for (auto _ : state) {
    out.clear();
    benchmark::DoNotOptimize(decoder.Decode(compressed, packet.size(), out));
  }
  SetBytes(state, packet.size());
}
BENCHMARK(LzwExpand);

void AeadSeal(benchmark::State& state) {
  const ByteVector packet = GossipPacket();
  const Keyring::Key key(static_cast<std::size_t>(state.range(0)), 7);
  const Nonce nonce = {};
  OpensslAead aead;
  ByteVector out(packet.size() + kTagSize);
  for (auto _ : state) benchmark::DoNotOptimize(aead.Seal(key, nonce, {}, packet, out.data()));
  SetBytes(state, packet.size());
}
BENCHMARK(AeadSeal)->Arg(16)->Arg(32);

void AeadOpen(benchmark::State& state) {
  const ByteVector packet = GossipPacket();
  const Keyring::Key key(static_cast<std::size_t>(state.range(0)), 7);
  const Nonce nonce = {};
  OpensslAead aead;
  ByteVector sealed(packet.size() + kTagSize);
  aead.Seal(key, nonce, {}, packet, sealed.data());
  ByteVector out(packet.size());
  for (auto _ : state) benchmark::DoNotOptimize(aead.Open(key, nonce, {}, sealed, out.data()));
  SetBytes(state, packet.size());
}
BENCHMARK(AeadOpen)->Arg(16)->Arg(32);

// The whole way: with a checksum, compressed if bit 0, encrypted if bit 1.
struct Pipeline {
  explicit Pipeline(std::int64_t bits) {
    if (!ring.Add(Keyring::Key(32, 7)).ok()) return;
    out = {.label = "",
           .keyring = bits & 2 ? &ring : nullptr,
           .aead = &aead,
           .nonces = &nonces,
           .compress = (bits & 1) != 0,
           .crc = true};
    in = {.keyring = out.keyring, .aead = &aead};
  }

  Keyring ring;
  OpensslAead aead;
  SeededNonces nonces;
  SealOptions out;
  PacketOptions in;
  PacketScratch scratch;
};

void Seal(benchmark::State& state) {
  const ByteVector packet = GossipPacket();
  Pipeline pipeline(state.range(0));
  ByteVector arena;
  for (auto _ : state) {
    arena.clear();
    benchmark::DoNotOptimize(SealPacket(packet, pipeline.out, pipeline.scratch, arena));
  }
  SetBytes(state, packet.size());
}
BENCHMARK(Seal)->DenseRange(0, 3);

// To the decoded messages.
void Open(benchmark::State& state) {
  const ByteVector packet = GossipPacket();
  Pipeline pipeline(state.range(0));
  ByteVector sealed;
  SealPacket(packet, pipeline.out, pipeline.scratch, sealed);
  DecodeScratch decode;
  std::size_t names = 0;
  for (auto _ : state) {
    OpenPacket(sealed, pipeline.in, pipeline.scratch, [&](MessageType, ByteView body) {
      Alive alive;
      if (Decode(body, alive, decode) == DecodeResult::kOk) names += alive.node.size();
    });
  }
  benchmark::DoNotOptimize(names);
  SetBytes(state, packet.size());
}
BENCHMARK(Open)->DenseRange(0, 3);

}  // namespace
}  // namespace serf::wire
